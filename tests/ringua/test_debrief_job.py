"""From a closed call to a text on the learner's telephone: once, with consent, whatever is run twice or lost between.

The service, its jobs, the carrier and the text model are real servers on sockets; only the conversation is written
into the database instead of being spoken.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import select, text

from db import (
    calls,
    class_prompts,
    consents,
    debriefs,
    endings,
    guardians,
    jobs,
    learners,
    lines,
    messages,
    observations,
    pages,
    policies,
    scenarios,
)
from db.endings import Ending, NewEvent, NewTurn
from db.engine import Database
from db.keyring import Keyring
from db.models import Debrief, Message
from db.models_money import LedgerEntry
from db.models_pages import DebriefLink
from rehearsal import messages as desk
from rehearsal.realtime_script import Script, TextAnswer
from ringua.jobs import all_jobs
from ringua.jobs.debrief import Links, debrief_call
from ringua.rehearsal import CALLER, LINE, Rehearsal, rehearsing
from ringua.settings import load
from ringua.storage import Storage
from telephony.ivr.record import MenuRecord
from telephony.segments import segments
from tests.db.learning_rows import observation
from tests.journeys.site import SECRET
from tests.tutor.test_own_scene import EXAMPLE
from tutor.learning.debrief import Debrief as Debriefed
from tutor.learning.metrics import Measures
from tutor.learning.tellings import Telling
from tutor.realtime.pricing import prices
from tutor.realtime.text import TextModel
from tutor.script import catalogue
from tutor.script.class_prompt import ClassPrompt

WRITTEN: dict[str, Any] = {
    "praise": "You asked for what you wanted and kept going.",
    "can_dos": ["order_drink"],
    "keep": "Quisiera un café con leche, por favor.",
    "keep_meaning": "I would like a coffee with milk, please.",
    "next_step": "Next time you could ask what it costs.",
    "next_scenario": "cafe_order",
}
GOAL = NewEvent(9_000, "goal", {"goal": "order_drink", "quote": "un café con leche", "evidence": "quote"})
HANG_UP = NewEvent(30_000, "ended", {"reason": "caller_hung_up"})

_calls = count()


def turns(learner: int) -> list[NewTurn]:
    """A conversation with this many turns of the learner."""
    said = [NewTurn("role", 0, 1_500, "¡Hola! ¿Qué le pongo?")]
    for n in range(learner):
        at_ms = 2_000 + 4_000 * n
        said.append(NewTurn("learner", at_ms, at_ms + 2_000, "Quisiera un café con leche, por favor."))
        said.append(NewTurn("role", at_ms + 2_500, at_ms + 3_500, "Muy bien. ¿Algo más?"))
    return said


@dataclass
class Place:
    """A running line with its worker at hand."""

    storage: Storage
    rehearsal: Rehearsal
    school_id: UUID
    line_id: UUID
    learner_id: UUID

    @property
    def number_hash(self) -> bytes:
        """The learner's number."""
        return self.storage.keyring.hash_number(CALLER)

    async def agree(self) -> None:
        """The learner agrees to texts."""
        async with self.storage.database.school(self.school_id) as session:
            await consents.record(
                session,
                school_id=self.school_id,
                number_hash=self.number_hash,
                given=True,
                carrier_sid="CA0",
                wording="en:1",
            )
            await learners.set_message_number(session, self.number_hash, self.storage.keyring.encrypt(CALLER))

    async def call(
        self,
        *,
        learner_turns: int = 5,
        events: Sequence[NewEvent] = (GOAL, HANG_UP),
        guest: bool = False,
        scenario: str = "cafe_order",
        class_prompt_version: int | None = None,
    ) -> UUID:
        """A call that is over, with the job that its end deferred."""
        menu = MenuRecord(
            "en", "Rehearsal", returning=True, scenarios=("cafe_order",), free_talk=False, slower=False, level="A1"
        )
        async with self.storage.database.school(self.school_id) as session:
            call = await calls.open_call(
                session,
                school_id=self.school_id,
                line_id=self.line_id,
                carrier_sid=f"CA{next(_calls):032d}",
                account_sid=self.rehearsal.carrier.account_sid,
                max_calls=100,
                caller_hash=None if guest else self.number_hash,
                learner_id=None if guest else self.learner_id,
                level="A1",
                class_prompt_version=class_prompt_version,
            )
            await calls.save_menu(session, call.id, 0, menu.write())
            await calls.begin(session, call.id, scenario=scenario, level="A1")
            await calls.connected(session, call.id)
            job = debriefs.job(self.school_id, call.id)
            await endings.finish(
                session, call.id, Ending("caller_hung_up", turns(learner_turns), list(events), job=job)
            )
        return call.id

    async def work(self, *queues: str, rest_limit_s: float = 10.0) -> None:
        """Runs every job that is due, and those that they defer."""
        known = all_jobs(self.storage, self.rehearsal.settings, rest_limit_s=rest_limit_s)
        queues = queues or ("calls", "messages")
        while await self.due(queues):
            await jobs.run_worker(self.storage.url, known, queues=queues, wait=False, signals=False)

    async def defer(self, call_id: UUID) -> None:
        """The call's job once more, as when its caller agrees to texts after it."""
        async with self.storage.database.school(self.school_id) as session:
            name, arguments = debriefs.job(self.school_id, call_id)
            await jobs.defer(session, name, **arguments)

    async def booked(self) -> list[int]:
        """What the debriefs cost, as the ledger has it; 0 where that is not known."""
        async with self.storage.database.school(self.school_id) as session:
            of_debriefs = select(LedgerEntry.micro_usd).where(LedgerEntry.kind == "debrief")
            return sorted(cost or 0 for cost in await session.scalars(of_debriefs))

    async def due(self, queues: Sequence[str]) -> int:
        """How many jobs could run now."""
        waiting = text(
            "SELECT count(*) FROM procrastinate_jobs WHERE status = 'todo' AND queue_name = ANY(:queues)"
            " AND coalesce(scheduled_at, now()) <= now()"
        )
        async with self.storage.database.school(self.school_id) as session:
            return int(await session.scalar(waiting, {"queues": list(queues)}) or 0)

    async def kept(self) -> tuple[list[Debrief], list[Message]]:
        """What the database holds."""
        async with self.storage.database.school(self.school_id) as session:
            return list(await session.scalars(select(Debrief))), list(await session.scalars(select(Message)))

    async def settled(self, state: str) -> Message:
        """The one message, once it has come to this state."""
        async with asyncio.timeout(10):
            while True:
                _, (message,) = await self.kept()
                if message.state == state:
                    return message
                await asyncio.sleep(0.05)

    async def is_asked(self) -> None:
        """Returns once the text model was asked."""
        async with asyncio.timeout(30):
            while True:
                if self.asked:
                    return
                await asyncio.sleep(0.05)

    async def make_older(self, seconds: float) -> None:
        """Makes as if the attempts and the waiting jobs were older."""
        async with self.storage.database.school(self.school_id) as session:
            for statement in (
                "UPDATE messages SET attempted_at = attempted_at - make_interval(secs => :s)",
                "UPDATE procrastinate_jobs SET scheduled_at = scheduled_at - make_interval(secs => :s)",
            ):
                await session.execute(text(statement), {"s": seconds})

    @property
    def texts(self) -> list[desk.Message]:
        """What the carrier has taken from us."""
        return [sent for sent in self.rehearsal.carrier.messages if sent.direction == "outbound-api"]

    @property
    def asked(self) -> int:
        """How often the text model was asked."""
        assert self.rehearsal.model is not None
        return len(self.rehearsal.model.text.requests)


