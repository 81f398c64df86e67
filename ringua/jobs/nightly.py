"""The nightly analysis: the profile of everybody who practised in the last seven days, worked out anew.

Small batches, each a transaction of one school. What is done shows in the profiles themselves: a run that was killed
anywhere goes on with those that are not from this night yet, and a second run of a night finds nothing to do.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Final
from uuid import UUID

import structlog

from db import observations, profiles, scenarios
from db.engine import Database
from db.profiles import NewProfile
from ringua.jobs.profiling import profile_of
from tutor.script.catalogue import Catalogue

JOB: Final = "nightly.analyse"
HOUR_UTC: Final = 3
CRON: Final = f"0 {HOUR_UTC} * * *"

ACTIVE: Final = timedelta(days=7)
"""Who has not practised for longer has the profile of their last call (tutoring.md §1A row 96)."""
BATCH: Final = 500

log = structlog.get_logger(__name__)


def night_of(now: datetime) -> datetime:
    """The last 03:00 UTC: all runs until the next one are of the same night."""
    begun = now.astimezone(UTC).replace(hour=HOUR_UTC, minute=0, second=0, microsecond=0)
    return begun if begun <= now else begun - timedelta(days=1)


async def analyse(database: Database, catalogue: Catalogue, *, at: datetime, batch: int = BATCH) -> int:
    """Works out every profile of an active learner that is older than ``at``; returns of how many learners.

    Args:
        catalogue: without any school's own scenes.
        at: the night; profiles are dated so, which makes a second run write the same rows.
        batch: learners that are looked at together, at least 1.
    """
    done, after = 0, observations.START
    while True:
        async with database.anyone() as session:
            found = await observations.to_analyse(session, since=at - ACTIVE, before=at, after=after, limit=batch)
        if not found:
            log.info("nightly.analysed", learners=done)
            return done
        for school_id, learners in groupby(found, key=lambda learner: learner.school_id):
            done += await _of_school(database, catalogue, school_id, [one.learner_id for one in learners], at)
        after = found[-1]


async def _of_school(
    database: Database, catalogue: Catalogue, school_id: UUID, learner_ids: list[UUID], at: datetime
) -> int:
    async with database.school(school_id) as session:
        # Whoever is being forgotten at this moment is not written any more, and nobody waits for a call.
        there = await observations.still_there(session, learner_ids)
        whole = await scenarios.catalogue(session, catalogue)
        calls = await observations.lately(session, there)
        fresh = [
            NewProfile(learner_id, language, profile_of(rows, language, whole).write())
            for (learner_id, language), rows in calls.items()
        ]
        await profiles.put(session, school_id, fresh, analysed_at=at)
    return len(there)
