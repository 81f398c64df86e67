"""Two hundred calls under a hail of kill -9, and a thousand short ones: nothing is lost, nothing grows, all is paid."""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections import Counter
from contextlib import suppress
from dataclasses import replace

import psutil  # type: ignore[import-untyped]
import pytest
from sqlalchemy import func, select, text

from db import consents, endings, jobs, learners, limits, schools
from db.models import Call, Debrief, Message
from rehearsal.carrier import CallEnded, Phone
from ringua.jobs import all_jobs
from ringua.rehearsal import LINE, SCHOOL, LinePlan, set_up_line
from ringua.scripts import script_for
from ringua.settings import load
from ringua.storage import Storage
from telephony.answering import ending_from_checkpoint
from tests.journeys.line import QUIET_MS, speech
from tests.journeys.processes import Instance
from tests.journeys.site import Site, site
from tests.long.audit import Placed, audit
from tests.long.bill import Kill
from tests.tutor.scenes import cafe

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.long]

CALLS = 200
AT_ONCE = 10
SHORT = speech("es-woman-2")[:24_000]
FEWEST_KILLS = 5
SHORT_CALLS = 1_000
SHORT_AT_ONCE = 25
SCRIPT = replace(script_for(cafe()), pace=6.0, text=())
"""Answers take a while to be spoken, so that some are cut off by the end of a call or of a process; debriefs are
written as their schema asks, whatever was said."""
BUDGET_MICRO_USD = 1_000_000_000
GROWTH_LIMIT_MB = 40
"""For the last 700 of 1,000 calls; a leak of 1 MB a call would be twenty times that."""


async def worker(environment: dict[str, str]) -> asyncio.subprocess.Process:
    """Starts `ringua worker`."""
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ringua", "worker", env={**os.environ, **environment}
    )


async def agree_to_texts(storage: Storage, number: str) -> None:
    """A caller who has agreed to texts before."""
    hashed = storage.keyring.hash_number(number)
    async with storage.database.anyone() as session:
        school = await schools.by_name(session, SCHOOL)
    assert school is not None
    async with storage.database.school(school.id) as session:
        await learners.create_with_number(
            session,
            school_id=school.id,
            number_hash=hashed,
            last_two=number[-2:],
            native="en",
            target="es",
            level="A1",
            number_encrypted=storage.keyring.encrypt(number),
        )
        await consents.record(
            session,
            school_id=school.id,
            number_hash=hashed,
            given=True,
            carrier_sid=f"before-{number[-4:]}",
            wording="test",
        )


async def keep_a_budget(storage: Storage) -> None:
    """A budget that no test can spend, for the school and for each of its lines and learners."""
    async with storage.database.anyone() as session:
        school = await schools.by_name(session, SCHOOL)
    assert school is not None
    async with storage.database.school(school.id) as session:
        for scope in ("school", "line", "learner"):
            await limits.put(
                session, school_id=school.id, scope=scope, period="day", unit="micro_usd", amount=BUDGET_MICRO_USD
            )


async def caller(place: Site, number: str, dice: random.Random) -> Placed:
    """One call: some turns, then hung up at any moment, whatever happens to the service meanwhile."""
    turns, patience_s = dice.randint(0, 3), dice.uniform(1.0, 12.0)

    async def behave(phone: Phone) -> None:
        with suppress(CallEnded, TimeoutError):
            await phone.wait_for("gather", 20)
            await phone.press("1")
            await phone.wait_for("stream", 20)
            async with asyncio.timeout(patience_s + 8 * turns):
                for _ in range(turns):
                    await phone.hear_silence(QUIET_MS, 20)
                    await phone.say(SHORT, "ulaw")
                await phone.pause(patience_s)

    dialled_s = asyncio.get_running_loop().time()
    return Placed(number, dialled_s, await place.call(behave, number))


async def bring_down(
    place: Site, working: list[asyncio.subprocess.Process], kills: list[Kill], dice: random.Random
) -> None:
    """Kills an instance or the worker every few seconds, and starts another in its place."""
    while True:
        await asyncio.sleep(dice.uniform(3.0, 7.0))
        if dice.random() < 0.3:
            working[-1].kill()
            working.append(await worker(place.environment))
            continue
        victim: Instance = dice.choice(place.balancer.instances)
        victim.kill()
        kills.append(Kill(victim.port, asyncio.get_running_loop().time()))
        place.balancer.instances.remove(victim)
        await place.add_instance()


async def settle(storage: Storage, place: Site) -> None:
    """What the sweep and the worker would do in the minutes after: at once, and to the end."""
    await endings.close_stale(
        storage.database, lambda call: ending_from_checkpoint(call, "process_lost"), older_than_s=0, limit=1_000
    )
    settings = load(**{key: value for key, value in place.environment.items() if key != "RINGUA_DRAIN_SECONDS"})
    every = all_jobs(storage, settings)
    app = jobs.worker_app(storage.url, every)
    async with app.open_async():
        for _ in range(60):
            await jobs.retry_stalled_jobs(app)
            await jobs.run_worker(storage.url, every, wait=False, signals=False)
            async with storage.database.anyone() as session:
                waiting = text(
                    "SELECT task_name, status, attempts, scheduled_at FROM procrastinate_jobs "
                    "WHERE status IN ('todo', 'doing') "
                    "AND queue_name IN ('calls', 'messages') AND task_name <> 'calls.close_stale' "
                    # A play that broke off is rated when nobody can go on with it any more: in ten minutes.
                    "AND (scheduled_at IS NULL OR scheduled_at < now() + interval '2 minutes')"
                )
                left = (await session.execute(waiting)).all()
                if not left:
                    return
            await asyncio.sleep(2)
    raise TimeoutError(f"jobs are left after two minutes: {left}")