@asynccontextmanager
async def practising(
    database: Database, keyring: Keyring, url: str, data_dir: Path, *answers: TextAnswer
) -> AsyncIterator[Place]:
    """A line, a learner, and a text model that answers so."""
    storage = Storage(database, keyring, url, ())
    settings = load(data_dir=data_dir)
    async with rehearsing(settings, storage, script=Script(text=answers), voiced=False) as rehearsal:
        async with database.anyone() as session:
            line = await lines.by_number(session, LINE)
        assert line is not None
        async with database.school(line.school_id) as session:
            learner = await learners.create_with_number(
                session,
                school_id=line.school_id,
                number_hash=keyring.hash_number(CALLER),
                last_two=CALLER[-2:],
                native="en",
                target="es",
                level="A1",
            )
        yield Place(storage, rehearsal, line.school_id, line.id, learner.id)


@pytest.fixture
async def place(database: Database, keyring: Keyring, database_url: str, tmp_path: Path) -> AsyncIterator[Place]:
    """A line whose text model writes a good debrief."""
    async with practising(database, keyring, database_url, tmp_path, TextAnswer("debrief", WRITTEN)) as ready:
        yield ready


async def test_a_call_is_debriefed_by_text(place: Place) -> None:
    """A hung-up call with a goal: the model's debrief is kept with its cost, and arrives in two segments at most."""
    await place.agree()
    call_id = await place.call()
    await place.work()
    message = await place.settled("delivered")
    (sent,) = place.texts
    assert (sent.from_, sent.to, sent.body) == (LINE, CALLER, message.body)
    assert "Quisiera un café con leche, por favor." in sent.body
    assert sent.segments <= 2
    assert sent.segments == segments(sent.body)
    (debrief,), _ = await place.kept()
    assert (debrief.call_id, debrief.source, debrief.content["keep"]) == (call_id, "model", WRITTEN["keep"])
    assert debrief.model == place.rehearsal.settings.text_model
    assert debrief.cost_micro_usd is None or debrief.cost_micro_usd > 0
    assert message.key == f"debrief:{call_id}"


