"""What has become better, in words ("You answer 40 % faster than last week"), and what is emerging. Positive only.

An insight needs enough calls on either side and an effect that is worth a word; without them there is silence. The
percentages are computed here and stand in sentences of the catalogue: the linter (``tutor.learning.wording``) refuses
them in what a model wrote. Pure: knows no database and no call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import mean, median
from typing import Any, Final, Literal, Protocol

from msgspec import ValidationError

from tutor.learning.facts import Facts
from tutor.learning.figures import number, percent
from tutor.learning.message import TOLD_TURNS
from tutor.learning.metrics import Measures
from tutor.script.language import Language
from tutor.script.scene import Scene

LEAST_CALLS: Final = 3
"""Calls on either side of a comparison (tutoring.md §1A row 102)."""

LEAST_EFFECT: Final = 0.10
"""The least change that is told, as a share of what it was before (row 102)."""

TOLD_SHARE: Final = 0.60
"""From here on it is told how much got across (row 92)."""

WEEK: Final = timedelta(days=7)
LATELY: Final = 5
"""Who calls too rarely for a week has the last five calls held against the five before them, as trends are (row 98)."""

STEP: Final = 5
"""Percents are told in steps of five, rounded down: more would be a precision that no call has."""

LEANING: Final = 1.0
"""A support index per goal above this, more than a keyword for each goal, leaves something to emerge."""

MOST_GROWTH: Final = 2

Kind = Literal["faster", "longer", "help", "understood"]
Period = Literal["week", "lately"]


class Measured(Protocol):
    """The measures of a call that are compared; None is not known."""

    @property
    def at(self) -> datetime: ...
    @property
    def median_latency_ms(self) -> float | None: ...
    @property
    def learner_turns(self) -> int: ...
    @property
    def support_index(self) -> float | None: ...
    @property
    def understood_share(self) -> float | None: ...
    @property
    def noisy(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Seen:
    """The measures of a call that are compared, as they were kept."""

    at: datetime
    median_latency_ms: float | None
    learner_turns: int
    support_index: float | None
    understood_share: float | None
    noisy: bool
    """Whether the line was so loud that it was told: then answers did not take as long as was measured."""

    @classmethod
    def read(cls, at: datetime, kept: Mapping[str, Any]) -> Seen | None:
        """Reads them from what ``Measures.write`` gave; None where another version wrote it: it says nothing here."""
        try:
            measures = Measures.read(kept)
        except ValidationError:
            return None
        return cls(
            at,
            measures.median_latency_ms,
            measures.learner_turns,
            measures.support_index,
            measures.understood_share,
            measures.reliability.noisy,
        )


@dataclass(frozen=True, slots=True)
class _Compared:
    """How one measure is read."""

    kind: Kind
    value: Callable[[Measured], float | None]
    typical: Callable[[Sequence[float]], float]
    falling: bool
    """Whether less is better."""


_COMPARED: Final = (
    _Compared("faster", lambda call: call.median_latency_ms, median, falling=True),
    _Compared("help", lambda call: call.support_index, mean, falling=True),
    _Compared("longer", lambda call: call.learner_turns, mean, falling=False),
    _Compared("understood", lambda call: call.understood_share, mean, falling=False),
)


@dataclass(frozen=True, slots=True)
class Insight:
    """Something that has become better."""

    kind: Kind
    period: Period
    """``week``: than last week; ``lately``: than in the calls before."""
    change: float
    """By how much, as a share of what it was before, at least ``LEAST_EFFECT``; at most 1 where less is better."""

    def sentence(self, native: Language) -> str:
        """In the learner's own language."""
        if self.kind == "help" and self.change >= 1:
            return native.say("insight.alone")
        whole = int(round(self.change * 100, 6)) // STEP * STEP
        return native.say(f"insight.{self.kind}_{self.period}", percent=percent(whole / 100, native))


def insights(history: Sequence[Measured], now: datetime) -> tuple[Insight, ...]:
    """What has become better by ``now``, the largest change first, each measure once.

    The last seven days are held against the seven before; where these have too few calls, the last five calls against
    the five before. Nothing that has become worse is found.

    Args:
        history: of one learner in one language, in any order. Calls in which nothing was said by the learner, and
            those on a noisy line, do not count; those that lack a measure do not count for it.
        now: an aware time; later calls are left out.
    """
    told = (call for call in history if call.at <= now and call.learner_turns > 0 and not call.noisy)
    calls = sorted(told, key=lambda call: call.at)
    found = [insight for compared in _COMPARED if (insight := _insight(compared, calls, now)) is not None]
    return tuple(sorted(found, key=lambda insight: -insight.change))


def _insight(compared: _Compared, calls: Sequence[Measured], now: datetime) -> Insight | None:
    known = [(call.at, value) for call in calls if (value := compared.value(call)) is not None]
    last = [value for at, value in known if at > now - WEEK]
    before = [value for at, value in known if now - 2 * WEEK < at <= now - WEEK]
    period: Period = "week"
    if min(len(last), len(before)) < LEAST_CALLS:
        values = [value for _, value in known]
        last, before, period = values[-LATELY:], values[-2 * LATELY : -LATELY], "lately"
    if min(len(last), len(before)) < LEAST_CALLS:
        return None
    was, is_now = compared.typical(before), compared.typical(last)
    if was <= 0:
        return None
    change = round((was - is_now if compared.falling else is_now - was) / was, 6)
    return Insight(compared.kind, period, change) if change >= LEAST_EFFECT else None


def ready(level: str, native: Language) -> str:
    """That a higher level may be tried; said only when the rating asks for it."""
    return native.say("insight.ready", level=level)


def success(turns: int, understood_share: float | None, native: Language) -> str:
    """How often the learner spoke, and how much of it got across when that is told; empty below eight turns.

    Args:
        turns: the learner's.
        understood_share: of these turns, 0 to 1; None when it is not known.
    """
    if turns < TOLD_TURNS:
        return ""
    count = number(turns, native)
    if understood_share is None or understood_share < TOLD_SHARE:
        return native.say("debrief.turns", count=count)
    return native.say("insight.success", count=count, percent=percent(understood_share, native))


def emerging(facts: Facts, scene: Scene) -> tuple[str, ...]:
    """Goals that are within reach: those for which help was asked, reached or not, then the rest that is needed."""
    hinted = dict.fromkeys(hint.goal for hint in facts.hints)
    rest = [goal.id for goal in scene.scenario.goals if not goal.optional and goal.id not in facts.reached]
    return tuple(dict.fromkeys((*hinted, *rest)))


def growth(latest: Measured, can_dos: Sequence[str], native: Language) -> tuple[str, ...]:
    """What is emerging, in words, at most two sentences: a goal within reach, then a way of talking.

    Args:
        latest: the latest call's measures; of a noisy line they say nothing about the way of talking.
        can_dos: what is within reach (``emerging``), as the scene says it in this language.
        native: the learner's own language.
    """
    found = [native.say("growth.can_do", can_do=can_dos[0])] if can_dos else []
    if latest.noisy:
        return tuple(found)
    if 0 < latest.learner_turns < TOLD_TURNS:
        found.append(native.say("growth.longer"))
    if latest.support_index is not None and latest.support_index > LEANING:
        found.append(native.say("growth.alone"))
    if latest.understood_share is not None and latest.understood_share < TOLD_SHARE:
        found.append(native.say("growth.clear"))
    return tuple(found[:MOST_GROWTH])
