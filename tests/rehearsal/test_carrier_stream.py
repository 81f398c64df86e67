"""The media socket over real sockets: order, pacing, marks, clear, wrong frames, endings, faults."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import pairwise
from typing import Any

import pytest
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect
from twilio.request_validator import RequestValidator

from rehearsal.carrier import Carrier, Faults, Phone, Signing
from rehearsal.g711 import decode, is_audible
from rehearsal.report import CallResult
from tests.rehearsal.carrier_server import STREAM, Answer, Served, messages, send, serving, twiml

ACCOUNT, TOKEN = "AC" + "0" * 32, "secret-token"
LINE, CALLER = "+15550100001", "+15550100002"
VOICE = b"\x20"


@pytest.fixture
async def server() -> AsyncIterator[Served]:
    """A server that connects every call to its media handler, and then says goodbye."""
    document = twiml(STREAM, "<Redirect>/after</Redirect>")
    answers: dict[str, Answer] = {
        "/voice": document,
        "/after": twiml("<Hangup/>"),
        "/status": Response(status_code=204),
    }
    async with serving(answers) as served:
        yield served


@pytest.fixture
async def carrier() -> AsyncIterator[Carrier]:
    """A carrier that does not fail on leaving: these tests look at the warnings themselves."""
    async with Carrier(ACCOUNT, TOKEN, speech_scale=0.01, strict=False) as made:
        yield made


async def call(
    carrier: Carrier, server: Served, behave: Callable[[Phone], Awaitable[None]], **options: Any
) -> CallResult:
    """A call to the server's voice URL."""
    return await carrier.call(f"{server.url}/voice", to=LINE, from_=CALLER, behave=behave, **options)


def media(ms: int, code: bytes = VOICE) -> dict[str, str]:
    """The media field of that much sound."""
    return {"payload": base64.b64encode(code * (ms * 8)).decode()}


def handler(*steps: tuple[str, dict[str, Any]]) -> tuple[Callable[[WebSocket], Awaitable[None]], list[dict[str, Any]]]:
    """A media handler that sends these messages at the start and notes everything that comes."""
    got: list[dict[str, Any]] = []

    async def handle(socket: WebSocket) -> None:
        await socket.accept()
        async for message in messages(socket):
            got.append(message)
            if message["event"] == "start":
                for event, rest in steps:
                    await send(socket, event, message["streamSid"], **rest)

    return handle, got


async def hang_up_after(phone: Phone, seconds: float) -> None:
    """A silent caller."""
    await phone.wait_for("stream")
    await phone.pause(seconds)
    await phone.hang_up()


async def test_the_stream_begins_runs_and_stops_as_documented(carrier: Carrier, server: Served) -> None:
    """connected, start with the parameters, numbered media and keys, and stop last; the handshake is signed."""
    server.media, got = handler()

    async def behave(phone: Phone) -> None:
        await phone.wait_for("stream")
        await phone.pause(0.1)
        await phone.press("1#")
        await hang_up_after(phone, 0.1)

    result = await call(carrier, server, behave, status_callback=f"{server.url}/status")
    assert [message["event"] for message in got[:2]] == ["connected", "start"]
    assert got[1]["start"]["customParameters"] == {"token": "t1"}
    assert got[1]["start"]["callSid"] == result.sid
    assert got[-1]["event"] == "stop"
    assert [int(message["sequenceNumber"]) for message in got[1:]] == list(range(1, len(got)))
    assert [message["dtmf"]["digit"] for message in got if message["event"] == "dtmf"] == ["1", "#"]
    chunks = [message["media"] for message in got if message["event"] == "media"]
    assert [chunk["chunk"] for chunk in chunks] == [str(number + 1) for number in range(len(chunks))]
    assert all(len(base64.b64decode(chunk["payload"])) == 160 for chunk in chunks)
    assert {int(b["timestamp"]) - int(a["timestamp"]) for a, b in pairwise(chunks)} == {20}
    headers = server.sockets[0].headers
    url = server.url.replace("http", "ws") + "/media"
    assert headers["x-twilio-signature"] == RequestValidator(TOKEN).compute_signature(url, {})
    assert "sec-websocket-extensions" not in headers
    assert (result.ended_by, result.streams[0].ended_by) == ("caller", "call")
    assert server.at("/status")[0].fields["CallStatus"] == "completed"
    assert server.at("/after") == []
    assert [alert.code for alert in result.warnings] == [0]


