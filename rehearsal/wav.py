"""Sound files: what a call sounded like on both sides, and the files a server offers for playing.

Knows tracks and G.711, nothing of calls.
"""

from __future__ import annotations

import struct
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from rehearsal.g711 import SAMPLES_PER_MS, SILENCE, decode, encode, is_audible

_RATE_HZ = 8000
_PCM, _ULAW = 1, 7


@dataclass(frozen=True, slots=True)
class Recording:
    """Both sides of a call on one clock that begins with the call, as µ-law; equally long."""

    caller: bytes
    """What the caller said."""
    line: bytes
    """What the caller heard."""

    @classmethod
    def of(cls, caller: bytes, line: bytes) -> Recording:
        """Pads the shorter side with silence."""
        length = max(len(caller), len(line))
        silence = bytes([SILENCE])
        return cls(caller.ljust(length, silence), line.ljust(length, silence))

    @property
    def duration_ms(self) -> float:
        """How long the recording is."""
        return len(self.line) / SAMPLES_PER_MS

    def audible(self, side: Literal["caller", "line"], frame_ms: int = 20) -> list[bool]:
        """For each frame, whether that side could be heard in it (peak at or above -42 dBFS)."""
        sound = self.caller if side == "caller" else self.line
        step = frame_ms * SAMPLES_PER_MS
        return [is_audible(sound[at : at + step]) for at in range(0, len(sound), step)]

    def write_wav(self, path: Path | str) -> None:
        """Writes 16-bit stereo at 8 kHz: left what the caller said, right what the caller heard."""
        sides = [np.frombuffer(decode(sound), dtype="<i2") for sound in (self.caller, self.line)]
        with wave.open(str(path), "wb") as file:
            file.setnchannels(2)
            file.setsampwidth(2)
            file.setframerate(_RATE_HZ)
            file.writeframes(np.stack(sides, axis=1).tobytes())


def read_ulaw(data: bytes) -> bytes:
    """The sound of a WAV file as µ-law; only mono at 8 kHz, µ-law or 16-bit PCM, is understood (else ValueError)."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise ValueError("not a WAV file")
    at, form = 12, b""
    while at + 8 <= len(data):
        name, size = data[at : at + 4], struct.unpack_from("<I", data, at + 4)[0]
        chunk = data[at + 8 : at + 8 + size]
        if name == b"fmt ":
            form = chunk
        elif name == b"data":
            if len(form) < 16:
                raise ValueError("a WAV file without a format")
            kind, channels, rate = struct.unpack_from("<HHI", form)
            bits = struct.unpack_from("<H", form, 14)[0]
            if (channels, rate) != (1, _RATE_HZ) or (kind, bits) not in {(_PCM, 16), (_ULAW, 8)}:
                raise ValueError(f"a WAV file of kind {kind}, {channels} channel(s), {rate} Hz, {bits} bits")
            return chunk if kind == _ULAW else encode(chunk[: len(chunk) // 2 * 2])
        at += 8 + size + size % 2
    raise ValueError("a WAV file without sound")
