"""What people write to a line, and what the carrier reports of what we wrote."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any
from uuid import UUID
from xml.etree import ElementTree as ET

import httpx
import pytest
from sqlalchemy import select, text

from db import accounts, calls, consents, guardians, learners, lines, messages, schools
from db.engine import Database
from db.keyring import Keyring
from db.models import Message
from db.models_money import LedgerEntry
from telephony.segments import segments
from tests.telephony.school_line import ACCOUNT, CALLER, LINE, TOKEN, Service, service
from tutor.learning.message import help_reply
from tutor.realtime.pricing import prices
from tutor.script.catalogue import load


@pytest.fixture
async def line(database: Database, keyring: Keyring) -> AsyncIterator[Service]:
    """A service with one live line, whose caller has agreed to texts."""
    async with service(database, keyring) as ready:
        await agree(ready)
        yield ready


async def agree(line: Service, number: str = CALLER) -> UUID:
    """Makes a learner who agreed to texts."""
    number_hash = line.keyring.hash_number(number)
    async with line.database.school(line.school_id) as session:
        learner = await learners.create_with_number(
            session,
            school_id=line.school_id,
            number_hash=number_hash,
            last_two=number[-2:],
            native="en",
            target="es",
            level="A1",
            number_encrypted=line.keyring.encrypt(number),
        )
        await consents.record(
            session, school_id=line.school_id, number_hash=number_hash, given=True, carrier_sid="CA0", wording="en:1"
        )
    return learner.id


async def write(line: Service, body: str, sid: str = "SM" + "1" * 32, **fields: Any) -> httpx.Response:
    """Somebody writes to the line."""
    form = {"MessageSid": sid, "SmsSid": sid, "SmsMessageSid": sid, "Body": body, "NumMedia": "0", **fields}
    return await line.post("/twilio/sms", **form)


async def stands(line: Service, number: str = CALLER) -> bool:
    """Whether the school may text the number."""
    number_hash = line.keyring.hash_number(number)
    async with line.database.school(line.school_id) as session:
        kept = await session.scalar(
            text("SELECT number_encrypted IS NOT NULL FROM caller_identities WHERE number_hash = :hash"),
            {"hash": number_hash},
        )
        standing = await consents.standing(session, number_hash)
    assert standing == bool(kept), "the number is kept exactly while consent stands"
    return standing


# --- what people write


@pytest.mark.parametrize(
    "body",
    [
        "STOP", "stop.", "Stopp", "no más", "arrêt", "para de mandar mensajes", "Please remove me", "退订",
        "please don't text me any more", "no me mandes más mensajes", "je ne veux plus de messages",
        "não quero mais mensagens", "لا أريد رسائلكم", "别再给我发短信了", "UNSUBSCRIBE", "Optout", "Revoke",
    ],
)  # fmt: skip
async def test_stop(line: Service, body: str) -> None:
    """A STOP in any wording counts at once; nothing is answered, for the carrier does that."""
    response = await write(line, body)
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/xml")
    assert list(ET.fromstring(response.content)) == []
    assert not await stands(line)


async def test_stop_counts_for_every_school(line: Service) -> None:
    """Whoever writes STOP to one line gets no text from any."""
    async with line.database.anyone() as session:
        other = await schools.create(session, "South", "Europe/Madrid")
    number_hash = line.keyring.hash_number(CALLER)
    async with line.database.school(other) as session:
        await consents.record(
            session, school_id=other, number_hash=number_hash, given=True, carrier_sid="CA9", wording="en:1"
        )
    await write(line, "STOP", To="+34999999999")
    async with line.database.school(other) as session:
        assert not await consents.standing(session, number_hash)


async def test_stop_by_the_carriers_own_setting(line: Service) -> None:
    """A word that only the carrier was told of counts as what the carrier calls it; but a STOP is a STOP."""
    await write(line, "Genug jetzt, Schluss damit", OptOutType="STOP")
    assert not await stands(line)
    await write(line, "START", "SM2")
    assert await stands(line)
    await write(line, "stop it", "SM3", OptOutType="START")
    assert not await stands(line)


async def test_other_words_change_nothing(line: Service) -> None:
    """What is no request is acknowledged, and kept nowhere."""
    response = await write(line, "¿Me pone un café?")
    assert list(ET.fromstring(response.content)) == []
    assert await stands(line)
    async with line.database.anyone() as session:
        await session.execute(text("RESET ROLE"))
        found = await session.scalars(text("SELECT count(*) FROM texts_received"))
    assert found.one() == 0


async def test_start(line: Service) -> None:
    """After STOP, START brings the texts of this school back, and no others."""
    await write(line, "STOP", "SM1")
    response = await write(line, "Start", "SM2")
    assert list(ET.fromstring(response.content)) == []
    assert await stands(line)
    async with line.database.school(line.school_id) as session:
        kept = await session.execute(text("SELECT carrier_sid, wording FROM consents WHERE ended_at IS NULL"))
        assert kept.all() == [("SM2", "sms:start")]


async def test_start_of_somebody_who_said_no(line: Service) -> None:
    """A no in a call is taken back by writing START."""
    number = "+34600111333"
    number_hash = line.keyring.hash_number(number)
    await line.enrolled(number)
    async with line.database.school(line.school_id) as session:
        await consents.record(
            session, school_id=line.school_id, number_hash=number_hash, given=False, carrier_sid="CA3", wording="en:1"
        )
    await write(line, "YES", From=number)
    assert await stands(line, number)


async def test_a_guardian_s_stop_and_start(line: Service) -> None:
    """A guardian, who has never called, ends the texts about a child like anybody else, and brings them back."""
    number = "+34600555666"
    child = await agree(line)
    async with line.database.school(line.school_id) as session:
        ids = {"school_id": line.school_id, "learner_id": child}
        await guardians.put(session, line.keyring, **ids, number=number, consent="form 2026-09")

    async def kept() -> bool:
        async with line.database.school(line.school_id) as session:
            guardian = await guardians.get(session, child)
            standing = await consents.standing(session, line.keyring.hash_number(number))
        assert guardian is not None
        assert standing == (guardian.number_encrypted is not None)
        return standing

    assert await kept()
    await write(line, "no more messages please", "SM1", From=number)
    assert not await kept()
    await write(line, "START", "SM2", From=number)
    assert await kept()
    assert await stands(line), "the child's own consent is another one"


async def test_start_of_a_stranger(line: Service) -> None:
    """Who never called agrees to nothing by a word: the first call asks."""
    await write(line, "START", From="+34600999999")
    number_hash = line.keyring.hash_number("+34600999999")
    async with line.database.school(line.school_id) as session:
        assert not await consents.asked(session, number_hash)


async def test_repeated_texts(line: Service) -> None:
    """A webhook that comes again after the next one has come does not undo it."""
    await write(line, "STOP", "SM1")
    await write(line, "START", "SM2")
    await write(line, "STOP", "SM1")
    assert await stands(line)
    await write(line, "STOP", "SM3")
    await write(line, "START", "SM2")
    assert not await stands(line)


@pytest.mark.parametrize("body", ["HELP", "info"])
async def test_help_that_the_carrier_answers(line: Service, body: str) -> None:
    """The carrier's own words are answered by the carrier, once."""
    assert list(ET.fromstring((await write(line, body)).content)) == []


