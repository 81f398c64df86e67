"""Which scene comes next, and in which order a menu offers them all.

What counts how much is data (``catalogue/recommend.toml``). Pure: knows no menu, no database and no clock, and the same
arguments always give the same order.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from tutor.learning.placement import Difficulty, Rating, expected
from tutor.script.level import LEVELS
from tutor.script.scenario import Scenario

RECENT_PLAYS = 5
"""A goal is weak when it was left open in one of so many plays and not reached since (tutoring.md §1A row 98)."""

_FILE = Path(__file__).parents[1] / "catalogue" / "recommend.toml"
_DAY_S = 86_400

_Share = Annotated[float, Meta(ge=0, le=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The whole table."""

    weak: _Share
    fit: _Share
    novelty: _Share
    interest: _Share
    """Weights; they add up to one."""
    success: Annotated[float, Meta(gt=0, lt=1)]
    """The expected outcome at which a scene fits best."""
    trial: Annotated[float, Meta(gt=0, lt=1)]
    """The same in the provisional calls."""
    stretch: _Share
    """From this expected outcome on, a scene of the next level is among those that may be recommended."""
    fresh_days: Annotated[int, Meta(gt=0)]
    """After so many days a scene is as good as new."""
    in_a_row: Annotated[int, Meta(gt=0)]
    """Whoever had a scene in so many calls running is offered the others of the level first."""
    unfinished: _Share
    """How weak a scene is at least whose last play was not completed."""
    practises: dict[str, tuple[str, ...]]
    """Kinds of error for which scenes with a tag have room."""
    topics: dict[str, tuple[str, ...]]
    """English words by which a noted topic belongs to a tag."""


@cache
def rules() -> Rules:
    """The rules of the catalogue, read once per process."""
    return msgspec.convert(tomllib.loads(_FILE.read_text(encoding="utf-8")), Rules)


@dataclass(frozen=True, slots=True)
class Play:
    """A call of this learner in the past."""

    scenario: str
    at: datetime
    """Aware."""
    completed: bool
    """Whether it reached the scene's own rule of success."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What is known of a learner that has a say in what comes next."""

    rating: Rating
    plays: Sequence[Play] = ()
    """In any order."""
    goals: Collection[str] = ()
    """Ids of weak goals, see ``weak_goals``; the same goal in another scene counts too."""
    patterns: Collection[str] = ()
    """Kinds of error that came back, as ``patterns.error_type`` writes them."""
    interests: Collection[str] = ()
    """Tags of scenes, see ``interests``."""
    difficulties: Mapping[str, Difficulty] = field(default_factory=dict)
    """By scene; those missing are as hard as the catalogue says."""


@dataclass(frozen=True, slots=True)
class Score:
    """Why a scene is recommended; all parts 0 to 1."""

    weak: float
    """How much of it practises what is weak."""
    fit: float
    """How near the expected outcome is to the one that teaches most."""
    novelty: float
    """How long ago it was played."""
    interest: float
    """How much of it is about what the learner likes."""

    @property
    def total(self) -> float:
        """The weighted sum, 0 to 1."""
        table = rules()
        return (
            table.weak * self.weak
            + table.fit * self.fit
            + table.novelty * self.novelty
            + table.interest * self.interest
        )


@dataclass(frozen=True, slots=True)
class Recommendation:
    """What a menu offers, by ids of scenes."""

    menu: tuple[str, ...]
    """What the class was given, what is due for review, the next one, the others of the level, the easier ones."""
    harder: tuple[str, ...]
    """Those above the level, the easiest first; some of them may stand in ``menu`` too."""

    @property
    def order(self) -> tuple[str, ...]:
        """Every scene once: the menu, then what is harder."""
        return tuple(dict.fromkeys((*self.menu, *self.harder)))


