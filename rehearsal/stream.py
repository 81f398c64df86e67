"""The media socket of one call, in the carrier's role: the client that connects, speaks first and plays in real time.

Knows the call only as a host that keeps its clock, its line and its diary. One clock, absolute deadlines: whatever
comes late is caught up with, nothing drifts.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import count
from typing import Any, Literal, Protocol
from urllib.parse import urljoin, urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from rehearsal import frames
from rehearsal.g711 import FRAME_BYTES, SILENCE
from rehearsal.media import Echo, Playout, Track
from rehearsal.network import Network, is_loopback
from rehearsal.report import Arrival, Cleared, Faults, StreamEnd, StreamLog
from rehearsal.signing import Signer, Signing
from rehearsal.twiml import Stream

FRAME_MS = 20
_OPEN_TIMEOUT_S = 5.0
_CLOSE_TIMEOUT_S = 2.0
_BUFFER_LIMIT_MS = 600_000.0
"""Ten minutes of unheard sound are buffered; more is dropped with warning 31931."""

_SILENT_FRAME = bytes([SILENCE]) * FRAME_BYTES
_noise = random.Random(8000)  # noqa: S311 - comfort noise is not a secret
_COMFORT = [bytes(_noise.choices(b"\xff\x7f\xfe\x7e", weights=(6, 6, 1, 1), k=FRAME_BYTES)) for _ in range(50)]
"""A second of what a quiet line carries: zeros of both signs and the smallest step."""


class Host(Protocol):
    """What a stream needs of its call."""

    sid: str
    account_sid: str
    line: Playout
    mouth: Track
    faults: Faults
    stream_signing: Signing
    signer: Signer
    network: Network

    @property
    def now_ms(self) -> float:
        """The call's clock."""

    def at(self, at_ms: float) -> float:
        """The event loop's time of a moment on the call's clock."""

    def tell(self, kind: str, text: str, **data: object) -> None:
        """Writes the diary."""

    def alert(self, code: int, level: Literal["error", "warning", "note"], text: str) -> None:
        """Complains to the debugger."""

    def post(self, url: str, params: Sequence[tuple[str, str]], method: Literal["GET", "POST"] = "POST") -> None:
        """Sends a signed callback without waiting for it."""


