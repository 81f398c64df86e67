"""Calls that went on with each other: one play of a scene, told by the last of them."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from db import calls, chains, learners, observations
from db.engine import Database
from db.keyring import Keyring
from db.models import Call
from tests.db.conftest import OpenCall, Place, Query
from tests.db.learning_rows import NOW, observation


@pytest.fixture
async def learner_id(database: Database, keyring: Keyring, place: Place) -> UUID:
    """Somebody who practises."""
    async with database.school(place.school_id) as session:
        made = await learners.create_with_number(
            session,
            school_id=place.school_id,
            number_hash=keyring.hash_number("+34600000001"),
            last_two="01",
            native="en",
            target="es",
            level="A1",
        )
    return made.id


async def row(database: Database, place: Place, call_id: UUID) -> Call:
    """The call as it is now."""
    async with database.school(place.school_id) as session:
        call = await calls.get(session, call_id)
    assert call is not None
    return call


@pytest.fixture
async def play(
    database: Database, place: Place, open_call: OpenCall, learner_id: UUID, superuser: Query
) -> tuple[UUID, UUID, UUID]:
    """Three calls a minute apart, each of which went on with the one before; nobody has talked in the last one yet."""
    made: list[UUID] = []
    for minute in range(3):
        call_id = await open_call(learner_id=learner_id)
        async with database.school(place.school_id) as session:
            await calls.begin(session, call_id, scenario="cafe_order", level="A1")
            if made:
                await chains.join(session, call_id, await row(database, place, made[-1]))
            if minute < 2:
                await calls.connected(session, call_id)
        began = NOW + timedelta(minutes=minute)
        await superuser("UPDATE calls SET started_at = %s WHERE id = %s", [began, call_id])
        made.append(call_id)
    return made[0], made[1], made[2]


async def test_every_call_of_a_play_names_the_first(
    database: Database, place: Place, play: tuple[UUID, UUID, UUID]
) -> None:
    """However often it broke off; and so the parts of the scene that vary are the same in each."""
    rows = [await row(database, place, call_id) for call_id in play]
    assert [call.began_in for call in rows] == [None, play[0], play[0]]
    async with database.school(place.school_id) as session:
        assert len({await chains.seed(session, call) for call in rows}) == 1


async def test_another_call_has_another_seed(
    database: Database, place: Place, play: tuple[UUID, UUID, UUID], open_call: OpenCall
) -> None:
    """Whoever begins anew may meet another twist."""
    other = await row(database, place, await open_call())
    first = await row(database, place, play[0])
    async with database.school(place.school_id) as session:
        assert await chains.seed(session, other) != await chains.seed(session, first)


async def test_what_became_of_a_scene(
    database: Database, place: Place, play: tuple[UUID, UUID, UUID], superuser: Query
) -> None:
    """Gone on with where somebody talked later; open while somebody may; settled when they hung up before it."""
    first, second, third = [await row(database, place, call_id) for call_id in play]
    async with database.school(place.school_id) as session:
        assert [await chains.fate(session, call) for call in (first, second, third)] == ["gone_on", "open", "settled"]
    ended = "UPDATE calls SET state = 'closed', resume = %s WHERE id = %s"
    for resume, fate in (("{}", "open"), (None, "settled")):
        await superuser(ended, [resume, play[2]])
        async with database.school(place.school_id) as session:
            assert await chains.fate(session, second) == fate


async def test_the_last_conversation_stands_for_the_play(
    database: Database, place: Place, play: tuple[UUID, UUID, UUID], learner_id: UUID
) -> None:
    """One play and one first conversation; a call in which nobody has talked yet tells nothing."""
    async with database.school(place.school_id) as session:
        assert len(await learners.plays(session, learner_id, "es")) == 1
        assert await observations.confidence_due(session, learner_id) == "first"
        await calls.connected(session, play[2])
        assert len(await learners.plays(session, learner_id, "es")) == 1


async def test_what_was_measured_before_is_withdrawn(
    database: Database, place: Place, play: tuple[UUID, UUID, UUID], learner_id: UUID, open_call: OpenCall
) -> None:
    """Of the play's other calls nothing is left; other calls of the learner keep theirs. Twice changes nothing."""
    other = await open_call(learner_id=learner_id)
    async with database.school(place.school_id) as session:
        for call_id in (*play[:2], other):
            await observations.put(session, observation(place.school_id, call_id, learner_id))
        for _ in range(2):
            await chains.supersede(session, await row(database, place, play[2]))
            await chains.supersede(session, await row(database, place, other))
        left = await observations.recent(session, learner_id, "es")
    assert [one.call_id for one in left] == [other]


async def test_another_school_sees_no_play(
    database: Database, place: Place, elsewhere: Place, play: tuple[UUID, UUID, UUID], learner_id: UUID
) -> None:
    """It finds nobody who went on, withdraws nothing, and cannot make a call one of a play."""
    first, _, third = [await row(database, place, call_id) for call_id in play]
    async with database.school(place.school_id) as session:
        await observations.put(session, observation(place.school_id, first.id, learner_id))
    async with database.school(elsewhere.school_id) as session:
        assert await chains.fate(session, first) == "settled"
        await chains.supersede(session, third)
        await chains.join(session, first.id, third)
        assert await chains.seed(session, third) != await chains.seed(session, first)
    assert (await row(database, place, first.id)).began_in is None
    async with database.school(place.school_id) as session:
        assert await observations.get(session, first.id) is not None
