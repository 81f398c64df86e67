"""The carrier's webhooks: a signed form comes in, a call script goes out, and a call's row moves on by one state.

They decide nothing themselves: the gate lets in, admission admits, the menu says what follows a key. Each is idempotent
by CallSid and step, answers well within a second, and turns every failure into a spoken sentence.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

import structlog
from fastapi import APIRouter, Request, Response
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from db import calls, endings, learners, ledger, ratings, tokens
from db.models import Call
from telephony import admission, agreements, callers, coming_back, numbers, sip
from telephony.admission import Admitted, Inbound, TurnedAway
from telephony.closing import Closing, closing
from telephony.figures import Fault, Refusal
from telephony.ivr import listening, twiml
from telephony.ivr.menu import FREE_TALK, MenuState
from telephony.ivr.record import At, MenuRecord
from telephony.ivr.steps import SPOKEN, Ask, Begin, Goodbye
from telephony.languages import FALLBACK_LANGUAGES
from telephony.numbers import Guest
from telephony.twilio import confidence, consent, media, satisfaction, sms_webhooks
from telephony.twilio.door import Door
from telephony.twilio.gate import Refused, Signed
from tutor.learning.said import Said
from tutor.script.catalogue import Catalogue
from tutor.script.language import Language

KEYS_PER_ANSWER: Final = 16
"""More keys in one answer are dropped; the carrier gathers one at a time, or the four of a PIN."""
SPOKEN_CHARACTERS: Final = 1000
"""More of a spoken answer is dropped; the carrier listens for a minute at most, which is less."""
_SETTLE_STEP_S: Final = 0.1
_AFTER: Final = "/twilio/after"

log = structlog.get_logger(__name__)


class Reason(StrEnum):
    """Why a call ended that no driver closed."""

    LEFT_MENU = "left_menu"
    TURNED_AWAY = "turned_away"
    """A budget was spent, and they did not want to listen and repeat."""
    LISTENED = "listened"
    NO_STREAM = "no_stream"
    """The caller chose, and the media never came."""
    LINE_LOST = "line_lost"
    """The media broke off, and the conversation could not go on."""
    CALLER_HUNG_UP = "caller_hung_up"


TROUBLE: Final = frozenset({"line_lost", "model_lost", "no_stream", "process_lost"})
"""Ends for which a caller who is still there is owed an apology."""


_REFUSALS: Final[dict[str, Refusal]] = {
    "door.closed": "closed",
    "door.busy": "busy",
    "door.minutes_used": "minutes_used",
    "door.budget_spent": "budget_spent",
    "door.minutes_used_month": "minutes_used",
    "door.budget_spent_month": "budget_spent",
}


class _Overtaken(Exception):
    """Another request of the same call was faster; what was begun is rolled back."""


class _UnknownCall(Exception):
    """The carrier speaks of a call that has no row, or of another account's."""


Handler = Callable[[Door, Signed, Request], Awaitable[str]]


