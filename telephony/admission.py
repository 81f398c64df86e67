"""Decides at the door, before anything that costs: is this a line of ours, is it open, is there a slot, who calls.

It knows the database and the catalogue, and no carrier: what it decides is spoken by others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from db import calls, consents, learners, lines
from db.engine import Database
from db.keyring import Keyring
from db.lines import LineFound
from telephony import numbers
from telephony.ivr.menu import FREE_TALK
from telephony.ivr.record import MenuRecord
from telephony.numbers import Guest
from tutor.script.catalogue import Catalogue, CatalogueError
from tutor.script.language import Language

SCHOOL_NAME_CHARACTERS: Final = 60
"""Longer names of schools are cut when spoken: they would fill the prompt."""
FALLBACK_LANGUAGES: Final = ("en", "es")
"""Spoken where the caller's language is not known, one after the other."""


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


Decision = UnknownLine | TurnedAway | Admitted


async def decide(
    inbound: Inbound, *, database: Database, keyring: Keyring, catalogue: Catalogue, max_calls: int
) -> Decision:
    """Admits a call or says why not. Asked again for the same call, it answers from the call's row.

    A first call from a number makes a learner with the line's languages and level. Callers without a number, and
    numbers that several learners share, are guests.

    Args:
        max_calls: how many calls may go on at once, all schools and processes together.

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
        return Admitted(call.school_id, call.id, MenuRecord.read(call.menu), False, line, call.caller_hash)
    offered = _playable(line.scenarios, line.native, line.target, line.level, catalogue) if line.live else []
    if not offered:
        return TurnedAway(native_of(line, catalogue), "door.closed")
    try:
        async with database.school(line.school_id) as session:
            return await _admit(session, inbound, line, offered, keyring, catalogue, max_calls)
    except calls.NoSlot:
        return TurnedAway(native_of(line, catalogue), "door.busy")


def native_of(line: LineFound, catalogue: Catalogue) -> Language:
    """Returns the language of a line's callers; the first fallback where that cannot be spoken."""
    try:
        native = catalogue.language(line.native or "")
    except CatalogueError:
        native = None
    return native if native is not None and native.is_native else catalogue.language(FALLBACK_LANGUAGES[0])


def order_of(offered: Sequence[str], completed: Counter[str]) -> tuple[str, ...]:
    """Returns the scenes as a menu offers them: first the next one not completed, else the one least played.

    The others keep the line's order; free talk is not among them, it has a key of its own.
    """
    scenes = [scenario for scenario in offered if scenario != FREE_TALK]
    if not scenes:
        return ()
    recommended = min(scenes, key=lambda scenario: completed[scenario])  # the first of equals, so zero comes first
    return (recommended, *(scenario for scenario in scenes if scenario != recommended))


async def _admit(
    session: AsyncSession,
    inbound: Inbound,
    line: LineFound,
    offered: list[str],
    keyring: Keyring,
    catalogue: Catalogue,
    max_calls: int,
) -> Admitted:
    native, level = line.native or "", line.level or ""
    caller = numbers.identify(inbound.caller, region=numbers.region_of(line.number))
    number_hash = None if isinstance(caller, Guest) else keyring.hash_number(caller.e164)
    learner, returning = None, False
    if number_hash is not None and not isinstance(caller, Guest):
        sharing = await learners.by_number_hash(session, number_hash)
        returning = bool(sharing)
        if len(sharing) == 1:
            learner = sharing[0]
        elif not sharing:
            learner = await learners.create_with_number(
                session,
                school_id=line.school_id,
                number_hash=number_hash,
                last_two=numbers.last_two(caller.e164),
                native=native,
                target=line.target or "",
                level=level,
            )
    completed: Counter[str] = Counter()
    slower = ask_consent = False
    if learner is not None and number_hash is not None:
        # At the end of a first call it was asked, unless that was hung up.
        ask_consent = returning and inbound.can_text and line.texts and not await consents.asked(session, number_hash)
        completed = await learners.completed_scenarios(session, learner.id)
        slower = learner.settings.get("slower") is True
        own_level = learner.level if learner.target == line.target else level
        # Their own language and level, unless the catalogue has changed and no longer has them.
        if _playable(offered, learner.native, line.target, own_level, catalogue) == offered:
            native, level = learner.native, own_level
    menu = MenuRecord(
        native=native,
        school=line.school_name[:SCHOOL_NAME_CHARACTERS],
        returning=returning,
        scenarios=order_of(offered, completed),
        free_talk=FREE_TALK in offered,
        slower=slower,
        level=level,
        ask_consent=ask_consent,
    )
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
        level=level,
    )
    fresh = await calls.save_menu(session, call.id, 0, menu.write())
    if not fresh:  # the carrier's first request was admitted while this one waited for the count
        menu = MenuRecord.read(call.menu)
    return Admitted(line.school_id, call.id, menu, fresh, line, number_hash)


def _playable(
    scenarios: Iterable[str], native: str | None, target: str | None, level: str | None, catalogue: Catalogue
) -> list[str]:
    """Returns those scenarios, in their order, that the catalogue has for this pair of languages and level."""
    try:
        pair = catalogue.pair(native or "", target or "")
        catalogue.level(level or "")
    except CatalogueError:
        return []
    known = {scenario.id for scenario in catalogue.scenarios}.intersection(*(language.scenes for language in pair))
    return [scenario for scenario in dict.fromkeys(scenarios) if scenario in known]
