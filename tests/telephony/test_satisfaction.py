"""How the practice was, asked at the end of some calls that went well: never a second question, never of children."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from itertools import count
from typing import Any
from uuid import uuid4
from xml.etree import ElementTree as ET

import pytest
from sqlalchemy import select, text
from structlog.testing import capture_logs

from db import consents, endings, flags, guardians
from db.endings import Ending
from db.engine import Database
from db.keyring import Keyring
from db.models_learning import SatisfactionQuestion
from rehearsal import twiml as strict
from telephony.ivr.steps import PROMPT_LIMIT_S
from telephony.twilio.satisfaction import ONE_IN, sampled
from tests.telephony.school_line import CALLER, Service, service, spoken, verbs
from tutor.learning.said import estimate_s
from tutor.script.catalogue import load
from tutor.script.language import Language

EN = load().language("en")
LANGUAGES = load().natives
QUESTION = EN.say("satisfaction.ask")
GOODBYE = EN.say("after.goodbye")
THANKS = f"{EN.say('satisfaction.thanks')} | {GOODBYE}"

CHOSEN, CHOSEN_TOO, *_ = (sid for sid in (f"CA{number:032d}" for number in range(200)) if sampled(sid))
NOT_CHOSEN = next(sid for sid in (f"CA{number:032d}" for number in count(1)) if not sampled(sid))


@pytest.fixture
async def line(database: Database, keyring: Keyring) -> AsyncIterator[Service]:
    """A service with one live line, which sends no texts, and whose caller has been asked how sure they feel."""
    async with service(database, keyring, texts=False) as ready:
        await talked(ready, "CAfirst")
        yield ready


async def talked(line: Service, sid: str = CHOSEN, ending: Ending | None = None, **caller: str) -> None:
    """A call that reached its scene and came to an end, while the caller is still there."""
    _, serving = line.stream(await line.chosen(CallSid=sid, **caller), callSid=sid)
    await line.is_answering()
    row = await line.row(sid)
    async with line.database.school(line.school_id) as session:
        await endings.finish(session, row.id, ending or Ending("role", completed=True))
    serving.cancel()


async def after(line: Service, sid: str = CHOSEN, **fields: str) -> ET.Element:
    """What a caller hears when their scene is over."""
    return await line.told("/twilio/after", CallSid=sid, **fields)


async def rates(line: Service, sid: str = CHOSEN, **fields: str) -> ET.Element:
    """What a caller hears who has answered."""
    return await line.told("/twilio/satisfaction", CallSid=sid, **fields)


async def kept(line: Service) -> list[tuple[bool, int | None]]:
    """Who was asked (whether it was somebody who is known), and what they answered."""
    async with line.database.school(line.school_id) as session:
        rows = await session.scalars(select(SatisfactionQuestion).order_by(SatisfactionQuestion.asked_at))
        return [(row.learner_id is not None, row.answer) for row in rows]


async def changed(line: Service, statement: str) -> None:
    """Changes rows past row-level security."""
    async with line.database.anyone() as session:
        await session.execute(text("RESET ROLE"))
        await session.execute(text(statement))


# --- which calls are chosen


def test_one_call_in_ten_is_chosen_by_its_name() -> None:
    """The same call is chosen or not, however often one looks; of many, a tenth are."""
    names = [f"CA{number:032x}" for number in range(20_000)]
    chosen = [name for name in names if sampled(name)]
    assert chosen == [name for name in names if sampled(name)]
    assert ONE_IN == 10
    assert len(chosen) == pytest.approx(2_000, rel=0.1)


# --- asked


async def test_asked_after_the_wrap_up(line: Service) -> None:
    """One prompt that a key answers follows the wrap-up, which keys do not cut short; the goodbye waits."""
    await talked(line)
    script = await after(line)
    assert verbs(script)[-2:] == ["Gather", "Redirect"]
    gather = script.find("Gather")
    assert gather is not None
    assert spoken(gather) == QUESTION
    assert gather.attrib["numDigits"] == "1"
    assert gather.attrib["action"] == script[-1].text == "/twilio/satisfaction"
    assert EN.say("wrapup.bye") not in spoken(script), "nobody says good-bye before a question"
    assert [found for found in strict.parse(ET.tostring(script), "text/xml").findings if found.code] == []


@pytest.mark.parametrize("digits", ["1", "3", "5"])
async def test_an_answer_is_kept_once(line: Service, digits: str) -> None:
    """Repeated and simultaneous requests are given the same words; the first answer stays, in one row."""
    await talked(line)
    first = await asyncio.gather(*(line.post("/twilio/after", CallSid=CHOSEN) for _ in range(4)))
    assert len({answer.content for answer in first}) == 1
    assert spoken(await rates(line, Digits=digits)) == THANKS
    again = await asyncio.gather(*(line.post("/twilio/satisfaction", CallSid=CHOSEN, Digits="2") for _ in range(4)))
    assert {spoken(ET.fromstring(answer.content)) for answer in again} == {THANKS}
    assert await kept(line) == [(True, int(digits))]
    assert spoken(await after(line)) == spoken(ET.fromstring(first[0].content))


@pytest.mark.parametrize("digits", ["", "0", "6", "9", "*", "#", None])
async def test_it_can_be_ignored(line: Service, digits: str | None) -> None:
    """Silence and any other key keep no answer and are not asked again: the usual goodbye ends the call."""
    await talked(line)
    await after(line)
    script = await rates(line, **({} if digits is None else {"Digits": digits}))
    assert (verbs(script), spoken(script)) == (["Say", "Hangup"], GOODBYE)
    assert await kept(line) == [(True, None)]


async def test_whoever_hangs_up_is_left_in_peace(line: Service) -> None:
    """The carrier's last report closes nothing twice, and leaves a question without an answer."""
    await talked(line)
    await after(line)
    await line.post("/twilio/status", CallSid=CHOSEN, CallStatus="completed", SequenceNumber="1", CallDuration="90")
    assert await kept(line) == [(True, None)]


