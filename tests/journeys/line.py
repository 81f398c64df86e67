"""A practice line under test: the rehearsal's, with everything it left behind within reach."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import select

from db import calls, learners, lines
from db.models import Call, CallEvent, Turn
from rehearsal.carrier import Phone
from rehearsal.realtime import RealtimeServer
from rehearsal.realtime_session import Session
from rehearsal.report import CallResult
from rehearsal.wav import read_ulaw
from ringua.rehearsal import LINE, Rehearsal, rehearsing
from ringua.settings import Settings
from ringua.storage import Storage
from tutor.learning.timeline import Entry

SPEECH = Path(__file__).parent.parent.parent / "rehearsal" / "speech"
QUIET_MS = 700
PATIENCE_S = 60.0


def speech(name: str) -> bytes:
    """A recording of a human, as µ-law."""
    return read_ulaw((SPEECH / f"{name}.wav").read_bytes())


@dataclass(frozen=True, slots=True)
class Kept:
    """What the database holds of a call."""

    row: Call
    turns: list[Turn]
    events: list[CallEvent]


@dataclass(frozen=True)
class PracticeLine:
    """A running line; `told` holds each call's timeline as it was shown live."""

    rehearsal: Rehearsal
    storage: Storage
    told: dict[str, list[Entry]] = field(default_factory=lambda: defaultdict(list))

    @property
    def model(self) -> RealtimeServer:
        """The stand-in model."""
        assert self.rehearsal.model is not None
        return self.rehearsal.model

    def of(self, result: CallResult, kind: str) -> list[Entry]:
        """A call's timeline entries of one kind."""
        return [entry for entry in self.told[result.sid] if entry.kind == kind]

    def session(self, result: CallResult) -> Session:
        """The model session that answered a call: the one whose conversation has the call's items."""
        items = {entry.data.get("item") for entry in self.told[result.sid]} - {None}
        return next(
            session
            for session in self.model.sessions
            if items & {sent["item_id"] for sent in (record.event for record in session.sent) if "item_id" in sent}
        )

    async def kept(self, result: CallResult) -> Kept:
        """What the database holds of a call."""
        return await kept(self.storage, result)

    async def call(self, behave: Callable[[Phone], Awaitable[None]], number: str, door: asyncio.Lock) -> CallResult:
        """Places a call once the one before it was answered: a whole module does not ring in the same millisecond."""
        await door.acquire()

        async def answered(phone: Phone) -> None:
            try:
                await phone.wait_for("answered", PATIENCE_S)
            finally:
                door.release()
            await behave(phone)

        return await self.rehearsal.call(answered, from_=number)


class Enrolled(NamedTuple):
    """A learner of the line's school, known by their number."""

    school_id: UUID
    learner_id: UUID
    number_hash: bytes


async def enrolled(storage: Storage, number: str) -> Enrolled:
    """Enrols somebody who speaks English and learns Spanish, at A1."""
    number_hash = storage.keyring.hash_number(number)
    async with storage.database.anyone() as session:
        line = await lines.by_number(session, LINE)
    assert line is not None
    async with storage.database.school(line.school_id) as session:
        learner = await learners.create_with_number(
            session,
            school_id=line.school_id,
            number_hash=number_hash,
            last_two=number[-2:],
            native="en",
            target="es",
            level="A1",
        )
    return Enrolled(line.school_id, learner.id, number_hash)


async def kept(storage: Storage, result: CallResult) -> Kept:
    """What the database holds of a call."""
    async with storage.database.anyone() as session:
        found = await calls.find(session, result.sid)
    assert found is not None
    async with storage.database.school(found.school_id) as session:
        row = await calls.get(session, found.call_id)
        assert row is not None
        turns = await session.scalars(select(Turn).where(Turn.call_id == row.id).order_by(Turn.ordinal))
        events = await session.scalars(select(CallEvent).where(CallEvent.call_id == row.id).order_by(CallEvent.ordinal))
        return Kept(row, list(turns), list(events))


@asynccontextmanager
async def practising(settings: Settings, storage: Storage, **options: Any) -> AsyncIterator[PracticeLine]:
    """Starts a rehearsal whose timelines are kept; menus are spoken ten times as fast as in life."""
    told: dict[str, list[Entry]] = defaultdict(list)

    def watch(call: str, entry: Entry) -> None:
        told[call].append(entry)

    options = {"speech_scale": 0.1, "voiced": False, "watch": watch, **options}
    async with rehearsing(settings, storage, **options) as rehearsal:
        yield PracticeLine(rehearsal, storage, told)
