"""A call's row: admission, the menu's steps, its streams, what the carrier says, and resumption."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, update

from db import calls
from db.endings import Ending, finish
from db.engine import Database
from db.models import Call
from tests.db.conftest import OpenCall, Place, Query


async def read(database: Database, place: Place, call_id: UUID) -> Call:
    """The call as it is stored."""
    async with database.school(place.school_id) as session:
        call = await calls.get(session, call_id)
        assert call is not None
        return call


async def begin(database: Database, place: Place, call_id: UUID, max_calls: int | None = None) -> bool:
    """The caller chose the café."""
    async with database.school(place.school_id) as session:
        return await calls.begin(session, call_id, scenario="cafe", level="A1", max_calls=max_calls)


async def connect(database: Database, place: Place, call_id: UUID) -> int:
    """A media stream of the call begins."""
    async with database.school(place.school_id) as session:
        stream = await calls.connected(session, call_id)
        assert stream is not None
        return stream


async def close(database: Database, place: Place, call_id: UUID, *, resumable: bool = False) -> None:
    """The call ends."""
    async with database.school(place.school_id) as session:
        assert await finish(session, call_id, Ending("hangup", resumable=resumable))


async def test_a_new_call_is_in_the_menu(database: Database, place: Place, open_call: OpenCall) -> None:
    """An admitted call starts in the menu at step 0 and is found by the carrier's id before a school is known."""
    call = await read(database, place, await open_call(carrier_sid="CA1", caller_hash=b"h"))
    assert (call.state, call.step, call.menu, call.caller_hash) == ("menu", 0, {}, b"h")
    assert call.started_at.tzinfo is not None
    async with database.anyone() as session:
        assert await calls.find(session, "CA1") == calls.CallFound(place.school_id, call.id)
        assert await calls.find(session, "CA2") is None


async def test_exactly_the_slots_are_given(database: Database, open_call: OpenCall) -> None:
    """Of thirty calls that arrive at the same time exactly as many are admitted as there are slots."""
    answers = await asyncio.gather(*(open_call(max_calls=7) for _ in range(30)), return_exceptions=True)
    assert sum(isinstance(answer, UUID) for answer in answers) == 7
    assert sum(isinstance(answer, calls.NoSlot) for answer in answers) == 23
    async with database.anyone() as session:
        assert await calls.live_count(session) == 7


async def test_a_repeated_webhook_takes_no_second_slot(open_call: OpenCall) -> None:
    """The same carrier call, asked for again and again at once, is one call with one slot, even when all are taken."""
    ids = await asyncio.gather(*(open_call(carrier_sid="CA1", max_calls=1) for _ in range(10)))
    assert len(set(ids)) == 1


async def test_silent_and_ended_calls_hold_no_slot(
    database: Database, place: Place, open_call: OpenCall, superuser: Query
) -> None:
    """A slot is free again when its call has ended, is in the after-menu, or was not heard of for two minutes."""
    silent, after, ended = [await open_call() for _ in range(3)]
    await superuser("UPDATE calls SET heartbeat_at = now() - interval '121 s' WHERE id = %s", [silent])
    stream = await connect(database, place, after)
    async with database.school(place.school_id) as session:
        await calls.disconnected(session, after, stream=stream)
    await close(database, place, ended)
    async with database.anyone() as session:
        assert await calls.live_count(session) == 0
    await open_call(max_calls=1)


async def test_a_menu_step_is_taken_once(database: Database, place: Place, open_call: OpenCall) -> None:
    """Of many webhooks for one step one changes the menu; the others are told, and the stored menu is the winner's."""
    call_id = await open_call()

    async def save(key: int) -> bool:
        async with database.school(place.school_id) as session:
            return await calls.save_menu(session, call_id, 0, {"key": key})

    saved = await asyncio.gather(*(save(key) for key in range(8)))
    assert sum(saved) == 1
    call = await read(database, place, call_id)
    assert (call.step, call.menu) == (1, {"key": saved.index(True)})


async def test_a_closed_call_does_not_change(database: Database, place: Place, open_call: OpenCall) -> None:
    """After its end neither menu, choice, stream, heartbeat nor checkpoint touches a call."""
    call_id = await open_call()
    stream = await connect(database, place, call_id)
    await close(database, place, call_id)
    async with database.school(place.school_id) as session:
        assert not await calls.save_menu(session, call_id, 0, {"late": True})
        assert not await calls.begin(session, call_id, scenario="cafe", level="A1")
        assert not await calls.identify(session, call_id, None)
        assert await calls.connected(session, call_id) is None
        assert not await calls.heartbeat(session, call_id, stream=stream)
        assert not await calls.checkpoint(session, call_id, {"late": True}, stream=stream)
        assert not await calls.disconnected(session, call_id, stream=stream)
    call = await read(database, place, call_id)
    assert (call.state, call.menu, call.resume) == ("closed", {}, None)


async def test_a_call_goes_from_menu_to_media(database: Database, place: Place, open_call: OpenCall) -> None:
    """Choosing connects, the stream makes it live, and a second stream keeps the time of the first."""
    call_id = await open_call()
    assert await begin(database, place, call_id)
    call = await read(database, place, call_id)
    assert (call.state, call.scenario, call.level) == ("connecting", "cafe", "A1")
    assert await connect(database, place, call_id) == 1
    first = await read(database, place, call_id)
    assert (first.state, first.streams) == ("live", 1)
    assert await connect(database, place, call_id) == 2
    assert (await read(database, place, call_id)).connected_at == first.connected_at


