"""Asks a learner how sure they feel: when the first call is over, and once after two weeks. They may just hang up.

It knows calls and rows; what the answers mean is not known here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from db import observations
from db.models import Call
from telephony.ivr import twiml
from telephony.ivr.record import MenuRecord
from telephony.ivr.steps import Ask
from telephony.twilio.door import Door
from telephony.twilio.gate import Signed
from tutor.learning.said import Line
from tutor.script.language import Language

KEYS: Final = frozenset("12345")
"""From not sure at all to very sure; every other key, and silence, skip the question (tutoring.md §1A row 112)."""

_PATH: Final = "/twilio/confidence"

log = structlog.get_logger(__name__)


async def ask_or_hang_up(
    session: AsyncSession, call: Call, native: Language, said: Iterable[Line], goodbye: Iterable[Line]
) -> str:
    """Says ``said`` and asks, where the question is due; else says good-bye and hangs up.

    Keys that are pressed before the question do not count.
    """
    due = await observations.confidence_due(session, call.learner_id) if call.learner_id is not None else None
    if due is None or call.state != "closed" or call.connected_at is None:
        return twiml.hang_up((native, (*said, *goodbye)))
    record = MenuRecord.read(call.menu)
    key = "callers.confidence_child" if record.kids else "callers.confidence"
    question = native.say(key, target=native.name_of(record.target))
    return twiml.ask(Ask((question,)), native, _PATH, first=said)


async def answered(door: Door, session: AsyncSession, call: Call, signed: Signed) -> str:
    """Keeps the answer, and says good-bye; a repeated request changes nothing."""
    native = door.catalogue.language(MenuRecord.read(call.menu).native)
    key = signed.text("Digits")[:1]
    thanks: tuple[str, ...] = ()
    if key in KEYS and call.learner_id is not None:
        thanks = (native.say("callers.confidence_thanks"),)
        because = await observations.confidence_due(session, call.learner_id)
        if because is not None and await observations.confidence_answered(
            session,
            school_id=call.school_id,
            learner_id=call.learner_id,
            call_id=call.id,
            answer=int(key),
            asked_because=because,
        ):
            log.info("confidence_kept", call=call.carrier_sid, because=because)
    return twiml.hang_up((native, (*thanks, native.say("after.goodbye"))))
