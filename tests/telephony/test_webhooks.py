"""Calls at the door and in the menu, on a real database, signed by the carrier's own library."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import func, select

from db import calls, endings, learners
from db.endings import Ending, NewEvent
from db.engine import Database
from db.keyring import Keyring
from db.models import CallerIdentity, Learner, Token
from telephony.ivr.record import MenuRecord
from tests.telephony.school_line import CALL, CALLER, Service, service, spoken, verbs
from tutor.script.catalogue import load

EN, ES = load().language("en"), load().language("es")


@pytest.fixture
async def line(database: Database, keyring: Keyring) -> AsyncIterator[Service]:
    """A service with one live line."""
    async with service(database, keyring) as ready:
        yield ready


async def learners_of(line: Service) -> list[Learner]:
    """The learners of the school."""
    async with line.database.school(line.school_id) as session:
        return list(await session.scalars(select(Learner)))


# --- at the door


async def test_first_call(line: Service) -> None:
    """A first call hears the notice with the school's name; a learner with the line's settings is made by playing."""
    script = await line.told("/twilio/voice")
    assert verbs(script) == ["Gather", "Redirect"]
    assert script[0].attrib["action"] == script[1].text == "/twilio/menu?step=1"
    assert EN.say("menu.notice", school="Colegio <Lorca> & Söhne") in spoken(script)
    assert await learners_of(line) == []
    row = await line.row()
    assert (row.state, row.step, row.learner_id, row.level) == ("menu", 1, None, "A1")
    assert [call_sid for call_sid, _ in line.prewarmed] == [CALL]
    await line.told("/twilio/menu?step=1", Digits="1")
    assert await learners_of(line) == [], "a briefing is not a scene"
    await line.told("/twilio/menu?step=2", Digits="1")
    (learner,) = await learners_of(line)
    assert (learner.native, learner.target, learner.level) == ("en", "es", "A1")
    async with line.database.school(line.school_id) as session:
        identity = (await session.scalars(select(CallerIdentity))).one()
    assert identity.number_hash == line.keyring.hash_number(CALLER)
    assert (identity.last_two, identity.number_encrypted) == (CALLER[-2:], None)
    assert (await line.row()).learner_id == learner.id


async def test_whoever_only_listens_leaves_nothing(line: Service) -> None:
    """A caller who leaves in the menu leaves no learner, and is greeted as a new one the next time."""
    await line.told("/twilio/voice")
    await line.told("/twilio/menu?step=1", Digits="9")
    await line.post("/twilio/status", CallStatus="completed", SequenceNumber="1")
    script = await line.told("/twilio/voice", CallSid="CAsecond")
    assert EN.say("menu.notice", school="Colegio <Lorca> & Söhne") in spoken(script)
    assert await learners_of(line) == []


async def test_second_call_of_the_same_number(line: Service) -> None:
    """A number from which somebody has played is welcomed back, and stays one learner."""
    await line.chosen()
    script = await line.told("/twilio/voice", CallSid="CAsecond")
    assert spoken(script).startswith(EN.say("menu.welcome_back", school="Colegio <Lorca> & Söhne"))
    await line.told("/twilio/menu?step=1", CallSid="CAsecond", Digits="1")
    await line.told("/twilio/menu?step=2", CallSid="CAsecond", Digits="2")
    assert len(await learners_of(line)) == 1


async def test_a_name_is_spoken_where_it_is_one_s_own(line: Service) -> None:
    """A learner who gave a first name is greeted by it, as long as nobody shares the telephone."""
    await line.enrolled(first_name="Ana")
    assert spoken(await line.told("/twilio/voice")).startswith(EN.say("callers.hello", name="Ana"))
    await line.enrolled()
    script = await line.told("/twilio/voice", CallSid="CAsecond")
    assert EN.say("callers.hello", name="Ana") not in spoken(script)


@pytest.mark.parametrize(
    "verdict", ["TN-Validation-Failed", "TN-Validation-Failed-A", "TN-Validation-Failed-C-Diverted"]
)
async def test_a_forged_number_opens_nobody_s_record(line: Service, verdict: str) -> None:
    """A number whose signature was found to be wrong is a guest's: no name, no record, and none is made."""
    await line.enrolled(first_name="Ana")
    script = await line.told("/twilio/voice", StirVerstat=verdict)
    assert "Ana" not in spoken(script)
    row = await line.row()
    assert (row.learner_id, row.caller_hash) == (None, None)
    await line.told("/twilio/menu?step=1", Digits="1", StirVerstat=verdict)
    await line.told("/twilio/menu?step=2", Digits="1", StirVerstat=verdict)
    assert len(await learners_of(line)) == 1


