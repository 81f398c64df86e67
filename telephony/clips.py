"""Fixed texts as µ-law: text, language, voice and speed to bytes; kept in a table, the recent ones in memory.

A clip is what the model spoke when it was first asked to read the text; from then on it costs nothing and starts
within a frame. Knows nothing of calls.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy.exc import SQLAlchemyError

from db import clips as rows
from db.engine import Database

log = structlog.get_logger(__name__)

MEMORY_BYTES = 32 * 1024 * 1024
"""Some 70 minutes of µ-law: every greeting and fixed phrase of a school's lines."""

DATABASE_TIMEOUT_S = 3.0


@dataclass(frozen=True, slots=True)
class ClipKey:
    """What makes one clip differ from another. ``speed`` is the voice's speed, 0.25-1.5."""

    text: str
    language: str
    voice: str
    speed: float

    def digest(self) -> bytes:
        """The key of the table's row."""
        parts = (self.text, self.language, self.voice, f"{self.speed:.2f}")
        return hashlib.sha256("\x1f".join(parts).encode()).digest()


@dataclass(frozen=True, slots=True)
class SchoolClips:
    """The shelf as one school's call sees it."""

    shelf: ClipShelf
    school_id: UUID

    def get(self, key: ClipKey) -> bytes | None:
        """The clip, when it is in memory."""
        return self.shelf.get(key)

    def keep(self, key: ClipKey, ulaw: bytes) -> None:
        """Adds a clip."""
        self.shelf.keep(self.school_id, key, ulaw)


class ClipShelf:
    """The clips of this process, backed by the table. `get` and `keep` return at once; `fetch` asks the table."""

    def __init__(self, database: Database, *, memory_bytes: int = MEMORY_BYTES) -> None:
        self._database = database
        self._memory_bytes = memory_bytes
        self._held_bytes = 0
        self._clips: OrderedDict[bytes, bytes] = OrderedDict()
        self._working: set[asyncio.Task[None]] = set()

    def get(self, key: ClipKey) -> bytes | None:
        """The clip, when it is in memory."""
        digest = key.digest()
        ulaw = self._clips.get(digest)
        if ulaw is not None:
            self._clips.move_to_end(digest)
        return ulaw

    async def fetch(self, school_id: UUID, keys: Iterable[ClipKey]) -> None:
        """Brings the clips that exist into memory. Without the table the call goes on: the model reads instead."""
        wanted = [digest for key in keys if (digest := key.digest()) not in self._clips]
        if not wanted:
            return
        try:
            async with asyncio.timeout(DATABASE_TIMEOUT_S), self._database.school(school_id) as session:
                found = await rows.get_many(session, wanted)
        except (TimeoutError, OSError, SQLAlchemyError) as error:
            log.warning("clips.unavailable", problem=type(error).__name__)
            return
        for digest, ulaw in found.items():
            self._hold(digest, ulaw)

    def fetch_soon(self, school_id: UUID, keys: Iterable[ClipKey]) -> None:
        """`fetch` in the background: what will probably be wanted in a moment."""
        self._in_background(self.fetch(school_id, list(keys)), "clip-fetch")

    def keep(self, school_id: UUID, key: ClipKey, ulaw: bytes) -> None:
        """Adds a clip for all schools; the table gets it in the background, by the hand of the school it came from."""
        self._hold(key.digest(), ulaw)
        self._in_background(self._save(school_id, key, ulaw), "clip-save")

    async def close(self) -> None:
        """Waits for what is still being saved."""
        if self._working:
            await asyncio.wait(self._working, timeout=DATABASE_TIMEOUT_S)

    def _in_background(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._working.add(task)
        task.add_done_callback(self._working.discard)

    async def _save(self, school_id: UUID, key: ClipKey, ulaw: bytes) -> None:
        try:
            async with asyncio.timeout(DATABASE_TIMEOUT_S), self._database.school(school_id) as session:
                await rows.put(
                    session,
                    key.digest(),
                    text=key.text,
                    language=key.language,
                    voice=key.voice,
                    speed=key.speed,
                    ulaw=ulaw,
                )
        except (TimeoutError, OSError, SQLAlchemyError) as error:
            log.warning("clips.not_saved", problem=type(error).__name__)

    def _hold(self, digest: bytes, ulaw: bytes) -> None:
        old = self._clips.pop(digest, b"")
        self._clips[digest] = ulaw
        self._held_bytes += len(ulaw) - len(old)
        while self._held_bytes > self._memory_bytes and len(self._clips) > 1:
            _, dropped = self._clips.popitem(last=False)
            self._held_bytes -= len(dropped)
