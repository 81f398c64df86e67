"""The schema: what migrations make, who may make it, and that models agree with it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from importlib import resources
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from psycopg import sql
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from db import (
    accounts,
    calls,
    consents,
    embedded,
    lines,
    messages,
    migrate,
    observations,
    retention,
    schools,
    tokens,
    urls,
)
from db.engine import Database
from db.keyring import Keyring
from db.models import Base
from tests.db.clusters import address_of
from tests.db.conftest import Query, make_place

PROCRASTINATE_TABLES = 4
CLOSED_TABLES = {"opt_outs", "texts_received", "sender_blocks"}
"""Of no school; only functions reach them."""


@pytest.fixture
def owned_url(cluster: str, administrator: psycopg.Connection, template: str) -> Iterator[str]:
    """An empty database of a user who is no superuser, may make no roles, and was granted the application role."""
    owner = f"owner_{uuid4().hex}"
    administrator.execute(f"CREATE ROLE {owner} LOGIN NOSUPERUSER NOCREATEROLE NOBYPASSRLS".encode())
    administrator.execute(f"GRANT ringua_app TO {owner}".encode())
    administrator.execute(f"CREATE DATABASE {owner} OWNER {owner}".encode())
    yield address_of(cluster, owner, owner)
    administrator.execute(f"DROP DATABASE {owner} WITH (FORCE)".encode())
    administrator.execute(f"DROP ROLE {owner}".encode())


def test_models_and_migrations_agree(database_url: str) -> None:
    """Alembic finds nothing to change between the models and a migrated database."""

    def ours(name: str | None, kind: str, _parents: object) -> bool:
        return kind != "table" or not str(name).startswith("procrastinate_")

    engine = create_engine(urls.sqlalchemy(database_url), poolclass=NullPool)
    with engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True, "include_name": ours}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, Base.metadata) == []


async def test_every_table_is_bound_by_forced_security(superuser: Query) -> None:
    """Each table with a school_id, and the schools themselves, has row-level security on, forced, and both policies."""
    rows = await superuser(
        "SELECT c.relname, c.relrowsecurity, c.relforcerowsecurity,"
        " (SELECT array_agg(polname::text ORDER BY polname) FROM pg_policy WHERE polrelid = c.oid)"
        " FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND NOT a.attisdropped"
        " WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace"
        " AND (a.attname = 'school_id' OR (c.relname = 'schools' AND a.attname = 'id'))"
    )
    assert {row[0] for row in rows} == set(Base.metadata.tables) - CLOSED_TABLES
    assert {row[1:3] for row in rows} == {(True, True)}
    assert all(row[3] == ["owner", "school"] for row in rows)


async def test_tables_of_no_school_are_closed(superuser: Query) -> None:
    """A table without schools is bound by forced security with the owner's policy alone, and granted to nobody."""
    rows = await superuser(
        "SELECT relname, relforcerowsecurity,"
        " (SELECT array_agg(polname::text) FROM pg_policy WHERE polrelid = c.oid),"
        " (SELECT count(*) FROM aclexplode(relacl) WHERE grantee <> relowner)"
        " FROM pg_class c WHERE relname = ANY(%s) AND relkind = 'r'",
        [list(CLOSED_TABLES)],
    )
    assert {row[0] for row in rows} == CLOSED_TABLES
    assert {(row[1], *row[2], row[3]) for row in rows} == {(True, "owner", 0)}


async def test_only_job_tables_are_exempt(superuser: Query) -> None:
    """Besides Alembic's own, no table of the schema is without row-level security but Procrastinate's."""
    rows = await superuser(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND NOT relrowsecurity"
        " AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version'"
    )
    assert len(rows) == PROCRASTINATE_TABLES
    assert all(name.startswith("procrastinate_") for (name,) in rows)


async def test_look_ups_are_pinned_and_private(superuser: Query) -> None:
    """Each SECURITY DEFINER function has a fixed search_path and may be run by the application role alone."""
    rows = await superuser(
        "SELECT p.proname, p.proconfig, (SELECT array_agg(pg_get_userbyid(grantee)::text ORDER BY 1)"
        " FROM aclexplode(p.proacl) WHERE grantee <> p.proowner) FROM pg_proc p WHERE p.prosecdef"
    )
    assert len(rows) == 23
    for name, settings, grantees in rows:
        assert settings == ["search_path=pg_catalog, pg_temp"], name
        assert grantees == ["ringua_app"], name


async def test_the_application_role_is_harmless(superuser: Query) -> None:
    """The application role cannot log in, is no superuser, and is bound by row-level security."""
    rows = await superuser(
        "SELECT rolcanlogin, rolsuper, rolbypassrls, rolcreaterole FROM pg_roles WHERE rolname = 'ringua_app'"
    )
    assert rows == [(False, False, False, False)]


