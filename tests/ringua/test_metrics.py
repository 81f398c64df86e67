"""`/metrics` over HTTP: what is counted of calls, texts, jobs and faults once they happened; and it names nobody."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import select, text

from db import calls, jobs, lines, messages
from db.engine import Database
from db.keyring import Keyring
from db.lines import LineFound
from db.models import Message
from ringua.service import assembled
from ringua.settings import load
from ringua.storage import Storage
from tests.telephony.school_line import ACCOUNT, BASE, CALL, CALLER, LINE, TOKEN, Service, service

CALLS = [f"CA{number:032d}" for number in range(9)]

Values = dict[tuple[str, frozenset[tuple[str, str]]], float]


@asynccontextmanager
async def serving(
    database: Database, keyring: Keyring, directory: Path, database_url: str, **changes: Any
) -> AsyncIterator[Service]:
    """The assembled service behind the carrier that a school's line is tested with; no model can be reached."""
    settings = load(
        data_dir=directory,
        twilio_account_sid=ACCOUNT.sid,
        twilio_auth_token=TOKEN,
        public_base_url=BASE,
        openai_api_key="sk-nobody",
        openai_base_url="http://127.0.0.1:9/v1",
        **changes,
    )
    storage = Storage(database, keyring, database_url, ())
    async with service(database, keyring, texts=False) as line, assembled(settings, storage) as ready:
        line.app = ready.app
        yield line


@pytest.fixture
async def line(database: Database, keyring: Keyring, tmp_path: Path, database_url: str) -> AsyncIterator[Service]:
    """A service that takes two calls at once."""
    async with serving(database, keyring, tmp_path, database_url, max_calls=2) as ready:
        yield ready


async def scrape(line: Service) -> str:
    """What a monitoring system reads."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(line.app), base_url="http://10.0.0.7:8080") as client:
        answer = await client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    return answer.text


async def read(line: Service) -> Callable[..., float | None]:
    """The samples by name and labels, as its own library reads them; None for one that is not there."""
    values: Values = {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(await scrape(line))
        for sample in family.samples
    }
    return lambda name, **labels: values.get((name, frozenset(labels.items())))


async def found(line: Service) -> LineFound:
    """The line as a caller finds it."""
    async with line.database.anyone() as session:
        line_found = await lines.by_number(session, LINE)
    assert line_found is not None
    return line_found


async def test_before_anything_happened(line: Service) -> None:
    """The process's own figures are there, and of calls there are none."""
    value = await read(line)
    assert (value("process_open_fds") or 0) > 0
    assert (value("ringua_calls_live"), value("ringua_calls_admitted_total")) == (0, 0)
    assert value("ringua_call_duration_seconds_count") == 0
    assert [value("ringua_jobs", status=status) for status in ("todo", "doing", "failed")] == [0, 0, 0]


async def test_calls_by_how_they_ended(line: Service) -> None:
    """One left in the menu, one hung up in the scene; a report that comes twice counts once, and so does a question."""
    for sid in CALLS[:2]:
        for _ in range(2):
            await line.told("/twilio/voice", CallSid=sid)
    await line.told("/twilio/menu?step=1", CallSid=CALLS[1], Digits="1")
    row = await line.row(CALLS[1])
    async with line.database.school(line.school_id) as session:
        await calls.begin(session, row.id, scenario="cafe_order", level="A1")
        stream = await calls.connected(session, row.id)
        assert stream is not None
        await calls.disconnected(session, row.id, stream=stream)
        # Five minutes ago, so that the length is not a test's own.
        await session.execute(text("UPDATE calls SET connected_at = connected_at - interval '5 minutes 5 seconds'"))
    for sid in (*CALLS[:2], CALLS[1]):
        await line.post("/twilio/status", CallSid=sid, CallStatus="completed", SequenceNumber="2")
    value = await read(line)
    assert value("ringua_calls_admitted_total") == 2
    assert value("ringua_calls_ended_total", reason="left_menu") == 1
    assert value("ringua_calls_ended_total", reason="caller_hung_up") == 1
    assert value("ringua_call_duration_seconds_count") == 1
    assert value("ringua_call_duration_seconds_bucket", le="300.0") == 0
    assert value("ringua_call_duration_seconds_bucket", le="420.0") == 1


