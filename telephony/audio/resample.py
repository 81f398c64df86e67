"""Sample-rate conversion between the telephone (8 kHz) and the model (24 kHz), streaming, 16-bit PCM.

Knows nothing of µ-law or calls. A polyphase FIR of our own: ``audioop.ratecv`` does not filter at all (a 5 kHz
tone comes back as 3 kHz at full strength) and soxr's stream withholds 40 to 150 ms and delivers it in lumps.

======================  ==========================  ==========================
                        Upsampler (8 -> 24 kHz)     Downsampler (24 -> 8 kHz)
======================  ==========================  ==========================
must keep               300-3400 Hz within 0.5 dB   300-3400 Hz within 0.5 dB
must suppress 60 dB     from 4.6 kHz: the images    from 4.1 kHz: what would
                        of tones up to 3.4 kHz      fold back below 3.9 kHz
taps at 24 kHz          81 (27 a phase)             135
group delay             40 samples = 1.67 ms        67 samples = 2.79 ms
======================  ==========================  ==========================

The two differ because the transition band upwards is 1,200 Hz wide and downwards only 700 Hz. Both are linear
phase: the delay is the same at every frequency.

The result does not depend on how the stream is cut into calls, bit for bit, on any machine: coefficients are
multiples of 2^-30 and samples are 16-bit integers, so every product and every sum is exact in a 64-bit float
(15 + 30 + 3 bits of 53), whatever the order in which the linear-algebra library adds them up.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["MODEL_HZ", "PHONE_HZ", "Downsampler", "Upsampler"]

PHONE_HZ = 8_000
MODEL_HZ = 24_000

_RATIO = MODEL_HZ // PHONE_HZ
_PCM16 = np.dtype("<i2")
_COEFFICIENT_UNIT = 2.0**-30
_LOWEST, _HIGHEST = np.array(-32768.0), np.array(32767.0)  # arrays: a Python float costs 0.3 µs more a call

# A step is one turn of the polyphase wheel: one telephone sample, three samples of the model.
_STEPS_PER_ROW = 16
"""Steps computed by one row of the matrix product. Measured: 8 to 20 cost the same; fewer rows cost more calls
of the inner kernel, longer ones more products with the zeros of the banded matrix."""
_STEPS_PER_PASS = 800
"""100 ms. Longer input is taken in several passes: the buffers stay small (150 kB a call for both directions), and
the product stays under the 2^18 multiplications at which OpenBLAS would wake a second thread."""


def _low_pass(taps: int, cutoff_hz: float, beta: float) -> npt.NDArray[np.float64]:
    """A linear-phase low-pass at 24 kHz with unit gain at 0 Hz: a sinc under a Kaiser window."""
    n = np.arange(taps) - (taps - 1) / 2
    response: npt.NDArray[np.float64] = np.sinc(2 * cutoff_hz / MODEL_HZ * n) * np.kaiser(taps, beta)
    response /= response.sum()
    return response


class _Bank(NamedTuple):
    """The coefficients of one direction, shared by all calls."""

    window: int
    """Input samples that one step needs."""
    hop_in: int
    hop_out: int
    matrix: npt.NDArray[np.float64]
    """(window of a row, outputs of a row): 16 steps' coefficients, each step's ``hop_in`` further down."""


def _bank(hop_in: int, step: npt.NDArray[np.float64]) -> _Bank:
    """Lays out the rows' matrix; ``step`` is the (window, hop_out) matrix that turns one window into one step."""
    window, hop_out = step.shape
    exact = np.rint(step / _COEFFICIENT_UNIT) * _COEFFICIENT_UNIT
    matrix = np.zeros((window + hop_in * (_STEPS_PER_ROW - 1), hop_out * _STEPS_PER_ROW))
    for s in range(_STEPS_PER_ROW):
        matrix[s * hop_in : s * hop_in + window, s * hop_out : (s + 1) * hop_out] = exact
    return _Bank(window, hop_in, hop_out, matrix)


# Output 3m + p of the upsampler hears input m - k through tap 3k + p. Windows hold the oldest sample first.
_UP = _bank(1, (_low_pass(taps=81, cutoff_hz=3925.0, beta=6.9) * _RATIO).reshape(-1, _RATIO)[::-1])
_DOWN = _bank(_RATIO, _low_pass(taps=135, cutoff_hz=3710.0, beta=6.8)[::-1, np.newaxis])


