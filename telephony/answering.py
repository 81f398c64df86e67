"""From an accepted stream to a closed call: what a call needs is fetched, the call is served, what came of it is kept.

No database connection is held while the caller talks.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

import stamina
import structlog
from sqlalchemy.exc import SQLAlchemyError

from db import calls, endings, lines
from db.endings import Ending, NewEvent, NewTurn
from db.engine import Database
from db.models import Call as CallRow
from db.tokens import Claim
from telephony.audio.transcode import Format, transcoder
from telephony.call import Call, Session
from telephony.clips import ClipKey, ClipShelf, SchoolClips
from telephony.ivr.record import MenuRecord
from telephony.ledger import Ledger
from telephony.leg import PhoneLeg
from telephony.prewarm import Prewarmer
from tutor.learning.timeline import Entry, Timeline
from tutor.realtime.pricing import Prices
from tutor.realtime.protocol import ModelFailed
from tutor.script.catalogue import Catalogue
from tutor.script.class_prompt import ClassPrompt, ClassPromptError
from tutor.script.scene import Scene
from tutor.talk.conversation import SPEED_MIN, SPEED_STEP, Conversation, Rules
from tutor.talk.setup import fixed_texts, session_config, turn_detection

log = structlog.get_logger(__name__)

HEARTBEAT_S = 30.0
"""A slot without a heartbeat for two minutes is free again; three may be lost before that."""

DATABASE_TIMEOUT_S = 5.0

Watch = Callable[[str, Entry], None]
"""Sees every timeline entry as it happens: (the carrier's identifier of the call, entry)."""


@dataclass(frozen=True, slots=True)
class Speech:
    """How calls of this service speak with the model."""

    model: str
    """Unless the line chooses another."""
    transcribe_model: str
    voice: str
    audio: Format
    max_call_minutes: float


@dataclass(frozen=True, slots=True)
class _Booked:
    """What the database knows of a call that is about to be served."""

    row: CallRow
    stream: int
    model: str
    scene: Scene
    speed: float


class StreamUnknown(Exception):
    """The stream's token was good, but its call is closed or gone."""


class Answering:
    """Serves streams. `answer` returns when the stream has ended and the call's row is written."""

    def __init__(
        self,
        *,
        database: Database,
        catalogue: Catalogue,
        clips: ClipShelf,
        prewarmer: Prewarmer,
        prices: Prices,
        speech: Speech,
        safety_identifier: Callable[[bytes], str],
        watch: Watch | None = None,
        clock: Callable[[], float],
    ) -> None:
        """``clock``: the running loop's monotonic seconds; ``safety_identifier``: from a caller's keyed hash."""
        self._database = database
        self._catalogue = catalogue
        self._clips = clips
        self._prewarmer = prewarmer
        self._prices = prices
        self._speech = speech
        self._safety_identifier = safety_identifier
        self._watch = watch
        self._clock = clock

    async def answer(self, leg: PhoneLeg, claim: Claim) -> None:
        """Serves one stream whose token was claimed. Raises `StreamUnknown`, and SQLAlchemyError before the start."""
        sid = leg.info.call_id
        booked = await self._book(claim.school_id, UUID(str(claim.payload["call_id"])))
        scene = booked.scene
        # The greeting's clip was fetched while the menu spoke; this costs a query only where another instance did it.
        texts = fixed_texts(scene)
        await self._clips.fetch(
            claim.school_id, (ClipKey(text, language, self._speech.voice, booked.speed) for text, language in texts)
        )
        watch = self._watch
        timeline = Timeline(None if watch is None else lambda entry: watch(sid, entry))
        limit_ms = int(self._speech.max_call_minutes * 60_000)
        conversation = Conversation(scene, Rules(limit_ms, booked.speed), timeline)
        ledger = Ledger(self._prices, model=booked.model, transcribe_model=self._speech.transcribe_model)

        async def connect(*, receive: Callable[[bytes], None], lost: Callable[[ModelFailed], None]) -> Session:
            return await self._connect(sid, booked, receive, lost)

        call = Call(
            leg,
            connect,
            conversation,
            transcoder=transcoder(self._speech.audio),
            clips=SchoolClips(self._clips, claim.school_id),
            voice=self._speech.voice,
            turn_detection=turn_detection(scene),
            on_usage=ledger.book,
            clock=self._clock,
        )
        beating = asyncio.create_task(self._beat(leg, booked), name="call-heartbeat")
        try:
            await call.run()
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)
            # Together: the carrier asks at once how the call ended, and the model's server may be slow to let go.
            await asyncio.gather(call.close(), self._close(booked, conversation, ledger))

    async def _book(self, school_id: UUID, call_id: UUID) -> _Booked:
        async with asyncio.timeout(DATABASE_TIMEOUT_S), self._database.school(school_id) as session:
            stream = await calls.connected(session, call_id)
            row = await calls.get(session, call_id)
            line = await lines.get(session, row.line_id) if row is not None else None
        if stream is None or row is None or line is None or row.scenario is None:
            raise StreamUnknown("The call of this stream is over.")
        menu = MenuRecord.read(row.menu)
        scene = self._catalogue.scene(
            row.scenario,
            native=menu.native,
            target=line.target or "",
            level=row.level or line.level or "",
            class_prompt=_class_prompt(line.class_prompt),
            seed=zlib.crc32(row.carrier_sid.encode()),
        )
        speed = scene.level.speed
        if menu.slower:
            speed = round(max(SPEED_MIN, speed - SPEED_STEP), 2)
        return _Booked(row, stream, line.model or self._speech.model, scene, speed)

    async def _connect(
        self, sid: str, booked: _Booked, receive: Callable[[bytes], None], lost: Callable[[ModelFailed], None]
    ) -> Session:
        caller = booked.row.caller_hash
        identifier = self._safety_identifier(caller) if caller is not None else ""
        session = await self._prewarmer.take(sid, booked.model, identifier)
        config = session_config(
            booked.scene,
            mode=self._speech.audio,
            voice=self._speech.voice,
            model=booked.model,
            transcribe_model=self._speech.transcribe_model,
            speed=booked.speed,
        )
        try:
            await session.start(config, self._speech.audio, receive=receive, lost=lost)
        except BaseException:
            await session.close()
            raise
        return session

    async def _beat(self, leg: PhoneLeg, booked: _Booked) -> None:
        """Shows life; ends the leg when the call was closed, or taken up by another stream, meanwhile."""
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            try:
                async with asyncio.timeout(DATABASE_TIMEOUT_S), self._database.school(booked.row.school_id) as session:
                    ours = await calls.heartbeat(session, booked.row.id, stream=booked.stream)
            except (TimeoutError, SQLAlchemyError, OSError) as error:
                log.warning("heartbeat.missed", call=booked.row.carrier_sid, problem=type(error).__name__)
                continue
            if not ours:
                log.warning("call.taken_over", call=booked.row.carrier_sid)
                await leg.close()
                return

    async def _close(self, booked: _Booked, conversation: Conversation, ledger: Ledger) -> None:
        ending = ending_of(conversation, ledger)
        async for attempt in stamina.retry_context(
            on=(TimeoutError, SQLAlchemyError, OSError), attempts=5, timeout=60.0
        ):
            with attempt:
                async with asyncio.timeout(DATABASE_TIMEOUT_S), self._database.school(booked.row.school_id) as session:
                    await endings.finish(session, booked.row.id, ending, stream=booked.stream)


def _class_prompt(text: str | None) -> ClassPrompt | None:
    """The line's material; it was checked when it was set, so what cannot be read any more is left out."""
    if not text:
        return None
    try:
        return ClassPrompt.parse(text)
    except ClassPromptError as error:
        log.error("class_prompt.unreadable", problem=str(error))
        return None


def ending_of(conversation: Conversation, ledger: Ledger) -> Ending:
    """What a conversation leaves behind in the database."""
    timeline = conversation.timeline
    last_ms = timeline.entries[-1].at_ms if timeline.entries else 0
    return Ending(
        reason=conversation.end_reason or "process_lost",
        turns=[
            NewTurn(
                turn.speaker,
                turn.start_ms,
                turn.end_ms if turn.end_ms is not None else last_ms,
                turn.text or None,
                turn.item,
                turn.cut,
            )
            for turn in timeline.turns
        ],
        events=[NewEvent(entry.at_ms, entry.kind, dict(entry.data)) for entry in timeline.entries],
        usage=ledger.summary(),
        cost_micro_usd=ledger.micro_usd,
        cost_complete=ledger.micro_usd is not None,
        completed=conversation.succeeded,
    )
