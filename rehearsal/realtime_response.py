"""One response of the realtime stand-in: the order of its events, its pace, and how it ends early.

It is a generator of waits that a scheduler steps; it knows no socket and not why it says what it says.
"""

from __future__ import annotations

import base64
import json
import random
import re
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Protocol

from rehearsal.realtime_items import BYTES_PER_MS, Conversation, Item, Part
from rehearsal.realtime_role import Plan
from rehearsal.realtime_script import Fault, ToolCall
from rehearsal.realtime_speech import Speech
from rehearsal.realtime_usage import MODEL_MS_PER_TOKEN, Entry, Ledger, text_tokens

PIECE = re.compile(r"\s*\S{1,12}|\s+")  # a text delta: about a word, never none
CHUNK_MS = (60, 420)  # lengths of audio deltas, any number of samples between: clients must carry remainders
ARGUMENTS_PIECE = 7  # characters of a function_call_arguments.delta
TEXT_PIECE_MS = 20.0  # at a pace of 1: what a text delta takes where there is no audio
LATE_DELTAS = 3

Waits = Generator[float, None, None]


class Host(Protocol):
    """What a response needs of its session."""

    conversation: Conversation
    ledger: Ledger
    speech: Speech
    random: random.Random
    has_spoken: bool

    def emit(self, type_: str, /, **fields: Any) -> None:
        """Sends an event."""

    def new_id(self, prefix: str) -> str:
        """Returns an unused id."""

    def at(self, due_ms: float, action: Callable[[], None]) -> None:
        """Runs the action when the time comes."""

    def response_ended(self, response: Response) -> None:
        """Takes note that a response is done."""


@dataclass(frozen=True)
class Settings:
    """What holds for one response. `pace` is a multiple of real time, None a burst; `max_tokens` None is no limit."""

    modality: str
    audio_format: str
    wire_format: dict[str, Any]
    voice: Any
    speed: float
    max_output_tokens: int | str
    metadata: dict[str, str] | None
    conversation_id: str | None
    language: str
    pace: float | None
    reasoning: bool

    @property
    def max_tokens(self) -> int | None:
        """The limit of output tokens, or None."""
        return self.max_output_tokens if isinstance(self.max_output_tokens, int) else None


class _Cut(Exception):
    """The response ends here, before it said everything."""

    def __init__(self, status: str, details: dict[str, Any]) -> None:
        super().__init__(status)
        self.status = status
        self.details = details


@dataclass
class _Open:
    """The item that is being generated."""

    item: Item
    index: int
    part: Part | None = None
    rest: bytes = b""
    words: str = ""
    audio_ms: float = 0.0


