"""How well the line did by week: every turn and every call once, in the weeks of its school, for that school alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text, update

from db import learners, observations, quality
from db.engine import Database
from db.models import Call
from db.quality import Week, Weeks
from db.reports import Tally
from tests.db.conftest import OpenCall, Place
from tests.db.learning_rows import observation
from tutor.learning.metrics import Measures
from tutor.learning.metrics_turns import TurnMeasure

MONDAY = datetime(2026, 11, 16, tzinfo=UTC)
DAY = timedelta(days=1)
SINCE, UNTIL = MONDAY - 7 * DAY, MONDAY + 14 * DAY

Practised = Callable[..., Awaitable[UUID]]


def turn(number: int, answer_ms: int | None, gap_ms: int | None) -> TurnMeasure:
    """A turn that was answered so soon."""
    return TurnMeasure(number, number * 9_000, 800, 1_500, 4, 7, False, False, True, answer_ms, gap_ms)


def measures(*answers: tuple[int | None, int | None], breakdown_rate: float | None = None) -> dict[str, Any]:
    """What is kept of a call whose turns were answered so soon: (from the turn's end, from the voice's)."""
    turns = tuple(turn(number, *answer) for number, answer in enumerate(answers, start=1))
    return Measures(turns=turns, learner_turns=len(turns), breakdown_rate=breakdown_rate).write()


@pytest.fixture
def practised(database: Database, place: Place, open_call: OpenCall) -> Practised:
    """Keeps one more call of ``place``, and what it used of the model."""

    async def keep(at: datetime, usage: dict[str, int] | None = None, *, guest: bool = False, **details: Any) -> UUID:
        call_id = await open_call()
        async with database.school(place.school_id) as session:
            learner_id = None
            if not guest:
                learner = await learners.create_with_number(
                    session,
                    school_id=place.school_id,
                    number_hash=uuid4().bytes,
                    last_two="01",
                    native="en",
                    target="es",
                    level="A1",
                )
                learner_id = learner.id
            await session.execute(update(Call).where(Call.id == call_id).values(started_at=at, usage=usage or {}))
            await observations.put(session, observation(place.school_id, call_id, learner_id, **{"at": at, **details}))
        return call_id

    return keep


async def asked(database: Database, place: Place, timezone: str = "UTC") -> Weeks:
    """What there is of three weeks."""
    async with database.school(place.school_id) as session:
        return await quality.weeks(session, timezone=timezone, since=SINCE, until=UNTIL)


async def test_every_turn_counts_with_its_own_delay(database: Database, place: Place, practised: Practised) -> None:
    """Not a median a call: turns of all calls of the week, guests' too; one that was not answered has no delay."""
    await practised(MONDAY, measures=measures((400, 1_100), (400, 1_150), (None, None)))
    await practised(MONDAY + 6 * DAY, measures=measures((900, None)), guest=True)
    await practised(MONDAY + 7 * DAY, measures=measures((300, 1_000)))
    found = await asked(database, place)
    assert list(found) == ["2026-11-16", "2026-11-23"]
    assert found["2026-11-16"].answers == Counter({400: 2, 900: 1})
    assert found["2026-11-16"].gaps == Counter({1_100: 1, 1_150: 1})
    assert found["2026-11-23"].answers == Counter({300: 1})


async def test_what_is_outside_of_the_period_is_not_counted(
    database: Database, place: Place, practised: Practised
) -> None:
    """Its beginning is in it, its end is not; a call that nothing was measured of adds nothing."""
    used = {"text_in": 100, "audio_in": 0, "text_cached": 50, "audio_cached": 0}
    for at in (SINCE - timedelta(seconds=1), UNTIL):
        await practised(at, used, measures=measures((400, 1_100), breakdown_rate=0.5))
    await practised(MONDAY)
    assert await asked(database, place) == {}
    await practised(SINCE, used, measures=measures((400, 1_100), breakdown_rate=0.5))
    assert list(await asked(database, place)) == ["2026-11-09"]


