"""The realtime stand-in on its socket: handshake verdicts, the official client, broken lines, many calls at once."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import websockets
from openai import AsyncOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection
from websockets.asyncio.client import ClientConnection, connect

from rehearsal import g711
from rehearsal.realtime import RealtimeServer, _serve
from rehearsal.realtime_script import Fault, Script
from rehearsal.voices import Voices, available
from tests.rehearsal.realtime_judge import audio_of, judge, lines, noise, recording, script

KEY = {"authorization": "Bearer sk-rehearsal"}
CAFE = script(
    language="es",
    opening="Buenos días, ¿qué le pongo?",
    turns=[
        {
            "hears": "un café por favor",
            "says": ["Muy bien, un café."],
            "tools": [{"name": "order", "arguments": {"what": "café"}}],
            "after_tools": ["Aquí tiene."],
        },
        {"hears": "gracias", "says": ["De nada."]},
    ],
)
ORDER: Any = {"type": "function", "name": "order", "parameters": {"type": "object", "properties": {}}}


def address(server: RealtimeServer, query: str = "?model=gpt-realtime-2.1") -> str:
    """Returns the address of a session."""
    return server.base_url.replace("http://", "ws://") + "/realtime" + query


@contextlib.asynccontextmanager
async def session(server: RealtimeServer, **options: Any) -> AsyncIterator[ClientConnection]:
    """Opens a session whose verdict was good."""
    async with connect(address(server), additional_headers=KEY, max_size=None, compression=None, **options) as socket:
        assert (await read(socket))["type"] == "session.created"
        yield socket


async def read(socket: ClientConnection) -> dict[str, Any]:
    """Reads the next event and lets the judge see it."""
    event: dict[str, Any] = json.loads(await asyncio.wait_for(socket.recv(), 5))
    judge(event)
    return event


async def read_until(socket: ClientConnection, type_: str) -> list[dict[str, Any]]:
    """Reads up to the first event of a type."""
    events = [await read(socket)]
    while events[-1]["type"] != type_:
        events.append(await read(socket))
    return events


async def drain(socket: ClientConnection) -> None:
    """Reads until the connection ends, which raises."""
    while True:
        await read(socket)


async def send(socket: ClientConnection, type_: str, /, **fields: Any) -> None:
    """Sends an event."""
    await socket.send(json.dumps({"type": type_, **fields}))


@pytest.mark.parametrize(
    ("query", "headers", "code", "close"),
    [
        ("?model=gpt-realtime-2.1", {"authorization": "Bearer sk-wrong"}, "invalid_api_key", 3000),
        ("?model=gpt-realtime-2.1", {}, "invalid_api_key", 3000),
        ("", KEY, "missing_model", 4000),
        ("?model=gpt-4o-realtime-preview", KEY, "invalid_model", 4000),
        ("?model=gpt-realtime-2.1", {**KEY, "OpenAI-Beta": "realtime=v1"}, "beta_api_shape_disabled", 4000),
    ],
)
async def test_a_bad_handshake_is_an_error_event_and_a_close(
    query: str, headers: dict[str, str], code: str, close: int
) -> None:
    """The upgrade succeeds all the same: the first frame is the verdict, then the socket closes with its code."""
    async with RealtimeServer() as server, connect(address(server, query), additional_headers=headers) as socket:
        event = await read(socket)
        assert (event["type"], event["error"]["code"]) == ("error", code)
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await socket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == close
        assert server.sessions == []


async def test_an_unknown_call_is_404() -> None:
    """The sideband address refuses the upgrade itself, with an empty body."""
    async with RealtimeServer() as server:
        with pytest.raises(websockets.InvalidStatus) as refused:
            await connect(address(server, "?call_id=rtc_u1_none"), additional_headers=KEY)
        assert refused.value.response.status_code == 404
        assert not refused.value.response.body


async def test_the_official_client_has_a_conversation() -> None:
    """AsyncOpenAI connects, hears the opening, speaks a recorded turn, runs a tool and hears the rest."""
    person, _ = recording("es-woman-1")
    async with (
        RealtimeServer(script=CAFE) as server,
        AsyncOpenAI(api_key="sk-rehearsal", base_url=server.base_url) as client,
        client.realtime.connect(model="gpt-realtime-2.1-mini") as line,
    ):
        await line.session.update(
            session={
                "type": "realtime",
                "tools": [ORDER],
                "audio": {
                    "input": {
                        "format": {"type": "audio/pcmu"},
                        "transcription": {"model": "gpt-transcribe", "languages": ["es"]},
                        "turn_detection": {"type": "server_vad", "silence_duration_ms": 800},
                    },
                    "output": {"format": {"type": "audio/pcmu"}, "voice": "marin"},
                },
            }
        )
        await expect(line, "session.updated")
        await line.response.create()
        assert (await expect(line, "response.done")).response.output[0].content[0].transcript == CAFE.opening
        ulaw = g711.encode(person + bytes(16 * 1_500))
        for start in range(0, len(ulaw), 160):
            await line.input_audio_buffer.append(audio=base64.b64encode(ulaw[start : start + 160]).decode())
        said, call = (await expect(line, "response.done")).response.output
        assert said.content[0].transcript == "Muy bien, un café."
        assert (call.name, json.loads(call.arguments)) == ("order", {"what": "café"})
        await line.conversation.item.create(
            item={"type": "function_call_output", "call_id": call.call_id, "output": "done"}
        )
        await line.response.create()
        assert (await expect(line, "response.done")).response.output[0].content[0].transcript == "Aquí tiene."
        heard = await expect(line, "conversation.item.input_audio_transcription.completed")
        assert heard.transcript == "un café por favor"
    assert server.violations == []
    assert [record.type for record in server.sessions[0].received] == [
        "session.update",
        "response.create",
        "input_audio_buffer.append",
        "conversation.item.create",
        "response.create",
    ]
    assert server.sessions[0].received[2].count == -(-len(ulaw) // 160)


async def expect(line: AsyncRealtimeConnection, type_: str) -> Any:
    """Reads up to the next event of a type."""
    while True:
        event = await asyncio.wait_for(line.recv(), 5)
        if event.type == type_:
            return event


@pytest.mark.skipif(not available(), reason="the extra `voices` is not installed")
async def test_the_role_speaks_with_a_voice() -> None:
    """With voices the audio is espeak-ng's, at 24 kHz, and no note says that tones stand for it."""
    async with RealtimeServer(script=CAFE, voices=Voices()) as server, session(server) as socket:
        await send(socket, "response.create")
        spoken = audio_of(await read_until(socket, "response.done"))
        assert len(spoken) / 48 == pytest.approx(len(Voices().speak(CAFE.opening, "es")) / 48, rel=0.2)
        assert server.notes == []


