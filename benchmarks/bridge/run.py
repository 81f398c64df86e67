"""One run: so many calls through one subject, measured over a steady window. Refuses to report what it cannot know."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Literal

from benchmarks.bridge.calls import begun
from benchmarks.bridge.load import watch
from benchmarks.bridge.process import CannotMeasure, Cores
from benchmarks.bridge.subjects import Relay, Service

OWN_CORE_LIMIT = 0.8
"""Above this share of its core the benchmark measures itself."""
PACE_LIMIT_MS = 5.0
"""How late the callers may speak at the 99th percentile."""
SETTLE_S = 2.0
LAG_S = 3.0


@dataclass(frozen=True, slots=True)
class Spread:
    """A distribution; all NaN without samples."""

    count: int
    p50: float
    p99: float
    worst: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Nearest-rank percentiles."""
        if not values:
            return cls(0, float("nan"), float("nan"), float("nan"))
        ordered = sorted(values)
        last = len(ordered) - 1
        return cls(len(ordered), ordered[round(last * 0.5)], ordered[round(last * 0.99)], ordered[last])


@dataclass(frozen=True, slots=True)
class Figures:
    """What one run measured. Milliseconds, unless named otherwise."""

    subject: Literal["service", "relay"]
    calls: int
    cpu_s: float
    """CPU seconds of the server per call-minute, in the median second."""
    uplink: Spread
    downlink: Spread
    barge_in: Spread
    heard_error: Spread
    """Of its absolute value."""
    lag: Spread
    memory_bytes: float
    """Per call after the first; NaN for a single call."""
    frames_lost: int
    pieces_wrong: int
    own_core: float
    """Share of the callers' and the model's core that they used themselves."""
    others: float
    """Share of the busier core that other processes of this machine used."""


@dataclass(frozen=True, slots=True)
class SideBySide:
    """The service and the relay on one core at the same time: the only fair ratio on a machine that is shared."""

    calls: int
    """Of each."""
    service_cpu_s: float
    """CPU seconds per call-minute, in the median second."""
    relay_cpu_s: float
    ratio: float
    """Of the two, in the median second."""


async def measure(subject: Service | Relay, calls: int, seconds: float, cores: Cores, *, slack: float = 1.0) -> Figures:
    """Runs one subject with so many calls. Raises `CannotMeasure` when the figures would not be the subject's.

    ``slack``: how many times later than allowed the callers may speak.
    """
    async with begun(subject, cores.server) as talk:
        await asyncio.sleep(SETTLE_S)
        first_bytes = talk.server.memory_bytes()
        for _ in range(calls - 1):
            await talk.dial()
        with _no_pauses():
            await talk.all_talk()
            await asyncio.sleep(SETTLE_S)
            del talk.pacer.late_ms[:]
            talk.samples.since_s = time.perf_counter()
            load = await watch([talk.server], cores, seconds)
            late = Spread.of(talk.pacer.late_ms)
            lost = await talk.lost_frames()
            talk.samples.since_s = None
            lag = Spread.of(await talk.server.answers_ms(LAG_S))
        grown_bytes = talk.server.memory_bytes() - first_bytes
        samples = talk.samples
    _refuse_own_load(load.own, calls)
    if late.p99 > PACE_LIMIT_MS * slack and subject.name == "relay":
        raise CannotMeasure(
            f"At {calls} calls the callers spoke {late.p99:.1f} ms late: something else keeps their core busy. Run "
            "this again when the machine is quiet."
        )
    return Figures(
        subject=subject.name,
        calls=calls,
        cpu_s=median(load.servers[0]) * 60 / calls,
        uplink=Spread.of(samples.uplink_ms),
        downlink=Spread.of(samples.downlink_ms),
        barge_in=Spread.of(samples.barge_in_ms),
        heard_error=Spread.of([abs(error_ms) for error_ms in samples.heard_error_ms]),
        lag=lag,
        memory_bytes=grown_bytes / (calls - 1) if calls > 1 else float("nan"),
        frames_lost=lost,
        pieces_wrong=samples.wrong,
        own_core=load.own,
        others=load.others,
    )


async def side_by_side(service: Service, calls: int, seconds: float, cores: Cores) -> SideBySide:
    """Runs the service and the relay at once, so many calls each. Raises `CannotMeasure`."""
    async with begun(service, cores.server) as ours, begun(Relay(), cores.server) as relays:
        for _ in range(calls - 1):
            await ours.dial()
            await relays.dial()
        with _no_pauses():
            await ours.all_talk()
            await relays.all_talk()
            await asyncio.sleep(SETTLE_S)
            load = await watch([ours.server, relays.server], cores, seconds)
    _refuse_own_load(load.own, 2 * calls)
    ours_share, relays_share = load.servers
    return SideBySide(
        calls,
        median(ours_share) * 60 / calls,
        median(relays_share) * 60 / calls,
        median(one / other for one, other in zip(ours_share, relays_share, strict=True)),
    )


def _refuse_own_load(share: float, calls: int) -> None:
    if share > OWN_CORE_LIMIT:
        raise CannotMeasure(
            f"At {calls} calls the callers and the model used {share:.0%} of their own core: the figures would be "
            "theirs. Ask for fewer calls, or use a faster machine."
        )


@contextmanager
def _no_pauses() -> Iterator[None]:
    """Collects garbage now and not in the block: a pause of ours would be taken for one of the server's."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
