"""How sure a learner feels, asked by keypad after a call; and whether they want the next level, asked before one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID
from xml.etree import ElementTree as ET

import pytest
from sqlalchemy import select, text

from db import calls, endings, ratings
from db.endings import Ending
from db.engine import Database
from db.keyring import Keyring
from db.models import Learner
from db.models_learning import ConfidenceAnswer
from rehearsal import twiml as strict
from telephony.ivr.steps import PROMPT_LIMIT_S
from tests.telephony.school_line import CALL, Service, service, spoken, verbs
from tutor.learning.placement import Rating, middle
from tutor.learning.said import estimate_s
from tutor.script.catalogue import load
from tutor.script.language import Language

EN = load().language("en")
LANGUAGES = load().natives
QUESTION = EN.say("callers.confidence", target="Spanish")
THANKS = f"{EN.say('callers.confidence_thanks')} | {EN.say('after.goodbye')}"
SURE = Rating(
    theta=0.5, level="A2", calls=8, experience=8, above=2, since_step=4, rated_at=datetime(2026, 11, 1, tzinfo=UTC)
)


@pytest.fixture
async def line(database: Database, keyring: Keyring) -> AsyncIterator[Service]:
    """A service with one live line, which sends no texts."""
    async with service(database, keyring, texts=False) as ready:
        yield ready


async def talked(line: Service, sid: str = CALL, ending: Ending | None = None, **caller: str) -> None:
    """A call that reached its scene and came to an end, while the caller is still there."""
    _, serving = line.stream(await line.chosen(CallSid=sid, **caller), callSid=sid)
    await line.is_answering()
    row = await line.row(sid)
    async with line.database.school(line.school_id) as session:
        await endings.finish(session, row.id, ending or Ending("role", completed=True))
    serving.cancel()


async def kept(line: Service) -> list[tuple[int, str]]:
    """The answers that the database holds."""
    async with line.database.school(line.school_id) as session:
        rows = await session.scalars(select(ConfidenceAnswer).order_by(ConfidenceAnswer.at))
        return [(row.answer, row.asked_because) for row in rows]


async def days_ago(line: Service, days: int) -> None:
    """Lets every call so far have been that many days earlier."""
    async with line.database.anyone() as session:
        await session.execute(text("RESET ROLE"))
        await session.execute(
            text("UPDATE calls SET started_at = started_at - make_interval(days => :days)"), {"days": days}
        )


# --- how sure a learner feels


async def test_asked_after_the_first_call(line: Service) -> None:
    """After the wrap-up, which keys do not cut short, a learner is asked for a key from 1 to 5."""
    await talked(line)
    script = await line.told("/twilio/after")
    assert verbs(script)[-2:] == ["Gather", "Redirect"]
    gather = script.find("Gather")
    assert gather is not None
    assert spoken(gather) == QUESTION
    assert gather.attrib["action"] == script[-1].text == "/twilio/confidence"
    assert EN.say("wrapup.bye") not in spoken(script), "nobody says good-bye before a question"
    assert [found for found in strict.parse(ET.tostring(script), "text/xml").findings if found.code] == []


@pytest.mark.parametrize("digits", ["1", "3", "5"])
async def test_an_answer_is_kept_once(line: Service, digits: str) -> None:
    """The answer is kept with its reason; repeated and simultaneous requests are given the same words."""
    await talked(line)
    await line.told("/twilio/after")
    assert spoken(await line.told("/twilio/confidence", Digits=digits)) == THANKS
    again = await asyncio.gather(*(line.post("/twilio/confidence", Digits="2") for _ in range(4)))
    assert len({answer.content for answer in again}) == 1
    assert spoken(ET.fromstring(again[0].content)) == THANKS
    assert await kept(line) == [(int(digits), "first")]


@pytest.mark.parametrize("digits", ["", "0", "6", "9", "*", "#", None])
async def test_it_can_be_skipped(line: Service, digits: str | None) -> None:
    """Silence and any other key keep nothing, and the call ends kindly."""
    await talked(line)
    await line.told("/twilio/after")
    fields = {} if digits is None else {"Digits": digits}
    script = await line.told("/twilio/confidence", **fields)
    assert (verbs(script), spoken(script)) == (["Say", "Hangup"], EN.say("after.goodbye"))
    assert await kept(line) == []


async def test_not_asked_after_the_second_call(line: Service) -> None:
    """Whoever has talked before is not asked, whether they answered or not."""
    await talked(line)
    await talked(line, "CAsecond")
    assert QUESTION not in spoken(await line.told("/twilio/after", CallSid="CAsecond"))


async def test_asked_again_from_day_14_on(line: Service) -> None:
    """The first call after two weeks asks once more, the one after it does not."""
    await talked(line)
    await line.told("/twilio/confidence", Digits="2")
    await days_ago(line, 13)
    await talked(line, "CAsecond")
    assert QUESTION not in spoken(await line.told("/twilio/after", CallSid="CAsecond"))
    await days_ago(line, 2)
    await talked(line, "CAthird")
    assert QUESTION in spoken(await line.told("/twilio/after", CallSid="CAthird"))
    await line.told("/twilio/confidence", CallSid="CAthird", Digits="4")
    await talked(line, "CAfourth")
    assert QUESTION not in spoken(await line.told("/twilio/after", CallSid="CAfourth"))
    assert await kept(line) == [(2, "first"), (4, "later")]


async def test_guests_are_not_asked(line: Service) -> None:
    """Without a learner there is nobody whose answer it would be."""
    await talked(line, From="anonymous")
    assert verbs(await line.told("/twilio/after", From="anonymous"))[-1] == "Hangup"
    await line.told("/twilio/confidence", From="anonymous", Digits="3")
    assert await kept(line) == []


@pytest.mark.parametrize("reason", ["safe_exit", "model_lost", "line_lost"])
async def test_not_after_trouble(line: Service, reason: str) -> None:
    """Whoever left because something was wrong, or was cut off, is not asked."""
    await talked(line, ending=Ending(reason))
    assert QUESTION not in spoken(await line.told("/twilio/after"))


async def test_children_are_asked_in_words_for_children(database: Database, keyring: Keyring) -> None:
    """On a line for children the question has no school words, and no texts are offered before it."""
    async with service(database, keyring) as line:
        async with line.database.anyone() as session:
            await session.execute(text("RESET ROLE"))
            await session.execute(text("UPDATE lines SET kids = true"))
        await talked(line)
        assert EN.say("callers.confidence_child", target="Spanish") in spoken(await line.told("/twilio/after"))


async def test_texts_are_asked_about_first(database: Database, keyring: Keyring) -> None:
    """Where both are due, the question about texts comes first, and its answer leads to this one."""
    async with service(database, keyring) as line:
        await talked(line)
        assert QUESTION not in spoken(await line.told("/twilio/after"))
        script = await line.told("/twilio/consent?step=1", Digits="2")
        assert spoken(script) == f"{EN.say('consent.no')} | {QUESTION}"
        await line.told("/twilio/confidence", Digits="4")
        assert await kept(line) == [(4, "first")]


@pytest.mark.parametrize("native", LANGUAGES, ids=lambda language: language.tag)
def test_the_questions_are_short(native: Language) -> None:
    """In every language each question, also after a wrong key, is no longer than any prompt may be."""
    names = [native.name_of(target.tag) for target in load().targets]
    for key in ("confidence", "confidence_child"):
        assert max(estimate_s([native.say(f"callers.{key}", target=name)]) for name in names) <= PROMPT_LIMIT_S
    assert estimate_s([native.say("menu.wrong_key"), native.say("callers.bigger")]) <= PROMPT_LIMIT_S


# --- a bigger challenge


async def rated(line: Service, rating: Rating, **changes: Any) -> UUID:
    """A learner who is known at this number, and where they stand."""
    whose = await line.enrolled(**{"level": rating.level, **changes})
    async with line.database.school(line.school_id) as session:
        await ratings.put(session, school_id=line.school_id, learner_id=whose, target="es", rating=rating)
    return whose


async def now(line: Service, whose: UUID) -> tuple[Rating, str]:
    """Where a learner stands, and their level."""
    async with line.database.school(line.school_id) as session:
        rating, learner = await ratings.get(session, whose, "es"), await session.get(Learner, whose)
    assert rating is not None
    assert learner is not None
    return rating, learner.level


async def test_whoever_is_ready_is_asked_before_the_scene(line: Service) -> None:
    """A yes is kept, and the scene begins on the new level at once."""
    whose = await rated(line, SURE)
    await line.told("/twilio/voice")
    script = await line.told("/twilio/menu?step=1", Digits="1")
    assert spoken(script) == EN.say("callers.bigger")
    script = await line.told("/twilio/menu?step=2", Digits="1")
    assert spoken(script).startswith(EN.say("callers.bigger_yes"))
    await line.told("/twilio/menu?step=3", Digits="1")
    rating, level = await now(line, whose)
    assert (rating.level, level, rating.ready_for) == ("B1", "B1", None)
    row = await line.row()
    assert (row.state, row.level) == ("connecting", "B1")


@pytest.mark.parametrize("digits", ["2", ""])
async def test_whoever_stays_is_not_asked_again_at_once(line: Service, digits: str) -> None:
    """A no, and silence, are kept: the scene begins on the same level, and the next call does not ask."""
    whose = await rated(line, SURE)
    await line.told("/twilio/voice")
    await line.told("/twilio/menu?step=1", Digits="1")
    await line.told("/twilio/menu?step=2", Digits=digits)
    await line.told("/twilio/menu?step=2", Digits="1")
    rating, level = await now(line, whose)
    assert (rating.level, level, rating.since_stay) == ("A2", "A2", 0)
    await line.told("/twilio/voice", CallSid="CAsecond")
    assert (await line.row("CAsecond")).menu["bigger"] is None


async def test_whoever_is_not_ready_is_not_asked(line: Service) -> None:
    """Without the rating's word for it nobody is asked, and the call has the rating's level."""
    await rated(line, Rating(theta=middle("B1"), level="B1"), level="A1")
    await line.told("/twilio/voice")
    record = (await line.row()).menu
    assert (record["bigger"], record["level"]) == (None, "B1")


async def test_a_grade_is_not_outgrown_by_a_key(database: Database, keyring: Keyring) -> None:
    """A child whose grade gives the level is not asked: the grade stays what it is."""
    async with service(database, keyring, texts=False) as line:
        async with line.database.anyone() as session:
            await session.execute(text("RESET ROLE"))
            await session.execute(text("UPDATE lines SET kids = true"))
        await rated(line, SURE, settings={"grade": "5"})
        await line.told("/twilio/voice")
        assert (await line.row()).menu["bigger"] is None


async def test_a_call_that_ended_is_not_rated_by_its_caller(line: Service) -> None:
    """An answer that comes when the call is over changes nothing."""
    whose = await rated(line, SURE)
    await line.told("/twilio/voice")
    await line.told("/twilio/menu?step=1", Digits="1")
    await line.post("/twilio/status", CallStatus="completed", SequenceNumber="1")
    await line.told("/twilio/menu?step=2", Digits="1")
    assert (await now(line, whose))[1] == "A2"
    async with line.database.school(line.school_id) as session:
        assert await calls.get(session, (await line.row()).id) is not None
