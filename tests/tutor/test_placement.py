"""Level and rating: by goals and help alone, quick at first, calm afterwards; and the simulation that shows it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from statistics import mean, median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tutor.learning.placement import (
    ASK_AGAIN_CALLS,
    BOUNDARIES,
    CALLS_A_STEP,
    ITEM_LIMIT,
    ITEM_PLAYS,
    PROVISIONAL_CALLS,
    THETA_LIMIT,
    Difficulty,
    Rating,
    answered,
    expected,
    goal_weights,
    level_at,
    middle,
    outcome,
    played,
    rateable,
    rated,
    set_level,
    unlocked,
)
from tutor.script.catalogue import load
from tutor.script.level import LEVELS

DAY = datetime(2026, 11, 2, 17, tzinfo=UTC)
SETTLED = Rating(theta=0.0, level="B1", calls=10, experience=10, since_step=10)
"""A learner in the middle of B1, after ten calls."""

outcomes = st.floats(0, 1)
difficulties = st.floats(-2.9, 3.1)
thetas = st.floats(-THETA_LIMIT, THETA_LIMIT)


def after(rating: Rating, results: Iterable[float], b: float | None = None) -> Rating:
    """A rating after calls with these results, a day apart; scenes as hard as the learner is good unless told."""
    for result in results:
        at = (rating.rated_at or DAY) + timedelta(days=1)
        rating = rated(rating, result, rating.theta if b is None else b, at)
    return rating


# --- what a call came to


@pytest.mark.parametrize(
    ("done", "of", "support", "result"),
    [(5, 5, 0, 1.0), (3, 5, 0, 0.6), (0, 5, 0, 0.0), (5, 5, 2, 0.9), (5, 5, 8, 0.6), (5, 5, 100, 0.6), (6, 5, 0, 1.0)],
)
def test_an_outcome_is_the_share_of_goals_less_a_little_for_help(
    done: float, of: float, support: float, result: float
) -> None:
    """Each point of support takes a twentieth off, all help together never more than two fifths."""
    assert outcome(done, of, support) == pytest.approx(result)


@pytest.mark.parametrize(("done", "of", "support"), [(1, 0, 0), (-1, 5, 0), (1, 5, -1), (float("nan"), 5, 0)])
def test_an_outcome_without_goals_or_with_negative_numbers_is_refused(done: float, of: float, support: float) -> None:
    """Nothing is rated by a number that cannot be."""
    with pytest.raises(ValueError, match="An outcome needs goals"):
        outcome(done, of, support)


@given(st.integers(0, 5), st.integers(0, 5), st.floats(0, 50), st.floats(0, 50))
def test_more_goals_never_come_to_less_and_more_help_never_to_more(
    one: int, other: int, helped: float, less: float
) -> None:
    """Monotone in goals and in help, and always within 0 and 1."""
    low, high = sorted((one, other))
    less, helped = sorted((less, helped))
    assert 0 <= outcome(low, 5, helped) <= outcome(high, 5, helped) <= outcome(high, 5, less) <= 1


def test_optional_goals_neither_help_nor_hurt() -> None:
    """The café has four goals that count and a thank-you that does not."""
    cafe = load().scenario("cafe_order")
    assert goal_weights(cafe, {"greet", "price", "goodbye"}) == (2, 4)
    assert goal_weights(cafe, {"greet", "price", "unknown"}) == (2, 4)


@pytest.mark.parametrize(
    ("turns", "reason", "noisy", "counts"),
    [
        (4, "role", False, True),
        (4, "caller_hung_up", False, True),
        (3, "role", False, False),
        (9, "role", True, False),
        (9, "line_lost", False, False),
        (9, "model_lost", False, False),
        (9, "safe_exit", False, False),
        (9, "care", False, False),
        (9, "", False, False),
    ],
)
def test_calls_that_say_too_little_are_not_rated(turns: int, reason: str, noisy: bool, counts: bool) -> None:
    """Four turns, a quiet line, and an end that was the learner's own or the scene's."""
    assert rateable(learner_turns=turns, end_reason=reason, noisy=noisy) is counts


# --- the rating


def test_even_odds_are_where_the_learner_is_as_good_as_the_scene_is_hard() -> None:
    """Half at the same place, four fifths one logit above it, and the other way round below."""
    assert expected(0.6, 0.6) == 0.5
    assert expected(1.6, 0.6) == pytest.approx(0.8176, abs=1e-4)
    assert expected(-0.4, 0.6) == pytest.approx(0.1824, abs=1e-4)


def test_steps_are_large_at_first_and_shrink() -> None:
    """A whole surprise of a half moves the first call by 0.75, the fifth by 0.5 / 1.2, the twenty-first by 0.25."""
    first = Rating.start("B1")
    assert rated(first, 1.0, first.theta, DAY).theta == pytest.approx(0.75)
    assert rated(replace(first, calls=4, experience=4), 1.0, 0.0, DAY).theta == pytest.approx(0.5 / 1.2)
    assert rated(replace(first, calls=20, experience=20), 1.0, 0.0, DAY).theta == pytest.approx(0.25)


@pytest.mark.parametrize(("days", "experience"), [(0, 21), (29, 21), (30, 11), (59, 11), (60, 6), (3650, 1)])
def test_a_long_pause_makes_steps_larger_again(days: int, experience: int) -> None:
    """What is known counts half after thirty idle days, a quarter after sixty; the number of calls stays."""
    rating = replace(SETTLED, calls=20, experience=20, rated_at=DAY)
    later = rated(rating, 1.0, 0.0, DAY + timedelta(days=days))
    assert (later.experience, later.calls) == (experience, 21)
    assert later.theta == pytest.approx(0.5 / (1 + 0.05 * (experience - 1)))


def test_a_call_rated_late_counts_as_no_pause() -> None:
    """An older call that is rated after a newer one leaves the newer one's day."""
    rating = replace(SETTLED, rated_at=DAY)
    late = rated(rating, 1.0, 0.0, DAY - timedelta(days=3))
    assert (late.rated_at, late.experience) == (DAY, 11)