async def test_who_is_turned_away(line: Service) -> None:
    """A number that is nobody's, a third call where two are taken, a line that is closed."""
    await line.post("/twilio/voice", CallSid=CALLS[0], To="+34999999999")
    for sid in CALLS[1:4]:
        await line.told("/twilio/voice", CallSid=sid)
    async with line.database.school(line.school_id) as session:
        assert await lines.update(session, (await found(line)).id, open=False)
    await line.told("/twilio/voice", CallSid=CALLS[5])
    value = await read(line)
    assert value("ringua_calls_admitted_total") == 2
    turned_away = {
        reason: value("ringua_calls_turned_away_total", reason=reason) for reason in ("unknown_line", "busy", "closed")
    }
    assert turned_away == {"unknown_line": 1, "busy": 1, "closed": 1}


async def test_faults_by_what_was_asked_for(line: Service) -> None:
    """A request nobody signed, a report of a call that there is not, a stream without a token."""
    await line.post("/twilio/voice", token="wrong")
    await line.post("/twilio/after?stream=1", CallSid=CALLS[8])
    _, serving_stream = line.stream("no such token")
    await serving_stream
    value = await read(line)
    assert value("ringua_carrier_faults_total", request="webhook", reason="refused") == 1
    assert value("ringua_carrier_faults_total", request="webhook", reason="unknown_call") == 1
    assert value("ringua_carrier_faults_total", request="stream", reason="refused") == 1


async def test_what_became_of_texts(line: Service) -> None:
    """Each thing the carrier says counts once, however often and late it says it."""
    learner_id = await line.enrolled()
    async with line.database.school(line.school_id) as session:
        call = await calls.open_call(
            session,
            school_id=line.school_id,
            line_id=(await found(line)).id,
            carrier_sid=CALL,
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
            key="debrief:1",
            body="¡Bien!",
            number_hash=line.keyring.hash_number(CALLER),
        )
        message = await session.scalar(select(Message.id))
        assert message is not None
        assert await messages.attempt(session, message) == 1
    for status in ("sent", "delivered", "delivered", "sent", "reinvented"):
        await line.post(f"/twilio/sms-status?message={message}&attempt=1", MessageSid="SM1", MessageStatus=status)
    value = await read(line)
    assert value("ringua_text_reports_total", status="sent") == 1
    assert value("ringua_text_reports_total", status="delivered") == 1
    assert value("ringua_text_reports_total", status="other") is None


async def test_jobs_of_all_processes(line: Service, database: Database) -> None:
    """What waits and what failed for good, as the database has it then; where it cannot be asked, nothing is shown."""
    async with database.anyone() as session:
        for _ in range(3):
            await jobs.defer(session, "calls.debrief", school_id=str(uuid4()), call_id=str(uuid4()))
        await session.execute(
            text("UPDATE procrastinate_jobs SET status = 'failed' WHERE id = (SELECT min(id) FROM procrastinate_jobs)")
        )
    value = await read(line)
    assert (value("ringua_jobs", status="todo"), value("ringua_jobs", status="failed")) == (2, 1)
    async with database.anyone() as session:
        await session.execute(text("RESET ROLE"))
        await session.execute(text("ALTER TABLE procrastinate_jobs RENAME TO gone"))
    value = await read(line)
    assert value("ringua_jobs", status="todo") is None
    assert value("ringua_calls_live") == 0


async def test_no_label_names_anybody(line: Service) -> None:
    """Whatever was called and said: labels are fixed words, no numbers, names or identifiers, and few."""
    await test_calls_by_how_they_ended(line)
    await line.post("/twilio/voice", CallSid=CALLS[5], To="+34999999999")
    shown = await scrape(line)
    for told in (CALLER, LINE, CALL, *CALLS, str(line.school_id), "Lorca", "cafe_order"):
        assert told not in shown, told
    labels = set(re.findall(r"^ringua_\w+\{(.*)\} ", shown, re.MULTILINE))
    words = {value for label in labels for name, value in re.findall(r'(\w+)="([^"]*)"', label) if name != "le"}
    assert words
    assert all(re.fullmatch(r"[a-z_]+", word) for word in words), words
