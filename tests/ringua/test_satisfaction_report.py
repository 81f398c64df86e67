"""`ringua report` on the question how a call was: sums of a school, none of fewer than five people."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import structlog
from typer.testing import CliRunner

from db import calls, learners, satisfaction, schools
from db.engine import Database
from db.satisfaction import Totals
from ringua import reporting
from ringua.cli import app
from ringua.reporting import LEAST_GROUP, Report, Satisfaction
from tests.db.conftest import Place, make_place

SECRET = "only-for-tests-only-for-tests-only-for-tests"

_numbers = count(1)


@pytest.fixture
async def place(database: Database) -> Place:
    """A school with a line."""
    return await make_place(database, "North", "+34910000001")


@pytest.fixture
def console(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, database_url: str) -> Iterator[Callable[..., str]]:
    """What a command prints on the test's own database; wide output."""
    settings = {"DATABASE_URL": database_url, "RINGUA_SECRET_KEY": SECRET, "RINGUA_DATA_DIR": str(tmp_path)}
    for name, value in {**settings, "COLUMNS": "220"}.items():
        monkeypatch.setenv(name, value)
    for name in ("OPENAI_API_KEY", "TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "PUBLIC_BASE_URL", "PORT"):
        monkeypatch.delenv(name, raising=False)

    def prints(*arguments: str) -> str:
        result = CliRunner().invoke(app, list(arguments))
        assert result.exit_code == 0, result.exception
        return result.output

    yield prints
    structlog.reset_defaults()


async def answer(database: Database, place: Place, *answers: int | None) -> None:
    """A learner of a school for each answer; None: they hung up."""
    for given in answers:
        number = next(_numbers)
        async with database.school(place.school_id) as session:
            learner = await learners.create_with_number(
                session,
                school_id=place.school_id,
                number_hash=f"hash {number}".encode(),
                last_two="01",
                native="en",
                target="es",
                level="A1",
            )
            call = await calls.open_call(
                session,
                school_id=place.school_id,
                line_id=place.line_id,
                carrier_sid=f"CA{number:032d}",
                account_sid="AC1",
                learner_id=learner.id,
                max_calls=1000,
            )
            assert await satisfaction.ask(session, call.id)
            if given is not None:
                assert await satisfaction.answered(session, call.id, given)


async def shown(database: Database) -> tuple[Satisfaction, ...]:
    """What the report on all schools says."""
    return (await reporting.report(database)).satisfaction


async def test_each_school_has_its_own(database: Database, place: Place) -> None:
    """Asked, answered and the mean are a school's own, and are not added up; a school with too few is not there."""
    south = await make_place(database, "South", "+34910000002")
    east = await make_place(database, "East", "+34910000003")
    await answer(database, place, 5, 4, None, 4, 1, 2, None)
    await answer(database, south, 5, 5, 5, 5, 4)
    await answer(database, east, 1, 1, 1, 1)
    found = {opinion.school: opinion for opinion in await shown(database)}
    assert found == {"North": Satisfaction("North", 7, 5, 3.2), "South": Satisfaction("South", 5, 5, 4.8)}
    async with database.anyone() as session:
        one = await schools.by_name(session, "South")
    assert (await reporting.report(database, one)).satisfaction == (found["South"],)


async def test_the_fifth_answer_shows_them(database: Database, place: Place) -> None:
    """Four answers show nothing, however many were asked; the fifth shows all."""
    await answer(database, place, 5, 5, 5, 5, None, None)
    assert await shown(database) == ()
    await answer(database, place, 3)
    assert await shown(database) == (Satisfaction("North", 7, 5, 4.6),)


@pytest.mark.parametrize(("people", "visible"), [(LEAST_GROUP - 1, False), (LEAST_GROUP, True)])
def test_people_count_and_not_answers(people: int, visible: bool) -> None:
    """Many answers of few people are theirs still."""
    assert (Satisfaction.of("North", Totals(asked=40, answered=20, points=80, people=people)) is not None) == visible


async def test_the_command_shows_it(database: Database, place: Place, console: Callable[..., str]) -> None:
    """As a table of schools for people, and as JSON for programs."""
    await answer(database, place, 5, 4, None, 4, 1, 2)
    line = next(one for one in (await asyncio.to_thread(console, "report")).splitlines() if "North" in one)
    assert [cell.strip() for cell in line.strip("│").split("│")] == ["North", "6", "5", "3.2"]
    written: dict[str, Any] = json.loads(await asyncio.to_thread(console, "report", "--json"))
    assert written["satisfaction"] == [{"school": "North", "asked": 6, "answered": 5, "mean": 3.2}]


async def test_without_answers_there_is_no_table(place: Place, console: Callable[..., str]) -> None:
    """A report of a school that nobody has answered looks as ever."""
    assert place.school_id
    assert "Asked how it was" not in await asyncio.to_thread(console, "report")
    assert Report.of([]).write()["satisfaction"] == []