def router(door: Door) -> APIRouter:
    """Returns the carrier's routes: of calls, of text messages, and the media socket, all under ``/twilio``.

    Raises:
        CatalogueError: the catalogue lacks a fallback language.
    """
    # Made now: when it is needed, nothing may have to be looked up.
    unavailable = twiml.hang_up(*_unavailable(door))

    def failed(why: Fault) -> None:
        door.figures.fault("webhook", why)

    async def handled(handler: Handler, request: Request, *, more_s: float = 0, trouble_status: int = 200) -> Response:
        try:
            signed = await door.gate.form(request)
        except Refused as refused:
            failed("refused")
            log.warning("webhook_refused", path=request.url.path, why=str(refused))
            return Response(status_code=refused.status)
        try:
            async with asyncio.timeout(door.answer_timeout_s + more_s):
                return twiml.reply(await handler(door, signed, request))
        except (TimeoutError, SQLAlchemyError, OSError) as error:
            failed("no_database")
            # Not the text: the database quotes parameters, and they may hold what belongs in no log.
            log.error("webhook_without_database", path=request.url.path, problem=type(error).__name__)
        except _UnknownCall:
            failed("unknown_call")
            log.warning("webhook_of_unknown_call", path=request.url.path)
        except Exception:
            failed("failed")
            log.exception("webhook_failed", path=request.url.path)
        return Response(unavailable, status_code=trouble_status, media_type="text/xml")

    routes = APIRouter(prefix="/twilio")

    @routes.post("/voice")
    async def voice(request: Request) -> Response:
        return await handled(_voice, request)

    @routes.post("/menu")
    async def menu(request: Request) -> Response:
        return await handled(_menu, request)

    @routes.post("/after")
    async def after(request: Request) -> Response:
        return await handled(_after, request, more_s=door.settle_s)

    @routes.post("/consent")
    async def asked(request: Request) -> Response:
        return await handled(_consent, request)

    @routes.post("/confidence")
    async def felt(request: Request) -> Response:
        return await handled(_confidence, request)

    @routes.post("/satisfaction")
    async def rated(request: Request) -> Response:
        return await handled(_satisfaction, request)

    @routes.post("/status")
    async def status(request: Request) -> Response:
        return await handled(_status, request, trouble_status=503)

    media.add_routes(routes, door)
    sms_webhooks.add_routes(routes, door)
    return routes


def _unavailable(door: Door) -> list[tuple[Language, list[str]]]:
    """The sentence for callers whose language is not known yet: please ring again, in each fallback language."""
    spoken = [door.catalogue.language(tag) for tag in FALLBACK_LANGUAGES]
    return [(language, [language.say("door.unavailable")]) for language in spoken]


async def _voice(door: Door, signed: Signed, request: Request) -> str:
    """A call comes in: admits it and reads the menu, or says in one sentence why not."""
    if door.draining():
        door.figures.turned_away("draining")
        log.info("call_while_draining", call=signed.call_sid)
        return twiml.hang_up(*_unavailable(door))
    inbound = Inbound(
        call_sid=signed.call_sid,
        account_sid=signed.account.sid,
        account_school=signed.account.school_id,
        dialled=signed.text("To"),
        caller=signed.text("From"),
        can_text=consent.can_text(signed.account),
        verstat=signed.text("StirVerstat"),
        sip_domain=signed.text("SipDomain"),
        sip_name=signed.text("SipUsername"),
    )
    decision = await admission.decide(
        inbound,
        database=door.database,
        keyring=door.keyring,
        catalogues=door.catalogues,
        max_calls=door.max_calls,
        minors=door.minors,
        model=door.model,
        transcribe_model=door.transcribe_model,
    )
    if isinstance(decision, TurnedAway):
        door.figures.turned_away(_REFUSALS[decision.sentence])
        log.info("call_turned_away", call=inbound.call_sid, sentence=decision.sentence)
        return twiml.hang_up((decision.language, [decision.language.say(decision.sentence)]))
    if not isinstance(decision, Admitted):
        door.figures.turned_away("unknown_line")
        log.info("call_to_unknown_line", call=inbound.call_sid)
        return twiml.reject()
    if decision.fresh:
        door.figures.admitted()
    if decision.fresh and decision.menu.role == "listener":
        log.info("call_without_model", call=inbound.call_sid, phrases=len(decision.menu.phrases))
    elif decision.fresh:
        log.info("call_admitted", call=inbound.call_sid, returning=decision.menu.returning)
        door.prewarm(inbound.call_sid, decision)
    return _render(door, signed, decision.menu, decision.catalogue, prompts=0)


async def _menu(door: Door, signed: Signed, request: Request) -> str:
    """The caller answered the prompt ``step`` (from 1): writes the answer down once and gives what follows it."""
    found = await _find(door, signed)
    step = _step(request)
    try:
        async with door.database.school(found.school_id) as session:
            call = await _own(session, found, signed)
            record, no_scene = MenuRecord.read(call.menu), False
            catalogue = await door.catalogues.of(session, found.school_id, record.scenarios)
            if step == call.step and call.state == "menu":
                record = await _answer(door, session, call, signed, catalogue)
                no_scene = record.role != "learner" or isinstance(record.at(catalogue).step, Goodbye)
    except _Overtaken:
        async with door.database.school(found.school_id) as session:
            record, no_scene = MenuRecord.read((await _own(session, found, signed)).menu), False
    if no_scene:
        door.release(signed.call_sid)
    if record.steps < step:  # not asked yet, or closed in the meantime: there is nothing to go on with
        native = door.catalogue.language(record.native)
        return twiml.hang_up((native, [native.say("after.goodbye")]))
    return _render(door, signed, record, catalogue, prompts=step)


