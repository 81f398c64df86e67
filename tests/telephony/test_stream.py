"""The media stream's messages, and the leg that speaks them."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.twilio import stream
from telephony.twilio.stream import (
    MAX_GAP_MS,
    Connected,
    Dtmf,
    Encoder,
    Mark,
    Media,
    Start,
    Stop,
    StreamRefused,
    Timeline,
    TwilioLeg,
    WireError,
    parse,
)
from tests.telephony.carrier_socket import (
    ACCOUNT,
    CALL,
    CONNECTED,
    STOP,
    STREAM,
    CarrierSocket,
    Listener,
    key,
    mark,
    media,
    start,
)

FRAME = bytes(range(160))


def test_documented_messages() -> None:
    """Every documented message is read, with its numbers as text."""
    assert parse(json.dumps(CONNECTED)) == Connected("Call", "1.0.0")
    opening = parse(json.dumps(start(customParameters={"token": "t", "ñ": "<&>"})))
    assert isinstance(opening, Start)
    assert (opening.start.account_sid, opening.start.call_sid, opening.start.stream_sid) == (ACCOUNT, CALL, STREAM)
    assert opening.start.custom_parameters == {"token": "t", "ñ": "<&>"}
    assert opening.start.media_format.is_ulaw
    frame = parse(json.dumps(media(FRAME, 18553)))
    assert isinstance(frame, Media)
    assert (frame.media.payload, frame.media.timestamp) == (FRAME, "18553")
    pressed, echoed, ended = parse(json.dumps(key("#"))), parse(json.dumps(mark("t12:s3"))), parse(json.dumps(STOP))
    assert isinstance(pressed, Dtmf)
    assert pressed.dtmf.digit == "#"
    assert isinstance(echoed, Mark)
    assert echoed.mark.name == "t12:s3"
    assert isinstance(ended, Stop)
    assert ended.stop.call_sid == CALL


def test_field_order_and_new_fields() -> None:
    """Fields may come in any order and new ones appear: both are fine at every depth."""
    frame = media(FRAME, 20)
    turned = {name: frame[name] for name in reversed(frame)} | {"new": {"deep": [1]}}
    turned["media"] = {"new": 1} | {name: turned["media"][name] for name in reversed(turned["media"])}
    message = parse(json.dumps(turned))
    assert isinstance(message, Media)
    assert message.media.payload == FRAME


@pytest.mark.parametrize("text", ['{"event":"speed"}', '{"event":"","x":1}', '{"event":"MEDIA","media":null}'])
def test_unknown_events(text: str) -> None:
    """An event the carrier adds one day is ignored."""
    assert parse(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        '"media"',
        "{}",
        '{"event":5}',
        '{"event":"media"',
        '{"event":"media"}',
        '{"event":"media","media":{"payload":"@@@"}}',
        '{"event":"media","media":{"payload":5}}',
        '{"event":"dtmf","dtmf":{}}',
        '{"event":"mark"}',
        '{"event":"start","start":{"callSid":"CA1"}}',
        '{"event":"start","start":{"customParameters":{"a":1}}}',
        "\ud800",
    ],
)
def test_malformed(text: str) -> None:
    """What is not as documented raises one kind of error."""
    with pytest.raises(WireError):
        parse(text)


@given(st.text() | st.dictionaries(st.text(), st.text()).map(json.dumps))
def test_anything_on_the_wire(text: str) -> None:
    """Whatever text arrives, reading it gives a message, nothing, or that error."""
    with contextlib.suppress(WireError):
        parse(text)


def test_outbound_shapes() -> None:
    """We send exactly the documented fields, byte for byte."""
    encoder = Encoder("MZ1")
    assert encoder.media(b"\xff\x00") == '{"event":"media","streamSid":"MZ1","media":{"payload":"/wA="}}'
    assert encoder.mark("3:item:400") == '{"event":"mark","streamSid":"MZ1","mark":{"name":"3:item:400"}}'
    assert encoder.clear == '{"event":"clear","streamSid":"MZ1"}'


@given(st.text(), st.text(), st.binary())
def test_outbound_is_json(stream_sid: str, name: str, ulaw: bytes) -> None:
    """Names with quotes, backslashes or line breaks stay what they are."""
    encoder = Encoder(stream_sid)
    assert json.loads(encoder.mark(name))["mark"] == {"name": name}
    assert json.loads(encoder.clear) == {"event": "clear", "streamSid": stream_sid}
    assert json.loads(encoder.media(ulaw))["streamSid"] == stream_sid


@pytest.mark.parametrize(
    ("timestamps", "silences"),
    [
        ([0, 20, 40], [0, 0, 0]),
        ([113, 133, 153], [0, 0, 0]),  # nothing is missing before the first frame
        ([0, 20, 60], [0, 0, 20]),
        ([0, 20, 61, 81], [0, 0, 21, 0]),
        ([0, 20, 39, 79], [0, 0, 0, 20]),
        ([0, 5000, 5020], [0, MAX_GAP_MS, 0]),
        ([0, 20, 20, 40, 60], [0, 0, 0, 0, 0]),  # a duplicate is not followed by a hole
        ([0, 40, 20, 60], [0, 20, 0, 0]),  # a late one neither
        ([5000, 0, 20, 60], [0, 0, 0, 20]),  # a clock that was restarted
        (["", "x", 0, 40], [0, 0, 0, 20]),
        ([0, 10**400, 5], [0, MAX_GAP_MS, 0]),
    ],
)
def test_timeline(timestamps: list[Any], silences: list[int]) -> None:
    """Silence is due where the carrier's clock jumps ahead of the audio, up to a bound, and nowhere else."""
    timeline = Timeline()
    assert [timeline.missing_ms(str(at), 160) for at in timestamps] == silences


