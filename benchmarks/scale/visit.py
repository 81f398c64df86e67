"""One call as the queries on its way see it, and those of them that need more than a line to ask.

Each asks as the service asks; what one finds and a later one needs stays in the visit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from benchmarks.scale.material import conversation, events
from benchmarks.scale.school_rows import ACCOUNT
from benchmarks.scale.world import SCENES
from db import (
    assignments,
    budgets,
    calls,
    chains,
    class_prompts,
    clips,
    consents,
    debriefs,
    endings,
    jobs,
    learners,
    ledger,
    limits,
    messages,
    observations,
    pages,
    pins,
    tokens,
)
from db.endings import Ending, NewEvent, NewTurn
from db.keyring import Keyring
from db.ledger import NewEntry
from db.limits import Limit, Payer
from db.models import Call
from telephony.closing import closing
from telephony.ivr.record import MenuRecord
from tutor.script.catalogue import Catalogue
from tutor.script.class_prompt import ClassPrompt

MANY: Final = 1_000
"""Calls that may go on at once."""


@dataclass(slots=True)
class Visit:
    """One call of somebody who has called before. What the queries find on the way is kept here."""

    keyring: Keyring
    catalogue: Catalogue
    at: datetime
    school_id: UUID
    line_id: UUID
    learner_id: UUID
    number: str
    """The line's."""
    number_hash: bytes
    native: str
    target: str
    level: str
    domain: str
    """By which telephones of the school call."""
    sid: str
    """Of the call that comes in now."""
    before: UUID
    """An earlier call, of which everything is kept."""
    page: str
    """The token of its page."""
    calls_before: int
    """How often they have called."""
    clip_keys: Sequence[bytes] = ()
    holding: Sequence[Limit] = ()
    periods: Sequence[int] = ()
    token: str = ""
    found: pages.PageFound | None = None
    call: Call | None = None
    menu: dict[str, Any] = field(default_factory=dict)

    @property
    def call_id(self) -> UUID:
        """Of the call that came in."""
        assert self.call is not None
        return self.call.id

    @property
    def payer(self) -> Payer:
        """On whose account it is."""
        call_id = self.call.id if self.call is not None else None
        return Payer(self.school_id, self.line_id, self.learner_id, call_id, self.number_hash)


async def holding(session: AsyncSession, visit: Visit) -> None:
    visit.holding = await limits.holding_for(session, visit.payer, visit.at)


async def ready(session: AsyncSession, visit: Visit) -> None:
    visit.periods = await budgets.ready(session, visit.payer, visit.holding)


async def admitted(session: AsyncSession, visit: Visit) -> None:
    visit.call = await calls.open_call(
        session,
        school_id=visit.school_id,
        line_id=visit.line_id,
        carrier_sid=visit.sid,
        account_sid=ACCOUNT,
        max_calls=MANY,
        caller_hash=visit.number_hash,
        learner_id=visit.learner_id,
        level=visit.level,
        class_prompt_version=1,
    )


async def menu_kept(session: AsyncSession, visit: Visit) -> None:
    record = MenuRecord(
        native=visit.native,
        school="School",
        returning=True,
        scenarios=SCENES[:-1],
        free_talk=True,
        slower=False,
        level=visit.level,
        target=visit.target,
    )
    visit.menu = record.write()
    await calls.save_menu(session, visit.call_id, 0, visit.menu)


async def dropped(session: AsyncSession, visit: Visit) -> None:
    await calls.dropped(session, line_id=visit.line_id, caller_hash=visit.number_hash, learner_id=visit.learner_id)


async def wrong_pin(session: AsyncSession, visit: Visit) -> None:
    await pins.check(
        session,
        visit.keyring,
        school_id=visit.school_id,
        line_id=visit.line_id,
        caller_hash=visit.number_hash,
        digits="8317",
    )


async def newcomer(session: AsyncSession, visit: Visit) -> None:
    await learners.create_with_number(
        session,
        school_id=visit.school_id,
        number_hash=visit.keyring.hash_number(visit.sid),
        last_two="00",
        native=visit.native,
        target=visit.target,
        level=visit.level,
    )


async def languages_chosen(session: AsyncSession, visit: Visit) -> None:
    await learners.choose_languages(
        session, visit.learner_id, native=visit.native, target=visit.target, level=visit.level
    )


async def material_said(session: AsyncSession, visit: Visit) -> None:
    await class_prompts.add(session, visit.line_id, ClassPrompt(text="The city."), starts_on=visit.at.date())


async def found(session: AsyncSession, visit: Visit) -> None:
    visit.call = await calls.get(session, visit.call_id)


async def joined(session: AsyncSession, visit: Visit) -> None:
    before = await calls.get(session, visit.before)
    assert before is not None
    assert visit.call is not None
    await chains.join(session, visit.call_id, before)
    visit.call.began_in = before.id


