"""Where the data lives: the database named by DATABASE_URL, else one of our own in the data directory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from db import embedded, migrate
from db.embedded import EmbeddedError
from db.engine import Database, DatabaseRefused
from db.keyring import Keyring
from db.migrate import MigrationRefused
from ringua.settings import Settings, SettingsError


class StorageError(Exception):
    """The data cannot be reached; the text is one sentence that says what to do."""


@dataclass(frozen=True, slots=True)
class Storage:
    """An open database and the key that protects callers' numbers. ``notes`` are for the person who started it."""

    database: Database
    keyring: Keyring
    url: str
    notes: tuple[str, ...]


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Storage]:
    """Opens the data for as long as the block lasts; our own database is brought to this version first.

    A database named by DATABASE_URL is never migrated by the way: `ringua db upgrade` does that, once a release.
    Raises `StorageError`.
    """
    own = None
    try:
        if settings.database_url:
            url = settings.database_url
            await asyncio.to_thread(_refuse_old_schema, url)
        else:
            own = await asyncio.to_thread(embedded.start, settings.data_dir)
            url = own.url
            await asyncio.to_thread(migrate.upgrade, url)
        database = await Database.connect(url)
        keyring = Keyring(settings.secret())
    except (EmbeddedError, MigrationRefused, DatabaseRefused, SettingsError) as error:
        if own is not None:
            await asyncio.to_thread(own.stop)
        raise StorageError(_sentence(error)) from error
    try:
        yield Storage(database, keyring, url, own.notes if own is not None else ())
    finally:
        await database.close()
        if own is not None:
            await asyncio.to_thread(own.stop)


def upgrade(settings: Settings) -> str:
    """Brings the database to this version's schema; returns the revision. Raises `StorageError`."""
    try:
        if settings.database_url:
            migrate.upgrade(settings.database_url)
        else:
            own = embedded.start(settings.data_dir)
            try:
                migrate.upgrade(own.url)
            finally:
                own.stop()
    except (EmbeddedError, MigrationRefused) as error:
        raise StorageError(_sentence(error)) from error
    return migrate.head()


def _refuse_old_schema(url: str) -> None:
    have, want = migrate.current(url), migrate.head()
    if have != want:
        state = "has never been set up" if have is None else f"is at revision {have}, this version needs {want}"
        raise StorageError(f"The database {state}: run `ringua db upgrade` once, then start again.")


def _sentence(error: Exception) -> str:
    text = str(error)
    return text if text.endswith(".") else f"{text}."
