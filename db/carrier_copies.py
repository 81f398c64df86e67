"""What the carrier keeps of somebody who was forgotten here: a list of its identifiers, until it has deleted them too.

An identifier says nothing to anybody but the carrier. How it is asked is not known here. In the session's school.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final, Literal, NamedTuple
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from db import jobs
from db.models_keeping import CarrierCopy

JOB: Final = "purge.carrier_copies"
"""The job that asks the carriers of one school for what is due."""

TRIED_FOR: Final = timedelta(days=30)
"""A carrier may need 14 days until a record can be deleted (its error 20009); twice that, and somebody must look."""

_FIRST_S: Final = 60.0
_LONGEST_S: Final = 6 * 3600.0

Kind = Literal["call", "message"]


class Copy(NamedTuple):
    """One thing that the carrier keeps."""

    account_sid: str
    kind: Kind
    sid: str


class Due(NamedTuple):
    """One to be asked for now."""

    copy: Copy
    attempts: int
    overdue: bool
    """Whether it has been asked for longer than ``TRIED_FOR``."""


async def add(session: AsyncSession, school_id: UUID, copies: Sequence[Copy]) -> int:
    """Puts things on the list and defers the job; returns how many were not on it."""
    if not copies:
        return 0
    rows = insert(CarrierCopy).values([{**copy._asdict(), "school_id": school_id} for copy in copies])
    added = await session.scalars(rows.on_conflict_do_nothing().returning(CarrierCopy.sid))
    await defer(session, school_id)
    return len(added.all())


async def due(session: AsyncSession, limit: int = 50) -> list[Due]:
    """What is to be asked for now, the longest waiting first."""
    overdue = (CarrierCopy.created_at < func.now() - TRIED_FOR).label("overdue")
    rows = select(CarrierCopy, overdue).where(CarrierCopy.due_at <= func.now()).order_by(CarrierCopy.due_at)
    found = (await session.execute(rows.limit(limit))).all()
    return [Due(Copy(row.account_sid, _kind(row.kind), row.sid), row.attempts, bool(late)) for row, late in found]


async def gone(session: AsyncSession, sid: str) -> None:
    """The carrier has it no longer."""
    await session.execute(delete(CarrierCopy).where(CarrierCopy.sid == sid))


async def later(session: AsyncSession, sid: str, code: int | None) -> None:
    """It is not gone yet: asked again after a minute, then after four times as long each time, up to six hours."""
    wait_s = func.least(_LONGEST_S, _FIRST_S * func.pow(4, func.least(CarrierCopy.attempts, 10)))
    waiting = update(CarrierCopy).where(CarrierCopy.sid == sid)
    await session.execute(
        waiting.values(
            attempts=CarrierCopy.attempts + 1,
            code=code,
            due_at=func.now() + func.make_interval(0, 0, 0, 0, 0, 0, wait_s),
        ).execution_options(synchronize_session=False)
    )


async def waiting(session: AsyncSession) -> int:
    """How many there are still."""
    return int(await session.scalar(select(func.count()).select_from(CarrierCopy)) or 0)


async def next_due_s(session: AsyncSession) -> float | None:
    """In how many seconds the next one is due, 0 for now; None: there is none."""
    seconds = func.extract("epoch", func.min(CarrierCopy.due_at) - func.now())
    found = await session.scalar(select(seconds))
    return None if found is None else max(0.0, float(found))


async def defer(session: AsyncSession, school_id: UUID, *, delay_s: float = 0.0) -> None:
    """Enqueues the job, no sooner than ``delay_s`` after now."""
    await jobs.defer(session, JOB, delay_s=delay_s, school_id=str(school_id))


def _kind(value: str) -> Kind:
    return "call" if value == "call" else "message"
