"""The pace dial: what turns it, how far, and what it changes."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tutor.script.catalogue import load
from tutor.script.level import LEVELS, Level
from tutor.talk.pace import FASTEST, SLOWEST, PaceDial

CATALOGUE = load()
A1, B1, C2 = (CATALOGUE.level(name) for name in ("A1", "B1", "C2"))
each_level = pytest.mark.parametrize("level", [CATALOGUE.level(name) for name in LEVELS], ids=LEVELS)

QUICK_MS, SLOW_MS = 1_499, 1_500
positions = st.integers(SLOWEST, FASTEST)
turns = st.tuples(
    st.none() | st.integers(0, 6_000), st.integers(0, 30), st.booleans(), st.sampled_from(["", "asked", "interrupted"])
)
Turn = tuple[int | None, int, bool, str]


def take(dial: PaceDial, turn: Turn) -> int:
    """Gives the dial one turn with what happened before it; returns the step."""
    latency_ms, words, clarified, before = turn
    if before == "asked":
        dial.asked()
    elif before == "interrupted":
        dial.interrupted_with_words()
    return dial.turn(latency_ms, words, clarified)


def at(position: int) -> PaceDial:
    """A dial that was turned to a position."""
    dial = PaceDial(A1)
    while dial.position != position:
        dial.turn(QUICK_MS, 2, position < dial.position)
    return dial


def test_three_quick_turns_of_the_levels_length_turn_it_up_a_step() -> None:
    """Neither one nor two are enough."""
    dial = PaceDial(B1)
    assert [dial.turn(QUICK_MS, 10, False) for _ in range(3)] == [0, 0, 1]
    assert dial.position == 1


@pytest.mark.parametrize(
    ("latency_ms", "words", "clarified"),
    [(SLOW_MS, 10, False), (None, 10, False), (QUICK_MS, 9, False), (QUICK_MS, 10, True)],
    ids=["slow", "not measured", "short", "a clarification"],
)
def test_one_slow_short_or_asking_turn_among_three_keeps_it(
    latency_ms: int | None, words: int, clarified: bool
) -> None:
    """Confidence is three turns in a row, at the very limits of time and length."""
    dial = PaceDial(B1)
    steps = [dial.turn(QUICK_MS, 10, False), dial.turn(latency_ms, words, clarified), dial.turn(QUICK_MS, 10, False)]
    assert steps == [0, 0, 0]
    assert [dial.turn(QUICK_MS, 10, False) for _ in range(2)] == [0, 1]


def test_two_asking_turns_of_three_turn_it_down_a_step() -> None:
    """Relief comes with the second one."""
    dial = PaceDial(A1)
    assert [dial.turn(3_000, 2, True), dial.turn(3_000, 2, False), dial.turn(3_000, 2, True)] == [0, 0, -1]
    assert PaceDial(A1).turn(3_000, 2, True) == 0


def test_help_between_turns_counts_to_the_turn_that_follows() -> None:
    """A rung, a translation or a slower voice is trouble like a question, once, however often it was pressed."""
    dial = PaceDial(A1)
    dial.asked()
    dial.asked()
    assert dial.turn(QUICK_MS, 5, False) == 0
    dial.asked()
    assert dial.turn(QUICK_MS, 5, False) == -1


def test_breaking_in_with_words_counts_as_quick_and_long_enough() -> None:
    """Who interrupts to say something is confident, though no answer's latency can be measured."""
    dial = PaceDial(C2)
    steps = []
    for _ in range(3):
        dial.interrupted_with_words()
        steps.append(dial.turn(None, 4, False))
    assert steps == [0, 0, 1]


def test_breaking_in_to_ask_is_no_confidence() -> None:
    """ "Slower, please!" in the middle of the role's sentence is a wish for help."""
    dial = PaceDial(A1)
    steps = []
    for _ in range(2):
        dial.interrupted_with_words()
        steps.append(dial.turn(None, 3, True))
    assert steps == [0, -1]


def test_after_a_step_three_more_turns_are_waited_for() -> None:
    """However quick the learner is, and however much help another needs."""
    up, down = PaceDial(A1), PaceDial(A1)
    assert [up.turn(0, 9, False) for _ in range(9)] == [0, 0, 1, 0, 0, 1, 0, 0, 0]
    assert [down.turn(0, 9, True) for _ in range(8)] == [0, -1, 0, 0, -1, 0, 0, 0]


@given(st.lists(turns, max_size=60))
def test_it_stays_in_its_range_and_makes_one_step_in_three_turns(said: list[Turn]) -> None:
    """Whatever happens: never beyond two either way, the position is the sum of its steps, and steps lie apart."""
    dial = PaceDial(B1)
    steps = []
    for turn in said:
        steps.append(take(dial, turn))
        assert SLOWEST <= dial.position <= FASTEST
        assert dial.position == sum(steps)
    made = [number for number, step in enumerate(steps) if step]
    assert all(later - earlier >= 3 for earlier, later in pairwise(made))


@given(st.lists(turns, max_size=30))
def test_it_never_turns_up_on_trouble_or_down_without(said: list[Turn]) -> None:
    """A step up follows a turn without help; a step down a stretch of three with two that needed it."""
    dial = PaceDial(B1)
    trouble = [clarified or before == "asked" for _, _, clarified, before in said]
    for number, turn in enumerate(said):
        step = take(dial, turn)
        recent = trouble[max(0, number - 2) : number + 1]
        assert step < 1 or not any(recent)
        assert step > -1 or sum(recent) >= 2


@given(positions, st.floats(0.25, 1.5))
def test_a_step_is_a_twentieth_of_the_speed_within_a_voice_that_stays_itself(position: int, base: float) -> None:
    """From 0.7 to 1.1, with two decimals; in between exactly 0.05 a step."""
    speed = at(position).speed(base)
    assert 0.7 <= speed <= 1.1
    assert speed == round(speed, 2)
    if 0.8 <= base <= 1.0:
        assert speed == pytest.approx(base + 0.05 * position, abs=0.006)


@each_level
def test_a_step_is_one_sentence_and_one_is_always_left(level: Level) -> None:
    """An A1 role that is turned back twice still says something."""
    caps = [at(position).sentence_cap(level) for position in range(SLOWEST, FASTEST + 1)]
    assert caps == [max(1, level.max_sentences + position) for position in range(SLOWEST, FASTEST + 1)]


def test_a_step_is_half_a_second_of_patience() -> None:
    """Slower is longer, and what the learner usually needs comes on top."""
    assert at(0).stuck_s(A1) == (5.0, 8.0, 12.0, 17.0)
    assert at(-2).stuck_s(A1) == (6.0, 9.0, 13.0, 18.0)
    assert at(1).stuck_s(A1) == (4.5, 7.5, 11.5, 16.5)
    assert at(-1).stuck_s(A1, personal_s=1.5) == (7.0, 10.0, 14.0, 19.0)


@given(positions, st.sampled_from(LEVELS), st.floats(-10, 10))
def test_help_never_comes_before_three_seconds_and_keeps_its_order(position: int, name: str, personal_s: float) -> None:
    """Even for a quick learner at full pace the rungs stay apart, and there are as many."""
    level = CATALOGUE.level(name)
    rungs = at(position).stuck_s(level, personal_s)
    assert len(rungs) == len(level.stuck_s)
    assert rungs[0] >= 3.0
    assert all(later - earlier >= 1.0 for earlier, later in pairwise(rungs))
