"""From a flag to a text on the contact's telephone: once, at any hour, whatever a learner or a teacher has set."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from structlog.testing import capture_logs

from db import accounts, calls, consents, flags, jobs, lines
from db.engine import Database
from db.flags import NewFlag
from db.keyring import Keyring
from db.models import Message
from ringua.jobs import all_jobs
from ringua.jobs.safeguarding import REASONS, tell_contact, text_of
from ringua.settings import SettingsError, load
from ringua.storage import Storage
from telephony.segments import segments
from telephony.twilio.messages import reported
from tests.telephony.texting import LEARNER, LINE, Texting, texting
from tutor.safety.minors import MINORS, minors_allowed
from tutor.safety.words import CATEGORIES

CONTACT = "+34600999888"
CARE = NewFlag(3_000, "self_harm", "care", "words", "es/self_harm.wish")
STOP = NewFlag(2_000, "sexual", "stop", "words", "es/sexual.talk")
ORDER = {"none": 0, "13+": 1, "under13": 2}
NIGHT = datetime(2026, 11, 9, 2, 30, tzinfo=UTC)


@pytest.fixture
async def texts(database: Database, keyring: Keyring) -> AsyncIterator[Texting]:
    """A line with a contact, and a carrier."""
    async with texting(database, keyring) as ready:
        async with database.school(ready.school_id) as session:
            await lines.update(session, ready.line_id, safeguarding_number=keyring.encrypt(CONTACT))
        yield ready


async def flagged(texts: Texting, *found: NewFlag, told: bool = True) -> Any:
    """A call of the learner with these flags; with ``told`` its job has run."""
    async with texts.database.school(texts.school_id) as session:
        call = await calls.open_call(
            session,
            school_id=texts.school_id,
            line_id=texts.line_id,
            carrier_sid="CA" + "7" * 32,
            account_sid=texts.account.sid,
            max_calls=100,
            learner_id=texts.learner_id,
            caller_hash=texts.keyring.hash_number(LEARNER),
        )
        await flags.record(session, call.id, found)
    if told:
        await tell(texts, call.id)
    return call.id


async def tell(texts: Texting, call_id: Any) -> None:
    """Runs the job."""
    await tell_contact(texts.database, texts.keyring, school_id=texts.school_id, call_id=call_id)


async def rows(texts: Texting) -> list[Message]:
    """Every message there is."""
    async with texts.database.school(texts.school_id) as session:
        return list(await session.scalars(select(Message)))


async def unheard(texts: Texting, call_id: Any) -> list[str]:
    """The categories of the call that nobody was told of."""
    async with texts.database.school(texts.school_id) as session:
        return [flag.category for flag in await flags.of_call(session, call_id) if flag.told_at is None]


async def delivered(texts: Texting, message: Message, status: str = "delivered", code: int | None = None) -> None:
    """The carrier reports."""
    async with texts.database.school(texts.school_id) as session:
        await reported(
            session, message.id, carrier_sid=message.carrier_sid or "SM1", status=status, error_code=code, attempt=1
        )


async def test_the_contact_is_told(texts: Texting) -> None:
    """A text from the line to its contact names line and reason, and the flag is heard once it arrived."""
    call_id = await flagged(texts, CARE)
    (message,) = await rows(texts)
    assert await texts.messenger().send(texts.school_id, message.id) is None
    (sent,) = texts.sent
    assert (sent.from_, sent.to) == (LINE, CONTACT)
    assert sent.body == (
        "Practice line A1: a call today needs your attention (reason: self-harm). "
        "Whoever runs the line can show you when and why."
    )
    assert await unheard(texts, call_id) == ["self_harm"]
    (message,) = await rows(texts)
    await delivered(texts, message)
    assert await unheard(texts, call_id) == []


async def test_the_contact_is_told_once(texts: Texting) -> None:
    """Run again and several times at once, the job leaves one message, and of several reasons the gravest counts."""
    call_id = await flagged(texts, STOP, NewFlag.key(9_000), CARE)
    await asyncio.gather(*(tell(texts, call_id) for _ in range(4)))
    (message,) = await rows(texts)
    assert "(reason: self-harm)" in message.body
    for _ in range(3):
        await texts.messenger().send(texts.school_id, message.id)
    assert len(texts.sent) == 1


async def test_nothing_holds_it_back(texts: Texting) -> None:
    """No night, no switch of a teacher, no consent that is missing and no STOP of a learner stops it."""
    await flagged(texts, CARE)
    (message,) = await rows(texts)
    await texts.age(message.id, 7_200, column="created_at")
    async with texts.database.school(texts.school_id) as session:
        await lines.update(session, texts.line_id, texts=False)
    async with texts.database.anyone() as session:
        await consents.opt_out(session, texts.keyring.hash_number(LEARNER), "SM1")
        await consents.opt_out(session, texts.keyring.hash_number(CONTACT), "SM2")
    assert await texts.messenger(now=lambda: NIGHT).send(texts.school_id, message.id) is None
    assert [sent.to for sent in texts.sent] == [CONTACT]


async def test_nothing_said_and_nobody_is_named(texts: Texting) -> None:
    """Neither the message nor the log holds the learner's number, the contact's, or the rule that found it."""
    with capture_logs() as logs:
        await flagged(texts, CARE)
        (message,) = await rows(texts)
        await texts.messenger().send(texts.school_id, message.id)
    shown = f"{message.body} {logs}"
    for hidden in (LEARNER, LEARNER[1:], CONTACT, CONTACT[1:], "wish", str(texts.learner_id)):
        assert hidden not in shown
    assert message.learner_id is None


async def test_without_a_contact_the_log_says_so(texts: Texting) -> None:
    """Nobody is written to, one line tells the operator what to do, and the flag stays unheard."""
    async with texts.database.school(texts.school_id) as session:
        await lines.update(session, texts.line_id, safeguarding_number=None)
    with capture_logs() as logs:
        call_id = await flagged(texts, CARE)
    (entry,) = [entry for entry in logs if entry["log_level"] == "error"]
    assert entry["event"] == "safeguarding.no_contact"
    assert "ringua line safety" in entry["do"]
    assert await rows(texts) == []
    assert await unheard(texts, call_id) == ["self_harm"]


async def test_a_contact_that_goes_before_the_text(texts: Texting) -> None:
    """A message whose contact was taken away is not sent anywhere, and that is an error in the log."""
    call_id = await flagged(texts, CARE)
    (message,) = await rows(texts)
    async with texts.database.school(texts.school_id) as session:
        await lines.update(session, texts.line_id, safeguarding_number=None)
    with capture_logs() as logs:
        assert await texts.messenger().send(texts.school_id, message.id) is None
    assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == ["safeguarding_not_told"]
    assert texts.sent == []
    assert await unheard(texts, call_id) == ["self_harm"]


@pytest.mark.parametrize(("status", "code"), [("undelivered", 30005), ("failed", None), ("sent", None)])
async def test_a_text_that_does_not_arrive_leaves_the_flag_unheard(
    texts: Texting, status: str, code: int | None
) -> None:
    """That the carrier took it is not enough; a failure is an error in the log, and opts the contact out of nothing."""
    call_id = await flagged(texts, CARE)
    (message,) = await rows(texts)
    await texts.messenger().send(texts.school_id, message.id)
    (message,) = await rows(texts)
    with capture_logs() as logs:
        await delivered(texts, message, status, code)
    errors = [entry["event"] for entry in logs if entry["log_level"] == "error"]
    assert errors == ([] if status == "sent" else ["safeguarding_not_told"])
    assert await unheard(texts, call_id) == ["self_harm"]
    async with texts.database.anyone() as session:
        assert not await consents.opted_out(session, texts.keyring.hash_number(CONTACT))


async def test_a_refused_text_is_an_error(texts: Texting) -> None:
    """A number the carrier does not take is told to the operator at once."""
    await flagged(texts, CARE)
    (message,) = await rows(texts)
    texts.carrier.sms.refuse_next(400, 21211, "Invalid 'To' Phone Number")
    with capture_logs() as logs:
        assert await texts.messenger().send(texts.school_id, message.id) is None
    assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == ["safeguarding_not_told"]


async def test_what_was_told_is_not_told_again(texts: Texting) -> None:
    """A job that comes late, after somebody looked at the call, writes nothing."""
    call_id = await flagged(texts, CARE, told=False)
    async with texts.database.school(texts.school_id) as session:
        await flags.told(session, call_id)
    await tell(texts, call_id)
    assert await rows(texts) == []


async def test_a_worker_does_all_of_it(texts: Texting, database_url: str, tmp_path: Path) -> None:
    """From the flag to the carrier through the jobs that every worker runs."""
    async with texts.database.anyone() as session:
        await accounts.put(session, texts.keyring, texts.account)
    await flagged(texts, CARE, told=False)
    known = all_jobs(Storage(texts.database, texts.keyring, database_url, ()), load(data_dir=tmp_path))
    for _ in range(2):  # the first job defers the second
        await jobs.run_worker(database_url, known, queues=["messages"], wait=False, signals=False)
    assert [sent.to for sent in texts.sent] == [CONTACT]


@pytest.mark.parametrize("category", CATEGORIES)
def test_every_reason_has_a_name(category: str) -> None:
    """Each category is called something a person understands."""
    assert category in REASONS
    assert REASONS[category] in text_of("A1", category)


@pytest.mark.parametrize("name", ["A1", "Español «inicial» para todas las personas " * 9, "初级汉语练习热线" * 12])
def test_the_text_fits(name: str) -> None:
    """Whatever a line is called, two segments are enough, and the reason is whole."""
    text = text_of(name, "self_harm")
    assert segments(text) <= 2
    assert text.endswith("(reason: self-harm). Whoever runs the line can show you when and why.")


@pytest.mark.parametrize("line", MINORS)
@pytest.mark.parametrize("setting", MINORS)
def test_a_line_is_not_for_younger_callers_than_the_setting(line: str, setting: str) -> None:
    """Adults everywhere, teenagers from 13+ on, children only under under13."""
    assert minors_allowed(line, setting) == (ORDER[line] <= ORDER[setting])


def test_an_unknown_age_is_refused() -> None:
    """A slip never opens a line to children."""
    with pytest.raises(ValueError, match="not 'teens'"):
        minors_allowed("none", "teens")


def test_minors_are_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """None unless set; children only with zero data retention attested, in one sentence that says what to do."""
    for name in ("DATABASE_URL", "TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "RINGUA_MINORS", "RINGUA_ZDR_ATTESTED"):
        monkeypatch.delenv(name, raising=False)
    assert load().minors == "none"
    monkeypatch.setenv("RINGUA_MINORS", "13+")
    assert load().minors == "13+"
    monkeypatch.setenv("RINGUA_MINORS", "under13")
    with pytest.raises(SettingsError, match=r"set RINGUA_ZDR_ATTESTED=true") as caught:
        load()
    assert "\n" not in str(caught.value)
    for word in ("true", "yes"):
        monkeypatch.setenv("RINGUA_ZDR_ATTESTED", word)
        assert load().minors == "under13"
    monkeypatch.setenv("RINGUA_MINORS", "8+")
    with pytest.raises(SettingsError, match="RINGUA_MINORS is wrong"):
        load()
