"""The input audio buffer of a session: what was appended, by audio position, and the voice detector that listens to it.

Positions are milliseconds of all audio appended since the session began. It knows no event and no clock."""

from __future__ import annotations

from typing import Any

from rehearsal import g711
from rehearsal.detector import SpeechStarted, SpeechStopped, VoiceDetector
from rehearsal.realtime_items import BYTES_PER_MS
from rehearsal.realtime_schema import Refused

APPEND_LIMIT_BYTES = 15 * 1024 * 1024
COMMIT_LEAST_MS = 100
IDLE_KEEP_MS = 31_000  # the longest idle timeout, whose silence is committed, and a little
SLACK_MS = 1_000  # dropped in lumps, not frame by frame
RATE_HZ = {"audio/pcm": 24_000, "audio/pcmu": 8_000}

# The stand-in understands no meaning: semantic detection is played as a silence whose length follows the eagerness.
SEMANTIC_SILENCE_MS = {"low": 1_200, "medium": 600, "auto": 600, "high": 300}


class InputBuffer:
    """Holds what is not committed yet and finds speech in it."""

    def __init__(self) -> None:
        self._format = "audio/pcm"
        self._data = bytearray()
        self._base_ms = 0
        self._keep_ms: int | None = None
        self._detector: VoiceDetector | None = None
        self._tuning: tuple[object, ...] | None = None

    @property
    def position_ms(self) -> int:
        """Milliseconds of audio appended since the session began."""
        return self._base_ms + self.pending_ms

    @property
    def pending_ms(self) -> int:
        """Milliseconds that can still be committed."""
        return len(self._data) // BYTES_PER_MS[self._format]

    @property
    def speaking(self) -> bool:
        """True between speech started and speech stopped."""
        return self._detector is not None and self._detector.speaking

    def configure(self, audio_format: str, turn_detection: dict[str, Any] | None) -> None:
        """Follows the session. Settings of detection that do not change leave a running utterance alone."""
        if audio_format != self._format:
            self.clear()
            self._format = audio_format
        tuning = _tuning(audio_format, turn_detection)
        if tuning == self._tuning:
            return
        self._tuning = tuning
        if turn_detection is None or tuning is None:
            self._detector, self._keep_ms = None, None
            return
        _, threshold, prefix_ms, silence_ms = tuning
        floor = self._detector.floor_db if self._detector is not None else None
        self._detector = VoiceDetector(
            RATE_HZ[audio_format],
            threshold=threshold,
            prefix_padding_ms=prefix_ms,
            silence_duration_ms=silence_ms,
            origin_ms=self.position_ms,
            floor_db=floor,
        )
        self._keep_ms = IDLE_KEEP_MS if turn_detection.get("idle_timeout_ms") else prefix_ms + 200

    def append(self, audio: bytes) -> list[SpeechStarted | SpeechStopped]:
        """Adds audio in the session's input format and returns what the detector made of it."""
        if len(audio) > APPEND_LIMIT_BYTES:
            raise Refused("invalid_value", f"Audio of {len(audio)} bytes is over the limit of 15 MiB.", "audio")
        self._data += audio
        if self._detector is None:
            return []
        return self._detector.push(g711.decode(audio) if self._format == "audio/pcmu" else audio)

    def trim(self) -> None:
        """Drops old silence. Called when everything that the last append decided has been taken."""
        if self._keep_ms is not None and not self.speaking and self.pending_ms > self._keep_ms + SLACK_MS:
            self._drop(self.pending_ms - self._keep_ms)

    def take(self, start_ms: int, end_ms: int) -> bytes:
        """Removes everything up to `end_ms` and returns what lies between the two positions."""
        per_ms = BYTES_PER_MS[self._format]
        begin = max(0, start_ms - self._base_ms) * per_ms
        taken = bytes(self._data[begin : (end_ms - self._base_ms) * per_ms])
        self._drop(end_ms - self._base_ms)
        return taken

    def commit(self) -> bytes:
        """Removes and returns everything, as a client's commit does; raises Refused below 100 ms."""
        pending = len(self._data) / BYTES_PER_MS[self._format]
        if pending < COMMIT_LEAST_MS:
            raise Refused(
                "input_audio_buffer_commit_empty",
                "Error committing input audio buffer: buffer too small. Expected at least 100ms of audio, "
                f"but buffer only has {pending:.2f}ms of audio.",
            )
        taken = self.take(self._base_ms, self.position_ms)
        if self._detector is not None:
            self._detector.forget()
        return taken

    def clear(self) -> None:
        """Removes everything; positions go on counting."""
        self._drop(self.pending_ms)
        if self._detector is not None:
            self._detector.forget()

    def _drop(self, milliseconds: int) -> None:
        del self._data[: milliseconds * BYTES_PER_MS[self._format]]
        self._base_ms += milliseconds


def _tuning(audio_format: str, detection: dict[str, Any] | None) -> tuple[str, float, int, int] | None:
    if detection is None:
        return None
    if detection["type"] == "semantic_vad":
        return audio_format, 0.5, 300, SEMANTIC_SILENCE_MS[detection["eagerness"]]
    return (
        audio_format,
        detection["threshold"],
        detection["prefix_padding_ms"],
        detection["silence_duration_ms"],
    )
