"""A session with a Realtime model over one websocket: the driver of `protocol.py`.

The first frame is the verdict: a bad key or an unknown model does not fail the handshake, the server says so and
closes (openai-realtime.md §1.1). Sending never waits; receiving calls the listener directly, with no task or queue
between the socket and the call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

import picows
import structlog

from tutor.realtime import events
from tutor.realtime.protocol import ModelFailed

log = structlog.get_logger()

AudioMode = Literal["pcm", "pcmu"]

FORMATS: dict[AudioMode, dict[str, Any]] = {
    "pcm": {"type": "audio/pcm", "rate": 24000},
    "pcmu": {"type": "audio/pcmu"},
}
BYTES_PER_MS: dict[AudioMode, int] = {"pcm": 48, "pcmu": 8}

MAX_MESSAGE_BYTES = 16 * 1024 * 1024
"""Audio deltas are some 10 kB; a whole minute of PCM16 in base64 is 3.8 MB."""


class ModelUnavailable(Exception):
    """The model cannot be talked to; the text is one sentence for the operator.

    ``again`` says whether trying anew could help (a lost network: yes; a refused key: no).
    """

    def __init__(self, sentence: str, *, code: str = "unreachable", again: bool = True) -> None:
        super().__init__(sentence)
        self.code = code
        self.again = again


_ADVICE = {
    "invalid_api_key": "The model's server refused the API key: check OPENAI_API_KEY.",
    "account_deactivated": "The model's server says the account is deactivated: look at the account's page.",
    "invalid_model": "The model's server does not know this model: check RINGUA_REALTIME_MODEL or the line's model.",
    "model_not_found": "The model's server does not know this model: check RINGUA_REALTIME_MODEL or the line's model.",
    "missing_model": "No model was named: set RINGUA_REALTIME_MODEL.",
    "insufficient_quota": "The account at the model's server has no credit left: add credit or raise its limit.",
    "credit_balance_exhausted": "The account at the model's server has no credit left: add credit.",
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the model is. ``base_url`` as the OpenAI client takes it, e.g. ``https://api.openai.com/v1``."""

    base_url: str
    api_key: str
    model: str

    @property
    def url(self) -> str:
        """The websocket's address for a new session."""
        base = self.base_url.rstrip("/")
        return f"ws{base.removeprefix('http')}/realtime?model={quote(self.model)}"


