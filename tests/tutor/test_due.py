"""What is due in a call: a handful of a class's words, the needed ones first, all of them in turn."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tutor.script.class_prompt import ClassPrompt
from tutor.script.due import MAX_DUE, due_items

WORDS = st.lists(st.sampled_from([f"w{n}" for n in range(30)] + ["W1", "W2"]), max_size=40).map(tuple)
MATERIAL = st.builds(ClassPrompt, theme=st.just("Food"), vocabulary=WORDS, must_use=WORDS, avoid=WORDS)


@given(material=MATERIAL, seed=st.integers(0, 2**32), limit=st.integers(0, 12))
def test_what_is_due_is_of_the_class_and_nothing_twice(material: ClassPrompt, seed: int, limit: int) -> None:
    """Never more than the limit, never an item that the class keeps out, never one twice, always the same again."""
    due = due_items(material, seed, limit)
    folded = [item.casefold() for item in due]
    assert len(due) <= limit
    assert len(set(folded)) == len(folded)
    assert set(due) <= {*material.must_use, *material.vocabulary}
    assert not set(folded) & {item.casefold() for item in material.avoid}
    assert due == due_items(material, seed, limit)


@given(material=MATERIAL, seed=st.integers(0, 2**32))
def test_what_must_be_used_comes_first(material: ClassPrompt, seed: int) -> None:
    """As long as there is room, everything that must be used is due, before any other word."""
    needed = list(dict.fromkeys(item.casefold() for item in material.must_use))
    kept_out = {item.casefold() for item in material.avoid}
    wanted = [item for item in needed if item not in kept_out][:MAX_DUE]
    assert [item.casefold() for item in due_items(material, seed)][: len(wanted)] == wanted


@pytest.mark.parametrize("size", [9, 20, 60])
def test_every_word_comes_up_within_as_many_calls_as_it_takes(size: int) -> None:
    """Calls with consecutive seeds go through the whole vocabulary, eight words each."""
    week = ClassPrompt(vocabulary=tuple(f"w{n}" for n in range(size)))
    calls = -(-size // MAX_DUE)
    assert {item for seed in range(calls) for item in due_items(week, seed)} == set(week.vocabulary)


def test_a_short_list_is_due_as_a_whole() -> None:
    """Up to eight words are all due in every call, in their order; structures are no items."""
    week = ClassPrompt(vocabulary=("a", "b", "c"), grammar=("querer + infinitivo",), must_use=("c",))
    assert due_items(week, 7) == ("c", "a", "b")


@pytest.mark.parametrize(("seed", "limit"), [(-1, 8), (0, -1)])
def test_negative_numbers_are_refused(seed: int, limit: int) -> None:
    """A seed or a limit below zero is a slip of the caller's."""
    with pytest.raises(ValueError, match="no negative numbers"):
        due_items(ClassPrompt(text="x"), seed, limit)
