"""What is said when a scene has ended: from facts alone, kind, short, and in the languages of the level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import pytest

from tutor.learning import achievements, wording
from tutor.learning.facts import Facts, Hint, Reached
from tutor.learning.said import Said, estimate_s
from tutor.learning.wrapup import LIMIT_S, goodbye, wrap_up
from tutor.script.catalogue import load
from tutor.script.language import Language
from tutor.script.scene import Scene

CATALOGUE = load()
NATIVES, TARGETS = CATALOGUE.natives, CATALOGUE.targets
EN, ES, DE = (CATALOGUE.language(tag) for tag in ("en", "es", "de"))
KEYS = {"cafe_order": "1", "market_fruit": "2"}
CAFE = ("greet", "order_drink", "detail", "price", "goodbye")


def facts(scene: Scene, *goals: str, **known: Any) -> Facts:
    """The facts of a call in which these goals were reached."""
    reached = tuple(Reached(goal, "", transcribed=True) for goal in goals)
    values: dict[str, Any] = {"turns": 6, "goals": reached, **known}
    return Facts(scene.scenario.id, scene.level.name, scene.native.tag, scene.target.tag, **values)


def cafe(level: str = "A1", native: str = "en", target: str = "es") -> Scene:
    """The café at a level."""
    return CATALOGUE.scene("cafe_order", native=native, target=target, level=level)


def told(
    scene: Scene,
    *goals: str,
    offered: tuple[str, ...] = tuple(KEYS),
    menu: Mapping[str, str] = KEYS,
    achieved: Sequence[str] = (),
    **known: Any,
) -> tuple[Said, ...]:
    """What is said of such a call."""
    return wrap_up(facts(scene, *goals, **known), scene, offered, menu, achieved)


def test_a_beginner_hears_their_own_language() -> None:
    """At A1: praise, what was done, one slow phrase in the target, what comes next with its key."""
    assert [(line.text, line.language, line.slow) for line in told(cafe(), "greet")] == [
        (EN.say("wrapup.praise_alone"), "en", False),
        (EN.say("wrapup.did", can_dos="greet the barista"), "en", False),
        (EN.say("wrapup.keep"), "en", False),
        (ES.scenes["cafe_order"].hints["order_drink"][2], "es", True),
        (EN.say("wrapup.step", can_do="order a drink"), "en", False),
        (EN.say("wrapup.key", key="1"), "en", False),
    ]
    assert goodbye(cafe()) == Said.of(EN.say("wrapup.bye"), EN)


@pytest.mark.parametrize(
    ("level", "languages"),
    [
        ("A1", ["en", "en", "en", "es", "en", "en"]),
        ("A2", ["en", "en", "en", "es", "en", "en"]),
        ("B1", ["es", "en", "en", "es", "en", "en"]),
        ("B2", ["es", "es", "es", "es", "es", "es"]),
        ("C2", ["es", "es", "es", "es", "es", "es"]),
    ],
)
def test_languages_of_a_level(level: str, languages: list[str]) -> None:
    """Own language at A1 and A2, both at B1, the one being learned from B2 on."""
    assert [line.language for line in told(cafe(level), "greet")] == languages
    assert goodbye(cafe(level)).language == ("en" if level in ("A1", "A2") else "es")


def test_what_the_target_cannot_say_is_said_in_the_own_language() -> None:
    """German has no can-dos and titles of its own: these are told in the learner's language, the rest in German."""
    spoken = [line.language for line in told(cafe("B2", target="de"), "greet")]
    assert spoken == ["de", "en", "de", "de", "en", "en"]


@pytest.mark.parametrize(
    ("goals", "known", "praise"),
    [
        (CAFE, {}, "all"),
        (CAFE[:4], {"hints": (Hint("greet", 0),)}, "all"),
        (CAFE[:2], {"hints": (Hint("greet", 0),)}, "hint"),
        (CAFE[:2], {"keys": {"3": 1}}, "again"),
        (CAFE[:2], {"keys": {"6": 1}}, "alone"),
        (CAFE[:2], {}, "alone"),
        ((), {"turns": 4}, "talk"),
        ((), {"turns": 3}, "call"),
    ],
)
def test_praise_is_true(goals: tuple[str, ...], known: dict[str, Any], praise: str) -> None:
    """The praise names what the facts bear out: all done, a hint taken up, asked again, alone, talked, called."""
    assert told(cafe(), *goals, **known)[0].text == EN.say(f"wrapup.praise_{praise}")


