"""The outside judge of what the realtime stand-in sends, and a desk to drive one session by hand on a virtual clock."""

from __future__ import annotations

import base64
import functools
import json
import typing
import wave
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from openai.types.realtime import RealtimeServerEvent
from pydantic import BaseModel, TypeAdapter

from rehearsal.realtime_script import Script, parse
from rehearsal.realtime_session import Session
from rehearsal.realtime_speech import Speech
from rehearsal.realtime_wire import Close

SPEECH = Path(__file__).parent.parent.parent / "rehearsal" / "speech"

UNDECLARED = {"obfuscation", "phase", "id", "object", "expires_at"}
"""What real frames carry beside the SDK's types: padding on deltas, the phase of items, the identity of a session."""


_MODELS = {
    typing.get_args(model.model_fields["type"].annotation)[0]: model
    for model in typing.get_args(typing.get_args(RealtimeServerEvent)[0])
}


@functools.cache
def _judge(type_: str) -> TypeAdapter[BaseModel]:
    # The class of this very type: the SDK's union is no discriminated one and answers with a hundred errors.
    return TypeAdapter(_MODELS[type_])


def judge(event: dict[str, Any]) -> None:
    """Fails when the SDK's type for the event does not accept it, or when it has a field that no real frame has."""
    read = _judge(event["type"]).validate_python(event, strict=True)
    assert set(_extras(read)) <= UNDECLARED, event


def _extras(value: object) -> Iterator[str]:
    if isinstance(value, BaseModel):
        yield from value.model_extra or {}
        for name in type(value).model_fields:
            yield from _extras(getattr(value, name))
    elif isinstance(value, list):
        for member in value:
            yield from _extras(member)


class Desk:
    """A client of one session without any socket: sends events, lets time pass, reads judged answers."""

    def __init__(self, script: Script | None = None, *, model: str = "gpt-realtime-2.1", **options: Any) -> None:
        self.now_ms = 0.0
        self.session = Session(
            script or Script(), model=model, speech=Speech(None), now_ms=0.0, unix_s=1_800_000_000, **options
        )
        self.closed: Close | None = None
        self.events: list[dict[str, Any]] = []
        self.times_ms: list[float] = []
        self._read()

    def send(self, type_: str, /, **fields: Any) -> list[dict[str, Any]]:
        """Sends an event and returns what is answered at once."""
        return self.send_text(json.dumps({"type": type_, **fields}))

    def send_text(self, text: str | bytes) -> list[dict[str, Any]]:
        """Sends a frame as it is and returns what is answered at once."""
        self.session.receive(text, self.now_ms)
        return self._read()

    def wait(self, milliseconds: float) -> list[dict[str, Any]]:
        """Lets virtual time pass, timer by timer, and returns what was sent meanwhile."""
        until_ms, read = self.now_ms + milliseconds, []
        while (due_ms := self.session.next_due_ms) is not None and due_ms <= until_ms:
            self.now_ms = max(self.now_ms, due_ms)
            self.session.tick(self.now_ms)
            read += self._read()
        self.now_ms = until_ms
        self.session.tick(until_ms)
        return read + self._read()

    def update(self, *, transcription: dict[str, Any] | None = None, **session: Any) -> list[dict[str, Any]]:
        """Sends a session.update."""
        if transcription is not None:
            session.setdefault("audio", {}).setdefault("input", {})["transcription"] = transcription
        return self.send("session.update", session={"type": "realtime", **session})

    def append(self, audio: bytes, *, frame_bytes: int = 960) -> list[dict[str, Any]]:
        """Appends audio frame by frame while as much time passes, 20 ms for each frame."""
        read = []
        for start in range(0, len(audio), frame_bytes):
            frame = base64.b64encode(audio[start : start + frame_bytes]).decode()
            read += self.send("input_audio_buffer.append", audio=frame)
            read += self.wait(20.0)
        return read

    def say(self, milliseconds: int = 600, *, silence_ms: int = 700) -> list[dict[str, Any]]:
        """Appends something that the detector takes for speech, then silence, at 24 kHz."""
        return self.append(noise(milliseconds, -20.0) + bytes(48 * silence_ms))

    def user(self, text: str) -> list[dict[str, Any]]:
        """Creates a user message of text."""
        content = [{"type": "input_text", "text": text}]
        return self.send("conversation.item.create", item={"type": "message", "role": "user", "content": content})

    def _read(self) -> list[dict[str, Any]]:
        read = []
        for output in self.session.take():
            if isinstance(output, Close):
                self.closed = output
                continue
            judge(output)
            read.append(output)
            self.times_ms.append(self.now_ms)
        self.events += read
        return read


def types(events: Iterable[dict[str, Any]], *, deltas: bool = False) -> list[str]:
    """Returns the types of events in order, each run of deltas left out unless asked for."""
    return [event["type"] for event in events if deltas or not event["type"].endswith(".delta")]


def one(events: Iterable[dict[str, Any]], type_: str) -> dict[str, Any]:
    """Returns the only event of a type."""
    found = [event for event in events if event["type"] == type_]
    assert len(found) == 1, [event["type"] for event in events]
    return found[0]


def lines(events: Iterable[dict[str, Any]]) -> list[str]:
    """Returns what the responses that ended among these events said or wrote, item by item."""
    return [
        content.get("transcript", content.get("text"))
        for event in events
        if event["type"] == "response.done"
        for item in event["response"]["output"]
        for content in item.get("content", ())
    ]


def audio_of(events: Iterable[dict[str, Any]], item_id: str | None = None) -> bytes:
    """Returns the audio in the deltas of a reply."""
    return b"".join(
        base64.b64decode(event["delta"])
        for event in events
        if event["type"] == "response.output_audio.delta" and item_id in (None, event["item_id"])
    )


def noise(milliseconds: int, level_db: float, *, rate_hz: int = 24_000, seed: int = 1) -> bytes:
    """Returns white noise of a level in dBFS as 16-bit PCM."""
    samples = np.random.default_rng(seed).normal(0.0, 32_768 * 10 ** (level_db / 20), milliseconds * rate_hz // 1000)
    return np.clip(samples, -32_768, 32_767).astype("<i2").tobytes()


def recording(name: str) -> tuple[bytes, int]:
    """Returns a recorded person as 16-bit PCM and its rate in Hz."""
    with wave.open(str(SPEECH / f"{name}.wav")) as file:
        return file.readframes(file.getnframes()), file.getframerate()


def script(**fields: Any) -> Script:
    """Returns a script from JSON-like data, as `POST /rehearsal/script` would."""
    return parse(fields)
