"""A call's row from the first webhook to its end: admission, the menu's steps, its streams, resumption.

How a call is closed is in ``endings.py``. State lives here at every point where a process may die, and each change is
one statement that can be repeated or lost without harm. Times are the database's, so that machines need not agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Update, func, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from db.limits import Payer
from db.models import Call

FRESH_S = 120.0
"""A call counts for admission while its last sign of life is younger than this; drivers give one every 30 s."""

TERMINAL = frozenset({"completed", "busy", "failed", "no-answer", "canceled"})
"""The carrier's last words about a call: nothing it says later counts."""

LONGEST_CALL = timedelta(hours=4)
"""The carrier ends a call after it; older ones need not be looked at."""

_COUNTED = ("menu", "connecting", "live")

_SLOTS_LOCK = 7_101_002
"""The advisory lock under which slots are counted and taken."""

_LOCK_SLOTS = text("SELECT pg_advisory_xact_lock(:lock)")
_COUNT_LIVE = text("SELECT call_count_live(:fresh)")
_BY_SID = text("SELECT * FROM call_by_carrier_sid(:carrier_sid)")


class NoSlot(Exception):
    """As many calls are going on as may."""


@dataclass(frozen=True, slots=True)
class CallFound:
    """Where a carrier's call is: enough to open its school."""

    school_id: UUID
    call_id: UUID


async def live_count(session: AsyncSession) -> int:
    """How many calls hold a slot now, of all schools: in menu, connecting or live, and heard of within ``FRESH_S``."""
    return int(await session.scalar(_COUNT_LIVE, {"fresh": timedelta(seconds=FRESH_S)}) or 0)


async def open_call(
    session: AsyncSession,
    *,
    school_id: UUID,
    line_id: UUID,
    carrier_sid: str,
    account_sid: str,
    max_calls: int,
    caller_hash: bytes | None = None,
    learner_id: UUID | None = None,
    level: str | None = None,
    class_prompt_version: int | None = None,
) -> Call:
    """Admits a call, or finds it when the carrier asks again. Raises NoSlot when ``max_calls`` hold slots already.

    The lock lasts until the transaction ends, so the transaction should do little else.
    """
    if known := await _by_sid(session, carrier_sid):
        return known
    await session.execute(_LOCK_SLOTS, {"lock": _SLOTS_LOCK})
    # The carrier's first request may have been admitted while this one waited.
    if known := await _by_sid(session, carrier_sid):
        return known
    await _require_slot(session, max_calls)
    call = Call(
        school_id=school_id,
        line_id=line_id,
        carrier_sid=carrier_sid,
        account_sid=account_sid,
        caller_hash=caller_hash,
        learner_id=learner_id,
        level=level,
        class_prompt_version=class_prompt_version,
    )
    session.add(call)
    await session.flush()
    await session.refresh(call)
    return call


async def find(session: AsyncSession, carrier_sid: str) -> CallFound | None:
    """The school and id of a carrier's call; works in ``Database.anyone``."""
    row = (await session.execute(_BY_SID, {"carrier_sid": carrier_sid})).one_or_none()
    return CallFound(row.school_id, row.call_id) if row else None


async def get(session: AsyncSession, call_id: UUID) -> Call | None:
    """The call as it is now, if of the session's school."""
    return await session.get(Call, call_id, populate_existing=True)


async def age_s(session: AsyncSession, call_id: UUID) -> float:
    """How many seconds ago a call of the session's school began, by the database's clock; 0 when there is none."""
    # Of this moment, not of the transaction's beginning: a request may have waited for another.
    age = func.extract("epoch", func.clock_timestamp() - Call.started_at)
    return float(await session.scalar(select(age).where(Call.id == call_id)) or 0.0)


async def identify(session: AsyncSession, call_id: UUID, learner_id: UUID | None) -> bool:
    """Says who is calling (None: a guest). False when the call is closed."""
    return await _changed(session, _open(call_id).values(learner_id=learner_id))


async def save_menu(session: AsyncSession, call_id: UUID, expected_step: int, menu: Mapping[str, Any]) -> bool:
    """Writes the menu's next state and counts the step, if the call is still at ``expected_step``.

    False: a repeated or late webhook; what is stored is newer, so answer from that. Also False when the call is closed.
    """
    step = _open(call_id).where(Call.step == expected_step)
    return await _changed(session, step.values(menu=dict(menu), step=Call.step + 1, heartbeat_at=func.now()))


async def begin(
    session: AsyncSession, call_id: UUID, *, scenario: str, level: str, max_calls: int | None = None
) -> bool:
    """The caller chose: the media is about to connect. False when the call is closed.

    With ``max_calls`` a call that holds no slot any more (it came back from ``after``, or was silent too long) takes
    one or raises NoSlot; without, it goes on regardless, as a call that resumes must.
    """
    if max_calls is not None:
        await session.execute(_LOCK_SLOTS, {"lock": _SLOTS_LOCK})
        if not await session.scalar(select(_holds_slot()).where(Call.id == call_id)):
            await _require_slot(session, max_calls)
    chosen = _open(call_id).values(state="connecting", scenario=scenario, level=level, heartbeat_at=func.now())
    return await _changed(session, chosen)


async def connected(session: AsyncSession, call_id: UUID) -> int | None:
    """The media stream is there. Its number (1, 2, …), by which it proves that the call is still its own.

    None when the call is closed. ``connected_at`` keeps the time of the first stream.
    """
    stream = _open(call_id).values(
        state="live",
        streams=Call.streams + 1,
        connected_at=func.coalesce(Call.connected_at, func.now()),
        heartbeat_at=func.now(),
    )
    return await session.scalar(stream.returning(Call.streams))


