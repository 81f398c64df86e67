"""Callers beside the one whom the number gives away: PINs, shared telephones, teachers, families, children."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select, text, update

from db import calls, class_prompts, debriefs, endings, learners, ledger, limits, lines, pins
from db.endings import Ending, NewEvent
from db.engine import Database
from db.keyring import Keyring
from db.ledger import NewEntry
from db.models import Call, Learner, Line, School
from db.models_money import BudgetHold
from rehearsal import twiml as strict
from telephony.answering import call_limit_ms
from telephony.ivr.record import MenuRecord
from tests.telephony.school_line import CALL, CALLER, SCENES, Service, service, spoken, verbs
from tests.telephony.test_allowance import zone_far_from_midnight
from tutor.learning.debrief import Debrief
from tutor.script.catalogue import load

EN, ES, FR = (load().language(tag) for tag in ("en", "es", "fr"))
SCHOOL = "Colegio <Lorca> & Söhne"


@pytest.fixture
async def line(database: Database, keyring: Keyring) -> AsyncIterator[Service]:
    """A service with one live line."""
    async with service(database, keyring) as ready:
        yield ready


async def line_id(line: Service) -> UUID:
    """The id of the school's line."""
    async with line.database.school(line.school_id) as session:
        return (await session.scalars(select(Line.id))).one()


async def learner(line: Service, name: str | None = None, number: str = CALLER, **changes: Any) -> UUID:
    """One more learner at a telephone."""
    values: dict[str, Any] = {"native": "en", "target": "es", "level": "B1", **changes}
    settings = values.pop("settings", None)
    async with line.database.school(line.school_id) as session:
        made = await learners.create_with_number(
            session,
            school_id=line.school_id,
            number_hash=line.keyring.hash_number(number),
            last_two=number[-2:],
            first_name=name,
            another=True,
            **values,
        )
        if settings:
            await learners.save_settings(session, made.id, settings)
    return made.id


async def pin_of(line: Service, role: pins.Role, whose: UUID | None = None) -> str:
    """A PIN of the line."""
    async with line.database.school(line.school_id) as session:
        return await pins.issue(
            session,
            line.keyring,
            school_id=line.school_id,
            line_id=await line_id(line),
            role=role,
            learner_id=whose,
        )


async def answer(line: Service, step: int, digits: str | None = None, **fields: str) -> ET.Element:
    """Answers a prompt, and checks what comes back as strictly as the rehearsal carrier does."""
    keys = {} if digits is None else {"Digits": digits}
    script = await line.told(f"/twilio/menu?step={step}", **keys, **fields)
    found = strict.parse(ET.tostring(script), "text/xml").findings
    assert [finding for finding in found if finding.code] == []
    return script


async def enter(line: Service, *digits: str, **fields: str) -> ET.Element:
    """Calls, asks for PIN entry and enters PINs, one after the other."""
    await line.told("/twilio/voice", **fields)
    await answer(line, 1, "0", **fields)
    script = await answer(line, 2, "1", **fields)
    for step, pin in enumerate(digits, 3):
        script = await answer(line, step, pin, **fields)
    return script


def wrong(pin: str) -> str:
    """Four digits that are not these."""
    return f"{(int(pin) + 1) % 10_000:04d}"


async def reached(line: Service, whose: UUID, *goals: str) -> None:
    """A call in which a learner reached goals in the café, and its debrief."""
    async with line.database.school(line.school_id) as session:
        call = await calls.open_call(
            session,
            school_id=line.school_id,
            line_id=await line_id(line),
            carrier_sid=f"CA{whose.hex}{len(goals)}",
            account_sid="AC1",
            max_calls=100,
            learner_id=whose,
        )
        await calls.begin(session, call.id, scenario="cafe_order", level="A1")
        await calls.connected(session, call.id)
        events = [NewEvent(at, "goal", {"goal": goal, "quote": "una cosa privada"}) for at, goal in enumerate(goals)]
        await endings.finish(session, call.id, Ending("role", events=events, completed=True))
        written = Debrief("Bien.", goals, "¿Cuánto es, por favor?", "Sigue.", "cafe_order")
        await debriefs.put(session, school_id=line.school_id, call_id=call.id, content=written.write(), source="facts")


