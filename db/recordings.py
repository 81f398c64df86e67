"""The sound of calls: whether it may be kept, and until when. In the session's school.

Whoever records asks ``may_keep`` before and, in the transaction that writes the row, again; then comes the file. A file
goes before its row, so that a row is never without knowledge of a file that is still there.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from db import jobs
from db.audio_files import AudioFiles
from db.consents import AUDIO
from db.models import Call, CallerIdentity, Consent, Line
from db.models_keeping import Recording
from db.policies import of_school

JOB: Final = "purge.recording"
"""The job that deletes one recording, at the minute when it is due."""


async def may_keep(session: AsyncSession, call_id: UUID) -> timedelta | None:
    """How long the sound of this call may be kept; None: not at all.

    Only where the school's policy says so, on a line without minors, of a caller who agreed to it: the one learner of
    the number that calls. The answer holds until the transaction ends: whoever withdraws, or forgets, meanwhile waits.
    """
    hours = (await of_school(session)).audio_hours
    # The call before the consent, as those who forget lock them.
    adults = select(Call).join(Line, Line.id == Call.line_id)
    adults = adults.where(Call.id == call_id, Call.kept == "words", Line.minors == "none", ~Line.kids)
    call = await session.scalar(adults.with_for_update(read=True, of=Call).execution_options(populate_existing=True))
    if hours == 0 or call is None or call.learner_id is None:
        return None
    known = select(CallerIdentity.learner_id).where(CallerIdentity.number_hash == call.caller_hash)
    if (await session.scalars(known)).all() != [call.learner_id]:
        return None
    agreed = select(Consent.id).where(
        Consent.number_hash == call.caller_hash, Consent.kind == AUDIO, Consent.given, Consent.ended_at.is_(None)
    )
    if await session.scalar(agreed.with_for_update(read=True)) is None:
        return None
    return timedelta(hours=hours)


async def add(session: AsyncSession, call_id: UUID, lasts: timedelta) -> Recording:
    """Writes the row of a recording and, in the same transaction, the job that deletes it in time.

    ``lasts`` is what ``may_keep`` gave, 24 hours at most. The name of the file to write is in the row.

    Raises:
        LookupError: the school has no such call.
    """
    call = await session.get(Call, call_id)
    if call is None:
        raise LookupError(f"There is no call {call_id} in this school")
    row = Recording(
        school_id=call.school_id,
        call_id=call_id,
        learner_id=call.learner_id,
        path=AudioFiles.new_name(),
        expires_at=func.now() + lasts,
    )
    session.add(row)
    await session.flush()
    await session.refresh(row)
    await _defer(session, row, delay_s=lasts.total_seconds())
    return row


async def of_call(session: AsyncSession, call_id: UUID) -> list[Recording]:
    """What can still be heard of a call."""
    found = select(Recording).where(Recording.call_id == call_id, Recording.expires_at > func.now())
    return list(await session.scalars(found.order_by(Recording.created_at)))


async def due(session: AsyncSession, *, limit: int, recording_id: UUID | None = None) -> list[Recording]:
    """Recordings whose time is over, the oldest first; of one, if it is its."""
    over = select(Recording).where(Recording.expires_at <= func.now())
    if recording_id is not None:
        over = over.where(Recording.id == recording_id)
    return list(await session.scalars(over.order_by(Recording.expires_at).limit(limit)))


async def gone(session: AsyncSession, recording_id: UUID) -> None:
    """The file is gone: so is the row."""
    await session.execute(delete(Recording).where(Recording.id == recording_id))


async def end_now(session: AsyncSession, call_ids: Sequence[UUID], learner_id: UUID | None = None) -> int:
    """Ends the recordings of calls, and of a learner, whose they are no longer; a job deletes the files at once."""
    of_calls = Recording.call_id.in_(call_ids)
    theirs = of_calls if learner_id is None else of_calls | (Recording.learner_id == learner_id)
    values: dict[str, Any] = {"expires_at": func.least(Recording.expires_at, func.now()), "learner_id": None}
    ended = update(Recording).where(theirs).values(values).returning(Recording)
    rows = (await session.scalars(ended.execution_options(synchronize_session=False, populate_existing=True))).all()
    for row in rows:
        await _defer(session, row)
    return len(rows)


async def _defer(session: AsyncSession, row: Recording, *, delay_s: float = 0.0) -> None:
    await jobs.defer(session, JOB, delay_s=delay_s, school_id=str(row.school_id), recording_id=str(row.id))
