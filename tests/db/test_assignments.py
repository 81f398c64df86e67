"""Assignments: whose they are, on which days of the school, until when, and for nobody else."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from db import assignments, calls, classes, consents, learners, sip_domains
from db.assignments import AssignmentRefused
from db.endings import Ending, finish
from db.engine import Database
from db.sip_domains import DomainTaken
from tests.db.conftest import OpenCall, Place

MONDAY = date(2026, 11, 23)
SUNDAY = MONDAY + timedelta(days=6)
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


@pytest.fixture
async def learner_id(database: Database, place: Place) -> UUID:
    """A learner of the school."""
    async with database.school(place.school_id) as session:
        made = await learners.create_with_number(
            session, school_id=place.school_id, number_hash=b"x", last_two="01", native="en", target="es", level="A1"
        )
    return made.id


async def give(database: Database, place: Place, scenario: str = "cafe_order", **changes: Any) -> UUID:
    """Assigns a scene to the line's callers for the week, unless ``changes`` say otherwise."""
    values: dict[str, Any] = {"line_id": place.line_id, "starts_on": MONDAY, "ends_on": SUNDAY, **changes}
    async with database.school(place.school_id) as session:
        return (await assignments.add(session, place.school_id, scenario=scenario, **values)).id


async def to(
    database: Database, place: Place, learner_id: UUID | None, at: datetime = NOON, target: str = "es-MX"
) -> list[str]:
    """What somebody has open."""
    async with database.school(place.school_id) as session:
        return await assignments.open_to(session, line_id=place.line_id, learner_id=learner_id, target=target, at=at)


async def test_the_soonest_due_comes_first(database: Database, place: Place, learner_id: UUID) -> None:
    """Everyone who calls the line has it, guests too; each scene once, by its last day."""
    await give(database, place, "market_fruit", ends_on=SUNDAY + timedelta(days=7))
    await give(database, place, "bus_ticket")
    await give(database, place, "market_fruit", ends_on=SUNDAY + timedelta(days=14))
    assert await to(database, place, learner_id) == ["bus_ticket", "market_fruit"]
    assert await to(database, place, None) == ["bus_ticket", "market_fruit"]


async def test_the_days_are_the_school_s(database: Database, place: Place, learner_id: UUID) -> None:
    """From the first day's midnight in Madrid to the last day's end there."""
    await give(database, place)
    begins = datetime(2026, 11, 22, 23, tzinfo=UTC)
    ends = datetime(2026, 11, 29, 23, tzinfo=UTC)
    second = timedelta(seconds=1)
    open_at = [await to(database, place, learner_id, at) for at in (begins - second, begins, ends - second, ends)]
    assert [len(scenes) for scenes in open_at] == [0, 1, 1, 0]


async def test_a_class_has_its_own(database: Database, place: Place, learner_id: UUID) -> None:
    """A class's scene is its learners' alone, while they are in it and it goes on."""
    async with database.school(place.school_id) as session:
        made = await classes.add(session, place.school_id, "4B")
    await give(database, place, line_id=None, class_id=made.id)
    assert await to(database, place, learner_id) == []
    async with database.school(place.school_id) as session:
        await classes.enrol(session, place.school_id, made.id, learner_id)
    assert await to(database, place, learner_id) == ["cafe_order"]
    assert await to(database, place, None) == []
    async with database.school(place.school_id) as session:
        await classes.change(session, made.id, active=False)
    assert await to(database, place, learner_id) == []


async def test_a_language_has_its_own(database: Database, place: Place, learner_id: UUID) -> None:
    """A scene given for Spanish is for every Spanish, and for no other language."""
    await give(database, place, target="es")
    assert await to(database, place, learner_id, target="es-PR") == ["cafe_order"]
    assert await to(database, place, learner_id, target="fr") == []


@pytest.mark.parametrize(
    ("at", "completed", "language", "left"),
    [
        (NOON, True, "es", []),
        (NOON, True, "", []),
        (NOON, False, "es", ["cafe_order"]),
        (NOON, True, "fr", ["cafe_order"]),
        (NOON - timedelta(days=7), True, "es", ["cafe_order"]),
    ],
)
async def test_it_is_open_until_it_was_completed_in_its_days(
    database: Database,
    place: Place,
    learner_id: UUID,
    open_call: OpenCall,
    at: datetime,
    completed: bool,
    language: str,
    left: list[str],
) -> None:
    """A call that reached the scene's rule of success, in that language and those days, closes it for the learner."""
    await give(database, place)
    call_id = await open_call(learner_id=learner_id)
    async with database.school(place.school_id) as session:
        await calls.save_menu(session, call_id, 0, {"target": language} if language else {})
        await calls.begin(session, call_id, scenario="cafe_order", level="A1")
        await calls.connected(session, call_id)
        await finish(session, call_id, Ending("role", completed=completed))
        await session.execute(text("UPDATE calls SET started_at = :at, connected_at = :at"), {"at": at})
    assert await to(database, place, learner_id) == left
    assert await to(database, place, None) == ["cafe_order"], "others have it still"


