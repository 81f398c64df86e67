"""What tests of the database room share: two schools with a line each, calls, and a superuser's view of everything."""

from __future__ import annotations

import importlib
import pkgutil
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

import db
from db import calls, lines, schools
from db.engine import Database
from tests.db.clusters import scratch_directory

# The whole schema is tested, whichever of its modules a test happens to use.
for _module in pkgutil.iter_modules(db.__path__, "db."):
    if _module.name.startswith("db.models"):
        importlib.import_module(_module.name)

Rows = list[tuple[Any, ...]]
Query = Callable[..., Awaitable[Rows]]
OpenCall = Callable[..., Awaitable[UUID]]


@dataclass(frozen=True)
class Place:
    """A school and its line."""

    school_id: UUID
    line_id: UUID
    number: str


async def make_place(database: Database, name: str, number: str) -> Place:
    """A school with one line."""
    async with database.anyone() as session:
        school_id = await schools.create(session, name, "Europe/Madrid")
    async with database.school(school_id) as session:
        line = await lines.add(session, school_id=school_id, number=number, name="Practice")
    return Place(school_id, line.id, number)


@pytest.fixture
async def place(database: Database) -> Place:
    """A school with a line."""
    return await make_place(database, "North", "+34910000001")


@pytest.fixture
async def elsewhere(database: Database) -> Place:
    """Another school with a line."""
    return await make_place(database, "South", "+34910000002")


@pytest.fixture
async def superuser(database_url: str) -> AsyncIterator[Query]:
    """Runs SQL past row-level security: ``await superuser("SELECT …", parameters)`` gives the rows."""
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:

        async def query(statement: str, parameters: Any = None) -> Rows:
            cursor = await connection.execute(statement.encode(), parameters)
            return await cursor.fetchall() if cursor.description else []

        yield query


@pytest.fixture
def open_call(database: Database, place: Place) -> OpenCall:
    """Admits one more call at ``place`` and gives its id."""
    numbers = count(1)

    async def admit(**details: Any) -> UUID:
        values: dict[str, Any] = {
            "school_id": place.school_id,
            "line_id": place.line_id,
            "carrier_sid": f"CA{next(numbers):032d}",
            "account_sid": "AC1",
            "max_calls": 100,
            **details,
        }
        async with database.school(values["school_id"]) as session:
            return (await calls.open_call(session, **values)).id

    return admit


@pytest.fixture
def own_directory() -> Iterator[Path]:
    """A directory for a cluster of the test's own."""
    directory = scratch_directory("ringua-test-own-")
    yield directory
    shutil.rmtree(directory)
