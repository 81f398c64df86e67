"""Budgets: nobody spends what another holds, and what is spent beyond a limit is at most one response a call."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, event, select, text
from sqlalchemy.exc import DBAPIError

from db import budgets, calls, costs, ledger, limit_changes, limits, talk_time
from db.engine import Database
from db.limits import Payer, window
from db.models_money import Budget, BudgetAlert, BudgetPeriod
from tests.db.conftest import OpenCall, Place, Query, make_place
from tests.db.money import DOLLAR, NOON, budget, entry, pay, standings, utc

A_DAY: Any = {"scope": "school", "period": "day", "unit": "micro_usd", "amount": DOLLAR}


async def held_by(database: Database, payer: Payer, want: int, at: datetime = NOON) -> budgets.Held | None:
    """What a call gets when it asks for ``want``."""
    async with database.school(payer.school_id) as session:
        return await budgets.hold(session, payer, want, at)


# --- spending


async def test_what_is_booked_is_spent_in_every_budget_it_belongs_to(
    database: Database, place: Place, open_call: OpenCall
) -> None:
    """School and line, day and month; another line's entry counts for the school alone, yesterday's for the month."""
    for scope in ("school", "line"):
        for period in ("day", "month"):
            await budget(database, place, 5 * DOLLAR, scope=scope, period=period)
    call_id = await open_call()
    payer = Payer(place.school_id, place.line_id, call_id=call_id)
    await held_by(database, payer, 0)
    async with database.school(place.school_id) as session:
        await ledger.book(session, payer, [entry("a", 300)], at=NOON)
        await ledger.book(session, Payer(place.school_id), [entry("b", 20)], at=NOON)
        await ledger.book(session, payer, [entry("c", 1)], at=NOON - timedelta(days=1))
        spent = {
            (row.scope, row.period): row.spent
            for row in await session.execute(
                text("SELECT b.scope, b.period, p.spent FROM budget_periods p JOIN budgets b ON b.id = p.budget_id")
            )
        }
    assert spent == {
        ("school", "day"): 320,
        ("line", "day"): 300,
        ("school", "month"): 321,
        ("line", "month"): 301,
    }


async def test_a_budget_that_is_set_in_the_middle_of_a_day_knows_what_is_gone(database: Database, place: Place) -> None:
    """The ledger says so; nothing needs to be counted before there is a limit."""
    payer = Payer(place.school_id, place.line_id)
    async with database.school(place.school_id) as session:
        await ledger.book(session, payer, [entry("a", 700)], at=NOON - timedelta(hours=3))
        await ledger.book(session, payer, [entry("b", 9_000)], at=NOON - timedelta(days=1))
    await budget(database, place, DOLLAR)
    async with database.school(place.school_id) as session:
        periods = await budgets.ready(session, payer, await limits.holding_for(session, payer, NOON))
        assert await budgets.room(session, periods) == DOLLAR - 700


async def test_a_period_that_begins_adds_up_no_other(database: Database, place: Place) -> None:
    """A line's day begins while the school's goes on, which may have thousands of entries: only the line's are read."""
    payer = Payer(place.school_id, place.line_id)
    begun: list[str] = []

    def seen(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("INSERT INTO budget_periods"):
            begun.append(statement)

    event.listen(Engine, "before_cursor_execute", seen)
    try:
        for budgets_of, new in (("school", 1), ("line", 1), ("line", 0)):
            await budget(database, place, DOLLAR, scope=budgets_of)
            async with database.school(place.school_id) as session:
                periods = await budgets.ready(session, payer, await limits.holding_for(session, payer, NOON))
            assert len(begun) == new
            begun.clear()
    finally:
        event.remove(Engine, "before_cursor_execute", seen)
    assert len(periods) == 2


async def test_a_call_spends_what_it_holds_first(database: Database, place: Place, open_call: OpenCall) -> None:
    """Spent and held together are the same before and after, until it has spent more than it held."""
    await budget(database, place, DOLLAR)
    payer = Payer(place.school_id, place.line_id, call_id=await open_call())
    assert await held_by(database, payer, 1_000) == budgets.Held(1_000, full=True)
    for key, cost, spent, held in (("a", 400, 400, 600), ("b", 900, 1_300, 0), ("c", 5, 1_305, 0)):
        async with database.school(place.school_id) as session:
            await ledger.book(session, payer, [entry(key, cost)], at=NOON)
            (standing,) = await standings(session)
        assert (standing.spent, standing.held, standing.holds) == (spent, held, held)


async def test_the_tightest_budget_decides(database: Database, place: Place, open_call: OpenCall) -> None:
    """A call holds the same in each of its budgets: what there is in the one with the least."""
    await budget(database, place, 10_000)
    await budget(database, place, 3_000, scope="line")
    payer = Payer(place.school_id, place.line_id, call_id=await open_call())
    assert await held_by(database, payer, 5_000) == budgets.Held(3_000, full=False)
    async with database.school(place.school_id) as session:
        assert {one.held for one in await standings(session)} == {3_000}


async def test_asking_again_asks_for_the_whole(database: Database, place: Place, open_call: OpenCall) -> None:
    """What a call holds already is counted in, and given back when it asks for less or ends."""
    await budget(database, place, 5_000)
    payer = Payer(place.school_id, place.line_id, call_id=await open_call())
    other = Payer(place.school_id, place.line_id, call_id=await open_call())
    assert payer.call_id is not None
    assert await held_by(database, payer, 4_000) == budgets.Held(4_000, full=True)
    assert await held_by(database, other, 4_000) == budgets.Held(1_000, full=False)
    assert await held_by(database, payer, 4_000) == budgets.Held(4_000, full=True)
    assert await held_by(database, payer, 2_500) == budgets.Held(2_500, full=True)
    assert await held_by(database, other, 4_000) == budgets.Held(2_500, full=False)
    async with database.school(place.school_id) as session:
        await budgets.release(session, payer.call_id)
    assert await held_by(database, other, 4_000) == budgets.Held(4_000, full=True)


async def test_a_call_across_midnight_lets_yesterday_go(database: Database, place: Place, open_call: OpenCall) -> None:
    """From the first question after it, the new day's budget is the one that is held; yesterday's holds nothing."""
    await budget(database, place, 5_000)
    payer = Payer(place.school_id, place.line_id, call_id=await open_call())
    midnight = utc("2026-11-20 23:00")
    await held_by(database, payer, 4_000, midnight - timedelta(minutes=1))
    await held_by(database, payer, 3_000, midnight + timedelta(minutes=1))
    async with database.school(place.school_id) as session:
        assert [(one.held, one.holds) for one in await standings(session)] == [(0, 0), (3_000, 3_000)]


async def test_nobody_holds_anything_without_a_budget(database: Database, place: Place, open_call: OpenCall) -> None:
    """A school that has set no limit in money is never asked for any."""
    payer = Payer(place.school_id, place.line_id, call_id=await open_call())
    assert await held_by(database, payer, 4_000) is None


async def test_another_school_s_money_is_out_of_reach(
    database: Database, place: Place, elsewhere: Place, open_call: OpenCall
) -> None:
    """What one school spends and holds changes nothing of the other's budget."""
    for where in (place, elsewhere):
        await budget(database, where, 5_000)
    theirs = Payer(elsewhere.school_id, elsewhere.line_id)
    async with database.school(elsewhere.school_id) as session:
        await budgets.ready(session, theirs, await limits.holding_for(session, theirs, NOON))
    payer = Payer(place.school_id, place.line_id, call_id=await open_call())
    await held_by(database, payer, 4_000)
    async with database.school(place.school_id) as session:
        await ledger.book(session, payer, [entry("a", 4_500)], at=NOON)
    async with database.school(elsewhere.school_id) as session:
        assert [(one.spent, one.held) for one in await standings(session)] == [(0, 0)]


async def test_nothing_of_another_school_is_seen_or_changed(
    database: Database, place: Place, elsewhere: Place, open_call: OpenCall
) -> None:
    """Every query of money and minutes, asked with another school's ids, finds nothing and changes nothing."""
    call_id, at = await open_call(), datetime.now(UTC)
    theirs = Payer(place.school_id, place.line_id, call_id=call_id)
    async with database.school(place.school_id) as session:
        await pay(session, place.school_id, place.line_id, call_id)
        (period,) = await session.scalars(select(BudgetPeriod.id))
        (budget_id,) = await session.scalars(select(Budget.id))
        holding = await limits.holding_for(session, theirs, at)
        before = await standings(session)
    day = window("day", "Europe/Madrid", at)
    async with database.school(elsewhere.school_id) as session:
        assert await ledger.used(session, call_id) is None
        assert not await ledger.carrier_billed(session, call_id, 600)
        assert await limits.list_all(session) == []
        assert not await limits.remove(session, budget_id)
        assert [one.budget_id for one in await limits.holding_for(session, theirs, at)] == [None]
        assert await budgets.room(session, [period]) is None
        assert await budgets.standing(session, theirs, holding[1]) == (0, 0)
        assert await budgets.hold_in(session, theirs, [period], 50) is None
        await budgets.release(session, call_id)
        await budgets.spend(session, theirs, 77, at)
        await budgets.refused(session, elsewhere.school_id, [period], 10**9)
        assert not await budgets.told(session, period, 70)
        await budgets.take_back(session, period, used=0, amount=1)
        assert await budgets.alerts(session, since=day.starts_at) == []
        assert await talk_time.used_s(session, theirs, holding[0], day, at) == 0
        assert await costs.total(session, day) == costs.Sum()
        assert (await costs.by_kind(session, day), await costs.by_learner(session, day)) == ([], [])
        assert (await costs.practice(session, day)).calls == 0
        with pytest.raises(LookupError):
            await costs.today(session, place.school_id, at)
    async with database.school(place.school_id) as session:
        assert await standings(session) == before
    with pytest.raises(DBAPIError, match="row-level security"):
        async with database.school(elsewhere.school_id) as session:
            await limits.put(session, school_id=place.school_id, **A_DAY)
    with pytest.raises(DBAPIError, match="row-level security"):
        async with database.school(elsewhere.school_id) as session:
            await limit_changes.put(session, school_id=place.school_id, **A_DAY)
    with pytest.raises(DBAPIError, match="row-level security"):
        async with database.school(elsewhere.school_id) as session:
            await ledger.book(session, theirs, [entry("z")])


# --- alerts


async def alerts(database: Database, place: Place) -> list[int]:
    """The percentages that were written down."""
    async with database.school(place.school_id) as session:
        return list(await session.scalars(select(BudgetAlert.percent).order_by(BudgetAlert.percent)))


async def test_alerts_are_written_once_a_period(database: Database, place: Place, superuser: Query) -> None:
    """At 70, 90 and 100 per cent, each once; one message a step, for the highest it reached; anew the next day."""
    await budget(database, place, 1_000)
    payer = Payer(place.school_id, place.line_id)
    jobs = "SELECT args ->> 'percent' FROM procrastinate_jobs WHERE task_name = 'messages.budget' ORDER BY id"
    for key, cost, written, told in (
        ("a", 699, [], []),
        ("b", 1, [70], ["70"]),
        ("c", 150, [70], ["70"]),
        ("d", 200, [70, 90, 100], ["70", "100"]),
        ("e", 500, [70, 90, 100], ["70", "100"]),
    ):
        async with database.school(place.school_id) as session:
            await budgets.ready(session, payer, await limits.holding_for(session, payer, NOON))
            await ledger.book(session, payer, [entry(key, cost)], at=NOON)
        assert await alerts(database, place) == written, key
        assert [row[0] for row in await superuser(jobs)] == told, key
    tomorrow = NOON + timedelta(days=1)
    async with database.school(place.school_id) as session:
        await budgets.ready(session, payer, await limits.holding_for(session, payer, tomorrow))
        await ledger.book(session, payer, [entry("f", 950)], at=tomorrow)
    assert await alerts(database, place) == [70, 70, 90, 90, 100]


@pytest.mark.parametrize("at_once", [False, True])
async def test_a_raised_limit_is_told_of_again(
    database: Database, place: Place, superuser: Query, at_once: bool
) -> None:
    """A dollar of a dollar is told; of ten dollars nothing is, until they are spent, at once or bit by bit: each once.

    What the new amount leaves within reach stays told, and so do days that are over.
    """
    await budget(database, place, DOLLAR)
    payer = Payer(place.school_id, place.line_id)

    async def spend(key: str, cost: int, at: datetime = NOON) -> None:
        async with database.school(place.school_id) as session:
            await budgets.ready(session, payer, await limits.holding_for(session, payer, at))
            await ledger.book(session, payer, [entry(key, cost)], at=at)

    async def change(dollars: float) -> None:
        async with database.school(place.school_id) as session:
            await limit_changes.put(
                session, school_id=place.school_id, at=NOON, **{**A_DAY, "amount": round(dollars * DOLLAR)}
            )

    await spend("yesterday", DOLLAR, NOON - timedelta(days=1))
    await spend("all of it", DOLLAR)
    assert await alerts(database, place) == [70, 70, 90, 90, 100, 100]
    await change(1.2)
    assert await alerts(database, place) == [70, 70, 90, 100]
    await change(10)
    assert await alerts(database, place) == [70, 90, 100]
    jobs = "SELECT args ->> 'percent' FROM procrastinate_jobs WHERE task_name = 'messages.budget' ORDER BY id"
    told = len(await superuser(jobs))
    for step in (9_000_000,) if at_once else (5_900_000, 100_000, 1_900_000, 100_000, 900_000, 100_000):
        await spend(f"{await alerts(database, place)}{step}", step)
    await spend("beyond", 1)
    assert await alerts(database, place) == [70, 70, 90, 90, 100, 100]
    assert [row[0] for row in await superuser(jobs)][told:] == (["100"] if at_once else ["70", "90", "100"])
    await change(20)
    await change(12)
    assert await alerts(database, place) == [70, 90, 100]
    await spend("lower now", 1)
    assert await alerts(database, place) == [70, 70, 90, 100]


async def test_raised_minutes_are_told_of_again(
    database: Database, place: Place, open_call: OpenCall, superuser: Query
) -> None:
    """Eighty of a hundred minutes of a line are told; of a hundred and ten as well, of two hundred not any more."""
    given_: Any = {"scope": "line", "period": "day", "unit": "s"}
    payer = Payer(place.school_id, place.line_id)
    call_id = await open_call()
    await superuser(
        "UPDATE calls SET started_at = %s, connected_at = %s, ended_at = %s, state = 'closed' WHERE id = %s",
        [NOON - timedelta(minutes=80), NOON - timedelta(minutes=80), NOON, call_id],
    )
    for minutes, written in ((100, []), (110, [70]), (200, []), (100, [])):
        async with database.school(place.school_id) as session:
            await limit_changes.put(session, school_id=place.school_id, at=NOON, amount=minutes * 60, **given_)
        assert await alerts(database, place) == written
        async with database.school(place.school_id) as session:
            await talk_time.left(session, payer, await limits.holding_for(session, payer, NOON), NOON)
        assert await alerts(database, place) == ([70] if minutes < 200 else [])


async def test_a_limit_that_is_raised_while_it_is_spent(database: Database, place: Place) -> None:
    """Many spend at the moment in which it is raised: whoever was first, in the end the alerts are the new amount's."""
    payer = Payer(place.school_id, place.line_id)
    await budget(database, place, 1_000)
    async with database.school(place.school_id) as session:
        await budgets.ready(session, payer, await limits.holding_for(session, payer, NOON))

    async def spend(number: int) -> None:
        async with database.school(place.school_id) as session:
            await ledger.book(session, payer, [entry(str(number), 100)], at=NOON)

    async def change() -> None:
        async with database.school(place.school_id) as session:
            await limit_changes.put(session, school_id=place.school_id, at=NOON, **{**A_DAY, "amount": 2_400})

    await asyncio.gather(*(change() if number == 10 else spend(number) for number in range(21)))
    assert await alerts(database, place) == [70]


async def test_a_refusal_at_the_door_counts_as_all_gone(database: Database, place: Place, open_call: OpenCall) -> None:
    """When calls are turned away the school is told, although a few cents are left; once."""
    await budget(database, place, 1_000)
    payer = Payer(place.school_id, place.line_id, call_id=await open_call())
    await held_by(database, payer, 950)
    for least, written in ((40, []), (51, [70, 90, 100]), (51, [70, 90, 100])):
        async with database.school(place.school_id) as session:
            periods = await budgets.ready(session, payer, await limits.holding_for(session, payer, NOON))
            await budgets.refused(session, place.school_id, periods, least)
        assert await alerts(database, place) == written


async def test_an_alert_is_dated_once(database: Database, place: Place) -> None:
    """Whoever tells somebody second finds that it was done."""
    await budget(database, place, 1_000)
    payer = Payer(place.school_id, place.line_id)
    async with database.school(place.school_id) as session:
        await ledger.book(session, payer, [entry("a", 800)], at=NOON)
        (period,) = await budgets.ready(session, payer, await limits.holding_for(session, payer, NOON))
        assert await budgets.told(session, period, 70)
        assert not await budgets.told(session, period, 70)
        found = await budgets.alerts(session, since=NOON - timedelta(days=365 * 20))
    assert [(alert.percent, day.spent, of.scope) for alert, day, of in found] == [(70, 800, "school")]


# --- many at once


CALLS = 50
MOST = 20_000
"""The dearest response of these tests, in micro-dollars."""


async def live_call(database: Database, payer: Payer, dice: random.Random, ask: int, patience: int) -> tuple[int, int]:
    """A call as its keeper drives it: holds money, spends response by response, ends when it holds none.

    Returns how many responses it had, and how much the last one cost beyond what was held.
    """
    beyond, number = 0, 0
    held = await held_by(database, payer, ask)
    assert held is not None
    left = held.micro_usd
    while left > 0 and number < patience:
        cost = dice.randint(1, MOST)
        number += 1
        async with database.school(payer.school_id) as session:
            await ledger.book(session, payer, [entry(f"{payer.call_id}:{number}", cost)], at=NOON)
            beyond = max(0, cost - left)
            left -= cost
            if left < ask // 2:
                again = await budgets.hold(session, payer, ask, NOON)
                assert again is not None
                left = again.micro_usd
    assert payer.call_id is not None
    async with database.school(payer.school_id) as session:
        await budgets.release(session, payer.call_id)
    return number, beyond


@pytest.mark.parametrize("ask", [3 * MOST, MOST // 10], ids=["as in life", "with hardly anything set aside"])
async def test_fifty_calls_spend_at_most_one_response_each_beyond_a_budget(
    database: Database, place: Place, open_call: OpenCall, capsys: pytest.CaptureFixture[str], ask: int
) -> None:
    """A nearly spent budget, fifty calls at once on real connections, until nothing is left: the figure is printed."""
    amount, gone = 20 * DOLLAR, 20 * DOLLAR - 1_500_000
    await budget(database, place, amount)
    dice = random.Random(1)
    async with database.school(place.school_id) as session:
        await ledger.book(session, Payer(place.school_id), [entry("before", gone)], at=NOON)
    payers = [Payer(place.school_id, place.line_id, call_id=await open_call()) for _ in range(CALLS)]
    outcomes = await asyncio.gather(
        *(live_call(database, payer, random.Random(dice.random()), ask, 10_000) for payer in payers)
    )
    async with database.school(place.school_id) as session:
        (standing,) = await standings(session)
    overspent = standing.spent - amount
    responses = sum(number for number, _ in outcomes)
    with capsys.disabled():
        print(
            f"\n{CALLS} calls that set aside {ask / DOLLAR:.3f} USD each, {responses} responses of up to "
            f"{MOST / DOLLAR:.2f} USD: a budget of {amount / DOLLAR:.2f} USD was overspent by "
            f"{overspent / DOLLAR:.4f} USD (one response each would be {CALLS * MOST / DOLLAR:.2f} USD)"
        )
    assert standing.spent == standing.booked
    assert standing.held == standing.holds == 0
    assert 0 <= overspent <= sum(beyond for _, beyond in outcomes) <= CALLS * MOST


@given(st.integers(0, 2**32), st.integers(1, 6), st.integers(1, 200_000), st.integers(1, 60_000))
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_sums_stay_equal_whatever_happens_at_once(
    database_url: str, seed: int, callers: int, amount: int, ask: int
) -> None:
    """Calls that end and calls that stay: spent is what the ledger says, held what the calls hold."""
    asyncio.run(_sums_stay_equal(database_url, random.Random(seed), callers, amount, ask))


async def _sums_stay_equal(database_url: str, dice: random.Random, callers: int, amount: int, ask: int) -> None:
    database = await Database.connect(database_url)
    try:
        place = await make_place(database, str(uuid4()), f"+3491{uuid4().int % 10**9:09d}")
        for scope in ("school", "line"):
            await budget(database, place, amount, scope=scope)
        payers = []
        for number in range(2 * callers):
            async with database.school(place.school_id) as session:
                call = await calls.open_call(
                    session,
                    school_id=place.school_id,
                    line_id=place.line_id,
                    carrier_sid=f"{place.school_id}{number}",
                    account_sid="AC1",
                    max_calls=10_000,
                )
            payers.append(Payer(place.school_id, place.line_id, call_id=call.id))
        ending, staying = payers[callers:], payers[:callers]
        outcomes = await asyncio.gather(
            *(live_call(database, payer, random.Random(dice.random()), ask, dice.randint(1, 6)) for payer in ending),
            *(held_by(database, payer, dice.randint(0, ask)) for payer in staying),
        )
        async with database.school(place.school_id) as session:
            for standing in await standings(session):
                assert standing.spent == standing.booked
                assert standing.held == standing.holds
                beyond = sum(outcome[1] for outcome in outcomes if isinstance(outcome, tuple))
                assert standing.spent + standing.held <= amount + beyond
    finally:
        await database.close()


async def test_a_period_begins_once_and_misses_nothing(database: Database, place: Place, open_call: OpenCall) -> None:
    """Thirty who book and ask at once, before anybody asked for the day's budget: one period, with every entry."""
    await budget(database, place, 100 * DOLLAR)
    payers = [Payer(place.school_id, place.line_id, call_id=await open_call()) for _ in range(30)]

    async def book_and_ask(number: int, payer: Payer) -> None:
        async with database.school(place.school_id) as session:
            holding = await limits.holding_for(session, payer, NOON)
            periods = await budgets.ready(session, payer, holding) if number % 2 else []
            await ledger.book(session, payer, [entry(str(number), 1_000 + number)], at=NOON)
            await budgets.hold_in(session, payer, periods, 10)

    await asyncio.gather(*(book_and_ask(number, payer) for number, payer in enumerate(payers)))
    async with database.school(place.school_id) as session:
        (standing,) = await standings(session)
        assert len((await session.scalars(select(BudgetPeriod))).all()) == 1
    assert standing.spent == standing.booked == sum(1_000 + number for number in range(30))
