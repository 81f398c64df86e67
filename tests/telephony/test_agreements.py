"""What a learner agrees to have kept, over the webhooks: offered where it means something, taken back at once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from db import calls, consents, learners, lines, policies, recordings, topics
from db.engine import Database
from db.forgetting import forget_learner
from db.keyring import Keyring
from db.models import Consent, Learner
from telephony import agreements
from telephony.agreements import AGREEMENT, wording
from telephony.ivr.keeping import Agreed
from telephony.ivr.record import MenuRecord
from tests.telephony.school_line import CALL, CALLER, Service, service, spoken
from tutor.script.catalogue import load

EN, ES = load().language("en"), load().language("es")
SCHOOL = "Colegio <Lorca> & Söhne"


@pytest.fixture
async def line(database: Database, keyring: Keyring) -> AsyncIterator[Service]:
    """A service with one live line, of a school that keeps sound for a day."""
    async with service(database, keyring) as ready:
        async with database.school(ready.school_id) as session:
            await policies.change(session, ready.school_id, audio_hours=24)
        yield ready


async def enrolled(line: Service, *, texts: bool = True, number: str = CALLER, **changes: Any) -> UUID:
    """A learner of this number, who gets texts."""
    learner_id = await line.enrolled(number, **changes)
    async with line.database.school(line.school_id) as session:
        number_hash = line.keyring.hash_number(number)
        await consents.record(
            session,
            school_id=line.school_id,
            number_hash=number_hash,
            given=texts,
            carrier_sid="CA0",
            wording="en:1",
        )
    return learner_id


async def press(line: Service, *keys: str, sid: str = CALL, **options: Any) -> list[str]:
    """Calls and presses keys one by one; what was said each time."""
    said = [spoken(await line.told("/twilio/voice", CallSid=sid, **options))]
    for step, key in enumerate(keys, 1):
        said.append(spoken(await line.told(f"/twilio/menu?step={step}", Digits=key, CallSid=sid, **options)))
    return said


async def settings(line: Service, learner_id: UUID) -> dict[str, Any]:
    """What is set for a learner."""
    async with line.database.school(line.school_id) as session:
        learner = await learners.get(session, learner_id)
        assert learner is not None
        return learner.settings


async def audio_consents(line: Service) -> list[Consent]:
    """The answers about sound."""
    async with line.database.school(line.school_id) as session:
        found = select(Consent).where(Consent.kind == consents.AUDIO).order_by(Consent.asked_at)
        return list(await session.scalars(found))


async def offered(line: Service, sid: str = CALL) -> Agreed:
    """What a call's menu offers."""
    return MenuRecord.read((await line.row(sid)).menu).agreed


# --- the sound


async def test_a_yes_is_kept_as_the_one_to_texts_is(line: Service) -> None:
    """With its time, its call and the version of the sentence that asked; this call's greeting stays true."""
    await enrolled(line)
    said = await press(line, "0", "9", "7", "*", "1")
    assert EN.say("menu.welcome_back", school=SCHOOL) in said[0]
    assert EN.say("keeping.settings") in said[1]
    assert EN.say("keeping.sound_ask") in said[2]
    assert said[3] == EN.say("keeping.sound_agreed")
    (kept,) = await audio_consents(line)
    assert (kept.given, kept.carrier_sid, kept.wording) == (True, CALL, wording(EN, "keeping.sound_ask"))
    assert datetime.now(UTC) - kept.asked_at < timedelta(minutes=1)
    assert not MenuRecord.read((await line.row()).menu).recorded
    said = await press(line, sid="CAnext")
    assert EN.say("keeping.welcome_back", school=SCHOOL) in said[0]
    assert MenuRecord.read((await line.row("CAnext")).menu).recorded