@pytest.mark.parametrize("verdict", ["", "TN-Validation-Passed-A", "TN-Validation-Passed-C", "No-TN-Validation"])
async def test_a_number_without_a_bad_verdict_identifies(line: Service, verdict: str) -> None:
    """Whether a number was checked or not, it says who is practising; it opens nothing that needs a PIN."""
    learner = await line.enrolled()
    await line.told("/twilio/voice", StirVerstat=verdict)
    assert (await line.row()).learner_id == learner


@pytest.mark.parametrize(
    ("verdict", "proven"),
    [
        ("TN-Validation-Passed-A", True),
        ("TN-Validation-Passed-A-Diverted", False),
        ("TN-Validation-Passed-B", False),
        ("No-TN-Validation", False),
        ("", False),
    ],
)
async def test_only_a_full_attestation_proves_a_number(line: Service, verdict: str, proven: bool) -> None:
    """Nothing less is more than a number that anybody could show."""
    await line.enrolled()
    await line.told("/twilio/voice", StirVerstat=verdict)
    assert MenuRecord.read((await line.row()).menu).proven is proven


@pytest.mark.parametrize("caller", ["anonymous", "", "+266696687", "client:ana", "sip:ana@example.org"])
async def test_guest(line: Service, caller: str) -> None:
    """Who withholds the number practises as a guest, and nothing is kept of them."""
    script = await line.told("/twilio/voice", From=caller)
    assert verbs(script) == ["Gather", "Redirect"]
    row = await line.row()
    assert (row.learner_id, row.caller_hash) == (None, None)
    assert await learners_of(line) == []


async def test_national_caller_id(line: Service) -> None:
    """A carrier that hands on a national number identifies the same learner as one that does not."""
    await line.chosen()
    await line.told("/twilio/voice", CallSid="CAsecond", From="600 111 222")
    assert (await line.row("CAsecond")).learner_id == (await line.row()).learner_id is not None


async def test_shared_telephone(line: Service) -> None:
    """A number that several learners share opens nobody's record before it is said who calls."""
    number_hash = line.keyring.hash_number(CALLER)
    async with line.database.school(line.school_id) as session:
        for _ in range(2):
            await learners.create_with_number(
                session,
                school_id=line.school_id,
                number_hash=number_hash,
                last_two="22",
                native="en",
                target="es",
                level="B1",
                another=True,
            )
    await line.told("/twilio/voice")
    row = await line.row()
    assert (row.learner_id, row.level) == (None, "A1")


async def test_learner_with_another_language(line: Service) -> None:
    """A known learner is spoken to in their own language, at their own level."""
    async with line.database.school(line.school_id) as session:
        await learners.create_with_number(
            session,
            school_id=line.school_id,
            number_hash=line.keyring.hash_number(CALLER),
            last_two="22",
            native="fr",
            target="es",
            level="B1",
        )
    script = await line.told("/twilio/voice")
    french = load().language("fr")
    assert french.say("menu.welcome_back", school="Colegio <Lorca> & Söhne") in spoken(script)
    assert {say.attrib["language"] for say in script.iter("Say")} == {french.say_locale}
    assert {say.attrib["voice"] for say in script.iter("Say")} == {french.say_voice}
    assert (await line.row()).level == "B1"


async def test_the_school_s_order_comes_first(line: Service) -> None:
    """Whoever has not played yet, a guest or a new caller, is offered the scenes in the order the school gave them."""
    for call, caller in (("CAnew", CALLER), ("CAguest", "anonymous")):
        await line.told("/twilio/voice", CallSid=call, From=caller)
        assert (await line.row(call)).menu["scenarios"] == ["cafe_order", "market_fruit", "bus_ticket"]


