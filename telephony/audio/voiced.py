"""Where a caller's voice sounded: voiced frames joined to stretches, for the measures that pauses are part of.

Reckons in the seconds that the `Meter` completes. Knows no call and stores no sound.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from telephony.audio.g711 import FRAME_MS

JOINED_MS: Final = 200
"""Shorter gaps belong to the stretch (tutoring.md §3.6)."""

LEAST_MS: Final = 60
"""Shorter sounds are clicks."""


class Voiced:
    """The stretches of one call."""

    def __init__(self) -> None:
        """Has heard nothing yet."""
        self._span: tuple[int, int] | None = None

    def second(self, frames: npt.NDArray[np.bool_], ends_ms: int) -> list[tuple[int, int]]:
        """Takes a second that ended at ``ends_ms``, and which of its frames held voice.

        Returns:
            The stretches that ended, as (start, end) on the same clock; what may go on is kept.
        """
        began_ms = ends_ms - len(frames) * FRAME_MS
        ended = []
        for at in np.flatnonzero(frames):
            start_ms = began_ms + int(at) * FRAME_MS
            if self._span is not None and start_ms - self._span[1] < JOINED_MS:
                self._span = self._span[0], start_ms + FRAME_MS
            else:
                ended += self.flush()
                self._span = start_ms, start_ms + FRAME_MS
        if self._span is not None and ends_ms - self._span[1] >= JOINED_MS:
            ended += self.flush()
        return ended

    def flush(self) -> list[tuple[int, int]]:
        """The stretch that is still open, when it is more than a click: nothing more of it will come."""
        span, self._span = self._span, None
        return [span] if span is not None and span[1] - span[0] >= LEAST_MS else []
