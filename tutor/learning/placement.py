"""How far a learner is, judged by what they got done: a rating that follows each call, and a level that follows calmly.

Errors never enter. One rating belongs to one learner and one language. Pure: knows no database, no clock and no menu;
nothing here is told to a learner as a number, and nothing of it is a CEFR claim.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from tutor.learning.facts import LEAST_TURNS
from tutor.script.level import LEVELS
from tutor.script.scenario import Scenario

BOUNDARIES = (-2.0, -0.7, 0.7, 2.0, 3.3)
"""Where one level becomes the next, in logits (tutoring.md §3.7). The last one, C1 to C2, is ours: as far again."""

BAND = 1.3
"""How wide the open bands at both ends are taken to be, in logits: like the others."""

THETA_LIMIT = 5.0
"""A rating stays within this of zero; the scenes reach from -2.9 to +3.1."""

SLOPE = 1.5
"""How sharply success depends on the distance between learner and scene (§3.7)."""

STEP_DECAY = 0.05
FIRST_STEPS = 1.5
PROVISIONAL_CALLS = 4
"""In the first four rated calls a step is half as large again, and the level follows the rating at once (§3.7)."""

MARGIN = 0.3
RUN = 2
"""Afterwards a step needs two rated calls in a row this far beyond the boundary (§3.7)."""

CALLS_A_STEP = 3
"""Never more than one step in so many rated calls (§3.7)."""

ASK_AGAIN_CALLS = 10
"""Who chose to stay is asked again after so many rated calls at the earliest. Ours: two weeks of daily practice."""

IDLE = timedelta(days=30)
"""After each such pause what is known counts half, so that the next calls move the rating more (§3.7)."""

SUPPORT_COST = 0.05
MOST_SUPPORT_COST = 0.4
"""What help takes off an outcome: little, and never more than two fifths (§3.7)."""

ITEM_PLAYS = 30
ITEM_STEP = 0.1
ITEM_LIMIT = 1.0
"""A scene's difficulty moves after 30 rated plays, by a tenth of the surprise (§3.7), within a level's width (ours)."""

RATED_ENDS = frozenset({"role", "key", "silence", "limit", "caller_hung_up"})
"""Ends that leave a call to be judged; after all others the line, the model or a safety rule took it away."""

LevelName = Literal["A1", "A2", "B1", "B2", "C1", "C2"]
_Count = Annotated[int, Meta(ge=0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """What is known of one learner in one language. Unless said otherwise counts are of rated calls."""

    theta: Annotated[float, Meta(ge=-THETA_LIMIT, le=THETA_LIMIT)]
    """On the logit scale of the scenes' difficulty, -5 to +5."""
    level: LevelName
    calls: _Count = 0
    experience: _Count = 0
    """The *n* of ``K(n)``: ``calls``, halved for each 30 days of pause."""
    above: _Count = 0
    below: _Count = 0
    """Calls in a row after which the rating was beyond the upper or lower boundary of the level by the margin."""
    since_step: _Count = 0
    """Calls since the level last changed, or since the beginning."""
    since_stay: _Count | None = None
    """Calls since the learner chose to stay on this level; None: they did not."""
    settled: bool = False
    """Whether somebody set the level, which ends the provisional calls."""
    locked: bool = False
    """Whether a teacher keeps the level where it is; the rating goes on."""
    rated_at: datetime | None = None

    @classmethod
    def start(cls, level: str) -> Rating:
        """Before the first call, in the middle of a level.

        Raises:
            ValueError: there is no such level.
        """
        return cls(theta=middle(level), level=_level(level))

    @classmethod
    def read(cls, kept: Mapping[str, Any]) -> Rating:
        """From what ``write`` gave.

        Raises:
            ValueError: a field is missing or out of its range; the message names it.
        """
        return msgspec.convert(kept, cls)

    def write(self) -> dict[str, Any]:
        """As JSON values."""
        return dict(msgspec.to_builtins(self))

    @property
    def provisional(self) -> bool:
        """Whether the level still follows the rating at once."""
        return not self.settled and self.calls < PROVISIONAL_CALLS

    @property
    def ready_for(self) -> str | None:
        """The next level, when the learner should be asked whether they want it; None: do not ask."""
        at = LEVELS.index(self.level) + 1
        asked = self.since_stay is not None and self.since_stay < ASK_AGAIN_CALLS
        if self.locked or asked or self.above < RUN or self.since_step < CALLS_A_STEP or at == len(LEVELS):
            return None
        return LEVELS[at]

    @property
    def serves(self) -> str:
        """The level whose scenes are offered: the one below already before a step down, which is never announced."""
        at = LEVELS.index(self.level)
        return LEVELS[at - 1] if self.below and not self.locked and at else self.level


