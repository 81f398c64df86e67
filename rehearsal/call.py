"""One call as the carrier knows it: its clock, its line, its diary, and its life from dialling to the last callback.

The documents are carried out by `rehearsal.verbs`; the person on the phone acts through `rehearsal.phone`.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, Literal

from rehearsal import sip
from rehearsal.media import Playout, Track
from rehearsal.network import Network
from rehearsal.report import Alert, CallResult, EndedBy, Event, Faults, StreamLog
from rehearsal.signing import Signer, Signing
from rehearsal.stream import MediaStream
from rehearsal.verbs import CallOver, Inline, Interpreter, Keypad, Target
from rehearsal.wav import Recording
from rehearsal.webhooks import Correspondence, FetchFailed, Method, Params, Reply, Webhooks

MAX_CALL_S = 4 * 3600.0


@dataclass(frozen=True, slots=True)
class Plan:
    """Who calls whom, what the number is set up to do, and how the carrier behaves on this call."""

    voice_url: str
    to: str
    from_: str
    status_callback: str | None = None
    fallback_url: str | None = None
    signing: Signing = Signing.SHA1
    stream_signing: Signing = Signing.SHA1
    extra_params: tuple[tuple[str, str], ...] = ()
    stir: str | None = None
    credential: str | None = None
    """The name with which a SIP phone authenticated; None: it did not, or it is no SIP phone."""
    faults: Faults = field(default_factory=Faults)
    time_limit_s: float = MAX_CALL_S


@dataclass(frozen=True, slots=True)
class Outside:
    """What all calls of a carrier share."""

    account_sid: str
    signer: Signer
    network: Network
    webhooks: Webhooks
    alerts: list[Alert]
    voice: Callable[[str, str], Awaitable[bytes | None]]
    """Text and locale to µ-law; None where prompts are silent and only take time."""
    speech_scale: float = 1.0
    timeout_scale: float = 1.0


class Call:
    """A call in progress, and afterwards what REST still tells of it."""

    def __init__(self, outside: Outside, plan: Plan, on_event: Callable[[Event], None] | None = None) -> None:
        self.outside, self.plan = outside, plan
        self.sid = self.new_sid("CA")
        self.account_sid = outside.account_sid
        self.signer, self.network = outside.signer, outside.network
        self.faults, self.stream_signing = plan.faults, plan.stream_signing
        self.line, self.mouth = Playout(), Track()
        self.status = "ringing"
        self.answered_ms: float | None = None
        self.ended_ms: float | None = None
        self.ended_by: EndedBy | None = None
        self.began_at = datetime.now(UTC)
        self.ended_at: datetime | None = None
        self.over = asyncio.Event()
        self.hears: str | None = None
        self.keypad: Keypad | None = None
        self.stream: MediaStream | None = None
        self.streams: list[StreamLog] = []
        self.events: list[Event] = []
        self.alerts: list[Alert] = []
        self._on_event = on_event
        self._loop = asyncio.get_running_loop()
        self._began_s = self._loop.time()
        self._letters = Correspondence(lambda: self.now_ms, "voice", plan.signing)
        self._changed: asyncio.Future[None] = self._loop.create_future()
        self._interruption: asyncio.Future[Target | Inline | EndedBy] = self._loop.create_future()
        self._limit: asyncio.TimerHandle | None = None
        self._background: set[asyncio.Task[None]] = set()
        self._status_sent = False
        self._token = secrets.token_urlsafe(24)
        self._sip = sip.identity(plan.to)
        if self._sip and plan.credential is not None:
            self._sip.append(("SipUsername", plan.credential))

    @staticmethod
    def new_sid(prefix: str) -> str:
        """A fresh identifier as the carrier makes them: two letters and 32 hexadecimal digits."""
        return prefix + secrets.token_hex(16)

    @property
    def now_ms(self) -> float:
        """Milliseconds since the caller dialled; monotonic."""
        return (self._loop.time() - self._began_s) * 1000

    def at(self, at_ms: float) -> float:
        """The event loop's time of a moment on the call's clock."""
        return self._began_s + at_ms / 1000

    @property
    def duration_s(self) -> float:
        """From the answer to the end, or until now."""
        if self.answered_ms is None:
            return 0.0
        return ((self.ended_ms if self.ended_ms is not None else self.now_ms) - self.answered_ms) / 1000

    def tell(self, kind: str, text: str, **data: object) -> None:
        """Writes the diary, shows it to the observer and wakes whoever waits for something to happen."""
        event = Event(self.now_ms, kind, text, data)
        self.events.append(event)
        if self._on_event is not None:
            self._on_event(event)
        self._changed.set_result(None)
        self._changed = self._loop.create_future()

    async def change(self) -> None:
        """Returns after the next event."""
        await asyncio.shield(self._changed)

    def alert(self, code: int, level: Literal["error", "warning", "note"], text: str) -> None:
        """Adds to what the carrier's debugger lists."""
        alert = Alert(code, level, text, self.sid, self.now_ms)
        self.alerts.append(alert)
        self.outside.alerts.append(alert)
        self.tell(level, f"{code}: {text}" if code else text, code=code)

    def answer(self) -> None:
        """Takes the call off the hook; from here on it is billed."""
        if self.answered_ms is None:
            self.answered_ms = self.now_ms
            self.status = "in-progress"
            self.tell("answered", "the call is answered")

    def press(self, key: str) -> None:
        """A key: to the stream if there is one, to a running Gather, or to nobody."""
        if self.stream is not None and self.stream.is_open:
            self.stream.press(key)
            self.tell("key", key, heard_by="stream")
        elif self.keypad is not None:
            keypad = self.keypad
            keypad.press(key)
            if keypad.done:
                self.keypad = None
            self.tell("key", key, heard_by="gather")
        else:
            self.tell("key", key, heard_by=None)

    def end(self, by: EndedBy) -> bool:
        """Asks for the end; False when the call is over or ending already."""
        return self._interrupt(by)

    def go(self, source: Target | Inline) -> bool:
        """Asks the call to drop what it does and carry out another document; False when it is over."""
        return self._interrupt(source)

    def limit(self, seconds: float) -> None:
        """Ends the call that long after it began; a new limit replaces the old one."""
        if self._limit is not None:
            self._limit.cancel()
        self._limit = self._loop.call_at(self._began_s + seconds, self.end, "time-limit")

    def params(self) -> list[tuple[str, str]]:
        """The parameters every voice webhook carries, the blank ones too: they count in the signature."""
        plan = self.plan
        params = [
            ("AccountSid", self.account_sid),
            ("ApiVersion", "2010-04-01"),
            ("CallSid", self.sid),
            ("CallStatus", self.status),
            ("CallToken", self._token),
            ("Direction", "inbound"),
        ]
        for role, number in (("Called", plan.to), ("To", plan.to), ("Caller", plan.from_), ("From", plan.from_)):
            country = "US" if number.startswith("+1") and number[1:].isdigit() and len(number) == 12 else ""
            params += [(role, number), *((role + part, "") for part in ("City", "State", "Zip"))]
            params.append((role + "Country", country))
        if plan.stir is not None:
            params.append(("StirVerstat", plan.stir))
        return [*params, *self._sip, *plan.extra_params]

    async def fetch(self, url: str, params: Params, method: Method) -> Reply:
        """A request of the running script. It is not cut off when the call ends: servers get their time."""
        asking = asyncio.create_task(self.outside.webhooks.send(self._letters, url, params, method))
        try:
            return await asyncio.shield(asking)
        except asyncio.CancelledError:
            self._keep(asyncio.create_task(_quietly(asking)))
            raise

    def post(self, url: str, params: Params, method: Method = "POST") -> None:
        """A callback nobody waits for; a failure is an alert."""
        self._keep(asyncio.create_task(self._callback(url, params, method)))

    async def run(self) -> CallResult:
        """The whole life of the call; returns after the last callback was answered."""
        self.limit(self.plan.time_limit_s)
        self.tell("dial", f"{self.plan.from_} calls {self.plan.to}", sid=self.sid)
        by: EndedBy = "error"
        status = "completed"
        try:
            source: Target | Inline | None = Target(self.plan.voice_url)
            while source is not None:
                script = asyncio.create_task(Interpreter(self).run(source))
                source, by, status = await self._until_interrupted(script)
        finally:
            self._finish(by, status)
        await self._send_status()
        self.over.set()
        self.tell("ended", f"ended by {by}: {self.status}", by=by, status=self.status)
        while self._background:
            await asyncio.gather(*self._background)
        return self._result(by)

    async def _until_interrupted(self, script: asyncio.Task[None]) -> tuple[Target | Inline | None, EndedBy, str]:
        try:
            ends: set[asyncio.Future[Any]] = {script, self._interruption}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if script.done():
                try:
                    script.result()
                except CallOver as over:
                    return None, over.by, over.status
                return None, "script", "completed"
            wish = self._interruption.result()
            if isinstance(wish, (Target, Inline)):
                self._interruption = self._loop.create_future()
                self.tell("rest", "another document takes over")
                return wish, "script", "completed"
            status = "completed" if self.answered_ms is not None else "canceled"
            self.tell("hangup", f"by {wish}", by=wish)
            if self.faults.status_first:
                self._finish(wish, status)
                await self._send_status()
            return None, wish, status
        finally:
            script.cancel()
            await asyncio.wait({script})
            if not script.cancelled():
                script.exception()  # it ended by itself while the call was being taken from it: nothing to tell

    def _interrupt(self, wish: Target | Inline | EndedBy) -> bool:
        if self.ended_ms is not None or self._interruption.done():
            return False
        self._interruption.set_result(wish)
        return True

    def _finish(self, by: EndedBy, status: str) -> None:
        """Stops the clock, once: the figures are those of the first to say it is over."""
        if self.ended_ms is None:
            self.ended_ms = self.now_ms
            self.ended_at = datetime.now(UTC)
            self.ended_by, self.status = by, status
            self.line.stop(self.ended_ms)
            self.mouth.cut(self.ended_ms)
            if self._limit is not None:
                self._limit.cancel()

    async def _send_status(self) -> None:
        if self.plan.status_callback is None or self._status_sent:
            return
        self._status_sent = True
        seconds = round(self.duration_s)
        params = [
            *self.params(),
            ("CallDuration", str(seconds)),
            ("Duration", str(-(-seconds // 60))),
            ("Timestamp", format_datetime(self.ended_at or datetime.now(UTC))),
            ("SequenceNumber", "0"),
            ("CallbackSource", "call-progress-events"),
        ]
        for _ in range(self.faults.status_times):
            await self._callback(self.plan.status_callback, params, "POST")

    async def _callback(self, url: str, params: Params, method: Method) -> None:
        try:
            reply = await self.outside.webhooks.send(self._letters, url, params, method)
        except FetchFailed as error:
            self.alert(error.code, "error", f"callback {error}")
        else:
            self.tell("callback", f"{url}: {reply.status}", url=url, params=dict(params))

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def _result(self, by: EndedBy) -> CallResult:
        length_ms = self.ended_ms or 0.0
        result = CallResult(
            sid=self.sid,
            from_=self.plan.from_,
            to=self.plan.to,
            status=self.status,
            ended_by=by,
            answered_ms=self.answered_ms,
            duration_s=self.duration_s,
            transcript=tuple(self.events),
            recording=Recording.of(self.mouth.read(0, length_ms), self.line.read(0, length_ms)),
            warnings=tuple(self.alerts),
            webhooks=tuple(self._letters.exchanges),
            streams=tuple(self.streams),
        )
        # A carrier remembers its calls for REST; the sound and the diary live on in the result alone.
        self.line, self.mouth = Playout(), Track()
        self.events, self.streams, self._letters.exchanges = [], [], []
        return result


async def _quietly(asking: asyncio.Task[Reply]) -> None:
    await asyncio.wait({asking})
    if not asking.cancelled():
        asking.exception()
