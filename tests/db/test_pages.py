"""Links to pages, guardians, and who a text goes to: hashed, bound to a school, ended by time and by a STOP."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text

from db import (
    calls,
    consents,
    debriefs,
    endings,
    flags,
    guardians,
    learners,
    lines,
    messages,
    pages,
    policies,
    recipients,
    schools,
)
from db.endings import Ending, NewEvent, NewTurn
from db.engine import Database
from db.guardians import GuardianRefused
from db.keyring import Keyring
from db.models import Learner, Line, School
from db.models_pages import DebriefLink, Guardian
from db.pages import PageFound
from tests.db.conftest import OpenCall, Place, Query
from tests.db.page_rows import GUARDIAN, tell

CHILD = "+34600000001"
AGES_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
async def learner(database: Database, keyring: Keyring, place: Place) -> Learner:
    """A learner whose number is kept for texts."""
    async with database.school(place.school_id) as session:
        return await learners.create_with_number(
            session,
            school_id=place.school_id,
            number_hash=keyring.hash_number(CHILD),
            last_two="01",
            native="en",
            target="es",
            level="A1",
            number_encrypted=keyring.encrypt(CHILD),
        )


@pytest.fixture
async def call_id(database: Database, place: Place, learner: Learner, open_call: OpenCall) -> UUID:
    """A call of the learner that is over and debriefed."""
    call = await open_call(learner_id=learner.id)
    turns = [NewTurn("role", 0, 900, "¡Hola!", "i0"), NewTurn("learner", 1_000, 1_900, " ", "i1")]
    turns += [NewTurn("learner", 2_000, 2_900, "Un café.", "i2"), NewTurn("helper", 3_000, 3_900, "One more minute.")]
    async with database.school(place.school_id) as session:
        await endings.finish(session, call, Ending("hangup", turns))
        await debriefs.put(session, school_id=place.school_id, call_id=call, content={}, source="facts")
    return call


@pytest.fixture
async def token(database: Database, keyring: Keyring, place: Place, learner: Learner, call_id: UUID) -> str:
    """The token of the call's page."""
    token = pages.new_token()
    async with database.school(place.school_id) as session:
        ids = {"school_id": place.school_id, "call_id": call_id, "learner_id": learner.id}
        await pages.issue(session, keyring, token, **ids, audience="learner")
    return token


async def found(database: Database, keyring: Keyring, token: str) -> PageFound | None:
    """What the token opens."""
    async with database.anyone() as session:
        return await pages.find(session, keyring, token)


# --- links


def test_tokens_cannot_be_guessed() -> None:
    """128 random bits each, fit for a path, and never twice."""
    tokens = {pages.new_token() for _ in range(200)}
    assert len(tokens) == 200
    assert {len(token) for token in tokens} == {22}
    assert all(token.replace("-", "").replace("_", "").isalnum() for token in tokens)


async def test_a_link_opens_one_page_for_seven_days(
    database: Database, keyring: Keyring, place: Place, learner: Learner, call_id: UUID, token: str, superuser: Query
) -> None:
    """It leads to its call before a school is known, until its time is over."""
    assert await found(database, keyring, token) == PageFound(place.school_id, call_id, learner.id, "learner")
    ((days,),) = await superuser("SELECT expires_at - created_at FROM debrief_links")
    assert days == timedelta(days=7)
    await superuser("UPDATE debrief_links SET expires_at = now() - interval '1 second'")
    assert await found(database, keyring, token) is None


async def test_only_a_hash_is_kept(keyring: Keyring, token: str, superuser: Query) -> None:
    """Whoever reads the database can open no page; another secret gives another hash, and so does another purpose."""
    rows = await superuser("SELECT l::text, encode(hash, 'hex') FROM debrief_links l")
    assert token not in str(rows)
    assert rows[0][1] == keyring.hash_link(token).hex()
    assert keyring.hash_link(token) not in (keyring.hash_token(token), keyring.hash_number(token))
    assert Keyring("another secret of enough characters").hash_link(token) != keyring.hash_link(token)


