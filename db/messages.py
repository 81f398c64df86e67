"""Text messages on their way: one row a message, written before the carrier hears of it, moved on in single steps.

Each step is one statement that says from which state it goes, so that two processes never both take it. What a carrier
answers, and what then is to be done, is not known here. Times are the database's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Update, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from db import jobs
from db.models import Message

JOB: Final = "messages.send"
"""The job that brings one message to the carrier; run again, it goes on where it stands."""

SAFEGUARDING: Final = "safeguarding"
"""The kind of messages that go to no learner: no consent, opt-out, switch or hour of the day holds them back."""

BLOCK_LASTS: Final = timedelta(hours=1)
"""After this long one message is tried again: whoever has put the account in order need not tell us."""

_RANKS: Final = {
    "accepted": 1,
    "scheduled": 1,
    "queued": 2,
    "sending": 3,
    "sent": 4,
    "delivered": 5,
    "partially_delivered": 5,
    "undelivered": 5,
    "failed": 5,
    "canceled": 5,
    "read": 6,
}
"""The carrier's statuses in the order in which they can follow each other; among equals the first one stays."""
DELIVERED: Final = frozenset({"delivered", "partially_delivered", "read"})
UNDELIVERED: Final = frozenset({"undelivered", "failed", "canceled"})
"""Statuses that say the message will not arrive."""

# Of two messages to one number that are due at once, the second sees the first.
_LOCK_NUMBER = text("SELECT pg_advisory_xact_lock(hashtextextended('text:' || encode(:number_hash, 'hex'), 0))")
_ENOUGH = text("SELECT number_texted_enough(:number_hash, :since, :most)")
_FIND = text("SELECT * FROM message_find(:message_id, :carrier_sid)")
_BLOCK = text("SELECT * FROM sender_block(:account_sid, :sender, :code, :lasts)")
_BLOCKED = text("SELECT * FROM sender_blocked(:account_sid, :sender, :lasts)")


@dataclass(frozen=True, slots=True)
class MessageFound:
    """Where a message is: enough to open its school."""

    school_id: UUID
    message_id: UUID


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message with the age of its last attempt, in seconds."""

    message: Message
    since_attempt_s: float
    """0 when it was never attempted."""


async def add(
    session: AsyncSession,
    *,
    school_id: UUID,
    call_id: UUID,
    learner_id: UUID | None,
    account_sid: str,
    sender: str,
    kind: str,
    key: str,
    body: str,
    number_hash: bytes,
) -> bool:
    """Writes a message and, in the same transaction, the job that sends it; False when one with this key is there.

    ``sender`` is the line's number in E.164. ``learner_id`` None: to the line's safeguarding contact, with the kind
    ``SAFEGUARDING``.
    """
    row = insert(Message).values(
        school_id=school_id,
        call_id=call_id,
        learner_id=learner_id,
        account_sid=account_sid,
        sender=sender,
        kind=kind,
        key=key,
        body=body,
        number_hash=number_hash,
    )
    message_id = await session.scalar(row.on_conflict_do_nothing(index_elements=[Message.key]).returning(Message.id))
    if message_id is None:
        return False
    await defer(session, school_id, message_id)
    return True


async def defer(session: AsyncSession, school_id: UUID, message_id: UUID, *, delay_s: float = 0.0) -> None:
    """Enqueues the job that sends the message, or goes on with it, no sooner than ``delay_s`` after now."""
    await jobs.defer(session, JOB, delay_s=delay_s, school_id=str(school_id), message_id=str(message_id))


async def get(session: AsyncSession, message_id: UUID) -> Message | None:
    """The message as it is now, if of the session's school."""
    return await session.get(Message, message_id, populate_existing=True)


async def find(session: AsyncSession, *, message_id: UUID | None, carrier_sid: str) -> MessageFound | None:
    """The school of a message, by our id or by the carrier's; works in ``Database.anyone``."""
    row = (await session.execute(_FIND, {"message_id": message_id, "carrier_sid": carrier_sid})).one_or_none()
    return MessageFound(row.school_id, row.message_id) if row else None


async def known(session: AsyncSession, carrier_sids: Sequence[str]) -> set[str]:
    """Those of the carrier's identifiers that messages of the session's school have."""
    rows = await session.scalars(select(Message.carrier_sid).where(Message.carrier_sid.in_(carrier_sids)))
    return {sid for sid in rows if sid is not None}


async def texted(session: AsyncSession, number_hash: bytes, *, within: timedelta) -> bool:
    """Whether the session's school has sent this number a text for learners lately."""
    sent = select(Message.id).where(
        Message.learner_id.is_not(None),
        Message.number_hash == number_hash,
        Message.created_at > func.now() - within,
        Message.state.in_(("sent", "delivered")),
    )
    return await session.scalar(sent.limit(1)) is not None


