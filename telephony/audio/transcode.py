"""One call's audio between the telephone's µ-law and whatever format the model was asked to speak.

Knows nothing of sockets or base64. Each direction carries its own state; a transcoder belongs to one call.
"""

from __future__ import annotations

from typing import Literal, Protocol

from telephony.audio import g711
from telephony.audio.resample import Downsampler, Upsampler

__all__ = ["Format", "PassThrough", "PcmTranscoder", "Transcoder", "transcoder"]

Format = Literal["pcm", "pcmu"]
"""What the model speaks: ``pcm`` is 16-bit little-endian at 24 kHz, ``pcmu`` is G.711 µ-law at 8 kHz."""


class Transcoder(Protocol):
    """Converts both directions of one call, in pieces of any length."""

    @property
    def format(self) -> Format:
        """The model's side."""

    def to_model(self, ulaw: bytes) -> bytes:
        """Converts what the caller said."""

    def to_caller(self, audio: bytes) -> bytes:
        """Converts what the model said; the result is µ-law of any length, not yet in frames."""

    def reset_to_model(self) -> None:
        """Forgets the caller's last milliseconds: the next audio starts a stream of its own."""

    def reset_to_caller(self) -> None:
        """Forgets the model's last milliseconds. Due at every clear, or the cut word echoes in the next one."""


class PcmTranscoder:
    """PCM16 at 24 kHz: 160 bytes of the caller give 960, 960 of the model give 160."""

    format: Format = "pcm"

    def __init__(self) -> None:
        """Starts both directions in silence."""
        self._up = Upsampler()
        self._down = Downsampler()

    def to_model(self, ulaw: bytes) -> bytes:
        """Six bytes for each byte given, 1.67 ms late."""
        return self._up.process(g711.decode(ulaw))

    def to_caller(self, audio: bytes) -> bytes:
        """One byte for each six given since the last reset (rounded up to whole samples), 2.79 ms late."""
        return g711.encode(self._down.process(audio))

    def reset_to_model(self) -> None:
        """The next caller audio follows silence."""
        self._up.reset()

    def reset_to_caller(self) -> None:
        """The next model audio follows silence; half a sample left over is forgotten too."""
        self._down.reset()


class PassThrough:
    """µ-law on both sides: the same bytes, at once."""

    format: Format = "pcmu"

    def to_model(self, ulaw: bytes) -> bytes:
        """The bytes given."""
        return ulaw

    def to_caller(self, audio: bytes) -> bytes:
        """The bytes given."""
        return audio

    def reset_to_model(self) -> None:
        """Nothing is remembered."""

    def reset_to_caller(self) -> None:
        """Nothing is remembered."""


def transcoder(mode: Format) -> Transcoder:
    """A new transcoder for one call. Raises ``ValueError`` for a mode that is neither ``pcm`` nor ``pcmu``."""
    if mode == "pcm":
        return PcmTranscoder()
    if mode == "pcmu":
        return PassThrough()
    raise ValueError(f"The audio mode {mode!r} is unknown; choose 'pcm' or 'pcmu'.")
