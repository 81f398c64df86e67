"""What follows the stream, the carrier's reports, and trouble with the database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from sqlalchemy import select, text

from db import achievements, calls, endings
from db.endings import Ending, NewEvent
from db.engine import Database
from db.keyring import Keyring
from db.models_money import LedgerEntry
from tests.telephony.school_line import CALL, Service, service, spoken, verbs
from tutor.script.catalogue import load

EN, ES = load().language("en"), load().language("es")


ROUTES = ["/twilio/voice", "/twilio/menu?step=1", "/twilio/after", "/twilio/status"]


@pytest.fixture
async def line(database: Database, keyring: Keyring) -> AsyncIterator[Service]:
    """A service with one live line, which sends no texts and so asks nobody about them; its caller practised before."""
    async with service(database, keyring, texts=False) as ready:
        await practised(ready)
        yield ready


async def practised(line: Service) -> None:
    """Gives the caller an earlier conversation: nobody is asked any more how sure they feel."""
    await line.enrolled()
    await line.told("/twilio/voice", CallSid="CAearlier")
    row = await line.row("CAearlier")
    async with line.database.school(line.school_id) as session:
        await calls.begin(session, row.id, scenario="cafe_order", level="A1")
        await calls.connected(session, row.id)
        await endings.finish(session, row.id, Ending("role"))
    line.released.clear()


@pytest.mark.parametrize(
    ("ending", "sentence"),
    [
        (Ending("limit", completed=True), "after.well_done"),
        (Ending("limit"), "after.goodbye"),
        (Ending("safe_exit"), "after.goodbye"),
        (Ending("model_lost"), "after.trouble"),
        (Ending("line_lost"), "after.trouble"),
        (Ending("line_lost", completed=True), "after.well_done"),
    ],
)
async def test_after(line: Service, ending: Ending, sentence: str) -> None:
    """What is said after the stream tells how the call stood, in the caller's language, and ends the call."""
    _, serving = line.stream(await line.chosen())
    await line.is_answering()
    row = await line.row()
    async with line.database.school(line.school_id) as session:
        await endings.finish(session, row.id, ending)
    for _ in range(2):
        script = await line.told("/twilio/after")
        assert (verbs(script), spoken(script)) == (["Say", "Hangup"], EN.say(sentence))
    assert (await line.row()).end_reason == ending.reason
    serving.cancel()


def goal(goal: str, at_ms: int) -> NewEvent:
    """A goal that was reached."""
    return NewEvent(at_ms, "goal", {"goal": goal, "quote": "hola", "evidence": "quote"})


GOALS = [goal("greet", 2_000), goal("order_drink", 9_000)]


@pytest.mark.parametrize("reason", ["role", "key"])
async def test_a_scene_that_ended_is_wrapped_up(line: Service, reason: str) -> None:
    """After the role's good-bye, or the caller's key, it is told what was reached, one phrase and what comes next."""
    _, serving = line.stream(await line.chosen())
    await line.is_answering()
    row = await line.row()
    async with line.database.school(line.school_id) as session:
        await endings.finish(session, row.id, Ending(reason, events=GOALS))
    script = await line.told("/twilio/after")
    assert set(verbs(script)) == {"Say", "Hangup"}
    await line.told("/twilio/voice", CallSid="CAnext")
    key = (await line.row("CAnext")).menu["scenarios"].index("cafe_order") + 1
    assert spoken(script) == " | ".join(
        (
            EN.say("wrapup.praise_alone"),
            EN.say("wrapup.did", can_dos="greet the barista and order a drink"),
            EN.say("wrapup.keep"),
            ES.scenes["cafe_order"].hints["detail"][2],
            EN.say("wrapup.step", can_do=EN.scenes["cafe_order"].can_do["detail"]),
            EN.say("wrapup.key", key=str(key)),
            EN.say("wrapup.bye"),
        )
    )
    (slow,) = script.iter("prosody")
    assert (slow.text, slow.attrib["rate"]) == (ES.scenes["cafe_order"].hints["detail"][2], "80%")
    assert ET.tostring(await line.told("/twilio/after")) == ET.tostring(script)
    serving.cancel()


