"""The drift guard: how turns of the role are measured, and when the role is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from timeit import repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tutor.scenes import cafe
from tutor.script.catalogue import load
from tutor.script.class_prompt import ClassPrompt
from tutor.script.prompt import reanchor
from tutor.script.scenario import Scenario
from tutor.script.scene import Scene
from tutor.talk.drift import DriftGuard, measure, vocabulary

CATALOGUE = load()
TARGETS = ("de", "en", "es", "fr", "it", "ja", "pt", "zh")
each_target = pytest.mark.parametrize("tag", TARGETS)

EASY = {
    "es": ("Claro. ¿Lo quiere con leche?", "Muy bien. ¿Algo más?", "Perfecto. ¿Es para llevar?"),
    "en": ("Sure. With milk or without?", "Great. Anything else?", "It is two fifty. Card or cash?"),
    "fr": ("D'accord. Avec du lait ou sans?", "Très bien. Autre chose?", "Sur place ou à emporter?"),
    "de": ("Gern. Mit Milch oder ohne?", "Sehr gut. Noch etwas?", "Möchten Sie groß oder klein?"),
    "it": ("Certo. Con latte o senza?", "Va bene. Altro?", "Sono due euro. Paga con la carta?"),
    "pt": ("Claro. Com leite ou sem leite?", "Muito bem. Mais alguma coisa?", "Aqui está o seu café."),
    "zh": ("好的，您要热的还是冰的？", "请坐，马上就好。", "今天的咖啡很好喝。您要大杯吗？"),
    "ja": ("はい、ホットですか、アイスですか。", "三百円です。カードですか。", "お席でお待ちください。"),
}
"""What a role at A1 says in a café."""

HARD = {
    "es": (
        "Disculpe la demora, lamentablemente la cafetera se ha averiado esta mañana.",
        "¿Prefiere que se lo sirva templado o hirviendo, con espuma o sin ella?",
    ),
    "en": (
        "Would you fancy a slice of our homemade carrot cake, freshly baked?",
        "I'd recommend the seasonal blend, it's roasted locally and rather smooth.",
    ),
    "fr": (
        "Malheureusement, la machine est tombée en panne tôt ce matin.",
        "Souhaitez-vous une pincée de cannelle parfumée sur la mousse?",
    ),
    "de": (
        "Ich empfehle Ihnen unseren hausgemachten Apfelkuchen, ganz frisch gebacken.",
        "Möchten Sie den Milchschaum mit Zimt oder Kakao bestreut haben?",
    ),
    "it": (
        "Purtroppo stamattina la macchinetta si è guastata e stiamo aspettando il tecnico.",
        "Le consiglio la nostra torta casalinga di carote, appena sfornata e profumata.",
    ),
    "pt": (
        "Infelizmente a máquina quebrou de manhã e ainda estamos aguardando o conserto.",
        "Recomendo o nosso bolo caseiro de cenoura, recém-saído do forno e polvilhado com canela.",
    ),
    "zh": (
        "非常抱歉，今天早晨咖啡机突然出了故障，正在维修。",
        "我推荐我们手工烘焙的胡萝卜蛋糕，搭配肉桂奶泡格外浓郁。",
    ),
    "ja": (
        "当店自慢の焼きたて人参ケーキはシナモンの香りが濃厚で、泡立てたミルクとの相性も抜群です。",
        "申し訳ございませんが、今朝からコーヒーマシンが故障しており、修理を手配している最中でございます。",
    ),
}
"""What the same role says when it forgets whom it talks to."""


def scene(tag: str) -> Scene:
    """The café at A1 in a language."""
    return cafe(native="es" if tag == "en" else "en", target=tag)


def notes(guard: DriftGuard, texts: list[str]) -> list[str | None]:
    """What the guard says after each turn."""
    return [guard.said(text) for text in texts]


@each_target
def test_a_list_is_five_thousand_different_words_in_order(tag: str) -> None:
    """One a line, with nothing else in the file, the most frequent word of all at the top."""
    path = Path(__file__).parents[2] / "tutor" / "catalogue" / "frequency" / f"{tag}.txt"
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) == len(set(lines)) == 5_000
    assert all(line.replace("'", "").isalpha() and line == line.casefold() for line in lines)
    first = {"de": "die", "en": "the", "es": "de", "fr": "de", "it": "di", "ja": "の", "pt": "de", "zh": "的"}
    assert lines[0] == first[tag]


def test_every_language_that_can_be_learned_has_a_list() -> None:
    """A new target needs one before a role speaks it."""
    assert {language.base for language in CATALOGUE.targets} == set(TARGETS)


@pytest.mark.parametrize(
    ("tag", "text", "words", "sentences", "longest", "questions"),
    [
        ("es", "¡Hola, buenos días! ¿Qué le pongo?", 6, 2, 3, 1),
        ("es", "Claro. Son dos euros con cincuenta. ¿Algo más?", 8, 2, 5, 1),
        ("es", "Son 2.50 euros.", 3, 1, 3, 0),
        ("es", "¿Grande? ¿O pequeño? ¿Para llevar aquí?", 6, 2, 3, 2),
        ("en", "It's two fifty. Card or cash?!", 6, 2, 3, 1),
        ("en", "Really? That's a lot...", 4, 1, 3, 1),
        ("en", "Really? Is that a lot?", 5, 1, 4, 1),
        ("fr", "Qu'est-ce que je vous sers ?", 6, 1, 6, 1),
        ("de", "Guten Tag! Was möchten Sie trinken?", 6, 2, 4, 1),
        ("it", "Certo. Con l'acqua o senza?", 5, 1, 4, 1),
        ("pt-PT", "Olá! O que deseja?", 4, 1, 3, 1),
        ("zh", "早上好！您要点什么？", 5, 2, 3, 1),
        ("zh", "我要 2 杯 latte。", 4, 1, 4, 0),
        ("ja", "いらっしゃいませ！ご注文は何ですか。", 8, 2, 4, 1),
        ("ja", "そうですか。わかりました。", 5, 2, 3, 0),
        ("es", "Sí.", 1, 1, 1, 0),
        ("es", "¿Sí?", 1, 1, 1, 1),
        ("es", "", 0, 0, 0, 0),
        ("es", "…", 0, 0, 0, 0),
    ],
)
def test_a_turn_is_measured(tag: str, text: str, words: int, sentences: int, longest: int, questions: int) -> None:
    """Words, sentences and questions as people count them; a lone word beside a sentence is none."""
    turn = measure(text, tag)
    assert (turn.words, turn.sentences, turn.longest_sentence_words, turn.questions) == (
        words,
        sentences,
        longest,
        questions,
    )


def test_words_beyond_the_band_are_rare() -> None:
    """The band counts lemmas, each with two forms of the list; the same word is common in a wider band."""
    text = "Quiero una cafetera averiada"
    assert measure(text, "es", band=700).rare_words == 2
    assert measure(text, "es", band=700).rare_share == 0.5
    assert measure("El sábado comemos pescado", "es", band=10).rare_words == 3
    assert measure("El sábado comemos pescado", "es", band=2_500).rare_words == 1


def test_known_words_numbers_and_names_are_never_rare() -> None:
    """The scene's own words are what it is about; nobody has to know a name."""
    known = vocabulary(["leche de avena", "l'huître"], "es")
    assert measure("Avena con leche de avena", "es", band=700, known=known).rare_words == 0
    assert measure("Soy de Guadalajara, con Xóchitl, desde 1987", "es", band=700).rare_words == 0
    assert measure("huître", "fr", known=known).rare_words == 0
    assert measure("Ich sehe den Hubschrauber", "de", band=700).rare_words == 1  # nouns are no names there


