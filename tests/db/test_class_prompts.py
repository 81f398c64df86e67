"""Class prompts: numbered, dated by the school's own days, and held by the calls that began with them."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime
from uuid import uuid4
from zoneinfo import ZoneInfoNotFoundError

import pytest
from sqlalchemy import insert, text
from sqlalchemy.exc import DBAPIError

from db import calls, class_prompts
from db.class_prompts import LineUnknown, day_in
from db.engine import Database
from db.models_classwork import ClassPromptVersion
from tests.db.conftest import OpenCall, Place
from tutor.script.class_prompt import ClassPrompt, ClassPromptError

MARKET = ClassPrompt(
    theme="En el mercado",
    vocabulary=("la manzana", "el kilo"),
    grammar=("querer + infinitivo",),
    text="Vamos el viernes.",
    must_use=("el kilo",),
    avoid=("subjuntivo",),
)
STANDING = ClassPrompt(theme="Todo el año")
MONDAY, SUNDAY, NEXT = date(2026, 11, 23), date(2026, 11, 29), date(2026, 11, 30)


async def add(
    database: Database, place: Place, material: ClassPrompt, starts_on: date, ends_on: date | None = None
) -> int:
    """Adds a version in a transaction of its own."""
    async with database.school(place.school_id) as session:
        return await class_prompts.add(session, place.line_id, material, starts_on=starts_on, ends_on=ends_on)


async def live(database: Database, place: Place, on: date) -> int | None:
    """The number of the version that is live on a day."""
    async with database.school(place.school_id) as session:
        version = await class_prompts.live(session, place.line_id, on)
    return version.version if version is not None else None


async def test_material_comes_back_as_it_was_written(database: Database, place: Place) -> None:
    """All six fields of a version, in their order."""
    assert await add(database, place, MARKET, MONDAY, SUNDAY) == 1
    async with database.school(place.school_id) as session:
        (version,) = await class_prompts.history(session, place.line_id)
    assert class_prompts.material_of(version) == MARKET
    assert (version.starts_on, version.ends_on) == (MONDAY, SUNDAY)


async def test_a_week_s_prompt_is_live_in_its_week(database: Database, place: Place) -> None:
    """In its days it goes before what has no end; after them the standing one holds; before all there is none."""
    await add(database, place, MARKET, MONDAY, SUNDAY)
    await add(database, place, STANDING, MONDAY)
    days = (date(2026, 11, 22), MONDAY, SUNDAY, NEXT)
    assert [await live(database, place, day) for day in days] == [None, 1, 1, 2]


async def test_the_newest_of_a_day_is_live(database: Database, place: Place) -> None:
    """A second prompt for the same days takes over, and the history keeps both, the newest first."""
    await add(database, place, STANDING, MONDAY, SUNDAY)
    await add(database, place, MARKET, MONDAY, SUNDAY)
    assert await live(database, place, MONDAY) == 2
    async with database.school(place.school_id) as session:
        assert [row.version for row in await class_prompts.history(session, place.line_id)] == [2, 1]


async def test_versions_added_at_once_get_different_numbers(database: Database, place: Place) -> None:
    """Five teachers who save in the same moment make five versions."""
    made = await asyncio.gather(*(add(database, place, MARKET, MONDAY) for _ in range(5)))
    assert sorted(made) == [1, 2, 3, 4, 5]


async def test_an_end_before_the_beginning_is_refused(database: Database, place: Place) -> None:
    """The sentence names both days, and nothing is kept."""
    with pytest.raises(ClassPromptError, match=r"end on 2026-11-23, before it begins on 2026-11-29; choose a later"):
        await add(database, place, MARKET, SUNDAY, MONDAY)
    assert await live(database, place, SUNDAY) is None


async def test_a_line_of_another_school_gets_no_prompt(database: Database, place: Place, elsewhere: Place) -> None:
    """Neither adding to nor reading from another school's line is possible; an unknown line is one, too."""
    await add(database, place, MARKET, MONDAY)
    for line_id in (place.line_id, uuid4()):
        with pytest.raises(LineUnknown):
            async with database.school(elsewhere.school_id) as session:
                await class_prompts.add(session, line_id, MARKET, starts_on=MONDAY)
    async with database.school(elsewhere.school_id) as session:
        assert await class_prompts.live(session, place.line_id, MONDAY) is None
        assert not await class_prompts.history(session, place.line_id)