class RealtimeSession(picows.WSListener):
    """One session. `open` connects, `start` configures it and hands it to a call, `close` ends it."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.expires_at: int | None = None
        """Unix seconds at which the server ends the session (an hour after it began)."""
        self._transport: picows.WSTransport | None = None
        self._receive: Callable[[bytes], None] | None = None
        self._lost: Callable[[ModelFailed], None] | None = None
        self._confirming = False
        self._parts: list[bytes] = []
        self._verdict: asyncio.Future[events.SessionBody] = asyncio.get_running_loop().create_future()
        self._closing = False
        self._ended = False

    @classmethod
    async def open(cls, endpoint: Endpoint, *, safety_identifier: str = "", timeout_s: float = 5.0) -> RealtimeSession:
        """Connects and waits for the server's verdict. Raises `ModelUnavailable`."""
        headers = {"Authorization": f"Bearer {endpoint.api_key}"}
        if safety_identifier:
            headers["OpenAI-Safety-Identifier"] = safety_identifier
        session = cls(endpoint)
        try:
            async with asyncio.timeout(timeout_s):
                await picows.ws_connect(
                    lambda: session,
                    endpoint.url,
                    extra_headers=headers,
                    enable_auto_pong=True,
                    enable_auto_ping=True,
                    auto_ping_idle_timeout=20,
                    auto_ping_reply_timeout=10,
                    max_frame_size=MAX_MESSAGE_BYTES,
                    websocket_handshake_timeout=timeout_s,
                )
                body = await session._verdict
        except TimeoutError as error:
            session._drop()
            raise ModelUnavailable(
                f"The model at {endpoint.base_url} did not answer within {timeout_s:g} s: check the network."
            ) from error
        except (OSError, picows.WSError) as error:
            session._drop()
            raise ModelUnavailable(
                f"The model at {endpoint.base_url} cannot be reached ({error}): check OPENAI_BASE_URL and the network."
            ) from error
        except BaseException:
            session._drop()
            raise
        session.expires_at = body.expires_at
        return session

    async def start(
        self,
        config: Mapping[str, Any],
        mode: AudioMode,
        *,
        receive: Callable[[bytes], None],
        lost: Callable[[ModelFailed], None],
        timeout_s: float = 5.0,
    ) -> None:
        """Sends the one full ``session.update`` and checks that the server understood the audio formats.

        Args:
            config: the session's fields (`tutor.talk.setup.session_config`).
            mode: the audio format that ``config`` asks for in both directions.
            receive: called with every later event of the server.
            lost: called once when the socket goes away by itself.
            timeout_s: how long the server may take to confirm.

        Raises `ModelUnavailable` when it refuses, is silent, or would send another format than asked (the caller
        would hear noise).
        """
        self._receive, self._lost = receive, lost
        self._verdict = asyncio.get_running_loop().create_future()
        self._confirming = True
        self.send(events.update_session(config))
        try:
            async with asyncio.timeout(timeout_s):
                body = await self._verdict
        except TimeoutError as error:
            raise ModelUnavailable(f"The model did not confirm the session within {timeout_s:g} s.") from error
        wanted = FORMATS[mode]["type"]
        got = (body.audio.input.format.type, body.audio.output.format.type)
        if got != (wanted, wanted):
            raise ModelUnavailable(
                f"The model confirmed audio {got[0]} in and {got[1]} out where {wanted} was asked for; the call "
                "would be noise, so it was not begun.",
                code="wrong_format",
                again=False,
            )

    def send(self, message: bytes) -> None:
        """Writes one event; dropped when the socket is gone (its end has been, or will be, reported)."""
        if self._transport is not None and not self._ended:
            self._transport.send(picows.WSMsgType.TEXT, message)

    @property
    def open_now(self) -> bool:
        """Whether the socket is still there."""
        return self._transport is not None and not self._ended

    async def close(self, *, timeout_s: float = 2.0) -> None:
        """Ends the session; nothing is reported to the listener any more. Idempotent."""
        self._closing = True
        transport = self._transport
        if transport is None or self._ended:
            return
        transport.send_close(picows.WSCloseCode.OK)
        try:
            async with asyncio.timeout(timeout_s):
                await transport.wait_disconnected()
        except TimeoutError:
            transport.disconnect(graceful=False)

    # --- the socket

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        """The handshake succeeded; the verdict is still to come."""
        self._transport = transport

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        """One frame; events may come in fragments."""
        if frame.msg_type == picows.WSMsgType.CLOSE:
            transport.disconnect()
            return
        if frame.msg_type not in (picows.WSMsgType.TEXT, picows.WSMsgType.CONTINUATION):
            return
        message = frame.get_payload_as_bytes()
        if not frame.fin:
            self._parts.append(message)
            return
        if self._parts:
            message = b"".join([*self._parts, message])
            self._parts.clear()
        try:
            self._on_message(message)
        except events.MalformedEvent as error:
            log.error("model.malformed", error=str(error))

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:
        """The socket is gone; reported once, unless we closed it."""
        self._ended = True
        handshake = transport.close_handshake
        received = handshake.recv if handshake else None
        code = int(received.code.value) if received else 1006
        reason = received.reason if received else ""
        sentence = f"The model's server closed the connection ({code}{': ' + reason if reason else ''})."
        if not self._verdict.done():
            self._verdict.set_exception(ModelUnavailable(sentence, code=f"closed_{code}"))
            self._verdict.exception()  # retrieved: nobody may be waiting any more
        elif self._lost is not None and not self._closing:
            self._lost(ModelFailed(f"closed_{code}", sentence, again=True))

    def _on_message(self, message: bytes) -> None:
        if self._verdict.done():
            if self._receive is not None:
                self._receive(message)
            return
        match events.parse(message):
            case events.SessionCreated(session=body) if not self._confirming:
                self._verdict.set_result(body)
            case events.SessionUpdated(session=body) if self._confirming:
                self._verdict.set_result(body)
            case events.Refused(error=error):
                self._verdict.set_exception(_refusal(error))
            case _:
                return

    def _drop(self) -> None:
        self._closing = True
        if self._transport is not None and not self._ended:
            self._transport.disconnect(graceful=False)
        if self._verdict.done() and not self._verdict.cancelled():
            self._verdict.exception()


def _refusal(error: events.ErrorBody) -> ModelUnavailable:
    code = error.code or error.type or "refused"
    said = error.message if error.message.endswith(".") else f"{error.message}."
    advice = _ADVICE.get(code, "The model's server refused the session.")
    again = not {code, error.type} & events.NEVER_RETRY_CODES
    return ModelUnavailable(f"{advice} It said: {said}", code=code, again=again)
