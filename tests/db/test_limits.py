"""Limits: which hold for whom, and the days and months they are for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db import limits
from db.engine import Database
from db.limits import LimitRefused, Payer, window
from tests.db.conftest import Place
from tests.db.money import DOLLAR, NOON, budget, utc

# --- days and months


@pytest.mark.parametrize(
    ("zone", "at", "begins", "hours"),
    [
        ("Europe/Madrid", "2026-11-21 12:00", "2026-11-20 23:00", 24),
        ("Europe/Madrid", "2026-11-20 23:00", "2026-11-20 23:00", 24),
        ("Europe/Madrid", "2026-11-20 22:59", "2026-11-19 23:00", 24),
        ("Europe/Madrid", "2026-03-29 12:00", "2026-03-28 23:00", 23),
        ("Europe/Madrid", "2026-10-25 12:00", "2026-10-24 22:00", 25),
        ("America/Puerto_Rico", "2026-07-01 03:59", "2026-06-30 04:00", 24),
        ("America/New_York", "2026-11-01 12:00", "2026-11-01 04:00", 25),
        # Midnight itself does not exist: the day begins an hour later.
        ("Africa/Cairo", "2026-04-24 12:00", "2026-04-23 22:00", 23),
        # It exists twice: the day begins with the first one, and has both.
        ("America/Havana", "2026-11-01 12:00", "2026-11-01 04:00", 25),
        ("Pacific/Kiritimati", "2026-11-21 12:00", "2026-11-21 10:00", 24),
    ],
)
def test_a_day_is_the_school_s(zone: str, at: str, begins: str, hours: int) -> None:
    """It begins and ends with its own midnights, and has 23 or 25 hours where the clocks change."""
    day = window("day", zone, utc(at))
    assert day.starts_at == utc(begins)
    assert day.ends_at - day.starts_at == timedelta(hours=hours)


@given(
    st.sampled_from(["Europe/Madrid", "America/Havana", "Africa/Cairo", "Asia/Kolkata", "Pacific/Apia", "UTC"]),
    st.datetimes(utc("2026-01-01 00:00").replace(tzinfo=None), utc("2029-12-31 00:00").replace(tzinfo=None)),
    st.sampled_from(["day", "month"]),
)
def test_days_and_months_leave_no_gap(zone: str, naive: datetime, period: Any) -> None:
    """Every moment is in its own day, and where one ends the next begins."""
    at = naive.replace(tzinfo=UTC)
    span = window(period, zone, at)
    assert span.starts_at <= at < span.ends_at
    assert window(period, zone, span.ends_at).starts_at == span.ends_at
    assert window(period, zone, span.ends_at - timedelta(microseconds=1)) == span


# --- limits


async def test_there_is_one_limit_of_a_kind(database: Database, place: Place) -> None:
    """Set again, it is changed; removed, it is gone."""
    first = await budget(database, place, 5 * DOLLAR)
    assert await budget(database, place, 7 * DOLLAR) == first
    await budget(database, place, 600, unit="s")
    async with database.school(place.school_id) as session:
        assert [(one.unit, one.amount) for one in await limits.list_all(session)] == [
            ("micro_usd", 7 * DOLLAR),
            ("s", 600),
        ]
        assert await limits.remove(session, first)
        assert not await limits.remove(session, first)
        assert [one.unit for one in await limits.list_all(session)] == ["s"]


async def test_a_particular_limit_goes_before_the_one_for_each(database: Database, place: Place) -> None:
    """One line may spend more than the others, one learner talk less; everybody has half an hour by default."""
    await budget(database, place, 5 * DOLLAR, scope="line")
    await budget(database, place, 9 * DOLLAR, scope="line", line_id=place.line_id)
    async with database.school(place.school_id) as session:
        this = await limits.holding_for(session, Payer(place.school_id, place.line_id), NOON)
        other = await limits.holding_for(session, Payer(place.school_id, uuid4()), NOON)
    assert [(one.scope, one.unit, one.amount) for one in this] == [
        ("learner", "s", 1_800),
        ("line", "micro_usd", 9 * DOLLAR),
    ]
    assert [one.amount for one in other] == [1_800, 5 * DOLLAR]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"scope": "class"}, "school, line, learner, call"),
        ({"period": "week"}, "day, month, call"),
        ({"unit": "euro"}, "micro_usd or s"),
        ({"scope": "call"}, "period call"),
        ({"period": "call"}, "period call"),
        ({"line_id": uuid4()}, "scope line or call"),
        ({"learner_id": uuid4()}, "scope learner"),
        ({"amount": 0}, "above 0"),
        ({"amount": 10**13}, "at most 1,000,000 dollars"),
    ],
)
async def test_a_limit_that_makes_no_sense_is_refused(
    database: Database, place: Place, wrong: dict[str, Any], says: str
) -> None:
    """With one sentence that says what there is."""
    with pytest.raises(LimitRefused, match=says):
        await budget(database, place, **{"amount": 1, **wrong})