async def test_a_guest_may_be_asked(line: Service) -> None:
    """Of a withheld number the answer is kept, and nobody with it."""
    await talked(line, From="anonymous")
    assert QUESTION in spoken(await after(line, From="anonymous"))
    assert spoken(await rates(line, From="anonymous", Digits="4")) == THANKS
    assert await kept(line) == [(False, 4)]


async def test_a_wish_to_end_is_no_trouble(line: Service) -> None:
    """Whoever ended the scene by key is asked as well."""
    await talked(line, ending=Ending("key"))
    assert QUESTION in spoken(await after(line))


# --- not asked


async def not_asked(line: Service, sid: str = CHOSEN, **fields: str) -> None:
    """Nothing is asked after the call, nothing was written down, and an answer all the same is not kept."""
    before = await kept(line)
    assert QUESTION not in spoken(await after(line, sid, **fields))
    await rates(line, sid, Digits="5", **fields)
    assert await kept(line) == before


async def test_not_after_a_call_that_was_not_chosen(line: Service) -> None:
    """Nine calls of ten end as ever."""
    await talked(line, NOT_CHOSEN)
    assert verbs(await after(line, NOT_CHOSEN))[-1] == "Hangup"
    await not_asked(line, NOT_CHOSEN)


@pytest.mark.parametrize(
    "reason", ["safe_exit", "safety", "model_lost", "line_lost", "silence", "time", "turned_away", "caller_hung_up"]
)
async def test_not_after_another_end(line: Service, reason: str) -> None:
    """Only the role's good-bye and the caller's own wish are good ends."""
    await talked(line, ending=Ending(reason, completed=True))
    await not_asked(line)


async def test_not_after_a_menu(line: Service) -> None:
    """Whoever never reached a scene has no practice to speak of."""
    await line.told("/twilio/voice", CallSid=CHOSEN)
    await not_asked(line)


async def test_not_after_a_flag(line: Service) -> None:
    """A call that people must look at is not asked about, however it ended."""
    await talked(line, ending=Ending("role", flags=[flags.NewFlag.key(5)]))
    await not_asked(line)


@pytest.mark.parametrize("setting", ["kids = true", "minors = '13+'", "minors = 'under13'"])
async def test_never_on_a_line_with_minors(database: Database, keyring: Keyring, setting: str) -> None:
    """Neither on a line for children nor on one for adolescents."""
    async with service(database, keyring, texts=False) as line:
        await talked(line, "CAfirst")
        await talked(line)
        await changed(line, f"UPDATE lines SET {setting}")
        await not_asked(line)


async def test_never_of_whoever_has_a_guardian(line: Service) -> None:
    """A minor on a line for adults is one still."""
    await talked(line)
    learner_id = (await line.row(CHOSEN)).learner_id
    assert learner_id is not None
    async with line.database.school(line.school_id) as session:
        ids = {"school_id": line.school_id, "learner_id": learner_id}
        await guardians.put(session, line.keyring, **ids, number="+34600000077", consent="form 2026-09")
    await not_asked(line)


