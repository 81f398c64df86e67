"""Schools are kept apart by the database itself, whatever a query forgets."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from db import (
    calls,
    class_prompts,
    clips,
    consents,
    debriefs,
    flags,
    learners,
    lines,
    messages,
    pins,
    scenarios,
    schools,
    tokens,
)
from db.endings import Ending, NewEvent, NewTurn, finish
from db.engine import Database, DatabaseRefused
from db.keyring import Keyring
from db.models import Base, Line
from tests.db.clusters import address_of
from tests.db.conftest import OpenCall, Place, Query
from tests.db.keeping_rows import keep
from tests.db.learning_rows import remember
from tests.db.money import pay
from tests.db.page_rows import tell
from tests.db.test_migrations import CLOSED_TABLES
from tests.tutor.test_own_scene import EXAMPLE
from tutor.script.catalogue import load
from tutor.script.class_prompt import ClassPrompt


async def fill(database: Database, keyring: Keyring, place: Place, open_call: OpenCall) -> None:
    """Leaves at least one row of the school in every table."""
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
        await class_prompts.add(session, place.line_id, ClassPrompt(theme="Food"), starts_on=date(2026, 11, 23))
        await scenarios.put(session, place.school_id, EXAMPLE, load())
        place_ids = {"school_id": place.school_id, "line_id": place.line_id}
        await pins.issue(session, keyring, **place_ids, role="family", learner_id=learner.id)
        assert await pins.check(session, keyring, **place_ids, caller_hash=None, digits="1111") == "unknown"
        await tokens.issue(session, keyring, school_id=place.school_id, carrier_sid="CA1", payload={})
        clip: dict[str, Any] = {"text": "hola", "language": "es", "voice": "marin", "speed": 1.0, "ulaw": b"\xff"}
        await clips.put(session, b"own", school_id=place.school_id, **clip)
        await clips.put(session, b"shared", **clip)
        await session.execute(
            text(
                "INSERT INTO carrier_accounts (sid, school_id, kind, tokens, rest_base) "
                "VALUES ('AC1', :school, 'twilio', '{}', 'https://api.example')"
            ),
            {"school": place.school_id},
        )
    call_id = await open_call(learner_id=learner.id)
    async with database.school(place.school_id) as session:
        await finish(session, call_id, Ending("hangup", [NewTurn("role", 0, 900)], [NewEvent(5, "key")]))
        await pay(session, place.school_id, place.line_id, call_id)
        await debriefs.put(session, school_id=place.school_id, call_id=call_id, content={}, source="rules")
        await flags.record(session, call_id, [flags.NewFlag.key(5)])
        await remember(session, place.school_id, learner.id, call_id)
        await keep(session, place.school_id, learner.id, call_id)
        await tell(session, keyring, place.school_id, learner.id, call_id)
        number_hash = keyring.hash_number("+34600000001")
        await consents.record(
            session, school_id=place.school_id, number_hash=number_hash, given=True, carrier_sid="CA1", wording="1"
        )
        await messages.add(
            session,
            school_id=place.school_id,
            call_id=call_id,
            learner_id=learner.id,
            account_sid="AC1",
            sender=place.number,
            kind="debrief",
            key=f"debrief:{call_id}",
            body="¡Bien!",
            number_hash=number_hash,
        )


async def test_tables_are_empty_without_a_school_and_in_another(
    database: Database, keyring: Keyring, place: Place, elsewhere: Place, open_call: OpenCall
) -> None:
    """With no school no table shows a row; another school sees none of these rows but the shared clip."""
    await fill(database, keyring, place, open_call)
    for table in Base.metadata.sorted_tables:
        if table.name in CLOSED_TABLES:
            continue
        async with database.school(place.school_id) as session:
            assert (await session.execute(select(table))).all(), f"{table} was not filled"
        async with database.anyone() as session:
            assert not (await session.execute(select(table))).all(), f"{table} shows rows to anyone"
        async with database.school(elsewhere.school_id) as session:
            rows = (await session.execute(select(table))).mappings().all()
            column = "id" if table.name == "schools" else "school_id"
            assert {row[column] for row in rows} <= {elsewhere.school_id, None}
            assert (None in {row[column] for row in rows}) == (table.name == "clips")


@pytest.mark.parametrize("name", sorted(CLOSED_TABLES))
async def test_tables_of_no_school_cannot_be_read(database: Database, place: Place, name: str) -> None:
    """What counts for all schools is asked one number at a time; nobody can list it."""
    with pytest.raises(DBAPIError, match="permission denied"):
        async with database.school(place.school_id) as session:
            await session.execute(select(Base.metadata.tables[name]))


async def test_a_school_cannot_write_rows_of_another(database: Database, place: Place, elsewhere: Place) -> None:
    """An insert under another school's id is refused by the database."""
    with pytest.raises(DBAPIError, match="row-level security"):
        async with database.school(place.school_id) as session:
            await lines.add(session, school_id=elsewhere.school_id, number="+34910000009", name="Stolen")


async def test_a_school_cannot_change_rows_of_another(database: Database, place: Place, elsewhere: Place) -> None:
    """An update of another school's row finds nothing."""
    async with database.school(place.school_id) as session:
        assert not await lines.update(session, elsewhere.line_id, name="Stolen")


