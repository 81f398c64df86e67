"""An event loop whose clock jumps to the next timer: an hour of a call takes milliseconds, and no test sleeps."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class VirtualLoop(asyncio.SelectorEventLoop):
    """Jumps over waiting. Only for code that waits for timers and futures, never for real sockets."""

    def __init__(self) -> None:
        super().__init__()
        self._virtual_now = 0.0

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._virtual_now

    def _run_once(self) -> None:
        # Private names of the standard library, the same from 3.11 to 3.14: the heap of timers and the ready queue.
        scheduled: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
        if not self._ready and scheduled:  # type: ignore[attr-defined]
            # Past cancelled timers, which the loop drops before it waits: it would really wait for the one after them.
            due = min((timer.when() for timer in scheduled if not timer.cancelled()), default=self._virtual_now)
            self._virtual_now = max(self._virtual_now, due)
        super()._run_once()  # type: ignore[misc]


def run(main: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine to its end on a fresh virtual loop."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
