"""Decides at the door, before anything that costs: is this a line of ours, is it open, is there a slot, who calls.

It knows the database and the catalogue, and no carrier: what it decides is spoken by others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from db import calls, class_prompts, consents, learners, lines, sip_domains
from db.engine import Database
from db.keyring import Keyring
from db.limits import Payer
from db.lines import LineFound
from db.scenarios import Catalogues
from telephony import agreements, allowance, numbers, resting, sip
from telephony.allowance import NothingLeft
from telephony.ivr.menu import Person
from telephony.ivr.record import MenuRecord
from telephony.languages import native_of, offered_on
from telephony.menus import SCHOOL_NAME_CHARACTERS, learners_menu, strangers_menu
from telephony.numbers import Guest
from tutor.realtime.planning import usual_minute
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
    verstat: str = ""
    """What the carrier found of the caller's signature; see ``numbers.identify``."""
    sip_domain: str = ""
    """The SIP domain at which the carrier took the call; empty: it came by telephone number."""
    sip_name: str = ""
    """With which name the caller's SIP phone authenticated there; see ``sip.authenticated``."""

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
    sentence: Literal["door.closed", "door.busy"] | allowance.Sentence


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
    """Of a number or a SIP phone's name; None: a guest."""
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
    model: str = "",
    transcribe_model: str = "",
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Decision:
    """Admits a call or says why not. Asked again for the same call, it answers from the call's row.

    Whoever calls from a new number becomes its learner once a scene begins. Callers without a number are guests; where
    several learners share one, the menu asks who is calling.

    Args:
        max_calls: how many calls may go on at once, all schools and processes together.
        minors: the youngest callers that the operator may take; a line for younger ones is closed.
        model: the service's speech model, by which a minute is priced; empty, or without a price: as the dearest one.
        transcribe_model: the same of the learner's words in writing.
        now: says what time it is, aware.

    Raises:
        SQLAlchemyError: the database cannot be asked.
    """
    number = numbers.normalise(inbound.dialled)
    async with database.anyone() as session:
        known = await calls.find(session, inbound.call_sid)
        if inbound.sip_domain:
            domain, asked_for = sip.domain_of(inbound.sip_domain), sip.dialled_number(inbound.dialled)
            number = await sip_domains.line_number(session, domain, asked_for) if domain else None
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
    at = now()
    try:
        async with database.school(line.school_id) as session:
            catalogue = await catalogues.of(session, line.school_id, line.scenarios)
            open_to_its_callers = line.live and minors_allowed(line.minors, minors)
            if open_to_its_callers and offered_on(line, catalogue):
                minute = usual_minute(line.model or model, transcribe_model, line.number)
                return await _admit(session, inbound, line, keyring, catalogue, max_calls, minute, at)
        refused = TurnedAway(native_of(line, catalogue), "door.closed")
    except calls.NoSlot:
        refused = TurnedAway(native_of(line, catalogues.packaged), "door.busy")
    except NothingLeft as nothing:
        try:
            async with database.school(line.school_id) as session:
                stays = None if nothing.own else await _stay(session, inbound, line, nothing, catalogue, max_calls, at)
        except calls.NoSlot:
            stays = None
        # In another transaction: an alert locks a budget, and whoever is admitted locks the count of calls before that.
        async with database.school(line.school_id) as session:
            if stays is not None:
                await allowance.stays(session, nothing, at=at)
                return stays
            await allowance.turned_away(session, nothing, call_sid=inbound.call_sid, number=line.number, at=at)
        return TurnedAway(native_of(line, catalogues.packaged), nothing.sentence)
    async with database.school(line.school_id) as session:
        payer = Payer(line.school_id, line.id)
        await allowance.spoken_refusal(session, payer, call_sid=inbound.call_sid, number=line.number, at=at)
    return refused


