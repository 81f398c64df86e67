"""How well the line itself does, by week, held against what it is to reach: for whoever runs it, and for teachers.

Puts the schools' sums together. Never for learners: a breakdown is nothing anybody is told of themselves. Names nobody;
prints nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from math import ceil
from typing import Any, Final
from zoneinfo import ZoneInfo

from db import quality, schools
from db.engine import Database
from db.models import School
from db.quality import Week, Weeks
from db.reports import Tally
from ringua.reporting import LEAST_GROUP

P50_MS: Final = 500
P95_MS: Final = 800
"""To reach, from the detected end of a turn to our first frame: the level's silence is not in it (tutoring.md §1A row
127)."""

WEEKS: Final = 8


@dataclass(frozen=True, slots=True)
class Speed:
    """How long something took over many turns; None without any."""

    turns: int
    p50_ms: int | None
    p95_ms: int | None

    @classmethod
    def of(cls, turns: Counter[int]) -> Speed:
        """The percentiles of turns by milliseconds; each is the time of a turn that there was (nearest rank)."""
        return cls(turns.total(), _percentile(turns, 50), _percentile(turns, 95))


@dataclass(frozen=True, slots=True)
class Quality:
    """The figures of one week, or of all."""

    name: str
    """The Monday on which it began, ``2026-11-16``; or ``all``."""
    answers: Speed
    """From the detected end of a turn to our first frame."""
    gaps: Speed
    """From the end of the voice to our first frame: what was felt, but for the carrier's way."""
    calls: int
    """Calls whose use of the model is known."""
    cached: float | None
    """The share of their input tokens that came from the cache, 0-1: nothing is promised of it (row 126)."""
    cached_of_a_call: float | None
    """The same of the call in the middle."""
    breakdowns: float | None
    """For each turn of a learner (row 88); None also where they were fewer than five."""

    @classmethod
    def of(cls, name: str, week: Week, breakdowns: Tally) -> Quality:
        """What may be shown of a week's sums; ``breakdowns``: those of groups that are large enough."""
        middle = _percentile(week.cached, 50)
        return cls(
            name=name,
            answers=Speed.of(week.answers),
            gaps=Speed.of(week.gaps),
            calls=week.cached.total(),
            cached=week.cached_tokens / week.input_tokens if week.input_tokens else None,
            cached_of_a_call=middle / 100 if middle is not None else None,
            breakdowns=breakdowns.part / breakdowns.whole if breakdowns.whole else None,
        )

    @property
    def in_time(self) -> bool | None:
        """Whether both goals for answers are reached; None without any."""
        if self.answers.p50_ms is None or self.answers.p95_ms is None:
            return None
        return self.answers.p50_ms <= P50_MS and self.answers.p95_ms <= P95_MS

    def write(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "week": self.name,
            "answer": _written(self.answers),
            "felt_gap": _written(self.gaps),
            "in_time": self.in_time,
            "calls": self.calls,
            "cached_input": _rounded(self.cached),
            "cached_input_of_the_median_call": _rounded(self.cached_of_a_call),
            "breakdowns_per_turn": _rounded(self.breakdowns),
        }


@dataclass(frozen=True, slots=True)
class Trend:
    """The weeks, the oldest first, and all of them together."""

    weeks: tuple[Quality, ...]
    total: Quality

    @classmethod
    def of(cls, schools_weeks: Iterable[Weeks]) -> Trend:
        """The trend of all these schools together."""
        sums: Weeks = {}
        for weeks in schools_weeks:
            for monday, week in weeks.items():
                sums[monday] = sums.get(monday, Week()) + week
        # All weeks together have the breakdowns of those that are shown: their difference would tell of the others.
        shown = {monday: _shown(week.breakdowns) for monday, week in sums.items()}
        rows = tuple(Quality.of(monday, sums[monday], shown[monday]) for monday in sorted(sums))
        return cls(rows, Quality.of("all", sum(sums.values(), Week()), sum(shown.values(), Tally())))

    def write(self) -> dict[str, Any]:
        """JSON values, with what is to be reached."""
        return {
            "aim": {"answer_p50_ms": P50_MS, "answer_p95_ms": P95_MS},
            "weeks": [week.write() for week in self.weeks],
            "all": self.total.write(),
        }


async def trend(database: Database, school: School | None = None, *, weeks: int = WEEKS, now: datetime) -> Trend:
    """How one school's line did in the last weeks, this one included, or all schools' lines.

    Args:
        weeks: how many, 1 or more.
        now: aware.
    """
    if school is not None:
        chosen = [school]
    else:
        async with database.anyone() as session:
            chosen = await schools.all(session)
    found = []
    for each in chosen:
        since = _monday(now, each.timezone) - timedelta(weeks=weeks - 1)
        async with database.school(each.id) as session:
            found.append(await quality.weeks(session, timezone=each.timezone, since=since, until=now))
    return Trend.of(found)


def _monday(now: datetime, timezone: str) -> datetime:
    """When the week began where the school is."""
    zone = ZoneInfo(timezone)
    today = now.astimezone(zone).date()
    return datetime.combine(today - timedelta(days=today.weekday()), time(), zone)


def _shown(tally: Tally) -> Tally:
    return tally if tally.learners >= LEAST_GROUP else Tally()


def _percentile(counts: Counter[int], percent: int) -> int | None:
    """The smallest value that so many percent of the counted do not exceed; None when nothing was counted."""
    left = ceil(counts.total() * percent / 100)
    for value in sorted(counts):
        left -= counts[value]
        if left <= 0:
            return value
    return None


def _written(speed: Speed) -> dict[str, int | None]:
    return {"turns": speed.turns, "p50_ms": speed.p50_ms, "p95_ms": speed.p95_ms}


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 4)
