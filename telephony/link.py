"""One call's link to the model: opens the session, opens another when it is lost, renews it before it expires.

There is no resuming of a session: a new one knows nothing, and whoever uses the link tells it the conversation. What
is sent before the first session is there waits for it, because the greeting does not. A session is left only when it
has said what its answers used, or had its time to.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Literal, Protocol

import structlog

from tutor.realtime.protocol import ModelFailed, ModelListener, RealtimeProtocol
from tutor.realtime.session import ModelUnavailable
from tutor.realtime.tab import Unsettled

log = structlog.get_logger(__name__)

ATTEMPTS_AFTER_S = (0.0, 0.5, 1.0)
"""The pauses before each try; three failures end the call (with its apology)."""

ATTEMPT_TIMEOUT_S = 2.5
"""For one try, handshake and set-up together: the conversation must go on within three seconds."""

RENEW_BEFORE_S = 120.0
"""How long before the server ends the session (an hour after it began) another is made ready."""


SETTLE_S = 2.0
"""How long a session that is left may take to say what its last answers used; it takes a tenth of a second."""
HASTE_S = 0.7
"""The same while the caller waits: the carrier asks how the call goes on, and is answered within a second."""


LinkNews = Literal["opened", "failed", "lost", "back", "renewed", "gone"]
"""The first session is there; a try failed; a session was lost; another is there; one was replaced before it expired;
no session could be opened."""


class Session(Protocol):
    """What a call needs of a model session (`tutor.realtime.session.RealtimeSession`)."""

    expires_at: int | None

    def send(self, message: bytes) -> None:
        """Writes one event."""

    async def close(self) -> None:
        """Ends the session."""


class Connect(Protocol):
    """Opens a session that is set for the call's scene. Raises `ModelUnavailable`."""

    async def __call__(self, *, receive: Callable[[bytes], None], lost: Callable[[ModelFailed], None]) -> Session: ...