def level_at(theta: float) -> str:
    """The level of a rating; a boundary belongs to the level above it."""
    return LEVELS[bisect_right(BOUNDARIES, theta)]


def middle(level: str) -> float:
    """The middle of a level's band.

    Raises:
        ValueError: there is no such level.
    """
    at = LEVELS.index(_level(level))
    low = BOUNDARIES[at - 1] if at else BOUNDARIES[0] - BAND
    high = BOUNDARIES[at] if at < len(BOUNDARIES) else BOUNDARIES[-1] + BAND
    return (low + high) / 2


def goal_weights(scenario: Scenario, reached: Collection[str]) -> tuple[float, float]:
    """The weight of what was reached and of all there was to reach; optional goals are in neither."""
    needed = [goal for goal in scenario.goals if not goal.optional]
    return sum(goal.weight for goal in needed if goal.id in reached), sum(goal.weight for goal in needed)


def outcome(done_weight: float, all_weight: float, support_index: float) -> float:
    """What a call came to, 0 to 1: the share of the goals, less a little for help.

    Args:
        done_weight: the weight of the goals reached, 0 or more.
        all_weight: the weight of all that count, above 0.
        support_index: help per goal as the measures count it, 0 or more.

    Raises:
        ValueError: a number is out of its range.
    """
    if not (0 <= done_weight < math.inf and 0 < all_weight < math.inf and support_index >= 0):
        raise ValueError(f"An outcome needs goals and no negative number, not {done_weight}/{all_weight}.")
    return min(1.0, done_weight / all_weight) * (1 - min(MOST_SUPPORT_COST, SUPPORT_COST * support_index))


def rateable(*, learner_turns: int, end_reason: str, noisy: bool) -> bool:
    """Whether a call says enough to be rated: four turns of the learner, a quiet line, and an end that was theirs."""
    return learner_turns >= LEAST_TURNS and end_reason in RATED_ENDS and not noisy


def expected(theta: float, b: float) -> float:
    """The outcome to be expected of a learner in a scene of difficulty ``b``, 0 to 1, both in logits."""
    return 1 / (1 + math.exp(-SLOPE * (theta - b)))


def rated(rating: Rating, result: float, b: float, at: datetime) -> Rating:
    """The rating after one more call.

    Args:
        rating: before it.
        result: see ``outcome``.
        b: the scene's difficulty, see ``Difficulty.of``.
        at: when the call was, aware.

    Raises:
        ValueError: ``result`` is not within 0 and 1.
    """
    _within_one(result)
    experience = _after_pause(rating, at)
    step = (FIRST_STEPS if rating.calls < PROVISIONAL_CALLS else 1.0) / (1 + STEP_DECAY * experience)
    theta = rating.theta + step * (result - expected(rating.theta, b))
    theta = min(THETA_LIMIT, max(-THETA_LIMIT, theta))
    follows = rating.provisional and not rating.locked
    low, high = _band(rating.level)
    above = rating.above + 1 if theta > high + MARGIN and not follows else 0
    below = rating.below + 1 if theta < low - MARGIN and not follows else 0
    since_step = rating.since_step + 1
    after = Rating(
        theta=theta,
        level=rating.level,
        calls=rating.calls + 1,
        experience=experience + 1,
        above=above,
        below=below,
        since_step=since_step,
        since_stay=None if rating.since_stay is None else rating.since_stay + 1,
        settled=rating.settled,
        locked=rating.locked,
        rated_at=at if rating.rated_at is None else max(at, rating.rated_at),
    )
    if follows:
        return _stepped(after, level_at(theta))
    if below >= RUN and since_step >= CALLS_A_STEP and not rating.locked:
        return _stepped(after, LEVELS[LEVELS.index(rating.level) - 1])
    return after


