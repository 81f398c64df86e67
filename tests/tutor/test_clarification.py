"""Who was not understood: what learners and roles say about it in eight languages, and what only looks like it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tutor.learning import metrics_data
from tutor.learning.clarification import asks_again, asks_back, only_sounds
from tutor.learning.metrics_data import FOLDER, SpeechDataError, SpeechWords
from tutor.script.catalogue import load

TARGETS = sorted({language.base for language in load().targets})

ASKS_AGAIN: dict[str, list[str]] = {
    "es": [
        "Perdón, ¿puede repetir el precio?",
        "¿Qué significa «recargo»?",
        "No entiendo la palabra recargo.",
        "Un café. ¿Ha dicho quince o cincuenta?",
        "¿Me lo puede explicar, por favor?",
        "Lo siento, no le he oído bien, ¿con leche?",
        "Más despacio, por favor.",
        "¿Qué?",
        "No sé qué significa esa palabra, perdón.",
    ],
    "en": [
        "Sorry, could you repeat the address, please?",
        "What does 'deposit' mean?",
        "I didn't catch the last part, sorry.",
        "Did you say fifteen or fifty?",
        "I don't understand the word 'lease'.",
        "Sorry? A coffee?",
        "More slowly, please.",
        "What?",
        "What is a deposit?",
        "Hello, I'm not sure I understand.",
    ],
    "fr": [
        "Pardon, vous pouvez répéter le prix ?",
        "Qu'est-ce que ça veut dire, « caution » ?",
        "Je n'ai pas compris le mot caution.",
        "Vous avez dit quinze ou cinquante ?",
        "Un café. Pardon ?",
        "Je ne comprends pas ce mot, désolé.",
        "Plus lentement, s'il vous plaît.",
        "Est-ce que vous pouvez m'expliquer la règle ?",
        "Ça veut dire quoi, caution ?",
    ],
    "de": [
        "Entschuldigung, können Sie den Preis noch einmal wiederholen?",
        "Was bedeutet Kaution?",
        "Ich habe die Frage leider nicht verstanden.",
        "Haben Sie fünfzehn gesagt?",
        "Einen Kaffee. Wie bitte?",
        "Ich verstehe das Wort nicht, tut mir leid.",
        "Langsamer, bitte.",
        "Was heißt Kaution?",
        "Meinen Sie am Montag?",
        "Können Sie bitte etwas langsamer sprechen, ich lerne noch.",
    ],
    "it": [
        "Scusi, può ripetere il prezzo?",
        "Che cosa significa caparra?",
        "Non ho capito la domanda, mi dispiace.",
        "Ha detto quindici o cinquanta?",
        "Un caffè. Come?",
        "Mi può spiegare la regola?",
        "Più piano, per favore.",
        "Non conosco questa parola.",
        "Cosa vuol dire caparra?",
    ],
    "pt": [
        "Desculpe, pode repetir o preço?",
        "O que significa caução?",
        "Não entendi a pergunta, desculpe.",
        "Você disse quinze ou cinquenta?",
        "Um café. Como?",
        "Você pode me explicar a regra?",
        "Mais devagar, por favor.",
        "Não conheço essa palavra.",
        "O que é uma caução?",
    ],
    "zh": [
        "不好意思，您能再说一遍价格吗？",
        "押金是什么意思？",
        "我没听懂您说的价格。",
        "您是说十五块吗？",
        "你好，什么？",
        "能解释一下吗？",
        "请说慢一点。",
        "太快了，我听不懂。",
        "我不知道这个词。",
    ],
    "ja": [
        "すみません、値段をもう一度お願いします。",
        "「敷金」はどういう意味ですか。",
        "ちょっと聞こえませんでした。すみません。",
        "敷金って何ですか。",
        "コーヒー。えっ？",
        "もう少しゆっくり話してください。",
        "よくわかりません。",
        "えっと、質問がわかりません。",
        "敷金の意味は何ですか。",
    ],
}
"""The learner asks to hear or understand something again."""

ASKS_NOTHING_AGAIN: dict[str, list[str]] = {
    "es": [
        "Un café con leche, por favor.",
        "No entiendo por qué es tan caro.",
        "¿Cuánto cuesta?",
        "Quiero decir que no me gusta.",
        "¿Qué es lo más barato?",
        "No, gracias. Otra cosa.",
        "Mi hermano me ha dicho que es bueno.",
        "¿Cómo se llama usted?",
        "Repito mi número.",
        "Voy más a menudo.",
    ],
    "en": [
        "A coffee with milk, please.",
        "I don't understand why it is so expensive.",
        "How much is it?",
        "I mean the big one.",
        "Can you bring the bill?",
        "I'm sorry I'm late.",
        "What is your name?",
        "What time do you open?",
        "I didn't get my order.",
        "Can you tell me the price?",
        "I don't get up early.",
        "I don't follow football.",
    ],
    "fr": [
        "Un café au lait, s'il vous plaît.",
        "Je ne comprends pas pourquoi c'est si cher.",
        "Combien ça coûte ?",
        "Comment allez-vous ?",
        "On m'a dit que c'est bon.",
        "Qu'est-ce que vous avez comme thé ?",
        "Je ne sais pas encore.",
        "Pardon, je suis en retard.",
    ],
    "de": [
        "Einen Kaffee mit Milch, bitte.",
        "Ich verstehe nicht, warum das so teuer ist.",
        "Was kostet das?",
        "Wie heißen Sie?",
        "Entschuldigung, ich bin zu spät.",
        "Ich weiß nicht, vielleicht am Montag.",
        "Was ist der Preis?",
        "Können Sie mir die Rechnung bringen?",
        "Bitte einen Tee.",
    ],
    "it": [
        "Un caffè, per favore.",
        "Non capisco perché è così caro.",
        "Quanto costa?",
        "Come si chiama?",
        "Mi ha detto mio fratello che è buono.",
        "Scusi, sono in ritardo.",
        "Come sta?",
        "Può portare il conto?",
    ],
    "pt": [
        "Um café, por favor.",
        "Não entendo por que é tão caro.",
        "Quanto custa?",
        "Como você se chama?",
        "Meu irmão me disse que é bom.",
        "Desculpe, estou atrasado.",
        "Pode trazer a conta?",
        "Oi, tudo bem?",
    ],
    "zh": [
        "我要一杯咖啡。",
        "我不明白为什么这么贵。",
        "多少钱？",
        "你要喝什么？",
        "没什么。",
        "为什么？",
        "我想说的是这个。",
        "有什么茶？",
        "你叫什么名字？",
    ],
    "ja": [
        "コーヒーをください。",
        "いくらですか。",
        "どうしてかわかりません。",
        "もう一度行きたいです。",
        "すみませんが、水をください。",
        "まだわかりません。",
        "何時に開きますか。",
        "はい、お願いします。",
        "意味のある仕事です。",
    ],
}
"""The learner wants something of the role."""

ASKS_BACK: dict[str, list[str]] = {
    "es": [
        "Perdone, no le he entendido bien. ¿Un café?",
        "¿Cómo dice?",
        "¿Perdón? ¿Con leche?",
        "¿Puede repetirlo, por favor?",
        "¿Qué quiere decir con eso?",
        "¿Quiere decir un café con hielo?",
    ],
    "en": [
        "Sorry, I didn't catch that. A coffee?",
        "Could you say that again?",
        "Sorry? With milk?",
        "What do you mean by that?",
        "Did you say two?",
        "Do you mean the blue one?",
    ],
    "fr": [
        "Je n'ai pas bien compris. Un café ?",
        "Pardon ? Avec du lait ?",
        "Vous pouvez répéter, s'il vous plaît ?",
        "Qu'est-ce que vous voulez dire ?",
        "Vous voulez dire un café ?",
        "Excusez-moi, je ne vous comprends pas.",
    ],
    "de": [
        "Entschuldigung, das habe ich nicht verstanden.",
        "Wie bitte? Mit Milch?",
        "Können Sie das bitte wiederholen?",
        "Was meinen Sie damit?",
        "Meinen Sie einen Kaffee?",
        "Ich habe Sie leider nicht gehört.",
    ],
    "it": [
        "Scusi, non ho capito. Un caffè?",
        "Come, scusi?",
        "Può ripetere, per favore?",
        "Che cosa intende?",
        "Intende un caffè freddo?",
        "Non ho sentito bene.",
    ],
    "pt": [
        "Desculpe, não entendi. Um café?",
        "Como? Com leite?",
        "Pode repetir, por favor?",
        "O que você quer dizer?",
        "Você quer dizer um café gelado?",
        "Não ouvi bem.",
    ],
    "zh": [
        "不好意思，我没听清楚。",
        "您能再说一遍吗？",
        "您是什么意思？",
        "您是说咖啡吗？",
        "什么？咖啡？",
    ],
    "ja": [
        "すみません、よく聞こえませんでした。",
        "もう一度おっしゃっていただけますか。",
        "どういう意味でしょうか。",
        "えっ？コーヒーですか。",
        "申し訳ございません、もう一度お願いします。",
    ],
}
"""The role did not understand."""

ASKS_NOTHING_BACK: dict[str, list[str]] = {
    "es": [
        "¡Hola! ¿Qué le sirvo?",
        "¿Lo quiere con leche?",
        "Son tres euros. Perdón por la espera.",
        "¿Cómo se llama usted?",
        "Claro, más despacio: un café.",
        "Mañana cerramos, eso quiere decir que no hay pan.",
    ],
    "en": [
        "Hello! What can I get you?",
        "Sorry, we are out of milk.",
        "What's your name?",
        "Can you tell me your address?",
        "Sure, slower: one coffee.",
        "What do you think?",
    ],
    "fr": [
        "Bonjour ! Qu'est-ce que je vous sers ?",
        "Pardon pour l'attente.",
        "Comment vous appelez-vous ?",
        "Vous voulez du lait ?",
        "Bien sûr, plus lentement : un café.",
    ],
    "de": [
        "Guten Tag! Was darf es sein?",
        "Entschuldigung für die Wartezeit.",
        "Wie heißen Sie?",
        "Möchten Sie Milch?",
        "Können Sie um acht kommen?",
    ],
    "it": [
        "Buongiorno! Cosa le porto?",
        "Scusi per l'attesa.",
        "Come si chiama?",
        "Vuole il latte?",
        "Può venire domani?",
    ],
    "pt": [
        "Olá! O que vai querer?",
        "Desculpe a demora.",
        "Como você se chama?",
        "Quer leite?",
        "Pode vir amanhã?",
        "Oi! Tudo bem?",
    ],
    "zh": [
        "您好！您要点什么？",
        "不好意思，没有牛奶了。",
        "您叫什么名字？",
        "要不要牛奶？",
        "您想喝什么？",
    ],
    "ja": [
        "いらっしゃいませ。ご注文は？",
        "すみません、牛乳がありません。",
        "お名前は何ですか。",
        "もう一度お越しください。",
        "何になさいますか。",
    ],
}
"""The role plays its part."""


def each(said: dict[str, list[str]]) -> pytest.MarkDecorator:
    """Every sentence with its language."""
    return pytest.mark.parametrize(("tag", "text"), [(tag, text) for tag, texts in said.items() for text in texts])


@each(ASKS_AGAIN)
def test_a_learner_who_asks_again_is_heard(tag: str, text: str) -> None:
    """Alone or within a longer turn: again, slower, what it means, not understood, was it this?"""
    assert asks_again(text, tag, "en")


@each(ASKS_NOTHING_AGAIN)
def test_what_a_learner_wants_of_the_role_is_no_clarification(tag: str, text: str) -> None:
    """Orders, questions of the scene, complaints and excuses."""
    assert not asks_again(text, tag, "en")


@each(ASKS_BACK)
def test_a_role_that_asks_back_is_heard(tag: str, text: str) -> None:
    """It says that it did not understand, or asks what was meant."""
    assert asks_back(text, tag)


@each(ASKS_NOTHING_BACK)
def test_what_a_role_asks_in_its_scene_is_no_asking_back(tag: str, text: str) -> None:
    """Offers, excuses, and the help it gives when it was asked to speak slowly."""
    assert not asks_back(text, tag)


def test_every_language_that_can_be_learned_has_its_lists_and_its_fixtures() -> None:
    """Eight of them, each with at least eight requests and five of the role."""
    assert list(metrics_data.languages()) == TARGETS
    for said, least in ((ASKS_AGAIN, 8), (ASKS_NOTHING_AGAIN, 8), (ASKS_BACK, 5), (ASKS_NOTHING_BACK, 5)):
        assert sorted(said) == TARGETS
        assert min(map(len, said.values())) >= least


@pytest.mark.parametrize("tag", TARGETS)
def test_no_first_line_of_a_scene_asks_back(tag: str) -> None:
    """Greetings, and what the line says for the role, are nobody's breakdown."""
    language = load().language(tag)
    lines = [strings.greeting for strings in language.scenes.values()] + list(language.target.values())
    assert [line for line in lines if asks_back(line, tag)] == []