def test_timeline_drift() -> None:
    """A carrier's clock that runs 0.3 % fast or slow for an hour never makes silence, and a lost frame still does."""
    for step in (20.06, 19.94):
        timeline = Timeline()
        for n in range(180_000):
            assert timeline.missing_ms(str(int(n * step)), 160) == 0
        assert 19 <= timeline.missing_ms(str(int(180_001 * step)), 160) <= 21


@given(st.lists(st.integers(-(10**6), 10**6) | st.text(max_size=5), max_size=50))
def test_timeline_bounds(timestamps: list[int | str]) -> None:
    """Whatever timestamps come, the silence lies between nothing and the bound."""
    timeline = Timeline()
    assert all(0 <= timeline.missing_ms(at, 160) <= MAX_GAP_MS for at in timestamps)


async def opened(socket: CarrierSocket, **changes: Any) -> TwilioLeg:
    """A leg after its handshake."""
    await socket.websocket.accept()
    leg = TwilioLeg(socket.websocket)
    socket.say(CONNECTED, start(**changes))
    await leg.open()
    return leg


async def running(socket: CarrierSocket, listener: Listener) -> tuple[TwilioLeg, asyncio.Task[None]]:
    """A leg that is being served."""
    leg = await opened(socket)
    return leg, asyncio.create_task(leg.run(listener))


async def test_opening() -> None:
    """After connected and start the leg knows its call, its account and our parameters."""
    leg = TwilioLeg((socket := CarrierSocket()).websocket)
    with pytest.raises(RuntimeError):
        _ = leg.info
    await socket.websocket.accept()
    socket.say({"event": "soon"}, CONNECTED, {"event": "newer"}, start())
    info = await leg.open()
    assert leg.info is info
    assert (info.call_id, info.account, info.kind, info.params) == (CALL, ACCOUNT, "twilio", {"token": "t"})
    assert info.caps == {"media", "clear", "mark", "dtmf_in"}


PCM = {"encoding": "audio/l16", "sampleRate": 16000, "channels": 1}


