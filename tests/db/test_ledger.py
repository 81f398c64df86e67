"""The ledger: everything that is paid for is written once, adds up, and outlives whoever it was for."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from db import calls, costs, debriefs, endings, learners, ledger, lines, messages
from db.endings import Ending
from db.engine import Database
from db.keyring import Keyring
from db.limits import Payer
from db.models import Call, Message
from db.models_money import LedgerEntry
from tests.db.conftest import OpenCall, Place, Query, make_place
from tests.db.money import entry, utc
from tutor.realtime.pricing import prices

US_LINE = "+17875550100"


async def rows(database: Database, place: Place) -> list[LedgerEntry]:
    """The school's entries, in the order of writing."""
    async with database.school(place.school_id) as session:
        return list(await session.scalars(select(LedgerEntry).order_by(LedgerEntry.id)))


async def row(database: Database, place: Place, call_id: Any) -> Call:
    """The call as it is now."""
    async with database.school(place.school_id) as session:
        call = await calls.get(session, call_id)
    assert call is not None
    return call


async def connected(database: Database, place: Place, open_call: OpenCall, **details: Any) -> Any:
    """A call whose first stream is there."""
    call_id = await open_call(**details)
    async with database.school(place.school_id) as session:
        await calls.connected(session, call_id)
    return call_id


async def test_an_entry_is_written_once(database: Database, place: Place) -> None:
    """Booked again, alone or among others, it changes nothing and costs nothing."""
    payer = Payer(place.school_id, place.line_id)
    async with database.school(place.school_id) as session:
        assert await ledger.book(session, payer, [entry("a"), entry("b")]) == 2
        assert await ledger.book(session, payer, [entry("b", 5_000), entry("c")]) == 1
        assert await ledger.book(session, payer, []) == 0
    assert [(one.key, one.micro_usd) for one in await rows(database, place)] == [
        ("a", 1_000),
        ("b", 1_000),
        ("c", 1_000),
    ]


async def test_two_schools_may_pay_for_things_of_one_name(database: Database, place: Place, elsewhere: Place) -> None:
    """A key belongs to a school: another one neither sees it nor is kept from it."""
    for where in (place, elsewhere):
        async with database.school(where.school_id) as session:
            assert await ledger.book(session, Payer(where.school_id), [entry("a")]) == 1


async def test_many_who_book_the_same_at_once_write_it_once(database: Database, place: Place) -> None:
    """Ten processes with the same batch leave one batch."""
    payer = Payer(place.school_id, place.line_id)
    batch = [entry(str(number)) for number in range(20)]

    async def one() -> int:
        async with database.school(place.school_id) as session:
            return await ledger.book(session, payer, batch)

    assert sum(await asyncio.gather(*(one() for _ in range(10)))) == 20
    assert len(await rows(database, place)) == 20


@given(
    st.lists(
        st.tuples(st.integers(0, 12), st.one_of(st.none(), st.integers(0, 10_000_000)), st.integers(0, 10_000_000)),
        max_size=40,
    ),
    st.integers(1, 7),
)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_sums_are_those_of_the_entries(database_url: str, made: list[tuple[int, int | None, int]], size: int) -> None:
    """In whatever batches, with whatever repeats: a call's sum is that of the first entry of each key."""
    first: dict[int, tuple[int | None, int]] = {}
    for key, cost, most in made:
        first.setdefault(key, (cost, most))

    async def booked() -> ledger.Used | None:
        database = await Database.connect(database_url, pool_size=1, max_overflow=0)
        try:
            return await _booked_in(database, made, size)
        finally:
            await database.close()

    used = asyncio.run(booked())
    if not first:
        assert used is None
        return
    assert used is not None
    costs_ = [cost for cost, _ in first.values()]
    assert used.micro_usd == (None if None in costs_ else sum(cost or 0 for cost in costs_))
    assert used.charged_micro_usd == sum(most if cost is None else cost for cost, most in first.values())
    assert used.quantity["responses"] == len(first)


