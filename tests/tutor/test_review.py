"""Phrases, class items and patterns that come back: which, and when, with dates as FSRS gives them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from fsrs import Card, Rating, Scheduler
from hypothesis import given
from hypothesis import strategies as st

from tests.tutor.scenes import cafe
from tutor.learning.coverage import Coverage
from tutor.learning.evidence import NONE, WHOLE, Evidence, Kind
from tutor.learning.facts import Facts, Hint, Reached
from tutor.learning.review import (
    MOST_DAYS,
    MOST_DUE,
    MOST_NEW,
    ReviewCard,
    chunk,
    due,
    new_cards,
    opportunities,
    rating,
    reviewed,
)
from tutor.script.catalogue import load
from tutor.script.class_prompt import ClassPrompt
from tutor.script.due import MAX_DUE

CATALOGUE = load()
SCENE = cafe()
PHRASE = SCENE.hint("order_drink", WHOLE)
NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def card(text: str = PHRASE, kind: Kind = "phrase") -> ReviewCard:
    """A new card, due at noon."""
    return ReviewCard.new(kind, text, "order a drink", NOON)


# --- from evidence to a rating


@pytest.mark.parametrize(
    ("seen", "passed", "expected"),
    [
        (Evidence(used=True), 0, Rating.Good),
        (Evidence(used=True, fast=True), 0, Rating.Easy),
        (Evidence(used=True, rung=0), 0, Rating.Hard),
        (Evidence(used=True, rung=1), 0, Rating.Hard),
        (Evidence(used=True, fast=True, rung=1), 0, Rating.Hard),
        (Evidence(used=True, rung=WHOLE), 0, Rating.Again),
        (Evidence(used=True, fast=True, rung=WHOLE), 0, Rating.Again),
        (Evidence(rung=WHOLE), 0, Rating.Again),
        (Evidence(passed=1), 0, None),
        (Evidence(passed=1), 1, Rating.Again),
        (Evidence(passed=2), 0, Rating.Again),
        (Evidence(used=True), 1, Rating.Good),
        (NONE, 0, None),
        (NONE, 1, None),
    ],
)
def test_evidence_becomes_a_rating(seen: Evidence, passed: int, expected: Rating | None) -> None:
    """Unprompted Good, fast Easy, after a part Hard, after the whole or avoided twice Again, else no review."""
    assert rating(seen, passed) is expected


# --- dates


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                Evidence(used=True),
                Evidence(used=True, fast=True),
                Evidence(used=True, rung=1),
                Evidence(rung=WHOLE),
                Evidence(passed=2),
            ]
        ),
        st.integers(1, 200 * 24 * 60),
    ),
    max_size=12,
)


@given(STEPS)
def test_dates_are_those_of_the_library(steps: list[tuple[Evidence, int]]) -> None:
    """The same ratings at the same times give the same dates, stability and difficulty as FSRS by itself."""
    plain = Scheduler(
        desired_retention=0.85, learning_steps=(), relearning_steps=(), maximum_interval=120, enable_fuzzing=False
    )
    theirs, ours, at = Card(card_id=0, due=NOON), card(), NOON
    for seen, minutes in steps:
        at += timedelta(minutes=minutes)
        given_rating = rating(seen)
        assert given_rating is not None
        theirs, _ = plain.review_card(theirs, given_rating, at)
        ours = reviewed(ours, seen, at, fuzzing=False)
        assert ours.state["card"] == theirs.to_dict()
        assert ours.due_at == theirs.due
        assert DAY <= ours.due_at - at <= MOST_DAYS * DAY


@given(STEPS)
def test_spread_dates_stay_within_a_day_and_the_limit(steps: list[tuple[Evidence, int]]) -> None:
    """Chance moves a date, never below a day and never beyond 120."""
    ours, at = card(), NOON
    for seen, minutes in steps:
        at += timedelta(minutes=minutes)
        ours = reviewed(ours, seen, at)
        assert DAY <= ours.due_at - at <= MOST_DAYS * DAY


def test_a_better_rating_waits_longer() -> None:
    """Again before Hard before Good before Easy, from the very first time: 1, 2, 4 and 16 days at 85 %."""
    ways = [Evidence(rung=WHOLE), Evidence(used=True, rung=1), Evidence(used=True), Evidence(used=True, fast=True)]
    days = [(reviewed(card(), way, NOON + DAY, fuzzing=False).due_at - NOON - DAY).days for way in ways]
    assert days == [1, 2, 4, 16]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 2), st.integers(0, 2), st.integers(-5, 50)), max_size=10))
def test_looking_at_a_call_twice_changes_nothing(calls: list[tuple[bool, int, int, int]]) -> None:
    """A job that runs again, or calls that arrive late, leave the card as it was, and as JSON it stays the same."""
    ours = card()
    for used, rung, passed, days in calls:
        seen = Evidence(used=used, rung=rung if used else None, passed=0 if used else passed)
        once = reviewed(ours, seen, NOON + days * DAY, fuzzing=False)
        assert reviewed(once, seen, NOON + days * DAY, fuzzing=False) == once
        assert json.loads(json.dumps(dict(once.state))) == once.state
        ours = once


def test_the_call_that_made_a_card_does_not_review_it() -> None:
    """It is new from then on."""
    assert reviewed(card(), Evidence(used=True), NOON) == card()


def test_an_item_let_pass_twice_in_two_calls_is_learned_again() -> None:
    """The first time it stays due; the second is Again; after that counting begins anew."""
    first = reviewed(card(), Evidence(passed=1), NOON + DAY, fuzzing=False)
    assert first.due_at == NOON
    second = reviewed(first, Evidence(passed=1), NOON + 2 * DAY, fuzzing=False)
    assert second.due_at > NOON + 2 * DAY
    third = reviewed(second, Evidence(passed=1), NOON + 3 * DAY, fuzzing=False)
    assert third.due_at == second.due_at


def test_use_forgets_what_was_let_pass() -> None:
    """Avoided, used, avoided is not avoided twice."""
    ours = card()
    for day, seen in enumerate((Evidence(passed=1), Evidence(used=True), Evidence(passed=1)), start=1):
        ours = reviewed(ours, seen, NOON + day * DAY, fuzzing=False)
    assert ours.state["card"]["last_review"] == (NOON + 2 * DAY).isoformat()


def test_a_call_without_an_opportunity_leaves_the_card_alone() -> None:
    """No opportunity, no review."""
    ours = card()
    assert reviewed(ours, NONE, NOON + DAY) is ours


@pytest.mark.parametrize("zone", [ZoneInfo("UTC"), timezone(timedelta(hours=2)), ZoneInfo("America/Puerto_Rico")])
def test_any_zone_will_do(zone: Any) -> None:
    """A database names UTC in its own way; only a time without a zone is refused."""
    at = NOON + DAY
    ours = reviewed(card(), Evidence(used=True), at.astimezone(zone), fuzzing=False)
    assert ours == reviewed(card(), Evidence(used=True), at, fuzzing=False)
    with pytest.raises(ValueError, match="this one has none"):
        reviewed(card(), Evidence(used=True), at.replace(tzinfo=None))


# --- what is due


def test_the_longest_due_come_first_and_only_five_of_them() -> None:
    """What is not due yet stays away."""
    cards = [ReviewCard.new("phrase", f"frase {at}", "", NOON - at * DAY) for at in range(-2, 8)]
    assert [one.text for one in due(cards, NOON)] == [f"frase {at}" for at in (7, 6, 5, 4, 3)]
    assert len(due(cards, NOON)) == MOST_DUE
    assert due(cards, NOON, most=0) == ()
    with pytest.raises(ValueError, match="no negative number"):
        due(cards, NOON, most=-1)


def test_a_card_is_due_at_its_very_time() -> None:
    """Not a moment before."""
    assert due([card()], NOON) == (card(),)
    assert due([card()], NOON - timedelta(microseconds=1)) == ()


def test_one_call_practises_one_pattern() -> None:
    """Of two patterns only the longer due one comes up, and phrases take its place."""
    cards = [ReviewCard.new("focus", name, "", NOON - at * DAY) for at, name in enumerate(("plural", "articles"))]
    assert [one.text for one in due([*cards, card()], NOON)] == ["articles", PHRASE]


@given(st.permutations(range(8)))
def test_what_is_due_does_not_depend_on_the_order_of_the_rows(order: list[int]) -> None:
    """Ties go by the text."""
    cards = [ReviewCard.new("phrase", f"frase {at}", "", NOON) for at in range(8)]
    assert due([cards[at] for at in order], NOON) == due(cards, NOON)


def test_due_cards_join_the_items_of_the_class() -> None:
    """What must be used, then cards, then the week's words: eight in all, none twice, none kept out, no pattern."""
    week = ClassPrompt(vocabulary=tuple(f"palabra {at}" for at in range(20)), must_use=("Leche",), avoid=("vino",))
    cards = [card("leche", "class"), card("VINO"), card("plural", "focus"), card("un café"), card("Palabra 3")]
    items = opportunities(cards, week, seed=0)
    assert items == ("Leche", "un café", "Palabra 3", "palabra 0", "palabra 1", "palabra 2", "palabra 4")
    assert opportunities(cards, None, seed=0) == ("leche", "VINO", "un café", "Palabra 3")
    assert opportunities([], week, seed=3)[0] == "Leche"


