"""How long each query takes for callers drawn by chance, how long a page takes, and how long a night.

Through the product's own functions and pool, as the application role, bound by row-level security. Calls are undone.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import httpx
import numpy as np
import psycopg
from fastapi import FastAPI
from sqlalchemy import Engine, event, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from benchmarks.scale.call_rows import CallRows
from benchmarks.scale.cluster import CannotMeasure
from benchmarks.scale.path import QUERIES, Query
from benchmarks.scale.school_rows import domain_of
from benchmarks.scale.visit import Visit
from benchmarks.scale.world import LEVELS, PAIRS, SECRET, World, call_sid, callers_number, lines_number
from console.debrief_page import router
from db.engine import Database
from db.keyring import Keyring
from db.pages import LASTS
from db.scenarios import Catalogues
from ringua.jobs import nightly
from tutor.script.catalogue import Catalogue

READABLE: Final = LASTS - timedelta(days=1)
"""How old calls may be whose pages are opened: a world may be measured a day after its moment."""


@dataclass(frozen=True, slots=True)
class Taken:
    """One query of one call, or one page."""

    ms: float
    """All of it, Python included, without what follows."""
    waited_ms: float
    """How long the process and its database's process wanted a core and others had it; 0 where nobody says so."""
    statements: int = 0
    slowest_ms: float = 0.0
    """Its longest statement, as ``ms``."""


Times = dict[str, list[Taken]]
"""By the query's name, one a call."""


@dataclass(frozen=True, slots=True)
class Night:
    """One nightly analysis."""

    learners: int
    seconds: float


class _Undone(Exception):
    """Ends a transaction without keeping anything."""


def visits(world: World, links: CallRows, catalogue: Catalogue, count: int) -> list[Visit]:
    """Calls to come: of people drawn from the last calls, so that who calls often comes often."""
    draw = world.draw("visits")
    recent = np.arange(world.words_from, world.sizes.calls)
    since_s = (world.sizes.until - READABLE).timestamp()
    recent = recent[world.call_talked[recent] & ~world.call_guest[recent] & (world.call_at[recent] > since_s)]
    if len(recent) < count:
        raise CannotMeasure(f"{count} callers are asked for, and only {len(recent)} called lately: ask for fewer.")
    keyring = Keyring(SECRET)
    chosen = draw.permutation(recent)[:count].tolist()
    return [_visit(world, links, catalogue, keyring, call, number) for number, call in enumerate(chosen)]


def _visit(world: World, links: CallRows, catalogue: Catalogue, keyring: Keyring, call: int, number: int) -> Visit:
    learner, at_line = int(world.call_learner[call]), int(world.call_line[call])
    native, target = PAIRS[int(world.line_pair[at_line])]
    return Visit(
        keyring=keyring,
        catalogue=catalogue,
        at=world.sizes.until,
        school_id=world.school_ids.uuid(int(world.line_school[at_line])),
        line_id=world.line_ids.uuid(at_line),
        learner_id=world.learner_ids.uuid(learner),
        number=lines_number(at_line),
        number_hash=keyring.hash_number(callers_number(int(world.learner_number[learner]))),
        native=native,
        target=target,
        level=LEVELS[int(world.line_level[at_line])],
        domain=domain_of(int(world.line_school[at_line])),
        sid=call_sid(world.sizes.calls + number),
        before=world.call_ids.uuid(call),
        page=links.token(call),
        calls_before=int(world.learner_calls[learner]),
        clip_keys=links.schools.clip_keys(at_line),
    )


async def walk(database: Database, calls: Sequence[Visit], queries: Sequence[Query] = QUERIES) -> Times:
    """Asks everything that each of these calls asks, one call after the other, and undoes it."""
    times: Times = {query.name: [] for query in queries}
    for call in calls:
        visit = replace(call)
        async with undone(database, visit) as session:
            backend = await _backend(session)
            clock = _Clock(backend)
            with _statements(_Clock(backend)) as took:
                for query in queries:
                    took.clear()
                    clock.begin()
                    await query.ask(session, visit)
                    taken = clock.taken()
                    slowest_ms = max(took, default=taken.ms)
                    times[query.name].append(replace(taken, statements=len(took), slowest_ms=slowest_ms))
                    session.expunge_all()  # the next one finds nothing in memory
    return times


@asynccontextmanager
async def undone(database: Database, visit: Visit) -> AsyncIterator[AsyncSession]:
    """A transaction of the caller's school, of which nothing stays."""
    try:
        async with database.school(visit.school_id) as session:
            yield session
            raise _Undone
    except _Undone:
        return


async def open_pages(database: Database, calls: Sequence[Visit]) -> list[Taken]:
    """Opens the debrief page of each call over HTTP, in this process. Raises CannotMeasure.

    ``database`` has one connection.
    """

    async def forget(session: AsyncSession, learner_id: object) -> None:
        raise CannotMeasure("Nobody is forgotten by a benchmark.")

    app = FastAPI()
    app.include_router(router(database, calls[0].keyring, Catalogues(calls[0].catalogue), forget))
    async with database.anyone() as session:
        clock = _Clock(await _backend(session))
    took = []
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="https://practice.example.org") as browser:
        for call in calls:
            clock.begin()
            answer = await browser.get(f"/d/{call.page}")
            took.append(clock.taken())
            if answer.status_code != 200:
                raise CannotMeasure(f"A page answered {answer.status_code}: its link has expired, make the world anew.")
    return took


class _Clock:
    """Takes the time of what this process and its database's process do together, without their waiting for a core."""

    def __init__(self, backend: int) -> None:
        """``backend``: the process id at the other end of the connection."""
        self._accounts = [path for who in ("self", str(backend)) if (path := Path(f"/proc/{who}/schedstat")).exists()]
        self._began = self._waited = 0.0

    def begin(self) -> None:
        """From now on."""
        self._waited = self._waited_ms()
        self._began = time.perf_counter()

    def taken(self) -> Taken:
        """Until now."""
        all_ms = (time.perf_counter() - self._began) * 1000
        waited_ms = self._waited_ms() - self._waited
        return Taken(max(0.0, all_ms - waited_ms), waited_ms)

    def _waited_ms(self) -> float:
        """The second number of each: nanoseconds in the queue of a core."""
        return sum(int(path.read_bytes().split()[1]) for path in self._accounts) / 1e6


async def _backend(session: AsyncSession) -> int:
    return int(await session.scalar(select(func.pg_backend_pid())) or 0)


@contextmanager
def _statements(clock: _Clock) -> Iterator[list[float]]:
    """Collects how long each statement takes, in milliseconds."""
    took: list[float] = []

    def before(*_: object) -> None:
        clock.begin()

    def after(*_: object) -> None:
        took.append(clock.taken().ms)

    event.listen(Engine, "before_cursor_execute", before)
    event.listen(Engine, "after_cursor_execute", after)
    try:
        yield took
    finally:
        event.remove(Engine, "before_cursor_execute", before)
        event.remove(Engine, "after_cursor_execute", after)


async def night(database: Database, catalogue: Catalogue, url: str, until: datetime) -> Night:
    """One nightly analysis of everybody who practised in the week before.

    Args:
        url: of the same database, for a superuser who may ask for the last night.
    """
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT max(analysed_at) FROM profiles").fetchone()
    last = row[0] if row is not None and row[0] is not None else until
    at = max(until, last + timedelta(seconds=1))
    began = time.perf_counter()
    learners = await nightly.analyse(database, catalogue, at=at)
    return Night(learners, time.perf_counter() - began)