async def _booked_in(database: Database, made: list[tuple[int, int | None, int]], size: int) -> ledger.Used | None:
    place = await make_place(database, str(uuid4()), f"+3491{uuid4().int % 10**7:07d}")
    async with database.school(place.school_id) as session:
        call = await calls.open_call(
            session,
            school_id=place.school_id,
            line_id=place.line_id,
            carrier_sid=str(uuid4()),
            account_sid="AC1",
            max_calls=10_000,
        )
    entries = [entry(str(key), cost, at_most=most) for key, cost, most in made]
    payer = Payer(place.school_id, place.line_id, call_id=call.id)
    for start in range(0, len(entries), size):
        async with database.school(place.school_id) as session:
            await ledger.book(session, payer, entries[start : start + size])
    async with database.school(place.school_id) as session:
        return await ledger.used(session, call.id)


async def test_a_closed_call_costs_what_its_entries_say(database: Database, place: Place, open_call: OpenCall) -> None:
    """What was booked on the way and what was still pending add up; the carrier's minutes are entries beside it."""
    call_id = await connected(database, place, open_call)
    payer = Payer(place.school_id, place.line_id, call_id=call_id)
    async with database.school(place.school_id) as session:
        await ledger.book(session, payer, [entry("a", 1_000), entry("b", 2_000, kind="transcription")])
    async with database.school(place.school_id) as session:
        ending = Ending("key", cost_micro_usd=99, cost_complete=True, entries=[entry("b", 2_000), entry("c", 4_000)])
        assert await endings.finish(session, call_id, ending)
    call = await row(database, place, call_id)
    assert (call.cost_micro_usd, call.cost_complete) == (7_000, True)
    assert call.usage["responses"] == 3
    assert [one.kind for one in await rows(database, place)] == [
        "response",
        "transcription",
        "response",
        "carrier_minutes",
    ]


async def test_closing_twice_books_once(database: Database, place: Place, open_call: OpenCall) -> None:
    """Whoever closes a call second adds nothing to it."""
    call_id = await connected(database, place, open_call)
    for _ in range(2):
        async with database.school(place.school_id) as session:
            await endings.finish(session, call_id, Ending("key", entries=[entry("a")], cost_complete=True))
    assert len(await rows(database, place)) == 2


async def test_an_unknown_price_makes_the_call_s_cost_unknown(
    database: Database, place: Place, open_call: OpenCall
) -> None:
    """Unknown is not 0: the row says neither an amount nor that it is complete."""
    call_id = await connected(database, place, open_call)
    async with database.school(place.school_id) as session:
        ending = Ending("key", entries=[entry("a"), entry("b", None)], cost_complete=True)
        await endings.finish(session, call_id, ending)
    call = await row(database, place, call_id)
    assert (call.cost_micro_usd, call.cost_complete) == (None, False)


async def test_a_call_that_never_connected_cost_nothing_at_the_model(
    database: Database, place: Place, open_call: OpenCall
) -> None:
    """Who hangs up in the menu leaves the carrier's minute, and a model cost of 0 that is complete (row 7)."""
    call_id = await open_call()
    async with database.school(place.school_id) as session:
        await endings.finish(session, call_id, Ending("left_menu"))
    call = await row(database, place, call_id)
    assert (call.cost_micro_usd, call.cost_complete) == (0, True)
    assert [one.kind for one in await rows(database, place)] == ["carrier_minutes"]


async def test_a_killed_call_leaves_an_estimate_above_any_response(
    database: Database, place: Place, open_call: OpenCall
) -> None:
    """Its cost is what was booked, marked as incomplete; what nobody counted stands beside it as an upper estimate."""
    call_id = await connected(database, place, open_call)
    payer = Payer(place.school_id, place.line_id, call_id=call_id)
    used = {"responses": 1, "text_in": 2_000, "audio_in": 5_000, "model": "gpt-realtime-2.1-mini"}
    async with database.school(place.school_id) as session:
        await ledger.book(session, payer, [ledger.NewEntry("response", "a", 3_000, 3_000, used)])
    async with database.school(place.school_id) as session:
        await endings.finish(session, call_id, Ending("process_lost", lost_response=True))
    call = await row(database, place, call_id)
    assert (call.cost_micro_usd, call.cost_complete) == (3_000, False)
    estimate = next(one for one in await rows(database, place) if one.kind == "estimate")
    assert estimate.micro_usd is None
    bound = prices().next_response_at_most("gpt-realtime-2.1-mini", text_in=2_000, audio_in=5_000)
    assert estimate.charged_micro_usd == bound


