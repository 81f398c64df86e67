"""Notes of errors, call by call, as patterns are looked for in them."""

from __future__ import annotations

from db import calls, error_notes, learners
from db.endings import Ending, NewEvent, NewTurn, finish
from db.engine import Database
from db.keyring import Keyring
from tests.db.conftest import OpenCall, Place

NOTE = NewEvent(900, "error_note", {"type": "past_tense", "severity": "recurrent", "context": "", "handling": "recast"})
SAID = [NewTurn("role", 0, 500), NewTurn("learner", 600, 900), NewTurn("learner", 1_000, 1_500)]


async def test_the_last_calls_come_in_order_with_their_turns(
    database: Database, keyring: Keyring, place: Place, elsewhere: Place, open_call: OpenCall
) -> None:
    """Newest last; calls without a conversation and those of others are not among them."""
    async with database.school(place.school_id) as session:
        learner = await learners.create_with_number(
            session,
            school_id=place.school_id,
            number_hash=keyring.hash_number("+34600000001"),
            last_two="01",
            native="en",
            target="es",
            level="A1",
        )
    for events in ([], [NOTE, NOTE], [NOTE]):
        call_id = await open_call(learner_id=learner.id)
        async with database.school(place.school_id) as session:
            await calls.begin(session, call_id, scenario="cafe_order", level="A1")
            await calls.connected(session, call_id)
            await finish(session, call_id, Ending("role", SAID, events))
    await open_call(learner_id=learner.id)
    await open_call()
    async with database.school(place.school_id) as session:
        found = await error_notes.of_learner(session, learner.id)
        latest = await error_notes.of_learner(session, learner.id, limit=1)
    assert [(call.learner_turns, dict(call.errors)) for call in found] == [
        (2, {}),
        (2, {"past_tense": 2}),
        (2, {"past_tense": 1}),
    ]
    assert latest == found[-1:]
    async with database.school(elsewhere.school_id) as session:
        assert await error_notes.of_learner(session, learner.id) == []
