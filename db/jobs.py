"""Durable jobs in Postgres: deferred in the caller's transaction, run by a worker, kept alive by the next one.

The bodies live elsewhere and come in as ``Job`` records. A job's name is ``queue.what``; its body must bear being run
again, because a worker that dies in the middle leaves its jobs to the next.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from procrastinate import App, JobContext, PsycopgConnector, RetryStrategy
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Status
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from db import urls
from db.engine import APP_ROLE, CONNECT_TIMEOUT_S

QUEUES = ("calls", "messages", "nightly", "purge")

HEARTBEAT_S = 10.0
STALLED_S = 30.0
"""Three heartbeats: with fewer, a worker that is merely busy would see its jobs run twice."""

MAX_ATTEMPTS = 5
DRAIN_S = 20.0
"""How long a worker that is told to stop waits for its jobs; hosts kill 30 s after they ask."""

KEEP_SUCCEEDED_HOURS = 24
KEEP_FAILED_HOURS = 30 * 24

ONE_AT_A_TIME: Mapping[str, str] = {"calls.debrief": "call_id"}
"""Jobs of which only one runs at a time for each value of this argument, whatever workers there are; the later ones
wait. Who waits holds nothing, and a worker that dies gives its turn back with its job (`retry_stalled_jobs`)."""

Body = Callable[..., Awaitable[None]]

_COUNT = text("SELECT status::text, count(*) FROM procrastinate_jobs WHERE status <> 'succeeded' GROUP BY status")
_COUNTED = ("todo", "doing", "failed")

_log = logging.getLogger(__name__)


class UnknownQueue(ValueError):
    """The part of a job's name before the dot is none of ``QUEUES``."""


@dataclass(frozen=True, slots=True)
class Job:
    """A job a worker can run. With ``cron`` (five fields, UTC) it is also deferred by the clock, without arguments."""

    name: str
    body: Body
    attempts: int = MAX_ATTEMPTS
    """How often it is tried in all; the waits grow: 3, 9, 27, 81 s."""
    cron: str | None = None


def queue_of(name: str) -> str:
    """The queue in a job's name. Raises UnknownQueue."""
    queue, dot, what = name.partition(".")
    if queue not in QUEUES or not dot or not what:
        raise UnknownQueue(f"A job's name is QUEUE.WHAT with a queue of {', '.join(QUEUES)}; this is {name!r}")
    return queue


# Never opened: jobs are deferred on the caller's own connection.
_deferring = App(connector=PsycopgConnector())


async def defer(session: AsyncSession, name: str, /, *, delay_s: float = 0.0, **arguments: Any) -> int:
    """Enqueues a job in the session's transaction and returns its id: rolled back, it never existed.

    ``arguments`` are JSON values and reach the body by name; they are logged, so give ids, never numbers or words of a
    learner. The job runs no sooner than ``delay_s`` after now. What must happen once needs a unique key on its own row.
    Raises UnknownQueue.
    """
    connection = await (await session.connection()).get_raw_connection()
    alone = arguments.get(ONE_AT_A_TIME.get(name, ""))
    deferring = _deferring.configure_task(
        name,
        queue=queue_of(name),
        connection=connection.driver_connection,
        schedule_in={"seconds": delay_s} if delay_s > 0 else None,
        lock=None if alone is None else f"{name}:{alone}",
    )
    return await deferring.defer_async(**arguments)


async def counts(session: AsyncSession) -> dict[str, int]:
    """How many jobs wait, are done now, and failed for good in the last month: ``todo``, ``doing``, ``failed``.

    Of all schools and processes together.
    """
    found = {row[0]: row[1] for row in await session.execute(_COUNT)}
    return {status: found.get(status, 0) for status in _COUNTED}