@pytest.mark.parametrize(("before", "told"), [(3, True), (2, False)])
async def test_what_has_become_better_is_told_in_the_text(place: Place, before: int, told: bool) -> None:
    """The largest change, where there are three calls on either side; after a call that was not right there is none."""
    await place.agree()
    now = datetime.now(UTC)
    for days, latency_ms in [*((8.0 + at, 5_000) for at in range(before)), *((1.0 + at, 1_000) for at in range(3))]:
        call_id = await place.call(guest=True)
        async with place.storage.database.school(place.school_id) as session:
            await session.execute(text("DELETE FROM procrastinate_jobs"))
            measures = Measures(learner_turns=8, median_latency_ms=latency_ms).write()
            details: dict[str, Any] = {"at": now - timedelta(days=days), "measures": measures, "completed": False}
            kept = observation(place.school_id, call_id, place.learner_id, **details)
            await observations.put(session, kept)
    await place.call()
    await place.work()
    better = catalogue.load().language("en").say("insight.faster_week", percent="80%")
    (sent,) = place.texts
    assert (better in sent.body) is told
    assert sent.segments <= 2
    await place.call(events=[GOAL, NewEvent(20_000, "safe_exit", {}), HANG_UP])
    await place.work()
    assert better not in place.texts[-1].body


async def test_the_first_message_says_how_to_stop(place: Place) -> None:
    """The first text of a month says STOP, the next one leaves the room to the debrief."""
    await place.agree()
    for _ in range(2):
        await place.call()
        await place.work()
    assert ["STOP" in sent.body for sent in place.texts] == [True, False]


async def test_what_of_the_class_s_words_was_used_is_kept(place: Place) -> None:
    """With the debrief stand the items that were due in the call, what the role used and what the learner used."""
    week = ClassPrompt(vocabulary=("el café", "muy bueno", "la cuenta"), must_use=("por favor",))
    async with place.storage.database.school(place.school_id) as session:
        version = await class_prompts.add(session, place.line_id, week, starts_on=date(2026, 11, 23))
    await place.call(class_prompt_version=version)
    await place.work()
    (debrief,), _ = await place.kept()
    assert debrief.content["coverage"] == {
        "due": ["por favor", "el café", "muy bueno", "la cuenta"],
        "used_by_role": [],
        "used_by_learner": ["por favor", "el café"],
    }
    assert debrief.content["keep"] == WRITTEN["keep"]


async def test_a_teacher_s_and_a_family_s_version_are_kept(place: Place) -> None:
    """With the learner's debrief stands what a teacher and a family read of the call, each in their language."""
    await place.call(events=(GOAL, NewEvent(9_500, "hint", {"goal": "order_drink", "rung": 1}), HANG_UP))
    await place.work()
    (debrief,), _ = await place.kept()
    content = debrief.content
    teacher, family = Telling.read(content["teacher"]), Telling.read(content["family"])
    assert (teacher.language, family.language) == ("en", "en")
    assert "With a hint: order a drink." in teacher.lines
    assert family.lines[0] == "In this call your child managed to order a drink."
    assert (content["native"], content["target"], content["next_key"]) == ("en", "es", "1")
    assert Debriefed.read(content).praise == WRITTEN["praise"]


