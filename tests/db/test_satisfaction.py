"""The question how a call was: once a call, not soon again, nobody whom it would not suit, and sums in the end."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from db import flags, guardians, learners, observations, policies, retention, satisfaction
from db.endings import Ending, finish
from db.engine import Database
from db.forgetting import forget_learner
from db.keyring import Keyring
from db.satisfaction import AGAIN, Totals
from tests.db.conftest import OpenCall, Place, Query
from tests.db.learning_rows import remember

NUMBER = "+34600000001"


@pytest.fixture
async def learner_id(database: Database, keyring: Keyring, place: Place) -> UUID:
    """A learner who calls from a number of their own."""
    async with database.school(place.school_id) as session:
        learner = await learners.create_with_number(
            session,
            school_id=place.school_id,
            number_hash=keyring.hash_number(NUMBER),
            last_two="01",
            native="en",
            target="es",
            level="A1",
        )
    return learner.id


async def asks(database: Database, place: Place, call_id: UUID) -> bool:
    """Whether a call's caller is asked, in a transaction of its own."""
    async with database.school(place.school_id) as session:
        return await satisfaction.ask(session, call_id)


async def gives(database: Database, place: Place, call_id: UUID, answer: int) -> bool:
    """Whether an answer is kept, in a transaction of its own."""
    async with database.school(place.school_id) as session:
        return await satisfaction.answered(session, call_id, answer)


async def sums(database: Database, place: Place) -> Totals:
    """What the school's answers add up to."""
    async with database.school(place.school_id) as session:
        return await satisfaction.totals(session)


async def test_a_call_is_asked_about_once(
    database: Database, place: Place, open_call: OpenCall, learner_id: UUID
) -> None:
    """Requests that come again, and at once, are told the same, and leave one row; the first answer stays."""
    call_id = await open_call(learner_id=learner_id)
    assert await asyncio.gather(*(asks(database, place, call_id) for _ in range(4))) == [True] * 4
    assert await sums(database, place) == Totals(asked=1, answered=0, points=0, people=0)
    kept = await asyncio.gather(*(gives(database, place, call_id, 4) for _ in range(4)))
    assert sorted(kept) == [False, False, False, True]
    assert not await gives(database, place, call_id, 1)
    assert await sums(database, place) == Totals(asked=1, answered=1, points=4, people=1)
    assert await asks(database, place, call_id), "the carrier that asks again is given the same document"


async def test_an_answer_needs_its_question(
    database: Database, place: Place, open_call: OpenCall, learner_id: UUID
) -> None:
    """Nothing is kept of a caller who was not asked, nor anything that is no answer."""
    call_id = await open_call(learner_id=learner_id)
    assert not await gives(database, place, call_id, 5)
    assert await sums(database, place) == Totals(0, 0, 0, 0)
    for answer in (0, 6):
        with pytest.raises(ValueError, match="1 to 5"):
            await gives(database, place, call_id, answer)


async def test_a_learner_is_left_alone_for_thirty_days(
    database: Database, place: Place, open_call: OpenCall, learner_id: UUID, superuser: Query
) -> None:
    """Whether they answered or not; another learner is asked meanwhile, and a guest in every call."""
    assert await asks(database, place, await open_call(learner_id=learner_id))
    assert not await asks(database, place, await open_call(learner_id=learner_id))
    for _ in range(2):
        assert await asks(database, place, await open_call())
    back = "UPDATE satisfaction_questions SET asked_at = asked_at - %s"
    await superuser(back, [AGAIN - timedelta(hours=1)])
    assert not await asks(database, place, await open_call(learner_id=learner_id))
    await superuser(back, [timedelta(hours=2)])
    assert await asks(database, place, await open_call(learner_id=learner_id))


async def test_one_question_a_call(database: Database, place: Place, open_call: OpenCall, learner_id: UUID) -> None:
    """Who has said in this call how sure they feel is not asked another thing."""
    call_id = await open_call(learner_id=learner_id)
    async with database.school(place.school_id) as session:
        await observations.confidence_answered(
            session,
            school_id=place.school_id,
            learner_id=learner_id,
            call_id=call_id,
            answer=3,
            asked_because="first",
        )
    assert not await asks(database, place, call_id)


async def test_not_after_a_flag(database: Database, place: Place, open_call: OpenCall) -> None:
    """A call that people must look at is not asked about."""
    call_id = await open_call()
    async with database.school(place.school_id) as session:
        await flags.record(session, call_id, [flags.NewFlag.key(5)])
    assert not await asks(database, place, call_id)


async def test_whoever_has_a_guardian_is_not_asked(
    database: Database, keyring: Keyring, place: Place, open_call: OpenCall, learner_id: UUID
) -> None:
    """They are minors, on whatever line they call."""
    call_id = await open_call(learner_id=learner_id)
    async with database.school(place.school_id) as session:
        ids = {"school_id": place.school_id, "learner_id": learner_id}
        await guardians.put(session, keyring, **ids, number="+34600000077", consent="form 2026-09")
    assert not await asks(database, place, call_id)


async def test_people_are_counted_once(
    database: Database, place: Place, open_call: OpenCall, learner_id: UUID, superuser: Query
) -> None:
    """Two answers of one learner are one person's; guests, of whom nobody knows who they are, count by their calls."""
    for answer in (5, 2):
        call_id = await open_call(learner_id=learner_id)
        assert await asks(database, place, call_id)
        assert await gives(database, place, call_id, answer)
        await superuser("UPDATE satisfaction_questions SET asked_at = asked_at - interval '31 days'")
    for _ in range(2):
        call_id = await open_call()
        assert await asks(database, place, call_id)
        assert await gives(database, place, call_id, 4)
    assert await asks(database, place, await open_call())
    assert await sums(database, place) == Totals(asked=5, answered=4, points=15, people=3)


async def test_nothing_is_left_of_whoever_is_forgotten(
    database: Database, keyring: Keyring, place: Place, open_call: OpenCall, learner_id: UUID
) -> None:
    """Neither their own answer nor the one they gave as a guest by the same telephone; nor is one kept afterwards."""
    own = await open_call(learner_id=learner_id)
    guest = await open_call(caller_hash=keyring.hash_number(NUMBER))
    others = await open_call()
    for call_id in (own, guest, others):
        async with database.school(place.school_id) as session:
            await finish(session, call_id, Ending("role"))
        assert await asks(database, place, call_id)
        assert await gives(database, place, call_id, 3)
    async with database.school(place.school_id) as session:
        gone = await forget_learner(session, learner_id)
    assert gone.rows["satisfaction_questions"] == 2
    assert await sums(database, place) == Totals(asked=1, answered=1, points=3, people=1)
    assert not await gives(database, place, own, 1)
    assert not await asks(database, place, own)


async def test_answers_go_with_the_figures(
    database: Database, place: Place, open_call: OpenCall, learner_id: UUID, superuser: Query
) -> None:
    """When only time and cost are left of a call, its answer is gone."""
    call_id = await open_call(learner_id=learner_id)
    async with database.school(place.school_id) as session:
        await finish(session, call_id, Ending("role"))
        await remember(session, place.school_id, learner_id, call_id)
    assert (await sums(database, place)).answered == 1
    await superuser("UPDATE calls SET ended_at = now() - interval '900 days'")
    async with database.school(place.school_id) as session:
        assert await retention.leave_cost(session, await policies.of_school(session)) == 1
    assert await sums(database, place) == Totals(0, 0, 0, 0)
