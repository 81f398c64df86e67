"""How sure a learner acts in a call, compared with their own first calls; with nobody else, and with no level.

Pure arithmetic on the measures of calls (tutoring.md §3.6).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Final

from tutor.learning.metrics import Measures

FIRST_CALLS: Final = 3
"""So many calls are what a learner is compared with."""

MOST: Final = 3.0
"""A single part counts at most as three standard deviations: one odd call shall not decide."""

KNOWN: Final = 0.5
"""At least this much of the weights must be known; the others are left out."""


@dataclass(frozen=True, slots=True)
class _Part:
    weight: float
    value: Callable[[Measures], float | None]
    """More is surer; None where it is not known, or read off transcripts that cannot be relied on."""
    least: float
    """The least standard deviation that three calls are believed to show: they may happen to be alike. Ours."""


_PARTS: Final = (
    _Part(0.35, lambda call: None if call.median_latency_ms is None else -call.median_latency_ms, 300.0),
    _Part(0.25, lambda call: call.mean_turn_words if call.reliability.text else None, 1.0),
    _Part(0.20, lambda call: -call.support_index, 0.25),
    _Part(0.20, lambda call: call.understood_share, 0.1),
)


def confidence(now: Measures, first: Sequence[Measures]) -> float | None:
    """How sure the learner acted in a call, 0-1; 0.5 is as in their first calls.

    Args:
        now: the call, which is none of the first.
        first: the learner's first calls in this language, oldest first; more than are needed may be given. Calls of
            fewer than four turns, or on a noisy line, do not count. The length of turns, which is read off
            transcripts, is left out where those of the call, or of one of the first, cannot be relied on.

    Returns:
        None while there are fewer than three first calls that count, when the call itself does not, or when too little
        of it was measured.
    """
    before = [call for call in first if call.comparable][:FIRST_CALLS]
    if len(before) < FIRST_CALLS or not now.comparable:
        return None
    parts = [(part.weight, z) for part in _PARTS if (z := _z(part, now, before)) is not None]
    known = sum(weight for weight, _ in parts)
    if known < KNOWN:
        return None
    return 1 / (1 + math.exp(-sum(weight * z for weight, z in parts) / known))


def _z(part: _Part, now: Measures, before: Sequence[Measures]) -> float | None:
    """By how many standard deviations a call is surer than those before; None when it cannot be told."""
    value = part.value(now)
    base = [known for call in before if (known := part.value(call)) is not None]
    if value is None or len(base) < FIRST_CALLS:
        return None
    return max(-MOST, min(MOST, (value - mean(base)) / max(part.least, stdev(base))))
