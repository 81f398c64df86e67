"""Nothing stays longer than it may: the hourly sweep, files, the carrier's copies, a learner who is found nowhere."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import structlog
from structlog.testing import capture_logs

from db import accounts, audit, carrier_copies, forgetting, jobs, ledger, policies, recordings
from db.accounts import Account
from db.audio_files import LEFT_BEHIND_S, AudioFiles
from db.carrier_copies import Copy
from db.engine import Database
from db.forgetting import forget_learner
from db.keyring import Keyring
from db.ledger import NewEntry
from db.limits import Payer
from db.models import Call
from rehearsal.carrier import Carrier, Phone
from ringua import logs
from ringua.jobs import all_jobs, purge
from ringua.settings import load
from ringua.storage import Storage
from telephony.twilio.rest import RestHttp
from tests.db.conftest import Place, Query, make_place
from tests.db.keeping_rows import put_sound
from tests.db.planted import NAME, NUMBER, PARENT, SENTENCE, age, call_of, close_call, found, plant
from tests.rehearsal.carrier_server import serving, twiml

SID, TOKEN = "AC" + "0" * 32, "secret-token"


@dataclass
class House:
    """A school, its data directory, and a carrier that knows its calls."""

    storage: Storage
    place: Place
    carrier: Carrier
    files: AudioFiles
    data_dir: Path

    @property
    def database(self) -> Database:
        """The open database."""
        return self.storage.database

    async def find(self, session: Any, sid: str) -> Account | None:
        """The carrier's account."""
        return await accounts.find(session, self.storage.keyring, sid)

    async def work(self) -> None:
        """Runs the jobs of keeping that are due now, and those that they defer for now."""
        known = all_jobs(self.storage, load(data_dir=self.data_dir, RINGUA_SECRET_KEY="k" * 32))
        await jobs.run_worker(self.storage.url, known, queues=("purge",), wait=False, signals=False)

    async def sweep(self, **options: Any) -> dict[str, int]:
        """One sweep; what went."""
        http = RestHttp()
        try:
            gone = await purge.sweep(self.database, self.files, find_account=self.find, http=http, **options)
        finally:
            await http.close()
        return {kind: count for kind, count in gone.items() if count}

    async def copies(self, *copies: Copy) -> None:
        """Puts something on the list of what the carrier must delete."""
        async with self.database.school(self.place.school_id) as session:
            await carrier_copies.add(session, self.place.school_id, copies)

    async def call(self, behave: Any) -> str:
        """A call at the carrier alone; its identifier."""
        async with serving({"/voice": twiml('<Pause length="600"/>')}) as server:
            result = await self.carrier.call(f"{server.url}/voice", to=self.place.number, from_=NUMBER, behave=behave)
        return result.sid


async def _hang_up(phone: Phone) -> None:
    await phone.wait_for("pause")


@pytest.fixture
async def house(database: Database, keyring: Keyring, database_url: str, tmp_path: Path) -> AsyncIterator[House]:
    """A school with a carrier."""
    place = await make_place(database, "North", "+34910000001")
    async with Carrier(SID, TOKEN, strict=False) as carrier:
        async with database.anyone() as session:
            await accounts.put(session, keyring, Account(SID, "rehearsal", (TOKEN,), carrier.rest_url))
        yield House(Storage(database, keyring, database_url, ()), place, carrier, AudioFiles(tmp_path), tmp_path)


@pytest.fixture
async def superuser(database_url: str) -> AsyncIterator[Query]:
    """Runs SQL past row-level security."""
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:

        async def query(statement: str, parameters: Any = None) -> list[tuple[Any, ...]]:
            cursor = await connection.execute(statement.encode(), parameters)
            return await cursor.fetchall() if cursor.description else []

        yield query


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Logs go where they went before, once a test that reads them is over."""
    yield
    structlog.reset_defaults()


async def due_now(superuser: Query) -> None:
    """Makes every waiting job, and everything on the carriers' list, due."""
    await superuser("UPDATE procrastinate_jobs SET scheduled_at = now() WHERE status = 'todo'")
    await superuser("UPDATE carrier_copies SET due_at = now()")


# --- found nowhere


