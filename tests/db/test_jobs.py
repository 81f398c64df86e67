"""Jobs: they exist exactly when their transaction is committed, and a dead worker's go on elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from procrastinate import App

from db import jobs
from db.engine import Database
from db.jobs import Job
from tests.db.conftest import Place, Query


@pytest.fixture
async def app(database_url: str) -> AsyncIterator[App]:
    """An opened app without jobs, for housekeeping."""
    async with jobs.worker_app(database_url, []).open_async() as opened:
        yield opened


async def defer(database: Database, place: Place, name: str = "calls.note", /, **arguments: Any) -> int:
    """Defers in a transaction of its own."""
    async with database.school(place.school_id) as session:
        return await jobs.defer(session, name, **arguments)


async def test_a_committed_job_runs_with_its_arguments(database: Database, place: Place, database_url: str) -> None:
    """A job deferred in a committed transaction is run by a worker, by name and with its arguments."""
    noted: list[dict[str, Any]] = []

    async def note(**arguments: Any) -> None:
        noted.append(arguments)

    await defer(database, place, call="x", minutes=3)
    await jobs.run_worker(database_url, [Job("calls.note", note)], wait=False, signals=False)
    assert noted == [{"call": "x", "minutes": 3}]


async def test_a_rolled_back_job_never_existed(database: Database, place: Place, superuser: Query) -> None:
    """A job deferred in a transaction that fails is not there, whatever else was to be written."""

    async def defer_and_fail() -> None:
        async with database.school(place.school_id) as session:
            await jobs.defer(session, "calls.note")
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        await defer_and_fail()
    assert await superuser("SELECT count(*) FROM procrastinate_jobs") == [(0,)]


async def test_a_running_worker_hears_of_a_new_job(database: Database, place: Place, database_url: str) -> None:
    """A worker that waits runs a job as soon as it is committed, and ends when it is cancelled."""
    ran = asyncio.Event()

    async def note() -> None:
        ran.set()

    worker = asyncio.create_task(jobs.run_worker(database_url, [Job("calls.note", note)], signals=False))
    await defer(database, place)
    await asyncio.wait_for(ran.wait(), 10)
    worker.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(worker, 10)


async def test_a_cancelled_worker_ends_its_jobs_first(database: Database, place: Place, database_url: str) -> None:
    """A job that runs when its worker is told to stop is allowed to end."""
    started, go_on = asyncio.Event(), asyncio.Event()
    ended = False

    async def slow() -> None:
        nonlocal ended
        started.set()
        await go_on.wait()
        ended = True

    await defer(database, place)
    worker = asyncio.create_task(jobs.run_worker(database_url, [Job("calls.note", slow)], signals=False))
    await asyncio.wait_for(started.wait(), 10)
    worker.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(worker, 10)
    assert ended


async def test_a_delayed_job_waits(database: Database, place: Place, superuser: Query) -> None:
    """A job with a delay is due that much later."""
    await defer(database, place, delay_s=3600.0)
    ((due,),) = await superuser("SELECT extract(epoch FROM scheduled_at - now())::float FROM procrastinate_jobs")
    assert 3590 < due <= 3600


@pytest.mark.parametrize("name", ["debrief", "unknown.debrief", "calls.", ".debrief"])
async def test_a_job_needs_a_known_queue(database: Database, place: Place, name: str) -> None:
    """A name that does not begin with one of the queues is refused when the job is deferred."""
    with pytest.raises(jobs.UnknownQueue, match="queue of calls, messages, nightly, purge"):
        await defer(database, place, name)


@pytest.mark.parametrize(("attempts", "status"), [(1, "failed"), (2, "todo")])
async def test_a_failing_job_is_tried_as_often_as_it_says(
    database: Database, place: Place, database_url: str, superuser: Query, attempts: int, status: str
) -> None:
    """A job that fails is put back for later until it has had its attempts."""

    async def fail() -> None:
        raise RuntimeError("no")

    await defer(database, place)
    await jobs.run_worker(database_url, [Job("calls.note", fail, attempts=attempts)], wait=False, signals=False)
    rows = await superuser(
        "SELECT status::text, scheduled_at > now() FROM procrastinate_jobs WHERE queue_name = 'calls'"
    )
    assert rows == [(status, True if status == "todo" else None)]


async def test_a_job_by_the_clock_runs_without_arguments(database_url: str) -> None:
    """A job with a cron line is deferred by the worker itself."""
    ran = asyncio.Event()

    async def tick() -> None:
        ran.set()

    every_second = Job("nightly.tick", tick, cron="* * * * * *")
    worker = asyncio.create_task(jobs.run_worker(database_url, [every_second], signals=False))
    await asyncio.wait_for(ran.wait(), 10)
    worker.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(worker, 10)


async def stall(superuser: Query, *, silent_s: int, attempts: int = 0) -> None:
    """Leaves every waiting job as a worker would that took it and was last heard of ``silent_s`` ago."""
    ((worker,),) = await superuser(
        "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - make_interval(secs => %s)) RETURNING id",
        [silent_s],
    )
    await superuser(
        "UPDATE procrastinate_jobs SET status = 'doing', worker_id = %s, attempts = %s WHERE queue_name = 'calls'",
        [worker, attempts],
    )


@pytest.mark.parametrize(
    ("silent_s", "attempts", "retried", "status"),
    [(29, 0, 0, "doing"), (31, 0, 1, "todo"), (31, 3, 1, "todo"), (31, 4, 0, "failed")],
)
async def test_a_dead_workers_job_is_taken_up_again(
    app: App,
    database: Database,
    place: Place,
    superuser: Query,
    silent_s: int,
    attempts: int,
    retried: int,
    status: str,
) -> None:
    """After 30 s of silence a worker's jobs go back to the queue, but one that killed five workers is given up."""
    await defer(database, place)
    await stall(superuser, silent_s=silent_s, attempts=attempts)
    assert await jobs.retry_stalled_jobs(app) == retried
    assert await superuser("SELECT status::text FROM procrastinate_jobs") == [(status,)]


