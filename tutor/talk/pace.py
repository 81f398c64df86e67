"""The pace dial: how far one call's tempo, turns and waits move from the level card, by what the learner shows.

It starts in the middle with each call and is never stored: the level stays what it is. Pure; knows no clock, no
transcript and no voice (tutoring.md rows 14, 60, 73, 74 and §3.1).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal

from tutor.script.level import Level

SLOWEST, FASTEST = -2, 2

QUICK_MS = 1_500
"""An answer sooner than this took no search for words: planning a phrase takes 1.5 s (Levinson & Torreira)."""

EVIDENCE_TURNS = 3
"""The learner's turns that count, and the fewest between two steps."""

STRUGGLES = 2
"""So many of them with trouble turn the dial back."""

SPEED_STEP = 0.05
SPEED_MIN, SPEED_MAX = 0.7, 1.1
"""The range in which a changed voice still sounds like the same person (tutoring.md §5.2, §5.9)."""

STUCK_STEP_S = 0.5
STUCK_MIN_S = 3.0
"""Help never comes sooner: three seconds of waiting lengthen answers (Rowe, tutoring.md §3.3)."""

RUNG_GAP_S = 1.0
"""The least time between two rungs, wherever the floor pushes them."""

Step = Literal[-1, 0, 1]


@dataclass(frozen=True, slots=True)
class _Evidence:
    """What one turn of the learner shows; it may show nothing."""

    fluent: bool
    struggled: bool


class PaceDial:
    """The dial of one call, from -2 (slower) to +2 (faster).

    Up a step when three turns in a row came quickly, reached the level's length and needed no help; down a step when
    two of the last three needed help. At most one step in three turns of the learner.
    """

    def __init__(self, level: Level) -> None:
        """A dial in the middle; ``level`` says how many words of a turn reach its goal."""
        self.position = 0
        self._goal_words = level.learner_turn_words
        self._evidence: deque[_Evidence] = deque(maxlen=EVIDENCE_TURNS)
        self._turns_since_step = EVIDENCE_TURNS
        self._asked = False
        self._interrupted = False

    def asked(self) -> None:
        """The learner needed help (a rung of the ladder, a translation, a slower voice): counts to the next turn."""
        self._asked = True

    def interrupted_with_words(self) -> None:
        """The learner broke in with words of content: the next turn counts as quick, and long enough.

        Only for a real overlap; a noise or a "yes" while the role speaks is none (tutoring.md row 74).
        """
        self._interrupted = True

    def turn(self, latency_ms: int | None, words: int, clarified: bool) -> Step:
        """Takes one turn of the learner.

        Args:
            latency_ms: from the end of what was heard of the role to the learner's voice; None when not measured.
            words: how many words it had; 0 when nobody could make them out.
            clarified: whether it asked to repeat, to go slower or what something means.

        Returns:
            The step the dial makes.
        """
        quick = latency_ms is not None and latency_ms < QUICK_MS and words >= self._goal_words
        struggled = clarified or self._asked
        self._evidence.append(_Evidence((quick or self._interrupted) and not struggled, struggled))
        self._asked = self._interrupted = False
        self._turns_since_step += 1
        if self._turns_since_step < EVIDENCE_TURNS:
            return 0
        step = self._wanted()
        if step == 0 or not SLOWEST <= self.position + step <= FASTEST:
            return 0
        self.position += step
        self._turns_since_step = 0
        return step

    def speed(self, base: float) -> float:
        """The voice's speed from the speed without the dial: 0.05 a step, within 0.7-1.1, two decimals."""
        return round(min(SPEED_MAX, max(SPEED_MIN, base + SPEED_STEP * self.position)), 2)

    def sentence_cap(self, level: Level) -> int:
        """The sentences a turn of the role may have now: one a step more or less than the card's, at least one."""
        return max(1, level.max_sentences + self.position)

    def stuck_s(self, level: Level, personal_s: float = 0.0) -> tuple[float, ...]:
        """When the rungs of the stuck ladder come now, in seconds of silence, one after the other.

        Args:
            level: the card with the usual times.
            personal_s: what this learner usually needs longer; below 0 for quick ones.

        Returns:
            As many rungs as the card has, half a second later for each step back, none below 3 s.
        """
        shift_s = personal_s - STUCK_STEP_S * self.position
        rungs: list[float] = []
        floor_s = STUCK_MIN_S
        for usual_s in level.stuck_s:
            rungs.append(max(floor_s, round(usual_s + shift_s, 2)))
            floor_s = rungs[-1] + RUNG_GAP_S
        return tuple(rungs)

    def _wanted(self) -> Step:
        seen = self._evidence
        if sum(turn.struggled for turn in seen) >= STRUGGLES:
            return -1
        if len(seen) == EVIDENCE_TURNS and all(turn.fluent for turn in seen):
            return 1
        return 0
