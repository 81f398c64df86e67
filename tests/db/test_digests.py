"""What teachers and families are told of: counts of a line's week, and what one child has reached."""

from __future__ import annotations

from collections import Counter
from typing import Any
from uuid import UUID

import pytest

from db import calls, debriefs, digests, endings, learners
from db.endings import Ending, NewEvent
from db.engine import Database
from db.keyring import Keyring
from db.models import Learner
from tests.db.conftest import OpenCall, Place, Query


@pytest.fixture
async def ana(database: Database, keyring: Keyring, place: Place) -> Learner:
    """A learner of the school."""
    async with database.school(place.school_id) as session:
        return await learners.create_with_number(
            session,
            school_id=place.school_id,
            number_hash=keyring.hash_number("+34600000001"),
            last_two="01",
            native="en",
            target="es",
            level="A1",
        )


async def talked(
    database: Database,
    place: Place,
    call_id: UUID,
    scenario: str = "cafe_order",
    goals: tuple[str, ...] = (),
    **ending: Any,
) -> None:
    """A call that reached a conversation and ended."""
    async with database.school(place.school_id) as session:
        await calls.begin(session, call_id, scenario=scenario, level="A1")
        await calls.connected(session, call_id)
        events = [NewEvent(at, "goal", {"goal": goal, "quote": "hola"}) for at, goal in enumerate(goals)]
        await endings.finish(session, call_id, Ending("role", events=events, **ending))


async def test_a_week_is_counted(
    database: Database, place: Place, ana: Learner, open_call: OpenCall, superuser: Query
) -> None:
    """Callers, talking time, finished scenes and goals of the last seven days, whoever the callers are."""
    for goals, completed in ((("greet", "order_drink"), True), (("greet",), False)):
        await talked(database, place, await open_call(learner_id=ana.id), goals=goals, completed=completed)
    for _ in range(2):
        await talked(database, place, await open_call(caller_hash=b"a guest"), "bus_ticket", completed=True)
    await talked(database, place, await open_call())
    await open_call(learner_id=ana.id)  # never got beyond the menu
    await superuser("UPDATE calls SET connected_at = ended_at - interval '90 s' WHERE connected_at IS NOT NULL")
    async with database.school(place.school_id) as session:
        week = await digests.week(session, place.line_id)
    assert week.callers == 3, "a learner, a number, and somebody who withheld it"
    assert week.talk_s == pytest.approx(5 * 90)
    assert week.finished == Counter({"bus_ticket": 2, "cafe_order": 1})
    assert week.goals == Counter({("cafe_order", "greet"): 2, ("cafe_order", "order_drink"): 1})


async def test_an_older_call_is_not_counted(
    database: Database, place: Place, open_call: OpenCall, superuser: Query
) -> None:
    """What was more than seven days ago, and another line's calls, are not of this week."""
    await talked(database, place, await open_call(), goals=("greet",), completed=True)
    await superuser("UPDATE calls SET connected_at = now() - interval '169 h'")
    async with database.school(place.school_id) as session:
        assert await digests.week(session, place.line_id) == digests.Week()


async def test_a_child_s_goals(database: Database, place: Place, ana: Learner, open_call: OpenCall) -> None:
    """Each goal is told once, those of the latest call first, with the latest phrase to keep and no other word."""
    first = await open_call(learner_id=ana.id)
    await talked(database, place, first, goals=("greet", "price"))
    second = await open_call(learner_id=ana.id)
    await talked(database, place, second, "bus_ticket", goals=("destination",))
    third = await open_call(learner_id=ana.id)
    await talked(database, place, third, goals=("greet",))
    async with database.school(place.school_id) as session:
        for call_id, keep in ((first, "Un café."), (second, "Un boleto.")):
            await debriefs.put(
                session, school_id=place.school_id, call_id=call_id, content={"keep": keep}, source="facts"
            )
        child = await digests.child(session, ana.id)
    assert child.goals == [("cafe_order", "greet"), ("bus_ticket", "destination"), ("cafe_order", "price")]
    assert child.keep == "Un boleto."


async def test_a_child_without_calls(database: Database, place: Place, ana: Learner) -> None:
    """Where nothing was reached yet there is nothing to tell."""
    async with database.school(place.school_id) as session:
        assert await digests.child(session, ana.id) == digests.Child()


async def test_played_scenes_and_numbers(
    database: Database, keyring: Keyring, place: Place, ana: Learner, open_call: OpenCall
) -> None:
    """A scene is played once its media was there; a learner calls from their own number and from no other."""
    await talked(database, place, await open_call(learner_id=ana.id))
    left = await open_call(learner_id=ana.id)
    async with database.school(place.school_id) as session:
        await calls.begin(session, left, scenario="bus_ticket", level="A1")
        assert [play.scenario for play in await learners.plays(session, ana.id, "es")] == ["cafe_order"]
        assert await learners.calls_from(session, ana.id, keyring.hash_number("+34600000001"))
        assert not await learners.calls_from(session, ana.id, b"another number")


async def test_another_school_is_told_nothing(
    database: Database, keyring: Keyring, place: Place, elsewhere: Place, ana: Learner, open_call: OpenCall
) -> None:
    """Asked by another school, a line has had no calls and a child has reached nothing."""
    await talked(database, place, await open_call(learner_id=ana.id), goals=("greet",), completed=True)
    async with database.school(elsewhere.school_id) as session:
        assert await digests.week(session, place.line_id) == digests.Week()
        assert await digests.child(session, ana.id) == digests.Child()
        assert await learners.plays(session, ana.id, "es") == []
        assert not await learners.choose_languages(session, ana.id, native="fr", target="es", level="B1")
        assert not await learners.calls_from(session, ana.id, keyring.hash_number("+34600000001"))


async def test_a_topic_is_a_class_s_from_three_learners_on(
    database: Database, keyring: Keyring, place: Place, elsewhere: Place, open_call: OpenCall
) -> None:
    """What came up with two learners, however often, is not told: a teacher would know who they are."""
    for n, topics in enumerate((["articles", "tones"], ["articles", "tones"], ["articles"])):
        async with database.school(place.school_id) as session:
            learner = await learners.create_with_number(
                session,
                school_id=place.school_id,
                number_hash=keyring.hash_number(f"+3460000001{n}"),
                last_two=f"1{n}",
                native="en",
                target="es",
                level="A1",
            )
        for _ in range(2):
            call_id = await open_call(learner_id=learner.id)
            await talked(database, place, call_id)
            content = {"teacher": {"language": "en", "lines": [], "topics": topics}}
            async with database.school(place.school_id) as session:
                await debriefs.put(session, school_id=place.school_id, call_id=call_id, content=content, source="facts")
    before = await open_call(learner_id=learner.id)
    await talked(database, place, before)
    async with database.school(place.school_id) as session:
        await debriefs.put(session, school_id=place.school_id, call_id=before, content={"keep": "x"}, source="facts")
        assert (await digests.week(session, place.line_id)).topics == {"articles": 3}
    async with database.school(elsewhere.school_id) as session:
        assert (await digests.week(session, place.line_id)).topics == {}
