"""Carries TwiML out, verb by verb: speaks, collects keys, connects streams, follows documents.

Knows its call and how to fetch; the caller's hand (keys) comes in through the `Keypad` of a running ``<Gather>``.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import urljoin

from rehearsal import twiml
from rehearsal.g711 import SAMPLES_PER_MS
from rehearsal.stream import MediaStream
from rehearsal.wav import read_ulaw
from rehearsal.webhooks import FetchFailed, Method, Reply

if TYPE_CHECKING:
    from rehearsal.call import Call

_MS_PER_CHARACTER = 65
_MS_PER_PROMPT = 300
_MS_OF_UNKNOWN_SOUND = 2000
_MS_PER_TONE = 500
_MAX_EMPTY_DOCUMENTS = 50
_LONGEST_LOOP = 1000


@dataclass(frozen=True, slots=True)
class Target:
    """A document to be asked for, with what is said besides the usual parameters."""

    url: str
    method: Method = "POST"
    extra: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Inline:
    """A document that came over REST; it has no address, so nothing in it may be relative."""

    body: bytes


class CallOver(Exception):
    """The script ended the call itself."""

    def __init__(self, by: Literal["script", "rejected", "error"], status: str = "completed") -> None:
        super().__init__(by)
        self.by = by
        self.status = status


class Keypad:
    """The rules of one ``<Gather>``: which keys are collected, and when it is done. No time in here."""

    def __init__(self, *, num_digits: int | None, finish_on_key: str) -> None:
        self._num_digits = num_digits
        self._finish_on_key = finish_on_key
        self.digits = ""
        self.finished_on = ""
        self.done = False
        self.touched = asyncio.Event()

    def press(self, key: str) -> None:
        """Takes one key; ends the prompts in any case, and the collecting when this was the last key."""
        if key == self._finish_on_key:
            self.finished_on = key
            self.done = True
        else:
            self.digits += key
            self.done = len(self.digits) == self._num_digits
        self.touched.set()


def spoken_ms(text: str) -> float:
    """How long a voice takes to say a text: an estimate at 15 characters a second."""
    return _MS_PER_PROMPT + _MS_PER_CHARACTER * len(text)


class Interpreter:
    """Runs documents on one call until they run out, or until `CallOver`."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._base_url: str | None = None
        self._sounds: dict[str, bytes] = {}

    async def run(self, source: Target | Inline) -> None:
        """Carries out the first document and all it leads to; returns when one has run out."""
        following: Target | Inline | None = source
        empty = 0
        while following is not None:
            document = await self._document(following)
            # A document that only redirects takes no time: without this limit two of them would never end.
            empty = empty + 1 if document.verbs and isinstance(document.verbs[0], twiml.Redirect) else 0
            if empty > _MAX_EMPTY_DOCUMENTS:
                self._call.alert(0, "error", f"{empty} documents in a row did nothing but <Redirect>")
                raise CallOver("error")
            following = await self._perform(document)

    async def _document(self, source: Target | Inline) -> twiml.Document:
        """Reads the next document; on failure the fallback's, and without one the call is over."""
        call = self._call
        try:
            return await self._read(source)
        except (FetchFailed, twiml.TwimlError) as error:
            url = source.url if isinstance(source, Target) else ""
            call.alert(error.code, "error", str(error))
            if call.plan.fallback_url is not None:
                extra = (("ErrorCode", str(error.code)), ("ErrorUrl", url))
                try:
                    return await self._read(Target(call.plan.fallback_url, extra=extra))
                except (FetchFailed, twiml.TwimlError) as again:
                    call.alert(again.code, "error", str(again))
        call.answer()
        call.tell("say", "We are sorry, an application error has occurred. Goodbye.", application_error=True)
        raise CallOver("error")

    async def _read(self, source: Target | Inline) -> twiml.Document:
        call = self._call
        if isinstance(source, Inline):
            self._base_url = None
            document = twiml.parse(source.body, "text/xml")
        else:
            call.tell("webhook", source.url, url=source.url, extra=dict(source.extra))
            reply = await call.fetch(source.url, [*call.params(), *source.extra], source.method)
            self._base_url = reply.url
            document = self._understand(reply)
        for finding in document.findings:
            call.alert(finding.code, "warning" if finding.code else "note", finding.text)
        return document

    def _understand(self, reply: Reply) -> twiml.Document:
        if reply.content_type.startswith("audio/"):
            self._sounds[reply.url] = self._sound(reply)
            return twiml.Document((twiml.Play(reply.url),))
        document = twiml.parse(reply.body, reply.content_type)
        self._call.tell("reply", ", ".join(type(verb).__name__ for verb in document.verbs) or "nothing")
        return document

    async def _perform(self, document: twiml.Document) -> Target | None:
        call = self._call
        for verb in document.verbs:
            if not isinstance(verb, (twiml.Redirect, twiml.Reject)):
                call.answer()
            match verb:
                case twiml.Say() | twiml.Play() | twiml.Pause():
                    await self._speak(verb, None)
                case twiml.Gather():
                    if (target := await self._gather(verb)) is not None:
                        return target
                case twiml.Stream():
                    await self._stream(verb)
                case twiml.Redirect(url, method):
                    call.tell("redirect", url or "(itself)", url=url)
                    return Target(self._absolute(url), method)
                case twiml.Reject(reason):
                    if call.answered_ms is None:
                        call.tell("reject", reason, reason=reason)
                        raise CallOver("rejected", "busy" if reason == "busy" else "no-answer")
                    raise CallOver("script")
                case twiml.Hangup():
                    raise CallOver("script")
        return None

    async def _gather(self, verb: twiml.Gather) -> Target | None:
        call = self._call
        keypad = Keypad(num_digits=verb.num_digits, finish_on_key=verb.finish_on_key)
        call.keypad = keypad
        call.tell("gather", "collecting keys", num_digits=verb.num_digits, timeout_s=verb.timeout_s)
        try:
            for prompt in verb.prompts:
                if keypad.touched.is_set():
                    break
                await self._speak(prompt, keypad.touched)
            while not keypad.done:
                keypad.touched.clear()
                if not await self._wait(verb.timeout_s * 1000 * call.outside.timeout_scale, keypad.touched):
                    break
        finally:
            if call.keypad is keypad:
                call.keypad = None
        if not keypad.digits and not verb.action_on_empty_result:
            call.tell("gather-empty", "no key")
            return None
        call.tell("gathered", keypad.digits, digits=keypad.digits)
        extra = [("Digits", keypad.digits), ("msg", "Gather End")]
        if keypad.finished_on:
            extra.append(("FinishedOnKey", keypad.finished_on))
        return Target(self._absolute(verb.action or ""), verb.method, tuple(extra))

    async def _stream(self, verb: twiml.Stream) -> None:
        stream = MediaStream(self._call, verb, self._base_url, self._call.new_sid("MZ"))
        self._call.stream = stream
        self._call.streams.append(stream.log)
        try:
            await stream.run()
        finally:
            self._call.stream = None

    async def _speak(self, verb: twiml.Say | twiml.Play | twiml.Pause, stop: asyncio.Event | None) -> None:
        """Speaks one prompt, or as much of it as is heard before ``stop`` (a key) interrupts it."""
        call, scale = self._call, self._call.outside.speech_scale
        sound: bytes | None = None
        match verb:
            case twiml.Pause(length_s):
                call.tell("pause", f"{length_s} s")
                await self._wait(length_s * 1000 * scale, stop)
                return
            case twiml.Say(text):
                call.tell("say", text, voice=verb.voice, language=verb.language)
                sound = await call.outside.voice(text, verb.language or "en-US")
                length_ms = spoken_ms(text) * scale
                times = verb.loop or _LONGEST_LOOP
            case twiml.Play(url, _, digits):
                text = url or f"keys {digits}"
                call.tell("play", text, url=url, digits=digits)
                sound = await self._played(url) if digits is None else None
                length_ms = _MS_PER_TONE * len(digits) if digits else _MS_OF_UNKNOWN_SOUND * scale
                times = verb.loop or _LONGEST_LOOP
        call.hears = text
        try:
            for _ in range(times):
                if sound is not None:
                    length_ms = call.line.play(sound, call.now_ms) + len(sound) / SAMPLES_PER_MS - call.now_ms
                if await self._wait(length_ms, stop):
                    call.line.cut(call.now_ms)
                    return
        except asyncio.CancelledError:
            call.line.cut(call.now_ms)
            raise
        finally:
            call.hears = None

    async def _played(self, url: str) -> bytes | None:
        """The sound of a file, None (with an alert) when it cannot be had; files are kept for the call."""
        try:
            url = self._absolute(url)
            if url not in self._sounds:
                self._sounds[url] = self._sound(await self._call.fetch(url, (), "GET"))
        except FetchFailed as error:
            self._call.alert(error.code, "error", f"<Play>: {error}")
            return b""
        return self._sounds[url] or None

    def _sound(self, reply: Reply) -> bytes:
        if not reply.content_type.startswith("audio/"):
            self._call.alert(12300, "warning", f"<Play> of {reply.url}: Content-Type {reply.content_type!r}")
        try:
            return read_ulaw(reply.body)
        except ValueError as error:
            self._call.alert(0, "note", f"<Play> of {reply.url}: {error}; this stand-in plays silence instead")
            return b""

    def _absolute(self, url: str) -> str:
        if self._base_url is None:
            if "://" not in url:
                self._call.alert(11100, "error", f"{url!r} is relative, but a document given over REST has no address")
                raise CallOver("error")
            return url
        return urljoin(self._base_url, url)

    async def _wait(self, length_ms: float, stop: asyncio.Event | None) -> bool:
        """Waits that long, or until ``stop``: then True."""
        if stop is None:
            await asyncio.sleep(length_ms / 1000)
            return False
        try:
            async with asyncio.timeout(length_ms / 1000):
                await stop.wait()
        except TimeoutError:
            return False
        return True
