"""Who works at a school, and who is in which class."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text as sql
from sqlalchemy.exc import DBAPIError

from db import audit, classes, learners, staff
from db.classes import ClassRefused
from db.engine import Database
from db.keyring import Keyring
from db.staff import StaffRefused
from tests.db.conftest import Place, Query


async def make_learner(
    database: Database, keyring: Keyring, place: Place, number: str, name: str | None = None
) -> UUID:
    """A learner who calls from ``number``."""
    async with database.school(place.school_id) as session:
        learner = await learners.create_with_number(
            session,
            school_id=place.school_id,
            number_hash=keyring.hash_number(number),
            last_two=number[-2:],
            native="en",
            target="es",
            level="A1",
            first_name=name,
        )
    return learner.id


# --- staff


async def test_staff_are_added_found_changed_and_removed(database: Database, place: Place) -> None:
    """An address counts however it is written, and once at a school."""
    async with database.school(place.school_id) as session:
        ana = await staff.add(session, place.school_id, name=" Ana ", email="Ana@Example.org", role="owner")
        ben = await staff.add(session, place.school_id, name="Ben", email="ben@example.org", role="viewer")
        assert (ana.name, ana.email) == ("Ana", "ana@example.org")
        found = await staff.by_email(session, "ANA@example.ORG ")
        assert found is not None
        assert found.id == ana.id
        assert await staff.set_role(session, ben.id, "teacher")
        again = await staff.get(session, ben.id)
        assert again is not None
        assert again.role == "teacher"
        assert [one.name for one in await staff.list_all(session)] == ["Ana", "Ben"]
        assert await staff.remove(session, ben.id)
        assert not await staff.remove(session, ben.id)
        assert not await staff.set_role(session, ben.id, "viewer")
        with pytest.raises(StaffRefused, match="at this school already"):
            await staff.add(session, place.school_id, name="Anna", email="ana@EXAMPLE.org", role="viewer")


@pytest.mark.parametrize(
    ("details", "why"),
    [
        ({"name": "  "}, "needs a name"),
        ({"email": "ana at example.org"}, "no e-mail address"),
        ({"email": "ana@example"}, "no e-mail address"),
        ({"role": "admin"}, "no role admin: there are owner, teacher, safeguarding, viewer"),
    ],
)
async def test_staff_that_cannot_be_are_refused(
    database: Database, place: Place, details: dict[str, Any], why: str
) -> None:
    """A person is told in one sentence what is wrong."""
    with pytest.raises(StaffRefused, match=why):
        async with database.school(place.school_id) as session:
            await staff.add(
                session, place.school_id, **{"name": "Ana", "email": "ana@example.org", "role": "owner", **details}
            )


async def test_a_school_keeps_an_owner(database: Database, place: Place) -> None:
    """The last owner can neither leave nor become something else; one of two can."""
    async with database.school(place.school_id) as session:
        ana = await staff.add(session, place.school_id, name="Ana", email="ana@example.org", role="owner")
        with pytest.raises(StaffRefused, match="last owner"):
            await staff.remove(session, ana.id)
        with pytest.raises(StaffRefused, match="last owner"):
            await staff.set_role(session, ana.id, "viewer")
        assert await staff.set_role(session, ana.id, "owner")
        ben = await staff.add(session, place.school_id, name="Ben", email="ben@example.org", role="owner")
        assert await staff.set_role(session, ana.id, "viewer")
        with pytest.raises(StaffRefused, match="last owner"):
            await staff.remove(session, ben.id)


async def test_one_address_may_work_at_two_schools(database: Database, place: Place, elsewhere: Place) -> None:
    """An address is unique within a school, and neither school sees the other's people."""
    for somewhere in (place, elsewhere):
        async with database.school(somewhere.school_id) as session:
            await staff.add(session, somewhere.school_id, name="Ana", email="ana@example.org", role="owner")
            assert len(await staff.list_all(session)) == 1


# --- classes


async def test_a_class_has_a_line_teachers_and_learners(database: Database, keyring: Keyring, place: Place) -> None:
    """The way of a class from its making to its end."""
    luis = await make_learner(database, keyring, place, "+34600000001", "Luis")
    nobody = await make_learner(database, keyring, place, "+34600000002")
    eva = await make_learner(database, keyring, place, "+34600000003", "Eva")
    async with database.school(place.school_id) as session:
        ana = await staff.add(session, place.school_id, name="Ana", email="ana@example.org", role="teacher")
        made = await classes.add(session, place.school_id, " 4B ")
        assert await classes.change(session, made.id, line_id=place.line_id)
        assert await classes.assign(session, place.school_id, made.id, ana.id)
        assert not await classes.assign(session, place.school_id, made.id, ana.id)
        for learner, ref in ((luis, "17"), (nobody, None), (eva, " ")):
            await classes.enrol(session, place.school_id, made.id, learner, ref=ref)
        kept = await classes.get(session, made.id)
        assert kept is not None
        assert (kept.name, kept.line_id) == ("4B", place.line_id)
        roster = [(one.learner.first_name, one.ref) for one in await classes.roster(session, made.id)]
        assert roster == [("Eva", None), ("Luis", "17"), (None, None)]
        assert [one.name for one in await classes.teachers(session, made.id)] == ["Ana"]
        assert [one.name for one in await classes.taught_by(session, ana.id)] == ["4B"]
        assert [one.name for one in await classes.of_learner(session, luis)] == ["4B"]
        found = await classes.by_ref(session, made.id, "17")
        assert found is not None
        assert found.id == luis
        assert await classes.leave(session, made.id, eva)
        assert not await classes.leave(session, made.id, eva)
        assert await classes.release(session, made.id, ana.id)
        assert not await classes.release(session, made.id, ana.id)
        assert await classes.change(session, made.id, line_id=None, active=False)
        assert not await classes.list_all(session)
        assert [one.line_id for one in await classes.list_all(session, active_only=False)] == [None]
        assert not await classes.of_learner(session, luis)


