"""What counts as a wish to speak when somebody is heard over the role."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tutor.talk.overlap import DECIDED_AFTER_MS, FALSE_ONES_BORNE, Overlaps


def test_two_words_are_a_wish_to_speak() -> None:
    """Somebody who says "no, espera" wants the floor."""
    overlaps = Overlaps()
    overlaps.began("u1")
    overlaps.stopped("u1", 700)
    assert overlaps.said("u1", 2) == "barge_in"
    assert (overlaps.false_ones, overlaps.next_due_ms) == (0, None)


def test_a_single_word_is_none() -> None:
    """A "mm" or a "sí" says: go on."""
    overlaps = Overlaps()
    overlaps.began("u1")
    assert overlaps.said("u1", 1) == "overlap"
    assert overlaps.false_ones == 1


def test_a_noise_brings_no_words_in_time() -> None:
    """After a second and a half without words it was a noise."""
    overlaps = Overlaps()
    overlaps.began("u1")
    overlaps.stopped("u1", 700)
    assert overlaps.next_due_ms == 700 + DECIDED_AFTER_MS
    assert overlaps.due(700 + DECIDED_AFTER_MS - 1) is None
    assert overlaps.due(700 + DECIDED_AFTER_MS) == "u1"
    assert overlaps.false_ones == 1


def test_words_that_come_late_are_believed() -> None:
    """A slow transcription does not make a noise of a sentence."""
    overlaps = Overlaps()
    overlaps.began("u1")
    overlaps.stopped("u1", 0)
    overlaps.due(DECIDED_AFTER_MS)
    assert overlaps.said("u1", 5) == "barge_in"
    assert overlaps.false_ones == 0


def test_words_that_nobody_could_make_out_are_believed() -> None:
    """A transcription that failed says nothing of the learner."""
    overlaps = Overlaps()
    overlaps.began("u1")
    assert overlaps.said("u1", None) == "barge_in"


def test_a_turn_that_was_no_overlap_is_none_of_ours() -> None:
    """Ordinary turns pass."""
    assert Overlaps().said("u1", 1) is None


@given(st.lists(st.integers(0, 4), max_size=30))
def test_three_noises_are_enough(turns: list[int]) -> None:
    """From the third on, and never before, the learner's voice does not cut the role any more."""
    overlaps = Overlaps()
    noises = 0
    for number, words in enumerate(turns):
        overlaps.began(f"u{number}")
        overlaps.said(f"u{number}", words)
        noises += words < 2
        assert overlaps.tired is (noises >= FALSE_ONES_BORNE)