async def heartbeat(session: AsyncSession, call_id: UUID, *, stream: int) -> bool:
    """A sign of life; due every 30 s. False: the call is closed or another stream has it, so end this one."""
    return await _changed(session, _owned(call_id, stream).values(heartbeat_at=func.now()))


async def checkpoint(session: AsyncSession, call_id: UUID, resume: Mapping[str, Any], *, stream: int) -> bool:
    """Keeps what any process needs to go on with the conversation; after each learner turn. False as ``heartbeat``."""
    return await _changed(session, _owned(call_id, stream).values(resume=dict(resume), heartbeat_at=func.now()))


async def disconnected(session: AsyncSession, call_id: UUID, *, stream: int) -> bool:
    """The stream ended and the carrier goes on with what follows it. False as ``heartbeat``.

    Whether the call then ends, starts anew or resumes from its checkpoint is decided there, on any instance.
    """
    return await _changed(session, _owned(call_id, stream).values(state="after", heartbeat_at=func.now()))


async def carrier_status(session: AsyncSession, call_id: UUID, status: str, sequence: int) -> bool:
    """Writes what the carrier says of the call, if it is news.

    Reports come twice and out of order: a lower or equal ``sequence``, and anything after a final status, changes
    nothing and gives False.
    """
    news = update(Call).where(
        Call.id == call_id,
        Call.carrier_sequence < sequence,
        or_(Call.carrier_status.is_(None), Call.carrier_status.not_in(TERMINAL)),
    )
    return await _changed(session, news.values(carrier_status=status, carrier_sequence=sequence))


async def dropped(
    session: AsyncSession,
    *,
    line_id: UUID,
    caller_hash: bytes,
    besides: UUID | None = None,
    learner_id: UUID | None = None,
    within_s: float = 600.0,
    silent_s: float = 60.0,
) -> Call | None:
    """The caller's newest call on this line that broke off and left a checkpoint, to offer going on with it.

    ``besides`` is the call that asks, once it has a row. ``within_s`` limits the age of its last sign of life. A call
    that is not closed counts only when the carrier says it is over or it has been silent for ``silent_s``: callers of
    one switchboard share a number, and nobody may take over a conversation that is still going on.
    """
    broken = select(Call).where(
        Call.line_id == line_id,
        Call.caller_hash == caller_hash,
        Call.resume.is_not(None),
        Call.heartbeat_at > func.now() - timedelta(seconds=within_s),
        # By the index on when calls began: who calls often has hundreds.
        Call.started_at > func.now() - timedelta(seconds=within_s) - LONGEST_CALL,
        or_(
            Call.state == "closed",
            Call.carrier_status.in_(TERMINAL),
            Call.heartbeat_at < func.now() - timedelta(seconds=silent_s),
        ),
    )
    if besides is not None:
        broken = broken.where(Call.id != besides)
    if learner_id is not None:
        broken = broken.where(Call.learner_id == learner_id)
    return await session.scalar(broken.order_by(Call.started_at.desc()).limit(1))


async def listeners(session: AsyncSession, payer: Payer, *, since: datetime) -> int:
    """How often a caller of a line was offered to listen without a model, in calls that began at ``since`` or later.

    A learner is counted by themselves, others by their number; all who withhold it are one caller.
    """
    offered = select(func.count()).where(
        Call.line_id == payer.line_id,
        Call.started_at >= since,
        Call.menu["role"].astext == "listener",
        Call.learner_id == payer.learner_id
        if payer.learner_id is not None
        else Call.learner_id.is_(None) & Call.caller_hash.is_not_distinct_from(payer.caller_hash),
    )
    return int(await session.scalar(offered) or 0)


async def take_resume(session: AsyncSession, call_id: UUID) -> dict[str, Any] | None:
    """Takes the checkpoint of a closed call, once: of two who try, one gets None. An open call is closed first."""
    resume = await session.scalar(
        select(Call.resume).where(Call.id == call_id, Call.state == "closed").with_for_update()
    )
    if resume is not None:
        await session.execute(update(Call).where(Call.id == call_id).values(resume=None))
    return resume


def _open(call_id: UUID) -> Update:
    return update(Call).where(Call.id == call_id, Call.state != "closed")


def _owned(call_id: UUID, stream: int) -> Update:
    """A process that was cut off may still believe it has the call; the number of its stream tells."""
    return _open(call_id).where(Call.streams == stream)


def _holds_slot() -> ColumnElement[bool]:
    return Call.state.in_(_COUNTED) & (Call.heartbeat_at > func.now() - timedelta(seconds=FRESH_S))


async def _require_slot(session: AsyncSession, max_calls: int) -> None:
    if await live_count(session) >= max_calls:
        raise NoSlot(f"{max_calls} calls are going on")


async def _by_sid(session: AsyncSession, carrier_sid: str) -> Call | None:
    return await session.scalar(
        select(Call).where(Call.carrier_sid == carrier_sid).execution_options(populate_existing=True)
    )


async def _changed(session: AsyncSession, change: Update) -> bool:
    """Whether the statement found its row. Objects in the session are not touched: read again with ``get``."""
    quiet = change.returning(Call.id).execution_options(synchronize_session=False)
    return await session.scalar(quiet) is not None
