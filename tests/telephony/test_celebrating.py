"""What was achieved is said at the end of the call that achieved it: once, without writing, and never after trouble."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID
from xml.etree import ElementTree as ET

import pytest
from sqlalchemy import func, select

from db import achievements, calls, chains, endings, lines, observations
from db.endings import Ending, NewEvent
from db.engine import Database
from db.keyring import Keyring
from db.models_learning import Achievement, Observation
from tests.db.learning_rows import observation
from tests.telephony.school_line import LINE, Service, service, spoken
from tutor.learning.achievements import told
from tutor.script.catalogue import load

EN = load().language("en")
GOALS = ("greet", "order_drink", "detail", "price", "goodbye")
HINT = NewEvent(3_000, "hint", {"goal": "price", "rung": 0})
FIRST, SOLO, EXPERT = (told(name, EN) for name in ("first_scene", "solo_flight", "coffee_expert"))


@pytest.fixture
async def line(database: Database, keyring: Keyring) -> AsyncIterator[Service]:
    """A line that sends no texts, so that nobody is asked about them, with a learner who knows it."""
    async with service(database, keyring, texts=False) as ready:
        await ready.enrolled()
        yield ready


async def ended(line: Service, sid: str, *, events: tuple[NewEvent, ...] = (HINT,), goals: Any = GOALS) -> UUID:
    """A scene that was played to its end by the learner, who is still there."""
    await line.told("/twilio/voice", CallSid=sid)
    row = await line.row(sid)
    reached = [NewEvent(2_000, "goal", {"goal": goal, "quote": "", "evidence": "quote"}) for goal in goals]
    async with line.database.school(line.school_id) as session:
        await calls.begin(session, row.id, scenario="cafe_order", level="A1")
        await calls.connected(session, row.id)
        await endings.finish(session, row.id, Ending("role", events=[*reached, *events], completed=True))
    return row.id


async def after(line: Service, sid: str) -> ET.Element:
    """What the carrier is told when the media have ended."""
    return await line.told("/twilio/after", CallSid=sid)


async def learnt(line: Service, call_id: UUID, *names: str, **changes: Any) -> None:
    """Keeps a call, and what was achieved with it, as the job after it does."""
    async with line.database.school(line.school_id) as session:
        call = await calls.get(session, call_id)
        assert call is not None
        assert call.learner_id is not None
        kept = observation(line.school_id, call_id, call.learner_id, hints=1, at=call.connected_at, **changes)
        assert await observations.put(session, kept)
        await achievements.put(
            session,
            school_id=line.school_id,
            learner_id=call.learner_id,
            call_id=call_id,
            achievements=names,
            at=datetime.now(UTC),
        )


async def written(line: Service) -> tuple[int, int]:
    """How many achievements and observations are kept."""
    async with line.database.school(line.school_id) as session:
        counted = [
            await session.scalar(select(func.count()).select_from(table)) for table in (Achievement, Observation)
        ]
    return counted[0] or 0, counted[1] or 0


async def test_what_a_call_achieved_is_said_at_its_end_and_never_again(line: Service) -> None:
    """After the praise, before the job; the same to a request that comes twice or late; not at the next call's end."""
    call_id = await ended(line, "CAone")
    script = await after(line, "CAone")
    assert spoken(script).startswith(f"{EN.say('wrapup.praise_all')} | {FIRST} | ")
    assert spoken(script).count(FIRST) == 1
    assert await written(line) == (0, 0), "the end of a call keeps nothing"
    await learnt(line, call_id, "first_scene")
    assert ET.tostring(await after(line, "CAone")) == ET.tostring(script)
    await ended(line, "CAtwo")
    again = spoken(await after(line, "CAtwo"))
    assert EN.say("wrapup.praise_all") in again
    assert FIRST not in again


async def test_the_tenth_coffee_is_said_with_the_tenth(line: Service) -> None:
    """From nine calls that were kept and the one that has just ended; eight and one are nine."""
    for number in range(9):
        sid = f"CA{number}"
        call_id = await ended(line, sid)
        await learnt(line, call_id, *(["first_scene"] if number == 0 else []))
    assert EXPERT not in spoken(await after(line, sid)), "nine, the last of them kept"
    await ended(line, "CAtenth")
    assert EXPERT in spoken(await after(line, "CAtenth"))


async def test_of_several_the_most_telling_is_said(line: Service) -> None:
    """A first scene without a hint is two achievements; one is heard, the page has both."""
    await ended(line, "CAone", events=())
    heard = spoken(await after(line, "CAone"))
    assert SOLO in heard
    assert FIRST not in heard


@pytest.mark.parametrize(
    "trouble",
    [
        NewEvent(25_000, "safe_exit", {}),
        NewEvent(25_000, "safety", {"action": "care", "category": "self_harm", "source": "words", "rule": "x"}),
        NewEvent(25_000, "safety", {"action": "stop", "category": "abuse", "source": "words", "rule": "x"}),
    ],
)
async def test_after_trouble_nothing_is_celebrated(line: Service, trouble: NewEvent) -> None:
    """Even where the scene itself came to its end."""
    await ended(line, "CAone", events=(HINT, trouble))
    heard = spoken(await after(line, "CAone"))
    assert EN.say("wrapup.praise_all") in heard
    assert FIRST not in heard


async def test_a_scene_that_was_not_reached_is_none(line: Service) -> None:
    """One goal is no scene."""
    await ended(line, "CAone", goals=("greet",))
    assert FIRST not in spoken(await after(line, "CAone"))


async def test_a_child_hears_it_too(database: Database, keyring: Keyring) -> None:
    """On a line for children, in the child's language."""
    async with service(database, keyring, texts=False) as line:
        async with database.school(line.school_id) as session:
            row = await lines.by_number(session, LINE)
            assert row is not None
            await lines.update(session, row.id, kids=True)
        await line.enrolled()
        await ended(line, "CAone")
        assert FIRST in spoken(await after(line, "CAone"))


async def test_what_went_before_in_a_play_counts_once(line: Service) -> None:
    """What was kept of the call that this one went on with is not a call of its own."""
    first = await ended(line, "CAfirst", goals=())
    second = await ended(line, "CAsecond")
    await learnt(line, first)
    async with line.database.school(line.school_id) as session:
        before, call = await calls.get(session, first), await calls.get(session, second)
        assert before is not None
        assert call is not None
        assert call.learner_id is not None
        assert len(await observations.before(session, call, call.learner_id, "es")) == 1
        await chains.join(session, second, before)
        session.expire_all()
        joined = await calls.get(session, second)
        assert joined is not None
        assert await observations.before(session, joined, call.learner_id, "es") == []


async def test_another_language_s_calls_do_not_count(line: Service) -> None:
    """Nine coffees in French and one in Spanish are one in Spanish."""
    for number in range(9):
        await learnt(line, await ended(line, f"CA{number}"), target="fr")
    await ended(line, "CAspanish")
    assert EXPERT not in spoken(await after(line, "CAspanish"))
