"""Records one stream: a leg between the call and the carrier that also puts both sides on a tape, and the tape on disk.

Nothing that a call does waits for a disk. What becomes of the recording is decided when the stream has ended: then the
caller's consent is asked for again, and where it does not stand, or the call was stopped, nothing is left.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable
from typing import Final, Protocol
from uuid import UUID

import numpy as np
import stamina
import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from db import recordings
from db.audio_files import AudioFiles, Spool
from db.engine import Database
from telephony.audio import g711
from telephony.leg import EndedBy, LegInfo, LegListener, PhoneLeg
from telephony.tape import Stretch, Tape

TAKE_EVERY_S: Final = 2.0
"""How often the tape goes to the disk: some 30 kB of both sides wait in memory meanwhile."""
DISK_TIMEOUT_S: Final = 10.0
"""A disk that takes longer for that is none: the recording is given up, the call goes on."""
DATABASE_TIMEOUT_S: Final = 5.0

_RATE_HZ: Final = 8_000
_SIDES: Final = 2
_SAMPLE_BYTES: Final = 2
_FRAME_BYTES: Final = _SIDES * _SAMPLE_BYTES
_TROUBLE: Final = (SQLAlchemyError, TimeoutError, OSError)

log = structlog.get_logger(__name__)


def wav_head(size_bytes: int) -> bytes:
    """Returns the 44 bytes before ``size_bytes`` of sound: 16-bit stereo at 8 kHz, which every browser plays."""
    form = struct.pack("<HHIIHH", 1, _SIDES, _RATE_HZ, _RATE_HZ * _FRAME_BYTES, _FRAME_BYTES, 8 * _SAMPLE_BYTES)
    parts = b"WAVE" + b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", size_bytes)
    return b"RIFF" + struct.pack("<I", len(parts) + size_bytes) + parts


def stereo(stretch: Stretch) -> bytes:
    """Returns both sides as 16-bit samples in turn: left the caller, right the line."""
    sides = [np.frombuffer(g711.decode(side), dtype="<i2") for side in stretch]
    return np.stack(sides, axis=1).tobytes()


class Permission(Protocol):
    """Whether a recording may be kept, asked for when it is there."""

    async def name(self) -> str | None:
        """The name under which it is kept, noted before; None: it may not be."""

    async def drop(self) -> None:
        """Nothing of the call may be kept: whatever was before goes."""


class Recorder:
    """A leg that is recorded while it runs. `settle` belongs after it."""

    def __init__(
        self,
        leg: PhoneLeg,
        *,
        files: AudioFiles,
        permission: Permission,
        clock: Callable[[], float],
    ) -> None:
        """The tape runs from now on: a call sends its first words before it listens.

        Args:
            leg: the caller.
            files: where the recording goes.
            permission: asked when the stream is over.
            clock: monotonic seconds of the running loop.
        """
        self._leg = leg
        self._files = files
        self._permission = permission
        self._clock = clock
        self._began = clock()
        self._tape: Tape | None = Tape()
        self._spool: Spool | None = None
        self._size_bytes = 0
        self._over = asyncio.Event()
        self._ended_ms = 0.0
        self._writing: asyncio.Task[bool] | None = None

    # --- the leg

    @property
    def info(self) -> LegInfo:
        """Who is on the leg."""
        return self._leg.info

    def send_audio(self, ulaw: bytes) -> None:
        """Queues µ-law for playing."""
        if self._tape is not None:
            self._tape.play(ulaw, self._now_ms)
        self._leg.send_audio(ulaw)

    def send_mark(self, name: str) -> None:
        """Asks for an echo."""
        if self._tape is not None:
            self._tape.mark(name)
        self._leg.send_mark(name)

    def clear(self) -> None:
        """Drops everything the carrier has not played yet."""
        if self._tape is not None:
            self._tape.cut(self._now_ms)
        self._leg.clear()

    async def run(self, listener: LegListener) -> None:
        """Reads the leg until it ends; what is on the tape goes to the disk meanwhile."""
        assert self._tape is not None
        self._writing = asyncio.create_task(self._write(self._tape), name="recorder")
        try:
            await self._leg.run(_Tapped(listener, self))
        finally:
            self._ended_ms = self._now_ms
            self._over.set()

    async def close(self) -> None:
        """Ends the media."""
        await self._leg.close()

    # --- what the caller's side reports

    def heard(self, ulaw: bytes) -> None:
        """The caller said something."""
        if self._tape is not None:
            self._tape.hear(ulaw)

    def echoed(self, mark: str) -> None:
        """The carrier has played what was sent before a mark."""
        if self._tape is not None:
            self._tape.echo(mark, self._now_ms)

    # --- the disk

    @property
    def _now_ms(self) -> float:
        return (self._clock() - self._began) * 1000

    async def _write(self, tape: Tape) -> bool:
        """Puts the tape on the disk until the stream is over; whether all of it is there."""
        try:
            async with asyncio.timeout(DISK_TIMEOUT_S):
                self._spool = await asyncio.to_thread(self._files.spool)
                await asyncio.to_thread(self._spool.write, wav_head(0))
            over = False
            while not over:
                await self._wait()
                # Looked at once a round: what ends while the disk is at work has its last stretch in the next.
                over = self._over.is_set()
                await self._put(self._spool, tape.finish(self._ended_ms) if over else tape.take(self._now_ms))
        except OSError as error:
            log.warning("recorder.gave_up", call=self.info.call_id, problem=type(error).__name__)
            self._tape = None
            return False
        return True

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(TAKE_EVERY_S):
                await self._over.wait()
        except TimeoutError:
            pass  # the call goes on: what there is goes to the disk

    async def _put(self, spool: Spool, stretch: Stretch) -> None:
        if not stretch.line:
            return

        def write() -> int:
            sound = stereo(stretch)
            spool.write(sound)
            return len(sound)

        async with asyncio.timeout(DISK_TIMEOUT_S):
            self._size_bytes += await asyncio.to_thread(write)

    # --- what becomes of it

    async def settle(self, *, stopped: bool) -> None:
        """Keeps the recording where the caller still agrees, else leaves nothing of it; whatever fails is logged.

        Args:
            stopped: the call was left, or ended, because somebody was not well: none of it is kept, whatever streams
                of it were recorded before.
        """
        if self._writing is None:
            return
        whole = await self._writing
        try:
            if stopped:
                await self._permission.drop()
            elif whole and self._spool is not None and (name := await self._permission.name()) is not None:
                await asyncio.to_thread(self._spool.keep, name, wav_head(self._size_bytes))
                log.info("recorder.kept", call=self.info.call_id)
        except _TROUBLE as error:
            log.error("recorder.not_kept", call=self.info.call_id, problem=type(error).__name__)
        finally:
            await self._discard()

    async def _discard(self) -> None:
        """What was kept is not touched; what cannot be deleted now goes with a sweep."""
        if self._spool is None:
            return
        try:
            await asyncio.to_thread(self._spool.discard)
        except OSError as error:
            log.warning("recorder.left_behind", call=self.info.call_id, problem=type(error).__name__)


class _Tapped:
    """The listener of a recorded leg: what is reported to it goes by the recorder."""

    def __init__(self, listener: LegListener, recorder: Recorder) -> None:
        self._listener = listener
        self._recorder = recorder

    def on_caller_audio(self, ulaw: bytes) -> None:
        """A frame of the caller."""
        self._recorder.heard(ulaw)
        self._listener.on_caller_audio(ulaw)

    def on_key(self, digit: str) -> None:
        """A key."""
        self._listener.on_key(digit)

    def on_mark(self, name: str) -> None:
        """An echo."""
        self._recorder.echoed(name)
        self._listener.on_mark(name)

    def on_leg_end(self, by: EndedBy, detail: str) -> None:
        """The media is gone."""
        self._listener.on_leg_end(by, detail)


class CallPermission:
    """What the database says of one call. Raises SQLAlchemyError or OSError when it cannot be asked for 20 s."""

    def __init__(self, database: Database, school_id: UUID, call_id: UUID) -> None:
        self._database = database
        self._school_id = school_id
        self._call_id = call_id

    async def name(self) -> str | None:
        """Asks for the consent once more, and writes the row."""

        async def note(session: AsyncSession) -> str | None:
            lasts = await recordings.may_keep(session, self._call_id)
            return (await recordings.add(session, self._call_id, lasts)).path if lasts is not None else None

        return await self._in_school(note)

    async def drop(self) -> None:
        """Ends the recordings of the call's earlier streams."""

        async def end(session: AsyncSession) -> None:
            await recordings.end_now(session, [self._call_id])

        await self._in_school(end)

    async def _in_school(self, act: Callable[[AsyncSession], Awaitable[str | None]]) -> str | None:
        done = None
        async for attempt in stamina.retry_context(on=_TROUBLE, attempts=5, timeout=20.0):
            with attempt:
                async with asyncio.timeout(DATABASE_TIMEOUT_S), self._database.school(self._school_id) as session:
                    done = await act(session)
        return done
