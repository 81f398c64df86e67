"""What the keys do during a call (tutoring.md §5.2). A key is an answer: it never counts as an error."""

from __future__ import annotations

from collections.abc import Callable

from tutor.talk import notes
from tutor.talk.coach import Coach
from tutor.talk.exchange import Aside, Command, CutRole, Replay, Respond, SetSpeed
from tutor.talk.interlude import Interlude
from tutor.talk.scaffold import HintLadder
from tutor.talk.state import TalkState

SPEED_STEP = 0.1
SPEED_MIN, SPEED_MAX = 0.7, 1.1
"""The range in which a slowed or quickened voice still sounds like the same person (tutoring.md §5.2, §5.9)."""

END_AGAIN_MS = 5_000
"""0 asks; 0 again while the question is spoken or within this time after it ends."""

TRANSLATE_AGAIN_MS = 20_000
DEBOUNCE_MS = 250

EASIER_WORDS_FIRST = frozenset({"paraphrase_first", "paraphrase_only", "none"})
"""Levels at which key 4 first says the line in easier words of the target."""

EASIER_WORDS_ONLY = frozenset({"paraphrase_only", "none"})
"""Of these, the ones at which it never translates."""

HINT_SENTENCES = ("call.hint_keyword", "call.hint_start", "call.hint_whole")


ANSWERED_BY_ROLE = frozenset("0237")
"""Of what can also be said: the role answers these by itself, because it heard them (§5.2)."""


