"""Lines, carrier accounts, learners and clips: what is kept of each, and who finds it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import func, update

from db import accounts, clips, learners, lines
from db.engine import Database
from db.keyring import Keyring
from db.models import Call, CallEvent, Learner
from tests.db.conftest import OpenCall, Place, Query

COMPLETE: dict[str, Any] = {
    "native": "en",
    "target": "es",
    "level": "A2",
    "class_prompt": "Practise ordering food.",
    "scenarios": ["cafe"],
}


async def test_a_line_is_live_when_open_and_complete(database: Database, place: Place) -> None:
    """A line names what is missing in the order of setting up, and takes calls once nothing is and it is open."""
    async with database.school(place.school_id) as session:
        line = await lines.get(session, place.line_id)
        assert line is not None
        assert line.missing() == ["native", "target", "level", "class_prompt", "scenarios"]
        assert await lines.update(session, place.line_id, **COMPLETE)
        await session.refresh(line)
        assert line.missing() == []
        assert not line.live
        assert await lines.update(session, place.line_id, open=True)
        await session.refresh(line)
        assert line.live


@pytest.mark.parametrize("name", sorted(COMPLETE))
async def test_each_missing_setting_is_named(database: Database, place: Place, name: str) -> None:
    """A line that lacks any one of its settings takes no calls, and says exactly which one, also at the door."""
    incomplete = COMPLETE | {name: [] if name == "scenarios" else None}
    async with database.school(place.school_id) as session:
        assert await lines.update(session, place.line_id, open=True, **incomplete)
    async with database.anyone() as session:
        line = await lines.by_number(session, place.number)
    assert line is not None
    assert (line.missing(), line.live) == ([name], False)


async def test_the_door_finds_a_line_by_number(database: Database, place: Place) -> None:
    """Before a school is known, a number leads to its line with settings and school; an unknown one to nothing."""
    async with database.school(place.school_id) as session:
        await lines.update(session, place.line_id, open=True, model="gpt-realtime-2.1-mini", **COMPLETE)
    async with database.anyone() as session:
        line = await lines.by_number(session, place.number)
        assert line is not None
        assert line.live
        assert (line.id, line.school_id, line.school_name) == (place.line_id, place.school_id, "North")
        assert (line.school_timezone, line.scenarios) == ("Europe/Madrid", ["cafe"])
        assert line.model == "gpt-realtime-2.1-mini"
        assert await lines.by_number(session, "+34910009999") is None


async def test_a_number_has_one_line(database: Database, place: Place, elsewhere: Place) -> None:
    """A number that any school has is refused with a sentence, although that school cannot be seen."""
    with pytest.raises(lines.NumberTaken, match="already has a line"):
        async with database.school(elsewhere.school_id) as session:
            await lines.add(session, school_id=elsewhere.school_id, number=place.number, name="Again")


async def test_only_known_settings_change(database: Database, place: Place) -> None:
    """A setting that a line has not, and the number, are refused with the list of what there is."""
    async with database.school(place.school_id) as session:
        with pytest.raises(ValueError, match="no setting number; there are class_prompt, helpline"):
            await lines.update(session, place.line_id, number="+34910009999")
        assert [line.id for line in await lines.list_all(session)] == [place.line_id]


async def test_an_account_is_stored_encrypted(database: Database, keyring: Keyring, superuser: Query) -> None:
    """An account comes back as it was put, its tokens are unreadable at rest, and it can be replaced and forgotten."""
    account = accounts.Account("AC1", "twilio", ("first", "second"), "https://api.example")
    async with database.anyone() as session:
        await accounts.put(session, keyring, account)
        assert await accounts.find(session, keyring, "AC1") == account
    ((sealed,),) = await superuser("SELECT tokens FROM carrier_accounts")
    assert not any(b"first" in token or b"second" in token for token in sealed)
    assert "first" not in repr(account)
    async with database.anyone() as session:
        rotated = accounts.Account("AC1", "twilio", ("third",), "https://api.example")
        await accounts.put(session, keyring, rotated)
        assert await accounts.find(session, keyring, "AC1") == rotated
        await accounts.forget(session, "AC1")
        assert await accounts.find(session, keyring, "AC1") is None


async def test_an_account_expires(database: Database, keyring: Keyring) -> None:
    """An account past its end, as a finished rehearsal leaves it, is not found."""
    for sid, minutes in (("ACold", -1), ("ACnew", 1)):
        end = datetime.now(UTC) + timedelta(minutes=minutes)
        async with database.anyone() as session:
            account = accounts.Account(sid, "rehearsal", ("t",), "http://127.0.0.1:1", expires_at=end)
            await accounts.put(session, keyring, account)
            assert (await accounts.find(session, keyring, sid) is not None) == (minutes > 0)


async def test_an_account_stays_with_its_school(
    database: Database, keyring: Keyring, place: Place, elsewhere: Place
) -> None:
    """An account of one school cannot be taken over by another, nor by the service."""
    async with database.anyone() as session:
        mine = accounts.Account("AC1", "twilio", ("t",), "https://api.example", place.school_id)
        await accounts.put(session, keyring, mine)
        for school_id in (elsewhere.school_id, None):
            stolen = accounts.Account("AC1", "twilio", ("x",), "https://api.example", school_id)
            with pytest.raises(accounts.AccountTaken, match="belongs to another school"):
                await accounts.put(session, keyring, stolen)
        assert await accounts.find(session, keyring, "AC1") == mine


async def make_learner(database: Database, keyring: Keyring, place: Place, **more: Any) -> Learner:
    """A learner who calls from +34600000001."""
    async with database.school(place.school_id) as session:
        return await learners.create_with_number(
            session,
            school_id=place.school_id,
            number_hash=keyring.hash_number("+34600000001"),
            last_two="01",
            native="en",
            target="es",
            level="A1",
            **more,
        )


async def test_a_learner_is_recognised_by_number(
    database: Database, keyring: Keyring, place: Place, elsewhere: Place
) -> None:
    """A learner is found by the hash of the number, in the own school only."""
    learner = await make_learner(database, keyring, place, first_name="Ana")
    number_hash = keyring.hash_number("+34600000001")
    async with database.school(place.school_id) as session:
        assert [found.id for found in await learners.by_number_hash(session, number_hash)] == [learner.id]
        assert await learners.by_number_hash(session, keyring.hash_number("+34600000002")) == []
    async with database.school(elsewhere.school_id) as session:
        assert await learners.by_number_hash(session, number_hash) == []
        assert await learners.get(session, learner.id) is None


async def test_webhooks_at_once_make_one_learner(database: Database, keyring: Keyring, place: Place) -> None:
    """Ten requests of one new caller at the same time make one learner."""
    made = await asyncio.gather(*(make_learner(database, keyring, place) for _ in range(10)))
    assert len({learner.id for learner in made}) == 1


async def test_a_telephone_may_be_shared(database: Database, keyring: Keyring, place: Place) -> None:
    """Another person on the same number is added when asked for, and both are found, the older first."""
    first = await make_learner(database, keyring, place)
    second = await make_learner(database, keyring, place, another=True)
    async with database.school(place.school_id) as session:
        found = await learners.by_number_hash(session, keyring.hash_number("+34600000001"))
    assert [learner.id for learner in found] == [first.id, second.id]


async def test_no_number_is_stored_in_the_clear(
    database: Database, keyring: Keyring, place: Place, superuser: Query
) -> None:
    """Of a number there are a hash and two digits; the number itself, encrypted, only while messages are agreed to."""
    learner = await make_learner(database, keyring, place)
    ((row,),) = await superuser("SELECT to_jsonb(i) FROM caller_identities i")
    assert "600000001" not in str(row)
    assert (row["last_two"], row["number_encrypted"]) == ("01", None)
    async with database.school(place.school_id) as session:
        number_hash = keyring.hash_number("+34600000001")
        await learners.set_message_number(session, number_hash, keyring.encrypt("+34600000001"))
        sealed = await learners.message_number(session, learner.id, number_hash)
        assert await learners.message_number(session, learner.id, keyring.hash_number("+34600000002")) is None
    assert sealed is not None
    assert keyring.decrypt(sealed) == "+34600000001"
    async with database.school(place.school_id) as session:
        await learners.set_message_number(session, number_hash, None)
    assert await superuser("SELECT number_encrypted FROM caller_identities") == [(None,)]


async def test_settings_are_merged(database: Database, keyring: Keyring, place: Place) -> None:
    """Saving one setting leaves the others as they were."""
    learner = await make_learner(database, keyring, place)
    async with database.school(place.school_id) as session:
        await learners.save_settings(session, learner.id, {"slow": True, "voice": "marin"})
        await learners.save_settings(session, learner.id, {"slow": False})
    async with database.school(place.school_id) as session:
        found = await learners.get(session, learner.id)
        assert found is not None
        assert found.settings == {"slow": False, "voice": "marin"}


async def test_plays_are_kept_apart_by_language(
    database: Database, keyring: Keyring, place: Place, open_call: OpenCall
) -> None:
    """A learner's plays are told by language, the newest last, with the goals of the last five and none of the rest."""
    learner = await make_learner(database, keyring, place)
    ids = {}
    for scene, target in (*((f"s{number}", "es-MX") for number in range(6)), ("french", "fr"), ("old", "")):
        ids[scene] = call_id = await open_call(learner_id=learner.id)
        async with database.school(place.school_id) as session:
            begun = update(Call).where(Call.id == call_id).values(scenario=scene, menu={"target": target})
            await session.execute(begun.values(connected_at=func.now(), started_at=func.now()))
            session.add(
                CallEvent(
                    school_id=place.school_id, call_id=call_id, ordinal=0, at_ms=1, kind="goal", data={"goal": "greet"}
                )
            )
    await open_call(learner_id=learner.id)
    async with database.school(place.school_id) as session:
        plays = await learners.plays(session, learner.id, "es")
        assert [play.scenario for play in plays] == [*(f"s{number}" for number in range(6)), "old"]
        assert [play.goals for play in plays] == [None, None, *[{"greet"}] * 5]
        assert [play.scenario for play in await learners.plays(session, learner.id, "fr-CA")] == ["french", "old"]


