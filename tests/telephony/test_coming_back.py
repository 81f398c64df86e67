"""Calling again within ten minutes of a call that broke off: what is offered, what is kept, that it is taken once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import text

from db import calls, chains, digests, endings
from db.endings import Ending, NewEvent
from db.engine import Database
from db.keyring import Keyring
from db.limits import Payer
from rehearsal import twiml as strict
from telephony.allowance import Allowance
from telephony.answering import ending_from_checkpoint, ending_of
from telephony.books import Books
from telephony.coming_back import BROKE_OFF, continued, worth_going_on
from telephony.ledger import Ledger
from telephony.twilio.door import Door
from tests.telephony.school_line import Service, service, spoken
from tests.tutor.scenes import cafe
from tutor.learning.metrics import measure
from tutor.learning.timeline import Timeline
from tutor.realtime.pricing import prices
from tutor.script.catalogue import load
from tutor.talk.conversation import Conversation
from tutor.talk.exchange import Began, HungUp
from tutor.talk.rules import Rules
from tutor.talk.snapshot import Snapshot

EN = load().language("en")
CAFE = load().scenario("cafe_order")
SCHOOL = "Colegio <Lorca> & Söhne"
OFFER = EN.say("callers.broke_off", title=EN.scenes["cafe_order"].title)
GOALS = ("greet", "order_drink")


def conversation(*goals: str, **events: dict[str, Any]) -> Snapshot:
    """A conversation in the café, 30 s old, in which some goals were reached."""
    timeline = Timeline()
    timeline.add(0, "began", scenario="cafe_order", level="A1", native="en", target="es")
    timeline.begin(0, "role", "greeting-1", "¡Hola!")
    timeline.end(2_000, "greeting-1")
    timeline.begin(3_000, "learner", "item-1", "Hola, un café con leche.")
    timeline.end(6_000, "item-1")
    for goal in goals:
        timeline.add(7_000, "goal", goal=goal, quote="un café con leche", evidence="quote")
    for kind, data in events.items():
        timeline.add(8_000, kind, **data)
    kept = Snapshot.of(timeline, elapsed_ms=30_000, speed=0.85, goals=dict.fromkeys(goals, "quote"))
    return Snapshot(kept.elapsed_ms, kept.speed, kept.goals, kept.turns, kept.events, {"micro_usd": 1_234})


@pytest.fixture
async def line(database: Database, keyring: Keyring) -> AsyncIterator[Service]:
    """A service with one live line, which sends no texts, and one learner who has called before."""

    def keeping(door: Door) -> Door:
        return replace(door, ending=ending_from_checkpoint)

    async with service(database, keyring, change=keeping, texts=False) as ready:
        await ready.enrolled()
        yield ready


async def broke_off(
    line: Service,
    snapshot: Snapshot | None = None,
    *,
    sid: str = "CAbroken",
    reason: str | None = "caller_hung_up",
    level: str = "A1",
    **caller: str,
) -> UUID:
    """A call in the café that ended for this reason (None: its process died and nobody has noticed yet)."""
    await line.told("/twilio/voice", CallSid=sid, **caller)
    row = await line.row(sid)
    async with line.database.school(line.school_id) as session:
        await calls.begin(session, row.id, scenario="cafe_order", level=level)
        stream = await calls.connected(session, row.id)
        assert stream is not None
        await calls.checkpoint(session, row.id, (snapshot or conversation(*GOALS)).write(), stream=stream)
        if reason is not None:
            call = await calls.get(session, row.id)
            assert call is not None
            await endings.finish(session, row.id, ending_from_checkpoint(call, reason))
    return row.id


async def aged(line: Service, call_id: UUID, interval: str) -> None:
    """Lets a call's last sign of life be that long ago."""
    async with line.database.anyone() as session:
        await session.execute(text("RESET ROLE"))
        await session.execute(
            text("UPDATE calls SET heartbeat_at = now() - CAST(:ago AS interval) WHERE id = :id"),
            {"ago": interval, "id": call_id},
        )


async def answer(line: Service, step: int, digits: str, sid: str = "CAagain") -> str:
    """Answers a prompt of the second call; returns what is said, after reading it as strictly as a carrier."""
    response = await line.post(f"/twilio/menu?step={step}", CallSid=sid, Digits=digits)
    assert [found for found in strict.parse(response.content, "text/xml").findings if found.code] == []
    return response.text


# --- the offer