@pytest.mark.parametrize("statement", ["UPDATE class_prompts SET theme = 'x'", "DELETE FROM class_prompts"])
async def test_a_version_is_never_changed(database: Database, place: Place, statement: str) -> None:
    """Calls were held with it: the application may only add."""
    await add(database, place, MARKET, MONDAY)
    with pytest.raises(DBAPIError, match="permission denied"):
        async with database.school(place.school_id) as session:
            await session.execute(text(statement))


async def test_a_call_keeps_the_version_it_began_with(database: Database, place: Place, open_call: OpenCall) -> None:
    """What is added during a call alters later calls only; a call without a version has the line's standing text."""
    version = await add(database, place, MARKET, MONDAY)
    dated, plain = await open_call(class_prompt_version=version), await open_call()
    await add(database, place, STANDING, MONDAY)
    async with database.school(place.school_id) as session:
        for call_id, material in ((dated, MARKET), (plain, ClassPrompt(theme="Food"))):
            call = await calls.get(session, call_id)
            assert call is not None
            assert await class_prompts.of_call(session, call, "theme: Food") == material


async def test_a_standing_text_that_cannot_be_read_is_left_out(
    database: Database, place: Place, open_call: OpenCall
) -> None:
    """A call goes on without material rather than not at all; without a text there is none either."""
    call_id = await open_call()
    async with database.school(place.school_id) as session:
        call = await calls.get(session, call_id)
        assert call is not None
        assert await class_prompts.of_call(session, call, "x" * 601) is None
        assert await class_prompts.of_call(session, call, None) is None


async def test_days_end_before_they_begin_nowhere(database: Database, place: Place) -> None:
    """The table itself refuses what the function refuses."""
    await add(database, place, MARKET, MONDAY)
    row = {"school_id": place.school_id, "line_id": place.line_id, "starts_on": SUNDAY, "ends_on": MONDAY}
    wrong = insert(ClassPromptVersion).values(version=9, **row)
    with pytest.raises(DBAPIError, match="class_prompts_days"):
        async with database.school(place.school_id) as session:
            await session.execute(wrong)


@pytest.mark.parametrize(
    ("timezone", "day"),
    [("America/Puerto_Rico", 22), ("UTC", 22), ("Europe/Madrid", 23), ("Asia/Tokyo", 23)],
)
def test_the_school_s_time_zone_decides_which_day_it_is(timezone: str, day: int) -> None:
    """At half past eleven on Sunday evening in London it is Monday in Madrid."""
    assert day_in(timezone, datetime(2026, 11, 22, 23, 30, tzinfo=UTC)) == date(2026, 11, day)


def test_a_day_needs_a_zone_on_both_sides() -> None:
    """An unknown zone and a naive time are slips of the caller's."""
    with pytest.raises(ZoneInfoNotFoundError):
        day_in("Mars/Olympus", datetime(2026, 11, 22, tzinfo=UTC))
    with pytest.raises(ValueError, match="aware"):
        day_in("UTC", datetime(2026, 11, 22))  # noqa: DTZ001


async def test_a_call_s_version_is_written_when_it_is_admitted(
    database: Database, place: Place, open_call: OpenCall
) -> None:
    """The number stands in the call's row and no other statement of the call changes it."""
    call_id = await open_call(class_prompt_version=3)
    async with database.school(place.school_id) as session:
        await calls.begin(session, call_id, scenario="cafe_order", level="A1")
        await calls.connected(session, call_id)
        call = await calls.get(session, call_id)
    assert call is not None
    assert call.class_prompt_version == 3
