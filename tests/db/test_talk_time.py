"""Minutes: how long somebody may still talk, in the school's own days, whatever the clocks do."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from db import limits, talk_time
from db.engine import Database
from db.limits import Payer
from db.models import Learner
from db.models_money import BudgetAlert
from tests.db.conftest import OpenCall, Place, Query
from tests.db.money import utc


async def learner_of(database: Database, place: Place) -> UUID:
    """Somebody who practises."""
    async with database.school(place.school_id) as session:
        learner = Learner(school_id=place.school_id, native="en", target="es", level="A1")
        session.add(learner)
        await session.flush()
        return learner.id


async def talked(superuser: Query, call_id: UUID, began: datetime, minutes: float, reason: str = "key") -> None:
    """The call was held then, for so long."""
    await superuser(
        "UPDATE calls SET state = 'closed', end_reason = %s, started_at = %s, connected_at = %s, ended_at = %s"
        " WHERE id = %s",
        [reason, began, began, began + timedelta(minutes=minutes), call_id],
    )


async def left_at(database: Database, payer: Payer, at: datetime) -> float | None:
    """Minutes that somebody may still talk; None: no limit comes before their day is over."""
    async with database.school(payer.school_id) as session:
        found = await talk_time.left(session, payer, await limits.holding_for(session, payer, at), at)
    return None if found is None else round(found.s / 60, 3)


async def test_everybody_has_half_an_hour_a_day(
    database: Database, place: Place, open_call: OpenCall, superuser: Query
) -> None:
    """Two calls of ten minutes leave ten; another learner's, and a minute that was our fault, are not counted."""
    hers, his = await learner_of(database, place), await learner_of(database, place)
    for learner, minutes, reason in (
        (hers, 10, "key"),
        (hers, 10, "caller_hung_up"),
        (hers, 8, "model_lost"),
        (his, 25, "key"),
    ):
        call_id = await open_call(learner_id=learner)
        await talked(superuser, call_id, utc("2026-11-21 09:00"), minutes, reason)
    noon = utc("2026-11-21 12:00")
    assert await left_at(database, Payer(place.school_id, place.line_id, hers), noon) == 10
    assert await left_at(database, Payer(place.school_id, place.line_id, his), noon) == 5


@pytest.mark.parametrize(
    ("zone", "began", "at", "left"),
    [
        # Madrid: 23:50 to 0:10 local; ten minutes belong to each day.
        ("Europe/Madrid", "2026-11-20 22:50", "2026-11-21 09:00", 20),
        # The same moments where midnight is elsewhere.
        ("America/Puerto_Rico", "2026-11-20 22:50", "2026-11-21 02:00", 10),
        # The clocks went back at 3:00: 0:30 and 23:00 of the same 25 hours.
        ("Europe/Madrid", "2026-10-24 22:30", "2026-10-25 22:00", 10),
        # And forward: yesterday ended 23 hours ago, at 23:00 UTC.
        ("Europe/Madrid", "2026-03-28 22:50", "2026-03-29 12:00", 20),
        # Midnight did not exist in Cairo: the day began at 22:00 UTC, an hour later on its clocks.
        ("Africa/Cairo", "2026-04-23 21:50", "2026-04-24 09:00", 20),
    ],
)
async def test_minutes_belong_to_the_school_s_day(
    database: Database, place: Place, open_call: OpenCall, superuser: Query, zone: str, began: str, at: str, left: float
) -> None:
    """A call of twenty minutes across midnight, or a change of the clocks, counts where it was talked."""
    await superuser("UPDATE schools SET timezone = %s", [zone])
    learner = await learner_of(database, place)
    await talked(superuser, await open_call(learner_id=learner), utc(began), 20)
    assert await left_at(database, Payer(place.school_id, place.line_id, learner), utc(at)) == left


async def test_what_is_left_when_a_day_ends_is_no_limit(
    database: Database, place: Place, open_call: OpenCall, superuser: Query
) -> None:
    """At 23:50 with twenty minutes left nothing ends the call: at midnight there are thirty more."""
    learner = await learner_of(database, place)
    await talked(superuser, await open_call(learner_id=learner), utc("2026-11-21 08:00"), 10)
    payer = Payer(place.school_id, place.line_id, learner)
    assert await left_at(database, payer, utc("2026-11-21 22:39")) == 20
    assert await left_at(database, payer, utc("2026-11-21 22:41")) is None


async def test_a_call_that_goes_on_counts_until_now(
    database: Database, place: Place, open_call: OpenCall, superuser: Query
) -> None:
    """A live call counts up to the moment; one whose process died up to a minute after its last sign of life."""
    learner = await learner_of(database, place)
    call_id = await open_call(learner_id=learner)
    began = utc("2026-11-21 09:00")
    await superuser(
        "UPDATE calls SET state = 'live', started_at = %s, connected_at = %s, heartbeat_at = %s WHERE id = %s",
        [began, began, began + timedelta(minutes=6), call_id],
    )
    payer = Payer(place.school_id, place.line_id, learner)
    assert await left_at(database, payer, began + timedelta(minutes=6.5)) == 23.5
    assert await left_at(database, payer, began + timedelta(minutes=20)) == 23


async def test_a_guest_s_minutes_are_the_telephone_s(
    database: Database, place: Place, open_call: OpenCall, superuser: Query
) -> None:
    """Who is not known is counted by the number's hash; a withheld number cannot be counted at all."""
    await talked(superuser, await open_call(caller_hash=b"hash"), utc("2026-11-21 09:00"), 25)
    noon = utc("2026-11-21 12:00")
    assert await left_at(database, Payer(place.school_id, place.line_id, caller_hash=b"hash"), noon) == 5
    assert await left_at(database, Payer(place.school_id, place.line_id, caller_hash=b"other"), noon) == 30
    assert await left_at(database, Payer(place.school_id, place.line_id), noon) is None


async def test_a_school_may_set_other_minutes(
    database: Database, place: Place, open_call: OpenCall, superuser: Query
) -> None:
    """For each learner, for one of them, for a line: the least that is left counts, and a full line is told of."""
    learner = await learner_of(database, place)
    noon = utc("2026-11-21 12:00")
    payer = Payer(place.school_id, place.line_id, learner)

    async def put(minutes: int, **values: Any) -> None:
        given_: dict[str, Any] = {"scope": "learner", "period": "day", **values}
        async with database.school(place.school_id) as session:
            await limits.put(session, school_id=place.school_id, unit="s", amount=minutes * 60, **given_)

    await put(45)
    assert await left_at(database, payer, noon) == 45
    await put(50, learner_id=learner)
    assert await left_at(database, payer, noon) == 50
    await put(40, scope="line")
    assert await left_at(database, payer, noon) == 40
    await talked(superuser, await open_call(), utc("2026-11-21 09:00"), 36)
    assert await left_at(database, payer, noon) == 4
    async with database.school(place.school_id) as session:
        assert sorted(await session.scalars(select(BudgetAlert.percent))) == [70, 90]