def answered(rating: Rating, yes: bool) -> Rating:
    """The rating after the learner was asked about ``ready_for``; saying nothing is staying.

    A late or repeated answer, when nothing is asked any more, changes nothing.
    """
    level = rating.ready_for
    if level is None:
        return rating
    return _stepped(rating, level) if yes else replace(rating, since_stay=0)


def set_level(rating: Rating, level: str, *, locked: bool = False) -> Rating:
    """The rating after a teacher, or the learner, chose the level: it begins in its middle and the trial is over.

    Args:
        rating: before it.
        level: the new one.
        locked: whether it stays whatever happens, until ``unlocked``.

    Raises:
        ValueError: there is no such level.
    """
    name = _level(level)
    low, high = _band(name)
    theta = rating.theta if low <= rating.theta < high else middle(name)
    chosen = replace(rating, theta=theta, level=name, above=0, below=0, since_step=0, since_stay=None)
    return replace(chosen, settled=True, locked=locked)


def unlocked(rating: Rating) -> Rating:
    """The rating once its level may change again, by one step at a time."""
    return replace(rating, locked=False, settled=True)


@dataclass(frozen=True, slots=True)
class Difficulty:
    """What playing a scene has taught about its difficulty, in one school."""

    plays: _Count = 0
    """Rated ones."""
    offset: Annotated[float, Meta(ge=-ITEM_LIMIT, le=ITEM_LIMIT)] = 0.0
    """Added to the scene's own difficulty, in logits."""

    @classmethod
    def read(cls, kept: Mapping[str, Any]) -> Difficulty:
        """From what ``write`` gave.

        Raises:
            ValueError: a field is out of its range; the message names it.
        """
        return msgspec.convert(kept, cls)

    def write(self) -> dict[str, Any]:
        """As JSON values."""
        return dict(msgspec.to_builtins(self))

    def of(self, scenario: Scenario) -> float:
        """The scene's difficulty *b* as it has shown itself; the catalogue's own (``Scenario.difficulty``) at first."""
        return scenario.difficulty + self.offset


def played(difficulty: Difficulty, result: float, theta: float, b: float) -> Difficulty:
    """What is known of a scene after one more rated play; the first thirty are only counted.

    Args:
        difficulty: before it.
        result: see ``outcome``.
        theta: the learner's rating before the call.
        b: the scene's difficulty in the call, see ``Difficulty.of``.

    Raises:
        ValueError: ``result`` is not within 0 and 1.
    """
    _within_one(result)
    if difficulty.plays < ITEM_PLAYS:
        return replace(difficulty, plays=difficulty.plays + 1)
    offset = difficulty.offset - ITEM_STEP * (result - expected(theta, b))
    return Difficulty(difficulty.plays + 1, min(ITEM_LIMIT, max(-ITEM_LIMIT, offset)))


def _stepped(rating: Rating, level: str) -> Rating:
    """The rating on a level; counts begin anew when it is another one."""
    if level == rating.level:
        return rating
    return replace(rating, level=_level(level), above=0, below=0, since_step=0, since_stay=None)


def _after_pause(rating: Rating, at: datetime) -> int:
    """How many calls still count, after the pause before this one."""
    if rating.rated_at is None:
        return rating.experience
    return rating.experience >> max(0, (at - rating.rated_at) // IDLE)


def _band(level: str) -> tuple[float, float]:
    at = LEVELS.index(level)
    edges = (-math.inf, *BOUNDARIES, math.inf)
    return edges[at], edges[at + 1]


def _level(name: str) -> LevelName:
    try:
        known: LevelName = msgspec.convert(name, LevelName)
    except msgspec.ValidationError:
        raise ValueError(f"There is no level {name}; there are {', '.join(LEVELS)}.") from None
    return known


def _within_one(result: float) -> None:
    if not 0 <= result <= 1:
        raise ValueError(f"An outcome lies within 0 and 1, not {result}.")
