"""From an accepted stream to a closed call: what a call needs is fetched, the call is served, what came of it is kept.

No database connection is held while the caller talks.
"""

from __future__ import annotations

import asyncio
import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

import msgspec
import stamina
import structlog
from sqlalchemy.exc import SQLAlchemyError

from db import calls, class_prompts, debriefs, endings, error_notes, learners, lines
from db.endings import Ending, NewEvent, NewTurn
from db.engine import Database
from db.flags import NewFlag
from db.models import Call as CallRow
from db.scenarios import Catalogues
from db.tokens import Claim
from telephony.audio.transcode import Format, transcoder
from telephony.call import Call
from telephony.clips import ClipKey, ClipShelf, SchoolClips
from telephony.ivr.record import MenuRecord
from telephony.ledger import Ledger
from telephony.leg import PhoneLeg
from telephony.link import RENEW_BEFORE_S, Session
from telephony.moderating import Moderator
from telephony.prewarm import Prewarmer
from tutor.learning.focus import focus
from tutor.learning.patterns import patterns
from tutor.learning.timeline import Entry, Timeline
from tutor.realtime.pricing import Prices
from tutor.realtime.protocol import ModelFailed
from tutor.script.scene import Scene
from tutor.script.voice_choice import voice_for
from tutor.talk.conversation import Conversation
from tutor.talk.exchange import Moderated
from tutor.talk.needs import Needs
from tutor.talk.rules import Rules
from tutor.talk.setup import essential_texts, fixed_texts, session_config, starting_speed, turn_detection
from tutor.talk.snapshot import Snapshot

log = structlog.get_logger(__name__)

HEARTBEAT_S = 30.0
"""A slot without a heartbeat for two minutes is free again; three may be lost before that."""

KIDS_CALL_MINUTES = 5.0
"""The longest call on a line for children (tutoring.md §5.8)."""

DATABASE_TIMEOUT_S = 5.0
_DATABASE_TROUBLE = (TimeoutError, SQLAlchemyError, OSError)

HANDED_ON = frozenset({"line_lost"})
"""Ends of a stream after which the caller may still be there: the conversation goes on in another stream."""

Watch = Callable[[str, Entry], None]
"""Sees every timeline entry as it happens: (the carrier's identifier of the call, entry)."""


@dataclass(frozen=True, slots=True)
class Speech:
    """How calls of this service speak with the model."""

    model: str
    """Unless the line chooses another."""
    transcribe_model: str
    audio: Format
    max_call_minutes: float
    renew_before_s: float = RENEW_BEFORE_S
    """How long before its expiry a model session is replaced."""


@dataclass(frozen=True, slots=True)
class _Booked:
    """What the database knows of a call that is about to be served."""

    row: CallRow
    stream: int
    model: str
    scene: Scene
    speed: float
    voice: str
    rules: Rules
    resumed: Snapshot | None


class StreamUnknown(Exception):
    """The stream's token was good, but its call is closed or gone."""