async def test_the_first_prompt_offers_to_go_on(line: Service) -> None:
    """Whoever calls again soon after a call that broke off hears where, and that key 1 goes on."""
    await broke_off(line)
    script = await line.told("/twilio/voice", CallSid="CAagain")
    assert spoken(script) == " | ".join((EN.say("menu.welcome_back", school=SCHOOL), OFFER, EN.say("callers.go_on")))


@pytest.mark.parametrize("reason", sorted(BROKE_OFF))
async def test_however_it_broke_off(line: Service, reason: str) -> None:
    """A hang-up, a lost line, a lost model and a lost process are all gone on with."""
    await broke_off(line, reason=reason)
    assert OFFER in spoken(await line.told("/twilio/voice", CallSid="CAagain"))


@pytest.mark.parametrize(
    "snapshot",
    [
        conversation("greet", "order_drink", "detail", "price", "goodbye"),
        conversation(*GOALS, safe_exit={}),
        conversation(*GOALS, safety={"action": "stop", "category": "x", "source": "words", "rule": "x"}),
        conversation(*GOALS, safety={"action": "care", "category": "x", "source": "words", "rule": "x"}),
    ],
    ids=["done", "safe exit", "stopped", "care"],
)
async def test_what_is_done_or_was_stopped_is_not_offered(line: Service, snapshot: Snapshot) -> None:
    """A scene that has succeeded, that the caller left by key 9, or that safety ended, is not gone on with."""
    await broke_off(line, snapshot)
    script = await line.told("/twilio/voice", CallSid="CAagain")
    assert OFFER not in spoken(script)
    assert not worth_going_on(CAFE, snapshot)


@pytest.mark.parametrize(("ago", "offered"), [("9 minutes", True), ("11 minutes", False)])
async def test_within_ten_minutes(line: Service, ago: str, offered: bool) -> None:
    """Later than ten minutes after the last sign of life the menu is as ever."""
    await aged(line, await broke_off(line), ago)
    assert (OFFER in spoken(await line.told("/twilio/voice", CallSid="CAagain"))) is offered


@pytest.mark.parametrize(("ago", "offered"), [("30 seconds", False), ("90 seconds", True)])
async def test_a_call_that_may_be_alive_is_left_alone(line: Service, ago: str, offered: bool) -> None:
    """A call that nobody has closed is offered once it has been silent for a minute: others may share the number."""
    await aged(line, await broke_off(line, reason=None), ago)
    assert (OFFER in spoken(await line.told("/twilio/voice", CallSid="CAagain"))) is offered


async def test_nobody_else_is_offered_it(line: Service) -> None:
    """Neither another number, nor a guest, nor somebody else at a shared telephone goes on with it."""
    await broke_off(line)
    await line.enrolled("+34600999888")
    for number in ("+34600999888", "anonymous"):
        assert OFFER not in spoken(await line.told("/twilio/voice", CallSid=f"CA{number[-3:]}", From=number))
    other = await line.enrolled(first_name="Luis")
    script = await line.told("/twilio/voice", CallSid="CAshared")
    assert OFFER not in spoken(script)
    assert OFFER not in await answer(line, 1, "2", "CAshared")
    assert (await line.row("CAshared")).learner_id == other
    await line.told("/twilio/voice", CallSid="CAowner")
    assert OFFER in (await line.post("/twilio/menu?step=1", CallSid="CAowner", Digits="1")).text


async def test_a_scene_in_another_language_is_not_offered(database: Database, keyring: Keyring) -> None:
    """Whoever practises another language now begins anew."""
    async with service(database, keyring, texts=False, targets=["es", "fr"]) as line:
        whose = await line.enrolled(target="es")
        await broke_off(line)
        async with line.database.school(line.school_id) as session:
            await session.execute(text("UPDATE learners SET target = 'fr' WHERE id = :id"), {"id": whose})
        assert OFFER not in spoken(await line.told("/twilio/voice", CallSid="CAagain"))


# --- going on


async def test_key_one_goes_on_with_goals_kept(line: Service) -> None:
    """The new call has the old one's goals, turns and level; its own clock and costs begin at nothing."""
    await line.enrolled("+34600999888", level="B2")
    await broke_off(line, level="A2")
    await line.told("/twilio/voice", CallSid="CAagain")
    said = await answer(line, 1, "1")
    assert "<Connect>" in said
    assert EN.scenes["cafe_order"].who not in said
    row = await line.row("CAagain")
    assert (row.state, row.scenario, row.level) == ("connecting", "cafe_order", "A2")
    assert row.resume is not None
    kept = Snapshot.read(row.resume)
    assert (set(kept.goals), kept.elapsed_ms, kept.spent) == (set(GOALS), 0, {})
    assert [turn.text for turn in kept.turns] == ["¡Hola!", "Hola, un café con leche."]
    assert all(turn.end_ms < 0 for turn in kept.turns)
    assert (await line.row("CAbroken")).resume is None


