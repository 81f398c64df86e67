"""A second listener: each turn's words go to the moderation endpoint beside the call, and what it finds comes back.

It never holds up a word: an answer that does not come in time is no answer. Knows neither what follows from a finding
nor whose words they are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from tutor.realtime.text import TextFailed

log = structlog.get_logger(__name__)

WAIT_S = 4.0
"""A finding that comes later comes after the next turn anyway."""

AT_ONCE = 8
"""Requests of one process at the same time; more wait, and are dropped when their time is over."""

LEAST_CHARACTERS = 8
"""A "sí" needs no second listener."""

Moderate = Callable[[str], Awaitable[Mapping[str, bool]]]
"""Asks the endpoint about one text: category -> whether it was found. Raises when there is no answer."""

Tell = Callable[[str, Mapping[str, bool]], None]
"""Takes what was found in an item."""


class Moderator:
    """The second listener of one process. ``moderate`` is None where no endpoint is configured: then nobody listens."""

    def __init__(self, moderate: Moderate | None) -> None:
        self._moderate = moderate
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._running: set[asyncio.Task[None]] = set()

    def listen(self, item: str, text: str, tell: Tell) -> None:
        """Has a turn checked; ``tell`` is called only when something was found."""
        if self._moderate is None or len(text) < LEAST_CHARACTERS:
            return
        task = asyncio.create_task(self._check(self._moderate, item, text, tell), name="moderation")
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _check(self, moderate: Moderate, item: str, text: str, tell: Tell) -> None:
        try:
            async with asyncio.timeout(WAIT_S), self._slots:
                found = await moderate(text)
        except (TimeoutError, OSError, TextFailed) as error:
            log.info("moderation.no_answer", problem=type(error).__name__)
            return
        if any(found.values()):
            tell(item, found)

    async def close(self) -> None:
        """Nobody waits for answers any more."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
