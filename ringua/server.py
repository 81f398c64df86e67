"""The web server: uvicorn with the settings that a telephone line needs, started inside a running loop or alone."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI

from telephony.sockets import MediaSocketProtocol

MAX_MESSAGE_BYTES = 64 * 1024
"""The largest message of a carrier that we read; its media messages have some 300 bytes."""

STOP_TIMEOUT_S = 10.0


def listen(port: int, host: str = "0.0.0.0") -> socket.socket:  # noqa: S104  # a carrier calls from outside
    """Takes a port (0: a free one) before anything else is started. Raises OSError when it is taken."""
    return socket.create_server((host, port), backlog=512, reuse_port=False)


def config(app: FastAPI) -> uvicorn.Config:
    """No compression of media (it costs more than the work itself), no access log (it would hold numbers)."""
    return uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        access_log=False,
        ws=MediaSocketProtocol,
        ws_per_message_deflate=False,
        ws_max_size=MAX_MESSAGE_BYTES,
        server_header=False,
        timeout_keep_alive=65,
        proxy_headers=False,
    )


class Server(uvicorn.Server):
    """uvicorn without its own signal handlers: whoever runs it decides when it stops."""

    @asynccontextmanager
    async def running(self, listener: socket.socket) -> AsyncIterator[None]:
        """Serves on a socket for as long as the block lasts."""
        self._up = asyncio.Event()
        serving = asyncio.create_task(self._serve(sockets=[listener]), name="server")
        up = asyncio.create_task(self._up.wait(), name="server-up")
        try:
            await asyncio.wait({serving, up}, return_when=asyncio.FIRST_COMPLETED)
            up.cancel()
            if serving.done():
                serving.result()
            yield
        finally:
            self.should_exit = True
            try:
                async with asyncio.timeout(STOP_TIMEOUT_S):
                    await serving
            except TimeoutError:
                serving.cancel()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begins to accept connections."""
        await super().startup(sockets)
        self._up.set()
