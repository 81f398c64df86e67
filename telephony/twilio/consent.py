"""Asks callers once whether text messages may come, and keeps the answer with its time, call and wording.

At the end of a call, or in the next one's menu when the first was hung up. It knows calls and rows; what is texted
later, and when, is not known here.
"""

from __future__ import annotations

from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from db import consents, debriefs, jobs, learners, lines, messages
from db.accounts import Account
from db.models import Call
from telephony import agreements, numbers
from telephony.closing import Closing
from telephony.ivr import twiml
from telephony.ivr.record import MenuRecord
from telephony.ivr.steps import Ask
from telephony.numbers import Caller, Guest
from telephony.segments import segments
from telephony.twilio import confidence, satisfaction
from telephony.twilio.door import Door
from telephony.twilio.gate import Signed
from tutor.learning.message import confirmation
from tutor.script.language import Language

_PATH: Final = "/twilio/consent"
_NOT_ASKED_AFTER: Final = frozenset({"safe_exit", "left_menu"})

log = structlog.get_logger(__name__)


def can_text(account: Account) -> bool:
    """Returns whether an account's carrier sends text messages."""
    return account.kind in ("twilio", "rehearsal")


def wording(native: Language) -> str:
    """Returns the version of the sentence that asks."""
    return agreements.wording(native, "consent.ask")


async def ask_at_the_end(door: Door, signed: Signed, call: Call, native: Language, closing: Closing) -> str:
    """Says how the call stood, and asks the caller what is due: this first, then how sure they feel.

    Where neither is due, some who have heard a wrap-up are asked how the practice was (``satisfaction``).
    Keys that are pressed before the question do not count. Whoever heard an apology is asked another time.
    """
    goodbye = () if closing.goodbye is None else (closing.goodbye,)
    if call.end_reason in _NOT_ASKED_AFTER or call.connected_at is None:
        return twiml.hang_up((native, (*closing.lines, *goodbye)))
    async with door.database.school(call.school_id) as session:
        if await _is_due(session, signed, call):
            return twiml.ask(Ask((native.say("consent.ask"),)), native, f"{_PATH}?step=1", first=closing.lines)
        if closing.goodbye is not None:
            asked = await satisfaction.question(session, call, native, closing.lines)
            if asked is not None:
                return asked
        return await confidence.ask_or_hang_up(session, call, native, closing.lines, goodbye)


async def answered(door: Door, session: AsyncSession, call: Call, signed: Signed, *, step: int) -> str:
    """Keeps the answer given at the end of a call, and goes on to its end. The same for a repeated request.

    A wrong key is asked again once; after that, and where nothing is pressed, the answer is no.
    """
    native = door.catalogue.language(MenuRecord.read(call.menu).native)
    given = await consents.answer_of(session, call.carrier_sid)
    if given is None:
        key = signed.text("Digits")[:1]
        if key not in ("", "1", "2") and step == 1:
            says = (native.say("menu.wrong_key"), native.say("consent.ask"))
            return twiml.ask(Ask(says), native, f"{_PATH}?step=2")
        given = key == "1"
        if not await keep(door, session, call, signed, given=given):
            return twiml.hang_up((native, [native.say("after.goodbye")]))
    said = native.say("consent.yes" if given else "consent.no")
    return await confidence.ask_or_hang_up(session, call, native, [said], ())


async def keep(door: Door, session: AsyncSession, call: Call, signed: Signed, *, given: bool) -> bool:
    """Keeps a caller's answer, in the transaction of ``session``; with a yes the number too, and confirms it by text.

    A call that is over by then gets its debrief texted as well. False when it was not kept: a guest, or a number that
    has answered or opted out meanwhile.
    """
    caller = caller_of(signed)
    if call.learner_id is None or call.caller_hash is None or isinstance(caller, Guest):
        return False
    if door.keyring.hash_number(caller.e164) != call.caller_hash or await consents.opted_out(session, call.caller_hash):
        return False
    if not await learners.calls_from(session, call.learner_id, call.caller_hash):
        return False
    record = MenuRecord.read(call.menu)
    native = door.catalogue.language(record.native)
    kept = await consents.record(
        session,
        school_id=call.school_id,
        number_hash=call.caller_hash,
        given=given,
        carrier_sid=call.carrier_sid,
        wording=wording(native),
    )
    if not kept:
        return False
    log.info("consent_kept", call=call.carrier_sid, given=given)
    line = await lines.get(session, call.line_id)
    if not given or line is None:
        return True
    await learners.set_message_number(session, call.caller_hash, door.keyring.encrypt(caller.e164))
    await messages.add(
        session,
        school_id=call.school_id,
        call_id=call.id,
        learner_id=call.learner_id,
        account_sid=call.account_sid,
        sender=line.number,
        kind="confirmation",
        key=f"confirmation:{call.id}",
        body=confirmation(record.school, native, count=segments),
        number_hash=call.caller_hash,
    )
    if call.state == "closed":
        name, arguments = debriefs.job(call.school_id, call.id)
        await jobs.defer(session, name, **arguments)
    return True


async def _is_due(session: AsyncSession, signed: Signed, call: Call) -> bool:
    if call.learner_id is None or call.caller_hash is None or not can_text(signed.account):
        return False
    if isinstance(caller_of(signed), Guest):
        return False
    # Not a minor; and not whoever calls from another's telephone by PIN: the number is not theirs to give.
    line = await lines.get(session, call.line_id)
    if line is None or not line.texts or line.for_minors:
        return False
    own = await learners.calls_from(session, call.learner_id, call.caller_hash)
    return own and not await consents.asked(session, call.caller_hash)


def caller_of(signed: Signed) -> Caller:
    """Returns who is calling, as every request of a call says it; whoever calls by SIP has no number to text to."""
    if signed.text("SipDomain"):
        return Guest()
    return numbers.identify(signed.text("From"), region=_region(signed), verstat=signed.text("StirVerstat"))


def _region(signed: Signed) -> str | None:
    """The region of the dialled line, for carriers that hand on a national number."""
    dialled = numbers.normalise(signed.text("To"))
    return numbers.region_of(dialled) if dialled else None
