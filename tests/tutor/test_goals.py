"""What earns a goal, and on what evidence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tutor.learning.timeline import Turn
from tutor.script.scenario import Goal
from tutor.talk.goals import TRANSCRIPT_WAIT_MS, Goals, quoted, words


def goal(name: str, order: int, *, optional: bool = False) -> Goal:
    """A goal of a scene."""
    return Goal(
        id=name, can_do=name, evidence="", weight=1, order=order, optional=optional, hint_concepts=("a", "b", "c")
    )


def said(*texts: str | None) -> list[Turn]:
    """The learner's turns; None: the transcript has not come, "": it failed."""
    return [Turn("learner", f"u{n}", n * 1000, n * 1000 + 500, text) for n, text in enumerate(texts)]


@pytest.fixture
def goals() -> Goals:
    """Three goals, the last one optional."""
    return Goals([goal("order", 2), goal("greet", 1), goal("thank", 3, optional=True)])


@pytest.mark.parametrize(
    ("quote", "heard", "enough"),
    [
        ("un café con leche", ["Un cafe, con leche!"], True),
        ("un café con leche por favor", ["un café con"], False),
        ("quiero un café grande ya", ["bueno, quiero", "un café"], True),
        ("我要咖啡", ["我想要一杯咖啡"], True),
        ("the bill please", ["la cuenta"], False),
        ("¡!", ["¡!"], False),
        ("", ["hola"], False),
    ],
)
def test_a_quote_needs_three_fifths_of_its_words_in_what_was_said(quote: str, heard: list[str], enough: bool) -> None:
    """Accents, case and punctuation do not matter; invented words do."""
    assert quoted(quote, heard) == enough


@given(st.text(max_size=60))
def test_whoever_is_quoted_exactly_is_believed(text: str) -> None:
    """Any utterance with a word in it supports a quotation of itself."""
    assert quoted(text, [text]) == bool(words(text))


def test_a_goal_is_earned_by_the_learners_own_words(goals: Goals) -> None:
    """The claim quotes the last turns: accepted, with the quote as evidence."""
    (verdict,) = goals.claim("c1", "order", "un café", said("hola", "un café, por favor"), 0)
    assert verdict.accepted
    assert goals.earned == {"order": "quote"}
    assert [left.id for left in goals.left] == ["greet", "thank"]


def test_words_the_learner_did_not_say_earn_nothing(goals: Goals) -> None:
    """The model may not hand out goals; it is told why."""
    (verdict,) = goals.claim("c1", "order", "quisiera un té verde", said("hola", "mmm"), 0)
    assert not verdict.accepted
    assert "did not say this" in verdict.reason
    assert goals.earned == {}


def test_only_the_last_three_turns_count(goals: Goals) -> None:
    """A goal is marked when it happens, not from memory."""
    turns = said("un café", "a", "b", "c")
    (verdict,) = goals.claim("c1", "order", "un café", turns, 0)
    assert not verdict.accepted


def test_a_transcript_on_its_way_is_waited_for(goals: Goals) -> None:
    """The claim comes before the transcript: it is decided when that arrives."""
    turns = said("hola", None)
    assert goals.claim("c1", "order", "un café", turns, 0) == []
    assert goals.next_due_ms == TRANSCRIPT_WAIT_MS
    turns[1].text = "un café"
    (verdict,) = goals.decide(turns, 300)
    assert verdict.evidence == "quote"
    assert goals.next_due_ms is None


def test_after_two_seconds_without_a_transcript_the_models_word_is_taken(goals: Goals) -> None:
    """The model heard the audio itself; a slow transcriber costs the learner nothing."""
    turns = said(None)
    assert goals.claim("c1", "order", "un café", turns, 0) == []
    assert goals.decide(turns, TRANSCRIPT_WAIT_MS - 1) == []
    (verdict,) = goals.decide(turns, TRANSCRIPT_WAIT_MS)
    assert verdict.evidence == "model"


def test_a_failed_transcript_leaves_the_models_word(goals: Goals) -> None:
    """What could not be written down may still have been said, and is marked as such."""
    (verdict,) = goals.claim("c1", "order", "un café", said(""), 0)
    assert verdict.evidence == "model"


def test_a_claim_before_the_learner_said_anything_is_refused(goals: Goals) -> None:
    """There is nobody to quote yet."""
    (verdict,) = goals.claim("c1", "order", "un café", [], 0)
    assert not verdict.accepted


@pytest.mark.parametrize(("name", "reason"), [("dance", "there is no goal"), ("greet", "already marked")])
def test_unknown_and_earned_goals_are_refused_with_a_reason(goals: Goals, name: str, reason: str) -> None:
    """The model is told what is wrong with its claim."""
    goals.claim("c0", "greet", "hola", said("hola"), 0)
    (verdict,) = goals.claim("c1", name, "hola", said("hola"), 0)
    assert reason in verdict.reason


def test_two_claims_of_one_goal_earn_it_once(goals: Goals) -> None:
    """A second claim that waited for the same transcript is told that the goal is marked."""
    turns = said(None)
    goals.claim("c1", "order", "un café", turns, 0)
    goals.claim("c2", "order", "un café", turns, 10)
    turns[0].text = "un café"
    verdicts = goals.decide(turns, 20)
    assert [verdict.accepted for verdict in verdicts] == [True, False]


def test_hints_go_to_the_first_open_goal_that_counts(goals: Goals) -> None:
    """The scene's order decides; optional goals come last."""
    order = []
    for _ in range(3):
        assert goals.next is not None
        order.append(goals.next.id)
        goals.claim(order[-1], order[-1], "sí", said("sí"), 0)
    assert order == ["greet", "order", "thank"]
    assert goals.next is None
