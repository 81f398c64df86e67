"""Measuring instruments: tones in, decibels out. Knows no filter; shared by the tests and the benchmark."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float64]
Convert = Callable[[bytes], bytes]

PCM16 = np.dtype("<i2")
AMPLITUDE = 16_000.0
SETTLE_S = 0.5
"""Cut from the beginning before a spectrum is taken: longer than any converter takes to settle."""


def tone(hz: float, rate: int, seconds: float = 2.0) -> bytes:
    """A sine at half of full scale, as 16-bit samples."""
    t = np.arange(round(rate * seconds)) / rate
    return np.rint(AMPLITUDE * np.sin(2 * np.pi * hz * t)).astype(PCM16).tobytes()


def samples(pcm16: bytes) -> Samples:
    """16-bit samples as numbers."""
    return np.frombuffer(pcm16, PCM16).astype(np.float64)


def streamed(convert: Convert, pcm16: bytes, rate: int) -> Samples:
    """What a converter makes of a stream that arrives in frames of 20 ms."""
    frame = rate // 50 * 2
    return samples(b"".join(convert(pcm16[i : i + frame]) for i in range(0, len(pcm16), frame)))


def levels_db(signal: Samples, rate: int) -> Samples:
    """Level at each whole Hz relative to a tone of ``AMPLITUDE``, from the first whole second after settling."""
    start = round(SETTLE_S * rate)
    spectrum = np.abs(np.fft.rfft(signal[start : start + rate])) / (rate / 2 * AMPLITUDE)
    return np.asarray(20 * np.log10(spectrum + 1e-9), dtype=np.float64)


def gain_db(convert: Convert, hz: int, rate_in: int, rate_out: int) -> float:
    """How loud a tone comes out."""
    return float(levels_db(streamed(convert, tone(hz, rate_in), rate_in), rate_out)[hz])


def worst_spur_db(convert: Convert, hz: int, rate_in: int, rate_out: int) -> float:
    """The loudest thing that comes out beside the tone: its images, or, when ``hz`` does not exist there, its alias."""
    levels = levels_db(streamed(convert, tone(hz, rate_in), rate_in), rate_out)
    if hz < len(levels) - 1:
        levels[max(hz - 1, 0) : hz + 2] = -200.0
    return float(levels.max())


def delay_ms(convert: Convert, rate_in: int, rate_out: int, hz: int = 500) -> float:
    """Lateness of a smooth pulse, from the peak of its correlation with itself made at the other rate."""

    def pulse(rate: int) -> Samples:
        t = np.arange(round(rate * 0.5)) / rate - 0.1
        return np.asarray(AMPLITUDE * np.exp(-((t / 0.004) ** 2)) * np.cos(2 * np.pi * hz * t), dtype=np.float64)

    came = streamed(convert, np.rint(pulse(rate_in)).astype(PCM16).tobytes(), rate_in)
    sent = pulse(rate_out)[: len(came)]
    match = np.correlate(came, sent, mode="full")
    peak = int(match.argmax())
    before, at, after = match[peak - 1 : peak + 2]
    between = (before - after) / (2 * (before - 2 * at + after))  # the parabola through the three highest
    return float((peak + between - (len(sent) - 1)) * 1000 / rate_out)


def snr_db(came: Samples, ideal: Samples) -> float:
    """Signal to everything else, in decibels."""
    return float(10 * np.log10(np.sum(ideal**2) / np.sum((came - ideal) ** 2)))
