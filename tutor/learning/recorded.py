"""A call as it is kept, as everything reads it that is worked out from it afterwards: its turns and its events.

Times are milliseconds of the call. In one that went on with another, what happened there has times below zero. Knows no
database.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

LEAST_TURN_MS: Final = 300
"""Shorter sounds are no turn (tutoring.md §1A row 106)."""

UNTRANSCRIBED_MS: Final = 1_000
"""Speech nobody transcribed counts as a turn from here on: a cough and a chair are shorter."""

_TIMES: Final = {"speech": ("start_ms", "end_ms")}
"""What of an event's data is a time of the call, by the event's kind; all else are lengths, and counts of audio."""


class TurnRecord(Protocol):
    """A turn as it is kept; milliseconds from the start of the media."""

    @property
    def speaker(self) -> str: ...
    @property
    def text(self) -> str | None: ...
    @property
    def start_ms(self) -> int: ...
    @property
    def end_ms(self) -> int | None: ...
    @property
    def cut(self) -> bool: ...


class EventRecord(Protocol):
    """An event as it is kept."""

    @property
    def kind(self) -> str: ...
    @property
    def at_ms(self) -> int: ...
    @property
    def data(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class _Turn:
    speaker: str
    start_ms: int
    end_ms: int | None
    text: str | None
    cut: bool


@dataclass(frozen=True, slots=True)
class _Event:
    at_ms: int
    kind: str
    data: Mapping[str, Any]


def from_zero(
    turns: Sequence[TurnRecord], events: Sequence[EventRecord]
) -> tuple[Sequence[TurnRecord], Sequence[EventRecord]]:
    """A call with all that it went on with, as one conversation whose clock begins with the first of them."""
    first_ms = min((*(turn.start_ms for turn in turns), *(event.at_ms for event in events)), default=0)
    if first_ms >= 0:
        return turns, events
    return (
        [
            _Turn(turn.speaker, turn.start_ms - first_ms, _later(turn.end_ms, -first_ms), turn.text, turn.cut)
            for turn in turns
        ],
        [_Event(event.at_ms - first_ms, event.kind, moved(event.kind, event.data, -first_ms)) for event in events],
    )


def moved(kind: str, data: Mapping[str, Any], by_ms: int) -> dict[str, Any]:
    """An event's data in a clock that shows ``by_ms`` more."""
    times = _TIMES.get(kind, ())
    return {name: value + by_ms if name in times and isinstance(value, int) else value for name, value in data.items()}


def due_of(events: Sequence[EventRecord]) -> tuple[str, ...] | None:
    """What the role was told to bring up when the conversation began; None: the record does not say."""
    began = next((event for event in events if event.kind == "began"), None)
    return None if began is None else tuple(str(item) for item in began.data.get("due", ()))


def _later(end_ms: int | None, by_ms: int) -> int | None:
    return None if end_ms is None else end_ms + by_ms
