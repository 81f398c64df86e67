"""What teachers and families are told of one call: from the facts alone, kind, each in their language."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehearsal.messages import is_gsm7, segments
from tests.tutor.scenes import cafe
from tutor.learning.debrief import LONGEST_PHRASE, LONGEST_SENTENCE, Debrief, plain
from tutor.learning.digest import class_digest
from tutor.learning.facts import Facts, Hint, Reached
from tutor.learning.focus import rules
from tutor.learning.message import MAX_SEGMENTS, compose_family, plain_typography
from tutor.learning.tellings import (
    MOST_TOPICS,
    Telling,
    for_family,
    for_teacher,
    topic_names,
    topics_of,
)
from tutor.learning.timeline import Entry
from tutor.learning.wording import problems
from tutor.script.catalogue import load
from tutor.script.language import Language

CATALOGUE = load()
EN = CATALOGUE.language("en")
each_native = pytest.mark.parametrize("native", CATALOGUE.natives, ids=lambda language: language.tag)
LINK = "https://practice.colegio-sanjuan.example/d/Abcdefghijklmnopqrstuv"
FACTS = Facts(
    "cafe_order",
    "A1",
    "en",
    "es",
    turns=9,
    goals=(Reached("greet", "", True), Reached("order_drink", "", True)),
    hints=(Hint("order_drink", 1),),
    duration_ms=170_000,
    said=("Mi secreto es azul",),
    heard=("¡Qué bonito!",),
)
COVERAGE: dict[str, Any] = {
    "due": ["el café", "la leche", "la cuenta"],
    "used_by_role": [],
    "used_by_learner": ["la cuenta"],
}


def noted(*types: str, severity: str = "recurrent") -> list[Entry]:
    """Notes of the role."""
    return [
        Entry(5, "error_note", {"type": name, "severity": severity, "context": "Yo quiero un secreto"})
        for name in types
    ]


def test_a_teacher_reads_what_was_reached_and_how() -> None:
    """The scene, what was reached alone and with a hint, what is open, the week's words, and topics for the class."""
    notes = [*noted("gender_agreement", "gender", "word_order"), *noted("past_tense", severity="blocking")]
    told = for_teacher(EN, FACTS, cafe(), coverage=COVERAGE, notes=notes)
    assert told == Telling(
        "en",
        (
            "Scene: At the café. Minutes: 3.",
            "Reached: greet the barista.",
            "With a hint: order a drink.",
            "Still open: say the size, the milk, or if it's to go and ask the price or say how you pay.",
            "Words of the week that were used: la cuenta.",
            "Words of the week still waiting: el café, la leche.",
            "Worth a few minutes in class: talking about the past and gender agreement.",
        ),
        ("past_tense", "gender_agreement"),
    )
    assert Telling.read(json.loads(json.dumps(told.write()))) == told


def test_nothing_that_was_said_is_told_to_anybody_else() -> None:
    """No word of the learner's, of the role's, or of a note's context reaches a teacher or a family."""
    debrief = plain(FACTS, cafe(), ())
    teacher = for_teacher(EN, FACTS, cafe(), coverage=COVERAGE, notes=noted("gender_agreement", "gender_agreement"))
    family = for_family(EN, FACTS, debrief)
    everything = json.dumps([teacher.write(), family.write()], ensure_ascii=False)
    assert "secreto" not in everything
    assert "bonito" not in everything


def test_after_a_safe_exit_only_that_it_ended() -> None:
    """What troubled somebody is another person's to hear."""
    left = Facts("cafe_order", "A1", "en", "es", turns=5, goals=FACTS.goals, said=FACTS.said, safe_exit=True)
    told = for_teacher(EN, left, cafe(), coverage=COVERAGE, notes=noted("gender_agreement", "gender_agreement"))
    assert told.lines == ("Scene: At the café. Minutes: 1.", EN.say("teacher.early"))
    assert told.topics == ()
    debrief = plain(left, cafe(), ())
    assert for_family(EN, left, debrief).lines[0] == EN.say("told.family_called")
    text = compose_family(debrief, left, EN, school="Lorca", count=segments)
    assert text == "Lorca: Your child called to practice."


def test_a_family_reads_what_the_child_did_and_how_to_help() -> None:
    """In their own language, without a name; a call without a goal was a call all the same."""
    told = for_family(EN, FACTS, plain(FACTS, cafe(), ()))
    did = "In this call your child managed to greet the barista and order a drink."
    assert told == Telling("en", (did, EN.say("family.help")))
    quiet = Facts("cafe_order", "A1", "en", "es", turns=5)
    assert for_family(EN, quiet, plain(quiet, cafe(), ())).lines[0] == EN.say("told.family_called")
    gone = Facts("no_such_scene", "A1", "en", "es", goals=FACTS.goals)
    debrief = Debrief("x", gone.reached, "Un café.", "x", "x")
    assert for_family(EN, gone, debrief).lines[0] == EN.say("told.family_called")


@each_native
def test_every_scene_can_be_told_in_every_language(native: Language) -> None:
    """To teachers and families, whatever the result: no verdict, no score, no hole."""
    target = "en" if native.base == "es" else "es"
    for scenario in CATALOGUE.scenarios:
        scene = CATALOGUE.scene(scenario.id, native=native.tag, target=target, level=scenario.cefr[0])
        ids = [goal.id for goal in scenario.goals]
        for goals in (ids, ids[:1], []):
            facts = Facts(
                scenario.id,
                scene.level.name,
                native.tag,
                target,
                goals=tuple(Reached(goal, "", True) for goal in goals),
            )
            notes = noted(*[rule.type for rule in rules().rules] * 2)
            teacher = for_teacher(native, facts, scene, coverage={}, notes=notes)
            family = for_family(native, facts, plain(facts, scene, ()))
            assert len(teacher.topics) == MOST_TOPICS
            for line in (*teacher.lines, *family.lines):
                assert problems(line, native) == [], line
                assert "{" not in line


