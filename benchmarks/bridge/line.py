"""One call as both its ends see it: what left, when it came out at the other end, and what the caller heard.

No I/O; times are seconds of one monotonic clock that both ends share. It knows the bridge under test only by what goes
in and what comes out.

Audio says which piece it is: every 20 ms frame, and every reply of the model, has one of 16 levels of direct current in
turn. A filter passes direct current unchanged, so the level is legible on the other side of any honest transcoder, and
a piece that was lost, doubled, swapped or kept from before a clear is noticed.
"""

from __future__ import annotations

from array import array
from collections import deque
from dataclasses import dataclass, field

import numpy as np

from telephony.audio import g711

FRAME_BYTES = g711.FRAME_BYTES
FRAME_MS = 20
LEVELS = 16
_LOWEST, _STEP = -24_000, 3_200

CODES = tuple(g711.encode((_LOWEST + _STEP * level).to_bytes(2, "little", signed=True)) for level in range(LEVELS))
"""The µ-law byte of each level."""

LEVEL_OF_CODE = bytes(
    min(range(LEVELS), key=lambda level: abs(linear - _LOWEST - _STEP * level))
    for linear in np.frombuffer(g711.decode(bytes(range(256))), "<i2").tolist()
)
"""The nearest level of each µ-law byte."""

LEAD_DELTAS = 5
"""Deltas of a reply whose delay is measured: the first second. Later ones wait on purpose, for the caller's ear."""


def level_of_sample(sample: int) -> int:
    """The nearest level of a 16-bit sample."""
    return min(max((sample - _LOWEST + _STEP // 2) // _STEP, 0), LEVELS - 1)


@dataclass(slots=True)
class Samples:
    """What all calls of a run measured while `since_s` was set; milliseconds."""

    since_s: float | None = None
    """Audio that left before this moment is not measured; None: nothing is."""
    uplink_ms: array[float] = field(default_factory=lambda: array("d"))
    downlink_ms: array[float] = field(default_factory=lambda: array("d"))
    barge_in_ms: array[float] = field(default_factory=lambda: array("d"))
    heard_error_ms: array[float] = field(default_factory=lambda: array("d"))
    """What the bridge told the model was heard, less what was heard."""
    wrong: int = 0
    """Pieces of audio that were not the one that was due."""

    def take(self, into: array[float], left_s: float, came_s: float) -> None:
        """Keeps one delay."""
        if self.since_s is not None and left_s >= self.since_s:
            into.append((came_s - left_s) * 1000)


class Line:
    """One call. The caller's end and the model's end report here; the answers go into shared `Samples`."""

    def __init__(self, samples: Samples) -> None:
        self._samples = samples
        self._sent_s = array("d")
        self._arrived_bytes = 0
        self.replies = 0
        self._given_bytes = 0
        self._unheard: deque[tuple[int, float]] = deque()
        """(first byte within the reply, when it left) of deltas that are measured and have not come out."""
        self._got_bytes = 0
        self._dry_at_s = 0.0
        self._learner_began_s: float | None = None
        self._heard_ms: float | None = None
        self._told_ms: int | None = None

    # --- from the caller to the model

    @property
    def frames_sent(self) -> int:
        """20 ms frames that the caller has spoken."""
        return len(self._sent_s)

    @property
    def frames_arrived(self) -> int:
        """Of these, how many came out."""
        return self._arrived_bytes // FRAME_BYTES

    def caller_speaks(self, now_s: float) -> int:
        """The next frame leaves now; returns its number, from 0. Its level is that number modulo 16."""
        self._sent_s.append(now_s)
        return len(self._sent_s) - 1

    def model_hears(self, ulaw_bytes: int, level: int, now_s: float) -> None:
        """Audio came out: how much telephone audio it stands for, and the level in its middle."""
        number, offset = divmod(self._arrived_bytes, FRAME_BYTES)
        self._arrived_bytes += ulaw_bytes
        if ulaw_bytes != FRAME_BYTES or offset:
            return  # what was kept while the greeting played comes in one piece: not late, but late on purpose
        if number >= len(self._sent_s) or level != number % LEVELS:
            self._samples.wrong += 1
        else:
            self._samples.take(self._samples.uplink_ms, self._sent_s[number], now_s)

    # --- from the model to the caller

    def reply_begins(self) -> int:
        """The model's next reply; returns its level."""
        self.replies += 1
        self._given_bytes = self._got_bytes = 0
        self._unheard.clear()
        return self.replies % LEVELS

    def model_speaks(self, ulaw_bytes: int, now_s: float) -> None:
        """A delta leaves now."""
        if self._given_bytes < LEAD_DELTAS * ulaw_bytes:
            self._unheard.append((self._given_bytes, now_s))
        self._given_bytes += ulaw_bytes

    def caller_gets(self, ulaw: bytes, now_s: float) -> None:
        """Audio came out; it plays in real time after what came before."""
        if self.replies and LEVEL_OF_CODE[ulaw[len(ulaw) // 2]] != self.replies % LEVELS:
            self._samples.wrong += 1
        self._got_bytes += len(ulaw)
        self._dry_at_s = max(self._dry_at_s, now_s) + len(ulaw) / 1000 / g711.BYTES_PER_MS
        while self._unheard and self._unheard[0][0] < self._got_bytes:
            self._samples.take(self._samples.downlink_ms, self._unheard.popleft()[1], now_s)

    @property
    def dry_at_s(self) -> float:
        """When everything that came so far will have been played."""
        return self._dry_at_s

    # --- the learner speaks over the reply

    def learner_begins(self, now_s: float) -> None:
        """The model says that the learner began."""
        self._learner_began_s = now_s
        self._heard_ms = self._told_ms = None
        self._unheard.clear()

    def caller_clears(self, now_s: float) -> None:
        """The caller's end was told to drop what it has not played."""
        unplayed_ms = max(self._dry_at_s - now_s, 0.0) * 1000
        self._dry_at_s = min(self._dry_at_s, now_s)
        self._heard_ms = max(self._got_bytes / g711.BYTES_PER_MS - unplayed_ms, 0.0)
        if self._learner_began_s is not None:
            self._samples.take(self._samples.barge_in_ms, self._learner_began_s, now_s)
        self._compare()

    def model_is_told(self, heard_ms: int) -> None:
        """The bridge truncates the reply; this may come before or after the clear, on another socket."""
        self._told_ms = heard_ms
        self._compare()

    def _compare(self) -> None:
        if self._heard_ms is None or self._told_ms is None or self._learner_began_s is None:
            return
        if self._samples.since_s is not None and self._learner_began_s >= self._samples.since_s:
            self._samples.heard_error_ms.append(self._told_ms - self._heard_ms)
        self._heard_ms = self._told_ms = self._learner_began_s = None
