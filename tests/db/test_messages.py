"""Debriefs and text messages: written once, moved on by one process at a time, reported in any order."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from itertools import permutations
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from db import consents, debriefs, learners, messages
from db.engine import Database
from db.keyring import Keyring
from db.models import Message
from tests.db.conftest import OpenCall, Place, Query

NUMBER = "+34600000001"


@pytest.fixture
async def message(database: Database, keyring: Keyring, place: Place, open_call: OpenCall) -> UUID:
    """A message that has not been sent."""
    async with database.school(place.school_id) as session:
        learner = await learners.create_with_number(
            session,
            school_id=place.school_id,
            number_hash=keyring.hash_number(NUMBER),
            last_two="01",
            native="en",
            target="es",
            level="A1",
            number_encrypted=keyring.encrypt(NUMBER),
        )
    call_id = await open_call(learner_id=learner.id)
    assert await add(database, keyring, place, call_id, learner.id)
    return (await only(database, place)).id


async def add(database: Database, keyring: Keyring, place: Place, call_id: UUID, learner_id: UUID | None) -> bool:
    """Writes the debrief's message of a call."""
    async with database.school(place.school_id) as session:
        return await messages.add(
            session,
            school_id=place.school_id,
            call_id=call_id,
            learner_id=learner_id,
            account_sid="AC1",
            sender=place.number,
            kind="debrief",
            key=f"debrief:{call_id}",
            body="¡Bien!",
            number_hash=keyring.hash_number(NUMBER),
        )


async def only(database: Database, place: Place) -> Message:
    """The one message there is."""
    async with database.school(place.school_id) as session:
        return (await session.scalars(select(Message))).one()


async def told(database: Database, place: Place, message_id: UUID, status: str, **details: Any) -> bool:
    """The carrier reports."""
    values: dict[str, Any] = {"carrier_sid": "SM1", "status": status, **details}
    async with database.school(place.school_id) as session:
        return await messages.report(session, message_id, **values)


async def test_a_debrief_is_kept_once(database: Database, place: Place, open_call: OpenCall) -> None:
    """Of two that were written at the same time the first one stays."""
    call_id = await open_call()

    async def put(n: int) -> bool:
        async with database.school(place.school_id) as session:
            return await debriefs.put(
                session,
                school_id=place.school_id,
                call_id=call_id,
                content={"n": n},
                source="model",
                model="m",
                cost_micro_usd=7,
            )

    kept = await asyncio.gather(*(put(n) for n in range(5)))
    assert sum(kept) == 1
    async with database.school(place.school_id) as session:
        debrief = await debriefs.get(session, call_id)
        assert await debriefs.get(session, uuid4()) is None
    assert debrief is not None
    assert debrief.content == {"n": kept.index(True)}
    assert (debrief.source, debrief.model, debrief.cost_micro_usd) == ("model", "m", 7)


async def test_a_message_is_written_once_with_one_job(
    database: Database, keyring: Keyring, place: Place, message: UUID, superuser: Query
) -> None:
    """However often it is asked for, there is one message a key, and one job that sends it."""
    row = await only(database, place)
    assert row.id == message
    again = await asyncio.gather(*(add(database, keyring, place, row.call_id, row.learner_id) for _ in range(5)))
    assert again == [False] * 5
    assert await superuser("SELECT task_name, queue_name, args FROM procrastinate_jobs") == [
        ("messages.send", "messages", {"school_id": str(place.school_id), "message_id": str(message)})
    ]


async def test_one_process_takes_a_message(database: Database, place: Place, message: UUID) -> None:
    """Of many workers at once one may send."""

    async def attempt() -> int | None:
        async with database.school(place.school_id) as session:
            return await messages.attempt(session, message)

    assert sorted(taken or 0 for taken in await asyncio.gather(*(attempt() for _ in range(8)))) == [0] * 7 + [1]
    assert (await only(database, place)).state == "sending"


@pytest.mark.parametrize("order", sorted(set(permutations(["queued", "sent", "delivered", "sent"]))))
async def test_reports_in_any_order(database: Database, place: Place, message: UUID, order: tuple[str, ...]) -> None:
    """However the reports are mixed and repeated, the message ends as delivered."""
    for status in order:
        await told(database, place, message, status)
    row = await only(database, place)
    assert (row.state, row.carrier_sid, row.error_code) == ("delivered", "SM1", None)
    assert row.sent_at is not None


async def test_news_is_told_apart(database: Database, place: Place, message: UUID) -> None:
    """A repeated or older report, a status nobody knows, and another message's report are no news."""
    assert await told(database, place, message, "sent")
    assert not await told(database, place, message, "sent")
    assert not await told(database, place, message, "queued")
    assert not await told(database, place, message, "daydreaming")
    assert not await told(database, place, message, "delivered", carrier_sid="SM2")
    assert await told(database, place, message, "undelivered", error_code=30005)
    assert not await told(database, place, message, "delivered")
    row = await only(database, place)
    assert (row.state, row.error_code) == ("failed", 30005)


