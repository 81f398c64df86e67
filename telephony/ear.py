"""What the line itself hears of a caller, beside the model: how loud it is around them, and where their voice was.

Stretches of voice go onto the call's timeline, for the measures that pauses are part of. No sound is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from telephony.audio.meter import Meter
from telephony.audio.voiced import Voiced
from tutor.learning.timeline import Timeline


class Ear:
    """The ear of one call.

    Args:
        timeline: the call's.
        now_ms: the call's clock.
    """

    def __init__(self, timeline: Timeline, now_ms: Callable[[], float]) -> None:
        self._timeline = timeline
        self._now_ms = now_ms
        self._meter = Meter()
        self._voiced = Voiced()

    def hear(self, ulaw: bytes) -> bool:
        """Takes caller audio as it comes; true, at most once a second, while the line is loud."""
        seconds = self._meter.feed(ulaw)
        if not seconds:
            return False
        now_ms = int(self._now_ms())
        for ago, voiced in zip(range(len(seconds) - 1, -1, -1), seconds, strict=True):
            self._note(self._voiced.second(voiced, now_ms - ago * 1000))
        return self._meter.noisy

    def end(self) -> None:
        """The caller's audio is over."""
        self._note(self._voiced.flush())

    def _note(self, stretches: Iterable[tuple[int, int]]) -> None:
        for start_ms, end_ms in stretches:
            self._timeline.add(int(self._now_ms()), "speech", start_ms=start_ms, end_ms=end_ms)
