"""Forgets a learner: one transaction, and nothing here says who they were, when they practised or what they said.

Calls stay for the accounts with their time and cost, and belong to nobody. Files and the carrier's copies follow by
jobs, deferred in the same transaction. What is left of an opt-out is its keyed hash: a promise to send no text.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from sqlalchemy import String, and_, cast, delete, func, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from db import audit, carrier_copies, guardians, jobs, recordings, stripping
from db.carrier_copies import Copy
from db.models import Base, Call, CallerIdentity, Consent, Learner, Message
from db.models_keeping import Enrolment
from db.models_learning import (
    Achievement,
    ConfidenceAnswer,
    Fact,
    LearnerProfile,
    LearnerRating,
    Observation,
    ReviewCardRow,
    SatisfactionQuestion,
    Topic,
)
from db.models_money import Budget, BudgetPeriod
from db.models_pages import DebriefLink, Guardian
from db.models_pins import Pin, PinTry
from db.retention import SETTLED

MASKED: Final = "guardian"
"""Stands in a consent that a brother or a sister still needs, for the learner it named and for the form's words."""

JOB: Final = "purge.forgotten_call"
"""The job that looks again at a call that was going on, or just over, when its learner was forgotten."""

AGAIN_S: Final = 60.0

OF_A_LEARNER: Final[tuple[type[Base], ...]] = (
    Message,
    DebriefLink,
    Observation,
    LearnerRating,
    LearnerProfile,
    ReviewCardRow,
    Topic,
    Fact,
    ConfidenceAnswer,
    SatisfactionQuestion,
    Achievement,
    Enrolment,
    Pin,
    BudgetPeriod,
    Budget,
    Guardian,
    CallerIdentity,
)
"""Tables whose rows belong to one learner and go with them."""

_CARRIERS: Final = {"CA": "call", "SM": "message", "MM": "message"}
"""How a carrier's identifiers begin."""

_FAMILIES: Final = text("calls.kept = 'words' AND calls.scenario IS NULL AND calls.menu ->> 'role' = 'family'")


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What went, in counts."""

    found: bool = False
    """Whether there was such a learner; else all of this is empty."""
    calls: int = 0
    """Calls that are nobody's now."""
    rows: Mapping[str, int] = field(default_factory=dict)
    """How many rows of each table were deleted, those with at least one."""
    recordings: int = 0
    """Files that go at once."""
    carrier_copies: int = 0
    """Calls and messages that the carrier is asked to delete too."""


async def forget_learner(session: AsyncSession, learner_id: UUID, *, actor: str = audit.SYSTEM) -> Forgotten:
    """Forgets a learner of the session's school, with everything that only they used; done twice, nothing happens.

    What others share stays theirs: a telephone's consent to texts, calls of the others from it.

    Args:
        actor: who wanted it, for the audit (``audit.LEARNER``, ``audit.COMMAND_LINE``, ``staff:`` and an id).
    """
    # Locked: a call that is just being admitted for this learner waits, and then finds nobody.
    learner = await session.scalar(select(Learner).where(Learner.id == learner_id).with_for_update())
    if learner is None:
        return Forgotten()
    school_id = learner.school_id
    numbers = await _numbers(session, learner_id)
    own = numbers - await _numbers(session, learner_id, among=numbers)
    calls = await _calls(session, learner_id, own)
    closed = [call.id for call in calls if call.state == "closed"]
    copies = await _copies(session, learner_id, calls, own)
    ended = await recordings.end_now(session, [call.id for call in calls], learner_id)
    await _unname(session, learner_id, numbers)
    rows = await stripping.leave_cost(session, closed)
    for table in OF_A_LEARNER:
        count = await _delete(session, table, learner_id)
        rows[table.__tablename__] = rows.get(table.__tablename__, 0) + count
    rows["consents"] = await _consents(session, learner_id, [call.carrier_sid for call in calls], own)
    await session.execute(delete(PinTry).where(PinTry.caller.in_(own)))
    await _let_go(session, school_id, calls)
    await session.execute(delete(Learner).where(Learner.id == learner_id))
    session.expire_all()
    forgotten = Forgotten(
        found=True,
        calls=len(calls),
        rows={name: count for name, count in rows.items() if count},
        recordings=ended,
        carrier_copies=await carrier_copies.add(session, school_id, copies),
    )
    await audit.record(
        session,
        school_id,
        actor=actor,
        action="forget",
        subject="learner",
        data={"calls": forgotten.calls, "recordings": ended, "carrier_copies": forgotten.carrier_copies},
    )
    return forgotten


@dataclass(frozen=True, slots=True)
class _Theirs:
    """A call of the learner, or of a guest at their telephone."""

    id: UUID
    state: str
    account_sid: str
    carrier_sid: str
    fresh: bool
    """Whether something may still be written about it."""


async def _numbers(session: AsyncSession, learner_id: UUID, among: Collection[bytes] | None = None) -> set[bytes]:
    """Hashes of the numbers by which the learner is known, or a guardian of theirs is or was.

    ``among``: those of them by which others are, now.
    """
    found: set[bytes] = set()
    for table in (CallerIdentity, Guardian):
        columns = table.__table__.c
        whose = columns.learner_id == learner_id
        if among is not None:
            whose = and_(columns.learner_id != learner_id, columns.number_hash.in_(among))
        found.update(await session.scalars(select(columns.number_hash).where(whose)))
    sid = guardians.carrier_sid(learner_id)
    form = Consent.carrier_sid == sid
    if among is not None:
        others = and_(Consent.carrier_sid.startswith(guardians.FORM), Consent.carrier_sid != sid)
        form = and_(Consent.number_hash.in_(among), others, Consent.ended_at.is_(None))
    found.update(await session.scalars(select(Consent.number_hash).where(form)))
    return found


