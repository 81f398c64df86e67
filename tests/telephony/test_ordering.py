"""Which scene comes next: by what one learner needs in one language."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import select

from db import calls, endings, learners, profiles
from db.endings import Ending
from db.engine import Database
from db.keyring import Keyring
from db.models import Line
from db.profiles import NewProfile
from telephony.ordering import order
from tests.telephony.school_line import Service, service
from tutor.learning.patterns import Pattern
from tutor.learning.profile import Profile
from tutor.script.catalogue import load

CATALOGUE = load()
OFFERED = ["cafe_order", "market_fruit", "bus_ticket"]
QUESTIONS = Pattern("questions", rate=0.4, blocking=True, sessions=4, trend="steady")
"""A kind of error for which talk with numbers in it has many places, and the café has none."""


async def practised(line: Service, whose: UUID, target: str) -> None:
    """A call in a scene that is not on offer, in which everything was done."""
    async with line.database.school(line.school_id) as session:
        call = await calls.open_call(
            session,
            school_id=line.school_id,
            line_id=(await session.scalars(select(Line.id))).one(),
            carrier_sid=f"CA{target}",
            account_sid="AC1",
            max_calls=9,
            learner_id=whose,
        )
        await calls.save_menu(session, call.id, 0, {"target": target})
        await calls.begin(session, call.id, scenario="pharmacy", level="A1")
        await calls.connected(session, call.id)
        await endings.finish(session, call.id, Ending("role", completed=True))


async def ordered(line: Service, whose: UUID, target: str) -> tuple[str, ...]:
    """What the menu of the learner would offer."""
    async with line.database.school(line.school_id) as session:
        learner = await learners.get(session, whose)
        return await order(session, CATALOGUE, learner, OFFERED, target=target, level="A1")


async def known(line: Service, whose: UUID, target: str, *patterns: Pattern) -> None:
    """What the learner's calls in a language have shown."""
    async with line.database.school(line.school_id) as session:
        kept = NewProfile(whose, target, Profile(calls=5, patterns=patterns).write())
        await profiles.put(session, line.school_id, [kept], analysed_at=datetime.now(UTC))


async def test_what_is_weak_in_one_language_says_nothing_of_another(database: Database, keyring: Keyring) -> None:
    """A pattern of a learner's Spanish moves the scenes of their Spanish, and leaves those of their French."""
    async with service(database, keyring) as line:
        whose = await line.enrolled()
        for target in ("es", "fr"):
            await practised(line, whose, target)
        before = await ordered(line, whose, "es")
        assert before[0] == "cafe_order"
        await known(line, whose, "es-MX", QUESTIONS)
        assert (await ordered(line, whose, "es"))[-1] == "cafe_order"
        assert await ordered(line, whose, "fr") == before


async def test_what_is_on_its_way_out_is_not_practised(database: Database, keyring: Keyring) -> None:
    """A kind of error that neither hides the meaning nor stays moves nothing."""
    async with service(database, keyring) as line:
        whose = await line.enrolled()
        await practised(line, whose, "es")
        before = await ordered(line, whose, "es")
        fading = Pattern("questions", rate=0.1, blocking=False, sessions=4, trend="improving")
        once = Pattern("numbers", rate=0.1, blocking=False, sessions=1, trend="steady")
        await known(line, whose, "es", fading, once)
        assert await ordered(line, whose, "es") == before
