"""Who uses the cores, second by second."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import psutil  # type: ignore[import-untyped]

from benchmarks.bridge.process import Cores, ServerProcess


@dataclass(frozen=True, slots=True)
class Load:
    """Shares of a core."""

    servers: tuple[tuple[float, ...], ...]
    """Each server's, in each second."""
    own: float
    """This process's, altogether."""
    others: float
    """That of all other processes of the machine on the busier of the two cores, altogether."""


async def watch(servers: Sequence[ServerProcess], cores: Cores, seconds: float) -> Load:
    """Watches servers that share a core for so many whole seconds."""

    def counts() -> tuple[float, ...]:
        busy = _busy_s(cores.server), _busy_s(cores.own)
        return time.perf_counter(), time.process_time(), *busy, *(server.cpu_s() for server in servers)

    read = [counts()]
    for second in range(1, round(seconds) + 1):
        await asyncio.sleep(max(read[0][0] + second - time.perf_counter(), 0))
        read.append(counts())
    shares = [
        tuple((after[number] - before[number]) / (after[0] - before[0]) for before, after in pairwise(read))
        for number in range(4, 4 + len(servers))
    ]
    took_s, own_s, server_core_s, own_core_s, *servers_s = (
        last - first for first, last in zip(read[0], read[-1], strict=True)
    )
    others_s = max(server_core_s - sum(servers_s), own_core_s - own_s, 0.0)
    return Load(tuple(shares), own_s / took_s, others_s / took_s)


def _busy_s(core: int) -> float:
    """Seconds that a core has worked, whoever for."""
    times = psutil.cpu_times(percpu=True)[core]
    idle_s: float = times.idle + times.iowait
    guests_s: float = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)  # counted as user time too
    return float(sum(times)) - idle_s - guests_s
