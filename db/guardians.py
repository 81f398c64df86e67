"""Guardians: who gets the texts about a learner instead of the learner. Numbers come in as E.164 and are kept sealed.

Consent is one thing for all numbers (``db.consents``): a guardian's is given by the school that has it on paper, and
ends like anybody's with a STOP. Works in the session's school.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from sqlalchemy import delete, exists, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from db import consents
from db.keyring import Keyring
from db.models import CallerIdentity
from db.models_pages import Guardian

FORM: Final = "guardian:"
"""Before a learner's id, in the place of the call of a consent that a school has on paper."""


def carrier_sid(learner_id: UUID) -> str:
    """What stands in the place of the call in the consent of this learner's guardian."""
    return f"{FORM}{learner_id}"


class GuardianRefused(Exception):
    """The number cannot be a guardian's. One sentence for a person."""


async def put(
    session: AsyncSession, keyring: Keyring, *, school_id: UUID, learner_id: UUID, number: str, consent: str
) -> None:
    """Makes ``number`` (E.164) the guardian's of a learner, in place of an older one, and records the consent.

    An older one's consent ends, unless somebody else's texts go by it.

    ``consent`` says how the school has it, such as ``form 2026-09, signed``: it must be able to show that.

    Raises:
        GuardianRefused: no consent is given, or the number has opted out of all texts, which only its owner can undo.
    """
    if not consent.strip():
        raise GuardianRefused("A guardian's number needs the guardian's consent: say how the school has it.")
    number_hash = keyring.hash_number(number)
    if await consents.opted_out(session, number_hash):
        raise GuardianRefused(
            f"The number ending in {number[-2:]} has opted out of all texts: its owner can undo that by texting START "
            "to the line's number, then set it again."
        )
    values = {
        "number_hash": number_hash,
        "last_two": number[-2:],
        "number_encrypted": keyring.encrypt(number),
        "consent": consent.strip(),
    }
    older = await get(session, learner_id)
    if older is not None and older.number_hash != number_hash:
        await _end(session, learner_id, older.number_hash)
    row = insert(Guardian).values(learner_id=learner_id, school_id=school_id, **values)
    await session.execute(
        row.on_conflict_do_update(index_elements=[Guardian.learner_id], set_={**values, "consented_at": func.now()})
    )
    await consents.give(
        session,
        school_id=school_id,
        number_hash=number_hash,
        carrier_sid=carrier_sid(learner_id),
        wording=consent.strip(),
    )


async def get(session: AsyncSession, learner_id: UUID) -> Guardian | None:
    """The learner's guardian, if there is one."""
    return await session.get(Guardian, learner_id, populate_existing=True)


async def remove(session: AsyncSession, learner_id: UUID) -> bool:
    """Forgets the learner's guardian; False when there is none. The consent ends, unless others' texts go by it."""
    gone = delete(Guardian).where(Guardian.learner_id == learner_id).returning(Guardian.number_hash)
    number_hash = await session.scalar(gone.execution_options(synchronize_session=False))
    if number_hash is None:
        return False
    await _end(session, learner_id, number_hash)
    return True


async def _end(session: AsyncSession, learner_id: UUID, number_hash: bytes) -> None:
    """Ends the consent of a number that is the guardian's of this learner no more; not where others need it.

    Others are learners with the same guardian, and those who call from the number and agreed by themselves: their
    answer was replaced by the form, not taken back.
    """
    same_guardian = exists().where(Guardian.number_hash == number_hash, Guardian.learner_id != learner_id)
    calls_from_it = exists().where(CallerIdentity.number_hash == number_hash, CallerIdentity.learner_id != learner_id)
    if not await session.scalar(select(or_(same_guardian, calls_from_it))):
        await consents.end(session, number_hash, consents.SMS)


async def is_one(session: AsyncSession, number_hash: bytes) -> bool:
    """Whether a number is some guardian's."""
    return (
        await session.scalar(select(Guardian.learner_id).where(Guardian.number_hash == number_hash).limit(1))
        is not None
    )


async def set_number(session: AsyncSession, number_hash: bytes, number_encrypted: bytes) -> None:
    """Keeps a guardian's number again, after its owner has taken an opt-out back."""
    await session.execute(
        update(Guardian)
        .where(Guardian.number_hash == number_hash)
        .values(number_encrypted=number_encrypted)
        .execution_options(synchronize_session=False)
    )