async def test_a_forgotten_learner_is_found_nowhere(
    house: House,
    keyring: Keyring,
    superuser: Query,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Number, name and sentence, in plain, as hex or encrypted: in no row, no file, no log, and not at the carrier."""
    logs.configure(level="DEBUG", json=True)
    for library in ("procrastinate", "httpx", "telephony", "db"):
        caplog.set_level("DEBUG", library)
    sid = await house.call(_hang_up)
    planted = await plant(house.database, keyring, house.place, account=SID, own_sid=sid)
    sent = house.carrier.sms.create({"To": NUMBER, "From": house.place.number, "Body": SENTENCE}).message
    sent.status = "delivered"
    await superuser("UPDATE messages SET state = 'delivered', carrier_sid = %s", [sent.sid])
    put_sound(house.files, planted.recordings[0], f"{NAME}: {SENTENCE}".encode())
    number_hash = keyring.hash_number(NUMBER)
    needles = (NUMBER, NUMBER[1:], NAME, SENTENCE, "Fosforito", str(planted.learner_id), PARENT, number_hash)
    assert len(await found(superuser, keyring, *needles)) > 20
    assert house.carrier.calls
    assert house.carrier.messages

    async with house.database.school(house.place.school_id) as session:
        gone = await forget_learner(session, planted.learner_id, actor=audit.LEARNER)
    assert (gone.recordings, gone.carrier_copies) == (1, 4)
    await house.work()
    await due_now(superuser)
    await house.work()
    await house.sweep()

    assert await found(superuser, keyring, *needles) == []
    held = [path for path in house.data_dir.rglob("*") if path.is_file()]
    written = b"\n".join(path.read_bytes() for path in held)
    assert not any(needle in written for needle in (SENTENCE.encode(), NAME.encode(), NUMBER.encode(), number_hash))
    assert house.carrier.calls == {}
    assert house.carrier.messages == []
    assert await superuser("SELECT count(*) FROM carrier_copies") == [(0,)]
    said = caplog.text + capsys.readouterr().err
    assert '"event": "recordings.removed"' in said
    assert '"event": "copies.erased"' in said
    assert "procrastinate" in said
    assert not any(needle in said for needle in needles if isinstance(needle, str))
    assert number_hash.hex() not in said


async def test_a_call_that_outlives_its_learner(house: House, keyring: Keyring, superuser: Query) -> None:
    """Its job looks again every minute until it is over, then takes away what it wrote."""
    planted = await plant(house.database, keyring, house.place)
    own = keyring.hash_number(NUMBER)
    call_id = await call_of(
        house.database, house.place, "CA9", learner_id=planted.learner_id, caller_hash=own, close=False
    )
    async with house.database.school(house.place.school_id) as session:
        await forget_learner(session, planted.learner_id)
    await due_now(superuser)
    await house.work()
    waiting = "SELECT count(*) FROM procrastinate_jobs WHERE task_name = %s AND status = 'todo'"
    assert await superuser(waiting, [forgetting.JOB]) == [(1,)]
    await close_call(house.database, house.place, call_id)
    await due_now(superuser)
    await house.work()
    assert await superuser(waiting, [forgetting.JOB]) == [(0,)]
    assert await found(superuser, keyring, SENTENCE) == []
    async with house.database.school(house.place.school_id) as session:
        await purge.look_again(house.database, school_id=house.place.school_id, call_id=planted.learner_id)
        assert await session.get(Call, call_id) is not None


# --- the carrier's copies


async def test_a_call_at_the_carrier_is_deleted_when_it_is_over(house: House, superuser: Query) -> None:
    """Refused with 20009 while it goes on, asked again a minute later; what is gone already is as good."""
    kept = "SELECT attempts, code, due_at > now() FROM carrier_copies"

    async def behave(phone: Phone) -> None:
        await phone.wait_for("pause")
        await house.copies(Copy(SID, "call", phone.sid), Copy(SID, "message", "SM" + "9" * 32))
        await house.work()
        assert await superuser(kept) == [(1, 20009, True)]

    await house.call(behave)
    again = (
        "SELECT scheduled_at - now() < interval '61 seconds' FROM procrastinate_jobs"
        " WHERE status = 'todo' AND task_name = %s"
    )
    assert await superuser(again, [carrier_copies.JOB]) == [(True,)]
    await due_now(superuser)
    await house.work()
    assert await superuser(kept) == []
    assert house.carrier.calls == {}


async def test_a_carrier_that_cannot_be_asked_is_asked_again(house: House, superuser: Query) -> None:
    """Waits grow to six hours; after a month it is given up, with an error that says what to do."""
    await house.copies(Copy("AC" + "f" * 32, "call", "CA1"))
    waits = []
    for _ in range(7):
        await superuser("UPDATE carrier_copies SET due_at = now()")
        await house.sweep()
        ((wait,),) = await superuser("SELECT extract(epoch FROM due_at - now()) FROM carrier_copies")
        waits.append(round(float(wait) / 60))
    assert waits == [1, 4, 16, 64, 256, 360, 360]
    await superuser("UPDATE carrier_copies SET due_at = now(), created_at = now() - interval '31 days'")
    with capture_logs() as said:
        await house.sweep()
    assert [line["event"] for line in said] == ["copy_given_up"]
    assert "carrier's console" in said[0]["do"]
    assert await superuser("SELECT count(*) FROM carrier_copies") == [(0,)]


async def test_a_carrier_that_is_down(house: House, superuser: Query) -> None:
    """No answer is no error of the job: the list stays, and the next one asks again."""
    await superuser("UPDATE carrier_accounts SET rest_base = 'http://127.0.0.1:1'")
    await house.copies(Copy(SID, "call", "CA1"))
    await house.work()
    assert await superuser("SELECT attempts, code FROM carrier_copies") == [(1, None)]
    assert await superuser("SELECT count(*) FROM procrastinate_jobs WHERE status = 'failed'") == [(0,)]


# --- files


async def test_a_recording_goes_when_it_is_due(house: House, superuser: Query) -> None:
    """The job at its minute removes the file, then the row; another one that is not due stays."""
    call_id = await call_of(house.database, house.place, "CA1", learner_id=None, caller_hash=None)
    rows = []
    for _ in range(2):
        async with house.database.school(house.place.school_id) as session:
            rows.append(await recordings.add(session, call_id, timedelta(hours=1)))
        put_sound(house.files, rows[-1].path)
    await superuser("UPDATE recordings SET expires_at = now() WHERE id = %s", [rows[0].id])
    await due_now(superuser)
    await house.work()
    assert [path.name for path in house.files.directory.iterdir()] == [rows[1].path]
    assert await superuser("SELECT path FROM recordings") == [(rows[1].path,)]


async def test_a_file_that_cannot_be_deleted_keeps_its_row(house: House, superuser: Query) -> None:
    """The sweep fails for that school, so that somebody sees it, and goes on with the others; a row is never alone."""
    other = await make_place(house.database, "South", "+34910000002")
    call_id = await call_of(house.database, house.place, "CA1", learner_id=None, caller_hash=None)
    await call_of(house.database, other, "CA2", learner_id=None, caller_hash=None)
    async with house.database.school(house.place.school_id) as session:
        row = await recordings.add(session, call_id, timedelta(hours=1))
    (house.files.directory / row.path).mkdir(parents=True)  # where a file should be
    await superuser("UPDATE recordings SET expires_at = now()")
    await age(superuser, 91)
    with capture_logs() as said, pytest.raises(ExceptionGroup, match="1 of 2 schools"):
        await house.sweep()
    assert await superuser("SELECT count(*) FROM recordings") == [(1,)]
    assert await superuser("SELECT count(*) FROM turns WHERE text IS NOT NULL") == [(0,)]
    (problem,) = [line for line in said if line["event"] == "sweep.failed"]
    assert set(problem) == {"event", "log_level", "school", "problem"}
    (house.files.directory / row.path).rmdir()
    await house.sweep()
    assert await superuser("SELECT count(*) FROM recordings") == [(0,)]


async def test_a_file_without_a_row_goes_too(house: House) -> None:
    """Nobody knows of it: after a day it goes."""
    name = house.files.new_name()
    put_sound(house.files, name)
    assert await house.sweep() == {}
    os.utime(house.files.directory / name, (1.0, 1.0))
    assert await house.sweep() == {"stray_files": 1}


WRITES = """
import sys
from pathlib import Path
from db.audio_files import AudioFiles

spool = AudioFiles(Path(sys.argv[1])).spool()
spool.write(b"a recording that is being made")
print("written", flush=True)
sys.stdin.read()
"""


async def test_a_killed_recording_is_none_and_goes_with_a_sweep(house: House, superuser: Query) -> None:
    """kill -9 while a call is recorded: no row and no page knows of it, and a sweep takes it, far within the day."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", WRITES, str(house.data_dir)),
        cwd=Path(__file__).parents[2],
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"written\n"
    process.kill()
    await process.communicate()
    (left,) = house.files.directory.iterdir()
    assert left.suffix == ".part"
    with pytest.raises(ValueError, match="random name"):
        house.files.find(left.name)
    assert await superuser("SELECT count(*) FROM recordings") == [(0,)]
    assert await house.sweep() == {}, "it might still be written to"
    before = time.time() - LEFT_BEHIND_S - 1
    os.utime(left, (before, before))
    assert await house.sweep() == {"stray_files": 1}
    assert list(house.files.directory.iterdir()) == []


