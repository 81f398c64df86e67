"""How Postgres answers each query of a call: EXPLAIN (ANALYZE, BUFFERS) beside the statement, as the application role.

Each statement is explained just before it runs, within a savepoint. Functions that look something up before a school is
known run as their owner; their plan is that of what stands in them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from sqlalchemy import Connection, Engine, event

from benchmarks.scale.measure import undone
from benchmarks.scale.path import QUERIES
from benchmarks.scale.visit import Visit
from db.engine import Database

_EXPLAIN: Final = "EXPLAIN (ANALYZE, BUFFERS) "
_CALL: Final = re.compile(r"(?:FROM|SELECT)\s+(\w+)\((.*)\)\s*$")
_LOOKUPS: Final = """
    SELECT proname, proargnames[1:pronargs],
           ARRAY(SELECT format_type(type, NULL) FROM unnest(proargtypes::oid[]) WITH ORDINALITY t (type, n) ORDER BY n),
           prosrc
    FROM pg_proc WHERE prosecdef AND pronamespace = 'public'::regnamespace
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """One statement and its plan."""

    statement: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Lookup:
    names: Sequence[str]
    types: Sequence[str]
    body: str


async def explained(database: Database, url: str, visit: Visit) -> dict[str, list[Plan]]:
    """The plans of a call's queries, by their names; each statement once, where it comes first.

    Args:
        url: of the same database, for a superuser, who may read what stands in functions.
    """
    with psycopg.connect(url) as connection:
        found = connection.execute(_LOOKUPS.encode()).fetchall()
    lookups = {name: _Lookup(names, types, body) for name, names, types, body in found}
    plans: dict[str, list[Plan]] = {}
    seen: set[str] = set()
    async with undone(database, visit) as session:
        for query in QUERIES:
            with _explaining(lookups) as shown:
                await query.ask(session, visit)
            plans[query.name] = []
            for plan in shown:
                if plan.statement not in seen:
                    seen.add(plan.statement)
                    plans[query.name].append(plan)
            session.expunge_all()
    return plans


@contextmanager
def _explaining(lookups: Mapping[str, _Lookup]) -> Iterator[list[Plan]]:
    shown: list[Plan] = []

    def before(
        connection: Connection, _cursor: Any, statement: str, parameters: Any, _context: Any, executemany: bool
    ) -> None:
        given = parameters[0] if executemany else parameters
        body = _within(statement, lookups)
        cursor = connection.connection.cursor()
        try:
            cursor.execute("SAVEPOINT explained")
            if body is not None:
                cursor.execute("RESET ROLE")  # as its owner; the savepoint brings the role back
            cursor.execute(_EXPLAIN + (body or statement), given)
            lines = tuple(str(row[0]) for row in cursor.fetchall())
            cursor.execute("ROLLBACK TO SAVEPOINT explained")
            cursor.execute("RELEASE SAVEPOINT explained")
        finally:
            cursor.close()
        shown.append(Plan(_tidy(statement), lines))

    event.listen(Engine, "before_cursor_execute", before)
    try:
        yield shown
    finally:
        event.remove(Engine, "before_cursor_execute", before)


def _within(statement: str, lookups: Mapping[str, _Lookup]) -> str | None:
    """What stands in the function that a statement asks, with the statement's values; None: it asks none of ours."""
    called = _CALL.search(statement)
    lookup = lookups.get(called[1]) if called is not None else None
    if called is None or lookup is None:
        return None
    given = dict(zip(lookup.names, zip(called[2].split(","), lookup.types, strict=True), strict=True))

    def value(name: re.Match[str]) -> str:
        if name[0] not in given:
            return name[0]
        text, kind = given[name[0]]
        return f"({text.strip()})::{kind}"

    return re.sub(r"\bp_\w+\b", value, lookup.body).strip().rstrip(";")


def _tidy(statement: str) -> str:
    return " ".join(statement.split())