class _Connect(connect):
    """A handshake that follows no redirect: anything but 101 is 31920."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class _Refused(Exception):
    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class _Link:
    """The network under one stream: when a frame gets through, and which are lost."""

    def __init__(self, faults: Faults, began_ms: float) -> None:
        self._faults = faults
        self._began_ms = began_ms
        self._random = random.Random(faults.seed)  # noqa: S311 - faults must be repeatable

    def lost(self) -> bool:
        return self._faults.loss > 0 and self._random.random() < self._faults.loss

    def jitter_ms(self) -> float:
        return self._random.uniform(0, self._faults.jitter_ms) if self._faults.jitter_ms else 0.0

    def open_from(self, at_ms: float) -> float:
        """The moment itself, or the end of the stall it falls into."""
        for start_ms, length_ms in self._faults.stalls:
            begin = self._began_ms + start_ms
            if begin <= at_ms < begin + length_ms:
                at_ms = begin + length_ms
        return at_ms


class MediaStream:
    """One ``<Connect><Stream>``: `run` it; `press`, `send_raw` and `drop` are the caller's and the faults' hands."""

    def __init__(self, host: Host, verb: Stream, base_url: str | None, sid: str) -> None:
        self._host = host
        self._verb = verb
        self._base_url = base_url
        self.log = StreamLog(sid=sid, url=verb.url, parameters=verb.parameters, asked_ms=host.now_ms)
        self._sender = frames.Sender(sid, host.account_sid, host.sid)
        self._outbox: asyncio.Queue[tuple[float, str | bytes | None]] = asyncio.Queue()
        self._socket: ClientConnection | None = None
        self._link = _Link(host.faults, 0.0)
        self._mark_timer: asyncio.TimerHandle | None = None

    @property
    def is_open(self) -> bool:
        """Whether the stream has started and has not ended."""
        return self.log.opened_ms is not None and self.log.closed_ms is None

    async def run(self) -> None:
        """Lives until the server closes, the socket breaks or the call takes it away (cancellation).

        A stream that could not begin ends at once, with an alert and the ``stream-error`` callback.
        """
        try:
            url = self._url()
            self._socket = await self._open(url)
        except _Refused as refusal:
            self._host.alert(refusal.code, "error", str(refusal))
            self._callback("stream-error", str(refusal))
            self._ended("refused")
            return
        except asyncio.CancelledError:
            self._ended("call")
            raise
        try:
            await self._converse(self._socket)
        finally:
            self._host.line.stop(self._host.now_ms)

    def press(self, digit: str) -> None:
        """Reports a key to the server."""
        self._put(self._sender.dtmf(digit))

    def send_raw(self, message: str | bytes) -> None:
        """Sends anything at all, as a text or a binary frame."""
        self._put(message)

    def drop(self) -> None:
        """Breaks the connection without a word, as a network does."""
        if self._socket is not None and self.is_open:
            self.log.ended_by = "dropped"
            self._socket.transport.abort()

    def _url(self) -> str:
        url = self._verb.url
        if self._base_url is not None and not urlsplit(url).scheme:
            url = urljoin(self._base_url, url)
            scheme = urlsplit(url).scheme
            url = {"http": "ws", "https": "wss"}.get(scheme, scheme) + url[len(scheme) :]
        parts = urlsplit(url)
        if self._verb.track != "inbound_track":
            raise _Refused(31941, f"<Connect><Stream> cannot take track {self._verb.track!r}")
        if parts.scheme not in {"ws", "wss"}:
            raise _Refused(31922, f"<Stream url> must be wss, not {url!r}")
        if not parts.hostname:
            raise _Refused(31923, f"<Stream url> {url!r} has no host")
        if parts.scheme == "ws":
            if not is_loopback(parts.hostname):
                raise _Refused(31922, f"<Stream url> must be wss, not {url!r}")
            self._host.alert(0, "note", "<Stream url> is ws: allowed here because it leads to this machine")
        if parts.query:
            self._host.alert(12200, "warning", "the query string of <Stream url> is dropped: use <Parameter>")
        if self._verb.status_callback is not None and not urlsplit(self._verb.status_callback).netloc:
            self._host.alert(12200, "warning", "<Stream statusCallback> must be an absolute URL")
        return urlunsplit(parts._replace(query="", fragment=""))

    async def _open(self, url: str) -> ClientConnection:
        self.log.url = url
        host = self._host
        headers = host.signer.headers(url, purpose="socket", how=host.stream_signing)
        route = host.network.socket(url)
        where: dict[str, Any] = {} if route.host is None else {"host": route.host, "port": route.port}
        if host.network.tls is not None and route.url.startswith("wss:"):
            where["ssl"] = host.network.tls
        host.tell("stream-connect", url, url=url)
        connecting = _Connect(
            route.url,
            additional_headers={**headers, **route.headers},
            user_agent_header="Twilio.TmeWs/1.0",
            compression=None,
            proxy=None,
            open_timeout=_OPEN_TIMEOUT_S,
            close_timeout=_CLOSE_TIMEOUT_S,
            ping_interval=None,
            max_size=None,
            **where,
        )
        try:
            return await connecting
        except InvalidStatus as error:
            raise _Refused(31920, f"the handshake was answered {error.response.status_code}, not 101") from None
        except TimeoutError:
            raise _Refused(31901, f"no connection within {_OPEN_TIMEOUT_S:g} s") from None
        except ssl.SSLError as error:
            raise _Refused(31910, f"TLS: {error}") from None
        except OSError as error:
            raise _Refused(31902, f"no connection: {error}") from None
        except InvalidHandshake as error:
            raise _Refused(31920, f"the handshake failed: {error}") from None

    async def _converse(self, socket: ClientConnection) -> None:
        host = self._host
        began_ms = round(host.now_ms * 8) / 8
        self._link = _Link(host.faults, began_ms)
        self.log.opened_ms = began_ms
        self._put(frames.connected())
        self._put(self._sender.start(self._verb.parameters))
        host.tell("stream-start", f"stream {self.log.sid}", stream_sid=self.log.sid)
        self._callback("stream-started")
        writer = asyncio.create_task(self._write(socket))
        speaker = asyncio.create_task(self._speak(began_ms))
        if host.faults.drop_after_ms is not None:
            asyncio.get_running_loop().call_at(host.at(began_ms + host.faults.drop_after_ms), self.drop)
        try:
            await self._listen(socket)
            self._ended(self.log.ended_by or "server", socket.close_code)
        except asyncio.CancelledError:
            speaker.cancel()
            self._put(self._sender.stop())
            self._outbox.put_nowait((host.now_ms, None))
            await asyncio.wait({writer}, timeout=_CLOSE_TIMEOUT_S)
            await socket.close()
            self._ended("call", socket.close_code)
            raise
        finally:
            if self._mark_timer is not None:
                self._mark_timer.cancel()
            for task in (speaker, writer):
                task.cancel()
            await asyncio.gather(speaker, writer, return_exceptions=True)

    async def _write(self, socket: ClientConnection) -> None:
        """One writer for all: what was numbered first leaves first, even behind jitter and stalls."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                ready_ms, message = await self._outbox.get()
                await self._until(self._link.open_from(max(ready_ms, self._host.now_ms)))
                if message is None:
                    return
                await socket.send(message)

    async def _speak(self, began_ms: float) -> None:
        """Every 20 ms the sound of the last 20; the deadlines are absolute, so a late one does not delay the next."""
        for slot in count(1):
            due_ms = began_ms + slot * FRAME_MS
            await self._until(due_ms)
            if self._link.lost():
                self.log.frames_lost += 1
                continue
            ulaw = self._host.mouth.read(due_ms - FRAME_MS, FRAME_MS)
            if ulaw == _SILENT_FRAME:
                ulaw = _COMFORT[slot % len(_COMFORT)]
            self.log.frames_sent += 1
            self._put(self._sender.media(ulaw, slot * FRAME_MS), due_ms + self._link.jitter_ms())

    async def _listen(self, socket: ClientConnection) -> None:
        try:
            while True:
                message = await socket.recv()
                now_ms = self._host.now_ms
                if (open_ms := self._link.open_from(now_ms)) > now_ms:
                    await self._until(open_ms)
                self._take(message)
        except ConnectionClosed as closed:
            code = closed.rcvd.code if closed.rcvd is not None else 1006
            if self.log.ended_by != "dropped" and code not in {1000, 1001}:
                self._host.alert(31921, "warning", f"the server's socket closed with {code}")

    def _take(self, message: str | bytes) -> None:
        now_ms, line = self._host.now_ms, self._host.line
        try:
            frame = frames.parse(message, self.log.sid)
        except frames.WrongFrame as wrong:
            if not self.log.wrong_frames:
                self._host.alert(31951, "warning", str(wrong))
            self.log.wrong_frames.append(str(wrong))
            self._host.tell("wrong-frame", str(wrong))
            return
        match frame:
            case frames.Media(ulaw):
                self._play(ulaw, now_ms)
            case frames.Mark(name):
                self._host.tell("mark-asked", name, name=name)
                self._echo(line.mark(name, now_ms))
            case frames.Clear():
                dropped_ms = line.ahead_ms(now_ms)
                self.log.clears.append(Cleared(now_ms, dropped_ms))
                self._host.tell("clear", f"clear: {dropped_ms:.0f} ms dropped", dropped_ms=dropped_ms)
                self._echo(line.clear(now_ms))

    def _play(self, ulaw: bytes, now_ms: float) -> None:
        if self._host.line.ahead_ms(now_ms) + len(ulaw) / 8 > _BUFFER_LIMIT_MS:
            self._host.alert(31931, "warning", "more than ten minutes of unheard sound: this was dropped")
            return
        heard_from_ms = self._host.line.play(ulaw, now_ms)
        self.log.arrivals.append(Arrival(now_ms, len(ulaw), heard_from_ms))
        if len(ulaw) % FRAME_BYTES or not ulaw:
            self.log.quality_notes.append(f"{len(ulaw)} bytes of sound at once, no multiple of {FRAME_BYTES}")

    def _echo(self, echoes: list[Echo]) -> None:
        for echo in echoes:
            self.log.marks.append(echo)
            self._put(self._sender.mark(echo.name))
            self._host.tell("mark-cleared" if echo.cleared else "mark-played", echo.name, name=echo.name)
        if self._mark_timer is not None:
            self._mark_timer.cancel()
            self._mark_timer = None
        if (due_ms := self._host.line.next_due_ms) is not None:
            loop = asyncio.get_running_loop()
            self._mark_timer = loop.call_at(self._host.at(due_ms), self._mark_due)

    def _mark_due(self) -> None:
        self._mark_timer = None
        self._echo(self._host.line.due(self._host.now_ms))

    def _put(self, message: str | bytes, ready_ms: float = 0.0) -> None:
        self._outbox.put_nowait((ready_ms, message))

    async def _until(self, at_ms: float) -> None:
        wait_ms = at_ms - self._host.now_ms
        if wait_ms > 0:
            await asyncio.sleep(wait_ms / 1000)

    def _ended(self, by: StreamEnd, code: int | None = None) -> None:
        self.log.closed_ms = self._host.now_ms
        self.log.ended_by = by
        self.log.close_code = code
        self._host.tell("stream-end", f"the stream ended: {by}", by=by, code=code)
        if self.log.opened_ms is not None:
            self._callback("stream-stopped")

    def _callback(self, event: str, error: str | None = None) -> None:
        if self._verb.status_callback is None or not urlsplit(self._verb.status_callback).netloc:
            return
        params = [
            ("AccountSid", self._host.account_sid),
            ("CallSid", self._host.sid),
            ("StreamSid", self.log.sid),
            ("StreamName", self._verb.name or self.log.sid),
            ("StreamEvent", event),
            ("Timestamp", _iso_now()),
        ]
        if error is not None:
            params.append(("StreamError", error))
        self._host.post(self._verb.status_callback, params, self._verb.status_callback_method)


def _iso_now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
