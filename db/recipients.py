"""Whom the text about a call goes to: the learner, or their guardian. Asked when it is written and when it leaves.

A learner with a guardian never gets one, on whatever line; on a line for minors nobody but a guardian does
(tutoring.md §5.6, twilio.md §7). Consent and opt-outs are asked elsewhere. Works in the session's school.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from db import guardians, learners
from db.models import Line
from db.pages import Audience


@dataclass(frozen=True, slots=True)
class Recipient:
    """Somebody who may be sent a text, as far as their part in the call goes."""

    number_hash: bytes
    number_encrypted: bytes = field(repr=False)
    audience: Audience


async def of_call(
    session: AsyncSession, line: Line, *, learner_id: UUID, caller_hash: bytes | None
) -> Recipient | None:
    """Who gets the text about a learner's call; None when nobody does, or the number is not kept.

    ``caller_hash`` is the number the call came from (None: withheld).
    """
    guardian = await guardians.get(session, learner_id)
    if guardian is not None:
        if guardian.number_encrypted is None:
            return None
        return Recipient(guardian.number_hash, guardian.number_encrypted, "family")
    if line.for_minors or caller_hash is None:
        return None
    sealed = await learners.message_number(session, learner_id, caller_hash)
    return None if sealed is None else Recipient(caller_hash, sealed, "learner")


async def number(session: AsyncSession, sender: str, learner_id: UUID, number_hash: bytes) -> bytes | None:
    """The number a waiting message goes to, sealed; None when by now somebody else would get it, or nobody.

    ``sender`` is the line's number.
    """
    line = await session.scalar(select(Line).where(Line.number == sender))
    if line is None:
        return None
    found = await of_call(session, line, learner_id=learner_id, caller_hash=number_hash)
    return found.number_encrypted if found is not None and found.number_hash == number_hash else None
