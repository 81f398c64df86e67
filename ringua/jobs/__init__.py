"""The work that follows calls, one file a job. A job may be run twice; none of them minds."""

from __future__ import annotations

from db.jobs import Job
from ringua.jobs.stale_calls import close_stale_calls
from ringua.storage import Storage


def all_jobs(storage: Storage) -> list[Job]:
    """Every job a worker runs."""

    async def stale() -> None:
        await close_stale_calls(storage.database)

    return [Job("calls.close_stale", stale, cron="* * * * *")]
