"""What the keys do during a call (tutoring.md §5.2). A key is an answer: it never counts as an error."""

from __future__ import annotations

from collections.abc import Callable

from tutor.talk import notes
from tutor.talk.exchange import Aside, Command, Replay, Respond, SetSpeed
from tutor.talk.scaffold import HintLadder
from tutor.talk.state import TalkState

SPEED_STEP = 0.1
SPEED_MIN, SPEED_MAX = 0.7, 1.1
"""The range in which a slowed or quickened voice still sounds like the same person (tutoring.md §5.2, §5.9)."""

END_AGAIN_MS = 5_000
"""0 asks; 0 again while the question is spoken or within this time after it ends."""

TRANSLATE_AGAIN_MS = 20_000
DEBOUNCE_MS = 250

EASIER_WORDS_FIRST = frozenset({"paraphrase_first", "paraphrase_only"})
"""Levels at which key 4 first says the line in easier words of the target."""

HINT_SENTENCES = ("call.hint_keyword", "call.hint_start", "call.hint_whole")


class Keypad:
    """The keys of one call. ``close`` begins its end: (reason, now_ms, goodbye, helper sentence) -> commands."""

    def __init__(self, state: TalkState, close: Callable[[str, int, bool, str | None], list[Command]]) -> None:
        self._state = state
        self._close = close
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
            "6": self._goals,
            "7": self._faster,
            "9": self._safe_exit,
        }

    def bounced(self, digit: str, now_ms: int) -> bool:
        """Whether this press is the echo of the one before it: old keypads send one twice."""
        last, at_ms = self._last
        self._last = (digit, now_ms)
        return digit == last and now_ms - at_ms < DEBOUNCE_MS

    def press(self, digit: str, now_ms: int) -> list[Command] | None:
        """What a key does; None for a key without a meaning."""
        if digit != "0":
            self._end_asked_ms = None
        action = self._keys.get(digit)
        return action(now_ms) if action is not None else None

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
        return self._pace(-SPEED_STEP, notes.SLOWER, now_ms)

    def _faster(self, now_ms: int) -> list[Command]:
        return self._pace(SPEED_STEP, notes.FASTER, now_ms)

    def _pace(self, step: float, note: str, now_ms: int) -> list[Command]:
        state = self._state
        state.speed = round(min(SPEED_MAX, max(SPEED_MIN, state.speed + step)), 2)
        state.timeline.add(now_ms, "speed", speed=state.speed)
        return [SetSpeed(state.speed), Respond(note)]

    def _repeat(self, now_ms: int) -> list[Command]:
        self._state.timeline.add(now_ms, "repeat")
        return [Replay(self._state.ref("replay"))]

    def _translate(self, now_ms: int) -> list[Command]:
        state, scene = self._state, self._state.scene
        again = self._translated_ms is not None and now_ms - self._translated_ms <= TRANSLATE_AGAIN_MS
        self._translated_ms = now_ms
        easier = scene.level.l1_use in EASIER_WORDS_FIRST and not again
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

    def _safe_exit(self, now_ms: int) -> list[Command]:
        self._state.timeline.add(now_ms, "safe_exit")
        return self._close("safe_exit", now_ms, False, "call.safe_exit")

    def _end(self, now_ms: int) -> list[Command]:
        asked = self._end_asked_ms
        if asked is not None and now_ms - asked <= END_AGAIN_MS:
            return self._close("key", now_ms, True, None)
        self._end_asked_ms = now_ms
        return self._state.help("end", self._state.scene.native.say("call.end_confirm"), now_ms)
