"""Consent to texts: asked once, standing until it is withdrawn, and withdrawn for every school at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from db import consents, guardians, learners
from db.engine import Database
from db.keyring import Keyring
from tests.db.conftest import Place, Query

NUMBER = "+34600000001"
AT = "SELECT given, carrier_sid, wording, ended_at IS NULL, asked_at <= now() FROM consents ORDER BY asked_at, ended_at"


@pytest.fixture
def number(keyring: Keyring) -> bytes:
    """The hash of a caller's number."""
    return keyring.hash_number(NUMBER)


@asynccontextmanager
async def answered(database: Database, place: Place, number: bytes, **details: Any) -> AsyncIterator[AsyncSession]:
    """A transaction of the school in which the number has just answered."""
    values: dict[str, Any] = {"given": True, "carrier_sid": "CA1", "wording": "ask-1", **details}
    async with database.school(place.school_id) as session:
        await consents.record(session, school_id=place.school_id, number_hash=number, **values)
        yield session


@pytest.mark.parametrize("given", [True, False])
async def test_an_answer_is_kept_with_its_circumstances(
    database: Database, place: Place, number: bytes, superuser: Query, given: bool
) -> None:
    """Answer, time, call and version of the sentence are there, and the number is not asked again."""
    async with database.school(place.school_id) as session:
        assert not await consents.asked(session, number)
        assert await consents.answer_of(session, "CA1") is None
    async with answered(database, place, number, given=given) as session:
        assert await consents.asked(session, number)
        assert await consents.standing(session, number) is given
        assert await consents.answer_of(session, "CA1") is given
    assert await superuser(AT) == [(given, "CA1", "ask-1", True, True)]


async def test_a_second_answer_changes_nothing(
    database: Database, place: Place, number: bytes, superuser: Query
) -> None:
    """Of answers that come at once, one is kept."""

    async def answer(n: int) -> bool:
        async with database.school(place.school_id) as session:
            return await consents.record(
                session, school_id=place.school_id, number_hash=number, given=n % 2 == 0, carrier_sid="CA1", wording="w"
            )

    kept = await asyncio.gather(*(answer(n) for n in range(8)))
    assert sum(kept) == 1
    assert await superuser("SELECT given FROM consents") == [(kept.index(True) % 2 == 0,)]


async def test_an_answer_goes_with_the_last_who_are_known_by_the_number(
    database: Database, keyring: Keyring, place: Place, elsewhere: Place, number: bytes
) -> None:
    """While somebody shares it, or is reached by it as a guardian, it stands; another school's stands anyway."""
    async with answered(database, elsewhere, number):
        pass
    values: dict[str, Any] = {"school_id": place.school_id, "native": "en", "target": "es", "level": "A1"}
    async with answered(database, place, number) as session:
        ana, luis, child = [await learners.create(session, **values) for _ in range(3)]
        for one in (ana, luis):
            assert await learners.add_identity(session, one, number, "01")
        assert await learners.drop_identity(session, ana.id, number)
        assert await consents.standing(session, number), "Luis still calls from it"
        await guardians.put(
            session, keyring, school_id=place.school_id, learner_id=child.id, number=NUMBER, consent="form 7"
        )
        assert await learners.drop_identity(session, luis.id, number)
        assert await consents.standing(session, number), "the child's guardian gets texts there"
        await guardians.remove(session, child.id)
        assert await learners.add_identity(session, ana, number, "01")
        assert await learners.drop_identity(session, ana.id, number)
        assert not await consents.asked(session, number)
    async with database.school(elsewhere.school_id) as session:
        assert await consents.standing(session, number)
        await consents.forget(session, keyring.hash_number("+34600000002"))
        assert await consents.standing(session, number)


async def test_consent_is_of_one_school(database: Database, place: Place, elsewhere: Place, number: bytes) -> None:
    """Another school has to ask for itself."""
    async with answered(database, place, number):
        pass
    async with database.school(elsewhere.school_id) as session:
        assert not await consents.asked(session, number)
        assert not await consents.standing(session, number)


