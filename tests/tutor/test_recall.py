"""What of a call is to be remembered, from its notes, and what somebody wanted forgotten."""

from __future__ import annotations

from tutor.learning.recall import Recall, recall
from tutor.learning.timeline import Entry

DOG = Entry(1_000, "topic", {"topic": "her dog"})
HIKES = Entry(2_000, "fact", {"fact": "likes hiking with her dog"})
BAND = Entry(5_000, "fact", {"fact": "plays in a band"})
FORGET = Entry(3_000, "forget", {"what": "this_call"})
FORGET_ALL = Entry(3_000, "forget", {"what": "everything"})


def test_what_was_noted_is_remembered_once() -> None:
    """Topics and facts in their order, each once; other events say nothing."""
    noted = recall([DOG, Entry(1_500, "key", {"digit": "1"}), HIKES, HIKES, BAND])
    assert noted == Recall(("her dog",), ("likes hiking with her dog", "plays in a band"))


def test_whoever_wants_it_forgotten_is_obeyed() -> None:
    """What was told before is dropped, what is told afterwards is kept."""
    noted = recall([DOG, HIKES, FORGET, BAND])
    assert (noted.topics, noted.facts) == ((), ("plays in a band",))
    assert (noted.dropped_topics, noted.dropped_facts) == (("her dog",), ("likes hiking with her dog",))
    assert not noted.everything
    assert recall([DOG, FORGET_ALL]).everything


def test_the_call_before_is_remembered_and_forgotten_from_here() -> None:
    """What was told before the line broke, at negative times, belongs to the same play: forgetting reaches it too."""
    before = Entry(-9_000, "fact", {"fact": "likes tea"})
    assert recall([before, BAND]) == Recall(facts=("likes tea", "plays in a band"))
    assert recall([before, FORGET]).dropped_facts == ("likes tea",)


def test_notes_without_their_words_are_nothing() -> None:
    """Where no words are stored there is nothing to remember, and still something to forget."""
    bare = [Entry(1_000, "topic", {}), Entry(2_000, "fact", {}), FORGET_ALL]
    assert recall(bare) == Recall(everything=True)
