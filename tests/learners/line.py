"""A line without wires: the real conversation core, a scripted role, and a learner, on a virtual clock.

It stands where `telephony.call` stands and does what a driver does, in the same order: sound takes its time, a voice
over the role's silences it, what was heard comes back as heard. Everything that happens is written down as a
transcript. It knows no socket and no audio.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.learners.transcript import Transcript
from tutor.learning.timeline import Timeline
from tutor.realtime import protocol
from tutor.script.scene import Scene
from tutor.talk.conversation import Conversation
from tutor.talk.exchange import (
    Aside,
    Began,
    Chime,
    Command,
    Cut,
    CutRole,
    Detect,
    End,
    Event,
    Heard,
    Key,
    Listen,
    ModelBack,
    Playing,
    Renew,
    Replay,
    Respond,
    Say,
    SayCut,
    SayHeard,
    Tick,
)
from tutor.talk.rules import Rules
from tutor.talk.state import Phase

CHARACTERS_PER_S = 14.0
"""How fast everybody speaks: what espeak-ng needs at a normal rate."""

CHIME_MS = 300
ANSWER_MS = 500
"""From the end of a turn, as the voice detection finds it, to the role's first sound."""

TRANSCRIPT_MS = 300
"""From there to the learner's words in writing."""

RENEWED_MS = 800
POLITE_MS = 500
"""How long a learner waits after somebody else was faster."""

Calls = tuple[tuple[str, Mapping[str, str]], ...]
"""Tools that the role calls in a turn: name and arguments."""


@dataclass(slots=True)
class _Sound:
    """Something that is heard on the line, or waits for its turn."""

    name: str
    text: str
    length_ms: int
    speaker: str
    calls: Calls = ()
    began_ms: int | None = None
    timer: asyncio.TimerHandle | None = None

    @property
    def is_role(self) -> bool:
        return self.speaker == "role" and self.name.startswith("r")


