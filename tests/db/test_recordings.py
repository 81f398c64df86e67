"""The sound of calls: of whom it may be kept, for how long, and what becomes of the files."""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from db import consents, learners, lines, policies, recordings
from db.audio_files import AudioFiles
from db.engine import Database
from db.keyring import Keyring
from tests.db.conftest import OpenCall, Place, Query
from tests.db.keeping_rows import put_sound
from tests.db.planted import NUMBER


async def change(database: Database, place: Place, **changes: Any) -> None:
    """Changes the school's policy."""
    async with database.school(place.school_id) as session:
        await policies.change(session, place.school_id, **changes)


async def test_sound_is_kept_only_of_adults_who_agreed(
    database: Database, keyring: Keyring, place: Place, open_call: OpenCall
) -> None:
    """The school's policy, the line's callers and the caller's own yes must all allow it; a yes can be taken back."""
    own = keyring.hash_number(NUMBER)
    async with database.school(place.school_id) as session:
        made = await _learner(session, place, own)
    call_id = await open_call(caller_hash=own, learner_id=made)
    withheld = await open_call(learner_id=made)
    guest = await open_call(caller_hash=own)

    async def may(which: Any = call_id) -> timedelta | None:
        async with database.school(place.school_id) as session:
            return await recordings.may_keep(session, which)

    await change(database, place, audio_hours=3)
    assert await may() is None
    async with database.school(place.school_id) as session:
        await _agree(session, place, own)
    assert await may() == timedelta(hours=3)
    assert await may(withheld) is None
    assert await may(guest) is None
    for changes in ({"kids": True}, {"kids": False, "minors": "13+"}):
        async with database.school(place.school_id) as session:
            await lines.update(session, place.line_id, **changes)
        assert await may() is None
    async with database.school(place.school_id) as session:
        await lines.update(session, place.line_id, minors="none")
    assert await may() == timedelta(hours=3)
    await change(database, place, audio_hours=0)
    assert await may() is None
    await change(database, place, audio_hours=24)
    async with database.school(place.school_id) as session:
        await consents.end(session, own, consents.AUDIO)
    assert await may() is None


async def test_another_school_neither_sees_nor_ends_it(
    database: Database, keyring: Keyring, place: Place, elsewhere: Place
) -> None:
    """A yes is given to one school: no other knows of it, and none can take it back."""
    own = keyring.hash_number(NUMBER)
    async with database.school(place.school_id) as session:
        await _agree(session, place, own)
    async with database.school(elsewhere.school_id) as session:
        assert not await consents.agreed(session, own, consents.AUDIO)
        await consents.end(session, own, consents.AUDIO)
    async with database.school(place.school_id) as session:
        assert await consents.agreed(session, own, consents.AUDIO)
        assert not await consents.agreed(session, own, consents.SMS)


async def test_who_agreed_on_a_shared_telephone_is_not_known(
    database: Database, keyring: Keyring, place: Place, open_call: OpenCall
) -> None:
    """A yes is one person's: once a second one is known by the number, no sound of either is kept."""
    own = keyring.hash_number(NUMBER)
    await change(database, place, audio_hours=3)
    async with database.school(place.school_id) as session:
        made = await _learner(session, place, own)
        await _agree(session, place, own)
    call_id = await open_call(caller_hash=own, learner_id=made)
    async with database.school(place.school_id) as session:
        assert await recordings.may_keep(session, call_id) == timedelta(hours=3)
        await _learner(session, place, own, another=True)
    async with database.school(place.school_id) as session:
        assert await recordings.may_keep(session, call_id) is None


async def test_whoever_withdraws_while_a_recording_is_written_takes_it_away(
    database: Database, keyring: Keyring, place: Place, open_call: OpenCall
) -> None:
    """The withdrawal waits for the row that is being written and finds it: nothing slips through between the two."""
    own = keyring.hash_number(NUMBER)
    await change(database, place, audio_hours=3)
    async with database.school(place.school_id) as session:
        made = await _learner(session, place, own)
        await _agree(session, place, own)
    call_id = await open_call(caller_hash=own, learner_id=made)
    began = asyncio.Event()

    async def withdraw() -> int:
        async with database.school(place.school_id) as session:
            began.set()
            await consents.end(session, own, consents.AUDIO)
            return await recordings.end_now(session, [], made)

    async with database.school(place.school_id) as session:
        lasts = await recordings.may_keep(session, call_id)
        assert lasts is not None
        withdrawing = asyncio.create_task(withdraw())
        await began.wait()
        await recordings.add(session, call_id, lasts)
        assert not withdrawing.done()
    assert await withdrawing == 1
    async with database.school(place.school_id) as session:
        assert await recordings.of_call(session, call_id) == []


async def test_the_recordings_of_a_call_end_without_those_of_others(
    database: Database, keyring: Keyring, place: Place, open_call: OpenCall, superuser: Query
) -> None:
    """A call that must leave nothing takes its own along, not those of other calls, nor of learners who are gone."""
    calls_of = [await open_call(), await open_call()]
    async with database.school(place.school_id) as session:
        for call_id in calls_of:
            await recordings.add(session, call_id, timedelta(hours=3))
        assert await recordings.end_now(session, calls_of[:1]) == 1
    async with database.school(place.school_id) as session:
        assert [len(await recordings.of_call(session, call_id)) for call_id in calls_of] == [0, 1]


