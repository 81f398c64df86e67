"""What a learner talked about, and the few things they agreed to have remembered. In the session's school.

Topics are kept by language, facts are of the person. On a line for children there are no facts, whatever was agreed.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import delete, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from db.models import Learner
from db.models_learning import Fact, Topic
from db.observations import language_of

MOST_TOPICS: Final = 10
MOST_FACTS: Final = 12
LONGEST: Final = 120
"""Characters of a topic or a fact; longer ones are no note but a story, and are left out."""

REMEMBER: Final = "remember"
"""The learner's setting that lets facts be kept: true, or nothing is."""

# Whether they agreed, and whether the call was on a line for children, is asked by the statement that writes.
_KEEP_FACT = text(
    "INSERT INTO facts (learner_id, fact, school_id, call_id, at)"
    " SELECT l.id, :fact, l.school_id, c.id, :at FROM learners l JOIN calls c ON c.learner_id = l.id"
    " JOIN lines n ON n.id = c.line_id"
    " WHERE l.id = :learner AND c.id = :call AND l.settings -> 'remember' = 'true'::jsonb"
    " AND NOT (n.kids OR n.minors = 'under13')"
    " ON CONFLICT (learner_id, fact) DO UPDATE SET at = excluded.at, call_id = excluded.call_id"
    " RETURNING fact"
)


async def put(
    session: AsyncSession,
    *,
    school_id: UUID,
    learner_id: UUID,
    target: str,
    topics: Iterable[str],
    call_id: UUID,
    at: datetime,
) -> None:
    """Adds the topics of a call; one that came up before moves to the front, and only the last ten stay."""
    tag = language_of(target)
    known = dict.fromkeys(kept for topic in topics if (kept := _plain(topic)))
    ids: dict[str, Any] = {"learner_id": learner_id, "target": tag}
    for topic in known:
        row = insert(Topic).values(**ids, topic=topic, school_id=school_id, call_id=call_id, at=at)
        newer = row.on_conflict_do_update(
            index_elements=[Topic.learner_id, Topic.target, Topic.topic],
            set_={"at": row.excluded.at, "call_id": row.excluded.call_id},
            where=Topic.at <= row.excluded.at,
        )
        await session.execute(newer)
    if known:
        of_learner = (Topic.learner_id == learner_id, Topic.target == tag)
        latest = select(Topic.topic).where(*of_learner).order_by(Topic.at.desc(), Topic.topic).limit(MOST_TOPICS)
        await session.execute(delete(Topic).where(*of_learner, Topic.topic.not_in(latest)))


async def recent(session: AsyncSession, learner_id: UUID, target: str) -> list[str]:
    """The learner's last topics in a language, the latest first; ten at most."""
    found = select(Topic.topic).where(Topic.learner_id == learner_id, Topic.target == language_of(target))
    return list(await session.scalars(found.order_by(Topic.at.desc(), Topic.topic).limit(MOST_TOPICS)))


async def keep_fact(session: AsyncSession, *, learner_id: UUID, fact: str, call_id: UUID, at: datetime) -> bool:
    """Remembers something the learner told in a call, if they agreed to that; the last twelve stay.

    False, and nothing is kept, without their agreement, on a line for children, or when it is no fact but a story.
    """
    plain = _plain(fact)
    if not plain:
        return False
    given = {"learner": learner_id, "fact": plain, "call": call_id, "at": at}
    if await session.scalar(_KEEP_FACT, given) is None:
        return False
    kept = select(Fact.fact).where(Fact.learner_id == learner_id).order_by(Fact.at.desc(), Fact.fact).limit(MOST_FACTS)
    await session.execute(delete(Fact).where(Fact.learner_id == learner_id, Fact.fact.not_in(kept)))
    return True


async def facts(session: AsyncSession, learner_id: UUID) -> list[str]:
    """What may be remembered of the learner, the latest first; none when they do not agree to that any more."""
    found = (
        select(Fact.fact)
        .join(Learner, Learner.id == Fact.learner_id)
        .where(Fact.learner_id == learner_id, Learner.settings[REMEMBER] == func.to_jsonb(True))
    )
    return list(await session.scalars(found.order_by(Fact.at.desc(), Fact.fact).limit(MOST_FACTS)))


async def forget_facts(session: AsyncSession, learner_id: UUID) -> int:
    """Forgets every fact of a learner, who took their agreement back; returns how many there were."""
    gone = delete(Fact).where(Fact.learner_id == learner_id).returning(Fact.fact)
    return len((await session.scalars(gone.execution_options(synchronize_session=False))).all())


async def drop(
    session: AsyncSession, learner_id: UUID, *, topics: Iterable[str] = (), facts: Iterable[str] = ()
) -> int:
    """Forgets these topics, in whatever language, and these facts of a learner; returns how many rows there were."""
    gone = 0
    for column, owner, words in ((Topic.topic, Topic.learner_id, topics), (Fact.fact, Fact.learner_id, facts)):
        said = [_plain(word) for word in words]
        rows = delete(column.class_).where(owner == learner_id, column.in_(said)).returning(column)
        gone += len((await session.scalars(rows.execution_options(synchronize_session=False))).all())
    return gone


async def forget_all(session: AsyncSession, learner_id: UUID) -> int:
    """Forgets every topic and every fact of a learner, who wants that; returns how many there were."""
    gone = delete(Topic).where(Topic.learner_id == learner_id).returning(Topic.topic)
    topics = (await session.scalars(gone.execution_options(synchronize_session=False))).all()
    return len(topics) + await forget_facts(session, learner_id)


def _plain(words: str) -> str:
    """One line without needless space; empty when it is too long."""
    line = " ".join(words.split())
    return line if len(line) <= LONGEST else ""