async def test_taking_it_back_ends_what_is_kept_at_once(line: Service) -> None:
    """One key in the settings: the consent ends, with the times of both, and so do the recordings of the learner."""
    learner_id = await enrolled(line)
    await press(line, "0", "9", "7")
    await press(line, sid="CAnext")
    row = await line.row("CAnext")
    async with line.database.school(line.school_id) as session:
        lasts = await recordings.may_keep(session, row.id)
        assert lasts == timedelta(hours=24)
        await recordings.add(session, row.id, lasts)
        assert [one.learner_id for one in await recordings.of_call(session, row.id)] == [learner_id]
    said = await press(line, "0", "7", sid="CAlast")
    assert said[2] == EN.say("keeping.sound_ended")
    (ended,) = await audio_consents(line)
    assert ended.ended_at is not None
    async with line.database.school(line.school_id) as session:
        assert await recordings.of_call(session, row.id) == []
        assert len(await recordings.due(session, limit=5)) == 1
        assert await recordings.may_keep(session, row.id) is None
    assert EN.say("menu.welcome_back", school=SCHOOL) in (await press(line, sid="CAafter"))[0]


async def test_a_repeated_request_changes_nothing(line: Service) -> None:
    """The carrier asks again for the same step: the answer is the same, and there is one consent."""
    await enrolled(line)
    said = await press(line, "0", "9", "7")
    for digits in ("7", "8", ""):
        assert spoken(await line.told("/twilio/menu?step=3", Digits=digits)) == said[3]
    assert [kept.given for kept in await audio_consents(line)] == [True]


@pytest.mark.parametrize(
    ("of_line", "hours", "texts", "sound", "facts"),
    [
        ({}, 24, True, False, False),
        ({}, 1, True, False, False),
        ({}, 0, True, None, False),
        ({}, 24, False, None, False),
        ({"minors": "13+"}, 24, True, None, False),
        ({"minors": "under13"}, 24, True, None, None),
        ({"kids": True}, 24, True, None, None),
    ],
)
async def test_it_is_offered_where_it_means_something(
    line: Service,
    of_line: dict[str, Any],
    hours: int,
    texts: bool,
    sound: bool | None,
    facts: bool | None,
) -> None:
    """Sound: where the school keeps it, of adults who get a page on which to hear it. Facts: not of children."""
    async with line.database.school(line.school_id) as session:
        await policies.change(session, line.school_id, audio_hours=hours)
        (row,) = await lines.list_all(session)
    learner_id = await enrolled(line, texts=texts)
    async with line.database.school(line.school_id) as session:
        learner = await learners.get(session, learner_id)
        await lines.update(session, row.id, **of_line)
    async with line.database.school(line.school_id) as session:
        current = await lines.get(session, row.id)
        assert current is not None
        found = await agreements.of(session, current, learner, line.keyring.hash_number(CALLER))
    assert found == Agreed(sound, facts)


async def test_nobody_known_is_asked(line: Service) -> None:
    """A first call, and a withheld number: nothing is offered, and the keys mean nothing."""
    for sid, number in (("CA1", CALLER), ("CA2", "+266696687")):
        said = await press(line, "0", "7", sid=sid, From=number)
        assert EN.say("keeping.settings") not in said[1]
        assert EN.say("menu.wrong_key") in said[2]
        assert await offered(line, sid) == Agreed()


async def test_on_a_shared_telephone_only_facts_are_each_ones_own(line: Service) -> None:
    """Two learners of one number: no sound is offered to either, and what is told is agreed to by whoever says so."""
    ana = await enrolled(line, first_name="Ana")
    luis = await line.enrolled(first_name="Luis")
    said = await press(line, "2", "0", "9", "8")
    assert EN.say("keeping.sound_ask") not in said[3]
    assert said[4] == EN.say("keeping.facts_agreed")
    assert "remember" not in await settings(line, ana)
    assert (await settings(line, luis))["remember"] is True


async def test_a_second_learner_of_the_number_ends_the_offer(line: Service) -> None:
    """Whoever agreed alone is asked again no more once others call from there, and the greeting says what is true."""
    await enrolled(line)
    await press(line, "0", "9", "7")
    await line.enrolled(first_name="Luis")
    said = await press(line, sid="CAnext")
    assert EN.say("menu.welcome_back", school=SCHOOL) in said[0]
    assert not MenuRecord.read((await line.row("CAnext")).menu).recorded


