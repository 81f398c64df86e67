"""What is let in: signatures, accounts, and where they come from, at every route."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from db import accounts, calls, schools
from db.accounts import Account
from db.engine import Database
from db.keyring import Keyring
from tests.telephony.school_line import BASE, CALL, Service, service, verbs
from tutor.script.catalogue import load

EN, ES = load().language("en"), load().language("es")


@pytest.fixture
async def line(database: Database, keyring: Keyring) -> AsyncIterator[Service]:
    """A service with one live line."""
    async with service(database, keyring) as ready:
        yield ready


ROUTES = ["/twilio/voice", "/twilio/menu?step=1", "/twilio/after", "/twilio/status"]


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize(
    "options",
    [
        {"token": None},
        {"token": "another"},
        {"token": ""},
        {"base": "http://10.0.0.7:8080"},
        {"account": ""},
        {"account": "AC" + "9" * 32},
        {"account": "\x00"},
        {"headers": {"X-Twilio-Webhooks-Signature-Settings": "key=k,algorithm=HMAC_SHA256"}, "token": "another"},
    ],
)
async def test_wrongly_signed(line: Service, path: str, options: dict[str, Any]) -> None:
    """Whatever is not signed by its account for our public address is refused and touches nothing."""
    response = await line.post(path, **options)
    assert (response.status_code, response.content) == (403, b"")
    async with line.database.anyone() as session:
        assert await calls.find(session, CALL) is None


async def test_bodies_that_are_no_form(line: Service) -> None:
    """A body that is too large, no text or no form is refused, whoever signs."""
    transport = httpx.ASGITransport(line.app)
    async with httpx.AsyncClient(transport=transport, base_url=BASE) as carrier:
        for body in (b"a=" + b"x" * 70_000, b"a=\xff", b'{"AccountSid": "AC1"}', b"", b"&".join([b"a=1"] * 500)):
            response = await carrier.post("/twilio/voice", content=body, headers={"X-Twilio-Signature": "x" * 28})
            assert response.status_code == 403


async def rehearsal_account(line: Service) -> Account:
    """A rehearsal carrier's account, known to the service."""
    account = Account("ACrehearsal", "rehearsal", ("rehearsal-token",), "http://127.0.0.1:9")
    async with line.database.anyone() as session:
        await accounts.put(session, line.keyring, account)
    return account


@pytest.mark.parametrize(
    ("client", "headers", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("::1", {}, 200),
        ("::ffff:127.0.0.1", {}, 200),
        ("192.0.2.1", {}, 403),
        ("127.0.0.1", {"X-Forwarded-For": "127.0.0.1"}, 403),
        ("testclient", {}, 403),
    ],
)
async def test_rehearsal(line: Service, client: str, headers: dict[str, str], status: int) -> None:
    """The rehearsal carrier is let in from this machine only, and never through a proxy."""
    account = await rehearsal_account(line)
    response = await line.post(
        "/twilio/voice",
        account=account.sid,
        token="rehearsal-token",
        base="http://127.0.0.1:8080",
        client=client,
        headers=headers,
    )
    assert response.status_code == status


async def test_rehearsal_stream_address(line: Service) -> None:
    """A rehearsal call's stream goes to the address where the rehearsal carrier is, and names its account."""
    account = await rehearsal_account(line)
    options = {
        "account": account.sid,
        "token": "rehearsal-token",
        "base": "http://127.0.0.1:8080",
        "client": "127.0.0.1",
    }
    await line.told("/twilio/voice", **options)
    await line.told("/twilio/menu?step=1", Digits="1", **options)
    script = await line.told("/twilio/menu?step=2", Digits="1", **options)
    stream = script.find("Connect/Stream")
    assert stream is not None
    assert stream.attrib["url"] == "ws://127.0.0.1:8080/twilio/media/ACrehearsal"


async def test_another_accounts_call(line: Service) -> None:
    """An account cannot press keys in, or end, a call that came in on another."""
    async with line.database.anyone() as session:
        await accounts.put(session, line.keyring, Account("ACother", "twilio", ("other",), "https://api.example.org"))
    await line.told("/twilio/voice")
    for path in ROUTES[1:]:
        await line.post(path, account="ACother", token="other", Digits="1", CallStatus="completed")
    assert verbs(await line.told("/twilio/voice", account="ACother", token="other")) == ["Reject"]
    row = await line.row()
    assert (row.state, row.step, row.carrier_status) == ("menu", 1, None)


async def test_account_of_another_school(line: Service) -> None:
    """A school's own account does not reach another school's line."""
    async with line.database.anyone() as session:
        other = await schools.create(session, "Other", "Europe/Madrid")
    async with line.database.school(other) as session:
        account = Account("ACother", "twilio", ("other",), "https://api.example.org", school_id=other)
        await accounts.put(session, line.keyring, account)
    assert verbs(await line.told("/twilio/voice", account="ACother", token="other")) == ["Reject"]


async def test_rotated_token(database: Database, keyring: Keyring) -> None:
    """An account in the database may have two tokens while one is being rotated."""
    async with service(database, keyring) as line:
        async with database.anyone() as session:
            await accounts.put(session, keyring, Account("ACown", "twilio", ("new", "old"), "https://api.example.org"))
        for n, token in enumerate(("new", "old")):
            script = await line.told("/twilio/voice", account="ACown", token=token, CallSid=f"CA{n}")
            assert verbs(script) == ["Gather", "Redirect"]
