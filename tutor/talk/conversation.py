"""The conversation of one call, sans-I/O: events in, commands out, on the call's own clock.

It decides when help comes by itself, what counts as a goal reached, and how the call ends; the keys are in `keypad.py`,
a late or lost model in `continuity.py`, the learner's measure in `coach.py`. It knows no telephone, no socket and no
database; `telephony.call` carries out what it says. All times are milliseconds since the call's media first began.

Phases: OPENING (the role's first line; voice detection is off, so the learner's "hello?" cannot cut it), TALKING,
CLOSING (a goodbye is being heard; nothing may cut it any more), ENDED (exactly one `End` was given).
"""

from __future__ import annotations

from tutor.learning.timeline import Timeline
from tutor.realtime import protocol
from tutor.script.scene import Scene
from tutor.talk import asks, notes
from tutor.talk.allotted import MINUTE_MS, Allotted
from tutor.talk.coach import Coach
from tutor.talk.continuity import Continuity
from tutor.talk.exchange import (
    Began,
    Command,
    Cut,
    CutRole,
    Detect,
    EndBy,
    Event,
    Heard,
    HungUp,
    Key,
    Listen,
    ModelBack,
    ModelLost,
    Moderated,
    Noisy,
    Playing,
    Respond,
    SayCut,
    SayHeard,
    Seed,
    Tick,
)
from tutor.talk.goals import Goals, words
from tutor.talk.interlude import Interlude
from tutor.talk.keypad import Keypad
from tutor.talk.overlap import FALSE_ONES_BORNE, Overlaps
from tutor.talk.pace import PaceDial
from tutor.talk.rules import Rules
from tutor.talk.scaffold import StuckLadder
from tutor.talk.snapshot import SEEDED_TURNS, Snapshot
from tutor.talk.state import Phase, TalkState
from tutor.talk.toolbox import Toolbox


