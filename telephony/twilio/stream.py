"""Twilio Media Streams: the messages on the wire, and the leg that speaks them over one websocket.

It may not know lessons, models, databases or pacing. Shapes follow the carrier's "websocket messages" page: what it
sends may grow new fields and events, what we send may not differ by one field (warning 31951).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import msgspec
import pybase64
import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from telephony.leg import EndedBy, LegInfo, LegListener
from telephony.sockets import short_way

MAX_MESSAGE_CHARACTERS: Final = 64 * 1024
"""A frame of 20 ms is some 400 characters; nothing the carrier sends comes near this."""
START_DEADLINE_S: Final = 5.0
BYTES_PER_MS: Final = 8
SILENCE: Final = b"\xff"
MAX_GAP_MS: Final = 1000
"""Longer holes in the caller's audio are cut to this: a model gains nothing from minutes of silence."""
_HOLE_MS: Final = 15  # most of a 20 ms frame: clocks that run slow make a lost frame look shorter
_CLOSE_WAIT_S: Final = 1.0
_KEYS: Final = frozenset("0123456789*#")
_ORDERLY_CLOSES: Final = frozenset({1000, 1001})  # without 1005: that is also what uvicorn says of a broken connection

log = structlog.get_logger(__name__)


class WireError(ValueError):
    """A message that is not what the carrier documents."""


class StreamRefused(Exception):
    """The stream cannot become a leg; the text says why and holds nothing that identifies a person."""


class MediaFormat(msgspec.Struct, frozen=True, rename="camel"):
    """Of a ``start``. We speak ``audio/x-mulaw``, 8000 Hz, 1 channel and nothing else."""

    encoding: str = ""
    sample_rate: int | str = 0
    channels: int | str = 0

    @property
    def is_ulaw(self) -> bool:
        """Whether this is G.711 µ-law, 8 kHz, mono."""
        return (self.encoding, str(self.sample_rate), str(self.channels)) == ("audio/x-mulaw", "8000", "1")


class StartData(msgspec.Struct, frozen=True, rename="camel"):
    """Body of a ``start``. ``custom_parameters`` are ours coming back, but from outside: untrusted."""

    account_sid: str
    stream_sid: str
    call_sid: str
    media_format: MediaFormat
    custom_parameters: dict[str, str] = {}


class MediaData(msgspec.Struct, frozen=True, gc=False):
    """Body of a ``media``: decoded µ-law, and its place in ms from the start of the stream (text on the wire)."""

    payload: bytes
    timestamp: str | int = ""


class DtmfData(msgspec.Struct, frozen=True):
    """Body of a ``dtmf``: one key, ``0``-``9``, ``*``, ``#``, or ``A``-``D`` of old military sets."""

    digit: str


class MarkData(msgspec.Struct, frozen=True):
    """Body of a ``mark``: the name we gave it."""

    name: str


class StopData(msgspec.Struct, frozen=True, rename="camel"):
    """Body of a ``stop``."""

    call_sid: str = ""


class Connected(msgspec.Struct, frozen=True, tag_field="event", tag="connected"):
    """First message of a socket, before ``start``."""

    protocol: str = ""
    version: str = ""


class Start(msgspec.Struct, frozen=True, tag_field="event", tag="start"):
    """Second message: which call, which format, our parameters."""

    start: StartData


class Media(msgspec.Struct, frozen=True, gc=False, tag_field="event", tag="media"):
    """20 ms of the caller, in practice."""

    media: MediaData


class Dtmf(msgspec.Struct, frozen=True, tag_field="event", tag="dtmf"):
    """One key was pressed."""

    dtmf: DtmfData


class Mark(msgspec.Struct, frozen=True, tag_field="event", tag="mark"):
    """A mark of ours was reached, or dropped by a ``clear``."""

    mark: MarkData


class Stop(msgspec.Struct, frozen=True, tag_field="event", tag="stop"):
    """Last message: the call ended or moved to another document."""

    stop: StopData = StopData()


Inbound = Connected | Start | Media | Dtmf | Mark | Stop
_EVENTS: Final = frozenset({"connected", "start", "media", "dtmf", "mark", "stop"})


class _Event(msgspec.Struct):
    event: str


# msgspec decodes base64 into bytes in the same pass: 0.7 µs a frame here, 0.85 with a second step through pybase64.
_decode: Callable[[str | bytes], Inbound] = msgspec.json.Decoder(Inbound).decode
_decode_event = msgspec.json.Decoder(_Event).decode


def parse(text: str | bytes) -> Inbound | None:
    """Reads one message of the carrier; None for an event that is none of ours (new ones appear without notice).

    Raises:
        WireError: not JSON, no ``event``, or an event we know without what it must hold.
    """
    try:
        return _decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        try:
            event = _decode_event(text).event
        except (msgspec.DecodeError, UnicodeEncodeError):
            raise WireError("not a JSON object with an event") from None
        if event in _EVENTS:
            raise WireError(f"a malformed {event}: {error}") from None
        return None


