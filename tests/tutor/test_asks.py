"""What learners say instead of pressing a key: in every language what counts, and what only looks like it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tutor.script.catalogue import CatalogueError, load
from tutor.script.language import ASK_KINDS, NATIVE_STRINGS, Language
from tutor.talk import asks
from tutor.talk.goals import words

CATALOGUE = load()

OTHER = {tag: "es" if tag == "en" else "en" for tag in ("es", "en", "fr", "de", "it", "pt", "zh", "ja", "ar")}
"""The other language of the call: what is said is in the key's language, which is the target where it can be one."""

HITS: dict[str, dict[str, str]] = {
    "es": {
        "¿Me da una pista, por favor?": "1",
        "No sé qué decir.": "1",
        "Más despacio, por favor.": "2",
        "Perdón, ¿puede hablar un poco más lento?": "2",
        "¿Me lo puede repetir?": "3",
        "Otra vez, por favor": "3",
        "¿Cómo dice?": "3",
        "¿Puede decirlo en inglés?": "4",
        "¿Cómo se dice «receipt» en español?": "5",
        "¿Qué me falta por hacer?": "6",
        "¿Puedes hablar más rápido?": "7",
        "Pausa.": "8",
        "No me siento cómoda con esto.": "9",
        "Quiero terminar la llamada, gracias.": "0",
        "¿Podemos empezar de nuevo?": "*",
        "No entiendo. ¿Puede repetir más despacio?": "2",
    },
    "en": {
        "Could I have a hint, please?": "1",
        "I don't know what to say.": "1",
        "Can you speak more slowly, please?": "2",
        "Not so fast!": "2",
        "Sorry, can you repeat that?": "3",
        "What did you say?": "3",
        "Can you translate that?": "4",
        "How do I say 'manzana' in English?": "5",
        "What are my goals?": "6",
        "A bit faster, please.": "7",
        "Can we take a break?": "8",
        "I don't feel comfortable with this.": "9",
        "I want to stop.": "0",
        "Let's start over.": "*",
    },
    "fr": {
        "Un indice, s'il vous plaît.": "1",
        "Je sais pas quoi dire.": "1",
        "Plus lentement, s'il vous plaît.": "2",
        "Pouvez-vous parler moins vite ?": "2",
        "Vous pouvez répéter, s'il vous plaît ?": "3",
        "Pardon, qu'est-ce que vous avez dit ?": "3",
        "Vous pouvez le dire en anglais ?": "4",
        "Comment dit-on « strawberry » en français ?": "5",
        "Quels sont mes objectifs ?": "6",
        "Un peu plus vite, s'il vous plaît.": "7",
        "On peut faire une pause ?": "8",
        "Je ne me sens pas à l'aise.": "9",
        "Je voudrais arrêter maintenant.": "0",
        "On recommence depuis le début ?": "*",
    },
    "de": {
        "Einen Tipp, bitte.": "1",
        "Was soll ich jetzt sagen?": "1",
        "Bitte etwas langsamer.": "2",
        "Können Sie bitte langsamer sprechen?": "2",
        "Können Sie das bitte wiederholen?": "3",
        "Noch einmal, bitte!": "3",
        "Was heißt das auf Englisch?": "4",
        "Wie sagt man „spoon“ auf Deutsch?": "5",
        "Was sind meine Ziele?": "6",
        "Etwas schneller, bitte.": "7",
        "Ich brauche eine Pause.": "8",
        "Das ist mir unangenehm.": "9",
        "Ich möchte jetzt aufhören.": "0",
        "Können wir noch mal von vorn anfangen?": "*",
    },
    "it": {
        "Un suggerimento, per favore.": "1",
        "Che cosa devo dire?": "1",
        "Più piano, per favore.": "2",
        "Può parlare più lentamente?": "2",
        "Scusi, può ripetere?": "3",
        "Un'altra volta, per favore.": "3",
        "Può dirlo in inglese?": "4",
        "Come si dice «spoon» in italiano?": "5",
        "Quali sono i miei obiettivi?": "6",
        "Può parlare un po' più veloce?": "7",
        "Facciamo una pausa?": "8",
        "Mi sento a disagio.": "9",
        "Vorrei terminare qui, grazie.": "0",
        "Possiamo ricominciare da capo?": "*",
    },
    "pt": {
        "Me dá uma dica, por favor?": "1",
        "Não sei o que dizer.": "1",
        "Mais devagar, por favor.": "2",
        "Você pode falar mais devagar?": "2",
        "Desculpe, pode repetir?": "3",
        "Outra vez, se faz favor.": "3",
        "Pode traduzir para o inglês?": "4",
        'Como se diz "spoon" em português?': "5",
        "Quais são os meus objetivos?": "6",
        "Pode falar um pouco mais rápido?": "7",
        "Podemos fazer uma pausa?": "8",
        "Não me sinto à vontade.": "9",
        "Quero parar por hoje.": "0",
        "Podemos começar de novo?": "*",
    },
    "zh": {
        "请给我一个提示。": "1",
        "我不知道该说什么。": "1",
        "请说慢一点。": "2",
        "您能说得慢一点吗？": "2",
        "不好意思，请再说一遍。": "3",
        "我没听清楚。": "3",
        "请用英语说。": "4",
        "“receipt”用中文怎么说？": "5",
        "我的目标是什么？": "6",
        "可以说快一点吗？": "7",
        "暂停一下。": "8",
        "这让我很不舒服。": "9",
        "我想结束通话。": "0",
        "我们从头再来一遍吧。": "*",
    },
    "ja": {
        "ヒントをください。": "1",
        "何と言えばいいですか。": "1",
        "もう少しゆっくりお願いします。": "2",
        "すみません、ゆっくり話してください。": "2",
        "もう一度お願いします。": "3",
        "すみません、もう一度言っていただけますか。": "3",
        "英語でお願いします。": "4",
        "「spoon」は日本語で何と言いますか。": "5",
        "私の目標は何ですか。": "6",
        "もう少し速く話してください。": "7",
        "少し休憩したいです。": "8",
        "この会話は不快です。": "9",
        "もう終わりたいです。": "0",
        "最初からお願いします。": "*",
    },
    "ar": {
        "أعطني تلميحًا من فضلك.": "1",
        "لا أعرف ماذا أقول.": "1",
        "ببطء من فضلك.": "2",
        "هل يمكنك التحدث ببطء أكثر؟": "2",
        "مرة أخرى لو سمحت.": "3",
        "هل يمكنك أن تعيد السؤال؟": "3",
        "ماذا يعني هذا؟": "4",
        "كيف أقول «تفاحة» بالإنجليزية؟": "5",
        "ما هي أهدافي؟": "6",
        "هل يمكنك التحدث أسرع؟": "7",
        "أريد استراحة قصيرة.": "8",
        "لا أشعر بالراحة.": "9",
        "أريد أن أتوقف الآن.": "0",
        "لنبدأ من جديد.": "*",
    },
}
"""What is said alone and asks for a key."""

