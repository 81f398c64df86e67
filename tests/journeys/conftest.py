"""One practice line for all journeys of a module, on a database of its own; the calls run at the same time."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest
import pytest_asyncio
from psycopg import sql

from db.engine import Database
from db.keyring import Keyring
from ringua.scripts import script_for
from ringua.settings import load
from ringua.storage import Storage
from tests.db.clusters import address_of
from tests.journeys.line import PracticeLine, practising
from tests.tutor.scenes import cafe


@pytest.fixture(scope="module")
def module_database_url(cluster: str, administrator: psycopg.Connection, template: str) -> Iterator[str]:
    """The address of a migrated, empty database for one module."""
    name = f"{template}_module_{os.urandom(4).hex()}"
    clone = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
    administrator.execute(clone.format(sql.Identifier(name), sql.Identifier(template)))
    yield address_of(cluster, name)
    administrator.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def storage(module_database_url: str, keyring: Keyring) -> AsyncIterator[Storage]:
    """The module's data."""
    database = await Database.connect(module_database_url)
    yield Storage(database, keyring, module_database_url, ())
    await database.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def line(storage: Storage, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PracticeLine]:
    """A line in the café, with stand-ins on both sides that fail the module when the service breaks a protocol."""
    directory: Path = tmp_path_factory.mktemp("data")
    async with practising(load(data_dir=directory), storage, script=script_for(cafe())) as running:
        yield running