class Response:
    """Says what a plan holds, as far as it may.

    audio_ms: what it generated.   usage: once it is done.
    """

    def __init__(self, host: Host, settings: Settings, plan: Plan, read: tuple[Entry, ...], now_ms: float) -> None:
        self.id = host.new_id("resp")
        self.in_band = settings.conversation_id is not None
        self.settings = settings
        self.status = "in_progress"
        self.status_details: dict[str, Any] | None = None
        self.output: list[Item] = []
        self.audio_ms = 0.0
        self.usage: dict[str, Any] | None = None
        self.was_cancelled = False
        self._host = host
        self._plan = plan
        self._read = read
        self._due_ms = now_ms
        self._text_tokens = 0
        self._audio_tokens = 0
        self._open: _Open | None = None
        self._cuts = {fault.kind: fault for fault in plan.faults}
        self._waits = self._generate()

    def start(self) -> None:
        """Announces the response and runs it as far as it goes."""
        self._host.emit("response.created", response=self.wire())
        self._step()

    def cancel(self, reason: str) -> None:
        """Ends it as cancelled, because of `turn_detected` or `client_cancelled`."""
        if self.status != "in_progress":
            return
        self.was_cancelled = True
        self._waits.close()
        stopped = self._open
        self._end("cancelled", {"type": "cancelled", "reason": reason})
        if "late_deltas" in self._cuts and stopped is not None and stopped.rest:
            size = max(2, len(stopped.rest) // LATE_DELTAS // 2 * 2)
            for start in range(0, size * LATE_DELTAS, size):
                self._audio_delta(stopped, stopped.rest[start : start + size])

    def abandon(self) -> None:
        """Ends it because its connection has ended: what it generated is billed, and nobody is told."""
        if self.status != "in_progress":
            return
        self._waits.close()
        now = self._open
        if now is not None and now.part is not None:
            self._count(now)
        self.status, self.status_details = "cancelled", {"type": "cancelled", "reason": "client_cancelled"}
        self._settle()
        self._host.response_ended(self)

    def wire(self) -> dict[str, Any]:
        """Returns the response as events show it."""
        return {
            "object": "realtime.response",
            "id": self.id,
            "status": self.status,
            "status_details": self.status_details,
            "output": [item.wire() for item in self.output],
            "conversation_id": self.settings.conversation_id,
            "output_modalities": [self.settings.modality],
            "max_output_tokens": self.settings.max_output_tokens,
            "audio": {"output": {"format": self.settings.wire_format, "voice": self.settings.voice}},
            "usage": self.usage,
            "metadata": self.settings.metadata,
        }

    def _step(self) -> None:
        if self.status != "in_progress":
            return
        try:
            # Waits add up from the beginning, so that a late step does not slow the pace.
            self._due_ms += next(self._waits)
        except StopIteration:
            self._end("completed", None)
        except _Cut as cut:
            self._end(cut.status, cut.details)
        else:
            self._host.at(self._due_ms, self._step)

    def _generate(self) -> Waits:
        slow = self._cuts.get("slow")
        delay_ms = self._plan.delay_ms + (slow.after_ms if slow else 0)
        if delay_ms:
            yield delay_ms
        self._check_cuts()
        says, calls = list(self._plan.lines), list(self._plan.tools)
        outputs: list[str | ToolCall] = [*calls, *says] if self._plan.tools_first else [*says, *calls]
        for index, output in enumerate(outputs):
            if isinstance(output, ToolCall):
                yield from self._call(index, output)
            else:
                last = all(isinstance(later, str) for later in outputs) and index == len(outputs) - 1
                yield from self._message(index, output, "final_answer" if last else "commentary")

    def _message(self, index: int, line: str, phase: str) -> Waits:
        item = Item(self._host.new_id("item"), "message", "assistant", "in_progress", made_by_model=True)
        item.phase = phase if self.settings.reasoning else None
        now = self._begin(item, index)
        spoken = self.settings.modality == "audio"
        part = Part("output_audio" if spoken else "output_text", audio_format=self.settings.audio_format)
        item.content.append(part)
        now.part = part
        self._emit(now, "response.content_part.added", content_index=0, part=self._shown_part(now))
        yield from self._spoken(now, line) if spoken else self._written(now, line)
        self._close("completed")

    def _spoken(self, now: _Open, line: str) -> Waits:
        part = now.part
        assert part is not None
        settings = self.settings
        voice = settings.voice if isinstance(settings.voice, str) else "alloy"
        audio = self._host.speech.say(
            line, settings.language, voice=voice, speed=settings.speed, audio_format=settings.audio_format
        )
        per_ms, total = BYTES_PER_MS[settings.audio_format], len(audio)
        pieces, done, told = PIECE.findall(line), 0, 0
        while done < total:
            chunk_ms = self._host.random.uniform(*CHUNK_MS)
            size = int(chunk_ms * per_ms) // 2 * 2
            chunk = audio[done : done + size]
            done += len(chunk)
            # The words run a little ahead of their sound.
            while told < len(pieces) and told * total <= done * len(pieces):
                self._tell(now, "response.output_audio_transcript.delta", pieces[told])
                told += 1
            if not part.is_truncated:
                part.audio += chunk
            now.rest = audio[done:] if "late_deltas" in self._cuts else b""
            now.audio_ms += len(chunk) / per_ms
            self.audio_ms += len(chunk) / per_ms
            self._host.has_spoken = True
            self._audio_delta(now, chunk)
            self._check_cuts()
            if settings.pace is not None:
                yield len(chunk) / per_ms / settings.pace
        for piece in pieces[told:]:
            self._tell(now, "response.output_audio_transcript.delta", piece)

    def _written(self, now: _Open, line: str) -> Waits:
        for piece in PIECE.findall(line):
            self._tell(now, "response.output_text.delta", piece)
            self._check_cuts()
            if self.settings.pace is not None:
                yield TEXT_PIECE_MS / self.settings.pace

    def _call(self, index: int, call: ToolCall) -> Waits:
        item = Item(self._host.new_id("item"), "function_call", status="in_progress", made_by_model=True)
        item.name, item.call_id = call.name, self._host.new_id("call")
        now = self._begin(item, index)
        arguments = json.dumps(dict(call.arguments), ensure_ascii=False)
        for start in range(0, len(arguments), ARGUMENTS_PIECE):
            piece = arguments[start : start + ARGUMENTS_PIECE]
            item.arguments += piece
            self._emit(
                now,
                "response.function_call_arguments.delta",
                call_id=item.call_id,
                delta=piece,
                obfuscation=self._padding(),
            )
            if self.settings.pace is not None:
                yield TEXT_PIECE_MS / self.settings.pace
        self._text_tokens += text_tokens(arguments) + text_tokens(call.name)
        self._check_cuts()
        self._close("completed")

    def _begin(self, item: Item, index: int) -> _Open:
        self.output.append(item)
        self._open = now = _Open(item, index)
        self._host.emit("response.output_item.added", response_id=self.id, output_index=index, item=item.wire())
        if self.in_band:
            previous = self._host.conversation.append(item)
            self._host.emit("conversation.item.added", previous_item_id=previous, item=item.wire())
        return now

    def _close(self, status: str) -> None:
        """Sends the closing events of the open item, whole or not."""
        now = self._open
        if now is None:
            return
        self._open = None
        item, part = now.item, now.part
        item.status = status
        if part is not None:
            self._count(now)
            if part.type == "output_audio":
                self._emit(now, "response.output_audio.done", content_index=0)
                self._emit(now, "response.output_audio_transcript.done", content_index=0, transcript=now.words)
            else:
                self._emit(now, "response.output_text.done", content_index=0, text=now.words)
            self._emit(now, "response.content_part.done", content_index=0, part=self._shown_part(now))
        elif status == "completed":
            self._emit(
                now,
                "response.function_call_arguments.done",
                call_id=item.call_id,
                name=item.name,
                arguments=item.arguments,
            )
        if self.in_band:
            self._host.emit("conversation.item.done", previous_item_id=self._previous(item), item=item.wire())
        self._host.emit("response.output_item.done", response_id=self.id, output_index=now.index, item=item.wire())

    def _end(self, status: str, details: dict[str, Any] | None) -> None:
        self._close("completed" if status == "completed" else "incomplete")
        self.status, self.status_details = status, details
        self._settle()
        if self.in_band:
            self._host.ledger.remember(self._read, self.output)
        self._host.emit("response.done", response=self.wire())
        self._host.response_ended(self)

    def _count(self, now: _Open) -> None:
        """Counts what was generated of a message."""
        self._text_tokens += text_tokens(now.words)
        if now.part is not None and now.part.type == "output_audio":
            self._audio_tokens += int(now.audio_ms) // MODEL_MS_PER_TOKEN

    def _settle(self) -> None:
        generated = self._text_tokens + self._audio_tokens
        self.usage = self._host.ledger.usage(
            self._read if generated or self.status == "completed" else (),
            text_out=self._text_tokens,
            audio_out=self._audio_tokens,
        )

    def _check_cuts(self) -> None:
        """Ends the response where a fault or the token limit says so."""
        limit, now = self.settings.max_tokens, self._open
        if limit is not None:
            running = int(now.audio_ms) // MODEL_MS_PER_TOKEN + text_tokens(now.words) if now else 0
            if running + self._text_tokens + self._audio_tokens > limit:
                raise _Cut("incomplete", {"type": "incomplete", "reason": "max_output_tokens"})
        for kind in ("response_failed", "insufficient_quota", "incomplete"):
            fault = self._cuts.get(kind)
            if fault is not None and self.audio_ms >= fault.after_ms:
                raise _cut(fault)

    def _previous(self, item: Item) -> str | None:
        items = self._host.conversation.items
        index = items.index(item) if item in items else 0
        return items[index - 1].id if index else None

    def _shown_part(self, now: _Open) -> dict[str, Any]:
        # A content part is "audio" or "text", the content of an item "output_audio" or "output_text".
        part = now.part
        assert part is not None
        if part.type == "output_audio":
            return {"type": "audio", "transcript": now.words}
        return {"type": "text", "text": now.words}

    def _audio_delta(self, now: _Open, chunk: bytes) -> None:
        self._delta(now, "response.output_audio.delta", base64.b64encode(chunk).decode())

    def _tell(self, now: _Open, type_: str, piece: str) -> None:
        now.words += piece
        part = now.part
        if part is not None and not part.is_truncated:
            if part.type == "output_audio":
                part.transcript = now.words
            else:
                part.text = now.words
        self._delta(now, type_, piece)

    def _delta(self, now: _Open, type_: str, delta: str) -> None:
        self._emit(now, type_, content_index=0, delta=delta, obfuscation=self._padding())

    def _emit(self, now: _Open, type_: str, **fields: Any) -> None:
        self._host.emit(type_, response_id=self.id, item_id=now.item.id, output_index=now.index, **fields)

    def _padding(self) -> str:
        """Random padding as real deltas carry it, so that their length tells nothing."""
        return f"{self._host.random.getrandbits(64):016x}"[: self._host.random.randrange(4, 17)]


def _cut(fault: Fault) -> _Cut:
    if fault.kind == "incomplete":
        return _Cut("incomplete", {"type": "incomplete", "reason": fault.reason or "max_output_tokens"})
    quota = fault.kind == "insufficient_quota"
    code = "insufficient_quota" if quota else fault.code or "server_error"
    message = "You exceeded your current quota, please check your plan and billing details." if quota else fault.message
    error = {"type": "insufficient_quota" if quota else fault.type, "code": str(code), "message": message}
    return _Cut("failed", {"type": "failed", "error": error})
