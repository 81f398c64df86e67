"""What is heard on a line, sample by sample, on a clock that is handed in: no sockets, no tasks, no time of its own.

Times are milliseconds on the call's clock. Sound is G.711 µ-law at 8 kHz: 8 bytes are 1 ms. A track is the whole
truth about one direction, so a recording is two tracks and nothing else.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from rehearsal.g711 import SAMPLES_PER_MS, SILENCE, audible_samples, is_audible


def _sample(at_ms: float) -> int:
    return max(0, round(at_ms * SAMPLES_PER_MS))


class Track:
    """One direction of a call: sound that was, and sound that is about to be."""

    def __init__(self) -> None:
        self._sound = bytearray()
        self._scanned_samples = 0
        self._last_audible_samples: int | None = None

    @property
    def ends_ms(self) -> float:
        """When the last sound will have been heard; 0 when there never was any."""
        return len(self._sound) / SAMPLES_PER_MS

    def play(self, ulaw: bytes, now_ms: float) -> float:
        """Appends sound behind what is queued, or from now on if nothing is; returns the ms it is heard from."""
        start = max(len(self._sound), _sample(now_ms))
        self._sound.extend(bytes([SILENCE]) * (start - len(self._sound)))
        self._sound.extend(ulaw)
        return start / SAMPLES_PER_MS

    def cut(self, now_ms: float) -> float:
        """Drops all sound after now; returns how many ms of it there were."""
        dropped_ms = self.ahead_ms(now_ms)
        del self._sound[_sample(now_ms) :]
        return dropped_ms

    def ahead_ms(self, now_ms: float) -> float:
        """How much queued sound has not been heard yet."""
        return max(0, len(self._sound) - _sample(now_ms)) / SAMPLES_PER_MS

    def read(self, start_ms: float, length_ms: float) -> bytes:
        """The sound of an interval, silence where there is none; always exactly ``length_ms`` * 8 bytes."""
        start, length = _sample(start_ms), round(length_ms * SAMPLES_PER_MS)
        return bytes(self._sound[start : start + length]).ljust(length, bytes([SILENCE]))

    def audible(self, start_ms: float, length_ms: float = 20.0) -> bool:
        """Whether a person would notice a sound in the interval (see `rehearsal.g711.is_audible`)."""
        return is_audible(self.read(start_ms, length_ms))

    def last_audible_ms(self, now_ms: float) -> float | None:
        """The end of the last audible sample up to now; None while there was none.

        Asked again and again it reads only what is new; sound that was heard never changes.
        """
        now = _sample(now_ms)
        if heard := audible_samples(bytes(self._sound[self._scanned_samples : now])):
            self._last_audible_samples = self._scanned_samples + heard
        self._scanned_samples = max(self._scanned_samples, now)
        return None if self._last_audible_samples is None else self._last_audible_samples / SAMPLES_PER_MS


@dataclass(frozen=True, slots=True)
class Echo:
    """A mark on its way back: when it was asked for, when it came due, and whether ``clear`` sent it home early."""

    name: str
    asked_ms: float
    echoed_ms: float
    cleared: bool


@dataclass(frozen=True, slots=True)
class _Pending:
    name: str
    asked_ms: float
    due_ms: float


class Playout(Track):
    """The carrier's buffer towards the caller: sound and marks in one queue, played in real time.

    A mark comes back when everything before it has been heard, at once if nothing is queued, and on `clear`.
    """

    def __init__(self) -> None:
        super().__init__()
        self._pending: deque[_Pending] = deque()

    @property
    def next_due_ms(self) -> float | None:
        """When the next mark comes due, if one is pending."""
        return self._pending[0].due_ms if self._pending else None

    def mark(self, name: str, now_ms: float) -> list[Echo]:
        """Queues a mark behind the sound there is; returns every mark that is due, this one included if it is."""
        self._pending.append(_Pending(name, now_ms, self.ends_ms))
        return self.due(now_ms)

    def due(self, now_ms: float) -> list[Echo]:
        """Takes the marks out whose sound has been heard, in their order."""
        echoes = []
        while self._pending and _sample(self._pending[0].due_ms) <= _sample(now_ms):
            mark = self._pending.popleft()
            echoes.append(Echo(mark.name, mark.asked_ms, now_ms, cleared=False))
        return echoes

    def clear(self, now_ms: float) -> list[Echo]:
        """Silences the line at once and sends every pending mark back; those heard by now are not `cleared`."""
        echoes = self.due(now_ms)
        echoes += [Echo(mark.name, mark.asked_ms, now_ms, cleared=True) for mark in self._pending]
        self._pending.clear()
        self.cut(now_ms)
        return echoes

    def stop(self, now_ms: float) -> None:
        """Ends the stream's hold on the line: unheard sound goes, and its marks never come back."""
        self._pending.clear()
        self.cut(now_ms)
