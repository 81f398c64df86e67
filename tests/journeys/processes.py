"""Real instances of the service as processes of their own, and a small load balancer in front of them."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field

READY_S = 120.0
STEP_S = 0.05


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Instance:
    """One process of the service."""

    port: int
    process: asyncio.subprocess.Process

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()

    def terminate(self) -> None:
        """SIGTERM."""
        self.process.send_signal(signal.SIGTERM)

    async def ready(self) -> bool:
        """Whether it would take calls. Asked for every connection, and so without a client that takes long to make."""
        try:
            async with asyncio.timeout(1.0):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                with closing(writer):
                    writer.write(b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
                    return (await reader.readline()).split()[1:2] == [b"200"]
        except (OSError, TimeoutError):
            return False

    async def ended(self, timeout_s: float = 30.0) -> int:
        """Its exit code, once it has ended."""
        async with asyncio.timeout(timeout_s):
            return await self.process.wait()


@asynccontextmanager
async def instance(environment: Mapping[str, str], *arguments: str) -> AsyncIterator[Instance]:
    """Starts `ringua serve` (with no worker) and waits until it is ready; kills it at the end if it still lives."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "ringua",
        "serve",
        "--no-worker",
        *arguments,
        env={**os.environ, **environment, "PORT": str(port), "RINGUA_STREAM_URL": f"ws://127.0.0.1:{port}"},
    )
    running = Instance(port, process)
    try:
        async with asyncio.timeout(READY_S):
            while not await running.ready():
                if process.returncode is not None:
                    raise RuntimeError(f"ringua serve ended with {process.returncode} before it was ready")
                await asyncio.sleep(STEP_S)
        yield running
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@dataclass
class Balancer:
    """Forwards each connection to the first instance that is ready, else to the first that answers at all."""

    port: int
    instances: list[Instance] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        ready = [await one.ready() for one in self.instances]
        order = sorted(range(len(ready)), key=lambda n: not ready[n])
        for number in order:
            try:
                upstream = await asyncio.open_connection("127.0.0.1", self.instances[number].port)
            except OSError:
                continue
            await asyncio.gather(_copy(reader, upstream[1]), _copy(upstream[0], writer))
            return
        writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass  # one side went away: the other is closed below
    finally:
        writer.close()


@asynccontextmanager
async def balancing() -> AsyncIterator[Balancer]:
    """A balancer without instances; add them to its list."""
    balancer = Balancer(0)
    server = await asyncio.start_server(balancer.serve, "127.0.0.1", 0)
    balancer.port = server.sockets[0].getsockname()[1]
    yield balancer
    server.close()