async def _calls(session: AsyncSession, learner_id: UUID, own: Collection[bytes]) -> list[_Theirs]:
    fresh = or_(Call.state != "closed", Call.heartbeat_at > func.now() - SETTLED)
    found = select(Call.id, Call.state, Call.account_sid, Call.carrier_sid, fresh).where(
        or_(Call.learner_id == learner_id, and_(Call.learner_id.is_(None), Call.caller_hash.in_(own)))
    )
    rows = await session.execute(found.order_by(Call.started_at).with_for_update())
    return [_Theirs(*row) for row in rows]


async def _copies(
    session: AsyncSession, learner_id: UUID, calls: Collection[_Theirs], own: Collection[bytes]
) -> list[Copy]:
    """What the carrier keeps: each call, each text that was sent, and the texts by which somebody asked for more."""
    sent = select(Message.account_sid, Message.carrier_sid).where(Message.learner_id == learner_id)
    known = [(call.account_sid, call.carrier_sid) for call in calls]
    known += [(account, sid) for account, sid in (await session.execute(sent)) if sid is not None]
    asked = await session.scalars(select(Consent.carrier_sid).where(Consent.number_hash.in_(own)))
    accounts = [call.account_sid for call in calls][-1:]
    known += [(account, sid) for sid in asked for account in accounts]
    copies: dict[str, Copy] = {}
    for account, sid in known:
        match _CARRIERS.get(sid[:2]):
            case "call":
                copies[sid] = Copy(account, "call", sid)
            case "message":
                copies[sid] = Copy(account, "message", sid)
    return list(copies.values())


async def _unname(session: AsyncSession, learner_id: UUID, numbers: Collection[bytes]) -> None:
    """Takes the learner's name out of the menus that the others of a shared telephone heard, and out of families'."""
    heard = select(Call.id, Call.state, Call.menu).where(
        Call.caller_hash.in_(numbers), cast(Call.menu, String).contains(str(learner_id))
    )
    for call_id, state, menu in (await session.execute(heard)).all():
        # A menu that is still being heard needs the id, so that its key leads to a guest's menu.
        nobody: dict[str, str | None] = {"name": None} if state != "closed" else {"name": None, "learner": ""}
        cleared = update(Call).where(Call.id == call_id).values(menu=_without_name(menu, str(learner_id), nobody))
        await session.execute(cleared.execution_options(synchronize_session=False))
    families = list(await session.scalars(select(Call.id).where(Call.state == "closed", _FAMILIES)))
    await stripping.empty_words(session, families)


def _without_name(value: Any, learner: str, nobody: dict[str, str | None]) -> Any:
    if isinstance(value, list):
        return [_without_name(part, learner, nobody) for part in value]
    if not isinstance(value, dict):
        return value
    cleared = {name: _without_name(part, learner, nobody) for name, part in value.items()}
    return cleared | nobody if cleared.get("learner") == learner else cleared


async def _delete(session: AsyncSession, table: type[Base], learner_id: UUID) -> int:
    column = table.__table__.c.learner_id
    rows = delete(table).where(column == learner_id).returning(column)
    return len((await session.scalars(rows.execution_options(synchronize_session=False))).all())


async def _consents(
    session: AsyncSession, learner_id: UUID, carrier_sids: Collection[str], own: Collection[bytes]
) -> int:
    """Those of numbers nobody else calls from, and those given in their calls from telephones nobody is known by.

    Those on forms about them too; what a brother's or a sister's texts still go by is kept without them.
    """
    form = Consent.carrier_sid == guardians.carrier_sid(learner_id)
    needed = and_(form, Consent.ended_at.is_(None), Consent.number_hash.not_in(own))
    masked = update(Consent).where(needed).values(carrier_sid=MASKED, wording=MASKED)
    await session.execute(masked.execution_options(synchronize_session=False))
    known = select(CallerIdentity.number_hash).where(CallerIdentity.number_hash == Consent.number_hash)
    theirs = delete(Consent).where(
        or_(Consent.number_hash.in_(own), form, and_(Consent.carrier_sid.in_(carrier_sids), ~known.exists()))
    )
    gone = theirs.returning(Consent.id).execution_options(synchronize_session=False)
    return len((await session.scalars(gone)).all())


async def _let_go(session: AsyncSession, school_id: UUID, calls: Collection[_Theirs]) -> None:
    """A call that goes on is nobody's from now on; what it still writes is taken away when it is over."""
    going_on = [call.id for call in calls if call.state != "closed"]
    nobodys = update(Call).where(Call.id.in_(going_on)).values(kept="cost", learner_id=None, caller_hash=None)
    await session.execute(nobodys.execution_options(synchronize_session=False))
    for call in calls:
        if call.fresh:
            await defer_again(session, school_id, call.id)


async def defer_again(session: AsyncSession, school_id: UUID, call_id: UUID) -> None:
    """Enqueues the job that looks at the call once more, in a minute."""
    await jobs.defer(session, JOB, delay_s=AGAIN_S, school_id=str(school_id), call_id=str(call_id))