async def test_where_no_words_may_be_kept(place: Place) -> None:
    """A school that keeps no words has none in the debrief; the text still tells them, also when run again."""
    await place.agree()
    async with place.storage.database.school(place.school_id) as session:
        await policies.change(session, place.school_id, transcript_days=0)
    call_id = await place.call()
    await debriefed(place, call_id, None)
    (debrief,), (message,) = await place.kept()
    assert (debrief.content["praise"], debrief.content["keep"], debrief.content["family"]["lines"]) == ("", "", [])
    assert debrief.content["can_dos"] == ["order_drink"]
    assert "You made yourself understood." in message.body
    async with place.storage.database.school(place.school_id) as session:
        await session.execute(text("DELETE FROM messages"))
    await debriefed(place, call_id, None)
    assert "You made yourself understood." in (await place.kept())[1][0].body


async def debriefed(place: Place, call_id: UUID, links: Links | None) -> None:
    """Debriefs a call without a model."""
    database, shelf = place.storage.database, catalogue.load()
    await debrief_call(database, shelf, None, school_id=place.school_id, call_id=call_id, links=links)


async def test_a_message_leads_to_the_page_of_its_call(place: Place) -> None:
    """With a public address the text holds a link that opens the call's page; run again, there is still one link."""
    await place.agree()
    call_id = await place.call()
    links = Links(place.storage.keyring, "https://practice.example.org")
    for _ in range(3):
        await debriefed(place, call_id, links)
    _, (message,) = await place.kept()
    token = message.body.partition("https://practice.example.org/d/")[2].split()[0]
    assert segments(message.body) <= 2
    async with place.storage.database.anyone() as session:
        found = await pages.find(session, place.storage.keyring, token)
    assert found == pages.PageFound(place.school_id, call_id, place.learner_id, "learner")
    async with place.storage.database.school(place.school_id) as session:
        assert len((await session.scalars(select(DebriefLink))).all()) == 1


async def test_without_a_public_address_there_is_no_link(place: Place) -> None:
    """Nobody outside could open it."""
    await place.agree()
    await place.call()
    await place.work()
    _, (message,) = await place.kept()
    assert "/d/" not in message.body
    async with place.storage.database.school(place.school_id) as session:
        assert (await session.scalars(select(DebriefLink))).all() == []


@pytest.mark.parametrize("minors", [{"kids": True}, {"minors": "13+"}])
async def test_a_child_s_call_is_told_to_the_guardian(place: Place, minors: dict[str, Any]) -> None:
    """On a line for minors their own telephone gets nothing; the guardian reads of it, in words for a family."""
    await place.agree()
    guardian, links = "+12025550177", Links(place.storage.keyring, "https://practice.example.org")
    async with place.storage.database.school(place.school_id) as session:
        await lines.update(session, place.line_id, **minors)
    await debriefed(place, await place.call(), links)
    assert [len(rows) for rows in await place.kept()] == [1, 0]
    async with place.storage.database.school(place.school_id) as session:
        ids = {"school_id": place.school_id, "learner_id": place.learner_id}
        await guardians.put(session, place.storage.keyring, **ids, number=guardian, consent="form 2026-09")
    call_id = await place.call()
    await debriefed(place, call_id, links)
    _, (message,) = await place.kept()
    assert message.body.startswith("Rehearsal: In this call your child managed to order a drink.")
    token = message.body.partition("/d/")[2].split()[0]
    async with place.storage.database.anyone() as session:
        found = await pages.find(session, place.storage.keyring, token)
    assert found is not None
    assert found.audience == "family"
    await place.work("messages")
    assert [(sent.to, sent.body) for sent in place.texts] == [(guardian, message.body)]


async def test_nothing_that_is_told_holds_the_learner_s_name(place: Place) -> None:
    """The model is not told the name; when it has it from elsewhere, twice, the facts speak, in text and page."""
    async with place.storage.database.school(place.school_id) as session:
        learner = await learners.get(session, place.learner_id)
        assert learner is not None
        learner.first_name = "Quetzalina"
    await place.agree()
    named = WRITTEN | {"praise": "Quetzalina Pérez, you kept the talk going."}
    assert place.rehearsal.model is not None
    place.rehearsal.model.play(Script(text=(TextAnswer(match="debrief", json=named),)))
    await place.call()
    await place.work()
    (debrief,), (message,) = await place.kept()
    assert debrief.source == "facts"
    assert "quetzalina" not in f"{debrief.content} {message.body}".lower()
    first, again = place.rehearsal.model.text.requests
    assert "Quetzalina" not in first["input"] + first["instructions"] + again["instructions"]


