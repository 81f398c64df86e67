"""What is kept and forgotten of one school is out of another's reach, even by an id that was learned somewhere."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from db import audit, carrier_copies, directory, policies, recordings, retention, staff, stripping
from db.carrier_copies import Copy
from db.engine import Database
from db.keyring import Keyring
from tests.db.conftest import Place, Query
from tests.db.keeping_rows import keep
from tests.db.planted import age, plant


async def test_another_school_reads_nothing(
    database: Database, keyring: Keyring, place: Place, elsewhere: Place
) -> None:
    """Learners, staff, recordings, copies at the carrier, the audit and the policy are the school's own."""
    planted = await plant(database, keyring, place)
    async with database.school(place.school_id) as session:
        ana = await staff.add(session, place.school_id, name="Ana", email="ana@example.org", role="owner")
        await carrier_copies.add(session, place.school_id, [Copy("AC1", "call", "CA1")])
        await audit.record(session, place.school_id, actor=audit.SYSTEM, action="change", subject="policy")
        assert await directory.find(session, learner_id=planted.learner_id)
        assert await carrier_copies.due(session)
    async with database.school(elsewhere.school_id) as session:
        assert await directory.find(session) == []
        assert await directory.find(session, learner_id=planted.learner_id) == []
        assert await staff.get(session, ana.id) is None
        assert await staff.by_email(session, "ana@example.org") is None
        assert await recordings.of_call(session, planted.call_id) == []
        assert await recordings.may_keep(session, planted.call_id) is None
        assert await carrier_copies.due(session) == []
        assert await carrier_copies.waiting(session) == 0
        assert await carrier_copies.next_due_s(session) is None
        assert await audit.latest(session) == []
        assert not await stripping.may_keep_words(session, planted.call_id)


async def test_another_school_changes_nothing(
    database: Database, keyring: Keyring, place: Place, elsewhere: Place, superuser: Query
) -> None:
    """Sweeps, and statements with the ids of this school's rows, leave every row as it is."""
    planted = await plant(database, keyring, place)
    async with database.school(place.school_id) as session:
        ana = await staff.add(session, place.school_id, name="Ana", email="ana@example.org", role="viewer")
        await carrier_copies.add(session, place.school_id, [Copy("AC1", "call", "CA1")])
    await age(superuser, 1_000)
    await superuser("UPDATE recordings SET expires_at = now()")
    counts = "SELECT (SELECT count(*) FROM turns WHERE text IS NOT NULL), (SELECT count(*) FROM debriefs),"
    counts += " (SELECT count(*) FROM recordings), (SELECT count(*) FROM carrier_copies), (SELECT count(*) FROM staff),"
    counts += " (SELECT count(*) FROM calls WHERE kept = 'words'), (SELECT count(*) FROM messages WHERE body > '')"
    before = await superuser(counts)
    ids = [planted.call_id, planted.guest_id]
    async with database.school(elsewhere.school_id) as session:
        policy = await policies.of_school(session)
        for batch in (retention.empty_words, retention.leave_cost, retention.drop_expired):
            assert await batch(session, policy) == 0
        assert await retention.empty_menus(session) == await retention.drop_snapshots(session) == 0
        assert await retention.leave_cost_again(session, planted.call_id) == 0
        assert await retention.silent_learners(session, policy) == []
        await stripping.empty_words(session, ids)
        assert set((await stripping.leave_cost(session, ids)).values()) == {0}
        assert await recordings.end_now(session, ids, planted.learner_id) == 0
        assert await recordings.due(session, limit=5) == []
        await carrier_copies.gone(session, "CA1")
        await carrier_copies.later(session, "CA1", None)
        assert not await staff.set_role(session, ana.id, "owner")
        assert not await staff.remove(session, ana.id)
        assert not await directory.change(session, planted.learner_id, {"first_name": "Stolen"})
        with pytest.raises(LookupError):
            await recordings.add(session, planted.call_id, timedelta(hours=1))
    assert await superuser(counts) == before
    assert await superuser("SELECT attempts FROM carrier_copies") == [(0,)]
    assert await superuser("SELECT count(*) FROM learners WHERE first_name = 'Stolen'") == [(0,)]


@pytest.mark.parametrize(
    "table", ["staff", "classes", "class_staff", "enrolments", "audit", "school_policies", "recordings"]
)
async def test_nobody_sees_them_before_a_school_is_known(
    database: Database, keyring: Keyring, place: Place, superuser: Query, table: str
) -> None:
    """Without a school each of these tables is empty, however many rows there are."""
    planted = await plant(database, keyring, place)
    async with database.school(place.school_id) as session:
        await superuser("DELETE FROM classes")
        await keep(session, place.school_id, planted.learner_id, planted.call_id)
    assert (await superuser(f"SELECT count(*) > 0 FROM {table}")) == [(True,)]
    async with database.anyone() as session:
        assert await session.scalar(text(f"SELECT count(*) FROM {table}")) == 0