async def test_the_opt_out_of_texts_ends_it_too(line: Service) -> None:
    """STOP takes back all that a number agreed to: without texts there is no page on which to hear anything."""
    await enrolled(line)
    await press(line, "0", "9", "7")
    async with line.database.anyone() as session:
        await consents.opt_out(session, line.keyring.hash_number(CALLER), "SM1")
    assert EN.say("menu.welcome_back", school=SCHOOL) in (await press(line, sid="CAnext"))[0]
    assert (await offered(line, "CAnext")).sound is None


# --- what is told


async def test_facts_are_remembered_from_a_key_on_and_forgotten_by_one(line: Service) -> None:
    """The setting is on, with when, where and in which words; pressed again, everything told is forgotten at once."""
    learner_id = await enrolled(line)
    said = await press(line, "0", "9", "8")
    assert said[3] == EN.say("keeping.facts_agreed")
    kept = await settings(line, learner_id)
    assert kept["remember"] is True
    shown = kept[AGREEMENT]
    assert (shown["given"], shown["call"], shown["wording"]) == (True, CALL, wording(EN, "keeping.facts_ask"))
    assert datetime.now(UTC) - datetime.fromisoformat(shown["at"]) < timedelta(minutes=1)
    row = await line.row()
    async with line.database.school(line.school_id) as session:
        await calls.identify(session, row.id, learner_id)
        at = datetime.now(UTC)
        assert await topics.keep_fact(session, learner_id=learner_id, fact="Has a dog.", call_id=row.id, at=at)
    said = await press(line, "0", "8", sid="CAnext")
    assert said[2] == EN.say("keeping.facts_ended")
    kept = await settings(line, learner_id)
    assert (kept["remember"], kept[AGREEMENT]["given"], kept[AGREEMENT]["call"]) == (False, False, "CAnext")
    async with line.database.school(line.school_id) as session:
        assert await topics.forget_facts(session, learner_id) == 0


async def test_the_wording_is_that_of_the_language_in_which_it_was_asked(line: Service) -> None:
    """Whoever is spoken to in Spanish agreed to the Spanish sentence."""
    learner_id = await enrolled(line, native="es", target="en")
    async with line.database.school(line.school_id) as session:
        (row,) = await lines.list_all(session)
        await lines.update(session, row.id, natives=["en", "es"], targets=["es", "en"])
    await press(line, "0", "9", "8", "7")
    assert (await settings(line, learner_id))[AGREEMENT]["wording"] == wording(ES, "keeping.facts_ask")
    assert [kept.wording for kept in await audio_consents(line)] == [wording(ES, "keeping.sound_ask")]


async def test_other_settings_stay(line: Service) -> None:
    """A slower voice that was chosen is still chosen."""
    learner_id = await enrolled(line, settings={"slower": True})
    await press(line, "0", "9", "8")
    assert (await settings(line, learner_id))["slower"] is True


async def test_a_learner_who_was_forgotten_meanwhile_agrees_to_nothing(line: Service) -> None:
    """The call goes on as a guest's: no consent is written of somebody who is gone."""
    learner_id = await enrolled(line)
    await press(line, "0", "9")
    async with line.database.school(line.school_id) as session:
        await forget_learner(session, learner_id)
    await line.told("/twilio/menu?step=3", Digits="7")
    await line.told("/twilio/menu?step=4", Digits="8")
    assert await audio_consents(line) == []
    async with line.database.school(line.school_id) as session:
        assert (await session.scalars(select(Learner))).all() == []


# --- languages chosen anew


async def test_a_call_that_is_recorded_stays_one_when_languages_are_chosen_anew(line: Service) -> None:
    """What the greeting said holds for the call, and what was agreed to is offered as before."""
    async with line.database.school(line.school_id) as session:
        (row,) = await lines.list_all(session)
        await lines.update(session, row.id, natives=["en", "fr"], targets=["es", "de"])
    await enrolled(line)
    await press(line, "0", "9", "7")
    await press(line, "0", "6", "2", "1", "1", sid="CAnext")
    record = MenuRecord.read((await line.row("CAnext")).menu)
    assert record.questions is None
    assert (record.native, record.recorded, record.agreed) == ("fr", True, Agreed(True, False))