MISSES: dict[str, tuple[str, ...]] = {
    "es": (
        "Quiero repetir el postre.",
        "Mi abuelo habla más despacio que mi padre, y me gusta.",
        "¿Me puede repetir el precio del billete?",
        "El más rápido, por favor.",
        "Otra vez perdí el autobús.",
        "¿Cómo se llama usted?",
        "Ayer hicimos una pausa en el trabajo.",
        "Quiero terminar mis estudios el año que viene.",
        "¿Qué tengo que hacer ahora?",
        "Espere un momento, por favor.",
        "Sí, gracias.",
        "Tengo una reserva en inglés.",
    ),
    "en": (
        "I'd like to repeat the dessert.",
        "My teacher speaks more slowly than you do.",
        "Could you repeat the price of the ticket?",
        "The faster train, please.",
        "I missed the bus again.",
        "How do I get to the station?",
        "We took a break at noon.",
        "I want to finish my degree next year.",
        "What do I have to do now?",
        "One moment, please.",
        "Okay, thank you.",
        "The shoes are not comfortable.",
    ),
    "fr": (
        "Je voudrais reprendre du dessert.",
        "Mon frère parle plus lentement que moi.",
        "Vous pouvez répéter le prix du billet ?",
        "Le train le plus rapide, s'il vous plaît.",
        "J'ai encore raté le bus une fois.",
        "Comment vous appelez-vous ?",
        "Nous avons fait une pause à midi.",
        "Je voudrais terminer mes études.",
        "Qu'est-ce que je dois faire maintenant ?",
        "Un instant, s'il vous plaît.",
        "Encore un peu de café, merci.",
        "Oui, d'accord.",
    ),
    "de": (
        "Ich möchte den Nachtisch noch einmal bestellen.",
        "Mein Bruder spricht langsamer als ich.",
        "Können Sie den Preis der Fahrkarte wiederholen?",
        "Den schnelleren Zug, bitte.",
        "Ich habe den Bus noch einmal verpasst.",
        "Wie heißen Sie?",
        "Wir haben mittags eine Pause gemacht.",
        "Ich möchte mein Studium beenden.",
        "Was muss ich jetzt machen?",
        "Einen Moment, bitte.",
        "Bitte.",
        "Ja, danke.",
    ),
    "it": (
        "Vorrei ripetere il dolce.",
        "Mio fratello parla più piano di me.",
        "Può ripetere il prezzo del biglietto?",
        "Il treno più veloce, per favore.",
        "Ho perso l'autobus un'altra volta.",
        "Come si chiama?",
        "Abbiamo fatto una pausa a mezzogiorno.",
        "Vorrei finire gli studi l'anno prossimo.",
        "Che cosa devo fare adesso?",
        "Un attimo, per favore.",
        "Ancora un po' di pane, grazie.",
        "Sì, va bene.",
    ),
    "pt": (
        "Quero repetir a sobremesa.",
        "O meu irmão fala mais devagar do que eu.",
        "Pode repetir o preço do bilhete?",
        "O trem mais rápido, por favor.",
        "Perdi o ônibus outra vez.",
        "Como você se chama?",
        "Fizemos uma pausa ao meio-dia.",
        "Quero terminar os meus estudos.",
        "O que tenho que fazer agora?",
        "Um momento, por favor.",
        "Sim, está bem, obrigada.",
        "A cama não é confortável.",
    ),
    "zh": (
        "我想再要一份甜点。",
        "我弟弟说话比我慢一点。",
        "您能再说一遍票价吗？",
        "我要快一点的火车。",
        "我又一次错过了公共汽车。",
        "您怎么称呼？",
        "我们中午休息一下再工作。",
        "我想明年结束我的学业。",
        "我肚子不舒服。",
        "请等一下。",
        "嗯，好的，谢谢。",
        "我想挂号。",
    ),
    "ja": (
        "デザートをもう一つください。",
        "弟はわたしよりゆっくり話します。",
        "切符の値段をもう一度言ってください。",
        "もっと速い電車をお願いします。",
        "またバスに乗り遅れました。",
        "お名前は何と言いますか。",
        "昼に休憩をしました。",
        "来年勉強を終わりにしたいと思っています。",
        "次は何をすればいいですか。",
        "少々お待ちください。",
        "はい、お願いします。",
        "ゆっくり休んでください。",
    ),
    "ar": (
        "أريد طبق الحلوى مرة أخرى.",
        "أخي يتكلم ببطء أكثر مني.",
        "هل يمكنك أن تعيد سعر التذكرة؟",
        "أريد القطار الأسرع من فضلك.",
        "فاتتني الحافلة مرة أخرى.",
        "كيف حالك اليوم؟",
        "أخذنا استراحة عند الظهر.",
        "أريد أن أنهي دراستي العام القادم.",
        "ماذا يجب أن أفعل الآن؟",
        "لحظة من فضلك.",
        "نعم، شكرًا.",
        "السرير غير مريح.",
    ),
}
"""What people say to a role, or tell."""

