"""What a call may still use: on its own clock, at the door, across midnight, and in a live call."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update

from db import budgets, calls, endings, learners, ledger, limits, lines
from db.budgets import Held
from db.endings import Ending
from db.engine import Database
from db.keyring import Keyring
from db.ledger import NewEntry
from db.limits import Payer
from db.models import Call, Learner, Line, School
from db.models_money import BudgetAlert, BudgetHold, BudgetPeriod, LedgerEntry
from telephony import allowance
from telephony.allowance import Allowance, Left
from tests.db.conftest import Place, make_place
from tests.db.money import utc
from tests.telephony.school_line import CALL, CALLER, service, spoken, verbs
from tutor.script.catalogue import load

MINUTE = 60_000
RATE = 100_000
"""What a minute costs here, in micro-dollars: ten cents."""
EN = load().language("en")


# --- on the call's own clock


def told(left: Left, *, at_ms: int = 0, spent: int = 0, **values: Any) -> Allowance:
    """An allowance that was told so much at some time."""
    purse = Allowance(minute_micro_usd=RATE, **values)
    purse.answered(left, at_ms, spent)
    return purse


def test_nothing_ends_a_call_without_limits() -> None:
    """No minutes, no money: the service's own limit alone holds."""
    assert told(Left()).end_ms(20 * MINUTE, 9_999_999) is None


def test_minutes_end_a_call_when_they_are_used_up() -> None:
    """Seven and a half minutes were left when it was asked, at the second minute."""
    purse = told(Left(talk_s=450.0), at_ms=2 * MINUTE)
    assert purse.end_ms(2 * MINUTE, 0) == purse.end_ms(5 * MINUTE, 0) == 2 * MINUTE + 450_000


def test_a_limit_for_one_call_counts_from_its_first_stream() -> None:
    """Wherever the clock stands when it is asked."""
    assert told(Left(call_s=600), at_ms=3 * MINUTE).end_ms(3 * MINUTE, 0) == 10 * MINUTE


