"""One-use tokens that let a media stream claim its call: 32 random bytes, bound to the carrier's call, short-lived.

Only a keyed hash is stored. ``consume`` works before a school is known.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, insert, text
from sqlalchemy.ext.asyncio import AsyncSession

from db.keyring import Keyring
from db.models import Token

TTL_S = 30.0
"""From the menu's answer to the stream's first message a carrier takes a second or two."""

_CONSUME = text("SELECT * FROM token_consume(:hash, :carrier_sid)")
# Skipping locked rows: two calls that tidy up at once do not wait for each other.
_TIDY = text(
    "DELETE FROM tokens WHERE hash IN "
    "(SELECT hash FROM tokens WHERE expires_at <= now() ORDER BY expires_at LIMIT 20 FOR UPDATE SKIP LOCKED)"
)


@dataclass(frozen=True, slots=True)
class Claim:
    """What a token was good for."""

    school_id: UUID
    payload: Mapping[str, Any]


async def issue(
    session: AsyncSession,
    keyring: Keyring,
    *,
    school_id: UUID,
    carrier_sid: str,
    payload: Mapping[str, Any],
    ttl_s: float = TTL_S,
) -> str:
    """A new token, 43 characters fit for a URL. Expired ones of the same school go at this occasion."""
    token = secrets.token_urlsafe(32)
    await session.execute(_TIDY)
    await session.execute(
        insert(Token).values(
            hash=keyring.hash_token(token),
            school_id=school_id,
            carrier_sid=carrier_sid,
            payload=dict(payload),
            expires_at=func.now() + timedelta(seconds=ttl_s),
        )
    )
    return token


async def consume(session: AsyncSession, keyring: Keyring, token: str, carrier_sid: str) -> Claim | None:
    """Uses the token up. None when it is unknown, used, expired, or another call's; the last leaves it valid."""
    values = {"hash": keyring.hash_token(token), "carrier_sid": carrier_sid}
    row = (await session.execute(_CONSUME, values)).one_or_none()
    return Claim(row.school_id, row.payload) if row else None
