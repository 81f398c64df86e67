"""Model sockets opened while the menu speaks, against a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from rehearsal.realtime import RealtimeServer
from telephony.prewarm import Prewarmer
from tutor.realtime.session import Endpoint, ModelUnavailable, RealtimeSession

MODEL = "gpt-realtime-2.1"


@pytest.fixture
async def server() -> AsyncIterator[RealtimeServer]:
    """A stand-in model."""
    async with RealtimeServer() as running:
        yield running


def prewarmer(server: RealtimeServer, *, unclaimed_s: float = 30.0) -> Prewarmer:
    """A prewarmer that connects to the server."""

    async def open_session(model: str, safety_identifier: str) -> RealtimeSession:
        return await RealtimeSession.open(
            Endpoint(server.base_url, "sk-rehearsal", model), safety_identifier=safety_identifier
        )

    return Prewarmer(open_session, unclaimed_s=unclaimed_s)


async def test_the_caller_who_chooses_gets_the_socket_that_was_opened_meanwhile(server: RealtimeServer) -> None:
    """One call, one socket: the choice waits for nothing."""
    warm = prewarmer(server)
    warm.warm("CA1", MODEL)
    await server.until(lambda: len(server.sessions) == 1)
    session = await warm.take("CA1", MODEL)
    assert len(server.sessions) == 1
    assert session.open_now
    await session.close()


async def test_a_caller_without_a_warm_socket_gets_a_new_one(server: RealtimeServer) -> None:
    """The stream may land on another instance than the menu."""
    session = await prewarmer(server).take("CA1", MODEL)
    assert session.open_now
    await session.close()


async def test_nobody_pays_for_a_caller_who_does_not_choose(server: RealtimeServer) -> None:
    """Hung up, or not claimed in time: the socket is closed."""
    warm = prewarmer(server, unclaimed_s=0.05)
    warm.warm("CA1", MODEL)
    await server.until(lambda: len(server.sessions) == 1 and server.sessions[0].is_closed)
    await warm.close()


async def test_another_model_than_the_warm_one_is_opened_anew(server: RealtimeServer) -> None:
    """A line whose model was changed meanwhile gets what it wants now."""
    warm = prewarmer(server)
    warm.warm("CA1", MODEL)
    session = await warm.take("CA1", "gpt-realtime-2.1-mini")
    assert session.endpoint.model == "gpt-realtime-2.1-mini"
    await session.close()
    await warm.close()
    await server.until(lambda: all(one.is_closed for one in server.sessions))


async def test_a_warm_socket_that_died_is_replaced(server: RealtimeServer) -> None:
    """Best effort: a stale socket is never handed to a call."""
    warm = prewarmer(server)
    warm.warm("CA1", MODEL)
    stale = await warm.take("CA1", MODEL)
    await stale.close()
    warm.warm("CA2", MODEL)
    fresh = await warm.take("CA2", MODEL)
    assert fresh.open_now
    await fresh.close()


async def test_a_refused_key_is_told_to_the_call_and_not_tried_twice() -> None:
    """What the first frame said during the menu is the call's answer too."""
    async with RealtimeServer(api_keys=frozenset({"sk-another"})) as server:
        warm = prewarmer(server)
        warm.warm("CA1", MODEL)
        with pytest.raises(ModelUnavailable, match="OPENAI_API_KEY"):
            await warm.take("CA1", MODEL)
        assert len(server.sessions) <= 1
