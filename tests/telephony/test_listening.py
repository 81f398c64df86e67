"""Calls of a school whose budget is spent: over the carrier's routes, with what is kept and booked of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID
from xml.etree import ElementTree as ET

import pytest
from sqlalchemy import select, update

from db import budgets, class_prompts, ledger, limits, lines, retention, reviews
from db.engine import Database
from db.keyring import Keyring
from db.ledger import NewEntry
from db.limits import Payer
from db.models import Call, Learner
from db.models_money import BudgetAlert, BudgetHold, LedgerEntry
from rehearsal.twiml import Say, parse
from telephony.ivr.listening import LIMIT_S, LONGEST_S
from telephony.ivr.record import MenuRecord
from telephony.resting import CALLS_A_DAY
from tests.telephony.school_line import CALLER, Service, service, spoken, verbs
from tutor.learning.review import ReviewCard
from tutor.script.catalogue import load
from tutor.script.class_prompt import ClassPrompt

CATALOGUE = load()
EN, ES = CATALOGUE.language("en"), CATALOGUE.language("es")
CAFE = CATALOGUE.scene("cafe_order", native="en", target="es", level="A1")
OFFER = EN.say("listen.offer")
PRAISE = " | ".join((EN.say("listen.done"), EN.say("listen.later")))


async def spend(line: Service, **budget: Any) -> None:
    """A dollar a day, of which ten cents are left: less than any call needs."""
    values: dict[str, Any] = {"scope": "school", "period": "day", "unit": "micro_usd", "amount": 1_000_000, **budget}
    async with line.database.school(line.school_id) as session:
        await limits.put(session, school_id=line.school_id, **values)
        row = (await lines.list_all(session))[0]
        learner = await session.scalar(select(Learner.id).limit(1))
        payer = Payer(line.school_id, row.id, learner)
        await ledger.book(session, payer, [NewEntry("response", "spent", 900_000, 900_000)])


async def booked(line: Service) -> list[LedgerEntry]:
    """What the ledger holds besides what was spent before."""
    async with line.database.school(line.school_id) as session:
        found = select(LedgerEntry).where(LedgerEntry.key != "spent").order_by(LedgerEntry.id)
        return list(await session.scalars(found))


async def answer(line: Service, step: int, key: str = "", **options: Any) -> ET.Element:
    """What follows a key, or none in time."""
    return await line.told(f"/twilio/menu?step={step}", Digits=key, **options)


async def play(line: Service) -> list[str]:
    """Takes the offer and presses nothing more; what each document says."""
    heard = [spoken(await line.told("/twilio/voice"))]
    script, step = await answer(line, 1, "1"), 1
    while script.find("Gather") is not None:
        heard.append(spoken(script))
        step += 1
        script = await answer(line, step)
    return [*heard, spoken(script)]


async def ago(line: Service, seconds: float) -> None:
    """The call began so long ago."""
    async with line.database.school(line.school_id) as session:
        await session.execute(update(Call).values(started_at=datetime.now(UTC) - timedelta(seconds=seconds)))


async def test_a_spent_budget_offers_to_listen_and_repeat(database: Database, keyring: Keyring) -> None:
    """Press one and phrases follow each other by themselves, each twice; no model, no stream, praise at the end."""
    async with service(database, keyring, class_prompt="Vocabulary: un té") as line:
        await spend(line)
        heard = await play(line)
        goals = sorted(CAFE.scenario.goals, key=lambda goal: goal.order)
        assert heard[0] == OFFER
        assert heard[1] == " | ".join((EN.say("listen.intro"), EN.say("listen.keys"), "un té"))
        assert heard[2] == "un té"
        first = CAFE.hint(goals[0].id, 2)
        assert heard[3:5] == [
            f"{first} | {EN.say('listen.meaning', can_do=CAFE.can_do(goals[0].id))}",
            first,
        ]
        assert heard[-1] == PRAISE
        # The offer, a word of the class and the café's phrases, each heard twice, and the end.
        assert len(heard) == 1 + 2 * (1 + len(goals)) + 1
        assert (line.prewarmed, line.answered) == ([], [])
        row = await line.row()
    assert (row.state, row.end_reason, row.connected_at, row.cost_micro_usd) == ("closed", "listened", None, 0)


async def test_a_spent_month_offers_to_listen_until_the_next(database: Database, keyring: Keyring) -> None:
    """From the first sentence to the last, also when a request is repeated, it is the next month that is named."""
    async with service(database, keyring) as line:
        await spend(line, period="month")
        for _ in range(2):
            assert spoken(await line.told("/twilio/voice")) == EN.say("listen.offer_month")
        assert spoken(await answer(line, 1, "*")) == EN.say("listen.later_month")


async def test_each_document_is_one_that_the_carrier_takes(database: Database, keyring: Keyring) -> None:
    """Phrases in a voice of their own language, the rest in the caller's; keys are gathered while it speaks."""
    async with service(database, keyring) as line:
        await spend(line)
        response = await line.post("/twilio/voice")
        assert parse(response.content, "text/xml").findings == ()
        response = await line.post("/twilio/menu?step=1", Digits="1")
        document = parse(response.content, "text/xml")
        assert document.findings == ()
        gather, _ = document.verbs
        voices = [prompt.language for prompt in getattr(gather, "prompts", ()) if isinstance(prompt, Say)]
        assert voices[:3] == [EN.say_locale, EN.say_locale, ES.say_locale]