@given(thetas, st.lists(st.tuples(outcomes, difficulties), max_size=40))
def test_a_rating_stays_within_its_bounds(theta: float, calls: list[tuple[float, float]]) -> None:
    """Whatever is played, five logits are the most, and the level is one of the six."""
    rating = Rating(theta=theta, level="B1")
    for result, b in calls:
        rating = rated(rating, result, b, DAY)
        assert abs(rating.theta) <= THETA_LIMIT
        assert rating.level in LEVELS


@given(
    st.builds(
        Rating,
        theta=thetas,
        level=st.sampled_from(LEVELS),
        calls=st.integers(0, 9),
        experience=st.integers(0, 9),
        above=st.integers(0, 3),
        below=st.integers(0, 3),
        since_step=st.integers(0, 9),
        settled=st.booleans(),
        locked=st.booleans(),
    ),
    difficulties,
    st.integers(0, 5),
    st.integers(0, 5),
)
def test_reaching_more_goals_never_lowers_rating_or_level(rating: Rating, b: float, one: int, other: int) -> None:
    """Of the same call, the one with more goals ends at least as high."""
    fewer, more = (rated(rating, outcome(goals, 5, 1), b, DAY) for goals in sorted((one, other)))
    assert fewer.theta <= more.theta
    assert LEVELS.index(fewer.level) <= LEVELS.index(more.level)
    assert fewer.above <= more.above


@pytest.mark.parametrize("result", [-0.1, 1.1, float("nan")])
def test_a_result_outside_its_range_is_refused(result: float) -> None:
    """Neither a rating nor a scene's difficulty moves by a number that cannot be."""
    with pytest.raises(ValueError, match="within 0 and 1"):
        rated(SETTLED, result, 0.0, DAY)
    with pytest.raises(ValueError, match="within 0 and 1"):
        played(Difficulty(), result, 0.0, 0.0)


# --- the level


def test_each_level_has_its_band() -> None:
    """A boundary belongs to the level above; the middle of a band lies in it."""
    assert [level_at(boundary) for boundary in BOUNDARIES] == list(LEVELS[1:])
    assert [level_at(boundary - 1e-9) for boundary in BOUNDARIES] == list(LEVELS[:-1])
    assert [level_at(middle(level)) for level in LEVELS] == list(LEVELS)
    assert [round(middle(level), 2) for level in LEVELS] == [-2.65, -1.35, 0.0, 1.35, 2.65, 3.95]