async def seeded(session: AsyncSession, visit: Visit) -> None:
    assert visit.call is not None
    await chains.seed(session, visit.call)


async def assigned(session: AsyncSession, visit: Visit) -> None:
    await assignments.open_to(
        session, line_id=visit.line_id, learner_id=visit.learner_id, target=visit.target, at=visit.at
    )


async def token_issued(session: AsyncSession, visit: Visit) -> None:
    payload = {"call_id": str(visit.call_id), "account": ACCOUNT, "scenario": SCENES[0], "level": visit.level}
    visit.token = await tokens.issue(
        session, visit.keyring, school_id=visit.school_id, carrier_sid=visit.sid, payload=payload
    )


async def material(session: AsyncSession, visit: Visit) -> None:
    assert visit.call is not None
    await class_prompts.of_call(session, visit.call, "theme: the city")


async def clip_kept(session: AsyncSession, visit: Visit) -> None:
    key = visit.keyring.hash_token(visit.sid)
    await clips.put(session, key, text=visit.sid, language="es", voice="marin", speed=1.0, ulaw=bytes(24_000))


async def checkpoint(session: AsyncSession, visit: Visit) -> None:
    said = [[turn.speaker, turn.item_id, turn.start_ms, turn.end_ms, turn.text, False] for turn in _said(visit)]
    resume = {"elapsed_ms": 90_000, "speed": 1.0, "goals": {}, "turns": said, "events": [], "spent": {}}
    await calls.checkpoint(session, visit.call_id, resume, stream=1)


async def booked(session: AsyncSession, visit: Visit) -> None:
    used = {"model": "gpt-realtime-2.1", "text_in": 1_500, "audio_in": 300, "audio_out": 120, "responses": 1}
    entries = [
        NewEntry("response", f"response:{visit.sid}", 9_000, 20_000, used),
        NewEntry("transcription", f"transcription:{visit.sid}", 260, 400, {"seconds": 2.6}),
    ]
    await ledger.book(session, visit.payer, entries, at=visit.at)


async def finished(session: AsyncSession, visit: Visit) -> None:
    happened = [NewEvent(one.at_ms, one.kind, one.data) for one in events(9, ("greet", "order_drink"), 3)]
    spoken = [
        NewTurn("role" if one.speaker == "role" else "learner", one.start_ms, one.end_ms, one.text, one.item_id)
        for one in _said(visit)
    ]
    job = debriefs.job(visit.school_id, visit.call_id)
    last = NewEntry("response", f"response:{visit.sid}:last", 9_000, 20_000, {"responses": 1})
    await endings.finish(session, visit.call_id, Ending("role", spoken, happened, entries=[last], job=job))
    visit.call = await calls.get(session, visit.call_id)


def _said(visit: Visit) -> list[Any]:
    return list(conversation(9, visit.target))


async def before(session: AsyncSession, visit: Visit) -> None:
    assert visit.call is not None
    await observations.before(session, visit.call, visit.learner_id, visit.target)


async def wrapped_up(session: AsyncSession, visit: Visit) -> None:
    assert visit.call is not None
    await closing(session, visit.catalogue, visit.call, MenuRecord.read(visit.menu))


async def sound_agreed(session: AsyncSession, visit: Visit) -> None:
    await consents.give(
        session,
        school_id=visit.school_id,
        number_hash=visit.number_hash,
        carrier_sid=visit.sid,
        wording="en:0",
        kind=consents.AUDIO,
    )


async def consent_given(session: AsyncSession, visit: Visit) -> None:
    await consents.record(
        session,
        school_id=visit.school_id,
        number_hash=visit.keyring.hash_number(visit.sid),
        given=True,
        carrier_sid=visit.sid,
        wording="en:0",
    )


async def text_written(session: AsyncSession, visit: Visit) -> None:
    await messages.add(
        session,
        school_id=visit.school_id,
        call_id=visit.call_id,
        learner_id=visit.learner_id,
        account_sid=ACCOUNT,
        sender=visit.number,
        kind="confirmation",
        key=f"confirmation:{visit.call_id}",
        body="Thank you.",
        number_hash=visit.number_hash,
    )


async def felt(session: AsyncSession, visit: Visit) -> None:
    await observations.confidence_answered(
        session,
        school_id=visit.school_id,
        learner_id=visit.learner_id,
        call_id=visit.call_id,
        answer=4,
        asked_because="later",
    )


async def job_deferred(session: AsyncSession, visit: Visit) -> None:
    name, arguments = debriefs.job(visit.school_id, visit.call_id)
    await jobs.defer(session, name, **arguments)


async def page_found(session: AsyncSession, visit: Visit) -> None:
    visit.found = await pages.find(session, visit.keyring, visit.page)


async def page_read(session: AsyncSession, visit: Visit) -> None:
    assert visit.found is not None, "the page's link has expired: measure within seven days of the world's moment"
    await pages.record(session, visit.found)
