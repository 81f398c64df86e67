"""PINs: issued once, kept as hashes, known again in one line only, and closed to those who guess."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest
from sqlalchemy.exc import DBAPIError

from db import learners, pins
from db.engine import Database
from db.keyring import Keyring
from db.pins import Known
from tests.db.conftest import Place, Query

CALLER, ANOTHER = b"caller", b"another"
Try = Callable[..., Awaitable[object]]


@pytest.fixture
async def child(database: Database, keyring: Keyring, place: Place) -> UUID:
    """A learner of the school."""
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
    return learner.id


async def issued(database: Database, keyring: Keyring, place: Place, role: pins.Role = "teacher", **who: UUID) -> str:
    """A new PIN of the place's line."""
    async with database.school(place.school_id) as session:
        return await pins.issue(
            session, keyring, school_id=place.school_id, line_id=place.line_id, role=role, learner_id=who.get("learner")
        )


@pytest.fixture
def enter(database: Database, keyring: Keyring, place: Place) -> Try:
    """Enters a PIN on the place's line, in a transaction of its own."""

    async def enter(digits: str, caller: bytes | None = CALLER, at: Place = place) -> object:
        async with database.school(at.school_id) as session:
            return await pins.check(
                session, keyring, school_id=at.school_id, line_id=at.line_id, caller_hash=caller, digits=digits
            )

    return enter


def wrong(right: str) -> str:
    """Four digits that are not these."""
    return f"{(int(right) + 1) % 10_000:04d}"


async def later(superuser: Query) -> None:
    """Lets a quarter of an hour and a second pass, as far as locks and tries know."""
    for table, column in (("pins", "locked_until"), ("pin_tries", "locked_until"), ("pin_tries", "tried_at")):
        await superuser(f"UPDATE {table} SET {column} = {column} - interval '901 s'")


async def test_a_pin_says_who_calls(
    database: Database, keyring: Keyring, place: Place, child: UUID, enter: Try
) -> None:
    """Each role's PIN is known again with whom it stands for; a teacher's stands for no learner."""
    teacher = await issued(database, keyring, place)
    learner = await issued(database, keyring, place, "learner", learner=child)
    family = await issued(database, keyring, place, "family", learner=child)
    assert await enter(teacher) == Known("teacher", None)
    assert await enter(learner) == Known("learner", child)
    assert await enter(family, caller=None) == Known("family", child)


async def test_digits_are_kept_nowhere(database: Database, keyring: Keyring, place: Place, superuser: Query) -> None:
    """What is stored is a keyed hash of the digits and the line; without the secret nobody can try all 10,000."""
    digits = await issued(database, keyring, place)
    ((row,),) = await superuser("SELECT to_jsonb(pins) FROM pins")
    assert digits not in {str(value) for value in row.values()}
    ((stored,),) = await superuser("SELECT pin_hash FROM pins")
    assert stored == keyring.hash_pin(place.line_id, digits)
    assert stored != Keyring("another-secret-another-secret-another").hash_pin(place.line_id, digits)


async def test_pins_of_a_line_differ_and_are_not_easy(database: Database, keyring: Keyring, place: Place) -> None:
    """No two PINs of a line are alike, each has four digits, and none is a sequence or a pair twice."""
    given = [await issued(database, keyring, place) for _ in range(60)]
    assert len(set(given)) == 60
    assert all(len(digits) == 4 and digits.isdecimal() and not pins.easy(digits) for digits in given)
    async with database.school(place.school_id) as session:
        assert len(await pins.list_all(session, place.line_id)) == 60


@pytest.mark.parametrize(
    ("digits", "easy"),
    [("0000", True), ("1234", True), ("8642", True), ("1212", True), ("1357", True), ("1235", False), ("9041", False)],
)
def test_easy_pins(digits: str, easy: bool) -> None:
    """Equal steps from digit to digit, and two digits twice, are what people try first."""
    assert pins.easy(digits) is easy


async def test_a_line_has_a_limit(database: Database, keyring: Keyring, place: Place, superuser: Query) -> None:
    """Beyond two hundred PINs a guess would hit too often: then one sentence says so."""
    await superuser(
        "INSERT INTO pins (id, school_id, line_id, role, pin_hash)"
        " SELECT gen_random_uuid(), %s, %s, 'teacher', decode(to_hex(n), 'escape') FROM generate_series(1, 200) n",
        [place.school_id, place.line_id],
    )
    with pytest.raises(pins.PinsExhausted, match="200 PINs"):
        await issued(database, keyring, place)


async def test_whom_a_pin_stands_for(database: Database, keyring: Keyring, place: Place, child: UUID) -> None:
    """A teacher's PIN with a learner, and a family's without a child, are refused."""
    with pytest.raises(ValueError, match="belong to a learner"):
        await issued(database, keyring, place, "teacher", learner=child)
    with pytest.raises(ValueError, match="belong to a learner"):
        await issued(database, keyring, place, "family")