def test_a_class_that_must_use_eight_items_gets_them() -> None:
    """Cards wait for another call."""
    week = ClassPrompt(must_use=tuple(f"palabra {at}" for at in range(8)))
    assert opportunities([card()], week, seed=0) == week.must_use


def test_the_whole_vocabulary_still_comes_up_beside_the_cards() -> None:
    """Five cards leave three places, which go through nine words in three calls."""
    week = ClassPrompt(vocabulary=tuple(f"palabra {at}" for at in range(9)))
    cards = [card(f"frase {at}") for at in range(MOST_DUE)]
    calls = [opportunities(cards, week, seed) for seed in range(3)]
    assert {item for items in calls for item in items[MOST_DUE:]} == {*week.vocabulary}
    assert all(len(items) == MAX_DUE for items in calls)


@given(st.integers(0, 20), st.integers(0, 50), st.integers(0, 10))
def test_a_call_never_has_more_items_than_it_can_hold(count: int, seed: int, limit: int) -> None:
    """Whatever the class wants and the learner has due."""
    week = ClassPrompt(vocabulary=tuple(f"palabra {at}" for at in range(10)))
    items = opportunities([card(f"frase {at}") for at in range(count)], week, seed, limit)
    assert len(items) <= limit
    assert len(set(items)) == len(items)