async def _answer(door: Door, session: AsyncSession, call: Call, signed: Signed, catalogue: Catalogue) -> MenuRecord:
    """Moves a call's menu on by one answer, in the transaction of ``session``; raises ``_Overtaken``."""
    before = MenuRecord.read(call.menu)
    models = callers.Models(door.model, door.transcribe_model)
    given = _given(signed)
    if before.role == "listener":
        given = listening.in_time(given, await calls.age_s(session, call.id))
    answered = await callers.answered(session, door.keyring, catalogue, call, before, given, models=models)
    record, step = answered.record, answered.at.step
    if isinstance(step, Begin):
        token = await _token(door, session, call, step.scenario, record, answered.at, record.level_of(answered.at))
        record = record.with_token(door.keyring.encrypt(token).decode())
    if not await calls.save_menu(session, call.id, call.step, record.write()):
        raise _Overtaken
    was, now = before.at(catalogue).state, answered.at.state
    if record.since == before.since and isinstance(was, MenuState) and isinstance(now, MenuState):
        await _remember(door, session, call, signed, was, now)
    if isinstance(step, Begin):
        await _enrol(session, call, signed, record, answered.at)
        if step.again and record.again is not None:
            await coming_back.take(session, call, record.again, door.ending, reason=Reason.LINE_LOST)
        await calls.begin(session, call.id, scenario=step.scenario, level=record.level_of(answered.at))
    elif isinstance(step, Goodbye):
        await _close(door, session, call, _left(record))
    return record


async def _remember(
    door: Door, session: AsyncSession, call: Call, signed: Signed, was: MenuState, now: MenuState
) -> None:
    """Keeps what a learner chose for the calls to come."""
    changes = {name: getattr(now, name) for name in ("slower", "voice") if getattr(now, name) != getattr(was, name)}
    if changes and call.learner_id is not None:
        await learners.save_settings(session, call.learner_id, changes)
    if now.consent is not None and was.consent is None:
        await consent.keep(door, session, call, signed, given=now.consent)
    if now.agreed != was.agreed:
        native = door.catalogue.language(MenuRecord.read(call.menu).native)
        await agreements.change(session, call, native, was.agreed, now.agreed)
    if now.bigger is not None and was.bigger is None and call.learner_id is not None:
        await ratings.answered(session, call.learner_id, MenuRecord.read(call.menu).target, yes=now.bigger)


async def _enrol(session: AsyncSession, call: Call, signed: Signed, record: MenuRecord, at: At) -> None:
    """Makes a learner of a newcomer who begins a scene; not of a number that is not the call's any more.

    Whether a SIP phone is known was decided at the door: a guest's call has no hash.
    """
    caller = consent.caller_of(signed)
    if isinstance(caller, Guest) and not sip.is_address(signed.text("From")):
        return
    await callers.enrol(session, call, record, at, "" if isinstance(caller, Guest) else numbers.last_two(caller.e164))


def _given(signed: Signed) -> str:
    """The answer to a prompt: keys, or what the carrier understood; empty for none in time."""
    said = signed.text("SpeechResult").strip()[:SPOKEN_CHARACTERS]
    return signed.text("Digits")[:KEYS_PER_ANSWER] or (f"{SPOKEN}{said}" if said else "")


