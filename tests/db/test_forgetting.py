"""A learner who is forgotten is nowhere any more; what was others' stays, and the accounts still add up."""

from __future__ import annotations

import json
from uuid import uuid4

import pytest
from sqlalchemy import select, text

from db import audit, calls, consents, flags, forgetting, learners, retention, stripping
from db.engine import Database
from db.exporting import export_learner
from db.forgetting import Forgotten, forget_learner
from db.keyring import Keyring
from db.models import Base, Consent
from db.models_money import LedgerEntry
from tests.db.conftest import Place, Query
from tests.db.planted import (
    NAME,
    NUMBER,
    PARENT,
    SENTENCE,
    SHARED,
    SISTER,
    call_of,
    close_call,
    content,
    found,
    plant,
)

NOT_OF_A_CALL = {"messages", "safety_flags", "recordings", "achievements", "ledger_entries", "budget_holds"}
"""Tables with a call that stay with it, or are treated for themselves."""
NOT_OF_A_LEARNER = {"calls", "recordings", "ledger_entries"}
"""Tables with a learner that stay without one."""


async def forget(database: Database, place: Place, learner_id: object) -> Forgotten:
    """Forgets in a transaction of its own."""
    async with database.school(place.school_id) as session:
        return await forget_learner(session, learner_id, actor=audit.LEARNER)  # type: ignore[arg-type]


async def test_a_planted_learner_is_found_nowhere(
    database: Database, keyring: Keyring, place: Place, superuser: Query
) -> None:
    """Number, name, sentence and id are in many tables before, in plain, hashed and encrypted; afterwards in none."""
    planted = await plant(database, keyring, place)
    needles = (
        *(NUMBER, NUMBER[1:], NAME, SENTENCE, "Fosforito", str(planted.learner_id)),
        *(PARENT, keyring.hash_number(NUMBER), keyring.hash_number(PARENT)),
    )
    before = await found(superuser, keyring, *needles)
    assert {name.split(".")[0] for name in before} >= {
        *("learners", "caller_identities", "guardians", "calls", "turns", "call_events", "debriefs", "messages"),
        *("review_cards", "topics", "facts", "enrolments", "pins", "pin_tries", "consents", "debrief_links"),
        *("observations", "ratings", "profiles", "achievements", "confidence_answers", "recordings", "ledger_entries"),
        "satisfaction_questions",
    }
    await forget(database, place, planted.learner_id)
    assert await found(superuser, keyring, *needles) == []


@pytest.mark.parametrize("needle", [NUMBER, NAME, SENTENCE])
async def test_the_search_itself_finds(
    database: Database, keyring: Keyring, place: Place, superuser: Query, needle: str
) -> None:
    """The proof above would see each of them alone, the number through its encryption."""
    await plant(database, keyring, place)
    assert await found(superuser, keyring, needle)


async def test_what_went_is_told_in_counts(database: Database, keyring: Keyring, place: Place) -> None:
    """Calls, rows of each table, recordings and the carrier's copies are counted; the audit holds counts and nobody."""
    planted = await plant(database, keyring, place)
    gone = await forget(database, place, planted.learner_id)
    # The learner's own, a guest's from the same telephone, a parent's; the message never went to the carrier.
    assert (gone.found, gone.calls, gone.recordings, gone.carrier_copies) == (True, 3, 1, 3)
    assert gone.rows["turns"] == 4
    assert gone.rows["caller_identities"] == 2
    assert gone.rows["debriefs"] == gone.rows["messages"] == gone.rows["pins"] == gone.rows["enrolments"] == 1
    assert 0 not in gone.rows.values()
    async with database.school(place.school_id) as session:
        line = (await audit.latest(session))[0]
    assert (line.actor, line.action, line.subject) == ("learner", "forget", "learner")
    assert line.data == {"calls": 3, "recordings": 1, "carrier_copies": 3}


