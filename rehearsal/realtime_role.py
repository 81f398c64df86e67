"""What the stand-in says next: the script, and one rule of obedience. It makes no event and no sound.

The rule: text in «guillemets» in a response's own instructions (or, for a response of the conversation without
instructions, in a system item added since the last response) is spoken exactly. That is how fixed sentences are read
aloud. Anything else in instructions is ignored: the script speaks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from rehearsal.realtime_script import Fault, Script, ToolCall, Turn


@dataclass(frozen=True)
class Ask:
    """A request for a response, as far as it decides what is said.

    user_turns: user messages in the conversation.   after_tools: its last item is a function's output.
    seeded_answer: what the client seeded as the role's answer to the last user message, in a session that went on.
    steering: texts of system items added since the last response of the conversation.
    purpose: `metadata.purpose` of an out-of-band request.   tools: names that may be called.
    """

    in_band: bool = True
    user_turns: int = 0
    seeded_answer: str | None = None
    instructions: str | None = None
    steering: tuple[str, ...] = ()
    purpose: str = ""
    after_tools: bool = False
    idle: bool = False
    tools: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Plan:
    """What a response will hold: lines and calls in this order, the delay before the first, and what goes wrong.

    `reply` counts the responses that play the same turn from 1; it is 0 for what no turn of the script says.
    """

    lines: tuple[str, ...]
    tools: tuple[ToolCall, ...] = ()
    tools_first: bool = False
    delay_ms: int = 0
    faults: tuple[Fault, ...] = ()
    reply: int = 0
    notes: tuple[str, ...] = ()

    def with_faults(self, faults: tuple[Fault, ...]) -> Plan:
        """Returns the plan with these faults instead of its own."""
        return replace(self, faults=faults)


class Role:
    """Plays one script in one session. It remembers which turn it answered and how often it was asked again."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self._answered = -1
        self._asked_again = 0
        self._asked_after_tools = 0
        self._replies = 0
        self._last_line: str | None = None

    def turn(self, number: int) -> Turn | None:
        """Returns the turn that answers the `number`-th user message, counted from 1, or None beyond the script."""
        return self.script.turns[number - 1] if 1 <= number <= len(self.script.turns) else None

    def plan(self, ask: Ask) -> Plan:
        """Decides what the response says; in-band answers are remembered."""
        if (ordered := quoted((ask.instructions,) if ask.instructions is not None else ask.steering)) is not None:
            return Plan(lines=(ordered,))
        if not ask.in_band:
            return Plan(lines=(self._aside(ask.purpose),))
        plan = self._from_script(ask)
        if plan.lines:
            self._last_line = plan.lines[-1]
        turn = None if ask.idle else self.turn(ask.user_turns)
        if turn is None:
            return plan
        self._replies += 1
        return replace(plan, faults=turn.faults, reply=self._replies)

    def _aside(self, purpose: str) -> str:
        asides: Mapping[str, str] = self.script.asides
        return asides.get(purpose) or asides.get("") or self.script.again

    def _from_script(self, ask: Ask) -> Plan:
        if ask.idle:
            return Plan(lines=(self.script.idle or self._last_line or self.script.again,))
        if self._answered < 0 and ask.user_turns and ask.seeded_answer is not None:
            self._answered, self._last_line = ask.user_turns, ask.seeded_answer
        if ask.user_turns != self._answered:
            self._answered = ask.user_turns
            self._asked_again = self._asked_after_tools = self._replies = 0
            return self._first_answer(ask)
        turn = self.turn(ask.user_turns)
        if ask.after_tools:
            lines = turn.after_tools if turn else ()
            self._asked_after_tools += 1
            if self._asked_after_tools <= len(lines):
                return Plan(lines=(lines[self._asked_after_tools - 1],))
            return Plan(lines=(turn.again[-1] if turn and turn.again else self.script.again,))
        self._asked_again += 1
        if turn and turn.again:
            return Plan(lines=(turn.again[min(self._asked_again, len(turn.again)) - 1],))
        return Plan(lines=(self._last_line or self.script.again,))

    def _first_answer(self, ask: Ask) -> Plan:
        if ask.user_turns == 0:
            return Plan(lines=(self.script.opening,))
        turn = self.turn(ask.user_turns)
        if turn is None:
            last = self.script.turns[-1].says[-1:] if self.script.turns else ()
            return Plan(lines=(self.script.closing or self._last_line or (last[0] if last else self.script.again),))
        called = tuple(call for call in turn.tools if call.name in ask.tools)
        notes = tuple(
            f"turn {ask.user_turns} of the script calls `{call.name}`, which the request does not offer: not called"
            for call in turn.tools
            if call.name not in ask.tools
        )
        lines = turn.says or (() if called else (self.script.again,))
        return Plan(lines, called, turn.tools_first, turn.delay_ms, notes=notes)


def quoted(texts: tuple[str | None, ...]) -> str | None:
    """Returns what the last text that quotes something has between its first « and the » that closes it, or None."""
    for text in reversed(texts):
        if text is None or (start := text.find("«")) < 0:
            continue
        depth = 0
        for index in range(start, len(text)):
            depth += (text[index] == "«") - (text[index] == "»")
            if depth == 0:
                return text[start + 1 : index].strip() or None
    return None
