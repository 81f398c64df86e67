"""The voice detector: speech in audio time, whatever the chunks, the noise and the line."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rehearsal import g711
from rehearsal.detector import FRAME_MS, SpeechStarted, SpeechStopped, VoiceDetector
from tests.rehearsal.realtime_judge import noise, recording

RATE_HZ = 8_000


def heard(pcm: bytes, *, rate_hz: int = RATE_HZ, chunk_bytes: int | None = None, **settings: float) -> list[object]:
    """Returns everything a detector says of a piece of audio."""
    detector = VoiceDetector(rate_hz, **settings)  # type: ignore[arg-type]
    size = chunk_bytes or len(pcm) or 1
    return [event for start in range(0, len(pcm), size) for event in detector.push(pcm[start : start + size])]


def silence(milliseconds: int) -> bytes:
    """Returns digital silence at 8 kHz."""
    return bytes(milliseconds * 16)


def mixed(first: bytes, second: bytes) -> bytes:
    """Returns two pieces of audio at once, as long as the first."""
    a = np.frombuffer(first, "<i2").astype(np.int32)
    b = np.resize(np.frombuffer(second, "<i2"), len(a))
    return np.clip(a + b, -32_768, 32_767).astype("<i2").tobytes()


CONVERSATION = (
    noise(400, -58.0, rate_hz=RATE_HZ)
    + noise(700, -24.0, rate_hz=RATE_HZ)
    + noise(900, -58.0, rate_hz=RATE_HZ)
    + noise(500, -30.0, rate_hz=RATE_HZ)
    + noise(800, -58.0, rate_hz=RATE_HZ)
)


@settings(max_examples=40, deadline=None)
@given(cuts=st.lists(st.integers(1, 4_000), min_size=1, max_size=60))
def test_the_same_audio_gives_the_same_offsets_however_it_is_cut(cuts: list[int]) -> None:
    """Offsets follow audio time: any sequence of chunk sizes, odd ones too, decides the same as all audio at once."""
    detector, position, events = VoiceDetector(RATE_HZ), 0, []
    for index in range(100_000):
        size = cuts[index % len(cuts)]
        events += detector.push(CONVERSATION[position : position + size])
        position += size
        if position >= len(CONVERSATION):
            break
    assert events == heard(CONVERSATION)


@settings(max_examples=40, deadline=None)
@given(
    lead_ms=st.integers(0, 60).map(lambda frames: frames * FRAME_MS),
    speech_ms=st.integers(6, 60).map(lambda frames: frames * FRAME_MS),
    prefix_ms=st.integers(0, 1_000),
    silence_ms=st.integers(1, 1_500),
)
def test_padding_and_silence_are_honoured(lead_ms: int, speech_ms: int, prefix_ms: int, silence_ms: int) -> None:
    """Speech starts its padding before the first loud frame and stops its silence, in whole frames, after the last."""
    pcm = silence(lead_ms) + noise(speech_ms, -20.0, rate_hz=RATE_HZ) + silence(silence_ms + FRAME_MS)
    started, stopped = heard(pcm, prefix_padding_ms=prefix_ms, silence_duration_ms=silence_ms)
    assert started == SpeechStarted(start_ms=max(0, lead_ms - prefix_ms), at_ms=lead_ms + 60)
    rounded = -(-silence_ms // FRAME_MS) * FRAME_MS
    assert stopped == SpeechStopped(end_ms=lead_ms + speech_ms + rounded)


@pytest.mark.parametrize("name", ["es-woman-1", "es-woman-2", "en-man", "fr-woman-1"])
@pytest.mark.parametrize("noise_db", [None, -60.0, -50.0, -42.0])
@pytest.mark.parametrize("threshold", [0.5, 0.7])
def test_a_recorded_person_is_found_on_a_telephone_line(name: str, noise_db: float | None, threshold: float) -> None:
    """Through µ-law and line noise, a person starts within 400 ms of the recording and is over soon after it."""
    person, rate_hz = recording(name)
    pcm = silence(1_000) + person + silence(2_500)
    if noise_db is not None:
        pcm = mixed(pcm, noise(3_000, noise_db, rate_hz=rate_hz))
    events = heard(g711.decode(g711.encode(pcm)), threshold=threshold, silence_duration_ms=900, prefix_padding_ms=300)
    assert isinstance(events[0], SpeechStarted)
    assert 600 <= events[0].start_ms <= 1_100
    assert isinstance(events[-1], SpeechStopped)
    assert events[-1].end_ms <= 1_000 + len(person) // 16 + 1_000
    assert len(events) <= 8  # the man from 1961 does pause


def test_both_rates_agree() -> None:
    """The same man at 24 kHz and at 8 kHz starts and stops within 100 ms of himself."""
    narrow, wide = recording("en-man"), recording("en-man-24k")
    slow = heard(narrow[0] + silence(1_000), silence_duration_ms=700)
    fast = heard(wide[0] + bytes(48_000), rate_hz=wide[1], silence_duration_ms=700)
    assert [type(event) for event in slow] == [type(event) for event in fast]
    assert abs(slow[0].start_ms - fast[0].start_ms) <= 100  # type: ignore[attr-defined]
    assert abs(slow[-1].end_ms - fast[-1].end_ms) <= 100  # type: ignore[attr-defined]


@pytest.mark.parametrize("level_db", [-80.0, -60.0, -50.0, -42.0])
def test_a_noisy_line_alone_is_no_speech(level_db: float) -> None:
    """Steady noise up to -42 dBFS starts nothing, from the first frame on."""
    assert heard(noise(8_000, level_db, rate_hz=RATE_HZ)) == []


def test_a_click_is_no_speech() -> None:
    """40 ms of noise as loud as speech, as from a key, starts nothing."""
    assert heard((silence(500) + noise(40, -20.0, rate_hz=RATE_HZ)) * 5) == []


def test_a_click_in_a_pause_does_not_prolong_it() -> None:
    """One loud frame in the silence after speech does not keep the turn open."""
    pause = silence(200) + noise(20, -20.0, rate_hz=RATE_HZ) + silence(400)
    events = heard(noise(600, -20.0, rate_hz=RATE_HZ) + pause, silence_duration_ms=500)
    assert events[-1] == SpeechStopped(end_ms=1_100)


def test_a_higher_threshold_needs_a_louder_voice() -> None:
    """What starts speech at 0.5 does not at 0.9."""
    quiet = silence(300) + noise(500, -42.0, rate_hz=RATE_HZ) + silence(600)
    assert len(heard(quiet, threshold=0.5)) == 2
    assert heard(quiet, threshold=0.9) == []


def test_a_voice_in_the_first_frame_is_speech() -> None:
    """A caller who already speaks when the audio begins is heard at once."""
    assert heard(noise(500, -25.0, rate_hz=RATE_HZ))[0] == SpeechStarted(start_ms=0, at_ms=60)


def test_new_steady_noise_ends_as_speech_by_itself() -> None:
    """A fan that is switched on is taken for speech and stops being it within some twenty seconds."""
    events = heard(silence(1_000) + noise(22_000, -35.0, rate_hz=RATE_HZ))
    assert [type(event) for event in events] == [SpeechStarted, SpeechStopped]


def test_direct_current_is_no_sound() -> None:
    """A constant offset, however large, is silence."""
    assert heard(np.full(16_000, 9_000, dtype="<i2").tobytes()) == []


def test_padding_never_reaches_into_the_turn_before() -> None:
    """Two utterances close together share no audio, however long the padding."""
    pcm = (noise(400, -20.0, rate_hz=RATE_HZ) + silence(300)) * 2
    first, stopped, second, _ = heard(pcm, silence_duration_ms=200, prefix_padding_ms=5_000)
    assert first == SpeechStarted(start_ms=0, at_ms=60)
    assert second == SpeechStarted(start_ms=stopped.end_ms, at_ms=760)  # type: ignore[attr-defined]


def test_forgetting_ends_speech_without_a_word() -> None:
    """After `forget` the same voice starts speech anew."""
    detector = VoiceDetector(RATE_HZ)
    detector.push(noise(200, -20.0, rate_hz=RATE_HZ))
    detector.forget()
    assert not detector.speaking
    assert [type(event) for event in detector.push(noise(200, -20.0, rate_hz=RATE_HZ))] == [SpeechStarted]


def test_an_origin_shifts_every_offset() -> None:
    """A detector that begins later on a line counts from there."""
    early, late = heard(CONVERSATION), heard(CONVERSATION, origin_ms=10_000)
    assert [event.start_ms + 10_000 for event in early if isinstance(event, SpeechStarted)] == [
        event.start_ms for event in late if isinstance(event, SpeechStarted)
    ]