async def test_what_was_finished_is_not_recommended_again_at_once(line: Service) -> None:
    """A scene that was just finished comes after the others; all stay on offer."""
    await line.chosen()
    row = await line.row()
    async with line.database.school(line.school_id) as session:
        await calls.connected(session, row.id)
        reached = [NewEvent(1, "goal", {"goal": goal.id}) for goal in load().scenario("cafe_order").goals]
        await endings.finish(session, row.id, Ending("role", events=reached, completed=True))
    await line.told("/twilio/voice", CallSid="CAsecond")
    offered = (await line.row("CAsecond")).menu["scenarios"]
    assert offered[0] != "cafe_order"
    assert sorted(offered) == ["bus_ticket", "cafe_order", "market_fruit"]


@pytest.mark.parametrize("dialled", ["+34999999999", "", "sip:line@example.org", "anonymous"])
async def test_unknown_line(line: Service, dialled: str) -> None:
    """A number that is no line of ours is refused unanswered, and leaves no row."""
    assert verbs(await line.told("/twilio/voice", To=dialled)) == ["Reject"]
    async with line.database.anyone() as session:
        assert await calls.find(session, CALL) is None
    assert line.prewarmed == []


@pytest.mark.parametrize(
    "settings",
    [
        {"open": False},
        {"class_prompt": None},
        {"level": None},
        {"level": "Z9"},
        {"scenarios": []},
        {"scenarios": ["no_such_scene"]},
        {"target": "es-MX"},
    ],
)
async def test_closed_line(database: Database, keyring: Keyring, settings: dict[str, Any]) -> None:
    """A line that is closed or lacks a setting says so in its callers' language, and takes no slot."""
    async with service(database, keyring, **({"native": "es", "target": "en"} | settings)) as line:
        script = await line.told("/twilio/voice")
        assert verbs(script) == ["Say", "Hangup"]
        assert spoken(script) == ES.say("door.closed")
        assert await learners_of(line) == []


@pytest.mark.parametrize("native", [None, "xx"])
async def test_closed_line_without_a_language(database: Database, keyring: Keyring, native: str | None) -> None:
    """Where the callers' language is not known yet, English says it."""
    async with service(database, keyring, native=native) as line:
        assert spoken(await line.told("/twilio/voice")) == EN.say("door.closed")


async def test_busy(database: Database, keyring: Keyring) -> None:
    """Beyond the slots a call hears that all lines are busy; when one ends, the next is admitted."""
    async with service(database, keyring, change=lambda door: replace(door, max_calls=1)) as line:
        await line.told("/twilio/voice")
        script = await line.told("/twilio/voice", CallSid="CAsecond", From="+34600111333")
        assert (verbs(script), spoken(script)) == (["Say", "Hangup"], EN.say("door.busy"))
        assert await learners_of(line) == [], "a turned-away caller leaves nothing"
        await line.post("/twilio/status", CallStatus="completed", SequenceNumber="1")
        script = await line.told("/twilio/voice", CallSid="CAthird", From="+34600111333")
        assert verbs(script) == ["Gather", "Redirect"]


async def test_simultaneous_first_requests(line: Service) -> None:
    """The same first request, sent several times at once, makes one call, one warm session, one answer."""
    scripts = await asyncio.gather(*(line.post("/twilio/voice") for _ in range(5)))
    assert len({script.content for script in scripts}) == 1
    assert len(line.prewarmed) == 1


async def test_simultaneous_choices_make_one_learner(line: Service) -> None:
    """The key that begins a newcomer's first scene, sent several times at once, makes one learner."""
    await line.told("/twilio/voice")
    await line.told("/twilio/menu?step=1", Digits="1")
    scripts = await asyncio.gather(*(line.post("/twilio/menu?step=2", Digits="1") for _ in range(5)))
    assert len({script.content for script in scripts}) == 1
    assert len(await learners_of(line)) == 1