async def test_the_next_scene_is_named_with_its_key(line: Service) -> None:
    """When everything was reached, the next scene is the one the next call's menu will recommend."""
    _, serving = line.stream(await line.chosen())
    await line.is_answering()
    row = await line.row()
    reached = [goal(name, 1_000) for name in ("greet", "order_drink", "detail", "price", "goodbye")]
    known = ["first_scene", "solo_flight"]
    async with line.database.school(line.school_id) as session:
        assert row.learner_id is not None
        ids = {"school_id": line.school_id, "learner_id": row.learner_id}
        earlier = (await line.row("CAearlier")).id
        await achievements.put(session, **ids, call_id=earlier, achievements=known, at=datetime.now(UTC))
        await endings.finish(session, row.id, Ending("role", events=reached, completed=True))
    script = await line.told("/twilio/after")
    assert EN.say("wrapup.praise_all") in spoken(script)
    serving.cancel()
    await line.told("/twilio/voice", CallSid="CAnext")
    following = (await line.row("CAnext")).menu["scenarios"][0]
    title = EN.say("wrapup.next", title=EN.scenes[following].title)
    assert f"{title} | {EN.say('wrapup.key', key='1')}" in spoken(script)
    assert following != "cafe_order"


async def test_after_waits_for_the_driver(database: Database, keyring: Keyring) -> None:
    """The carrier asks the moment the socket closes: a driver that is still writing is waited for."""
    async with service(database, keyring, change=lambda door: replace(door, settle_s=30), texts=False) as line:
        await practised(line)
        _, serving = line.stream(await line.chosen())
        await line.is_answering()
        asking = asyncio.create_task(line.told("/twilio/after"))
        row = await line.row()
        async with line.database.school(line.school_id) as session:
            await endings.finish(session, row.id, Ending("limit", completed=True))
        assert spoken(await asking) == EN.say("after.well_done")
        serving.cancel()


async def test_after_of_a_driver_that_is_gone(line: Service) -> None:
    """A call whose driver wrote nothing is apologised for, and its row is left to the sweep that has its checkpoint."""
    _, serving = line.stream(await line.chosen())
    await line.is_answering()
    assert spoken(await line.told("/twilio/after")) == EN.say("after.trouble")
    assert (await line.row()).state == "live"
    serving.cancel()


async def test_after_resumes(database: Database, keyring: Keyring) -> None:
    """Where the scene can go on, the caller is connected again with a new token."""
    asked = []

    async def resume(call: Any) -> bool:
        asked.append(call.carrier_sid)
        return True

    async with service(database, keyring, change=lambda door: replace(door, resume=resume)) as line:
        first, serving = line.stream(await line.chosen())
        await line.is_answering()
        first.hang_up(1006)
        await serving
        script = await line.told("/twilio/after")
        assert verbs(script) == ["Connect", "Redirect"]
        assert asked == [CALL]
        parameter = script.find("Connect/Stream/Parameter")
        assert parameter is not None
        _, serving = line.stream(parameter.attrib["value"])
        await line.is_answering()
        assert line.answered[1].payload == line.answered[0].payload
        serving.cancel()


async def test_status(line: Service) -> None:
    """The carrier's last word closes a call that nobody closed, once, and releases what was warmed for it."""
    await line.told("/twilio/voice")
    response = await line.post("/twilio/status", CallStatus="completed", SequenceNumber="2", CallDuration="12")
    assert (response.status_code, verbs(ET.fromstring(response.content))) == (200, [])
    row = await line.row()
    assert (row.state, row.end_reason, row.carrier_status) == ("closed", "left_menu", "completed")
    assert line.released == [CALL]


async def test_status_out_of_order(line: Service) -> None:
    """Reports that come late or twice change nothing; one without a number counts as the first."""
    await line.told("/twilio/voice")
    for status, sequence in [("ringing", ""), ("in-progress", "2"), ("initiated", "1"), ("in-progress", "2")]:
        await line.post("/twilio/status", CallStatus=status, SequenceNumber=sequence)
    row = await line.row()
    assert (row.state, row.carrier_status, row.carrier_sequence) == ("menu", "in-progress", 2)
    await line.post("/twilio/status", CallStatus="completed", SequenceNumber="3")
    await line.post("/twilio/status", CallStatus="in-progress", SequenceNumber="4")
    assert (await line.row()).carrier_status == "completed"


