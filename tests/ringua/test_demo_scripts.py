"""The rehearsal scripts of every scene: what the demo's caller says, what the role answers, what the debrief tells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
import structlog
from typer.testing import CliRunner

from rehearsal.realtime_script import Script, dump, parse
from rehearsal.voices import available
from ringua import demo
from ringua.cli import Trouble, app
from ringua.scripts import following, script_for, written_by_hand
from ringua.scripts.lines import NoScript, lines_of
from tutor.learning import debrief, quotes, wording
from tutor.learning.facts import Facts, Reached
from tutor.script import catalogue
from tutor.script.catalogue import CatalogueError
from tutor.script.language import Language
from tutor.script.level import LEVELS
from tutor.script.scene import Scene
from tutor.talk.goals import quoted

SHELF = catalogue.load()
NATIVES = [language for language in SHELF.natives if language.tag == language.base]
TARGETS = [language for language in SHELF.targets if language.tag == language.base]


TURN_LENGTHS = ("A1", "B1")
"""A level at which learners say one phrase in a turn, and one at which they say two: scripts differ by nothing else."""


def scenes(target: Language, levels: Sequence[str] = TURN_LENGTHS) -> Iterator[Scene]:
    """Every scene in a language, for every native language."""
    for scenario in SHELF.scenarios:
        for native in NATIVES:
            if native.base != target.base:
                for level in levels:
                    yield SHELF.scene(scenario.id, native=native.tag, target=target.tag, level=level)


def marked(script: Script) -> dict[str, str]:
    """The goals a script marks, with what it quotes."""
    calls = [call for turn in script.turns for call in turn.tools if call.name == "mark_goal"]
    return {call.arguments["goal"]: call.arguments["quote"] for call in calls}


def test_the_shelf_is_as_wide_as_the_demo_promises() -> None:
    """Eighteen scenes, eight languages to learn, six to come from, six levels."""
    assert (len(SHELF.scenarios), len(TARGETS), len(NATIVES), len(LEVELS)) == (18, 8, 6, 6)


@pytest.mark.parametrize("target", TARGETS, ids=lambda language: language.tag)
def test_every_goal_of_every_scene_is_reached_with_words_that_are_said(target: Language) -> None:
    """Each goal is marked once, in the turn in which the learner says what is quoted; the last turn ends the call."""
    for scene in scenes(target, LEVELS):
        script = script_for(scene)
        assert list(marked(script)) == [goal.id for goal in sorted(scene.scenario.goals, key=lambda g: g.order)]
        for turn in script.turns:
            assert turn.hears
            assert all(line.strip() for line in turn.says)
            claimed = [call.arguments["quote"] for call in turn.tools if call.name == "mark_goal"]
            assert all(quoted(quote, [turn.hears]) for quote in claimed)
        ends = ["end_call" in [call.name for call in turn.tools] for turn in script.turns]
        assert ends == [False] * (len(script.turns) - 1) + [True]


@pytest.mark.parametrize("target", TARGETS, ids=lambda language: language.tag)
def test_the_role_speaks_the_target_and_is_translated_into_the_native_language(target: Language) -> None:
    """Lines are in the target's script, the translation in the native language's; nobody judges the learner."""
    for scene in scenes(target):
        script = script_for(scene)
        for line in (line for turn in script.turns for line in turn.says):
            assert wording.in_script(line, target.script), line
            assert not [word for word in target.teacher_words if quotes.has(line, word, accents=True)], line
        assert wording.in_script(script.asides["translate"], scene.native.script)
        assert wording.in_script(script.asides["paraphrase"], target.script)
        assert script.asides["translate"] != script.turns[0].says[0]


@pytest.mark.parametrize("target", TARGETS, ids=lambda language: language.tag)
def test_the_scripts_debrief_is_one_that_may_be_sent(target: Language) -> None:
    """It claims what was reached, quotes what was said and offers a scene of the demo's line, in every language."""
    for scene in scenes(target):
        script = script_for(scene)
        (answer,) = script.text
        assert answer.json is not None
        facts = Facts(
            scenario=scene.scenario.id,
            level=scene.level.name,
            native=scene.native.tag,
            target=target.tag,
            turns=len(script.turns),
            goals=tuple(Reached(goal, quote, True) for goal, quote in marked(script).items()),
            said=tuple(turn.hears or "" for turn in script.turns),
        )
        kept = debrief.check(answer.json, facts, scene, demo.plan_of(scene).scenarios)
        assert set(kept.can_dos) == {goal.id for goal in scene.scenario.goals}


@pytest.mark.parametrize("target", TARGETS, ids=lambda language: language.tag)
def test_the_stand_in_can_be_sent_every_script(target: Language) -> None:
    """A script is plain data: it survives the journey as JSON."""
    for scenario in SHELF.scenarios:
        native = "en" if target.base != "en" else "es"
        script = script_for(SHELF.scene(scenario.id, native=native, target=target.tag, level="B1"))
        assert parse(dump(script)) == script


