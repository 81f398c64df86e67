"""Lines as audio in the session's format: spoken by voices when there are some, else tones in the rhythm of syllables.

It knows text, languages and formats, no event."""

from __future__ import annotations

import zlib
from collections import OrderedDict

import numpy as np

from rehearsal import g711
from rehearsal.voices import Samples, Voices, VoicesError, resample, to_pcm16

CHARACTERS_PER_S = 14.0
RATE_HZ = {"audio/pcm": 24_000, "audio/pcmu": 8_000}
CACHE_LINES = 512
TONE_PEAK = 9_000.0  # -11 dBFS, a clear telephone voice

# Which of espeak-ng's variants stands for which of the model's voices: told apart by ear, no likeness meant.
VARIANTS = {
    "alloy": "f2",
    "ash": "m1",
    "ballad": "m2",
    "coral": "f1",
    "echo": "m4",
    "sage": "f4",
    "shimmer": "f5",
    "verse": "m7",
    "marin": "f3",
    "cedar": "m3",
}


class Speech:
    """Turns lines into bytes of a wire format. `notes` says once for each language that tones stand for speech."""

    def __init__(self, voices: Voices | None) -> None:
        self._voices = voices
        self._cache: OrderedDict[tuple[str, str, str, float, str], bytes] = OrderedDict()
        self.notes: list[str] = []

    def say(self, text: str, language: str, *, voice: str, speed: float, audio_format: str) -> bytes:
        """Returns the line as `audio/pcm` (24 kHz) or `audio/pcmu`. `speed` above 1 is faster."""
        key = (text, language, voice, speed, audio_format)
        if key in self._cache:
            self._cache.move_to_end(key)
            return self._cache[key]
        pcm = self._pcm(text, language, voice, speed, RATE_HZ[audio_format])
        audio = g711.encode(pcm) if audio_format == "audio/pcmu" else pcm
        self._cache[key] = audio
        if len(self._cache) > CACHE_LINES:
            self._cache.popitem(last=False)
        return audio

    def _pcm(self, text: str, language: str, voice: str, speed: float, rate_hz: int) -> bytes:
        if self._voices is not None:
            try:
                spoken = self._voices.speak(
                    text, language, speed=speed, rate_hz=rate_hz, variant=VARIANTS.get(voice, "f2")
                )
            except VoicesError as error:
                note = f"{error} Tones stand for it."
                if note not in self.notes:
                    self.notes.append(note)
            else:
                if spoken:  # a line of nothing but punctuation is silent
                    return spoken
        return to_pcm16(resample(tones(text, speed), RATE_HZ["audio/pcm"], rate_hz))


def tones(text: str, speed: float = 1.0) -> Samples:
    """Returns 24 kHz samples as long as the text would take at 14 characters a second: a burst and a gap per syllable.

    The same text always sounds the same, another text differently.
    """
    rate_hz = RATE_HZ["audio/pcm"]
    syllables = max(1, round(len(text) / 3))
    samples = max(1, round(len(text) / CHARACTERS_PER_S / speed / syllables * rate_hz))
    time = np.arange(samples) / rate_hz
    envelope = np.sin(np.pi * np.minimum(np.arange(samples) / (0.85 * samples), 1.0))
    pitches = np.random.default_rng(zlib.crc32(text.encode())).uniform(110.0, 220.0, syllables)
    harmonics = np.arange(1, 9)
    spoken = [
        (np.sin(2 * np.pi * pitch * time[:, None] * harmonics) / harmonics).sum(axis=1) * envelope for pitch in pitches
    ]
    line = np.concatenate(spoken)
    return line * (TONE_PEAK / max(1e-9, float(np.abs(line).max())))
