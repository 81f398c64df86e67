"""The converter's promises: exact lengths, the same result however the stream is cut, and its limits in decibels."""

from __future__ import annotations

import tracemalloc
from functools import partial
from itertools import pairwise
from timeit import repeat

import numpy as np
import pytest
import scipy.signal
import soxr
from hypothesis import given
from hypothesis import strategies as st

from telephony.audio.resample import MODEL_HZ, PHONE_HZ, Downsampler, Upsampler
from tests.telephony.audio.tones import (
    PCM16,
    Samples,
    delay_ms,
    gain_db,
    samples,
    snr_db,
    streamed,
    worst_spur_db,
)

Converter = type[Upsampler] | type[Downsampler]
both = pytest.mark.parametrize("converter", [Upsampler, Downsampler])

UP_DELAY_SAMPLES, DOWN_DELAY_SAMPLES = 40, 67  # at 24 kHz
NOISE = np.random.default_rng(711).integers(-32768, 32768, 9_000).astype(PCM16).tobytes()


def cut_at(stream: bytes, cuts: list[int]) -> list[bytes]:
    """The pieces of a stream between some positions."""
    return [stream[a:b] for a, b in pairwise([0, *sorted(cuts), len(stream)])]


def voice(rate: int) -> Samples:
    """One second of eleven tones between 300 and 3,000 Hz: what a voice occupies, and the same at every rate."""
    t = np.arange(rate) / rate
    return np.asarray(
        sum(2_000 * np.sin(2 * np.pi * hz * t + i * i) for i, hz in enumerate(range(300, 3001, 270))), dtype=np.float64
    )


def pcm16(signal: Samples) -> bytes:
    """Numbers as 16-bit samples."""
    return np.rint(signal).astype(PCM16).tobytes()


