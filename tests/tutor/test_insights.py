"""Insights in words: only with enough calls and enough effect, only for the better, in every language."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehearsal.messages import is_gsm7, segments
from tests.tutor.scenes import cafe
from tutor.learning import wording
from tutor.learning.facts import Facts, Hint, Reached
from tutor.learning.figures import number, percent
from tutor.learning.insights import (
    LEAST_EFFECT,
    STEP,
    WEEK,
    Insight,
    Kind,
    Period,
    Seen,
    emerging,
    growth,
    insights,
    ready,
    success,
)
from tutor.learning.metrics import Measures, Reliability
from tutor.script.catalogue import load
from tutor.script.language import Language

CATALOGUE = load()
EN = CATALOGUE.language("en")
each_native = pytest.mark.parametrize("native", CATALOGUE.natives, ids=lambda language: language.tag)
LATIN = {"en", "es", "fr", "pt"}

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Call:
    """The measures of a call, as far as they are compared."""

    at: datetime
    median_latency_ms: float | None = None
    learner_turns: int = 10
    support_index: float | None = None
    understood_share: float | None = None
    noisy: bool = False


def latencies(this_week: list[float | None], last_week: list[float | None]) -> list[Call]:
    """Calls of this week and of the last, with these latencies."""
    return [
        *(Call(NOW - (8 + at) * DAY / 2 - 4 * DAY, value) for at, value in enumerate(last_week)),
        *(Call(NOW - (1 + at) * DAY / 2, value) for at, value in enumerate(this_week)),
    ]


def weeks(name: str, this_week: float, last_week: float) -> list[Call]:
    """Three calls in each week, with one value of a measure."""
    values: list[dict[str, Any]] = [{name: last_week}] * 3 + [{name: this_week}] * 3
    return [replace(call, **value) for call, value in zip(latencies([None] * 3, [None] * 3), values, strict=True)]


def test_forty_percent_faster_than_last_week() -> None:
    """The seed's example, in its words."""
    (insight,) = insights(latencies([1_200] * 3, [2_000] * 3), NOW)
    assert insight == Insight("faster", "week", 0.4)
    assert insight.sentence(EN) == "You answer 40% faster than last week."
    assert insight.sentence(CATALOGUE.language("fr")) == "Vous répondez 40 % plus vite que la semaine dernière."
    assert insight.sentence(CATALOGUE.language("es-MX")) == ("Responde en un 40% menos de tiempo que la semana pasada.")


@pytest.mark.parametrize(
    ("this_week", "last_week", "found"),
    [(3, 3, True), (2, 3, False), (3, 2, False), (1, 1, False), (0, 6, False), (6, 0, False)],
)
def test_three_calls_on_each_side_are_needed(this_week: int, last_week: int, found: bool) -> None:
    """One call is no insight."""
    assert bool(insights(latencies([1_000.0] * this_week, [2_000.0] * last_week), NOW)) == found


@pytest.mark.parametrize(
    ("name", "kind", "this_week", "last_week", "found"),
    [
        ("median_latency_ms", "faster", 900, 1_000, True),
        ("median_latency_ms", "faster", 901, 1_000, False),
        ("median_latency_ms", "faster", 1_000, 500, False),
        ("learner_turns", "longer", 11, 10, True),
        ("learner_turns", "longer", 21, 20, False),
        ("learner_turns", "longer", 10, 20, False),
        ("support_index", "help", 0.27, 0.3, True),
        ("support_index", "help", 0.28, 0.3, False),
        ("support_index", "help", 0.6, 0.3, False),
        ("understood_share", "understood", 0.33, 0.3, True),
        ("understood_share", "understood", 0.32, 0.3, False),
        ("understood_share", "understood", 0.2, 0.9, False),
        ("median_latency_ms", "faster", 0, 0, False),
    ],
)
def test_a_tenth_is_needed_and_only_for_the_better(
    name: str, kind: Kind, this_week: float, last_week: float, found: bool
) -> None:
    """At ten percent it is told, just below it is not, and nothing that became worse is."""
    kinds = [insight.kind for insight in insights(weeks(name, this_week, last_week), NOW)]
    assert kinds == ([kind] if found else [])


def test_the_middle_of_the_latencies_counts() -> None:
    """One call with a long wait does not spoil a week."""
    assert insights(latencies([1_000, 1_000, 60_000], [2_000] * 3), NOW)


def test_a_call_without_the_measure_does_not_count() -> None:
    """Two known latencies and one unknown are two."""
    assert insights(latencies([1_000, 1_000, None], [2_000] * 3), NOW) == ()


def test_a_call_without_a_word_does_not_count() -> None:
    """Who hung up did not answer fast."""
    calls = latencies([1_000] * 3, [2_000] * 3)
    assert insights([*calls[:-1], replace(calls[-1], learner_turns=0)], NOW) == ()