def test_elisions_and_contractions_are_looked_up_by_their_longest_part() -> None:
    """The article that is written on to a word does not make it rare."""
    assert measure("C'est l'eau d'aujourd'hui", "fr", band=2_000).rare_words == 0
    assert measure("Questa è l'acqua dell’uomo", "it", band=2_000).rare_words == 0
    assert measure("It’s my mother's friend, don't you know?", "en", band=700).rare_words == 0
    assert measure("l'hippocampe", "fr", band=2_000).rare_words == 1


def test_chinese_and_japanese_are_cut_by_the_list() -> None:
    """What the list has not is one rare word, however common its characters are."""
    assert measure("我们今天没有时间。", "zh", band=700).rare_words == 0
    assert measure("我们烘焙。", "zh", band=700).rare_words == 1
    assert measure("三十五", "zh", band=700).rare_words == 0
    assert measure("今日はコーヒーマシンがない。", "ja", band=700).rare_words == 1
    assert measure("肉桂", "zh", band=700, known=vocabulary(["肉桂"], "zh")).rare_words == 0


@each_target
def test_the_easy_talk_of_a_scene_is_left_alone(tag: str) -> None:
    """Seven turns at the level bring no note."""
    texts = [EASY[tag][turn % 3] for turn in range(7)]
    assert notes(DriftGuard(scene(tag)), texts) == [None] * 7


@each_target
def test_two_hard_turns_bring_one_note_about_length_and_words(tag: str) -> None:
    """In every language, at the second one."""
    first, second = notes(DriftGuard(scene(tag)), list(HARD[tag]))
    assert first is None
    assert second == "Shorter: at most two sentences of seven words. Easy words."


def test_a_note_says_only_what_was_broken() -> None:
    """Too many questions are another matter than long sentences."""
    guard = DriftGuard(scene("es"))
    asked = "¿Con leche, señor? ¿Para llevar, sí?"
    assert notes(guard, [asked, asked]) == [None, "One question."]
    guard = DriftGuard(scene("es"))
    assert notes(guard, [asked, HARD["es"][0]]) == [
        None,
        "Shorter: at most two sentences of seven words. One question. Easy words.",
    ]