async def test_a_pin_holds_on_its_line_only(
    database: Database, keyring: Keyring, place: Place, elsewhere: Place, enter: Try
) -> None:
    """The same digits on another line, and at another school, are nobody's."""
    digits = await issued(database, keyring, place)
    assert await enter(digits, at=elsewhere) == "unknown"


async def test_three_wrong_ones_lock_the_caller(
    database: Database, keyring: Keyring, place: Place, enter: Try, superuser: Query
) -> None:
    """After three wrong PINs even a right one is refused for a quarter of an hour; another caller is not locked."""
    digits = await issued(database, keyring, place)
    assert [await enter(wrong(digits)) for _ in range(3)] == ["unknown"] * 3
    assert await enter(digits) == "locked"
    assert await enter(digits, ANOTHER) == Known("teacher", None)
    await later(superuser)
    assert await enter(digits) == Known("teacher", None)


async def test_a_right_one_forgives(database: Database, keyring: Keyring, place: Place, enter: Try) -> None:
    """Whoever mistypes twice and then enters the right PIN begins to count anew."""
    digits = await issued(database, keyring, place)
    for _ in range(2):
        assert await enter(wrong(digits)) == "unknown"
        assert await enter(wrong(digits)) == "unknown"
        assert await enter(digits) == Known("teacher", None)


async def test_old_tries_are_forgotten(
    database: Database, keyring: Keyring, place: Place, enter: Try, superuser: Query
) -> None:
    """Two wrong tries a quarter of an hour ago do not count with today's."""
    digits = await issued(database, keyring, place)
    assert [await enter(wrong(digits)) for _ in range(2)] == ["unknown"] * 2
    await later(superuser)
    assert [await enter(wrong(digits)) for _ in range(2)] == ["unknown"] * 2
    assert await enter(digits) == Known("teacher", None)


async def test_withheld_numbers_count_together(database: Database, keyring: Keyring, place: Place, enter: Try) -> None:
    """Withholding the number for each guess does not help: such callers share one count."""
    digits = await issued(database, keyring, place)
    assert [await enter(wrong(digits), caller=None) for _ in range(3)] == ["unknown"] * 3
    assert await enter(digits, caller=None) == "locked"
    assert await enter(digits) == Known("teacher", None)


async def test_a_pin_that_a_locked_caller_finds_is_locked(
    database: Database, keyring: Keyring, place: Place, enter: Try, superuser: Query
) -> None:
    """A right PIN entered three times by a locked caller may have been guessed: it rests for every caller."""
    digits = await issued(database, keyring, place)
    for _ in range(3):
        await enter(wrong(digits))
    assert [await enter(digits) for _ in range(3)] == ["locked"] * 3
    assert await enter(digits, ANOTHER) == "locked"
    await later(superuser)
    assert await enter(digits, ANOTHER) == Known("teacher", None)


async def test_many_callers_together_are_stopped(
    database: Database, keyring: Keyring, place: Place, enter: Try, superuser: Query
) -> None:
    """Thirty wrong PINs from thirty numbers close the line's PINs for everybody, for a quarter of an hour."""
    digits = await issued(database, keyring, place)
    for number in range(30):
        assert await enter(wrong(digits), f"caller {number}".encode()) == "unknown"
    assert await enter(digits, ANOTHER) == "locked"
    await later(superuser)
    assert await enter(digits, ANOTHER) == Known("teacher", None)


async def test_a_pin_can_be_taken_back(database: Database, keyring: Keyring, place: Place, enter: Try) -> None:
    """A PIN that was taken back is nobody's any more, and can be taken back once."""
    digits = await issued(database, keyring, place)
    async with database.school(place.school_id) as session:
        (pin,) = await pins.list_all(session, place.line_id)
        assert await pins.take_back(session, pin.id)
        assert not await pins.take_back(session, pin.id)
    assert await enter(digits) == "unknown"


async def test_another_school_finds_and_takes_nothing(
    database: Database, keyring: Keyring, place: Place, elsewhere: Place
) -> None:
    """A school sees no PIN of another's line, cannot take it back, and cannot issue one there."""
    await issued(database, keyring, place)
    async with database.school(place.school_id) as session:
        (pin,) = await pins.list_all(session, place.line_id)
    async with database.school(elsewhere.school_id) as session:
        assert await pins.list_all(session, place.line_id) == []
        assert not await pins.take_back(session, pin.id)
    with pytest.raises(DBAPIError, match="foreign key"):
        async with database.school(elsewhere.school_id) as session:
            await pins.issue(session, keyring, school_id=elsewhere.school_id, line_id=place.line_id, role="teacher")


async def test_a_learner_s_pins_go_with_them(
    database: Database, keyring: Keyring, place: Place, child: UUID, superuser: Query
) -> None:
    """When a learner is forgotten, their own and their family's PIN open nothing."""
    await issued(database, keyring, place, "learner", learner=child)
    await issued(database, keyring, place, "family", learner=child)
    await superuser("DELETE FROM learners")
    assert await superuser("SELECT count(*) FROM pins") == [(0,)]