async def test_carrier_minutes_are_rounded_up_and_priced_by_the_line_s_number(
    database: Database, place: Place, open_call: OpenCall, superuser: Query
) -> None:
    """Sixty-one seconds on a US line are two minutes; where no price is known the cost is unknown, and charged."""
    async with database.school(place.school_id) as session:
        line = await lines.add(session, school_id=place.school_id, number=US_LINE, name="US")
    for line_id in (line.id, place.line_id):
        call_id = await open_call(line_id=line_id)
        await superuser("UPDATE calls SET started_at = now() - interval '61 seconds' WHERE id = %s", [call_id])
        async with database.school(place.school_id) as session:
            await endings.finish(session, call_id, Ending("left_menu"))
    american, spanish = await rows(database, place)
    assert (american.quantity["minutes"], american.micro_usd) == (2, 25_000)
    assert (spanish.quantity["minutes"], spanish.micro_usd) == (2, None)
    assert spanish.charged_micro_usd > american.charged_micro_usd


@pytest.mark.parametrize(("seconds", "minutes"), [(150, 3), (30, 1), (61, 2)])
async def test_the_carrier_s_own_figure_corrects_the_minutes_once(
    database: Database, place: Place, open_call: OpenCall, superuser: Query, seconds: int, minutes: int
) -> None:
    """Whether more or less than was booked: afterwards the ledger says what the carrier says, however often it does."""
    async with database.school(place.school_id) as session:
        line = await lines.add(session, school_id=place.school_id, number=US_LINE, name="US")
    call_id = await open_call(line_id=line.id)
    await superuser("UPDATE calls SET started_at = now() - interval '61 seconds' WHERE id = %s", [call_id])
    async with database.school(place.school_id) as session:
        await endings.finish(session, call_id, Ending("left_menu"))
    for again in range(2):
        async with database.school(place.school_id) as session:
            assert await ledger.carrier_billed(session, call_id, seconds) is (minutes != 2 and not again)
    found = await rows(database, place)
    assert sum(one.quantity["minutes"] for one in found) == minutes
    assert sum(one.micro_usd or 0 for one in found) == minutes * 12_500


@pytest.mark.parametrize("first", ["status", "close", "both at once"])
@pytest.mark.parametrize("swept", [False, True])
@pytest.mark.parametrize(("seconds", "minutes"), [(150, 3), (30, 1), (61, 2)])
async def test_the_carrier_s_figure_counts_whichever_comes_first(
    database: Database,
    place: Place,
    open_call: OpenCall,
    superuser: Query,
    first: str,
    swept: bool,
    seconds: int,
    minutes: int,
) -> None:
    """Its report before the call is closed, after it or beside it, twice each, closed by its driver or, where that was
    killed, by the sweep: the carrier's minutes, once."""
    async with database.school(place.school_id) as session:
        line = await lines.add(session, school_id=place.school_id, number=US_LINE, name="US")
    call_id = await connected(database, place, open_call, line_id=line.id)
    await superuser(
        "UPDATE calls SET started_at = now() - interval '8 minutes', heartbeat_at = now() - interval '5 minutes'"
        " WHERE id = %s",
        [call_id],
    )

    async def report() -> None:
        for _ in range(2):
            async with database.school(place.school_id) as session:
                await ledger.carrier_billed(session, call_id, seconds)

    async def close() -> None:
        ending = Ending("process_lost", lost_response=True)
        if swept:
            await endings.close_stale(database, lambda _: ending)
            return
        async with database.school(place.school_id) as session:
            await endings.finish(session, call_id, ending)

    if first == "both at once":
        await asyncio.gather(report(), close())
    elif first == "status":
        await report()
    await close()  # also for the sweep: it leaves a row alone that somebody else has at this moment
    await report()
    found = [one for one in await rows(database, place) if one.kind == "carrier_minutes"]
    assert sum(one.quantity["minutes"] for one in found) == minutes
    assert sum(one.micro_usd or 0 for one in found) == minutes * 12_500
    call = await row(database, place, call_id)
    assert (call.state, call.carrier_s) == ("closed", seconds)


