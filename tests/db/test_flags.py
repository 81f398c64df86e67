"""Safety flags: an audit that is added to and dated, and whose most serious entries bring a job with them."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from db import consents, flags, lines, messages
from db.engine import Database
from db.flags import NewFlag
from db.keyring import Keyring
from tests.db.conftest import OpenCall, Place, Query
from tutor.safety.moderation import finding
from tutor.safety.screen import screen

NOTE = NewFlag(1_000, "personal_data", "note", "words", "personal_data.number")
STEER = NewFlag(2_000, "hate", "steer", "moderation", "moderation/hate")
CARE = NewFlag(3_000, "self_harm", "care", "words", "es/self_harm.wish")
NOW = timedelta(0)


@pytest.fixture
async def call(open_call: OpenCall) -> UUID:
    """A call that is going on."""
    return await open_call()


async def record(database: Database, place: Place, call: UUID, *found: NewFlag) -> None:
    """Writes flags."""
    async with database.school(place.school_id) as session:
        await flags.record(session, call, found)


async def rows(database: Database, place: Place, call: UUID) -> list[tuple[str, str, str, str, int, bool]]:
    """The call's flags: category, action, source, rule, when, and whether somebody was told."""
    async with database.school(place.school_id) as session:
        return [
            (flag.category, flag.action, flag.source, flag.rule, flag.at_ms, flag.told_at is not None)
            for flag in await flags.of_call(session, call)
        ]


async def test_flags_are_kept_in_the_order_of_the_call(database: Database, place: Place, call: UUID) -> None:
    """Whenever they were written, they read as they happened."""
    await record(database, place, call, CARE)
    await record(database, place, call, STEER, NOTE)
    assert await rows(database, place, call) == [
        ("personal_data", "note", "words", "personal_data.number", 1_000, False),
        ("hate", "steer", "moderation", "moderation/hate", 2_000, False),
        ("self_harm", "care", "words", "es/self_harm.wish", 3_000, False),
    ]


def test_a_flag_knows_where_its_finding_came_from() -> None:
    """Lists, the moderation endpoint and key 9 are told apart, and no flag holds what was said."""
    said = screen("Quiero morirme.", ["es"], "learner")
    judged = finding({"self-harm": True}, "learner")
    assert said is not None
    assert judged is not None
    assert NewFlag.of(said, 5) == NewFlag(5, "self_harm", "care", "words", "es/self_harm.wish")
    assert NewFlag.of(judged, 6) == NewFlag(6, "self_harm", "care", "moderation", "moderation/self-harm")
    assert (NewFlag.key(7).source, NewFlag.key(7).category) == ("key", "report")


@pytest.mark.parametrize(
    ("found", "deferred"),
    [([NOTE, STEER], 0), ([CARE], 1), ([NewFlag.key(9)], 1), ([NOTE, CARE, NewFlag.key(9)], 1), ([], 0)],
)
async def test_serious_flags_bring_the_job(
    database: Database, place: Place, call: UUID, superuser: Query, found: list[NewFlag], deferred: int
) -> None:
    """A stop, a care and key 9 defer the job that tells the contact; what was only noted or steered does not."""
    await record(database, place, call, *found)
    jobs = await superuser("SELECT queue_name, args FROM procrastinate_jobs WHERE task_name = %s", [flags.JOB])
    assert jobs == [("messages", {"school_id": str(place.school_id), "call_id": str(call)})] * deferred


async def test_a_flag_that_is_rolled_back_tells_nobody(
    database: Database, place: Place, call: UUID, superuser: Query
) -> None:
    """Flag and job are of one transaction."""

    async def fail() -> None:
        async with database.school(place.school_id) as session:
            await flags.record(session, call, [CARE])
            raise RuntimeError("not after all")

    with pytest.raises(RuntimeError, match="not after all"):
        await fail()
    assert await rows(database, place, call) == []
    assert await superuser("SELECT count(*) FROM procrastinate_jobs") == [(0,)]


async def test_a_call_of_another_school_is_not_flagged(
    database: Database, place: Place, elsewhere: Place, call: UUID
) -> None:
    """A school can neither flag another's call nor see its flags, count them or date them."""
    await record(database, place, call, CARE)
    with pytest.raises(LookupError):
        await record(database, elsewhere, call, CARE)
    async with database.school(elsewhere.school_id) as session:
        assert await flags.of_call(session, call) == []
        assert await flags.unheard(session, NOW) == []
        assert await flags.told(session, call) == 0
    with pytest.raises(IntegrityError):
        async with database.school(elsewhere.school_id) as session:
            await flags.add_many(session, elsewhere.school_id, call, [CARE])


