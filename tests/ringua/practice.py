"""A line with a learner and finished calls, written into the database instead of being spoken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

from sqlalchemy import text

from db import calls, chains, debriefs, endings, learners, lines, schools
from db.endings import Ending, NewEvent, NewTurn
from db.engine import Database
from telephony.ivr.record import MenuRecord

BEGAN = datetime(2026, 11, 2, 9, tzinfo=UTC)
DAY = timedelta(days=1)
GOALS = ("greet", "order_drink", "detail", "price")
ORDERS = "Quisiera un café con leche, por favor."

_calls = count(1)


def reached(*goals: str) -> list[NewEvent]:
    """The events of a call in which these goals were reached."""
    return [NewEvent(9_000, "goal", {"goal": goal, "quote": "", "evidence": "quote"}) for goal in goals]


def conversation(learner_turns: int, *, latency_ms: int = 800, says: str = ORDERS) -> list[NewTurn]:
    """The role speaks, and the learner answers after ``latency_ms`` for two seconds, so many times."""
    turns, at_ms = [], 0
    for _ in range(learner_turns):
        turns.append(NewTurn("role", at_ms, at_ms + 1_500, "¿Qué le pongo?"))
        began = at_ms + 1_500 + latency_ms
        turns.append(NewTurn("learner", began, began + 2_500, says))
        at_ms = began + 3_000
    turns.append(NewTurn("role", at_ms, at_ms + 1_000, "Muy bien."))
    return turns


@dataclass(frozen=True)
class Practice:
    """A school's line with one learner of Spanish."""

    database: Database
    school_id: UUID
    line_id: UUID
    learner_id: UUID

    async def another(self) -> UUID:
        """One more learner."""
        return await _learner(self.database, self.school_id)

    async def call(
        self,
        turns: Sequence[NewTurn] | int = 6,
        events: Sequence[NewEvent] = (),
        *,
        day: float = 0,
        goals: Sequence[str] = GOALS,
        learner_id: UUID | None = None,
        guest: bool = False,
        scenario: str = "cafe_order",
        level: str = "A1",
        target: str = "es",
        reason: str = "role",
        debriefed: bool = False,
        class_prompt_version: int | None = None,
        resume: Mapping[str, Any] | None = None,
        after: UUID | None = None,
    ) -> UUID:
        """A call that is over, ``day`` days after the first one.

        ``debriefed``: with the job that does it; ``resume``: it broke off, and this is needed to go on; ``after``: the
        call that it went on with.
        """
        who = None if guest else learner_id or self.learner_id
        menu = MenuRecord(
            native="en",
            school="North",
            returning=True,
            scenarios=("cafe_order",),
            free_talk=False,
            slower=False,
            level=level,
            target=target,
        )
        said = conversation(turns) if isinstance(turns, int) else turns
        async with self.database.school(self.school_id) as session:
            call = await calls.open_call(
                session,
                school_id=self.school_id,
                line_id=self.line_id,
                carrier_sid=f"CA{next(_calls):032d}",
                account_sid="AC1",
                max_calls=1_000,
                learner_id=who,
                level=level,
                class_prompt_version=class_prompt_version,
            )
            await calls.save_menu(session, call.id, 0, menu.write())
            if after is not None:
                before = await calls.get(session, after)
                assert before is not None
                assert await calls.take_resume(session, after) is not None
                await chains.join(session, call.id, before)
            await calls.begin(session, call.id, scenario=scenario, level=level)
            stream = await calls.connected(session, call.id)
            assert stream == 1
            if resume is not None:
                await calls.checkpoint(session, call.id, resume, stream=stream)
            job = debriefs.job(self.school_id, call.id) if debriefed else None
            happened = [*reached(*goals), *events]
            ending = Ending(reason, said, happened, job=job, resumable=resume is not None)
            await endings.finish(session, call.id, ending)
            at = BEGAN + day * DAY
            dated = "UPDATE calls SET started_at = :at, connected_at = :at, ended_at = :end WHERE id = :call"
            await session.execute(text(dated), {"at": at, "end": at + timedelta(minutes=5), "call": call.id})
        return call.id


async def practising(database: Database, name: str = "North", number: str = "+34910000001") -> Practice:
    """A school with a line that takes calls, and a learner."""
    async with database.anyone() as session:
        school_id = await schools.create(session, name, "Europe/Madrid")
    async with database.school(school_id) as session:
        line = await lines.add(
            session,
            school_id=school_id,
            number=number,
            name=name,
            native="en",
            target="es",
            level="A1",
            class_prompt="theme: el café",
            scenarios=["cafe_order", "hotel_checkin"],
            open=True,
        )
    return Practice(database, school_id, line.id, await _learner(database, school_id))


async def _learner(database: Database, school_id: UUID) -> UUID:
    async with database.school(school_id) as session:
        learner = await learners.create_with_number(
            session,
            school_id=school_id,
            number_hash=b"hash",
            last_two="01",
            native="en",
            target="es",
            level="A1",
            another=True,
        )
    return learner.id
