"""What learners have achieved, each thing once. Which things there are is not known here. In the session's school."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from db.models_learning import Achievement


async def earned(session: AsyncSession, learner_id: UUID, *, but_with: UUID | None = None) -> frozenset[str]:
    """The ids of everything the learner has achieved; what was achieved with the call ``but_with`` is left out."""
    found = select(Achievement.achievement).where(Achievement.learner_id == learner_id)
    if but_with is not None:
        found = found.where(Achievement.call_id.is_distinct_from(but_with))
    return frozenset(await session.scalars(found))


async def of_call(session: AsyncSession, call_id: UUID) -> list[str]:
    """The ids of what was achieved with a call, to be told with it."""
    found = select(Achievement.achievement).where(Achievement.call_id == call_id)
    return list(await session.scalars(found.order_by(Achievement.achievement)))


async def put(
    session: AsyncSession,
    *,
    school_id: UUID,
    learner_id: UUID,
    call_id: UUID,
    achievements: Iterable[str],
    at: datetime,
) -> list[str]:
    """Keeps what was achieved with a call and returns what of it is new, in its order."""
    fresh = []
    for achievement in dict.fromkeys(achievements):
        row = insert(Achievement).values(
            learner_id=learner_id, achievement=achievement, school_id=school_id, call_id=call_id, at=at
        )
        kept = row.on_conflict_do_nothing(index_elements=[Achievement.learner_id, Achievement.achievement])
        if await session.scalar(kept.returning(Achievement.achievement)) is not None:
            fresh.append(achievement)
    return fresh
