"""Which phrases are listened to and repeated: what is due, the class's words, whole phrases of scenes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tutor.learning.listening import FEWEST, MOST, MOST_CARDS, MOST_WORDS, Phrase, choose, meanings
from tutor.learning.review import ReviewCard
from tutor.script.catalogue import load
from tutor.script.class_prompt import ClassPrompt
from tutor.script.language import Language
from tutor.script.scene import Scene

CATALOGUE = load()
EN, ES = CATALOGUE.language("en"), CATALOGUE.language("es")
MEANING = meanings(CATALOGUE, EN)
NOW = datetime(2026, 11, 21, tzinfo=UTC)


def scene(name: str) -> Scene:
    """A scene for English speakers who learn Spanish."""
    return CATALOGUE.scene(name, native="en", target="es", level="A1")


def card(text: str, situation: str = "") -> ReviewCard:
    """A phrase that is due."""
    return ReviewCard.new("phrase", text, situation, NOW)


def chosen(
    *cards: ReviewCard, material: ClassPrompt | None = None, scenes: tuple[str, ...] = ("cafe_order",), seed: int = 0
) -> list[str]:
    """The texts that are played."""
    found = choose(cards, material, [scene(name) for name in scenes], ES, meaning=MEANING, seed=seed)
    return [phrase.text for phrase in found]


def test_what_is_due_comes_first_then_the_class_s_words_then_the_scene() -> None:
    """Each part in its own order; the scene's phrases are its hints' whole ones, in the order of its goals."""
    found = chosen(card("¿Me cobra?"), card("un zumo"), material=ClassPrompt(vocabulary=("el té",)))
    goals = sorted(scene("cafe_order").scenario.goals, key=lambda goal: goal.order)
    assert found == ["¿Me cobra?", "un zumo", "el té", *(scene("cafe_order").hint(goal.id, 2) for goal in goals)]


def test_no_part_crowds_out_the_next() -> None:
    """However much is due and however long the list: some of each, ten in all."""
    cards = [card(f"tarjeta {letter}") for letter in "abcdefgh"]
    material = ClassPrompt(vocabulary=tuple(f"palabra {letter}" for letter in "abcdefgh"))
    found = chosen(*cards, material=material)
    assert len([text for text in found if text.startswith("tarjeta")]) == MOST_CARDS
    assert len([text for text in found if text.startswith("palabra")]) == MOST_WORDS
    assert len(found) == MOST


def test_a_second_scene_is_gone_through_where_the_first_has_too_little() -> None:
    """At least six are played where there are so many."""
    assert len(scene("cafe_order").scenario.goals) < FEWEST <= len(chosen(scenes=("cafe_order", "market_fruit")))
    assert chosen(scenes=()) == []


def test_nothing_comes_twice_and_nothing_that_the_class_keeps_out() -> None:
    """Case, accents and marks make no other phrase; what is kept out is so within longer phrases, too."""
    found = chosen(card("UN CAFÉ"), card("un cafe."), material=ClassPrompt(vocabulary=("té",), avoid=("por favor",)))
    assert found[:2] == ["UN CAFÉ", "té"]
    assert any("por favor" in strings[2] for strings in ES.scenes["cafe_order"].hints.values())
    assert not any("por favor" in text for text in found)


def test_patterns_are_no_phrases_and_what_is_too_long_cannot_be_repeated() -> None:
    """A card of a kind of error has no words to say; two breaths are more than anybody keeps in mind."""
    pattern = ReviewCard.new("focus", "gender", "", NOW)
    assert not {"gender", "muy " * 60} & set(chosen(pattern, card("muy " * 60)))


def test_a_meaning_is_told_only_where_the_data_has_it() -> None:
    """A card's situation is looked up in the learner's language; a word of the class has none."""
    french = CATALOGUE.language("fr")
    able = next(goal for goal in scene("cafe_order").scenario.goals if goal.id == "order_drink").can_do
    found = choose(
        [card("un zumo", able), card("hola", "something else")],
        ClassPrompt(vocabulary=("el té",)),
        [],
        ES,
        meaning=meanings(CATALOGUE, french),
        seed=0,
    )
    told = french.scenes["cafe_order"].can_do["order_drink"]
    assert found == (Phrase("un zumo", told), Phrase("hola"), Phrase("el té"))


@given(st.integers(0, 2**32 - 1))
def test_the_class_s_words_go_round(seed: int) -> None:
    """The same call hears the same words; each is one of the list."""
    material = ClassPrompt(vocabulary=tuple(f"palabra {letter}" for letter in "abcdefghijklmnop"))
    found = chosen(material=material, scenes=(), seed=seed)
    assert found == chosen(material=material, scenes=(), seed=seed)
    assert len(found) == MOST_WORDS
    assert set(found) <= set(material.vocabulary)


@pytest.mark.parametrize("target", CATALOGUE.targets, ids=lambda language: language.tag)
def test_every_whole_phrase_of_the_catalogue_can_be_repeated(target: Language) -> None:
    """None is left out for its length, in any language, so that no scene has too little to play."""
    native = "es" if target.base == "en" else "en"
    for scenario in CATALOGUE.scenarios:
        one = CATALOGUE.scene(scenario.id, native=native, target=target.tag, level=scenario.cefr[0])
        found = choose([], None, [one], one.target, meaning={}, seed=0)
        distinct = {one.hint(goal.id, 2) for goal in scenario.goals}
        assert len(found) == len(distinct), scenario.id
