"""Fills a migrated, empty database with a world: COPY without indexes and constraints, which come back afterwards.

They come back as they were, so whatever points nowhere or is there twice makes that fail. It knows no query of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import psycopg
from psycopg import sql

from benchmarks.scale.call_rows import CallRows
from benchmarks.scale.learner_rows import LearnerRows
from benchmarks.scale.material import Material
from benchmarks.scale.rows import Table
from benchmarks.scale.school_rows import SchoolRows
from benchmarks.scale.world import World
from tutor.script import catalogue

Told = Callable[[str, int, int], None]
"""Hears what is being made, how much of it was done just now, and how much there is in all."""

_CONSTRAINTS: Final = """
    SELECT n.conrelid::regclass::text, n.conname, pg_get_constraintdef(n.oid), n.contype FROM pg_constraint n
    WHERE n.connamespace = 'public'::regnamespace AND (
        (n.contype IN ('p', 'u', 'f') AND n.conrelid = ANY (%(tables)s::regclass[]))
        OR (n.contype = 'f' AND n.confrelid = ANY (%(tables)s::regclass[]))
    ) ORDER BY n.contype = 'f' DESC, n.conrelid, n.conname
"""
_INDEXES: Final = """
    SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid) FROM pg_index i
    WHERE i.indrelid = ANY (%(tables)s::regclass[])
      AND NOT EXISTS (SELECT FROM pg_constraint n WHERE n.conindid = i.indexrelid AND n.contype IN ('p', 'u'))
    ORDER BY 1
"""
_LOADING: Final = (
    "SET session_replication_role = replica",  # jobs of long ago leave no events
    "SET synchronous_commit = off",
    "SET maintenance_work_mem = '512MB'",
)
"""For the connection that fills; all others have what the product has."""


def tables_of(world: World) -> list[Table]:
    """Every table that is filled, with its rows."""
    material = Material(catalogue.load(), world.sizes.until)
    schools = SchoolRows(world)
    return [
        *schools.tables(),
        *CallRows(world, material, schools).tables(),
        *LearnerRows(world, material).tables(),
    ]


def fill(url: str, tables: Sequence[Table], told: Told = lambda what, done, of: None) -> None:
    """Writes the rows, builds the indexes and looks at everything once (VACUUM, ANALYZE), as days of use would have.

    Args:
        url: of a superuser's database with this version's schema and no row.
        told: hears how it goes.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        for setting in _LOADING:
            connection.execute(setting.encode())
        with _bare(connection, [table.name for table in tables], told):
            for table in tables:
                _copy(connection, table, told)
        for done, table in enumerate(tables):
            told("looking at all of it", int(done > 0), len(tables))
            connection.execute(sql.SQL("VACUUM (ANALYZE) {}").format(sql.Identifier(table.name)))
        told("looking at all of it", 1, len(tables))
        connection.execute("CHECKPOINT")


def _copy(connection: psycopg.Connection, table: Table, told: Told) -> None:
    columns = sql.SQL(", ").join(map(sql.Identifier, table.columns))
    into = sql.Identifier(table.name)
    if table.shared is not None:
        into = sql.Identifier("staged")
        _stage(connection, table, table.shared)
    with connection.cursor() as cursor, cursor.copy(sql.SQL("COPY {} ({}) FROM STDIN").format(into, columns)) as copy:
        for done, lines in table.chunks():
            copy.write(lines)
            told(table.name, done, table.things)
    if table.shared is not None:
        shared = sql.Identifier(table.shared[0])
        values = [
            sql.SQL("value" if name == table.shared[0] else "s.{}").format(sql.Identifier(name))
            for name in table.columns
        ]
        connection.execute(
            sql.SQL("INSERT INTO {} ({}) SELECT {} FROM staged s JOIN shared ON place = s.{}").format(
                sql.Identifier(table.name), columns, sql.SQL(", ").join(values), shared
            )
        )
        connection.execute("DROP TABLE staged, shared")


def _stage(connection: psycopg.Connection, table: Table, shared: tuple[str, Sequence[str]]) -> None:
    """Prepares a table's rows with places in one of its columns, and the values: read and compressed once, not each."""
    column, values = shared
    connection.execute(
        sql.SQL("CREATE UNLOGGED TABLE staged AS SELECT * FROM {} LIMIT 0").format(sql.Identifier(table.name))
    )
    connection.execute(sql.SQL("ALTER TABLE staged DROP COLUMN {0}, ADD COLUMN {0} int").format(sql.Identifier(column)))
    connection.execute("CREATE UNLOGGED TABLE shared (place int, value jsonb)")
    for place, value in enumerate(values):
        connection.execute("INSERT INTO shared VALUES (%s, %s)", (place, value))


@contextmanager
def _bare(connection: psycopg.Connection, tables: Sequence[str], told: Told) -> Iterator[None]:
    """Takes indexes and constraints off the tables for as long as the block lasts."""
    named = {"tables": list(tables)}
    constraints = connection.execute(_CONSTRAINTS.encode(), named).fetchall()
    indexes = connection.execute(_INDEXES.encode(), named).fetchall()
    for table, name, _, _ in constraints:
        connection.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"'.encode())
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}".encode())
    yield
    again = [
        *(
            f'ALTER TABLE {table} ADD CONSTRAINT "{name}" {what}'
            for table, name, what, kind in constraints
            if kind != "f"
        ),
        *(made for _, made in indexes),
        *(
            f'ALTER TABLE {table} ADD CONSTRAINT "{name}" {what}'
            for table, name, what, kind in constraints
            if kind == "f"
        ),
    ]
    for statement in again:
        connection.execute(statement.encode())
        told("indexes and references", 1, len(again))
