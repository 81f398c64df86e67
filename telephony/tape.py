"""Both sides of one stream as they were heard, on one clock: what the caller said, what the caller was played.

Sans-I/O: µ-law and the time come in, finished stretches of both sides go out. Memory stays small as long as they are
taken. It knows no leg, no file and nobody's consent.

=====================================  ===============================================================================
rule                                   reason
=====================================  ===============================================================================
The caller's sound is appended as it   A leg delivers it in order and in real time; per frame nothing else may be done.
comes.
It is set right when it is taken: its  Frames come late in lumps, and a leg cuts long holes short. What is missing then
first sound by when it came, holes by  may be on its way; what is still missing at the next time, although frames have
what is missing twice.                 come, never was.
Five seconds without a frame are a     No network brings what is so late.
hole at once.
What is too much at first is dropped   It waited on its way while the stream was made ready, and was said before 0 ms.
from the front.
The line's sound begins when it is     Play-out is real time (see ``playout.py``); between two sounds the line is still.
sent, or when the one before it ends.
``cut`` drops what was not heard yet:  The carrier plays later than a clock without latency says, by as much as the
what lies after now less lateness.     least late of the last four echoes.
The last second is not taken.          A ``cut`` may still drop of it.
=====================================  ===============================================================================

Positions are bytes from the stream's first moment; times are counted in the same unit (1 byte = 1/8 ms).
"""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

from telephony.audio.g711 import BYTES_PER_MS, SILENCE

_HELD: Final = 1_000 * BYTES_PER_MS
_LATE: Final = 200 * BYTES_PER_MS
"""What frames may be late without being missed."""
_GIVEN_UP: Final = 5_000 * BYTES_PER_MS
_ECHOES: Final = 4


class Stretch(NamedTuple):
    """A stretch of both sides, µ-law, equally long."""

    caller: bytes
    line: bytes


class Tape:
    """One stream, from 0 ms on. ``take`` now and then, ``finish`` at its end."""

    def __init__(self) -> None:
        self._taken = 0
        self._caller = bytearray()  # both from _taken on
        self._line = bytearray()
        self._seen = 0  # where the caller's sound ended when it was looked at last
        self._missing: int | None = None  # how much was missing then; None: no sound has come yet
        self._marks: dict[str, int] = {}
        self._late: deque[int] = deque(maxlen=_ECHOES)

    def hear(self, ulaw: bytes) -> None:
        """Adds what the caller said, after everything before it."""
        self._caller += ulaw

    def play(self, ulaw: bytes, now_ms: float) -> None:
        """Adds what is sent to the caller now."""
        at = max(self._line_end, _ticks(now_ms))
        self._line += SILENCE * (at - self._line_end) + ulaw

    def mark(self, name: str) -> None:
        """A mark is sent: its echo will say when everything before it was played."""
        self._marks[name] = self._line_end

    def echo(self, name: str, now_ms: float) -> None:
        """A mark came back. Unknown ones, and those sent before a ``cut``, say nothing."""
        if name not in self._marks:
            return
        # Carriers play in order: echoes of earlier marks do not come any more.
        while (first := next(iter(self._marks))) != name:
            del self._marks[first]
        self._late.append(max(_ticks(now_ms) - self._marks.pop(name), 0))

    def cut(self, now_ms: float) -> None:
        """The line is silent from now on: what was not heard yet never will be."""
        heard = _ticks(now_ms) - min(self._late, default=0)
        del self._line[max(heard - self._taken, 0) :]
        self._marks.clear()

    def take(self, now_ms: float) -> Stretch:
        """Returns what cannot change any more; empty where there is nothing yet."""
        now = _ticks(now_ms)
        self._set_right(now)
        return self._cut_off(min(now - _HELD, self._caller_end))

    def finish(self, now_ms: float) -> Stretch:
        """Returns the rest, up to the stream's end: now."""
        now = _ticks(now_ms)
        self._set_right(now)
        self.cut(now_ms)
        self._caller += SILENCE * (now - self._caller_end)
        return self._cut_off(now)

    @property
    def _caller_end(self) -> int:
        return self._taken + len(self._caller)

    @property
    def _line_end(self) -> int:
        return self._taken + len(self._line)

    def _set_right(self, now: int) -> None:
        """Puts silence where the caller's sound is missing, and drops what cannot have been said yet."""
        comes, missing = self._caller_end > self._seen, now - self._caller_end
        if not comes:
            hole = missing if missing > _GIVEN_UP else 0
        elif self._missing is None:
            hole = missing
        else:
            hole = least if (least := min(missing, self._missing)) > _LATE else 0
        at = self._seen - self._taken
        self._caller[at : at + max(-hole, 0)] = SILENCE * hole
        del self._caller[max(now + _HELD - self._taken, 0) :]
        self._seen = self._caller_end
        if comes or self._missing is not None:
            self._missing = now - self._caller_end

    def _cut_off(self, end: int) -> Stretch:
        size = max(end - self._taken, 0)
        self._line += SILENCE * (size - len(self._line))
        stretch = Stretch(bytes(self._caller[:size]), bytes(self._line[:size]))
        del self._caller[:size], self._line[:size]
        self._taken += size
        return stretch


def _ticks(now_ms: float) -> int:
    return int(now_ms * BYTES_PER_MS)