async def test_a_guardian_who_stopped_gets_none(place: Place) -> None:
    """Nor does the child's own telephone in their place."""
    await place.agree()
    keyring = place.storage.keyring
    async with place.storage.database.school(place.school_id) as session:
        ids = {"school_id": place.school_id, "learner_id": place.learner_id}
        await guardians.put(session, keyring, **ids, number="+12025550177", consent="form 2026-09")
        await consents.opt_out(session, keyring.hash_number("+12025550177"), "SM1")
    await debriefed(place, await place.call(), None)
    assert [len(rows) for rows in await place.kept()] == [1, 0]


async def test_a_call_of_a_school_s_own_scene_is_debriefed(place: Place) -> None:
    """The job knows the school's scenes: a call of one is told of like any other, and it may be the next."""
    async with place.storage.database.school(place.school_id) as session:
        await scenarios.put(session, place.school_id, EXAMPLE, catalogue.load())
        await lines.update(session, place.line_id, scenarios=["own_pharmacy", "cafe_order"])
    await place.call(scenario="own_pharmacy", events=(HANG_UP,))
    await place.work()
    (debrief,), _ = await place.kept()
    assert debrief.content["next_scenario"] in ("own_pharmacy", "cafe_order")


async def test_jobs_that_run_again(place: Place) -> None:
    """Run again, and several times at once, the job leaves one debrief, one message, and asks the model once."""
    await place.agree()
    call_id = await place.call()
    await place.work()
    for _ in range(2):
        async with place.storage.database.school(place.school_id) as session:
            name, arguments = debriefs.job(place.school_id, call_id)
            await jobs.defer(session, name, **arguments)
            _, (message,) = await place.kept()
            await messages.defer(session, place.school_id, message.id)
        await place.work()
    kept = await place.kept()
    assert [len(rows) for rows in kept] == [1, 1]
    assert (len(place.texts), place.asked) == (1, 1)


async def test_jobs_at_once(place: Place) -> None:
    """Workers that debrief the same call at the same time keep one debrief and write one message."""
    await place.agree()
    call_id = await place.call()
    database, shelf = place.storage.database, catalogue.load()
    await asyncio.gather(
        *(debrief_call(database, shelf, None, school_id=place.school_id, call_id=call_id) for _ in range(5))
    )
    assert [len(rows) for rows in await place.kept()] == [1, 1]


async def test_a_call_that_is_closed_while_its_caller_agrees(place: Place) -> None:
    """Its two jobs are due at once and there are two workers: one asks the model, the other one finds the debrief."""
    call_id = await place.call()
    await place.agree()
    await place.defer(call_id)
    assert await place.due(["calls"]) == 2
    await asyncio.gather(place.work(), place.work())
    await place.settled("delivered")
    assert [len(rows) for rows in await place.kept()] == [1, 1]
    assert (len(place.texts), place.asked, len(await place.booked())) == (1, 1, 1)


async def test_who_asked_in_vain_has_paid(place: Place) -> None:
    """A worker that was taken for dead may ask beside another: one debrief is kept, and both answers are booked."""
    call_id = await place.call()
    settings, both = place.rehearsal.settings, asyncio.Barrier(2)

    async def meet(_: httpx.Request) -> None:
        await both.wait()

    async with httpx.AsyncClient(event_hooks={"request": [meet]}) as client:
        model = TextModel(client, settings.openai_base_url, settings.openai_api_key or "", settings.text_model)
        one = partial(debrief_call, place.storage.database, catalogue.load(), model)
        await asyncio.gather(*(one(school_id=place.school_id, call_id=call_id) for _ in range(2)))
    assert [len(rows) for rows in await place.kept()] == [1, 0]
    assert place.rehearsal.model is not None
    charges = place.rehearsal.model.text.charges
    assert len(charges) == 2
    details = [charge.usage["input_tokens_details"] for charge in charges]
    costs = [
        prices().written(
            charge.model,
            input_tokens=charge.usage["input_tokens"],
            output_tokens=charge.usage["output_tokens"],
            cached_tokens=detail["cached_tokens"],
            cache_write_tokens=detail["cache_write_tokens"],
        )
        for charge, detail in zip(charges, details, strict=True)
    ]
    assert await place.booked() == sorted(cost for cost in costs if cost)