def test_the_first_four_calls_place_by_doing() -> None:
    """The level follows the rating at once, two levels in four calls, without a question; then no more."""
    rating = Rating.start("A1")
    seen = []
    for _ in range(4):
        assert rating.provisional
        rating = after(rating, [1.0], b=rating.theta)
        seen.append(rating.level)
        assert rating.ready_for is None
    assert seen == ["A2", "A2", "B1", "B1"]
    assert not rating.provisional


def test_a_step_up_is_asked_for_after_two_calls_beyond_the_margin() -> None:
    """One call beyond 0.3 above the boundary asks nothing, a second one does; yes takes one step, the level alone."""
    rating = after(replace(SETTLED, theta=0.9), [1.0])
    assert rating.theta > 0.7 + 0.3
    assert rating.ready_for is None
    rating = after(rating, [1.0])
    assert (rating.level, rating.ready_for) == ("B1", "B2")
    stepped = answered(rating, yes=True)
    assert (stepped.level, stepped.theta, stepped.ready_for) == ("B2", rating.theta, None)


def test_one_weak_call_between_takes_the_question_back() -> None:
    """The two calls must be consecutive."""
    rating = replace(SETTLED, theta=1.0, above=1)
    assert after(after(rating, [0.0]), [1.0]).ready_for is None


def test_the_same_yes_twice_is_one_step() -> None:
    """An answer when nothing is asked changes nothing."""
    ready = replace(SETTLED, theta=3.0, above=5)
    once = answered(ready, yes=True)
    assert once.level == "B2"
    assert answered(once, yes=True) == once
    assert answered(SETTLED, yes=False) == SETTLED


def test_who_stays_is_left_alone_for_ten_calls() -> None:
    """The level stays, the rating goes on, and the question comes back once."""
    rating = answered(replace(SETTLED, theta=2.0, above=2), yes=False)
    for _ in range(ASK_AGAIN_CALLS):
        assert (rating.level, rating.ready_for) == ("B1", None)
        rating = after(rating, [0.5])
    assert rating.ready_for == "B2"


def test_a_step_down_takes_two_calls_and_is_preceded_by_easier_scenes() -> None:
    """After the first call beyond the margin easier scenes are served while the level still stands."""
    rating = after(replace(SETTLED, theta=-0.9), [0.0])
    assert (rating.level, rating.serves, rating.below) == ("B1", "A2", 1)
    rating = after(rating, [0.0])
    assert (rating.level, rating.serves, rating.ready_for) == ("A2", "A2", None)


def test_there_is_nothing_below_the_first_level_and_nothing_above_the_last() -> None:
    """However a learner does at A1 or C2, the level is one of the six and nothing is asked."""
    lowest = after(replace(SETTLED, theta=-4.0, level="A1"), [0.0] * 6)
    assert (lowest.level, lowest.serves, lowest.below) == ("A1", "A1", 0)
    highest = after(replace(SETTLED, theta=4.8, level="C2"), [1.0] * 6)
    assert (highest.level, highest.ready_for, highest.above) == ("C2", None, 0)


def test_the_next_step_is_three_calls_away() -> None:
    """However far beyond the next boundary the rating is: after two calls nothing happens, after the third it does."""
    up = answered(replace(SETTLED, theta=4.0, above=2), yes=True)
    assert [after(up, [0.5] * calls).ready_for for calls in (2, 3)] == [None, "C1"]
    down = after(replace(SETTLED, theta=-4.0, below=1), [0.5])
    assert [after(down, [0.5] * calls).level for calls in (0, 2, 3)] == ["A2", "A2", "A1"]


@given(st.lists(st.tuples(outcomes, difficulties, st.booleans()), max_size=60))
def test_never_more_than_one_step_in_three_calls(calls: list[tuple[float, float, bool]]) -> None:
    """Once the first four calls are over, whatever happens and however eagerly is said yes."""
    rating = Rating(theta=0.0, level="B1", calls=4, experience=4, since_step=4)
    steps = [-CALLS_A_STEP]
    for at, (result, b, yes) in enumerate(calls):
        before = rating.level
        rating = answered(rated(rating, result, b, DAY), yes)
        if rating.level != before:
            assert abs(LEVELS.index(rating.level) - LEVELS.index(before)) == 1
            steps.append(at)
    assert all(later - earlier >= CALLS_A_STEP for earlier, later in pairwise(steps))