def test_a_call_asks_once_a_minute() -> None:
    """At its first sign of life, and then with every second one; sooner only when it spends fast."""
    assert Allowance(minute_micro_usd=RATE).due(0, 0)
    purse = told(Left(held=Held(RATE * 5 // 2, full=True)))
    assert not purse.due(30_000, RATE // 2)
    assert purse.due(60_000, RATE)
    assert not purse.due(9_000, 2 * RATE)
    assert purse.due(10_000, 2 * RATE)


def test_the_end_of_the_money_is_told_two_minutes_before() -> None:
    """Three minutes' money that is the last: nothing at first, then the time at which it will be gone."""
    purse = told(Left(held=Held(3 * RATE, full=False)))
    assert purse.end_ms(0, 0) is None
    assert purse.end_ms(MINUTE, RATE) == 3 * MINUTE
    assert purse.end_ms(90_000, 2 * RATE) == 150_000
    assert purse.end_ms(2 * MINUTE, 4 * RATE) == 2 * MINUTE


def test_money_that_can_be_had_again_ends_nothing() -> None:
    """As long as all that was asked for was given there is more; not when nobody could be asked until it was gone."""
    purse = told(Left(held=Held(RATE, full=True)))
    assert purse.end_ms(30_000, RATE - 1) is None
    assert purse.end_ms(MINUTE, RATE) == MINUTE


def test_a_call_s_own_limit_in_money() -> None:
    """A dollar for the call: told when less than two minutes' worth is left, whatever the budgets hold."""
    purse = told(Left(call_micro_usd=1_000_000))
    assert purse.end_ms(5 * MINUTE, 500_000) is None
    assert purse.end_ms(9 * MINUTE, 900_000) == 10 * MINUTE
    assert purse.end_ms(9 * MINUTE, 1_200_000) == 9 * MINUTE


def test_the_carrier_s_minutes_are_kept_back() -> None:
    """They are booked when the call ends: what is set aside for them is not there for talking."""
    purse = told(Left(held=Held(3 * RATE, full=False)), carrier_micro_usd=RATE, menu_ms=30_000)
    # The call is a minute and a half old, in its second minute at the carrier; a tenth a minute for each.
    assert purse.want(MINUTE, 0) == 5 * RATE // 2 + 2 * RATE
    assert purse.end_ms(MINUTE, 0) == 2 * MINUTE


def test_a_dear_call_is_reckoned_by_its_own_pace() -> None:
    """After two minutes a call that costs twice the usual sets aside twice as much; a cheap one the usual."""
    purse = Allowance(minute_micro_usd=RATE)
    assert purse.want(MINUTE, 4 * RATE) == 5 * RATE // 2
    assert purse.want(4 * MINUTE, 8 * RATE) == 5 * RATE
    assert purse.want(4 * MINUTE, RATE) == 5 * RATE // 2


@given(
    st.integers(0, 10 * RATE),
    st.lists(st.tuples(st.integers(1, 40_000), st.integers(0, RATE)), max_size=30),
    st.one_of(st.none(), st.floats(0, 1_000)),
)
def test_the_last_money_is_never_stretched(money: int, steps: list[tuple[int, int]], talk_s: float | None) -> None:
    """However it is spent: once it is gone the end is not later than now, and minutes end a call in any case."""
    purse = told(Left(held=Held(money, full=False), talk_s=talk_s))
    now_ms, spent = 0, 0
    for step_ms, cost in steps:
        now_ms, spent = now_ms + step_ms, spent + cost
        end_ms = purse.end_ms(now_ms, spent)
        if spent >= money:
            assert end_ms is not None
            assert end_ms <= now_ms
        if talk_s is not None:
            assert end_ms is not None
            assert end_ms <= talk_s * 1_000


# --- at the door


@pytest.fixture
async def place(database: Database) -> Place:
    """A school with a line."""
    return await make_place(database, "North", "+34910000001")


async def open_call(database: Database, place: Place, sid: str) -> UUID:
    """A call that was admitted."""
    async with database.school(place.school_id) as session:
        call = await calls.open_call(
            session,
            school_id=place.school_id,
            line_id=place.line_id,
            carrier_sid=sid,
            account_sid="AC1",
            max_calls=100,
        )
        return call.id


async def learner_of(database: Database, place: Place) -> UUID:
    """Somebody who practises."""
    async with database.school(place.school_id) as session:
        learner = Learner(school_id=place.school_id, native="en", target="es", level="A1")
        session.add(learner)
        await session.flush()
        return learner.id


async def put_budget(database: Database, school_id: UUID, amount: int, **values: Any) -> None:
    """Sets a limit; a day's of the school in money unless ``values`` say otherwise."""
    given_: dict[str, Any] = {"scope": "school", "period": "day", "unit": "micro_usd", **values}
    async with database.school(school_id) as session:
        await limits.put(session, school_id=school_id, amount=amount, **given_)


async def learner_who_calls(database: Database, keyring: Keyring, school_id: UUID) -> UUID:
    """Somebody who calls from ``CALLER``."""
    async with database.school(school_id) as session:
        learner = await learners.create_with_number(
            session,
            school_id=school_id,
            number_hash=keyring.hash_number(CALLER),
            last_two=CALLER[-2:],
            native="en",
            target="es",
            level="A1",
        )
    return learner.id


async def test_who_has_used_the_day_s_minutes_is_asked_to_ring_tomorrow(database: Database, keyring: Keyring) -> None:
    """One sentence in their own language, no call that waits, no model; the carrier's minute is booked once."""
    async with service(database, keyring) as line:
        learner = await learner_who_calls(database, keyring, line.school_id)
        await line.told("/twilio/voice")
        began = datetime.now(UTC) - timedelta(minutes=40)
        async with database.school(line.school_id) as session:
            # A day that began within the last forty minutes would have its own half hour.
            await session.execute(update(School).values(timezone=zone_far_from_midnight()))
            values = {"carrier_sid": "CA-before", "learner_id": learner, "state": "closed", "started_at": began}
            ended = began + timedelta(minutes=29.5)
            await session.execute(update(Call).values(connected_at=began, ended_at=ended, **values))
        line.prewarmed.clear()
        for _ in range(2):
            script = await line.told("/twilio/voice")
            assert verbs(script) == ["Say", "Hangup"]
            assert spoken(script) == EN.say("door.minutes_used")
        assert line.prewarmed == []
        async with database.school(line.school_id) as session:
            assert len((await session.scalars(select(Call))).all()) == 1
            booked = (await session.scalars(select(LedgerEntry))).all()
        assert [(one.kind, one.quantity["minutes"], one.call_id) for one in booked] == [("carrier_minutes", 1, None)]


def zone_far_from_midnight() -> str:
    """A time zone in which it is about noon."""
    offset = 12 - datetime.now(UTC).hour
    return f"Etc/GMT{-offset:+d}" if offset else "Etc/GMT"


async def test_a_spent_budget_lets_the_line_rest(database: Database, keyring: Keyring) -> None:
    """The sentence says so, and the school is told that it is all gone although a little is left."""
    async with service(database, keyring, offline=False) as line:
        await put_budget(database, line.school_id, 1_000_000)
        async with database.school(line.school_id) as session:
            spent = [NewEntry("response", "a", 900_000, 900_000)]
            await ledger.book(session, Payer(line.school_id), spent)
        script = await line.told("/twilio/voice")
        assert spoken(script) == EN.say("door.budget_spent")
        async with database.school(line.school_id) as session:
            assert max(await session.scalars(select(BudgetAlert.percent))) == 100
            assert (await session.scalars(select(Call))).all() == []


SPENT, REST = 900_000, "door.budget_spent"


@pytest.mark.parametrize(
    ("limits_set", "sentence", "period"),
    [
        ({"day": 1_000_000}, REST, "day"),
        ({"month": 1_000_000}, f"{REST}_month", "month"),
        ({"day": 1_000_000, "month": 9_000_000}, REST, "day"),
        ({"day": 9_000_000, "month": 1_000_000}, f"{REST}_month", "month"),
        ({"day": 1_000_000, "month": 1_000_000}, f"{REST}_month", "month"),
    ],
)
async def test_what_is_said_is_when_there_is_money_again(
    database: Database, place: Place, limits_set: dict[str, int], sentence: str, period: str
) -> None:
    """Tomorrow, unless the month's is spent: then next month. The same at the door and when another call was faster."""
    for each, amount in limits_set.items():
        await put_budget(database, place.school_id, amount, period=each)
    at, minute = datetime.now(UTC), 100_000
    payer = Payer(place.school_id, place.line_id)
    async with database.school(place.school_id) as session:
        periods = await budgets.ready(session, payer, await limits.holding_for(session, payer, at))
        await ledger.book(session, payer, [NewEntry("response", "a", SPENT, SPENT)], at=at)
        with pytest.raises(allowance.NothingLeft) as refused:
            await allowance.require(session, payer, minute_micro_usd=minute, at=at)
    assert (refused.value.sentence, refused.value.period) == (sentence, period)
    late = replace(payer, call_id=await open_call(database, place, "CA1"))
    with pytest.raises(allowance.NothingLeft) as refused:
        async with database.school(place.school_id) as session:
            await allowance.set_aside(session, late, periods, minute_micro_usd=minute)
    assert (refused.value.sentence, refused.value.period) == (sentence, period)


@pytest.mark.parametrize(
    ("minutes", "sentence"),
    [
        ({("learner", "day"): 20}, "door.minutes_used"),
        ({("learner", "month"): 20}, "door.minutes_used_month"),
        ({("learner", "day"): 20, ("learner", "month"): 20}, "door.minutes_used_month"),
        ({("learner", "day"): 20, ("learner", "month"): 90}, "door.minutes_used"),
        ({("learner", "day"): 20, ("line", "month"): 20}, f"{REST}_month"),
        ({("school", "day"): 20}, REST),
        ({("school", "month"): 20}, f"{REST}_month"),
    ],
)
async def test_what_is_said_is_when_there_are_minutes_again(
    database: Database, place: Place, minutes: dict[tuple[str, str], int], sentence: str
) -> None:
    """Tomorrow, unless the month's are used up as well, a learner's own or those of all."""
    at = utc("2026-11-21 12:00")
    for (scope, period), most in minutes.items():
        await put_budget(database, place.school_id, most * 60, scope=scope, period=period, unit="s")
    payer = Payer(place.school_id, place.line_id, await learner_of(database, place))
    call_id, began = await open_call(database, place, "CA1"), at - timedelta(minutes=40)
    values: dict[str, Any] = {"state": "closed", "started_at": began, "connected_at": began}
    async with database.school(place.school_id) as session:
        talked = update(Call).where(Call.id == call_id)
        ended = began + timedelta(minutes=19.5)
        await session.execute(talked.values(learner_id=payer.learner_id, ended_at=ended, **values))
        with pytest.raises(allowance.NothingLeft) as refused:
            await allowance.require(session, payer, minute_micro_usd=100_000, at=at)
    assert refused.value.sentence == sentence


async def test_a_spent_month_is_told_at_the_door(database: Database, keyring: Keyring) -> None:
    """The sentence that the caller hears names the next month."""
    async with service(database, keyring, offline=False) as line:
        await put_budget(database, line.school_id, 1_000_000, period="month")
        async with database.school(line.school_id) as session:
            await ledger.book(session, Payer(line.school_id), [NewEntry("response", "a", SPENT, SPENT)])
        assert spoken(await line.told("/twilio/voice")) == EN.say("door.budget_spent_month")


async def test_a_call_that_hears_why_not_costs_the_line_a_minute(database: Database, keyring: Keyring) -> None:
    """Whether the line is closed or busy: the sentence takes the call. Asked again by the carrier, it costs it once."""
    async with service(database, keyring, change=lambda door: replace(door, max_calls=1)) as line:
        await put_budget(database, line.school_id, 5_000_000, scope="line")
        await line.told("/twilio/voice", CallSid="CA" + "8" * 32)
        for _ in range(2):
            assert spoken(await line.told("/twilio/voice")) == EN.say("door.busy")
        async with database.school(line.school_id) as session:
            await session.execute(update(Line).values(open=False))
        assert spoken(await line.told("/twilio/voice", CallSid="CA" + "9" * 32)) == EN.say("door.closed")
        async with database.school(line.school_id) as session:
            booked = (await session.scalars(select(LedgerEntry).order_by(LedgerEntry.id))).all()
            (period,) = (await session.scalars(select(BudgetPeriod))).all()
        assert [(one.kind, one.key, one.call_id) for one in booked] == [
            ("carrier_minutes", f"turned_away:{CALL}", None),
            ("carrier_minutes", f"turned_away:CA{'9' * 32}", None),
        ]
        assert period.spent == sum(one.charged_micro_usd for one in booked)
        (of_the_line,) = {one.line_id for one in booked}
        assert of_the_line is not None


async def test_a_number_that_is_nobody_s_costs_nothing(database: Database, keyring: Keyring) -> None:
    """Refused without a word, a call is not taken and not paid for."""
    async with service(database, keyring) as line:
        assert verbs(await line.told("/twilio/voice", To="+34910000099")) == ["Reject"]
        async with database.school(line.school_id) as session:
            assert (await session.scalars(select(LedgerEntry))).all() == []


async def test_an_admitted_call_has_set_its_first_minutes_aside(database: Database, keyring: Keyring) -> None:
    """Asked twice it sets them aside once, and gives them back when the caller hangs up in the menu."""
    async with service(database, keyring) as line:
        await put_budget(database, line.school_id, 5_000_000)
        for _ in range(2):
            assert (await line.told("/twilio/voice")).find("Gather") is not None
        async with database.school(line.school_id) as session:
            (hold,) = (await session.scalars(select(BudgetHold))).all()
            assert 200_000 < hold.micro_usd < 500_000
            periods = await budgets.ready(
                session,
                Payer(line.school_id),
                await limits.holding_for(session, Payer(line.school_id), datetime.now(UTC)),
            )
            assert await budgets.room(session, periods) == 5_000_000 - hold.micro_usd
        await line.post("/twilio/status", CallStatus="completed", SequenceNumber="0", CallDuration="9")
        async with database.school(line.school_id) as session:
            assert (await session.scalars(select(BudgetHold))).all() == []


@pytest.mark.parametrize("offline", [False, True], ids=["the line rests", "listen and repeat"])
async def test_of_many_who_call_at_once_only_those_are_admitted_whom_the_money_is_enough_for(
    database: Database, keyring: Keyring, offline: bool
) -> None:
    """Money for three: three menus, and for the others none, in whatever order they come and whatever is offered."""
    async with service(database, keyring, offline=offline) as line:
        await line.told("/twilio/voice")
        await put_budget(database, line.school_id, 100_000_000)
        async with database.school(line.school_id) as session:
            call = (await session.scalars(select(Call))).one()
            await endings.finish(session, call.id, Ending("left_menu"))
        await line.told("/twilio/voice", CallSid="CA" + "8" * 32)
        async with database.school(line.school_id) as session:
            (hold,) = await session.scalars(select(BudgetHold.micro_usd))
        await put_budget(database, line.school_id, 3 * hold + hold // 2)

        async def ring(number: int) -> str:
            script = await line.told("/twilio/voice", CallSid=f"CA{number:032d}", From=f"+346001113{number:02d}")
            said = spoken(script)
            return "menu" if script.find("Gather") is not None and said != EN.say("listen.offer") else said

        answers = await asyncio.gather(*(ring(number) for number in range(10)))
        # One has called before, and holds its part.
        assert answers.count("menu") == 2
        assert answers.count(EN.say("listen.offer" if offline else "door.budget_spent")) == 8


async def test_a_cheap_model_needs_less_set_aside(database: Database, place: Place) -> None:
    """What is required at the door is two minutes of the line's own model."""
    now = datetime.now(UTC)
    await put_budget(database, place.school_id, 250_000)
    payer = Payer(place.school_id, place.line_id)
    async with database.school(place.school_id) as session:
        assert await allowance.require(session, payer, minute_micro_usd=100_000, at=now)
        with pytest.raises(allowance.NothingLeft) as refused:
            await allowance.require(session, payer, minute_micro_usd=130_000, at=now)
        assert refused.value.sentence == "door.budget_spent"
        periods = await allowance.require(session, payer, minute_micro_usd=100_000, at=now)
    one = replace(payer, call_id=await open_call(database, place, "CA1"))
    async with database.school(place.school_id) as session:
        await allowance.set_aside(session, one, periods, minute_micro_usd=100_000)
    two = replace(payer, call_id=await open_call(database, place, "CA2"))
    with pytest.raises(allowance.NothingLeft):
        async with database.school(place.school_id) as session:
            await allowance.set_aside(session, two, periods, minute_micro_usd=100_000)


# --- while a call goes on


async def test_once_a_minute_a_call_books_and_asks(database: Database, place: Place) -> None:
    """In between it only books; what it may use is what the budgets, the day and the call's own limits leave."""
    now = utc("2026-11-21 12:00")
    await put_budget(database, place.school_id, 1_000_000)
    await put_budget(database, place.school_id, 2_000_000, scope="call", period="call")
    await put_budget(database, place.school_id, 600, scope="call", period="call", unit="s")
    payer = Payer(
        place.school_id, place.line_id, await learner_of(database, place), await open_call(database, place, "CA1")
    )
    spent = NewEntry("response", "a", 300_000, 300_000)
    async with database.school(place.school_id) as session:
        assert await allowance.settle(session, payer, [spent], None, now) is None
        left = await allowance.settle(session, payer, [spent], 900_000, now)
    assert left == Left(1_800.0, Held(700_000, full=False), 600, 2_000_000)


async def test_the_door_of_one_line_is_not_another_s(database: Database, place: Place) -> None:
    """A line that has spent its own budget rests; the school's other one does not."""
    now = datetime.now(UTC)
    await put_budget(database, place.school_id, 250_000, scope="line")
    async with database.school(place.school_id) as session:
        other = await lines.add(session, school_id=place.school_id, number="+34910000033", name="Other")
        await ledger.book(session, Payer(place.school_id, place.line_id), [NewEntry("response", "a", 200_000, 200_000)])
        assert await allowance.require(session, Payer(place.school_id, other.id), minute_micro_usd=100_000, at=now)
        with pytest.raises(allowance.NothingLeft):
            await allowance.require(session, Payer(place.school_id, place.line_id), minute_micro_usd=100_000, at=now)