async def test_a_broken_line_is_1006_and_the_next_session_goes_on() -> None:
    """`drop` ends the socket without a close frame; a new session that is seeded plays the next turn."""
    broken = script(turns=[{"says": ["Uno."]}, {"says": ["Dos."]}], faults=[{"kind": "drop", "at": "response.done"}])
    async with RealtimeServer(script=broken) as server:
        async with session(server) as socket:
            await send(socket, "response.create")
            with pytest.raises(websockets.ConnectionClosedError) as closed:
                await drain(socket)
            assert closed.value.rcvd is None
        user: dict[str, Any] = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "a"}]}
        role = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Uno."}]}
        async with session(server) as socket:
            for item in (user, role, user):
                await send(socket, "conversation.item.create", item=item)
            await send(socket, "response.create")
            assert lines(await read_until(socket, "response.done")) == ["Dos."]
        assert len(server.sessions) == 2


@pytest.mark.parametrize(
    ("fault", "code"),
    [(Fault("session_expired"), 1001), (Fault("close", code=1011), 1011), (Fault("drop"), None)],
)
async def test_faults_can_be_injected_into_running_sessions(fault: Fault, code: int | None) -> None:
    """`inject` reaches a live session at once, whatever it is doing."""
    async with RealtimeServer() as server, session(server) as socket:
        server.inject(fault)
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await drain(socket)
        assert (closed.value.rcvd.code if closed.value.rcvd else None) == code
        await server.until(lambda: server.sessions[0].is_closed)


async def test_a_key_can_be_refused_once() -> None:
    """`refuse_key` answers invalid_api_key to one session; a fault of a reply cannot be injected."""
    async with RealtimeServer() as server:
        server.inject(Fault("refuse_key"))
        async with connect(address(server), additional_headers=KEY) as socket:
            assert (await read(socket))["error"]["code"] == "invalid_api_key"
        async with session(server):
            assert len(server.sessions) == 1
        with pytest.raises(ValueError, match="belongs in a script"):
            server.inject(Fault("slow", after_ms=10))


async def test_stopping_the_server_closes_with_1012() -> None:
    """Sessions end with 1012, as at a restart of the service."""
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(RealtimeServer())
        socket = await stack.enter_async_context(connect(address(server), additional_headers=KEY))
        await read(socket)
        await server.__aexit__(None, None, None)
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await socket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012


async def test_a_binary_frame_is_an_error_and_no_end() -> None:
    """The socket stays usable after a binary frame, and the violation is kept."""
    async with RealtimeServer() as server, session(server) as socket:
        await socket.send(b"\0\1")
        assert (await read(socket))["error"]["code"] == "invalid_event"
        await send(socket, "session.update", session={"type": "realtime"})
        assert (await read(socket))["type"] == "session.updated"
        assert [violation.code for violation in server.violations] == ["invalid_event"]


