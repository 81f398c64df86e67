"""A server under test as a process of its own on one core, and what the system says of it. Linux only."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil  # type: ignore[import-untyped]

READY_S = 40.0
STOP_S = 25.0
SHOWN_LINES = 15

CHECKOUT = Path(__file__).parent.parent.parent
"""Where the servers under test are started: the same tree that this benchmark belongs to."""


class CannotMeasure(Exception):
    """Nothing can be said on this machine, or now; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Cores:
    """Who runs where."""

    own: int
    """Callers, model and database."""
    server: int

    @classmethod
    def choose(cls) -> Cores:
        """Takes the first and the last core of this process, and binds it to the first. Raises `CannotMeasure`."""
        if not hasattr(os, "sched_setaffinity"):
            raise CannotMeasure("The benchmark binds processes to cores, which only Linux can: run it there.")
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) < 2:
            raise CannotMeasure("The benchmark needs two cores, one for the server alone: run it on a larger machine.")
        os.sched_setaffinity(0, {cores[0]})
        return cls(cores[0], cores[-1])


def free_port() -> int:
    """A port of this machine that nobody uses now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """A running server."""

    base_url: str
    process: psutil.Process

    def cpu_s(self) -> float:
        """CPU seconds so far, of all its threads; the scheduler's own count, to the microsecond."""
        threads = Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9

    def memory_bytes(self) -> int:
        """Memory of its own: the proportional set size."""
        return int(self.process.memory_full_info().pss)

    async def answers_ms(self, duration_s: float, every_s: float = 0.02) -> list[float]:
        """How long ``/healthz`` takes, asked steadily: an answer waits for whatever holds the event loop."""
        took: list[float] = []
        async with httpx.AsyncClient(base_url=self.base_url) as client:
            ends_s = time.perf_counter() + duration_s
            while (began_s := time.perf_counter()) < ends_s:
                await client.get("/healthz")
                took.append((time.perf_counter() - began_s) * 1000)
                await asyncio.sleep(every_s)
        return took


@asynccontextmanager
async def started(
    command: Sequence[str], environment: Mapping[str, str], port: int, core: int
) -> AsyncIterator[ServerProcess]:
    """Runs a Python module as a server on one core for as long as the block lasts. Raises `CannotMeasure`."""
    with tempfile.TemporaryFile() as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", *command, cwd=CHECKOUT, env={**os.environ, **environment}, stdout=log, stderr=log
        )
        os.sched_setaffinity(process.pid, {core})  # before it starts threads: they inherit it
        try:
            base_url = f"http://127.0.0.1:{port}"
            if not await _ready(base_url, process):
                raise CannotMeasure(f"The server `{command[0]}` did not start.")
            yield ServerProcess(base_url, psutil.Process(process.pid))
            if process.returncode is not None:
                raise CannotMeasure(f"The server `{command[0]}` died while it was measured ({process.returncode}).")
        except CannotMeasure as error:
            log.seek(0)
            said = log.read().decode(errors="replace").splitlines()[-SHOWN_LINES:]
            raise CannotMeasure("\n".join([str(error), *(["The server said:"] if said else []), *said])) from error
        finally:
            await _stop(process)


async def _ready(base_url: str, process: asyncio.subprocess.Process) -> bool:
    async with httpx.AsyncClient(base_url=base_url) as client:
        ends_s = time.monotonic() + READY_S
        while process.returncode is None and time.monotonic() < ends_s:
            try:
                if (await client.get("/healthz")).is_success:
                    return True
            except httpx.TransportError:
                await asyncio.sleep(0.1)
    return False


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(STOP_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