@pytest.mark.parametrize("wrong", ["", "x", "a" * 21, "a" * 23, "a" * 22, "é" * 22, "a" * 10_000, "a" * 21 + "\n"])
async def test_what_is_no_token_opens_nothing(database: Database, keyring: Keyring, token: str, wrong: str) -> None:
    """Of whatever length and letters."""
    assert await found(database, keyring, wrong) is None


async def test_expired_links_go(
    database: Database, keyring: Keyring, place: Place, learner: Learner, call_id: UUID, token: str, superuser: Query
) -> None:
    """With the next link that is made, at the latest."""
    await superuser("UPDATE debrief_links SET expires_at = now() - interval '1 second'")
    ids = {"school_id": place.school_id, "call_id": call_id, "learner_id": learner.id}
    async with database.school(place.school_id) as session:
        await pages.issue(session, keyring, pages.new_token(), **ids, audience="family")
        (left,) = (await session.scalars(select(DebriefLink))).all()
    assert left.audience == "family"


async def test_links_go_with_their_learner(database: Database, keyring: Keyring, token: str, superuser: Query) -> None:
    """Whoever is forgotten has no page any more."""
    await superuser("DELETE FROM learners")
    assert await found(database, keyring, token) is None
    assert await superuser("SELECT count(*) FROM debrief_links") == [(0,)]


async def test_another_school_sees_no_page(
    database: Database, keyring: Keyring, place: Place, elsewhere: Place, call_id: UUID, token: str
) -> None:
    """Neither the link nor what it leads to; and none can be made for another's call."""
    page = await found(database, keyring, token)
    assert page is not None
    async with database.school(elsewhere.school_id) as session:
        assert (await session.scalars(select(DebriefLink))).all() == []
        assert await pages.record(session, page) is None
    async with database.school(place.school_id) as session:
        assert await pages.record(session, page) is not None


# --- what a page may tell


async def shown(database: Database, place: Place, call_id: UUID) -> list[str]:
    """What the transcript of a call shows."""
    async with database.school(place.school_id) as session:
        call, line = await calls.get(session, call_id), await lines.get(session, place.line_id)
        assert call is not None
        assert line is not None
        return [turn.text or "" for turn in await pages.transcript(session, call, line)]


async def test_a_transcript_holds_what_was_said(database: Database, place: Place, call_id: UUID) -> None:
    """Turns with words, in order, the line's own among them."""
    assert await shown(database, place, call_id) == ["¡Hola!", "Un café.", "One more minute."]


async def test_no_transcript(database: Database, place: Place, call_id: UUID) -> None:
    """Not where the school shows none, and not on a line for children."""
    async with database.school(place.school_id) as session:
        await policies.change(session, place.school_id, show_transcript=False)
    assert await shown(database, place, call_id) == []
    async with database.school(place.school_id) as session:
        await policies.change(session, place.school_id, show_transcript=True)
        await lines.update(session, place.line_id, kids=True)
    assert await shown(database, place, call_id) == []
    async with database.school(place.school_id) as session:
        await lines.update(session, place.line_id, kids=False, minors="under13")
    assert await shown(database, place, call_id) == []
    async with database.school(place.school_id) as session:
        await lines.update(session, place.line_id, minors="13+")
    assert len(await shown(database, place, call_id)) == 3


async def test_a_flag_for_people_hides_the_whole_call(database: Database, place: Place, call_id: UUID) -> None:
    """A note to ourselves does not; what a person must look at does."""
    async with database.school(place.school_id) as session:
        note = flags.NewFlag(5, "personal_data", "note", "words", "personal_data.number")
        await flags.add_many(session, place.school_id, call_id, [note])
    assert len(await shown(database, place, call_id)) == 3
    async with database.school(place.school_id) as session:
        await flags.add_many(session, place.school_id, call_id, [flags.NewFlag.key(5)])
    assert await shown(database, place, call_id) == []