async def test_timers_run_without_traffic() -> None:
    """What comes later comes by itself: a slow first word, the rate limits."""
    slow = script(turns=[{"says": ["Uno."], "delay_ms": 30}])
    async with RealtimeServer(script=slow) as server, session(server) as socket:
        await send(
            socket,
            "conversation.item.create",
            item={"type": "message", "role": "user", "content": [{"type": "input_text", "text": "a"}]},
        )
        await send(socket, "response.create")
        events = await read_until(socket, "rate_limits.updated")
        assert lines(events) == ["Uno."]
        sent = {record.type: record.at_ms for record in server.sessions[0].sent}
        assert sent["response.output_item.added"] - sent["response.created"] >= 30
        assert sent["rate_limits.updated"] - sent["response.done"] >= 43


async def test_what_was_heard_can_be_kept() -> None:
    """With keep_audio all appended audio stays readable after the session; without it nothing does."""
    spoken = noise(400, -20.0)
    for keep in (True, False):
        async with RealtimeServer(keep_audio=keep) as server:
            async with session(server) as socket:
                await send(socket, "input_audio_buffer.append", audio=base64.b64encode(spoken + bytes(48_000)).decode())
                await read_until(socket, "response.done")
            await server.until(lambda server=server: server.sessions[0].is_closed)  # type: ignore[misc]
            kept = server.sessions[0]
            assert bytes(kept.heard) == (spoken + bytes(48_000) if keep else b"")
            assert any(part.audio for item in kept.conversation.items for part in item.content) is keep


async def test_sessions_can_be_read_over_http() -> None:
    """GET /rehearsal/sessions tells what passed, and that nobody recognises speech."""
    async with RealtimeServer() as server, session(server) as socket, httpx.AsyncClient() as client:
        await send(socket, "session.update", session={})
        await read(socket)
        told = (await client.get(server.base_url.removesuffix("/v1") + "/rehearsal/sessions")).json()
    assert told["recognises_speech"] is False
    (only,) = told["sessions"]
    assert only["received"] == [["session.update", 1]]
    assert only["sent"] == [["session.created", 1], ["error", 1]]
    assert only["violations"] == [
        "session.update: missing_required_parameter: Missing required parameter: 'session.type'."
    ]


async def test_sessions_of_the_same_number_are_alike() -> None:
    """Ids and chunk sizes follow the seed: the first session of two servers sends the same frames."""
    frames = []
    for _ in range(2):
        async with RealtimeServer(script=CAFE, seed=7) as server, session(server) as socket:
            await send(socket, "response.create")
            frames.append(await read_until(socket, "response.done"))
    assert frames[0] == frames[1]


async def test_forty_callers_at_once() -> None:
    """Forty sessions, each with a spoken turn, all get their own answer; nobody violates anything."""
    audio = noise(300, -20.0) + bytes(48 * 600)
    frames = [base64.b64encode(audio[start : start + 960]).decode() for start in range(0, len(audio), 960)]

    async def call(server: RealtimeServer) -> list[str]:
        async with session(server) as socket:
            await send(socket, "response.create")
            events = await read_until(socket, "response.done")
            for frame in frames:
                await send(socket, "input_audio_buffer.append", audio=frame)
            events += await read_until(socket, "response.done")
            return lines(events)

    async with RealtimeServer(script=CAFE) as server:
        said = await asyncio.gather(*(call(server) for _ in range(40)))
        assert said == [[CAFE.opening, "Muy bien, un café."]] * 40
        assert server.violations == []
        assert len({each.id for each in server.sessions}) == 40


async def test_waiting_for_what_does_not_come_times_out() -> None:
    """`until` raises TimeoutError, and returns at once for what already holds."""
    async with RealtimeServer() as server:
        await server.until(lambda: True)
        with pytest.raises(TimeoutError):
            await server.until(lambda: False, timeout_s=0.01)


async def test_a_taken_port_is_an_error() -> None:
    """Two servers on one port: the second raises, and leaves the first alone."""
    async with RealtimeServer() as server:
        port = int(server.base_url.split(":")[2].split("/")[0])
        with pytest.raises(OSError, match="in use"):
            await RealtimeServer(port=port).__aenter__()
        async with session(server):
            assert len(server.sessions) == 1


async def test_the_command_says_what_it_is() -> None:
    """`python -m rehearsal.realtime` tells the address, and that it recognises no speech."""
    told: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(_serve(0, Script(), told.set_result))
    sentence = await asyncio.wait_for(told, 5)
    assert sentence.startswith("OPENAI_BASE_URL=http://127.0.0.1:")
    assert "recognises no speech" in sentence
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
