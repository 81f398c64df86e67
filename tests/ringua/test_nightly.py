"""The nightly analysis: everybody who practised lately, in batches, whatever dies between."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text

from db import jobs, observations, profiles
from db.endings import NewEvent
from db.engine import Database
from db.keyring import Keyring
from db.models_learning import LearnerProfile
from ringua.jobs import all_jobs, nightly
from ringua.jobs.learning import learn_from_call
from ringua.settings import load
from ringua.storage import Storage
from tests.ringua.practice import BEGAN, DAY, Practice, conversation, practising
from tutor.script import catalogue

SHELF = catalogue.load()
NIGHT = BEGAN + 2 * DAY
NOTE = NewEvent(21_000, "error_note", {"type": "ser_estar", "severity": "blocking", "handling": "recast"})
Kept = dict[tuple[UUID, str], tuple[dict[str, Any], datetime]]


async def practised(
    practice: Practice, learner_id: UUID, *, days: tuple[float, ...] = (0, 1), target: str = "es"
) -> None:
    """Calls of a learner, learned from, whose profiles are as old as the calls."""
    for day in days:
        call_id = await practice.call(
            conversation(6, latency_ms=2_600), [NOTE], day=day, learner_id=learner_id, target=target
        )
        await learn_from_call(practice.database, SHELF, school_id=practice.school_id, call_id=call_id)
    older = text("UPDATE profiles SET analysed_at = :at, parameters = '{}'")
    async with practice.database.school(practice.school_id) as session:
        await session.execute(older, {"at": BEGAN})


async def kept(practice: Practice) -> Kept:
    """The profiles of a school."""
    async with practice.database.school(practice.school_id) as session:
        rows = await session.scalars(select(LearnerProfile))
        return {(row.learner_id, row.target): (row.parameters, row.analysed_at) for row in rows}


async def test_everybody_who_practised_lately_is_analysed(database: Database) -> None:
    """All schools, all their languages, in batches of any size; who has not called for a week keeps what they have."""
    north, south = await practising(database), await practising(database, "South", "+34910000002")
    for practice in (north, south):
        for _ in range(3):
            await practised(practice, await practice.another())
    await practised(south, south.learner_id, days=(0, 1), target="fr")
    idle = await south.another()
    await practised(south, idle, days=(-9, -8))
    assert await nightly.analyse(database, SHELF, at=NIGHT, batch=2) == 7
    for practice in (north, south):
        for (learner_id, language), (parameters, analysed_at) in (await kept(practice)).items():
            if learner_id == idle:
                assert (parameters, analysed_at) == ({}, BEGAN)
                continue
            assert (parameters["calls"], parameters["focus"]["type"]) == (2, "ser_estar")
            assert language == ("fr" if learner_id == south.learner_id else "es")
            assert analysed_at == NIGHT


async def test_a_second_run_changes_nothing(database: Database) -> None:
    """The same night again finds nobody, and a later one writes the same parameters."""
    practice = await practising(database)
    await practised(practice, practice.learner_id)
    assert await nightly.analyse(database, SHELF, at=NIGHT) == 1
    before = await kept(practice)
    assert await nightly.analyse(database, SHELF, at=NIGHT) == 0
    assert await kept(practice) == before
    assert await nightly.analyse(database, SHELF, at=NIGHT + DAY) == 1
    after = await kept(practice)
    assert {key: row[0] for key, row in after.items()} == {key: row[0] for key, row in before.items()}


async def test_the_night_finds_what_the_last_call_found(database: Database) -> None:
    """The profile after a call and that of the night are worked out alike."""
    practice = await practising(database)
    for day in range(3):
        call_id = await practice.call(6, [NOTE], day=day / 2)
        await learn_from_call(database, SHELF, school_id=practice.school_id, call_id=call_id)
    ((after_call, _),) = (await kept(practice)).values()
    later = datetime.now(UTC) + DAY
    async with database.school(practice.school_id) as session:
        await session.execute(text("UPDATE observations SET at = :at"), {"at": later - DAY})
        await session.execute(text("UPDATE profiles SET parameters = '{}'"))
    assert await nightly.analyse(database, SHELF, at=later) == 1
    ((by_night, _),) = (await kept(practice)).values()
    assert by_night == after_call != {}


async def test_runs_at_the_same_time(database: Database) -> None:
    """Two workers that both believe the night is theirs leave the rows of one."""
    practice = await practising(database)
    for _ in range(5):
        await practised(practice, await practice.another())
    await asyncio.gather(*(nightly.analyse(database, SHELF, at=NIGHT, batch=2) for _ in range(3)))
    rows = await kept(practice)
    assert len(rows) == 5
    assert {(parameters["calls"], at) for parameters, at in rows.values()} == {(2, NIGHT)}


async def test_a_call_during_the_night_is_not_overwritten(database: Database) -> None:
    """A profile that is newer than the night stays, although its learner practised in the week before."""
    practice = await practising(database)
    await practised(practice, practice.learner_id)
    newer = profiles.NewProfile(practice.learner_id, "es", {"calls": 9})
    async with database.school(practice.school_id) as session:
        await profiles.put(session, practice.school_id, [newer], analysed_at=NIGHT + timedelta(minutes=1))
    await nightly.analyse(database, SHELF, at=NIGHT)
    assert list((await kept(practice)).values()) == [({"calls": 9}, NIGHT + timedelta(minutes=1))]


async def test_a_learner_who_goes_in_the_night(database: Database) -> None:
    """Somebody who is forgotten between the list and their batch is left out, and the others are not."""
    practice = await practising(database)
    learners = sorted([await practice.another() for _ in range(2)])
    for learner_id in learners:
        await practised(practice, learner_id)
    async with database.school(practice.school_id) as session:
        assert await observations.still_there(session, learners) == learners
        await session.execute(text("DELETE FROM learners WHERE id = :one"), {"one": learners[0]})
        assert await observations.still_there(session, learners) == learners[1:]
    assert await nightly.analyse(database, SHELF, at=NIGHT) == 1


PROGRAM = """
import asyncio, sys
from datetime import datetime
from db.engine import Database
from ringua.jobs import nightly
from tutor.script import catalogue