async def test_what_is_due_is_heard_first_and_not_rated(database: Database, keyring: Keyring) -> None:
    """A phrase of an earlier call, with what it is for in the learner's language; its card stays as it was."""
    async with service(database, keyring) as line:
        learner = await line.enrolled()
        then = datetime.now(UTC) - timedelta(days=1)
        card = ReviewCard.new("phrase", "un zumo de naranja", "order a drink", then)
        async with database.school(line.school_id) as session:
            row = (await lines.list_all(session))[0]
            today = class_prompts.day_in("Europe/Madrid", datetime.now(UTC))
            await class_prompts.add(session, row.id, ClassPrompt(vocabulary=("el postre",)), starts_on=today)
            await reviews.put(
                session,
                school_id=line.school_id,
                learner_id=learner,
                target="es",
                kind=card.kind,
                text=card.text,
                situation=card.situation,
                state=card.state,
                due_at=card.due_at,
            )
        await spend(line)
        heard = await play(line)
        told = EN.say("listen.meaning", can_do=EN.scenes["cafe_order"].can_do["order_drink"])
        assert heard[1].endswith(f"un zumo de naranja | {told}")
        assert heard[3] == "el postre"
        async with database.school(line.school_id) as session:
            assert await reviews.all(session, learner, "es") == [card]
        assert (await line.row()).learner_id == learner


async def test_learners_who_share_a_telephone_hear_nobody_s_own_phrases(database: Database, keyring: Keyring) -> None:
    """Who of them calls is not known, and is not asked."""
    async with service(database, keyring) as line:
        ids = [await line.enrolled(), await line.enrolled()]
        for learner in ids:
            card = ReviewCard.new("phrase", f"frase {learner.hex}", "", datetime.now(UTC) - timedelta(days=1))
            async with database.school(line.school_id) as session:
                values = {"kind": card.kind, "text": card.text, "situation": "", "state": card.state}
                await reviews.put(
                    session,
                    school_id=line.school_id,
                    learner_id=learner,
                    target="es",
                    due_at=card.due_at,
                    **values,  # type: ignore[arg-type]  # as its own fields
                )
        await spend(line)
        assert not any("frase" in text for text in await play(line))
        assert (await line.row()).learner_id is None


@pytest.mark.parametrize("caller", [CALLER, "anonymous"], ids=["a new number", "a withheld number"])
async def test_strangers_hear_the_line_s_own_scenes(database: Database, keyring: Keyring, caller: str) -> None:
    """In the line's languages; nobody becomes a learner by listening."""
    async with service(database, keyring) as line:
        await spend(line)
        assert spoken(await line.told("/twilio/voice", From=caller)) == OFFER
        assert EN.say("listen.intro") in spoken(await answer(line, 1, "1", From=caller))
        async with database.school(line.school_id) as session:
            assert (await session.scalars(select(Learner))).all() == []


async def test_another_language_than_the_class_s_has_no_words_of_the_class(
    database: Database, keyring: Keyring
) -> None:
    """Who practises French on a line of Spanish hears French phrases only."""
    async with service(database, keyring, targets=["es", "fr"], class_prompt="Vocabulary: el postre.") as line:
        await line.enrolled(target="fr")
        await spend(line)
        heard = await play(line)
    french = CATALOGUE.language("fr").scenes["cafe_order"].hints
    assert {hints[2] for hints in french.values()} <= set(heard)
    assert not any("postre" in text for text in heard)


