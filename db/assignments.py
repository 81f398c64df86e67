"""Assignments: the scenes a class, or everyone who calls a line, was given for some days. In the session's school.

The days are the school's, in its time zone. An assignment is somebody's until they complete its scene within its days.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import delete, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from db.models_classwork import Assignment
from db.observations import language_of

# The classes as an array, so that both indexes are used and not every assignment there is looked at.
_GIVEN = text(
    "SELECT a.scenario, a.starts_on, a.ends_on, s.timezone FROM assignments a JOIN schools s ON s.id = a.school_id"
    " WHERE (a.line_id = :line OR a.class_id = ANY (ARRAY("
    "  SELECT e.class_id FROM enrolments e JOIN classes c ON c.id = e.class_id"
    "  WHERE e.learner_id = CAST(:learner AS uuid) AND c.active)))"
    " AND (CAST(:at AS timestamptz) AT TIME ZONE s.timezone)::date BETWEEN a.starts_on AND a.ends_on"
    " AND (a.target IS NULL OR split_part(a.target, '-', 1) = :target)"
    " ORDER BY a.ends_on, a.starts_on, a.created_at, a.id"
)
# A call of which it is not known which language was practised counts for each, as in ``learners.plays``.
_COMPLETED = text(
    "SELECT k.scenario, k.connected_at FROM calls k"
    " WHERE k.learner_id = :learner AND k.started_at > :since AND k.scenario = ANY (:scenarios) AND k.completed"
    " AND k.connected_at IS NOT NULL AND split_part(coalesce(k.menu ->> 'target', ''), '-', 1) IN ('', :target)"
)


class AssignmentRefused(ValueError):
    """A scene cannot be assigned so. One sentence for a person."""


async def add(
    session: AsyncSession,
    school_id: UUID,
    *,
    scenario: str,
    starts_on: date,
    ends_on: date,
    line_id: UUID | None = None,
    class_id: UUID | None = None,
    target: str | None = None,
) -> Assignment:
    """Gives a scene to a class, or to everyone who calls a line.

    Args:
        scenario: its id; that it exists, and can be played there, is seen to by the caller.
        target: only for those who practise this language; None: for all.

    Raises:
        AssignmentRefused: it would end before it begins, or the class or line is not the school's.
        ValueError: neither a line nor a class, or both.
    """
    if (line_id is None) == (class_id is None):
        raise ValueError("An assignment is for a line or for a class.")
    if ends_on < starts_on:
        raise AssignmentRefused(f"It would end on {ends_on}, before it begins on {starts_on}: choose a later last day.")
    made = Assignment(
        school_id=school_id,
        line_id=line_id,
        class_id=class_id,
        scenario=scenario,
        target=target,
        starts_on=starts_on,
        ends_on=ends_on,
    )
    try:
        async with session.begin_nested():
            session.add(made)
    except IntegrityError as error:
        raise AssignmentRefused("There is no such class, or no such line, at this school.") from error
    return made


async def open_to(
    session: AsyncSession, *, line_id: UUID, learner_id: UUID | None, target: str, at: datetime
) -> list[str]:
    """The ids of the scenes that somebody was given for this day and has not completed yet, the soonest due first.

    Args:
        line_id: the line they call.
        learner_id: with what their classes were given; None: a guest, who has what the line's callers were given.
        target: what they practise.
        at: now, aware.
    """
    language = language_of(target)
    asked: dict[str, Any] = {"line": line_id, "learner": learner_id, "target": language, "at": at}
    given = (await session.execute(_GIVEN, asked)).all()
    if not given or learner_id is None:
        return list(dict.fromkeys(row.scenario for row in given))
    zone = ZoneInfo(given[0].timezone)
    # A call begins in its menu, perhaps the day before somebody talks in it.
    first = min(row.starts_on for row in given) - timedelta(days=1)
    since = datetime.combine(first, time(), zone)
    scenarios = [row.scenario for row in given]
    asked = {"learner": learner_id, "since": since, "scenarios": scenarios, "target": language}
    completed = [
        (row.scenario, row.connected_at.astimezone(zone).date()) for row in await session.execute(_COMPLETED, asked)
    ]
    return list(
        dict.fromkeys(
            row.scenario
            for row in given
            if not any(row.scenario == scenario and row.starts_on <= day <= row.ends_on for scenario, day in completed)
        )
    )


async def of_classes(session: AsyncSession, class_ids: Sequence[UUID]) -> list[Assignment]:
    """What these classes of the school were ever given, the oldest first."""
    found = select(Assignment).where(Assignment.class_id.in_(class_ids))
    return list(await session.scalars(found.order_by(Assignment.starts_on, Assignment.created_at)))


async def list_all(session: AsyncSession, *, since: date | None = None) -> list[Assignment]:
    """The school's assignments, the soonest due first; ``since``: without those that ended before this day."""
    found = select(Assignment).order_by(Assignment.ends_on, Assignment.starts_on, Assignment.created_at)
    return list(await session.scalars(found if since is None else found.where(Assignment.ends_on >= since)))


async def remove(session: AsyncSession, assignment_id: UUID) -> bool:
    """Takes an assignment of the school back; False when there is none."""
    gone = delete(Assignment).where(Assignment.id == assignment_id).returning(Assignment.id)
    return await session.scalar(gone) is not None