async def test_slots_are_not_oversold(database: Database, keyring: Keyring) -> None:
    """Of many calls that arrive at once exactly as many are admitted as there are slots."""
    async with service(database, keyring, change=lambda door: replace(door, max_calls=3)) as line:
        scripts = await asyncio.gather(
            *(line.told("/twilio/voice", CallSid=f"CA{n}", From=f"+3460011{n:04}") for n in range(9))
        )
        assert sum(verbs(script) == ["Gather", "Redirect"] for script in scripts) == 3


# --- the menu


async def test_choosing(line: Service) -> None:
    """Key 1 opens a stream to our own address with a one-use token, and always goes on at /twilio/after."""
    await line.told("/twilio/voice")
    await line.told("/twilio/menu?step=1", Digits="1")
    script = await line.told("/twilio/menu?step=2", Digits="1")
    assert verbs(script) == ["Connect", "Redirect"]
    (stream,) = script[0]
    assert stream.attrib == {"url": "wss://voice.example.org/twilio/media"}
    assert [parameter.attrib["name"] for parameter in stream] == ["token"]
    assert script[1].text == "/twilio/after?stream=1"
    row = await line.row()
    assert (row.state, row.scenario, row.level) == ("connecting", "cafe_order", "A1")
    assert stream[0].attrib["value"] not in str(row.menu), "what is stored does not open a stream"


async def test_a_new_scene_is_told_of_once(line: Service) -> None:
    """Who plays a scene for the first time hears of it, interruptible, in two languages; the next time it begins."""
    await line.told("/twilio/voice")
    script = await line.told("/twilio/menu?step=1", Digits="1")
    assert verbs(script) == ["Gather", "Redirect"]
    assert script[0].attrib["timeout"] == "1"
    assert {say.attrib["language"] for say in script.iter("Say")} == {EN.say_locale, ES.say_locale}
    assert EN.scenes["cafe_order"].who in spoken(script)
    script = await line.told("/twilio/menu?step=2")
    parameter = script.find("Connect/Stream/Parameter")
    assert parameter is not None
    _, serving = line.stream(parameter.attrib["value"])
    await line.is_answering()
    serving.cancel()
    await line.told("/twilio/voice", CallSid="CAsecond")
    script = await line.told("/twilio/menu?step=1", CallSid="CAsecond", Digits="1")
    script = await line.told("/twilio/menu?step=2", CallSid="CAsecond", Digits="2")
    assert verbs(script)[-2:] == ["Connect", "Redirect"]
    assert EN.scenes["cafe_order"].who not in spoken(script)


async def test_another_voice_is_remembered(line: Service) -> None:
    """The voice that was chosen goes with this call's scene and is kept for the next one's."""
    await line.enrolled()
    await line.told("/twilio/voice")
    await line.told("/twilio/menu?step=1", Digits="0")
    assert EN.say("voice.set", number="2", count="4") in spoken(await line.told("/twilio/menu?step=2", Digits="4"))
    (learner,) = await learners_of(line)
    assert learner.settings == {"voice": 1}
    await line.told("/twilio/menu?step=3", Digits="*")
    await line.told("/twilio/menu?step=4", Digits="1")
    await line.told("/twilio/menu?step=5", Digits="2")
    script = await line.told("/twilio/menu?step=6", Digits="1")
    parameter = script.find("Connect/Stream/Parameter")
    assert parameter is not None
    _, serving = line.stream(parameter.attrib["value"])
    await line.is_answering()
    assert line.answered[0].payload["voice"] == 1
    serving.cancel()
    await line.told("/twilio/voice", CallSid="CAsecond")
    assert (await line.row("CAsecond")).menu["voice"] == 1


async def test_repeated_answers(line: Service) -> None:
    """A repeated request gets the same document and changes nothing, at every step, even with other keys."""
    opening = await line.post("/twilio/voice")
    answers = {}
    for step, digits in enumerate(["0", "2", "7", "", "3", "1"], 1):
        answers[step] = await line.post(f"/twilio/menu?step={step}", Digits=digits)
    before = await line.row()
    for step, answer in answers.items():
        assert (await line.post(f"/twilio/menu?step={step}", Digits="1")).content == answer.content
    assert (await line.post("/twilio/voice")).content == opening.content
    after = await line.row()
    assert (after.step, after.menu, after.state) == (before.step, before.menu, before.state)
    async with line.database.school(line.school_id) as session:
        assert await session.scalar(select(func.count()).select_from(Token)) == 1
    assert len(line.prewarmed) == 1


