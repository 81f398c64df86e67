"""What teachers and families are told: patterns without names, can-dos without scores, in every native language."""

from __future__ import annotations

import re

import pytest

from tutor.learning import wording
from tutor.learning.digest import MOST_GOALS, MOST_TITLES, class_digest, family_news
from tutor.learning.said import estimate_s
from tutor.script.catalogue import load
from tutor.script.language import Language

CATALOGUE = load()
EN, ES = CATALOGUE.language("en"), CATALOGUE.language("es")
FINISHED = {"cafe_order": 5, "market_fruit": 2, "bus_ticket": 2, "school_day": 1}
GOALS = {("cafe_order", goal): times for goal, times in zip(("greet", "order_drink", "price"), (9, 8, 7), strict=True)}
each_native = pytest.mark.parametrize("native", CATALOGUE.natives, ids=lambda language: language.tag)


def test_a_week_of_a_class() -> None:
    """How many called and how long, what was finished most and reached most often; equal ones by their names."""
    lines = class_digest(EN, callers=7, talk_s=3_571, finished=FINISHED, goals=GOALS)
    assert lines == (
        EN.say("teacher.intro"),
        EN.say("teacher.week", callers="7", minutes="60", scenes="10"),
        EN.say("teacher.titles", titles="At the café, At the bus station and At the market"),
        EN.say("teacher.goals", can_dos="greet the barista, order a drink and ask the price or say how you pay"),
    )


def test_a_week_without_calls() -> None:
    """Where nobody called, that is all there is to say."""
    quiet = class_digest(ES, callers=0, talk_s=0, finished={}, goals={})
    assert quiet == (ES.say("teacher.intro"), ES.say("teacher.nobody"))


def test_a_week_of_short_calls() -> None:
    """Where something was said and nothing finished, no list is begun; the first minute counts as one."""
    lines = class_digest(EN, callers=1, talk_s=5, finished={}, goals={})
    assert lines[1:] == (EN.say("teacher.week", callers="1", minutes="1", scenes="0"),)


@each_native
def test_a_digest_is_short_and_gives_no_scores(native: Language) -> None:
    """In every language at most 40 s, no percentage, no verdict, and no more than three titles and four goals."""
    many = {(scenario.id, goal.id): 3 for scenario in CATALOGUE.scenarios for goal in scenario.goals}
    finished = {scenario.id: 2 for scenario in CATALOGUE.scenarios}
    lines = class_digest(native, callers=30, talk_s=7_200, finished=finished, goals=many)
    assert len(lines) == 4
    assert estimate_s(lines) <= 40
    assert sum(strings.title in lines[2] for strings in native.scenes.values()) <= MOST_TITLES + 1
    assert [problem for line in lines for problem in wording.problems(line, native)] == []


def test_what_the_catalogue_does_not_know_is_left_out() -> None:
    """Scenes and goals that were changed since are not told of."""
    lines = class_digest(
        EN, callers=1, talk_s=60, finished={"gone": 1}, goals={("gone", "x"): 1, ("cafe_order", "y"): 1}
    )
    assert len(lines) == 2


def test_news_of_a_child() -> None:
    """What can be done, the latest phrase slowly in the target, how to help; in the family's language."""
    spoken = family_news(EN, ES, goals=[("cafe_order", "price"), ("cafe_order", "greet")], keep="¿Cuánto es?")
    assert [(line.text, line.language, line.slow) for line in spoken] == [
        (EN.say("family.done", can_dos="ask the price or say how you pay and greet the barista"), "en", False),
        (EN.say("family.phrase"), "en", False),
        ("¿Cuánto es?", "es", True),
        (EN.say("family.help"), "en", False),
    ]


def test_news_of_a_child_who_has_just_begun() -> None:
    """Where nothing was reached yet, that is said kindly, with how to help."""
    spoken = family_news(ES, EN, goals=[], keep=None)
    assert [line.text for line in spoken] == [ES.say("family.nothing"), ES.say("family.help")]


@each_native
def test_news_of_a_child_are_kind_and_short(native: Language) -> None:
    """In every language at most 40 s, at most four can-dos, no number at all and no verdict."""
    target = next(target for target in CATALOGUE.targets if target.base != native.base)
    goals = [(scenario.id, goal.id) for scenario in CATALOGUE.scenarios for goal in scenario.goals]
    spoken = family_news(native, target, goals=goals, keep=target.scenes["cafe_order"].hints["price"][2])
    assert estimate_s(spoken) <= 40
    own = [line.text for line in spoken if line.language == native.tag]
    told = [native.scenes[scenario].can_do[goal] for scenario, goal in goals]
    assert sum(can_do in own[0] for can_do in dict.fromkeys(told[:MOST_GOALS])) == MOST_GOALS
    assert not re.search(r"\d", " ".join(own))
    assert [problem for line in own for problem in wording.problems(line, native)] == []
