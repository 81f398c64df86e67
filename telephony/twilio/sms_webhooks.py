"""The carrier's webhooks for text messages: what people write to a line, and what became of what we wrote.

STOP counts at once and for every school; what else is written is not kept. Reports come twice and out of order.
"""

from __future__ import annotations

import asyncio
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

import stamina
import structlog
from fastapi import APIRouter, Request, Response
from sqlalchemy.exc import SQLAlchemyError
from twilio.twiml.messaging_response import MessagingResponse

from db import consents, guardians, learners, ledger, lines, messages
from db.limits import Payer
from db.lines import LineFound
from telephony import numbers
from telephony.ivr import twiml
from telephony.keywords import Keyword, answered_by_carrier, read
from telephony.languages import native_of
from telephony.numbers import Guest
from telephony.segments import segments
from telephony.twilio.door import Door
from telephony.twilio.gate import Refused, Signed
from telephony.twilio.messages import reported
from tutor.learning.message import help_reply

START_WORDING: Final = "sms:start"
"""The version of a consent that was given by writing START."""
_TRIES: Final = 4
_TRY_FOR_S: Final = 8.0
"""A STOP is not lost to a database that is away for a moment."""
_ANSWER_S: Final = 12.0
"""The carrier waits 15 s."""
_TROUBLE: Final = (SQLAlchemyError, TimeoutError, OSError)

log = structlog.get_logger(__name__)


def add_routes(routes: APIRouter, door: Door) -> None:
    """Adds ``/sms`` and ``/sms-status`` to the carrier's routes."""
    read("")  # what it understands takes half a second to load, which no live call should wait for

    @routes.post("/sms")
    async def sms(request: Request) -> Response:
        signed = await _let_in(door, request)
        if isinstance(signed, Response):
            return signed
        try:
            async with asyncio.timeout(_ANSWER_S):
                async for attempt in stamina.retry_context(on=_TROUBLE, attempts=_TRIES, timeout=_TRY_FOR_S):
                    with attempt:
                        answer = await _received(door, signed)
        except _TROUBLE as error:
            log.error("text_without_database", sid=signed.text("MessageSid"), problem=type(error).__name__)
            return Response(status_code=503)
        return twiml.reply(answer)

    @routes.post("/sms-status")
    async def sms_status(request: Request) -> Response:
        signed = await _let_in(door, request)
        if isinstance(signed, Response):
            return signed
        try:
            async with asyncio.timeout(_ANSWER_S):
                await _report(door, signed, request)
        except _TROUBLE as error:
            log.error("report_without_database", sid=signed.text("MessageSid"), problem=type(error).__name__)
            return Response(status_code=503)
        return Response(status_code=204)


async def _let_in(door: Door, request: Request) -> Signed | Response:
    try:
        return await door.gate.form(request)
    except Refused as refused:
        log.warning("webhook_refused", path=request.url.path, why=str(refused))
        return Response(status_code=refused.status)


async def _received(door: Door, signed: Signed) -> str:
    """Somebody wrote to a line. The carrier answers its own keywords itself; others are answered with a message."""
    sid, body = signed.text("MessageSid"), signed.text("Body")
    dialled = numbers.normalise(signed.text("To"))
    async with door.database.anyone() as session:
        line = await lines.by_number(session, dialled) if dialled else None
    if line is not None and signed.account.school_id not in (None, line.school_id):
        line = None
    writer = numbers.identify(signed.text("From"), region=numbers.region_of(dialled) if dialled else None)
    keyword = _keyword(signed, body)
    log.info("text_received", sid=sid, keyword=keyword)
    if keyword is None or isinstance(writer, Guest) or not sid:
        return twiml.empty()
    number_hash = door.keyring.hash_number(writer.e164)
    if keyword is Keyword.STOP:
        async with door.database.anyone() as session:
            if await consents.received(session, sid):
                await consents.opt_out(session, number_hash, sid)
    elif keyword is Keyword.START:
        await _start(door, line, number_hash, writer.e164, sid)
    elif line is not None and not answered_by_carrier(body):
        return await _help(door, line, number_hash, sid)
    return twiml.empty()