async def test_a_turn_with_a_finding_is_withheld(
    database: Database, place: Place, learner: Learner, open_call: OpenCall
) -> None:
    """Only that turn, found by its item."""
    call = await open_call(learner_id=learner.id)
    turns = [NewTurn("learner", 0, 900, "Fine.", "i0"), NewTurn("learner", 1_000, 1_900, "Ugly.", "i1")]
    async with database.school(place.school_id) as session:
        found_it = NewEvent(1_900, "safety", {"item": "i1", "action": "steer"})
        await endings.finish(session, call, Ending("hangup", turns, [found_it]))
    assert await shown(database, place, call) == ["Fine."]


async def test_a_page_is_reported_once(database: Database, place: Place, call_id: UUID, superuser: Query) -> None:
    """One flag and one job, whatever is pressed again."""
    for first in (True, False):
        async with database.school(place.school_id) as session:
            assert await pages.report(session, call_id) is first
            assert await pages.reported(session, call_id)
    assert await superuser("SELECT category, rule FROM safety_flags") == [("report", "page/report")]
    assert await superuser(f"SELECT count(*) FROM procrastinate_jobs WHERE task_name = '{flags.JOB}'") == [(1,)]


# --- guardians


async def to(
    database: Database, keyring: Keyring, place: Place, learner: Learner, number: str | None = CHILD
) -> tuple[str, str] | None:
    """Whose number gets the text about the learner's call, and as what."""
    async with database.school(place.school_id) as session:
        line = await lines.get(session, place.line_id)
        assert line is not None
        caller = keyring.hash_number(number) if number else None
        recipient = await recipients.of_call(session, line, learner_id=learner.id, caller_hash=caller)
    return (keyring.decrypt(recipient.number_encrypted), recipient.audience) if recipient else None


async def set_guardian(database: Database, keyring: Keyring, place: Place, learner: Learner) -> None:
    """The learner gets a guardian."""
    async with database.school(place.school_id) as session:
        ids = {"school_id": place.school_id, "learner_id": learner.id}
        await guardians.put(session, keyring, **ids, number=GUARDIAN, consent="form 2026-09")


async def test_who_gets_the_text(database: Database, keyring: Keyring, place: Place, learner: Learner) -> None:
    """The learner; with a guardian the guardian alone, wherever the call came from; without a number nobody."""
    assert await to(database, keyring, place, learner) == (CHILD, "learner")
    assert await to(database, keyring, place, learner, "+34600000009") is None
    assert await to(database, keyring, place, learner, None) is None
    await set_guardian(database, keyring, place, learner)
    for number in (CHILD, "+34600000009", None):
        assert await to(database, keyring, place, learner, number) == (GUARDIAN, "family")


@pytest.mark.parametrize("line", [{"kids": True}, {"minors": "under13"}, {"minors": "13+"}])
async def test_a_child_s_own_telephone_gets_none(
    database: Database, keyring: Keyring, place: Place, learner: Learner, line: dict[str, Any]
) -> None:
    """On a line for minors only a guardian is texted, although the child's number is kept."""
    async with database.school(place.school_id) as session:
        await lines.update(session, place.line_id, **line)
    assert await to(database, keyring, place, learner) is None
    await set_guardian(database, keyring, place, learner)
    assert await to(database, keyring, place, learner) == (GUARDIAN, "family")
    async with database.school(place.school_id) as session:
        assert await guardians.remove(session, learner.id)
        assert not await guardians.remove(session, learner.id)
    assert await to(database, keyring, place, learner) is None


async def test_a_waiting_message_goes_to_whom_it_was_written_for(
    database: Database, keyring: Keyring, place: Place, learner: Learner
) -> None:
    """When a guardian was set, or another one, since it was written, it goes to nobody."""
    child, guardian = keyring.hash_number(CHILD), keyring.hash_number(GUARDIAN)

    async def kept(number_hash: bytes) -> bool:
        async with database.school(place.school_id) as session:
            return await recipients.number(session, place.number, learner.id, number_hash) is not None

    assert [await kept(child), await kept(guardian)] == [True, False]
    await set_guardian(database, keyring, place, learner)
    assert [await kept(child), await kept(guardian)] == [False, True]


