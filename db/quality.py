"""How well the line itself did, week by week: how soon it answered, what came from the model's cache, what was not
understood. Sums that add up, so that schools can be put together. Names nobody; in the session's school.

What is to be reached, and which groups are too small to be shown, is not known here.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from db.reports import Tally


@dataclass(slots=True)
class Week:
    """The sums of one week; two of them add up."""

    answers: Counter[int] = field(default_factory=Counter)
    """Turns by how long the answer took, in milliseconds: from the turn's detected end to our first frame."""
    gaps: Counter[int] = field(default_factory=Counter)
    """Turns by the gap that was felt, in milliseconds: from the end of the voice, so with the level's silence."""
    cached: Counter[int] = field(default_factory=Counter)
    """Calls by the share of their input tokens that came from the cache, in whole percent."""
    cached_tokens: int = 0
    input_tokens: int = 0
    breakdowns: Tally = field(default_factory=Tally)
    """Breakdowns in turns of learners, lines that were noisy and guests left out."""

    def __add__(self, other: Week) -> Week:
        return Week(
            self.answers + other.answers,
            self.gaps + other.gaps,
            self.cached + other.cached,
            self.cached_tokens + other.cached_tokens,
            self.input_tokens + other.input_tokens,
            self.breakdowns + other.breakdowns,
        )


Weeks = dict[str, Week]
"""By the Monday on which it began (``2026-11-16``)."""

_WEEK: Final = "to_char(date_trunc('week', {} AT TIME ZONE :zone), 'YYYY-MM-DD') AS week"
_OBSERVED: Final = "at >= :since AND at < :until"

# Of every turn, not of a median a call: a slow turn is one that somebody waited for.
_SPEEDS = text(
    f"SELECT {_WEEK.format('at')}, figure.name, figure.ms::int AS ms, count(*) AS turns FROM observations"  # noqa: S608 - constants alone
    " CROSS JOIN LATERAL jsonb_array_elements("
    "  CASE jsonb_typeof(measures -> 'turns') WHEN 'array' THEN measures -> 'turns' ELSE '[]' END) AS turn"
    " CROSS JOIN LATERAL (VALUES ('answer', turn ->> 'answer_ms'), ('gap', turn ->> 'gap_ms')) AS figure (name, ms)"
    f" WHERE {_OBSERVED} AND figure.ms IS NOT NULL GROUP BY 1, 2, 3"
)

_BREAKDOWNS = text(
    f"SELECT {_WEEK.format('at')}, count(DISTINCT learner_id) AS learners, sum(turns) AS turns,"  # noqa: S608
    " sum((measures ->> 'breakdown_rate')::double precision * turns) AS breakdowns FROM observations"
    f" WHERE {_OBSERVED} AND learner_id IS NOT NULL AND NOT noisy AND turns > 0"
    " AND measures ->> 'breakdown_rate' IS NOT NULL GROUP BY 1"
)

_CACHED = text(
    "SELECT week, round(100.0 * cached / given)::int AS percent, count(*) AS calls,"  # noqa: S608
    " sum(cached) AS cached, sum(given) AS given FROM ("
    f"SELECT {_WEEK.format('started_at')},"
    " coalesce((usage ->> 'text_in')::bigint, 0) + coalesce((usage ->> 'audio_in')::bigint, 0) AS given,"
    " coalesce((usage ->> 'text_cached')::bigint, 0) + coalesce((usage ->> 'audio_cached')::bigint, 0) AS cached"
    " FROM calls WHERE started_at >= :since AND started_at < :until"
    ") AS used WHERE given > 0 GROUP BY 1, 2"
)


async def weeks(session: AsyncSession, *, timezone: str, since: datetime, until: datetime) -> Weeks:
    """The sums of the session's school, of calls that began in the period; weeks without any are left out.

    Args:
        timezone: whose Mondays they are.
        since: aware, included.
        until: aware, not included.
    """
    found: Weeks = {}
    given: dict[str, Any] = {"zone": timezone, "since": since, "until": until}
    for row in await session.execute(_SPEEDS, given):
        week = found.setdefault(row.week, Week())
        (week.answers if row.name == "answer" else week.gaps)[row.ms] += row.turns
    for row in await session.execute(_BREAKDOWNS, given):
        tally = Tally(row.learners, row.breakdowns, float(row.turns))
        found.setdefault(row.week, Week()).breakdowns = tally
    for row in await session.execute(_CACHED, given):
        week = found.setdefault(row.week, Week())
        week.cached[row.percent] += row.calls
        week.cached_tokens += int(row.cached)
        week.input_tokens += int(row.given)
    return found
