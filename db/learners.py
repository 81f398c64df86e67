"""Learners and the numbers by which they are recognised. Numbers come in as hashes; nobody can read them here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from db.models import Call, CallerIdentity, Learner

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
    learner = Learner(school_id=school_id, native=native, target=target, level=level, first_name=first_name)
    session.add(learner)
    await session.flush()
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


async def completed_scenarios(session: AsyncSession, learner_id: UUID) -> Counter[str]:
    """How often the learner has completed each scenario."""
    rows = await session.execute(
        select(Call.scenario, func.count())
        .where(Call.learner_id == learner_id, Call.completed, Call.scenario.is_not(None))
        .group_by(Call.scenario)
    )
    return Counter({scenario: times for scenario, times in rows if scenario is not None})


async def played_scenarios(session: AsyncSession, learner_id: UUID) -> frozenset[str]:
    """The scenarios in which the learner has talked at least once, to whatever end."""
    rows = await session.scalars(
        select(Call.scenario)
        .where(Call.learner_id == learner_id, Call.connected_at.is_not(None), Call.scenario.is_not(None))
        .distinct()
    )
    return frozenset(scenario for scenario in rows if scenario is not None)