async def test_a_row_cannot_point_into_another_school(
    database: Database, place: Place, elsewhere: Place, open_call: OpenCall
) -> None:
    """A call at another school's line is refused, although foreign keys look past row-level security."""
    with pytest.raises(DBAPIError, match="foreign key"):
        await open_call(line_id=elsewhere.line_id)


async def test_the_school_ends_with_the_transaction(database_url: str, place: Place) -> None:
    """The next transaction on the same connection has neither the school nor its rows."""
    database = await Database.connect(database_url, pool_size=1, max_overflow=0)
    async with database.school(place.school_id) as session:
        assert (await session.scalars(select(Line))).all()
    async with database.anyone() as session:
        assert not (await session.scalars(select(Line))).all()
        assert await session.scalar(text("SELECT current_user")) == "ringua_app"
    await database.close()


async def test_an_error_rolls_back(database: Database, place: Place) -> None:
    """What a transaction did before an error is gone."""

    async def change_and_fail() -> None:
        async with database.school(place.school_id) as session:
            await lines.update(session, place.line_id, name="Changed")
            raise RuntimeError("not after all")

    with pytest.raises(RuntimeError, match="not after all"):
        await change_and_fail()
    async with database.school(place.school_id) as session:
        line = await lines.get(session, place.line_id)
        assert line is not None
        assert line.name == "Practice"


async def test_slow_statements_are_ended(database_url: str) -> None:
    """A statement that takes longer than allowed is cancelled by the server."""
    database = await Database.connect(database_url, statement_timeout_s=0.05)
    with pytest.raises(DBAPIError, match="statement timeout"):
        async with database.anyone() as session:
            await session.execute(text("SELECT pg_sleep(20)"))
    await database.close()


@pytest.mark.parametrize("power", ["SUPERUSER", "BYPASSRLS"])
async def test_a_powerful_role_is_refused(power: str, database_url: str, administrator: psycopg.Connection) -> None:
    """A role that row-level security does not bind stops the start with a sentence that takes the power away."""
    role = f"powerful_{uuid4().hex}"
    administrator.execute(f"CREATE ROLE {role} {power}".encode())
    try:
        with pytest.raises(DatabaseRefused, match=f"ALTER ROLE {role} NOSUPERUSER NOBYPASSRLS"):
            await Database.connect(database_url, role=role)
    finally:
        administrator.execute(f"DROP ROLE {role}".encode())


async def test_a_user_without_the_role_is_refused(
    database_url: str, cluster: str, administrator: psycopg.Connection
) -> None:
    """A user who may not act as the application role is told what an administrator has to run."""
    user = f"stranger_{uuid4().hex}"
    administrator.execute(f"CREATE ROLE {user} LOGIN".encode())
    try:
        name = database_url.split("@/")[1].split("?")[0]
        with pytest.raises(DatabaseRefused, match="GRANT ringua_app TO"):
            await Database.connect(address_of(cluster, name, user))
    finally:
        administrator.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(user)))


async def test_an_unreachable_database_is_named() -> None:
    """A database that does not answer stops the start with a sentence that names the setting, not the password."""
    with pytest.raises(DatabaseRefused, match=r"127\.0\.0\.1:1/x does not answer .*check DATABASE_URL") as caught:
        await Database.connect("postgresql://user:secret@127.0.0.1:1/x")
    assert "secret" not in str(caught.value)


async def test_schools_are_made_and_listed_by_anyone(database: Database, place: Place, elsewhere: Place) -> None:
    """Before a school is known, schools can be made, found by name and listed in the order of their names."""
    async with database.anyone() as session:
        assert [school.name for school in await schools.all(session)] == ["North", "South"]
        found = await schools.by_name(session, "South")
        assert found is not None
        assert found.id == elsewhere.school_id
        assert await schools.by_name(session, "West") is None


async def test_a_school_name_is_taken_once(database: Database, place: Place) -> None:
    """A second school of the same name is refused with a sentence."""
    with pytest.raises(schools.SchoolExists, match="'North'"):
        async with database.anyone() as session:
            await schools.create(session, "North", "Europe/Madrid")


async def test_a_deleted_learner_leaves_the_call_without_identity(
    database: Database, keyring: Keyring, place: Place, open_call: OpenCall, superuser: Query
) -> None:
    """When a learner goes, the number goes too, and the call stays for the accounts without naming anyone."""
    await fill(database, keyring, place, open_call)
    async with database.school(place.school_id) as session:
        await session.execute(text("DELETE FROM learners"))
    assert await superuser("SELECT learner_id FROM calls") == [(None,)]
    assert await superuser("SELECT count(*) FROM caller_identities") == [(0,)]


async def test_calls_of_two_schools_share_the_slots(
    database: Database, place: Place, elsewhere: Place, open_call: OpenCall
) -> None:
    """The number of calls that go on is counted over all schools."""
    await open_call()
    with pytest.raises(calls.NoSlot):
        await open_call(school_id=elsewhere.school_id, line_id=elsewhere.line_id, max_calls=1)
