"""When a message may leave and to whom: quiet hours by the school's clocks, two a day, and a child's to a guardian."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db import consents, guardians, lines, messages, schools
from db.engine import Database
from db.keyring import Keyring
from telephony.twilio.messages import midnight, quiet_s
from tests.telephony.texting import GUARDIAN, LEARNER, Texting, texting

NIGHT = datetime(2026, 11, 9, 2, 30, tzinfo=UTC)
"""Half past three in Madrid."""
MORNING = datetime(2026, 11, 9, 7, 0, tzinfo=UTC)


@pytest.fixture
async def texts(database: Database, keyring: Keyring) -> AsyncIterator[Texting]:
    """A learner who agreed to texts, and a carrier."""
    async with texting(database, keyring) as ready:
        yield ready


async def test_a_message_waits_for_the_morning(texts: Texting) -> None:
    """What is due at night stays new until eight by the school's clocks, however fresh; then it goes."""
    message = await texts.message()
    assert await texts.messenger(now=lambda: NIGHT).send(texts.school_id, message) == 4.5 * 3600
    row = await texts.row(message)
    assert (row.state, row.attempts, texts.sent) == ("new", 0, [])
    assert await texts.messenger(now=lambda: MORNING).send(texts.school_id, message) is None
    assert ((await texts.row(message)).state, len(texts.sent)) == ("sent", 1)


async def test_stop_at_night(texts: Texting) -> None:
    """A STOP that comes while a message waits for the morning holds it back for good."""
    message = await texts.message()
    await texts.messenger(now=lambda: NIGHT).send(texts.school_id, message)
    async with texts.database.anyone() as session:
        await consents.opt_out(session, texts.keyring.hash_number(LEARNER), "SM1")
    await texts.messenger(now=lambda: MORNING).send(texts.school_id, message)
    assert ((await texts.row(message)).state, texts.sent) == ("suppressed", [])


async def test_a_school_s_own_hours(texts: Texting) -> None:
    """A school may set its hours, or have none."""
    first, second = await texts.message("debrief:1"), await texts.message("debrief:2")
    async with texts.database.school(texts.school_id) as session:
        await schools.set_quiet_hours(session, texts.school_id, from_h=22, kids_from_h=22, until_h=4)
    assert await texts.messenger(now=lambda: NIGHT).send(texts.school_id, first) == 0.5 * 3600
    async with texts.database.school(texts.school_id) as session:
        await schools.set_quiet_hours(session, texts.school_id, from_h=0, kids_from_h=0, until_h=0)
    await texts.messenger(now=lambda: NIGHT).send(texts.school_id, second)
    assert len(texts.sent) == 1


async def guarded(texts: Texting) -> None:
    """The line is for children, and the learner has a guardian."""
    async with texts.database.school(texts.school_id) as session:
        await lines.update(session, texts.line_id, kids=True)
        ids = {"school_id": texts.school_id, "learner_id": texts.learner_id}
        await guardians.put(session, texts.keyring, **ids, number=GUARDIAN, consent="form 2026-09")


@pytest.mark.parametrize(("utc", "waits"), [("16:59", False), ("17:00", True), ("06:59", True), ("07:00", False)])
async def test_children_s_evenings_begin_earlier(texts: Texting, utc: str, waits: bool) -> None:
    """On a line for children nothing leaves from six in the evening on."""
    await guarded(texts)
    message = await texts.message(number=GUARDIAN)
    now = datetime.fromisoformat(f"2026-11-09T{utc}").replace(tzinfo=UTC)
    waited = await texts.messenger(now=lambda: now).send(texts.school_id, message)
    assert (waited is not None, len(texts.sent)) == (waits, int(not waits))


async def test_a_child_s_text_goes_to_the_guardian(texts: Texting) -> None:
    """To the guardian's number; one that was written for the child's own telephone goes nowhere."""
    await guarded(texts)
    own, guardian = await texts.message("debrief:1"), await texts.message("debrief:2", number=GUARDIAN)
    for message in (own, guardian):
        await texts.messenger().send(texts.school_id, message)
    assert [(await texts.row(message)).state for message in (own, guardian)] == ["suppressed", "sent"]
    assert [sent.to for sent in texts.sent] == [GUARDIAN]


async def test_without_a_guardian_a_child_gets_none(texts: Texting) -> None:
    """Even where the number was kept before the line became one for children."""
    message = await texts.message()
    async with texts.database.school(texts.school_id) as session:
        await lines.update(session, texts.line_id, minors="under13")
    await texts.messenger().send(texts.school_id, message)
    assert ((await texts.row(message)).state, texts.sent) == ("suppressed", [])