async def test_it_is_taken_once(line: Service) -> None:
    """Repeated and simultaneous keys, and a second call, take the conversation once."""
    await broke_off(line)
    for sid in ("CAagain", "CAtwin"):
        await line.told("/twilio/voice", CallSid=sid)
    answers = await asyncio.gather(
        *(line.post("/twilio/menu?step=1", CallSid=sid, Digits="1") for sid in ("CAagain", "CAtwin") * 3)
    )
    assert len({answer.content for answer in answers}) == 2, "one document a call"
    rows = [await line.row(sid) for sid in ("CAagain", "CAtwin")]
    assert sorted(row.resume is not None for row in rows) == [False, True]
    assert {row.state for row in rows} == {"connecting"}, "the other one begins the scene anew"


async def test_a_call_that_nobody_closed_is_closed_with_what_it_held(line: Service) -> None:
    """Going on with a call whose process died closes it from its checkpoint, with its turns and goals."""
    call_id = await broke_off(line, reason=None)
    await aged(line, call_id, "2 minutes")
    await line.told("/twilio/voice", CallSid="CAagain")
    await answer(line, 1, "1")
    old = await line.row("CAbroken")
    assert (old.state, old.end_reason, old.resume) == ("closed", "line_lost", None)
    assert (await line.row("CAagain")).resume is not None
    async with line.database.school(line.school_id) as session:
        turns = await session.scalar(text("SELECT count(*) FROM turns WHERE call_id = :id"), {"id": call_id})
    assert turns == 2


@pytest.mark.parametrize(
    ("keys", "heard"),
    [
        (["2"], EN.say("menu.settings")),
        (["0"], EN.say("menu.settings_menu")),
        (["7"], EN.say("menu.wrong_key")),
        (["#"], EN.say("callers.go_on")),
        ([""], EN.say("callers.go_on")),
    ],
)
async def test_other_answers(line: Service, keys: list[str], heard: str) -> None:
    """Another scene, the settings, a wrong key, a silence: the conversation stays where it is."""
    await broke_off(line)
    await line.told("/twilio/voice", CallSid="CAagain")
    for step, key in enumerate(keys, 1):
        assert heard in await answer(line, step, key)
    assert (await line.row("CAbroken")).resume is not None


async def test_a_silent_caller_goes_on(line: Service) -> None:
    """Whoever comes back and presses nothing is put through to where they were."""
    await broke_off(line)
    await line.told("/twilio/voice", CallSid="CAagain")
    await answer(line, 1, "")
    assert "<Connect>" in await answer(line, 2, "")
    assert (await line.row("CAagain")).resume is not None


async def test_it_can_break_off_again(line: Service) -> None:
    """A conversation that was gone on with and broke off once more is offered a second time."""
    await broke_off(line)
    await line.told("/twilio/voice", CallSid="CAagain")
    await answer(line, 1, "1")
    await line.post("/twilio/status", CallSid="CAagain", CallStatus="completed", SequenceNumber="1")
    assert (await line.row("CAagain")).state == "closed"
    assert OFFER in spoken(await line.told("/twilio/voice", CallSid="CAthird"))


async def test_the_scene_stays_as_it_began(line: Service) -> None:
    """Every call of a play names the first, which chooses the twist; who begins anew may meet another one."""
    first = await broke_off(line)
    for sid in ("CAagain", "CAthird"):
        await line.told("/twilio/voice", CallSid=sid)
        await answer(line, 1, "1", sid)
        await line.post("/twilio/status", CallSid=sid, CallStatus="completed", SequenceNumber="1")
    await line.told("/twilio/voice", CallSid="CAfresh")
    await answer(line, 1, "2", "CAfresh")
    rows = [await line.row(sid) for sid in ("CAbroken", "CAagain", "CAthird", "CAfresh")]
    assert [row.began_in for row in rows] == [None, first, first, None]
    async with line.database.school(line.school_id) as session:
        seeds = [await chains.seed(session, row) for row in rows]
    assert len(set(seeds[:3])) == 1
    assert seeds[3] != seeds[0]