class Answering:
    """Serves streams. `answer` returns when the stream has ended and the call's row is written."""

    def __init__(
        self,
        *,
        database: Database,
        catalogues: Catalogues,
        clips: ClipShelf,
        prewarmer: Prewarmer,
        prices: Prices,
        speech: Speech,
        safety_identifier: Callable[[bytes], str],
        moderator: Moderator,
        watch: Watch | None = None,
        clock: Callable[[], float],
    ) -> None:
        """``clock``: the running loop's monotonic seconds; ``safety_identifier``: from a caller's keyed hash;
        ``moderator``: the second listener."""
        self._database = database
        self._catalogues = catalogues
        self._clips = clips
        self._prewarmer = prewarmer
        self._prices = prices
        self._speech = speech
        self._safety_identifier = safety_identifier
        self._moderator = moderator
        self._watch = watch
        self._clock = clock
        self._live: dict[str, PhoneLeg] = {}
        self._changed = asyncio.Event()

    async def answer(self, leg: PhoneLeg, claim: Claim) -> None:
        """Serves one stream whose token was claimed. Raises `StreamUnknown`, and SQLAlchemyError before the start."""
        sid = leg.info.call_id
        booked = await self._book(claim)
        scene = booked.scene
        # The greeting was fetched while the menu spoke; the others, and what another instance fetched, come now.
        texts = fixed_texts(scene)
        await self._clips.fetch(
            claim.school_id, (ClipKey(text, language, booked.voice, booked.speed) for text, language in texts)
        )
        watch = self._watch
        timeline = Timeline(None if watch is None else lambda entry: watch(sid, entry))
        conversation = Conversation(scene, booked.rules, timeline, booked.resumed)
        ledger = Ledger(
            self._prices,
            model=booked.model,
            transcribe_model=self._speech.transcribe_model,
            before=booked.resumed.spent if booked.resumed is not None else None,
        )

        async def connect(*, receive: Callable[[bytes], None], lost: Callable[[ModelFailed], None]) -> Session:
            return await self._connect(sid, booked, receive, lost)

        progress = asyncio.Event()
        call = Call(
            leg,
            connect,
            conversation,
            transcoder=transcoder(self._speech.audio),
            clips=SchoolClips(self._clips, claim.school_id),
            voice=booked.voice,
            turn_detection=turn_detection(scene, booked.rules.needs),
            on_usage=ledger.book,
            clock=self._clock,
            essential=essential_texts(scene),
            began_ms=booked.resumed.elapsed_ms if booked.resumed is not None else 0,
            on_progress=progress.set,
            renew_before_s=self._speech.renew_before_s,
            on_words=lambda item, words: self._moderator.listen(
                item, words, lambda found, categories: call.tell(Moderated(found, categories))
            ),
        )

        def snapshot() -> Snapshot:
            return msgspec.structs.replace(conversation.snapshot(int(call.now_ms)), spent=ledger.summary())

        self._live[sid] = leg
        keeping = asyncio.create_task(self._keep(leg, booked, snapshot, progress), name="call-keeper")
        try:
            await call.run()
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            # Together: the carrier asks at once how the call ended, and the model's server may be slow to let go.
            lost = conversation.end_reason in HANDED_ON
            ending = self._hand_on(booked, snapshot()) if lost else self._close(booked, conversation, ledger)
            try:
                await asyncio.gather(call.close(), ending)
            finally:
                del self._live[sid]
                self._changed.set()

    @property
    def live(self) -> int:
        """How many calls this process is serving."""
        return len(self._live)

    async def idle(self) -> None:
        """Returns when no call is being served, and what came of all of them is written."""
        while self._live:
            self._changed.clear()
            await self._changed.wait()

    async def hand_over(self) -> None:
        """Ends every stream; the carrier then asks any instance at /after, where the conversation goes on."""
        await asyncio.gather(*(leg.close() for leg in list(self._live.values())))

    async def _book(self, claim: Claim) -> _Booked:
        school_id, call_id = claim.school_id, UUID(str(claim.payload["call_id"]))
        async with asyncio.timeout(DATABASE_TIMEOUT_S), self._database.school(school_id) as session:
            stream = await calls.connected(session, call_id)
            row = await calls.get(session, call_id)
            line = await lines.get(session, row.line_id) if row is not None else None
            if stream is None or row is None or line is None or row.scenario is None:
                raise StreamUnknown("The call of this stream is over.")
            catalogue = await self._catalogues.of(session, school_id, (row.scenario,))
            material = await class_prompts.of_call(session, row, line.class_prompt)
            learner = await learners.get(session, row.learner_id) if row.learner_id is not None else None
            notes = await error_notes.of_learner(session, learner.id) if learner is not None else []
        practise = focus(patterns(notes), line.target or "")
        needs = Needs.read(learner.settings if learner is not None else {})
        menu = MenuRecord.read(row.menu)
        resumed = Snapshot.read(row.resume) if row.resume is not None else None
        scene = catalogue.scene(
            row.scenario,
            native=menu.native,
            target=line.target or "",
            level=row.level or line.level or "",
            class_prompt=material,
            focus=practise.instruction if practise is not None else "",
            seed=zlib.crc32(row.carrier_sid.encode()),
            kid=menu.kids,
        )
        speed = starting_speed(scene.level, slower=bool(claim.payload.get("slower")))
        voice = voice_for(scene.scenario.voice, int(claim.payload.get("voice") or 0))
        model = line.model or self._speech.model
        rules = Rules(
            call_limit_ms(self._speech.max_call_minutes, kids=menu.kids),
            speed,
            needs,
            helpline=line.helpline,
            contact=line.safeguarding_number is not None,
            kid=menu.kids,
        )
        return _Booked(row, stream, model, scene, speed, voice, rules, resumed)

    async def _connect(
        self, sid: str, booked: _Booked, receive: Callable[[bytes], None], lost: Callable[[ModelFailed], None]
    ) -> Session:
        caller = booked.row.caller_hash
        identifier = self._safety_identifier(caller) if caller is not None else ""
        session = await self._prewarmer.take(sid, booked.model, identifier)
        config = session_config(
            booked.scene,
            mode=self._speech.audio,
            voice=booked.voice,
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

    async def _keep(
        self, leg: PhoneLeg, booked: _Booked, snapshot: Callable[[], Snapshot], progress: asyncio.Event
    ) -> None:
        """Shows life, and writes a checkpoint after each turn of the learner and each goal.

        Ends the leg when the call was closed, or taken up by another stream, meanwhile.
        """
        row = booked.row
        while True:
            try:
                async with asyncio.timeout(HEARTBEAT_S):
                    await progress.wait()
            except TimeoutError:
                pass  # nobody spoke: a sign of life alone
            progressed = progress.is_set()
            progress.clear()
            try:
                async with asyncio.timeout(DATABASE_TIMEOUT_S), self._database.school(row.school_id) as session:
                    if progressed:
                        ours = await calls.checkpoint(session, row.id, snapshot().write(), stream=booked.stream)
                    else:
                        ours = await calls.heartbeat(session, row.id, stream=booked.stream)
            except (TimeoutError, SQLAlchemyError, OSError) as error:
                log.warning("heartbeat.missed", call=row.carrier_sid, problem=type(error).__name__)
                continue
            if not ours:
                log.warning("call.taken_over", call=row.carrier_sid)
                await leg.close()
                return

    async def _hand_on(self, booked: _Booked, snapshot: Snapshot) -> None:
        """The stream is gone and the caller may still be there: what is needed to go on is written down."""
        row = booked.row
        async for attempt in stamina.retry_context(on=_DATABASE_TROUBLE, attempts=5, timeout=20.0):
            with attempt:
                async with asyncio.timeout(DATABASE_TIMEOUT_S), self._database.school(row.school_id) as session:
                    await calls.checkpoint(session, row.id, snapshot.write(), stream=booked.stream)
                    await calls.disconnected(session, row.id, stream=booked.stream)

    async def _close(self, booked: _Booked, conversation: Conversation, ledger: Ledger) -> None:
        ending = ending_of(conversation, ledger, booked.row.id, booked.row.school_id)
        async for attempt in stamina.retry_context(on=_DATABASE_TROUBLE, attempts=5, timeout=60.0):
            with attempt:
                async with asyncio.timeout(DATABASE_TIMEOUT_S), self._database.school(booked.row.school_id) as session:
                    await endings.finish(session, booked.row.id, ending, stream=booked.stream)


def call_limit_ms(minutes: float, *, kids: bool) -> int:
    """How long a call may last, in milliseconds: ``minutes``, for children five at most."""
    return int(min(minutes, KIDS_CALL_MINUTES if kids else math.inf) * 60_000)


def ending_of(conversation: Conversation, ledger: Ledger, call_id: UUID, school_id: UUID) -> Ending:
    """What a conversation leaves behind in the database."""
    timeline = conversation.timeline
    last_ms = timeline.entries[-1].at_ms if timeline.entries else 0
    snapshot = conversation.snapshot(last_ms)
    return Ending(
        reason=conversation.end_reason or "process_lost",
        turns=_turns(snapshot),
        events=_events(snapshot),
        usage=ledger.summary(),
        cost_micro_usd=ledger.micro_usd,
        cost_complete=ledger.micro_usd is not None,
        completed=conversation.succeeded,
        flags=_flags(snapshot),
        job=_debrief_job(call_id, school_id),
    )


def ending_from_checkpoint(call: CallRow, reason: str) -> Ending:
    """What a call leaves behind whose process died: all that its last checkpoint holds; its cost is not complete."""
    job = _debrief_job(call.id, call.school_id) if call.connected_at is not None else None
    if call.resume is None:
        return Ending(reason, job=job)
    snapshot = Snapshot.read(call.resume)
    return Ending(
        reason,
        turns=_turns(snapshot),
        events=_events(snapshot),
        usage=snapshot.spent,
        cost_micro_usd=snapshot.spent.get("micro_usd"),
        resumable=True,
        flags=_flags(snapshot),
        job=job,
    )


def _debrief_job(call_id: UUID, school_id: UUID) -> tuple[str, dict[str, str]]:
    return debriefs.JOB, {"call_id": str(call_id), "school_id": str(school_id)}


def _turns(snapshot: Snapshot) -> list[NewTurn]:
    return [
        NewTurn(turn.speaker, turn.start_ms, turn.end_ms, turn.text or None, turn.item, turn.cut)
        for turn in snapshot.turns
    ]


def _flags(snapshot: Snapshot) -> list[NewFlag]:
    """What people must look at: what safety found, and a caller who pressed 9."""
    found = [
        NewFlag(at_ms, data["category"], data["action"], data["source"], data["rule"])
        for at_ms, kind, data in snapshot.events
        if kind == "safety"
    ]
    return [*found, *(NewFlag.key(at_ms) for at_ms, kind, _ in snapshot.events if kind == "safe_exit")]


def _events(snapshot: Snapshot) -> list[NewEvent]:
    return [NewEvent(at_ms, kind, data) for at_ms, kind, data in snapshot.events]
