"""Help that comes by itself or by a key: the stuck ladder and the hint ladder. Pure, on the call's clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from tutor.talk.goals import Goals

HINT_AGAIN_MS = 20_000
"""A second press within this time climbs to the next rung (tutoring.md §5.2)."""

AFTER_LAST_RUNG_MS = 12_000
"""Silence after the last rung until we ask whether anybody is there (tutoring.md §5.4)."""

STILL_THERE_MS = 10_000
"""Silence after that question until a kind goodbye."""

StuckStep = Literal["encourage", "more_time", "choice", "model_phrase", "still_there", "goodbye"]

_RUNGS: tuple[StuckStep, ...] = ("encourage", "more_time", "choice", "model_phrase")


@dataclass(slots=True)
class StuckLadder:
    """What to do while the learner says nothing, counted from the end of *heard* audio.

    ``stuck_s`` are the level's times of the rungs, in seconds of silence; a level may have fewer than four. ``rungs``
    says which of them, from 0, come by themselves.
    """

    stuck_s: tuple[float, ...]
    rungs: range = range(4)
    _since_ms: int | None = None
    _step: int = 0
    _steps: tuple[tuple[int, StuckStep], ...] = field(init=False)

    def __post_init__(self) -> None:
        self.retime(self.stuck_s)

    def retime(self, stuck_s: tuple[float, ...]) -> None:
        """Waits longer or shorter from now on; as many rungs as before."""
        self.stuck_s = stuck_s
        timed = list(zip(self.stuck_s, _RUNGS, strict=False))
        rungs = [(int(timed[rung][0] * 1000), timed[rung][1]) for rung in self.rungs if rung < len(timed)]
        last = int(self.stuck_s[-1] * 1000) if self.stuck_s else 0
        ask = last + AFTER_LAST_RUNG_MS
        self._steps = (*rungs, (ask, "still_there"), (ask + STILL_THERE_MS, "goodbye"))

    @property
    def next_due_ms(self) -> int | None:
        """When the next step is due; None while nobody is waited for."""
        if self._since_ms is None or self._step >= len(self._steps):
            return None
        return self._since_ms + self._steps[self._step][0]

    def quiet(self, now_ms: int) -> None:
        """Nobody speaks any more: goes on counting where the ladder stands."""
        if self._since_ms is None:
            reached = self._steps[self._step - 1][0] if self._step else 0
            self._since_ms = now_ms - reached

    def hold(self) -> None:
        """Somebody speaks: the ladder waits, and keeps its rung (our own help does not start it anew)."""
        self._since_ms = None

    def reset(self) -> None:
        """The learner spoke or pressed a key: the next silence starts at the first rung."""
        self._since_ms = None
        self._step = 0

    def due(self, now_ms: int) -> StuckStep | None:
        """The step that is due now, once."""
        due_ms = self.next_due_ms
        if due_ms is None or now_ms < due_ms:
            return None
        step = self._steps[self._step][1]
        self._step += 1
        return step


@dataclass(slots=True)
class HintLadder:
    """Key 1: a keyword, then the beginning of a sentence, then the whole phrase, for the next unmet goal."""

    _goal: str | None = None
    _rung: int = 0
    _at_ms: int = 0

    def press(self, goals: Goals, now_ms: int) -> tuple[str, int] | None:
        """The goal and the rung (0-2) to give; None when every goal is earned."""
        goal = goals.next
        if goal is None:
            return None
        again = goal.id == self._goal and now_ms - self._at_ms <= HINT_AGAIN_MS
        self._rung = min(self._rung + 1, 2) if again else 0
        self._goal, self._at_ms = goal.id, now_ms
        return goal.id, self._rung