async def test_nothing_is_lost_and_nothing_is_sent_twice_under_kill_9(
    storage: Storage, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every call is closed, each that was answered is debriefed once, and nobody gets two texts of one call.

    The ledger is what the stand-ins are owed, to the micro-dollar, for every call whose processes lived. A call over
    which one was killed lacks at most that process's last response, says so, and is charged more than it lacks.
    """
    seed = int(os.environ.get("RINGUA_SEED") or random.SystemRandom().randrange(1_000_000))
    with capsys.disabled():
        print(f"seed {seed} (RINGUA_SEED={seed} repeats it)")
    dice = random.Random(seed)
    await set_up_line(storage, LinePlan())
    await keep_a_budget(storage)
    numbers = [f"+1202555{number:04d}" for number in range(1_000, 1_000 + CALLS)]
    for number in numbers:
        await agree_to_texts(storage, number)
    async with site(storage, tmp_path_factory.mktemp("data"), speech_scale=0.02, strict=False, script=SCRIPT) as place:
        working, kills = [await worker(place.environment)], list[Kill]()
        killer = asyncio.create_task(bring_down(place, working, kills, dice))
        slots = asyncio.Semaphore(AT_ONCE)

        async def one(number: str) -> Placed:
            async with slots:
                return await caller(place, number, random.Random(f"{seed}{number}"))

        placed = await asyncio.gather(*(one(number) for number in numbers))
        killer.cancel()
        with suppress(asyncio.CancelledError):
            await killer  # it went on to the end, or says why not
        working[-1].kill()
        await working[-1].wait()
        for instance in place.balancer.instances:
            instance.terminate()
        for instance in place.balancer.instances:
            await instance.ended()
        await settle(storage, place)
        texted = Counter(message.to for message in place.carrier.messages)
        async with storage.database.anyone() as session:
            school = await schools.by_name(session, SCHOOL)
        assert school is not None
        async with storage.database.school(school.id) as session:
            rows = (await session.scalars(select(Call))).all()
            debriefed = Counter((await session.scalars(select(Debrief.call_id))).all())
            messages = Counter((await session.scalars(select(Message.call_id))).all())
            report = await audit(storage, session, place, placed, kills, LINE)
    known = {row.carrier_sid: row for row in rows}
    reached = [one for one in placed if one.result.sid in known]
    with capsys.disabled():
        print(
            f"{len(reached)} of {CALLS} calls reached the service; "
            f"{len(kills)} instances and {len(working) - 1} workers killed; "
            f"{sum(row.streams > 1 for row in rows)} calls taken up again; {len(debriefed)} debriefs; "
            f"{sum(texted.values())} texts; ends: {dict(Counter(row.end_reason for row in rows))}"
        )
        print(report.told(), *report.problems, sep="\n")
    assert len(reached) > CALLS * 0.8
    assert len(kills) >= FEWEST_KILLS
    assert {row.state for row in rows} == {"closed"}
    answered = {row.id for row in rows if row.connected_at is not None and row.scenario is not None}
    assert set(debriefed) <= answered
    assert answered - set(debriefed) == set()
    assert max(debriefed.values()) == 1
    assert max(messages.values(), default=1) == 1
    assert max(texted.values(), default=1) == 1
    assert report.problems == []


async def test_memory_is_flat_over_a_thousand_calls(
    storage: Storage, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    """An instance that has served a thousand calls is no larger than one that has served three hundred."""
    await set_up_line(storage, LinePlan())
    async with site(storage, tmp_path_factory.mktemp("data"), instances=1, speech_scale=0.01, strict=False) as place:
        process = psutil.Process(place.first.process.pid)
        slots = asyncio.Semaphore(SHORT_AT_ONCE)

        async def one(number: int) -> None:
            async def behave(phone: Phone) -> None:
                await phone.wait_for("gather", 20)
                await phone.press("1")
                await phone.wait_for("stream", 20)
                await phone.hear_speech(20)

            async with slots:
                with suppress(CallEnded):
                    await place.call(behave, f"+1202556{number:04d}")

        sizes = {}
        for first, last in ((0, 300), (300, SHORT_CALLS)):
            await asyncio.gather(*(one(number) for number in range(first, last)))
            sizes[last] = process.memory_info().rss / 1e6
        with capsys.disabled():
            print(f"resident: {sizes[300]:.0f} MB after 300 calls, {sizes[SHORT_CALLS]:.0f} MB after {SHORT_CALLS}")
        async with storage.database.anyone() as session:
            school = await schools.by_name(session, SCHOOL)
        assert school is not None
        async with storage.database.school(school.id) as session:
            still_open = await session.scalar(
                select(func.count()).select_from(Call).where(Call.state != "closed", Call.streams > 0)
            )
        assert still_open == 0
        assert sizes[SHORT_CALLS] - sizes[300] < GROWTH_LIMIT_MB