async def test_frames_keep_time(carrier: Carrier, server: Served) -> None:
    """Fifty frames a second reach the server, and the last is as punctual as the first."""
    arrived: list[tuple[float, int]] = []

    async def handle(socket: WebSocket) -> None:
        await socket.accept()
        async for message in messages(socket):
            if message["event"] == "media":
                arrived.append((time.monotonic() * 1000, int(message["media"]["timestamp"])))

    server.media = handle
    result = await call(carrier, server, lambda phone: hang_up_after(phone, 1.0))
    stream = result.streams[0]
    assert stream.opened_ms is not None
    assert stream.closed_ms is not None
    assert abs(stream.frames_sent - (stream.closed_ms - stream.opened_ms) / 20) < 4
    lateness = sorted(at - timestamp for at, timestamp in arrived)
    assert lateness[len(lateness) // 2] - lateness[0] < 20


async def test_what_the_caller_says_arrives_and_is_recorded(carrier: Carrier, server: Served) -> None:
    """Spoken sound comes through sample by sample, comfort noise before and after it, and stands in the left track."""
    server.media, got = handler()
    words = bytes(range(0x10, 0x30)) * 50

    async def behave(phone: Phone) -> None:
        await phone.wait_for("stream")
        await phone.pause(0.06)
        await phone.say(decode(words))
        await phone.say(words, "ulaw")
        await hang_up_after(phone, 0.1)

    result = await call(carrier, server, behave)
    inbound = b"".join(base64.b64decode(m["media"]["payload"]) for m in got if m["event"] == "media")
    assert words in inbound
    assert inbound.count(words) == 2
    assert not is_audible(inbound[:160])
    assert not is_audible(inbound[-160:])
    assert words in result.recording.caller
    assert len(result.recording.caller) == len(result.recording.line)
    says = result.events("says")
    assert [round(event.data["until_ms"] - event.data["from_ms"]) for event in says] == [200, 200]  # type: ignore[operator]


async def test_marks_come_back_when_heard(carrier: Carrier, server: Served) -> None:
    """Sound pushed at once plays in real time: marks come back at 0, 100 and 200 ms of it, within a few ms."""
    server.media, got = handler(
        ("mark", {"mark": {"name": "empty"}}),
        ("media", {"media": media(100)}), ("mark", {"mark": {"name": "a"}}),
        ("media", {"media": media(100)}), ("mark", {"mark": {"name": "b"}}),
    )  # fmt: skip

    async def behave(phone: Phone) -> None:
        await phone.wait_for("stream")
        ended_ms = await phone.hear_silence(100)
        assert not phone.audible(ended_ms + 20)
        await phone.hang_up()

    result = await call(carrier, server, behave)
    log = result.streams[0]
    assert [m["mark"]["name"] for m in got if m["event"] == "mark"] == ["empty", "a", "b"]
    assert [echo.name for echo in log.marks] == ["empty", "a", "b"]
    start_ms = log.arrivals[0].heard_from_ms
    assert log.marks[0].echoed_ms == log.marks[0].asked_ms
    assert 100 <= log.marks[1].echoed_ms - start_ms < 130
    assert 200 <= log.marks[2].echoed_ms - start_ms < 230
    assert log.arrivals[1].heard_from_ms == pytest.approx(start_ms + 100)
    assert result.recording.line[round(start_ms * 8) :][:1600] == VOICE * 1600
    assert sum(result.recording.audible("line")) in {10, 11}


async def test_clear_silences_and_sends_all_marks_home(carrier: Carrier, server: Served) -> None:
    """Clear empties the line at once, the recording too, and echoes pending marks in order; later sound plays."""

    async def handle(socket: WebSocket) -> None:
        await socket.accept()
        async for message in messages(socket):
            sid = message.get("streamSid", "")
            if message["event"] == "start":
                await send(socket, "media", sid, media=media(5000))
                for name in ("a", "b"):
                    await send(socket, "mark", sid, mark={"name": name})
            elif message["event"] == "dtmf":
                await send(socket, "clear", sid)
                await send(socket, "media", sid, media=media(60))
                await send(socket, "mark", sid, mark={"name": "c"})

    server.media = handle

    async def behave(phone: Phone) -> None:
        await phone.wait_for("stream")
        await phone.hear_speech()
        await phone.pause(0.1)
        await phone.press("*")
        await phone.wait_for("mark-played")
        assert not phone.hears.line_audio or phone.hears.prompt is None
        await hang_up_after(phone, 0.1)

    result = await call(carrier, server, behave)
    log = result.streams[0]
    assert [(echo.name, echo.cleared) for echo in log.marks] == [("a", True), ("b", True), ("c", False)]
    (clear,) = log.clears
    assert 4000 < clear.dropped_ms < 4950
    assert clear.dropped_ms == pytest.approx(log.arrivals[0].heard_from_ms + 5000 - clear.at_ms, abs=0.2)
    assert sum(result.recording.audible("line")) * 20 < 1000


async def test_wrong_frames_warn_once_and_are_ignored(carrier: Carrier, server: Served) -> None:
    """Several wrong messages give one 31951; each is noted, none has an effect, and the stream goes on."""

    async def handle(socket: WebSocket) -> None:
        await socket.accept()
        async for message in messages(socket):
            if message["event"] == "start":
                sid = message["streamSid"]
                await socket.send_bytes(b"\xff" * 160)
                await send(socket, "media", sid, media={**media(1000), "track": "outbound"})
                await send(socket, "clear", "MZother")
                await send(socket, "media", sid, media=media(40))
                await send(socket, "mark", sid, mark={"name": "fine"})

    server.media = handle

    async def behave(phone: Phone) -> None:
        await phone.wait_for("stream")
        await phone.wait_for("mark-played")

    result = await call(carrier, server, behave)
    assert [alert.code for alert in result.warnings].count(31951) == 1
    assert len(result.streams[0].wrong_frames) == 3
    assert [arrival.size_bytes for arrival in result.streams[0].arrivals] == [320]
    with pytest.raises(AssertionError, match="31951"):
        result.raise_for_complaints()


async def test_ragged_sound_is_played_and_noted(carrier: Carrier, server: Served) -> None:
    """Sound that is no multiple of 160 bytes plays, but is a note on quality and no protocol error."""
    payload = base64.b64encode(VOICE * 100).decode()
    server.media, _ = handler(("media", {"media": {"payload": payload}}), ("mark", {"mark": {"name": "m"}}))

    async def behave(phone: Phone) -> None:
        await phone.wait_for("stream")
        await phone.hear_speech()
        await hang_up_after(phone, 0.05)

    result = await call(carrier, server, behave)
    assert len(result.streams[0].quality_notes) == 1
    assert VOICE * 100 in result.recording.line
    result.raise_for_complaints()


@pytest.mark.parametrize("end", ["close", "break"])
async def test_a_server_that_ends_the_stream_gets_the_next_verb(carrier: Carrier, server: Served, end: str) -> None:
    """After the server's close the call goes on behind Connect, unheard sound is not heard; a break is 31921."""

    async def handle(socket: WebSocket) -> None:
        await socket.accept()
        async for message in messages(socket):
            if message["event"] == "start":
                await send(socket, "media", message["streamSid"], media=media(5000))
            if message.get("sequenceNumber") == "5":
                await socket.close(1000 if end == "close" else 1011)
                return

    server.media = handle
    result = await call(carrier, server, lambda phone: phone.wait_for("ended"))
    assert (result.ended_by, result.streams[0].ended_by) == ("script", "server")
    assert len(server.at("/after")) == 1
    assert sum(result.recording.audible("line")) * 20 < 1000
    assert (31921 in [alert.code for alert in result.warnings]) is (end == "break")


async def test_a_refused_handshake_goes_on_with_the_next_verb(carrier: Carrier, server: Served) -> None:
    """Anything but 101 is 31920, reported to the stream's status callback, and the call goes on."""

    async def refuse(socket: WebSocket) -> None:
        await socket.close(1008)

    server.media = refuse
    callback = f'statusCallback="{server.url}/stream-status"'
    server.answers["/voice"] = twiml(STREAM.replace("<Stream ", f"<Stream {callback} "), "<Redirect>/after</Redirect>")
    server.answers["/stream-status"] = Response(status_code=204)
    result = await call(carrier, server, lambda phone: phone.wait_for("ended"))
    assert [alert.code for alert in result.warnings if alert.level == "error"] == [31920]
    (status,) = server.at("/stream-status")
    assert status.fields["StreamEvent"] == "stream-error"
    assert "403" in status.fields["StreamError"]
    assert RequestValidator(TOKEN).validate(status.url, status.fields, status.headers["x-twilio-signature"])
    assert len(server.at("/after")) == 1


async def test_stream_status_callbacks(carrier: Carrier, server: Served) -> None:
    """A stream that runs reports its start and its stop, under its own name or its identifier."""
    server.media, _ = handler()
    attributes = f'name="s1" statusCallback="{server.url}/stream-status"'
    server.answers["/voice"] = twiml(STREAM.replace("<Stream ", f"<Stream {attributes} "))
    server.answers["/stream-status"] = Response(status_code=204)
    await call(carrier, server, lambda phone: hang_up_after(phone, 0.1))
    events = {request.fields["StreamEvent"] for request in server.at("/stream-status")}
    assert events == {"stream-started", "stream-stopped"}
    assert server.at("/stream-status")[0].fields["StreamName"] == "s1"


@pytest.mark.parametrize(
    ("stream", "code"),
    [
        ('url="ws://voice.example.org/media"', 31922),
        ('url="https://voice.example.org/media"', 31922),
        ('url="wss:///media"', 31923),
        ('url="ws://127.0.0.1:9/media"', 31902),
        ('url="/media" track="both_tracks"', 31941),
    ],
)
async def test_addresses_the_carrier_refuses(carrier: Carrier, server: Served, stream: str, code: int) -> None:
    """A wrong scheme, no host, nobody there and a wrong track each have their code, and the next verb follows."""
    server.answers["/voice"] = twiml(f"<Connect><Stream {stream}/></Connect>", "<Redirect>/after</Redirect>")
    result = await call(carrier, server, lambda phone: phone.wait_for("ended"))
    assert code in [alert.code for alert in result.warnings]
    assert result.streams[0].ended_by == "refused"
    assert len(server.at("/after")) == 1


async def test_a_query_string_is_dropped(carrier: Carrier, server: Served) -> None:
    """The stream connects without the query of its URL, with a warning that fails strict rehearsals."""
    server.media, _ = handler()
    server.answers["/voice"] = twiml('<Connect><Stream url="/media?token=x"/></Connect>')
    result = await call(carrier, server, lambda phone: hang_up_after(phone, 0.05))
    assert server.sockets[0].url.query == ""
    assert 12200 in [alert.code for alert in result.warnings]


@pytest.mark.parametrize(
    ("how", "signed"),
    [
        (Signing.TRAILING_SLASH, "wss://voice.example.org/media/"),
        (Signing.PORT_443, "wss://voice.example.org:443/media"),
        (Signing.SHA1, "wss://voice.example.org/media"),
    ],
)
async def test_handshakes_behind_a_proxy(server: Served, how: Signing, signed: str) -> None:
    """The public wss address is signed, with the variants servers must accept; Host is the public one."""
    server.media, _ = handler()
    public = "https://voice.example.org"
    async with Carrier(ACCOUNT, TOKEN, proxy={public: server.url}) as carrier:
        await carrier.call(
            f"{public}/voice",
            to=LINE,
            from_=CALLER,
            behave=lambda phone: hang_up_after(phone, 0.05),
            stream_signing=how,
        )
    headers = server.sockets[0].headers
    assert headers["x-twilio-signature"] == RequestValidator(TOKEN).compute_signature(signed, {})
    assert headers["host"] == "voice.example.org"
    assert headers["x-forwarded-proto"] == "https"


async def test_the_caller_can_break_the_socket_and_send_garbage(carrier: Carrier, server: Served) -> None:
    """Garbage reaches the server as sent; a broken socket is no close, and the call goes on behind Connect."""
    raw: list[object] = []
    ended: list[int] = []

    async def handle(socket: WebSocket) -> None:
        await socket.accept()
        try:
            while True:
                message = await socket.receive()
                if message["type"] == "websocket.disconnect":
                    raise WebSocketDisconnect(message.get("code", 0))
                if message.get("bytes") is not None or not str(message.get("text")).startswith("{"):
                    raw.append(message.get("bytes") or message.get("text"))
        except WebSocketDisconnect as gone:
            ended.append(gone.code)

    server.media = handle

    async def behave(phone: Phone) -> None:
        await phone.wait_for("stream")
        await phone.send_raw(b"\x00\x01")
        await phone.send_raw("not json")
        await phone.pause(0.1)
        await phone.drop_stream()
        await phone.wait_for("ended")

    result = await call(carrier, server, behave)
    assert raw == [b"\x00\x01", "not json"]
    assert result.streams[0].ended_by == "dropped"
    assert len(server.at("/after")) == 1
    assert ended not in ([], [1000])


async def test_faults_of_the_network(carrier: Carrier, server: Served) -> None:
    """Loss leaves gaps in the timestamps, jitter and stalls delay but keep order, and nothing else is different."""
    arrived: list[tuple[float, int, int]] = []

    async def handle(socket: WebSocket) -> None:
        await socket.accept()
        with contextlib.suppress(WebSocketDisconnect):
            async for message in messages(socket):
                if message["event"] == "media":
                    sequence = int(message["sequenceNumber"])
                    arrived.append((time.monotonic() * 1000, sequence, int(message["media"]["timestamp"])))

    server.media = handle
    faults = Faults(jitter_ms=15, loss=0.2, stalls=((300, 200),), drop_after_ms=900, seed=7)
    result = await call(carrier, server, lambda phone: phone.wait_for("ended"), faults=faults)
    stream = result.streams[0]
    assert stream.ended_by == "dropped"
    assert 2 <= stream.frames_lost <= 20
    sequences = [sequence for _, sequence, _ in arrived]
    assert sequences == list(range(2, 2 + len(sequences)))
    steps = {later - earlier for (_, _, earlier), (_, _, later) in pairwise(arrived)}
    assert steps > {20, 40}
    assert max(later - earlier for (earlier, _, _), (later, _, _) in pairwise(arrived)) > 150
    again = await call(carrier, server, lambda phone: phone.wait_for("ended"), faults=faults)
    assert abs(again.streams[0].frames_lost - stream.frames_lost) <= 1


async def test_the_status_may_come_before_the_stop(carrier: Carrier, server: Served) -> None:
    """On demand the completed callback overtakes the stream's stop."""
    order: list[str] = []

    def status(request: object) -> Response:
        order.append("status")
        return Response(status_code=204)

    async def handle(socket: WebSocket) -> None:
        await socket.accept()
        async for message in messages(socket):
            if message["event"] == "stop":
                order.append("stop")

    server.media = handle
    server.answers["/status"] = status
    callback = f"{server.url}/status"
    early = Faults(status_first=True)
    await call(carrier, server, lambda p: hang_up_after(p, 0.02), status_callback=callback, faults=early)
    await call(carrier, server, lambda p: hang_up_after(p, 0.02), status_callback=callback)
    assert order == ["status", "stop", "stop", "status"]


async def test_many_calls_at_once_keep_time(server: Served) -> None:
    """Forty callers on one stand-in each hear and speak in real time: none is short of frames or late with marks."""
    server.media, _ = handler(("media", {"media": media(800)}), ("mark", {"mark": {"name": "end"}}))

    async def behave(phone: Phone) -> None:
        await phone.wait_for("stream")
        await phone.wait_for("mark-played")
        await phone.hang_up()

    async with Carrier(ACCOUNT, TOKEN, speech_scale=0.01) as carrier:
        results = await asyncio.gather(*(call(carrier, server, behave) for _ in range(40)))
    for result in results:
        stream = result.streams[0]
        assert stream.opened_ms is not None
        assert stream.closed_ms is not None
        assert stream.frames_sent >= (stream.closed_ms - stream.opened_ms) / 20 - 10
        assert stream.marks[0].echoed_ms - stream.arrivals[0].heard_from_ms - 800 < 250
