"""A web server that is a guest in somebody else's process: it takes no signals and leaves at once when told to.

Knows how to listen on a loopback port of its own; what is served is for others.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import uvicorn
from starlette.applications import Starlette


class _Guest(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.leaving = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        await self.leaving.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Nobody is owed an answer any more: no grace, where uvicorn's own takes a few tenths of a second."""
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        tasks = list(self.server_state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def serving(app: Starlette, **options: Any) -> AsyncIterator[str]:
    """Serves an application on a free loopback port while the block runs; yields its base URL.

    ``options`` go to uvicorn's Config.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    server = _Guest(uvicorn.Config(app, lifespan="off", log_config=None, access_log=False, loop="asyncio", **options))
    # Connections made before the server runs wait in the queue of the socket, which listens already.
    task = asyncio.create_task(server.serve([listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.leaving.set()
        await task
        listener.close()