async def test_help_in_other_words(line: Service) -> None:
    """Help in the learner's words is answered in the learner's language, with the school's name and how to stop."""
    number = "+34600111333"
    async with line.database.school(line.school_id) as session:
        await learners.create_with_number(
            session,
            school_id=line.school_id,
            number_hash=line.keyring.hash_number(number),
            last_two="33",
            native="es",
            target="en",
            level="A1",
        )
    answer = ET.fromstring((await write(line, "¿Ayuda?", From=number)).content)
    spanish = load().language("es")
    expected = help_reply("Colegio <Lorca> & Söhne", spanish, count=segments)
    assert [(message.tag, message.text) for message in answer] == [("Message", expected)]
    stranger = ET.fromstring((await write(line, "aide", From="+34600999999")).content)
    assert "STOP" in (stranger[0].text or "")


async def booked(line: Service) -> list[LedgerEntry]:
    """What the school's ledger says of messages, the oldest first."""
    async with line.database.school(line.school_id) as session:
        found = select(LedgerEntry).where(LedgerEntry.kind == "message").order_by(LedgerEntry.id)
        return list(await session.scalars(found))


async def test_help_is_booked(line: Service) -> None:
    """An answer to help is a message that the line's school pays for, by segments; the carrier's own is not."""
    await write(line, "HELP", "SM0")
    answer = ET.fromstring((await write(line, "ayuda", "SM1")).content)
    [entry] = await booked(line)
    async with line.database.school(line.school_id) as session:
        found = await lines.by_number(session, LINE)
        [learner] = await learners.by_number_hash(session, line.keyring.hash_number(CALLER))
    assert found is not None
    assert (entry.key, entry.line_id, entry.learner_id) == ("message:help:SM1", found.id, learner.id)
    parts = segments(answer[0].text or "")
    assert entry.quantity == {"segments": parts}
    assert entry.micro_usd is None, "a Spanish number has no price, which is not 0"
    assert entry.charged_micro_usd == prices().segments_at_most(LINE, parts) > 0


