"""What the carrier can tell about a call afterwards: events, warnings, requests, streams, sound.

Plain frozen records; times are milliseconds on the call's own clock, which starts when the caller dials.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from rehearsal.media import Echo
from rehearsal.wav import Recording

EndedBy = Literal["caller", "script", "rejected", "rest", "error", "time-limit"]
StreamEnd = Literal["server", "call", "dropped", "refused"]

MALFORMED = frozenset({12100, 12200, 12300, 13512, 13520, 31922, 31923, 31931, 31941, 31951})
"""The codes that say the server sent something the protocol does not have; a strict carrier fails on them."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened, for display and for tests; ``data`` holds what ``text`` says, field by field."""

    at_ms: float
    kind: str
    text: str
    data: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Alert:
    """What the carrier's debugger would list. Code 0 is a remark of this stand-in that the real one would not make."""

    code: int
    level: Literal["error", "warning", "note"]
    text: str
    call_sid: str | None = None
    at_ms: float = 0.0


class CarrierComplaint(AssertionError):
    """The server broke the protocol during a strict rehearsal; the text lists every complaint."""

    def __init__(self, alerts: list[Alert]) -> None:
        super().__init__("; ".join(f"{alert.code}: {alert.text} ({alert.call_sid})" for alert in alerts))
        self.alerts = alerts


@dataclass(frozen=True, slots=True)
class Exchange:
    """One HTTP request of the carrier and what came back (``status`` 0: nothing did, ``error`` says why)."""

    url: str
    method: str
    params: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    attempt: int
    at_ms: float
    took_ms: float
    status: int = 0
    content_type: str = ""
    body: bytes = b""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One media message of the server: when it came, and from when on the caller hears it."""

    at_ms: float
    size_bytes: int
    heard_from_ms: float


@dataclass(frozen=True, slots=True)
class Cleared:
    """One ``clear`` of the server: when it came, and how much unheard sound it dropped."""

    at_ms: float
    dropped_ms: float


@dataclass(slots=True)
class StreamLog:
    """One media stream. Grows while the stream lives; the moments of ``marks`` tell what the caller had heard."""

    sid: str
    url: str
    parameters: Mapping[str, str]
    asked_ms: float
    opened_ms: float | None = None
    closed_ms: float | None = None
    ended_by: StreamEnd | None = None
    close_code: int | None = None
    frames_sent: int = 0
    frames_lost: int = 0
    wrong_frames: list[str] = field(default_factory=list)
    quality_notes: list[str] = field(default_factory=list)
    arrivals: list[Arrival] = field(default_factory=list)
    marks: list[Echo] = field(default_factory=list)
    clears: list[Cleared] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Faults:
    """What is wrong with the network and the carrier during one call; nothing by default.

    ``jitter_ms`` delays each frame by up to that much (order is kept, as TCP does); ``loss`` is the share of the
    caller's frames that never reach the carrier; ``stalls`` are (from, length) in ms of the stream, when nothing moves
    either way; ``drop_after_ms`` breaks the socket. ``status_times`` repeats the status callback and ``status_first``
    sends it before the stream says stop. ``seed`` makes it all happen the same way again.
    """

    jitter_ms: float = 0.0
    loss: float = 0.0
    stalls: tuple[tuple[float, float], ...] = ()
    drop_after_ms: float | None = None
    status_times: int = 1
    status_first: bool = False
    seed: int = 0


@dataclass(frozen=True, slots=True)
class CallResult:
    """A whole call, after it ended."""

    sid: str
    from_: str
    to: str
    status: str
    ended_by: EndedBy
    answered_ms: float | None
    duration_s: float
    """From the answer to the end; 0 when nobody answered."""
    transcript: tuple[Event, ...]
    recording: Recording
    warnings: tuple[Alert, ...]
    webhooks: tuple[Exchange, ...]
    streams: tuple[StreamLog, ...]

    @property
    def billed_minutes(self) -> int:
        """Minutes the carrier charges for: each begun one; a call that was never answered costs nothing."""
        return math.ceil(self.duration_s / 60) if self.answered_ms is not None else 0

    def events(self, kind: str) -> list[Event]:
        """The events of one kind, in order."""
        return [event for event in self.transcript if event.kind == kind]

    def raise_for_complaints(self) -> None:
        """Raises `CarrierComplaint` when the server broke the protocol (codes of `MALFORMED`)."""
        if complaints := [alert for alert in self.warnings if alert.code in MALFORMED]:
            raise CarrierComplaint(complaints)
