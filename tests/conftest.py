"""What every test may ask for: a migrated database of its own, a connection to it, a keyring.

One Postgres cluster serves a whole run, all xdist workers together; each worker migrates one template, and each test
gets a clone of it.
"""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest
from hypothesis import settings
from psycopg import sql

from db import embedded, migrate
from db.engine import Database
from db.keyring import Keyring
from tests.db.clusters import address_of, remove_abandoned, scratch_directory

CLUSTER = "RINGUA_TEST_CLUSTER"
"""The environment variable by which the workers of one run find the same cluster."""

PREFIX = "ringua-test-pg-"

_numbers = count()

# Before any module makes a console: what a table shows must not hang on how wide somebody's terminal is.
os.environ["COLUMNS"] = "250"

# The same examples every time, so that a red run speaks of the change it tests; `--long` looks for new ones.
settings.register_profile("steady", derandomize=True, deadline=None)
settings.register_profile("searching", max_examples=2_000, deadline=None)
settings.load_profile("steady")


def pytest_configure(config: pytest.Config) -> None:
    """Chooses the cluster's directory before the workers start."""
    if not hasattr(config, "workerinput"):
        remove_abandoned("ringua-test-")
        os.environ[CLUSTER] = str(scratch_directory(PREFIX))


def pytest_collection_finish() -> None:
    """What was collected stays to the end: the collector need not look through thousands of tests again and again."""
    gc.freeze()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Removes the cluster after the last worker; stops it first if a worker died over it."""
    if hasattr(config, "workerinput"):
        return
    directory = Path(os.environ.pop(CLUSTER))
    if (directory / "pg" / "postmaster.pid").exists():
        embedded.start(directory).stop()
    shutil.rmtree(directory)


@pytest.fixture(scope="session")
def cluster() -> Iterator[str]:
    """The address of the run's Postgres as its superuser. Nothing in it survives, so it never waits for the disk."""
    server = embedded.start(Path(os.environ[CLUSTER]))
    with psycopg.connect(server.url, autocommit=True) as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            connection.execute(sql.SQL("ALTER SYSTEM SET {} = off").format(sql.Identifier(setting)))
        connection.execute("ALTER SYSTEM SET autovacuum = off")
        connection.execute("SELECT pg_reload_conf()")
    yield server.url
    server.stop()


@pytest.fixture(scope="session")
def administrator(cluster: str) -> Iterator[psycopg.Connection]:
    """A superuser's connection outside the tests' databases: makes and drops them."""
    with psycopg.connect(cluster, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="session")
def template(cluster: str, administrator: psycopg.Connection) -> str:
    """The name of this worker's migrated, empty database."""
    name = f"template_{os.environ.get('PYTEST_XDIST_WORKER', 'only')}"
    with administrator.transaction():
        # Roles belong to the cluster: two workers that make the same one at once would fail.
        administrator.execute("SELECT pg_advisory_xact_lock(1)")
        with psycopg.connect(cluster, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        migrate.upgrade(address_of(cluster, name))
    return name


@pytest.fixture
def database_url(cluster: str, administrator: psycopg.Connection, template: str) -> Iterator[str]:
    """The address of a migrated, empty database that only this test uses (its user is a superuser)."""
    name = f"{template}_{next(_numbers)}"
    clone = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
    administrator.execute(clone.format(sql.Identifier(name), sql.Identifier(template)))
    yield address_of(cluster, name)
    administrator.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A connected Database on a migrated, empty database of this test."""
    connected = await Database.connect(database_url)
    yield connected
    await connected.close()


@pytest.fixture(scope="session")
def keyring() -> Keyring:
    """Keys from a secret that is no secret."""
    return Keyring("only-for-tests-only-for-tests-only-for-tests")
