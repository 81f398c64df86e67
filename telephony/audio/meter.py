"""How loud it is around a caller: the noise floor, the level of the speech above it, and what is between them.

Fed the caller's µ-law as it comes; reckons once a second of audio, and its clock is that audio. Knows no call and
decides nothing (tutoring.md rows 37 and 47, §5.4).
"""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

from telephony.audio import g711

NOISY_DB = 12.0
"""Speech that stands out by less is hard to tell from noise, for a voice detector and for a transcriber."""

NOISY_S = 10
"""It must have been so for this long before anybody is told."""

FLOOR_S = 5
"""The floor is that of the quietest moments of so many seconds: even fast talkers pause in between."""

ENOUGH_SPEECH_S = 3
"""Seconds with speech before a ratio is given."""

REMEMBERED_S = 10
FORGOTTEN_AFTER_S = 30
"""The last seconds with speech make the ratio, and for so long while nobody speaks: the learner listens meanwhile."""

_FRAMES = 50
"""Frames of 20 ms in a second."""

_SECOND_BYTES = _FRAMES * g711.FRAME_BYTES
_QUIETEST = 1
"""The second lowest of a second's frames: white noise varies by half a decibel from frame to frame."""

_SPEECH_FRAMES = 10
"""A fifth of a second of louder frames is speech; a click is shorter."""

_ABOVE_FLOOR = 10 ** (3 / 10)
"""Speech is at least 3 dB over the floor: six times the spread of white noise."""

_VOICE_ABOVE_FLOOR = 10 ** (6 / 10)
"""A single frame is taken for voice from 6 dB over the floor on: noise alone hardly ever gets there."""

_PLAIN_VOICE = 10 ** (-32 / 10)
"""Above -32 dBFS a frame is voice whatever the floor: where a telephone sends no sound between words, even the quietest
moments are voice. A room as loud as that is found to be noisy anyway."""

_FULL_SCALE = 32_768.0
_AUDIBLE = 10 ** (-45 / 10)
"""-45 dBFS: breath and the far end of a room stay below, the quietest talkers above (the network's norm is -20)."""

_DIGITAL_SILENCE = 10 ** (-75 / 10)
"""Below the codec's smallest step: audio that was silenced or is missing says nothing of the caller's room."""

_SQUARES = (np.frombuffer(g711.decode(bytes(range(256))), "<i2").astype(np.float32) / np.float32(_FULL_SCALE)) ** 2
"""The power of each µ-law code, full scale 1."""


class Meter:
    """The meter of one call."""

    def __init__(self) -> None:
        """Has heard nothing yet."""
        self._pending = bytearray()
        self._floors: deque[float] = deque(maxlen=FLOOR_S)
        self._speech: deque[float] = deque(maxlen=REMEMBERED_S)
        self._silent_s = 0
        self._low_s = 0

    def feed(self, ulaw: bytes) -> list[npt.NDArray[np.bool_]]:
        """Takes caller audio in pieces of any length; 0.6 µs a frame (20 µs once a second).

        Returns:
            For each second that was completed, which of its fifty frames held the caller's voice. Only when there is
            one can anything the meter says have changed.
        """
        self._pending += ulaw
        seconds = []
        while len(self._pending) >= _SECOND_BYTES:
            seconds.append(self._reckon(np.frombuffer(bytes(self._pending[:_SECOND_BYTES]), np.uint8)))
            del self._pending[:_SECOND_BYTES]
        return seconds

    @property
    def noise_db(self) -> float | None:
        """The noise floor in dBFS; None before the first second with any sound."""
        return _db(min(self._floors)) if self._floors else None

    @property
    def speech_db(self) -> float | None:
        """The level of the caller's speech in dBFS, noise taken off; None while there was too little of it."""
        return _db(self._level) if len(self._speech) >= ENOUGH_SPEECH_S else None

    @property
    def snr_db(self) -> float | None:
        """By how many decibels speech stands above the noise; None while there was too little speech."""
        speech_db, noise_db = self.speech_db, self.noise_db
        return None if speech_db is None or noise_db is None else speech_db - noise_db

    @property
    def noisy(self) -> bool:
        """Whether speech has stood out by less than 12 dB through the last ten seconds of audio."""
        return self._low_s >= NOISY_S

    @property
    def _level(self) -> float:
        return sum(self._speech) / len(self._speech)

    def _reckon(self, second: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
        """Takes one second of audio; says which of its frames held voice."""
        frames = _SQUARES[second].reshape(_FRAMES, g711.FRAME_BYTES).mean(axis=1)
        powers = np.sort(frames)
        powers = powers[np.searchsorted(powers, _DIGITAL_SILENCE) :]
        self._silent_s += 1
        if len(powers) >= _SPEECH_FRAMES:
            self._floors.append(float(powers[_QUIETEST]))
            floor = min(self._floors)
            loud = powers[np.searchsorted(powers, max(floor * _ABOVE_FLOOR, _AUDIBLE)) :]
            if len(loud) >= _SPEECH_FRAMES:
                self._speech.append(float(loud.mean()) - floor)
                self._silent_s = 0
        if self._silent_s > FORGOTTEN_AFTER_S:
            self._speech.clear()
        snr_db = self.snr_db
        self._low_s = self._low_s + 1 if snr_db is not None and snr_db < NOISY_DB else 0
        floor = min(self._floors, default=0.0)
        voiced: npt.NDArray[np.bool_] = frames > max(min(floor * _VOICE_ABOVE_FLOOR, _PLAIN_VOICE), _AUDIBLE)
        return voiced


def _db(power: float) -> float:
    return float(10 * np.log10(power))
