"""The time a call may take: when it is usual to close, when to say that the end is near, when it ends. Pure.

The limit may move nearer during the call, because a day's minutes or a budget run out; it never moves away. Times are
milliseconds of the call. Knows neither what is said nor why there is a limit.
"""

from __future__ import annotations

from typing import Final, Literal

MINUTE_MS: Final = 60_000
"""How long before its end a call says so."""
EXCHANGE_MS: Final = 10_000
"""How long after it whoever speaks just then may take to finish: a turn and its answer, not one more of each."""

Step = Literal["usual", "warn", "up"]


class Allotted:
    """One call's time."""

    def __init__(self, limit_ms: int, usual_ms: int, elapsed_ms: int = 0) -> None:
        """Takes a call's times.

        Args:
            limit_ms: when the call ends by itself.
            usual_ms: how long such a call usually takes; from then on the role may bring it to a close.
            elapsed_ms: how much an earlier stream of the same call has had: what was due by then is not due again.
        """
        self._limit_ms = limit_ms
        self._usual_ms = usual_ms
        # A very short call is half over before it is told.
        self._warn_ms = max(limit_ms - MINUTE_MS, limit_ms // 2)
        self._usual = elapsed_ms < usual_ms
        self._warned = elapsed_ms > 0 and elapsed_ms >= self._warn_ms

    def next_due_ms(self, *, busy: bool) -> int:
        """When `due` has something to say, if nobody begins or ends to speak until then."""
        if self._warned:
            return self._end_ms(busy)
        return min(self._usual_ms, self._warn_ms) if self._usual else self._warn_ms

    def end_by(self, limit_ms: int) -> None:
        """The call must end at ``limit_ms`` at the latest."""
        self._limit_ms = min(self._limit_ms, limit_ms)
        self._warn_ms = min(self._warn_ms, limit_ms - MINUTE_MS)

    def due(self, now_ms: int, *, busy: bool) -> Step | None:
        """What is due now, each once; the end again and again. ``busy``: whether somebody speaks, or answers soon."""
        if now_ms >= self._end_ms(busy):
            return "up"
        if not self._warned and now_ms >= self._warn_ms:
            self._warned = True
            # An end that came nearer all at once may be past: nobody is told of a minute that is not left.
            return "warn" if now_ms < self._limit_ms else None
        if self._usual and not self._warned and now_ms >= self._usual_ms:
            self._usual = False
            return "usual"
        return None

    def _end_ms(self, busy: bool) -> int:
        return self._limit_ms + (EXCHANGE_MS if busy else 0)
