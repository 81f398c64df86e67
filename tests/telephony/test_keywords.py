"""What people write to end their texts, in the ways they write it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehearsal.messages import HELP_WORDS, START_WORDS, STOP_WORDS
from telephony.keywords import Keyword, answered_by_carrier, fold, languages, read
from tutor.script.catalogue import load


@pytest.mark.parametrize(
    ("words", "keyword"), [(STOP_WORDS, Keyword.STOP), (START_WORDS, Keyword.START), (HELP_WORDS, Keyword.HELP)]
)
def test_the_carriers_words(words: frozenset[str], keyword: Keyword) -> None:
    """Every word that a carrier acts on means the same to us, in any case, and is left for it to answer."""
    for word in words:
        for written in (word, word.lower(), word.title(), f" {word}.\n", f"“{word}!”"):
            assert read(written) is keyword, written
            assert answered_by_carrier(written)


@pytest.mark.parametrize(
    "text",
    [
        # English
        "Stop texting me", "please stop", "STOP!!!", "s.t.o.p no: stop", "opt-out", "Opt out please", "No more texts!",
        "Remove me from your list", "Please don't text me again", "dont contact me", "I want to unsubscribe", "Ｓtop",
        "cancel my subscription", "Take me off this", "END", "quit", "Revoke", "enough",
        # Spanish
        "ALTO", "PARAR", "no más", "No mas mensajes por favor", "¡Basta!", "para de mandar mensajes", "Para",
        "Dame de baja", "ya no quiero recibir mensajes", "deje de enviar SMS", "No me manden más", "cancelar", "BAJA",
        # French
        "ARRÊT", "arret", "Arrêtez !", "Arrête de m’envoyer des SMS", "plus de messages svp", "Désabonnez-moi",
        "Je ne veux plus recevoir ça", "Ne m'envoyez plus rien", "Stop, merci",
        # German
        "STOPP", "Stopp bitte", "Aufhören!", "Hören Sie auf", "Bitte keine SMS mehr", "Keine Nachrichten mehr",
        "Melden Sie mich ab", "abbestellen", "schick mir keine Nachrichten", "Ich möchte keine Texte",
        # Italian
        "Basta messaggi", "FERMA", "smettila", "Non voglio più messaggi", "Non mandatemi altri SMS", "disiscrivimi",
        # Portuguese
        "PARE", "Não quero mais mensagens", "para de mandar mensagens", "Chega!", "Não me envie mais",
        # Arabic, Japanese, Chinese
        "توقف", "لا أريد رسائل", "إلغاء الاشتراك من فضلك", "配信停止", "もう送らないでください", "停止してください",
        "退订", "请不要再发短信了", "別再發簡訊",
        # By refusing what comes, in whatever order
        "please don't text me any more", "I don't want these texts anymore", "These messages... I'm so tired of them",
        "Not interested in your texts", "no longer want messages from the school", "too many messages!!",
        "I've had enough of the summaries", "Kindly cease texting this number",
        "no me mandes más mensajes", "Ya no quiero más mensajes, gracias", "No necesito los mensajes",
        "Estoy harta de tantos SMS", "Los textos no me interesan", "no me mandéis nada más", "No quiero más",
        "Je ne veux plus de messages", "je veux plus vos sms", "J'en ai marre de ces textos", "Arrêtez les messages",
        "Vos messages, je ne souhaite plus", "M'envoyez plus rien svp", "Laissez-moi tranquille !",
        "Não quero receber mais nada de SMS", "não preciso dessas mensagens", "Cansei de torpedo", "Me deixe em paz",
        "Mensagens demais!", "parem de me mandar isso",
        "لم أعد أريد رسائلكم", "من فضلكم توقفوا عن مراسلتي", "ما بدي رسايل", "مش عايز رسائل تاني", "لا تبعثوا لي شيئا",
        "别给我发了", "我不想再收到这些", "请不要再给我发信息", "不需要短信，谢谢", "別再發訊息給我",
        "Ich brauche keine SMS", "genug von den Nachrichten", "Sono stufo dei messaggi",
    ],
)  # fmt: skip
def test_any_reasonable_wording_stops(text: str) -> None:
    """Texts end on the carriers' words, on those of each language, and on ordinary sentences, however typed."""
    assert read(text) is Keyword.STOP


