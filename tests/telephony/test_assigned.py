"""A scene that the class was given: the first key until it was completed, said in the menu, known to the role."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select, update

from db import assignments, calls, classes, endings, learners
from db.endings import Ending, NewEvent
from db.engine import Database
from db.keyring import Keyring
from db.models import Call, Line
from ringua.jobs.record import closed_call
from telephony.closing import closing
from telephony.ivr.record import MenuRecord
from telephony.ivr.steps import PROMPT_LIMIT_S, Ask
from telephony.menus import scenes_to_come
from tests.telephony.school_line import SCENES, Service, service, spoken
from tutor.learning.said import estimate_s
from tutor.script.catalogue import load

CATALOGUE = load()
EN = CATALOGUE.language("en")
GIVEN = "bus_ticket"
GREETED = NewEvent(2_000, "goal", {"goal": "greet", "quote": "hola", "evidence": "quote"})


@pytest.fixture
async def line(database: Database, keyring: Keyring) -> AsyncIterator[Service]:
    """A service with one live line."""
    async with service(database, keyring) as ready:
        yield ready


async def line_id(line: Service) -> UUID:
    """The id of the school's line."""
    async with line.database.school(line.school_id) as session:
        return (await session.scalars(select(Line.id))).one()


async def give(line: Service, *, scenario: str = GIVEN, to_class: UUID | None = None, began_days_ago: int = 0) -> None:
    """Assigns a scene for a week from today on, or since some days ago, to the line's callers or to a class."""
    today = datetime.now(ZoneInfo("Europe/Madrid")).date()
    starts_on = today - timedelta(days=began_days_ago)
    async with line.database.school(line.school_id) as session:
        await assignments.add(
            session,
            line.school_id,
            scenario=scenario,
            line_id=await line_id(line) if to_class is None else None,
            class_id=to_class,
            starts_on=starts_on,
            ends_on=starts_on + timedelta(days=6),
        )


async def first(line: Service, sid: str) -> tuple[str, str]:
    """The scene behind key 1 of a new call, and what the menu says."""
    script = await line.told("/twilio/voice", CallSid=sid)
    return MenuRecord.read((await line.row(sid)).menu).scenarios[0], spoken(script)


async def play(line: Service, learner_id: UUID, scenario: str, *, completed: bool) -> None:
    """A call of the learner in a scene."""
    async with line.database.school(line.school_id) as session:
        call = await calls.open_call(
            session,
            school_id=line.school_id,
            line_id=await line_id(line),
            carrier_sid=f"CA{scenario}{completed}",
            account_sid="AC1",
            max_calls=100,
            learner_id=learner_id,
        )
        await calls.begin(session, call.id, scenario=scenario, level="A1")
        await calls.connected(session, call.id)
        await endings.finish(session, call.id, Ending("role", completed=completed))


async def test_an_assigned_scene_is_key_one_until_it_was_completed(line: Service) -> None:
    """Whatever else would fit better: a try that left it open keeps it first, a success gives way to the rest."""
    learner = await line.enrolled()
    await play(line, learner, "cafe_order", completed=False)
    assert (await first(line, "CAbefore"))[0] != GIVEN
    await give(line)
    scene, said = await first(line, "CAgiven")
    assert scene == GIVEN
    assert EN.say("assigned.preview") in said
    assert EN.scenes[GIVEN].title in said
    await play(line, learner, GIVEN, completed=False)
    assert (await first(line, "CAtried"))[0] == GIVEN
    await play(line, learner, GIVEN, completed=True)
    scene, said = await first(line, "CAdone")
    assert scene != GIVEN
    assert MenuRecord.read((await line.row("CAdone")).menu).assigned == ()
    assert EN.say("assigned.preview") not in said


async def test_a_success_before_its_days_does_not_count(line: Service) -> None:
    """Whoever did the scene earlier has it all the same, and once its days are over it is nobody's."""
    learner = await line.enrolled()
    await play(line, learner, GIVEN, completed=True)
    async with line.database.school(line.school_id) as session:
        earlier = datetime.now(UTC) - timedelta(days=30)
        await session.execute(update(Call).values(started_at=earlier, connected_at=earlier, ended_at=earlier))
    await give(line)
    assert (await first(line, "CAnow"))[0] == GIVEN