async def test_a_process_that_dies_after_the_row_leaves_no_sound(house: House, superuser: Query) -> None:
    """The row is there and the file never came: at its time the row goes, and nothing is missed."""
    call_id = await call_of(house.database, house.place, "CA1", learner_id=None, caller_hash=None)
    async with house.database.school(house.place.school_id) as session:
        row = await recordings.add(session, call_id, timedelta(hours=1))
    assert house.files.find(row.path) is None
    await superuser("UPDATE recordings SET expires_at = now()")
    assert (await house.sweep())["recordings"] == 1
    assert await superuser("SELECT count(*) FROM recordings") == [(0,)]


# --- the sweep


async def test_the_sweep_goes_through_every_school(house: House, keyring: Keyring, superuser: Query) -> None:
    """Each by its own policy; a second sweep has nothing left to do."""
    south = await make_place(house.database, "South", "+34910000002")
    for place, sid in ((house.place, "CA1"), (south, "CA2")):
        await call_of(house.database, place, sid, learner_id=None, caller_hash=None)
    async with house.database.school(south.school_id) as session:
        await policies.change(session, south.school_id, transcript_days=10)
    await age(superuser, 30)
    assert await house.sweep() == {"words": 1, "snapshots": 2}
    assert await house.sweep() == {}
    await age(superuser, 400)
    assert await house.sweep() == {"words": 1, "figures": 2}
    assert await house.sweep() == {}
    assert await found(superuser, keyring, SENTENCE) == []