async def _admit(
    session: AsyncSession,
    inbound: Inbound,
    line: LineFound,
    keyring: Keyring,
    catalogue: Catalogue,
    max_calls: int,
    minute_micro_usd: int,
    at: datetime,
) -> Admitted:
    number_hash = _caller_hash(inbound, line, keyring)
    sharing = await learners.by_number_hash(session, number_hash) if number_hash is not None else []
    learner = sharing[0] if len(sharing) == 1 else None
    # At the end of a first call it was asked, unless that was hung up. A minor is not asked.
    by_number = inbound.can_text and not inbound.sip_domain
    askable = learner is not None and by_number and line.texts and not line.for_minors
    school = line.school_name[:SCHOOL_NAME_CHARACTERS]
    if sharing:
        menu = await learners_menu(
            session,
            line,
            catalogue,
            learner,
            school=school,
            returning=True,
            ask_consent=askable and number_hash is not None and not await consents.asked(session, number_hash),
            by_name=True,
            caller_hash=number_hash,
        )
        agreed = await agreements.of(session, line, learner, number_hash)
        # A number with several learners is attested too, and a key says which of them it is.
        proven = bool(inbound.sip_domain) or numbers.attested(inbound.verstat)
        menu = msgspec.structs.replace(menu, agreed=agreed, recorded=agreed.sound is True, proven=proven)
    else:
        menu = await strangers_menu(session, line, catalogue, school=school, newcomer=number_hash is not None)
    if len(sharing) > 1:
        people = tuple(Person(str(person.id), person.first_name) for person in sharing)
        menu = msgspec.structs.replace(menu, people=people)
    today = class_prompts.day_in(line.school_timezone, at)
    material = await class_prompts.live(session, line.id, today)
    # Learners who share a number are asked who they are first, and their minutes when their scene begins.
    payer = Payer(line.school_id, line.id, learner.id if learner else None, caller_hash=number_hash)
    periods = await allowance.require(session, payer, minute_micro_usd=minute_micro_usd, at=at)
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
    await allowance.set_aside(session, replace(payer, call_id=call.id), periods, minute_micro_usd=minute_micro_usd)
    fresh = await calls.save_menu(session, call.id, 0, menu.write())
    if not fresh:  # the carrier's first request was admitted while this one waited for the count
        menu = MenuRecord.read(call.menu)
    return Admitted(line.school_id, call.id, menu, fresh, line, number_hash, catalogue)


def _caller_hash(inbound: Inbound, line: LineFound, keyring: Keyring) -> bytes | None:
    """By what the caller is known again: a number, or at a SIP domain, which is known by now, a name; None: nothing."""
    if inbound.sip_domain:
        phone = sip.authenticated(inbound.caller, domain=inbound.sip_domain, name=inbound.sip_name)
        return keyring.hash_sip(phone.address) if phone is not None else None
    caller = numbers.identify(inbound.caller, region=numbers.region_of(line.number), verstat=inbound.verstat)
    return None if isinstance(caller, Guest) else keyring.hash_number(caller.e164)


async def _stay(
    session: AsyncSession,
    inbound: Inbound,
    line: LineFound,
    nothing: NothingLeft,
    catalogue: Catalogue,
    max_calls: int,
    at: datetime,
) -> Admitted | None:
    """Admits somebody for whom there is no money to what costs none of the model's; None where there is nothing."""
    payer = nothing.payer
    learner = await learners.get(session, payer.learner_id) if payer.learner_id is not None else None
    school = line.school_name[:SCHOOL_NAME_CHARACTERS]
    menu = await resting.listeners_menu(
        session,
        line,
        catalogue,
        learner,
        payer,
        school=school,
        timezone=line.school_timezone,
        call_sid=inbound.call_sid,
        at=at,
        rests=nothing.period,
    )
    if menu is None:
        return None
    call = await calls.open_call(
        session,
        school_id=line.school_id,
        line_id=line.id,
        carrier_sid=inbound.call_sid,
        account_sid=inbound.account_sid,
        max_calls=max_calls,
        caller_hash=payer.caller_hash,
        learner_id=payer.learner_id,
        level=menu.level,
    )
    fresh = await calls.save_menu(session, call.id, 0, menu.write())
    if not fresh:  # as above
        menu = MenuRecord.read(call.menu)
    return Admitted(line.school_id, call.id, menu, fresh, line, payer.caller_hash, catalogue)
