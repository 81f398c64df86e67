"""Short sounds that say something without words, as µ-law at 8 kHz: soft sines that fade in and out.

They stay within the telephone band and well below speech, so that nobody starts at them.
"""

from __future__ import annotations

from functools import cache
from typing import assert_never

import numpy as np

from telephony.audio import g711
from tutor.talk.exchange import Earcon

RATE_HZ = 8_000
LEVEL = 0.12
"""Peak of full scale: some 18 dB below loud speech."""

FADE_MS = 20


@cache
def earcon(name: Earcon) -> bytes:
    """The sound of that name, whole 20 ms frames."""
    match name:
        case "goal":
            return _tones(((660, 120), (880, 180)))
        case "pause":
            return _tones(((520, 80),))
        case _:
            assert_never(name)


def _tones(tones: tuple[tuple[int, int], ...]) -> bytes:
    """(Hz, ms) one after the other."""
    return b"".join(g711.encode(_tone(hertz, ms)) for hertz, ms in tones)


def _tone(hertz: int, ms: int) -> bytes:
    samples, fade = ms * RATE_HZ // 1000, FADE_MS * RATE_HZ // 1000
    wave = np.sin(2 * np.pi * hertz * np.arange(samples) / RATE_HZ)
    envelope = np.minimum(1.0, np.minimum(np.arange(samples), np.arange(samples)[::-1]) / fade)
    return (wave * envelope * LEVEL * 32_767).astype("<i2").tobytes()