def _keyword(signed: Signed, body: str) -> Keyword | None:
    """What a text asks for; the carrier may have recognised it by words of its own setting."""
    keyword = read(body)
    if keyword is Keyword.STOP:
        return keyword
    recognised = signed.text("OptOutType").lower()
    return Keyword(recognised) if recognised in set(Keyword) else keyword


async def _start(door: Door, line: LineFound | None, number_hash: bytes, number: str, sid: str) -> None:
    """Lifts the opt-out; texts come again from the school of this line, if it knows the number."""
    if line is None:
        async with door.database.anyone() as session:
            if await consents.received(session, sid):
                await consents.opt_in(session, number_hash)
        return
    async with door.database.school(line.school_id) as session:
        if not await consents.received(session, sid):
            return
        await consents.opt_in(session, number_hash)
        guardian = await guardians.is_one(session, number_hash)
        # Who has never called is asked at the first call, like everybody.
        if guardian or await learners.by_number_hash(session, number_hash):
            await consents.give(
                session,
                school_id=line.school_id,
                number_hash=number_hash,
                carrier_sid=sid,
                wording=START_WORDING,
            )
            await learners.set_message_number(session, number_hash, door.keyring.encrypt(number))
            await guardians.set_number(session, number_hash, door.keyring.encrypt(number))


async def _help(door: Door, line: LineFound, number_hash: bytes, sid: str) -> str:
    """Says who writes and how to end it, in the learner's language; not to somebody who opted out.

    Once a day and number, for each answer costs; a webhook that comes again gets the same answer, paid for once.
    """
    native = native_of(line, door.catalogue)
    at = door.now()
    async with door.database.school(line.school_id) as session:
        if await consents.opted_out(session, number_hash):
            return twiml.empty()
        today = at.astimezone(ZoneInfo(line.school_timezone)).date()
        # The note first: a second webhook at the same time waits for it, then sees what the other has booked.
        first = await consents.helped(session, line.school_id, number_hash, today)
        if not first and not await ledger.help_booked(session, sid):
            return twiml.empty()
        known = await learners.by_number_hash(session, number_hash)
        if known and any(language.tag == known[0].native for language in door.catalogue.natives):
            native = door.catalogue.language(known[0].native)
        body = help_reply(line.school_name, native, count=segments)
        # A telephone that several share is nobody's in particular.
        payer = Payer(line.school_id, line.id, known[0].id if len(known) == 1 else None)
        await ledger.book_help(session, payer, carrier_sid=sid, sender=line.number, segments=segments(body), at=at)
    answer = MessagingResponse()
    answer.message(body)
    return str(answer)


async def _report(door: Door, signed: Signed, request: Request) -> None:
    """The carrier reports on a message, which it names by its own identifier, and the address by ours."""
    sid = signed.text("MessageSid") or signed.text("SmsSid")
    async with door.database.anyone() as session:
        found = await messages.find(session, message_id=_uuid(request.query_params.get("message")), carrier_sid=sid)
    if found is None:
        log.warning("report_of_unknown_message", sid=sid)
        return
    async with door.database.school(found.school_id) as session:
        message = await messages.get(session, found.message_id)
        if message is None or message.account_sid != signed.account.sid or not sid:
            log.warning("report_of_unknown_message", sid=sid)
            return
        status = signed.text("MessageStatus") or signed.text("SmsStatus")
        news = await reported(
            session,
            found.message_id,
            carrier_sid=sid,
            status=status,
            error_code=_number(signed.text("ErrorCode")),
            attempt=_number(request.query_params.get("attempt", "")),
        )
    if news:
        door.figures.text_reported(status)


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text or "")
    except ValueError:
        return None


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 9 else None