async def test_every_worker_can_take_up_stalled_jobs(
    database: Database, place: Place, database_url: str, superuser: Query
) -> None:
    """The worker's own job that is due each minute puts a dead worker's job back, and the next look runs it."""
    ran = asyncio.Event()

    async def note() -> None:
        ran.set()

    await defer(database, place)
    await stall(superuser, silent_s=60)
    await defer(database, place, "purge.retry_stalled_jobs", timestamp=0)
    for _ in range(2):
        await jobs.run_worker(database_url, [Job("calls.note", note)], wait=False, signals=False)
    assert ran.is_set()


def test_housekeeping_is_due_by_the_clock(database_url: str) -> None:
    """A worker looks for stalled jobs each minute and deletes finished ones each hour.

    No lock keeps the next one from looking: whoever died while it looked would hold it for ever.
    """
    due = jobs.worker_app(database_url, []).periodic_registry.periodic_tasks.values()
    assert [task.task.lock for task in due if task.task.name == "purge.retry_stalled_jobs"] == [None]
    assert {task.task.name: task.cron for task in due} == {
        "purge.retry_stalled_jobs": "* * * * *",
        "purge.delete_finished_jobs": "17 * * * *",
    }


@pytest.mark.parametrize(
    ("status", "hours", "kept"),
    [("succeeded", 23, 1), ("succeeded", 25, 0), ("failed", 25, 1), ("failed", 721, 0), ("todo", 721, 1)],
)
async def test_finished_jobs_are_deleted_in_time(
    app: App, database: Database, place: Place, superuser: Query, status: str, hours: int, kept: int
) -> None:
    """Jobs that ended well go after a day, failed ones after a month, waiting ones never."""
    await defer(database, place)
    await superuser("UPDATE procrastinate_jobs SET status = %s::procrastinate_job_status", [status])
    await superuser("UPDATE procrastinate_events SET at = now() - make_interval(hours => %s)", [hours])
    await jobs.delete_finished_jobs(app)
    assert await superuser("SELECT count(*) FROM procrastinate_jobs") == [(kept,)]


async def test_a_worker_is_bound_like_everyone(app: App) -> None:
    """The worker's own connections act as the application role."""
    assert await app.connector.execute_query_one_async("SELECT current_user::text AS role") == {"role": "ringua_app"}