def recommend(
    scenarios: Iterable[Scenario],
    learned: Learned,
    *,
    now: datetime,
    assigned: Sequence[str] = (),
    due: Mapping[str, int] | None = None,
) -> Recommendation:
    """The order in which scenes are offered: assignment, due review, the next one, others (tutoring.md §5.1).

    The next one is the best of the learner's level and of those of the level above that they can probably do; among
    equals the first by id. Who has no scene at their level gets those of the nearest level below, else above.

    Args:
        scenarios: what may be offered here; free talk, which has a key of its own, is left out by the caller.
        learned: what is known of the learner.
        now: aware.
        assigned: scenes the class was given, in their order; they come first whatever they score.
        due: how many cards due for review belong to each scene; more come first.
    """
    offered = {scenario.id: scenario for scenario in scenarios}
    at = _nearest(offered.values(), LEVELS.index(learned.rating.serves))
    tired = _too_often(learned.plays)
    b = {id_: learned.difficulties.get(id_, Difficulty()).of(scenario) for id_, scenario in offered.items()}
    totals = {id_: score(scenario, learned, now=now).total for id_, scenario in offered.items()}

    def rank(id_: str) -> tuple[bool, float, str]:
        return id_ == tired, -totals[id_], id_

    def fits(id_: str) -> bool:
        low, high = _levels(offered[id_])
        stretch = low == at + 1 and expected(learned.rating.theta, b[id_]) >= rules().stretch
        return low <= at <= high or stretch

    given = [id_ for id_ in assigned if id_ in offered]
    review = sorted((id_ for id_, cards in (due or {}).items() if cards > 0 and id_ in offered), key=rank)
    review.sort(key=lambda id_: -(due or {})[id_])
    fitting = sorted(filter(fits, offered), key=rank)
    easier = sorted((id_ for id_ in offered if _levels(offered[id_])[1] < at), key=lambda id_: (-b[id_], id_))
    harder = sorted((id_ for id_ in offered if _levels(offered[id_])[0] > at), key=lambda id_: (b[id_], id_))
    return Recommendation(tuple(dict.fromkeys((*given, *review, *fitting, *easier))), tuple(harder))


def score(scenario: Scenario, learned: Learned, *, now: datetime) -> Score:
    """How well a scene suits a learner now."""
    table = rules()
    plays = [play for play in learned.plays if play.scenario == scenario.id]
    last = max(plays, key=lambda play: play.at, default=None)
    b = learned.difficulties.get(scenario.id, Difficulty()).of(scenario)
    p = expected(learned.rating.theta, b)
    wanted = table.trial if learned.rating.provisional else table.success
    away = (wanted - p) / wanted if p < wanted else (p - wanted) / (1 - wanted)
    fresh = 1.0 if last is None else (now - last.at).total_seconds() / (table.fresh_days * _DAY_S)
    return Score(
        weak=_weak(scenario, learned, last),
        fit=1 - away,
        novelty=min(1.0, max(0.0, fresh)),
        interest=_share(scenario.tags, learned.interests),
    )


def weak_goals(plays: Sequence[tuple[Scenario, Collection[str]]]) -> frozenset[str]:
    """The ids of goals that were left open in one of the last five plays and not reached since.

    Args:
        plays: each scene with the ids of the goals that were reached in it, newest last.
    """
    weak: set[str] = set()
    for scenario, reached in plays[-RECENT_PLAYS:]:
        weak |= {goal.id for goal in scenario.goals if not goal.optional}
        weak -= set(reached)
    return frozenset(weak)


def interests(topics: Iterable[str]) -> frozenset[str]:
    """The tags of scenes that noted topics ("her two dogs") belong to, by their English words."""
    said = {word for topic in topics for word in re.findall(r"\w+", topic.casefold())}
    said |= {word.removesuffix("s") for word in said} | {word.removesuffix("es") for word in said}
    return frozenset(tag for tag, words in rules().topics.items() if not said.isdisjoint(words))


def _weak(scenario: Scenario, learned: Learned, last: Play | None) -> float:
    """The share of a scene's goals that are weak, or else what is unfinished in it, joined with the share of patterns.

    Joined so that either alone counts whole and both together no more than one.
    """
    goals = _share([goal.id for goal in scenario.goals if not goal.optional], learned.goals)
    if last is not None and not last.completed:
        goals = max(goals, rules().unfinished)
    room = {kind for tag in scenario.tags for kind in rules().practises.get(tag, ())}
    return 1 - (1 - goals) * (1 - _share(tuple(learned.patterns), room))


def _too_often(plays: Iterable[Play]) -> str | None:
    """The scene of the last calls, when it was the same one in as many as may be."""
    last = sorted(plays, key=lambda play: play.at)[-rules().in_a_row :]
    scenes = {play.scenario for play in last}
    return scenes.pop() if len(last) == rules().in_a_row and len(scenes) == 1 else None


def _share(of: Sequence[str], among: Collection[str]) -> float:
    """The share of some names that are among others; 0 of none."""
    return sum(name in among for name in of) / len(of) if of else 0.0


def _levels(scenario: Scenario) -> tuple[int, int]:
    """The easiest and the hardest level a scene was written for, from 0."""
    levels = [LEVELS.index(name) for name in scenario.cefr]
    return min(levels), max(levels)


def _nearest(scenarios: Iterable[Scenario], wanted: int) -> int:
    """The level that has scenes: the one wanted, else the nearest below, else the nearest above."""
    having = {level for low, high in map(_levels, scenarios) for level in range(low, high + 1)}
    below = [level for level in having if level <= wanted]
    return max(below) if below else min(having, default=wanted)