# --- what a teacher may do


def test_a_locked_level_stays_and_the_rating_goes_on() -> None:
    """Neither the trial nor a run moves it, and nothing is asked; unlocked, it goes on by one step."""
    rating = set_level(Rating.start("A1"), "A2", locked=True)
    rating = after(rating, [1.0] * 8)
    assert (rating.level, rating.ready_for, rating.serves) == ("A2", None, "A2")
    assert rating.theta > 0.7
    assert unlocked(rating).ready_for == "B1"
    assert after(set_level(SETTLED, "B1", locked=True), [0.0] * 8).serves == "B1"


def test_a_level_that_was_set_is_kept_for_three_calls_and_the_rating_follows_it() -> None:
    """The trial is over; the rating begins in the middle of the new level unless it lies there already."""
    rating = set_level(Rating.start("A1"), "B2")
    assert rating.theta == pytest.approx(1.35)
    assert (rating.level, rating.provisional) == ("B2", False)
    assert after(rating, [0.0] * 2).level == "B2"
    assert set_level(replace(SETTLED, theta=0.5), "B1").theta == 0.5


def test_a_level_that_does_not_exist_is_refused_with_those_that_do() -> None:
    """Whoever mistypes a level reads which there are."""
    for ask in (lambda: Rating.start("A0"), lambda: set_level(SETTLED, "A0"), lambda: middle("A0")):
        with pytest.raises(ValueError, match=r"There is no level A0; there are A1, A2, B1, B2, C1, C2\."):
            ask()


# --- as it is kept


@pytest.mark.parametrize("rating", [Rating.start("A1"), replace(SETTLED, since_stay=3, locked=True, rated_at=DAY)])
def test_a_rating_is_read_as_it_was_written(rating: Rating) -> None:
    """Through JSON values and back nothing changes."""
    assert Rating.read(rating.write()) == rating


@pytest.mark.parametrize("wrong", [{"theta": 9}, {"level": "A0"}, {"calls": -1}, {"theta": float("nan")}])
def test_a_rating_that_cannot_be_is_not_read(wrong: dict[str, object]) -> None:
    """A field out of its range is named."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Rating.read({**SETTLED.write(), **wrong})


# --- how hard a scene is


def test_a_scene_is_as_hard_as_the_catalogue_says_for_thirty_plays() -> None:
    """The first thirty are only counted."""
    cafe = load().scenario("cafe_order")
    difficulty = Difficulty()
    for _ in range(ITEM_PLAYS):
        difficulty = played(difficulty, 0.0, 3.0, -2.65)
    assert difficulty == Difficulty(30, 0.0)
    assert difficulty.of(cafe) == cafe.difficulty == pytest.approx(-2.65)


def test_a_scene_in_which_learners_do_worse_than_expected_becomes_harder() -> None:
    """By a tenth of the surprise; and easier the other way round."""
    known = Difficulty(30)
    assert played(known, 0.0, 0.0, 0.0).offset == pytest.approx(0.05)
    assert played(known, 1.0, 0.0, 0.0).offset == pytest.approx(-0.05)


@given(st.lists(st.tuples(outcomes, thetas), max_size=200))
def test_a_scene_stays_within_a_logit_of_what_was_planned(plays: list[tuple[float, float]]) -> None:
    """Whoever plays it and however it goes, and it is read as it was written."""
    difficulty = Difficulty(ITEM_PLAYS)
    for result, theta in plays:
        difficulty = played(difficulty, result, theta, difficulty.offset)
    assert abs(difficulty.offset) <= ITEM_LIMIT
    assert Difficulty.read(difficulty.write()) == difficulty


# --- the simulation of tutoring.md §3.7

LEARNERS = 2_000
FORM = 0.4
"""How much a learner's form varies from call to call, in logits. The reference says "noisy" and no more."""