async def _learner(session: AsyncSession, place: Place, number_hash: bytes, *, another: bool = False) -> UUID:
    made = await learners.create_with_number(
        session,
        school_id=place.school_id,
        number_hash=number_hash,
        last_two="22",
        native="en",
        target="es",
        level="A1",
        another=another,
    )
    return made.id


async def _agree(session: AsyncSession, place: Place, number_hash: bytes) -> None:
    await consents.give(
        session,
        school_id=place.school_id,
        number_hash=number_hash,
        carrier_sid="CA1",
        wording="en:1",
        kind=consents.AUDIO,
    )


async def test_a_recording_has_a_job_for_its_end(
    database: Database, place: Place, open_call: OpenCall, superuser: Query
) -> None:
    """The row says until when, the job is scheduled for that minute, and a day is the most."""
    call_id = await open_call()
    async with database.school(place.school_id) as session:
        row = await recordings.add(session, call_id, timedelta(hours=2))
        assert [one.id for one in await recordings.of_call(session, call_id)] == [row.id]
        assert await recordings.due(session, limit=5) == []
    assert row.expires_at - row.created_at == timedelta(hours=2)
    ((arguments, wait),) = await superuser(
        "SELECT args, scheduled_at - now() FROM procrastinate_jobs WHERE task_name = %s", [recordings.JOB]
    )
    assert arguments == {"school_id": str(place.school_id), "recording_id": str(row.id)}
    assert timedelta(hours=1, minutes=59) < wait <= timedelta(hours=2)
    with pytest.raises(Exception, match="recordings_a_day"):
        async with database.school(place.school_id) as session:
            await recordings.add(session, call_id, timedelta(hours=25))


def test_files_are_the_owners_alone(tmp_path: Path) -> None:
    """Random names, mode 0600 in a directory of 0700; no other name is written, read or deleted."""
    files = AudioFiles(tmp_path)
    assert files.remove_old() == 0
    name = files.new_name()
    put_sound(files, name)
    path = files.directory / name
    assert path.read_bytes() == b"sound"
    assert path.stat().st_mode & 0o777 == 0o600
    assert files.directory.stat().st_mode & 0o777 == 0o700
    assert files.find(name) == path
    for foreign in ("../secret-key", "a.wav", "", f"../{name}", f"{name}/"):
        with pytest.raises(ValueError, match="random name"):
            files.remove(foreign)
    assert files.remove(name)
    assert not files.remove(name)
    assert files.find(name) is None


def test_what_is_being_recorded_is_no_recording(tmp_path: Path) -> None:
    """Until it is kept it has no name that anybody knows, and is the owner's alone; discarded, it leaves nothing."""
    files = AudioFiles(tmp_path)
    spool = files.spool()
    spool.write(b"????")
    spool.write(b"sound")
    (path,) = files.directory.iterdir()
    assert (path.suffix, path.stat().st_mode & 0o777, path.read_bytes()) == (".part", 0o600, b"????sound")
    for foreign in ("../secret-key", "a.wav", path.name):
        with pytest.raises(ValueError, match="random name"):
            spool.keep(foreign, b"")
    name = files.new_name()
    spool.keep(name, b"head")
    spool.discard()
    assert {path.name: path.read_bytes() for path in files.directory.iterdir()} == {name: b"headsound"}
    other = files.spool()
    other.discard()
    other.discard()
    assert [path.name for path in files.directory.iterdir()] == [name]


def test_what_a_dead_process_had_not_finished_goes_within_the_hour(tmp_path: Path) -> None:
    """A live recording is written to all the time; one that was not for an hour is nobody's."""
    files = AudioFiles(tmp_path)
    spools = [files.spool(), files.spool()]
    old, young = files.directory.iterdir()
    for path, seconds in ((old, 1_000.0), (young, 3_000.0)):
        os.utime(path, (seconds, seconds))
    assert files.remove_old(now=1_000.0 + 3_601) == 1
    assert list(files.directory.iterdir()) == [young]
    for spool in spools:
        spool.discard()


def test_a_file_that_nobody_knows_goes_after_a_day(tmp_path: Path) -> None:
    """Whoever wrote it may have died before the row; what is not a recording is not touched."""
    files = AudioFiles(tmp_path)
    old, young = files.new_name(), files.new_name()
    for name in (old, young):
        put_sound(files, name)
    note = files.directory / "note.txt"
    note.write_text("mine")
    for path, seconds in ((files.directory / old, 1_000.0), (files.directory / young, 50_000.0), (note, 0.0)):
        os.utime(path, (seconds, seconds))
    assert files.remove_old(now=1_000.0 + 24 * 3600 + 1) == 1
    assert sorted(path.name for path in files.directory.iterdir()) == sorted([young, "note.txt"])
