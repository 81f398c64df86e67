"""The realtime model of the rehearsal: a server on a socket that speaks OpenAI's Realtime and text protocols strictly.

It plays a script and recognises no speech: what a learner "said" is what the script says of that turn. It knows no
scenario and nothing of the product; it was written from the public protocol, so that the two can disagree.

    python -m rehearsal.realtime --port 8090 --script script.json
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import socket
import time
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from rehearsal.realtime_rules import MODELS
from rehearsal.realtime_script import Fault, Script, ScriptError, Spending, load, parse
from rehearsal.realtime_session import LIMIT_MS, Session
from rehearsal.realtime_speech import Speech
from rehearsal.realtime_text import HttpError, TextModel
from rehearsal.realtime_wire import Close, Violation
from rehearsal.voices import Voices, available

PING_EVERY_S = 20.0
FRAME_LIMIT_BYTES = 32 * 1024 * 1024  # 15 MiB of audio in base64, and its envelope
AUTHENTICATION_FAILED = 3000
SETUP_FAILED = 4000
GRACE_S = 1.0  # for connections to end when the server stops


class RealtimeServer:
    """Serves `/v1/realtime` (WebSocket), `/v1/responses`, `/v1/moderations`, `/v1/models` and `POST /rehearsal/script`.

    api_keys: what is accepted as a bearer token.   models: realtime models that can be opened.
    voices: speaks the lines; tones stand for speech without any.   pace: None bursts a response at once, a number
    generates it at that multiple of real time.   port: 0 takes a free one.   session_limit_ms: 60 minutes.
    keep_audio: keeps all audio of every session, in `heard` and in its items; else it is freed when a session ends.
    seed: of ids and chunk sizes; the n-th session is always the same.

    sessions: all so far, the oldest first.   text: the text model with its requests.
    """

    def __init__(
        self,
        *,
        api_keys: Collection[str] = frozenset({"sk-rehearsal"}),
        models: Collection[str] = frozenset(MODELS),
        script: Script | None = None,
        voices: Voices | None = None,
        pace: float | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        session_limit_ms: float = LIMIT_MS,
        keep_audio: bool = False,
        seed: int = 0,
    ) -> None:
        self.script = script or Script()
        self.sessions: list[Session] = []
        self.text = TextModel(lambda: self.script, lambda: self._spending, self._notify)
        self._api_keys = frozenset(api_keys)
        self._models = frozenset(models)
        self._pace = pace
        self._speech = Speech(voices)
        self._session_limit_ms = session_limit_ms
        self._keep_audio = keep_audio
        self._seed = seed
        self._spending = Spending()
        self._faults: list[Fault] = []
        self._lines: dict[Session, _Line] = {}
        self._waiting: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []
        self._host, self._port = host, port
        self._server: uvicorn.Server | None = None

    @property
    def base_url(self) -> str:
        """The address for `OPENAI_BASE_URL`, such as `http://127.0.0.1:8090/v1`."""
        return f"http://{self._host}:{self._port}/v1"

    @property
    def violations(self) -> list[Violation]:
        """What any client did wrong, in all sessions."""
        return [violation for session in self.sessions for violation in session.violations]

    @property
    def notes(self) -> list[str]:
        """Where a reader of the rehearsal could believe something that is not so."""
        told = [note for session in self.sessions for note in session.notes]
        return [*self._speech.notes, *self.text.notes, *told]

    def play(self, script: Script) -> None:
        """Gives new sessions another script, with all its faults to come."""
        self.script = script
        self._spending = Spending()

    def inject(self, fault: Fault) -> None:
        """Lets a fault of the line happen in every running session, or refuses the key of the next one.

        Faults of replies belong in a script.
        """
        if fault.is_of_reply:
            raise ValueError(f"A fault of the kind {fault.kind} belongs in a script.")
        if fault.kind == "refuse_key":
            self._faults.append(fault)
        for line in list(self._lines.values()):
            line.inject(fault)

    async def until(self, condition: Callable[[], bool], *, timeout_s: float = 5.0) -> None:
        """Waits until the condition holds; it is asked again at every event and request. Raises TimeoutError."""
        if condition():
            return
        waiter = (condition, asyncio.get_running_loop().create_future())
        self._waiting.append(waiter)
        try:
            async with asyncio.timeout(timeout_s):
                await waiter[1]
        finally:
            self._waiting.remove(waiter)

    async def __aenter__(self) -> Self:
        listener = socket.create_server((self._host, self._port), backlog=256)
        self._port = listener.getsockname()[1]
        config = uvicorn.Config(
            self._app(),
            lifespan="off",
            log_config=None,
            log_level="error",
            access_log=False,
            ws=_Protocol,
            ws_max_size=FRAME_LIMIT_BYTES,
            ws_ping_interval=PING_EVERY_S,
            ws_per_message_deflate=False,
        )
        config.load()
        self._server = uvicorn.Server(config)
        self._server.lifespan = config.lifespan_class(config)
        # Started without `serve`, which would take the process's signals and its time.
        await self._server.startup(sockets=[listener])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self.text.stopping.set()
        for listener in self._server.servers:
            listener.close()
        state = self._server.server_state
        for connection in list(state.connections):
            connection.shutdown()
        if state.tasks:
            await asyncio.wait(state.tasks, timeout=GRACE_S)
        for task in list(state.tasks):
            task.cancel()
        for listener in self._server.servers:
            await listener.wait_closed()

    def _app(self) -> Starlette:
        return Starlette(
            routes=[
                WebSocketRoute("/v1/realtime", self._realtime),
                Route("/v1/responses", self._with_key(self.text.responses), methods=["POST"]),
                Route("/v1/moderations", self._with_key(self.text.moderations), methods=["POST"]),
                Route("/v1/models", self._with_key(self.text.models), methods=["GET"]),
                Route("/rehearsal/script", self._take_script, methods=["POST"]),
                Route("/rehearsal/sessions", self._tell_sessions, methods=["GET"]),
            ],
        )

    def _with_key(self, answer: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def checked(request: Request) -> Response:
            try:
                if not self._may_enter(request.headers.get("authorization")):
                    raise HttpError(401, "Incorrect API key provided.", code="invalid_api_key")
                return await answer(request)
            except HttpError as error:
                return error.response()

        return checked

    def _may_enter(self, authorization: str | None) -> bool:
        scheme, _, key = (authorization or "").partition(" ")
        return scheme.lower() == "bearer" and key in self._api_keys

    async def _take_script(self, request: Request) -> Response:
        try:
            self.play(parse(await request.body()))
        except ScriptError as error:
            return JSONResponse({"error": str(error)}, 400)
        return Response(status_code=204)

    async def _tell_sessions(self, request: Request) -> Response:
        return JSONResponse(
            {
                "recognises_speech": False,
                "notes": self.notes,
                "sessions": [
                    {
                        "id": session.id,
                        "is_closed": session.is_closed,
                        "received": [[record.type, record.count] for record in session.received],
                        "sent": [[record.type, record.count] for record in session.sent],
                        "violations": [str(violation) for violation in session.violations],
                        "races": [str(race) for race in session.races],
                    }
                    for session in self.sessions
                ],
            }
        )

    async def _realtime(self, websocket: WebSocket) -> None:
        if "call_id" in websocket.query_params:
            # Sidebands belong to SIP calls, of which there are none here.
            await websocket.send_denial_response(Response(status_code=404))
            return
        # A bad key or model does not fail the upgrade: the verdict is the first frame, then a close.
        await websocket.accept()
        verdict = self._verdict(websocket)
        if verdict is not None:
            code, message, close_code = verdict
            error = {"type": "invalid_request_error", "code": code, "message": message, "param": None, "event_id": None}
            await websocket.send_text(json.dumps({"type": "error", "event_id": "event_verdict", "error": error}))
            await websocket.close(close_code, message)
            return
        session = Session(
            self.script,
            model=websocket.query_params["model"],
            speech=self._speech,
            now_ms=_now_ms(),
            unix_s=int(time.time()),
            pace=self._pace,
            limit_ms=self._session_limit_ms,
            faults=self._spending,
            keep_audio=self._keep_audio,
            seed=self._seed * 1_000_003 + len(self.sessions),
            safety_identifier=websocket.headers.get("openai-safety-identifier"),
        )
        self.sessions.append(session)
        self._lines[session] = line = _Line(session, websocket, self._notify)
        try:
            await line.run()
        finally:
            del self._lines[session]
            session.hang_up()
            self._notify()

    def _verdict(self, websocket: WebSocket) -> tuple[str, str, int] | None:
        refused = next((fault for fault in [*self._faults, *self.script.faults] if fault.kind == "refuse_key"), None)
        is_refused = refused is not None and self._spending.spend(refused)
        if is_refused or not self._may_enter(websocket.headers.get("authorization")):
            return "invalid_api_key", "Incorrect API key provided.", AUTHENTICATION_FAILED
        if "openai-beta" in websocket.headers:
            return "beta_api_shape_disabled", "The Realtime Beta API is no longer supported.", SETUP_FAILED
        model = websocket.query_params.get("model")
        if not model:
            return "missing_model", "You must provide a model parameter.", SETUP_FAILED
        if model not in self._models:
            return "invalid_model", f"Model '{model}' is not supported in realtime mode.", SETUP_FAILED
        return None

    def _notify(self) -> None:
        for condition, waiter in self._waiting:
            if not waiter.done() and condition():
                waiter.set_result(None)


class _Line:
    """Drives one session: frames in, frames out, one timer. Nothing clever lives here."""

    def __init__(self, session: Session, websocket: WebSocket, notify: Callable[[], None]) -> None:
        self._session = session
        self._websocket = websocket
        self._notify = notify
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ms: float | None = None
        self._outbox: asyncio.Queue[dict[str, Any] | Close] = asyncio.Queue()

    async def run(self) -> None:
        """Runs until one side ends the connection."""
        self._pass_on()
        writer = asyncio.create_task(self._write())
        try:
            while (message := await self._websocket.receive())["type"] == "websocket.receive":
                text = message.get("text")
                self._session.receive(text if text is not None else message["bytes"], _now_ms())
                self._pass_on()
        finally:
            if self._timer is not None:
                self._timer.cancel()
            writer.cancel()
            with contextlib.suppress(asyncio.CancelledError, WebSocketDisconnect):
                await writer

    def inject(self, fault: Fault) -> None:
        """Lets a fault of the line happen from now on."""
        self._session.tick(_now_ms())
        self._session.arm([fault])
        self._tick()

    def _pass_on(self) -> None:
        """Hands what the session produced to the writer and sets the timer for what it waits for."""
        for output in self._session.take():
            self._outbox.put_nowait(output)
        due_ms = self._session.next_due_ms
        if due_ms != self._timer_ms:
            if self._timer is not None:
                self._timer.cancel()
            self._timer_ms = due_ms
            self._timer = None if due_ms is None else asyncio.get_running_loop().call_at(due_ms / 1000, self._tick)
        self._notify()

    def _tick(self) -> None:
        self._timer_ms = None
        self._session.tick(_now_ms())
        self._pass_on()

    async def _write(self) -> None:
        while not isinstance(output := await self._outbox.get(), Close):
            await self._websocket.send_text(json.dumps(output, ensure_ascii=False))
            self._session.bill.written(output)
        if output.code is None:
            self._websocket.scope["extensions"]["rehearsal.abort"]["abort"]()
        else:
            await self._websocket.close(output.code, output.reason)


class _Protocol(WebSocketsSansIOProtocol):
    """uvicorn's protocol, with a way to break the connection as a lost network does."""

    async def run_asgi(self) -> None:
        self.scope["extensions"]["rehearsal.abort"] = {"abort": self.transport.abort}
        await super().run_asgi()


def _now_ms() -> float:
    return asyncio.get_running_loop().time() * 1000


async def _serve(port: int, script: Script, tell: Callable[[str], object] = print) -> None:
    voices = Voices() if available() else None
    async with RealtimeServer(port=port, script=script, voices=voices) as server:
        sound = "" if voices else " It speaks in tones."
        tell(
            f"OPENAI_BASE_URL={server.base_url} OPENAI_API_KEY=sk-rehearsal\n"
            f"This model plays a script and recognises no speech.{sound}"
        )
        await asyncio.get_running_loop().create_future()


def main(arguments: list[str] | None = None) -> None:
    """Serves until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m rehearsal.realtime", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--port", type=int, default=8090)
    parser.add_argument("--script", type=Path, help="a JSON file; without it one line is said again and again")
    chosen = parser.parse_args(arguments)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(chosen.port, load(chosen.script) if chosen.script else Script()))


if __name__ == "__main__":
    main()
