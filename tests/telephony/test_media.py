"""The media socket's way in, on a real database, signed by the carrier's own library."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from db import accounts
from db.accounts import Account
from db.engine import Database
from db.keyring import Keyring
from tests.telephony.carrier_socket import STOP, media
from tests.telephony.school_line import ACCOUNT, CALLER, TOKEN, Service, service, spoken, verbs
from tutor.script.catalogue import load

EN, ES = load().language("en"), load().language("es")


@pytest.fixture
async def line(database: Database, keyring: Keyring) -> AsyncIterator[Service]:
    """A service with one live line."""
    async with service(database, keyring) as ready:
        yield ready


async def test_stream(line: Service) -> None:
    """A signed socket with its token is answered with what the token was issued for; the call is live."""
    token = await line.chosen()
    socket, serving = line.stream(token)
    await line.is_answering()
    (claim,) = line.answered
    row = await line.row()
    assert claim.school_id == line.school_id
    assert claim.payload == {
        "call_id": str(row.id),
        "account": ACCOUNT.sid,
        "scenario": "cafe_order",
        "level": "A1",
        "native": "en",
        "slower": False,
        "voice": 0,
    }
    assert row.state == "live"
    socket.say(media(b"\x7f" * 160), STOP)
    await serving
    assert line.listener.audio == b"\x7f" * 160
    assert line.listener.ends == [("caller", "stop")]
    assert socket.closed_with == 1000


@pytest.mark.parametrize("signed_with", [None, "another", ""])
async def test_unsigned_stream(line: Service, signed_with: str | None) -> None:
    """A socket that is not signed is refused before it is accepted, and its token stays good."""
    token = await line.chosen()
    socket, serving = line.stream(token, signed_with=signed_with)
    await serving
    assert not socket.accepted.is_set()
    assert socket.closed_with is not None
    _, serving = line.stream(token)
    await line.is_answering()
    serving.cancel()


@pytest.mark.parametrize(
    "changes",
    [
        {"customParameters": {}},
        {"customParameters": {"token": "x" * 43}},
        {"callSid": "CAother"},
        {"accountSid": "ACother"},
        {"mediaFormat": {"encoding": "audio/l16", "sampleRate": 16000, "channels": 1}},
    ],
)
async def test_refused_stream(line: Service, changes: dict[str, Any]) -> None:
    """A wrong token, call, account or audio format closes the socket; the call goes on at /twilio/after."""
    socket, serving = line.stream(await line.chosen(), **changes)
    await serving
    assert socket.accepted.is_set()
    assert socket.closed_with == 1000
    assert line.answered == []
    script = await line.told("/twilio/after")
    assert (verbs(script), spoken(script)) == (["Say", "Hangup"], EN.say("after.trouble"))
    assert (await line.row()).end_reason == "no_stream"


async def test_silent_socket(database: Database, keyring: Keyring) -> None:
    """A signed socket that never says start is closed at the deadline."""
    async with service(database, keyring, change=lambda door: replace(door, start_deadline_s=0)) as line:
        socket, serving = line.stream(await line.chosen(), speaks=False)
        await serving
        assert socket.accepted.is_set()
        assert socket.closed_with == 1000
        assert line.answered == []


async def test_second_stream(line: Service) -> None:
    """A token opens one stream; another socket of the same call is refused while the first lives, and after it."""
    token = await line.chosen()
    first, serving = line.stream(token)
    await line.is_answering()
    for end in (False, True):
        if end:
            first.say(STOP)
            await serving
        second, refusing = line.stream(token)
        await refusing
        assert second.closed_with == 1000
    assert len(line.answered) == 1


async def test_fault_of_the_driver(database: Database, keyring: Keyring, caplog: pytest.LogCaptureFixture) -> None:
    """A driver that fails closes its socket, and the caller is apologised to."""

    async def broken(*_: object) -> None:
        raise LookupError("a fault")

    async with service(database, keyring, change=lambda door: replace(door, answer=broken)) as line:
        socket, serving = line.stream(await line.chosen())
        await serving
        assert socket.closed_with == 1000
        assert spoken(await line.told("/twilio/after")) == EN.say("after.trouble")


async def test_stream_on_an_account_of_the_database(line: Service) -> None:
    """A call on an account of the database opens its stream on that account's path, with that account's signature."""
    async with line.database.anyone() as session:
        await accounts.put(session, line.keyring, Account("ACown", "twilio", ("own",), "https://api.example.org"))
    token = await line.chosen(account="ACown", token="own")
    path = "/twilio/media/ACown"
    socket, serving = line.stream(token, path=path, accountSid="ACown")  # signed by the environment's account
    await serving
    assert not socket.accepted.is_set()
    socket, serving = line.stream(token, path=path, signed_with="own", accountSid="ACown")
    await line.is_answering()
    socket.say(STOP)
    await serving
    assert len(line.answered) == 1


async def test_no_numbers_in_logs(
    line: Service, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing that is logged on the way of a call, refused or not, holds the caller's number or a token."""
    with caplog.at_level(logging.DEBUG):
        token = await line.chosen()
        socket, serving = line.stream(token)
        await line.is_answering()
        socket.say(STOP)
        await serving
        await line.told("/twilio/after")
        await line.post("/twilio/voice", token="wrong")
        await line.told("/twilio/menu?step=99")
    logged = caplog.text + "".join(capsys.readouterr())
    assert "stream_opened" in logged
    for secret in (CALLER, CALLER[1:], CALLER[3:], token, TOKEN):
        assert secret not in logged