class Encoder:
    """Builds our messages for one stream: exactly the documented fields, as text (ASGI's text frames are str)."""

    def __init__(self, stream_sid: str) -> None:
        sid = _quoted(stream_sid)
        self._media = f'{{"event":"media","streamSid":{sid},"media":{{"payload":"'
        self._mark = f'{{"event":"mark","streamSid":{sid},"mark":{{"name":'
        self.clear: Final = f'{{"event":"clear","streamSid":{sid}}}'

    def media(self, ulaw: bytes) -> str:
        """Returns the message that queues µ-law for playing."""
        return f'{self._media}{pybase64.b64encode_as_string(ulaw)}"}}}}'

    def mark(self, name: str) -> str:
        """Returns the message that asks for an echo."""
        return f"{self._mark}{_quoted(name)}}}}}"


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()


class Timeline:
    """Finds holes in the caller's audio from the carrier's timestamps.

    Timestamps, not arrivals, are the clock. Less than most of a frame either way is rounding; audio that comes
    twice or late is never dropped, only counted; a clock more than a second behind was restarted.
    """

    def __init__(self) -> None:
        self._expected_ms: int | None = None

    def missing_ms(self, timestamp: str | int, size_bytes: int) -> int:
        """Takes a frame's timestamp (ms) and size; returns the silence due before it, 0 to ``MAX_GAP_MS``."""
        duration_ms = size_bytes // BYTES_PER_MS
        try:
            at_ms = int(timestamp)
        except ValueError:
            return 0  # unreadable: the audio still counts, the clock does not move
        expected_ms = at_ms if self._expected_ms is None else self._expected_ms
        late_ms = at_ms - expected_ms
        if -MAX_GAP_MS <= late_ms <= -_HOLE_MS:
            self._expected_ms = expected_ms + duration_ms
        else:
            self._expected_ms = at_ms + duration_ms
        return min(late_ms, MAX_GAP_MS) if late_ms >= _HOLE_MS else 0