async def enough(session: AsyncSession, number_hash: bytes, *, since: datetime, most: int) -> bool:
    """Whether a number has had ``most`` texts for learners since then, from all schools together; unclear ones count.

    Holds the number until the transaction ends, so that two messages at once are not both the last.
    """
    await session.execute(_LOCK_NUMBER, {"number_hash": number_hash})
    return bool(await session.scalar(_ENOUGH, {"number_hash": number_hash, "since": since, "most": most}))


async def lock(session: AsyncSession, message_id: UUID) -> Waiting | None:
    """The message, held until the transaction ends, so that nobody else moves it on meanwhile."""
    since_attempt = func.coalesce(func.extract("epoch", func.now() - Message.attempted_at), 0)
    row = (
        await session.execute(
            select(Message, since_attempt)
            .where(Message.id == message_id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
    ).one_or_none()
    return Waiting(row[0], float(row[1])) if row else None


async def attempt(session: AsyncSession, message_id: UUID) -> int | None:
    """Takes a new message for sending; the number of this attempt, from 1. None when somebody else has it."""
    values: dict[str, Any] = {
        "state": "sending",
        "attempts": Message.attempts + 1,
        "attempted_at": func.now(),
        # Of an earlier attempt that did not arrive.
        "carrier_sid": None,
        "status_rank": 0,
        "error_code": None,
        "sent_at": None,
    }
    taken = _from(message_id, "new").values(values)
    return await session.scalar(taken.returning(Message.attempts).execution_options(synchronize_session=False))


async def suppress(session: AsyncSession, message_id: UUID, code: int | None = None) -> bool:
    """The message is not sent. ``code`` is the carrier's reason, if it is one."""
    return await _changed(session, _from(message_id, "new").values(state="suppressed", error_code=code))


async def unsure(session: AsyncSession, message_id: UUID) -> bool:
    """The request left, and nobody knows whether the carrier took it."""
    return await _changed(session, _from(message_id, "sending").values(state="unknown"))


async def release(session: AsyncSession, message_id: UUID) -> bool:
    """The carrier has certainly not taken the message: it may be tried again."""
    return await _changed(session, _from(message_id, "sending", "unknown").values(state="new"))


async def fail(session: AsyncSession, message_id: UUID, code: int | None) -> bool:
    """The carrier has certainly not taken the message, and it is not tried again."""
    return await _changed(
        session, _from(message_id, "new", "sending", "unknown").values(state="failed", error_code=code)
    )


async def report(
    session: AsyncSession,
    message_id: UUID,
    *,
    carrier_sid: str,
    status: str,
    error_code: int | None = None,
    attempt: int | None = None,
) -> bool:
    """Writes what the carrier says of a message it took, if it is news.

    Reports come twice and out of order: what can only have been before, and what is of another ``attempt`` or of
    another carrier's message, changes nothing and gives False, as does a status nobody has heard of.
    """
    rank = _RANKS.get(status)
    if rank is None:
        return False
    state = "delivered" if status in DELIVERED else "failed" if status in UNDELIVERED else "sent"
    news = update(Message).where(
        Message.id == message_id,
        Message.status_rank < rank,
        or_(Message.carrier_sid.is_(None), Message.carrier_sid == carrier_sid),
    )
    if attempt is not None:
        news = news.where(Message.attempts == attempt)
    values: dict[str, Any] = {
        "status_rank": rank,
        "state": state,
        "carrier_sid": carrier_sid,
        "error_code": error_code,
        "sent_at": func.coalesce(Message.sent_at, func.now()),
    }
    return await _changed(session, news.values(values))


async def again(session: AsyncSession, message_id: UUID) -> bool:
    """The carrier says that the message did not arrive: it may be tried again.

    What is known of it stays until then, so that the same report, coming twice, is no news.
    """
    return await _changed(session, _from(message_id, "failed").values(state="new"))


async def block(session: AsyncSession, *, account_sid: str, sender: str, code: int) -> bool:
    """Stops the messages of a sender, or with ``sender`` empty of a whole account, for a while.

    For what only the operator can put in order: every further message would be refused as well. False when they are
    stopped already.
    """
    values = {"account_sid": account_sid, "sender": sender, "code": code, "lasts": BLOCK_LASTS}
    return await session.scalar(_BLOCK, values) is not None


async def blocked(session: AsyncSession, *, account_sid: str, sender: str) -> int | None:
    """The carrier's code for which messages of this sender are stopped now."""
    values = {"account_sid": account_sid, "sender": sender, "lasts": BLOCK_LASTS}
    code: int | None = await session.scalar(_BLOCKED, values)
    return code


def _from(message_id: UUID, *states: str) -> Update:
    return update(Message).where(Message.id == message_id, Message.state.in_(states))


async def _changed(session: AsyncSession, change: Update) -> bool:
    """Whether the statement found its row. Objects in the session are not touched: read again with ``get``."""
    quiet = change.returning(Message.id).execution_options(synchronize_session=False)
    return await session.scalar(quiet) is not None