async def test_what_was_booked_seven_years_ago_goes_with_the_hourly_job(house: House, superuser: Query) -> None:
    """Of every school, and of nobody any more by then; what is a day younger stays."""
    south = await make_place(house.database, "South", "+34910000002")
    for place in (house.place, south):
        async with house.database.school(place.school_id) as session:
            await ledger.book(session, Payer(place.school_id), [NewEntry("debrief", key, 7, 7) for key in ("a", "b")])
    day = "now() - interval '7 years' + interval '1 day'"
    await superuser(
        f"UPDATE ledger_entries SET at = CASE key WHEN 'a' THEN now() - interval '85 months' ELSE {day} END"
    )
    (hourly,) = [job for job in all_jobs(house.storage, load(data_dir=house.data_dir)) if job.name == purge.SWEEP]
    await hourly.body()
    assert await superuser("SELECT key FROM ledger_entries") == [("b",), ("b",)]


async def test_a_sweep_that_is_out_of_time_goes_on_with_the_next(house: House, superuser: Query) -> None:
    """No batch is begun after its time; what is left is as it was."""
    await call_of(house.database, house.place, "CA1", learner_id=None, caller_hash=None)
    await age(superuser, 91)
    assert await house.sweep(limit_s=0.0) == {}
    assert (await house.sweep())["words"] == 1


async def test_a_sweep_that_is_killed_goes_on_with_the_next(house: House, superuser: Query) -> None:
    """Stopped between batches: each was whole, and the rest is done later."""
    for number in range(3):
        await call_of(house.database, house.place, f"CA{number}", learner_id=None, caller_hash=None)
    await age(superuser, 91)
    batches = 0

    def clock() -> float:
        nonlocal batches
        batches += 1
        if batches == 5:
            raise KeyboardInterrupt
        return 0.0

    with pytest.raises(KeyboardInterrupt):
        await house.sweep(clock=clock)
    assert await superuser("SELECT count(*) FROM calls WHERE kept = 'words' AND resume IS NULL") == [(3,)]
    assert (await house.sweep())["words"] == 3


async def test_two_sweeps_at_once(house: House, superuser: Query) -> None:
    """Neither waits for the other, and together they do it once."""
    for number in range(4):
        await call_of(house.database, house.place, f"CA{number}", learner_id=None, caller_hash=None)
    await age(superuser, 91)
    both = await asyncio.gather(house.sweep(), house.sweep())
    assert sum(gone.get("words", 0) for gone in both) == 4


async def test_a_learner_who_no_longer_calls_is_forgotten(house: House, keyring: Keyring, superuser: Query) -> None:
    """Two years after the last call; the audit says that nobody asked for it."""
    await plant(house.database, keyring, house.place)
    await age(superuser, 729)
    assert "learners" not in await house.sweep()
    await age(superuser, 2)
    assert (await house.sweep())["learners"] == 2
    assert await found(superuser, keyring, NAME, NUMBER, SENTENCE) == []
    assert await superuser("SELECT DISTINCT actor, action FROM audit") == [("system", "forget")]


async def test_the_jobs_are_known_to_every_worker(house: House) -> None:
    """The sweep comes by the hour; the others are deferred by what makes them needed."""
    known = {job.name: job for job in all_jobs(house.storage, load(data_dir=house.data_dir))}
    assert known[purge.SWEEP].cron == "7 * * * *"
    assert {recordings.JOB, carrier_copies.JOB, forgetting.JOB} <= known.keys()