UNCLEAR = {
    "es": "No le entiendo bien.",
    "en": "Sorry, I don't understand.",
    "fr": "Je n'ai pas compris.",
    "de": "Das habe ich nicht verstanden.",
    "it": "Non ho capito.",
    "pt": "Não entendi, desculpe.",
    "zh": "对不起，我听不懂。",
    "ja": "すみません、よくわかりません。",
    "ar": "لم أفهم السؤال.",
}

each_language = pytest.mark.parametrize("language", CATALOGUE.languages, ids=lambda language: language.tag)


def pair(tag: str) -> tuple[str, str]:
    """The target and the native language of a call in which ``tag`` is spoken; Arabic cannot be learned here."""
    return (OTHER[tag], tag) if tag == "ar" else (tag, OTHER[tag])


@pytest.mark.parametrize(
    ("tag", "text", "key"), [(tag, text, key) for tag, hits in HITS.items() for text, key in hits.items()]
)
def test_a_turn_that_asks_for_a_key_is_one(tag: str, text: str, key: str) -> None:
    """Every key has its words in every language, and politeness does not hide them."""
    assert asks.read(text, *pair(tag)) == key


@pytest.mark.parametrize(("tag", "text"), [(tag, text) for tag, misses in MISSES.items() for text in misses])
def test_the_same_words_to_the_role_or_in_a_story_are_no_key(tag: str, text: str) -> None:
    """Ordering, asking for a price and telling what happened go to the role, and are no clarification either."""
    assert asks.read(text, *pair(tag)) is None
    assert not asks.is_clarification(text, *pair(tag))