async def _after(door: Door, signed: Signed, request: Request) -> str:
    """The media ended, or never began: goes on with the scene where that is possible, else says how it stood."""
    found = await _find(door, signed)
    call = await _settled(door, signed, found)
    record = MenuRecord.read(call.menu)
    native = door.catalogue.language(record.native)
    again = call.state == "connecting" and call.streams >= _number(request, "stream", "1")
    if again or (call.state in ("live", "after") and await door.resume(call)):
        if door.draining():
            # Another instance is to take the scene up; the carrier asks again until it reaches one.
            return twiml.hold(native, native.say("call.holding"), f"/twilio/after?stream={call.streams}")
        return await _reconnect(door, signed, call, record)
    async with door.database.school(found.school_id) as session:
        # A live call's driver may still be at work elsewhere; if it died, the sweep closes the row with its checkpoint.
        if call.state != "live":
            reasons = {"after": Reason.LINE_LOST, "connecting": Reason.NO_STREAM}
            await _close(door, session, call, reasons.get(call.state, Reason.LEFT_MENU))
        catalogue = await door.catalogues.of(session, call.school_id, (call.scenario or FREE_TALK,))
        told = await closing(session, catalogue, call, record) if call.state == "closed" else None
    door.release(signed.call_sid)
    sentence = _closing_sentence(call)
    log.info(
        "call_after",
        call=signed.call_sid,
        state=call.state,
        reason=call.end_reason,
        said="wrap_up" if told else sentence,
    )
    if sentence == "after.trouble":
        return twiml.hang_up((native, [native.say(sentence)]))
    last = Closing((Said.of(native.say(sentence), native),), None)
    return await consent.ask_at_the_end(door, signed, call, native, told or last)


async def _consent(door: Door, signed: Signed, request: Request) -> str:
    """The caller answered, at the end of a call, whether text messages may come; ``step`` counts the questions."""
    found = await _find(door, signed)
    async with door.database.school(found.school_id) as session:
        call = await _own(session, found, signed)
        return await consent.answered(door, session, call, signed, step=_step(request))


async def _confidence(door: Door, signed: Signed, request: Request) -> str:
    """The learner answered, at the end of a call, how sure they feel."""
    found = await _find(door, signed)
    async with door.database.school(found.school_id) as session:
        return await confidence.answered(door, session, await _own(session, found, signed), signed)


async def _satisfaction(door: Door, signed: Signed, request: Request) -> str:
    """The caller answered, at the end of a call, how the practice was."""
    found = await _find(door, signed)
    async with door.database.school(found.school_id) as session:
        return await satisfaction.answered(door, session, await _own(session, found, signed), signed)


async def _status(door: Door, signed: Signed, request: Request) -> str:
    """The carrier reports on a call: keeps the news, and closes the row of a call that is over if nobody else did."""
    status, sequence = signed.text("CallStatus"), signed.text("SequenceNumber")
    try:
        found = await _find(door, signed)
    except _UnknownCall:  # rejected at the door, or turned away
        return twiml.empty()
    async with door.database.school(found.school_id) as session:
        call = await _own(session, found, signed)
        await calls.carrier_status(session, call.id, status, int(sequence) if sequence.isdecimal() else 0)
        over = status in calls.TERMINAL
        # The driver of a live call has what was said and closes it itself; if it died, the sweep does.
        if over and call.state != "live":
            reason = _left(MenuRecord.read(call.menu)) if call.state == "menu" else Reason.CALLER_HUNG_UP
            await _close(door, session, call, reason)
        seconds = signed.text("CallDuration")
        if over and seconds.isdecimal():
            await ledger.carrier_billed(session, call.id, int(seconds))
    if over:
        door.release(signed.call_sid)
    return twiml.empty()


async def _close(door: Door, session: AsyncSession, call: Call, reason: Reason) -> None:
    """Closes a call that no driver closed, and counts it: once, however often it is tried."""
    if await endings.finish(session, call.id, door.ending(call, reason)):
        began = call.connected_at
        door.figures.ended(reason, (datetime.now(UTC) - began).total_seconds() if began is not None else None)


async def _find(door: Door, signed: Signed) -> calls.CallFound:
    async with door.database.anyone() as session:
        found = await calls.find(session, signed.call_sid)
    if found is None:
        raise _UnknownCall
    return found


