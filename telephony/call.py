"""One call: drives a leg, a model session and a conversation against the clock. Nothing clever lives here.

Audio takes the short way: a frame of the caller is converted and sent on within the callback that brought it; a delta
of the model is converted and handed to the playout, which says what to send now. Everything else goes to the
conversation as an event and comes back as commands. One timer per call serves the playout and the conversation.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import structlog

from telephony.audio.transcode import Transcoder
from telephony.clips import ClipKey
from telephony.ear import Ear
from telephony.leg import EndedBy, PhoneLeg
from telephony.link import RENEW_BEFORE_S, Connect, LinkNews, ModelLink
from telephony.playout import ItemHeard, Output, Playout, SendAudio, SendMark
from telephony.prompter import Clips, Prompter
from tutor.realtime import protocol
from tutor.realtime.session import BYTES_PER_MS
from tutor.realtime.tab import Unsettled, Used
from tutor.talk.conversation import Conversation
from tutor.talk.exchange import (
    AnswerTool,
    Aside,
    Began,
    Chime,
    Command,
    Cut,
    CutRole,
    Detect,
    End,
    Event,
    Forget,
    Heard,
    HungUp,
    Key,
    Listen,
    ModelBack,
    ModelLost,
    Noisy,
    Playing,
    Renew,
    Replay,
    Respond,
    Say,
    SayCut,
    SayHeard,
    Seed,
    SetSpeed,
    Tick,
)

log = structlog.get_logger(__name__)

KEPT_BYTES = 8_000
"""The last second of the caller, kept while voice detection is off (the greeting) and sent when it goes on."""

DEAF_AFTER_KEY_MS = 150
"""Key tones leak into the audio on some carriers; they must not be taken for speech (tutoring.md §5.2)."""

AFTER_GOODBYE_S = 0.3
"""What has left the carrier's buffer is still on its way to the ear."""

REPLAY_BYTES = 30 * 8_000
"""The longest turn of the role that key 3 repeats whole: half a minute."""

SILENCE = b"\xff"


