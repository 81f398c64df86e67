"""One call's guard: what is answered, what only once, and what a subject that keeps coming back leads to."""

from __future__ import annotations

import pytest

from rehearsal.realtime_text import CATEGORIES as SERVED
from tests.tutor.safety.lines import ABUSE, SELF_HARM
from tutor.safety.guard import STEERS, Guard
from tutor.safety.moderation import MEANINGS, finding
from tutor.safety.screen import Finding
from tutor.safety.words import CATEGORIES

HATE = "I hate all immigrants."
FLIRT = "I want to have sex with you."
DIE = "I want to die."


@pytest.fixture
def guard() -> Guard:
    """The guard of an adult's call."""
    return Guard(["en", "es"])


def actions(*found: Finding | None) -> list[str | None]:
    """What each answer does."""
    return [one.action if one else None for one in found]


def test_harmless_turns_are_not_answered(guard: Guard) -> None:
    """Coffee is coffee."""
    assert actions(guard.role_said("r1", "¿Qué le pongo?"), guard.learner_said("l1", "Un café.")) == [None, None]
    assert guard.findings == []


def test_a_subject_is_changed_twice_then_the_scene_stops(guard: Guard) -> None:
    """Two steers a subject, then a stop; another subject counts for itself."""
    assert actions(guard.learner_said("l1", HATE), guard.learner_said("l2", FLIRT)) == ["steer", "steer"]
    assert actions(guard.learner_said("l3", HATE), guard.learner_said("l4", HATE)) == ["steer", "stop"]
    assert [one.category for one in guard.findings] == ["hate", "sexual", "hate", "hate"]
    assert STEERS == 2


def test_after_the_end_only_worse_is_answered(guard: Guard) -> None:
    """A scene that was stopped is not stopped again, and a disclosure still changes it into care."""
    for item in ("l1", "l2", "l3"):
        guard.learner_said(item, HATE)
    assert guard.learner_said("l4", HATE) is None
    assert guard.learner_said("l5", FLIRT) is None
    assert actions(guard.learner_said("l6", DIE)) == ["care"]
    assert guard.learner_said("l7", DIE) is None


@pytest.mark.parametrize("kid", [False, True])
@pytest.mark.parametrize("tag", SELF_HARM)
def test_disclosures_are_answered_at_once(tag: str, kid: bool) -> None:
    """The first one leads to care, in every language."""
    for line in (SELF_HARM[tag][0], ABUSE[tag][0]):
        assert actions(Guard([tag], kid).learner_said("l1", line)) == ["care"]


def test_moderation_adds_what_the_lists_missed(guard: Guard) -> None:
    """A late answer about a harmless-looking turn is acted upon."""
    assert guard.learner_said("l1", "It is all so dark.") is None
    assert guard.moderated("l1", {"self-harm/intent": True, "violence": False}) == Finding(
        "self_harm", "care", "moderation/self-harm/intent"
    )


def test_moderation_does_not_repeat_what_was_done(guard: Guard) -> None:
    """The same turn is not answered twice, and does not count twice towards a stop."""
    assert actions(guard.learner_said("l1", HATE)) == ["steer"]
    assert guard.moderated("l1", {"hate": True}) is None
    assert guard.moderated("l1", {}) is None
    assert actions(guard.learner_said("l2", HATE), guard.learner_said("l3", HATE)) == ["steer", "stop"]


def test_moderation_knows_who_spoke(guard: Guard) -> None:
    """The same category means care for a learner and a steer for a role; a turn nobody knows is the learner's."""
    guard.role_said("r1", "…")
    assert actions(guard.moderated("r1", {"self-harm": True})) == ["steer"]
    assert actions(guard.moderated("unknown", {"self-harm": True})) == ["care"]


def test_a_crime_story_goes_on(guard: Guard) -> None:
    """Violence that only the endpoint hears is noted for adults; in children's scenes the role moves on."""
    assert actions(guard.moderated("l1", {"violence": True})) == ["note"]
    assert actions(Guard(["en"], kid=True).moderated("l1", {"violence": True})) == ["steer"]


def test_every_category_of_the_endpoint_means_something() -> None:
    """Each of the served categories is mapped; one that is new is passed over, unflagged ones are nothing."""
    assert set(SERVED) == set(MEANINGS)
    assert set(MEANINGS.values()) <= set(CATEGORIES)
    assert finding({"new/kind": True}, "learner") is None
    assert finding(dict.fromkeys(SERVED, False), "learner") is None
    gravest = finding(dict.fromkeys(SERVED, True), "learner")
    assert gravest is not None
    assert (gravest.category, gravest.action) == ("self_harm", "care")


@pytest.mark.parametrize("category", CATEGORIES)
def test_a_note_changes_the_subject_and_quotes_nothing(guard: Guard, category: str) -> None:
    """One short instruction for the role, whatever the subject."""
    note = guard.note(Finding(category, "steer", "x/y.z"))  # type: ignore[arg-type]  # parametrized
    assert note.startswith("Change the subject kindly")
    assert len(note.split()) <= 50
    assert "x/y.z" not in note


def test_what_was_said_is_not_kept(guard: Guard) -> None:
    """Nothing of a turn stays in the guard."""
    guard.learner_said("l1", "I want to die, said the zebra.")
    assert "zebra" not in repr(vars(guard))