@pytest.mark.parametrize(
    "text",
    [
        "", "   ", "👍", "Thanks!", "Gracias", "ok", "No", "That was fun", "¿Me pone un café?", "Fine, thanks",
        "Quiero un café para llevar", "Un billete para Madrid", "Quand est-ce que le café ferme ?", "See you tomorrow",
        "Ich spreche kein Deutsch", "Wann ist die Pause zu Ende?", "Il treno parte alle nove", "Bom dia", "你好",
        "はい、元気です",
        "The weekend was great", "I need to cancel my appointment with the doctor on Monday", "sushi bar",
        # Near misses: stops, ends and refusals of other things
        "Where is the bus stop?", "It was non-stop fun", "That's my stop", "I want no sugar", "I'm tired of rain",
        "Nice message, thank you", "I don't want sugar", "I don't need a bag", "Did you get my text?",
        "No quiero azúcar", "No deseo postre, gracias", "Deme un billete para el centro", "Recibí el mensaje, gracias",
        "Me gustan los mensajes", "Una mesa para dos", "El fin de semana fue genial", "¿Cuándo es la próxima parada?",
        "Je veux plus de café", "Je ne veux pas de sucre", "Où est l'arrêt de bus ?", "C'est la fin du film",
        "Merci pour le message", "Trop de sel dans la soupe",
        "Não quero açúcar", "Vou para casa", "Gosto demais da aula", "Obrigada pela mensagem", "No fim da rua",
        "لا أريد سكر", "أريد قهوة من فضلك", "وصلتني الرسالة شكرا", "أين موقف الحافلة؟",
        "别发火", "不要发愁", "我不想喝咖啡", "谢谢你的短信", "公交车站在哪里？", "我想取消酒店预订",
        "Ich will keine Milch", "Non voglio zucchero",
    ],
)  # fmt: skip
def test_other_texts_mean_nothing(text: str) -> None:
    """What is no request changes nothing, even when a word of ending stands in another sense."""
    assert read(text) is None


@pytest.mark.parametrize("text", ["start", "Start please", "SÍ", "oui", "Ja!", "sim", "empezar", "نعم", "はい", "开始"])
def test_texts_begin_again(text: str) -> None:
    """Beginning again is one word, in any language."""
    assert read(text) is Keyword.START


@pytest.mark.parametrize(
    ("text", "by_carrier"),
    [
        ("HELP", True),
        ("info", True),
        ("Ayuda", False),
        ("aide svp", False),
        ("What is this?", False),
        ("ヘルプ", False),
    ],
)
def test_help(text: str, by_carrier: bool) -> None:
    """Who asks what this is, is understood in any language; the carrier answers only its own words."""
    assert read(text) is Keyword.HELP
    assert answered_by_carrier(text) is by_carrier


def test_ending_goes_first() -> None:
    """A message that could be read both ways ends the texts."""
    assert read("yes please stop") is Keyword.STOP
    assert read("help, stop!") is Keyword.STOP


def test_every_native_language_has_words() -> None:
    """Whoever the line speaks to can end its texts in their own words."""
    assert {language.base for language in load().natives} <= languages()


@pytest.mark.parametrize(
    "word",
    [
        "STOP",
        "STOPALL",
        "END",
        "QUIT",
        "CANCEL",
        "UNSUBSCRIBE",
        "OPTOUT",
        "OPT OUT",
        "REVOKE",
        "ARRET",
        "ALTO",
        "PARAR",
    ],
)
def test_words_that_carriers_require(word: str) -> None:
    """Each word that a carrier or its rules name ends the texts, alone, in any case, with a full stop or a please."""
    for written in (word, word.lower(), f"{word}.", f"{word} please"):
        assert read(written) is Keyword.STOP, written


@given(st.text(max_size=1600))
def test_any_text_can_be_read(text: str) -> None:
    """No message breaks the reader, and reading does not depend on case, as far as folding goes."""
    assert fold(fold(text)) == fold(text)
    assert read(text) is read(fold(text))
