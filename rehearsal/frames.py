"""The messages of the media socket, both ways, exactly as the carrier documents them.

What it sends has number-like fields as strings. What it accepts has no field too few and none too many: anything
else is a `WrongFrame`, which the carrier answers with warning 31951 and then ignores.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass

_FIELDS = {
    "media": {"event", "streamSid", "media"},
    "mark": {"event", "streamSid", "mark"},
    "clear": {"event", "streamSid"},
}


class WrongFrame(ValueError):
    """The server sent something the protocol does not have; the text says what."""


@dataclass(frozen=True, slots=True)
class Media:
    """Sound to be played, µ-law at 8 kHz."""

    ulaw: bytes


@dataclass(frozen=True, slots=True)
class Mark:
    """A request for an echo when everything before has been played."""

    name: str


@dataclass(frozen=True, slots=True)
class Clear:
    """A request to drop everything not yet played."""


def parse(message: str | bytes, stream_sid: str) -> Media | Mark | Clear:
    """Reads one message of the server; raises `WrongFrame` for anything that is not exactly one of the three."""
    if isinstance(message, bytes):
        raise WrongFrame(f"a binary frame of {len(message)} bytes")
    try:
        frame = json.loads(message, object_pairs_hook=_without_duplicates)
    except json.JSONDecodeError as error:
        raise WrongFrame(f"not JSON: {error}") from None
    if not isinstance(frame, dict):
        raise WrongFrame("not a JSON object")
    event = frame.get("event")
    if not isinstance(event, str) or event not in _FIELDS:
        raise WrongFrame(f"unknown event {event!r}")
    _exactly(frame, _FIELDS[event], event)
    if frame["streamSid"] != stream_sid:
        raise WrongFrame(f"{event} for stream {frame['streamSid']!r}, but this one is {stream_sid}")
    if event == "media":
        return Media(_sound(_string(frame, "media", "payload")))
    if event == "mark":
        return Mark(_string(frame, "mark", "name"))
    return Clear()


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise WrongFrame("a field twice")
    return fields


def _exactly(given: Mapping[str, object], wanted: set[str], where: str) -> None:
    if missing := wanted - given.keys():
        raise WrongFrame(f"{where} without {', '.join(sorted(missing))}")
    if extra := given.keys() - wanted:
        raise WrongFrame(f"{where} with {', '.join(sorted(extra))}, which does not belong there")


def _string(frame: Mapping[str, object], part: str, field: str) -> str:
    inner = frame[part]
    if not isinstance(inner, dict):
        raise WrongFrame(f"{part} is not an object")
    _exactly(inner, {field}, f"{part}.{part}")
    value = inner[field]
    if not isinstance(value, str):
        raise WrongFrame(f"{part}.{field} is not a string")
    return value


def _sound(payload: str) -> bytes:
    try:
        return base64.b64decode(payload, validate=True)
    except (binascii.Error, ValueError) as error:
        raise WrongFrame(f"media.payload is not base64: {error}") from None


def connected() -> str:
    """The first message; the only one without a number."""
    return _json({"event": "connected", "protocol": "Call", "version": "1.0.0"})


@dataclass(slots=True)
class Sender:
    """Numbers one stream's messages: one counter for all of them from ``start`` on, one for the chunks of sound."""

    stream_sid: str
    account_sid: str
    call_sid: str
    sequence: int = 0
    chunk: int = 0

    def start(self, parameters: Mapping[str, str]) -> str:
        """The message that says whose call this is; ``parameters`` are those of the TwiML."""
        return self._numbered(
            "start",
            start={
                "accountSid": self.account_sid,
                "streamSid": self.stream_sid,
                "callSid": self.call_sid,
                "tracks": ["inbound"],
                "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
                "customParameters": dict(parameters),
            },
        )

    def media(self, ulaw: bytes, timestamp_ms: int) -> str:
        """One chunk of the caller's sound; built by hand because there are fifty a second."""
        self.sequence += 1
        self.chunk += 1
        payload = base64.b64encode(ulaw).decode()
        return (
            f'{{"event":"media","sequenceNumber":"{self.sequence}","media":{{"track":"inbound","chunk":"{self.chunk}",'
            f'"timestamp":"{timestamp_ms}","payload":"{payload}"}},"streamSid":"{self.stream_sid}"}}'
        )

    def dtmf(self, digit: str) -> str:
        """One key press."""
        return self._numbered("dtmf", dtmf={"track": "inbound_track", "digit": digit})

    def mark(self, name: str) -> str:
        """The echo of a mark."""
        return self._numbered("mark", mark={"name": name})

    def stop(self) -> str:
        """The last message."""
        return self._numbered("stop", stop={"accountSid": self.account_sid, "callSid": self.call_sid})

    def _numbered(self, event: str, **rest: object) -> str:
        self.sequence += 1
        return _json(
            {"event": event, "sequenceNumber": str(self.sequence), "streamSid": self.stream_sid, **rest},
        )


def _json(message: Mapping[str, object]) -> str:
    return json.dumps(message, separators=(",", ":"), ensure_ascii=False)