async def test_not_twice_within_thirty_days(line: Service) -> None:
    """A learner who was asked is left alone for thirty days, whether they answered or not."""
    await talked(line)
    assert QUESTION in spoken(await after(line))
    await talked(line, CHOSEN_TOO)
    await not_asked(line, CHOSEN_TOO)
    await changed(line, "UPDATE satisfaction_questions SET asked_at = asked_at - interval '31 days'")
    assert QUESTION in spoken(await after(line, CHOSEN_TOO))


async def test_not_beside_the_question_about_confidence(database: Database, keyring: Keyring) -> None:
    """A first call asks how sure somebody feels, and nothing else, also when the carrier asks again."""
    async with service(database, keyring, texts=False) as line:
        await talked(line)
        asked = spoken(await after(line))
        assert EN.say("callers.confidence", target="Spanish") in asked
        assert QUESTION not in asked
        await line.told("/twilio/confidence", CallSid=CHOSEN, Digits="3")
        await not_asked(line)


async def test_not_after_an_answer_about_texts_in_the_menu(database: Database, keyring: Keyring) -> None:
    """A call whose menu asked about texts, and was told, asks nothing at its end."""
    async with service(database, keyring) as line:
        await talked(line, "CAfirst")
        await talked(line)
        async with line.database.school(line.school_id) as session:
            assert await consents.answer_of(session, CHOSEN) is True
        await not_asked(line)


async def test_not_beside_the_question_about_texts(database: Database, keyring: Keyring) -> None:
    """Whoever is asked about texts is asked nothing more, whatever they answer, also when the carrier asks again."""
    async with service(database, keyring, texts=False) as line:
        await talked(line, "CAfirst")
        await talked(line)
        await changed(line, "UPDATE lines SET texts = true")
        assert EN.say("consent.ask") in spoken(await after(line))
        assert QUESTION not in spoken(await line.told("/twilio/consent?step=1", CallSid=CHOSEN, Digits="2"))
        await not_asked(line)


async def test_not_beside_the_question_about_the_next_level(line: Service) -> None:
    """A call whose menu asked whether the caller wants the next level asks nothing at its end."""
    await talked(line)
    await changed(line, "UPDATE calls SET menu = jsonb_set(menu, '{bigger}', '\"A2\"')")
    await not_asked(line)


async def test_another_school_s_call_is_not_answered_for(line: Service) -> None:
    """Whoever signs for another account, or names a call nobody has, keeps no answer."""
    await talked(line)
    await after(line)
    assert (await line.post("/twilio/satisfaction", CallSid=CHOSEN, token="stolen", Digits="1")).status_code == 403
    await line.post("/twilio/satisfaction", CallSid=f"CA{uuid4().hex}", Digits="1")
    assert await kept(line) == [(True, None)]


# --- the words


async def test_neither_number_nor_answer_is_in_a_log(line: Service, caplog: pytest.LogCaptureFixture) -> None:
    """The log says that an answer was kept, of which call, and not which."""
    await talked(line)
    with caplog.at_level(logging.DEBUG), capture_logs() as logs:
        await after(line)
        await rates(line, Digits="2")
    (event,) = [entry for entry in logs if entry["event"] == "satisfaction_kept"]
    assert event == {"event": "satisfaction_kept", "call": CHOSEN, "log_level": "info"}
    shown = caplog.text + str(logs)
    assert CALLER not in shown
    assert CALLER[1:] not in shown


@pytest.mark.parametrize("native", LANGUAGES, ids=lambda language: language.tag)
def test_the_question_is_short(native: Language) -> None:
    """In every language it takes half of what a prompt may, and the thanks with the goodbye no longer."""
    assert estimate_s([native.say("satisfaction.ask")]) <= PROMPT_LIMIT_S / 2
    assert estimate_s([native.say("satisfaction.thanks"), native.say("after.goodbye")]) <= PROMPT_LIMIT_S / 2


@pytest.mark.parametrize("native", LANGUAGES, ids=lambda language: language.tag)
def test_every_language_has_words_of_its_own(native: Language) -> None:
    """No language borrows the sentence of another; a region may lay its own over it."""
    others: dict[str, Any] = {one.tag: one.say("satisfaction.ask") for one in LANGUAGES}
    same = {tag for tag, said in others.items() if said == native.say("satisfaction.ask")}
    assert {tag.partition("-")[0] for tag in same} == {native.tag.partition("-")[0]}
