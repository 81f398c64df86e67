"""What happens when the model calls a tool: every call is answered once, whatever its arguments."""

from __future__ import annotations

from tutor.realtime.protocol import ToolCalled
from tutor.safety import facts
from tutor.talk import tools
from tutor.talk.exchange import AnswerTool, Command
from tutor.talk.goals import Verdict
from tutor.talk.state import Phase, TalkState

NOTE_CHARS = 200
"""The longest field of a note."""


MOST_FACTS = 3
"""So many things are remembered of one call: a card has room for five (tutor.learning.profile)."""

NOTED = {"note_topic": "topic", "note_error": "error_note", "note_breakdown": "breakdown"}
"""Tools that only leave an entry on the timeline: tool -> its kind. Nothing of it is ever told to the learner."""


class Toolbox:
    """The tools of one call."""

    def __init__(self, state: TalkState) -> None:
        self._state = state

    def call(self, call: ToolCalled, now_ms: int) -> list[Command]:
        """Answers a call, at once or (a goal whose transcript is on its way) from `decide`."""
        state, given = self._state, tools.arguments(call.arguments)
        match call.name:
            case "mark_goal":
                turns = state.timeline.learner_turns()
                goal, quote = given.get("goal", ""), given.get("quote", "")
                return self._answers(state.goals.claim(call.call_id, goal, quote, turns, now_ms), now_ms)
            case "wait_for_learner":
                return [AnswerTool(call.call_id, {"ok": True}, "never")]
            case "end_call":
                if state.phase is Phase.CLOSING:
                    return [AnswerTool(call.call_id, {"ok": True}, "never")]
                # A goodbye that is still to be heard is heard; a role that ends without a word says one.
                ending = state.close("role", now_ms, goodbye=not state.sounding)
                return [AnswerTool(call.call_id, {"ok": True}, "never"), *ending]
            case "note_topic" | "note_error" | "note_breakdown":
                known = tools.FIELDS[call.name]
                state.timeline.add(now_ms, NOTED[call.name], **{key: given.get(key, "")[:NOTE_CHARS] for key in known})
                return [AnswerTool(call.call_id, {"ok": True}, "if_silent")]
            case "remember_fact" if state.scene.remembers:
                return [AnswerTool(call.call_id, self._remember(given.get("fact", ""), now_ms), "if_silent")]
            case "forget_told" if state.scene.remembers:
                what = given.get("what")
                state.timeline.add(now_ms, "forget", what=what if what in tools.FORGETTING else tools.FORGETTING[0])
                reminder = {"ok": True, "note": "Do not come back to it."}
                return [AnswerTool(call.call_id, reminder, "if_silent")]
            case "get_progress":
                return [AnswerTool(call.call_id, self._progress(), "if_silent")]
            case "get_assignment":
                return [AnswerTool(call.call_id, self._assignment(), "if_silent")]
            case _:
                return [AnswerTool(call.call_id, {"ok": False, "reason": "there is no such tool"}, "if_silent")]

    def _progress(self) -> dict[str, object]:
        state = self._state
        return {
            "level": state.scene.level.name,
            "reached": list(state.goals.earned),
            "left": [goal.id for goal in state.goals.left],
            "learner": state.scene.learner_card or "nothing is known from earlier calls",
        }

    def _remember(self, told: str, now_ms: int) -> dict[str, object]:
        """Notes something the learner told, if it is fit to be kept and there is room."""
        scene, timeline = self._state.scene, self._state.timeline
        fact = facts.plain(told)
        noted = [entry.data.get("fact") for entry in timeline.of("fact")]
        if fact in noted:
            return {"ok": True}
        if len(noted) >= MOST_FACTS:
            return {"ok": False, "reason": "not kept: enough for one call"}
        refusal = facts.refusal(fact, (scene.native.tag, scene.target.tag))
        if refusal is not None:
            return {"ok": False, "reason": refusal}
        timeline.add(now_ms, "fact", fact=fact)
        return {"ok": True}

    def _assignment(self) -> dict[str, object]:
        scene = self._state.scene
        told: dict[str, object] = {}
        if scene.assigned:
            told |= {"scenes": list(scene.assigned), "this_scene": scene.title in scene.assigned}
        if (material := scene.class_prompt) is not None:
            words = {"must_use": list(material.must_use), "vocabulary": list(material.vocabulary)}
            told |= {"theme": material.theme, **words}
        return told or {"assignment": "none this week"}

    def decide(self, now_ms: int) -> list[Command]:
        """Answers the claims that can be decided by now."""
        state = self._state
        return self._answers(state.goals.decide(state.timeline.learner_turns(), now_ms), now_ms)

    def _answers(self, verdicts: list[Verdict], now_ms: int) -> list[Command]:
        state = self._state
        commands: list[Command] = []
        for verdict in verdicts:
            if verdict.accepted:
                state.timeline.add(now_ms, "goal", goal=verdict.goal, quote=verdict.quote, evidence=verdict.evidence)
                state.chimes += 1
                left = [goal.id for goal in state.goals.left]
                commands.append(AnswerTool(verdict.call_id, {"ok": True, "left": left}, "if_silent"))
            else:
                state.timeline.add(now_ms, "goal_refused", goal=verdict.goal, reason=verdict.reason)
                refusal = {"ok": False, "reason": verdict.reason}
                commands.append(AnswerTool(verdict.call_id, refusal, "if_silent"))
        return commands