# --- new cards


def facts(*hints: Hint, **changes: Any) -> Facts:
    """A call in the café with these hints."""
    return replace(Facts("cafe_order", "A1", "en", "es", turns=9, hints=hints), **changes)


def test_a_call_leaves_at_most_three_cards_of_what_was_needed_most() -> None:
    """The pattern, then whole phrases that had to be given, then those with less help; all due at once."""
    known = facts(Hint("greet", 0), Hint("price", 1), Hint("order_drink", 2), Hint("detail", 2))
    made = new_cards(SCENE, known, NOON, focus="plural", kept="Gracias, adiós.")
    assert [(one.kind, one.situation) for one in made] == [
        ("focus", ""),
        ("phrase", "order a drink"),
        ("phrase", SCENE.scenario.goal("detail").can_do),
    ]
    assert len(made) == MOST_NEW
    assert all(one.due_at == NOON for one in made)


def test_the_phrase_to_keep_and_class_items_follow() -> None:
    """Class items that only the role used go before those that the learner knows; others are no cards."""
    week = ClassPrompt(vocabulary=("la taza", "el azúcar", "la cuenta"), avoid=("la cuenta",))
    scene = replace(SCENE, class_prompt=week)
    covered = Coverage(used_by_role=("la taza", "la cuenta"), used_by_learner=("el azúcar", "la mesa"))
    made = new_cards(scene, facts(), NOON, kept="¡Qué rico!", covered=covered)
    assert [(one.kind, one.text) for one in made] == [
        ("phrase", "¡Qué rico!"),
        ("class", "la taza"),
        ("class", "el azúcar"),
    ]


def test_a_kept_phrase_of_the_scene_knows_its_situation() -> None:
    """It is what the phrase gets done."""
    (made,) = new_cards(SCENE, facts(), NOON, kept=PHRASE)
    assert (made.text, made.situation) == ("Quisiera un café con leche", "order a drink")


def test_nothing_is_made_twice() -> None:
    """Neither what is known, however it is spelled, nor what a call names twice."""
    known = [card("quisiera un CAFE con leche!")]
    assert new_cards(SCENE, facts(Hint("order_drink", 2)), NOON, known=known) == ()
    assert len(new_cards(SCENE, facts(Hint("price", 0), Hint("price", 2)), NOON)) == 1


def test_a_safe_exit_leaves_no_card() -> None:
    """What was talked about then does not come back."""
    assert new_cards(SCENE, facts(Hint("price", 2), safe_exit=True), NOON, focus="plural", kept="Hola") == ()


def test_goals_that_the_scene_lost_since_are_left_out() -> None:
    """A catalogue may change between a call and its job."""
    assert new_cards(SCENE, facts(Hint("dance", 2), goals=(Reached("dance", "", True),)), NOON) == ()


@pytest.mark.parametrize(
    ("tag", "phrase", "around", "expected"),
    [
        ("es", "Un café, por favor.", "", "Un café, por favor."),
        ("es", "¿Me pone un café con leche, por favor?", "un café", "Me pone un café con leche"),
        ("es", "Buenas tardes, llamo por el piso. ¿Sigue libre?", "por el piso", "llamo por el piso"),
        ("es", "uno dos tres cuatro cinco seis siete", "", "uno dos tres cuatro cinco seis"),
        ("zh", "我想要一杯热的燕麦拿铁，谢谢您了。", "拿铁", "我想要一杯热的燕麦拿铁"),
        ("ja", "あたたかいラテを一つお願いします", "", "あたたかいラテを一つお願"),
    ],
)
def test_a_phrase_becomes_a_chunk(tag: str, phrase: str, around: str, expected: str) -> None:
    """Six words at most: the part that matters rather than the first."""
    assert chunk(phrase, CATALOGUE.language(tag), around=around) == expected
