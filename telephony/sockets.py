"""uvicorn's websockets with a short way for media: a message reaches its leg within the callback that read it.

Through ASGI every message costs a queue, a task's wake-up, and a pause and a resume of reading: a quarter of what a
frame costs altogether, and a wait for everyone else's turn besides. A leg that knows the extension takes its messages,
and gives its own, without any of these; everything else of the socket (the handshake, pings, the end) stays ASGI's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import InvalidState
from websockets.http11 import Request

EXTENSION = "ringua.short_way"
"""The name of the extension in the ASGI scope; its ``way`` is a `ShortWay`."""


class ShortWay(Protocol):
    """What a leg may use instead of ASGI's receive and send."""

    def attach(self, take: Callable[[bytes], None]) -> None:
        """Gives every text message to ``take``, those that wait already at once; ASGI reports only the end from now."""

    def send_text(self, text: bytes) -> bool:
        """Writes one text message, UTF-8. False: not now, because the peer takes nothing or is gone; send by ASGI."""


def short_way(scope: Mapping[str, Any]) -> ShortWay | None:
    """The short way of a socket, where its server has one."""
    found: ShortWay | None = scope.get("extensions", {}).get(EXTENSION, {}).get("way")
    return found


class MediaSocketProtocol(WebSocketsSansIOProtocol):
    """A websocket of uvicorn whose application may take the short way. Name it as uvicorn's ``ws``."""

    _take: Callable[[bytes], None] | None = None

    def handle_connect(self, event: Request) -> None:
        """Offers the extension to the application."""
        super().handle_connect(event)
        if not self.close_sent:  # else the upgrade was refused, and there is no scope
            self.scope["extensions"][EXTENSION] = {"way": self}

    def attach(self, take: Callable[[bytes], None]) -> None:
        """As `ShortWay.attach`."""
        ends = []
        while not self.queue.empty():
            message = self.queue.get_nowait()
            if message["type"] != "websocket.receive":
                ends.append(message)
            elif (text := message.get("text")) is not None:
                take(text.encode())
        for message in ends:
            self.queue.put_nowait(message)
        self._take = take
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()

    def send_text(self, text: bytes) -> bool:
        """As `ShortWay.send_text`."""
        if not self.writable.is_set() or self.disconnected or self.close_sent:
            return False
        try:
            self.conn.send_text(text)
        except InvalidState:  # the peer's close was read, and the application does not know it yet
            return False
        self.transport.write(b"".join(self.conn.data_to_send()))
        return True

    def send_receive_event_to_app(self) -> None:
        """A message is whole."""
        if self._take is None:
            super().send_receive_event_to_app()
            return
        message = self.frames[0] if len(self.frames) == 1 else b"".join(self.frames)
        self.frames = []
        if self.curr_msg_data_type == "text" and not self.close_sent:
            self._take(message)
