"""PINs: four digits by which a learner, a teacher or a family says who they are on a line, and what guessing costs.

Digits come in and are gone at once; tables hold keyed hashes. Works in the session's school. Times are the database's.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Final, Literal, cast
from uuid import UUID

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from db.keyring import Keyring
from db.models_pins import Pin, PinTry

Role = Literal["learner", "teacher", "family"]

DIGITS: Final = 4
TRIES: Final = 3
"""Wrong tries of one caller before the lock (tutoring.md §5.3)."""
LOCK: Final = timedelta(minutes=15)
"""How long no PIN helps a locked caller, and how long a locked PIN helps nobody (§5.3)."""
TRIES_OF_ALL: Final = 30
"""Wrong tries of all callers of a line within the lock's time before PINs rest there: numbers can be forged."""
MOST_PINS: Final = 200
"""On one line: of 10,000 possible PINs two in a hundred, so that three guesses hit one in less than 6 % of locks."""

_WITHHELD: Final = b"withheld"
_EVERYBODY: Final = b"everybody"
# Two calls that try at once must not both be the third.
_LOCK_LINE = text("SELECT pg_advisory_xact_lock(hashtextextended('pins of ' || CAST(:line_id AS text), 0))")


class PinsExhausted(Exception):
    """The line has as many PINs as it may. One sentence for a person."""


@dataclass(frozen=True, slots=True)
class Known:
    """A PIN that is right: who holds it."""

    role: Role
    learner_id: UUID | None
    """The learner, or the family's child; None for a teacher."""


Outcome = Known | Literal["unknown", "locked"]


async def issue(
    session: AsyncSession,
    keyring: Keyring,
    *,
    school_id: UUID,
    line_id: UUID,
    role: Role,
    learner_id: UUID | None = None,
) -> str:
    """Makes a PIN that no one on the line has yet, and returns its digits: the only time they can be read.

    Neither a sequence (1234, 8642) nor one digit again and again, and never two of a line alike.

    Raises:
        ValueError: a teacher with a learner, or a learner's or a family's PIN without one.
        PinsExhausted: the line has ``MOST_PINS``.
    """
    if (role == "teacher") != (learner_id is None):
        raise ValueError("A learner's and a family's PIN belong to a learner, a teacher's to none.")
    await session.execute(_LOCK_LINE, {"line_id": str(line_id)})
    taken = set(await session.scalars(select(Pin.pin_hash).where(Pin.line_id == line_id)))
    if len(taken) >= MOST_PINS:
        raise PinsExhausted(f"This line has {len(taken)} PINs, as many as it may; take back some that nobody uses.")
    while True:
        digits = f"{secrets.randbelow(10**DIGITS):0{DIGITS}d}"
        pin_hash = keyring.hash_pin(line_id, digits)
        if not easy(digits) and pin_hash not in taken:
            break
    session.add(Pin(school_id=school_id, line_id=line_id, role=role, learner_id=learner_id, pin_hash=pin_hash))
    await session.flush()
    return digits


