"""What one call shows about a phrase, a class item or a pattern: used, with which help, or let pass."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from fsrs import Rating

from tests.tutor.desk import Desk
from tests.tutor.scenes import cafe
from tutor.learning.evidence import NONE, WHOLE, Evidence, Kind, evidence
from tutor.learning.facts import Facts, Hint
from tutor.learning.review import MOST_WORDS, ReviewCard, chunk, new_cards, rating
from tutor.script.catalogue import load
from tutor.script.language import Language
from tutor.script.scene import Scene
from tutor.talk.exchange import Key

CATALOGUE = load()
SCENE = cafe()
PHRASE = SCENE.hint("order_drink", WHOLE)
NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)


@dataclass
class Turn:
    """A turn as it is kept."""

    speaker: str
    start_ms: int
    end_ms: int | None
    text: str | None = None
    cut: bool = False


@dataclass
class Event:
    """An event as it is kept."""

    at_ms: int
    kind: str
    data: dict[str, Any] = field(default_factory=dict)


def card(text: str = PHRASE, kind: Kind = "phrase") -> ReviewCard:
    """A new card, due at noon."""
    return ReviewCard.new(kind, text, "order a drink", NOON)


def role(at_s: float, text: str, length_s: float = 2) -> Turn:
    """A turn of the role."""
    return Turn("role", int(at_s * 1000), int((at_s + length_s) * 1000), text)


def learner(at_s: float, text: str, length_s: float = 2) -> Turn:
    """A turn of the learner."""
    return Turn("learner", int(at_s * 1000), int((at_s + length_s) * 1000), text)


def hint(at_s: float, rung: int, goal: str = "order_drink", scene: Scene = SCENE) -> Event:
    """A hint as the keypad leaves it."""
    return Event(int(at_s * 1000), "hint", {"goal": goal, "rung": rung, "phrase": scene.hint(goal, rung)})


def reached(at_s: float, goal: str = "order_drink") -> Event:
    """A goal that was earned."""
    return Event(int(at_s * 1000), "goal", {"goal": goal, "quote": "un té", "evidence": "quote"})


def note(error: str) -> Event:
    """A note of an error as the toolbox leaves it."""
    return Event(5_000, "error_note", {"type": error, "severity": "slip", "context": "", "handling": "recast"})


GREETING = role(0, "¡Hola! ¿Qué le sirvo?")
ORDER = learner(4, "Quisiera un café con leche, por favor.")


def test_a_phrase_said_by_oneself_was_used() -> None:
    """Accents and marks do not matter, and without a known latency nothing is fast."""
    said = [GREETING, learner(4, "quisiera un cafe con leche")]
    assert evidence(card("Quisiera un café con leche"), SCENE, said, []) == Evidence(used=True)


@pytest.mark.parametrize(("median_ms", "fast"), [(2_001, True), (2_000, False), (None, False)])
def test_a_phrase_is_fast_below_the_learners_own_median(median_ms: float | None, fast: bool) -> None:
    """Two seconds after the role was heard to end: sooner than usual only when usual is longer."""
    seen = evidence(card(), SCENE, [GREETING, ORDER], [], median_latency_ms=median_ms)
    assert seen == Evidence(used=True, fast=fast)


def test_what_repeats_the_role_is_not_fast() -> None:
    """An echo is easy for everybody."""
    said = [role(0, "¿Quisiera un café con leche, por favor?"), ORDER]
    assert evidence(card(), SCENE, said, [], median_latency_ms=9_000) == Evidence(used=True)


def test_what_is_said_over_the_role_is_not_fast() -> None:
    """A barge-in has no latency."""
    said = [role(0, "¡Hola!", 6), ORDER]
    assert evidence(card(), SCENE, said, [], median_latency_ms=9_000) == Evidence(used=True)


@pytest.mark.parametrize("rung", [0, 1, WHOLE])
def test_a_hint_before_the_phrase_counts(rung: int) -> None:
    """The furthest rung that was given for its goal before it was said."""
    asked = [hint(2.5, earlier) for earlier in range(rung + 1)]
    assert evidence(card(), SCENE, [GREETING, ORDER], asked) == Evidence(used=True, rung=rung)


def test_a_hint_for_another_goal_or_after_the_phrase_does_not_count() -> None:
    """Help with something else is no help with this."""
    asked = [hint(2.5, 0, "price"), hint(9, 1)]
    assert evidence(card(), SCENE, [GREETING, ORDER], asked) == Evidence(used=True)


def test_a_hint_that_was_not_followed_let_the_phrase_pass() -> None:
    """Whoever asked for help needed it."""
    assert evidence(card(), SCENE, [GREETING, learner(4, "Un té.")], [hint(3, 0)]) == Evidence(rung=0, passed=1)


def test_a_goal_reached_in_other_words_let_the_phrase_pass() -> None:
    """The situation was there, the phrase was not."""
    said = [GREETING, learner(4, "Un té.")]
    assert evidence(card(), SCENE, said, [reached(6)]) == Evidence(passed=1)
    assert evidence(card(), SCENE, said, [reached(6, "price")]) == NONE


def test_a_call_without_the_situation_shows_nothing() -> None:
    """No opportunity, no evidence: a scene that has no such goal and nobody who said it."""
    assert evidence(card("el billete de vuelta"), SCENE, [GREETING, ORDER], [reached(6)]) == NONE


def test_a_chunk_belongs_to_the_goal_whose_phrase_holds_it() -> None:
    """Cards are shorter than the phrases they were taken from."""
    asked = [hint(2.5, 0)]
    assert chunk(PHRASE, SCENE.target) != PHRASE
    assert evidence(card(chunk(PHRASE, SCENE.target)), SCENE, [GREETING, ORDER], asked).rung == 0


def test_a_word_that_a_keyword_hint_gives_away_was_given_whole() -> None:
    """The first rung of the order is the drink itself."""
    seen = evidence(card("la leche", "class"), SCENE, [GREETING, ORDER], [hint(2.5, 0)])
    assert "leche" in SCENE.hint("order_drink", 0)
    assert seen == Evidence(used=True, rung=WHOLE)


def test_a_word_that_was_asked_for_was_given_whole() -> None:
    """Key 5 says it."""
    given = Event(3_000, "word_given", {"asked": "milk", "given": "La leche"})
    seen = evidence(card("leche", "class"), SCENE, [GREETING, ORDER], [given])
    assert seen == Evidence(used=True, rung=WHOLE)


def test_a_phrase_that_the_role_models_for_a_stuck_learner_was_given_whole() -> None:
    """The last rung of the stuck ladder says it; what the role says by itself does not count as help."""
    said = [GREETING, role(18, PHRASE), learner(21, PHRASE)]
    stuck = Event(17_000, "stuck", {"step": "model_phrase"})
    assert evidence(card(), SCENE, said, [stuck]).rung == WHOLE
    assert evidence(card(), SCENE, said, [Event(17_000, "stuck", {"step": "choice"})]).rung is None


def test_a_class_item_that_only_the_role_used_was_let_pass_once() -> None:
    """However often the role said it, one call is one opportunity, and only when the learner spoke after it."""
    item = card("avena", "class")
    said = [role(0, "¿Leche de avena?"), learner(3, "Sí."), role(6, "La avena, claro."), learner(9, "Gracias.")]
    assert evidence(item, SCENE, said, []) == Evidence(passed=1)
    assert evidence(item, SCENE, said[:1], []) == NONE
    assert evidence(item, SCENE, said[1:2], []) == NONE


def test_a_phrase_that_the_role_happens_to_say_was_not_let_pass() -> None:
    """It is the learner's line."""
    assert evidence(card(), SCENE, [role(0, PHRASE), learner(3, "Sí.")], []) == NONE


