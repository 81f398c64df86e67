"""What teachers and families are told of: the calls of a line's week, and what one child has reached. Counts, no words.

Works in the session's school. Nothing here names a learner.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Text, cast, func, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from db.models import Call, CallEvent, Debrief

WEEK = timedelta(days=7)

LEAST_LEARNERS = 3
"""A topic is a class's from so many learners on; of fewer, a teacher would know who they are."""


@dataclass(frozen=True, slots=True)
class Week:
    """The calls of a line that reached a conversation in the last seven days."""

    callers: int = 0
    """Different learners; all guests from one number count as one."""
    talk_s: float = 0.0
    finished: Counter[str] = field(default_factory=Counter)
    """How often each scenario was completed."""
    goals: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How often each goal was reached, by scenario and goal."""
    topics: Counter[str] = field(default_factory=Counter)
    """With how many learners each topic worth working on came up, those of at least ``LEAST_LEARNERS``."""


async def week(session: AsyncSession, line_id: UUID) -> Week:
    """The last seven days of a line, up to now."""
    talked = (Call.line_id == line_id, Call.connected_at > func.now() - WEEK)
    # A learner, else a number, else a call: whoever withholds their number is somebody new each time.
    who = func.coalesce(cast(Call.learner_id, Text), func.encode(Call.caller_hash, "hex"), Call.carrier_sid)
    lasted = func.extract("epoch", func.coalesce(Call.ended_at, Call.heartbeat_at) - Call.connected_at)
    callers, talk_s = (
        await session.execute(select(func.count(who.distinct()), func.sum(func.greatest(lasted, 0))).where(*talked))
    ).one()
    finished = await session.execute(
        select(Call.scenario, func.count()).where(*talked, Call.completed).group_by(Call.scenario)
    )
    goal = CallEvent.data["goal"].astext
    goals = await session.execute(
        select(Call.scenario, goal, func.count())
        .join(CallEvent, CallEvent.call_id == Call.id)
        # Below zero: reached in the call before, which this one went on with.
        .where(*talked, CallEvent.kind == "goal", CallEvent.at_ms >= 0)
        .group_by(Call.scenario, goal)
    )
    topic = func.jsonb_array_elements_text(Debrief.content["teacher"]["topics"]).table_valued("name")
    learners = func.count(Call.learner_id.distinct())
    topics = await session.execute(
        select(topic.c.name, learners)
        .select_from(Call)
        .join(Debrief, Debrief.call_id == Call.id)
        .join(topic, true())
        .where(*talked)
        .group_by(topic.c.name)
        .having(learners >= LEAST_LEARNERS)
    )
    return Week(
        callers=callers,
        talk_s=float(talk_s or 0),
        finished=Counter({scenario: times for scenario, times in finished if scenario}),
        goals=Counter({(scenario, reached): times for scenario, reached, times in goals if scenario and reached}),
        topics=Counter({row[0]: row[1] for row in topics}),
    )


@dataclass(frozen=True, slots=True)
class Child:
    """What a learner has reached in all calls so far."""

    goals: list[tuple[str, str]] = field(default_factory=list)
    """Each once, by scenario and goal, the latest first."""
    keep: str | None = None
    """The phrase to keep of the latest debrief, in the language being learned."""


async def child(session: AsyncSession, learner_id: UUID) -> Child:
    """What may be told to a learner's family: no call, no time and no other word of theirs."""
    latest = func.max(Call.started_at)
    goal = CallEvent.data["goal"].astext
    rows = await session.execute(
        select(Call.scenario, goal)
        .join(CallEvent, CallEvent.call_id == Call.id)
        .where(Call.learner_id == learner_id, CallEvent.kind == "goal", Call.scenario.is_not(None))
        .group_by(Call.scenario, goal)
        .order_by(latest.desc(), Call.scenario, goal)
    )
    keep = await session.scalar(
        select(Debrief.content["keep"].astext)
        .join(Call, Call.id == Debrief.call_id)
        .where(Call.learner_id == learner_id)
        .order_by(Call.started_at.desc())
        .limit(1)
    )
    return Child([(scenario, reached) for scenario, reached in rows if scenario and reached], keep or None)
