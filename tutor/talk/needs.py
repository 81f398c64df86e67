"""What one learner needs otherwise than the level card says: waits, help that comes by itself. Pure.

It reads habits that were measured in earlier calls, and a preset that somebody chose; it knows neither who the learner
is nor where that is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from tutor.script.level import Level

HESITANT_MS = 2_000
"""Who typically answers later than this is given more silence inside a turn (tutoring.md row 39)."""

HESITANT_SILENCE_MS = 300
SILENCE_MIN_MS, SILENCE_MAX_MS = 300, 1_500

LATE_MS, LATEST_MS = 3_000, 8_000
"""Who regularly thinks longer than three seconds is helped later, up to eight (rows 60, 73)."""

CONFIDENT = 0.6
"""From here on help that comes by itself fades; keys always work (rows 71, 72)."""

Preset = Literal["usual", "patient"]


@dataclass(frozen=True, slots=True)
class Needs:
    """One learner's needs in a call.

    typical_latency_ms: the median time they took to answer in earlier calls; None: not known.
    confidence: 0-1 from earlier calls; None: not known, which is treated as low.
    preset: "patient" for who stammers or speaks with long pauses: nobody breaks in on them (tutoring.md §5.9).
    """

    typical_latency_ms: Annotated[int, Meta(ge=0, le=600_000)] | None = None
    confidence: Annotated[float, Meta(ge=0, le=1)] | None = None
    preset: Preset = "usual"

    @classmethod
    def read(cls, settings: Mapping[str, Any]) -> Needs:
        """From a learner's settings; what is missing or out of its range is as for everybody."""
        known = {name: settings[name] for name in cls.__dataclass_fields__ if name in settings}
        try:
            return msgspec.convert(known, cls)
        except msgspec.ValidationError:
            return cls()

    def silence_ms(self, level: Level) -> int:
        """The silence that ends this learner's turn, 300-1,500 ms."""
        if self.preset == "patient":
            return SILENCE_MAX_MS
        hesitates = self.typical_latency_ms is not None and self.typical_latency_ms > HESITANT_MS
        return min(SILENCE_MAX_MS, max(SILENCE_MIN_MS, level.silence_ms + HESITANT_SILENCE_MS * hesitates))

    @property
    def stuck_offset_s(self) -> float:
        """How much later than the card says help comes by itself, 0-5 s."""
        late_ms = min(self.typical_latency_ms or 0, LATEST_MS) - LATE_MS
        return max(0, late_ms) / 1000

    def rungs(self, level: Level) -> range:
        """Which rungs of the ladder, from 0, come by themselves.

        The card says how many; for a confident learner the last one, which gives the words away, is left to key 1. The
        patient preset drops the first two, which only say that somebody waits.
        """
        last = level.scaffolds
        if self.confidence is not None and self.confidence >= CONFIDENT:
            last = min(last, max(1, last - 1))
        return range(2 if self.preset == "patient" else 0, last)
