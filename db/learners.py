"""Learners and the numbers, or names of SIP phones, by which they are recognised: hashes that nobody can read here."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid4

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from db import chains, consents, guardians
from db.models import Call, CallerIdentity, CallEvent, Learner
from db.observations import language_of

MOST_PLAYS: Final = 25
"""Of a learner that are looked at, each a page of its own on the disk: what is older says nothing about the next scene,
because one not played for two weeks is as good as new (``recommend.toml``)."""
GOALS_OF: Final = 5
"""Plays whose goals are looked at (tutoring.md §1A row 98)."""

# Two webhooks of one new caller must not make two learners.
_LOCK_NUMBER = text("SELECT pg_advisory_xact_lock(hashtextextended(encode(:number_hash, 'hex'), 0))")


async def by_number_hash(session: AsyncSession, number_hash: bytes) -> list[Learner]:
    """The learners of the session's school who call from this number, the oldest first; several may share it."""
    found = (
        select(Learner)
        .join(CallerIdentity, CallerIdentity.learner_id == Learner.id)
        .where(CallerIdentity.number_hash == number_hash)
        .order_by(Learner.created_at, Learner.id)
    )
    return list(await session.scalars(found))


async def calls_from(session: AsyncSession, learner_id: UUID, number_hash: bytes) -> bool:
    """Whether the learner is one of those who are known by this number."""
    known = select(CallerIdentity.id).where(
        CallerIdentity.learner_id == learner_id, CallerIdentity.number_hash == number_hash
    )
    return await session.scalar(known) is not None


async def get(session: AsyncSession, learner_id: UUID) -> Learner | None:
    """The learner, if of the session's school."""
    return await session.get(Learner, learner_id)


async def create(
    session: AsyncSession, *, school_id: UUID, native: str, target: str, level: str, first_name: str | None = None
) -> Learner:
    """Makes a learner whom no telephone gives away yet: a PIN says who they are, or ``add_identity`` follows."""
    learner = Learner(school_id=school_id, native=native, target=target, level=level, first_name=first_name)
    session.add(learner)
    await session.flush()
    return learner


async def create_with_number(
    session: AsyncSession,
    *,
    school_id: UUID,
    number_hash: bytes,
    last_two: str,
    native: str,
    target: str,
    level: str,
    first_name: str | None = None,
    number_encrypted: bytes | None = None,
    another: bool = False,
) -> Learner:
    """Makes a learner who is recognised by this number.

    A number that is known already gives its oldest learner back instead, so that a repeated webhook makes nobody twice;
    ``another=True`` adds one more person to a shared telephone. ``last_two`` are the number's last two digits;
    ``number_encrypted`` (``Keyring.encrypt``) only when the caller agreed to messages.
    """
    await session.execute(_LOCK_NUMBER, {"number_hash": number_hash})
    if not another and (known := await by_number_hash(session, number_hash)):
        return known[0]
    learner = await create(
        session, school_id=school_id, native=native, target=target, level=level, first_name=first_name
    )
    session.add(
        CallerIdentity(
            school_id=school_id,
            learner_id=learner.id,
            number_hash=number_hash,
            last_two=last_two,
            number_encrypted=number_encrypted,
        )
    )
    await session.flush()
    return learner


async def add_identity(session: AsyncSession, learner: Learner, number_hash: bytes, last_two: str = "") -> bool:
    """Lets a learner be recognised by one more telephone; False when they are already.

    Args:
        number_hash: of its number, or of a SIP phone's name (``Keyring``).
        last_two: the last two digits of a number; a SIP phone has none.
    """
    known = {"school_id": learner.school_id, "learner_id": learner.id, "number_hash": number_hash}
    row = insert(CallerIdentity).values(id=uuid4(), last_two=last_two, **known)
    return await session.scalar(row.on_conflict_do_nothing().returning(CallerIdentity.id)) is not None


async def drop_identity(session: AsyncSession, learner_id: UUID, number_hash: bytes) -> bool:
    """Lets a learner be recognised by a telephone no more; False when they were not.

    What a number agreed to goes with the last learner who is known by it, unless it is a guardian's: whoever has it
    next is asked anew.
    """
    gone = delete(CallerIdentity).where(
        CallerIdentity.learner_id == learner_id, CallerIdentity.number_hash == number_hash
    )
    if await session.scalar(gone.returning(CallerIdentity.id)) is None:
        return False
    if not await by_number_hash(session, number_hash) and not await guardians.is_one(session, number_hash):
        await consents.forget(session, number_hash)
    return True


async def set_message_number(session: AsyncSession, number_hash: bytes, number_encrypted: bytes | None) -> None:
    """Keeps a number for messages after its owner agreed to them; None forgets it again. In the session's school."""
    await session.execute(
        update(CallerIdentity)
        .where(CallerIdentity.number_hash == number_hash)
        .values(number_encrypted=number_encrypted)
        .execution_options(synchronize_session=False)
    )


async def message_number(session: AsyncSession, learner_id: UUID, number_hash: bytes) -> bytes | None:
    """The learner's number, encrypted, while it is kept for messages."""
    kept = select(CallerIdentity.number_encrypted).where(
        CallerIdentity.learner_id == learner_id, CallerIdentity.number_hash == number_hash
    )
    return await session.scalar(kept)


async def save_settings(session: AsyncSession, learner_id: UUID, changes: Mapping[str, Any]) -> None:
    """Puts the given settings over the saved ones; others stay as they are."""
    await session.execute(
        update(Learner)
        .where(Learner.id == learner_id)
        .values(settings=Learner.settings.concat(dict(changes)))
        .execution_options(synchronize_session=False)
    )


class Played(NamedTuple):
    """A call in which a learner talked, to whatever end."""

    scenario: str
    at: datetime
    completed: bool
    goals: frozenset[str] | None
    """Ids of the goals that were reached; None: not looked up, because the call is too long ago."""


async def plays(session: AsyncSession, learner_id: UUID, target: str) -> list[Played]:
    """The learner's calls in a language, the newest last; those that do not say which language are among them.

    Calls that went on with each other are one, the last of them, which has the goals of all.
    """
    practised = func.split_part(func.coalesce(Call.menu["target"].astext, ""), "-", 1)
    talked = (
        select(Call.id, Call.scenario, Call.connected_at, Call.completed)
        .where(
            Call.learner_id == learner_id,
            Call.connected_at.is_not(None),
            Call.scenario.is_not(None),
            practised.in_(("", language_of(target))),
            chains.last_of_its_play(),
        )
        .order_by(Call.started_at.desc(), Call.id)
        .limit(MOST_PLAYS)
    )
    rows = (await session.execute(talked)).all()
    lately = [row[0] for row in rows[:GOALS_OF]]
    reached: dict[UUID, set[str]] = {call_id: set() for call_id in lately}
    goal = CallEvent.data["goal"].astext
    marked = select(CallEvent.call_id, goal).where(CallEvent.call_id.in_(lately), CallEvent.kind == "goal")
    for call_id, name in await session.execute(marked):
        reached[call_id].add(name)
    return [
        Played(scenario, at, completed, frozenset(reached[call_id]) if call_id in reached else None)
        for call_id, scenario, at, completed in reversed(rows)
        if scenario is not None and at is not None
    ]


async def choose_languages(session: AsyncSession, learner_id: UUID, *, native: str, target: str, level: str) -> bool:
    """Keeps what a learner chose to speak and to practise, and their level in it. False: there is no such learner."""
    chosen = update(Learner).where(Learner.id == learner_id).values(native=native, target=target, level=level)
    return await session.scalar(chosen.returning(Learner.id)) is not None