async def test_help_asked_twice_by_the_carrier(line: Service) -> None:
    """The same webhook, again or at the same time, gets the same answer and is paid for once."""
    first, second = await asyncio.gather(write(line, "ayuda", "SM1"), write(line, "ayuda", "SM1"))
    again = await write(line, "ayuda", "SM1")
    assert first.content == second.content == again.content
    assert len(ET.fromstring(again.content)) == 1
    assert len(await booked(line)) == 1


async def test_help_once_a_day(database: Database, keyring: Keyring) -> None:
    """A number is answered once between two midnights of the school's clocks, others beside it; nothing names it."""
    clock = [datetime(2026, 11, 21, 21, 0, tzinfo=UTC)]  # ten in the evening in Madrid
    async with service(database, keyring, change=lambda door: replace(door, now=lambda: clock[0])) as line:

        async def answers(sid: str, number: str = CALLER) -> int:
            return len(ET.fromstring((await write(line, "ayuda", sid, From=number)).content))

        assert [await answers(sid) for sid in ("SM1", "SM2", "SM3")] == [1, 0, 0]
        assert await answers("SM4", "+34600999999") == 1
        clock[0] += timedelta(hours=1, minutes=59)
        assert await answers("SM5") == 0
        clock[0] += timedelta(minutes=1)
        assert [await answers(sid) for sid in ("SM6", "SM7")] == [1, 0]
        assert [entry.key[-3:] for entry in await booked(line)] == ["SM1", "SM4", "SM6"]
    async with database.anyone() as session:
        await session.execute(text("RESET ROLE"))
        kept = (await session.scalars(text("SELECT carrier_sid FROM texts_received"))).all()
    digests = {noted.removeprefix("help:") for noted in kept}
    assert [len(digest) for digest in digests] == [64] * 3
    assert keyring.hash_number(CALLER).hex() not in digests


async def test_help_after_stop(line: Service) -> None:
    """Whoever opted out gets no message any more, not even that one."""
    await write(line, "STOP", "SM1")
    assert list(ET.fromstring((await write(line, "ayuda", "SM2")).content)) == []


@pytest.mark.parametrize("writer", ["anonymous", "TWILIO", "12345", ""])
async def test_texts_without_a_number(line: Service, writer: str) -> None:
    """A sender that is no telephone number is acknowledged."""
    assert (await write(line, "STOP", From=writer)).status_code == 200


@pytest.mark.parametrize("path", ["/twilio/sms", "/twilio/sms-status"])
async def test_unsigned(line: Service, path: str) -> None:
    """Nothing is believed that the carrier has not signed."""
    for options in ({"token": None}, {"token": "wrong"}, {"account": "AC" + "0" * 32}):
        assert (await line.post(path, MessageSid="SM1", Body="STOP", **options)).status_code == 403
    assert await stands(line)


async def test_another_schools_account(line: Service) -> None:
    """An account of another school cannot give consent for this one; its STOP counts all the same."""
    async with line.database.anyone() as session:
        other = await schools.create(session, "South", "Europe/Madrid")
        account = accounts.Account("ACsouth", "twilio", ("south",), "https://api.example", other)
        await accounts.put(session, line.keyring, account)
    await write(line, "STOP", "SM1", account="ACsouth", token="south")
    assert not await stands(line)
    await write(line, "START", "SM2", account="ACsouth", token="south")
    assert not await stands(line)


async def test_without_a_database(line: Service) -> None:
    """A STOP that cannot be written is not acknowledged."""
    async with line.database.anyone() as session:
        await session.execute(text("RESET ROLE"))
        await session.execute(text("ALTER FUNCTION number_opt_out(bytea, text) RENAME TO gone"))
        await session.execute(text("ALTER FUNCTION message_find(uuid, text) RENAME TO gone_too"))
    assert (await write(line, "STOP")).status_code == 503
    assert (await line.post("/twilio/sms-status", MessageSid="SM1")).status_code == 503
    assert await stands(line)


# --- what the carrier reports


