"""What the role noted of a learner's errors in their last calls, for whoever looks for patterns in it."""

from __future__ import annotations

from collections import defaultdict
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from db.models import Call, CallEvent, Turn
from tutor.learning.patterns import CallNotes

CALLS = 10
"""Five calls, and the five before them (tutoring.md §1A row 96)."""


async def of_learner(session: AsyncSession, learner_id: UUID, *, limit: int = CALLS) -> list[CallNotes]:
    """The notes of the learner's last calls, the newest last; in the session's school."""
    latest = (
        select(Call.id)
        .where(Call.learner_id == learner_id, Call.state == "closed", Call.connected_at.is_not(None))
        .order_by(Call.started_at.desc(), Call.id)
        .limit(limit)
    )
    ids = list(await session.scalars(latest))
    counted = (
        select(Turn.call_id, func.count())
        .where(Turn.call_id.in_(ids), Turn.speaker == "learner")
        .group_by(Turn.call_id)
    )
    turns = {row[0]: row[1] for row in await session.execute(counted)}
    noted = select(CallEvent).where(CallEvent.call_id.in_(ids), CallEvent.kind == "error_note")
    notes: defaultdict[UUID, list[CallEvent]] = defaultdict(list)
    for event in await session.scalars(noted.order_by(CallEvent.ordinal)):
        notes[event.call_id].append(event)
    return [CallNotes.of(turns.get(call_id, 0), notes[call_id]) for call_id in reversed(ids)]
