"""The conversation of one call, sans-I/O: events in, commands out, on the call's own clock.

It decides what the keys do, when help comes by itself, what counts as a goal reached, and how the call ends. It knows
no telephone, no socket and no database; `telephony.call` carries out what it says. All times are milliseconds since
the caller's media began.

Phases: OPENING (the role's first line; voice detection is off, so the learner's "hello?" cannot cut it), TALKING,
CLOSING (a goodbye is being heard; nothing may cut it any more), ENDED (exactly one `End` was given).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from tutor.learning.timeline import Speaker, Timeline
from tutor.realtime import protocol
from tutor.script.scene import Scene
from tutor.talk import notes, tools
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
    ModelBack,
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
from tutor.talk.goals import Goals, Verdict
from tutor.talk.scaffold import HintLadder, StuckLadder

SPEED_STEP = 0.1
SPEED_MIN, SPEED_MAX = 0.7, 1.1
"""The range in which a slowed or quickened voice still sounds like the same person (tutoring.md §5.2, §5.9)."""

END_AGAIN_MS = 5_000
"""0 asks; 0 again while the question is spoken or within this time after it ends."""

TRANSLATE_AGAIN_MS = 20_000
DEBOUNCE_MS = 250
MINUTE_MS = 60_000
CLOSING_MS = 20_000
"""The longest a goodbye may take before the line is closed over it."""

OVERDUE_MS = 8_000
"""Without a word of the role this long after the learner's turn, the model is asked once more."""


class Phase(Enum):
    """Where the call is."""

    OPENING = auto()
    TALKING = auto()
    CLOSING = auto()
    ENDED = auto()


@dataclass(frozen=True, slots=True)
class Rules:
    """What the operator sets for one call."""

    limit_ms: int
    """When the call ends by itself."""
    speed: float | None = None
    """The voice's speed at the start; None: the level's."""