async def test_time_and_cost_of_the_calls_stay(database: Database, keyring: Keyring, place: Place) -> None:
    """The school's accounts do not change: when, how long, what it cost; whose it was is gone from them."""
    planted = await plant(database, keyring, place)
    async with database.school(place.school_id) as session:
        before = await calls.get(session, planted.call_id)
        assert before is not None
        kept = (before.started_at, before.ended_at, before.cost_micro_usd, before.scenario)
    await forget(database, place, planted.learner_id)
    async with database.school(place.school_id) as session:
        call = await calls.get(session, planted.call_id)
        assert call is not None
        assert (call.started_at, call.ended_at, call.cost_micro_usd, call.scenario) == kept
        assert call.cost_micro_usd == 12_345
        assert (call.kept, call.learner_id, call.caller_hash, call.menu, call.resume) == ("cost", None, None, {}, None)
        (entry,) = (await session.scalars(select(LedgerEntry).where(LedgerEntry.kind == "response"))).all()
        assert (entry.call_id, entry.learner_id, entry.micro_usd) == (planted.call_id, None, 12_345)
        # An audit of its own, without words: somebody may still have to look at the call.
        assert len(await flags.of_call(session, planted.call_id)) == 1


async def test_what_others_share_stays_theirs(
    database: Database, keyring: Keyring, place: Place, superuser: Query
) -> None:
    """The sister keeps her name, her call and its words, and the consent of the telephone that both use."""
    planted = await plant(database, keyring, place)
    await forget(database, place, planted.learner_id)
    async with database.school(place.school_id) as session:
        (sister,) = await learners.by_number_hash(session, keyring.hash_number(SHARED))
        assert (sister.id, sister.first_name) == (planted.sister_id, SISTER)
        assert await consents.standing(session, keyring.hash_number(SHARED))
        assert not (
            await session.scalars(select(Consent).where(Consent.number_hash == keyring.hash_number(NUMBER)))
        ).all()
        call = await calls.get(session, planted.sister_call_id)
        assert call is not None
        assert (call.learner_id, call.kept) == (planted.sister_id, "words")
        people = call.menu["earlier"]["people"]
        assert [person["name"] for person in people] == [None, SISTER]
    said = await superuser("SELECT count(*) FROM turns WHERE call_id = %s", [planted.sister_call_id])
    assert said == [(2,)]


async def test_an_opt_out_outlives_its_number(
    database: Database, keyring: Keyring, place: Place, superuser: Query
) -> None:
    """Whoever wanted no texts gets none after they were forgotten either: of the number, its keyed hash stays there."""
    planted = await plant(database, keyring, place)
    number_hash = keyring.hash_number(NUMBER)
    async with database.school(place.school_id) as session:
        await consents.opt_out(session, number_hash, "SM1")
    await forget(database, place, planted.learner_id)
    assert await found(superuser, keyring, number_hash) == ["opt_outs.number_hash"]
    async with database.anyone() as session:
        assert await consents.opted_out(session, number_hash)


async def test_forgetting_twice_and_forgetting_nobody(database: Database, keyring: Keyring, place: Place) -> None:
    """A button that is pressed twice does nothing the second time, and writes no second line."""
    planted = await plant(database, keyring, place)
    assert (await forget(database, place, planted.learner_id)).found
    assert await forget(database, place, planted.learner_id) == Forgotten()
    assert await forget(database, place, uuid4()) == Forgotten()
    async with database.school(place.school_id) as session:
        assert [line.action for line in await audit.latest(session)].count("forget") == 1


async def test_another_school_cannot_forget(
    database: Database, keyring: Keyring, place: Place, elsewhere: Place
) -> None:
    """A learner of another school is nobody, and stays."""
    planted = await plant(database, keyring, place)
    assert await forget(database, elsewhere, planted.learner_id) == Forgotten()
    async with database.school(place.school_id) as session:
        assert await learners.get(session, planted.learner_id) is not None


