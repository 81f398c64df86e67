"""One call's audio in both directions, as the driver uses it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.audio import g711
from telephony.audio.resample import MODEL_HZ, Downsampler, Upsampler
from telephony.audio.transcode import Format, transcoder
from tests.telephony.audio.tones import AMPLITUDE, samples, snr_db, tone

ROUND_TRIP_SAMPLES = 40 + 67  # both filters, at 24 kHz


def test_a_frame_of_the_caller_becomes_a_frame_of_the_model() -> None:
    """20 ms are 160 bytes of µ-law and 960 bytes of PCM, in both directions."""
    line = transcoder("pcm")
    assert line.format == "pcm"
    assert len(line.to_model(g711.SILENCE * 160)) == 960
    assert len(line.to_caller(bytes(960))) == 160


def test_it_is_the_codec_and_the_converter_and_nothing_else() -> None:
    """The bytes are those of the parts put together."""
    ulaw = bytes(range(256)) * 5
    pcm = np.random.default_rng(1).integers(-9_000, 9_000, 2_400).astype("<i2").tobytes()
    line = transcoder("pcm")
    assert line.to_model(ulaw) == Upsampler().process(g711.decode(ulaw))
    assert line.to_caller(pcm) == g711.encode(Downsampler().process(pcm))


@pytest.mark.parametrize("hz", [400, 1_000, 2_500])
def test_a_tone_there_and_back_keeps_37_db(hz: int) -> None:
    """Model to caller to model: what µ-law does to a tone is all that is done to it."""
    line = transcoder("pcm")
    pcm = tone(hz, MODEL_HZ)
    came = samples(line.to_model(line.to_caller(pcm)))
    ideal = AMPLITUDE * np.sin(2 * np.pi * hz * (np.arange(len(came)) - ROUND_TRIP_SAMPLES) / MODEL_HZ)
    gain = np.dot(came[1_000:], ideal[1_000:]) / np.dot(ideal[1_000:], ideal[1_000:])
    assert gain == pytest.approx(1, abs=0.01)
    assert snr_db(came[1_000:], gain * ideal[1_000:]) > 37


def test_each_direction_is_reset_alone() -> None:
    """Barge-in clears what goes to the caller; what the caller is just saying goes on undisturbed."""
    line, undisturbed = transcoder("pcm"), transcoder("pcm")
    word, noise = bytes(range(256)), np.random.default_rng(2).integers(-9_000, 9_000, 481).astype("<i2").tobytes()
    line.to_model(word)
    undisturbed.to_model(word)
    line.to_caller(noise)
    line.reset_to_caller()
    assert line.to_model(word) == undisturbed.to_model(word)
    assert line.to_caller(noise) == transcoder("pcm").to_caller(noise)
    line.reset_to_model()
    assert line.to_model(word) == transcoder("pcm").to_model(word)


@given(st.binary(max_size=500))
def test_pass_through_changes_nothing(audio: bytes) -> None:
    """A model that speaks µ-law gets and gives the telephone's own bytes, before and after a reset."""
    line = transcoder("pcmu")
    assert line.format == "pcmu"
    assert line.to_model(audio) == line.to_caller(audio) == audio
    line.reset_to_caller()
    line.reset_to_model()
    assert line.to_model(audio) == line.to_caller(audio) == audio


def test_an_unknown_mode_is_named() -> None:
    """A spelling mistake in the settings is told as one, with what to choose instead."""
    mode: Format = "opus"  # type: ignore[assignment]
    with pytest.raises(ValueError, match="'opus' is unknown; choose 'pcm' or 'pcmu'"):
        transcoder(mode)