@dataclass
class Line:
    """One call. Learners use `says`, `overlaps`, `presses`, `listens` and `stays`."""

    scene: Scene
    rules: Rules
    again: tuple[str, ...] = ("¿Perdón?",)
    """What the role says when it is asked for a turn that no learner's words called for, in turn."""
    asides: Mapping[str, str] = field(default_factory=dict)
    """What is said outside the conversation, by what was asked about, or by purpose."""

    def __post_init__(self) -> None:
        self.transcript = Transcript(self.scene)
        self.timeline = Timeline(self.transcript.entry)
        self.talk = Conversation(self.scene, self.rules, self.timeline)
        self.ended = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._events: deque[Event] = deque()
        self._handling = False
        self._queue: deque[_Sound] = deque()
        self._playing: _Sound | None = None
        self._last_turn = ""
        self._timer: asyncio.TimerHandle | None = None
        self._answer: asyncio.TimerHandle | None = None
        """The role is about to speak."""
        self._listening = self._answering = False
        self._interrupting = True
        self._speaking = False
        self._items = self._calls = self._asked = 0
        self._changed = asyncio.Event()

    @property
    def now_ms(self) -> int:
        """The call's clock."""
        return round(self._loop.time() * 1000)

    # --- what learners do

    async def says(
        self,
        text: str,
        *,
        role: str | None = None,
        goals: Mapping[str, str] | None = None,
        ends: bool = False,
        after_s: float = 1.0,
        for_s: float | None = None,
        role_after_s: float = ANSWER_MS / 1000,
    ) -> None:
        """Waits for their turn, thinks, and says something.

        Args:
            text: what the transcriber makes of it; empty: nothing.
            role: what the role answers; None: it waits without a word.
            goals: goals that the role marks in its answer, with the words it quotes.
            ends: whether the role ends the call with its answer.
            after_s: how long they think, from when the line was quiet.
            for_s: how long they speak; as long as it takes unless given.
            role_after_s: how long the role thinks.
        """
        await self._turn_comes(after_s)
        await self._speak(text, role, goals or {}, ends, for_s, role_after_s)

    async def overlaps(
        self,
        text: str = "",
        *,
        role: str | None = None,
        into_s: float = 0.6,
        for_s: float | None = 0.4,
        goals: Mapping[str, str] | None = None,
    ) -> None:
        """Is heard while the role speaks, so long into its turn: a word, a cough, or the role's own echo."""
        await self._until(lambda: self._playing is not None and self._playing.is_role)
        await asyncio.sleep(into_s)
        await self._speak(text, role, goals or {}, False, for_s, ANSWER_MS / 1000)

    async def presses(self, digit: str, *, after_s: float = 1.0, at_once: bool = False) -> None:
        """Presses a key in their turn, or ``at_once``, whoever speaks."""
        if not at_once:
            await self._turn_comes(after_s)
        else:
            await asyncio.sleep(after_s)
        if not self.ended.is_set():
            self.transcript.told("learner", f"presses {digit}", self.now_ms)
            self._give(Key(digit))

    async def listens(self, seconds: float) -> None:
        """Does nothing for a while."""
        await asyncio.sleep(seconds)

    async def stays(self) -> None:
        """Does nothing any more until the call has ended."""
        await self.ended.wait()

    # --- the call

    def begin(self) -> None:
        """The caller's media is there."""
        self._give(Began())

    async def _turn_comes(self, after_s: float) -> None:
        await self._until(self._is_their_turn)
        await asyncio.sleep(after_s)
        while not self._is_their_turn() and not self.ended.is_set():
            await self._until(self._is_their_turn)
            await asyncio.sleep(POLITE_MS / 1000)

    def _is_their_turn(self) -> bool:
        nobody = self._playing is None and not self._queue and self._answer is None and not self._speaking
        return nobody and self._listening and self.talk.phase is Phase.TALKING

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds() and not self.ended.is_set():
            self._changed.clear()
            await self._changed.wait()

    async def _speak(
        self,
        text: str,
        role: str | None,
        goals: Mapping[str, str],
        ends: bool,
        for_s: float | None,
        role_after_s: float,
    ) -> None:
        if self.ended.is_set():
            return
        length_s = for_s if for_s is not None else max(0.4, len(text) / CHARACTERS_PER_S)
        if not self._listening:
            self.transcript.told("learner", f"«{text}» (nobody listens)", self.now_ms)
            await asyncio.sleep(length_s)
            return
        self._items += 1
        item, self._speaking = f"u{self._items}", True
        self.transcript.told("learner", f"«{text}»" if text else "(a sound without words)", self.now_ms)
        self._forget_answer()
        cuts = self.talk.interruptible and self._interrupting
        self._give(protocol.LearnerStarted(item, self.now_ms))
        if cuts:
            self._silence()
        await asyncio.sleep(length_s + self.scene.level.silence_ms / 1000)
        self._speaking = False
        self._give(protocol.LearnerStopped(item, self.now_ms))
        self._give(protocol.LearnerCommitted(item))
        calls: Calls = tuple(("mark_goal", {"goal": goal, "quote": quote}) for goal, quote in goals.items())
        if ends:
            calls = (*calls, ("end_call", {"reason": "scene_finished"}))
        if self._answering and not self.ended.is_set():
            self._answer_soon(role, calls, role_after_s)
        self._loop.call_later(TRANSCRIPT_MS / 1000, self._give, protocol.LearnerSaid(item, text))

    # --- the role

    def _answer_soon(self, line: str | None, calls: Calls, after_s: float) -> None:
        self._forget_answer()
        self._answer = self._loop.call_later(after_s, self._answer_now, line, calls)

    def _answer_now(self, line: str | None, calls: Calls) -> None:
        self._answer = None
        if line is None:
            self._call("wait_for_learner", {})
            self._give(protocol.Responded("completed", None, None, "", spoke=False, cut=False))
            return
        self._items += 1
        self._play(_Sound(f"r{self._items}", line, self._length_ms(line), "role", calls))

    def _forget_answer(self) -> None:
        if self._answer is not None:
            self._answer.cancel()
            self._answer = None

    def _call(self, name: str, arguments: Mapping[str, str]) -> None:
        self._calls += 1
        self._give(protocol.ToolCalled(f"c{self._calls}", name, json.dumps(arguments, ensure_ascii=False)))

    # --- sound

    def _length_ms(self, text: str) -> int:
        return max(300, round(len(text) / CHARACTERS_PER_S / self.talk.speed * 1000))

    def _play(self, sound: _Sound) -> None:
        self._queue.append(sound)
        self._next_sound()

    def _next_sound(self) -> None:
        if self._playing is not None or not self._queue or self.ended.is_set():
            self._changed.set()
            return
        sound = self._playing = self._queue.popleft()
        sound.began_ms = self.now_ms
        sound.timer = self._loop.call_later(sound.length_ms / 1000, self._sound_ends, sound)
        self.transcript.told(sound.speaker, f"«{sound.text}»" if sound.speaker != "line" else sound.text, self.now_ms)
        if sound.is_role:
            self._last_turn = sound.text
            self._give(Playing(sound.name))
            self._give(protocol.RoleSaid(sound.name, sound.text))
            for name, arguments in sound.calls:
                self._call(name, arguments)
            self._give(protocol.Responded("completed", None, None, "", spoke=True, cut=False))
        elif sound.name.startswith(("translate-", "paraphrase-", "word-")):
            purpose = sound.name.partition("-")[0]
            self._give(protocol.AsideSaid(purpose, sound.name, f"a-{sound.name}", sound.text))
        self._changed.set()

    def _sound_ends(self, sound: _Sound) -> None:
        self._playing = None
        self._give(Heard(sound.name, sound.text) if sound.is_role else SayHeard(sound.name))
        self._next_sound()

    def _silence(self) -> None:
        """Silences the line at once; what was still to be heard is told as cut."""
        sounds = [sound for sound in (self._playing, *self._queue) if sound is not None]
        self._playing = None
        self._queue.clear()
        for sound in sounds:
            if sound.timer is not None:
                sound.timer.cancel()
            heard_ms = 0 if sound.began_ms is None else self.now_ms - sound.began_ms
            heard = sound.text[: round(len(sound.text) * heard_ms / sound.length_ms)]
            if sound.began_ms is not None:
                self.transcript.told(sound.speaker, f"is cut off after {heard_ms / 1000:.1f} s", self.now_ms)
            self._give(Cut(sound.name, heard_ms, heard) if sound.is_role else SayCut(sound.name))

    # --- the conversation

    def _give(self, event: Event) -> None:
        """Gives an event to the conversation and does what it says; events that arise meanwhile wait their turn."""
        self._events.append(event)
        if self._handling:
            return
        self._handling = True
        while self._events and not self.ended.is_set():
            for command in self.talk.handle(self._events.popleft(), self.now_ms):
                self.transcript.command(command, self.now_ms)
                self._do(command)
        self._handling = False
        self._arm()
        self._changed.set()

    def _do(self, command: Command) -> None:
        match command:
            case Say(ref, text, _):
                speaker = "role" if ref.startswith(("greeting", "goodbye", "one_moment")) else "helper"
                speaker = "role" if ref.startswith(("encourage", "more_time")) else speaker
                self._play(_Sound(ref, text, self._length_ms(text), speaker))
            case Aside(ref, _, texts):
                text = self.asides.get(texts[0]) or self.asides.get(ref.partition("-")[0], "…")
                self._play(_Sound(ref, text, self._length_ms(text), "helper"))
            case Replay(ref):
                self._play(_Sound(ref, self._last_turn or "…", self._length_ms(self._last_turn), "role"))
            case Chime(ref, name):
                self._play(_Sound(ref, f"♪ {name}", CHIME_MS, "line"))
            case CutRole():
                self._forget_answer()
                self._silence()
            case Listen(on, answer):
                self._listening, self._answering = on, answer
            case Detect(interrupt=interrupt) if interrupt is not None:
                self._interrupting = interrupt
            case Respond():
                line = self.again[min(self._asked, len(self.again) - 1)]
                self._asked += 1
                self._answer_soon(line, (), ANSWER_MS / 1000)
            case Renew():
                self._loop.call_later(RENEWED_MS / 1000, self._give, ModelBack())
            case End():
                self._forget_answer()
                if self._timer is not None:
                    self._timer.cancel()
                self.ended.set()
            case _:
                pass  # what is told to the model only; the transcript has it

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due_ms = self.talk.next_due_ms
        if due_ms is not None and not self.ended.is_set():
            self._timer = self._loop.call_at(max(due_ms / 1000, self._loop.time()), self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._give(Tick())