class _Polyphase:
    """A rate-changing FIR over a stream: each step takes ``hop_in`` samples and gives ``hop_out``.

    The input lies in ``_x``: ``_filled`` samples of history, then the new ones. Output step ``s`` needs
    ``window`` samples from ``s * hop_in`` on. A row of the product covers 16 steps at once: 16 overlapping windows
    are one longer window, and their coefficients one banded matrix. All arrays and their views are made once
    and kept as long as calls bring the same number of samples, so that a frame allocates only its result.
    """

    def __init__(self, bank: _Bank) -> None:
        """Starts in silence."""
        self._window, self._hop_in, self._hop_out, self._matrix = bank
        rows = _STEPS_PER_PASS // _STEPS_PER_ROW
        row_window, row_outputs = self._matrix.shape
        row_hop = self._hop_in * _STEPS_PER_ROW
        self._x = np.zeros(row_window + row_hop * rows)
        self._overlapping = np.lib.stride_tricks.sliding_window_view(self._x, row_window)[::row_hop]
        self._windows = np.zeros((rows, row_window))
        self._y = np.zeros((rows, row_outputs))
        self._pcm = np.zeros((rows, row_outputs), _PCM16)
        self._pass_bytes = _STEPS_PER_PASS * self._hop_in * _PCM16.itemsize
        self._half_sample = b""
        self._filled = self._window - 1
        self._planned = (-1, -1)

    def process(self, pcm16: bytes) -> bytes:
        """Converts the next piece of the stream, of any length, even one that ends within a sample.

        Results beyond 16 bits saturate. Odd bytes are carried over to the next call.
        """
        if self._half_sample or len(pcm16) % _PCM16.itemsize:
            pcm16 = self._half_sample + pcm16
            whole = len(pcm16) - len(pcm16) % _PCM16.itemsize
            pcm16, self._half_sample = pcm16[:whole], pcm16[whole:]
        if len(pcm16) <= self._pass_bytes:
            return self._one_pass(pcm16)
        starts = range(0, len(pcm16), self._pass_bytes)
        return b"".join([self._one_pass(pcm16[start : start + self._pass_bytes]) for start in starts])

    def reset(self) -> None:
        """Forgets the stream: the next sample is the first of a new one, after silence."""
        self._x[:] = 0
        self._half_sample = b""
        self._filled = self._window - 1

    def _one_pass(self, pcm16: bytes) -> bytes:
        samples = len(pcm16) // _PCM16.itemsize
        if not samples:
            return b""
        if (samples, self._filled) != self._planned:
            self._plan(samples)
        self._new[:] = np.frombuffer(pcm16, _PCM16)
        np.copyto(self._row_windows, self._row_sources)  # BLAS cannot read rows that overlap
        np.matmul(self._row_windows, self._matrix, out=self._row_y)
        np.rint(self._row_y, out=self._row_y)
        np.maximum(self._row_y, _LOWEST, out=self._row_y)
        np.minimum(self._row_y, _HIGHEST, out=self._row_y)
        np.copyto(self._row_pcm, self._row_y, casting="unsafe")
        self._history[:] = self._tail
        self._filled = self._filled_after
        return self._result.tobytes()

    def _plan(self, samples: int) -> None:
        """Makes the views for a call of this many samples after the history there is now."""
        end = self._filled + samples
        steps = (end - self._window) // self._hop_in + 1
        rows = -(-steps // _STEPS_PER_ROW)
        taken = steps * self._hop_in
        self._new = self._x[self._filled : end]
        self._row_sources = self._overlapping[:rows]
        self._row_windows = self._windows[:rows]
        self._row_y = self._y[:rows]
        self._row_pcm = self._pcm[:rows]
        self._result = self._pcm.reshape(-1)[: steps * self._hop_out]
        self._filled_after = end - taken
        self._history = self._x[: self._filled_after]
        self._tail = self._x[taken:end]
        self._planned = (samples, self._filled)


class Upsampler(_Polyphase):
    """8 kHz -> 24 kHz: n samples give exactly 3n, 1.67 ms late.

    Tones between 3.4 and 4 kHz, of which a telephone line carries next to nothing, fade out by up to 8 dB, and their
    images fade in between 4.6 kHz (-71 dB) and 4 kHz (-8 dB); suppressing those too would take twice the taps.
    """

    def __init__(self) -> None:
        """Starts in silence."""
        super().__init__(_UP)


class Downsampler(_Polyphase):
    """24 kHz -> 8 kHz: n samples since the last reset give exactly ceil(n/3), 2.79 ms late."""

    def __init__(self) -> None:
        """Starts in silence."""
        super().__init__(_DOWN)