async def test_status_leaves_a_live_call_to_its_driver(line: Service) -> None:
    """A driver that is at work writes the ending itself: the carrier's report must not take it away."""
    _, serving = line.stream(await line.chosen())
    await line.is_answering()
    await line.post("/twilio/status", CallStatus="completed", SequenceNumber="1")
    row = await line.row()
    assert (row.state, row.carrier_status) == ("live", "completed")
    serving.cancel()


@pytest.mark.parametrize("swept", [False, True])
async def test_the_carrier_s_minutes_of_a_call_that_is_closed_later(line: Service, swept: bool) -> None:
    """Its report comes while the driver is still writing, or after it was killed: the minutes booked are the carrier's,
    once, whatever the clock says when the driver or the sweep closes the call."""
    _, serving = line.stream(await line.chosen())
    await line.is_answering()
    for sequence in "12":
        await line.post("/twilio/status", CallStatus="completed", SequenceNumber=sequence, CallDuration="125")
    serving.cancel()
    row = await line.row()
    if swept:
        assert [
            found.call_id
            for found in await endings.close_stale(line.database, lambda _: Ending("process_lost"), older_than_s=-60)
        ] == [row.id]
    else:
        async with line.database.school(line.school_id) as session:
            assert await endings.finish(session, row.id, Ending("caller_hung_up"))
    await line.post("/twilio/status", CallStatus="completed", SequenceNumber="3", CallDuration="125")
    async with line.database.school(line.school_id) as session:
        of_this = select(LedgerEntry.quantity).where(
            LedgerEntry.call_id == row.id, LedgerEntry.kind == "carrier_minutes"
        )
        assert [quantity["minutes"] for quantity in await session.scalars(of_this)] == [3]


async def test_status_while_connecting(line: Service) -> None:
    """A caller who hangs up before the stream is there leaves a closed call, and its token opens nothing lasting."""
    await line.chosen()
    await line.post("/twilio/status", CallStatus="completed", SequenceNumber="1")
    assert (await line.row()).end_reason == "caller_hung_up"


async def test_status_of_a_rejected_call(line: Service) -> None:
    """A report on a call that was refused at the door is acknowledged."""
    assert (await line.post("/twilio/status", CallStatus="completed", To="+34999999999")).status_code == 200


# --- trouble

UNAVAILABLE = f"{EN.say('door.unavailable')} | {ES.say('door.unavailable')}"


@pytest.mark.parametrize("path", ROUTES[:3])
async def test_without_a_database(line: Service, database_url: str, path: str) -> None:
    """When the database does not answer, a sentence in English and Spanish does, and no error text is read aloud."""
    await line.told("/twilio/voice")
    async with line.database.anyone() as session:
        await session.execute(text("RESET ROLE"))
        await session.execute(text("ALTER FUNCTION call_by_carrier_sid(text) RENAME TO gone"))
    script = await line.told(path, Digits="1")
    assert (verbs(script), spoken(script)) == (["Say", "Say", "Hangup"], UNAVAILABLE)
    assert [say.attrib["language"] for say in script.iter("Say")] == [EN.say_locale, ES.say_locale]
    assert (await line.post("/twilio/status", CallStatus="completed")).status_code == 503


async def test_slow_database(database: Database, keyring: Keyring) -> None:
    """A database that takes too long is not waited for."""
    async with service(database, keyring, change=lambda door: replace(door, answer_timeout_s=0)) as line:
        assert spoken(await line.told("/twilio/voice")) == UNAVAILABLE


async def test_account_that_cannot_be_looked_up(line: Service) -> None:
    """Without the database an account of the database cannot be checked: nothing is let in, and the carrier is told."""
    async with line.database.anyone() as session:
        await session.execute(text("RESET ROLE"))
        await session.execute(text("ALTER FUNCTION carrier_account_by_sid(text) RENAME TO gone"))
    assert (await line.post("/twilio/voice", account="ACown", token="own")).status_code == 503
    assert verbs(await line.told("/twilio/voice")) == ["Gather", "Redirect"], "ours needs no database"
