"""The database of a scale run: made and filled once, stopped and started again with nothing in memory.

An embedded Postgres as the product starts it, with the product's own settings. Where it is kept it is used again.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Final

import psycopg

from benchmarks.scale.world import Sizes
from db import embedded, migrate
from db.embedded import Embedded

_MARK: Final = "ringua-scale.json"
"""Says what a kept database was filled with."""

ROW_BYTES: Final = 3_500
"""Of a call with everything that hangs on it, indexes included; measured with three million calls."""


class CannotMeasure(Exception):
    """Nothing can be said on this machine, or now; the text says why and what to do."""


class Cluster:
    """A filled database. ``url`` is its superuser's."""

    def __init__(self, home: Path, server: Embedded) -> None:
        self.home = home
        self.made_s = 0.0
        """How long it took to fill it, whenever that was."""
        self._server = server

    @property
    def url(self) -> str:
        """Where it is, for its superuser."""
        return self._server.url

    def begin_cold(self) -> bool:
        """Stops it and starts it again; whether nothing of its files is in memory, which only Linux can promise."""
        self._server.stop()
        dropped = hasattr(os, "posix_fadvise")
        if dropped:
            for path in (self.home / "pg" / "base").rglob("*"):
                if path.is_file():
                    _drop(path)
        self._server = embedded.start(self.home)
        return dropped

    def stop(self) -> None:
        """Stops it."""
        self._server.stop()

    def size_bytes(self) -> int:
        """What its tables and indexes take on disk."""
        with psycopg.connect(self.url) as connection:
            row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
        assert row is not None
        return int(row[0])

    def version(self) -> str:
        """Which Postgres it is."""
        with psycopg.connect(self.url) as connection:
            row = connection.execute("SHOW server_version").fetchone()
        assert row is not None
        return str(row[0])


@contextmanager
def filled(home: Path, sizes: Sizes, fill: Callable[[str], None], *, keep: bool) -> Iterator[Cluster]:
    """A database with a world in it, for as long as the block lasts.

    Args:
        home: a directory of its own; one that holds this very world is used as it is.
        sizes: of the world.
        fill: fills a migrated, empty database at this address.
        keep: whether it stays afterwards.

    Raises:
        CannotMeasure: the directory holds another world, or has no room for this one.
    """
    mark, wanted = home / _MARK, json.loads(json.dumps(asdict(sizes), default=str))
    made = json.loads(mark.read_text("utf-8")) if mark.exists() else None
    there = made is not None
    if made is not None and made["sizes"] != wanted:
        raise CannotMeasure(
            f"The database in {home} was filled with something else ({json.dumps(made['sizes'])}): "
            "name another directory, or remove this one."
        )
    home.mkdir(parents=True, exist_ok=True)
    needed = sizes.calls * ROW_BYTES * 2  # once more for sorting and for the log
    if not there and shutil.disk_usage(home).free < needed:
        raise CannotMeasure(
            f"{needed / 1e9:.0f} GB must be free in {home} for {sizes.calls:,} calls: "
            "make room, ask for fewer, or name a directory elsewhere with --data."
        )
    cluster = Cluster(home, embedded.start(home))
    try:
        if not there:
            began = time.monotonic()
            migrate.upgrade(cluster.url)
            with _loading(cluster.url):
                fill(cluster.url)
            made = {"sizes": wanted, "seconds": round(time.monotonic() - began, 1)}
            mark.write_text(json.dumps(made), "utf-8")
        assert made is not None
        cluster.made_s = made["seconds"]
        yield cluster
    finally:
        cluster.stop()
        if not keep:
            shutil.rmtree(home, ignore_errors=True)


@contextmanager
def _loading(url: str) -> Iterator[None]:
    """Does not wait for the disk while nothing could be lost, and goes back to the product's settings."""
    changes = {"fsync": "off", "full_page_writes": "off", "max_wal_size": "'4GB'", "autovacuum": "off"}
    with psycopg.connect(url, autocommit=True) as connection:
        for name, value in changes.items():
            connection.execute(f"ALTER SYSTEM SET {name} = {value}".encode())
        connection.execute("SELECT pg_reload_conf()")
        yield
        connection.execute("ALTER SYSTEM RESET ALL")
        connection.execute("SELECT pg_reload_conf()")


def _drop(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)  # what is not on the disk yet stays in memory
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(file)