async def test_asked_twice_it_says_and_books_the_same(database: Database, keyring: Keyring) -> None:
    """The carrier repeats requests: the same document for the same step, one row, one booking."""
    async with service(database, keyring) as line:
        await spend(line)
        for path, key in (
            ("/twilio/voice", ""),
            ("/twilio/menu?step=1", "1"),
            ("/twilio/menu?step=2", "#"),
            ("/twilio/menu?step=3", "*"),
        ):
            one, two = [await line.post(path, Digits=key) for _ in range(2)]
            assert one.content == two.content
        assert spoken(await answer(line, 3, "*")) == PRAISE
        # A later answer to an earlier prompt changes nothing.
        assert "Gather" in verbs(await answer(line, 2, "*"))
        (entry,) = await booked(line)
        async with database.school(line.school_id) as session:
            (call,) = (await session.scalars(select(Call))).all()
        assert (entry.kind, entry.call_id, entry.quantity["minutes"]) == ("carrier_minutes", call.id, 1)


@pytest.mark.parametrize(("lasted_s", "reported_s", "minutes"), [(170, None, 3), (170, 195, 4), (200, 170, 3)])
async def test_the_carrier_s_minutes_are_booked_by_how_long_it_was(
    database: Database, keyring: Keyring, lasted_s: float, reported_s: int | None, minutes: int
) -> None:
    """As the clock has it when it ends, and as the carrier says afterwards; nothing but minutes."""
    async with service(database, keyring) as line:
        await spend(line)
        await line.told("/twilio/voice")
        await answer(line, 1, "1")
        await ago(line, lasted_s - 5)
        await answer(line, 2, "*")
        if reported_s is not None:
            for _ in range(2):
                await line.post(
                    "/twilio/status", CallStatus="completed", SequenceNumber="1", CallDuration=str(reported_s)
                )
        entries = await booked(line)
        assert {entry.kind for entry in entries} == {"carrier_minutes"}
        assert sum(entry.quantity["minutes"] for entry in entries) == minutes
        assert (await line.row()).end_reason == "listened"


@pytest.mark.parametrize(
    ("keys", "reason"), [([], "turned_away"), ([""], "turned_away"), (["1"], "listened"), (["1", ""], "listened")]
)
async def test_a_caller_who_hangs_up_leaves_nothing_open(
    database: Database, keyring: Keyring, keys: list[str], reason: str
) -> None:
    """At the offer or in the middle: the row says how far they came, and the minutes are those of the carrier."""
    async with service(database, keyring) as line:
        await spend(line)
        await line.told("/twilio/voice")
        for step, key in enumerate(keys, 1):
            await answer(line, step, key)
        await line.post("/twilio/status", CallStatus="completed", SequenceNumber="1", CallDuration="75")
        row = await line.row()
        assert (row.state, row.end_reason) == ("closed", reason)
        assert sum(entry.quantity["minutes"] for entry in await booked(line)) == 2


async def test_nobody_listens_longer_than_five_minutes(database: Database, keyring: Keyring) -> None:
    """Whatever is pressed: when one more phrase could be too long the next answer ends the call, for good."""
    async with service(database, keyring) as line:
        await spend(line)
        await line.told("/twilio/voice")
        await answer(line, 1, "1")
        await ago(line, LIMIT_S - LONGEST_S - 30)
        assert (await answer(line, 2, "#")).find("Gather") is not None
        await ago(line, LIMIT_S - LONGEST_S + 1)
        for _ in range(2):
            script = await answer(line, 3, "#")
            assert verbs(script)[-1] == "Hangup"
            assert spoken(script) == PRAISE
        assert (await line.row()).state == "closed"


def test_the_page_about_costs_says_what_it_costs_at_most() -> None:
    """Five minutes of the carrier's, at the price of the program's own table."""
    page = " ".join((Path(__file__).parents[2] / "docs" / "costs.md").read_text("utf-8").split())
    most = ledger.carrier_minutes("x", "+17875550100", LIMIT_S).micro_usd
    assert most is not None
    assert f"ends after five minutes at the latest and costs the carrier's minutes, at most {most / 1e6:.4f}" in page


async def test_the_school_is_told_and_nothing_is_owed(database: Database, keyring: Keyring) -> None:
    """A hundred per cent, although a little is left; the caller holds none of it."""
    async with service(database, keyring) as line:
        await spend(line)
        await line.told("/twilio/voice")
        async with database.school(line.school_id) as session:
            assert max(await session.scalars(select(BudgetAlert.percent))) == 100
            row = (await lines.list_all(session))[0]
            payer = Payer(line.school_id, row.id)
            (limit,) = [one for one in await limits.holding_for(session, payer, datetime.now(UTC)) if one.budget_id]
            assert (await budgets.standing(session, payer, limit))[1] == 0


