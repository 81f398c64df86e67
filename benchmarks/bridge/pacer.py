"""What makes callers speak: every 20 ms each, evenly spread, by absolute deadlines. Linux only.

Event loops count in whole milliseconds, so a hundred callers would speak five at a time, always together with the
model, and each would be measured in the others' queue. A timer of the kernel wakes the loop five times as often.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import struct
import time
from array import array
from collections.abc import Callable

from benchmarks.bridge.line import FRAME_MS

SLOTS = 100
TICK_S = FRAME_MS / 1000 / SLOTS
_STRIDE = 37
"""Slots from one caller to the next: prime to their number, so that all are used, and neighbours are far apart."""

_MONOTONIC = 1
_NONBLOCKING = os.O_NONBLOCK | os.O_CLOEXEC


class Pacer:
    """Calls everyone's ``speak`` in turn, from `start` to `stop`."""

    def __init__(self) -> None:
        self._slots: list[list[Callable[[], None]]] = [[] for _ in range(SLOTS)]
        self._added = 0
        self._ticks = 0
        self._began_s = 0.0
        self._timer = -1
        self.late_ms = array("d")
        """How late each tick came; emptied by whoever wants to know of a certain time."""

    def add(self, speak: Callable[[], None]) -> None:
        """Adds a caller, as far as possible from the others."""
        self._slots[self._added * _STRIDE % SLOTS].append(speak)
        self._added += 1

    def start(self) -> None:
        """Begins. Raises OSError where the system has no such timers."""
        libc = ctypes.CDLL(None, use_errno=True)
        self._timer = libc.timerfd_create(_MONOTONIC, _NONBLOCKING)
        tick_ns = round(TICK_S * 1e9)
        times = struct.pack("llll", 0, tick_ns, 0, tick_ns)  # interval and first time, each in s and ns
        self._began_s = time.perf_counter()
        if self._timer < 0 or libc.timerfd_settime(self._timer, 0, times, None):
            raise OSError(ctypes.get_errno(), "no timer of the kernel")
        asyncio.get_running_loop().add_reader(self._timer, self._on_time)

    def stop(self) -> None:
        """Everyone falls silent."""
        if self._timer >= 0:
            asyncio.get_running_loop().remove_reader(self._timer)
            os.close(self._timer)
            self._timer = -1

    def _on_time(self) -> None:
        (missed,) = struct.unpack("Q", os.read(self._timer, 8))
        now_s = time.perf_counter()
        for _ in range(missed):
            self._ticks += 1
            self.late_ms.append((now_s - self._began_s - self._ticks * TICK_S) * 1000)
            for speak in self._slots[self._ticks % SLOTS]:
                speak()