async def test_a_debrief_is_booked_with_itself(database: Database, place: Place, open_call: OpenCall) -> None:
    """What the text model took is an entry of its own, also where another was faster; who asked nobody paid nothing."""
    call_id, other = await open_call(), await open_call()
    async with database.school(place.school_id) as session:
        ids: dict[str, Any] = {"school_id": place.school_id, "content": {}, "source": "model"}
        assert await debriefs.put(session, call_id=call_id, model="gpt-6-luna", cost_micro_usd=321, **ids)
        assert not await debriefs.put(session, call_id=call_id, model="gpt-6-luna", cost_micro_usd=321, **ids)
        assert not await debriefs.put(session, call_id=call_id, model="gpt-6-luna", cost_micro_usd=45, **ids)
        assert await debriefs.put(session, call_id=other, cost_micro_usd=0, **ids)
        assert not await debriefs.put(session, call_id=other, cost_micro_usd=0, **ids)
    assert [(one.kind, one.micro_usd, one.call_id) for one in await rows(database, place)] == [
        ("debrief", cost, call_id) for cost in (321, 321, 45)
    ]


async def test_a_message_is_booked_by_attempt(
    database: Database, keyring: Keyring, place: Place, open_call: OpenCall
) -> None:
    """Two segments of a text are paid for once an attempt, and by learner."""
    async with database.school(place.school_id) as session:
        learner = await learners.create_with_number(
            session,
            school_id=place.school_id,
            number_hash=b"hash",
            last_two="01",
            native="en",
            target="es",
            level="A1",
        )
    call_id = await open_call(learner_id=learner.id)
    async with database.school(place.school_id) as session:
        await messages.add(
            session,
            school_id=place.school_id,
            call_id=call_id,
            learner_id=learner.id,
            account_sid="AC1",
            sender=US_LINE,
            kind="debrief",
            key="k",
            body="¡Bien!",
            number_hash=b"hash",
        )
        message = await session.scalar(select(Message))
        assert message is not None
        assert await ledger.book_message(session, message, segments=2)
        assert not await ledger.book_message(session, message, segments=2)
        message.attempts += 1
        assert await ledger.book_message(session, message, segments=2)
    found = await rows(database, place)
    assert [(one.micro_usd, one.learner_id, one.line_id) for one in found] == [(24_600, learner.id, place.line_id)] * 2


async def test_an_answer_to_help_is_booked_once(database: Database, place: Place) -> None:
    """It is paid for by the line's school, per segment, once for each text that asked; no other school sees it."""
    payer, at = Payer(place.school_id, place.line_id), utc("2026-11-21 09:00")
    async with database.school(place.school_id) as session:
        asked: dict[str, Any] = {"sender": US_LINE, "segments": 2, "at": at}
        assert not await ledger.help_booked(session, "SM1")
        assert await ledger.book_help(session, payer, carrier_sid="SM1", **asked)
        assert not await ledger.book_help(session, payer, carrier_sid="SM1", **asked)
        assert await ledger.help_booked(session, "SM1")
        assert not await ledger.help_booked(session, "SM2")
    other = await make_place(database, "South", "+34911999999")
    async with database.school(other.school_id) as session:
        assert not await ledger.help_booked(session, "SM1")
    assert [(one.micro_usd, one.line_id, one.at) for one in await rows(database, place)] == [
        (24_600, place.line_id, at)
    ]


async def test_what_was_booked_cannot_be_changed(database: Database, place: Place) -> None:
    """The application may add to the ledger and nothing else."""
    async with database.school(place.school_id) as session:
        await ledger.book(session, Payer(place.school_id), [entry("a")])
    for statement in ("UPDATE ledger_entries SET micro_usd = 0", "DELETE FROM ledger_entries"):
        with pytest.raises(DBAPIError) as caught:
            async with database.school(place.school_id) as session:
                await session.execute(text(statement))
        assert isinstance(caught.value.orig, psycopg.errors.InsufficientPrivilege)