async def test_what_cannot_be_assigned_is_refused(database: Database, place: Place, elsewhere: Place) -> None:
    """An end before the beginning, a line of another school, neither or both of a line and a class."""
    with pytest.raises(AssignmentRefused, match="before it begins"):
        await give(database, place, ends_on=MONDAY - timedelta(days=1))
    with pytest.raises(AssignmentRefused, match="no such line"):
        await give(database, place, line_id=elsewhere.line_id)
    with pytest.raises(ValueError, match="for a line or for a class"):
        await give(database, place, line_id=None)
    with pytest.raises(ValueError, match="for a line or for a class"):
        await give(database, place, class_id=uuid4())


async def test_it_can_be_taken_back(database: Database, place: Place, learner_id: UUID) -> None:
    """Once; lists show what is not over yet, or all."""
    given = await give(database, place)
    async with database.school(place.school_id) as session:
        assert [one.id for one in await assignments.list_all(session, since=SUNDAY)] == [given]
        assert await assignments.list_all(session, since=SUNDAY + timedelta(days=1)) == []
        assert await assignments.remove(session, given)
        assert not await assignments.remove(session, given)
        assert await assignments.list_all(session) == []


async def test_another_school_neither_sees_nor_changes_it(
    database: Database, place: Place, elsewhere: Place, learner_id: UUID
) -> None:
    """With the ids of this school's rows, another gets nothing, and takes nothing back."""
    given = await give(database, place)
    async with database.school(place.school_id) as session:
        made = await classes.add(session, place.school_id, "4B")
        await sip_domains.put(session, place.school_id, "north.sip.example.org", place.line_id)
    async with database.school(elsewhere.school_id) as session:
        ids = {"line_id": place.line_id, "learner_id": learner_id}
        assert await assignments.open_to(session, **ids, target="es", at=NOON) == []
        assert await assignments.list_all(session) == []
        assert await assignments.of_classes(session, [made.id]) == []
        assert not await assignments.remove(session, given)
        assert await classes.by_name(session, "4B") is None
        assert await sip_domains.list_all(session) == []
        assert not await sip_domains.remove(session, "north.sip.example.org")
        assert not await learners.drop_identity(session, learner_id, b"x")
    assert await to(database, place, learner_id) == ["cafe_order"]


# --- SIP domains


async def test_a_domain_reaches_one_line(database: Database, place: Place, elsewhere: Place) -> None:
    """Its line, or another of the same school by number; it can be moved, but not to another school."""
    async with database.school(place.school_id) as session:
        await sip_domains.put(session, place.school_id, "north.sip.example.org", place.line_id)
        await sip_domains.put(session, place.school_id, "north.sip.example.org", place.line_id)
        assert [row.domain for row in await sip_domains.list_all(session)] == ["north.sip.example.org"]
    async with database.anyone() as session:
        for dialled in (None, place.number, elsewhere.number, "+34999999999"):
            assert await sip_domains.line_number(session, "north.sip.example.org", dialled) == place.number
        assert await sip_domains.line_number(session, "south.sip.example.org", place.number) is None
    for school, line in ((elsewhere, elsewhere.line_id), (place, elsewhere.line_id)):
        with pytest.raises(DomainTaken):
            async with database.school(school.school_id) as session:
                await sip_domains.put(session, school.school_id, "north.sip.example.org", line)
    async with database.school(place.school_id) as session:
        assert await sip_domains.remove(session, "north.sip.example.org")
    async with database.anyone() as session:
        assert await sip_domains.line_number(session, "north.sip.example.org", None) is None


async def test_a_learner_has_a_telephone_more(database: Database, place: Place, learner_id: UUID) -> None:
    """A SIP phone beside the number: both lead to the learner, and each can be taken away."""
    async with database.school(place.school_id) as session:
        learner = await learners.get(session, learner_id)
        assert learner is not None
        assert await learners.add_identity(session, learner, b"sip")
        assert not await learners.add_identity(session, learner, b"sip")
        for known in (b"x", b"sip"):
            assert [one.id for one in await learners.by_number_hash(session, known)] == [learner_id]
        for number in (b"x", b"sip"):
            await consents.record(
                session,
                school_id=place.school_id,
                number_hash=number,
                given=True,
                carrier_sid=f"CA{number.hex()}",
                wording="ask",
            )
        assert await learners.drop_identity(session, learner_id, b"sip")
        assert not await consents.asked(session, b"sip"), "whoever has it next is asked anew"
        assert await consents.asked(session, b"x"), "what another telephone agreed to stands"
        assert not await learners.drop_identity(session, learner_id, b"sip")
        assert await learners.by_number_hash(session, b"sip") == []
