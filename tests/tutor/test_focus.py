"""One feature a call: which pattern is chosen, what the role is told, and that no result depends on errors."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tutor.desk import Desk
from tests.tutor.scenes import cafe
from tutor.learning.focus import MOST_WORDS, Focus, Rule, focus, rules
from tutor.learning.patterns import MOST_TYPE_CHARS, MOST_TYPE_WORDS, Pattern, Trend, error_type
from tutor.learning.wording import problems
from tutor.script.catalogue import load
from tutor.script.prompt import harmless

CATALOGUE = load()
TABLE = rules()
TARGETS = tuple(dict.fromkeys(language.base for language in CATALOGUE.targets))
each_rule = pytest.mark.parametrize("rule", TABLE.rules, ids=lambda rule: f"{rule.type}-{'-'.join(rule.languages)}")


def pattern(
    type_: str = "articles", rate: float = 0.2, *, blocking: bool = False, sessions: int = 3, trend: Trend = "steady"
) -> Pattern:
    """A recurrent pattern unless told otherwise."""
    return Pattern(type_, rate, blocking, sessions, trend)


def chosen(*patterns: Pattern, tag: str = "es") -> Focus:
    """The focus of these patterns, which there has to be."""
    found = focus(patterns, tag)
    assert found is not None
    return found


def tags_of(rule: Rule) -> tuple[str, ...]:
    """The languages a rule is written for."""
    tags = [tag for name in rule.languages for tag in TABLE.families.get(name, (name,))]
    return tuple(tags) or TARGETS


# --- which pattern


@pytest.mark.parametrize(
    ("blocking", "sessions", "is_focus"), [(False, 2, False), (False, 3, True), (True, 1, True), (True, 0, True)]
)
def test_only_what_hides_the_meaning_or_comes_back_is_a_focus(blocking: bool, sessions: int, is_focus: bool) -> None:
    """Two calls are chance, three are a pattern; one breakdown is enough."""
    assert (focus([pattern(rate=0.9, blocking=blocking, sessions=sessions)], "es") is not None) == is_focus


def test_nothing_to_practise_is_no_focus() -> None:
    """A learner without patterns just talks."""
    assert focus([], "es") is None


def test_what_hides_the_meaning_goes_before_what_is_frequent() -> None:
    """Whatever the rates."""
    assert chosen(pattern("plural", 0.9), pattern("articles", 0.05, blocking=True)).type == "articles"


def test_the_higher_rate_goes_first_and_then_the_letters() -> None:
    """Among equals the choice is the same every time."""
    assert chosen(pattern("articles", 0.2), pattern("plural", 0.3)).type == "plural"
    assert chosen(pattern("plural", 0.2), pattern("articles", 0.2)).type == "articles"


PATTERNS = st.lists(
    st.builds(
        Pattern,
        st.sampled_from(["articles", "plural", "gender_agreement", "ser_estar", "tag_questions"]),
        st.sampled_from([0.05, 0.2, 0.5, 0.8]),
        st.booleans(),
        st.integers(0, 10),
        st.sampled_from(["improving", "steady", "needs_work"]),
    ),
    unique_by=lambda one: one.type,
)


@given(PATTERNS, st.sampled_from(TARGETS), st.data())
def test_the_order_of_patterns_does_not_matter(patterns: list[Pattern], tag: str, data: st.DataObject) -> None:
    """And the one that is chosen qualifies, with none that hides the meaning behind it."""
    found = focus(patterns, tag)
    assert found == focus(data.draw(st.permutations(patterns)), tag)
    if found is None:
        assert not any(one.blocking for one in patterns)
    else:
        (one,) = (one for one in patterns if one.type == found.type)
        assert one.blocking or (one.sessions >= 3 and not any(other.blocking for other in patterns))


# --- the table


@each_rule
def test_a_rule_fires_above_its_rate_and_not_at_it(rule: Rule) -> None:
    """In each of its languages, with its own sentence."""
    for tag in tags_of(rule):
        assert focus([pattern(rule.type, rule.above)], tag) is None
        assert rule.instruction in chosen(pattern(rule.type, rule.above + 0.01), tag=tag).instruction


@each_rule
def test_an_improving_pattern_is_a_challenge(rule: Rule) -> None:
    """Also when it has become rare; not while it still hides the meaning."""
    for tag in tags_of(rule):
        rare = pattern(rule.type, rule.above / 2, trend="improving")
        found = chosen(rare, tag=tag)
        assert found.challenge
        assert rule.challenge in found.instruction
        hidden = chosen(replace(rare, blocking=True), tag=tag)
        assert not hidden.challenge
        assert rule.instruction in hidden.instruction


@pytest.mark.parametrize(
    ("type_", "rate", "tag", "says"),
    [
        ("gender_agreement", 0.31, "es", "nouns of clear gender"),
        ("gender_agreement", 0.31, "fr", "nouns of clear gender"),
        ("gender_agreement", 0.31, "de", "things of different gender"),
        ("gender_agreement", 0.31, "es-PR", "nouns of clear gender"),
        ("gender_agreement", 0.31, "pt_PT", "nouns of clear gender"),
        ("subjunctive_avoidance", 0.71, "it", "situations that need the subjunctive: wishes, doubts"),
        ("ser_estar", 0.2, "pt", "ser and estar"),
        ("word_order", 0.2, "de", "begin short sentences with a time or a place"),
        ("word_order", 0.2, "ja", "the verb at the end"),
        ("verb_endings", 0.2, "en", "what one person usually does"),
        ("verb_endings", 0.2, "de", "the person of the verb changes"),
        ("aspect", 0.2, "zh", "了"),
        ("measure_words", 0.2, "ja", "count things"),
        ("particles", 0.2, "zh", "吗"),
        ("particles", 0.2, "ja", "particles are clearly heard"),
        ("politeness", 0.2, "ja", "polite forms"),
        ("politeness", 0.2, "fr", "form of address"),
    ],
)
def test_a_rule_belongs_to_its_languages(type_: str, rate: float, tag: str, says: str) -> None:
    """The language's own, then its family's; a region has its language's."""
    assert says in chosen(pattern(type_, rate), tag=tag).instruction


