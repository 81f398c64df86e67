"""What a caller hears before a scene that is new to them, for every pair of languages and every scene."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from tutor.learning import wording
from tutor.learning.briefing import LIMIT_S, brief
from tutor.learning.said import SLOW, Said, estimate_s
from tutor.script.catalogue import load
from tutor.script.language import Language
from tutor.script.scenario import Scenario
from tutor.script.scene import Scene

CATALOGUE = load()
NATIVES, TARGETS = CATALOGUE.natives, CATALOGUE.targets


def scene(scenario: Scenario, native: Language, target: Language) -> Scene:
    """A scene at its easiest level."""
    return CATALOGUE.scene(scenario.id, native=native.tag, target=target.tag, level=scenario.cefr[0])


def test_the_cafe() -> None:
    """Who and where, what to get done, two phrases in the other language, two keys: each in its own voice."""
    spoken = brief(CATALOGUE.scene("cafe_order", native="en", target="es", level="A1"))
    english, spanish = CATALOGUE.language("en"), CATALOGUE.language("es")
    hints = spanish.scenes["cafe_order"].hints
    assert [line.text for line in spoken] == [
        english.scenes["cafe_order"].who,
        "What to get done: greet the barista, order a drink, say the size, the milk, or if it's to go and ask the "
        "price or say how you pay.",
        english.say("briefing.phrases"),
        hints["detail"][2],
        hints["price"][2],
        english.say("briefing.keys"),
    ]
    assert [line.voice for line in spoken] == [english.say_voice] * 3 + [spanish.say_voice] * 2 + [english.say_voice]


@pytest.mark.parametrize("native", NATIVES, ids=lambda language: language.tag)
def test_every_briefing_is_short_and_whole(native: Language) -> None:
    """In every pair a briefing lasts 8 to 25 s, names at least one goal, and gives two phrases of the scene."""
    pairs = [target for target in TARGETS if target.base != native.base]
    for target, scenario in product(pairs, CATALOGUE.scenarios):
        here = scene(scenario, native, target)
        spoken = brief(here)
        assert 8 <= estimate_s(spoken) <= LIMIT_S, (target.tag, scenario.id)
        phrases = [line.text for line in spoken if line.language == target.tag]
        hints = [rung for rungs in here.target_strings.hints.values() for rung in rungs[1:]]
        assert len(set(phrases)) == 2
        assert set(phrases) <= set(hints)
        assert any(can_do in spoken[1].text for can_do in here.native_strings.can_do.values())


@pytest.mark.parametrize("native", NATIVES, ids=lambda language: language.tag)
def test_briefings_never_judge(native: Language) -> None:
    """No briefing holds a teacher's word or a "but"."""
    target = next(target for target in TARGETS if target.base != native.base)
    for scenario in CATALOGUE.scenarios:
        for line in brief(scene(scenario, native, target)):
            assert line.language != native.tag or wording.problems(line.text, native) == []


def test_a_scene_without_its_own_words_is_told_by_its_preview() -> None:
    """A school's scene that says nothing of who answers is introduced by its preview."""
    here = CATALOGUE.scene("cafe_order", native="en", target="es", level="A1")
    bare = replace(here.native_strings, who="")
    english = replace(here.native, scenes={**here.native.scenes, "cafe_order": bare})
    assert brief(replace(here, native=english))[0].text == bare.preview


def test_slow_speech_takes_longer() -> None:
    """A phrase that is said slowly is estimated to last as much longer; nothing takes no time."""
    plain = Said("a" * 60, "es", "Polly.Lucia-Neural", "es-ES")
    pause_s = 0.35
    assert estimate_s([replace(plain, slow=True)]) - pause_s == pytest.approx((estimate_s([plain]) - pause_s) / SLOW)
    assert estimate_s([plain.text]) == estimate_s([plain])
    assert estimate_s([replace(plain, text="")]) == 0
