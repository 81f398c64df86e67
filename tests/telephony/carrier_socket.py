"""The carrier's end of a media socket, in memory: a real Starlette websocket on one side, a test on the other.

Strict about what it is sent, as the carrier is: text frames only, exactly the documented fields.
"""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode, b64encode
from typing import Any

from starlette.types import ASGIApp, Message, Scope
from starlette.websockets import WebSocket

from telephony.leg import EndedBy

STREAM = "MZ" + "5" * 32
CALL = "CA" + "1" * 32
ACCOUNT = "AC" + "2" * 32
_SHAPES: dict[str, set[str]] = {
    "media": {"event", "streamSid", "media"},
    "mark": {"event", "streamSid", "mark"},
    "clear": {"event", "streamSid"},
}
_BODIES: dict[str, set[str]] = {"media": {"payload"}, "mark": {"name"}}


def start(**changes: Any) -> dict[str, Any]:
    """A ``start`` as documented, with ``changes`` in its body."""
    body = {
        "accountSid": ACCOUNT,
        "streamSid": STREAM,
        "callSid": CALL,
        "tracks": ["inbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        "customParameters": {"token": "t"},
    }
    return {"event": "start", "sequenceNumber": "1", "streamSid": STREAM, "start": body | changes}


def media(ulaw: bytes, timestamp: Any = 0) -> dict[str, Any]:
    """A ``media`` as documented; ``timestamp`` in ms becomes text, as on the wire."""
    body = {"track": "inbound", "chunk": "1", "timestamp": str(timestamp), "payload": b64encode(ulaw).decode()}
    return {"event": "media", "sequenceNumber": "2", "streamSid": STREAM, "media": body}


def key(digit: str) -> dict[str, Any]:
    """A ``dtmf`` as documented."""
    return {
        "event": "dtmf",
        "streamSid": STREAM,
        "sequenceNumber": "5",
        "dtmf": {"track": "inbound_track", "digit": digit},
    }


def mark(name: str) -> dict[str, Any]:
    """The echo of a mark."""
    return {"event": "mark", "sequenceNumber": "4", "streamSid": STREAM, "mark": {"name": name}}


CONNECTED = {"event": "connected", "protocol": "Call", "version": "1.0.0"}
STOP = {"event": "stop", "sequenceNumber": "9", "streamSid": STREAM, "stop": {"accountSid": ACCOUNT, "callSid": CALL}}


class CarrierSocket:
    """Feeds a websocket and keeps what it was sent."""

    def __init__(self) -> None:
        self._to_server: asyncio.Queue[Message] = asyncio.Queue()
        self._to_server.put_nowait({"type": "websocket.connect"})
        self.received: list[dict[str, Any]] = []
        self.closed_with: int | None = None
        self.may_take = asyncio.Event()
        """Cleared: the network takes nothing more, and a send waits."""
        self.may_take.set()
        self.broken = False
        self.taken = asyncio.Event()
        """Set whenever a message was taken."""
        self.accepted = asyncio.Event()
        self.scope: Scope = {"type": "websocket", "path": "/twilio/media", "headers": [], "query_string": b""}
        self.websocket = WebSocket(self.scope, self._to_server.get, self._take)

    def dial(self, app: ASGIApp, path: str, headers: dict[str, str], client: str = "192.0.2.1") -> asyncio.Task[None]:
        """Opens the socket at an application; the task ends with the application's part in it."""
        raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        self.scope.update(path=path, raw_path=path.encode(), headers=raw, client=(client, 5))

        async def serve() -> None:
            async with asyncio.timeout(30):  # a test that waits for ever says nothing
                await app(self.scope, self._to_server.get, self._take)

        return asyncio.create_task(serve())

    def say(self, *messages: dict[str, Any] | str) -> None:
        """Sends messages to the server, as JSON unless they are text already."""
        for message in messages:
            text = message if isinstance(message, str) else json.dumps(message)
            self._to_server.put_nowait({"type": "websocket.receive", "text": text})

    def say_bytes(self, data: bytes) -> None:
        """Sends a binary frame, which the protocol does not have."""
        self._to_server.put_nowait({"type": "websocket.receive", "bytes": data})

    def hang_up(self, code: int) -> None:
        """Ends the socket from this side."""
        self._to_server.put_nowait({"type": "websocket.disconnect", "code": code})

    async def until(self, count: int) -> list[dict[str, Any]]:
        """Waits until ``count`` messages were taken and returns all."""
        async with asyncio.timeout(5):
            while len(self.received) < count:
                self.taken.clear()
                await self.taken.wait()
        return self.received

    def audio(self) -> bytes:
        """All µ-law received, in order."""
        return b"".join(b64decode(m["media"]["payload"]) for m in self.received if m["event"] == "media")

    async def _take(self, message: Message) -> None:
        if message["type"] == "websocket.accept":
            self.accepted.set()
            return
        await self.may_take.wait()
        if self.broken:
            raise OSError("connection reset")
        if message["type"] == "websocket.close":
            self.closed_with = message["code"]
            return
        sent = json.loads(message["text"])
        event = sent["event"]
        assert set(sent) == _SHAPES[event], "31951: a field more or less"
        assert sent["streamSid"] == STREAM, "31951: another stream"
        if event in _BODIES:
            assert set(sent[event]) == _BODIES[event], "31951: a field more or less"
        self.received.append(sent)
        self.taken.set()


class Listener:
    """Keeps what a leg reports."""

    def __init__(self) -> None:
        self.audio = b""
        self.frames: list[bytes] = []
        self.keys: list[str] = []
        self.marks: list[str] = []
        self.ends: list[tuple[EndedBy, str]] = []
        self.after_the_end = 0

    def on_caller_audio(self, ulaw: bytes) -> None:
        """Keeps audio, and counts it when it comes after the end."""
        self.after_the_end += bool(self.ends)
        self.frames.append(ulaw)
        self.audio += ulaw

    def on_key(self, digit: str) -> None:
        """Keeps a key."""
        self.after_the_end += bool(self.ends)
        self.keys.append(digit)

    def on_mark(self, name: str) -> None:
        """Keeps an echo."""
        self.after_the_end += bool(self.ends)
        self.marks.append(name)

    def on_leg_end(self, by: EndedBy, detail: str) -> None:
        """Keeps the end."""
        self.ends.append((by, detail))
