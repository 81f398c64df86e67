"""One call: drives a leg, a model session and a conversation against the clock. Nothing clever lives here.

Audio takes the short way: a frame of the caller is converted and sent on within the callback that brought it; a delta
of the model is converted and handed to the playout, which says what to send now. Everything else goes to the
conversation as an event and comes back as commands. One timer per call serves the playout and the conversation.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from telephony.audio.transcode import Transcoder
from telephony.clips import ClipKey
from telephony.leg import EndedBy, PhoneLeg
from telephony.playout import ItemHeard, Output, Playout, SendAudio, SendMark
from tutor.realtime import protocol
from tutor.realtime.protocol import RealtimeProtocol
from tutor.realtime.session import BYTES_PER_MS, ModelUnavailable
from tutor.talk import notes
from tutor.talk.conversation import Conversation
from tutor.talk.exchange import (
    AnswerTool,
    Aside,
    Began,
    Command,
    Cut,
    CutRole,
    End,
    Event,
    Heard,
    HungUp,
    Key,
    Listen,
    ModelLost,
    Playing,
    Replay,
    Respond,
    Say,
    SayCut,
    SayHeard,
    Seed,
    SetSpeed,
    Tick,
)
from tutor.talk.goals import words

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


class Clips(Protocol):
    """What a call needs of the clip shelf."""

    def get(self, key: ClipKey) -> bytes | None:
        """The clip, when it is at hand."""

    def keep(self, key: ClipKey, ulaw: bytes) -> None:
        """Adds a clip."""


class Session(Protocol):
    """What a call needs of a model session (`tutor.realtime.session.RealtimeSession`)."""

    def send(self, message: bytes) -> None:
        """Writes one event."""

    async def close(self) -> None:
        """Ends the session."""


class Connect(Protocol):
    """Opens a session that is set for the call's scene. Raises `ModelUnavailable`."""

    async def __call__(
        self, *, receive: Callable[[bytes], None], lost: Callable[[protocol.ModelFailed], None]
    ) -> Session: ...