def test_a_noisy_call_does_not_count() -> None:
    """On a loud line answers did not take as long as was measured: two are left of three, now or before."""
    calls = latencies([1_000] * 3, [2_000] * 3)
    assert insights(calls, NOW)
    for at in range(len(calls)):
        loud = [replace(call, noisy=n == at) for n, call in enumerate(calls)]
        assert insights(loud, NOW) == ()
    (insight,) = insights([*calls, Call(NOW, 10, noisy=True), Call(NOW - 8 * DAY, 90_000, noisy=True)], NOW)
    assert insight.change == 0.5


def test_what_is_read_of_a_call_says_how_loud_it_was() -> None:
    """As the measures were kept; what another version kept says nothing."""
    for noisy in (True, False):
        kept = Measures(learner_turns=9, reliability=Reliability(noisy=noisy)).write()
        seen = Seen.read(NOW, kept)
        assert seen is not None
        assert seen.noisy is noisy
    assert Seen.read(NOW, {"turns": "many"}) is None


def test_weeks_end_to_the_second() -> None:
    """Seven days ago is last week; fourteen are neither; what is later than now does not exist yet."""
    now = [Call(NOW - timedelta(hours=at), 1_000) for at in (0, 1, 2)]
    before = [Call(NOW - WEEK - timedelta(hours=at), 2_000) for at in (0, 1, 2)]
    assert insights([*now, *before], NOW)[0].period == "week"
    old = [replace(before[0], at=NOW - 2 * WEEK), *before[1:]]
    assert insights([*now, *old], NOW) == ()
    future = [replace(now[0], at=NOW + timedelta(seconds=1)), *now[1:]]
    assert insights([*future, *before], NOW) == ()


def test_who_calls_once_a_week_is_told_too() -> None:
    """Then the last five calls are held against the five before; older ones are not looked at."""
    values = [9_000] * 5 + [2_000] * 5 + [1_500] * 5
    calls = [Call(NOW - at * WEEK, value) for at, value in enumerate(reversed(values))]
    (insight,) = insights(calls, NOW)
    assert insight == Insight("faster", "lately", 0.25)
    assert insight.sentence(EN) == "You answer 25% faster than before."
    assert insights(calls[:7], NOW) == ()  # five and two
    assert insights(calls[:8], NOW)


def test_the_largest_change_is_told_first() -> None:
    """Each measure at most once."""
    faster, less = weeks("median_latency_ms", 800, 1_000), weeks("support_index", 0.5, 1.0)
    calls = [replace(one, support_index=other.support_index) for one, other in zip(faster, less, strict=True)]
    assert [(insight.kind, insight.change) for insight in insights(calls, NOW)] == [("help", 0.5), ("faster", 0.2)]


def test_no_help_at_all_is_told_in_words() -> None:
    """ "100 % less" is no way to talk."""
    (insight,) = insights(weeks("support_index", 0, 1.5), NOW)
    assert insight.sentence(EN) == "You now get by without any help at all."


@pytest.mark.parametrize(
    ("change", "told"), [(0.10, "10%"), (0.149999, "10%"), (0.15, "15%"), (0.29, "25%"), (0.55, "55%")]
)
def test_percents_are_told_in_steps_of_five_and_never_too_high(change: float, told: str) -> None:
    """Fewer digits than were computed."""
    assert told in Insight("faster", "week", change).sentence(EN)


measured = st.builds(
    Call,
    at=st.integers(-2, 30 * 24).map(lambda hours: NOW - timedelta(hours=hours)),
    median_latency_ms=st.none() | st.floats(0, 60_000),
    learner_turns=st.integers(0, 60),
    support_index=st.none() | st.floats(0, 20),
    understood_share=st.none() | st.floats(0, 1),
    noisy=st.booleans(),
)


@given(st.lists(measured, max_size=30), st.randoms())
def test_insights_are_improvements_and_do_not_depend_on_order(calls: list[Call], random: Any) -> None:
    """At least a tenth each, at most all of it where less is better, in words that hold no more than was found."""
    found = insights(calls, NOW)
    shuffled = sorted(calls, key=lambda call: (call.at, repr(call)))
    random.shuffle(shuffled)
    if len({call.at for call in calls}) == len(calls):
        assert insights(shuffled, NOW) == found
    for insight in found:
        assert insight.change >= LEAST_EFFECT
        assert insight.change <= 1 or insight.kind in ("longer", "understood")
        told = [int(part.strip(".%")) for part in insight.sentence(EN).split() if part.strip(".%").isdigit()]
        assert all(value % STEP == 0 and value <= insight.change * 100 + 1e-3 for value in told)
    assert len({insight.kind for insight in found}) == len(found)


