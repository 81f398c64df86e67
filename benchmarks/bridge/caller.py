"""A light caller: the carrier's end of a media stream, as cheap as it can be while it stays exact.

It sends a frame every 20 ms by absolute deadlines, plays what it gets in real time, and echoes marks when they have
been played or dropped. Knows nothing of the bridge behind the socket.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
import picows
import pybase64

from benchmarks.bridge.line import CODES, FRAME_BYTES, FRAME_MS, LEVELS, Line

_PAYLOADS = tuple(pybase64.b64encode(code * FRAME_BYTES) for code in CODES)


class _Payload(msgspec.Struct):
    payload: bytes


class _Name(msgspec.Struct):
    name: str


class _Media(msgspec.Struct, tag_field="event", tag="media"):
    media: _Payload


class _Mark(msgspec.Struct, tag_field="event", tag="mark"):
    mark: _Name


class _Clear(msgspec.Struct, tag_field="event", tag="clear"):
    pass


_decode = msgspec.json.Decoder(_Media | _Mark | _Clear).decode


@dataclass(frozen=True, slots=True)
class Opening:
    """Where and as whom a media stream is opened."""

    url: str
    headers: Mapping[str, str]
    account_sid: str
    call_sid: str
    parameters: Mapping[str, str]


class Caller(picows.WSListener):
    """One caller. `connect` opens the stream, `speak` sends the next frame, `hang_up` ends it."""

    def __init__(self, line: Line, opening: Opening) -> None:
        self._line = line
        self._opening = opening
        self._stream_sid = f"MZ{opening.call_sid[2:]}"
        self._frame = (
            b'{"event":"media","sequenceNumber":"%%d","media":{"track":"inbound","chunk":"%%d","timestamp":"%%d",'
            b'"payload":"%%b"},"streamSid":"%b"}' % self._stream_sid.encode()
        )
        self._transport: picows.WSTransport | None = None
        self._marks: deque[tuple[str, asyncio.TimerHandle]] = deque()
        self.gone = False

    @classmethod
    async def connect(cls, line: Line, opening: Opening) -> Caller:
        """Opens the stream and introduces the call. Raises `picows.WSError` or OSError when it is refused."""
        caller = cls(line, opening)
        await picows.ws_connect(lambda: caller, opening.url, extra_headers=dict(opening.headers))
        caller._send({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        start = {
            "accountSid": opening.account_sid,
            "streamSid": caller._stream_sid,
            "callSid": opening.call_sid,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": dict(opening.parameters),
        }
        caller._send({"event": "start", "sequenceNumber": "1", "start": start, "streamSid": caller._stream_sid})
        return caller

    def speak(self) -> None:
        """Sends the next 20 ms."""
        if self._transport is None or self.gone:
            return
        number = self._line.caller_speaks(time.perf_counter())
        payload = _PAYLOADS[number % LEVELS]
        message = self._frame % (number + 2, number + 1, number * FRAME_MS, payload)
        self._transport.send(picows.WSMsgType.TEXT, message)

    def hang_up(self) -> None:
        """Ends the stream as the carrier does: a stop, then the close."""
        for _, timer in self._marks:
            timer.cancel()
        self._marks.clear()
        if self._transport is None or self.gone:
            return
        stop = {"accountSid": self._opening.account_sid, "callSid": self._opening.call_sid}
        self._send({"event": "stop", "sequenceNumber": "0", "stop": stop, "streamSid": self._stream_sid})
        self._transport.send_close(picows.WSCloseCode.OK)
        self.gone = True

    def _send(self, message: object) -> None:
        assert self._transport is not None
        self._transport.send(picows.WSMsgType.TEXT, msgspec.json.encode(message))

    # --- the socket

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        """The stream was accepted."""
        self._transport = transport

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        """The line plays something, asks for an echo, or drops what was not played."""
        if frame.msg_type == picows.WSMsgType.CLOSE:
            transport.disconnect()
        if frame.msg_type != picows.WSMsgType.TEXT:
            return
        now_s = time.perf_counter()
        message = _decode(frame.get_payload_as_bytes())
        if isinstance(message, _Media):
            self._line.caller_gets(message.media.payload, now_s)
        elif isinstance(message, _Mark):
            # A millisecond more: the loop rounds to whole ones, and an echo may be late but never early.
            after_s = max(self._line.dry_at_s - now_s, 0.0) + 0.001
            timer = asyncio.get_running_loop().call_later(after_s, self._echo_first)
            self._marks.append((message.mark.name, timer))
        else:
            self._line.caller_clears(now_s)
            while self._marks:
                self._marks[0][1].cancel()
                self._echo_first()

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:
        """The stream is over."""
        self.gone = True

    def _echo_first(self) -> None:
        name, _ = self._marks.popleft()
        if not self.gone:
            echo = {"event": "mark", "sequenceNumber": "0", "streamSid": self._stream_sid, "mark": {"name": name}}
            self._send(echo)