async def test_a_learner_chooses_languages(database: Database, keyring: Keyring, place: Place) -> None:
    """What a learner chose is theirs from then on; nobody else's record is touched."""
    learner = await make_learner(database, keyring, place)
    async with database.school(place.school_id) as session:
        assert await learners.choose_languages(session, learner.id, native="fr", target="en", level="B2")
        assert not await learners.choose_languages(session, uuid4(), native="pt", target="en", level="A1")
    async with database.school(place.school_id) as session:
        found = await learners.get(session, learner.id)
        assert found is not None
        assert (found.native, found.target, found.level) == ("fr", "en", "B2")


async def test_clips_are_kept_once(database: Database, place: Place, elsewhere: Place) -> None:
    """A shared clip is found by all schools and stays as first put; a school's own is found by that school only."""
    details: dict[str, Any] = {"text": "hola", "language": "es", "voice": "marin", "speed": 0.9}
    async with database.school(place.school_id) as session:
        await clips.put(session, b"shared", ulaw=b"\x7f" * 160, **details)
        await clips.put(session, b"own", ulaw=b"\x01" * 160, school_id=place.school_id, **details)
    async with database.school(elsewhere.school_id) as session:
        await clips.put(session, b"shared", ulaw=b"\x00" * 160, **details)
        assert await clips.get(session, b"shared") == b"\x7f" * 160
        assert await clips.get(session, b"own") is None
    async with database.school(place.school_id) as session:
        assert await clips.get(session, b"own") == b"\x01" * 160
        found = await clips.get_many(session, [b"own", b"shared", b"unknown"])
        assert found == {b"own": b"\x01" * 160, b"shared": b"\x7f" * 160}