class Keypad:
    """The keys of one call, and what can be said instead of pressing them."""

    def __init__(self, state: TalkState, interlude: Interlude, coach: Coach) -> None:
        self._state = state
        self._interlude = interlude
        self._coach = coach
        self._hints = HintLadder()
        self._end_asked_ms: int | None = None
        self._translated_ms: int | None = None
        self._last: tuple[str, int] = ("", -DEBOUNCE_MS)
        self._keys: dict[str, Callable[[int], list[Command]]] = {
            "0": self._end,
            "1": self._hint,
            "2": self._slower,
            "3": self._repeat,
            "4": self._translate,
            "5": interlude.ask_word,
            "6": self._goals,
            "7": self._faster,
            "8": interlude.pause,
            "9": coach.leave,
            "*": self._restart,
            "#": self._skip,
        }

    def bounced(self, digit: str, now_ms: int) -> bool:
        """Whether this press is the echo of the one before it: old keypads send one twice."""
        last, at_ms = self._last
        self._last = (digit, now_ms)
        return digit == last and now_ms - at_ms < DEBOUNCE_MS

    def press(self, digit: str, now_ms: int) -> list[Command] | None:
        """What a key does; None for a key without a meaning."""
        if self._interlude.paused and digit != "9":
            return self._interlude.resume(now_ms)
        if digit != "0":
            self._end_asked_ms = None
        action = self._keys.get(digit)
        return [*self._interlude.break_off(), *action(now_ms)] if action is not None else None

    def spoken(self, digit: str, now_ms: int, wanted: str | None = None) -> list[Command]:
        """What the learner asked for in words instead of pressing a key; ``wanted``: what they want words for."""
        state = self._state
        state.timeline.add(now_ms, "key", digit=digit, spoken=True)
        if digit in "27":
            self._coach.helped()
            return self._set_speed(-SPEED_STEP if digit == "2" else SPEED_STEP, now_ms)
        if digit in ANSWERED_BY_ROLE:
            return []
        if digit == "5" and wanted:
            return [CutRole(), *self._interlude.look_up(wanted)]
        return [CutRole(), *(self.press(digit, now_ms) or [])]

    def learner_spoke(self) -> None:
        """Who goes on talking does not want to end."""
        self._end_asked_ms = None

    def question_ended(self, now_ms: int) -> None:
        """The time to answer "press 0 again" begins when it was heard."""
        if self._end_asked_ms is not None:
            self._end_asked_ms = now_ms

    def _hint(self, now_ms: int) -> list[Command]:
        state, scene = self._state, self._state.scene
        hint = self._hints.press(state.goals, now_ms)
        if hint is None:
            return state.help("hint", scene.native.say("call.hint_none"), now_ms)
        goal, rung = hint
        phrase = scene.hint(goal, rung)
        state.timeline.add(now_ms, "hint", goal=goal, rung=rung, phrase=phrase)
        state.steering.append(notes.hinted(goal))
        return state.help("hint", scene.native.say(HINT_SENTENCES[rung], phrase=phrase), now_ms)

    def _slower(self, now_ms: int) -> list[Command]:
        self._coach.helped()
        return self._pace(-SPEED_STEP, notes.SLOWER, now_ms)

    def _faster(self, now_ms: int) -> list[Command]:
        return self._pace(SPEED_STEP, notes.FASTER, now_ms)

    def _pace(self, step: float, note: str, now_ms: int) -> list[Command]:
        return [*self._set_speed(step, now_ms), Respond(note)]

    def _set_speed(self, step: float, now_ms: int) -> list[Command]:
        state = self._state
        state.base_speed = round(min(SPEED_MAX, max(SPEED_MIN, state.base_speed + step)), 2)
        state.timeline.add(now_ms, "speed", speed=state.speed)
        return [SetSpeed(state.speed)]

    def _repeat(self, now_ms: int) -> list[Command]:
        self._state.timeline.add(now_ms, "repeat")
        return [Replay(self._state.ref("replay"))]

    def _translate(self, now_ms: int) -> list[Command]:
        state, scene = self._state, self._state.scene
        self._coach.helped()
        again = self._translated_ms is not None and now_ms - self._translated_ms <= TRANSLATE_AGAIN_MS
        self._translated_ms = now_ms
        use = scene.level.l1_use
        easier = use in EASIER_WORDS_ONLY or (use in EASIER_WORDS_FIRST and not again)
        purpose = "paraphrase" if easier else "translate"
        state.timeline.add(now_ms, purpose, text=state.last_line)
        instructions = notes.paraphrase(scene) if easier else notes.translate(scene)
        return [Aside(state.ref(purpose), instructions, (state.last_line,))]

    def _goals(self, now_ms: int) -> list[Command]:
        state, scene = self._state, self._state.scene
        native = scene.native
        done = [scene.can_do(goal) for goal in state.goals.earned]
        left = [scene.can_do(goal.id) for goal in state.goals.left if not goal.optional]
        state.timeline.add(now_ms, "goals_asked", done=list(state.goals.earned))
        if not left:
            return state.help("goals", native.say("call.goals_all_done"), now_ms)
        told = (
            native.say("call.goals_done", done=native.enumerate(done)) if done else native.say("call.goals_none_done")
        )
        return state.help("goals", f"{told} {native.say('call.goals_left', left=native.enumerate(left))}", now_ms)

    def _restart(self, now_ms: int) -> list[Command]:
        state = self._state
        state.timeline.add(now_ms, "restarted")
        said = state.help("restart", state.scene.native.say("keys.restart"), now_ms)
        return state.then(said, Respond(notes.RESTART))

    def _skip(self, now_ms: int) -> list[Command]:
        state, native = self._state, self._state.scene.native
        skipped = state.goals.skip()
        if skipped is None:
            return self._hint(now_ms)
        left, goal = skipped
        state.timeline.add(now_ms, "skipped", goal=left.id, next=goal.id)
        said = state.help("skipped", native.say("keys.skipped", can_do=state.scene.can_do(goal.id)), now_ms)
        return state.then(said, Respond(notes.skipped(left.id, goal.can_do)))

    def _end(self, now_ms: int) -> list[Command]:
        asked = self._end_asked_ms
        if asked is not None and now_ms - asked <= END_AGAIN_MS:
            return self._state.close("key", now_ms, goodbye=True)
        self._end_asked_ms = now_ms
        return self._state.help("end", self._state.scene.native.say("call.end_confirm"), now_ms)