async def test_simultaneous_answers(line: Service) -> None:
    """The same answer, sent several times at once, begins one scene with one token."""
    await line.told("/twilio/voice")
    await line.told("/twilio/menu?step=1", Digits="2")
    scripts = await asyncio.gather(*(line.post("/twilio/menu?step=2", Digits="2") for _ in range(5)))
    assert len({script.content for script in scripts}) == 1
    async with line.database.school(line.school_id) as session:
        assert await session.scalar(select(func.count()).select_from(Token)) == 1


async def test_no_input(line: Service) -> None:
    """Silence comes back without keys: it asks again, tells all again, then ends the call and gives its slot back."""
    await line.told("/twilio/voice")
    assert EN.say("menu.no_input") in spoken(await line.told("/twilio/menu?step=1"))
    assert EN.say("menu.notice", school="Colegio <Lorca> & Söhne") in spoken(
        await line.told("/twilio/menu?step=2", Digits="")
    )
    script = await line.told("/twilio/menu?step=3")
    assert (verbs(script), spoken(script)) == (["Say", "Hangup"], EN.say("menu.goodbye"))
    row = await line.row()
    assert (row.state, row.end_reason) == ("closed", "left_menu")
    assert line.released == [CALL]
    assert spoken(await line.told("/twilio/menu?step=3")) == EN.say("menu.goodbye")


async def test_slower_voice_is_remembered(line: Service) -> None:
    """The slower voice goes with this call's scene and with the next call's, until it is changed back."""
    await line.enrolled()
    await line.told("/twilio/voice")
    await line.told("/twilio/menu?step=1", Digits="0")
    await line.told("/twilio/menu?step=2", Digits="2")
    (learner,) = await learners_of(line)
    assert learner.settings == {"slower": True}
    await line.told("/twilio/voice", CallSid="CAsecond")
    assert (await line.row("CAsecond")).menu["slower"] is True
    await line.told("/twilio/menu?step=1", CallSid="CAsecond", Digits="03")
    (learner,) = await learners_of(line)
    assert learner.settings == {"slower": False}


async def test_a_newcomer_s_settings_are_kept_with_the_first_scene(line: Service) -> None:
    """What a new caller sets before playing is the new learner's setting from the first scene on."""
    await line.told("/twilio/voice")
    for step, digits in enumerate(["0", "2", "0", "4", "*", "1", "1"], 1):
        await line.told(f"/twilio/menu?step={step}", Digits=digits)
    (learner,) = await learners_of(line)
    assert learner.settings == {"slower": True, "voice": 1}


@pytest.mark.parametrize("step", ["", "0", "-1", "x", "9999", "²", "7"])
async def test_steps_that_were_never_asked(line: Service, step: str) -> None:
    """A step that is none, or far ahead, ends in a spoken sentence and changes nothing."""
    await line.told("/twilio/voice")
    script = await line.told(f"/twilio/menu?step={quote(step)}", Digits="1")
    assert verbs(script)[-1] in ("Hangup", "Redirect")
    assert spoken(script)
    assert (await line.row()).step == 1


async def test_many_keys_at_once(line: Service) -> None:
    """A flood of keys in one answer is cut and ends like any other."""
    await line.told("/twilio/voice")
    assert spoken(await line.told("/twilio/menu?step=1", Digits="#" * 5000))
    assert len((await line.row()).menu["answers"][0]) == 16


async def test_menu_of_an_unknown_call(line: Service) -> None:
    """A menu request for a call that never came in is answered by a sentence."""
    script = await line.told("/twilio/menu?step=1", Digits="1")
    assert spoken(script) == f"{EN.say('door.unavailable')} | {ES.say('door.unavailable')}"


async def test_menu_after_the_end(line: Service) -> None:
    """A key that arrives after the call was closed opens nothing."""
    await line.told("/twilio/voice")
    await line.post("/twilio/status", CallStatus="completed", SequenceNumber="1")
    assert verbs(await line.told("/twilio/menu?step=1", Digits="1")) == ["Say", "Hangup"]
