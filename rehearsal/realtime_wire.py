"""What every session of the stand-in does with events and time: sends, records, timers, and faults that break the line.

Sans-I/O: time is what the driver says it is. It knows no item, no audio and no script beyond its faults.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rehearsal.realtime_schema import Refused
from rehearsal.realtime_script import Fault, Spending

EXPIRED = "Your session hit the maximum duration of 60 minutes."
GOING_AWAY = 1001
RACES = {"response_cancel_not_active", "conversation_already_has_active_response", "input_audio_buffer_commit_empty"}
"""Errors that a correct client meets now and then, because two sides act at once."""

_BULK = ("audio", "delta", "obfuscation")


@dataclass
class Record:
    """An event that passed, with its time on the driver's clock.

    A run of appends is one record, and so are all deltas of one kind of one item: `count` of them, the last at
    `last_at_ms`; `event` then is the first, without its audio or text.
    """

    at_ms: float
    event: dict[str, Any]
    last_at_ms: float
    count: int = 1

    @property
    def type(self) -> str:
        """The type of the event; empty for one that had none."""
        return str(self.event.get("type", ""))


@dataclass(frozen=True)
class Violation:
    """Something the client did that the protocol does not allow, as the server's `error` told it."""

    at_ms: float
    code: str | None
    message: str
    param: str | None
    event: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.event.get('type', 'not an event')}: {self.code}: {self.message}"


@dataclass(frozen=True)
class Close:
    """End the connection: with a close frame, or by breaking it when `code` is None."""

    code: int | None
    reason: str = ""


@dataclass
class _Armed:
    fault: Fault
    left: int


class Wire:
    """Events out, time in.

    received, sent: everything that passed.   violations: what the client did wrong.   races: errors that are nobody's
    fault.   notes: where a reader of the rehearsal could believe something that is not so.
    """

    def __init__(self, *, now_ms: float, seed: int, faults: Spending) -> None:
        self.random = random.Random(seed)  # noqa: S311 (ids and chunk sizes that can be repeated, no secrets)
        self.now_ms = now_ms
        self.received: list[Record] = []
        self.sent: list[Record] = []
        self.violations: list[Violation] = []
        self.races: list[Violation] = []
        self.notes: list[str] = []
        self.is_closed = False
        self._is_mute = False
        self._faults = faults
        self._armed: list[_Armed] = []
        self._out: list[dict[str, Any] | Close] = []
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._deltas: dict[tuple[str, str], Record] = {}

    def new_id(self, prefix: str) -> str:
        """Returns an unused id such as `item_0123456789abcdef0123`, short enough to be sent back."""
        return f"{prefix}_{self.random.getrandbits(80):020x}"

    def take(self) -> list[dict[str, Any] | Close]:
        """Returns what has to be sent since the last call, in order."""
        out, self._out = self._out, []
        return out

    @property
    def next_due_ms(self) -> float | None:
        """When `tick` has to be called next, or None."""
        return self._timers[0][0] if self._timers and not self.is_closed else None

    def tick(self, now_ms: float) -> None:
        """Lets time pass: runs everything that is due, each at its own time."""
        while self._timers and self._timers[0][0] <= now_ms and not self.is_closed:
            due_ms, _, action = heapq.heappop(self._timers)
            self.now_ms = max(self.now_ms, due_ms)
            action()
        self.now_ms = max(self.now_ms, now_ms)

    def at(self, due_ms: float, action: Callable[[], None]) -> None:
        """Runs the action when the time comes."""
        heapq.heappush(self._timers, (due_ms, next(self._order), action))

    def emit(self, type_: str, /, **fields: Any) -> None:
        """Sends an event with a new id."""
        if self.is_closed or self._is_mute:
            return
        event = {"type": type_, "event_id": self.new_id("event"), **fields}
        self._out.append(event)
        self._record_sent(event)
        self._trip(type_)

    def error(
        self, kind: str, code: str | None, message: str, *, param: str | None = None, event: object = None
    ) -> None:
        """Sends an `error` event, with the client's event id when it answers one."""
        given = event.get("event_id") if isinstance(event, dict) else None
        event_id = given if isinstance(given, str) else None
        told = {"type": kind, "code": code, "message": message, "param": param, "event_id": event_id}
        self.emit("error", error=told)

    def refuse(self, refused: Refused, event: object) -> None:
        """Answers a client's event with an error and keeps it as a violation, or as a race when it is one."""
        given = dict(event) if isinstance(event, dict) else {}
        violation = Violation(self.now_ms, refused.code, refused.message, refused.param, _without_bulk(given))
        (self.races if refused.code in RACES else self.violations).append(violation)
        self.error("invalid_request_error", refused.code, refused.message, param=refused.param, event=given)

    def close(self, code: int | None, reason: str = "") -> None:
        """Ends the connection after what was sent; None breaks it without a close frame."""
        if not self.is_closed:
            self._out.append(Close(code, reason))
            self.is_closed = True

    def expire(self) -> None:
        """Ends the session as its time limit does."""
        self.error("invalid_request_error", "session_expired", EXPIRED)
        self.close(GOING_AWAY, EXPIRED)

    def arm(self, faults: Iterable[Fault]) -> None:
        """Lets faults of the line happen from now on."""
        for fault in faults:
            if fault.is_of_reply or fault.kind == "refuse_key" or not self._faults.may(fault):
                continue
            if fault.at is None:
                self.at(self.now_ms + fault.after_ms, lambda fault=fault: self._happen(fault))  # type: ignore[misc]
            else:
                self._armed.append(_Armed(fault, fault.nth))

    def _received(self, event: dict[str, Any]) -> None:
        """Records a client's event and lets the faults that wait for it happen."""
        kind = event.get("type")
        last = self.received[-1] if self.received else None
        if kind == "input_audio_buffer.append" and last is not None and last.type == kind:
            last.count += 1
            last.last_at_ms = self.now_ms
        else:
            self.received.append(Record(self.now_ms, _without_bulk(event), self.now_ms))
        self._trip(str(kind))

    def _record_sent(self, event: dict[str, Any]) -> None:
        if "delta" not in event:
            self.sent.append(Record(self.now_ms, event, self.now_ms))
            return
        key = (event["type"], event["item_id"])
        if (known := self._deltas.get(key)) is not None:
            known.count += 1
            known.last_at_ms = self.now_ms
            return
        self._deltas[key] = record = Record(self.now_ms, _without_bulk(event), self.now_ms)
        self.sent.append(record)

    def _trip(self, type_: str) -> None:
        if not self._armed:
            return
        for armed in [armed for armed in self._armed if armed.fault.at == type_]:
            armed.left -= 1
            if armed.left:
                continue
            self._armed.remove(armed)
            fault = armed.fault
            if fault.after_ms:
                self.at(self.now_ms + fault.after_ms, lambda fault=fault: self._happen(fault))  # type: ignore[misc]
            else:
                self._happen(fault)

    def _happen(self, fault: Fault) -> None:
        if self.is_closed or not self._faults.spend(fault):
            return
        match fault.kind:
            case "drop":
                self.close(None)
            case "close":
                self.close(int(fault.code or 1011), fault.reason or "")
            case "session_expired":
                self.expire()
            case "hang":
                self._is_mute = True
            case "error":
                self.error(fault.type, None if fault.code is None else str(fault.code), fault.message)
            case _:
                raise ValueError(f"A fault of the kind {fault.kind} does not happen to the line.")


def _without_bulk(event: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name not in _BULK}