async def test_a_guardian_s_consent_is_recorded(
    database: Database, keyring: Keyring, place: Place, learner: Learner, superuser: Query
) -> None:
    """With the number, sealed, stands how the school has the consent; from then on the number may be texted."""
    await set_guardian(database, keyring, place, learner)
    async with database.school(place.school_id) as session:
        guardian = await guardians.get(session, learner.id)
        assert guardian is not None
        assert (guardian.last_two, guardian.consent) == ("77", "form 2026-09")
        assert await consents.standing(session, keyring.hash_number(GUARDIAN))
        assert await guardians.is_one(session, keyring.hash_number(GUARDIAN))
        assert not await guardians.is_one(session, keyring.hash_number(CHILD))
    assert GUARDIAN[1:] not in str(await superuser("SELECT g::text FROM guardians g"))


async def test_a_guardian_needs_consent(database: Database, keyring: Keyring, place: Place, learner: Learner) -> None:
    """Without a word on it, or after an opt-out, no number is kept."""
    ids = {"school_id": place.school_id, "learner_id": learner.id}
    async with database.school(place.school_id) as session:
        with pytest.raises(GuardianRefused, match="consent"):
            await guardians.put(session, keyring, **ids, number=GUARDIAN, consent=" ")
        await consents.opt_out(session, keyring.hash_number(GUARDIAN), "SM1")
        with pytest.raises(GuardianRefused, match=r"ending in 77 .* START"):
            await guardians.put(session, keyring, **ids, number=GUARDIAN, consent="form")
        assert await guardians.get(session, learner.id) is None


async def test_a_guardian_s_stop(database: Database, keyring: Keyring, place: Place, learner: Learner) -> None:
    """Forgets the number, and the child's telephone does not take its place; START and consent bring it back."""
    await set_guardian(database, keyring, place, learner)
    guardian = keyring.hash_number(GUARDIAN)
    async with database.anyone() as session:
        await consents.opt_out(session, guardian, "SM1")
    assert await to(database, keyring, place, learner) is None
    async with database.school(place.school_id) as session:
        row = await guardians.get(session, learner.id)
        assert row is not None
        assert row.number_encrypted is None
        await consents.opt_in(session, guardian)
        await guardians.set_number(session, guardian, keyring.encrypt(GUARDIAN))
    assert await to(database, keyring, place, learner) == (GUARDIAN, "family")


async def test_guardians_of_another_school(
    database: Database, keyring: Keyring, place: Place, elsewhere: Place, learner: Learner
) -> None:
    """Are not seen, changed or removed."""
    await set_guardian(database, keyring, place, learner)
    async with database.school(elsewhere.school_id) as session:
        assert await guardians.get(session, learner.id) is None
        assert not await guardians.is_one(session, keyring.hash_number(GUARDIAN))
        assert not await guardians.remove(session, learner.id)
        await guardians.set_number(session, keyring.hash_number(GUARDIAN), b"changed")
        line = await session.scalar(select(Line))
        assert line is not None
        assert await recipients.of_call(session, line, learner_id=learner.id, caller_hash=None) is None
        assert await recipients.number(session, place.number, learner.id, keyring.hash_number(GUARDIAN)) is None
    assert await to(database, keyring, place, learner) == (GUARDIAN, "family")


async def test_a_guardian_goes_with_the_learner(
    database: Database, keyring: Keyring, place: Place, learner: Learner, call_id: UUID, superuser: Query
) -> None:
    """As does everything of this kind."""
    async with database.school(place.school_id) as session:
        await tell(session, keyring, place.school_id, learner.id, call_id)
        await session.execute(text("DELETE FROM learners"))
        assert (await session.scalars(select(Guardian))).all() == []
    assert await superuser("SELECT count(*) FROM debrief_links") == [(0,)]


