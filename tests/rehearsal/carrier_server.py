"""A small server for the carrier to call: answers by path, notes of what came, and a media handler of choice.

Not of the product and not of the stand-in: plain Starlette behind uvicorn, so that both ends of a test are real.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from rehearsal import guest

Media = Callable[[WebSocket], Awaitable[None]]


@dataclass(frozen=True)
class Received:
    """One request as it came in; ``form`` keeps blanks, order and repetitions."""

    method: str
    path: str
    url: str
    form: list[tuple[str, str]]
    headers: Mapping[str, str]

    @property
    def fields(self) -> dict[str, str]:
        """The form as a mapping."""
        return dict(self.form)


Answer = str | Response | Callable[[Received], str | Response | Awaitable[Response]]


@dataclass
class Served:
    """A running server: where it is, what it answers, what it was asked."""

    url: str
    answers: dict[str, Answer]
    media: Media | None = None
    received: list[Received] = field(default_factory=list)
    sockets: list[WebSocket] = field(default_factory=list)

    def at(self, path: str) -> list[Received]:
        """The requests for one path."""
        return [request for request in self.received if request.path == path]


def twiml(*verbs: str) -> str:
    """A document of these verbs."""
    return f"<Response>{''.join(verbs)}</Response>"


STREAM = '<Connect><Stream url="/media"><Parameter name="token" value="t1"/></Stream></Connect>'


async def messages(socket: WebSocket) -> AsyncIterator[dict[str, Any]]:
    """The carrier's messages until the socket ends."""
    with contextlib.suppress(WebSocketDisconnect):
        while True:
            yield json.loads(await socket.receive_text())


async def send(socket: WebSocket, event: str, stream_sid: str, **rest: object) -> None:
    """One message of the server, in the exact documented shape."""
    await socket.send_text(json.dumps({"event": event, "streamSid": stream_sid, **rest}))


@contextlib.asynccontextmanager
async def serving(answers: Mapping[str, Answer] | None = None, media: Media | None = None) -> AsyncIterator[Served]:
    """Runs a server on a loopback port. Text answers are TwiML; a path without an answer is 404."""
    served = Served("", dict(answers or {}), media)

    async def respond(request: Request) -> Response:
        body = (await request.body()).decode()
        received = Received(
            request.method,
            request.url.path,
            str(request.url),
            parse_qsl(body, keep_blank_values=True),
            dict(request.headers),
        )
        served.received.append(received)
        answer = served.answers.get(received.path)
        if answer is None:
            return Response("no such page", 404)
        if callable(answer) and not isinstance(answer, Response):
            made = answer(received)
            answer = await made if isinstance(made, Awaitable) else made
        return Response(answer, media_type="text/xml") if isinstance(answer, str) else answer

    async def stream(websocket: WebSocket) -> None:
        served.sockets.append(websocket)
        if served.media is None:
            await websocket.close()
            return
        await served.media(websocket)
        if websocket.application_state is not WebSocketState.DISCONNECTED:
            with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                await websocket.close()

    app = Starlette(routes=[WebSocketRoute("/media", stream), Route("/{path:path}", respond, methods=["GET", "POST"])])
    async with guest.serving(app, ws="websockets-sansio", ws_per_message_deflate=False) as served.url:
        yield served
