"""Which starts over the role's voice were a wish to speak (tutoring.md §1B-23, §5.4). Pure, on the call's clock.

The line is always silenced at once when the learner's voice is heard; what it was is known only afterwards: a cough, a
"mm", or the role's own voice from a loudspeaker brings fewer than two words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

DECIDED_AFTER_MS = 1_500
"""How long after the voice ended its words are waited for."""

WORDS = 2
"""A wish to speak has at least this many words."""

FALSE_ONES_BORNE = 3
"""After so many of them the learner's voice no longer cuts the role in this call."""

Verdict = Literal["barge_in", "overlap"]


@dataclass(slots=True)
class _Overlap:
    item: str
    until_ms: int | None = None


class Overlaps:
    """The overlaps of one call. One at a time is open: a new start decides the one before."""

    def __init__(self) -> None:
        self.false_ones = 0
        self._open: _Overlap | None = None
        self._wordless: set[str] = set()
        """Items that were taken for none because no words had come in time."""

    @property
    def next_due_ms(self) -> int | None:
        """When the open one is decided without its words."""
        return self._open.until_ms if self._open is not None else None

    @property
    def tired(self) -> bool:
        """Whether there were too many false ones to let the learner's voice cut the role."""
        return self.false_ones >= FALSE_ONES_BORNE

    def opened(self, item: str) -> bool:
        """Whether a turn began over the role's voice and is not yet known for what it is."""
        return self._open is not None and self._open.item == item

    def began(self, item: str) -> None:
        """The learner's voice was heard over the role's."""
        self._open = _Overlap(item)

    def stopped(self, item: str, now_ms: int) -> None:
        """It ended."""
        if self._open is not None and self._open.item == item:
            self._open.until_ms = now_ms + DECIDED_AFTER_MS

    def said(self, item: str, words: int | None) -> Verdict | None:
        """What it was in words, None when nobody could make them out; None for a turn that was no overlap.

        Words that come late are believed all the same: then it was a wish to speak after all.
        """
        real = words is None or words >= WORDS
        if item in self._wordless:
            self._wordless.discard(item)
            self.false_ones -= real
            return "barge_in" if real else None
        if self._open is None or self._open.item != item:
            return None
        self._open = None
        self.false_ones += not real
        return "barge_in" if real else "overlap"

    def due(self, now_ms: int) -> str | None:
        """The item that has brought no words in time: it is taken for none."""
        overlap = self._open
        if overlap is None or overlap.until_ms is None or now_ms < overlap.until_ms:
            return None
        self._open = None
        self._wordless.add(overlap.item)
        self.false_ones += 1
        return overlap.item