async def test_a_forgotten_learner_leaves_the_cost_behind(
    database: Database, place: Place, open_call: OpenCall
) -> None:
    """The entry stays, to the micro-dollar, and says no longer whose it was."""
    async with database.school(place.school_id) as session:
        learner = await learners.create_with_number(
            session,
            school_id=place.school_id,
            number_hash=b"hash",
            last_two="01",
            native="en",
            target="es",
            level="A1",
        )
    call_id = await open_call(learner_id=learner.id)
    async with database.school(place.school_id) as session:
        await ledger.book(session, Payer(place.school_id, place.line_id, learner.id, call_id), [entry("a")])
        await session.execute(text("DELETE FROM learners"))
    found = await rows(database, place)
    assert [(one.learner_id, one.call_id, one.micro_usd) for one in found] == [(None, call_id, 1_000)]


async def test_totals_add_up_by_kind_and_by_learner(
    database: Database, place: Place, elsewhere: Place, open_call: OpenCall
) -> None:
    """Every way of adding up gives the same money; another day's and another school's are not in it."""
    async with database.school(place.school_id) as session:
        learner = await learners.create_with_number(
            session,
            school_id=place.school_id,
            number_hash=b"hash",
            last_two="01",
            native="en",
            target="es",
            level="A1",
        )
    noon, yesterday = utc("2026-11-21 12:00"), utc("2026-11-20 12:00")
    call_id = await open_call(learner_id=learner.id)
    async with database.school(place.school_id) as session:
        hers = Payer(place.school_id, place.line_id, learner.id, call_id)
        await ledger.book(session, hers, [entry("a", 5_000), entry("b", None, at_most=70)], at=noon)
        await ledger.book(session, Payer(place.school_id), [entry("c", 300, kind="message")], at=noon)
        await ledger.book(session, hers, [entry("d", 40_000)], at=yesterday)
    async with database.school(elsewhere.school_id) as session:
        await ledger.book(session, Payer(elsewhere.school_id), [entry("a", 1)], at=noon)
    async with database.school(place.school_id) as session:
        today = await costs.today(session, place.school_id, noon)
        both = await costs.last_days(session, place.school_id, noon, 2)
        assert await costs.total(session, today) == costs.Sum(5_300, 1, 70)
        assert (await costs.total(session, both)).micro_usd == 45_300
        kinds = await costs.by_kind(session, today)
        assert [(one.kind, one.entries, one.sum.micro_usd) for one in kinds] == [
            ("response", 2, 5_000),
            ("message", 1, 300),
        ]
        people = await costs.by_learner(session, today)
        assert [(one.learner_id, one.sum.micro_usd) for one in people] == [(learner.id, 5_000), (None, 300)]
        average = await costs.average(session, place.school_id, noon)
        assert average.micro_usd == pytest.approx(40_000 / 7)
        assert average.tokens == pytest.approx(30 / 7)


async def test_an_average_day_is_of_the_seven_days_before(
    database: Database, place: Place, open_call: OpenCall, superuser: Query
) -> None:
    """Today and the eighth day back do not count; three calls of ten minutes in a week are 4.3 minutes a day."""
    noon = utc("2026-11-21 12:00")
    for days in (0, 1, 3, 7, 8):
        call_id = await open_call()
        await superuser(
            "UPDATE calls SET state = 'closed', started_at = %(at)s - make_interval(days => %(days)s),"
            " connected_at = %(at)s - make_interval(days => %(days)s),"
            " ended_at = %(at)s - make_interval(days => %(days)s) + interval '10 minutes' WHERE id = %(id)s",
            {"at": noon, "days": days, "id": call_id},
        )
    async with database.school(place.school_id) as session:
        average = await costs.average(session, place.school_id, noon)
        people = await costs.by_learner(session, await costs.today(session, place.school_id, noon))
    assert average.talk_s == pytest.approx(3 * 600 / 7)
    assert average.calls == pytest.approx(3 / 7)
    assert [(one.learner_id, one.calls, one.talk_s) for one in people] == [(None, 1, 600)]