def test_the_next_scene_has_its_key() -> None:
    """When everything was reached the next scene is named with its key; without a key it is named alone."""
    assert [line.text for line in told(cafe(), *CAFE, offered=("market_fruit",))[-2:]] == [
        EN.say("wrapup.next", title="At the market"),
        EN.say("wrapup.key", key="2"),
    ]
    last = told(cafe(), *CAFE, offered=("market_fruit",), menu={})[-1]
    assert last.text == EN.say("wrapup.next", title="At the market")


def test_the_phrase_is_the_one_that_was_asked_for() -> None:
    """Whoever asked for a hint hears that phrase again, slowly."""
    slow = [line for line in told(cafe(), "greet", hints=(Hint("price", 1),)) if line.slow]
    assert [line.text for line in slow] == [ES.scenes["cafe_order"].hints["price"][2]]


@pytest.mark.parametrize("native", NATIVES, ids=lambda language: language.tag)
def test_every_wrap_up_is_short_and_kind(native: Language) -> None:
    """For every pair, scene, level and number of goals: at most 20 s, a phrase to keep, no count, no verdict."""
    pairs = [target for target in TARGETS if target.base != native.base]
    for target, scenario in product(pairs, CATALOGUE.scenarios):
        for level in (scenario.cefr[0], scenario.cefr[-1]):
            scene = CATALOGUE.scene(scenario.id, native=native.tag, target=target.tag, level=level)
            goals = [goal.id for goal in scenario.goals]
            for reached in (goals, goals[:2], []):
                spoken = told(scene, *reached, offered=(scenario.id,), menu={scenario.id: "1"})
                assert estimate_s((*spoken, goodbye(scene))) <= LIMIT_S, (target.tag, scenario.id, level)
                assert [line.language for line in spoken if line.slow] == [target.tag]
                for line in spoken:
                    language = CATALOGUE.language(line.language)
                    assert line.slow or wording.problems(line.text, language) == [], line.text


@pytest.mark.parametrize(
    ("level", "target", "language"),
    [("A1", "es", "en"), ("B1", "es", "en"), ("B2", "es", "es"), ("B2", "es-MX", "es-MX"), ("B2", "de", "en")],
)
def test_what_was_achieved_is_told_after_the_praise(level: str, target: str, language: str) -> None:
    """The most telling achievement, once, in the language of the level wherever that has words for it."""
    scene = cafe(level, target=target)
    spoken = told(scene, *CAFE, achieved=("solo_flight", "first_scene"))
    tongue = CATALOGUE.language(language)
    assert spoken[1] == Said.of(achievements.told("solo_flight", tongue), tongue)
    names = [achievements.name(one, tongue) for one in ("solo_flight", "first_scene")]
    assert [sum(name in line.text for line in spoken) for name in names] == [1, 0]
    bare = told(scene, *CAFE)
    assert spoken[0] == bare[0]
    assert {line for line in bare if line.slow} <= {*spoken}


@pytest.mark.parametrize("native", NATIVES, ids=lambda language: language.tag)
def test_every_achievement_is_told_in_time(native: Language) -> None:
    """For every pair and scene: at most 20 s with it, the phrase stays, and beside a long phrase its name is told."""
    pairs = [target for target in TARGETS if target.base != native.base]
    for target, scenario, rule in product(pairs, CATALOGUE.scenarios, achievements.rules()):
        scene = CATALOGUE.scene(scenario.id, native=native.tag, target=target.tag, level=scenario.cefr[-1])
        goals = [goal.id for goal in scenario.goals]
        spoken = told(scene, *goals, offered=(scenario.id,), menu={scenario.id: "1"}, achieved=[rule.id])
        assert estimate_s((*spoken, goodbye(scene))) <= LIMIT_S, (target.tag, scenario.id, rule.id)
        assert [line.language for line in spoken if line.slow] == [target.tag]
        names = [achievements.name(rule.id, language) for language in (native, target) if language.is_native]
        assert sum(any(name in line.text for name in names) for line in spoken) == 1, (target.tag, scenario.id)


@pytest.mark.parametrize("native", NATIVES, ids=lambda language: language.tag)
def test_an_achievement_in_short_is_its_name(native: Language) -> None:
    """A whole kind sentence without what was done for it."""
    for rule in achievements.rules():
        short = achievements.in_short(rule.id, native)
        assert achievements.told(rule.id, native).endswith(short)
        assert achievements.name(rule.id, native) in short
        assert short == short.strip()
        assert wording.problems(short, native) == []


def test_can_dos_are_told_as_far_as_there_is_room() -> None:
    """Where not all can-dos fit, those from the middle of the scene are told: not the greeting, not the good-bye."""
    did = told(cafe(), *CAFE)[1].text
    assert EN.scenes["cafe_order"].can_do["price"] in did
    assert EN.scenes["cafe_order"].can_do["goodbye"] not in did