def test_one_hard_turn_among_easy_ones_is_let_pass() -> None:
    """Two of the last three are needed; with an easy one between them they are two of three."""
    hard, easy = HARD["es"][0], EASY["es"][0]
    assert notes(DriftGuard(scene("es")), [hard, easy, easy, hard, easy, easy]) == [None] * 6
    assert notes(DriftGuard(scene("es")), [hard, easy, hard])[-1] is not None


def test_after_a_note_three_turns_pass_before_the_next() -> None:
    """A role that does not listen is not told with every turn; at the eighth it is reminded of the whole card."""
    said = notes(DriftGuard(scene("es")), [HARD["es"][0]] * 16)
    note = "Shorter: at most two sentences of seven words. Easy words."
    anchor = reanchor(scene("es"))
    assert said == [
        *(None, note, None, None, None, note, None, anchor),
        *(None, None, None, note, None, None, None, anchor),
    ]


def test_the_role_is_reminded_at_every_eighth_turn() -> None:
    """Also one that never strayed."""
    said = notes(DriftGuard(scene("es")), [EASY["es"][1]] * 24)
    assert [turn for turn, note in enumerate(said, 1) if note] == [8, 16, 24]
    assert {note for note in said if note} == {reanchor(scene("es"))}


def test_one_word_over_is_no_break_and_two_are() -> None:
    """Seven words are allowed at A1, and a fifth more is tolerated."""
    eight, nine = "yo no sé qué es esto de aquí", "yo no sé qué es todo esto de aquí"
    assert (measure(eight, "es").words, measure(nine, "es").words) == (8, 9)
    assert notes(DriftGuard(scene("es")), [eight, eight]) == [None, None]
    assert notes(DriftGuard(scene("es")), [nine, nine])[-1] == "Shorter: at most two sentences of seven words."


def test_the_pace_dial_moves_the_cap_of_sentences() -> None:
    """A quick learner gets a sentence more before it is too much, a slow one a sentence less; one always remains."""
    two, three = "Es muy bueno. Es para ti.", "Es muy bueno. Es para ti. Está aquí."
    cap = "Shorter: at most {} of seven words."
    for extra, text, note in (
        (0, two, None),
        (0, three, cap.format("two sentences")),
        (1, three, None),
        (-1, two, cap.format("one sentence")),
        (-2, two, cap.format("one sentence")),
        (-2, "Es muy bueno.", None),
    ):
        guard = DriftGuard(scene("es"))
        guard.said(text, extra)
        assert guard.said(text, extra_sentences=extra) == note, (extra, text)


def test_a_level_without_limits_is_only_held_to_its_sentences_and_questions() -> None:
    """At C2 no word is rare and no sentence long."""
    free = replace(scene("es"), level=CATALOGUE.level("C2"))
    assert notes(DriftGuard(free), [" ".join(HARD["es"])] * 3) == [None] * 3
    assert notes(DriftGuard(free), ["Es muy bueno. " * 5] * 2)[-1] == "Shorter: at most four sentences."


def test_the_words_of_the_class_are_never_rare() -> None:
    """What a teacher wants practised may be said, whatever its frequency."""
    text = "La zanahoria con canela y jengibre."
    taught = replace(
        scene("es"), class_prompt=ClassPrompt(vocabulary=("zanahoria", "la canela"), must_use=("jengibre",))
    )
    assert notes(DriftGuard(scene("es")), [text, text])[-1] == "Easy words."
    assert notes(DriftGuard(taught), [text, text]) == [None, None]


@pytest.mark.parametrize("scenario", CATALOGUE.scenarios, ids=lambda scenario: scenario.id)
@each_target
def test_what_the_catalogue_gives_learners_to_say_is_easy(tag: str, scenario: Scenario) -> None:
    """No hint of a scene is too long or too hard for the easiest level of its menu: the guard measures as people do."""
    native = "es" if tag == "en" else "en"
    played = CATALOGUE.scene(scenario.id, native=native, target=tag, level=scenario.cefr[0])
    for _, _, whole in played.target_strings.hints.values():
        said = notes(DriftGuard(played), [whole, whole])
        assert said[-1] in (None, "One question."), whole


@given(st.text(max_size=200), st.sampled_from(TARGETS))
def test_any_text_can_be_measured(text: str, tag: str) -> None:
    """Whatever a transcriber writes, the figures fit one another."""
    turn = measure(text, tag, band=700)
    assert 0 <= turn.longest_sentence_words <= turn.words
    assert turn.questions <= max(turn.sentences, 1)
    assert 0.0 <= turn.rare_share <= 1.0
    assert (turn.words == 0) == (turn.sentences == 0)


@each_target
def test_a_turn_costs_less_than_a_millisecond(tag: str) -> None:
    """Ten times that is asserted here, so that a busy machine does not matter."""
    guard, text = DriftGuard(scene(tag)), " ".join(HARD[tag])
    guard.said(text)
    assert min(repeat(lambda: guard.said(text), number=10, repeat=3)) / 10 < 10e-3