async def test_a_rollback_forgets_nothing(database: Database, keyring: Keyring, place: Place, superuser: Query) -> None:
    """Rows, jobs and the carrier's list change together or not at all."""
    planted = await plant(database, keyring, place)
    waiting = "SELECT count(*) FROM procrastinate_jobs"
    before = await superuser(waiting)

    async def begin_and_fail() -> None:
        async with database.school(place.school_id) as session:
            await forget_learner(session, planted.learner_id)
            raise RuntimeError("the process ends here")

    with pytest.raises(RuntimeError, match="ends here"):
        await begin_and_fail()
    assert await superuser(waiting) == before
    assert await superuser("SELECT count(*) FROM carrier_copies") == [(0,)]
    async with database.school(place.school_id) as session:
        call = await calls.get(session, planted.call_id)
        assert call is not None
        assert call.learner_id == planted.learner_id


async def test_a_call_that_is_going_on(database: Database, keyring: Keyring, place: Place, superuser: Query) -> None:
    """Nobody is cut off; the call writes no word any more, and what it leaves goes once it is over, by a job."""
    planted = await plant(database, keyring, place)
    own = keyring.hash_number(NUMBER)
    open_id = await call_of(
        database, place, "CA" + "5" * 32, learner_id=planted.learner_id, caller_hash=own, close=False
    )
    await forget(database, place, planted.learner_id)
    async with database.school(place.school_id) as session:
        call = await calls.get(session, open_id)
        assert call is not None
        assert (call.state, call.learner_id, call.caller_hash) == ("live", None, None)
        assert not await stripping.may_keep_words(session, open_id)
        assert await retention.leave_cost_again(session, open_id) == 0
    jobs = await superuser(
        "SELECT count(*) FROM procrastinate_jobs WHERE task_name = %s AND args ->> 'call_id' = %s",
        [forgetting.JOB, str(open_id)],
    )
    assert jobs == [(1,)]
    await close_call(database, place, open_id)
    assert await found(superuser, keyring, SENTENCE) == []
    async with database.school(place.school_id) as session:
        assert await retention.leave_cost_again(session, open_id) == 1
        assert await retention.leave_cost_again(session, open_id) == 0
    left = await superuser("SELECT count(*) FROM turns WHERE call_id = %s", [open_id])
    assert left == [(0,)]


async def test_a_job_that_was_under_way(database: Database, keyring: Keyring, place: Place, superuser: Query) -> None:
    """A debrief that was being written when its learner was forgotten is found by the next sweep and goes."""
    planted = await plant(database, keyring, place)
    await forget(database, place, planted.learner_id)
    await superuser(
        "INSERT INTO debriefs (call_id, school_id, content, source) VALUES (%s, %s, %s, 'model')",
        [planted.call_id, place.school_id, json.dumps(content())],
    )
    async with database.school(place.school_id) as session:
        assert await retention.leave_cost_again(session) == 1
    assert await superuser("SELECT count(*) FROM debriefs") == [(0,)]


async def test_a_learner_may_come_back_as_somebody_new(database: Database, keyring: Keyring, place: Place) -> None:
    """The next call from the number meets a stranger, who is asked everything again."""
    planted = await plant(database, keyring, place)
    await forget(database, place, planted.learner_id)
    own = keyring.hash_number(NUMBER)
    async with database.school(place.school_id) as session:
        assert not await learners.by_number_hash(session, own)
        assert not await consents.asked(session, own)
        again = await learners.create_with_number(
            session,
            school_id=place.school_id,
            number_hash=own,
            last_two="87",
            native="en",
            target="es",
            level="A1",
        )
    assert again.id != planted.learner_id


def test_every_table_is_decided_upon() -> None:
    """A new table with a call or a learner in it must be named here, or a forgotten learner would stay in it."""
    tables = Base.metadata.tables.values()
    with_call = {table.name for table in tables if "call_id" in table.c}
    with_learner = {table.name for table in tables if "learner_id" in table.c}
    assert {table.__tablename__ for table in stripping.OF_A_CALL} == with_call - NOT_OF_A_CALL
    assert {table.__tablename__ for table in forgetting.OF_A_LEARNER} == with_learner - NOT_OF_A_LEARNER