@dataclass(slots=True)
class _Reading:
    """A fixed text or an aside that the model is speaking outside the conversation."""

    command: Say | Aside
    ulaw: bytearray
    item: str | None = None
    text: str | None = None


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
        on_usage: Callable[[protocol.Used], None],
        clock: Callable[[], float],
    ) -> None:
        """``clock``: monotonic seconds of the running loop; ``on_usage`` books what the model used."""
        self._leg = leg
        self._connect = connect
        self._session: Session | None = None
        self._unsent: list[bytes] = []
        """What the model will be told once its session is there: the greeting does not wait for it."""
        self._model = RealtimeProtocol(self._to_model, self, bytes_per_ms=BYTES_PER_MS[transcoder.format])
        self._conversation = conversation
        self._transcoder = transcoder
        self._clips = clips
        self._voice = voice
        self._turn_detection = turn_detection
        self._on_usage = on_usage
        self._clock = clock
        self._began = clock()
        self._playout = Playout()
        self._timer: asyncio.TimerHandle | None = None
        self._closing: asyncio.Task[None] | None = None
        self._over = False

        self._listening = False
        self._kept = bytearray()
        self._deaf_until_ms = 0.0

        self._events: deque[Event] = deque()
        self._handling = False

        self._speaking: set[str] = set()
        """Items of the role that have begun to play and are neither heard nor cut."""
        self._says: deque[Say | Aside | Replay] = deque()
        self._reading: _Reading | None = None
        self._refs: dict[str, str] = {}
        """Playout item -> ref of the fixed text, aside or replay that it is."""
        self._held: deque[tuple[str, bytes | None]] = deque()
        """Audio of the role that waits until a reading is whole; None marks an item's end."""
        self._last_turn = bytearray()
        self._last_item: str | None = None

    @property
    def now_ms(self) -> float:
        """Milliseconds since the call's media began."""
        return (self._clock() - self._began) * 1000

    async def run(self) -> None:
        """Serves the call until its media has ended. `close` belongs after it."""
        self._began = self._clock()
        self._feed(Began())
        connecting = asyncio.create_task(self._open_session(), name="call-connect")
        try:
            await self._leg.run(self)
        finally:
            self._over = True
            if self._timer is not None:
                self._timer.cancel()
            tasks = [task for task in (connecting, self._closing) if task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def close(self) -> None:
        """Closes the model's session, which may take a moment: what came of the call can be written meanwhile."""
        if self._session is not None:
            await self._session.close()

    async def _open_session(self) -> None:
        try:
            session = await self._connect(receive=self._model.receive, lost=self.on_model_event)
        except ModelUnavailable as error:
            log.error("model.unavailable", call=self._leg.info.call_id, code=error.code, problem=str(error))
            self._feed(ModelLost(again=False))
            return
        self._session = session
        unsent, self._unsent = self._unsent, []
        for message in unsent:
            session.send(message)

    def _to_model(self, message: bytes) -> None:
        if self._session is not None:
            self._session.send(message)
        else:
            self._unsent.append(message)

    # --- the caller's side (LegListener)

    def on_caller_audio(self, ulaw: bytes) -> None:
        """A frame of the caller: on to the model at once, or kept while voice detection is off."""
        if not self._listening:
            self._kept += ulaw
            if len(self._kept) > KEPT_BYTES:
                del self._kept[:-KEPT_BYTES]
            return
        if self._deaf_until_ms and self.now_ms < self._deaf_until_ms:
            ulaw = SILENCE * len(ulaw)
        self._model.append(self._transcoder.to_model(ulaw))

    def on_key(self, digit: str) -> None:
        """A key: the tones that leak into the audio are dropped, the conversation decides."""
        self._deaf_until_ms = self.now_ms + DEAF_AFTER_KEY_MS
        self._feed(Key(digit))

    def on_mark(self, name: str) -> None:
        """An echo of the carrier."""
        self._emit(self._playout.mark(name, self.now_ms))

    def on_leg_end(self, by: EndedBy, detail: str) -> None:
        """The media is gone."""
        for name in self._speaking:
            heard_ms = self._playout.heard_ms(name, self.now_ms)
            self._events.append(Cut(name, heard_ms, self._model.heard_text(name, heard_ms)))
        self._speaking.clear()
        self._feed(HungUp(by, detail))
        self._over = True

    # --- the model's side (ModelListener)

    def on_model_audio(self, item: str, audio: bytes, aside: tuple[str, str] | None) -> None:
        """Audio of the role, or of a reading outside the conversation."""
        ulaw = self._transcoder.to_caller(audio)
        if aside is not None:
            reading = self._reading
            if reading is None or reading.command.ref != aside[1]:
                return  # a reading that was cut off meanwhile
            if reading.item is None:
                reading.item = item
                self._refs[item] = reading.command.ref
            reading.ulaw += ulaw
            self._emit(self._playout.push(item, ulaw, self.now_ms))
        elif self._reading is not None:
            self._held.append((item, ulaw))
        else:
            self._role_audio(item, ulaw)

    def on_model_audio_end(self, item: str) -> None:
        """An item has no more audio."""
        self._transcoder.reset_to_caller()
        if self._reading is not None and self._reading.item != item:
            self._held.append((item, None))
        else:
            self._emit(self._playout.end(item, self.now_ms))

    def on_model_event(self, event: protocol.ModelEvent) -> None:
        """Everything of the model that is not audio."""
        match event:
            case protocol.LearnerStarted():
                if self._conversation.interruptible:
                    self._cut(cancel=False)
                    self._feed(event)
            case protocol.AsideSaid(ref=ref, text=text):
                if self._reading is not None and self._reading.command.ref == ref:
                    self._reading.text = text
            case protocol.Responded(purpose=None):
                self._feed(event)
            case protocol.Responded(ref=ref):
                if self._reading is not None and self._reading.command.ref == ref:
                    self._read_through(self._reading, event)
            case protocol.Used():
                self._on_usage(event)
            case protocol.RequestRefused(code=code, sentence=sentence):
                log.error("model.request_refused", call=self._leg.info.call_id, code=code, said=sentence)
            case protocol.ModelFailed(code=code, sentence=sentence):
                log.error("model.failed", call=self._leg.info.call_id, code=code, said=sentence)
                self._feed(ModelLost(again=False))
            case _:
                self._feed(event)

    # --- speaking

    def _role_audio(self, item: str, ulaw: bytes) -> None:
        if item != self._last_item:
            self._last_item = item
            self._last_turn.clear()
        if len(self._last_turn) < REPLAY_BYTES:
            self._last_turn += ulaw
        outputs = self._playout.push(item, ulaw, self.now_ms)
        if item not in self._speaking:
            self._speaking.add(item)
            self._emit(outputs)
            self._feed(Playing(item))
        else:
            self._emit(outputs)

    def _next_say(self) -> None:
        """Speaks what is next in line; a reading by the model is waited for, so that two never mix."""
        while self._says and self._reading is None:
            command = self._says.popleft()
            ulaw = self._ready(command)
            if ulaw is not None:
                item = f"say-{command.ref}"
                self._refs[item] = command.ref
                if command.ref.startswith("greeting"):
                    self._last_turn[:] = ulaw
                outputs = self._playout.push(item, ulaw, self.now_ms)
                self._emit(outputs + self._playout.end(item, self.now_ms))
            elif isinstance(command, Replay):
                self._feed(SayCut(command.ref))
            else:
                self._read(command)

    def _ready(self, command: Say | Aside | Replay) -> bytes | None:
        if isinstance(command, Replay):
            return bytes(self._last_turn) or None
        return self._clips.get(self._clip_key(command)) if isinstance(command, Say) else None

    def _read(self, command: Say | Aside) -> None:
        self._reading = _Reading(command, bytearray())
        if isinstance(command, Say):
            instructions = notes.read_aloud(command.language) + f"«{command.text}»"
            self._model.aside("read", command.ref, instructions, [command.text])
        else:
            purpose = command.ref.rpartition("-")[0]
            self._model.aside(purpose, command.ref, command.instructions, command.texts)

    def _read_through(self, reading: _Reading, ended: protocol.Responded) -> None:
        """A reading is generated whole (or failed): keep it as a clip when it said just the text, and go on."""
        self._reading = None
        command = reading.command
        if reading.item is None:
            self._feed(SayCut(command.ref))
        elif command.ref.startswith("greeting"):
            self._last_turn[:] = reading.ulaw
        if isinstance(command, Say) and ended.status == "completed" and reading.item is not None and not ended.cut:
            if words(reading.text or "") == words(command.text):
                self._clips.keep(self._clip_key(command), bytes(reading.ulaw))
            else:
                log.warning("clip.misread", wanted=command.text, said=reading.text)
        self._next_say()
        self._release_held()

    def _release_held(self) -> None:
        while self._held and self._reading is None:
            item, ulaw = self._held.popleft()
            if ulaw is None:
                self._emit(self._playout.end(item, self.now_ms))
            else:
                self._role_audio(item, ulaw)

    def _clip_key(self, command: Say) -> ClipKey:
        return ClipKey(command.text, command.language, self._voice, self._conversation.speed)

    def _cut(self, *, cancel: bool) -> None:
        """Silences the line at once, then tells the model what was heard, then the conversation."""
        heard = self._playout.clear(self.now_ms)
        self._leg.clear()
        self._model.interrupt(
            ((one.item, one.heard_ms, one.ended and one.heard_ms >= one.pushed_ms) for one in heard), cancel=cancel
        )
        self._transcoder.reset_to_caller()
        cut: list[Event] = [SayCut(command.ref) for command in self._says]
        if self._reading is not None and self._reading.item is None:
            cut.append(SayCut(self._reading.command.ref))
        self._says.clear()
        self._reading = None
        self._held.clear()
        for one in heard:
            ref = self._refs.pop(one.item, None)
            if ref is not None:
                cut.append(SayCut(ref))
            elif one.item in self._speaking:
                self._speaking.discard(one.item)
                cut.append(Cut(one.item, one.heard_ms, self._model.heard_text(one.item, one.heard_ms)))
        for event in cut:
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
        ref = self._refs.pop(item, None)
        if ref is not None:
            self._feed(SayHeard(ref))
        elif item in self._speaking:
            self._speaking.discard(item)
            self._feed(Heard(item, self._model.text(item)))

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
        self._arm()

    def _do(self, command: Command) -> None:
        model = self._model
        match command:
            case Say() | Aside() | Replay():
                self._says.append(command)
                self._next_say()
            case CutRole():
                self._cut(cancel=True)
            case Listen(on):
                self._listen(on)
            case Seed(speaker, text):
                model.seed(speaker, text)
            case Respond(note):
                model.respond(note)
            case SetSpeed(speed):
                model.set_speed(speed)
            case AnswerTool(call_id, output, reply):
                model.answer_tool(call_id, output, reply)
            case End():
                self._end()

    def _listen(self, on: bool) -> None:
        detection = self._turn_detection if on else None
        self._model.update({"audio": {"input": {"turn_detection": detection}}})
        if on and not self._listening:
            self._listening = True
            kept = bytes(self._kept)
            self._kept.clear()
            self._conversation.timeline.add(int(self.now_ms) - len(kept) // 8, "listening")
            if kept:
                self._model.append(self._transcoder.to_model(kept))
        elif not on:
            self._listening = False

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
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if due_ms is not None and not self._over:
            delay_s = max(0.0, (due_ms - self.now_ms) / 1000)
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._emit(self._playout.due(self.now_ms))
        due_ms = self._conversation.next_due_ms
        if due_ms is not None and self.now_ms >= due_ms:
            self._feed(Tick())
