"""What the caller hears of what was sent: framing, pacing, marks and heard positions, for every leg.

Sans-I/O: audio, echoes and the time come in; audio, marks and "this item was heard" come out. Knows no socket,
no timer and no carrier; the driver sends the outputs in order and calls ``due`` at ``next_due_ms``.

=====================================  ===============================================================================
rule                                   reason
=====================================  ===============================================================================
Only multiples of 160 bytes leave.     Ragged tails click at the starts of words. The remainder waits within its item
                                       and is padded with silence only at the item's end.
At most ``lead_ms`` ahead of real      Twilio buffers minutes without complaint, Asterisk drops what exceeds 20 s. A
time, in chunks of ``chunk_ms``.       small lead makes ``clear`` cheap, and chunks cost less than a timer every 20 ms,
                                       which underruns under load.
The first audio of an idle line goes   Nothing is gained by waiting, and the caller counts the milliseconds.
at once.
A mark after each ``chunk_ms`` sent    A mark tells how far the carrier has played. More of them would only cost
and at each item's end.                messages: between marks the clock is exact to a few milliseconds.
A mark's name holds generation,        Echoes stay distinguishable, in logs too. The serial number keeps them so when
serial number, item and offset.        an item's name is used again.
heard = min(sent, max(mark, clock)).   The model rejects a truncation beyond the item's length; a mark is proof; and
                                       between marks only the clock knows.
The clock starts at the first audio    Play-out is real time until the carrier runs dry. It runs dry when all that was
sent to an idle line, and again after  sent has been played; what is sent later starts when it arrives.
the line ran dry.
The clock is late by the least         A carrier's constant latency delays every echo, jitter only some. Four marks are
lateness of the last four marks.       1.6 s: a carrier that ran dry in mid-run is noticed after that time.
At a run's start the least lateness    What an earlier run lost by running dry is over; the carrier's latency is not.
of all marks counts as one of the four.
Echoes after ``clear`` are ignored.    Twilio echoes every pending mark on clear; that is not playing.
``clear`` reports every item not yet   The model must forget what was never heard: the first is cut where the caller
heard whole, in order.                 stopped hearing it, all later ones at 0.
A mark not echoed 2 s after its time   Legs lose marks (Asterisk's flush eats them), and nothing may wait for ever.
counts as played.
Items heard whole are forgotten.       Calls are long, memory is not.
=====================================  ===============================================================================

Positions are bytes of one stream in the order of sending; times are counted in the same unit (1 byte = 1/8 ms), so
that all arithmetic is exact. One position tells all items' positions, however they interleave.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from telephony.audio.g711 import BYTES_PER_MS, FRAME_BYTES, SILENCE

__all__ = ["HeardItem", "ItemHeard", "Output", "Playout", "SendAudio", "SendMark"]

_FRAME_MS = FRAME_BYTES // BYTES_PER_MS
_ECHO_GRACE = 2_000 * BYTES_PER_MS
_LATENESS_WINDOW = 4
_CLOSED_REMEMBERED = 32


@dataclass(frozen=True, slots=True)
class SendAudio:
    """Send this µ-law to the caller now; a multiple of 160 bytes, at most one chunk."""

    ulaw: bytes


@dataclass(frozen=True, slots=True)
class SendMark:
    """Ask the carrier to echo this name once everything sent before has been played."""

    name: str


@dataclass(frozen=True, slots=True)
class ItemHeard:
    """The caller heard all of this item. Reported once, after its ``end``; never for an item that was cleared."""

    item: str


Output = SendAudio | SendMark | ItemHeard


@dataclass(frozen=True, slots=True)
class HeardItem:
    """How much of an item the caller has heard; whole milliseconds, rounded down, never more than was pushed."""

    item: str
    heard_ms: int
    pushed_ms: int
    ended: bool
    """No more will be pushed. Heard whole when also ``heard_ms == pushed_ms``."""


@dataclass(slots=True)
class _Segment:
    """A stretch of the stream that belongs to one item."""

    item: _Item
    start: int
    end: int


@dataclass(slots=True)
class _Item:
    """An item that has not been heard whole yet."""

    name: str
    pushed: int = 0
    """Bytes given, padding not counted."""
    remainder: bytes = b""
    framed: int = 0
    """Bytes placed in the stream, padding counted."""
    retired: int = 0
    """Bytes of it that lie in stretches already dropped because they were heard."""
    end: int | None = None
    """Where in the stream it ends, once it has ended."""


@dataclass(frozen=True, slots=True)
class _Mark:
    name: str
    position: int
    expected: int
    """When everything before it will have been played, by the clock without lateness."""


class _Clock:
    """When the carrier plays what: real time from the first audio of each run, corrected by echoes."""

    def __init__(self) -> None:
        # Per run (position, time): by then a carrier without latency will have played all before that position. One
        # that is late may still play the last run when the next begins, so those not yet heard are kept.
        self._runs = deque([(0, 0)])
        self._recent: deque[int] = deque(maxlen=_LATENESS_WINDOW)
        self._least: int | None = None

    @property
    def dry_at(self) -> int:
        """When a carrier without latency will have played all that was sent."""
        return self._runs[-1][1]

    @property
    def late(self) -> int:
        """How far the carrier is behind such a one."""
        return min(self._recent, default=0)

    def heard(self, now: int) -> int:
        """The position that has been played; at most what was sent."""
        behind = self.late - now
        return max(position - max(dry_at + behind, 0) for position, dry_at in self._runs)

    def sent(self, size: int, now: int) -> None:
        """Audio leaves now."""
        position, dry_at = self._runs[-1]
        if now > dry_at:
            self._begin_run()
            dry_at = now
        else:
            self._runs.pop()
        self._runs.append((position + size, dry_at + size))
        while len(self._runs) > 1 and self._runs[1][1] + self.late <= now:
            self._runs.popleft()

    def echoed(self, mark: _Mark, now: int) -> None:
        """A mark came back after being played."""
        lateness = now - mark.expected
        self._recent.append(lateness)
        self._least = lateness if self._least is None else min(self._least, lateness)

    def cleared(self, now: int) -> None:
        """The carrier dropped what it had not played: the next audio begins a run."""
        position, dry_at = self._runs[-1]
        self._runs = deque([(position, min(dry_at, now))])
        self._begin_run()

    def _begin_run(self) -> None:
        self._recent.clear()
        if self._least is not None:
            self._recent.append(max(self._least, 0))


class Playout:
    """The line's side of one call, from item to ear. Times are the driver's monotonic clock in milliseconds."""

    def __init__(self, lead_ms: int = 1000, chunk_ms: int = 400) -> None:
        """``lead_ms``: how far sending may run ahead of playing; ``chunk_ms``: what is sent at a time meanwhile.

        Raises ``ValueError`` unless both are positive multiples of 20 and the lead is at least one chunk.
        """
        if chunk_ms <= 0 or chunk_ms % _FRAME_MS or lead_ms % _FRAME_MS or lead_ms < chunk_ms:
            raise ValueError(
                f"A lead of {lead_ms} ms in chunks of {chunk_ms} ms cannot be sent: both must be positive multiples of "
                f"{_FRAME_MS} ms, and the lead at least one chunk."
            )
        self._lead = lead_ms * BYTES_PER_MS
        self._chunk = chunk_ms * BYTES_PER_MS
        self._clock = _Clock()
        self._generation = 0
        self._serial = 0
        self._items: dict[str, _Item] = {}
        self._closed: dict[str, None] = {}  # names that were cleared or heard whole: a late end() must not revive them
        self._segments: deque[_Segment] = deque()
        self._waiting = bytearray()  # framed, not sent
        self._sent = 0
        self._confirmed = 0  # played for certain
        self._marked = 0  # position of the last mark sent
        self._marks: deque[_Mark] = deque()

    def push(self, item: str, ulaw: bytes, now_ms: float) -> list[Output]:
        """Adds audio of any length to an item, after everything pushed so far; says what to send now.

        An item may go on after another was pushed in between. A name that was cleared or heard whole starts a new
        item. Raises ``ValueError`` when the item has ended and is still playing.
        """
        known = self._items.get(item)
        if known is None:
            self._closed.pop(item, None)
            known = self._items[item] = _Item(item)
        elif known.end is not None:
            raise ValueError(f"Item {item!r} has ended; its audio cannot go on. Push under another name.")
        known.pushed += len(ulaw)
        audio = known.remainder + ulaw if known.remainder else ulaw
        whole = len(audio) - len(audio) % FRAME_BYTES
        known.remainder = audio[whole:]
        self._place(known, audio[:whole])
        return list(self._send(_ticks(now_ms)))

    def end(self, item: str, now_ms: float) -> list[Output]:
        """Says that an item is complete: its last frame is filled up with silence, and ``ItemHeard`` will follow.

        An item without audio counts as heard when everything pushed before it was. Does nothing for an item that has
        ended, was cleared, or was heard whole.
        """
        if item in self._closed:
            return []
        known = self._items.setdefault(item, _Item(item))
        if known.end is not None:
            return []
        if known.remainder:
            self._place(known, known.remainder.ljust(FRAME_BYTES, SILENCE))
            known.remainder = b""
        last = next((segment.end for segment in reversed(self._segments) if segment.item is known), None)
        # Without a stretch in the ledger it was either empty, or all heard before anyone knew that it was all.
        known.end = last if last is not None else self._confirmed if known.framed else self._queued
        now = _ticks(now_ms)
        outputs = list(self._send(now))
        if self._marked < known.end <= self._sent:
            outputs.append(self._mark(known, now))
        return outputs + self._finished()

    def due(self, now_ms: float) -> list[Output]:
        """Says what to do at this time: the next chunk, or items whose echo never came."""
        now = _ticks(now_ms)
        outputs = list(self._send(now))
        overdue = None
        while self._marks and self._overdue_at(self._marks[0]) <= now:
            overdue = self._marks.popleft()
        return outputs if overdue is None else outputs + self._confirm(overdue.position)

    @property
    def next_due_ms(self) -> float | None:
        """When ``due`` wants to be called, or ``None``. Changes with every other call."""
        times = [self._overdue_at(self._marks[0])] if self._marks else []
        if self._waiting:
            times.append(self._clock.dry_at - self._lead + min(self._chunk, len(self._waiting)))
        return min(times) / BYTES_PER_MS if times else None

    def mark(self, name: str, now_ms: float) -> list[Output]:
        """Takes the echo of a mark. Names from before a ``clear``, late and unknown ones are ignored."""
        mark = next((mark for mark in self._marks if mark.name == name), None)
        if mark is None:
            return []
        while self._marks.popleft() is not mark:  # carriers play in order: what came before was played too
            pass
        self._clock.echoed(mark, _ticks(now_ms))
        return self._confirm(mark.position)

    def clear(self, now_ms: float) -> list[HeardItem]:
        """Drops everything unheard, and says for each item not yet heard whole, in order, how much of it was heard.

        The leg's own ``clear`` belongs with it. None of these items will be reported as heard any more: the first of
        them is to be truncated at ``heard_ms``, unless it was heard whole, the later ones at 0.
        """
        heard = self.heard(now_ms)
        for name in self._items:
            self._close(name)
        self._generation += 1
        self._items.clear()
        self._segments.clear()
        self._waiting.clear()
        self._marks.clear()
        self._confirmed = self._marked = self._sent
        self._clock.cleared(_ticks(now_ms))
        return heard

    def heard_ms(self, item: str, now_ms: float) -> int:
        """How much of an item was heard; 0 for one never pushed, cleared, or forgotten because it was heard whole.

        An echo may show that the clock ran early; then the answer is smaller than the one before it.
        """
        known = self._items.get(item)
        return 0 if known is None else self._heard_of(known, self._heard_until(_ticks(now_ms))) // BYTES_PER_MS

    def heard(self, now_ms: float) -> list[HeardItem]:
        """All items not yet heard whole, in the order of their first audio."""
        until = self._heard_until(_ticks(now_ms))
        return [
            HeardItem(
                item.name,
                self._heard_of(item, until) // BYTES_PER_MS,
                item.pushed // BYTES_PER_MS,
                item.end is not None,
            )
            for item in self._items.values()
        ]

    def idle(self, now_ms: float) -> bool:
        """Whether the caller hears nothing from us and nothing is on its way."""
        return not self._waiting and self._heard_until(_ticks(now_ms)) == self._sent

    @property
    def sent_ms(self) -> int:
        """Audio sent in this call so far."""
        return self._sent // BYTES_PER_MS

    @property
    def waiting_ms(self) -> int:
        """Audio kept here until the lead allows it."""
        return len(self._waiting) // BYTES_PER_MS

    def buffered_ms(self, now_ms: float) -> float:
        """Audio sent and not yet played: what a ``clear`` would drop at the carrier. Never more than the lead."""
        return max(self._clock.dry_at - _ticks(now_ms), 0) / BYTES_PER_MS

    @property
    def _queued(self) -> int:
        return self._sent + len(self._waiting)

    def _place(self, item: _Item, frames: bytes) -> None:
        """Appends whole frames to the stream."""
        if not frames:
            return
        start = self._queued
        self._waiting += frames
        item.framed += len(frames)
        last = self._segments[-1] if self._segments else None
        if last is not None and last.item is item:
            last.end += len(frames)
        else:
            self._segments.append(_Segment(item, start, start + len(frames)))

    def _send(self, now: int) -> Iterator[Output]:
        """Sends what the lead allows: whole chunks, or all that waits."""
        while self._waiting:
            room = self._lead - max(self._clock.dry_at - now, 0)
            if room < min(self._chunk, len(self._waiting)):
                return
            size = min(room - room % FRAME_BYTES, self._chunk, len(self._waiting))
            ends = [item for item in self._items.values() if item.end is not None and item.end > self._sent]
            ending = min(ends, key=lambda item: item.end or 0, default=None)
            if ending is not None and ending.end is not None:
                size = min(size, ending.end - self._sent)
            audio = bytes(self._waiting[:size])
            del self._waiting[:size]
            self._clock.sent(size, now)
            self._sent += size
            yield SendAudio(audio)
            if ending is not None and ending.end == self._sent:
                yield self._mark(ending, now)
            elif self._sent - self._marked >= self._chunk:
                yield self._mark(self._item_at(self._sent), now)

    def _mark(self, item: _Item, now: int) -> SendMark:
        """Makes the mark for everything sent so far."""
        self._serial += 1
        offset_ms = self._heard_of(item, self._sent) // BYTES_PER_MS
        name = f"{self._generation}.{self._serial}:{item.name}:{offset_ms}"
        self._marks.append(_Mark(name, self._sent, max(self._clock.dry_at, now)))
        self._marked = self._sent
        return SendMark(name)

    def _item_at(self, position: int) -> _Item:
        """The item to which the byte before a position belongs."""
        return next(segment.item for segment in reversed(self._segments) if segment.start < position)

    def _overdue_at(self, mark: _Mark) -> int:
        return mark.expected + max(self._clock.late, 0) + _ECHO_GRACE

    def _heard_until(self, now: int) -> int:
        """The position up to which the caller has heard; neither mark nor clock goes beyond what was sent."""
        return max(self._confirmed, self._clock.heard(now))

    @staticmethod
    def _clip(segment: _Segment, until: int) -> int:
        return min(max(until - segment.start, 0), segment.end - segment.start)

    def _heard_of(self, item: _Item, until: int) -> int:
        """Bytes of an item before a position of the stream."""
        framed = item.retired + sum(self._clip(segment, until) for segment in self._segments if segment.item is item)
        return min(framed, item.pushed)

    def _confirm(self, position: int) -> list[Output]:
        """Everything up to a position was played: drops its stretches, and the items that are complete with it."""
        self._confirmed = max(self._confirmed, position)
        while self._segments and self._segments[0].end <= self._confirmed:
            segment = self._segments.popleft()
            segment.item.retired += segment.end - segment.start
        return self._finished()

    def _finished(self) -> list[Output]:
        """Forgets the items that were heard whole, and reports them in the order in which they ended."""
        ended = [(item.end, item.name) for item in self._items.values() if item.end is not None]
        done = [name for end, name in sorted(ended, key=lambda pair: pair[0]) if end <= self._confirmed]
        for name in done:
            del self._items[name]
            self._close(name)
        return [ItemHeard(name) for name in done]

    def _close(self, name: str) -> None:
        """Remembers a finished name for a while."""
        self._closed[name] = None
        if len(self._closed) > _CLOSED_REMEMBERED:
            del self._closed[next(iter(self._closed))]


def _ticks(now_ms: float) -> int:
    return int(now_ms * BYTES_PER_MS)
