"""The short way of media sockets, over real ones: order, ends, and what happens when it is not open."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from fastapi import FastAPI, WebSocket
from websockets.asyncio.client import ClientConnection, connect

from ringua.server import Server, config, listen
from telephony.sockets import ShortWay, short_way
from telephony.twilio.stream import TwilioLeg
from tests.telephony.carrier_socket import CONNECTED, STOP, Listener, key, mark, media, start

LIMIT_S = 10.0

Answer = Callable[[WebSocket], Awaitable[None]]


@asynccontextmanager
async def dialled(answer: Answer) -> AsyncIterator[ClientConnection]:
    """A client on a server whose one socket is answered by ``answer``; ends when that has returned."""
    app, over = FastAPI(), asyncio.Event()

    @app.websocket("/")
    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        try:
            await answer(websocket)
        finally:
            over.set()

    with listen(0, "127.0.0.1") as listener:
        async with (
            Server(config(app)).running(listener),
            connect(f"ws://127.0.0.1:{listener.getsockname()[1]}/", compression=None) as client,
        ):
            async with asyncio.timeout(LIMIT_S):
                yield client
                await over.wait()


def way(websocket: WebSocket) -> ShortWay:
    """The short way of a socket of our server, which always has one."""
    found = short_way(websocket.scope)
    assert found is not None
    return found


async def test_messages_that_waited_come_first_and_in_order() -> None:
    """A leg attaches after a look into the database; what was said meanwhile is not lost, doubled or late."""
    took: list[bytes] = []
    all_here, attached = asyncio.Event(), asyncio.Event()

    def take(message: bytes) -> None:
        took.append(message)
        if len(took) == 6:
            all_here.set()

    async def answer(websocket: WebSocket) -> None:
        assert await websocket.receive_text() == "ready"
        way(websocket).attach(take)
        attached.set()
        await all_here.wait()

    async with dialled(answer) as client:
        await client.send("ready")
        for message in ("1", "2", "é"):
            await client.send(message)
        await attached.wait()
        for message in ("4", "5", "6"):
            await client.send(message)
    assert took == [b"1", b"2", "é".encode(), b"4", b"5", b"6"]


async def test_asgi_reports_only_the_end_once_a_leg_is_attached() -> None:
    """The task that waits for the end wakes up once in a call, not fifty times a second."""
    took: list[bytes] = []
    reported: list[str] = []

    async def answer(websocket: WebSocket) -> None:
        way(websocket).attach(took.append)
        await websocket.send_text("attached")
        reported.append((await websocket.receive())["type"])

    async with dialled(answer) as client:
        assert await client.recv() == "attached"
        await client.send("one")
        await client.send(b"binary frames are not part of the protocol")
        await client.close()
    assert took == [b"one"]
    assert reported == ["websocket.disconnect"]


async def test_a_message_that_came_in_fragments_is_one_message() -> None:
    """Carriers may cut as they like."""
    took: list[bytes] = []

    async def answer(websocket: WebSocket) -> None:
        way(websocket).attach(took.append)
        await websocket.send_text("attached")
        await websocket.receive()

    async with dialled(answer) as client:
        await client.recv()
        await client.send(["one ", "message"])
        await client.close()
    assert took == [b"one message"]


async def test_text_goes_out_at_once_and_is_refused_after_the_end() -> None:
    """A leg falls back to ASGI when the short way is closed, and learns there that the socket is gone."""
    sent: list[bool] = []

    async def answer(websocket: WebSocket) -> None:
        sent.append(way(websocket).send_text("holá".encode()))
        await websocket.receive()
        sent.append(way(websocket).send_text(b"too late"))

    async with dialled(answer) as client:
        assert await client.recv() == "holá"
        await client.close()
    assert sent == [True, False]


async def test_a_leg_takes_the_short_way_both_ways() -> None:
    """Everything that a leg hears and says over ASGI, it hears and says over the short way too, in the same order."""
    listener = Listener()

    async def answer(websocket: WebSocket) -> None:
        leg = TwilioLeg(websocket)
        await leg.open()
        leg.send_audio(b"\x01" * 160)
        leg.send_mark("m")
        leg.clear()
        await leg.run(listener)

    async with dialled(answer) as client:
        for message in (CONNECTED, start(), media(b"\x02" * 160), key("5"), mark("m"), STOP):
            await client.send(json.dumps(message))
        heard = [await client.recv() for _ in range(3)]
    assert [str(message)[:16] for message in heard] == ['{"event":"media"', '{"event":"mark",', '{"event":"clear"']
    assert (listener.audio, listener.keys, listener.marks) == (b"\x02" * 160, ["5"], ["m"])
    assert listener.ends == [("caller", "stop")]


async def test_a_fault_in_one_call_is_that_calls_end() -> None:
    """The short way runs within the server's callback: an exception there may not reach it."""

    class Faulty(Listener):
        def on_key(self, digit: str) -> None:
            raise ArithmeticError("on purpose")

    listener = Faulty()

    async def answer(websocket: WebSocket) -> None:
        leg = TwilioLeg(websocket)
        await leg.open()
        with pytest.raises(ArithmeticError):
            await leg.run(listener)

    async with dialled(answer) as client:
        for message in (CONNECTED, start(), key("5"), media(b"\x02" * 160)):
            await client.send(json.dumps(message))
    assert listener.ends == [("error", "ArithmeticError on our side")]
    assert listener.audio == b""
