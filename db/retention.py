"""What a school no longer may keep, found and emptied some hundred rows at a time, in the session's school.

Each function does one batch and says how many it took: a full one means that there is more. Done twice, or stopped
anywhere, the next one goes on. Times are the database's.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    delete,
    exists,
    func,
    literal,
    literal_column,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession

from db import stripping
from db.models import Base, Call, Learner, Message, Token
from db.models_pages import DebriefLink
from db.models_pins import PinTry
from db.policies import Policy

BATCH: Final = 100
"""Calls at a time: some ten thousand events, well within a statement's time."""

LEDGER_BATCH: Final = 10_000
"""Entries of the ledger at a time: they are short, and nothing hangs on them."""

SETTLED: Final = timedelta(hours=1)
"""After this long nothing is written about a call any more: its jobs are done, or were given up."""
RETURNS: Final = timedelta(minutes=15)
"""After this long nobody can go on with a call that broke off (``calls.dropped`` allows ten minutes)."""
TEXTS_RECEIVED_LAST: Final = timedelta(days=30)
PIN_TRIES_LAST: Final = timedelta(days=1)

# As the partial indexes have them, which a parameter would hide from the planner.
_WITH_WORDS: Final = text("calls.kept = 'words'")
_WITHOUT_SCENE: Final = text("calls.kept = 'words' AND calls.scenario IS NULL")
_WITH_FIGURES: Final = text("calls.kept <> 'cost'")
_RESUMABLE: Final = text("calls.resume IS NOT NULL AND calls.state = 'closed'")

# When somebody last called is the learner's own, and stays when their calls become nobody's.
_HEARD = text(
    "UPDATE learners SET heard_at = greatest(learners.heard_at, last.at) FROM ("
    " SELECT learner_id, max(started_at) AS at FROM calls WHERE id = ANY (:calls) GROUP BY learner_id"
    ") AS last WHERE learners.id = last.learner_id"
)
_FORGET_LEDGER = text("SELECT ledger_entries_forget(:limit)")
_FORGET_TEXTS_RECEIVED = text("SELECT texts_received_forget(:age)")


async def empty_words(session: AsyncSession, policy: Policy, limit: int = BATCH) -> int:
    """Empties the words of calls that ended longer ago than transcripts are kept."""
    after = max(policy.words_last, SETTLED)
    ids = await _calls(session, _ended_before(after).where(_WITH_WORDS).limit(limit))
    await stripping.empty_words(session, ids)
    return len(ids)


async def empty_menus(session: AsyncSession, limit: int = BATCH) -> int:
    """Empties calls that got no further than a menu: teachers', families', hang-ups. What they were told is over."""
    ids = await _calls(session, _ended_before(SETTLED).where(_WITHOUT_SCENE).limit(limit))
    await stripping.empty_words(session, ids)
    return len(ids)


async def leave_cost(session: AsyncSession, policy: Policy, limit: int = BATCH) -> int:
    """Leaves time and cost of calls that ended longer ago than figures are kept."""
    ids = await _calls(session, _ended_before(policy.figures_last).where(_WITH_FIGURES).limit(limit))
    await session.execute(_HEARD, {"calls": ids})
    await stripping.leave_cost(session, ids)
    return len(ids)


async def leave_cost_again(session: AsyncSession, call_id: UUID | None = None, limit: int = BATCH) -> int:
    """Takes away what was written of calls after they were forgotten: by a call that went on, or a job under way.

    Of one call, or of all that began in the last two days.
    """
    again = select(Call.id).where(Call.state == "closed", Call.kept == "cost", _has_more())
    lately = Call.started_at > func.now() - timedelta(days=2)
    ids = await _calls(session, again.where(lately if call_id is None else Call.id == call_id).limit(limit))
    await stripping.leave_cost(session, ids)
    return len(ids)


async def drop_snapshots(session: AsyncSession, limit: int = BATCH) -> int:
    """Drops what was kept to go on with calls that broke off, once nobody can: it holds what was said."""
    ids = await _calls(session, _ended_before(RETURNS).where(_RESUMABLE).limit(limit))
    dropped = update(Call).where(Call.id.in_(ids)).values(resume=None)
    await session.execute(dropped.execution_options(synchronize_session=False))
    return len(ids)


async def silent_learners(session: AsyncSession, policy: Policy, limit: int = 10) -> list[UUID]:
    """Learners of whom nothing was heard for so long that they are to be forgotten."""
    since = func.now() - policy.learners_last
    heard = exists().where(Call.learner_id == Learner.id, Call.started_at >= since)
    silent = select(Learner.id).where(func.greatest(Learner.created_at, Learner.heard_at) < since, ~heard)
    return list(await session.scalars(silent.order_by(Learner.created_at).limit(limit)))


async def drop_expired(session: AsyncSession, policy: Policy, limit: int = 1_000) -> int:
    """Deletes tokens and links that nobody can use, tries of PINs that count no more, and old notes to the school.

    Returns how many of the kind of which there were most.
    """
    now = func.now()
    wrong = func.coalesce(PinTry.locked_until, PinTry.tried_at) < now - PIN_TRIES_LAST
    # To the safeguarding contact: the others go with their call.
    notes = and_(Message.learner_id.is_(None), Message.created_at < now - policy.figures_last)
    over = ((Token, Token.expires_at <= now), (DebriefLink, DebriefLink.expires_at <= now), (PinTry, wrong))
    return max([await _drop(session, table, which, limit) for table, which in (*over, (Message, notes))])


async def drop_ledger(session: AsyncSession, limit: int = LEDGER_BATCH) -> int:
    """Deletes what was booked more than seven years ago, of every school; works in ``Database.anyone``.

    Returns how many entries went.
    """
    return int(await session.scalar(_FORGET_LEDGER, {"limit": limit}) or 0)


async def drop_texts_received(session: AsyncSession, age: timedelta = TEXTS_RECEIVED_LAST) -> int:
    """Forgets which text messages came in long ago; works in ``Database.anyone``."""
    return int(await session.scalar(_FORGET_TEXTS_RECEIVED, {"age": age}) or 0)


def _ended_before(age: timedelta) -> Select[UUID]:
    over = select(Call.id).where(Call.state == "closed", Call.ended_at < func.now() - age)
    return over.order_by(Call.ended_at)


def _has_more() -> ColumnElement[bool]:
    rows = [exists().where(table.__table__.c.call_id == Call.id) for table in stripping.OF_A_CALL]
    texts = exists().where(and_(Message.call_id == Call.id, Message.learner_id.is_not(None)))
    return or_(Call.learner_id.is_not(None), Call.caller_hash.is_not(None), Call.resume.is_not(None), texts, *rows)


async def _drop(session: AsyncSession, table: type[Base], which: ColumnElement[bool], limit: int) -> int:
    row: ColumnElement[object] = literal_column(f"{table.__tablename__}.ctid")
    some = select(row).where(which).limit(limit).with_for_update(skip_locked=True).scalar_subquery()
    gone = delete(table).where(row == func.any(func.array(some))).returning(literal(1))
    return len((await session.execute(gone.execution_options(synchronize_session=False))).all())


async def _calls(session: AsyncSession, found: Select[UUID]) -> list[UUID]:
    # Two sweeps at once take different calls, and neither waits for the other.
    return list(await session.scalars(found.with_for_update(skip_locked=True)))
