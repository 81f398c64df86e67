"""A learner's conversations as bars: how often they spoke in each, and which scenes they finished. Numbers only.

Compares a learner with nobody but themselves. Knows no page and no database.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

LEAST: Final = 3
"""Fewer conversations make no picture (tutoring.md §5.7)."""

MOST: Final = 10
"""More bars would be too thin for a telephone."""

WIDTH: Final = 320
HEIGHT: Final = 150
BASE: Final = 125
"""Where the bars stand; below is room for a star."""
_TALLEST: Final = 100
_LOWEST: Final = 2
STAR: Final = "M0-9 2.6-3.2 8.8-2.8 4 1.2 5.5 7.3 0 4-5.5 7.3-4 1.2-8.8-2.8-2.6-3.2Z"


@dataclass(frozen=True, slots=True)
class Bar:
    """One conversation."""

    x: int
    y: int
    height: int
    middle: int
    turns: int
    finished: bool


@dataclass(frozen=True, slots=True)
class Graph:
    """The picture with its words."""

    bars: tuple[Bar, ...]
    bar_width: int
    told: str
    """The numbers as a sentence, for whoever does not see the picture."""
    finished: str
    """How many scenes were finished; empty when none was: nobody is told of what they did not do."""
    width: int = WIDTH
    height: int = HEIGHT
    base: int = BASE
    star: str = STAR


def bars(conversations: Sequence[tuple[int, bool]], *, right_to_left: bool = False) -> tuple[int, tuple[Bar, ...]]:
    """The width of a bar, and the bars of conversations given as (turns, finished), the oldest first.

    Where people read from right to left, the oldest stands at the right.
    """
    order = list(reversed(conversations)) if right_to_left else list(conversations)
    step = WIDTH // max(1, len(order))
    width = max(6, min(28, step - 8))
    most = max((turns for turns, _ in order), default=0) or 1
    placed = []
    for place, (turns, finished) in enumerate(order):
        height = max(_LOWEST, round(_TALLEST * turns / most))
        middle = place * step + step // 2
        placed.append(Bar(middle - width // 2, BASE - height, height, middle, turns, finished))
    return width, tuple(placed)