async def test_breakdowns_are_those_of_learners_on_lines_that_could_be_heard(
    database: Database, place: Place, practised: Practised
) -> None:
    """Rates weigh by their turns; guests come and go, and what a noisy line did nobody learns to mend."""
    await practised(MONDAY, turns=10, measures=measures(breakdown_rate=0.2))
    await practised(MONDAY, turns=5, measures=measures(breakdown_rate=0.6))
    await practised(MONDAY, turns=9, measures=measures(breakdown_rate=None))
    await practised(MONDAY, turns=9, measures=measures(breakdown_rate=1.0), noisy=True)
    await practised(MONDAY, turns=9, measures=measures(breakdown_rate=1.0), guest=True)
    breakdowns = (await asked(database, place))["2026-11-16"].breakdowns
    assert (breakdowns.learners, breakdowns.whole) == (2, 15.0)
    assert breakdowns.part == pytest.approx(5.0)  # 2 in ten turns, 3 in five


async def test_the_cache_is_counted_by_tokens_and_by_calls(
    database: Database, place: Place, practised: Practised
) -> None:
    """Text and sound together; a call that asked no model says nothing of a cache."""
    await practised(MONDAY, {"text_in": 900, "audio_in": 100, "text_cached": 700, "audio_cached": 50})
    await practised(MONDAY, {"text_in": 50, "audio_in": 50, "text_cached": 0, "audio_cached": 0})
    await practised(MONDAY, {"text_in": 0, "audio_in": 0})
    week = (await asked(database, place))["2026-11-16"]
    assert (week.cached_tokens, week.input_tokens) == (750, 1_100)
    assert week.cached == Counter({75: 1, 0: 1})


async def test_weeks_begin_where_the_school_is(database: Database, place: Place, practised: Practised) -> None:
    """Sunday evening in Universal Time is Monday in Tokyo."""
    await practised(MONDAY - timedelta(hours=3), measures=measures((400, 1_100)))
    assert list(await asked(database, place)) == ["2026-11-09"]
    assert list(await asked(database, place, "Asia/Tokyo")) == ["2026-11-16"]


async def test_another_school_sees_nothing_of_it(
    database: Database, place: Place, elsewhere: Place, practised: Practised
) -> None:
    """Not its turns, nor its breakdowns, nor its tokens; and nobody does without a school."""
    used = {"text_in": 100, "audio_in": 0, "text_cached": 50, "audio_cached": 0}
    await practised(MONDAY, used, measures=measures((400, 1_100), breakdown_rate=0.5))
    assert await asked(database, place) != {}
    assert await asked(database, elsewhere) == {}
    async with database.anyone() as session:
        assert await quality.weeks(session, timezone="UTC", since=SINCE, until=UNTIL) == {}


async def test_only_the_period_is_read(database: Database, place: Place, practised: Practised) -> None:
    """With three million calls each question finds its weeks by the school's index on when calls began."""
    await practised(MONDAY)
    given = {"zone": "UTC", "since": SINCE, "until": UNTIL}
    indexes = {quality._SPEEDS: "observations_school", quality._BREAKDOWNS: "observations_school"}
    for statement, index in {**indexes, quality._CACHED: "calls_started"}.items():
        async with database.school(place.school_id) as session:
            await session.execute(text("SET LOCAL enable_seqscan = off"))
            plan = "\n".join(await session.scalars(text(f"EXPLAIN {statement.text}"), given))
        condition = next(line for line in plan.splitlines() if "Index Cond" in line)
        assert index in plan, plan
        assert "school_id" in condition, plan
        assert " >= " in condition, plan


def test_weeks_add_up() -> None:
    """Two schools with a half of the turns each are one with all of them."""
    half = Week(Counter({400: 2}), Counter({900: 1}), Counter({50: 1}), 50, 100, Tally(3, 1.0, 10.0))
    both = Week(Counter({400: 4}), Counter({900: 2}), Counter({50: 2}), 100, 200, Tally(6, 2.0, 20.0))
    assert half + half == both
