"""`ringua report`: the measures of success on cohorts whose figures were worked out by hand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import structlog
from typer.testing import CliRunner

from db import calls, learners, observations, profiles, schools
from db.engine import Database
from db.reports import Tally
from ringua import reporting
from ringua.cli import Trouble, app
from ringua.reporting import Report
from tests.db.conftest import Place, make_place
from tests.db.learning_rows import observation

SECRET = "only-for-tests-only-for-tests-only-for-tests"
SEPTEMBER = datetime(2026, 9, 7, 9, tzinfo=UTC)
OCTOBER = datetime(2026, 10, 5, 9, tzinfo=UTC)
DAY = timedelta(days=1)

_numbers = count(1)


class Cohorts:
    """Makes learners and their calls at a school."""

    def __init__(self, database: Database, place: Place) -> None:
        self._database, self._place = database, place

    async def learner(self, began: datetime, *played: dict[str, Any], answers: tuple[int, ...] = ()) -> UUID:
        """A learner with one call a day, and the answers they gave after the first ones of these."""
        place = self._place
        async with self._database.school(place.school_id) as session:
            learner = await learners.create_with_number(
                session,
                school_id=place.school_id,
                number_hash=b"hash",
                last_two="01",
                native="en",
                target="es",
                level="A1",
                another=True,
            )
            for day, details in enumerate(played):
                number = next(_numbers)
                call = await calls.open_call(
                    session,
                    school_id=place.school_id,
                    line_id=place.line_id,
                    carrier_sid=f"CA{number:032d}",
                    account_sid="AC1",
                    learner_id=learner.id,
                    max_calls=1000,
                )
                row = observation(place.school_id, call.id, learner.id, **{"at": began + day * DAY, **details})
                await observations.put(session, row)
                if day < len(answers):
                    await observations.confidence_answered(
                        session,
                        school_id=place.school_id,
                        learner_id=learner.id,
                        call_id=call.id,
                        answer=answers[day],
                        asked_because="later" if day else "first",
                    )
        return learner.id


def ten_calls(*rates: float) -> list[dict[str, Any]]:
    """Ten calls of ten turns: three with the first rate of asking again, four in between, three with the last."""
    earlier, later = rates
    asked = [earlier] * 3 + [0.9] * 4 + [later] * 3
    return [{"turns": 10, "clarifications": round(rate * 10)} for rate in asked]


@pytest.fixture
async def place(database: Database) -> Place:
    """A school with a line."""
    return await make_place(database, "North", "+34910000001")


@pytest.fixture
def cohorts(database: Database, place: Place) -> Cohorts:
    """Cohorts of that school."""
    return Cohorts(database, place)


@pytest.fixture
def console(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, database_url: str) -> Iterator[None]:
    """The command line on the test's own database; wide output."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("RINGUA_SECRET_KEY", SECRET)
    monkeypatch.setenv("RINGUA_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "220")
    for name in ("OPENAI_API_KEY", "TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "PUBLIC_BASE_URL", "PORT"):
        monkeypatch.delenv(name, raising=False)
    yield
    structlog.reset_defaults()


async def test_the_measures_of_a_cohort(database: Database, cohorts: Cohorts) -> None:
    """Turns, long calls, confidence, requests, picks above the level, completion by difficulty: as counted by hand."""
    # Five learners with ten calls of ten turns: requests per turn fall from 0.4 to 0.2, for one of them to 0.1.
    # Three feel surer after two weeks, one as before, one did not answer again.
    for answers, later in (((2, 3), 0.2), ((3, 4), 0.2), ((1, 5), 0.2), ((3, 3), 0.2), ((4,), 0.1)):
        await cohorts.learner(SEPTEMBER, *ten_calls(0.4, later), answers=answers)
    # One learner with two short calls: a hard scene chosen by themselves and left, and an easy one completed.
    hard = {"turns": 4, "difficulty": 1.0, "completed": False, "above_recommended": True}
    await cohorts.learner(SEPTEMBER + DAY, hard, {"turns": 6, "difficulty": -2.0}, answers=(2, 1))
    found = await reporting.report(database)
    (september,) = found.cohorts
    assert (september.name, september.learners) == ("2026-09", 6)
    assert september.turns.value == pytest.approx(510 / 52)
    assert september.long_calls.value == pytest.approx(50 / 52)
    assert (september.confidence.learners, september.clarifications.learners) == (5, 5)
    assert september.confidence.value == pytest.approx(3 / 5)
    assert september.clarifications.value == pytest.approx(0.9 / 2.0 - 1)
    assert september.above.value == pytest.approx(1 / 52)
    assert {band: figure.learners for band, figure in september.completed.items()} == {"A1": 5, "A2": None, "B2": None}
    assert september.completed["A1"].value == pytest.approx(1.0)
    assert september.completed["B2"].value is None
    assert found.everybody.turns == september.turns


async def test_who_has_had_fewer_than_ten_calls_is_not_compared(database: Database, cohorts: Cohorts) -> None:
    """Requests of calls 1-3 against 8-10 need all ten of them, in one language."""
    for _ in range(6):
        nine = ten_calls(0.4, 0.2)[:9]
        await cohorts.learner(SEPTEMBER, *nine, {"target": "fr"})
    found = await reporting.report(database)
    assert (found.everybody.clarifications.learners, found.everybody.clarifications.value) == (0, None)


async def test_small_groups_are_not_shown(database: Database, cohorts: Cohorts) -> None:
    """A month of fewer than five learners is not shown, and cannot be told from the difference to the whole either."""
    for _ in range(5):
        await cohorts.learner(SEPTEMBER, {"turns": 8})
    await cohorts.learner(OCTOBER, {"turns": 100})
    found = await reporting.report(database)
    assert ([cohort.name for cohort in found.cohorts], found.not_shown) == (["2026-09"], 1)
    assert (found.everybody.learners, found.everybody.turns.value) == (5, 8.0)
    for _ in range(4):
        await cohorts.learner(OCTOBER - 60 * DAY, {"turns": 20})
    found = await reporting.report(database)
    assert [cohort.name for cohort in found.cohorts] == ["2026-09"]
    assert (found.everybody.learners, found.everybody.turns.value) == (10, (40 + 100 + 80) / 10)


async def test_few_learners_alone_show_nothing(database: Database, cohorts: Cohorts) -> None:
    """Before five learners have called there is a report without a figure; before the first call there are none."""
    assert (await reporting.report(database)).everybody.learners == 0
    await cohorts.learner(SEPTEMBER, {"turns": 8})
    found = (await reporting.report(database)).everybody
    assert (found.learners, found.turns.value, found.completed["A1"].value) == (None, None, None)


async def test_schools_are_added_up_or_looked_at_alone(database: Database, place: Place) -> None:
    """Two schools of three make a cohort of six; each alone is too small. Guests are in no cohort."""
    other = await make_place(database, "South", "+34910000002")
    for each in (place, other):
        for _ in range(3):
            await Cohorts(database, each).learner(SEPTEMBER, {"turns": 8})
    async with database.school(place.school_id) as session:
        call = await calls.open_call(
            session,
            school_id=place.school_id,
            line_id=place.line_id,
            carrier_sid="CA0",
            account_sid="AC1",
            max_calls=1000,
        )
        await observations.put(session, observation(place.school_id, call.id, None, turns=99))
    async with database.anyone() as session:
        north = await schools.by_name(session, "North")
    assert (await reporting.report(database)).everybody.learners == 6
    assert (await reporting.report(database, north)).everybody.learners is None


async def test_months_are_those_of_the_school(database: Database, cohorts: Cohorts) -> None:
    """Who first called in the night to October in Madrid began in October, whatever the clock of the server said."""
    for _ in range(5):
        await cohorts.learner(datetime(2026, 9, 30, 22, 30, tzinfo=UTC), {})
    assert [cohort.name for cohort in (await reporting.report(database)).cohorts] == ["2026-10"]


def test_sums_do_not_depend_on_how_they_are_divided() -> None:
    """One school with all learners and many with a part of them give the same report."""
    whole = {"2026-09": {"turns": Tally(12, 96.0, 12.0)}}
    parts = [{"2026-09": {"turns": Tally(4, 32.0, 4.0)}}] * 3
    assert Report.of([whole]) == Report.of(parts)


async def _fill(cohorts: Cohorts) -> None:
    for _ in range(5):
        await cohorts.learner(SEPTEMBER, *ten_calls(0.4, 0.2), answers=(2, 3))


@pytest.mark.usefixtures("console")
async def test_the_report_is_printed(cohorts: Cohorts) -> None:
    """A table for people, with what there is to reach; figures nobody may know are left out."""
    await _fill(cohorts)
    shown = await _ringua("report", "--school", "North")
    for text in ("2026-09", "10.0", "100%", "-50%", "80%", "A1 100%", "fewer than 5 learners are not shown"):
        assert text in shown, text


@pytest.mark.usefixtures("console")
async def test_the_report_is_for_programs_too(cohorts: Cohorts) -> None:
    """One JSON object with the same figures, each with how many learners it stands for."""
    await _fill(cohorts)
    written = json.loads(await _ringua("report", "--json"))
    (september,) = written["cohorts"]
    assert september["began"] == "2026-09"
    assert september["clarifications_change"] == {"learners": 5, "value": -0.5}
    assert september["completed"] == {"A1": {"learners": 5, "value": 1.0}}
    assert written["all"]["more_confident_after_2_weeks"] == {"learners": 5, "value": 1.0}


@pytest.mark.usefixtures("console")
async def test_the_nightly_analysis_by_hand(cohorts: Cohorts, database: Database, place: Place) -> None:
    """`ringua analyse` works out, now, the profiles of those who practised in the last seven days."""
    now = datetime.now(UTC)
    learner_id = await cohorts.learner(now - 2 * DAY, {}, {})
    await cohorts.learner(now - 30 * DAY, {}, {})
    assert await _ringua("analyse") == "Worked out the profiles of 1 learner.\n"
    async with database.school(place.school_id) as session:
        kept = await profiles.get(session, learner_id, "es")
    assert kept is not None
    assert kept["calls"] == 2


@pytest.mark.usefixtures("console", "database")
def test_an_unknown_school_is_refused() -> None:
    """One sentence says what to do."""
    result = CliRunner().invoke(app, ["report", "--school", "West"])
    assert isinstance(result.exception, Trouble)
    assert "no school named West" in str(result.exception)


async def _ringua(*arguments: str) -> str:
    """What a command prints; it has an event loop of its own."""
    result = await asyncio.to_thread(CliRunner().invoke, app, list(arguments))
    assert result.exit_code == 0, result.exception
    return result.output
