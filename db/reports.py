"""Sums for the measures of success, by the month in which learners began: additive, so that schools can be added up.

Counts learners and calls, names nobody. Groups too small to be shown are not hidden here. In the session's school.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, DOUBLE_PRECISION
from sqlalchemy.ext.asyncio import AsyncSession


@dataclass(frozen=True, slots=True)
class Tally:
    """A share of something, from so many learners; two of them add up."""

    learners: int = 0
    part: float = 0.0
    whole: float = 0.0

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.learners + other.learners, self.part + other.part, self.whole + other.whole)


Tallies = dict[str, dict[str, Tally]]
"""By month (``2026-09``), then by figure."""

LONG_CALL_TURNS: Final = 8
"""What a conversation should reach (tutoring.md §1A row 106)."""

_BEGAN: Final = (
    "began AS (SELECT learner_id, to_char(min(at) AT TIME ZONE :zone, 'YYYY-MM') AS month"
    " FROM observations WHERE learner_id IS NOT NULL GROUP BY learner_id) "
)

_CALLS = text(
    f"WITH {_BEGAN}"  # noqa: S608 - constants alone
    "SELECT month, count(DISTINCT learner_id) AS learners, count(*) AS calls, sum(turns) AS turns,"
    " count(*) FILTER (WHERE turns >= :long) AS long, count(*) FILTER (WHERE above_recommended) AS above"
    " FROM observations JOIN began USING (learner_id) GROUP BY month"
)

_CONFIDENCE = text(
    f"WITH {_BEGAN}"  # noqa: S608
    "SELECT month, count(*) AS learners, count(*) FILTER (WHERE later.answer > earlier.answer) AS rose"
    " FROM confidence_answers earlier JOIN confidence_answers later USING (learner_id) JOIN began USING (learner_id)"
    " WHERE earlier.asked_because = 'first' AND later.asked_because = 'later' GROUP BY month"
)

# Requests per turn of the learner, the mean of calls 1-3 and of calls 8-10 of everybody who has had ten in a language.
_CLARIFICATIONS = text(
    f"WITH {_BEGAN}, numbered AS ("  # noqa: S608
    " SELECT learner_id, target, clarifications::double precision / turns AS rate,"
    " row_number() OVER (PARTITION BY learner_id, target ORDER BY at, call_id) AS number"
    " FROM observations WHERE learner_id IS NOT NULL AND turns > 0 AND clarifications IS NOT NULL"
    "), compared AS ("
    " SELECT learner_id, avg(rate) FILTER (WHERE number <= 3) AS earlier,"
    " avg(rate) FILTER (WHERE number BETWEEN 8 AND 10) AS later"
    " FROM numbered GROUP BY learner_id, target HAVING count(*) >= 10"
    ") SELECT month, count(DISTINCT learner_id) AS learners, sum(earlier) AS earlier, sum(later) AS later"
    " FROM compared JOIN began USING (learner_id) GROUP BY month"
)

_COMPLETION = text(
    f"WITH {_BEGAN}"  # noqa: S608
    "SELECT month, width_bucket(difficulty, :boundaries) AS band, count(DISTINCT learner_id) AS learners,"
    " count(*) AS calls, count(*) FILTER (WHERE completed) AS completed"
    " FROM observations JOIN began USING (learner_id) GROUP BY month, band"
).bindparams(bindparam("boundaries", type_=ARRAY(DOUBLE_PRECISION)))


async def tallies(
    session: AsyncSession, *, timezone: str, boundaries: Sequence[float], bands: Sequence[str]
) -> Tallies:
    """The sums of the session's school, by the month of a learner's first observation in ``timezone``.

    The figures: ``turns`` (turns / calls), ``long_calls`` (of at least eight turns / calls), ``above`` (picks above the
    recommended level / calls), ``confidence`` (learners whose second answer was higher / who answered twice),
    ``clarifications`` (requests per turn in calls 8-10 / in calls 1-3, summed over learners and languages), and
    ``completed.A1`` and so on for each of ``bands`` (completed / calls).

    Args:
        boundaries: difficulties in logits, rising, at which one band becomes the next; one fewer than ``bands``.
    """
    found: Tallies = {}

    def put(month: str, figure: str, tally: Tally) -> None:
        found.setdefault(month, {})[figure] = tally

    zone: dict[str, Any] = {"zone": timezone}
    for row in await session.execute(_CALLS, {**zone, "long": LONG_CALL_TURNS}):
        for figure, part in (("turns", row.turns), ("long_calls", row.long), ("above", row.above)):
            put(row.month, figure, Tally(row.learners, float(part), float(row.calls)))
    for row in await session.execute(_CONFIDENCE, zone):
        put(row.month, "confidence", Tally(row.learners, float(row.rose), float(row.learners)))
    for row in await session.execute(_CLARIFICATIONS, zone):
        put(row.month, "clarifications", Tally(row.learners, float(row.later), float(row.earlier)))
    for row in await session.execute(_COMPLETION, {**zone, "boundaries": list(boundaries)}):
        put(row.month, f"completed.{bands[row.band]}", Tally(row.learners, float(row.completed), float(row.calls)))
    return found
