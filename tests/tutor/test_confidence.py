"""How sure a learner acts, compared with their own first calls."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tutor.learning.confidence import FIRST_CALLS, confidence
from tutor.learning.metrics import ENOUGH_TRANSCRIBED, ENOUGH_WORDS, Measures, Reliability

RELIABLE = Reliability(words=ENOUGH_WORDS, transcribed=ENOUGH_TRANSCRIBED)
"""Just enough words in just enough transcripts."""


def call(
    latency_ms: int | None = 3_000, words: float | None = 4.0, support: float = 2.0, understood: float | None = 0.8
) -> Measures:
    """A call of six turns with these figures."""
    return Measures(
        learner_turns=6,
        median_latency_ms=latency_ms,
        mean_turn_words=words,
        support_index=support,
        understood_share=understood,
        reliability=RELIABLE,
    )


FIRST = [call(2_000, 3.0, 1.0, 0.6), call(3_000, 4.0, 2.0, 0.8), call(4_000, 5.0, 3.0, 1.0)]
"""Means 3,000 ms, 4 words, support 2, 0.8 understood; standard deviations 1,000, 1, 1 and 0.2."""


def logistic(value: float) -> object:
    """What a weighed sum of deviations becomes."""
    return pytest.approx(1 / (1 + math.exp(-value)), rel=1e-9)


def test_the_first_calls_again_are_in_the_middle() -> None:
    """Who acts as in their first calls has 0.5."""
    assert confidence(call(), FIRST) == pytest.approx(0.5)


def test_each_part_has_its_weight_and_direction() -> None:
    """One standard deviation sooner, longer, with less help, better understood."""
    assert confidence(call(latency_ms=2_000), FIRST) == logistic(0.35)
    assert confidence(call(words=5.0), FIRST) == logistic(0.25)
    assert confidence(call(support=1.0), FIRST) == logistic(0.20)
    assert confidence(call(understood=1.0), FIRST) == logistic(0.20)
    assert confidence(call(2_000, 5.0, 1.0, 1.0), FIRST) == logistic(1.0)
    assert confidence(call(4_000, 3.0, 3.0, 0.6), FIRST) == logistic(-1.0)


def test_it_is_not_known_before_the_fourth_call_that_counts() -> None:
    """Short calls and noisy lines are neither compared nor compared with."""
    assert confidence(call(), FIRST[:2]) is None
    short = replace(call(), learner_turns=3)
    noisy = replace(call(), reliability=Reliability(noisy=True))
    assert confidence(call(), [*FIRST[:2], short, noisy]) is None
    assert confidence(call(latency_ms=2_000), [short, *FIRST[:2], noisy, FIRST[2]]) == logistic(0.35)
    assert confidence(short, FIRST) is None
    assert confidence(noisy, FIRST) is None


def test_only_the_first_three_calls_are_compared_with() -> None:
    """Later ones do not move what a learner is held against."""
    assert confidence(call(latency_ms=2_000), [*FIRST, call(500, 30.0, 0.0, 1.0)]) == logistic(0.35)


def test_what_was_not_measured_is_left_out() -> None:
    """The rest keeps its proportions; with less than half of the weights known nothing is said."""
    assert confidence(call(latency_ms=None, words=5.0), FIRST) == logistic(0.25 / 0.65)
    assert confidence(call(words=None, latency_ms=2_000), FIRST) == logistic(0.35 / 0.75)
    assert confidence(call(latency_ms=None, words=None), FIRST) is None
    unmeasured = [replace(one, median_latency_ms=None) for one in FIRST[:1]] + FIRST[1:]
    assert confidence(call(latency_ms=500, words=5.0), unmeasured) == logistic(0.25 / 0.65)


UNRELIABLE = [
    Reliability(words=ENOUGH_WORDS - 1, transcribed=1.0),
    Reliability(words=500, transcribed=ENOUGH_TRANSCRIBED - 0.01),
    Reliability(words=0, transcribed=None),
]


@pytest.mark.parametrize("reliability", UNRELIABLE)
def test_the_length_of_turns_is_left_out_where_transcripts_cannot_be_relied_on(reliability: Reliability) -> None:
    """One word or one percent too little, in the call or one of the first: the other parts keep their proportions."""
    longer, surer = call(words=40.0), call(latency_ms=2_000, words=40.0)
    assert confidence(longer, FIRST) == logistic(0.25 * 3)
    assert confidence(replace(longer, reliability=reliability), FIRST) == pytest.approx(0.5)
    assert confidence(replace(surer, reliability=reliability), FIRST) == logistic(0.35 / 0.75)
    doubtful = [*FIRST[:2], replace(FIRST[2], reliability=reliability)]
    assert confidence(surer, doubtful) == logistic(0.35 / 0.75)
    assert confidence(surer, [*doubtful, call()]) == logistic(0.35 / 0.75)


@given(st.floats(0, 200), st.floats(0, 200), st.sampled_from(UNRELIABLE))
def test_doubtful_words_never_move_it(one: float, other: float, reliability: Reliability) -> None:
    """However long the turns were, as far as anybody knows."""
    short, long = (replace(call(words=words), reliability=reliability) for words in (one, other))
    assert confidence(short, FIRST) == confidence(long, FIRST)


def test_with_doubtful_words_and_no_latency_nothing_is_said() -> None:
    """Two fifths of the weights are less than half."""
    doubtful = replace(call(latency_ms=None, words=5.0), reliability=UNRELIABLE[0])
    assert confidence(doubtful, FIRST) is None


def test_three_calls_that_happen_to_be_alike_do_not_make_a_difference_large() -> None:
    """A spread below what calls have is not believed: 300 ms, one word, 0.25 of support, 0.1 understood."""
    alike = [call()] * FIRST_CALLS
    assert confidence(call(latency_ms=2_700), alike) == logistic(0.35)
    assert confidence(call(words=5.0), alike) == logistic(0.25)
    assert confidence(call(support=1.75), alike) == logistic(0.20)
    assert confidence(call(understood=0.9), alike) == logistic(0.20)


def test_one_odd_figure_does_not_decide() -> None:
    """Each part counts as three standard deviations at most."""
    assert confidence(call(words=400.0), FIRST) == logistic(0.25 * 3)
    assert confidence(call(latency_ms=90_000), FIRST) == logistic(-0.35 * 3)


figures = st.fixed_dictionaries(
    {
        "median_latency_ms": st.none() | st.integers(0, 60_000),
        "mean_turn_words": st.none() | st.floats(0, 200),
        "support_index": st.floats(0, 50),
        "understood_share": st.none() | st.floats(0, 1),
        "learner_turns": st.integers(0, 40),
    }
)


@given(figures, st.lists(figures, max_size=6))
def test_it_is_between_0_and_1_or_not_known(now: dict[str, Any], first: list[dict[str, Any]]) -> None:
    """Whatever was measured."""
    found = confidence(Measures(**now), [Measures(**one) for one in first])
    assert found is None or 0 < found < 1


@given(figures, st.integers(0, 30_000))
def test_an_earlier_answer_never_lowers_it(now: dict[str, Any], sooner_ms: int) -> None:
    """All else the same, who answers sooner is not less sure."""
    later = Measures(**now | {"median_latency_ms": 30_000, "learner_turns": 6})
    earlier = replace(later, median_latency_ms=30_000 - sooner_ms)
    one, other = confidence(later, FIRST), confidence(earlier, FIRST)
    assert one is not None
    assert other is not None
    assert other >= one - 1e-12
