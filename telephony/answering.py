"""From an accepted stream to a closed call: what a call needs is fetched, the call is served, what came of it is kept.

No database connection is held while the caller talks.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID

import msgspec
import stamina
import structlog
from sqlalchemy.exc import SQLAlchemyError

from db import calls, chains, class_prompts, debriefs, endings, learners, ledger, lines, recordings
from db.audio_files import AudioFiles
from db.endings import Ending, NewEvent, NewTurn
from db.engine import Database
from db.flags import NewFlag
from db.models import Call as CallRow
from db.scenarios import Catalogues
from db.tokens import Claim
from telephony.audio.transcode import Format, transcoder
from telephony.books import Books, LeftBehind
from telephony.call import Call
from telephony.clips import ClipKey, ClipShelf, SchoolClips
from telephony.coming_back import BROKE_OFF
from telephony.figures import Figures
from telephony.ivr.record import MenuRecord
from telephony.leg import PhoneLeg
from telephony.link import RENEW_BEFORE_S, Session
from telephony.moderating import Moderator
from telephony.prewarm import Prewarmer
from telephony.recorder import CallPermission, Recorder
from telephony.remembered import remembered
from tutor.learning.metrics_turns import Record, delays
from tutor.learning.timeline import Entry, Timeline
from tutor.realtime.pricing import Prices
from tutor.realtime.protocol import ModelFailed
from tutor.realtime.tab import Unsettled, Used
from tutor.script.scene import Scene
from tutor.script.voice_choice import voice_for
from tutor.talk.conversation import Conversation
from tutor.talk.exchange import EndBy, Moderated
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
    books: Books
    recorded: bool
    """Whether the sound may be kept, and the caller knows it."""


class _Bell:
    """Wakes the keeper of a call."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()
        self._progressed = False

    def progress(self) -> None:
        """A checkpoint is due."""
        self._progressed = True
        self._rung.set()

    def ring(self) -> None:
        """Something is to be written down, and the checkpoint can wait."""
        self._rung.set()

    async def wait(self, at_most_s: float) -> bool:
        """Waits for a ring; whether a checkpoint is due."""
        try:
            async with asyncio.timeout(at_most_s):
                await self._rung.wait()
        except TimeoutError:
            pass  # nobody spoke: a sign of life alone
        self._rung.clear()
        progressed, self._progressed = self._progressed, False
        return progressed


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
        files: AudioFiles | None = None,
        figures: Figures | None = None,
        watch: Watch | None = None,
        clock: Callable[[], float],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """``clock``: the running loop's monotonic seconds; ``safety_identifier``: from a caller's keyed hash;
        ``moderator``: the second listener; ``files``: where recordings go, None: there are none; ``figures``: what is
        counted, None: nothing that anybody reads; ``now``: what time it is, aware."""
        self._database = database
        self._catalogues = catalogues
        self._clips = clips
        self._prewarmer = prewarmer
        self._prices = prices
        self._speech = speech
        self._safety_identifier = safety_identifier
        self._moderator = moderator
        self._files = files
        self._watch = watch
        self._clock = clock
        self._now = now
        self._figures = figures or Figures()
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
        books = booked.books

        async def connect(*, receive: Callable[[bytes], None], lost: Callable[[ModelFailed], None]) -> Session:
            return await self._connect(sid, booked, receive, lost)

        bell = _Bell()

        def use(used: Used) -> None:
            books.ledger.book(used)
            bell.ring()

        def lose(unsettled: Unsettled) -> None:
            books.lose(unsettled)
            bell.ring()

        recorder = self._recorder(leg, booked)
        call = Call(
            recorder or leg,
            connect,
            conversation,
            transcoder=transcoder(self._speech.audio),
            clips=SchoolClips(self._clips, claim.school_id),
            voice=booked.voice,
            turn_detection=turn_detection(scene, booked.rules.needs),
            on_usage=use,
            on_unsettled=lose,
            on_news=self._figures.model,
            clock=self._clock,
            essential=essential_texts(scene),
            began_ms=booked.resumed.elapsed_ms if booked.resumed is not None else 0,
            on_progress=bell.progress,
            renew_before_s=self._speech.renew_before_s,
            on_words=lambda item, words: self._moderator.listen(
                item, words, lambda found, categories: call.tell(Moderated(found, categories))
            ),
        )

        def snapshot(*, whole: bool = False) -> Snapshot:
            return msgspec.structs.replace(conversation.snapshot(int(call.now_ms)), spent=books.summary(whole=whole))

        self._live[sid] = leg
        bell.ring()  # at once: what the call may use is asked while the greeting plays
        keeping = asyncio.create_task(self._keep(leg, booked, call, snapshot, bell), name="call-keeper")
        try:
            await call.run()
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            # What came of the call is written once, when all that it used is told.
            await call.settle()
            # Together: the carrier asks at once how the call ended, and the model's server may be slow to let go.
            lost = conversation.end_reason in HANDED_ON
            ending = self._hand_on(booked, snapshot(whole=True)) if lost else self._close(booked, conversation)
            settling = [recorder.settle(stopped=snapshot().stopped)] if recorder is not None else []
            try:
                await asyncio.gather(call.close(), ending, *settling)
            finally:
                del self._live[sid]
                self._changed.set()
            self._count_answers(booked, snapshot())

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

    def _count_answers(self, booked: _Booked, snapshot: Snapshot) -> None:
        """How soon the learner was answered in this stream: once, when nobody waits for it any more."""
        scene, turns, events = booked.scene, _turns(snapshot), _events(snapshot)
        silence_ms = booked.rules.needs.silence_ms(scene.level)
        record = Record.read(scene.target.tag, turns, events, silence_ms=silence_ms)
        began_ms = booked.resumed.elapsed_ms if booked.resumed is not None else 0
        self._figures.answered(delays(record), since_ms=began_ms)

    def _recorder(self, leg: PhoneLeg, booked: _Booked) -> Recorder | None:
        """What records the stream; None where it may not be kept, or the caller was not told of it."""
        if self._files is None or not booked.recorded:
            return None
        permission = CallPermission(self._database, booked.row.school_id, booked.row.id)
        return Recorder(leg, files=self._files, permission=permission, clock=self._clock)

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
            menu = MenuRecord.read(row.menu)
            target = menu.target or line.target or ""
            known = await remembered(
                session,
                catalogue,
                learner,
                target=target,
                kids=line.for_children,
                proven=menu.proven,
                now=self._now(),
            )
            model = line.model or self._speech.model
            resumed = Snapshot.read(row.resume) if row.resume is not None else None
            seed = await chains.seed(session, row)
            elapsed_ms = resumed.elapsed_ms if resumed is not None else 0
            recorded = menu.recorded and await recordings.may_keep(session, call_id) is not None
            books = await Books.begin(
                session,
                row,
                line,
                prices=self._prices,
                model=model,
                transcribe_model=self._speech.transcribe_model,
                elapsed_ms=elapsed_ms,
                at=self._now(),
            )
        scene = catalogue.scene(
            row.scenario,
            native=menu.native,
            target=target,
            level=row.level or line.level or "",
            class_prompt=material,
            seed=seed,
            kid=menu.kids,
        )
        given = tuple(scene.native.scenes[one].title for one in menu.assigned if one in scene.native.scenes)
        scene = replace(known.brought_to(scene, seed), assigned=given)
        due = resumed.due if resumed is not None else None
        if due is not None:
            scene = replace(scene, due=due)
        speed = starting_speed(scene.level, slower=bool(claim.payload.get("slower")))
        voice = voice_for(scene.scenario.voice, int(claim.payload.get("voice") or 0))
        rules = Rules(
            call_limit_ms(self._speech.max_call_minutes, kids=menu.kids),
            speed,
            known.needs,
            helpline=line.helpline,
            contact=line.safeguarding_number is not None,
            kid=menu.kids,
        )
        return _Booked(row, stream, model, scene, speed, voice, rules, resumed, books, recorded)

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
        self, leg: PhoneLeg, booked: _Booked, call: Call, snapshot: Callable[[], Snapshot], bell: _Bell
    ) -> None:
        """Shows life, writes a checkpoint after each turn of the learner and each goal, and settles the account.

        Tells the conversation when it must end; ends the leg when the call was closed, or taken up by another stream,
        meanwhile.
        """
        row, books = booked.row, booked.books
        while True:
            progressed = await bell.wait(HEARTBEAT_S)
            self._end_in_time(call, books)
            try:
                async with asyncio.timeout(DATABASE_TIMEOUT_S), self._database.school(row.school_id) as session:
                    if progressed:
                        ours = await calls.checkpoint(session, row.id, snapshot().write(), stream=booked.stream)
                    else:
                        ours = await calls.heartbeat(session, row.id, stream=booked.stream)
                    settled = await books.settle(session, call.now_ms, self._now()) if ours else None
            except (TimeoutError, SQLAlchemyError, OSError) as error:
                log.warning("heartbeat.missed", call=row.carrier_sid, problem=type(error).__name__)
                continue
            if settled is None:
                log.warning("call.taken_over", call=row.carrier_sid)
                await leg.close()
                return
            books.settled(settled)
            self._end_in_time(call, books)

    def _end_in_time(self, call: Call, books: Books) -> None:
        """Minutes and money are the conversation's only as a time at which it must be over."""
        end_ms = books.end_ms(call.now_ms)
        if end_ms is not None:
            call.tell(EndBy(end_ms))

    async def _hand_on(self, booked: _Booked, snapshot: Snapshot) -> None:
        """The stream is gone and the caller may still be there: what is needed to go on is written down."""
        row = booked.row
        async for attempt in stamina.retry_context(on=_DATABASE_TROUBLE, attempts=5, timeout=20.0):
            with attempt:
                async with asyncio.timeout(DATABASE_TIMEOUT_S), self._database.school(row.school_id) as session:
                    await calls.checkpoint(session, row.id, snapshot.write(), stream=booked.stream)
                    await ledger.book(session, booked.books.payer, booked.books.ledger.pending, at=self._now())
                    await calls.disconnected(session, row.id, stream=booked.stream)

    async def _close(self, booked: _Booked, conversation: Conversation) -> None:
        books = booked.books
        ending = ending_of(conversation, books, booked.row.id, booked.row.school_id)
        async for attempt in stamina.retry_context(on=_DATABASE_TROUBLE, attempts=5, timeout=60.0):
            with attempt:
                async with asyncio.timeout(DATABASE_TIMEOUT_S), self._database.school(booked.row.school_id) as session:
                    closed = await endings.finish(session, booked.row.id, ending, stream=booked.stream)
                    if not closed:
                        # Another stream has the call; what this one used is to be paid for all the same.
                        await ledger.book(session, books.payer, books.ledger.pending, at=self._now())
                if closed:
                    began = booked.row.connected_at
                    lasted_s = (self._now() - began).total_seconds() if began is not None else None
                    self._figures.ended(ending.reason, lasted_s)


