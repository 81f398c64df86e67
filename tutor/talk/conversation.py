"""The conversation of one call, sans-I/O: events in, commands out, on the call's own clock.

It decides when help comes by itself, what counts as a goal reached, what happens when the model is lost, and how the
call ends; the keys are in `keypad.py`. It knows no telephone, no socket and no database; `telephony.call` carries out
what it says. All times are milliseconds since the call's media first began.

Phases: OPENING (the role's first line; voice detection is off, so the learner's "hello?" cannot cut it), TALKING,
CLOSING (a goodbye is being heard; nothing may cut it any more), ENDED (exactly one `End` was given).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from tutor.learning.timeline import Timeline
from tutor.realtime import protocol
from tutor.script.scene import Scene
from tutor.talk import notes
from tutor.talk.exchange import (
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
    Renew,
    Respond,
    SayCut,
    SayHeard,
    Seed,
    Tick,
)
from tutor.talk.goals import Goals
from tutor.talk.keypad import Keypad
from tutor.talk.scaffold import StuckLadder, StuckStep
from tutor.talk.snapshot import SEEDED_TURNS, Snapshot
from tutor.talk.state import TalkState
from tutor.talk.toolbox import Toolbox

MINUTE_MS = 60_000
CLOSING_MS = 20_000
"""The longest a goodbye may take before the line is closed over it."""

SLOW_MS = 1_500
"""Without a sound of the role this long after the learner's turn, it asks for a moment instead of being silent."""

OVERDUE_MS = 5_000
"""Without a word of the role this long after the learner's turn, it is asked once more; then the session is renewed."""