@given(st.lists(measured, min_size=6, max_size=20))
def test_the_same_week_twice_is_no_insight(calls: list[Call]) -> None:
    """Without a change there is nothing to tell."""
    this = [replace(call, at=NOW - timedelta(hours=at)) for at, call in enumerate(calls)]
    last = [replace(call, at=call.at - WEEK) for call in this]
    assert insights([*this, *last], NOW) == ()


# --- how much got across


@pytest.mark.parametrize(
    ("turns", "share", "told"),
    [
        (12, 0.85, "You spoke 12 times, and 85% of it got across!"),
        (12, 0.60, "You spoke 12 times, and 60% of it got across!"),
        (12, 0.599, "You spoke 12 times!"),
        (12, None, "You spoke 12 times!"),
        (8, 1.0, "You spoke 8 times, and 100% of it got across!"),
        (7, 1.0, ""),
        (0, None, ""),
    ],
)
def test_what_got_across_is_told_from_sixty_percent_on(turns: int, share: float | None, told: str) -> None:
    """Below that turns only, and below eight turns nothing."""
    assert success(turns, share, EN) == told


# --- what is emerging


def test_goals_within_reach_are_those_that_needed_help() -> None:
    """Then those still to be reached; optional ones are never missing."""
    known = Facts(
        "cafe_order",
        "A1",
        "en",
        "es",
        goals=(Reached("greet", "", True), Reached("price", "", True)),
        hints=(Hint("price", 0), Hint("price", 2)),
    )
    assert emerging(known, cafe()) == ("price", "order_drink", "detail")


def test_what_is_emerging_is_said_kindly() -> None:
    """A can-do first, then one way of talking; two sentences at most."""
    short = Call(NOW, learner_turns=5, support_index=1.5, understood_share=0.4)
    assert growth(short, ["order a drink"], EN) == ("Emerging: order a drink.", "Emerging: longer conversations.")
    assert growth(short, [], EN) == ("Emerging: longer conversations.", "Emerging: talking without hints.")
    long = replace(short, learner_turns=8)
    assert growth(long, [], EN)[1] == "Emerging: getting your message across at the first go."
    assert growth(replace(long, support_index=1.0, understood_share=0.6), [], EN) == ()
    assert growth(Call(NOW, learner_turns=0), [], EN) == ()
    assert growth(replace(short, noisy=True), ["order a drink"], EN) == ("Emerging: order a drink.",)


# --- in every language


def every_sentence(native: Language) -> list[str]:
    """Everything that can be said here, with figures."""
    strings = native.scenes["cafe_order"]
    latest = Call(NOW, learner_turns=5, support_index=3, understood_share=0.1)
    return [
        *(Insight(kind, period, 0.42).sentence(native) for kind in get_args(Kind) for period in get_args(Period)),
        Insight("help", "week", 1.0).sentence(native),
        ready("B1", native),
        success(12, 0.85, native),
        *growth(latest, [strings.can_do["order_drink"]], native),
        *growth(replace(latest, learner_turns=9), [], native),
    ]


@each_native
def test_every_sentence_is_positive(native: Language) -> None:
    """The linter finds nothing beside the percentages, which are computed, and no sentence says the same."""
    told = every_sentence(native)
    assert len(set(told)) == len(told)
    for text in told:
        bare = text
        for share in (0.4, 0.85):
            bare = bare.replace(percent(share, native), "")
        assert wording.problems(bare, native) == [], text
        assert "{" not in text


@each_native
def test_every_sentence_fits_a_text_message(native: Language) -> None:
    """One segment each, in letters that leave the message its room where the script allows."""
    for text in every_sentence(native):
        assert segments(text) == 1, text
        if native.base in LATIN:
            can_do = native.scenes["cafe_order"].can_do["order_drink"]
            assert is_gsm7(text.replace(can_do, "")), text


# --- figures


@pytest.mark.parametrize(
    ("tag", "share", "count"),
    [
        ("en", "40%", "12,345"),
        ("es", "40 %", "12.345"),
        ("es-MX", "40%", "12,345"),
        ("fr", "40 %", "12 345"),
        ("fr-CA", "40 %", "12 345"),
        ("pt", "40%", "12.345"),
        ("zh", "40%", "12,345"),
        ("ar", "40%", "12,345"),
    ],
)
def test_figures_are_written_as_in_the_language(tag: str, share: str, count: str) -> None:
    """With plain spaces, without marks that nobody sees."""
    native = CATALOGUE.language(tag)
    assert percent(0.4, native) == share
    assert number(12_345, native) == count


def test_an_unknown_region_writes_figures_like_its_language() -> None:
    """Schools name regions that no table has."""
    assert percent(0.4, replace(EN, tag="en-Nowhereland")) == "40%"