class Call:
    """One caller's call: `run` serves it from the first frame of the leg to its end, `close` lets the model go."""

    def __init__(
        self,
        leg: PhoneLeg,
        connect: Connect,
        conversation: Conversation,
        *,
        transcoder: Transcoder,
        clips: Clips,
        voice: str,
        turn_detection: Mapping[str, Any],
        on_usage: Callable[[Used], None],
        clock: Callable[[], float],
        on_unsettled: Callable[[Unsettled], None] = lambda unsettled: None,
        on_news: Callable[[LinkNews], None] = lambda news: None,
        essential: Sequence[tuple[str, str]] = (),
        began_ms: int = 0,
        on_progress: Callable[[], None] | None = None,
        renew_before_s: float = RENEW_BEFORE_S,
        on_words: Callable[[str, str], None] | None = None,
    ) -> None:
        """Puts the call together; nothing happens before `run`.

        Args:
            leg: the caller.
            connect: opens a session with the model, set for the scene.
            conversation: what decides.
            transcoder: between the leg's audio and the model's.
            clips: fixed texts as audio.
            voice: the role's voice.
            turn_detection: how the model listens.
            on_usage: books what the model used.
            clock: monotonic seconds of the running loop.
            on_unsettled: books, at an estimate, what a session used and never said.
            on_news: told, for counting alone, what happens to the connection with the model.
            essential: (text, language) of what must be at hand when the model is not; read and kept in quiet moments.
            began_ms: where the call's clock stands: above 0 for a call that resumes.
            on_progress: told after each turn of the learner, each goal and each key: a checkpoint is due.
            renew_before_s: how long before its expiry a model session is replaced.
            on_words: told what was said in an item, by the learner or the role: a second listener may read it.
        """
        self._leg = leg
        self._link = ModelLink(
            connect,
            self,
            bytes_per_ms=BYTES_PER_MS[transcoder.format],
            on_back=lambda: self._feed(ModelBack()),
            on_gone=lambda: self._feed(ModelLost(again=False)),
            on_unsettled=on_unsettled,
            on_news=on_news,
            name=leg.info.call_id,
            renew_before_s=renew_before_s,
        )
        self._conversation = conversation
        self._transcoder = transcoder
        self._turn_detection = dict(turn_detection)
        self._ear = Ear(conversation.timeline, lambda: self.now_ms)
        self._on_usage = on_usage
        self._clock = clock
        self._began_ms = began_ms
        self._began = clock()
        self._on_progress = on_progress
        self._on_words = on_words
        self._playout = Playout()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ms = 0.0
        """When the timer rings, in the call's milliseconds: when something is due, or before."""
        self._closing: asyncio.Task[None] | None = None
        self._over = False
        self._left_alone = False
        """Whether the caller has gone: nobody waits any more."""

        self._listening = False
        self._kept = bytearray()
        self._deaf_until_ms: float | None = None

        self._events: deque[Event] = deque()
        self._handling = False

        self._speaking: set[str] = set()
        """Items of the role that have begun to play and are neither heard nor cut."""
        self._held: deque[tuple[str, bytes | None]] = deque()
        """Audio of the role that waits until a reading is whole; None marks an item's end."""
        self._last_item: str | None = None
        self._last_turn = bytearray()
        began_speed = conversation.speed
        self._prompter = Prompter(
            self,
            model=lambda: self._link.protocol,
            clips=clips,
            keys=lambda say: [
                ClipKey(say.text, say.language, voice, speed) for speed in (conversation.speed, began_speed)
            ],
            replay=lambda: bytes(self._last_turn),
            on_greeting=self._keep_greeting,
            essential=essential,
        )

    @property
    def now_ms(self) -> float:
        """Milliseconds since the call's media first began."""
        return (self._clock() - self._began) * 1000 + self._began_ms

    async def run(self) -> None:
        """Serves the call until its media has ended. `close` belongs after it."""
        self._began = self._clock()
        self._link.open()
        self._feed(Began())
        try:
            await self._leg.run(self)
        finally:
            self._over = True
            if self._timer is not None:
                self._timer.cancel()
            if self._closing is not None:
                self._closing.cancel()
                await asyncio.gather(self._closing, return_exceptions=True)

    async def settle(self) -> None:
        """Has the model say what its last answers used, and stops them: afterwards everything used is told."""
        await self._link.settle(haste=not self._left_alone)

    async def close(self) -> None:
        """Closes the model's session, which may take a moment: what came of the call can be written meanwhile."""
        await self._link.close()

    # --- the caller's side (LegListener)

    def on_caller_audio(self, ulaw: bytes) -> None:
        """A frame of the caller: on to the model at once, or kept while voice detection is off."""
        if not self._listening:
            self._kept += ulaw
            if len(self._kept) > KEPT_BYTES:
                del self._kept[:-KEPT_BYTES]
            return
        if self._deaf_until_ms is not None:
            if self.now_ms < self._deaf_until_ms:
                ulaw = SILENCE * len(ulaw)
            else:
                self._deaf_until_ms = None
        self._link.protocol.append(self._transcoder.to_model(ulaw))
        if self._ear.hear(ulaw):
            self._feed(Noisy())

    def on_key(self, digit: str) -> None:
        """A key: the tones that leak into the audio are dropped, the conversation decides."""
        self._deaf_until_ms = self.now_ms + DEAF_AFTER_KEY_MS
        self._feed(Key(digit))
        if self._on_progress is not None:
            self._on_progress()

    def on_mark(self, name: str) -> None:
        """An echo of the carrier."""
        self._emit(self._playout.mark(name, self.now_ms))

    def on_leg_end(self, by: EndedBy, detail: str) -> None:
        """The media is gone."""
        now_ms, model = self.now_ms, self._link.protocol
        self._left_alone = by == "caller"
        self._ear.end()
        for item in self._speaking:
            heard_ms = self._playout.heard_ms(item, now_ms)
            self._events.append(Cut(item, heard_ms, model.heard_text(item, heard_ms)))
        self._speaking.clear()
        self._feed(HungUp(by, detail))
        self._over = True

    # --- the model's side (ModelListener)

    def on_model_audio(self, item: str, audio: bytes, aside: tuple[str, str] | None) -> None:
        """Audio of the role, or of a reading outside the conversation."""
        ulaw = self._transcoder.to_caller(audio)
        if aside is not None:
            self._prompter.on_audio(item, aside[1], ulaw)
        elif self._prompter.reading or self._held:
            self._held.append((item, ulaw))
        else:
            self._role_audio(item, ulaw)

    def on_model_audio_end(self, item: str) -> None:
        """An item has no more audio."""
        self._transcoder.reset_to_caller()
        if self._prompter.on_audio_end(item):
            return
        if self._prompter.reading or self._held:
            self._held.append((item, None))
        else:
            self.sound_ends(item)

    def on_model_event(self, event: protocol.ModelEvent) -> None:
        """Everything of the model that is not audio."""
        if self._on_words is not None and isinstance(event, protocol.RoleSaid | protocol.LearnerSaid) and event.text:
            self._on_words(event.item, event.text)
        match event:
            case protocol.LearnerStarted():
                if self._conversation.interruptible:
                    self._cut(event)
                else:
                    self._feed(event)
            case protocol.AsideSaid(ref=ref, text=text):
                self._prompter.on_text(ref, text)
                self._feed(event)
            case protocol.Responded(purpose=purpose) if purpose is not None:
                self._prompter.on_responded(event)
                self._release_held()
            case Used():
                self._on_usage(event)
            case protocol.RequestRefused(code=code, sentence=sentence):
                log.error("model.request_refused", call=self._leg.info.call_id, code=code, said=sentence)
            case protocol.ModelFailed(code=code, sentence=sentence, again=again):
                log.error("model.failed", call=self._leg.info.call_id, code=code, said=sentence)
                self._lose_model(again)
            case protocol.LearnerSaid() | protocol.ToolCalled():
                self._feed(event)
                if self._on_progress is not None:
                    self._on_progress()
            case _:
                self._feed(event)

    def _lose_model(self, again: bool) -> None:
        """The session is gone: what it has given so far is heard out."""
        model = self._link.protocol
        unfinished = tuple((item, model.text(item)) for item in self._speaking if model.unfinished(item))
        for item, _ in unfinished:
            self.sound_ends(item)
        self._feed(ModelLost(again, unfinished))

    # --- sound (Mouth)

    def sound(self, item: str, ulaw: bytes) -> None:
        """Plays more of an item."""
        self._emit(self._playout.push(item, ulaw, self.now_ms))

    def sound_ends(self, item: str) -> None:
        """The item has no more sound."""
        self._emit(self._playout.end(item, self.now_ms))

    def tell(self, event: Event) -> None:
        """Something the conversation must know."""
        self._feed(event)

    def _role_audio(self, item: str, ulaw: bytes) -> None:
        if item != self._last_item:
            self._last_item = item
            self._last_turn.clear()
        if len(self._last_turn) < REPLAY_BYTES:
            self._last_turn += ulaw
        self.sound(item, ulaw)
        if item not in self._speaking:
            self._speaking.add(item)
            self._feed(Playing(item))

    def _release_held(self) -> None:
        while self._held and not self._prompter.reading:
            item, ulaw = self._held.popleft()
            if ulaw is None:
                self.sound_ends(item)
            else:
                self._role_audio(item, ulaw)

    def _keep_greeting(self, ulaw: bytes) -> None:
        self._last_turn[:] = ulaw[:REPLAY_BYTES]

    def _cut(self, by: protocol.LearnerStarted | None = None) -> None:
        """Silences the line at once, then tells the model what was heard, then the conversation.

        ``by``: the learner's voice, which the model's server has heard itself; without it we stop the role ourselves.
        """
        heard = self._playout.clear(self.now_ms)
        self._leg.clear()
        model = self._link.protocol
        model.interrupt(
            ((one.item, one.heard_ms, one.ended and one.heard_ms >= one.pushed_ms) for one in heard), cancel=by is None
        )
        self._transcoder.reset_to_caller()
        self._held.clear()
        cut = self._prompter.cut()
        for one in heard:
            ref = self._prompter.heard(one.item)
            if ref is not None:
                cut.append(SayCut(ref))
            elif one.item in self._speaking:
                self._speaking.discard(one.item)
                cut.append(Cut(one.item, one.heard_ms, model.heard_text(one.item, one.heard_ms)))
        for event in (by, *cut) if by is not None else cut:
            self._feed(event)
        self._arm()

    def _emit(self, outputs: Iterable[Output]) -> None:
        for output in outputs:
            match output:
                case SendAudio(ulaw):
                    self._leg.send_audio(ulaw)
                case SendMark(name):
                    self._leg.send_mark(name)
                case ItemHeard(item):
                    self._heard(item)
        self._arm()

    def _heard(self, item: str) -> None:
        ref = self._prompter.heard(item)
        if ref is not None:
            self._feed(SayHeard(ref))
        elif item in self._speaking:
            self._speaking.discard(item)
            self._feed(Heard(item, self._link.protocol.text(item)))

    # --- the conversation

    def _feed(self, event: Event) -> None:
        """Gives an event to the conversation and does what it says; events that arise meanwhile wait their turn."""
        self._events.append(event)
        if self._handling:
            return
        self._handling = True
        try:
            while self._events:
                for command in self._conversation.handle(self._events.popleft(), int(self.now_ms)):
                    self._do(command)
        finally:
            self._handling = False
        self._use_quiet()
        self._arm()

    def _do(self, command: Command) -> None:
        model = self._link.protocol
        match command:
            case Say() | Aside() | Replay() | Chime():
                self._prompter.add(command)
            case CutRole():
                self._cut()
            case Listen(on, answer):
                self._listen(on, answer=answer)
            case Detect(threshold, interrupt):
                self._detect(threshold, interrupt)
            case Forget(item):
                model.forget(item)
            case Seed(speaker, text):
                model.seed(speaker, text)
            case Respond(note):
                model.respond(note)
            case SetSpeed(speed):
                model.set_speed(speed)
            case AnswerTool(call_id, output, reply):
                model.answer_tool(call_id, output, reply)
            case Renew():
                self._listening = False
                self._held.clear()
                self._prompter.abandon()
                self._link.renew()
            case End():
                self._end()

    def _detect(self, threshold: float | None, interrupt: bool | None) -> None:
        if threshold is not None:
            self._turn_detection["threshold"] = threshold
        if interrupt is not None:
            self._turn_detection["interrupt_response"] = interrupt
        if self._listening:
            self._listen(True)

    def _listen(self, on: bool, *, answer: bool = True) -> None:
        detection = {**self._turn_detection, "create_response": answer} if on else None
        self._link.protocol.update({"audio": {"input": {"turn_detection": detection}}})
        if on and not self._listening:
            self._listening = True
            kept = bytes(self._kept)
            self._kept.clear()
            self._transcoder.reset_to_model()
            self._conversation.timeline.add(int(self.now_ms) - len(kept) // 8, "listening")
            if kept:
                self._link.protocol.append(self._transcoder.to_model(kept))
        elif not on:
            self._listening = False

    def _use_quiet(self) -> None:
        """What is best done while nobody speaks: renewing a session that expires soon, reading what may be needed."""
        if self._over or not self._conversation.quiet:
            return
        if self._link.fresh:
            self._listening = False
            self._prompter.abandon()
            self._link.swap()
            for seed in self._conversation.history():
                self._link.protocol.seed(seed.speaker, seed.text)
            self._listen(True)
        self._prompter.read_essentials()

    def _end(self) -> None:
        if self._closing is None and not self._over:
            self._closing = asyncio.create_task(self._close_leg(), name="call-close")

    async def _close_leg(self) -> None:
        await asyncio.sleep(AFTER_GOODBYE_S)
        await self._leg.close()

    # --- time

    def _arm(self) -> None:
        """Sets the call's one timer to whatever is due next."""
        if self._handling:
            return
        dues = (self._playout.next_due_ms, self._conversation.next_due_ms)
        due_ms = min((due for due in dues if due is not None), default=None)
        if due_ms is None or self._over:
            return
        if self._timer is not None:
            if self._timer_ms <= due_ms:
                return  # it rings no later, and sets itself anew: most of what is due moves away before it comes
            self._timer.cancel()
        self._timer_ms = due_ms
        delay_s = max(0.0, (due_ms - self.now_ms) / 1000)
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._emit(self._playout.due(self.now_ms))
        due_ms = self._conversation.next_due_ms
        if due_ms is not None and self.now_ms >= due_ms:
            self._feed(Tick())
        else:
            self._use_quiet()
