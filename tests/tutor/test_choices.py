"""Data people tune: which voices may speak a role, and what a school grade gets."""

from __future__ import annotations

import tomllib

import pytest

from tutor.script.catalogue import PACKAGED, load
from tutor.script.grade import UnknownGrade, grade
from tutor.script.scenario import VOICES
from tutor.script.voice_choice import CHOICES, voice_for, voices_of

CATALOGUE = load()


def test_a_role_has_its_own_voice_first() -> None:
    """Without a choice a role speaks with its own voice; each choice is another one, and then it begins again."""
    for scenario in CATALOGUE.scenarios:
        chosen = [voice_for(scenario.voice, choice) for choice in range(CHOICES)]
        assert chosen[0] == scenario.voice
        assert len(set(chosen)) == CHOICES
        assert voice_for(scenario.voice, CHOICES) == scenario.voice


def test_voices_are_those_of_the_api() -> None:
    """Every voice in the groups exists, and every voice that exists belongs to a group."""
    groups = tomllib.loads((PACKAGED / "voices.toml").read_text("utf-8"))
    assert {voice for group in groups.values() for voice in group["voices"]} == set(VOICES)


def test_a_man_stays_a_man() -> None:
    """No choice for a woman's role is one for a man's."""
    women, men = ({*voices_of(own)} for own in ("marin", "cedar"))
    assert women.isdisjoint(men)


def test_a_voice_in_no_group_speaks_alone() -> None:
    """A voice that the groups do not know is the only one for its role."""
    assert voices_of("someone") == ("someone",)


def test_every_grade_has_scenes() -> None:
    """From kindergarten to the fifth grade there is a level card and something to play, all of it for children."""
    offered = {}
    for name in ("K", "1", "2", "3", "4", "5"):
        chosen = grade(name).choose(CATALOGUE.scenarios)
        assert CATALOGUE.level(grade(name).level)
        assert all(scenario.kid_ok for scenario in chosen)
        offered[name] = len(chosen)
    assert offered["K"] >= 2
    assert list(offered.values()) == sorted(offered.values()), "an older child is offered no less"


def test_topics_are_tags_of_scenes() -> None:
    """A topic that no scene has would be a slip of the pen."""
    tags = {tag for scenario in CATALOGUE.scenarios for tag in scenario.tags}
    for table in tomllib.loads((PACKAGED / "grades.toml").read_text("utf-8")).values():
        assert set(table["topics"]) <= tags


def test_an_unknown_grade_is_named() -> None:
    """Another grade is refused with a sentence that lists those there are."""
    with pytest.raises(UnknownGrade, match="There is no grade 9; there are K, 1, 2, 3, 4, 5"):
        grade("9")
