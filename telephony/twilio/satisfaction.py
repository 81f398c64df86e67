"""Asks some callers, at the very end of a call that went well, how the practice was. They may just hang up.

It is about the line, never about the learner: nobody is shown a figure of theirs. It knows calls and rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from db import consents, lines, observations, satisfaction
from db.models import Call
from telephony.closing import TOLD
from telephony.ivr import twiml
from telephony.ivr.record import MenuRecord
from telephony.ivr.steps import Ask
from telephony.twilio.door import Door
from telephony.twilio.gate import Signed
from tutor.learning.said import Line
from tutor.script.language import Language

ONE_IN: Final = 10
"""Of so many calls one is chosen to be asked about (tutoring.md §1A row 115: sampled)."""
KEYS: Final = frozenset("12345")
"""5 is best; every other key, and silence, skip the question."""

_PATH: Final = "/twilio/satisfaction"

log = structlog.get_logger(__name__)


def sampled(carrier_sid: str) -> bool:
    """Whether a call (its CallSid) is one of those that are chosen: by chance, and always the same for the same one."""
    drawn = hashlib.sha256(carrier_sid.encode()).digest()[:8]
    return int.from_bytes(drawn, "big") % ONE_IN == 0


async def question(session: AsyncSession, call: Call, native: Language, said: Iterable[Line]) -> str | None:
    """Says ``said`` and asks how the practice was; None where that is not asked after this call.

    Asked are adults whose scene ended by the role's good-bye or their own wish, and only where no other question was
    due in this call. Keys that are pressed before the question do not count.
    """
    if not sampled(call.carrier_sid) or call.end_reason not in TOLD or call.state != "closed":
        return None
    record = MenuRecord.read(call.menu)
    if record.kids or record.bigger is not None or call.connected_at is None:
        return None
    line = await lines.get(session, call.line_id)
    if line is None or line.for_minors:
        return None
    if await consents.answer_of(session, call.carrier_sid) is not None:
        return None
    if call.learner_id is not None and await observations.confidence_due(session, call.learner_id) is not None:
        return None
    if not await satisfaction.ask(session, call.id):
        return None
    return twiml.ask(Ask((native.say("satisfaction.ask"),)), native, _PATH, first=said)


async def answered(door: Door, session: AsyncSession, call: Call, signed: Signed) -> str:
    """Keeps the answer, and says good-bye; a repeated request changes nothing."""
    native = door.catalogue.language(MenuRecord.read(call.menu).native)
    key = signed.text("Digits")[:1]
    thanks: tuple[str, ...] = ()
    if key in KEYS:
        thanks = (native.say("satisfaction.thanks"),)
        if await satisfaction.answered(session, call.id, int(key)):
            log.info("satisfaction_kept", call=call.carrier_sid)
    return twiml.hang_up((native, (*thanks, native.say("after.goodbye"))))