async def test_no_more_than_two_a_day(texts: Texting) -> None:
    """The third message of a day is not sent; after midnight by the school's clocks it may be again."""
    waiting = [await texts.message(f"debrief:{n}") for n in range(4)]
    now = datetime.now(UTC)
    noon = now.replace(hour=12, minute=0)
    for message in waiting[:3]:
        assert await texts.messenger(now=lambda: noon).send(texts.school_id, message) is None
    assert [(await texts.row(message)).state for message in waiting[:3]] == ["sent", "sent", "suppressed"]
    await texts.messenger(now=lambda: noon + timedelta(days=2)).send(texts.school_id, waiting[3])
    assert len(texts.sent) == 3


async def test_no_more_than_two_at_once(texts: Texting) -> None:
    """Many workers that send at the same moment keep to it together."""
    waiting = [await texts.message(f"debrief:{n}") for n in range(5)]
    noon = datetime.now(UTC).replace(hour=12, minute=0)
    await asyncio.gather(*(texts.messenger(now=lambda: noon).send(texts.school_id, message) for message in waiting))
    assert len(texts.sent) == 2


async def test_two_schools_share_a_telephone_s_day(texts: Texting) -> None:
    """Two messages of one school leave none for another's: it is one person's telephone."""
    waiting = [await texts.message(f"debrief:{n}") for n in range(3)]
    noon = datetime.now(UTC).replace(hour=12, minute=0)
    for message in waiting[:2]:
        await texts.messenger(now=lambda: noon).send(texts.school_id, message)
    async with texts.database.anyone() as session:
        other = await schools.create(session, "South", "Europe/Madrid")
    number_hash = texts.keyring.hash_number(LEARNER)
    async with texts.database.school(other) as session:
        assert await messages.enough(session, number_hash, since=noon - timedelta(days=1), most=2)
        assert not await messages.enough(session, number_hash, since=noon - timedelta(days=1), most=3)


@pytest.mark.parametrize(
    ("now", "zone", "hours"),
    [
        ("2026-11-09T12:00", "Europe/Madrid", 0),
        ("2026-11-09T06:59", "Europe/Madrid", 1 / 60),
        ("2026-11-09T07:00", "Europe/Madrid", 0),
        ("2026-11-09T18:59", "Europe/Madrid", 0),
        ("2026-11-09T19:00", "Europe/Madrid", 12),
        ("2026-11-09T12:00", "America/Puerto_Rico", 0),
        ("2026-11-09T04:00", "America/Puerto_Rico", 8),
        ("2026-10-24T22:00", "Europe/Madrid", 9),
        ("2026-03-28T21:00", "Europe/Madrid", 9),
    ],
)
def test_quiet_hours(now: str, zone: str, hours: float) -> None:
    """Nights end at eight by the school's clocks, also when those are changed."""
    at = datetime.fromisoformat(now).replace(tzinfo=UTC)
    assert quiet_s(at, zone, from_h=20, until_h=8) == pytest.approx(hours * 3600)


@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC)),  # noqa: DTZ001  # Hypothesis
    st.sampled_from(["Europe/Madrid", "America/Puerto_Rico", "Asia/Shanghai", "Australia/Lord_Howe", "UTC"]),
    st.integers(0, 23),
    st.integers(0, 23),
)
def test_after_the_wait_it_may_be_sent(now: datetime, zone: str, from_h: int, until_h: int) -> None:
    """Whatever the hours, a wait is never longer than a day and an hour, and nothing is quiet when it is over."""
    wait_s = quiet_s(now, zone, from_h=from_h, until_h=until_h)
    assert 0 <= wait_s <= 25 * 3600
    assert quiet_s(now + timedelta(seconds=wait_s), zone, from_h=from_h, until_h=until_h) == 0
    if from_h == until_h:
        assert wait_s == 0


@pytest.mark.parametrize(
    ("now", "zone", "began"),
    [
        ("2026-11-09T12:00", "Europe/Madrid", "2026-11-08T23:00"),
        ("2026-11-09T23:30", "Europe/Madrid", "2026-11-09T23:00"),
        ("2026-11-09T03:00", "America/Puerto_Rico", "2026-11-08T04:00"),
        ("2026-10-25T12:00", "Europe/Madrid", "2026-10-24T22:00"),
    ],
)
def test_a_day_begins_at_midnight(now: str, zone: str, began: str) -> None:
    """By the school's clocks, also on a day when those are changed."""
    at, start = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (now, began))
    assert midnight(at, zone) == start
