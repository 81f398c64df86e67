"""Consent to text messages, and to keeping the sound of calls: per number and school, standing until it is withdrawn.

Numbers come in as hashes. What is about opting out works before a school is known, because it is for all of them.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import date
from typing import Final
from uuid import UUID

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from db.models import Consent

SMS: Final = "sms"
AUDIO: Final = "audio"
"""The sound of the caller's calls may be kept for a day."""

_OPTED_OUT = text("SELECT number_opted_out(:number_hash)")
_OPT_OUT = text("SELECT number_opt_out(:number_hash, :source)")
_OPT_IN = text("SELECT number_opt_in(:number_hash)")
_RECEIVED = text("SELECT * FROM text_received(:carrier_sid)")


async def asked(session: AsyncSession, number_hash: bytes) -> bool:
    """Whether the session's school need not ask this number: it has answered before, or opted out of all texts."""
    answered = select(Consent.id).where(Consent.number_hash == number_hash, Consent.kind == SMS).limit(1)
    return await session.scalar(answered) is not None or await opted_out(session, number_hash)


async def standing(session: AsyncSession, number_hash: bytes) -> bool:
    """Whether the session's school may text this number now."""
    return await agreed(session, number_hash, SMS) and not await opted_out(session, number_hash)


async def answer_of(session: AsyncSession, carrier_sid: str) -> bool | None:
    """What was answered in a call (its CallSid); None when it was not asked, or not answered."""
    return await session.scalar(select(Consent.given).where(Consent.carrier_sid == carrier_sid, Consent.kind == SMS))


async def record(
    session: AsyncSession,
    *,
    school_id: UUID,
    number_hash: bytes,
    given: bool,
    carrier_sid: str,
    wording: str,
    kind: str = SMS,
) -> bool:
    """Keeps the answer to the question; False when the number has a current answer already, which stays.

    ``carrier_sid`` is the call in which it was asked, ``wording`` the version of the sentence that asked.
    """
    row = insert(Consent).values(
        school_id=school_id, number_hash=number_hash, kind=kind, given=given, carrier_sid=carrier_sid, wording=wording
    )
    kept = row.on_conflict_do_nothing(
        index_elements=[Consent.school_id, Consent.number_hash, Consent.kind], index_where=Consent.ended_at.is_(None)
    ).returning(Consent.id)
    return await session.scalar(kept) is not None


async def give(
    session: AsyncSession, *, school_id: UUID, number_hash: bytes, carrier_sid: str, wording: str, kind: str = SMS
) -> None:
    """The number agrees of its own accord: whatever it answered before is replaced."""
    await end(session, number_hash, kind)
    await record(
        session,
        school_id=school_id,
        number_hash=number_hash,
        given=True,
        carrier_sid=carrier_sid,
        wording=wording,
        kind=kind,
    )


async def end(session: AsyncSession, number_hash: bytes, kind: str) -> None:
    """Whatever the number answered counts no more, from now on; what it was stays, with the times of both."""
    await session.execute(
        update(Consent)
        .where(Consent.number_hash == number_hash, Consent.kind == kind, Consent.ended_at.is_(None))
        .values(ended_at=func.now())
        .execution_options(synchronize_session=False)
    )


async def forget(session: AsyncSession, number_hash: bytes) -> None:
    """Forgets whatever the number answered to the session's school; that it opted out of all texts stays."""
    gone = delete(Consent).where(Consent.number_hash == number_hash)
    await session.execute(gone.execution_options(synchronize_session=False))


async def agreed(session: AsyncSession, number_hash: bytes, kind: str) -> bool:
    """Whether the number's current answer to the session's school is a yes."""
    current = await _current(session, number_hash, kind)
    return current is not None and current.given


async def opted_out(session: AsyncSession, number_hash: bytes) -> bool:
    """Whether the number must get no text from anyone."""
    return bool(await session.scalar(_OPTED_OUT, {"number_hash": number_hash}))


async def opt_out(session: AsyncSession, number_hash: bytes, source: str) -> None:
    """From now on no school texts this number: consents end, the number itself is forgotten, waiting messages stay.

    ``source`` says how we know: the message's identifier, or the carrier's code. The first one stays.
    """
    await session.execute(_OPT_OUT, {"number_hash": number_hash, "source": source})


async def opt_in(session: AsyncSession, number_hash: bytes) -> None:
    """Lifts the number's opt-out. No consent comes back with it: that is given to one school, by ``give``."""
    await session.execute(_OPT_IN, {"number_hash": number_hash})


async def received(session: AsyncSession, carrier_sid: str) -> bool:
    """Notes a text message by its identifier; False when it was noted before. Kept for 30 days."""
    return await session.scalar(_RECEIVED, {"carrier_sid": carrier_sid}) is not None


async def helped(session: AsyncSession, school_id: UUID, number_hash: bytes, day: date) -> bool:
    """Notes that the number was told today what the school's line is; False when it was noted before.

    Kept for 30 days as a digest, another one each day: without the number's hash nobody knows whose it is.
    """
    about = b"help" + school_id.bytes + day.isoformat().encode()
    return await received(session, f"help:{hmac.digest(number_hash, about, hashlib.sha256).hex()}")


async def _current(session: AsyncSession, number_hash: bytes, kind: str) -> Consent | None:
    return await session.scalar(
        select(Consent).where(Consent.number_hash == number_hash, Consent.kind == kind, Consent.ended_at.is_(None))
    )
