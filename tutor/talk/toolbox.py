"""What happens when the model calls a tool: every call is answered once, whatever its arguments."""

from __future__ import annotations

from collections.abc import Callable

from tutor.realtime.protocol import ToolCalled
from tutor.talk import tools
from tutor.talk.exchange import AnswerTool, Command
from tutor.talk.goals import Verdict
from tutor.talk.state import TalkState


class Toolbox:
    """The tools of one call. ``close`` begins its end: (reason, now_ms, goodbye, helper sentence) -> commands."""

    def __init__(self, state: TalkState, close: Callable[[str, int, bool, str | None], list[Command]]) -> None:
        self._state = state
        self._close = close

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
                # A goodbye that is still to be heard is heard; a role that ends without a word says one.
                ending = self._close("role", now_ms, not state.sounding, None)
                return [AnswerTool(call.call_id, {"ok": True}, "never"), *ending]
            case _:
                return [AnswerTool(call.call_id, {"ok": False, "reason": "there is no such tool"}, "if_silent")]

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
                left = [goal.id for goal in state.goals.left]
                commands.append(AnswerTool(verdict.call_id, {"ok": True, "left": left}, "if_silent"))
            else:
                state.timeline.add(now_ms, "goal_refused", goal=verdict.goal, reason=verdict.reason)
                refusal = {"ok": False, "reason": verdict.reason}
                commands.append(AnswerTool(verdict.call_id, refusal, "if_silent"))
        return commands