async def run_worker(
    url: str,
    jobs: Iterable[Job],
    *,
    queues: Iterable[str] = QUEUES,
    concurrency: int = 10,
    wait: bool = True,
    signals: bool = True,
) -> None:
    """Runs jobs until SIGINT or SIGTERM, or until cancelled; running ones get ``DRAIN_S`` to end.

    ``jobs`` are all this process knows. ``wait=False`` returns once the queues are empty. ``signals=False`` leaves
    signal handling to the caller. ``url`` must reach Postgres itself and not a transaction pooler, because the worker
    listens on its connection.
    """
    app = worker_app(url, jobs)
    async with app.open_async():
        await app.run_worker_async(
            queues=list(queues),
            concurrency=concurrency,
            wait=wait,
            install_signal_handlers=signals,
            shutdown_graceful_timeout=DRAIN_S,
            update_heartbeat_interval=HEARTBEAT_S,
            stalled_worker_timeout=STALLED_S,
        )


def worker_app(url: str, jobs: Iterable[Job]) -> App:
    """A Procrastinate app, not yet opened, that knows the given jobs and the housekeeping of the queue itself."""
    connector = PsycopgConnector(
        conninfo=urls.libpq(url),
        kwargs={"connect_timeout": CONNECT_TIMEOUT_S},
        configure=_take_app_role,
        min_size=1,
        max_size=4,
        timeout=10.0,
    )
    app = App(connector=connector)
    for job in jobs:
        # Procrastinate counts the tries after the first, and takes 0 for "without end".
        retry = RetryStrategy(max_attempts=job.attempts - 1, exponential_wait=3) if job.attempts > 1 else False
        if job.cron is None:
            app.task(name=job.name, queue=queue_of(job.name), retry=retry)(job.body)
        else:
            body = app.task(name=job.name, queue=queue_of(job.name), retry=retry)(_without_timestamp(job.body))
            app.periodic(cron=job.cron)(body)
    _housekeeping(app)
    return app


def _without_timestamp(body: Body) -> Callable[[int], Awaitable[None]]:
    """Procrastinate tells periodic tasks when they were due; ours do not ask."""

    async def run(timestamp: int) -> None:
        await body()

    return run


def _housekeeping(app: App) -> None:
    """Procrastinate retries and deletes nothing by itself."""

    @app.periodic(cron="* * * * *")
    # Without a lock: a worker that died in it would keep it, and nobody else would ever give its jobs back.
    @app.task(name="purge.retry_stalled_jobs", queue="purge", pass_context=True)
    async def retry_stalled(context: JobContext, timestamp: int) -> None:
        await retry_stalled_jobs(context.app)

    @app.periodic(cron="17 * * * *")
    @app.task(name="purge.delete_finished_jobs", queue="purge", lock="purge.delete_finished_jobs", pass_context=True)
    async def delete_finished(context: JobContext, timestamp: int) -> None:
        await delete_finished_jobs(context.app)


async def retry_stalled_jobs(app: App) -> int:
    """Puts the jobs of dead workers back into their queues and returns how many.

    A job that took a worker with it ``MAX_ATTEMPTS`` times is marked as failed instead.
    """
    manager = app.job_manager
    retried = 0
    for job in await manager.get_stalled_jobs(seconds_since_heartbeat=STALLED_S):
        try:
            if job.attempts + 1 >= MAX_ATTEMPTS:
                await manager.finish_job(job, Status.FAILED, delete_job=False)
                _log.error("job %s stalled %d times and was given up", job.id, MAX_ATTEMPTS)
            else:
                await manager.retry_job(job)
                retried += 1
        except ConnectorException:
            # Its worker was slow, not dead, and ended the job between our two statements.
            _log.info("stalled job %s had ended after all", job.id)
    return retried


async def delete_finished_jobs(app: App) -> None:
    """Deletes jobs that ended well a day ago, and any others that ended a month ago."""
    await app.job_manager.delete_old_jobs(nb_hours=KEEP_SUCCEEDED_HOURS)
    await app.job_manager.delete_old_jobs(
        nb_hours=KEEP_FAILED_HOURS, include_failed=True, include_cancelled=True, include_aborted=True
    )


async def _take_app_role(connection: psycopg.AsyncConnection[Any]) -> None:
    """The worker's own connections, too, are bound by row-level security."""
    await connection.execute(f"SET ROLE {APP_ROLE}".encode())
    await connection.commit()
