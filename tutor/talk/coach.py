"""Watches both sides of the talk and keeps it at the learner's measure: pace, level, safety.

It decides and never speaks: what it finds becomes a note for the role, another speed, or the end of the scene. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping

from tutor.safety.guard import Guard
from tutor.safety.screen import Finding
from tutor.talk import asks, notes
from tutor.talk.drift import DriftGuard, measure
from tutor.talk.exchange import Command, CutRole, Detect, Respond, SetSpeed
from tutor.talk.rules import Rules
from tutor.talk.scaffold import StuckStep
from tutor.talk.state import TalkState

NOISY_THRESHOLD = 0.65
"""The voice detection's threshold on a loud line: 0.6 to 0.7 (tutoring.md row 37); the usual one is 0.5."""


class Coach:
    """The coach of one call.

    Args:
        state: shared.
        rules: what the school and the learner want.
    """

    def __init__(self, state: TalkState, rules: Rules) -> None:
        self._state = state
        self._rules = rules
        scene = state.scene
        self._guard = Guard((scene.target.tag, scene.native.tag), kid=rules.kid)
        self._drift = DriftGuard(scene)
        self._reminded = False
        self._noisy = False
        self._latency_ms: dict[str, int | None] = {}

    # --- the learner

    def began(self, item: str, latency_ms: int | None) -> None:
        """The learner began to speak, so long after the role was heard to end; None: over the role."""
        self._latency_ms[item] = latency_ms

    def helped(self) -> None:
        """The learner needed help between two turns: a rung of the ladder, a key."""
        self._state.dial.asked()

    def noisy(self, now_ms: int) -> list[Command]:
        """The line is loud: told once, and listened through from now on."""
        if self._noisy:
            return []
        self._noisy = True
        state = self._state
        state.timeline.add(now_ms, "noisy")
        said = state.help("noisy", state.scene.native.say("keys.noisy"), now_ms)
        return [Detect(threshold=NOISY_THRESHOLD), *said]

    def help_out(self, step: StuckStep, now_ms: int) -> list[Command]:
        """The learner has been silent for long: what the ladder says."""
        state, scene = self._state, self._state.scene
        state.timeline.add(now_ms, "stuck", step=step)
        self.helped()
        match step:
            case "encourage" | "more_time":
                said = state.say(step, scene.target.target[step], scene.target.tag, now_ms)
                if step == "encourage" or self._reminded or not scene.level.menu_reminder:
                    return said
                self._reminded = True
                return [*said, *state.help("reminder", scene.native.say("keys.reminder"), now_ms)]
            case "choice":
                return [Respond(notes.CHOICE)]
            case "model_phrase":
                goal = state.goals.next
                return [Respond(notes.model_phrase(scene, goal.id) if goal else notes.CHOICE)]
            case "still_there":
                return state.help(step, scene.native.say("call.still_there"), now_ms)
            case "goodbye":
                return state.close("silence", now_ms, helper=scene.native.say("call.silence_goodbye"))

    def listen(self, item: str, text: str, now_ms: int) -> list[Command]:
        """What the learner said, whoever it was said to: the end of the scene where it must end, else nothing."""
        return self._act(item, self._guard.learner_said(item, text), "words", now_ms)

    def learner_said(self, item: str, text: str, now_ms: int) -> list[Command]:
        """A turn of the learner for the role: moves the dial by at most a step."""
        state, scene = self._state, self._state.scene
        clarified = asks.is_clarification(text, scene.target.tag, scene.native.tag)
        step = state.dial.turn(self._latency_ms.pop(item, None), measure(text, scene.target.tag).words, clarified)
        if not step:
            return []
        state.stuck.retime(state.dial.stuck_s(scene.level, self._rules.needs.stuck_offset_s))
        state.timeline.add(now_ms, "pace", step=step, speed=state.speed)
        state.steering.append(notes.pace(state.dial.sentence_cap(scene.level), faster=step > 0))
        return [SetSpeed(state.speed)]

    def moderated(self, item: str, categories: Mapping[str, bool], now_ms: int) -> list[Command]:
        """What the second listener found, later."""
        return self._act(item, self._guard.moderated(item, categories), "moderation", now_ms)

    # --- the role

    def role_said(self, item: str, text: str, now_ms: int) -> list[Command]:
        """A turn of the role in words, as it was generated."""
        state = self._state
        found = self._act(item, self._guard.role_said(item, text), "words", now_ms)
        level = state.scene.level
        note = self._drift.said(text, extra_sentences=state.dial.sentence_cap(level) - level.max_sentences)
        if note is not None:
            state.timeline.add(now_ms, "drift")
            state.steering.append(note)
        return found

    # --- safety

    def _act(self, item: str, finding: Finding | None, source: str, now_ms: int) -> list[Command]:
        if finding is None:
            return []
        state, native = self._state, self._state.scene.native
        state.timeline.add(
            now_ms,
            "safety",
            item=item,
            category=finding.category,
            action=finding.action,
            rule=finding.rule,
            source=source,
        )
        match finding.action:
            case "steer":
                state.steering.append(self._guard.note(finding))
                return []
            case "stop":
                return [CutRole(), *state.close("safety_stop", now_ms, helper=native.say("safety.stop"))]
            case "care":
                return [CutRole(), *state.close("care", now_ms, helper=self._calm_words())]
            case _:
                return []

    def leave(self, now_ms: int) -> list[Command]:
        """Key 9: the caller is not comfortable, and says no more than that."""
        state = self._state
        state.timeline.add(now_ms, "safe_exit")
        told = "safety.exit_reported" if self._rules.contact else "call.safe_exit"
        return state.close("safe_exit", now_ms, helper=state.scene.native.say(told))

    def _calm_words(self) -> str:
        """Nobody is sent to a number that does not exist, or told of help that will not come."""
        native, helpline = self._state.scene.native, self._rules.helpline
        calm = native.say("safety.care", helpline=helpline) if helpline else native.say("safety.care_no_helpline")
        return f"{calm} {native.say('safety.told')}" if self._rules.contact else calm