class Conversation:
    """One call's conversation. Feed `handle`; call it with `Tick` when `next_due_ms` has come."""

    def __init__(self, scene: Scene, rules: Rules, timeline: Timeline) -> None:
        self.scene = scene
        self.timeline = timeline
        self.phase = Phase.OPENING
        self.goals = Goals(scene.scenario.goals)
        self.speed = rules.speed if rules.speed is not None else scene.level.speed
        self.end_reason: str | None = None
        self._limit_ms = rules.limit_ms
        self._warned = False
        self._stuck = StuckLadder(scene.level.stuck_s)
        self._hints = HintLadder()
        self._sounding: set[str] = set()
        """Items of the role, and fixed texts, that were begun and are not yet heard or cut."""
        self._learner_speaks = False
        self._steering: deque[str] = deque()
        self._last_line = scene.greeting
        self._end_asked_ms: int | None = None
        self._translated_ms: int | None = None
        self._last_key: tuple[str, int] = ("", -DEBOUNCE_MS)
        self._closing_until_ms: int | None = None
        self._overdue_ms: int | None = None
        self._overdue_asked = False
        self._turn_ended_ms: int | None = None
        """When the learner's last turn was found to have ended, until the role answers it."""
        self._refs = 0
        self._keys: dict[str, Callable[[int], list[Command]]] = {
            "0": self._key_end,
            "1": self._key_hint,
            "2": self._key_slower,
            "3": self._key_repeat,
            "4": self._key_translate,
            "6": self._key_goals,
            "7": self._key_faster,
            "9": self._key_safe_exit,
        }

    # --- the outside

    @property
    def interruptible(self) -> bool:
        """Whether the learner's voice cuts what is playing: always, except over the greeting and a goodbye."""
        return self.phase is Phase.TALKING

    @property
    def succeeded(self) -> bool:
        """Whether enough of the scene's goals were reached."""
        scenario = self.scene.scenario
        return sum(goal in self.goals.earned for goal in scenario.success_of) >= scenario.success_need

    @property
    def next_due_ms(self) -> int | None:
        """When `Tick` is wanted."""
        if self.phase is Phase.ENDED:
            return None
        dues = [self._closing_until_ms, self.goals.next_due_ms]
        if self.phase is Phase.TALKING:
            warn_ms = None if self._warned else self._limit_ms - MINUTE_MS
            dues += [self._stuck.next_due_ms, self._overdue_ms, warn_ms, self._limit_ms]
        return min((due for due in dues if due is not None), default=None)

    def handle(self, event: Event, now_ms: int) -> list[Command]:
        """Takes one event; returns what is to be done, in order."""
        if self.phase is Phase.ENDED:
            return []
        match event:
            case Began():
                return self._begin(now_ms)
            case Key(digit):
                return self._on_key(digit, now_ms)
            case Playing(item):
                return self._on_playing(item, now_ms)
            case Heard(item, text):
                return self._on_heard(item, text, now_ms)
            case Cut(item, heard_ms, text):
                return self._on_cut(item, heard_ms, text, now_ms)
            case SayHeard(ref):
                return self._on_said(ref, now_ms, cut=False)
            case SayCut(ref):
                return self._on_said(ref, now_ms, cut=True)
            case Tick():
                return self._on_tick(now_ms)
            case HungUp(by, detail):
                return self._ended(f"{by}_hung_up" if by == "caller" else "line_lost", now_ms, detail=detail)
            case ModelLost() | ModelBack():
                return self._on_model(event, now_ms)
            case _:
                return self._on_model_event(event, now_ms)

    # --- opening

    def _begin(self, now_ms: int) -> list[Command]:
        scene = self.scene
        self.timeline.add(
            now_ms,
            "began",
            scenario=scene.scenario.id,
            level=scene.level.name,
            native=scene.native.tag,
            target=scene.target.tag,
        )
        return [Seed("role", scene.greeting), *self._say("greeting", scene.greeting, scene.target.tag, now_ms)]

    def _open_the_floor(self, now_ms: int) -> list[Command]:
        self.phase = Phase.TALKING
        self._stuck.quiet(now_ms)
        return [Listen(True)]

    # --- what was heard

    def _on_playing(self, item: str, now_ms: int) -> list[Command]:
        self._sounding.add(item)
        self._stuck.hold()
        self._overdue_ms = None
        self._overdue_asked = False
        self.timeline.begin(now_ms, "role", item)
        answered_ms = None if self._turn_ended_ms is None else now_ms - self._turn_ended_ms
        self._turn_ended_ms = None
        self.timeline.add(now_ms, "role_began", item=item, answered_ms=answered_ms)
        return []

    def _on_heard(self, item: str, text: str, now_ms: int) -> list[Command]:
        self._sounding.discard(item)
        self._last_line = text or self._last_line
        self.timeline.end(now_ms, item, text=text)
        self.timeline.add(now_ms, "role_said", item=item, text=text)
        return self._after_sound(now_ms)

    def _on_cut(self, item: str, heard_ms: int, text: str, now_ms: int) -> list[Command]:
        self._sounding.discard(item)
        self.timeline.end(now_ms, item, text=text, cut=True)
        if heard_ms > 0:
            self._last_line = text or self._last_line
            self.timeline.add(now_ms, "role_cut", item=item, heard_ms=heard_ms, text=text)
        return self._after_sound(now_ms)

    def _on_said(self, ref: str, now_ms: int, *, cut: bool) -> list[Command]:
        self._sounding.discard(ref)
        self.timeline.end(now_ms, ref, cut=cut)
        if ref.startswith("end-") and self._end_asked_ms is not None:
            self._end_asked_ms = now_ms  # the time to answer begins when the question was heard
        if self.phase is Phase.OPENING and ref.startswith("greeting"):
            return self._open_the_floor(now_ms)
        return self._after_sound(now_ms)

    def _after_sound(self, now_ms: int) -> list[Command]:
        if self._sounding:
            return []
        if self.phase is Phase.CLOSING:
            return self._ended(self.end_reason or "role", now_ms)
        if self.phase is not Phase.TALKING or self._learner_speaks:
            return []
        self._stuck.quiet(now_ms)
        # The role's turn was heard and the learner has not begun: the one moment in which steering may go in.
        steer: list[Command] = [Seed("note", text) for text in self._steering]
        self._steering.clear()
        return steer

    # --- the model

    def _on_model_event(self, event: protocol.ModelEvent, now_ms: int) -> list[Command]:
        match event:
            case protocol.LearnerStarted(item, audio_ms):
                self._learner_speaks = True
                self.timeline.add(now_ms, "learner_started", item=item, audio_ms=audio_ms)
                self._stuck.reset()
                self._end_asked_ms = None
                self._overdue_ms = None
                self.timeline.begin(now_ms, "learner", item)
            case protocol.LearnerStopped(item, audio_ms):
                self._learner_speaks = False
                self.timeline.add(now_ms, "learner_stopped", item=item, audio_ms=audio_ms)
                self.timeline.end(now_ms, item)
                self._turn_ended_ms = now_ms
                self._overdue_ms = now_ms + OVERDUE_MS
                self._overdue_asked = False
            case protocol.LearnerSaid(item, text):
                return self._on_transcript(item, text, now_ms)
            case protocol.RoleSaid(_, text):
                self._last_line = text
            case protocol.ToolCalled():
                return self._on_tool(event, now_ms)
            case protocol.Responded(purpose=None) as responded:
                return self._on_responded(responded, now_ms)
            case _:
                return []
        return []

    def _on_transcript(self, item: str, text: str | None, now_ms: int) -> list[Command]:
        for turn in self.timeline.learner_turns():
            if turn.item == item:
                turn.text = (text or "").strip()
        self.timeline.add(now_ms, "learner_said", item=item, text=(text or "").strip() or None)
        return self._verdicts(self.goals.decide(self.timeline.learner_turns(), now_ms), now_ms)

    def _on_responded(self, responded: protocol.Responded, now_ms: int) -> list[Command]:
        if responded.status == "failed":
            self.timeline.add(now_ms, "role_failed", reason=responded.reason)
            self._overdue_ms = now_ms + OVERDUE_MS // 4
            return []
        if not responded.spoke and not self._sounding:
            # A silent turn (noise, a tool): nobody will speak until the learner does.
            self._overdue_ms = None
            return self._after_sound(now_ms)
        return []

    def _on_tool(self, call: protocol.ToolCalled, now_ms: int) -> list[Command]:
        given = tools.arguments(call.arguments)
        match call.name:
            case "mark_goal":
                turns = self.timeline.learner_turns()
                goal, quote = given.get("goal", ""), given.get("quote", "")
                return self._verdicts(self.goals.claim(call.call_id, goal, quote, turns, now_ms), now_ms)
            case "wait_for_learner":
                return [AnswerTool(call.call_id, {"ok": True}, "never")]
            case "end_call":
                answer = AnswerTool(call.call_id, {"ok": True}, "never")
                return [answer, *self._close("role", now_ms, goodbye=not self._sounding)]
            case _:
                return [AnswerTool(call.call_id, {"ok": False, "reason": "there is no such tool"}, "if_silent")]

    def _verdicts(self, verdicts: list[Verdict], now_ms: int) -> list[Command]:
        commands: list[Command] = []
        for verdict in verdicts:
            if verdict.accepted:
                self.timeline.add(now_ms, "goal", goal=verdict.goal, quote=verdict.quote, evidence=verdict.evidence)
                left = [goal.id for goal in self.goals.left]
                commands.append(AnswerTool(verdict.call_id, {"ok": True, "left": left}, "if_silent"))
            else:
                self.timeline.add(now_ms, "goal_refused", goal=verdict.goal, reason=verdict.reason)
                refusal = {"ok": False, "reason": verdict.reason}
                commands.append(AnswerTool(verdict.call_id, refusal, "if_silent"))
        return commands

    def _on_model(self, event: ModelLost | ModelBack, now_ms: int) -> list[Command]:
        if isinstance(event, ModelBack):
            self.timeline.add(now_ms, "model_back")
            return [Listen(True), Respond(notes.RESUME)] if self.phase is Phase.TALKING else []
        self.timeline.add(now_ms, "model_lost")
        self._learner_speaks = False
        if self.phase is Phase.CLOSING:
            return self._ended(self.end_reason or "model_lost", now_ms)
        if event.again:
            return self._say("holding", self.scene.native.say("call.holding"), self.scene.native.tag, now_ms)
        self.phase = Phase.CLOSING
        self.end_reason = "model_lost"
        self._closing_until_ms = now_ms + CLOSING_MS
        return self._say("lost", self.scene.native.say("call.lost"), self.scene.native.tag, now_ms)

    # --- the keys

    def _on_key(self, digit: str, now_ms: int) -> list[Command]:
        last, at_ms = self._last_key
        self._last_key = (digit, now_ms)
        if digit == last and now_ms - at_ms < DEBOUNCE_MS:
            return []
        self.timeline.add(now_ms, "key", digit=digit)
        if self.phase is Phase.CLOSING:
            return []
        self._stuck.reset()
        if digit != "0":
            self._end_asked_ms = None
        press = self._keys.get(digit)
        if press is None:
            if not self._sounding and self.phase is Phase.TALKING:
                self._stuck.quiet(now_ms)
            return []
        # A key is an answer: whoever speaks is cut, the greeting included.
        return [CutRole(), *press(now_ms)]

    def _key_hint(self, now_ms: int) -> list[Command]:
        native = self.scene.native
        hint = self._hints.press(self.goals, now_ms)
        if hint is None:
            return self._say("hint", native.say("call.hint_none"), native.tag, now_ms)
        goal, rung = hint
        key = ("call.hint_keyword", "call.hint_start", "call.hint_whole")[rung]
        phrase = self.scene.hint(goal, rung)
        self.timeline.add(now_ms, "hint", goal=goal, rung=rung, phrase=phrase)
        self._steering.append(notes.hinted(goal))
        return self._say("hint", native.say(key, phrase=phrase), native.tag, now_ms)

    def _key_slower(self, now_ms: int) -> list[Command]:
        return self._pace(-SPEED_STEP, notes.SLOWER, now_ms)

    def _key_faster(self, now_ms: int) -> list[Command]:
        return self._pace(SPEED_STEP, notes.FASTER, now_ms)

    def _pace(self, step: float, note: str, now_ms: int) -> list[Command]:
        self.speed = round(min(SPEED_MAX, max(SPEED_MIN, self.speed + step)), 2)
        self.timeline.add(now_ms, "speed", speed=self.speed)
        return [SetSpeed(self.speed), Respond(note)]

    def _key_repeat(self, now_ms: int) -> list[Command]:
        ref = self._ref("replay")
        self._sounding.add(ref)
        self.timeline.add(now_ms, "repeat")
        return [Replay(ref)]

    def _key_translate(self, now_ms: int) -> list[Command]:
        again = self._translated_ms is not None and now_ms - self._translated_ms <= TRANSLATE_AGAIN_MS
        easier_first = self.scene.level.name not in ("A1", "A2") and not again
        self._translated_ms = now_ms
        purpose = "paraphrase" if easier_first else "translate"
        ref = self._ref(purpose)
        self._sounding.add(ref)
        self.timeline.add(now_ms, purpose, text=self._last_line)
        instructions = notes.paraphrase(self.scene) if easier_first else notes.translate(self.scene)
        return [Aside(ref, instructions, (self._last_line,))]

    def _key_goals(self, now_ms: int) -> list[Command]:
        native = self.scene.native
        done = [self.scene.can_do(goal) for goal in self.goals.earned]
        left = [self.scene.can_do(goal.id) for goal in self.goals.left if not goal.optional]
        if not left:
            text = native.say("call.goals_all_done")
        elif not done:
            text = native.say("call.goals_none_done") + " " + native.say("call.goals_left", left=native.enumerate(left))
        else:
            text = native.say("call.goals_done", done=native.enumerate(done))
            text += " " + native.say("call.goals_left", left=native.enumerate(left))
        self.timeline.add(now_ms, "goals_asked", done=list(self.goals.earned))
        return self._say("goals", text, native.tag, now_ms)

    def _key_safe_exit(self, now_ms: int) -> list[Command]:
        self.timeline.add(now_ms, "safe_exit")
        return self._close("safe_exit", now_ms, helper="call.safe_exit")

    def _key_end(self, now_ms: int) -> list[Command]:
        asked = self._end_asked_ms
        if asked is not None and now_ms - asked <= END_AGAIN_MS:
            return self._close("key", now_ms, goodbye=True)
        self._end_asked_ms = now_ms
        return self._say("end", self.scene.native.say("call.end_confirm"), self.scene.native.tag, now_ms)

    # --- time

    def _on_tick(self, now_ms: int) -> list[Command]:
        if self._closing_until_ms is not None and now_ms >= self._closing_until_ms:
            return self._ended(self.end_reason or "role", now_ms)
        commands = self._verdicts(self.goals.decide(self.timeline.learner_turns(), now_ms), now_ms)
        if self.phase is not Phase.TALKING:
            return commands
        if now_ms >= self._limit_ms:
            return [*commands, CutRole(), *self._close("limit", now_ms, goodbye=True, helper="call.time_up")]
        if not self._warned and now_ms >= self._limit_ms - MINUTE_MS:
            self._warned = True
            self.timeline.add(now_ms, "minute_left")
            self._steering.append(notes.MINUTE_LEFT)
            if not self._sounding and not self._learner_speaks:
                commands += self._after_sound(now_ms)
        if self._overdue_ms is not None and now_ms >= self._overdue_ms:
            commands += self._on_overdue(now_ms)
        step = self._stuck.due(now_ms)
        return [*commands, *self._on_stuck(step, now_ms)] if step else commands

    def _on_overdue(self, now_ms: int) -> list[Command]:
        self.timeline.add(now_ms, "role_overdue")
        self._overdue_ms = None
        if self._overdue_asked:
            self._stuck.quiet(now_ms)
            return []
        self._overdue_asked = True
        self._overdue_ms = now_ms + OVERDUE_MS
        return [Respond()]

    def _on_stuck(self, step: str, now_ms: int) -> list[Command]:
        scene = self.scene
        self.timeline.add(now_ms, "stuck", step=step)
        match step:
            case "encourage" | "more_time":
                return self._say(step, scene.target.target[step], scene.target.tag, now_ms)
            case "choice":
                return [Respond(notes.CHOICE)]
            case "model_phrase":
                goal = self.goals.next
                return [Respond(notes.model_phrase(scene, goal.id) if goal else notes.CHOICE)]
            case "still_there":
                return self._say(step, scene.native.say("call.still_there"), scene.native.tag, now_ms)
            case _:
                return self._close("silence", now_ms, helper="call.silence_goodbye")

    # --- the end

    def _close(self, reason: str, now_ms: int, *, goodbye: bool = False, helper: str | None = None) -> list[Command]:
        """Begins the end: what still sounds, and what is said now, is heard whole; then the line drops."""
        self.phase = Phase.CLOSING
        self.end_reason = reason
        self._closing_until_ms = now_ms + CLOSING_MS
        commands: list[Command] = [Listen(False)]
        if goodbye:
            target = self.scene.target
            commands += self._say("goodbye", target.target["goodbye"], target.tag, now_ms)
        if helper is not None:
            native = self.scene.native
            commands += self._say("helper", native.say(helper), native.tag, now_ms)
        return commands

    def _ended(self, reason: str, now_ms: int, *, detail: str = "") -> list[Command]:
        self.phase = Phase.ENDED
        self.end_reason = self.end_reason or reason
        self.timeline.close(now_ms)
        self.timeline.add(now_ms, "ended", reason=self.end_reason, **({"detail": detail} if detail else {}))
        return [End(self.end_reason)]

    # --- helpers

    def _say(self, name: str, text: str, language: str, now_ms: int) -> list[Command]:
        ref = self._ref(name)
        self._sounding.add(ref)
        self._stuck.hold()
        speaker: Speaker = "role" if name in ("greeting", "goodbye") else "helper"
        self.timeline.begin(now_ms, speaker, ref, text)
        self.timeline.add(now_ms, "said", ref=ref, text=text, language=language, speaker=speaker)
        return [Say(ref, text, language)]

    def _ref(self, name: str) -> str:
        self._refs += 1
        return f"{name}-{self._refs}"
