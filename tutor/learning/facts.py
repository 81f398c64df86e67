"""What is known of a call once it is over, built from its record alone: turns, goals, hints, keys, how it ended.

Nothing here is an opinion; a debrief may say only what these facts support. Knows no database and no model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tutor.learning.metrics_turns import Record
from tutor.learning.recorded import EventRecord, TurnRecord
from tutor.script.scene import Scene

LEAST_TURNS = 4
"""A call with fewer learner turns and no goal gets no message (tutoring.md §5.6)."""


@dataclass(frozen=True, slots=True)
class Reached:
    """A goal that was earned."""

    goal: str
    quote: str
    """The learner's words by which the model claimed it."""
    transcribed: bool
    """Whether the transcript bears the quote out; otherwise it is the model's word alone."""


@dataclass(frozen=True, slots=True)
class Hint:
    """Help that was asked for with key 1."""

    goal: str
    rung: int
    """0 a keyword, 1 the start of a sentence, 2 the whole phrase."""


@dataclass(frozen=True, slots=True)
class Facts:
    """One call, as it was recorded."""

    scenario: str
    level: str
    native: str
    target: str
    turns: int = 0
    """The learner's turns, as they are measured (``metrics_turns.Record.speaking``)."""
    goals: tuple[Reached, ...] = ()
    """In the order in which they were reached."""
    hints: tuple[Hint, ...] = ()
    keys: Mapping[str, int] = field(default_factory=dict)
    """How often each key was pressed."""
    duration_ms: int = 0
    said: tuple[str, ...] = ()
    """The learner's lines, in order, as the transcriber understood them."""
    heard: tuple[str, ...] = ()
    """The role's lines, in order, as far as they were heard."""
    end_reason: str = ""
    """Empty when no end was recorded: the process was lost."""
    safe_exit: bool = False
    """The caller pressed 9: something was not right for them."""

    @classmethod
    def of(cls, scene: Scene, turns: Sequence[TurnRecord], events: Sequence[EventRecord]) -> Facts:
        """The facts of a call of this scene, from its turns and events, each in their order.

        Goals that the scene does not have (it was changed since) are left out.
        """
        known = {goal.id for goal in scene.scenario.goals}
        record = Record.read(scene.target.tag, turns, events, silence_ms=scene.level.silence_ms)
        # A call that was taken up again may have ended before.
        ended = next((event for event in reversed(events) if event.kind == "ended"), None)
        last_ms = max((*(turn.end_ms or turn.start_ms for turn in turns), *(event.at_ms for event in events), 0))
        reason = str(ended.data.get("reason", "")) if ended else ""
        return cls(
            scenario=scene.scenario.id,
            level=scene.level.name,
            native=scene.native.tag,
            target=scene.target.tag,
            turns=record.learner_turns,
            goals=_goals(events, known),
            hints=tuple(
                Hint(event.data["goal"], event.data["rung"])
                for event in events
                if event.kind == "hint" and event.data.get("goal") in known and event.data.get("rung") in (0, 1, 2)
            ),
            keys=Counter(str(event.data.get("digit")) for event in events if event.kind == "key"),
            duration_ms=ended.at_ms if ended else last_ms,
            said=_lines(turn for turn in turns if turn.speaker == "learner"),
            heard=_lines(turn for turn in turns if turn.speaker == "role"),
            end_reason=reason,
            safe_exit=reason == "safe_exit" or any(event.kind == "safe_exit" for event in events),
        )

    @property
    def minutes(self) -> int:
        """How long the call was, rounded, at least 1."""
        return max(1, round(self.duration_ms / 60_000))

    @property
    def reached(self) -> tuple[str, ...]:
        """The ids of the goals that were reached, in that order."""
        return tuple(goal.goal for goal in self.goals)

    @property
    def hints_by_rung(self) -> tuple[int, int, int]:
        """How many keywords, sentence starts and whole phrases were given."""
        given = Counter(hint.rung for hint in self.hints)
        return given[0], given[1], given[2]


def worth_a_message(facts: Facts) -> bool:
    """Whether there is enough to say: four learner turns, or any goal; hang-ups count like any other end."""
    return facts.turns >= LEAST_TURNS or bool(facts.goals)


def _goals(events: Iterable[EventRecord], known: set[str]) -> tuple[Reached, ...]:
    reached: dict[str, Reached] = {}
    for event in events:
        goal = event.data.get("goal")
        if event.kind == "goal" and goal in known and goal not in reached:
            quote = str(event.data.get("quote") or "")  # none where what was said is not kept
            reached[goal] = Reached(goal, quote, event.data.get("evidence") == "quote")
    return tuple(reached.values())


def _lines(turns: Iterable[TurnRecord]) -> tuple[str, ...]:
    return tuple(line for turn in turns if (line := (turn.text or "").strip()))