# --- what is held, for themselves


async def test_an_export_holds_everything(database: Database, keyring: Keyring, place: Place) -> None:
    """Name, numbers, what was said and measured, in plain names; it is JSON, and nothing of the sister's is in it."""
    planted = await plant(database, keyring, place)
    async with database.school(place.school_id) as session:
        held = await export_learner(session, planted.learner_id, keyring=keyring)
    shown = json.dumps(held, ensure_ascii=False)
    assert held["learner"]["first_name"] == NAME
    assert {"last_two_digits": "87", "kept_for_messages": True, "number": NUMBER} in held["telephones"]
    assert held["guardians"][0]["number"] == PARENT
    (joined,) = held["classes"]
    assert (joined["class"], joined["student_number"]) == ("4B", f"17 {NAME}")
    assert joined["assigned"] == [{"scene": "cafe_order", "language": None, "from": "2026-11-23", "to": "2026-11-29"}]
    (call,) = held["calls"]
    assert [turn["text"] for turn in call["turns"]] == [f"¿Cómo? ¿{SENTENCE}?", SENTENCE]
    assert call["debrief"]["content"]["keep"] == SENTENCE
    assert [message["body"] for message in call["messages"]] == [SENTENCE]
    assert "goal" in {event["kind"] for event in call["events"]}
    for name in ("measurements", "ratings", "review_cards", "topics", "facts", "confidence_answers", "achievements"):
        assert held[name], name
    (asked,) = held["satisfaction_questions"]
    assert asked["answer"] == 4
    assert SISTER not in shown
    assert keyring.hash_number(NUMBER).hex() not in shown


async def test_an_export_keeps_what_a_child_disclosed(database: Database, keyring: Keyring, place: Place) -> None:
    """What the guard found is in it only when asked for; without the keyring there are two digits of a number."""
    planted = await plant(database, keyring, place)
    async with database.school(place.school_id) as session:
        held = await export_learner(session, planted.learner_id)
        whole = await export_learner(session, planted.learner_id, safeguarding=True)
    assert "safety_flags" not in held["calls"][0]
    assert [flag["category"] for flag in whole["calls"][0]["safety_flags"]] == ["report"]
    assert NUMBER not in json.dumps(held)


async def test_nobody_is_exported_to_another_school(
    database: Database, keyring: Keyring, place: Place, elsewhere: Place
) -> None:
    """A learner of another school is nobody, and the error says nothing about them."""
    planted = await plant(database, keyring, place)
    async with database.school(elsewhere.school_id) as session:
        with pytest.raises(LookupError, match="no such learner"):
            await export_learner(session, planted.learner_id, keyring=keyring)


async def test_forgetting_searches_no_whole_table(database: Database, keyring: Keyring, place: Place) -> None:
    """Each statement of forgetting finds its rows by an index, at three million calls as here."""
    planted = await plant(database, keyring, place)
    async with database.school(place.school_id) as session:
        await session.execute(text("SET LOCAL enable_seqscan = off"))
        for table in ("turns", "call_events", "debriefs", "observations", "topics", "facts", "debrief_links"):
            plan = await session.scalars(
                text(f"EXPLAIN SELECT 1 FROM {table} WHERE call_id = :call"), {"call": planted.call_id}
            )
            assert "Seq Scan" not in "\n".join(plan), table
        for table in ("calls", "messages", "review_cards", "pins", "enrolments", "caller_identities", "recordings"):
            plan = await session.scalars(
                text(f"EXPLAIN SELECT 1 FROM {table} WHERE learner_id = :learner"), {"learner": planted.learner_id}
            )
            assert "Seq Scan" not in "\n".join(plan), table
