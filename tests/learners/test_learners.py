"""Simulated learners against the real conversation core: each call as a golden transcript.

Written anew with `RINGUA_WRITE_SNAPSHOTS=1 ./run test tests/learners`; read the difference before keeping it.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from tests.learners.line import Line
from tests.learners.people import PEOPLE, Person
from tests.virtual_time import run
from tutor.talk.state import Phase

GOLDEN = Path(__file__).parent / "golden"

LONGEST_S = 16 * 60.0
"""No call of theirs may outlast its own limit."""


async def _played(person: Person) -> Line:
    line = Line(person.scene, person.rules)
    line.begin()
    async with asyncio.timeout(LONGEST_S):
        await person.story(line)
        await line.ended.wait()
    return line


def play(person: Person) -> Line:
    """The person's whole call, which takes milliseconds."""
    return run(_played(person))


BY_NAME = {person.name: person for person in PEOPLE}


@pytest.fixture(scope="module", params=PEOPLE, ids=lambda person: person.name)
def call(request: pytest.FixtureRequest) -> tuple[Person, Line]:
    """Each person's call, played once."""
    return request.param, play(request.param)


def test_a_call_goes_as_it_is_written_down(call: tuple[Person, Line]) -> None:
    """Word for word and to the tenth of a second: whoever changes the core reads here what it does to people."""
    person, line = call
    file = GOLDEN / f"{person.name}.txt"
    if os.environ.get("RINGUA_WRITE_SNAPSHOTS"):
        file.write_text(line.transcript.text, "utf-8")
    assert line.transcript.text == file.read_text("utf-8")


def test_a_call_ends_once_and_leaves_nothing_open(call: tuple[Person, Line]) -> None:
    """Whatever a learner does, there is one end, with a reason, and every turn is closed."""
    _, line = call
    assert line.talk.phase is Phase.ENDED
    (ended,) = line.timeline.of("ended")
    assert ended.data["reason"] == line.talk.end_reason
    assert ended is line.timeline.entries[-1]
    assert all(turn.end_ms is not None for turn in line.timeline.turns)


def test_the_clock_of_a_call_never_runs_backwards(call: tuple[Person, Line]) -> None:
    """Entries are in the order in which they happened."""
    _, line = call
    times = [entry.at_ms for entry in line.timeline.entries]
    assert times == sorted(times)


def test_the_role_speaks_first(call: tuple[Person, Line]) -> None:
    """In the language being learned, before anybody is listened to."""
    person, line = call
    assert line.timeline.turns[0].speaker == "role"
    assert line.timeline.turns[0].text == person.scene.greeting


def test_the_same_learner_gives_the_same_call(call: tuple[Person, Line]) -> None:
    """Nothing depends on chance or on the clock on the wall."""
    person, line = call
    assert play(person).transcript.text == line.transcript.text


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("hesitant-beginner", "role"),
        ("fluent", "role"),
        ("silent", "silence"),
        ("echoing-speakerphone", "role"),
        ("code-switching", "role"),
        ("prompt-injector", "safety_stop"),
        ("child-disclosing-harm", "care"),
        ("key-happy", "key"),
    ],
)
def test_each_call_ends_for_its_own_reason(name: str, reason: str) -> None:
    """A goodbye, a silence, two keys, a stop, or care."""
    assert play(BY_NAME[name]).talk.end_reason == reason


def test_who_answers_late_and_briefly_reaches_the_scene_all_the_same() -> None:
    """Long thinking costs a beginner nothing: every goal they named is earned, with help on the way."""
    line = play(BY_NAME["hesitant-beginner"])
    assert line.talk.succeeded
    assert line.timeline.of("stuck")


def test_goals_that_nobody_reached_are_refused() -> None:
    """A role that was talked into marking goals earns the learner none."""
    line = play(BY_NAME["prompt-injector"])
    assert [entry.data["goal"] for entry in line.timeline.of("goal")] == ["introduce"]
    assert {entry.data["goal"] for entry in line.timeline.of("goal_refused")} == {"agree_date", "win_everything"}


def test_what_a_child_discloses_is_answered_with_care_and_is_in_no_entry() -> None:
    """The helpline is said in the child's own language; the words themselves are kept out of the safety entry."""
    person = BY_NAME["child-disclosing-harm"]
    line = play(person)
    (found,) = line.timeline.of("safety")
    assert found.data["action"] == "care"
    assert "hits" not in str(dict(found.data))
    last = line.timeline.of("said")[-1]
    assert last.data["language"] == person.scene.native.tag
    assert "116 111" in last.data["text"]