# --- topics


def test_a_topic_comes_back_or_hides_the_meaning() -> None:
    """One slip is none; two notes are, and one that blocked; what the model made up, or a transcript in it, is not."""
    assert topics_of(noted("word_order")) == ()
    assert topics_of(noted("word_order", "syntax")) == ("word_order",)
    assert topics_of(noted("word_order", severity="blocking")) == ("word_order",)
    assert topics_of(noted("zebra_form", "zebra_form", severity="blocking")) == ()
    assert topics_of([Entry(5, "goal", {"type": "word_order"})] * 3) == ()
    many = ["plural"] * 2 + ["articles"] * 4 + ["cases"] * 3 + ["tones"] * 2
    assert topics_of(noted(*many)) == ("articles", "cases", "plural")


def test_every_type_has_a_name_in_every_language() -> None:
    """Each type of the focus table can be told to a teacher in all six native languages, and no name stands alone."""
    file = Path(__file__).parents[2] / "tutor" / "catalogue" / "patterns.toml"
    names = tomllib.loads(file.read_text("utf-8"))
    assert set(names) == {rule.type for rule in rules().rules if rule.type}
    for kind, named in names.items():
        assert {"ar", "en", "es", "fr", "pt", "zh"} <= set(named) <= set(CATALOGUE.tags), kind
        for native in CATALOGUE.natives:
            (name,) = topic_names([kind], native)
            assert problems(name, native) == [], name
            assert name == name.strip()
    assert topic_names(["no_such", "subjunctive"], CATALOGUE.language("pt-PT")) == ["o conjuntivo"]


@each_native
def test_a_class_s_topics_close_its_digest(native: Language) -> None:
    """On the telephone too: topics by name, the most frequent first, at most three; without any, nothing is said."""
    counts: dict[str, Any] = {"callers": 5, "talk_s": 600.0, "finished": {}, "goals": {}}
    plain_digest = class_digest(native, **counts)
    topics = {"word_order": 2, "articles": 3, "no_such": 9, "plural": 1, "tones": 1}
    digest = class_digest(native, **counts, topics=topics)
    assert digest[:-1] == plain_digest
    named = topic_names(["articles", "word_order", "plural"], native)
    assert digest[-1] == native.say("teacher.patterns", patterns=native.enumerate(named))


# --- the family's message


def test_a_family_s_message_says_who_writes() -> None:
    """The school, what the child did, the phrase, the link, and how to stop; nothing of the menu."""
    debrief = Debrief("You kept going.", ("greet",), "Un café, por favor.", "Try the market.", "market_fruit")
    text = compose_family(debrief, FACTS, EN, school="Colegio “Lorca”", count=segments, link=LINK, first=True)
    assert text == (
        'Colegio "Lorca": In this call your child managed to greet the barista. Keep this one: "Un café, por favor." '
        f"{LINK} STOP to end."
    )


@each_native
def test_a_family_s_message_fits_for_every_scene(native: Language) -> None:
    """With the longest name of a school, a link and how to stop; something of the child is always told."""
    target = "en" if native.base == "es" else "es"
    school = "Instituto Superior de Educación y Formación Continua San Juan de los Lagos"
    for scenario in CATALOGUE.scenarios:
        scene = CATALOGUE.scene(scenario.id, native=native.tag, target=target, level=scenario.cefr[0])
        reached = tuple(Reached(goal.id, "", True) for goal in scenario.goals)
        facts = Facts(scenario.id, scene.level.name, native.tag, target, turns=9, goals=reached)
        text = compose_family(
            plain(facts, scene, ()), facts, native, school=school, count=segments, link=LINK, first=True
        )
        assert segments(text) <= MAX_SEGMENTS
        assert LINK in text
        assert "STOP" in text
        can_dos = [scene.can_do(goal.id) for goal in scenario.goals]
        assert any(can_do in text for can_do in can_dos) or native.say("told.family_called") in text
        if native.base in ("en", "es", "fr", "pt"):
            assert is_gsm7(native.says["told.family_did"])


line = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=LONGEST_SENTENCE)


@each_native
@given(
    goals=st.lists(st.sampled_from([goal.id for goal in CATALOGUE.scenario("debate_radio").goals]), unique=True),
    keep=st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=LONGEST_PHRASE),
    meaning=st.none() | st.text(max_size=LONGEST_PHRASE),
    school=line,
    link=st.none() | st.integers(1, 300).map(lambda size: "https://l.example/" + "x" * size),
    first=st.booleans(),
)
def test_any_family_s_message_fits_two_segments(
    native: Language,
    goals: list[str],
    keep: str,
    meaning: str | None,
    school: str,
    link: str | None,
    first: bool,
) -> None:
    """Whatever was kept and whatever the school is called, however long the address; how to stop is never left out."""
    facts = Facts("debate_radio", "B2", native.tag, "es", goals=tuple(Reached(goal, "", True) for goal in goals))
    debrief = Debrief("x", tuple(goals), keep, "x", "cafe_order", meaning)
    text = compose_family(debrief, facts, native, school=school, count=segments, link=link, first=first)
    assert segments(text) <= MAX_SEGMENTS
    assert not first or "STOP" in text
    assert plain_typography(text) == text