async def test_killed_between_debrief_and_message(place: Place) -> None:
    """A worker that died after the debrief was kept is followed by one that writes the message from it."""
    await place.agree()
    call_id = await place.call()
    database, shelf = place.storage.database, catalogue.load()
    settings = place.rehearsal.settings
    async with httpx.AsyncClient() as client:
        model = TextModel(client, settings.openai_base_url, settings.openai_api_key or "", settings.text_model)
        async with database.school(place.school_id) as session:
            await lines.update(session, place.line_id, texts=False)  # the first one gets no further than the debrief
        await debrief_call(database, shelf, model, school_id=place.school_id, call_id=call_id)
        async with database.school(place.school_id) as session:
            await lines.update(session, place.line_id, texts=True)
    assert [len(rows) for rows in await place.kept()] == [1, 0]
    await place.work()
    await place.settled("delivered")
    assert (len(place.texts), place.asked) == (1, 1)


async def test_a_worker_killed_while_the_model_writes(
    database: Database, keyring: Keyring, database_url: str, tmp_path: Path
) -> None:
    """kill -9 in the middle of a debrief: when its heart has stopped long enough, another worker does it, once.

    Until then the call's other job waits, so that nobody else asks, and its worker is free for other calls.
    """
    never = TextAnswer("debrief", fault="timeout", times=1)
    async with practising(database, keyring, database_url, tmp_path, never, TextAnswer("debrief", WRITTEN)) as place:
        await place.agree()
        call_id = await place.call()
        environment = {
            "DATABASE_URL": place.storage.url,
            "RINGUA_SECRET_KEY": SECRET,
            "RINGUA_DATA_DIR": str(tmp_path),
            "OPENAI_API_KEY": place.rehearsal.settings.openai_api_key or "",
            "OPENAI_BASE_URL": place.rehearsal.settings.openai_base_url,
        }
        worker = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "ringua", "worker", env={**os.environ, **environment}
        )
        try:
            await place.is_asked()
            await place.defer(call_id)
            known = all_jobs(place.storage, place.rehearsal.settings)
            await jobs.run_worker(place.storage.url, known, queues=["calls"], wait=False, signals=False)
            assert (place.asked, await place.due(["calls"])) == (1, 1)
        finally:
            worker.kill()
        assert await worker.wait() == -signal.SIGKILL
        app = jobs.worker_app(place.storage.url, [])
        async with app.open_async():
            await jobs.retry_stalled_jobs(app)
            assert await place.due(["calls"]) == 1  # its heart may still beat
            async with database.school(place.school_id) as session:
                silent_for = text("UPDATE procrastinate_workers SET last_heartbeat = now() - make_interval(secs => :s)")
                await session.execute(silent_for, {"s": jobs.STALLED_S + 1})
            await jobs.retry_stalled_jobs(app)
        await place.make_older(60)
        await place.work()
        await place.settled("delivered")
        assert [len(rows) for rows in await place.kept()] == [1, 1]
        assert (len(place.texts), place.asked) == (1, 2)


@pytest.mark.parametrize(
    ("learner_turns", "events", "texted"),
    [(4, [HANG_UP], True), (3, [HANG_UP], False), (1, [GOAL, HANG_UP], True), (0, [], False)],
)
async def test_what_is_worth_a_message(place: Place, learner_turns: int, events: list[NewEvent], texted: bool) -> None:
    """Four turns or any goal, hang-ups included; less is debriefed without a model and without a text."""
    await place.agree()
    await place.call(learner_turns=learner_turns, events=events)
    await place.work()
    kept_debriefs, kept_messages = await place.kept()
    assert (len(kept_debriefs), len(kept_messages)) == (1, int(texted))
    assert (len(place.texts), place.asked > 0) == (int(texted), texted)


@pytest.mark.parametrize("fault", ["refusal", "incomplete", "failed"])
async def test_a_model_that_fails(
    database: Database, keyring: Keyring, database_url: str, tmp_path: Path, fault: Any
) -> None:
    """Without the model's help the facts speak, and the learner gets a text all the same."""
    async with practising(database, keyring, database_url, tmp_path, TextAnswer("debrief", fault=fault)) as place:
        await place.agree()
        await place.call()
        await place.work()
        await place.settled("delivered")
        (debrief,), _ = await place.kept()
        assert (debrief.source, debrief.model) == ("facts", None)
        assert len(place.texts) == 1