async def test_minutes_of_the_school_that_are_used_up_are_a_budget_too(database: Database, keyring: Keyring) -> None:
    """A line that may talk an hour a day offers listening when the hour is over."""
    async with service(database, keyring) as line:
        await spend(line, unit="s", amount=30)
        assert spoken(await line.told("/twilio/voice")) == OFFER


async def test_a_learner_s_own_money_is_their_own_limit(database: Database, keyring: Keyring) -> None:
    """Nothing is offered instead: what one learner may cost in a day is used up, whatever the school still has."""
    async with service(database, keyring) as line:
        await line.enrolled()
        await spend(line, scope="learner")
        assert spoken(await line.told("/twilio/voice")) == EN.say("door.budget_spent")


@pytest.mark.parametrize("caller", [CALLER, "anonymous"], ids=["a new number", "a withheld number"])
async def test_it_is_offered_three_times_a_day(database: Database, keyring: Keyring, caller: str) -> None:
    """The carrier's minutes are bounded, too: whoever rings once more hears the sentence; somebody else may listen."""
    async with service(database, keyring) as line:
        await line.enrolled(number="+34600999888")
        await spend(line)
        for number in range(CALLS_A_DAY):
            sid = f"CA{number}"
            assert spoken(await line.told("/twilio/voice", From=caller, CallSid=sid)) == OFFER
            await line.post("/twilio/status", CallSid=sid, CallStatus="completed", SequenceNumber="1")
        assert spoken(await line.told("/twilio/voice", From=caller, CallSid="CA9")) == EN.say("door.budget_spent")
        assert spoken(await line.told("/twilio/voice", From="+34600999888", CallSid="CA8")) == OFFER
        async with database.school(line.school_id) as session:
            yesterday = Call.started_at - timedelta(days=1)
            await session.execute(update(Call).values(started_at=yesterday))
        assert spoken(await line.told("/twilio/voice", From=caller, CallSid="CA7")) == OFFER


async def test_a_budget_that_is_spent_while_it_is_asked_who_calls(database: Database, keyring: Keyring) -> None:
    """At the door there was money, and when one of two says who they are there is none: they may listen all the same.

    Their own phrases come up, they hold no money, and the school is told.
    """
    async with service(database, keyring) as line:
        ana, luis = await line.enrolled(first_name="Ana"), await line.enrolled(first_name="Luis")
        async with database.school(line.school_id) as session:
            await limits.put(
                session, school_id=line.school_id, scope="school", period="day", unit="micro_usd", amount=1_000_000
            )
        assert "Luis" in spoken(await line.told("/twilio/voice"))
        await spend(line)
        assert spoken(await answer(line, 1, "2")) == OFFER
        assert EN.say("listen.intro") in spoken(await answer(line, 2, "1"))
        assert spoken(await answer(line, 3, "*")) == PRAISE
        row = await line.row()
        assert (row.end_reason, row.learner_id) == ("listened", luis)
        assert luis != ana
        async with database.school(line.school_id) as session:
            assert (await session.scalars(select(BudgetHold))).all() == []
            assert max(await session.scalars(select(BudgetAlert.percent))) == 100


@pytest.mark.parametrize("line_settings", [{"offline": False}, {}], ids=["switched off", "no slot"])
async def test_where_it_is_not_offered_the_line_rests(
    database: Database, keyring: Keyring, line_settings: dict[str, Any]
) -> None:
    """A school may keep the carrier's minutes, too; and when as many calls go on as may, nobody stays to listen."""
    full = not line_settings
    async with service(
        database, keyring, change=lambda door: replace(door, max_calls=0) if full else door, **line_settings
    ) as line:
        await spend(line)
        script = await line.told("/twilio/voice")
        assert verbs(script) == ["Say", "Hangup"]
        assert spoken(script) == EN.say("door.budget_spent")
        (entry,) = await booked(line)
        assert (entry.quantity["minutes"], entry.call_id) == (1, None)


async def test_what_was_listened_to_is_gone_after_an_hour(database: Database, keyring: Keyring) -> None:
    """Phrases may be the learner's own words: the sweep leaves the languages alone."""
    async with service(database, keyring) as line:
        await spend(line)
        await play(line)
        call: UUID = (await line.row()).id
        async with database.school(line.school_id) as session:
            assert MenuRecord.read((await line.row()).menu).phrases
            before = datetime.now(UTC) - timedelta(hours=2)
            await session.execute(update(Call).where(Call.id == call).values(ended_at=before, started_at=before))
            await retention.empty_menus(session)
        assert (await line.row()).menu == {"native": "en", "target": "es", "role": "listener"}
