"""What a learner achieves: rules on histories, each thing once, and words for it in every language."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehearsal.messages import is_gsm7, segments
from tutor.learning import wording
from tutor.learning.achievements import Played, Rule, earned, name, rules, succeeded, told
from tutor.learning.facts import Facts, Hint, Reached
from tutor.learning.patterns import CallNotes
from tutor.learning.said import Said, estimate_s
from tutor.script.catalogue import load
from tutor.script.language import NATIVE_STRINGS, Language

CATALOGUE = load()
each_native = pytest.mark.parametrize("native", CATALOGUE.natives, ids=lambda language: language.tag)
each_rule = pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.id)
LATIN = {"en", "es", "fr", "pt"}


def played(scenario: str = "cafe_order", *, turns: int = 10, errors: Any = (), **changes: Any) -> Played:
    """A call: completed, with a hint, with these notes."""
    tags = CATALOGUE.scenario(scenario.removeprefix("own_")).tags
    return replace(Played(scenario, tags, True, 1, CallNotes(turns, Counter(errors))), **changes)


def has(achievement: str, *history: Played) -> bool:
    """Whether a history earns an achievement by itself."""
    return achievement in earned(history, ())


def test_ten_conversations_in_the_café_make_an_expert() -> None:
    """Nine do not, ten do; what was broken off does not count, a school's own café does."""
    nine = [played()] * 9
    assert not has("coffee_expert", *nine)
    assert has("coffee_expert", *nine, played())
    assert has("coffee_expert", *nine, played("own_cafe_order"))
    assert not has("coffee_expert", *nine, played(completed=False))
    assert not has("coffee_expert", *nine, played("market_fruit"))


def test_each_thing_is_achieved_once() -> None:
    """The eleventh café tells nothing any more, and neither does the tenth when it is looked at again."""
    ten = [played()] * 10
    first = earned(ten, ())
    assert "coffee_expert" in first
    assert earned(ten, first) == ()
    assert earned([*ten, played()], first) == ()


def test_travel_scenes_count_together() -> None:
    """By what they are about, whichever they are."""
    travel = [scenario.id for scenario in CATALOGUE.scenarios if "travel" in scenario.tags]
    assert len(travel) > 1
    history = [played(travel[at % len(travel)]) for at in range(10)]
    assert has("world_tour", *history)
    assert not has("world_tour", *history[1:], played("cafe_order"))


def test_the_first_whole_scene_is_something() -> None:
    """Only when it was brought to success."""
    assert has("first_scene", played())
    assert not has("first_scene", played(completed=False))
    assert earned([], ()) == ()


def test_the_first_scene_without_a_hint_is_something() -> None:
    """Whichever call it was, and only when it was completed."""
    assert not has("solo_flight", played(hints=1))
    assert has("solo_flight", played(hints=1), played(hints=0))
    assert not has("solo_flight", played(hints=0, completed=False))


def test_five_different_scenes_open_horizons() -> None:
    """One scene five times is one; a school's own version is no other scene."""
    five = ["cafe_order", "market_fruit", "meet_neighbour", "bus_ticket", "hotel_checkin"]
    assert has("new_horizons", *map(played, five))
    assert not has("new_horizons", *map(played, five[:4]), played())
    assert not has("new_horizons", *map(played, five[:4]), played("own_cafe_order"))


@pytest.mark.parametrize(
    ("turns", "grown"),
    [
        ((6, 6, 6, 9, 9, 9), True),
        ((6, 6, 6, 9, 9, 8), False),  # 26 of 27
        ((4, 4, 4, 7, 8, 8), False),  # doubled, and still below eight a call
        ((4, 4, 4, 8, 8, 8), True),
        ((6, 6, 9, 9, 9), False),  # five calls: the two sides would overlap
        ((0, 6, 6, 6, 9, 9, 9, 0), True),  # calls without a word are none
        ((9, 9, 9, 6, 6, 6), False),
        ((6, 6, 6, 1, 1, 9, 9, 9), True),
    ],
)
def test_conversations_that_grow_by_half_are_something(turns: tuple[int, ...], grown: bool) -> None:
    """The last three against the first three, from eight turns a call on."""
    assert has("in_full_flow", *(played(turns=count) for count in turns)) == grown


def test_an_old_pattern_that_is_gone_is_something() -> None:
    """It came back in three calls and was not noted in the last five, in which enough was said."""
    noted, clean = played(errors=["plural"]), played()
    assert has("a_hurdle", *[noted] * 3, *[clean] * 5)
    assert not has("a_hurdle", *[noted] * 2, *[clean] * 6)
    assert not has("a_hurdle", *[noted] * 3, *[clean] * 4)
    assert not has("a_hurdle", *[noted] * 3, *[clean] * 4, noted)
    assert not has("a_hurdle", *[noted] * 3, *[played(turns=3)] * 5)
    assert has("a_hurdle", *[noted] * 3, *[played(turns=4)] * 5)
    assert has("a_hurdle", noted, clean, noted, clean, noted, *[played(errors=["articles"])] * 5)
    assert not has("a_hurdle", *[clean] * 20)