async def _own(session: AsyncSession, found: calls.CallFound, signed: Signed) -> Call:
    """Returns the call's row, if the account that signed is the one the call came from."""
    call = await calls.get(session, found.call_id)
    if call is None or call.account_sid != signed.account.sid:
        raise _UnknownCall
    return call


async def _settled(door: Door, signed: Signed, found: calls.CallFound) -> Call:
    """Returns the call's row once its driver has written how it ended, or as it is after ``settle_s``.

    The carrier asks the moment the socket closes, on any instance, and the driver may be writing in that moment.
    """
    left_s = door.settle_s
    while True:
        async with door.database.school(found.school_id) as session:
            call = await _own(session, found, signed)
        if call.state != "live" or left_s <= 0:
            return call
        await asyncio.sleep(_SETTLE_STEP_S)
        left_s -= _SETTLE_STEP_S


async def _reconnect(door: Door, signed: Signed, call: Call, record: MenuRecord) -> str:
    """Opens another stream for a scene that goes on."""
    scenario = call.scenario or FREE_TALK
    async with door.database.school(call.school_id) as session:
        catalogue = await door.catalogues.of(session, call.school_id, record.scenarios)
        level = call.level or record.level
        token = await _token(door, session, call, scenario, record, record.at(catalogue), level)
        await calls.begin(session, call.id, scenario=scenario, level=level)
    native = door.catalogue.language(record.native)
    after = f"{_AFTER}?stream={call.streams + 1}"
    return twiml.connect((), native, door.gate.stream_url(signed.account), {"token": token}, after)


async def _token(
    door: Door, session: AsyncSession, call: Call, scenario: str, record: MenuRecord, at: At, level: str
) -> str:
    """Issues the right to open one media stream for this call."""
    chosen = at.state if isinstance(at.state, MenuState) else MenuState()
    payload = {
        "call_id": str(call.id),
        "account": call.account_sid,
        "scenario": scenario,
        "level": level,
        "native": record.native,
        "slower": chosen.slower,
        "voice": chosen.voice,
    }
    return await tokens.issue(
        session, door.keyring, school_id=call.school_id, carrier_sid=call.carrier_sid, payload=payload
    )


def _render(door: Door, signed: Signed, record: MenuRecord, catalogue: Catalogue, *, prompts: int) -> str:
    """Gives the answer that belongs to a step; the same for the same step, however often it is asked."""
    native, _, step = record.at(catalogue, prompts)
    if isinstance(step, Ask):
        return twiml.ask(step, native, f"/twilio/menu?step={prompts + 1}")
    if isinstance(step, Begin) and record.token is not None:
        token = door.keyring.decrypt(record.token.encode())
        url = door.gate.stream_url(signed.account)
        return twiml.connect(step.says, native, url, {"token": token}, f"{_AFTER}?stream=1")
    # A step that looks somebody up is never rendered: the menu that follows it begins in its place.
    says = step.says if isinstance(step, Begin | Goodbye) else ()
    return twiml.hang_up((native, says or (native.say("after.goodbye"),)))


def _step(request: Request) -> int:
    """The prompt that is being answered, from 1.

    Raises:
        ValueError: the address was not made by us.
    """
    return _number(request, "step")


def _number(request: Request, name: str, default: str = "") -> int:
    """A number in the address, from 1.

    Raises:
        ValueError: the address was not made by us.
    """
    number = request.query_params.get(name, default)
    if not (number.isascii() and number.isdecimal() and 0 < len(number) < 4):
        raise ValueError(f"The address names no {name}.")
    return int(number)


def _left(record: MenuRecord) -> Reason:
    """How a call ended that got no further than its menu."""
    if record.role == "listener":
        return Reason.LISTENED if record.listened else Reason.TURNED_AWAY
    return Reason.LEFT_MENU


def _closing_sentence(call: Call) -> str:
    if call.completed:
        return "after.well_done"
    trouble = call.state in ("connecting", "live", "after") or call.end_reason in TROUBLE
    return "after.trouble" if trouble else "after.goodbye"