@pytest.fixture
async def message(line: Service) -> UUID:
    """A message whose first attempt is under way."""
    learner_id = await agree(line)
    async with line.database.school(line.school_id) as session:
        found = await lines.by_number(session, LINE)
        assert found is not None
        call = await calls.open_call(
            session,
            school_id=line.school_id,
            line_id=found.id,
            carrier_sid="CA7",
            account_sid=ACCOUNT.sid,
            max_calls=9,
            learner_id=learner_id,
        )
        await messages.add(
            session,
            school_id=line.school_id,
            call_id=call.id,
            learner_id=learner_id,
            account_sid=ACCOUNT.sid,
            sender=LINE,
            kind="debrief",
            key="debrief:7",
            body="¡Bien!",
            number_hash=line.keyring.hash_number(CALLER),
        )
        message_id: UUID | None = await session.scalar(select(Message.id))
        assert message_id is not None
        assert await messages.attempt(session, message_id) == 1
    return message_id


async def report(line: Service, status: str, message: UUID | None = None, *, attempt: int = 1, **fields: Any) -> None:
    """The carrier reports."""
    path = "/twilio/sms-status" + (f"?message={message}&attempt={attempt}" if message else "")
    form = {"MessageSid": "SM7", "MessageStatus": status, "SmsStatus": status, "From": LINE, "To": CALLER, **fields}
    response = await line.post(path, **form)
    assert (response.status_code, response.content) == (204, b"")


async def row(line: Service, message: UUID) -> Message:
    """The message as it is now."""
    async with line.database.school(line.school_id) as session:
        found = await messages.get(session, message)
    assert found is not None
    return found


@pytest.mark.parametrize("order", sorted(set(permutations(["queued", "sent", "delivered", "delivered"]))))
async def test_reports_out_of_order(line: Service, message: UUID, order: tuple[str, ...]) -> None:
    """Reports that come mixed and twice end where they should, even before our own request was answered."""
    for status in order:
        await report(line, status, message)
    found = await row(line, message)
    assert (found.state, found.carrier_sid) == ("delivered", "SM7")


async def test_reports_without_our_identifier(line: Service, message: UUID) -> None:
    """Once the carrier's identifier is known it is enough."""
    await report(line, "delivered")
    assert (await row(line, message)).state == "sending", "nobody knows yet whose it is"
    await report(line, "sent", message)
    await report(line, "delivered")
    assert (await row(line, message)).state == "delivered"


async def test_reports_of_a_failure(line: Service, message: UUID) -> None:
    """A number that does not exist is not texted again, and the message stays failed whatever comes late."""
    for status in ("undelivered", "undelivered", "sent", "delivered"):
        await report(line, status, message, ErrorCode="30005" if status == "undelivered" else "")
    found = await row(line, message)
    assert (found.state, found.error_code) == ("failed", 30005)
    assert not await stands(line)


@pytest.mark.parametrize("code", ["30003", "30008"])
async def test_a_failure_that_may_pass(line: Service, message: UUID, code: str) -> None:
    """A message that can arrive later is sent once more, later; late reports of the first try are not of the second."""
    for _ in range(2):
        await report(line, "undelivered", message, ErrorCode=code)
    assert (await row(line, message)).state == "new"
    async with line.database.school(line.school_id) as session:
        jobs = await session.execute(
            text("SELECT count(*), max(scheduled_at) > now() + interval '14 min' FROM procrastinate_jobs")
        )
        assert jobs.one() == (2, True), "the first one, and one more"
        assert await messages.attempt(session, message) == 2
    await report(line, "undelivered", message, ErrorCode=code)
    assert (await row(line, message)).state == "sending"
    await report(line, "undelivered", message, attempt=2, MessageSid="SM8", ErrorCode=code)
    assert (await row(line, message)).state == "failed"


@pytest.mark.parametrize("query", ["?message=x&attempt=1", f"?message={UUID(int=7)}", "?attempt=x", ""])
async def test_reports_of_nothing_we_know(line: Service, message: UUID, query: str) -> None:
    """A report of an unknown message, or with an address that is none of ours, is acknowledged and changes nothing."""
    response = await line.post(f"/twilio/sms-status{query}", MessageSid="SM99", MessageStatus="delivered")
    assert response.status_code == 204
    assert (await row(line, message)).state == "sending"


async def test_reports_of_another_account(line: Service, message: UUID) -> None:
    """Only the account that sent a message reports on it."""
    async with line.database.anyone() as session:
        other = await schools.create(session, "South", "Europe/Madrid")
        account = accounts.Account("ACsouth", "twilio", ("south",), "https://api.example", other)
        await accounts.put(session, line.keyring, account)
    await report(line, "delivered", message, account="ACsouth", token="south")
    assert (await row(line, message)).state == "sending"
    await report(line, "delivered", message, token=TOKEN)
    assert (await row(line, message)).state == "delivered"