@pytest.mark.parametrize("tag", TARGETS)
def test_of_all_that_goals_need_only_clarifying_is_clarifying(tag: str) -> None:
    """The phrases that reach a scene's goals ask for nothing again, except where that is the goal."""
    language = load().language(tag)
    clarifying = {"confirm", "pin_down"}
    asking = {
        goal
        for strings in language.scenes.values()
        for goal, (_, _, whole) in strings.hints.items()
        if asks_again(whole, tag)
    }
    assert asking <= clarifying


def test_the_learner_s_own_language_counts_too() -> None:
    """A beginner asks as they can; without knowing their language only the target counts."""
    assert asks_again("I don't understand.", "es", "en")
    assert not asks_again("I don't understand.", "es")
    assert asks_again("لم أفهم", "es", "ar")


def test_a_region_has_the_lists_of_its_language() -> None:
    """And a language without lists has none."""
    assert asks_back("¿Cómo dice?", "es-PR")
    assert metrics_data.of("es-PR") is metrics_data.of("es")
    assert metrics_data.of("nl") is None
    assert not asks_back("Wat zegt u?", "nl")


@pytest.mark.parametrize(
    ("tag", "text", "only"),
    [
        ("es", "", True),
        ("es", "…", True),
        ("es", "Mm-hm.", True),
        ("es", "Eh… em…", True),
        ("es", "Eh, sí.", False),
        ("en", "Uh-huh.", True),
        ("en", "Huh?", False),
        ("en", "Um, er", True),
        ("de", "Ähm", True),
        ("fr", "Euh…", True),
        ("fr", "Euh, oui", False),
        ("zh", "嗯……", True),
        ("zh", "嗯，好", False),
        ("ja", "えっと、あの…", True),
        ("ja", "えっと、水", False),
        ("ja", "はい", False),
        ("nl", "Hm", True),
        ("nl", "Eh", False),
    ],
)
def test_sounds_alone_take_no_turn(tag: str, text: str, only: bool) -> None:
    """Fillers and listening sounds; an answer of one word is speech."""
    assert only_sounds(text, tag) is only


