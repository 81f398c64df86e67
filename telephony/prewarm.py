"""Model sockets opened while the caller is in the menu, so that the choice finds one ready. Best effort.

A socket that nobody claims closes after half a minute. Knows nothing of scenes: a warm session is not configured.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from tutor.realtime.session import ModelUnavailable, RealtimeSession

log = structlog.get_logger(__name__)

UNCLAIMED_S = 30.0
"""How long a warm session is kept for a caller who does not choose (it costs nothing but the socket)."""


@dataclass(slots=True)
class _Warm:
    model: str
    opening: asyncio.Task[RealtimeSession]
    expiry: asyncio.TimerHandle


class Prewarmer:
    """Warm sessions by call. `open_session` connects to a model: (model, safety identifier) -> session."""

    def __init__(
        self, open_session: Callable[[str, str], Awaitable[RealtimeSession]], *, unclaimed_s: float = UNCLAIMED_S
    ) -> None:
        self._open_session = open_session
        self._unclaimed_s = unclaimed_s
        self._warm: dict[str, _Warm] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def warm(self, call_id: str, model: str, safety_identifier: str = "") -> None:
        """Starts opening a session for a call; a second request for the same call only prolongs it."""
        known = self._warm.pop(call_id, None)
        if known is not None:
            known.expiry.cancel()
            opening = known.opening
        else:
            opening = asyncio.create_task(self._open(model, safety_identifier), name="prewarm")
        expiry = asyncio.get_running_loop().call_later(self._unclaimed_s, self.release, call_id)
        self._warm[call_id] = _Warm(model, opening, expiry)

    async def take(self, call_id: str, model: str, safety_identifier: str = "") -> RealtimeSession:
        """The call's warm session when there is one that still lives, else a new one. Raises `ModelUnavailable`."""
        warm = self._warm.pop(call_id, None)
        if warm is not None:
            warm.expiry.cancel()
            if warm.model == model:
                try:
                    session = await warm.opening
                except ModelUnavailable as error:
                    if not error.again:
                        raise
                else:
                    if session.open_now:
                        return session
            else:
                self._discard(warm.opening)
        return await self._open(model, safety_identifier)

    def release(self, call_id: str) -> None:
        """Closes a call's warm session: the caller hung up in the menu, or chose nothing in time."""
        warm = self._warm.pop(call_id, None)
        if warm is not None:
            warm.expiry.cancel()
            self._discard(warm.opening)

    async def close(self) -> None:
        """Closes every warm session."""
        for call_id in list(self._warm):
            self.release(call_id)
        if self._closing:
            await asyncio.wait(self._closing)

    async def _open(self, model: str, safety_identifier: str) -> RealtimeSession:
        return await self._open_session(model, safety_identifier)

    def _discard(self, opening: asyncio.Task[RealtimeSession]) -> None:
        task = asyncio.create_task(self._close(opening), name="prewarm-close")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _close(self, opening: asyncio.Task[RealtimeSession]) -> None:
        try:
            session = await opening
        except ModelUnavailable as error:
            log.info("prewarm.failed", code=error.code)
            return
        await session.close()
