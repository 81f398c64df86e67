"""Closing a call: once, whole or not at all, also when its process died."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import psycopg
import pytest

from db import calls, policies
from db.endings import Ending, NewEvent, NewTurn, close_stale, finish
from db.engine import Database
from db.models import Call
from tests.db.conftest import OpenCall, Place, Query

ENDING = Ending(
    reason="hangup",
    turns=[
        NewTurn("role", 0, 1200, "¡Hola!", "item_1"),
        NewTurn("learner", 1500, 2600, "Quiero un café.", "item_2"),
        NewTurn("role", 2900, 3300, "¿Con…", "item_3", cut=True),
    ],
    events=[NewEvent(2000, "key", {"digit": "1"}), NewEvent(2600, "goal", {"id": "order"})],
    usage={"input_tokens": 7},
    cost_micro_usd=12_345,
    cost_complete=True,
    completed=True,
    job=("calls.debrief", {"call": "x"}),
)

SILENT = "UPDATE calls SET heartbeat_at = now() - interval '3 min' WHERE id = %s"


async def close(database: Database, place: Place, call_id: UUID, ending: Ending = ENDING) -> bool:
    """Finishes the call in a transaction of its own."""
    async with database.school(place.school_id) as session:
        return await finish(session, call_id, ending)


async def test_a_call_is_closed_with_all_it_leaves(
    database: Database, place: Place, open_call: OpenCall, superuser: Query
) -> None:
    """The row, its turns and events in their order, and the job are there once the transaction is committed."""
    call_id = await open_call()
    assert await close(database, place, call_id)
    async with database.school(place.school_id) as session:
        call = await calls.get(session, call_id)
    assert call is not None
    assert (call.state, call.end_reason, call.completed) == ("closed", "hangup", True)
    assert (call.usage, call.cost_micro_usd, call.cost_complete) == ({"input_tokens": 7}, 12_345, True)
    assert call.ended_at is not None
    assert call.ended_at >= call.started_at
    turns = await superuser("SELECT ordinal, speaker, item_id, text, start_ms, end_ms, cut FROM turns ORDER BY id")
    assert turns == [
        (0, "role", "item_1", "¡Hola!", 0, 1200, False),
        (1, "learner", "item_2", "Quiero un café.", 1500, 2600, False),
        (2, "role", "item_3", "¿Con…", 2900, 3300, True),
    ]
    events = await superuser("SELECT ordinal, at_ms, kind, data FROM call_events ORDER BY id")
    assert events == [(0, 2000, "key", {"digit": "1"}), (1, 2600, "goal", {"id": "order"})]
    assert await superuser("SELECT task_name, queue_name, args, status::text FROM procrastinate_jobs") == [
        ("calls.debrief", "calls", {"call": "x"}, "todo")
    ]


async def test_of_many_finishers_one_closes(
    database: Database, place: Place, open_call: OpenCall, superuser: Query
) -> None:
    """Of ten who finish at the same time one writes the ending and its job; the others are told and write nothing."""
    call_id = await open_call()
    finished = await asyncio.gather(*(close(database, place, call_id) for _ in range(10)))
    assert sum(finished) == 1
    assert await superuser("SELECT (SELECT count(*) FROM turns), (SELECT count(*) FROM procrastinate_jobs)") == [(3, 1)]


async def test_a_second_finisher_takes_over_from_one_that_fails(
    database: Database, place: Place, open_call: OpenCall, superuser: Query
) -> None:
    """While one finisher is at work another waits; when the first fails, the second closes the call."""
    call_id = await open_call()
    written, fail = asyncio.Event(), asyncio.Event()

    async def failing() -> None:
        async with database.school(place.school_id) as session:
            assert await finish(session, call_id, ENDING)
            written.set()
            await fail.wait()
            raise RuntimeError("died before the commit")

    first = asyncio.create_task(failing())
    await written.wait()
    second = asyncio.create_task(close(database, place, call_id, replace(ENDING, reason="second")))
    for _ in range(1000):
        if await superuser("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"):
            break
    else:
        pytest.fail("the second finisher did not wait for the first")
    fail.set()
    with pytest.raises(RuntimeError, match="died"):
        await first
    assert await second
    assert await superuser("SELECT end_reason, (SELECT count(*) FROM turns) FROM calls") == [("second", 3)]
    assert await superuser("SELECT count(*) FROM procrastinate_jobs") == [(1,)]


async def test_stale_calls_are_closed_from_their_checkpoint(
    database: Database, place: Place, elsewhere: Place, open_call: OpenCall, superuser: Query
) -> None:
    """Calls of any school that went silent are closed as of their last sign of life; what they checkpointed is kept."""
    silent = await open_call()
    other = await open_call(school_id=elsewhere.school_id, line_id=elsewhere.line_id)
    fresh = await open_call()
    async with database.school(place.school_id) as session:
        stream = await calls.connected(session, silent)
        assert stream is not None
        await calls.checkpoint(session, silent, {"said": "Hola"}, stream=stream)
    for call_id in (silent, other):
        await superuser(SILENT, [call_id])

    def ending(call: Call) -> Ending:
        said = (call.resume or {}).get("said")
        return Ending("lost", [NewTurn("learner", 0, 1, said)] if said else [], resumable=True)

    closed = await close_stale(database, ending)
    assert {found.call_id for found in closed} == {silent, other}
    assert {found.school_id for found in closed} == {place.school_id, elsewhere.school_id}
    assert await close_stale(database, ending) == []
    assert await superuser("SELECT id FROM calls WHERE state <> 'closed'") == [(fresh,)]
    assert await superuser("SELECT call_id, text FROM turns") == [(silent, "Hola")]
    ((exact, resume),) = await superuser("SELECT ended_at = heartbeat_at, resume FROM calls WHERE id = %s", [silent])
    assert (exact, resume) == (True, {"said": "Hola"})


async def test_sweepers_at_once_close_each_call_once(database: Database, open_call: OpenCall, superuser: Query) -> None:
    """Several sweeps at the same time close every stale call, each exactly once."""
    ids = [await open_call() for _ in range(6)]
    for call_id in ids:
        await superuser(SILENT, [call_id])
    ending = Ending("lost", job=("calls.debrief", {}))
    sweeps = await asyncio.gather(*(close_stale(database, lambda _: ending) for _ in range(4)))
    assert sorted(found.call_id for sweep in sweeps for found in sweep) == sorted(ids)
    assert await superuser("SELECT count(*) FROM procrastinate_jobs") == [(6,)]


async def test_a_call_that_shows_life_again_is_left_alone(
    database: Database, database_url: str, open_call: OpenCall, superuser: Query
) -> None:
    """A call whose heartbeat comes between listing and closing stays open."""
    first, second = await open_call(), await open_call()
    await superuser("UPDATE calls SET heartbeat_at = now() - interval '4 min' WHERE id = %s", [first])
    await superuser(SILENT, [second])

    def ending(call: Call) -> Ending:
        with psycopg.connect(database_url) as connection:
            connection.execute("UPDATE calls SET heartbeat_at = now() WHERE id = %s", [second])
        return Ending("lost")

    assert [found.call_id for found in await close_stale(database, ending)] == [first]
    assert await superuser("SELECT state FROM calls WHERE id = %s", [second]) == [("menu",)]


async def test_one_bad_call_does_not_keep_the_others_open(
    database: Database, open_call: OpenCall, superuser: Query
) -> None:
    """When the ending of one call cannot be made, the others are closed and the error is raised afterwards."""
    bad, good = await open_call(), await open_call()
    await superuser("UPDATE calls SET heartbeat_at = now() - interval '4 min' WHERE id = %s", [bad])
    await superuser(SILENT, [good])

    def ending(call: Call) -> Ending:
        if call.id == bad:
            raise ValueError("unreadable checkpoint")
        return Ending("lost")

    with pytest.raises(ExceptionGroup, match="1 of 2 stale calls"):
        await close_stale(database, ending)
    assert await superuser("SELECT id FROM calls WHERE state = 'closed'") == [(good,)]


async def test_an_ending_may_be_dated(database: Database, place: Place, open_call: OpenCall) -> None:
    """An end time that is given is kept."""
    call_id = await open_call()
    moment = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
    assert await close(database, place, call_id, Ending("hangup", ended_at=moment))
    async with database.school(place.school_id) as session:
        call = await calls.get(session, call_id)
        assert call is not None
        assert call.ended_at == moment


async def test_a_school_that_keeps_no_words_gets_none_written(
    database: Database, place: Place, open_call: OpenCall, superuser: Query
) -> None:
    """With 0 days for transcripts a closed call has its times, goals and counts, and nothing that anybody said."""
    async with database.school(place.school_id) as session:
        await policies.change(session, place.school_id, transcript_days=0)
    call_id = await open_call()
    said = "Soy Ana y vivo en la calle Mayor."
    ending = Ending(
        "caller_hung_up",
        turns=[NewTurn("learner", 1_000, 2_000, said, "i1")],
        events=[NewEvent(2_100, "goal", {"goal": "greet", "evidence": "quote", "quote": said})],
        resumable=True,
    )
    async with database.school(place.school_id) as session:
        await calls.connected(session, call_id)
        assert await calls.checkpoint(session, call_id, {"turns": [said]}, stream=1)
    assert await close(database, place, call_id, ending)
    assert await superuser("SELECT text, start_ms, end_ms FROM turns") == [(None, 1_000, 2_000)]
    assert await superuser("SELECT data FROM call_events") == [({"goal": "greet", "evidence": "quote"},)]
    assert await superuser("SELECT resume FROM calls") == [(None,)]