# --- a PIN


async def test_a_pin_is_gathered_as_four_keys(line: Service) -> None:
    """Behind the settings four digits are asked for at once."""
    script = await enter(line)
    assert script[0].attrib["numDigits"] == "4"
    assert spoken(script) == EN.say("pin.ask")


async def test_a_learner_s_pin_opens_their_own_menu(line: Service) -> None:
    """From any telephone a learner's PIN leads to their own language and level, without a second notice."""
    whose = await learner(line, number="+34600999888", native="fr", level="B1")
    script = await enter(line, await pin_of(line, "learner", whose), From="anonymous")
    assert spoken(script).startswith(FR.say("pin.welcome"))
    assert FR.say("menu.notice", school=SCHOOL) not in spoken(script)
    row = await line.row()
    assert row.learner_id == whose
    assert MenuRecord.read(row.menu).proven
    script = await answer(line, 4, "1", From="anonymous")
    assert FR.scenes["cafe_order"].who in spoken(script)
    await answer(line, 5, "1", From="anonymous")
    assert (await line.row()).level == "B1"


async def test_no_digit_of_a_pin_is_kept_or_logged(line: Service, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither a right nor a wrong PIN, whole or in part, stands in the call's row or in the log."""
    right = await pin_of(line, "teacher")
    await enter(line, wrong(right), right[:3], right)
    row = await line.row()
    assert row.menu["role"] == "teacher"
    assert row.menu["earlier"]["answers"] == ["0", "1", "unknown", "?"]
    logged = capsys.readouterr().out
    assert "pin_accepted" in logged
    for digits in (right, wrong(right), right[:3]):
        assert digits not in str(row.menu["earlier"]["answers"])
        assert digits not in logged.replace(CALL, "")


async def test_three_wrong_pins_make_a_guest(line: Service) -> None:
    """After three wrong PINs the call goes on as a guest's: nothing of the number's learner is touched any more."""
    await learner(line)
    right = await pin_of(line, "teacher")
    script = await enter(line, wrong(right), wrong(right))
    assert spoken(script) == f"{EN.say('pin.unknown')} | {EN.say('pin.ask')}"
    assert (await line.row()).learner_id is not None
    script = await answer(line, 5, wrong(right))
    assert spoken(script).startswith(EN.say("pin.closed"))
    assert (await line.row()).learner_id is None
    script = await enter(line, right, CallSid="CAsecond")
    assert spoken(script).startswith(EN.say("pin.closed")), "the number is locked, even for a right PIN"


async def test_repeated_requests_are_one_try(line: Service) -> None:
    """The carrier's repetitions of one entry count once, are given the same answer, and change nothing."""
    right = await pin_of(line, "teacher")
    await enter(line)
    first = await line.post("/twilio/menu?step=3", Digits=wrong(right))
    for digits in (wrong(right), right, "", "1"):
        assert (await line.post("/twilio/menu?step=3", Digits=digits)).content == first.content
    async with line.database.school(line.school_id) as session:
        tries = await session.scalar(text("SELECT max(tries) FROM pin_tries"))
    assert tries == 1


async def test_simultaneous_entries_are_one(line: Service) -> None:
    """The same right PIN, sent several times at once, opens one menu, and every request gets it."""
    right = await pin_of(line, "teacher")
    await enter(line)
    scripts = await asyncio.gather(*(line.post("/twilio/menu?step=3", Digits=right) for _ in range(4)))
    assert len({script.content for script in scripts}) == 1
    assert (await line.row()).step == 4


async def test_requests_from_before_are_answered_as_before(line: Service) -> None:
    """After a PIN every earlier step still gives the document it gave, and the latest one the new menu's."""
    right = await pin_of(line, "teacher")
    opening = await line.post("/twilio/voice")
    given = [opening.content]
    for step, digits in enumerate(["0", "1", right, "2"], 1):
        given.append((await line.post(f"/twilio/menu?step={step}", Digits=digits)).content)
    assert (await line.post("/twilio/voice")).content == given[0]
    for step in range(1, 5):
        assert (await line.post(f"/twilio/menu?step={step}", Digits="9")).content == given[step]


async def test_settings_of_another_are_not_changed(line: Service) -> None:
    """Whoever turns out to be somebody else leaves the settings of the number's learner as they were."""
    own = await learner(line, settings={"slower": True})
    other = await learner(line, number="+34600999888")
    await enter(line, await pin_of(line, "learner", other))
    async with line.database.school(line.school_id) as session:
        found = await session.get(Learner, own)
    assert found is not None
    assert found.settings == {"slower": True}


async def test_texts_are_not_offered_at_another_s_telephone(line: Service) -> None:
    """Whoever is known by PIN at somebody else's telephone is not asked to have its number texted."""
    other = await learner(line, number="+34600999888")
    await enter(line, await pin_of(line, "learner", other))
    await answer(line, 4, "1")
    script = await answer(line, 5, "1")
    parameter = script.find("Connect/Stream/Parameter")
    assert parameter is not None
    _, serving = line.stream(parameter.attrib["value"])
    await line.is_answering()
    async with line.database.school(line.school_id) as session:
        await endings.finish(session, (await line.row()).id, Ending("key"))
    serving.cancel()
    assert EN.say("consent.ask") not in spoken(await line.told("/twilio/after"))


# --- a shared telephone


async def test_a_shared_telephone(line: Service) -> None:
    """Who shares a telephone says who calls, and then has their own record, level and order of scenes."""
    ana, luis = await learner(line, "Ana"), await learner(line, "Luis", level="A2")
    await reached(line, luis, "greet")
    script = await line.told("/twilio/voice")
    assert EN.say("people.person", name="Ana", key="1") in spoken(script)
    assert EN.say("people.person", name="Luis", key="2") in spoken(script)
    assert (await line.row()).learner_id is None
    script = await answer(line, 1, "2")
    assert not spoken(script).startswith("At the café"), "Luis has finished it"
    row = await line.row()
    assert row.learner_id == luis
    assert not MenuRecord.read(row.menu).proven, "a key says who calls, and nothing proves it"
    script = await line.told("/twilio/voice", CallSid="CAsecond")
    script = await answer(line, 1, "1", CallSid="CAsecond")
    assert spoken(script).startswith("At the café")
    assert (await line.row("CAsecond")).learner_id == ana


async def test_somebody_else_is_a_guest(line: Service) -> None:
    """Whoever is none of those who share a telephone practises as a guest, on the line's level."""
    await learner(line), await learner(line)
    script = await line.told("/twilio/voice")
    assert EN.say("people.first", key="1") in spoken(script)
    script = await answer(line, 1, "3")
    assert spoken(script).startswith("At the café")
    row = await line.row()
    assert (row.learner_id, MenuRecord.read(row.menu).level) == (None, "A1")


async def test_somebody_else_is_asked_for_their_language(database: Database, keyring: Keyring) -> None:
    """Where a line serves several, whoever is none of the family hears what a newcomer hears, and practises as that."""
    async with service(database, keyring, natives=["en", "fr"], targets=["es"]) as line:
        await learner(line, "Ana"), await learner(line, "Luis")
        await line.told("/twilio/voice")
        script = await answer(line, 1, "3")
        offered = (language.say("callers.language", key=str(key)) for key, language in enumerate((EN, FR), 1))
        assert spoken(script) == " | ".join(offered)
        script = await answer(line, 2, "2")
        assert spoken(script).startswith(FR.say("menu.notice", school=SCHOOL)), "who answers, in their own language"
        assert FR.say("callers.level", target=FR.name_of("es")) in spoken(script)
        script = await answer(line, 3, "2")
        assert FR.scenes["cafe_order"].title in spoken(script)
        row = await line.row()
        record = MenuRecord.read(row.menu)
        assert (row.learner_id, record.native, record.level) == (None, "fr", "B1")


# --- whose minutes they are


async def talked(line: Service, whose: UUID, minutes: float) -> None:
    """A call in which a learner talked for so long, today."""
    began = datetime.now(UTC) - timedelta(minutes=40)
    async with line.database.school(line.school_id) as session:
        # A day that began within the last forty minutes would have its own half hour.
        await session.execute(update(School).values(timezone=zone_far_from_midnight()))
        call = await calls.open_call(
            session,
            school_id=line.school_id,
            line_id=(await session.scalars(select(Line.id))).one(),
            carrier_sid=f"CA{whose.hex}",
            account_sid="AC1",
            max_calls=100,
            learner_id=whose,
        )
        ended = {"started_at": began, "connected_at": began, "ended_at": began + timedelta(minutes=minutes)}
        await session.execute(update(Call).where(Call.id == call.id).values(state="closed", **ended))


async def test_minutes_are_asked_for_once_it_is_known_whose_they_are(line: Service) -> None:
    """Whoever has used theirs hears so at once, in their own language, and no scene begins; others go on."""
    ana, _ = await learner(line, "Ana", native="fr"), await learner(line, "Luis")
    await talked(line, ana, 29.5)
    await line.told("/twilio/voice")
    for _ in range(2):
        script = await answer(line, 1, "1")
        assert verbs(script) == ["Say", "Hangup"]
        assert spoken(script) == FR.say("door.minutes_used")
    row = await line.row()
    assert (row.state, row.end_reason, row.learner_id) == ("closed", "left_menu", ana)
    assert CALL in line.released
    await line.told("/twilio/voice", CallSid="CAsecond")
    script = await answer(line, 1, "2", CallSid="CAsecond")
    assert script.find("Gather") is not None


async def test_minutes_are_those_of_the_pin(line: Service) -> None:
    """At a telephone with minutes left, whoever has none of their own does not begin a scene."""
    used, fresh = await learner(line, number="+34600999888"), await learner(line, number="+34600999777")
    await talked(line, used, 29.5)
    script = await enter(line, await pin_of(line, "learner", used))
    assert spoken(script) == EN.say("door.minutes_used")
    script = await enter(line, await pin_of(line, "learner", fresh), CallSid="CAsecond")
    assert spoken(script).startswith(EN.say("pin.welcome"))


async def test_a_budget_of_a_learner_is_asked_for(line: Service) -> None:
    """Money that is set aside for the call itself does not count against it; money that is gone does."""
    ana, luis = await learner(line, "Ana"), await learner(line, "Luis")
    async with line.database.school(line.school_id) as session:
        await limits.put(
            session, school_id=line.school_id, scope="school", period="day", unit="micro_usd", amount=400_000
        )
        await limits.put(
            session, school_id=line.school_id, scope="learner", period="day", unit="micro_usd", amount=500_000
        )
    for key, whose, turned_away in (("1", ana, False), ("2", luis, True)):
        sid = f"CA{key}"
        if turned_away:
            async with line.database.school(line.school_id) as session:
                payer = limits.Payer(line.school_id, learner_id=whose)
                await ledger.book(session, payer, [NewEntry("response", "a", 450_000, 450_000)])
                await limits.put(
                    session, school_id=line.school_id, scope="school", period="day", unit="micro_usd", amount=9_000_000
                )
        await line.told("/twilio/voice", CallSid=sid)
        script = await answer(line, 1, key, CallSid=sid)
        assert (spoken(script) == EN.say("door.budget_spent")) is turned_away
        await line.post("/twilio/status", CallSid=sid, CallStatus="completed", SequenceNumber="1")
    async with line.database.school(line.school_id) as session:
        assert (await session.scalars(select(BudgetHold))).all() == []


# --- a teacher


async def test_a_teacher_hears_the_week(line: Service) -> None:
    """How many called, for how long, what was reached; no name; and the model that was warmed is let go."""
    await reached(line, await learner(line, "Ana", number="+34600999888"), "greet", "price")
    script = await enter(line, await pin_of(line, "teacher"), From="anonymous")
    assert spoken(script).startswith(EN.say("teacher.intro"))
    assert EN.say("teacher.week", callers="1", minutes="1", scenes="1") in spoken(script)
    assert EN.say("teacher.titles", titles="At the café") in spoken(script)
    assert "greet the barista" in spoken(script)
    assert "Ana" not in spoken(script)
    assert (await line.row()).learner_id is None
    assert CALL in line.released


async def test_a_teacher_at_a_new_telephone_is_no_learner(line: Service) -> None:
    """A teacher and a family who call from a number that nobody knows leave no learner behind; nor do wrong PINs."""
    child = await learner(line, number="+34600999888")
    pins_entered = [await pin_of(line, "teacher"), await pin_of(line, "family", child)]
    for number, digits in enumerate(pins_entered):
        await enter(line, digits, CallSid=f"CA{number}")
    await enter(line, *[wrong(pins_entered[0])] * 3, CallSid="CAguest")
    await answer(line, 6, "1", CallSid="CAguest")
    await answer(line, 7, "1", CallSid="CAguest")
    assert (await line.row("CAguest")).state == "connecting"
    async with line.database.school(line.school_id) as session:
        assert list(await session.scalars(select(Learner.id))) == [child]


async def test_a_teacher_says_what_this_week_is_about(line: Service) -> None:
    """What is said is read back, and with key 1 it is the line's material from today on, for seven days."""
    await enter(line, await pin_of(line, "teacher"))
    script = await answer(line, 4, "1")
    assert script[0].attrib["input"] == "dtmf speech"
    script = await answer(line, 5, SpeechResult="At the market: fruit, prices & numbers.", Confidence="0.9")
    assert spoken(script).startswith(EN.say("teacher.heard", text="At the market: fruit, prices & numbers"))
    script = await answer(line, 6, "1")
    assert spoken(script).startswith(EN.say("teacher.kept"))
    again = await line.told("/twilio/menu?step=6", Digits="1")
    assert ET.tostring(again) == ET.tostring(script)
    today = datetime.now(UTC).astimezone(ZoneInfo("Europe/Madrid")).date()
    async with line.database.school(line.school_id) as session:
        (kept,) = await class_prompts.history(session, await line_id(line))
    assert kept.free_text == "At the market: fruit, prices & numbers"
    assert {today - kept.starts_on} <= {timedelta(0), timedelta(days=1)}, "a test may run at midnight"
    assert kept.ends_on == kept.starts_on + timedelta(days=6)


async def test_what_was_not_confirmed_is_not_kept(line: Service) -> None:
    """What was said and then left with star, or never confirmed, changes nothing."""
    await enter(line, await pin_of(line, "teacher"))
    for step, fields in enumerate(
        [{"Digits": "1"}, {"SpeechResult": "Something else."}, {"Digits": "*"}, {"Digits": "1"}, {"SpeechResult": ""}],
        4,
    ):
        await line.told(f"/twilio/menu?step={step}", **fields)
    async with line.database.school(line.school_id) as session:
        assert await class_prompts.live(session, await line_id(line), date.max) is None


async def test_speech_where_keys_are_asked_for_is_silence(line: Service) -> None:
    """A carrier that sends speech to a prompt for keys is treated as if nothing had been pressed."""
    await line.told("/twilio/voice")
    script = await answer(line, 1, SpeechResult="one two three")
    assert EN.say("menu.no_input") in spoken(script)
    assert (await line.row()).menu["answers"] == [""]


# --- a family


async def test_a_family_hears_what_the_child_can_do(line: Service) -> None:
    """Can-dos and the latest phrase in the target, slowly; never what was said; and no way to a scene."""
    child = await learner(line, "Ana", native="fr")
    await reached(line, child, "greet", "price")
    script = await enter(line, await pin_of(line, "family", child))
    can_do = FR.scenes["cafe_order"].can_do
    assert spoken(script).startswith(FR.say("family.done", can_dos=f"{can_do['greet']} et {can_do['price']}"))
    assert [phrase.text for phrase in script.iter("prosody")] == ["¿Cuánto es, por favor?"]
    assert "privada" not in spoken(script)
    for step, digits in enumerate(["8", "1", "2", "0", "9", "*"], 4):
        assert verbs(await answer(line, step, digits)) == ["Gather", "Redirect"]
    row = await line.row()
    assert (row.state, row.learner_id, row.scenario) == ("menu", None, None)


async def test_a_family_is_let_go(line: Service) -> None:
    """Two silences end a family's call, and its slot is given back."""
    child = await learner(line)
    await enter(line, await pin_of(line, "family", child))
    await answer(line, 4)
    script = await answer(line, 5)
    assert (verbs(script), spoken(script)) == (["Say", "Hangup"], EN.say("menu.goodbye"))
    row = await line.row()
    assert (row.state, row.end_reason) == ("closed", "left_menu")


# --- children


async def for_children(line: Service) -> None:
    """Makes the line one for children."""
    async with line.database.school(line.school_id) as session:
        assert await lines.update(session, await line_id(line), kids=True)


@pytest.fixture
async def kids(database: Database, keyring: Keyring) -> AsyncIterator[Service]:
    """A service whose line is for children."""
    async with service(database, keyring) as ready:
        await for_children(ready)
        yield ready


async def test_a_line_for_children(kids: Service) -> None:
    """Every call begins with the notice for children, offers only their scenes, and asks nothing about texts."""
    for call in (CALL, "CAsecond"):
        script = await kids.told("/twilio/voice", CallSid=call)
        assert spoken(script).startswith(EN.say("safety.kid_notice"))
        record = MenuRecord.read((await kids.row(call)).menu)
        assert set(record.scenarios) == {"cafe_order", "market_fruit"}, SCENES
        assert (record.kids, record.free_talk, record.ask_consent) == (True, True, False)


async def test_a_grade_chooses_scenes_and_level(kids: Service) -> None:
    """A child in the fifth grade talks at A2 and about what is for that age; an unknown grade changes nothing."""
    await learner(kids, settings={"grade": "5"})
    await learner(kids, number="+34600999888", settings={"grade": "12"})
    await kids.told("/twilio/voice")
    record = MenuRecord.read((await kids.row()).menu)
    assert (record.level, record.scenarios, record.free_talk) == ("A2", ("cafe_order", "market_fruit"), True)
    await kids.told("/twilio/voice", CallSid="CAsecond", From="+34600999888")
    assert MenuRecord.read((await kids.row("CAsecond")).menu).level == "B1"


@pytest.mark.parametrize(
    ("minutes", "kids", "limit_ms"), [(15, False, 900_000), (15, True, 300_000), (4.5, True, 270_000)]
)
def test_children_s_calls_are_short(minutes: float, kids: bool, limit_ms: int) -> None:
    """A call on a line for children lasts five minutes at most, and never longer than any other."""
    assert call_limit_ms(minutes, kids=kids) == limit_ms


async def test_a_line_without_scenes_for_children_is_closed(database: Database, keyring: Keyring) -> None:
    """A line for children whose scenes are none for them takes no calls."""
    async with service(database, keyring, scenarios=["bus_ticket"]) as line:
        await for_children(line)
        assert spoken(await line.told("/twilio/voice")) == EN.say("door.closed")


# --- the language of a line


async def test_an_unsupported_language_is_logged(
    database: Database, keyring: Keyring, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line whose callers' language cannot be spoken answers in English, and the log says so."""
    async with service(database, keyring, native="xx") as line:
        assert spoken(await line.told("/twilio/voice")) == EN.say("door.closed")
    assert "language_unsupported" in capsys.readouterr().out


def test_the_stand_in_reads_our_documents_strictly() -> None:
    """The rehearsal's reading of a call script complains of what the carrier does not know."""
    assert strict.parse(b"<Response><Gather numDigits='four'/></Response>", "text/xml").findings
