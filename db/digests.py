"""What teachers and families are told of: the calls of a line's week, and what one child has reached. Counts, no words.

Works in the session's school. Nothing here names a learner.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from sqlalchemy import ARRAY, Text, Uuid, any_, cast, func, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from db.calls import LONGEST_CALL
from db.models import Call, CallEvent, Debrief

WEEK = timedelta(days=7)

CHILDS_CALLS = 60
"""A family is told of the latest few things; a call of every day would be of two months."""

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
    # By the index on when calls began, which was at most the longest call before anybody talked in them.
    began = Call.started_at > func.now() - WEEK - LONGEST_CALL
    talked = (Call.line_id == line_id, began, Call.connected_at > func.now() - WEEK)
    # A learner, else a number, else a call: whoever withholds their number is somebody new each time.
    who = func.coalesce(cast(Call.learner_id, Text), func.encode(Call.caller_hash, "hex"), cast(Call.id, Text))
    lasted = func.extract("epoch", func.coalesce(Call.ended_at, Call.heartbeat_at) - Call.connected_at)
    # Read once, and from the index alone: they are scattered over the disk.
    columns = (Call.id, Call.learner_id, Call.scenario, Call.completed, who.label("who"), lasted.label("lasted"))
    rows = {row.id: row for row in await session.execute(select(*columns).where(*talked))}
    talked_in = any_(cast(list(rows), ARRAY(Uuid)))
    goal = CallEvent.data["goal"].astext
    goals = await session.execute(
        # Below zero: reached in the call before, which this one went on with.
        select(CallEvent.call_id, goal).where(
            CallEvent.call_id == talked_in, CallEvent.kind == "goal", CallEvent.at_ms >= 0
        )
    )
    topic = func.jsonb_array_elements_text(Debrief.content["teacher"]["topics"]).table_valued("name")
    topics = await session.execute(
        select(topic.c.name, Debrief.call_id)
        .select_from(Debrief)
        .join(topic, true())
        .where(Debrief.call_id == talked_in)
    )
    learners: defaultdict[str, set[UUID | None]] = defaultdict(set)
    for name, call_id in topics:
        learners[name].add(rows[call_id].learner_id)
    return Week(
        callers=len({row.who for row in rows.values()}),
        talk_s=float(sum(max(0, row.lasted) for row in rows.values())),
        finished=Counter(row.scenario for row in rows.values() if row.completed and row.scenario),
        goals=Counter(
            (rows[call_id].scenario, reached) for call_id, reached in goals if rows[call_id].scenario and reached
        ),
        topics=Counter(
            {
                name: known
                for name, whose in sorted(learners.items())
                if (known := len(whose - {None})) >= LEAST_LEARNERS
            }
        ),
    )


@dataclass(frozen=True, slots=True)
class Child:
    """What a learner has reached in their last ``CHILDS_CALLS`` calls."""

    goals: list[tuple[str, str]] = field(default_factory=list)
    """Each once, by scenario and goal, the latest first."""
    keep: str | None = None
    """The phrase to keep of the latest debrief, in the language being learned."""


async def child(session: AsyncSession, learner_id: UUID) -> Child:
    """What may be told to a learner's family: no call, no time and no other word of theirs."""
    lately = (
        select(Call.id, Call.scenario, Call.started_at)
        .where(Call.learner_id == learner_id)
        .order_by(Call.started_at.desc())
        .limit(CHILDS_CALLS)
        .subquery()
    )
    goal = CallEvent.data["goal"].astext
    rows = await session.execute(
        select(lately.c.scenario, goal)
        .join(CallEvent, CallEvent.call_id == lately.c.id)
        .where(CallEvent.kind == "goal", lately.c.scenario.is_not(None))
        .group_by(lately.c.scenario, goal)
        .order_by(func.max(lately.c.started_at).desc(), lately.c.scenario, goal)
    )
    keep = await session.scalar(
        select(Debrief.content["keep"].astext)
        .join(lately, lately.c.id == Debrief.call_id)
        .order_by(lately.c.started_at.desc())
        .limit(1)
    )
    return Child([(scenario, reached) for scenario, reached in rows if scenario and reached], keep or None)