# --- how many, and when


async def texted(
    database: Database, keyring: Keyring, place: Place, learner_id: UUID, call_id: UUID, key: str, state: str
) -> None:
    """A text to the child's number in some state."""
    async with database.school(place.school_id) as session:
        await messages.add(
            session,
            school_id=place.school_id,
            call_id=call_id,
            learner_id=learner_id,
            account_sid="AC1",
            sender=place.number,
            kind="debrief",
            key=key,
            body="¡Bien!",
            number_hash=keyring.hash_number(CHILD),
        )
        values = {"key": key, "state": state}
        await session.execute(text("UPDATE messages SET state = :state, attempted_at = now() WHERE key = :key"), values)


async def test_texts_of_a_number_are_counted_across_schools(
    database: Database,
    keyring: Keyring,
    place: Place,
    elsewhere: Place,
    learner: Learner,
    call_id: UUID,
    open_call: OpenCall,
) -> None:
    """What reached a telephone counts, whichever school sent it; what failed, waits or was of another day does not."""
    number = keyring.hash_number(CHILD)

    async def enough(since: datetime = AGES_AGO, at: Place = place) -> bool:
        async with database.school(at.school_id) as session:
            return await messages.enough(session, number, since=since, most=2)

    for n, state in enumerate(("failed", "suppressed", "new", "sent")):
        await texted(database, keyring, place, learner.id, call_id, f"a{n}", state)
    assert not await enough()
    async with database.school(elsewhere.school_id) as session:
        other = Learner(school_id=elsewhere.school_id, native="en", target="es", level="A1")
        session.add(other)
    their_call = await open_call(school_id=elsewhere.school_id, line_id=elsewhere.line_id, learner_id=other.id)
    await texted(database, keyring, elsewhere, other.id, their_call, "b", "unknown")
    assert await enough()
    assert await enough(at=elsewhere)
    assert not await enough(since=datetime.now(UTC) + timedelta(days=1))


async def test_two_that_are_due_at_once_are_counted_one_after_the_other(
    database: Database, keyring: Keyring, place: Place, learner: Learner, call_id: UUID
) -> None:
    """Of many messages that are taken together, no more leave than may."""
    for n in range(5):
        await texted(database, keyring, place, learner.id, call_id, f"a{n}", "new")

    async def take(key: str) -> bool:
        async with database.school(place.school_id) as session:
            if await messages.enough(session, keyring.hash_number(CHILD), since=AGES_AGO, most=2):
                return False
            await session.execute(text("UPDATE messages SET state = 'sending' WHERE key = :key"), {"key": key})
            return True

    assert sum(await asyncio.gather(*(take(f"a{n}") for n in range(5)))) == 2


async def test_quiet_hours_are_the_school_s(database: Database, place: Place, elsewhere: Place) -> None:
    """Eight in the evening to eight in the morning, for children from six; each school may set its own."""

    async def hours(at: Place) -> tuple[int, int, int]:
        async with database.school(at.school_id) as session:
            school = await session.get(School, at.school_id, populate_existing=True)
            assert school is not None
            return school.quiet_from_h, school.quiet_kids_from_h, school.quiet_until_h

    assert await hours(place) == (20, 18, 8)
    async with database.school(place.school_id) as session:
        await schools.set_quiet_hours(session, place.school_id, from_h=21, kids_from_h=19, until_h=9)
        await schools.set_quiet_hours(session, elsewhere.school_id, from_h=0, kids_from_h=0, until_h=0)
        with pytest.raises(ValueError, match="0 to 23, not 24"):
            await schools.set_quiet_hours(session, place.school_id, from_h=24, kids_from_h=19, until_h=9)
    assert await hours(place) == (21, 19, 9)
    assert await hours(elsewhere) == (20, 18, 8)
