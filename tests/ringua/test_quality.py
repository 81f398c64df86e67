"""`ringua report` on how the line did: percentiles, the cache and breakdowns by week, worked out by hand."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import update
from typer.testing import CliRunner

from db import calls, learners, observations, schools
from db.engine import Database
from db.models import Call
from db.quality import Week
from db.reports import Tally
from ringua import quality
from ringua.cli import app
from ringua.quality import P50_MS, P95_MS, Speed, Trend
from tests.db.conftest import Place, make_place
from tests.db.learning_rows import observation
from tests.db.test_quality import measures

WEDNESDAY = datetime(2026, 11, 18, 12, tzinfo=UTC)
WEEK = timedelta(weeks=1)
SECRET = "only-for-tests-only-for-tests-only-for-tests"


@pytest.fixture
async def place(database: Database) -> Place:
    """A school with a line."""
    return await make_place(database, "North", "+34910000001")


@pytest.fixture
def console(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, database_url: str) -> Iterator[None]:
    """The command line on the test's own database."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("RINGUA_SECRET_KEY", SECRET)
    monkeypatch.setenv("RINGUA_DATA_DIR", str(tmp_path))
    for name in ("OPENAI_API_KEY", "TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "PUBLIC_BASE_URL", "PORT"):
        monkeypatch.delenv(name, raising=False)
    yield
    structlog.reset_defaults()


async def practise(database: Database, place: Place, number: int, at: datetime, **details: Any) -> None:
    """One call of one more learner; it read 1,000 tokens, 600 of them from the cache."""
    async with database.school(place.school_id) as session:
        learner = await learners.create_with_number(
            session,
            school_id=place.school_id,
            number_hash=f"hash {place.number} {number}".encode(),
            last_two="01",
            native="en",
            target="es",
            level="A1",
        )
        call = await calls.open_call(
            session,
            school_id=place.school_id,
            line_id=place.line_id,
            carrier_sid=f"CA{place.number}{number}",
            account_sid="AC1",
            learner_id=learner.id,
            max_calls=1000,
        )
        used = {"text_in": 800, "audio_in": 200, "text_cached": 550, "audio_cached": 50}
        await session.execute(update(Call).where(Call.id == call.id).values(started_at=at, usage=used))
        await observations.put(session, observation(place.school_id, call.id, learner.id, at=at, **details))


def answered(*answers_ms: int) -> Week:
    """A week of turns that were answered so soon."""
    return Week(answers=Counter(answers_ms))


@pytest.mark.parametrize(
    ("answers_ms", "p50_ms", "p95_ms"),
    [
        ([], None, None),
        ([430], 430, 430),
        ([100, 200, 300, 400], 200, 400),  # the second of four, and the fourth
        ([400] * 19 + [9_000], 400, 400),  # one of twenty is above the 95th percentile
        ([400] * 18 + [9_000] * 2, 400, 9_000),
    ],
)
def test_percentiles_are_times_of_turns_there_were(
    answers_ms: list[int], p50_ms: int | None, p95_ms: int | None
) -> None:
    """The nearest rank, over all turns; nothing is made up between two of them."""
    assert Speed.of(Counter(answers_ms)) == Speed(len(answers_ms), p50_ms, p95_ms)


@pytest.mark.parametrize(
    ("answers_ms", "in_time"),
    [
        ([], None),
        ([P50_MS] * 10 + [P95_MS] * 10, True),
        ([P50_MS] * 9 + [P50_MS + 1] * 11, False),
        ([P50_MS] * 18 + [P95_MS + 1] * 2, False),
    ],
)
def test_answers_are_held_against_both_goals(answers_ms: list[int], in_time: bool | None) -> None:
    """Half of them within 500 ms and 95 of a hundred within 800, the silence of the level left out."""
    assert Trend.of([{"2026-11-16": answered(*answers_ms)}]).total.in_time is in_time


def test_few_learners_have_no_breakdowns_in_the_report() -> None:
    """A week of four is not told; nor can it be worked out from all weeks together."""
    few, many = Week(breakdowns=Tally(4, 8.0, 10.0)), Week(breakdowns=Tally(5, 2.0, 20.0))
    trend = Trend.of([{"2026-11-09": few, "2026-11-16": many}])
    assert [week.breakdowns for week in trend.weeks] == [None, 0.1]
    assert trend.total.breakdowns == 0.1
    both = Trend.of([{"2026-11-09": few}, {"2026-11-09": few}])
    assert both.total.breakdowns == pytest.approx(0.8)


async def test_the_trend_of_a_school_and_of_all(database: Database, place: Place) -> None:
    """This week and those before it, no older ones; schools are put together, and one can be looked at alone."""
    south = await make_place(database, "South", "+34910000002")
    for number in range(5):
        kept = measures((400, 1_200), (450, 1_300), breakdown_rate=0.5)
        await practise(database, place, number, WEDNESDAY - WEEK, turns=2, measures=kept)
        kept = measures((900, 1_900), breakdown_rate=0.2)
        await practise(database, south, number, WEDNESDAY - timedelta(hours=1), turns=10, measures=kept)
    await practise(database, place, 9, WEDNESDAY - 2 * WEEK, measures=measures((5_000, 6_000)))
    trend = await quality.trend(database, weeks=2, now=WEDNESDAY)
    assert [week.name for week in trend.weeks] == ["2026-11-09", "2026-11-16"]
    earlier, this = trend.weeks
    assert (earlier.answers, this.answers) == (Speed(10, 400, 450), Speed(5, 900, 900))
    assert (earlier.gaps, this.gaps) == (Speed(10, 1_200, 1_300), Speed(5, 1_900, 1_900))
    assert [week.breakdowns for week in trend.weeks] == [pytest.approx(0.5), pytest.approx(0.2)]
    assert (trend.total.answers, trend.total.in_time) == (Speed(15, 450, 900), False)
    assert (trend.total.calls, trend.total.cached, trend.total.cached_of_a_call) == (10, 0.6, 0.6)
    async with database.anyone() as session:
        north = await schools.by_name(session, "North")
    alone = await quality.trend(database, north, weeks=2, now=WEDNESDAY)
    assert (alone.total.answers, alone.total.in_time) == (Speed(10, 400, 450), True)


@pytest.mark.usefixtures("console")
async def test_the_report_shows_how_the_line_did(database: Database, place: Place) -> None:
    """A table by week with what there is to reach, and the same figures for programs."""
    now = datetime.now(UTC)
    assert "No calls in these weeks." in await _ringua("report")
    for number in range(5):
        kept = measures((400, 1_200), (700, 1_500), breakdown_rate=0.25)
        await practise(database, place, number, now, turns=4, measures=kept)
    shown = await _ringua("report", "--school", "North", "--weeks", "1")
    told = ("400 ms", "700 ms", "1200 ms", "1500 ms", "500 ms", "800 ms", "60%", "0.25", "95% within 800 ms: reached")
    assert [figure for figure in told if figure not in shown] == []
    line = json.loads(await _ringua("report", "--json"))["line"]
    assert line["aim"] == {"answer_p50_ms": 500, "answer_p95_ms": 800}
    (week,) = line["weeks"]
    assert week["answer"] == {"turns": 10, "p50_ms": 400, "p95_ms": 700}
    assert week["felt_gap"] == {"turns": 10, "p50_ms": 1200, "p95_ms": 1500}
    assert (week["in_time"], week["calls"], week["cached_input"], week["breakdowns_per_turn"]) == (True, 5, 0.6, 0.25)


async def _ringua(*arguments: str) -> str:
    """What a command prints; it has an event loop of its own."""
    result = await asyncio.to_thread(CliRunner().invoke, app, list(arguments))
    assert result.exit_code == 0, result.exception
    return result.output
