"""What a learner needs otherwise than the level says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tutor.script.catalogue import load
from tutor.script.level import LEVELS
from tutor.talk.needs import Needs

A1, B1, C1 = (load().level(name) for name in ("A1", "B1", "C1"))


@pytest.mark.parametrize(("latency_ms", "more_ms"), [(None, 0), (1_999, 0), (2_000, 0), (2_001, 300)])
def test_who_answers_late_may_pause_longer(latency_ms: int | None, more_ms: int) -> None:
    """Above two seconds the end of a turn is waited for 300 ms longer."""
    assert Needs(latency_ms).silence_ms(B1) == B1.silence_ms + more_ms


@given(st.none() | st.integers(0, 60_000), st.sampled_from(LEVELS))
def test_the_end_of_a_turn_stays_within_bounds(latency_ms: int | None, level: str) -> None:
    """300 to 1,500 ms, whatever was measured."""
    assert 300 <= Needs(latency_ms).silence_ms(load().level(level)) <= 1_500


@pytest.mark.parametrize(("latency_ms", "later_s"), [(None, 0), (2_900, 0), (4_500, 1.5), (20_000, 5)])
def test_help_waits_for_who_thinks_long(latency_ms: int | None, later_s: float) -> None:
    """Three seconds are the least, eight the most."""
    assert Needs(latency_ms).stuck_offset_s == later_s


@pytest.mark.parametrize(("confidence", "rungs"), [(None, 4), (0.59, 4), (0.6, 3), (1.0, 3)])
def test_help_fades_with_confidence(confidence: float | None, rungs: int) -> None:
    """Below 0.6, or unknown, all of it; from there on the words are not given away unasked."""
    assert len(Needs(confidence=confidence).rungs(A1)) == rungs


def test_one_rung_is_never_taken_away() -> None:
    """A level that offers little keeps it."""
    assert len(Needs(confidence=1.0).rungs(C1)) == 1


def test_needs_are_read_from_a_learners_settings() -> None:
    """Other settings are none of its business, and nonsense is as if nothing were known."""
    kept = {"voice": 1, "typical_latency_ms": 4_000, "confidence": 0.7, "preset": "patient"}
    assert Needs.read(kept) == Needs(4_000, 0.7, "patient")
    assert Needs.read({}) == Needs()
    assert Needs.read({"preset": "loud", "confidence": 7}) == Needs()


def test_the_patient_preset_never_breaks_in() -> None:
    """A turn ends after a second and a half, and nobody says "take your time" to who is taking it."""
    patient = Needs(preset="patient")
    assert patient.silence_ms(A1) == 1_500
    assert list(patient.rungs(A1)) == [2, 3]