LOSSES_BORNE = 3
"""How often a call bears the loss of its model; after that it ends with an apology."""


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
    """One call's conversation. Feed `handle`; call it with `Tick` when `next_due_ms` has come.

    With ``resumed`` it goes on where a stream broke off: goals, speed, clock and history are the snapshot's.
    """

    def __init__(self, scene: Scene, rules: Rules, timeline: Timeline, resumed: Snapshot | None = None) -> None:
        self.scene = scene
        self.timeline = timeline
        self.phase = Phase.OPENING
        self.end_reason: str | None = None
        self._state = TalkState(
            scene,
            timeline,
            Goals(scene.scenario.goals),
            StuckLadder(scene.level.stuck_s),
            rules.speed if rules.speed is not None else scene.level.speed,
            scene.greeting,
        )
        self._keypad = Keypad(self._state, self._close)
        self._toolbox = Toolbox(self._state, self._close)
        self._limit_ms = rules.limit_ms
        self._warned = False
        self._learner_speaks = False
        self._lost = False
        self._losses = 0
        self._holding_owed = False
        self._thread_lost = False
        """The model went away in the middle of something: it has to take up the thread when it is back."""
        self._closing_until_ms: int | None = None
        self._turn_ended_ms: int | None = None
        """When the learner's last turn was found to have ended, until the role answers it."""
        self._slow_ms: int | None = None
        self._overdue_ms: int | None = None
        self._overdue_asked = False
        self._resumed = resumed is not None
        if resumed is not None:
            resumed.restore(timeline)
            self._state.speed = resumed.speed
            self.goals.earned.update(resumed.goals)
            self._warned = resumed.elapsed_ms >= rules.limit_ms - MINUTE_MS

    # --- the outside

    @property
    def goals(self) -> Goals:
        """The scene's goals and which of them are earned."""
        return self._state.goals

    @property
    def speed(self) -> float:
        """The voice's speed now."""
        return self._state.speed

    @property
    def interruptible(self) -> bool:
        """Whether the learner's voice cuts what is playing: always, except over the greeting and a goodbye."""
        return self.phase is Phase.TALKING

    @property
    def quiet(self) -> bool:
        """Whether nobody speaks and nobody is about to: the moment in which a session may be renewed unnoticed."""
        idle = not self._state.sounding and not self._learner_speaks and self._turn_ended_ms is None
        return idle and self.phase is Phase.TALKING and not self._lost

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
            dues += [warn_ms, self._limit_ms]
            if not self._lost:
                dues += [self._state.stuck.next_due_ms, self._slow_ms, self._overdue_ms]
        return min((due for due in dues if due is not None), default=None)

    def snapshot(self, now_ms: int) -> Snapshot:
        """What another process would need to go on from here."""
        return Snapshot.of(self.timeline, elapsed_ms=now_ms, speed=self.speed, goals=self.goals.earned)

    def history(self) -> list[Seed]:
        """The conversation so far, as heard, for a session that knows nothing of it."""
        said = [turn for turn in self.timeline.turns if turn.speaker != "helper" and turn.text]
        seeds = [
            Seed("role" if turn.speaker == "role" else "learner", turn.text or "") for turn in said[-SEEDED_TURNS:]
        ]
        if self.goals.earned:
            seeds.append(Seed("note", notes.reached(list(self.goals.earned))))
        return seeds

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
                return self._ended("caller_hung_up" if by == "caller" else "line_lost", now_ms, detail=detail)
            case ModelLost(again, unfinished):
                for item, text in unfinished:
                    self.timeline.know(item, text)
                self._thread_lost = bool(unfinished) or not self._state.sounding
                return self._on_model_lost(again, now_ms)
            case ModelBack():
                return self._on_model_back(now_ms)
            case _:
                return self._on_model_event(event, now_ms)

    # --- opening

    def _begin(self, now_ms: int) -> list[Command]:
        scene, target = self.scene, self.scene.target
        if self._resumed:
            self.timeline.add(now_ms, "resumed")
            # A word at once; the role takes up the thread when its session is there.
            soon = self._state.say("one_moment", target.target["one_moment"], target.tag, now_ms, only_clip=True)
            return [*self.history(), *soon]
        self.timeline.add(
            now_ms,
            "began",
            scenario=scene.scenario.id,
            level=scene.level.name,
            native=scene.native.tag,
            target=target.tag,
        )
        return [Seed("role", scene.greeting), *self._state.say("greeting", scene.greeting, target.tag, now_ms)]

    def _open_the_floor(self, now_ms: int) -> list[Command]:
        self.phase = Phase.TALKING
        if self._lost:
            return []
        if self._resumed:
            return [Listen(True), Respond(notes.RESUME)]
        self._state.stuck.quiet(now_ms)
        return [Listen(True)]

    # --- what was heard

    def _on_playing(self, item: str, now_ms: int) -> list[Command]:
        self._state.sounding.add(item)
        self._state.stuck.hold()
        self._role_answers()
        self.timeline.begin(now_ms, "role", item)
        answered_ms = None if self._turn_ended_ms is None else now_ms - self._turn_ended_ms
        self._turn_ended_ms = None
        self.timeline.add(now_ms, "role_began", item=item, answered_ms=answered_ms)
        return []

    def _on_heard(self, item: str, text: str, now_ms: int) -> list[Command]:
        self._state.sounding.discard(item)
        turn = self.timeline.end(now_ms, item, text=text or None)
        known = (turn.text if turn is not None else None) or ""
        self._state.last_line = known or self._state.last_line
        self.timeline.add(now_ms, "role_said", item=item, text=known)
        return self._after_sound(now_ms)

    def _on_cut(self, item: str, heard_ms: int, text: str, now_ms: int) -> list[Command]:
        self._state.sounding.discard(item)
        self.timeline.end(now_ms, item, text=text, cut=True)
        if heard_ms > 0:
            self._state.last_line = text or self._state.last_line
            self.timeline.add(now_ms, "role_cut", item=item, heard_ms=heard_ms, text=text)
        return self._after_sound(now_ms)

    def _on_said(self, ref: str, now_ms: int, *, cut: bool) -> list[Command]:
        self._state.sounding.discard(ref)
        self.timeline.end(now_ms, ref, cut=cut)
        if ref.startswith("end-"):
            self._keypad.question_ended(now_ms)
        if self.phase is Phase.OPENING and ref.startswith(("greeting", "one_moment")):
            # A greeting that nobody could read, because the model was lost, is said when it is back.
            return self._hold_the_line(now_ms) if cut and self._lost else self._open_the_floor(now_ms)
        return self._after_sound(now_ms)

    def _after_sound(self, now_ms: int) -> list[Command]:
        state = self._state
        if state.sounding:
            return []
        if self.phase is Phase.CLOSING:
            return self._ended(self.end_reason or "role", now_ms)
        if self._lost:
            return self._hold_the_line(now_ms)
        if self.phase is not Phase.TALKING or self._learner_speaks:
            return []
        if self._overdue_ms is None:
            state.stuck.quiet(now_ms)  # else it is the role who is waited for
        # The role's turn was heard and the learner has not begun: the one moment in which steering may go in.
        steer: list[Command] = [Seed("note", text) for text in state.steering]
        state.steering.clear()
        return steer

    # --- the model

    def _on_model_event(self, event: protocol.ModelEvent, now_ms: int) -> list[Command]:
        match event:
            case protocol.LearnerStarted(item, audio_ms):
                self._learner_speaks = True
                self._state.stuck.reset()
                self._keypad.learner_spoke()
                self._role_answers()
                self._turn_ended_ms = None
                self.timeline.add(now_ms, "learner_started", item=item, audio_ms=audio_ms)
                self.timeline.begin(now_ms, "learner", item)
            case protocol.LearnerStopped(item, audio_ms):
                self._learner_speaks = False
                self.timeline.add(now_ms, "learner_stopped", item=item, audio_ms=audio_ms)
                self.timeline.end(now_ms, item)
                self._turn_ended_ms = now_ms
                self._slow_ms = now_ms + SLOW_MS
                self._overdue_ms = now_ms + OVERDUE_MS
            case protocol.LearnerSaid(item, text):
                return self._on_transcript(item, text, now_ms)
            case protocol.RoleSaid(item, text):
                self._state.last_line = text
                self.timeline.know(item, text)
            case protocol.ToolCalled():
                return self._toolbox.call(event, now_ms)
            case protocol.Responded(purpose=None) as responded:
                return self._on_responded(responded, now_ms)
            case _:
                return []
        return []

    def _role_answers(self) -> None:
        """Somebody speaks: the role is not waited for any more."""
        self._slow_ms = self._overdue_ms = None
        self._overdue_asked = False

    def _on_transcript(self, item: str, text: str | None, now_ms: int) -> list[Command]:
        said = (text or "").strip()
        self.timeline.know(item, said)
        self.timeline.add(now_ms, "learner_said", item=item, text=said or None)
        return self._toolbox.decide(now_ms)

    def _on_responded(self, responded: protocol.Responded, now_ms: int) -> list[Command]:
        if responded.status == "failed":
            self.timeline.add(now_ms, "role_failed", reason=responded.reason)
            self._overdue_ms = now_ms + OVERDUE_MS // 4
            return []
        if not responded.spoke and not responded.cut and not self._state.sounding:
            # A silent turn (noise, a tool): nobody will speak until the learner does.
            self._role_answers()
            self._turn_ended_ms = None
            return self._after_sound(now_ms)
        return []

    # --- a lost model

    def _on_model_lost(self, again: bool, now_ms: int) -> list[Command]:
        self._losses += 1
        self._learner_speaks = False
        self._role_answers()
        self._state.stuck.hold()
        self.timeline.add(now_ms, "model_lost", again=again)
        if self.phase is Phase.CLOSING:
            return [] if self._state.sounding else self._ended(self.end_reason or "model_lost", now_ms)
        if not again or self._losses > LOSSES_BORNE:
            return self._close("model_lost", now_ms, helper="call.lost", only_clip=True)
        self._lost = self._holding_owed = True
        return [Renew(), *self._hold_the_line(now_ms)]

    def _hold_the_line(self, now_ms: int) -> list[Command]:
        """The holding phrase, as soon as the line is silent: while there is sound, nobody misses anything."""
        if self._state.sounding or not self._holding_owed:
            return []
        self._holding_owed = False
        native = self.scene.native
        return self._state.say("holding", native.say("call.holding"), native.tag, now_ms, only_clip=True)

    def _on_model_back(self, now_ms: int) -> list[Command]:
        self._lost = False
        self.timeline.add(now_ms, "model_back")
        if self.phase is Phase.TALKING:
            goes_on: list[Command] = [*self.history(), Listen(True)]
            return [*goes_on, Respond(notes.BACK)] if self._thread_lost else goes_on
        if self.phase is Phase.OPENING and not self._state.sounding:
            self._resumed = False
            greeting, target = self.scene.greeting, self.scene.target.tag
            return [*self.history(), *self._state.say("greeting", greeting, target, now_ms)]
        return list(self.history())

    # --- keys and time

    def _on_key(self, digit: str, now_ms: int) -> list[Command]:
        if self._keypad.bounced(digit, now_ms):
            return []
        self.timeline.add(now_ms, "key", digit=digit)
        if self.phase is Phase.CLOSING:
            return []
        self._state.stuck.reset()
        before = set(self._state.sounding)
        done = self._keypad.press(digit, now_ms)
        if done is None:
            if not before and self.phase is Phase.TALKING:
                self._state.stuck.quiet(now_ms)
            return []
        # A key is an answer: whoever speaks is cut, the greeting included.
        return [CutRole(), *done]

    def _on_tick(self, now_ms: int) -> list[Command]:
        if self._closing_until_ms is not None and now_ms >= self._closing_until_ms:
            return self._ended(self.end_reason or "role", now_ms)
        commands = self._toolbox.decide(now_ms)
        if self.phase is not Phase.TALKING:
            return commands
        if now_ms >= self._limit_ms:
            return [*commands, CutRole(), *self._close("limit", now_ms, goodbye=True, helper="call.time_up")]
        if not self._warned and now_ms >= self._limit_ms - MINUTE_MS:
            self._warned = True
            self.timeline.add(now_ms, "minute_left")
            self._state.steering.append(notes.MINUTE_LEFT)
            commands += self._after_sound(now_ms)
        if self._lost:
            return commands
        if self._slow_ms is not None and now_ms >= self._slow_ms:
            self._slow_ms = None
            target = self.scene.target
            said = target.target["one_moment"]
            commands += self._state.say("one_moment", said, target.tag, now_ms, only_clip=True)
        if self._overdue_ms is not None and now_ms >= self._overdue_ms:
            commands += self._on_overdue(now_ms)
        step = self._state.stuck.due(now_ms)
        return [*commands, *self._on_stuck(step, now_ms)] if step else commands

    def _on_overdue(self, now_ms: int) -> list[Command]:
        self.timeline.add(now_ms, "role_overdue")
        if self._overdue_asked:
            self._thread_lost = True
            return self._on_model_lost(True, now_ms)
        self._overdue_asked = True
        self._overdue_ms = now_ms + OVERDUE_MS
        return [Respond()]

    def _on_stuck(self, step: StuckStep, now_ms: int) -> list[Command]:
        scene = self.scene
        self.timeline.add(now_ms, "stuck", step=step)
        match step:
            case "encourage" | "more_time":
                return self._state.say(step, scene.target.target[step], scene.target.tag, now_ms)
            case "choice":
                return [Respond(notes.CHOICE)]
            case "model_phrase":
                goal = self.goals.next
                return [Respond(notes.model_phrase(scene, goal.id) if goal else notes.CHOICE)]
            case "still_there":
                return self._state.help(step, scene.native.say("call.still_there"), now_ms)
            case "goodbye":
                return self._close("silence", now_ms, helper="call.silence_goodbye")

    # --- the end

    def _close(
        self, reason: str, now_ms: int, goodbye: bool = False, helper: str | None = None, *, only_clip: bool = False
    ) -> list[Command]:
        """Begins the end: what still sounds, and what is said now, is heard whole; then the line drops."""
        self.phase = Phase.CLOSING
        self.end_reason = reason
        self._closing_until_ms = now_ms + CLOSING_MS
        commands: list[Command] = [Listen(False)]
        if goodbye:
            target = self.scene.target
            commands += self._state.say("goodbye", target.target["goodbye"], target.tag, now_ms)
        if helper is not None:
            native = self.scene.native
            commands += self._state.say("helper", native.say(helper), native.tag, now_ms, only_clip=only_clip)
        return commands

    def _ended(self, reason: str, now_ms: int, *, detail: str = "") -> list[Command]:
        self.phase = Phase.ENDED
        self.end_reason = self.end_reason or reason
        self.timeline.close(now_ms)
        self.timeline.add(now_ms, "ended", reason=self.end_reason, **({"detail": detail} if detail else {}))
        return [End(self.end_reason)]