class TwilioLeg:
    """A caller's media over a websocket that was accepted after its signature was checked.

    ``open`` reads the handshake of the protocol, ``run`` serves the leg until it ends. One writer task per leg sends
    what was queued, in order; nothing else is made per frame.
    """

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket
        self._info: LegInfo | None = None
        self._encoder = Encoder("")
        self._outbox: deque[bytes | str] = deque()  # bytes: µ-law not yet encoded; str: a finished message
        self._wake = asyncio.Event()
        self._ended: asyncio.Future[tuple[EndedBy, str]] = asyncio.get_running_loop().create_future()
        self._running = False
        self._short_way = short_way(websocket.scope)
        self._timeline = Timeline()
        self._malformed = 0
        self._fault: Exception | None = None

    @property
    def info(self) -> LegInfo:
        """Who is on the leg.

        Raises:
            RuntimeError: before ``open`` returned.
        """
        if self._info is None:
            raise RuntimeError("The leg knows its call only after open().")
        return self._info

    @property
    def ended(self) -> bool:
        """Whether the media is over."""
        return self._ended.done()

    async def open(self, *, deadline_s: float = START_DEADLINE_S) -> LegInfo:
        """Reads ``connected`` and ``start``.

        Args:
            deadline_s: how long both may take together.

        Raises:
            StreamRefused: too late, out of order, another audio format, or gone.
        """
        try:
            async with asyncio.timeout(deadline_s):
                start = await self._handshake()
        except TimeoutError:
            raise StreamRefused(f"no start within {deadline_s:g} s") from None
        if not start.media_format.is_ulaw:
            raise StreamRefused(f"audio is not µ-law, 8 kHz, mono but {start.media_format.encoding[:40]!r}")
        self._encoder = Encoder(start.stream_sid)
        self._info = LegInfo(start.call_sid, start.account_sid, "twilio", start.custom_parameters)
        return self._info

    async def _handshake(self) -> StartData:
        greeted = False
        while True:
            text = await self._receive()
            if text is None:
                raise StreamRefused("the socket closed before start")
            try:
                message = parse(text)
            except WireError as error:
                raise StreamRefused(str(error)) from None
            if isinstance(message, Connected):
                greeted = True
            elif isinstance(message, Start) and greeted:
                return message.start
            elif message is not None:
                raise StreamRefused(f"{message.__struct_config__.tag} came before its turn")

    def send_audio(self, ulaw: bytes) -> None:
        """Queues G.711 µ-law for playing; the length is a multiple of 160 bytes (20 ms). After the end: nothing."""
        self._queue(ulaw)

    def send_mark(self, name: str) -> None:
        """Asks for an echo once everything sent before has been played."""
        self._queue(self._encoder.mark(name))

    def clear(self) -> None:
        """Drops everything the carrier has not played yet, and the audio still queued here.

        Marks still queued go out ahead of the ``clear``, so that the carrier echoes every mark, in order.
        """
        kept = [message for message in self._outbox if isinstance(message, str)]
        self._outbox.clear()
        self._outbox.extend(kept)
        self._queue(self._encoder.clear)

    def _queue(self, message: bytes | str) -> None:
        if self._ended.done():
            return
        if self._short_way is not None and not self._outbox:
            text = message if isinstance(message, str) else self._encoder.media(message)
            if self._short_way.send_text(text.encode()):
                return
        self._outbox.append(message)
        self._wake.set()

    async def run(self, listener: LegListener) -> None:
        """Reads the leg until it ends; ``on_leg_end`` has been called, once and last, when this returns.

        ``stop`` and an orderly close count as the caller's end: the carrier does not tell a hang-up from a call that
        was ended over its REST interface.

        Raises:
            RuntimeError: the leg was run before.
        """
        if self._running:
            raise RuntimeError("A leg runs once.")
        self._running = True
        if self._ended.done():  # closed between open() and here
            listener.on_leg_end(*self._ended.result())
            return
        reader = asyncio.create_task(self._read(listener), name="twilio-leg-reader")
        writer = asyncio.create_task(self._write(), name="twilio-leg-writer")
        ending: set[asyncio.Future[Any]] = {reader, writer, self._ended}
        try:
            await asyncio.wait(ending, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # Nothing may reach the listener after the end: the reader is gone before the end is reported.
            for task in (reader, writer):
                task.cancel()
            results = await asyncio.gather(reader, writer, return_exceptions=True)
            faults = [fault for fault in (*results, self._fault) if isinstance(fault, Exception)]
            self._end("error", f"{type(faults[0]).__name__} on our side") if faults else self._end("app", "cancelled")
            await self._close_socket()
            listener.on_leg_end(*self._ended.result())
        if faults:
            raise faults[0]

    async def _read(self, listener: LegListener) -> None:
        if self._short_way is not None:
            self._short_way.attach(lambda message: self._take(message, listener))
        while (text := await self._receive()) is not None and not self._ended.done():
            self._on_message(text, listener)

    def _take(self, message: bytes, listener: LegListener) -> None:
        """A message by the short way: whatever goes wrong is this call's end, and nobody else's."""
        try:
            self._on_message(message, listener)
        except Exception as fault:
            self._fault = fault
            self._end("error", f"{type(fault).__name__} on our side")

    def _on_message(self, text: str | bytes, listener: LegListener) -> None:
        if self._ended.done():
            return
        try:
            message = parse(text)
        except WireError as error:
            self._malformed += 1
            if self._malformed == 1:  # like the carrier itself: one warning a stream
                log.warning("stream_message_malformed", call=self.info.call_id, problem=str(error))
            return
        if type(message) is Media:
            media = message.media
            missing_ms = self._timeline.missing_ms(media.timestamp, len(media.payload))
            if missing_ms:
                listener.on_caller_audio(SILENCE * (missing_ms * BYTES_PER_MS))
            if media.payload:
                listener.on_caller_audio(media.payload)
        elif type(message) is Mark:
            listener.on_mark(message.mark.name)
        elif type(message) is Dtmf:
            if message.dtmf.digit in _KEYS:
                listener.on_key(message.dtmf.digit)
        elif type(message) is Stop:
            self._end("caller", "stop")

    async def _receive(self) -> str | None:
        """Returns the next text frame; None when the socket ended, and then says how."""
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                code = message.get("code") or 1005
                by: EndedBy = "caller" if code in _ORDERLY_CLOSES else "error"
                self._end(by, f"socket closed with {code}")
                return None
            text = message.get("text")
            size = len(text) if text is not None else len(message.get("bytes") or b"")
            if size > MAX_MESSAGE_CHARACTERS:
                self._end("error", f"a message of {size} characters")
                return None
            if isinstance(text, str):  # binary frames are not part of the protocol
                return text

    async def _write(self) -> None:
        outbox, encode, send = self._outbox, self._encoder.media, self._websocket.send
        while True:
            await self._wake.wait()
            self._wake.clear()
            while outbox:
                message = outbox.popleft()
                text = message if isinstance(message, str) else encode(message)
                try:
                    await send({"type": "websocket.send", "text": text})
                except (WebSocketDisconnect, OSError) as error:
                    self._end("error", f"{type(error).__name__} while sending")
                    return

    async def close(self) -> None:
        """Ends the media (the call goes on with the carrier's document after ``<Connect>``). Idempotent.

        What is queued is dropped: wait for the echo of a last mark first.
        """
        self._end("app", "closed")
        if not self._running:
            await self._close_socket()

    def _end(self, by: EndedBy, detail: str) -> None:
        # stop, disconnect, a failed send and close() come in any order and often together; the first one is the truth.
        if not self._ended.done():
            self._ended.set_result((by, detail))

    async def _close_socket(self, code: int = 1000) -> None:
        socket = self._websocket
        if WebSocketState.DISCONNECTED in (socket.client_state, socket.application_state):
            return
        try:
            async with asyncio.timeout(_CLOSE_WAIT_S):
                await socket.close(code)
        except (TimeoutError, WebSocketDisconnect, OSError, RuntimeError) as error:
            # gone in the meantime, or not taking our bytes: the server drops the connection by itself
            log.info("stream_close_unfinished", problem=type(error).__name__)