def test_places_are_counted_once_and_harmless_ones_not_at_all() -> None:
    """Two phrases over the same words are one place; an idiom hides what is in it."""
    words = metrics_data.of("es")
    assert isinstance(words, SpeechWords)
    assert words.find("No entiendo. ¿Puede repetir eso?", "learner") == 2
    assert words.find("No entiendo qué significa.", "learner") == 1
    assert words.find("No entiendo por qué.", "learner") == 0


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (('sounds = ["mm"', 'noises = ["mm"'), "noises"),
        (('"mejor dicho"', '"(mejor dicho"'), "bracket"),
        (("doubled = [", "doubled = ["[:-1]), "line 21"),
    ],
)
def test_a_wrong_file_is_one_sentence_that_names_it(tmp_path: Path, change: tuple[str, str], problem: str) -> None:
    """Unknown fields, brackets that do not pair, broken TOML."""
    text = (FOLDER / "es.toml").read_text(encoding="utf-8")
    assert change[0] in text
    (tmp_path / "es.toml").write_text(text.replace(*change), encoding="utf-8")
    with pytest.raises(SpeechDataError, match=problem) as caught:
        metrics_data.load(tmp_path / "es.toml")
    assert str(caught.value).startswith("The file es.toml ")


def test_a_file_that_is_not_there_is_one_sentence() -> None:
    """It names the file."""
    with pytest.raises(SpeechDataError, match=r"xx\.toml"):
        metrics_data.load(FOLDER / "xx.toml")
