"""G.711 µ-law, from the recommendation's arithmetic: what one telephone sample weighs.

Knows nothing of streams or files. The product has a codec of its own; this one exists so that the two can
disagree.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SILENCE = 0xFF
"""The code of a zero sample."""

SAMPLES_PER_MS = 8
FRAME_BYTES = 160
"""20 ms at 8 kHz, one byte a sample."""

_BIAS_14 = 0x21
_CLIP_14 = 8158
_AUDIBLE_PEAK = 256


def _decode_table() -> NDArray[np.int16]:
    code = ~np.arange(256, dtype=np.int32) & 0xFF
    magnitude = ((((code & 0x0F) << 3) + 0x84) << ((code & 0x70) >> 4)) - 0x84
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def _encode_table() -> NDArray[np.uint8]:
    """One code for each 16-bit sample, indexed by its unsigned bits; the law works on the upper 14 of them."""
    sample = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32) >> 2
    magnitude = np.minimum(np.abs(sample), _CLIP_14) + _BIAS_14
    segment = np.searchsorted(np.array([0x3F, 0x7F, 0xFF, 0x1FF, 0x3FF, 0x7FF, 0xFFF]), magnitude)
    code = (segment << 4) | ((magnitude >> (segment + 1)) & 0x0F)
    return np.asarray(code ^ np.where(sample < 0, 0x7F, 0xFF), dtype=np.uint8)


_DECODE = _decode_table()
_ENCODE = _encode_table()
_QUIET_CODES = bytes(code for code in range(256) if abs(int(_DECODE[code])) < _AUDIBLE_PEAK)


def decode(ulaw: bytes) -> bytes:
    """µ-law to 16-bit little-endian PCM, two bytes for each one."""
    return _DECODE[np.frombuffer(ulaw, dtype=np.uint8)].astype("<i2").tobytes()


def encode(pcm16: bytes) -> bytes:
    """16-bit little-endian PCM to µ-law, one byte for each two; an odd length raises ValueError."""
    return _ENCODE[np.frombuffer(pcm16, dtype="<i2").astype(np.int16).view(np.uint16)].tobytes()


def is_audible(ulaw: bytes) -> bool:
    """Whether a person would notice this sound: some sample's peak is at or above 256 of 32768 (-42 dBFS).

    Comfort noise and the silence that pads frames stay well below it.
    """
    return bool(ulaw.translate(None, _QUIET_CODES))


def audible_samples(ulaw: bytes) -> int:
    """How many samples there are up to and with the last audible one; 0 for silence."""
    return len(ulaw.rstrip(_QUIET_CODES))
