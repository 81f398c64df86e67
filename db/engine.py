"""The connection pool, and the only two doors to it: a transaction of one school, or of no school yet.

Every transaction takes the application role and its school in its first statement and loses both at its end, so that
nothing leaks between users of one connection, even behind a transaction pooler. The engine itself stays private.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from db import urls

APP_ROLE = "ringua_app"
"""The role that row-level security binds; made by the first migration."""

CONNECT_TIMEOUT_S = 5
POOL_TIMEOUT_S = 5.0
"""A webhook has 15 s in all (the carrier's hard limit), so waiting for a connection may take a third of it."""
SILENT_PEER_MS = 10_000
"""How long sent bytes may stay unacknowledged before the connection counts as dead."""

_ENTER = text(
    "SELECT set_config('role', :role, true), set_config('app.school', :school, true), "
    "set_config('statement_timeout', :timeout, true)"
)
_POWERS = text("SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user")


class DatabaseRefused(Exception):
    """The database cannot be used as it is. The text is one sentence that says what to do."""


class Database:
    """A pool of connections. Made by ``connect``; ``close`` gives the connections back."""

    def __init__(self, engine: AsyncEngine, *, role: str, statement_timeout_s: float) -> None:
        self._engine = engine
        self._sessions = async_sessionmaker(engine, expire_on_commit=False)
        self._enter = {"role": role, "timeout": str(round(statement_timeout_s * 1000))}

    @classmethod
    async def connect(
        cls,
        url: str,
        pool_size: int = 10,
        max_overflow: int = 4,
        *,
        role: str = APP_ROLE,
        statement_timeout_s: float = 10.0,
    ) -> Self:
        """Opens a pool and proves that its role is bound by row-level security.

        ``statement_timeout_s`` bounds each statement (0: no limit; for nightly work).
        Raises DatabaseRefused when the database cannot be reached, has not been migrated, does not let this user take
        ``role``, or when ``role`` is a superuser or may bypass row-level security.
        """
        engine = create_async_engine(
            urls.sqlalchemy(url),
            pool_size=pool_size,
            max_overflow=max_overflow,
            pool_timeout=POOL_TIMEOUT_S,
            pool_pre_ping=True,
            # What a statement was given may be somebody's words or number, and errors are logged.
            hide_parameters=True,
            # Admission counts rows after it has waited for a lock: that needs a fresh snapshot per statement.
            isolation_level="READ COMMITTED",
            connect_args={"connect_timeout": CONNECT_TIMEOUT_S, "tcp_user_timeout": SILENT_PEER_MS},
        )
        database = cls(engine, role=role, statement_timeout_s=statement_timeout_s)
        try:
            await database._refuse_powerful_role(url, role)
        except BaseException:
            await engine.dispose()
            raise
        return database

    @asynccontextmanager
    async def school(self, school_id: UUID) -> AsyncIterator[AsyncSession]:
        """One transaction that sees and writes only this school's rows; commits at the end, rolls back on an error."""
        async with self._transaction(str(school_id)) as session:
            yield session

    @asynccontextmanager
    async def anyone(self) -> AsyncIterator[AsyncSession]:
        """One transaction before a school is known: tables show no rows, only the look-up functions answer."""
        async with self._transaction("") as session:
            yield session

    async def close(self) -> None:
        """Closes every connection that no transaction holds."""
        await self._engine.dispose()

    @asynccontextmanager
    async def _transaction(self, school: str) -> AsyncIterator[AsyncSession]:
        async with self._sessions() as session, session.begin():
            await session.execute(_ENTER, {**self._enter, "school": school})
            yield session

    async def _refuse_powerful_role(self, url: str, role: str) -> None:
        where = urls.display(url)
        try:
            async with self.anyone() as session:
                powers = (await session.execute(_POWERS)).one()
        except OperationalError as error:
            raise DatabaseRefused(
                f"The database at {where} does not answer ({_first_line(error)}): check DATABASE_URL"
            ) from error
        except DBAPIError as error:
            raise DatabaseRefused(
                f"The database at {where} does not let its user act as the role {role} ({_first_line(error)}): "
                f'run `ringua db upgrade`, or as an administrator: GRANT {role} TO "<the user in DATABASE_URL>"'
            ) from error
        if powers.rolsuper or powers.rolbypassrls:
            raise DatabaseRefused(
                f"The role {role} must not be a superuser or bypass row-level security, because that would show every "
                f"school's data to all; run as an administrator: ALTER ROLE {role} NOSUPERUSER NOBYPASSRLS"
            )


def _first_line(error: DBAPIError) -> str:
    """What the server said, without the statement."""
    return str(error.orig).strip().partition("\n")[0]