@pytest.mark.parametrize(
    ("messages", "why"),
    [
        ([start()], "start came before its turn"),
        ([media(FRAME)], "media came before its turn"),
        ([CONNECTED, media(FRAME)], "media came before its turn"),
        ([CONNECTED, STOP], "stop came before its turn"),
        ([CONNECTED, "{"], "not a JSON object"),
        ([CONNECTED, start(mediaFormat=PCM)], "audio/l16"),
        ([CONNECTED, start(mediaFormat={"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 2})], "mono"),
        ([CONNECTED, start(mediaFormat={})], "not µ-law"),
        ([CONNECTED, start(callSid=None)], "malformed start"),
        (["x" * (stream.MAX_MESSAGE_CHARACTERS + 1)], "closed before start"),
    ],
)
async def test_refused_openings(messages: list[Any], why: str) -> None:
    """Anything but connected and a start in our format is refused with a reason."""
    socket = CarrierSocket()
    await socket.websocket.accept()
    socket.say(*messages)
    with pytest.raises(StreamRefused, match=why):
        await TwilioLeg(socket.websocket).open()


@pytest.mark.parametrize("greeted", [False, True])
async def test_silent_opening(greeted: bool) -> None:
    """A socket that does not say start in time is refused; binary frames do not count."""
    socket = CarrierSocket()
    await socket.websocket.accept()
    socket.say_bytes(b"\x00")
    if greeted:
        socket.say(CONNECTED)
    with pytest.raises(StreamRefused, match="no start within 0 s"):
        await TwilioLeg(socket.websocket).open(deadline_s=0)


async def test_gone_while_opening() -> None:
    """A socket that closes before its start is refused, and can be closed again."""
    socket = CarrierSocket()
    await socket.websocket.accept()
    socket.hang_up(1006)
    leg = TwilioLeg(socket.websocket)
    with pytest.raises(StreamRefused, match="closed before start"):
        await leg.open()
    await leg.close()
    await leg.close()
    assert socket.closed_with is None


async def test_reports() -> None:
    """Audio, keys and marks are reported as they come, holes as silence, and then the end."""
    socket, listener = CarrierSocket(), Listener()
    socket_leg = await opened(socket)
    socket.say(media(FRAME, 20), key("5"), key("*"), key("A"), mark("m"), media(FRAME, 80), media(b"", 100))
    socket.say({"event": "new"}, "not json", '{"event":"dtmf"}', media(FRAME, 100), STOP)
    socket.say(media(FRAME, 120))  # after stop: not read
    await socket_leg.run(listener)
    assert listener.audio == FRAME + b"\xff" * 320 + FRAME + FRAME
    assert listener.keys == ["5", "*"]
    assert listener.marks == ["m"]
    assert listener.ends == [("caller", "stop")]
    assert socket.closed_with == 1000


@pytest.mark.parametrize(
    ("code", "by"), [(1000, "caller"), (1001, "caller"), (1005, "error"), (1006, "error"), (1011, "error")]
)
async def test_closed_without_stop(code: int, by: str) -> None:
    """A socket that just closes ends the leg; a broken one is an error."""
    socket, listener = CarrierSocket(), Listener()
    leg = await opened(socket)
    socket.hang_up(code)
    await leg.run(listener)
    assert listener.ends == [(by, f"socket closed with {code}")]
    assert socket.closed_with is None


async def test_oversize() -> None:
    """A message larger than anything the carrier sends ends the leg."""
    socket, listener = CarrierSocket(), Listener()
    leg = await opened(socket)
    socket.say(json.dumps(media(FRAME)) + " " * stream.MAX_MESSAGE_CHARACTERS)
    await leg.run(listener)
    assert [by for by, _ in listener.ends] == ["error"]
    assert listener.audio == b""
    assert socket.closed_with == 1000


async def test_sends_in_order() -> None:
    """Audio and marks leave in the order they were queued, also those queued before the leg runs."""
    socket, listener = CarrierSocket(), Listener()
    leg = await opened(socket)
    leg.send_audio(FRAME)
    leg.send_mark("a")
    serving = asyncio.create_task(leg.run(listener))
    await socket.until(2)
    leg.send_audio(FRAME[::-1])
    leg.send_mark("b")
    received = await socket.until(4)
    assert [m["event"] for m in received] == ["media", "mark", "media", "mark"]
    assert socket.audio() == FRAME + FRAME[::-1]
    await leg.close()
    await serving
    assert listener.ends == [("app", "closed")]
    assert socket.closed_with == 1000


async def test_clear_drops_queued_audio_and_keeps_marks() -> None:
    """A clear overtakes queued audio; queued marks go first, so that the carrier echoes each of them, in order."""
    socket, listener = CarrierSocket(), Listener()
    leg, serving = await running(socket, listener)
    socket.may_take.clear()
    leg.send_audio(FRAME)  # this one is already in the writer's hands
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    for name in ("a", "b"):
        leg.send_audio(FRAME)
        leg.send_mark(name)
    leg.clear()
    leg.send_audio(FRAME[::-1])
    leg.send_mark("c")
    socket.may_take.set()
    received = await socket.until(6)
    shape = [(m["event"], m.get("mark", {}).get("name")) for m in received]
    assert shape == [("media", None), ("mark", "a"), ("mark", "b"), ("clear", None), ("media", None), ("mark", "c")]
    assert socket.audio() == FRAME + FRAME[::-1]
    socket.say(STOP)
    await serving


def _stop(socket: CarrierSocket, leg: TwilioLeg) -> None:
    socket.say(STOP)


def _drop(socket: CarrierSocket, leg: TwilioLeg) -> None:
    socket.hang_up(1006)


def _break(socket: CarrierSocket, leg: TwilioLeg) -> None:
    socket.broken = True
    leg.send_audio(FRAME)


async def _close(socket: CarrierSocket, leg: TwilioLeg) -> None:
    await leg.close()


@pytest.mark.parametrize("started", [False, True])
@pytest.mark.parametrize("second", [_stop, _drop, _break, _close])
@pytest.mark.parametrize("first", [_stop, _drop, _break, _close])
async def test_ends_once(
    first: Callable[[CarrierSocket, TwilioLeg], Awaitable[None] | None],
    second: Callable[[CarrierSocket, TwilioLeg], Awaitable[None] | None],
    started: bool,
) -> None:
    """Whatever ends come together, one is reported, and nothing after it."""
    socket, listener = CarrierSocket(), Listener()
    leg, serving = await running(socket, listener)
    if started:
        await asyncio.sleep(0)
    for end in (first, second):
        waiting = end(socket, leg)
        if waiting is not None:
            await waiting
    socket.say(media(FRAME))
    async with asyncio.timeout(5):
        await serving
    await leg.close()
    leg.send_audio(FRAME)
    leg.clear()
    assert len(listener.ends) == 1
    assert listener.after_the_end == 0


async def test_close_does_not_wait_for_a_stuck_network() -> None:
    """Closing ends a leg whose writer is stuck; what is queued is dropped."""
    socket, listener = CarrierSocket(), Listener()
    leg, serving = await running(socket, listener)
    socket.may_take.clear()
    for _ in range(100):
        leg.send_audio(FRAME)
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await leg.close()
        await serving
    assert listener.ends == [("app", "closed")]
    assert socket.received == []


async def test_cancelled() -> None:
    """A leg whose task is cancelled (the service stops) reports its end and closes its socket."""
    socket, listener = CarrierSocket(), Listener()
    _, serving = await running(socket, listener)
    await asyncio.sleep(0)
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    assert listener.ends == [("app", "cancelled")]
    assert socket.closed_with == 1000


async def test_fault_of_a_listener() -> None:
    """A listener that raises ends its own leg, is told so, and the fault surfaces."""

    class Broken(Listener):
        def on_key(self, digit: str) -> None:
            raise LookupError(digit)

    socket, listener = CarrierSocket(), Broken()
    leg = await opened(socket)
    socket.say(key("1"))
    with pytest.raises(LookupError):
        await leg.run(listener)
    assert listener.ends == [("error", "LookupError on our side")]
    assert socket.closed_with == 1000
    with pytest.raises(RuntimeError, match="once"):
        await leg.run(listener)