async def test_opting_out_counts_everywhere_at_once(
    database: Database, keyring: Keyring, place: Place, elsewhere: Place, number: bytes, superuser: Query
) -> None:
    """Consents of all schools end, the number itself is forgotten, nobody asks again; other numbers keep theirs."""
    for school in (place, elsewhere):
        async with database.school(school.school_id) as session:
            for e164 in (NUMBER, "+34600000002"):
                await learners.create_with_number(
                    session,
                    school_id=school.school_id,
                    number_hash=keyring.hash_number(e164),
                    last_two=e164[-2:],
                    native="en",
                    target="es",
                    level="A1",
                    number_encrypted=keyring.encrypt(e164),
                )
                await consents.record(
                    session,
                    school_id=school.school_id,
                    number_hash=keyring.hash_number(e164),
                    given=True,
                    carrier_sid="CA1",
                    wording="ask-1",
                )
    async with database.anyone() as session:
        await consents.opt_out(session, number, "SM1")
        await consents.opt_out(session, number, "SM2")
        assert await consents.opted_out(session, number)
    for school in (place, elsewhere):
        async with database.school(school.school_id) as session:
            assert not await consents.standing(session, number)
            assert await consents.asked(session, number)
            assert await consents.standing(session, keyring.hash_number("+34600000002"))
    assert await superuser("SELECT source FROM opt_outs") == [("SM1",)]
    kept = "SELECT last_two, number_encrypted IS NOT NULL FROM caller_identities ORDER BY 1"
    assert await superuser(kept) == [("01", False)] * 2 + [("02", True)] * 2


async def test_opting_out_without_ever_being_asked(database: Database, place: Place, number: bytes) -> None:
    """Whoever writes STOP before the first question is never asked."""
    async with database.anyone() as session:
        await consents.opt_out(session, number, "SM1")
    async with database.school(place.school_id) as session:
        assert await consents.asked(session, number)


async def test_opting_in_brings_back_no_consent(
    database: Database, place: Place, elsewhere: Place, number: bytes, superuser: Query
) -> None:
    """After STOP and START only the school that START was written to may text again; the past stays on record."""
    for school in (place, elsewhere):
        async with answered(database, school, number):
            pass
    async with database.anyone() as session:
        await consents.opt_out(session, number, "SM1")
    async with database.school(place.school_id) as session:
        await consents.opt_in(session, number)
        await consents.give(
            session, school_id=place.school_id, number_hash=number, carrier_sid="SM2", wording="keyword"
        )
        assert await consents.standing(session, number)
    async with database.school(elsewhere.school_id) as session:
        assert not await consents.opted_out(session, number)
        assert not await consents.standing(session, number)
        assert await consents.asked(session, number)
    assert sorted(row[:4] for row in await superuser(AT)) == [
        (True, "CA1", "ask-1", False),
        (True, "CA1", "ask-1", False),
        (True, "SM2", "keyword", True),
    ]


async def test_asking_for_texts_replaces_a_no(database: Database, place: Place, number: bytes) -> None:
    """Whoever said no in a call and writes START later gets texts."""
    async with answered(database, place, number, given=False) as session:
        await consents.give(
            session, school_id=place.school_id, number_hash=number, carrier_sid="SM2", wording="keyword"
        )
        assert await consents.standing(session, number)
        assert await consents.answer_of(session, "CA1") is False


async def test_a_text_is_received_once(database: Database, superuser: Query) -> None:
    """A repeated webhook is recognised by the message's identifier; identifiers are forgotten after 30 days."""
    async with database.anyone() as session:
        assert [await consents.received(session, sid) for sid in ("SM1", "SM1", "SM2")] == [True, False, True]
    await superuser("UPDATE texts_received SET at = at - interval '31 days' WHERE carrier_sid = 'SM1'")
    async with database.anyone() as session:
        assert not await consents.received(session, "SM2")
    assert await superuser("SELECT carrier_sid FROM texts_received") == [("SM2",)]