async def test_assignments_that_are_over_change_nothing(line: Service) -> None:
    """After its last day the scene is where it would be anyway."""
    await line.enrolled()
    await give(line, began_days_ago=8)
    assert (await first(line, "CAlate"))[0] == SCENES[0]


async def test_newcomers_and_guests_have_the_lines_scene(line: Service) -> None:
    """Who calls a class's line for the first time begins with what the class was given."""
    await give(line)
    scene, said = await first(line, "CAnew")
    assert scene == GIVEN
    assert EN.say("assigned.preview") in said


async def test_a_class_scene_is_its_learners(line: Service) -> None:
    """Of two learners of one line the one in the class has it, the other has not."""
    ana, luis = await line.enrolled(), await line.enrolled("+34600111223")
    async with line.database.school(line.school_id) as session:
        made = await classes.add(session, line.school_id, "4B")
        await classes.enrol(session, line.school_id, made.id, ana)
    await give(line, to_class=made.id)
    assert (await first(line, "CAana"))[0] == GIVEN
    await line.told("/twilio/voice", CallSid="CAluis", From="+34600111223")
    assert MenuRecord.read((await line.row("CAluis")).menu).scenarios[0] == SCENES[0]
    assert (await line.row("CAluis")).learner_id == luis


async def test_a_scene_the_line_does_not_have_is_left_out(line: Service) -> None:
    """A class may have been given more than this line can play."""
    await line.enrolled()
    await give(line, scenario="hotel_checkin")
    assert (await first(line, "CAother"))[0] == SCENES[0]


@pytest.mark.parametrize("native", CATALOGUE.natives, ids=lambda language: language.tag)
def test_the_menu_stays_short(native: object) -> None:
    """In every language the opening with an assigned scene keeps to a prompt's length, where it does without one."""
    tag = getattr(native, "tag", "")
    target = "en" if not tag.startswith("en") else "es"
    scenes = tuple(sorted(CATALOGUE.offers(CATALOGUE.language(tag), CATALOGUE.language(target)) - {"free_talk"}))
    for scene in scenes:
        order = (scene, *(other for other in scenes if other != scene))[:4]
        record = MenuRecord(tag, "School", True, order, True, False, "A1", target=target)
        plain, given = (
            estimate_s(step.says)
            for assigned in ((), (scene,))
            if isinstance(
                step := MenuRecord.read({**record.write(), "assigned": list(assigned)}).at(CATALOGUE).step, Ask
            )
        )
        assert given <= max(plain, PROMPT_LIMIT_S), scene


@pytest.mark.parametrize("known", [True, False], ids=["a learner", "a guest"])
async def test_the_key_that_is_told_at_the_end_is_the_next_menu_s(line: Service, known: bool) -> None:
    """What was given goes before: the key of any other scene moves, in the wrap-up, in the text and on the page."""
    if known:
        await line.enrolled()
    caller = {} if known else {"From": "anonymous"}
    await line.told("/twilio/voice", **caller)
    row = await line.row()
    await give(line)
    async with line.database.school(line.school_id) as session:
        await calls.begin(session, row.id, scenario="cafe_order", level="A1")
        await calls.connected(session, row.id)
        await endings.finish(session, row.id, Ending("role", events=[GREETED]))
    async with line.database.school(line.school_id) as session:
        call = await calls.get(session, row.id)
        assert call is not None
        told = await closing(session, CATALOGUE, call, MenuRecord.read(call.menu))
        closed = await closed_call(session, CATALOGUE, row.id)
        assert closed is not None
        learner = await learners.get(session, call.learner_id) if call.learner_id is not None else None
        texted = await scenes_to_come(session, closed.line, CATALOGUE, learner, target="es")
    assert told is not None
    await line.told("/twilio/voice", CallSid="CAnext", **caller)
    menu = MenuRecord.read((await line.row("CAnext")).menu).scenarios
    assert texted == menu
    assert menu[0] == GIVEN
    key = str(menu.index("cafe_order") + 1)
    assert EN.say("wrapup.key", key=key) in [said.text for said in told.lines]
