"""A session with a model over a real socket: the verdict of the first frame, the formats, the end."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from rehearsal.realtime import RealtimeServer
from rehearsal.realtime_script import Fault, Script
from tests.tutor.scenes import cafe
from tutor.realtime import events
from tutor.realtime.protocol import ModelFailed
from tutor.realtime.session import Endpoint, ModelUnavailable, RealtimeSession
from tutor.talk.setup import session_config

KEY = "sk-rehearsal"


class Ear:
    """Keeps what a session says, and lets a test wait for it."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []
        self.lost: asyncio.Future[ModelFailed] = asyncio.get_running_loop().create_future()
        self._news = asyncio.Event()

    def receive(self, message: bytes) -> None:
        self.heard.append(json.loads(message))
        self._news.set()

    async def until(self, type_: str) -> dict[str, Any]:
        async with asyncio.timeout(5):
            while True:
                for event in self.heard:
                    if event["type"] == type_:
                        return event
                self._news.clear()
                await self._news.wait()


async def started(server: RealtimeServer, ear: Ear, mode: Any = "pcm") -> RealtimeSession:
    """A session that is set for the café."""
    session = await RealtimeSession.open(Endpoint(server.base_url, KEY, "gpt-realtime-2.1"))
    config = session_config(
        cafe(), mode=mode, voice="marin", model="gpt-realtime-2.1", transcribe_model="gpt-transcribe"
    )
    await session.start(config, mode, receive=ear.receive, lost=ear.lost.set_result)
    return session


@pytest.mark.parametrize("mode", ["pcm", "pcmu"])
async def test_a_session_is_set_once_and_answers(mode: str) -> None:
    """Connect, one full update, and a spoken answer; the server finds nothing wrong with what it was sent."""
    async with RealtimeServer(script=Script(opening="Hola.")) as server:
        ear = Ear()
        session = await started(server, ear, mode)
        assert session.expires_at is not None
        session.send(events.respond())
        await ear.until("response.done")
        assert any(event["type"] == "response.output_audio.delta" for event in ear.heard)
        await session.close()
        await server.until(lambda: server.sessions[0].is_closed)
        assert server.violations == []
        assert not ear.lost.done()


@pytest.mark.parametrize(
    ("key", "model", "sentence", "again"),
    [
        ("sk-wrong", "gpt-realtime-2.1", "check OPENAI_API_KEY", False),
        (KEY, "gpt-9", "check RINGUA_REALTIME_MODEL", False),
    ],
)
async def test_a_refused_key_or_model_says_so_in_one_sentence(key: str, model: str, sentence: str, again: bool) -> None:
    """The handshake succeeds all the same: the first frame is the verdict."""
    async with RealtimeServer() as server:
        with pytest.raises(ModelUnavailable, match=sentence) as caught:
            await RealtimeSession.open(Endpoint(server.base_url, key, model))
        assert caught.value.again is again


async def test_a_server_that_is_not_there_is_named() -> None:
    """The operator learns which address was tried."""
    with pytest.raises(ModelUnavailable, match=r"http://127\.0\.0\.1:9/v1 cannot be reached") as caught:
        await RealtimeSession.open(Endpoint("http://127.0.0.1:9/v1", KEY, "gpt-realtime-2.1"))
    assert caught.value.again


async def test_a_server_that_says_nothing_is_given_up() -> None:
    """Every wait has a limit."""
    async with RealtimeServer(script=Script(faults=(Fault("hang"),))) as server:
        ear = Ear()
        session = await RealtimeSession.open(Endpoint(server.base_url, KEY, "gpt-realtime-2.1"))
        with pytest.raises(ModelUnavailable, match=r"within 0\.2 s"):
            await session.start({}, "pcm", receive=ear.receive, lost=ear.lost.set_result, timeout_s=0.2)
        await session.close(timeout_s=0.2)


async def test_a_format_that_was_not_asked_for_is_refused_before_it_is_noise() -> None:
    """The echo of the session is checked: a server that ignores the format would be heard as static."""
    async with RealtimeServer() as server:
        ear = Ear()
        session = await RealtimeSession.open(Endpoint(server.base_url, KEY, "gpt-realtime-2.1"))
        with pytest.raises(ModelUnavailable, match="would be noise"):
            await session.start({}, "pcmu", receive=ear.receive, lost=ear.lost.set_result)
        await session.close()


async def test_a_wrong_configuration_is_told_in_the_servers_words() -> None:
    """The update was refused whole: the reason reaches the operator."""
    async with RealtimeServer() as server:
        ear = Ear()
        session = await RealtimeSession.open(Endpoint(server.base_url, KEY, "gpt-realtime-2.1"))
        with pytest.raises(ModelUnavailable, match="temperature"):
            await session.start({"temperature": 0.8}, "pcm", receive=ear.receive, lost=ear.lost.set_result)
        await session.close()


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault("drop", at="response.create"), "closed_1006"),
        (Fault("close", at="response.create", code=1011, reason="oops"), "closed_1011"),
    ],
)
async def test_a_lost_connection_is_reported_once(fault: Fault, code: str) -> None:
    """An abrupt end and an orderly one: a new session could help."""
    async with RealtimeServer(script=Script(faults=(fault,))) as server:
        ear = Ear()
        session = await started(server, ear)
        session.send(events.respond())
        async with asyncio.timeout(5):
            failed = await ear.lost
        assert failed.code == code
        assert failed.again
        assert not session.open_now
        session.send(events.respond())
        await session.close()