def test_each_note_of_a_pattern_let_it_pass() -> None:
    """Two in one call are enough to learn it again; notes of other kinds do not count."""
    noted = [note("Noun gender"), note("plural"), note("gender_agreement")]
    seen = evidence(card("gender_agreement", "focus"), SCENE, [GREETING, ORDER], noted, focus="gender_agreement")
    assert seen == Evidence(passed=2)
    assert rating(seen) is Rating.Again


@pytest.mark.parametrize(("turns", "focus", "used"), [(8, "plural", True), (7, "plural", False), (8, "", False)])
def test_a_pattern_without_a_note_was_used_where_it_was_practised(turns: int, focus: str, used: bool) -> None:
    """In a conversation of eight turns whose focus it was; elsewhere silence says nothing."""
    said = [turn for at in range(turns) for turn in (role(8 * at, "¿Sí?"), learner(8 * at + 3, "Dos cafés.", 3))]
    assert evidence(card("plural", "focus"), SCENE, said, [], focus=focus) == Evidence(used=used)


def test_a_call_that_was_left_because_something_was_not_right_shows_nothing() -> None:
    """Key 9 is about safety, not about words."""
    assert evidence(card(), SCENE, [GREETING, ORDER], [Event(9_000, "safe_exit")]) == NONE


def test_evidence_is_read_as_a_conversation_leaves_it() -> None:
    """A hint by key in a real conversation is found in its timeline."""
    desk = Desk().open()
    desk.give(Key("1"))
    greeting = card(SCENE.hint("greet", WHOLE))
    seen = evidence(greeting, desk.scene, desk.timeline.turns, desk.timeline.entries)
    assert not seen.used
    assert seen.rung is not None


@pytest.mark.parametrize("target", CATALOGUE.targets, ids=lambda language: language.tag)
def test_every_phrase_of_the_catalogue_gives_a_card_that_its_own_call_can_review(target: Language) -> None:
    """Short, not empty, and found when the whole phrase is said or given as a hint."""
    native = "en" if target.base != "en" else "es"
    for scenario in CATALOGUE.scenarios:
        scene = CATALOGUE.scene(scenario.id, native=native, target=target.tag, level=scenario.cefr[0])
        for goal in scenario.goals:
            (made,) = new_cards(scene, Facts(scenario.id, "A1", native, target.tag, hints=(Hint(goal.id, 2),)), NOON)
            whole = scene.hint(goal.id, WHOLE)
            assert made.text
            assert len(made.text.split()) <= MOST_WORDS
            said = [Turn("role", 0, 1_000, "…"), Turn("learner", 2_000, 4_000, whole)]
            assert evidence(made, scene, said, []).used, (made.text, whole)
            assert evidence(made, scene, said[:1], [hint(1, WHOLE, goal.id, scene)]).rung == WHOLE
