"""A school's own scene: the documented example is right, and every slip is told with its line, in one sentence."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tutor.script.catalogue import CatalogueError, load
from tutor.script.own_scene import SceneRejected, read
from tutor.script.prompt import instructions
from tutor.script.scenario import VOICES
from tutor.script.scene_check import checked

CATALOGUE = load()
DOCS = Path(__file__).parents[2] / "docs" / "scenarios.md"
EXAMPLE = DOCS.read_text("utf-8").split("```toml\n", 1)[1].split("```", 1)[0]


def refused(text: str) -> tuple[str, ...]:
    """What is wrong with a file; there must be something, and each problem must be one sentence."""
    with pytest.raises(SceneRejected) as caught:
        checked(text, CATALOGUE)
    assert caught.value.problems
    for problem in caught.value.problems:
        assert problem.endswith(".")
        assert "\n" not in problem
    return caught.value.problems


def changed(old: str, new: str) -> str:
    """The example with a piece replaced, wherever it stands; it must be there."""
    assert old in EXAMPLE
    return EXAMPLE.replace(old, new)


def line_of(text: str, piece: str) -> int:
    """The line of a text that begins with a piece, from 1."""
    return next(number for number, line in enumerate(text.splitlines(), 1) if line.startswith(piece))


def test_the_documented_example_can_be_played() -> None:
    """The scene of the documentation is accepted, offered to its pair, and makes a whole call's instructions."""
    own = checked(EXAMPLE, CATALOGUE)
    catalogue = CATALOGUE.with_scenarios([own])
    english, spanish, puerto_rican = (catalogue.language(tag) for tag in ("en", "es", "es-PR"))
    assert "own_pharmacy" in catalogue.offers(english, spanish)
    assert "own_pharmacy" in catalogue.offers(english, puerto_rican)
    scene = catalogue.scene("own_pharmacy", native="en", target="es-PR", level="A2", seed=1)
    assert (scene.title, scene.greeting) == ("At the pharmacy", "Buenas tardes. ¿En qué puedo ayudarle?")
    assert "You are: a pharmacist in a small town, a man." in instructions(scene)
    assert "the till is closed in five minutes" in instructions(scene)


def test_a_catalogue_with_own_scenes_leaves_the_packaged_one_alone() -> None:
    """Every packaged scene is still there, in the menu's order, and the packaged catalogue knows nothing new."""
    catalogue = CATALOGUE.with_scenarios([read(EXAMPLE)])
    ids = [scenario.id for scenario in catalogue.scenarios]
    assert [scenario for scenario in ids if scenario != "own_pharmacy"] == [s.id for s in CATALOGUE.scenarios]
    assert catalogue.scenario(ids[ids.index("own_pharmacy") - 1]).cefr[0] in ("A1", "A2")
    assert "own_pharmacy" not in {scenario.id for scenario in CATALOGUE.scenarios}
    assert not CATALOGUE.language("en").tells("own_pharmacy")


@pytest.mark.parametrize(("native", "target"), [("es", "en"), ("fr", "es"), ("en", "de")])
def test_a_scene_is_offered_only_where_it_has_strings(native: str, target: str) -> None:
    """A language without the part that is needed does not offer the scene, and who asks for it reads which."""
    catalogue = CATALOGUE.with_scenarios([read(EXAMPLE)])
    assert "own_pharmacy" not in catalogue.offers(catalogue.language(native), catalogue.language(target))
    with pytest.raises(CatalogueError, match=r"own_pharmacy: this scene has no strings for \w+ \(\w+\)\."):
        catalogue.scene("own_pharmacy", native=native, target=target, level="A2")


def test_two_scenes_cannot_have_one_id() -> None:
    """Neither a packaged scene nor another of the school's can be replaced by the way."""
    own = read(EXAMPLE)
    with pytest.raises(CatalogueError, match=r"own_pharmacy: this id is taken"):
        CATALOGUE.with_scenarios([own, own])