def test_upgrading_again_changes_nothing(database_url: str) -> None:
    """A database at the newest revision stays as it is."""
    assert migrate.current(database_url) == migrate.head()
    migrate.upgrade(database_url)
    assert migrate.current(database_url) == migrate.head()


def test_processes_that_start_together_migrate_once(owned_url: str) -> None:
    """Several upgrades of an empty database at the same time all succeed."""
    assert migrate.current(owned_url) is None
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(migrate.upgrade, [owned_url] * 4))
    assert migrate.current(owned_url) == migrate.head()


async def test_look_ups_work_for_an_owner_without_power(owned_url: str, keyring: Keyring) -> None:
    """With an owner who is no superuser, every look-up before a school is known finds what is there."""
    migrate.upgrade(owned_url)
    database = await Database.connect(owned_url)
    place = await make_place(database, "North", "+34910000001")
    account = accounts.Account("AC1", "twilio", ("token",), "https://api.example")
    async with database.school(place.school_id) as session:
        call = await calls.open_call(
            session,
            school_id=place.school_id,
            line_id=place.line_id,
            carrier_sid="CA1",
            account_sid="AC1",
            max_calls=1,
        )
        token = await tokens.issue(session, keyring, school_id=place.school_id, carrier_sid="CA1", payload={"a": 1})
    async with database.anyone() as session:
        await accounts.put(session, keyring, account)
        assert await accounts.find(session, keyring, "AC1") == account
        assert [school.name for school in await schools.all(session)] == ["North"]
        line = await lines.by_number(session, "+34910000001")
        assert line is not None
        assert line.school_name == "North"
        assert await calls.find(session, "CA1") == calls.CallFound(place.school_id, call.id)
        assert await calls.live_count(session) == 1
        assert await observations.to_analyse(session, since=call.started_at, before=call.started_at) == []
        claim = await tokens.consume(session, keyring, token, "CA1")
        assert claim == tokens.Claim(place.school_id, {"a": 1})
        await accounts.forget(session, "AC1")
        assert await accounts.find(session, keyring, "AC1") is None
        await consents.opt_out(session, b"hash", "SM1")
        assert await consents.opted_out(session, b"hash")
        await consents.opt_in(session, b"hash")
        assert await consents.received(session, "SM1")
        assert await retention.drop_texts_received(session, timedelta(0)) == 0
        assert await retention.drop_ledger(session) == 0
        assert await messages.find(session, message_id=None, carrier_sid="SM1") is None
        assert await messages.block(session, account_sid="AC1", sender="", code=20003)
        assert await messages.blocked(session, account_sid="AC1", sender="+34910000001") == 20003
    await database.close()


def test_an_owner_without_the_role_is_told_what_to_run(owned_url: str, administrator: psycopg.Connection) -> None:
    """A user who may neither make nor take the application role gets one sentence with the statements to run."""
    owner = owned_url.split("//")[1].split("@")[0]
    administrator.execute(sql.SQL("REVOKE ringua_app FROM {}").format(sql.Identifier(owner)))
    with pytest.raises(migrate.MigrationRefused, match=f"CREATE ROLE ringua_app NOLOGIN .*GRANT ringua_app TO {owner}"):
        migrate.upgrade(owned_url)
    assert migrate.current(owned_url) is None


def test_an_owner_who_may_make_roles_makes_it(own_directory: Path) -> None:
    """On a cluster without the role, an owner with CREATEROLE migrates without an administrator."""
    server = embedded.start(own_directory)
    try:
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("CREATE ROLE maker LOGIN CREATEROLE NOSUPERUSER")
            connection.execute("CREATE DATABASE made OWNER maker")
        migrate.upgrade(address_of(server.url, "made", "maker"))
        assert migrate.current(address_of(server.url, "made", "maker")) == migrate.head()
    finally:
        server.stop()


async def test_a_newer_database_is_refused(database_url: str, superuser: Query) -> None:
    """A database that a newer version migrated is left alone."""
    await superuser("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(migrate.MigrationRefused, match=r"newer version of this program \(to 9999\)"):
        migrate.upgrade(database_url)


def test_an_unreachable_database_is_named() -> None:
    """A database that does not answer is named, without its password."""
    with pytest.raises(migrate.MigrationRefused, match="check DATABASE_URL") as caught:
        migrate.upgrade("postgresql://user:secret@127.0.0.1:1/x")
    assert "secret" not in str(caught.value)


def test_the_job_schema_is_the_installed_one() -> None:
    """The copy of Procrastinate's schema is what the installed version asks for; when this fails, add a migration."""
    installed = resources.files("procrastinate.sql").joinpath("schema.sql").read_text(encoding="utf-8")
    copied = Path(migrate.__file__).parent / "migrations" / "procrastinate_3_10.sql"
    assert copied.read_text(encoding="utf-8").partition("\n\n")[2] == installed