class ModelLink:
    """The link of one call. Events of the model reach ``listener``; so does the loss of a session, as `ModelFailed`.

    Args:
        connect: opens one session.
        listener: the call.
        bytes_per_ms: 48 for PCM16 at 24 kHz, 8 for µ-law.
        on_back: a new session is there after a loss; it has been told nothing.
        on_gone: no session could be opened.
        on_unsettled: told what a session that is over used and never said.
        on_news: told, for counting alone, what happens to the connection.
        renew_before_s: how long before its expiry a session is replaced.
        wall: seconds since 1970, the clock of a session's expiry.
    """

    def __init__(
        self,
        connect: Connect,
        listener: ModelListener,
        *,
        bytes_per_ms: int,
        on_back: Callable[[], None],
        on_gone: Callable[[], None],
        on_unsettled: Callable[[Unsettled], None] = lambda unsettled: None,
        on_news: Callable[[LinkNews], None] = lambda news: None,
        name: str = "",
        renew_before_s: float = RENEW_BEFORE_S,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._connect = connect
        self._listener = listener
        self._bytes_per_ms = bytes_per_ms
        self._on_back = on_back
        self._on_gone = on_gone
        self._on_unsettled = on_unsettled
        self._on_news = on_news
        self._name = name
        self._renew_before_s = renew_before_s
        self._wall = wall
        self._unsent: list[bytes] | None = []
        self._session: Session | None = None
        self._fresh: tuple[Session, RealtimeProtocol] | None = None
        self._opening: asyncio.Task[None] | None = None
        self._settling: dict[asyncio.Task[None], RealtimeProtocol] = {}
        self._left: dict[RealtimeProtocol, Session] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._renewal: asyncio.TimerHandle | None = None
        self.protocol = self._new_protocol()

    @property
    def fresh(self) -> bool:
        """Whether another session is ready to take over, because this one expires soon."""
        return self._fresh is not None

    def open(self) -> None:
        """Begins to open the first session."""
        self._opening = asyncio.create_task(self._open(first=True), name="model-open")

    def renew(self) -> None:
        """Gives up the present session, if there is one, and opens another; `on_back` or `on_gone` follows."""
        self._unsent = None
        if self._fresh is not None:
            self.swap()
            self._on_news("back")
            asyncio.get_running_loop().call_soon(self._on_back)
            return
        self._drop_session()
        if self._opening is not None:
            self._opening.cancel()
        self._opening = asyncio.create_task(self._open(first=False), name="model-renew")

    def swap(self) -> None:
        """Puts the fresh session in the place of the one that expires soon. It has been told nothing."""
        assert self._fresh is not None
        self._drop_session()
        (self._session, self.protocol), self._fresh = self._fresh, None
        self._watch_expiry(self._session)
        self._on_news("renewed")
        log.info("model.renewed", call=self._name)

    async def settle(self, *, haste: bool = False) -> None:
        """Takes leave of every session of the call: all that they used is told when it returns, or given up."""
        if self._renewal is not None:
            self._renewal.cancel()
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.gather(self._opening, return_exceptions=True)
        if self._fresh is not None:
            self._retire(*self._fresh)
            self._fresh = None
        self._drop_session()
        if self._settling:
            await asyncio.wait(self._settling, timeout=HASTE_S if haste else SETTLE_S)
        for task, protocol in list(self._settling.items()):
            self._give_up(protocol)
            task.cancel()

    async def close(self) -> None:
        """Ends every session of the call; `settle` it before, or it does so itself."""
        await self.settle()
        if self._closing:
            await asyncio.wait(self._closing)

    async def _open(self, *, first: bool) -> None:
        for number, pause_s in enumerate(ATTEMPTS_AFTER_S, start=1):
            await asyncio.sleep(pause_s)
            built = self.protocol if first else self._new_protocol()
            try:
                session = await self._try(built)
            except ModelUnavailable as error:
                self._on_news("failed")
                log.error("model.unavailable", call=self._name, attempt=number, code=error.code, problem=str(error))
                if not error.again:
                    break
                continue
            self._session, self.protocol = session, built
            self._watch_expiry(session)
            self._on_news("opened" if first else "back")
            if first:
                unsent, self._unsent = self._unsent or [], None
                for message in unsent:
                    session.send(message)
            else:
                self._on_back()
            return
        self._on_news("gone")
        self._on_gone()

    async def _try(self, built: RealtimeProtocol) -> Session:
        try:
            async with asyncio.timeout(ATTEMPT_TIMEOUT_S):
                return await self._connect(receive=built.receive, lost=lambda failed: self._on_lost(built, failed))
        except TimeoutError as error:
            raise ModelUnavailable(f"The model was not ready within {ATTEMPT_TIMEOUT_S:g} s.") from error

    def _on_lost(self, built: RealtimeProtocol, failed: ModelFailed) -> None:
        self._give_up(built)
        if built is self.protocol:
            if self._session is not None:
                self._on_news("lost")
            self._listener.on_model_event(failed)
        elif self._fresh is not None and built is self._fresh[1]:
            self._fresh = None

    def _new_protocol(self) -> RealtimeProtocol:
        def send(message: bytes) -> None:
            if (left := self._left.get(built)) is not None:
                left.send(message)
                return
            if built is not self.protocol:
                return
            if self._session is not None:
                self._session.send(message)
            elif self._unsent is not None:
                self._unsent.append(message)

        built = RealtimeProtocol(send, self._listener, bytes_per_ms=self._bytes_per_ms)
        return built

    def _watch_expiry(self, session: Session) -> None:
        if self._renewal is not None:
            self._renewal.cancel()
            self._renewal = None
        if session.expires_at:
            in_s = max(0.0, session.expires_at - self._wall() - self._renew_before_s)
            self._renewal = asyncio.get_running_loop().call_later(in_s, self._prepare)

    def _prepare(self) -> None:
        self._opening = asyncio.create_task(self._make_fresh(), name="model-prepare")

    async def _make_fresh(self) -> None:
        built = self._new_protocol()
        try:
            self._fresh = (await self._try(built), built)
        except ModelUnavailable as error:
            # The old session still serves; when it expires, that is a loss like any other.
            self._on_news("failed")
            log.warning("model.not_renewed", call=self._name, code=error.code, problem=str(error))

    def _drop_session(self) -> None:
        if self._session is not None:
            self._retire(self._session, self.protocol)
            self._session = None

    def _retire(self, session: Session, protocol: RealtimeProtocol) -> None:
        settling = asyncio.create_task(self._leave(session, protocol), name="model-settle")
        self._settling[settling] = protocol
        settling.add_done_callback(self._settling.pop)
        closing = asyncio.create_task(self._end(settling, session), name="model-close")
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    async def _leave(self, session: Session, protocol: RealtimeProtocol) -> None:
        settled = asyncio.Event()
        self._left[protocol] = session
        protocol.tab.leave(settled.set)
        try:
            async with asyncio.timeout(SETTLE_S):
                await settled.wait()
        except TimeoutError:
            self._give_up(protocol)

    async def _end(self, settling: asyncio.Task[None], session: Session) -> None:
        await asyncio.wait([settling])
        await session.close()
        self._left = {protocol: left for protocol, left in self._left.items() if left is not session}

    def _give_up(self, protocol: RealtimeProtocol) -> None:
        unsettled = protocol.tab.close()
        if unsettled:
            log.warning(
                "model.unsettled",
                call=self._name,
                responses=unsettled.responses,
                transcriptions=unsettled.transcriptions,
            )
            self._on_unsettled(unsettled)