class TestStream:
    """What carrying state means."""

    @both
    @given(cuts=st.lists(st.integers(0, len(NOISE)), max_size=40))
    def test_any_chunking_gives_the_same_bytes(self, converter: Converter, cuts: list[int]) -> None:
        """However a stream is cut, even within samples, the result is the same bit for bit."""
        piecewise = converter()
        assert b"".join(piecewise.process(piece) for piece in cut_at(NOISE, cuts)) == converter().process(NOISE)

    @both
    def test_byte_by_byte_gives_the_same_bytes(self, converter: Converter) -> None:
        """The worst cutting there is."""
        piecewise = converter()
        assert b"".join(piecewise.process(NOISE[i : i + 1]) for i in range(2_000)) == converter().process(NOISE[:2_000])

    @given(cuts=st.lists(st.integers(0, 4_000), max_size=10), length=st.integers(0, 4_000))
    def test_lengths_are_exact_at_every_moment(self, cuts: list[int], length: int) -> None:
        """After n samples there are exactly 3n upwards and ceil(n/3) downwards, whatever the pieces were."""
        up, down = Upsampler(), Downsampler()
        taken = raised = lowered = 0
        for piece in cut_at(NOISE[:length], [min(cut, length) for cut in cuts]):
            taken += len(piece)
            raised += len(up.process(piece)) // 2
            lowered += len(down.process(piece)) // 2
            assert raised == 3 * (taken // 2)
            assert lowered == -(-(taken // 2) // 3)

    @both
    def test_nothing_in_nothing_out(self, converter: Converter) -> None:
        """An empty piece changes nothing."""
        stream = converter()
        assert stream.process(b"") == b""
        assert stream.process(NOISE[:320]) + stream.process(b"") == converter().process(NOISE[:320])

    @both
    @pytest.mark.parametrize("before", [1, 2, 3, 5, 959, 960, 8_001])
    def test_after_a_reset_everything_is_as_new(self, converter: Converter, before: int) -> None:
        """A reset forgets history, phase and half a sample: no trace of the cut word in the next one."""
        used = converter()
        used.process(NOISE[:before])
        used.reset()
        assert used.process(NOISE) == converter().process(NOISE)

    @both
    def test_silence_stays_silent(self, converter: Converter) -> None:
        """Zeros give zeros, without dither or offset."""
        assert not any(converter().process(bytes(4_800)))

    def test_constants_stay_constant(self) -> None:
        """The gain at 0 Hz is one in every phase: a constant comes back as itself within a rounding."""
        constant = np.full(2_000, 20_000, PCM16).tobytes()
        for stream in (Upsampler(), Downsampler()):
            settled = samples(stream.process(constant))[300:]
            assert np.abs(settled - 20_000).max() <= 10

    def test_overshoot_saturates_instead_of_wrapping(self) -> None:
        """Full-scale steps make any sharp filter overshoot; the result stays at full scale, on the right side."""
        square = np.where(np.arange(2_400) // 60 % 2, 32767, -32768).astype(PCM16)
        for stream, repeated in ((Upsampler(), 3), (Downsampler(), 1)):
            came = samples(stream.process(square.tobytes()))
            assert came.max() == 32767
            assert came.min() == -32768
            late = UP_DELAY_SAMPLES if repeated == 3 else DOWN_DELAY_SAMPLES // 3
            sent = np.repeat(square, 3) if repeated == 3 else square[::3]
            middle = np.abs(np.convolve(np.sign(sent.astype(float)), np.ones(9), "same")) == 9  # away from the steps
            steady = middle[: len(came) - late]
            assert np.all((np.sign(came[late:]) == np.sign(sent[: len(came) - late]))[steady])


class TestLimits:
    """The figures of the design, measured with tones through frames of 20 ms."""

    @pytest.mark.parametrize("hz", [300, 500, 1_000, 1_999, 2_700, 3_000, 3_300, 3_400])
    def test_the_telephone_band_is_flat(self, hz: int) -> None:
        """From 300 to 3,400 Hz nothing is louder or softer by more than half a decibel in either direction."""
        assert abs(gain_db(Upsampler().process, hz, PHONE_HZ, MODEL_HZ)) <= 0.5
        assert abs(gain_db(Downsampler().process, hz, MODEL_HZ, PHONE_HZ)) <= 0.5

    @pytest.mark.parametrize("hz", [300, 700, 1_300, 2_100, 2_900, 3_200, 3_333, 3_400])
    def test_images_stay_below_60_db(self, hz: int) -> None:
        """A tone of the telephone has no mirror image above 4 kHz on the model's side."""
        assert worst_spur_db(Upsampler().process, hz, PHONE_HZ, MODEL_HZ) <= -60

    @pytest.mark.parametrize("hz", [*range(4_100, 5_000, 100), *range(5_000, 12_000, 500), 11_999])
    def test_aliases_stay_below_60_db(self, hz: int) -> None:
        """A tone from 4.1 kHz on does not come back as another one below 4 kHz."""
        assert worst_spur_db(Downsampler().process, hz, MODEL_HZ, PHONE_HZ) <= -60

    def test_the_delay_is_below_3_ms_each_way(self) -> None:
        """A pulse comes out 1.67 ms late upwards and 2.79 ms late downwards."""
        assert delay_ms(Upsampler().process, PHONE_HZ, MODEL_HZ) == pytest.approx(UP_DELAY_SAMPLES / 24, abs=0.02)
        assert delay_ms(Downsampler().process, MODEL_HZ, PHONE_HZ) == pytest.approx(DOWN_DELAY_SAMPLES / 24, abs=0.02)

    def test_a_frame_costs_little(self) -> None:
        """Ten times the target of 20 µs a frame: a slow machine passes, a slip in the code does not."""
        for stream, frame in ((Upsampler(), NOISE[:320]), (Downsampler(), NOISE[:960])):
            assert min(repeat(partial(stream.process, frame), number=200, repeat=20)) / 200 < 200e-6

    @both
    def test_nothing_grows(self, converter: Converter) -> None:
        """An hour's frames leave no memory behind."""
        stream = converter()
        frames = [NOISE[:960], NOISE[:958], NOISE[:321]]
        for frame in frames:
            stream.process(frame)
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            for i in range(6_000):
                stream.process(frames[i % 3])
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert after - before < 4_096


class TestOutsideJudges:
    """The same signal through other people's converters."""

    def test_scipy_computes_the_same_upwards(self) -> None:
        """SciPy's design of the same filter, run by its upfirdn in one piece, agrees to the rounding of a sample."""
        taps = 3 * scipy.signal.firwin(81, 3925, window=("kaiser", 6.9), fs=MODEL_HZ)
        signal = np.trunc(samples(NOISE) / 4)
        came = streamed(Upsampler().process, pcm16(signal), PHONE_HZ)
        assert np.abs(came - scipy.signal.upfirdn(taps, signal, 3, 1)[: len(came)]).max() < 0.51

    def test_scipy_computes_the_same_downwards(self) -> None:
        """The same downwards."""
        taps = scipy.signal.firwin(135, 3710, window=("kaiser", 6.8), fs=MODEL_HZ)
        signal = np.trunc(samples(NOISE) / 4)
        came = streamed(Downsampler().process, pcm16(signal), MODEL_HZ)
        assert np.abs(came - scipy.signal.upfirdn(taps, signal, 1, 3)[: len(came)]).max() < 0.51

    @pytest.mark.parametrize("judge", ["scipy", "soxr"])
    def test_a_voice_matches_a_converter_without_limits(self, judge: str) -> None:
        """Whole-signal converters of studio quality agree to 50 dB, up and down, once the delay is taken off."""

        def convert(signal: Samples, rate_in: int, rate_out: int) -> Samples:
            if judge == "soxr":
                return np.asarray(soxr.resample(signal, rate_in, rate_out, quality="VHQ"), dtype=np.float64)
            return np.asarray(scipy.signal.resample_poly(signal, rate_out, rate_in), dtype=np.float64)

        raised = streamed(Upsampler().process, pcm16(voice(PHONE_HZ)), PHONE_HZ)
        ideal = convert(voice(PHONE_HZ), PHONE_HZ, MODEL_HZ)
        assert snr_db(raised[UP_DELAY_SAMPLES:][3_000:-3_000], ideal[:-UP_DELAY_SAMPLES][3_000:-3_000]) > 50

        late = np.concatenate([np.zeros(2), voice(MODEL_HZ)])  # 67 + 2 samples are 23 of the telephone's
        lowered = streamed(Downsampler().process, pcm16(late[:MODEL_HZ]), MODEL_HZ)
        ideal = convert(voice(MODEL_HZ), MODEL_HZ, PHONE_HZ)
        assert snr_db(lowered[23:][1_000:-1_000], ideal[:-23][1_000:-1_000]) > 50


def test_the_instruments_see_what_is_wrong() -> None:
    """Dropping two samples of three, the naive way down, measures 0 dB of alias: the limits above can fail."""

    def drop(piece: bytes) -> bytes:
        return np.frombuffer(piece, PCM16)[::3].tobytes()

    assert worst_spur_db(drop, 5_000, MODEL_HZ, PHONE_HZ) > -1
    assert gain_db(drop, 1_000, MODEL_HZ, PHONE_HZ) > -0.1
