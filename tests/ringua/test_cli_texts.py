"""The commands about guardians and quiet hours, on a real database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from db import schools
from db.engine import Database
from tests.db.planted import Planted
from tests.ringua.test_cli_keeping import Work, environment, on, planted, ringua, trouble

__all__ = ["environment", "on", "planted"]

PARENT = "+34910009876"


def test_a_guardian_is_set_with_the_consent_shown_and_removed(planted: Planted) -> None:
    """Texts about a child go to a parent whose consent the school can show; nobody's whole number is printed."""
    learner = str(planted.learner_id)
    assert ringua("learner", "guardian", learner, "--remove").output == "Removed the guardian.\n"
    assert ringua("learner", "guardian", learner).output == "No guardian.\n"
    assert "consent" in trouble("learner", "guardian", learner, PARENT)
    done = ringua("learner", "guardian", learner, PARENT, "--consent", "form of 2026-09-01")
    assert "to nobody else" in done.output
    shown = ringua("learner", "guardian", learner).output
    assert shown.startswith("…76, consent: form of 2026-09-01 (")
    assert PARENT not in shown
    assert ringua("learner", "guardian", learner, "--remove").output == "Removed the guardian.\n"
    assert ringua("learner", "guardian", learner, "--remove").output == "There was no guardian.\n"


def test_a_guardian_s_number_must_be_one(planted: Planted) -> None:
    """A slip of the keyboard, or two wishes at once, is told in one sentence."""
    learner = str(planted.learner_id)
    assert "is not a telephone number" in trouble("learner", "guardian", learner, "12", "--consent", "yes")
    assert "set or removed" in trouble("learner", "guardian", learner, PARENT, "--remove")


def test_a_school_s_quiet_hours_are_set(planted: Planted, on: Callable[[Work], Any]) -> None:
    """The hours hold for the school from the next text on; an hour that is none, or nobody's, is refused."""

    async def hours(database: Database) -> tuple[int, int, int]:
        async with database.anyone() as session:
            school = await schools.by_name(session, "North")
        assert school is not None
        return school.quiet_from_h, school.quiet_kids_from_h, school.quiet_until_h

    said = ringua("school", "quiet", "North", "--start", "21", "--until", "7").output
    assert said == "North sends no texts from 21:00 to 7:00, to children's homes from 18:00.\n"
    assert on(hours) == (21, 18, 7)
    assert ringua("school", "quiet", "North", "--start", "24").exit_code == 2
    assert "There is no school" in trouble("school", "quiet", "Nowhere")