async def test_an_older_stream_loses_the_call(database: Database, place: Place, open_call: OpenCall) -> None:
    """Once another stream has the call, the old one's heartbeat, checkpoint and end are refused and change nothing."""
    call_id = await open_call()
    old, new = await connect(database, place, call_id), await connect(database, place, call_id)
    async with database.school(place.school_id) as session:
        assert await calls.checkpoint(session, call_id, {"turn": 2}, stream=new)
        assert not await calls.heartbeat(session, call_id, stream=old)
        assert not await calls.checkpoint(session, call_id, {"turn": 1}, stream=old)
        assert not await calls.disconnected(session, call_id, stream=old)
        assert not await finish(session, call_id, Ending("lost"), stream=old)
        assert await calls.heartbeat(session, call_id, stream=new)
    call = await read(database, place, call_id)
    assert (call.state, call.resume) == ("live", {"turn": 2})


async def test_starting_again_needs_a_free_slot(database: Database, place: Place, open_call: OpenCall) -> None:
    """From the after-menu a new conversation takes a slot or is refused; one that resumes goes on regardless."""
    call_id = await open_call()
    stream = await connect(database, place, call_id)
    assert await begin(database, place, call_id, max_calls=1)
    async with database.school(place.school_id) as session:
        await calls.disconnected(session, call_id, stream=stream)
    await open_call(max_calls=1)
    with pytest.raises(calls.NoSlot):
        await begin(database, place, call_id, max_calls=1)
    assert await begin(database, place, call_id)


@pytest.mark.parametrize(
    ("reports", "news", "status"),
    [
        ([("in-progress", 1), ("completed", 2)], [True, True], "completed"),
        ([("completed", 2), ("in-progress", 1)], [True, False], "completed"),
        ([("completed", 1), ("in-progress", 5)], [True, False], "completed"),
        ([("completed", 0), ("completed", 0)], [True, False], "completed"),
        ([("ringing", 0), ("in-progress", 1), ("ringing", 0)], [True, True, False], "in-progress"),
    ],
)
async def test_carrier_reports_never_go_back(
    database: Database,
    place: Place,
    open_call: OpenCall,
    reports: list[tuple[str, int]],
    news: list[bool],
    status: str,
) -> None:
    """Whatever the order and repetition of its reports, the carrier's last word stays, and each counts once."""
    call_id = await open_call()
    async with database.school(place.school_id) as session:
        assert [await calls.carrier_status(session, call_id, *report) for report in reports] == news
    assert (await read(database, place, call_id)).carrier_status == status


async def find_dropped(
    database: Database, place: Place, *, besides: UUID | None = None, learner_id: UUID | None = None
) -> UUID | None:
    """The broken-off call that the caller b'h' would be offered."""
    async with database.school(place.school_id) as session:
        call = await calls.dropped(
            session, line_id=place.line_id, caller_hash=b"h", besides=besides or uuid4(), learner_id=learner_id
        )
        return call.id if call else None


async def test_a_dropped_call_is_offered_again(database: Database, place: Place, open_call: OpenCall) -> None:
    """A call that broke off is found for its caller by number, its checkpoint is taken once, and then it is gone."""
    call_id = await open_call(caller_hash=b"h")
    stream = await connect(database, place, call_id)
    async with database.school(place.school_id) as session:
        await calls.checkpoint(session, call_id, {"turn": 3}, stream=stream)
        assert await calls.take_resume(session, call_id) is None
    assert await find_dropped(database, place) is None
    await close(database, place, call_id, resumable=True)
    assert await find_dropped(database, place) == call_id
    assert await find_dropped(database, place, besides=call_id) is None
    assert await find_dropped(database, place, learner_id=uuid4()) is None

    async def take() -> dict[str, object] | None:
        async with database.school(place.school_id) as session:
            return await calls.take_resume(session, call_id)

    taken = await asyncio.gather(take(), take())
    assert sorted(taken, key=bool) == [None, {"turn": 3}]
    assert await find_dropped(database, place) is None


async def test_a_call_that_ended_well_is_not_offered(database: Database, place: Place, open_call: OpenCall) -> None:
    """Closing a call that need not resume removes its checkpoint."""
    call_id = await open_call(caller_hash=b"h")
    stream = await connect(database, place, call_id)
    async with database.school(place.school_id) as session:
        await calls.checkpoint(session, call_id, {"turn": 3}, stream=stream)
    await close(database, place, call_id)
    assert await find_dropped(database, place) is None
    assert (await read(database, place, call_id)).resume is None


@pytest.mark.parametrize(
    ("change", "offered"),
    [
        ("heartbeat_at = now() - interval '30 s'", False),
        ("heartbeat_at = now() - interval '61 s'", True),
        ("heartbeat_at = now() - interval '30 s', carrier_status = 'completed'", True),
        ("heartbeat_at = now() - interval '11 min'", False),
    ],
)
async def test_a_killed_process_leaves_a_call_to_offer(
    database: Database, place: Place, open_call: OpenCall, superuser: Query, change: str, offered: bool
) -> None:
    """An open call is offered when it is silent or the carrier has ended it, but not while it may go on, nor late."""
    call_id = await open_call(caller_hash=b"h")
    stream = await connect(database, place, call_id)
    async with database.school(place.school_id) as session:
        await calls.checkpoint(session, call_id, {"turn": 3}, stream=stream)
    await superuser(f"UPDATE calls SET {change}")
    assert await find_dropped(database, place) == (call_id if offered else None)


async def test_a_call_s_age_is_its_own_school_s_to_know(
    database: Database, place: Place, elsewhere: Place, open_call: OpenCall
) -> None:
    """In seconds since it began; another school sees no call, and so no age."""
    call_id = await open_call()
    async with database.school(place.school_id) as session:
        await session.execute(update(Call).values(started_at=func.now() - timedelta(seconds=100)))
        assert 100 <= await calls.age_s(session, call_id) < 130
    async with database.school(elsewhere.school_id) as session:
        assert await calls.age_s(session, call_id) == 0
