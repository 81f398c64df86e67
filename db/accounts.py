"""Accounts at carriers: whose signatures we accept and whose REST interface we use. Works before a school is known.

Tokens are encrypted at rest and leave this module in the clear only inside ``Account``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from db.keyring import Keyring

Kind = Literal["twilio", "rehearsal"]

_BY_SID = text("SELECT * FROM carrier_account_by_sid(:sid)")
_PUT = text("SELECT * FROM carrier_account_put(:sid, :school_id, :kind, :tokens, :rest_base, :expires_at)")
_FORGET = text("SELECT carrier_account_forget(:sid)")


class AccountTaken(Exception):
    """The account belongs to another school. One sentence for a person."""


@dataclass(frozen=True, slots=True)
class Account:
    """A carrier account, ready for use."""

    sid: str
    kind: Kind
    tokens: tuple[str, ...] = field(repr=False)
    """The current one first; while it is being rotated, the other one after it."""
    rest_base: str
    school_id: UUID | None = None
    """None: shared by all schools."""
    expires_at: datetime | None = None


async def put(session: AsyncSession, keyring: Keyring, account: Account) -> None:
    """Writes the account, or new tokens, base and end date of one that is there.

    Raises AccountTaken when another school has it.
    """
    sealed: Sequence[bytes] = [keyring.encrypt(token) for token in account.tokens]
    values = {
        "sid": account.sid,
        "school_id": account.school_id,
        "kind": account.kind,
        "tokens": sealed,
        "rest_base": account.rest_base,
        "expires_at": account.expires_at,
    }
    if await session.scalar(_PUT, values) is None:
        raise AccountTaken(f"The carrier account {account.sid} belongs to another school; remove it there first")


async def find(session: AsyncSession, keyring: Keyring, sid: str) -> Account | None:
    """The account with this SID, unless it has expired. Raises KeyringError when another secret wrote its tokens."""
    row = (await session.execute(_BY_SID, {"sid": sid})).one_or_none()
    if row is None:
        return None
    return Account(
        sid=row.sid,
        kind=row.kind,
        tokens=tuple(keyring.decrypt(token) for token in row.tokens),
        rest_base=row.rest_base,
        school_id=row.school_id,
        expires_at=row.expires_at,
    )


async def forget(session: AsyncSession, sid: str) -> None:
    """Removes the account; nothing happens when there is none."""
    await session.execute(_FORGET, {"sid": sid})