def easy(digits: str) -> bool:
    """Whether a PIN is one that people try first: equal steps from digit to digit (1111, 1234, 9753), pairs (1212)."""
    steps = {int(after) - int(before) for before, after in pairwise(digits)}
    return len(steps) == 1 or digits[: len(digits) // 2] == digits[len(digits) // 2 :]


async def check(
    session: AsyncSession, keyring: Keyring, *, school_id: UUID, line_id: UUID, caller_hash: bytes | None, digits: str
) -> Outcome:
    """Whose PIN this is; a wrong one is counted, in the transaction of ``session``.

    After three wrong ones the caller is locked out for a quarter of an hour, and hears the same for a right one. A
    right PIN that comes from a locked caller three times is locked itself, for every caller: it may have been guessed.
    All PINs of the line are compared, each in the same time, whatever is found.

    Args:
        caller_hash: None where the number is withheld; those callers count together.
    """
    await session.execute(_LOCK_LINE, {"line_id": str(line_id)})
    # Counts from before the lock's time are over: they begin anew.
    await session.execute(
        delete(PinTry).where(
            PinTry.line_id == line_id, func.coalesce(PinTry.locked_until, PinTry.tried_at + LOCK) < func.now()
        )
    )
    found = _match(await _of_line(session, line_id), keyring.hash_pin(line_id, digits))
    callers = ((caller_hash or _WITHHELD, TRIES), (_EVERYBODY, TRIES_OF_ALL))
    if await _locked(session, line_id, [caller for caller, _ in callers]):
        if found is not None:
            await _count_locked_use(session, found.id)
        return "locked"
    if found is None:
        for caller, most in callers:
            await _count_wrong(session, school_id, line_id, caller, most)
        return "unknown"
    if found.locked:
        return "locked"
    await session.execute(update(Pin).where(Pin.id == found.id).values(tries=0, locked_until=None))
    await session.execute(delete(PinTry).where(PinTry.line_id == line_id, PinTry.caller == callers[0][0]))
    return Known(found.role, found.learner_id)


async def list_all(session: AsyncSession, line_id: UUID) -> list[Pin]:
    """The PINs of a line of the session's school, the oldest first; their digits are known to nobody."""
    return list(await session.scalars(select(Pin).where(Pin.line_id == line_id).order_by(Pin.created_at, Pin.id)))


async def take_back(session: AsyncSession, pin_id: UUID) -> bool:
    """Makes a PIN of the session's school worthless; False when there is none."""
    return await session.scalar(delete(Pin).where(Pin.id == pin_id).returning(Pin.id)) is not None


@dataclass(frozen=True, slots=True)
class _Held:
    """A PIN of the line, as it stands."""

    id: UUID
    role: Role
    learner_id: UUID | None
    pin_hash: bytes
    locked: bool


async def _of_line(session: AsyncSession, line_id: UUID) -> list[_Held]:
    locked = func.coalesce(Pin.locked_until > func.now(), False)
    rows = await session.execute(
        select(Pin.id, Pin.role, Pin.learner_id, Pin.pin_hash, locked).where(Pin.line_id == line_id)
    )
    return [_Held(pin_id, cast(Role, role), learner, pin_hash, held) for pin_id, role, learner, pin_hash, held in rows]


def _match(pins: Sequence[_Held], pin_hash: bytes) -> _Held | None:
    found = None
    for pin in pins:
        if hmac.compare_digest(pin.pin_hash, pin_hash):
            found = pin
    return found


async def _locked(session: AsyncSession, line_id: UUID, callers: Sequence[bytes]) -> bool:
    locked = select(PinTry.caller).where(
        PinTry.line_id == line_id, PinTry.caller.in_(callers), PinTry.locked_until > func.now()
    )
    return await session.scalar(locked.limit(1)) is not None


async def _count_wrong(session: AsyncSession, school_id: UUID, line_id: UUID, caller: bytes, most: int) -> None:
    row = insert(PinTry).values(line_id=line_id, caller=caller, school_id=school_id, tries=1)
    counted = row.on_conflict_do_update(
        index_elements=[PinTry.line_id, PinTry.caller], set_={"tries": PinTry.tries + 1, "tried_at": func.now()}
    ).returning(PinTry.tries)
    if (await session.scalar(counted) or 0) >= most:
        lock = update(PinTry).where(PinTry.line_id == line_id, PinTry.caller == caller)
        await session.execute(lock.values(locked_until=func.now() + LOCK))


async def _count_locked_use(session: AsyncSession, pin_id: UUID) -> None:
    counted = update(Pin).where(Pin.id == pin_id).values(tries=Pin.tries + 1).returning(Pin.tries)
    if (await session.scalar(counted) or 0) >= TRIES:
        await session.execute(update(Pin).where(Pin.id == pin_id).values(tries=0, locked_until=func.now() + LOCK))
