"""The handset in a person's hand: what they can do, what they hear, and how they wait for either.

What is heard comes from the line's own track, 20 ms at a time, never from what the server says it sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rehearsal.g711 import SAMPLES_PER_MS, encode

if TYPE_CHECKING:
    from rehearsal.call import Call
    from rehearsal.report import CallResult
    from rehearsal.stream import MediaStream

_LISTEN_MS = 20


class CallEnded(Exception):
    """The call ended while the person still wanted something of it; `rehearsal.carrier` adds the ``result``."""

    result: CallResult | None = None


@dataclass(frozen=True, slots=True)
class Hearing:
    """What reaches the ear: the text or the file the carrier is playing, and whether there is sound on the line."""

    prompt: str | None
    line_audio: bool


class Phone:
    """The caller's end of one call. Every wait has a limit, and raises `CallEnded` when the call is over first."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._attentive_from_ms = 0.0
        self._seen_events = 0

    @property
    def sid(self) -> str:
        """The call's identifier."""
        return self._call.sid

    @property
    def now_ms(self) -> float:
        """Milliseconds since dialling."""
        return self._call.now_ms

    @property
    def hears(self) -> Hearing:
        """What is heard now (sound: in the last 20 ms)."""
        return Hearing(self._call.hears, self.audible(self.now_ms - _LISTEN_MS))

    def audible(self, at_ms: float) -> bool:
        """Whether there was sound on the line in the 20 ms from a moment on (peak at or above -42 dBFS)."""
        return self._call.line.audible(max(0.0, at_ms), _LISTEN_MS)

    async def wait_for(self, what: str, timeout_s: float = 10.0) -> None:
        """Waits for a state (``answered``, ``gather``, ``stream``, ``stream-ended``, ``ended``) or for an event.

        A state that holds already returns at once. Any other word is the kind of an event of the transcript: the first
        one behind that which the last such wait found, so that nothing is missed between two waits. Raises
        TimeoutError, or CallEnded when the call is over and it cannot happen any more.
        """
        call = self._call
        state = self._state(what)

        def happened() -> bool:
            if state is not None:
                return state()
            for at in range(self._seen_events, len(call.events)):
                if call.events[at].kind == what:
                    self._seen_events = at + 1
                    return True
            return False

        try:
            async with asyncio.timeout(timeout_s):
                while not happened():
                    if call.over.is_set():
                        raise CallEnded(f"the call ended ({call.ended_by}) before {what!r}")
                    await call.change()
        except TimeoutError:
            latest = ", ".join(f"{event.kind} {event.text!r}" for event in call.events[-6:])
            raise TimeoutError(f"no {what!r} within {timeout_s:g} s; the latest events: {latest}") from None

    def _state(self, what: str) -> Callable[[], bool] | None:
        call = self._call
        return {
            "answered": lambda: call.answered_ms is not None,
            "gather": lambda: call.keypad is not None,
            "stream": lambda: call.stream is not None and call.stream.is_open,
            "stream-ended": lambda: bool(call.streams) and call.stream is None,
            "ended": call.over.is_set,
        }.get(what)

    async def press(self, keys: str) -> None:
        """Presses keys (0-9 * #), one after the other; they reach the stream, a running Gather, or nobody."""
        if not keys or set(keys) - set("0123456789*#"):
            raise ValueError(f"a phone has no key for all of {keys!r}")
        for key in keys:
            self._alive()
            self._call.press(key)
            self._attentive_from_ms = self.now_ms
            await asyncio.sleep(0)

    async def say(self, sound: bytes, encoding: Literal["pcm16", "ulaw"] = "pcm16") -> None:
        """Speaks: 8 kHz mono, 16-bit little-endian PCM or µ-law. Returns when the last sample has been spoken.

        Cancelled, the person stops in mid-word.
        """
        self._alive()
        call = self._call
        ulaw = encode(sound) if encoding == "pcm16" else sound
        from_ms = call.mouth.play(ulaw, call.now_ms)
        until_ms = from_ms + len(ulaw) / SAMPLES_PER_MS
        call.tell("says", f"{len(ulaw) / SAMPLES_PER_MS:.0f} ms", from_ms=from_ms, until_ms=until_ms)
        try:
            async with asyncio.timeout_at(call.at(until_ms)):
                await call.over.wait()
        except TimeoutError:
            self._attentive_from_ms = until_ms
            return
        except asyncio.CancelledError:
            call.mouth.cut(call.now_ms)
            raise
        raise CallEnded("the call ended in the middle of a sentence")

    async def hear_speech(self, timeout_s: float = 10.0) -> float:
        """Waits until there is sound on the line, or a prompt; returns the moment (ms) to 20 ms."""

        def heard() -> float | None:
            hears = self.hears
            return self.now_ms if hears.line_audio or hears.prompt is not None else None

        return await self._listen(heard, timeout_s, "heard nothing")

    async def hear_silence(self, quiet_ms: float = 800.0, timeout_s: float = 30.0) -> float:
        """Waits until the line, having spoken, has been quiet that long; returns the moment (ms) its sound ended.

        It must have spoken since the caller's last word, key or earlier call of this: so ``say`` and then this waits
        for the whole answer.
        """
        last_prompt_ms = self._attentive_from_ms

        def quiet() -> float | None:
            nonlocal last_prompt_ms
            now_ms = self.now_ms
            if self._call.hears is not None:
                last_prompt_ms = now_ms
            ended_ms = max(self._call.line.last_audible_ms(now_ms) or 0.0, last_prompt_ms)
            return ended_ms if ended_ms > self._attentive_from_ms and now_ms - ended_ms >= quiet_ms else None

        ended_ms = await self._listen(quiet, timeout_s, f"no {quiet_ms:g} ms of quiet after speech")
        self._attentive_from_ms = self.now_ms
        return ended_ms

    async def hang_up(self) -> None:
        """Ends the call and waits until it is over; nothing happens when it is over already."""
        self._call.end("caller")
        await self._call.over.wait()

    async def drop_stream(self) -> None:
        """Breaks the media socket without a close, as a network does, and waits until the stream has ended."""
        self._streaming().drop()
        await self.wait_for("stream-ended")

    async def send_raw(self, message: str | bytes) -> None:
        """Sends anything over the media socket: text as a text frame, bytes as a binary one."""
        self._streaming().send_raw(message)
        await asyncio.sleep(0)

    async def pause(self, seconds: float) -> None:
        """Does nothing for a while."""
        self._alive()
        try:
            async with asyncio.timeout(seconds):
                await self._call.over.wait()
        except TimeoutError:
            return
        raise CallEnded("the call ended while the caller was waiting")

    def _alive(self) -> None:
        if self._call.over.is_set():
            raise CallEnded(f"the call ended ({self._call.ended_by})")

    def _streaming(self) -> MediaStream:
        stream = self._call.stream
        if stream is None or not stream.is_open:
            raise CallEnded("there is no media stream")
        return stream

    async def _listen(self, heard: Callable[[], float | None], timeout_s: float, otherwise: str) -> float:
        limit_ms = self.now_ms + timeout_s * 1000
        while (moment_ms := heard()) is None:
            self._alive()
            if self.now_ms > limit_ms:
                raise TimeoutError(f"{otherwise} within {timeout_s:g} s")
            await asyncio.sleep(_LISTEN_MS / 1000)
        return moment_ms
