"""The meter against recorded speech in white noise of known strength."""

from __future__ import annotations

import wave
from itertools import pairwise
from pathlib import Path
from timeit import repeat

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.audio import g711
from telephony.audio.meter import Meter
from tests.telephony.audio.tones import PCM16, Samples, samples

SPEECH = Path(__file__).parents[2] / "rehearsal" / "speech"
RECORDINGS = ("en-man", "es-woman-1", "es-woman-2", "fr-woman-1")
SECOND = 8_000
FULL_SCALE_DB = 20 * np.log10(32_768)

each_recording = pytest.mark.parametrize("name", RECORDINGS)


def recording(name: str, seconds: int) -> Samples:
    """A recording, over and over."""
    with wave.open(str(SPEECH / f"{name}.wav")) as file:
        return np.resize(samples(file.readframes(file.getnframes())), seconds * SECOND)


def white(seconds: int, level_db: float) -> Samples:
    """White noise of a level in dBFS, the same every time."""
    noise = np.random.default_rng(8).standard_normal(seconds * SECOND)
    return np.asarray(noise * 10 ** ((level_db + FULL_SCALE_DB) / 20), dtype=np.float64)


def active_db(speech: Samples) -> float:
    """The level of speech without its pauses, in dBFS: the frames within 15.9 dB of it (after ITU-T P.56)."""
    powers = (speech[: len(speech) // 160 * 160].reshape(-1, 160) ** 2).mean(axis=1)
    level = powers.mean()
    for _ in range(20):
        level = powers[powers > level / 10**1.59].mean()
    return float(10 * np.log10(level) - FULL_SCALE_DB)


def mixed(name: str, snr_db: float, seconds: int = 20) -> bytes:
    """A recording in white noise, as a telephone brings it."""
    speech = recording(name, seconds)
    return ulaw(speech + white(seconds, active_db(speech) - snr_db))


def ulaw(signal: Samples) -> bytes:
    """Numbers as µ-law."""
    return g711.encode(np.rint(signal).clip(-32_768, 32_767).astype(PCM16).tobytes())


def fed(meter: Meter, audio: bytes) -> list[bool]:
    """Feeds frames of 20 ms; returns what the meter says of the noise after each second."""
    frames = (audio[i : i + 160] for i in range(0, len(audio), 160))
    return [meter.noisy for frame in frames if meter.feed(frame)]


@each_recording
@pytest.mark.parametrize("snr_db", [6, 9, 12, 15, 20])
def test_the_ratio_is_measured_within_three_decibels(name: str, snr_db: float) -> None:
    """Four voices, from hardly audible above the noise to clear."""
    meter = Meter()
    fed(meter, mixed(name, snr_db))
    assert meter.snr_db == pytest.approx(snr_db, abs=3)


@each_recording
def test_floor_and_speech_are_measured_in_dbfs(name: str) -> None:
    """Each by itself, within three decibels."""
    meter = Meter()
    fed(meter, mixed(name, 15))
    level_db = active_db(recording(name, 20))
    assert meter.speech_db == pytest.approx(level_db, abs=3)
    assert meter.noise_db == pytest.approx(level_db - 15, abs=3)


@each_recording
def test_a_loud_place_is_noisy_and_a_quiet_one_is_not(name: str) -> None:
    """Eight decibels are too few, twenty are enough."""
    loud, quiet = Meter(), Meter()
    assert fed(loud, mixed(name, 8))[-1]
    assert not any(fed(quiet, mixed(name, 20)))
    assert not any(fed(Meter(), ulaw(recording(name, 30))))


def test_ten_seconds_of_it_are_waited_for() -> None:
    """The ratio is known after three seconds of speech; ten more seconds pass before the place is called noisy."""
    noisy = fed(Meter(), mixed("es-woman-1", 6, 30))
    assert 12 <= noisy.index(True) + 1 <= 15
    assert all(noisy[noisy.index(True) :])


def test_listening_does_not_end_the_noise_and_silence_for_long_forgets_it() -> None:
    """While the role speaks the caller's noise goes on and is still counted; after half a minute nothing is known."""
    meter = Meter()
    fed(meter, mixed("es-woman-1", 6, 12))
    noise = ulaw(white(20, active_db(recording("es-woman-1", 12)) - 6))
    assert fed(meter, noise)[-1]
    assert not fed(meter, noise)[-1]
    assert meter.snr_db is None


def test_who_moves_away_from_the_noise_is_heard_clearly_again() -> None:
    """The floor falls with the first quiet pause."""
    meter = Meter()
    assert fed(meter, mixed("es-woman-2", 6, 20))[-1]
    after = fed(meter, mixed("es-woman-2", 30, 10))
    assert not any(after[6:])


@pytest.mark.parametrize(
    "audio", [g711.SILENCE * SECOND * 20, ulaw(white(20, -50)), ulaw(white(20, -30))], ids=["silence", "room", "fan"]
)
def test_without_speech_there_is_no_ratio(audio: bytes) -> None:
    """Silence, a quiet room and a steady loud fan: nobody speaks, nobody is told to move."""
    meter = Meter()
    assert not any(fed(meter, audio))
    assert meter.snr_db is None
    assert meter.speech_db is None


def test_silenced_audio_is_no_quiet_room() -> None:
    """Where a key's tone was blanked the noise did not stop."""
    audio = bytearray(mixed("fr-woman-1", 6, 20))
    for second in range(20):
        audio[second * SECOND : second * SECOND + 1_200] = g711.SILENCE * 1_200
    meter = Meter()
    assert fed(meter, bytes(audio))[-1]
    assert meter.snr_db == pytest.approx(6, abs=3)


def test_nothing_is_known_before_the_first_second() -> None:
    """A meter that heard nothing says so."""
    meter = Meter()
    assert meter.feed(b"\x00" * 7_999) == []
    assert (meter.noise_db, meter.speech_db, meter.snr_db, meter.noisy) == (None, None, None, False)
    assert len(meter.feed(b"\x00")) == 1
    assert meter.noise_db is not None


AUDIO = mixed("en-man", 9, 6)


@given(st.lists(st.integers(0, len(AUDIO)), max_size=30))
def test_any_chunking_gives_the_same(cuts: list[int]) -> None:
    """However the audio is cut, also into pieces of many seconds."""
    piecewise, whole = Meter(), Meter()
    told = [piecewise.feed(AUDIO[a:b]) for a, b in pairwise([0, *sorted(cuts), len(AUDIO)])]
    voiced = np.concatenate(whole.feed(AUDIO))
    assert np.array_equal(voiced, np.concatenate([second for seconds in told for second in seconds]))
    assert (piecewise.snr_db, piecewise.noise_db) == (whole.snr_db, whole.noise_db)


def test_a_frame_costs_microseconds() -> None:
    """Under ten times the five microseconds that the audio path allows it."""
    frames = [AUDIO[i : i + 160] for i in range(0, len(AUDIO), 160)]
    meter = Meter()

    def feed() -> None:
        for frame in frames:
            meter.feed(frame)

    assert min(repeat(feed, number=1, repeat=5)) / len(frames) < 50e-6