async def test_what_nobody_heard_of_is_listed(
    database: Database, place: Place, call: UUID, superuser: Query, open_call: OpenCall
) -> None:
    """Only what must be told, only until it was, and only once it has waited long enough; the oldest first."""
    later = await open_call()
    await record(database, place, call, NOTE, STEER, CARE)
    await superuser("UPDATE safety_flags SET created_at = created_at - interval '2 hours'")
    await record(database, place, later, NewFlag.key(1))
    async with database.school(place.school_id) as session:
        assert [flag.call_id for flag in await flags.unheard(session, NOW)] == [call, later]
        assert [flag.category for flag in await flags.unheard(session, timedelta(hours=1))] == ["self_harm"]
        assert await flags.told(session, call) == 1
        assert [flag.call_id for flag in await flags.unheard(session, NOW)] == [later]


async def test_a_date_stays(database: Database, place: Place, call: UUID, superuser: Query) -> None:
    """Who was told first is not told over."""
    await record(database, place, call, CARE)
    async with database.school(place.school_id) as session:
        assert await flags.told(session, call) == 1
    first = await superuser("SELECT told_at FROM safety_flags")
    async with database.school(place.school_id) as session:
        assert await flags.told(session, call) == 0
    assert await superuser("SELECT told_at FROM safety_flags") == first


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM safety_flags",
        "UPDATE safety_flags SET action = 'note'",
        "UPDATE safety_flags SET created_at = now()",
        "TRUNCATE safety_flags",
    ],
)
async def test_the_audit_cannot_be_changed(database: Database, place: Place, call: UUID, statement: str) -> None:
    """The application may date a flag and nothing else."""
    await record(database, place, call, CARE)
    with pytest.raises(DBAPIError, match="permission denied"):
        async with database.school(place.school_id) as session:
            await session.execute(text(statement))


async def test_a_call_with_a_flag_is_not_deleted(database: Database, place: Place, call: UUID) -> None:
    """The audit does not go with its call."""
    await record(database, place, call, CARE)
    with pytest.raises(IntegrityError):
        async with database.school(place.school_id) as session:
            await session.execute(text("DELETE FROM calls"))


async def test_a_line_knows_its_callers(database: Database, keyring: Keyring, place: Place) -> None:
    """Helpline, age and children's mode are at the door; the contact's number is unreadable at rest."""
    contact = keyring.encrypt("+34600000009")
    async with database.school(place.school_id) as session:
        await lines.update(
            session, place.line_id, helpline="el 024", safeguarding_number=contact, minors="13+", kids=True
        )
        kept = await lines.safeguarding_number(session, place.number)
    assert kept is not None
    assert b"600000009" not in kept
    assert keyring.decrypt(kept) == "+34600000009"
    async with database.anyone() as session:
        line = await lines.by_number(session, place.number)
    assert line is not None
    assert (line.helpline, line.minors, line.kids) == ("el 024", "13+", True)


async def test_lines_are_for_adults_unless_they_say_otherwise(database: Database, place: Place) -> None:
    """A new line has no minors and no children's mode, and an unknown age is refused."""
    async with database.school(place.school_id) as session:
        line = await lines.get(session, place.line_id)
        assert line is not None
        assert (line.minors, line.kids, line.helpline, line.safeguarding_number) == ("none", False, None, None)
    with pytest.raises(IntegrityError):
        async with database.school(place.school_id) as session:
            await lines.update(session, place.line_id, minors="teens")


async def test_a_message_without_a_learner_is_for_the_contact(
    database: Database, keyring: Keyring, place: Place, call: UUID
) -> None:
    """Any other message without a learner is refused; an opt-out of the same number leaves the contact's alone."""

    async def add(kind: str) -> None:
        async with database.school(place.school_id) as session:
            await messages.add(
                session,
                school_id=place.school_id,
                call_id=call,
                learner_id=None,
                account_sid="AC1",
                sender=place.number,
                kind=kind,
                key=f"{kind}:{uuid4()}",
                body="Practice line",
                number_hash=keyring.hash_number("+34600000009"),
            )

    with pytest.raises(IntegrityError):
        await add("debrief")
    await add(messages.SAFEGUARDING)
    async with database.anyone() as session:
        await consents.opt_out(session, keyring.hash_number("+34600000009"), "SM1")
    async with database.school(place.school_id) as session:
        assert (await session.execute(text("SELECT state FROM messages"))).scalar_one() == "new"