async def test_without_consent(place: Place) -> None:
    """Without consent the debrief is kept and nothing texted; agreeing right after brings the call's text, once."""
    call_id = await place.call()
    await place.work()
    assert [len(rows) for rows in await place.kept()] == [1, 0]
    await place.agree()
    async with place.storage.database.school(place.school_id) as session:
        name, arguments = debriefs.job(place.school_id, call_id)
        await jobs.defer(session, name, **arguments)
    await place.work()
    await place.settled("delivered")
    assert (len(place.texts), place.asked) == (1, 1)


async def test_guests(place: Place) -> None:
    """A guest's call is debriefed, and texted to nobody."""
    await place.agree()
    await place.call(guest=True)
    await place.work()
    assert [len(rows) for rows in await place.kept()] == [1, 0]


async def test_stop_between_call_and_text(place: Place) -> None:
    """A STOP that the learner writes while the debrief is on its way comes first: the text never leaves."""
    await place.agree()
    await place.call()
    await place.work("calls")
    assert [message.state for message in (await place.kept())[1]] == ["new"]
    url = f"{place.rehearsal.base_url}/twilio/sms"
    stopped = await place.rehearsal.carrier.text(url, from_=CALLER, to=LINE, body="stop")
    assert stopped.status == 200
    assert len(stopped.replies) == 1, "the carrier's own"
    await place.work()
    assert [message.state for message in (await place.kept())[1]] == ["suppressed"]
    assert place.texts == []
    await place.call()
    await place.work()
    assert place.texts == []


async def test_start_brings_texts_back(place: Place) -> None:
    """After STOP and START later calls are texted again."""
    await place.agree()
    url = f"{place.rehearsal.base_url}/twilio/sms"
    for body in ("STOP", "START"):
        await place.rehearsal.carrier.text(url, from_=CALLER, to=LINE, body=body)
    await place.call()
    await place.work()
    await place.settled("delivered")
    assert len(place.texts) == 1


async def test_the_carrier_takes_the_message_and_never_answers(place: Place) -> None:
    """A request that times out after it was taken is looked up, or told of by the carrier's report; never repeated."""
    await place.agree()
    await place.call()
    place.rehearsal.carrier.sms.swallow_next()
    await place.work(rest_limit_s=1.0)
    await place.settled("delivered")
    for _ in range(3):
        await place.make_older(300)
        await place.work()
    assert len(place.texts) == 1


async def test_reports_twice_and_out_of_order(place: Place) -> None:
    """The carrier's reports may come in any order, and again."""
    await place.agree()
    place.rehearsal.carrier.sms.reports = ("delivered", "sent", "queued", "delivered", "sent")
    await place.call()
    await place.work()
    message = await place.settled("delivered")
    assert message.status_rank == 5


async def test_a_number_that_is_not_registered(place: Place) -> None:
    """A failure that the operator must mend is known from the carrier's report, and stops the line's next text."""
    await place.agree()
    place.rehearsal.carrier.sms.fail_next(30034)
    await place.call()
    await place.work()
    message = await place.settled("failed")
    assert message.error_code == 30034
    await place.call()
    await place.work()
    states = sorted(message.state for message in (await place.kept())[1])
    assert (states, len(place.texts)) == (["failed", "suppressed"], 1)


async def test_a_busy_carrier_is_asked_again_later(place: Place) -> None:
    """A job that was told to come back does, and sends then."""
    await place.agree()
    await place.call()
    place.rehearsal.carrier.sms.refuse_next(429, 20429)
    await place.work()
    assert place.texts == []
    await place.make_older(60)
    await place.work()
    await place.settled("delivered")
    assert len(place.texts) == 1


async def test_calls_that_cannot_be_debriefed(place: Place) -> None:
    """A call that goes on, that is gone, or whose line was changed since, ends the job without an error."""
    database, shelf = place.storage.database, catalogue.load()
    await debrief_call(database, shelf, None, school_id=place.school_id, call_id=uuid4())
    call_id = await place.call()
    async with database.school(place.school_id) as session:
        await lines.update(session, place.line_id, target="xx")
    await debrief_call(database, shelf, None, school_id=place.school_id, call_id=call_id)
    assert [len(rows) for rows in await place.kept()] == [0, 0]
    async with database.school(place.school_id) as session:
        await session.execute(text("UPDATE calls SET state = 'live'"))
        await lines.update(session, place.line_id, target="es")
    await debrief_call(database, shelf, None, school_id=place.school_id, call_id=call_id)
    assert [len(rows) for rows in await place.kept()] == [0, 0]
