"""Scenes of a school's own: checked when kept, seen by their school alone, read again after a minute."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from db import scenarios
from db.engine import Database
from db.models_classwork import SchoolScenario
from db.scenarios import FRESH_S, Catalogues
from tests.db.conftest import Place
from tests.tutor.test_own_scene import EXAMPLE
from tutor.script.catalogue import Catalogue, load
from tutor.script.own_scene import SceneRejected

PACKAGED = load()
SCENE = "own_pharmacy"
OTHER = EXAMPLE.replace(SCENE, "own_other")


def ids(catalogue: Catalogue) -> set[str]:
    """The scenes of a catalogue that do not come with the package."""
    return {scenario.id for scenario in catalogue.scenarios} - {scenario.id for scenario in PACKAGED.scenarios}


class Clock:
    """Monotonic seconds that pass when told to."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


async def put(database: Database, place: Place, toml: str = EXAMPLE) -> str:
    """Keeps a scene in a transaction of its own."""
    async with database.school(place.school_id) as session:
        return await scenarios.put(session, place.school_id, toml, PACKAGED)


async def test_a_scene_is_kept_changed_listed_and_removed(database: Database, place: Place) -> None:
    """The same id again changes the scene, one row stays; removing a second time finds nothing."""
    assert await put(database, place) == SCENE
    await put(database, place, EXAMPLE.replace("minutes = 6", "minutes = 7"))
    await put(database, place, OTHER)
    async with database.school(place.school_id) as session:
        kept = await scenarios.get(session, SCENE)
        assert kept is not None
        assert "minutes = 7" in kept.toml
        assert kept.checked_at > kept.created_at
        assert [row.id for row in await scenarios.list_all(session)] == ["own_other", SCENE]
        assert await scenarios.remove(session, SCENE)
        assert not await scenarios.remove(session, SCENE)
        assert await scenarios.get(session, SCENE) is None


async def test_a_wrong_scene_is_not_kept(database: Database, place: Place) -> None:
    """Nothing is stored of a file that is wrong or has a packaged id."""
    for wrong in ("id = 1", EXAMPLE.replace(SCENE, "cafe_order")):
        with pytest.raises(SceneRejected):
            await put(database, place, wrong)
    async with database.school(place.school_id) as session:
        assert not await scenarios.list_all(session)


async def test_only_its_school_has_a_scene(database: Database, place: Place, elsewhere: Place) -> None:
    """Another school neither lists nor removes it, may use the same id, and its catalogue is the packaged one."""
    await put(database, place)
    async with database.school(elsewhere.school_id) as session:
        assert not await scenarios.list_all(session)
        assert not await scenarios.remove(session, SCENE)
        assert await scenarios.catalogue(session, PACKAGED) is PACKAGED
    await put(database, elsewhere)
    async with database.school(place.school_id) as session:
        assert ids(await scenarios.catalogue(session, PACKAGED)) == {SCENE}


async def test_a_school_s_catalogue_is_read_once_a_minute(database: Database, place: Place) -> None:
    """Within a minute the same object answers; after it, what was added is there, and what is unchanged stays."""
    clock = Clock()
    catalogues = Catalogues(PACKAGED, clock=clock)
    await put(database, place)
    async with database.school(place.school_id) as session:
        first = await catalogues.of(session, place.school_id)
        assert ids(first) == {SCENE}
    await put(database, place, OTHER)
    async with database.school(place.school_id) as session:
        clock.now_s += FRESH_S - 1
        assert await catalogues.of(session, place.school_id) is first
        clock.now_s += 2
        second = await catalogues.of(session, place.school_id)
        assert ids(second) == {SCENE, "own_other"}
        clock.now_s += FRESH_S + 1
        assert await catalogues.of(session, place.school_id) is second


async def test_a_scene_that_another_process_offered_is_found_at_once(database: Database, place: Place) -> None:
    """A scene that is asked for by name and not known is looked for before the minute is over."""
    catalogues = Catalogues(PACKAGED, clock=Clock())
    async with database.school(place.school_id) as session:
        assert await catalogues.of(session, place.school_id, ["cafe_order"]) is PACKAGED
    await put(database, place)
    async with database.school(place.school_id) as session:
        assert await catalogues.of(session, place.school_id, ["cafe_order"]) is PACKAGED
        assert ids(await catalogues.of(session, place.school_id, [SCENE])) == {SCENE}


async def test_a_scene_that_no_longer_fits_is_left_out(database: Database, place: Place) -> None:
    """What a newer version can no longer read, or has under the same id itself, does not take the others with it."""
    await put(database, place)
    async with database.school(place.school_id) as session:
        for scene_id, toml in (("a", "id = 1"), ("b", EXAMPLE.replace(SCENE, "cafe_order"))):
            session.add(SchoolScenario(school_id=place.school_id, id=scene_id, toml=toml))
        await session.flush()
        assert ids(await scenarios.catalogue(session, PACKAGED)) == {SCENE}
        assert await session.scalar(text("SELECT count(*) FROM school_scenarios")) == 3