@pytest.mark.parametrize("tag", HITS)
def test_every_key_can_be_said_in_every_language(tag: str) -> None:
    """Nobody has to take the telephone from the ear."""
    assert set(HITS[tag].values()) == set(asks.KEYS.values())


@pytest.mark.parametrize("tag", UNCLEAR)
def test_not_understanding_is_a_clarification_and_no_key(tag: str) -> None:
    """The role answers it by itself, in other words."""
    assert asks.read(UNCLEAR[tag], *pair(tag)) is None
    assert asks.is_clarification(UNCLEAR[tag], *pair(tag))


@pytest.mark.parametrize("tag", HITS)
def test_slower_repeat_and_translate_are_clarifications_and_the_rest_is_not(tag: str) -> None:
    """A wish for a hint, a word or an end says nothing about what was heard."""
    for text, key in HITS[tag].items():
        assert asks.is_clarification(text, *pair(tag)) == (key in {"2", "3", "4"}), text


def test_the_learners_own_language_counts_as_well() -> None:
    """Whoever is lost asks in their own words; a third language is none of the call."""
    assert asks.read("Can you repeat that, please?", "es", "en") == "3"
    assert asks.read("Une pause, s'il vous plaît.", "es", "fr") == "8"
    assert asks.read("Une pause, s'il vous plaît.", "es", "en") is None
    assert asks.read("Perdón, can you say that again?", "es", "en") == "3"


def test_asking_for_the_meaning_is_a_translation_only_in_the_learners_own_language() -> None:
    """Asked in the target, the role explains it there: that is practice."""
    assert asks.read("What does that mean?", "es", "en") == "4"
    assert asks.read("¿Qué significa eso?", "es", "en") is None
    assert asks.is_clarification("¿Qué significa eso?", "es", "en")
    assert asks.read("¿Qué significa eso?", "en", "es") == "4"
    assert asks.is_clarification("¿Qué significa «cortado»?", "es", "en")


@pytest.mark.parametrize(
    ("text", "target", "native", "wanted"),
    [
        ("How do I say 'the bill, please' in Spanish?", "es-MX", "en-US", "the bill, please"),
        ("How do you say Frühstück?", "en", "es", "Frühstück"),
        ("¿Cómo se dice spoon?", "es", "en", "spoon"),
        ("¿Cómo digo «me duele la cabeza» en inglés, por favor?", "en", "es", "me duele la cabeza"),
        ("Comment on dit « I'm allergic » ?", "fr", "en", "I'm allergic"),
        ("Wie sagt man auf Deutsch cheers", "de", "en", "cheers"),
        ("苹果用西班牙语怎么说？", "es", "zh", "苹果"),
        ("スプーンは日本語で何と言いますか", "ja", "en", "スプーン"),
        ("كيف أقول أنا مريض بالإسبانية؟", "es-PR", "ar", "أنا مريض"),
        ("How do you say that in Spanish?", "es", "en", None),
        ("How do I say...", "es", "en", None),
        ("¿Cómo se dice?", "es", "en", None),
        ("More slowly, please", "es", "en", None),
        ("I had a coffee", "es", "en", None),
    ],
)
def test_the_words_that_are_wanted_come_as_they_were_said(
    text: str, target: str, native: str, wanted: str | None
) -> None:
    """With their accents and their own marks, without the frame around them; None when none were named."""
    assert asks.rest(text, target, native) == wanted


def test_how_do_i_say_without_words_is_key_five_all_the_same() -> None:
    """The helper asks which word it should be."""
    for text in ("How do you say that in Spanish?", "How do I say", "I don't know the word."):
        assert asks.read(text, "es", "en") == "5"