@pytest.mark.parametrize(
    ("old", "new", "at", "sentence"),
    [
        ("minutes = 6", 'minutes = "6"', "minut", r"minutes: expected a whole number, got text\."),
        ("minutes = 6", "minutes = 90", "minut", r"minutes: it is 90; 1 to 15 are allowed\."),
        ("minutes = 6", "minuten = 6", "minut", r"minuten: there is no such field; known are cefr, "),
        ('"sage"', '"nova"', "voice", r"voice: The realtime API has no voice nova; it has alloy, .*, cedar\."),
        ("[1, 1, 0, 1, 1, 1]", "[1, 1, 0, 1, 9, 1]", "vec", r"vec: expected a whole number <= 4 \(entry 5\)\."),
        ('["A2"]', '["A7"]', "cefr", r"cefr: it takes A1, A2, B1, B2, C1, C2\."),
        ("success_need = 2", "success_need = 3", "success_need", r"success_need: it is 3; success_of allows 1 to 2\."),
        ('["say_problem", "ask_use"]', '["fly"]', "success_of", r"success_of: it may only name say_problem, ask_use\."),
        ('"own_pharmacy"', '"Own Pharmacy"', "id", r"id: it is Own Pharmacy; use small letters"),
        ('"own_pharmacy"', '"cafe_order"', "id", r"id: cafe_order is a packaged scene; call yours own_cafe_order"),
        ('"Calm, careful, kind."', '"# Safety"', "personality", r"personality: a text must be one line without"),
        ('"Calm, careful, kind."', '"a\\nb"', "personality", r"personality: a text must be one line without"),
        ('"Calm, careful, kind."', f'"{"x" * 161}"', "personality", r"has 161 characters; at most 160 are allowed\."),
        ('"Calm, careful, kind."', '" "', "personality", r"personality: a text is empty\."),
        ('title = "At the pharmacy"', 'titel = "x"', "titel", r"languages.en.titel: there is no such field"),
        ('title = "At the pharmacy"', "", "[languages.en]", r"its native part lacks title; a part is title, preview"),
        ("[languages.en]", "[languages.english]", "[languages.english]", r"this is no language tag; write es"),
        ("[languages.es", "[languages.es-XX", "[languages.es-XX]", r"there is no region es-XX; there are .*es-PR"),
        ("At the pharmacy", "在药店", "[languages.en]", r"“在药店” is not written in the script of English\."),
        ("say what is wrong and", "say it, but", "[languages.en]", r"“.*”: it uses \"but\", which takes"),
    ],
)  # fmt: skip
def test_a_slip_is_told_with_its_line(old: str, new: str, at: str, sentence: str) -> None:
    """The line and the field are named, with what is possible instead."""
    text = changed(old, new)
    told = [problem for problem in refused(text) if re.search(sentence, problem)]
    assert told, refused(text)
    assert told[0].startswith(f"line {line_of(text, at)}, ")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("\nid = a", r"The file does not read as TOML: .*line 2"),
        (changed('evidence = "names a pain or an illness"\n', ""), r"goals.1.evidence: this field is missing\."),
        (changed('say_problem = "say what is wrong"\n', ""), r"languages.en.can_do: the goal say_problem is missing\."),
        (changed("say_problem = [", "say_prob = ["), r"hints.say_prob: the scene has no goal say_prob; it has"),
        (EXAMPLE.split("[languages.es]")[0], r"no line can offer it: it needs a native part in one language and"),
        (EXAMPLE.split("[languages.en]")[0], r"languages: there is none; add a table such as \[languages.es\]\."),
        (changed("[languages.es.hints]", "[languages.de]\ntitle = 'x'\n[languages.es.hints]"), r"native part lacks"),
        (EXAMPLE.replace("languages.en", "languages.de"), r"German cannot be a native language; leave out title"),
        (EXAMPLE + '[languages.xx]\ntitle = "x"\npreview = "x"\ncan_do = { say_problem = "x", ask_use = "y" }\n',
         r"languages.xx: There is no language xx; there are"),
        (EXAMPLE.split("[[goals]]")[0], r"goals: there is none; a scene needs at least one"),
    ],
)  # fmt: skip
def test_what_is_missing_or_does_not_fit_is_told(text: str, sentence: str) -> None:
    """Missing fields, goals without strings, strings without goals, languages that cannot serve: one sentence each."""
    assert any(re.search(sentence, problem) for problem in refused(text)), refused(text)


def test_everything_that_is_wrong_is_told_at_once() -> None:
    """Who writes a scene does not have to ask again for every slip."""
    text = changed("minutes = 6", "minutes = 60").replace("key = 5", "key = 0").replace("order = 2", 'order = "2"')
    problems = refused(text)
    assert len(problems) == 3
    assert all(re.match(r"line \d+, ", problem) for problem in problems)


def test_a_scene_that_leaves_no_room_for_the_class_is_refused() -> None:
    """With the longest texts in every field the model would be told too much; the check says by how much."""
    goals = "".join(
        f'[[goals]]\nid = "g{n}"\ncan_do = "{"c" * 60}"\nevidence = "{"e" * 100}"\norder = {n + 1}\n'
        f'hint_concepts = ["a", "b", "c"]\n'
        for n in range(8)
    )
    strings = EXAMPLE.split("[languages.en]")[1].replace("[languages.es", "\n[languages.es")
    strings = re.sub(r"(?m)^(say_problem|ask_use) = .*\n", "", strings)
    can_do = "".join(f'g{n} = "x{n}"\n' for n in range(8))
    hints = "".join(f'g{n} = ["a", "b", "c"]\n' for n in range(8))
    strings = strings.replace("[languages.en.can_do]\n", "[languages.en.can_do]\n" + can_do)
    head = EXAMPLE.split("[[goals]]")[0].replace('["say_problem", "ask_use"]', '["g0", "g1"]')
    head = re.sub(r'(?m)^(role|personality|setting|learner_role) = ".*"$', lambda m: f'{m[1]} = "{"r" * 80}"', head)
    (problem,) = refused(head + goals + "[languages.en]" + strings + hints)
    assert re.search(r"the model would be told \d+ characters; shorten the texts by \d+\.$", problem)


def test_every_voice_can_be_chosen() -> None:
    """Each of the ten voices is accepted."""
    for voice in VOICES:
        assert checked(changed('"sage"', f'"{voice}"'), CATALOGUE).scenario.voice == voice
