"""Decides at the door, before anything that costs: is this a line of ours, is it open, is there a slot, who calls.

It knows the database and the catalogue, and no carrier: what it decides is spoken by others.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from db import calls, class_prompts, consents, learners, lines
from db.engine import Database
from db.keyring import Keyring
from db.lines import LineFound
from db.scenarios import Catalogues
from telephony import numbers
from telephony.ivr.menu import Person
from telephony.ivr.record import MenuRecord
from telephony.menus import SCHOOL_NAME_CHARACTERS, learners_menu, native_of, offered_on
from telephony.numbers import Guest
from tutor.safety.minors import Minors, minors_allowed
from tutor.script.catalogue import Catalogue
from tutor.script.language import Language


@dataclass(frozen=True, slots=True)
class Inbound:
    """A call as the carrier announces it."""

    call_sid: str
    account_sid: str
    account_school: UUID | None
    """The only school whose lines this account may reach; None: all."""
    dialled: str
    caller: str
    can_text: bool = False
    """Whether the account can send text messages."""

    def __repr__(self) -> str:
        """Shows the call, not the numbers."""
        return f"Inbound({self.call_sid})"


@dataclass(frozen=True, slots=True)
class UnknownLine:
    """The number is none of ours: the call is refused unanswered."""


@dataclass(frozen=True, slots=True)
class TurnedAway:
    """The line may not or cannot take the call now: one sentence and good-bye."""

    language: Language
    sentence: Literal["door.closed", "door.busy"]


@dataclass(frozen=True, slots=True)
class Admitted:
    """The call has a slot and a row."""

    school_id: UUID
    call_id: UUID
    menu: MenuRecord
    fresh: bool
    """False: the carrier asked again, and nothing was changed."""
    line: LineFound
    caller_hash: bytes | None
    """None: the number was withheld."""
    catalogue: Catalogue
    """With the school's own scenes."""


Decision = UnknownLine | TurnedAway | Admitted


async def decide(
    inbound: Inbound,
    *,
    database: Database,
    keyring: Keyring,
    catalogues: Catalogues,
    max_calls: int,
    minors: Minors = "none",
) -> Decision:
    """Admits a call or says why not. Asked again for the same call, it answers from the call's row.

    A first call from a number makes a learner with the line's languages and level. Callers without a number are guests;
    where several learners share one, the menu asks who is calling.

    Args:
        max_calls: how many calls may go on at once, all schools and processes together.
        minors: the youngest callers that the operator may take; a line for younger ones is closed.

    Raises:
        SQLAlchemyError: the database cannot be asked.
    """
    number = numbers.normalise(inbound.dialled)
    async with database.anyone() as session:
        known = await calls.find(session, inbound.call_sid)
        line = await lines.by_number(session, number) if number else None
    if line is None or inbound.account_school not in (None, line.school_id):
        return UnknownLine()
    if known is not None:
        async with database.school(known.school_id) as session:
            call = await calls.get(session, known.call_id)
            if call is None or call.account_sid != inbound.account_sid:
                return UnknownLine()
            menu = MenuRecord.read(call.menu)
            catalogue = await catalogues.of(session, call.school_id, menu.scenarios)
        return Admitted(call.school_id, call.id, menu, False, line, call.caller_hash, catalogue)
    try:
        async with database.school(line.school_id) as session:
            catalogue = await catalogues.of(session, line.school_id, line.scenarios)
            open_to_its_callers = line.live and minors_allowed(line.minors, minors)
            if not open_to_its_callers or not offered_on(line, catalogue):
                return TurnedAway(native_of(line, catalogue), "door.closed")
            return await _admit(session, inbound, line, keyring, catalogue, max_calls)
    except calls.NoSlot:
        return TurnedAway(native_of(line, catalogues.packaged), "door.busy")


async def _admit(
    session: AsyncSession,
    inbound: Inbound,
    line: LineFound,
    keyring: Keyring,
    catalogue: Catalogue,
    max_calls: int,
) -> Admitted:
    caller = numbers.identify(inbound.caller, region=numbers.region_of(line.number))
    number_hash = None if isinstance(caller, Guest) else keyring.hash_number(caller.e164)
    learner, sharing = None, []
    if number_hash is not None and not isinstance(caller, Guest):
        sharing = await learners.by_number_hash(session, number_hash)
        if len(sharing) == 1:
            learner = sharing[0]
        elif not sharing:
            learner = await learners.create_with_number(
                session,
                school_id=line.school_id,
                number_hash=number_hash,
                last_two=numbers.last_two(caller.e164),
                native=line.native or "",
                target=line.target or "",
                level=line.level or "",
            )
    # At the end of a first call it was asked, unless that was hung up. A child is not asked.
    askable = bool(sharing) and learner is not None and inbound.can_text and line.texts and not line.kids
    menu = await learners_menu(
        session,
        line,
        catalogue,
        learner,
        school=line.school_name[:SCHOOL_NAME_CHARACTERS],
        returning=bool(sharing),
        ask_consent=askable and number_hash is not None and not await consents.asked(session, number_hash),
    )
    if len(sharing) > 1:
        people = tuple(Person(str(person.id), person.first_name) for person in sharing)
        menu = msgspec.structs.replace(menu, people=people)
    today = class_prompts.day_in(line.school_timezone, datetime.now(UTC))
    material = await class_prompts.live(session, line.id, today)
    # Last, because the count of calls stays locked until the transaction ends.
    call = await calls.open_call(
        session,
        school_id=line.school_id,
        line_id=line.id,
        carrier_sid=inbound.call_sid,
        account_sid=inbound.account_sid,
        max_calls=max_calls,
        caller_hash=number_hash,
        learner_id=learner.id if learner else None,
        level=menu.level,
        class_prompt_version=material.version if material is not None else None,
    )
    fresh = await calls.save_menu(session, call.id, 0, menu.write())
    if not fresh:  # the carrier's first request was admitted while this one waited for the count
        menu = MenuRecord.read(call.menu)
    return Admitted(line.school_id, call.id, menu, fresh, line, number_hash, catalogue)