async def test_a_report_settles_an_unclear_attempt(database: Database, place: Place, message: UUID) -> None:
    """A report of an attempt whose answer never came shows that it was taken; then it is not sent again."""
    async with database.school(place.school_id) as session:
        assert await messages.attempt(session, message) == 1
        assert await messages.unsure(session, message)
        assert await messages.release(session, message)
    assert await told(database, place, message, "sent", attempt=1)
    async with database.school(place.school_id) as session:
        assert await messages.attempt(session, message) is None


async def test_another_try_after_a_delivery_that_failed(database: Database, place: Place, message: UUID) -> None:
    """Late reports of the first try say nothing about the second."""
    async with database.school(place.school_id) as session:
        await messages.attempt(session, message)
    assert await told(database, place, message, "undelivered", error_code=30003, attempt=1)
    async with database.school(place.school_id) as session:
        assert await messages.again(session, message)
    assert not await told(database, place, message, "undelivered", error_code=30003, attempt=1)
    async with database.school(place.school_id) as session:
        assert await messages.attempt(session, message) == 2
    assert not await told(database, place, message, "undelivered", error_code=30003, attempt=1)
    assert await told(database, place, message, "delivered", carrier_sid="SM2", attempt=2)
    row = await only(database, place)
    assert (row.state, row.carrier_sid, row.error_code) == ("delivered", "SM2", None)


async def test_steps_start_from_where_they_may(database: Database, place: Place, message: UUID) -> None:
    """What was taken is not released, failed or suppressed by somebody who is late."""
    await told(database, place, message, "sent")
    async with database.school(place.school_id) as session:
        assert not await messages.release(session, message)
        assert not await messages.unsure(session, message)
        assert not await messages.suppress(session, message)
        assert not await messages.fail(session, message, 20500)
        assert not await messages.again(session, message)


async def test_a_message_is_found_without_a_school(database: Database, place: Place, message: UUID) -> None:
    """The carrier's report leads to the school by our identifier or by the carrier's."""
    await told(database, place, message, "queued")
    found = messages.MessageFound(place.school_id, message)
    async with database.anyone() as session:
        assert await messages.find(session, message_id=message, carrier_sid="SM9") == found
        assert await messages.find(session, message_id=None, carrier_sid="SM1") == found
        assert await messages.find(session, message_id=uuid4(), carrier_sid="SM9") is None


async def test_ages_are_the_databases(database: Database, place: Place, message: UUID, superuser: Query) -> None:
    """Since when a message is being sent comes with it."""
    async with database.school(place.school_id) as session:
        waiting = await messages.lock(session, message)
        assert waiting is not None
        assert waiting.since_attempt_s == 0
        await messages.attempt(session, message)
    await superuser("UPDATE messages SET attempted_at = attempted_at - interval '1 hour'")
    async with database.school(place.school_id) as session:
        waiting = await messages.lock(session, message)
        assert waiting is not None
        assert 3600 <= waiting.since_attempt_s < 3700
        assert await messages.lock(session, uuid4()) is None


async def test_opting_out_stops_what_waits(database: Database, keyring: Keyring, place: Place, message: UUID) -> None:
    """A message that has not left yet is suppressed in the moment of the opt-out."""
    async with database.anyone() as session:
        await consents.opt_out(session, keyring.hash_number(NUMBER), "SM1")
    assert (await only(database, place)).state == "suppressed"


async def test_a_block_stops_a_sender_for_a_while(database: Database, place: Place, superuser: Query) -> None:
    """A block is new once; it holds for its sender, or for the whole account, and ends by itself."""

    async def block(sender: str) -> bool:
        async with database.anyone() as session:
            return await messages.block(session, account_sid="AC1", sender=sender, code=30034)

    async def blocked(account_sid: str, sender: str) -> int | None:
        async with database.school(place.school_id) as session:
            return await messages.blocked(session, account_sid=account_sid, sender=sender)

    assert [await block("+1"), await block("+1")] == [True, False]
    assert [await blocked("AC1", "+1"), await blocked("AC1", "+2"), await blocked("AC2", "+1")] == [30034, None, None]
    assert await block("")
    assert await blocked("AC1", "+2") == 30034
    await superuser("UPDATE sender_blocks SET at = at - interval '2 hours'")
    assert await blocked("AC1", "+1") is None
    assert await block("+1")


async def test_what_was_texted_lately(
    database: Database, keyring: Keyring, place: Place, message: UUID, superuser: Query
) -> None:
    """A text counts once the carrier has it, for as long as is asked."""
    number = keyring.hash_number(NUMBER)

    async def texted() -> bool:
        async with database.school(place.school_id) as session:
            return await messages.texted(session, number, within=timedelta(days=30))

    assert not await texted()
    await told(database, place, message, "sent")
    assert await texted()
    await superuser("UPDATE messages SET created_at = created_at - interval '31 days'")
    assert not await texted()


async def test_a_forgotten_learner_leaves_no_message(
    database: Database, place: Place, message: UUID, superuser: Query
) -> None:
    """Messages go with their learner."""
    await superuser("DELETE FROM learners")
    assert await superuser("SELECT count(*) FROM messages") == [(0,)]
