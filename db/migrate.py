"""Brings a database to the schema of this version. Forward only; it knows no settings and no queries.

Any number of processes may start at once: one migrates, the others wait and find it done.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from db import urls
from db.roles import RoleRefused

MIN_SERVER_VERSION = 15
"""The oldest Postgres that knows ``ON DELETE SET NULL (column)``."""

_LOCK = 7_101_001
"""The advisory lock of migrations; any number that nothing else of ours uses."""


T = TypeVar("T")


class MigrationRefused(Exception):
    """The database cannot be migrated as it is. One sentence that says what to do."""


def head() -> str:
    """The newest revision this version of the code knows."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    assert revision is not None
    return revision


def current(url: str) -> str | None:
    """The revision the database has, or None when it was never migrated. Blocks; raises as ``upgrade`` does."""
    return _run(url, lambda connection: MigrationContext.configure(connection).get_current_revision())


def upgrade(url: str) -> None:
    """Migrates to ``head()`` in one transaction. Blocks: from async code use ``asyncio.to_thread``.

    Raises MigrationRefused when the database does not answer, is too old, is newer than this code, or does not let its
    user make the application role.
    """
    _run(url, _upgrade)


def _upgrade(connection: Connection) -> None:
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    version = int(connection.scalar(text("SELECT current_setting('server_version_num')"))) // 10_000
    if version < MIN_SERVER_VERSION:
        raise MigrationRefused(f"The database is PostgreSQL {version}; it must be {MIN_SERVER_VERSION} or newer")
    config = _config()
    revision = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if revision is not None and revision not in known:
        raise MigrationRefused(
            f"The database was migrated by a newer version of this program (to {revision}); install that one"
        )
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except RoleRefused as error:
        raise MigrationRefused(str(error)) from error


def _run(url: str, work: Callable[[Connection], T]) -> T:
    """Does the work in one transaction on a connection of its own."""
    engine = create_engine(urls.sqlalchemy(url), poolclass=NullPool, connect_args={"connect_timeout": 5})
    try:
        with engine.begin() as connection:
            return work(connection)
    except OperationalError as error:
        reason = str(error.orig).strip().partition("\n")[0]
        raise MigrationRefused(
            f"The database at {urls.display(url)} does not answer ({reason}): check DATABASE_URL"
        ) from error
    finally:
        engine.dispose()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    return config
