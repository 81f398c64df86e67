"""Where a caller's voice was, as the line itself hears it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from telephony.audio.voiced import JOINED_MS, LEAST_MS, Voiced
from telephony.ear import Ear
from tests.telephony.test_meter import mixed
from tutor.learning.timeline import Timeline

LOUD = b"\x80"
"""The loudest code: voice, as far as a level tells."""
QUIET = b"\xff"


def stretches(pieces: list[tuple[int, bytes]]) -> list[tuple[int, int]]:
    """What the ear writes down of so many milliseconds of each sound, in frames of 20 ms."""
    timeline = Timeline()
    now_ms = 0
    ear = Ear(timeline, lambda: now_ms)
    for length_ms, sound in pieces:
        for _ in range(length_ms // 20):
            now_ms += 20
            ear.hear(sound * 160)
    ear.end()
    return [(entry.data["start_ms"], entry.data["end_ms"]) for entry in timeline.of("speech")]


def test_a_voice_between_silences_is_one_stretch() -> None:
    """Its times are those of the call, to a frame."""
    assert stretches([(1_200, QUIET), (900, LOUD), (1_900, QUIET)]) == [(1_200, 2_100)]


def test_a_short_gap_belongs_to_speaking_and_a_pause_divides_it() -> None:
    """180 ms are a stop consonant; 300 ms are a pause."""
    assert stretches([(500, LOUD), (180, QUIET), (320, LOUD), (2_000, QUIET)]) == [(0, 1_000)]
    assert stretches([(500, LOUD), (300, QUIET), (200, LOUD), (2_000, QUIET)]) == [(0, 500), (800, 1_000)]


def test_a_voice_across_two_seconds_is_one_stretch() -> None:
    """How the audio is reckoned does not show."""
    assert stretches([(900, QUIET), (300, LOUD), (1_800, QUIET)]) == [(900, 1_200)]


def test_a_click_is_no_voice() -> None:
    """Forty milliseconds are a key, a cable, a lip."""
    assert stretches([(500, QUIET), (40, LOUD), (2_460, QUIET)]) == []


def test_who_speaks_when_the_line_goes_is_not_lost() -> None:
    """The last stretch is written when the audio is over, up to the last whole second."""
    assert stretches([(1_000, QUIET), (2_000, LOUD)]) == [(1_000, 3_000)]


def test_recorded_speech_has_pauses() -> None:
    """A person who talks in a quiet room for twelve seconds is heard in several stretches, and most of the time."""
    audio = mixed("en-man", 30, 12)
    timeline = Timeline()
    ear = Ear(timeline, lambda: heard_ms)
    for at in range(0, len(audio), 160):
        heard_ms = at // 8 + 20
        ear.hear(audio[at : at + 160])
    ear.end()
    found = [(entry.data["start_ms"], entry.data["end_ms"]) for entry in timeline.of("speech")]
    voice_ms = sum(end - start for start, end in found)
    assert 0.4 * len(audio) / 8 < voice_ms < 0.95 * len(audio) / 8
    assert len(found) > 3


@given(st.lists(st.booleans(), min_size=50, max_size=500))
def test_stretches_are_in_order_apart_and_no_clicks(frames: list[bool]) -> None:
    """Whatever is voiced: stretches come in order, at least a pause apart, none shorter than a click."""
    voiced = Voiced()
    found = []
    whole = len(frames) // 50 * 50
    for at in range(0, whole, 50):
        found += voiced.second(np.array(frames[at : at + 50]), (at + 50) * 20)
    found += voiced.flush()
    assert all(end - start >= LEAST_MS for start, end in found)
    assert all(after[0] - before[1] >= JOINED_MS for before, after in pairwise(found))
    assert all(start >= 0 and end <= whole * 20 for start, end in found)