def call_limit_ms(minutes: float, *, kids: bool) -> int:
    """How long a call may last, in milliseconds: ``minutes``, for children five at most."""
    return int(min(minutes, KIDS_CALL_MINUTES if kids else math.inf) * 60_000)


def ending_of(conversation: Conversation, books: Books, call_id: UUID, school_id: UUID) -> Ending:
    """What a conversation leaves behind in the database."""
    timeline = conversation.timeline
    last_ms = timeline.entries[-1].at_ms if timeline.entries else 0
    snapshot = conversation.snapshot(last_ms)
    reason = conversation.end_reason or "process_lost"
    return Ending(
        reason=reason,
        turns=_turns(snapshot),
        events=_events(snapshot),
        usage=books.ledger.summary(),
        cost_micro_usd=books.ledger.micro_usd,
        cost_complete=books.complete,
        entries=books.ledger.pending,
        completed=conversation.succeeded,
        resumable=reason in BROKE_OFF and not conversation.succeeded,
        flags=_flags(snapshot),
        job=_debrief_job(call_id, school_id),
    )


def ending_from_checkpoint(call: CallRow, reason: str) -> Ending:
    """What a call leaves behind that no driver closes: all that its last checkpoint holds.

    Where a process died over it, its cost is not complete.
    """
    job = _debrief_job(call.id, call.school_id) if call.connected_at is not None else None
    left = LeftBehind.by(call)
    if call.resume is None:
        return Ending(reason, cost_complete=left.complete, lost_response=left.lost_response, job=job)
    snapshot = Snapshot.read(call.resume)
    return Ending(
        reason,
        turns=_turns(snapshot),
        events=_events(snapshot),
        usage=left.usage,
        cost_micro_usd=left.usage.get("micro_usd"),
        cost_complete=left.complete,
        lost_response=left.lost_response,
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
