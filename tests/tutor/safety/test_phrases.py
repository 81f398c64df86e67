"""The pattern language of the word lists, and text as the lists see it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tutor.safety.phrases import MASKED, PatternError, Phrasebook
from tutor.safety.tokens import END, tokens


def found(pattern: str, text: str, **options: list[str]) -> bool:
    """Whether a pattern is in a text."""
    book = Phrasebook([("x", pattern)], {"pet": ["dog", "cat", "guinea pig"]}, **options)
    return any(book.find(tokens(text)))


@pytest.mark.parametrize(
    ("pattern", "text", "is_found"),
    [
        ("kill time", "We KILL time.", True),
        ("kill time", "We kill the time.", False),
        ("kill time", "kill. Time", False),
        ("(my|our) (old |)dog", "Our old dog sleeps", True),
        ("(my|our) (old |)dog", "My dog", True),
        ("(my|our) (old |)dog", "Your dog", False),
        ("suicid*", "suicidal thoughts", True),
        ("i ... die", "I will soon maybe die", True),
        ("i ... die", "I will soon maybe never die", False),
        ("i ... die", "I won. They die", False),
        ("i ... die", "I... die", True),
        ("want to live .", "I want to live. Here.", True),
        ("want to live .", "I want to live", True),
        ("want to live .", "I want to live in Rome", False),
        ("live (.|here)", "I live here now", True),
        ("my <pet>", "my guinea pig", True),
        ("my <pet>", "my cat", True),
        ("my <pet>", "my cow", False),
        ("j'ai mal", "J’ai mal", True),
        ("niño", "NIÑO", True),
        ("(好|很|)想死", "我很想死了", True),
        ("想 ... 死", "想现在就死", True),
        ("cœur", "coeur", True),
    ],
)
def test_patterns_find_what_they_say(pattern: str, text: str, is_found: bool) -> None:
    """Words in order, choices, prefixes, gaps in a sentence, ends of sentences, lists; case and accents are free."""
    assert found(pattern, text) == is_found


def test_what_a_language_joins_to_the_next_word() -> None:
    """An Arabic "and" before the first word of a pattern changes nothing."""
    assert found("أريد قهوة", "وأريد قهوة", joined=["و"])
    assert not found("أريد قهوة", "وأريد قهوة")


def test_nothing_goes_over_what_was_taken_out() -> None:
    """A gap ends at an idiom that counts no more."""
    book = Phrasebook([("x", "i ... die")])
    assert list(book.find(["i", "will", "die"]))
    assert not list(book.find(["i", MASKED, "die"]))


@pytest.mark.parametrize("pattern", ["(a", "a)", "<pets>", "<pet", "", "(a|)", "... a", "a ...", "(a b|c d)" * 13])
def test_a_pattern_that_makes_no_sense_is_refused(pattern: str) -> None:
    """One sentence names the pattern."""
    with pytest.raises(PatternError, match="The pattern"):
        found(pattern, "a")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("¡Hola! ¿Qué tal?", ["hola", END, "que", "tal", END]),
        ("3.5 euros", ["3", "5", "euros"]),
        ("Well… I am", ["well", "i", "am"]),
        ("我想。走", ["我", "想", END, "走"]),
        ("أُريدُ قهوةً؟", ["اريد", "قهوه", END]),
        ("Straße", ["strasse"]),
        ("", []),
    ],
)
def test_tokens_are_folded_words_and_ends(text: str, expected: list[str]) -> None:
    """An ellipsis is a pause, not an end."""
    assert tokens(text) == expected


@given(st.text(max_size=60))
def test_any_text_can_be_looked_at(text: str) -> None:
    """Nothing that a transcriber writes makes the lists fail."""
    book = Phrasebook([("x", "a ... b"), ("y", "c*"), ("z", "d .")])
    assert all(0 <= one.start < one.end for one in book.find(tokens(text)))