def test_several_notes_in_one_call_are_one_call() -> None:
    """A bad day is no pattern."""
    assert not has("a_hurdle", played(errors=["plural"] * 5), *[played()] * 7)


def test_a_call_is_read_from_its_facts() -> None:
    """Success is the scenario's own measure, hints are counted, errors do not enter."""
    cafe = CATALOGUE.scenario("cafe_order")
    goals = tuple(Reached(goal, "", True) for goal in cafe.success_of[: cafe.success_need])
    facts = Facts("cafe_order", "A1", "en", "es", turns=9, goals=goals, hints=(Hint("price", 0),))
    notes = CallNotes(9, Counter(plural=7), frozenset({"plural"}))
    assert Played.of(cafe, facts, notes) == Played("cafe_order", ("food", "shop"), True, 1, notes)
    assert not succeeded(cafe, facts.reached[1:])
    assert not succeeded(cafe, [*facts.reached[1:], "goodbye"])  # optional


calls = st.builds(
    played,
    st.sampled_from([scenario.id for scenario in CATALOGUE.scenarios]),
    turns=st.integers(0, 30),
    errors=st.lists(st.sampled_from(["plural", "articles"]), max_size=3),
    completed=st.booleans(),
    hints=st.integers(0, 2),
)


@given(st.lists(calls, max_size=30))
def test_over_a_whole_life_nothing_is_earned_twice(history: list[Played]) -> None:
    """Looked at after each call, every achievement comes at most once, in the order of the file."""
    had: list[str] = []
    order = [rule.id for rule in rules()]
    for last in range(len(history) + 1):
        new = earned(history[:last], had)
        assert list(new) == sorted(new, key=order.index)
        had += new
    assert len(had) == len(set(had))


@given(st.lists(calls, max_size=20), calls)
def test_more_scenes_take_no_scene_back(history: list[Played], more: Played) -> None:
    """What counts scenes holds for ever once it held."""
    for rule in rules():
        if rule.kind in ("completed", "alone", "different") and rule.holds(history):
            assert rule.holds([*history, more])


# --- the data


@each_rule
def test_a_rule_names_what_there_is(rule: Rule) -> None:
    """Scenes and tags of the catalogue, numbers that its sentence can say, and some history that earns it."""
    assert {*rule.scenarios} <= {scenario.id for scenario in CATALOGUE.scenarios}
    assert {*rule.tags} <= {tag for scenario in CATALOGUE.scenarios for tag in scenario.tags}
    counted = bool(NATIVE_STRINGS[f"achievement.{rule.id}"])
    assert not counted or rule.count >= 2  # sentences with a number are in the plural
    noted = [played(turns=4, errors=["plural"])] * 3
    whole_life = [*noted, *(played(scenario.id, turns=20, hints=0) for scenario in CATALOGUE.scenarios)] * 10
    assert rule.holds([*noted, *(call for call in whole_life if not call.notes.errors)])


def test_every_achievement_has_a_name_and_a_sentence_and_no_other_has() -> None:
    """The file and the languages' keys agree."""
    ids = [rule.id for rule in rules()]
    assert len(set(ids)) == len(ids) >= 5
    assert {key.removeprefix("badge.") for key in NATIVE_STRINGS if key.startswith("badge.")} == {*ids, "told"}
    assert {key.partition(".")[2] for key in NATIVE_STRINGS if key.startswith("achievement.")} == {*ids}
    with pytest.raises(KeyError):
        name("dragon_slayer", CATALOGUE.language("en"))


@each_native
@each_rule
def test_an_achievement_can_be_told(rule: Rule, native: Language) -> None:
    """Kind words with its name and its number, short enough for one segment and ten seconds."""
    text = told(rule.id, native)
    assert name(rule.id, native) in text
    assert "{" not in text
    assert (str(rule.count) in text) == bool(NATIVE_STRINGS[f"achievement.{rule.id}"])
    assert wording.problems(text, native) == []
    assert estimate_s([Said.of(text, native)]) <= 10
    assert segments(text) == 1
    assert is_gsm7(text) == (native.base in LATIN)


@each_native
def test_names_tell_achievements_apart(native: Language) -> None:
    """No two have one name."""
    assert len({name(rule.id, native) for rule in rules()}) == len(rules())


def test_an_achievement_in_english() -> None:
    """What was done, then what that is called."""
    assert told("coffee_expert", CATALOGUE.language("en")) == (
        "You have made it through 10 café scenes. A new achievement: Coffee Expert!"
    )
