"""Scenes that schools wrote themselves, kept as files, and the catalogue with them in it.

Nothing is kept that does not fit; what no longer fits after an upgrade is left out and logged. Knows no call.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from db.models_classwork import SchoolScenario
from tutor.script.catalogue import Catalogue, CatalogueError
from tutor.script.own_scene import SceneRejected, read
from tutor.script.scene_check import checked

FRESH_S: Final = 60.0
"""How long a process may go on with what it read of a school's scenes."""

log = structlog.get_logger(__name__)

Files = tuple[tuple[str, str], ...]
"""(id, file's text) of a school's scenes, by id."""


async def put(session: AsyncSession, school_id: UUID, toml: str, packaged: Catalogue) -> str:
    """Keeps a scene of the session's school, in place of an older one of its id, and returns that id.

    Raises:
        SceneRejected: it is wrong or does not fit; one sentence for each thing.
    """
    own = checked(toml, packaged)
    row = insert(SchoolScenario).values(school_id=school_id, id=own.scenario.id, toml=toml)
    changed = {"toml": toml, "checked_at": func.now()}
    await session.execute(row.on_conflict_do_update(index_elements=["school_id", "id"], set_=changed))
    return own.scenario.id


async def get(session: AsyncSession, scenario_id: str) -> SchoolScenario | None:
    """The scene, if the session's school has it."""
    return await session.scalar(select(SchoolScenario).where(SchoolScenario.id == scenario_id))


async def list_all(session: AsyncSession) -> Sequence[SchoolScenario]:
    """The scenes of the session's school, by id."""
    return (await session.scalars(select(SchoolScenario).order_by(SchoolScenario.id))).all()


async def remove(session: AsyncSession, scenario_id: str) -> bool:
    """Forgets a scene of the session's school; False when there is none. Lines that name it offer it no more."""
    gone = delete(SchoolScenario).where(SchoolScenario.id == scenario_id).returning(SchoolScenario.id)
    return await session.scalar(gone) is not None


async def catalogue(session: AsyncSession, packaged: Catalogue) -> Catalogue:
    """The packaged catalogue with the scenes of the session's school."""
    return await _with(await _files(session), packaged)


@dataclass(frozen=True, slots=True)
class _Kept:
    read_s: float
    files: Files
    catalogue: Catalogue


class Catalogues:
    """The catalogue of each school, read again when it is older than a minute."""

    def __init__(self, packaged: Catalogue, *, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock``: monotonic seconds."""
        self.packaged: Final = packaged
        self._clock = clock
        self._kept: dict[UUID, _Kept] = {}

    async def of(self, session: AsyncSession, school_id: UUID, needs: Iterable[str] = ()) -> Catalogue:
        """The catalogue of the session's school; without a question to the database when it was read lately.

        ``needs`` are ids of scenes: when one is not there, another process may know newer ones, so they are read again.

        Raises:
            SQLAlchemyError: the database cannot be asked.
        """
        kept = self._kept.get(school_id)
        if kept is not None and self._clock() - kept.read_s < FRESH_S and _has_all(kept.catalogue, needs):
            return kept.catalogue
        files = await _files(session)
        same = kept is not None and kept.files == files
        whole = kept.catalogue if kept is not None and same else await _with(files, self.packaged)
        self._kept[school_id] = _Kept(self._clock(), files, whole)
        return whole


def _has_all(catalogue: Catalogue, needs: Iterable[str]) -> bool:
    return set(needs) <= {scenario.id for scenario in catalogue.scenarios}


async def _files(session: AsyncSession) -> Files:
    rows = await session.execute(select(SchoolScenario.id, SchoolScenario.toml).order_by(SchoolScenario.id))
    return tuple((row.id, row.toml) for row in rows)


async def _with(files: Files, packaged: Catalogue) -> Catalogue:
    # Reading takes some 3 ms a scene: in a thread, because callers are being heard meanwhile.
    return await asyncio.to_thread(_merged, files, packaged) if files else packaged


def _merged(files: Files, packaged: Catalogue) -> Catalogue:
    merged = packaged
    for scenario_id, toml in files:
        try:
            merged = merged.with_scenarios([read(toml)])
        except (SceneRejected, CatalogueError) as error:
            log.error("scenario.left_out", scenario=scenario_id, problem=str(error).partition("\n")[0])
    return merged