async def run():
    database = await Database.connect(sys.argv[1], statement_timeout_s=0)
    await nightly.analyse(database, catalogue.load(), at=datetime.fromisoformat(sys.argv[2]), batch=2)

asyncio.run(run())
"""


async def test_killed_in_the_middle(database: Database, database_url: str) -> None:
    """kill -9 in the third batch: the first two stay, the third left nothing, and the next run does the rest."""
    practice = await practising(database)
    learners = sorted([await practice.another() for _ in range(8)])
    for learner_id in learners:
        await practised(practice, learner_id)
    async with database.school(practice.school_id) as session:
        # The batch of the fifth and sixth waits here for as long as it lives.
        await session.execute(text("SELECT id FROM learners WHERE id = :id FOR UPDATE"), {"id": learners[5]})
        program = await asyncio.create_subprocess_exec(
            sys.executable, "-c", PROGRAM, database_url, NIGHT.isoformat(), env=dict(os.environ)
        )
        try:
            await _blocked(database)
        finally:
            program.kill()
        assert await program.wait() == -signal.SIGKILL
    done = {learner_id for (learner_id, _), (_, at) in (await kept(practice)).items() if at == NIGHT}
    assert done == set(learners[:4])
    assert await nightly.analyse(database, SHELF, at=NIGHT, batch=2) == 4
    assert {at for _, at in (await kept(practice)).values()} == {NIGHT}


async def _blocked(database: Database) -> None:
    """Returns once somebody waits for a lock in this test's database."""
    # Whoever waits for a row holds this kind of lock on it; what others wait for is not told to the application role.
    waiting = text(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'tuple'"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    async with asyncio.timeout(60):
        while True:
            async with database.anyone() as session:
                if await session.scalar(waiting):
                    return
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("now", "night"),
    [
        (datetime(2026, 11, 3, 3, 0, tzinfo=UTC), datetime(2026, 11, 3, 3, tzinfo=UTC)),
        (datetime(2026, 11, 3, 2, 59, tzinfo=UTC), datetime(2026, 11, 2, 3, tzinfo=UTC)),
        (datetime(2026, 11, 3, 23, 30, tzinfo=UTC), datetime(2026, 11, 3, 3, tzinfo=UTC)),
        (datetime.fromisoformat("2026-11-03T04:30:00+02:00"), datetime(2026, 11, 2, 3, tzinfo=UTC)),
    ],
)
def test_a_run_that_goes_on_later_is_of_the_same_night(now: datetime, night: datetime) -> None:
    """Whatever time a worker begins or begins again, the night is the last 03:00 UTC."""
    assert nightly.night_of(now) == night


async def test_the_worker_runs_it_at_night(
    database: Database, keyring: Keyring, database_url: str, tmp_path: Path
) -> None:
    """The job is known to every worker, comes at 03:00 UTC, and does the work."""
    practice = await practising(database)
    known = all_jobs(Storage(database, keyring, database_url, ()), load(data_dir=tmp_path))
    (job,) = (job for job in known if job.name == nightly.JOB)
    assert job.cron == "0 3 * * *"
    await practised(practice, practice.learner_id)
    async with database.school(practice.school_id) as session:
        await session.execute(text("UPDATE observations SET at = now()"))
        await jobs.defer(session, nightly.JOB, timestamp=0)
    await jobs.run_worker(database_url, known, queues=["nightly"], wait=False, signals=False)
    ((parameters, _),) = (await kept(practice)).values()
    assert parameters["calls"] == 2