class Conversation:
    """One call's conversation. Feed `handle`; call it with `Tick` when `next_due_ms` has come.

    With ``resumed`` it goes on where a stream broke off: goals, speed, clock and history are the snapshot's.
    """

    def __init__(self, scene: Scene, rules: Rules, timeline: Timeline, resumed: Snapshot | None = None) -> None:
        self.scene = scene
        self.timeline = timeline
        dial, needs = PaceDial(scene.level), rules.needs
        speed = resumed.speed if resumed is not None else rules.speed
        self._state = state = TalkState(
            scene,
            timeline,
            Goals(scene.scenario.goals),
            StuckLadder(dial.stuck_s(scene.level, needs.stuck_offset_s), needs.rungs(scene.level)),
            dial,
            scene.level.speed if speed is None else speed,
            scene.greeting,
        )
        self._coach = Coach(state, rules)
        self._continuity = Continuity(state, self.history)
        self._interlude = Interlude(state)
        self._keypad = Keypad(state, self._interlude, self._coach)
        self._toolbox = Toolbox(state)
        self._overlaps = Overlaps()
        self._repeat_owed = False
        """A noise cut the role: when nobody speaks after it, the role says its line again."""
        self._finish_asked = False
        """The role's turn was too long, and it was asked to end it."""
        self._quiet_ms: int | None = None
        """Since when nobody has been speaking."""
        self._time = Allotted(rules.limit_ms, scene.level.minutes * MINUTE_MS, resumed.elapsed_ms if resumed else 0)
        self._silence_ms = needs.silence_ms(scene.level)
        self._warning = False
        """The end is near, and the caller was not told yet."""
        self._resumed = resumed is not None
        if resumed is not None:
            resumed.restore(timeline)
            self.goals.earned.update(resumed.goals)

    # --- the outside

    @property
    def phase(self) -> Phase:
        """Where the call is."""
        return self._state.phase

    @property
    def end_reason(self) -> str | None:
        """Why the call ended, or is ending."""
        return self._state.end_reason

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
        """Whether the learner's voice cuts what is playing.

        Always, except over the greeting and a goodbye, and after three noises that were taken for a voice.
        """
        return self.phase is Phase.TALKING and not self._overlaps.tired

    @property
    def quiet(self) -> bool:
        """Whether nobody speaks and nobody is about to: the moment in which a session may be renewed unnoticed."""
        state = self._state
        return not state.busy and self.phase is Phase.TALKING and not state.lost and not self._interlude.lasts

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
        state = self._state
        dues = [state.closing_until_ms, self.goals.next_due_ms]
        if self.phase is Phase.TALKING:
            dues += [self._time.next_due_ms(busy=state.exchanging), self._interlude.next_due_ms]
            dues += [self._overlaps.next_due_ms, self._continuity.next_due_ms]
            if not state.lost:
                dues.append(state.stuck.next_due_ms)
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
            case Noisy():
                busy = self.phase is not Phase.TALKING or self._interlude.lasts
                return [] if busy else self._coach.noisy(now_ms)
            case EndBy(at_ms):
                self._time.end_by(at_ms)
                return self._on_tick(now_ms)
            case HungUp(by, detail):
                reason = "caller_hung_up" if by == "caller" else "line_lost"
                return self._state.ended(reason, now_ms, detail=detail)
            case ModelLost(again, unfinished):
                for item, text in unfinished:
                    self.timeline.know(item, text)
                self._interlude.forget()
                thread_lost = bool(unfinished) or not self._state.sounding
                return self._continuity.lose(again, now_ms, thread_lost=thread_lost)
            case ModelBack():
                return self._on_model_back(now_ms)
            case Moderated(item, categories):
                return self._coach.moderated(item, categories, now_ms) if self.phase is Phase.TALKING else []
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
            silence_ms=self._silence_ms,
            **({"due": list(scene.due)} if scene.due else {}),
        )
        return [Seed("role", scene.greeting), *self._state.say("greeting", scene.greeting, target.tag, now_ms)]

    def _open_the_floor(self, now_ms: int) -> list[Command]:
        self._state.phase = Phase.TALKING
        if self._state.lost:
            return []
        if self._resumed:
            return [Listen(True), Respond(notes.RESUME)]
        if not self._interlude.lasts:
            self._wait_for_learner(now_ms)
        return [self._interlude.listening]

    def _on_model_back(self, now_ms: int) -> list[Command]:
        if self.phase is Phase.OPENING:
            self._resumed = False
        return self._continuity.back(now_ms)

    # --- what was heard

    def _on_playing(self, item: str, now_ms: int) -> list[Command]:
        state = self._state
        state.sounding.add(item)
        state.role_items.add(item)
        state.stuck.hold()
        self._continuity.answered()
        self._repeat_owed = False
        self._quiet_ms = None
        self.timeline.begin(now_ms, "role", item)
        answered_ms = None if state.turn_ended_ms is None else now_ms - state.turn_ended_ms
        state.turn_ended_ms = None
        self.timeline.add(now_ms, "role_began", item=item, answered_ms=answered_ms)
        return []

    def _on_heard(self, item: str, text: str, now_ms: int) -> list[Command]:
        state = self._state
        state.sounding.discard(item)
        state.role_items.discard(item)
        turn = self.timeline.end(now_ms, item, text=text or None)
        known = (turn.text if turn is not None else None) or ""
        state.last_line = known or state.last_line
        self.timeline.add(now_ms, "role_said", item=item, text=known)
        return self._after_sound(now_ms)

    def _on_cut(self, item: str, heard_ms: int, text: str, now_ms: int) -> list[Command]:
        state = self._state
        state.sounding.discard(item)
        state.role_items.discard(item)
        self.timeline.end(now_ms, item, text=text, cut=True)
        if heard_ms > 0:
            state.last_line = text or state.last_line
            self.timeline.add(now_ms, "role_cut", item=item, heard_ms=heard_ms, text=text)
        return self._after_sound(now_ms)

    def _on_said(self, ref: str, now_ms: int, *, cut: bool) -> list[Command]:
        state = self._state
        state.sounding.discard(ref)
        self.timeline.end(now_ms, ref, cut=cut)
        if ref.startswith("end-"):
            self._keypad.question_ended(now_ms)
        if self.phase is Phase.OPENING and ref.startswith(("greeting", "one_moment")):
            # A greeting that nobody could read, because the model was lost, is said when it is back.
            return self._continuity.hold_the_line(now_ms) if cut and state.lost else self._open_the_floor(now_ms)
        then = state.after.pop(ref, [])
        self._interlude.said(ref, now_ms)
        if then and self.phase is Phase.TALKING and not state.lost:
            follows = [command for command in then if not (isinstance(command, Respond) and state.learner_speaks)]
            return [*follows, *self._after_sound(now_ms)]
        return self._after_sound(now_ms)

    def _after_sound(self, now_ms: int) -> list[Command]:
        state = self._state
        if state.sounding:
            return []
        if self.phase is Phase.CLOSING:
            return state.ended(state.end_reason or "role", now_ms)
        if state.lost:
            return self._continuity.hold_the_line(now_ms)
        if self.phase is not Phase.TALKING or state.learner_speaks or self._interlude.lasts:
            return []
        if state.chimes and not self._continuity.waits:
            state.chimes = 0
            return state.chime("goal")
        if self._warning and not self._continuity.waits:
            self._warning = False
            return state.help("time_warning", self.scene.native.say("call.time_warning"), now_ms)
        if not self._continuity.waits:
            self._wait_for_learner(now_ms)  # else it is the role who is waited for
        # The role's turn was heard and the learner has not begun: the one moment in which steering may go in.
        steer: list[Command] = [Seed("note", text) for text in state.steering]
        state.steering.clear()
        return steer

    def _wait_for_learner(self, now_ms: int) -> None:
        self._state.stuck.quiet(now_ms)
        if self._quiet_ms is None:
            self._quiet_ms = now_ms

    # --- the model

    def _on_model_event(self, event: protocol.ModelEvent, now_ms: int) -> list[Command]:
        match event:
            case protocol.LearnerStarted(item, audio_ms):
                return self._on_learner_started(item, audio_ms, now_ms)
            case protocol.LearnerStopped(item, audio_ms):
                return self._on_learner_stopped(item, audio_ms, now_ms)
            case protocol.LearnerSaid(item, text):
                return self._on_transcript(item, text, now_ms)
            case protocol.RoleSaid(item, text):
                self._state.last_line = text
                self.timeline.know(item, text)
                return self._coach.role_said(item, text, now_ms) if self.phase is Phase.TALKING else []
            case protocol.AsideSaid(purpose="word", text=text):
                self._interlude.word_given(text, now_ms)
            case protocol.ToolCalled():
                return self._toolbox.call(event, now_ms)
            case protocol.Responded(purpose=None) as responded:
                return self._on_responded(responded, now_ms)
            case _:
                return []
        return []

    def _on_learner_started(self, item: str, audio_ms: int, now_ms: int) -> list[Command]:
        state = self._state
        if self.phase is not Phase.TALKING:
            return []
        over_role = bool(state.role_items)
        latency_ms = now_ms - self._quiet_ms if self._quiet_ms is not None and not over_role else None
        self._coach.began(item, latency_ms)
        if over_role:
            self._overlaps.began(item)
        self._quiet_ms = None
        self._finish_asked = False
        state.learner_speaks = True
        state.stuck.reset()
        self._keypad.learner_spoke()
        self._interlude.learner_started(item)
        self._continuity.answered()
        state.turn_ended_ms = None
        self.timeline.add(now_ms, "learner_started", item=item, audio_ms=audio_ms)
        self.timeline.begin(now_ms, "learner", item)
        return []

    def _on_learner_stopped(self, item: str, audio_ms: int, now_ms: int) -> list[Command]:
        state = self._state
        state.learner_speaks = False
        self.timeline.add(now_ms, "learner_stopped", item=item, audio_ms=audio_ms)
        self.timeline.end(now_ms, item)
        self._overlaps.stopped(item, now_ms)
        if self._interlude.lasts:
            self._interlude.learner_stopped(now_ms)
        elif self.phase is Phase.TALKING and not (self._overlaps.tired and self._overlaps.opened(item)):
            state.turn_ended_ms = now_ms
            self._continuity.await_role(now_ms)
        return []

    def _on_transcript(self, item: str, text: str | None, now_ms: int) -> list[Command]:
        said = (text or "").strip()
        self.timeline.know(item, said)
        talking = self.phase is Phase.TALKING
        found = self._coach.listen(item, said, now_ms) if said and talking else []
        if found:
            return found
        if talking and self._interlude.wants(item):
            return self._interlude.give_word(item, said, now_ms)
        self.timeline.add(now_ms, "learner_said", item=item, text=said or None)
        commands = self._toolbox.decide(now_ms)
        match self._overlaps.said(item, len(words(said)) if text is not None else None):
            case "barge_in":
                self.timeline.add(now_ms, "barge_in", item=item)
                self._state.dial.interrupted_with_words()
                self._repeat_owed = False
            case "overlap":
                commands += self._on_false_overlap(item, now_ms)
        if not said or not talking:
            return commands
        commands += self._coach.learner_said(item, said, now_ms)
        tags = self.scene.target.tag, self.scene.native.tag
        asked = asks.read(said, *tags)
        if asked is None:
            return commands
        served = self._keypad.spoken(asked, now_ms, asks.rest(said, *tags))
        self._role_stands_back(served, now_ms)
        return [*commands, *served]

    def _on_false_overlap(self, item: str, now_ms: int) -> list[Command]:
        """A noise, or a "mm": it does not count, and the role goes on."""
        self.timeline.add(now_ms, "overlap", item=item)
        self._repeat_owed = True
        return [Detect(interrupt=False)] if self._overlaps.false_ones == FALSE_ONES_BORNE else []

    def _on_responded(self, responded: protocol.Responded, now_ms: int) -> list[Command]:
        state = self._state
        if responded.status == "failed":
            self.timeline.add(now_ms, "role_failed", reason=responded.reason)
            self._continuity.failed(now_ms)
            return []
        if responded.status == "incomplete" and responded.spoke and not responded.cut:
            self.timeline.add(now_ms, "role_incomplete", reason=responded.reason)
            if not self._finish_asked and self.phase is Phase.TALKING and not state.learner_speaks:
                self._finish_asked = True
                return [Respond(notes.FINISH)]
        if not responded.spoke and not responded.cut and not state.sounding:
            # A silent turn (noise, a tool): nobody will speak until the learner does.
            self._continuity.answered()
            state.turn_ended_ms = None
            if self._repeat_owed and self.phase is Phase.TALKING and not state.learner_speaks:
                self._repeat_owed = False
                return [Respond(notes.GO_ON)]
            return self._after_sound(now_ms)
        return []

    # --- keys and time

    def _on_key(self, digit: str, now_ms: int) -> list[Command]:
        if self._keypad.bounced(digit, now_ms):
            return []
        self.timeline.add(now_ms, "key", digit=digit)
        if self.phase is Phase.CLOSING:
            return []
        self._state.stuck.reset()
        done = self._keypad.press(digit, now_ms)
        if done is None:
            if not self._state.sounding and self.phase is Phase.TALKING and not self._interlude.lasts:
                self._state.stuck.quiet(now_ms)
            return []
        # A key is an answer: whoever speaks is cut, the greeting included.
        served = [CutRole(), *done]
        self._role_stands_back(served, now_ms)
        return served

    def _role_stands_back(self, served: list[Command], now_ms: int) -> None:
        """Help was asked for: what the role was about to say is dropped, and awaited only where it is asked anew."""
        if CutRole() not in served or self.phase is not Phase.TALKING:
            return
        self._continuity.answered()
        self._state.turn_ended_ms = None
        if any(isinstance(command, Respond) for command in served):
            self._continuity.await_role(now_ms)

    def _on_tick(self, now_ms: int) -> list[Command]:
        state = self._state
        if state.closing_until_ms is not None and now_ms >= state.closing_until_ms:
            return state.ended(state.end_reason or "role", now_ms)
        commands = self._toolbox.decide(now_ms)
        if self.phase is not Phase.TALKING:
            return commands
        match self._time.due(now_ms, busy=state.exchanging):
            case "up":
                time_up = self.scene.native.say("call.time_up")
                return [*commands, CutRole(), *state.close("limit", now_ms, goodbye=True, helper=time_up)]
            case "warn":
                self._warning = True
                self.timeline.add(now_ms, "minute_left")
                state.steering.append(notes.MINUTE_LEFT)
                commands += self._after_sound(now_ms)
            case "usual":
                state.steering.append(notes.USUAL_LENGTH)
                commands += self._after_sound(now_ms)
        commands += self._interlude.due(now_ms)
        if state.lost:
            return commands
        wordless = self._overlaps.due(now_ms)
        if wordless is not None:
            commands += self._on_false_overlap(wordless, now_ms)
        commands += self._continuity.due(now_ms)
        step = state.stuck.due(now_ms)
        return [*commands, *self._coach.help_out(step, now_ms)] if step else commands
