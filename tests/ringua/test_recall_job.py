"""What a learner agreed to have remembered reaches the next call once, and is gone when they want it forgotten."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from db import calls, endings, learners, lines, policies, topics
from db.endings import NewEvent
from db.engine import Database
from ringua.jobs.learning import learn_from_call
from telephony.answering import ending_from_checkpoint
from telephony.remembered import remembered
from tests.ringua.practice import Practice, practising
from tests.tutor.scenes import cafe
from tutor.learning.timeline import Timeline
from tutor.script import catalogue
from tutor.talk.snapshot import Snapshot

SHELF = catalogue.load()
DOG = NewEvent(20_000, "fact", {"fact": "likes hiking with her dog"})
BAND = NewEvent(30_000, "fact", {"fact": "plays in a band"})
TOPIC = NewEvent(19_000, "topic", {"topic": "her dog"})


def forget(what: str, at_ms: int = 25_000) -> NewEvent:
    """A wish to have something forgotten."""
    return NewEvent(at_ms, "forget", {"what": what})


@pytest.fixture
async def practice(database: Database) -> Practice:
    """A line with a learner who agreed."""
    made = await practising(database)
    async with database.school(made.school_id) as session:
        await learners.save_settings(session, made.learner_id, {"remember": True})
    return made


async def learn(practice: Practice, call_id: UUID) -> None:
    """Runs the job."""
    await learn_from_call(practice.database, SHELF, school_id=practice.school_id, call_id=call_id)


async def kept(practice: Practice) -> tuple[list[str], list[str]]:
    """Facts and topics, the newest first."""
    async with practice.database.school(practice.school_id) as session:
        topics_kept = await topics.recent(session, practice.learner_id, "es")
        return await topics.facts(session, practice.learner_id), topics_kept


async def told(practice: Practice, *, kids: bool = False, proven: bool = True) -> tuple[str, bool]:
    """The card of the next call, and whether that one may remember things."""
    async with practice.database.school(practice.school_id) as session:
        learner = await learners.get(session, practice.learner_id)
        known = await remembered(session, SHELF, learner, target="es", kids=kids, proven=proven, now=datetime.now(UTC))
    scene = known.brought_to(cafe(), 0)
    return scene.learner_card, scene.remembers


async def test_the_next_call_knows_what_was_told(practice: Practice) -> None:
    """A fact is kept by the job, once however often it runs, and stands on the card of the next call."""
    call_id = await practice.call(6, [TOPIC, DOG])
    await learn(practice, call_id)
    await learn(practice, call_id)
    assert await kept(practice) == (["likes hiking with her dog"], ["her dog"])
    card, remembers = await told(practice)
    assert "Has told: likes hiking with her dog." in card
    assert remembers


async def test_a_number_alone_brings_up_nothing_that_was_said(practice: Practice) -> None:
    """It can be forged: what was told and managed in earlier calls needs more, or a school that trusts numbers."""
    await learn(practice, await practice.call(6, [TOPIC, DOG]))
    card, remembers = await told(practice, proven=False)
    assert card == "Practises at A1."
    assert remembers
    assert "her dog" in (await told(practice))[0]
    async with practice.database.school(practice.school_id) as session:
        await policies.change(session, practice.school_id, trust_numbers=True)
    assert (await told(practice, proven=False))[0] == (await told(practice))[0]


async def test_nothing_is_kept_of_who_did_not_agree(practice: Practice) -> None:
    """Also when they took it back during the call; and their next call is not offered to remember."""
    async with practice.database.school(practice.school_id) as session:
        await learners.save_settings(session, practice.learner_id, {"remember": False})
    await learn(practice, await practice.call(6, [DOG]))
    async with practice.database.school(practice.school_id) as session:
        await learners.save_settings(session, practice.learner_id, {"remember": True})
    assert await kept(practice) == ([], [])
    async with practice.database.school(practice.school_id) as session:
        await learners.save_settings(session, practice.learner_id, {"remember": "true"})
    assert (await told(practice))[1] is False


@pytest.mark.parametrize("children", [{"kids": True}, {"minors": "under13"}])
async def test_of_children_nothing_is_kept(practice: Practice, children: dict[str, Any]) -> None:
    """On a line for children no fact is kept and none is asked for, whatever a setting says."""
    async with practice.database.school(practice.school_id) as session:
        await lines.update(session, practice.line_id, **children)
    await learn(practice, await practice.call(6, [DOG]))
    assert await kept(practice) == ([], [])
    assert (await told(practice, kids=True))[1] is False


async def test_what_was_to_be_forgotten_is_not_kept(practice: Practice) -> None:
    """What was told before the wish is dropped, what came after stays; earlier calls keep theirs."""
    await learn(practice, await practice.call(6, [NewEvent(9_000, "fact", {"fact": "has a garden"})]))
    await learn(practice, await practice.call(6, [TOPIC, DOG, forget("this_call"), BAND], day=1))
    assert await kept(practice) == (["plays in a band", "has a garden"], [])


async def test_everything_can_be_forgotten(practice: Practice) -> None:
    """Facts and topics of every call go, also after a call in which something was not right."""
    await learn(practice, await practice.call(6, [TOPIC, DOG]))
    trouble = NewEvent(26_000, "safe_exit", {})
    await learn(practice, await practice.call(6, [forget("everything"), trouble], day=1))
    assert await kept(practice) == ([], [])


async def test_a_distressed_call_leaves_no_fact(practice: Practice) -> None:
    """What somebody told in a call that had to be left is not brought up again."""
    await learn(practice, await practice.call(6, [DOG, NewEvent(40_000, "safe_exit", {})]))
    assert await kept(practice) == ([], [])


async def test_a_call_whose_process_was_killed_keeps_it_once(practice: Practice) -> None:
    """Its last checkpoint holds what was told; the sweep closes the call from it, and the job keeps it."""
    timeline = Timeline()
    timeline.add(1_000, "fact", fact="likes hiking with her dog")
    snapshot = Snapshot.of(timeline, elapsed_ms=60_000, speed=0.9, goals={})
    menu = await _menu(practice)
    async with practice.database.school(practice.school_id) as session:
        call = await calls.open_call(
            session,
            school_id=practice.school_id,
            line_id=practice.line_id,
            carrier_sid="CAkilled",
            account_sid="AC1",
            max_calls=1_000,
            learner_id=practice.learner_id,
            level="A1",
        )
        await calls.save_menu(session, call.id, 0, menu)
        await calls.begin(session, call.id, scenario="cafe_order", level="A1")
        stream = await calls.connected(session, call.id)
        assert stream is not None
        assert await calls.checkpoint(session, call.id, snapshot.write(), stream=stream)
        await session.refresh(call)
        assert await endings.finish(session, call.id, ending_from_checkpoint(call, "process_lost"))
    await learn(practice, call.id)
    await learn(practice, call.id)
    assert (await kept(practice))[0] == ["likes hiking with her dog"]


async def _menu(practice: Practice) -> dict[str, Any]:
    """The menu of a call, as practice writes it."""
    other = await practice.call(0, guest=True)
    async with practice.database.school(practice.school_id) as session:
        row = await calls.get(session, other)
        assert row is not None
        return dict(row.menu)