@dataclass(frozen=True)
class Seen:
    """What became of one simulated learner."""

    levels: tuple[str, ...]
    """Before the first call and after each."""

    def changes(self, since: int = 0) -> int:
        """How often the level changed after that many calls."""
        kept = self.levels[since:]
        return sum(one != other for one, other in pairwise(kept))

    def calls_until(self, level: str) -> int:
        """After how many calls the level was that one; the whole length and one more if it never was."""
        return self.levels.index(level) if level in self.levels else len(self.levels)


def simulate(
    able: float, begin: tuple[float, float], calls: int, *, naive: bool = False, trial: bool = True
) -> list[Seen]:
    """2,000 learners of one ability who play five goals a call in scenes spread over the band of the level served.

    Each goal is reached with the odds of the model, at the ability of the day. They say yes when they are asked.

    Args:
        able: their ability, in logits.
        begin: between which ratings they begin, evenly spread.
        calls: how many they make, a day apart.
        naive: whether the level simply is that of the rating.
        trial: whether the first four calls are provisional; else neither does the level follow the rating at once in
            them, nor are their steps larger.
    """
    random = Random(2026)
    seen = []
    for _ in range(LEARNERS):
        theta = random.uniform(*begin)
        rating = Rating.read({"theta": theta, "level": level_at(theta), "calls": 0 if trial else PROVISIONAL_CALLS})
        levels: list[str] = [rating.level]
        for call in range(calls):
            served = levels[-1] if naive else rating.serves
            b = middle(served) + random.uniform(-0.65, 0.65)
            p = expected(able + random.gauss(0, FORM), b)
            goals = sum(random.random() < p for _ in range(5))
            rating = answered(rated(rating, outcome(goals, 5, 0), b, DAY + timedelta(days=call)), yes=True)
            levels.append(level_at(rating.theta) if naive else rating.level)
        seen.append(Seen(tuple(levels)))
    return seen


BOUNDARY = -0.7
AROUND = middle("A2"), middle("B1")


def test_a_learner_on_a_boundary_would_be_moved_all_the_time_by_a_naive_rule() -> None:
    """Some six changes of level in thirty calls (the reference has 5.8), if the level were that of the rating."""
    seen = simulate(BOUNDARY, AROUND, 30, naive=True)
    assert mean(learner.changes() for learner in seen) == pytest.approx(5.8, abs=0.4)


def test_a_learner_on_a_boundary_is_rarely_moved() -> None:
    """One and a half changes in thirty calls, a quarter of them after the fourth (the reference has 1.5 and 0.3)."""
    seen = simulate(BOUNDARY, AROUND, 30)
    assert mean(learner.changes() for learner in seen) == pytest.approx(1.5, abs=0.15)
    assert mean(learner.changes(since=4) for learner in seen) == pytest.approx(0.3, abs=0.1)


@pytest.mark.parametrize(("begins", "belongs"), [("A1", "B1"), ("B1", "A1")])
def test_a_learner_placed_two_levels_off_is_right_by_the_fourth_call(begins: str, belongs: str) -> None:
    """That is the median, upwards and downwards."""
    seen = simulate(middle(belongs), (middle(begins), middle(begins)), 6)
    assert median(learner.calls_until(belongs) for learner in seen) <= 4


@pytest.mark.parametrize(("begins", "belongs"), [("A1", "B1"), ("B1", "A1"), ("A2", "B2")])
def test_without_the_provisional_calls_being_right_takes_three_times_as_long(begins: str, belongs: str) -> None:
    """The median is 13 or 14 calls (the reference has 13 to 20): the trial is needed.

    With its larger first steps alone, while the level already has to be asked for, it would be ten or eleven.
    """
    seen = simulate(middle(belongs), (middle(begins), middle(begins)), 22, trial=False)
    assert 13 <= median(learner.calls_until(belongs) for learner in seen) <= 20


def test_a_learner_in_the_middle_of_a_level_is_left_there() -> None:
    """Seven in a hundred see one change after the fourth call."""
    seen = simulate(middle("B1"), (middle("B1"), middle("B1")), 30)
    assert mean(learner.changes(since=4) for learner in seen) == pytest.approx(0.07, abs=0.03)