def test_from_b1_on_a_learner_says_two_things_in_a_turn() -> None:
    """Beginners say one phrase at a time."""
    short, long = (
        script_for(SHELF.scene("hotel_checkin", native="zh", target="fr", level=level)) for level in ("A2", "B1")
    )
    assert (len(short.turns), len(long.turns)) == (6, 3)
    assert long.turns[0].hears == f"{short.turns[0].hears} {short.turns[1].hears}"


def test_only_the_cafe_in_spanish_and_english_is_written_by_hand() -> None:
    """Those have recorded human speech; everything else is made from data."""
    found = {
        (scene.scenario.id, scene.native.tag, target.tag)
        for target in TARGETS
        for scene in scenes(target)
        if written_by_hand(scene)
    }
    assert found == {("cafe_order", "en", "es"), ("cafe_order", "es", "en")}


@pytest.mark.parametrize("language", [*TARGETS, SHELF.language("ar")], ids=lambda one: one.tag)
def test_the_lines_of_all_languages_are_translations_of_each_other(language: Language) -> None:
    """The same number in the same places; scenes with lines of their own have one for each goal."""
    ours, spanish = lines_of(language), lines_of(SHELF.language("es"))
    for mine, theirs in ((ours.formal, spanish.formal), (ours.informal, spanish.informal)):
        assert (len(mine.go_on), len(mine.answer)) == (len(theirs.go_on), len(theirs.answer))
        if language.is_target:
            assert set(mine.easier) == {"go_on", "answer"}
            assert mine.farewell
            assert mine.goodbye
    for scenario, lines in ours.scenes.items():
        assert set(lines) == {goal.id for goal in SHELF.scenario(scenario).goals}
    assert set(ours.scenes) in (set(), {scenario.id for scenario in SHELF.scenarios})


def test_a_language_without_lines_is_named() -> None:
    """One sentence says which."""
    with pytest.raises(NoScript, match=r"There are no rehearsal lines in Spanish\."):
        lines_of(replace(SHELF.language("es"), tag="xx"))


def test_after_the_last_scene_comes_the_first() -> None:
    """Whatever is rehearsed, another scene can be offered, and never free talk."""
    offered = [following(SHELF.scene(s.id, native="en", target="es", level="A1")) for s in SHELF.scenarios]
    assert "free_talk" not in offered
    assert all(scenario.id != after for scenario, after in zip(SHELF.scenarios, offered, strict=True))
    assert offered[-1] == SHELF.scenarios[0].id


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"scenario": "cafe"}, "There is no scenario cafe; there are cafe_order, "),
        ({"target": "nl"}, "There is no language nl; there are ar, de, "),
        ({"native": "de"}, "cannot be the native language; these can: ar, en, "),
        ({"target": "ar"}, "cannot be the target language; these can: de, en, "),
        ({"native": "es"}, "are one language; a pair needs two."),
        ({"level": "D1"}, "There is no level D1; there are A1, A2, "),
    ],
)
def test_what_does_not_exist_is_answered_with_what_does(asked: dict[str, str], said: str) -> None:
    """One sentence, whichever option it was."""
    options = {"scenario": "cafe_order", "native": "en", "target": "es", "level": "A1"} | asked
    with pytest.raises(CatalogueError) as refused:
        demo.scene_of(options.pop("scenario"), **options)
    assert said in str(refused.value)
    assert str(refused.value).endswith(".")


def test_the_command_refuses_before_anything_is_started() -> None:
    """No database, no call: one sentence."""
    result = CliRunner().invoke(app, ["demo", "--scenario", "nowhere"])
    structlog.reset_defaults()  # logs went to the command's output, which is closed
    assert isinstance(result.exception, Trouble)
    assert str(result.exception).startswith("There is no scenario nowhere; there are cafe_order, ")


def test_levels_may_be_written_small() -> None:
    """`--level b1` is B1."""
    assert demo.scene_of("cafe_order", native="en", target="es", level="b1").level.name == "B1"


def test_the_demo_says_where_tones_stand_for_a_voice() -> None:
    """espeak-ng reads no kanji: a Japanese caller is heard in tones, and the screen says so."""
    japanese = demo.scene_of("hotel_checkin", native="en", target="ja", level="A1")
    french = demo.scene_of("hotel_checkin", native="en", target="fr", level="A1")
    assert "ones stand for" in " ".join(demo.caller_of(japanese, script_for(japanese))[1])
    assert bool(demo.caller_of(french, script_for(french))[1]) is not available()
    cafe = demo.scene_of("cafe_order", native="en", target="es", level="A1")
    assert demo.caller_of(cafe, script_for(cafe))[1] == []