def test_two_wishes_at_once_are_the_one_that_holds_both() -> None:
    """Slower is said again anyway, and who wants to stop wants nothing else."""
    assert asks.read("Otra vez. Más despacio, por favor.", "es", "en") == "2"
    assert asks.read("A hint, please. No, wait... I want to stop.", "es", "en") is None
    assert asks.read("Wait, please. I want to stop.", "es", "en") == "0"


def test_a_wish_among_other_words_is_no_key() -> None:
    """Half of the turn was for the role."""
    assert asks.read("Un café, por favor. Y más despacio.", "es", "en") is None
    assert asks.read("Más despacio, por favor.", "es", "en", turn_words=4) == "2"
    assert asks.read("Más despacio, por favor.", "es", "en", turn_words=9) is None
    assert asks.read("how do I say one two three four five six seven eight nine", "es", "en") is None


@pytest.mark.parametrize("text", ["", " ", "…", "¿?", "por favor", "Thank you, please.", "123"])
def test_nothing_and_mere_politeness_ask_for_nothing(text: str) -> None:
    """Silence in writing is no wish."""
    assert asks.read(text, "es", "en") is None
    assert not asks.is_clarification(text, "es", "en")
    assert asks.rest(text, "es", "en") is None


def test_an_unknown_language_is_named() -> None:
    """A slip in the calling code is found at once."""
    with pytest.raises(CatalogueError, match="no language xx"):
        asks.read("otra vez", "xx", "en")


@given(st.text(max_size=150), st.sampled_from(sorted(OTHER)))
def test_any_text_can_be_read(text: str, tag: str) -> None:
    """Whatever a transcriber writes; what is wanted is always a piece of it."""
    key, wanted = asks.read(text, *pair(tag)), asks.rest(text, *pair(tag))
    assert key is None or key in asks.KEYS.values()
    assert wanted is None or wanted in text


@each_language
def test_every_language_knows_every_kind(language: Language) -> None:
    """All the keys, the meaning, what is not understood, and politeness."""
    assert set(language.asks) == set(ASK_KINDS)
    assert set(asks.KEYS) | {"meaning", "unclear", "polite"} == set(ASK_KINDS)


@each_language
def test_no_phrase_means_two_things(language: Language) -> None:
    """Within a language; only a polite word may be a question when it stands alone ("Sorry?")."""
    meant: dict[tuple[str, ...], str] = {}
    for kind, patterns in language.asks.items():
        for pattern in patterns:
            for phrase in asks.expansions(pattern, language):
                assert phrase, pattern
                assert {kind, meant.setdefault(phrase, kind)} in ({kind}, {"polite", "unclear"}), (pattern, phrase)


@each_language
def test_every_phrase_is_short(language: Language) -> None:
    """Whatever the data says can be heard: no pattern stands for something longer than is read."""
    limit = asks.MAX_WORDS * (asks.CHARACTERS_A_WORD if language.tag in ("zh", "ja") else 1)
    for kind, patterns in language.asks.items():
        for pattern in patterns:
            shortest = min(map(len, asks.expansions(pattern, language)))
            assert shortest <= limit, (kind, pattern)


@pytest.mark.parametrize("language", CATALOGUE.natives, ids=lambda language: language.tag)
def test_what_the_line_says_about_its_keys_takes_eight_seconds(language: Language) -> None:
    """At two and a half words a second, or four Chinese characters, with the longest goal filled in."""
    limit = 32 if language.tag == "zh" else 20
    longest = max((goal for scene in language.scenes.values() for goal in scene.can_do.values()), key=len)
    names = {"native": language.name_of(language.base), "target": language.name_of(OTHER[language.base])}
    for key, parameters in NATIVE_STRINGS.items():
        if key.startswith("keys."):
            said = language.say(key, **{name: longest if name == "can_do" else names[name] for name in parameters})
            assert len(words(said)) <= limit, said


@pytest.mark.parametrize("pattern", ["(una|otra pista", "una) pista", "[una pista", "(una] pista"])
def test_brackets_that_do_not_pair_are_named(pattern: str) -> None:
    """Whoever edits the data is told where."""
    with pytest.raises(CatalogueError, match=r"languages/es asks: the brackets of .* do not pair"):
        asks.expansions(pattern, CATALOGUE.language("es"))