async def test_enrolling_again_keeps_or_changes_the_student_number(
    database: Database, keyring: Keyring, place: Place
) -> None:
    """A roster that comes again with no number keeps the one there is; a number is one learner's in a class."""
    luis = await make_learner(database, keyring, place, "+34600000001", "Luis")
    eva = await make_learner(database, keyring, place, "+34600000003", "Eva")
    async with database.school(place.school_id) as session:
        made = await classes.add(session, place.school_id, "4B")
        for ref, kept in (("17", "17"), (None, "17"), ("18", "18")):
            await classes.enrol(session, place.school_id, made.id, luis, ref=ref)
            (one,) = await classes.roster(session, made.id)
            assert one.ref == kept
        with pytest.raises(ClassRefused, match="has this student number"):
            await classes.enrol(session, place.school_id, made.id, eva, ref="18")
        # The transaction goes on: one wrong line of a roster does not lose the others.
        await classes.enrol(session, place.school_id, made.id, eva, ref="19")
        assert len(await classes.roster(session, made.id)) == 2


async def test_a_class_cannot_reach_into_another_school(
    database: Database, keyring: Keyring, place: Place, elsewhere: Place
) -> None:
    """Lines, teachers and learners of another school are as good as none."""
    stranger = await make_learner(database, keyring, elsewhere, "+34600000009")
    async with database.school(place.school_id) as session:
        made = await classes.add(session, place.school_id, "4B")
        with pytest.raises(ClassRefused, match="no such line"):
            await classes.add(session, place.school_id, "4C", line_id=elsewhere.line_id)
        with pytest.raises(ClassRefused, match="no such line"):
            await classes.change(session, made.id, line_id=elsewhere.line_id)
        with pytest.raises(ClassRefused, match="no such learner"):
            await classes.enrol(session, place.school_id, made.id, stranger, ref="1")
        with pytest.raises(ClassRefused, match="nobody with this id"):
            await classes.assign(session, place.school_id, made.id, uuid4())
        with pytest.raises(ClassRefused, match="already"):
            await classes.add(session, place.school_id, "4B")
        with pytest.raises(ClassRefused, match="needs a name"):
            await classes.add(session, place.school_id, " ")
    async with database.school(elsewhere.school_id) as session:
        assert not await classes.list_all(session, active_only=False)
        assert not await classes.change(session, made.id, active=False)
        assert not await classes.roster(session, made.id)
        assert not await classes.of_learner(session, stranger)


# --- the audit


async def test_the_audit_is_read_newest_first(database: Database, place: Place, elsewhere: Place) -> None:
    """Each line says who did what to which kind of thing; another school sees none of it."""
    async with database.school(place.school_id) as session:
        for action in ("export", "forget"):
            await audit.record(
                session, place.school_id, actor=f"staff:{uuid4()}", action=action, subject="learner", data={"calls": 3}
            )
        assert [(line.action, line.data) for line in await audit.latest(session)] == [
            ("forget", {"calls": 3}),
            ("export", {"calls": 3}),
        ]
    async with database.school(elsewhere.school_id) as session:
        assert not await audit.latest(session)


@pytest.mark.parametrize("text", ["+34600000001", "Ana", "ana@example.org", "quiero un café", "staff:Ana", ""])
async def test_the_audit_refuses_what_may_name_somebody(database: Database, place: Place, text: str) -> None:
    """A number, a name or a sentence is kept out wherever it stands, and the error does not repeat it."""
    for details in ({"actor": text}, {"action": text}, {"subject": text}, {"data": {"who": text}}):
        line: dict[str, Any] = {"actor": "system", "action": "forget", "subject": "learner", **details}
        async with database.school(place.school_id) as session:
            with pytest.raises(ValueError, match="nothing that names anybody") as caught:
                await audit.record(session, place.school_id, **line)
        assert text == "" or text not in str(caught.value)


@pytest.mark.parametrize("statement", ["UPDATE audit SET actor = 'nobody'", "DELETE FROM audit"])
async def test_the_audit_cannot_be_changed(database: Database, place: Place, superuser: Query, statement: str) -> None:
    """Lines are added; whoever would rewrite them is refused by the database."""
    async with database.school(place.school_id) as session:
        await audit.record(session, place.school_id, actor="system", action="forget", subject="learner")
    with pytest.raises(DBAPIError, match="permission denied"):
        async with database.school(place.school_id) as session:
            await session.execute(sql(statement))
    assert await superuser("SELECT actor FROM audit") == [("system",)]
