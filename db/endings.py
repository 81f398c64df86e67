"""How a call is closed: once, with everything it left behind and the job that follows, in one transaction.

The contents come from outside; here only their writing is known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from db import flags, jobs, ledger, stripping
from db.calls import FRESH_S, CallFound
from db.engine import Database
from db.flags import NewFlag
from db.ledger import NewEntry
from db.models import Call, CallEvent, Turn

_LIST_STALE = text("SELECT * FROM call_list_stale(:silent, :limit)")


@dataclass(frozen=True, slots=True)
class NewTurn:
    """One turn as it was heard; milliseconds from the start of the media."""

    speaker: Literal["role", "learner", "helper"]
    start_ms: int
    end_ms: int
    text: str | None = None
    item_id: str | None = None
    cut: bool = False


@dataclass(frozen=True, slots=True)
class NewEvent:
    """Something else that happened, at a millisecond of the media."""

    at_ms: int
    kind: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ending:
    """All that is written when a call ends."""

    reason: str
    turns: Sequence[NewTurn] = ()
    events: Sequence[NewEvent] = ()
    usage: Mapping[str, Any] = field(default_factory=dict)
    cost_micro_usd: int | None = None
    """Where the ledger has entries of the conversation, their sum is kept instead."""
    cost_complete: bool = False
    entries: Sequence[NewEntry] = ()
    """What of it is not booked yet."""
    lost_response: bool = False
    """Whether a process died over it, so that its last response was never counted."""
    completed: bool = False
    """Whether the scenario's goals were reached."""
    resumable: bool = False
    """Whether the caller may come back and go on: keeps the checkpoint."""
    job: tuple[str, Mapping[str, Any]] | None = None
    """A job's name and arguments, enqueued exactly when the call is closed."""
    flags: Sequence[NewFlag] = ()
    """What of the call people must look at."""
    ended_at: datetime | None = None
    """None: now."""


async def finish(session: AsyncSession, call_id: UUID, ending: Ending, *, stream: int | None = None) -> bool:
    """Closes the call, exactly once; False when it is closed already, and then nothing is written.

    With ``stream`` also False when a newer stream has the call: a driver that was cut off must not close a conversation
    that goes on elsewhere. Two who finish at once queue up at the row; when the first rolls back, the second closes.
    """
    closing = update(Call).where(Call.id == call_id, Call.state != "closed")
    if stream is not None:
        closing = closing.where(Call.streams == stream)
    values: dict[str, Any] = {
        "state": "closed",
        "ended_at": ending.ended_at or func.now(),
        "end_reason": ending.reason,
        "completed": ending.completed,
        "usage": dict(ending.usage),
        "cost_micro_usd": ending.cost_micro_usd,
        "cost_complete": ending.cost_complete,
    }
    if not ending.resumable:
        values["resume"] = None
    quiet = closing.values(values).returning(Call.school_id).execution_options(synchronize_session=False)
    school_id = await session.scalar(quiet)
    if school_id is None:
        return False
    await ledger.close_call(
        session,
        call_id,
        entries=ending.entries,
        complete=ending.cost_complete,
        lost=ending.lost_response,
        usage=ending.usage,
    )
    await flags.record(session, call_id, ending.flags)
    # Asked once the row is ours: who is forgotten at this moment waits for it, or was before us.
    words = await stripping.may_keep_words(session, call_id)
    if not words and ending.resumable:
        wordless = update(Call).where(Call.id == call_id).values(resume=None)
        await session.execute(wordless.execution_options(synchronize_session=False))
    ids = {"school_id": school_id, "call_id": call_id}
    if ending.turns:
        await session.execute(
            insert(Turn),
            [
                {
                    **ids,
                    "ordinal": ordinal,
                    "speaker": turn.speaker,
                    "item_id": turn.item_id,
                    "text": turn.text if words else None,
                    "start_ms": turn.start_ms,
                    "end_ms": turn.end_ms,
                    "cut": turn.cut,
                }
                for ordinal, turn in enumerate(ending.turns)
            ],
        )
    if ending.events:
        await session.execute(
            insert(CallEvent),
            [
                {
                    **ids,
                    "ordinal": ordinal,
                    "at_ms": event.at_ms,
                    "kind": event.kind,
                    "data": dict(event.data) if words else stripping.without_words(event.data),
                }
                for ordinal, event in enumerate(ending.events)
            ],
        )
    if ending.job is not None:
        name, arguments = ending.job
        await jobs.defer(session, name, **arguments)
    return True


async def close_stale(
    database: Database,
    ending: Callable[[Call], Ending],
    *,
    older_than_s: float = FRESH_S,
    limit: int = 100,
) -> list[CallFound]:
    """Closes calls of any school whose process died: those without a sign of life for ``older_than_s``.

    ``ending`` says what a call leaves behind, from its row and its checkpoint. A call that shows life again in the
    meantime is left alone. Each call is closed for itself; when some fail, the others are closed first and an
    ExceptionGroup follows. The end is dated to the last sign of life.
    """
    silent = timedelta(seconds=older_than_s)
    async with database.anyone() as session:
        rows = (await session.execute(_LIST_STALE, {"silent": silent, "limit": limit})).all()
    closed: list[CallFound] = []
    errors: list[Exception] = []
    for row in rows:
        try:
            async with database.school(row.school_id) as session:
                still = select(Call).where(
                    Call.id == row.call_id, Call.state != "closed", Call.heartbeat_at < func.now() - silent
                )
                # Somebody else who closes it at this moment holds the row: then it needs no help.
                call = await session.scalar(still.with_for_update(skip_locked=True))
                if call is None:
                    continue
                last = ending(call)
                dated = replace(last, ended_at=last.ended_at or call.heartbeat_at)
                if await finish(session, row.call_id, dated):
                    closed.append(CallFound(row.school_id, row.call_id))
        except Exception as error:
            errors.append(error)
    if errors:
        raise ExceptionGroup(f"{len(errors)} of {len(rows)} stale calls could not be closed", errors)
    return closed