async def test_goals_of_two_calls_are_told_once(line: Service) -> None:
    """A goal that was reached before the line broke counts once in the class's week, wherever the talk went on."""
    await broke_off(line)
    await line.told("/twilio/voice", CallSid="CAagain")
    await answer(line, 1, "1")
    row = await line.row("CAagain")
    async with line.database.school(line.school_id) as session:
        await calls.connected(session, row.id)
        assert row.resume is not None
        carried = [NewEvent(at_ms, kind, data) for at_ms, kind, data in Snapshot.read(row.resume).events]
        new = NewEvent(9_000, "goal", {"goal": "price", "quote": "cuánto es", "evidence": "quote"})
        await endings.finish(session, row.id, Ending("role", events=[*carried, new], completed=True))
        week = await digests.week(session, row.line_id)
    assert week.goals == {("cafe_order", goal): 1 for goal in (*GOALS, "price")}


# --- the conversation itself


def test_a_conversation_enters_another_call_without_its_alarms() -> None:
    """What people were told of is not told again: flags and ends stay with their own call."""
    events: dict[str, dict[str, Any]] = {
        "safety": {"action": "note", "category": "x", "source": "words", "rule": "x"},
        "ended": {"reason": "line_lost"},
        "hint": {"goal": "price", "rung": 1},
    }
    snapshot = continued(conversation(*GOALS, **events))
    assert [kind for _, kind, _ in snapshot.events] == ["began", "goal", "goal", "hint"]
    assert [at_ms for at_ms, _, _ in snapshot.events] == [-30_000, -23_000, -23_000, -22_000]
    again = continued(Snapshot.read(snapshot.write()))
    assert again == snapshot, "a call that broke off before anything was said adds no time"


def test_what_was_heard_keeps_its_place() -> None:
    """Where the voice sounded moves with the clock, so that pauses before the line broke can still be measured."""
    snapshot = continued(conversation(*GOALS, speech={"start_ms": 3_100, "end_ms": 4_900}))
    spoken = next(data for _, kind, data in snapshot.events if kind == "speech")
    assert spoken == {"start_ms": -26_900, "end_ms": -25_100}
    events = [NewEvent(at_ms, kind, data) for at_ms, kind, data in snapshot.events]
    measures = measure("es", snapshot.turns, events, silence_ms=1_100, goals=5)
    assert (measures.learner_turns, measures.phonation_ms) == (1, 1_800)


def test_what_is_due_stays() -> None:
    """What the role was to bring up from the beginning it goes on with, whatever else is due by now."""
    kept = conversation()
    began = [(at_ms, kind, {**data, "due": ["la cuenta"]}) for at_ms, kind, data in kept.events if kind == "began"]
    assert continued(msgspec.structs.replace(kept, events=began)).due == ("la cuenta",)
    assert kept.due == ()
    assert msgspec.structs.replace(kept, events=[]).due is None


def test_a_role_goes_on_where_it_was() -> None:
    """In the new call the role does not greet again; goals are kept, and there is all the time of a new call."""
    scene = cafe()
    timeline = Timeline()
    talk = Conversation(scene, Rules(limit_ms=900_000), timeline, continued(conversation(*GOALS)))
    commands = talk.handle(Began(), 0)
    assert scene.greeting not in str(commands)
    assert "un café con leche" in str(commands)
    assert set(talk.goals.earned) == set(GOALS)
    assert talk.snapshot(1_000).elapsed_ms == 1_000


@pytest.mark.parametrize(
    ("goals", "by", "resumable"),
    [((), "caller", True), (GOALS, "caller", True), (("greet", "order_drink", "price"), "caller", False)],
)
def test_a_hang_up_keeps_what_is_needed_to_go_on(goals: tuple[str, ...], by: Any, resumable: bool) -> None:
    """A caller who hangs up before the scene has succeeded may come back to it; one who has finished need not."""
    talk = Conversation(cafe(), Rules(limit_ms=900_000), Timeline(), conversation(*goals))
    talk.handle(Began(), 0)
    talk.handle(HungUp(by), 5_000)
    ledger = Ledger(prices(), call_id="x", model="gpt-realtime-2.1", transcribe_model="gpt-transcribe")
    payer = Payer(UUID(int=2), UUID(int=3))
    books = Books(payer, ledger, Allowance(minute_micro_usd=1, carrier_micro_usd=0, menu_ms=0), stream=1, lost=False)
    assert talk.end_reason == "caller_hung_up"
    assert ending_of(talk, books, UUID(int=1), UUID(int=2)).resumable is resumable
