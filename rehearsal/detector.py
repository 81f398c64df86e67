"""The realtime stand-in's voice detector: energy over an adaptive noise floor, in audio time, sans-I/O.

It recognises no speech: a cough as loud as a word is a word to it. It knows neither the protocol nor a clock; only the
samples it was given pass time."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

FRAME_MS = 20  # a telephone frame; every offset is a multiple of it from where detection began
ONSET_FRAMES = 3  # 60 ms above the line before it is speech: a click or a key's plop is shorter
RESUME_FRAMES = 2  # 40 ms above the line before a pause is over again
HYSTERESIS_DB = 3.0  # speech ends lower than it begins
FLOOR_LOW_DB, FLOOR_HIGH_DB = -70.0, -45.0  # where the floor may start; a caller may speak in the first frame
FLOOR_FALL = 0.2  # of the distance per frame: some 100 ms down to a quieter line
FLOOR_RISE_DB = 0.08  # per frame, 4 dB/s: some seconds up to a noisier one
FLOOR_RISE_SPEAKING_DB = 0.05  # 2.5 dB/s: steady noise taken for speech ends by itself after some ten seconds


@dataclass(frozen=True)
class SpeechStarted:
    """Speech began: `start_ms` already includes the prefix padding, `at_ms` is the position at which it was noticed."""

    start_ms: int
    at_ms: int


@dataclass(frozen=True)
class SpeechStopped:
    """Speech ended. `end_ms` includes the silence that proved it."""

    end_ms: int


class VoiceDetector:
    """Finds where speech starts and stops in 16-bit mono PCM. The same audio gives the same events however it is cut.

    threshold: 0 to 1. The line is the louder of -62 + 30·threshold dBFS and the floor + 6 + 12·threshold dB: at 0.5,
        -47 dBFS and 12 dB over the noise. Telephone speech is some -35 to -20 dBFS, its line noise -65 to -50.
    prefix_padding_ms: audio before the onset that counts as speech.
    silence_duration_ms: silence after which speech has stopped, rounded up to whole frames.
    origin_ms: audio position of the first sample that will be pushed.
    floor_db: the noise floor of a detector before this one, when its settings change on a running line.
    """

    def __init__(
        self,
        sample_rate_hz: int,
        *,
        threshold: float = 0.5,
        prefix_padding_ms: int = 300,
        silence_duration_ms: int = 500,
        origin_ms: int = 0,
        floor_db: float | None = None,
    ) -> None:
        self.speaking = False
        self._frame_samples = sample_rate_hz * FRAME_MS // 1000
        self._lowest_line_db = -62.0 + 30.0 * threshold
        self._margin_db = 6.0 + 12.0 * threshold
        self._prefix_ms = prefix_padding_ms
        self._silence_frames = max(1, -(-silence_duration_ms // FRAME_MS))
        self._origin_ms = origin_ms
        self._earliest_start_ms = origin_ms
        self._frames = 0
        self._remainder = b""
        self._floor_db = floor_db
        self._loud_run = 0
        self._quiet_frames = 0

    @property
    def position_ms(self) -> int:
        """Audio position up to which it has decided."""
        return self._origin_ms + self._frames * FRAME_MS

    @property
    def floor_db(self) -> float:
        """The noise floor it believes in, dBFS; the lowest it knows when nothing was heard yet."""
        return FLOOR_LOW_DB if self._floor_db is None else self._floor_db

    def push(self, pcm16: bytes) -> list[SpeechStarted | SpeechStopped]:
        """Takes any number of bytes and returns what they decided; less than a frame waits for the next push."""
        data = self._remainder + pcm16
        size = self._frame_samples * 2
        whole = len(data) - len(data) % size
        self._remainder = data[whole:]
        if not whole:
            return []
        frames = np.frombuffer(data, dtype="<i2", count=whole // 2).reshape(-1, self._frame_samples).astype(np.float64)
        # Variance, not mean square: a direct-current offset is no sound.
        power = frames.var(axis=1)
        events: list[SpeechStarted | SpeechStopped] = []
        for value in power.tolist():
            event = self._frame(10.0 * math.log10(value / 2**30 + 1e-12))
            if event is not None:
                events.append(event)
        return events

    def forget(self) -> None:
        """Ends any speech without a word, as when the buffer was cleared or committed by hand. The floor stays."""
        self.speaking = False
        self._earliest_start_ms = self.position_ms  # what was taken is not taken twice as padding
        self._loud_run = 0
        self._quiet_frames = 0

    def _frame(self, level_db: float) -> SpeechStarted | SpeechStopped | None:
        self._frames += 1
        if self._floor_db is None:
            self._floor_db = min(max(level_db, FLOOR_LOW_DB), FLOOR_HIGH_DB)
        line_db = max(self._lowest_line_db, self._floor_db + self._margin_db)
        self._follow(level_db)
        if not self.speaking:
            return self._listen(level_db >= line_db)
        return self._wait_for_silence(level_db >= line_db - HYSTERESIS_DB)

    def _follow(self, level_db: float) -> None:
        floor = self.floor_db
        if level_db < floor:
            floor += FLOOR_FALL * (level_db - floor)
        else:
            floor = min(level_db, floor + (FLOOR_RISE_SPEAKING_DB if self.speaking else FLOOR_RISE_DB))
        self._floor_db = max(floor, FLOOR_LOW_DB)

    def _listen(self, loud: bool) -> SpeechStarted | None:
        self._loud_run = self._loud_run + 1 if loud else 0
        if self._loud_run < ONSET_FRAMES:
            return None
        self.speaking = True
        self._quiet_frames = 0
        onset_ms = self.position_ms - ONSET_FRAMES * FRAME_MS
        return SpeechStarted(start_ms=max(self._earliest_start_ms, onset_ms - self._prefix_ms), at_ms=self.position_ms)

    def _wait_for_silence(self, loud: bool) -> SpeechStopped | None:
        self._loud_run = self._loud_run + 1 if loud else 0
        # One loud frame inside a pause counts as pause: else a line that clicks never lets a turn end.
        self._quiet_frames = 0 if self._loud_run >= RESUME_FRAMES else self._quiet_frames + 1
        if self._quiet_frames < self._silence_frames:
            return None
        self.forget()
        return SpeechStopped(end_ms=self.position_ms)