@pytest.mark.parametrize(("type_", "tag"), [("ser_estar", "fr"), ("aspect", "es"), ("gender_agreement", "zh")])
def test_a_rule_of_another_language_does_not_apply(type_: str, tag: str) -> None:
    """The general sentence does."""
    assert TABLE.generic.instruction in chosen(pattern(type_), tag=tag).instruction


def test_what_the_table_does_not_know_has_a_general_rule() -> None:
    """By the name under which it was noted, with a threshold and a challenge of its own."""
    found = chosen(pattern("tag_questions"), tag="en")
    assert "“tag questions”" in found.instruction
    assert focus([pattern("tag_questions", TABLE.generic.above)], "en") is None
    assert TABLE.generic.challenge in chosen(pattern("tag_questions", trend="improving"), tag="en").instruction


def test_no_language_has_two_rules_of_one_rank_for_a_type() -> None:
    """Which one holds never depends on the order of the file."""
    for tag in TARGETS:
        for type_ in {rule.type for rule in TABLE.rules}:
            ranks = [
                "own" if tag in rule.languages else "family" if rule.languages else "all"
                for rule in TABLE.rules
                if rule.type == type_ and tag in tags_of(rule)
            ]
            assert len(ranks) == len(set(ranks)), (type_, tag)


def test_the_families_hold_every_language_that_can_be_learned_once() -> None:
    """And the rules name only families and languages that exist."""
    tags = [tag for family in TABLE.families.values() for tag in family]
    assert sorted(tags) == sorted(TARGETS)
    assert {name for rule in TABLE.rules for name in rule.languages} <= {*TABLE.families, *tags}


def test_other_names_lead_to_types_of_the_table() -> None:
    """Each to one, each as a note spells it, and no type is another name of a second."""
    types = {rule.type for rule in TABLE.rules}
    names = [name for also in TABLE.also.values() for name in also]
    assert set(TABLE.also) <= types
    assert len(names) == len(set(names))
    assert types.isdisjoint(names)
    for known, also in TABLE.also.items():
        assert error_type(known) == known
        assert {error_type(name) for name in also} == {known}
        assert all(len(name) <= MOST_TYPE_CHARS and name.count("_") < MOST_TYPE_WORDS for name in also)


# --- what the role is told


def every_instruction() -> list[Focus]:
    """Every rule in every language, when it fires and as a challenge, and the longest type there can be."""
    longest = "a_bb_ccc_dddd"
    return [
        chosen(pattern(type_, 0.99, trend=trend), tag=tag)
        for tag in TARGETS
        for type_ in sorted({rule.type for rule in TABLE.rules} | {longest})
        for trend in ("steady", "improving")
    ]


def test_every_instruction_is_short_and_survives_the_learner_card() -> None:
    """Thirty words at most, one line, and no mark that could end a quotation."""
    for found in every_instruction():
        assert len(found.instruction.split()) <= MOST_WORDS, found.instruction
        assert harmless(found.instruction) == found.instruction
        assert found.instruction.endswith(".")
        assert not re.search(r"[{}]", found.instruction)


def test_no_instruction_has_a_word_that_nobody_may_be_told() -> None:
    """Should a role ever say it aloud, it judges nothing and counts nothing."""
    for found in every_instruction():
        assert problems(found.instruction, CATALOGUE.language("en")) == [], found.instruction


def test_how_a_role_reacts_stays_with_the_level() -> None:
    """The words by which a level card points here are in each instruction, and no reaction to a slip is."""
    assert any("focus structure" in rule for rule in CATALOGUE.level("A2").error_policy)
    for found in every_instruction():
        assert found.instruction.startswith("Focus structure: ")
        assert not re.search(
            r"\b(slip|error|mistake|recast|repeat after|right form|explain the rule)", found.instruction
        )


# --- no result depends on errors


def play(goals: list[str], notes: int) -> Desk:
    """A call in the café in which these goals are reached and so many errors noted, most of them blocking."""
    desk = Desk().open()
    for at in range(notes):
        arguments = {"type": "word_order", "severity": "blocking", "context": "x", "handling": "ignored"}
        desk.tool("note_error", json.dumps(arguments), f"n{at}")
    for goal in goals:
        words = desk.scene.hint(goal, 2)
        desk.learner(words)
        desk.tool("mark_goal", json.dumps({"goal": goal, "quote": words}), f"g-{goal}")
    return desk


def test_a_scene_succeeds_by_its_goals_however_many_errors_were_noted() -> None:
    """The message got across: fifty notes take nothing away."""
    scenario = cafe().scenario
    goals = list(scenario.success_of)[: scenario.success_need]
    noted, plain = play(goals, 50), play(goals, 0)
    assert len(noted.timeline.of("error_note")) == 50
    assert noted.talk.succeeded
    assert noted.talk.goals.earned == plain.talk.goals.earned
    assert noted.talk.phase == plain.talk.phase


def test_a_scene_without_its_goals_is_not_made_up_for_by_clean_talk() -> None:
    """One goal too few is one too few, with notes or without."""
    scenario = cafe().scenario
    goals = list(scenario.success_of)[: scenario.success_need - 1]
    assert not play(goals, 0).talk.succeeded
    assert not play(goals, 50).talk.succeeded
