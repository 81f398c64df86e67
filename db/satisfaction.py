"""Who was asked how a call was, and what they answered: one question a call, sums for a school, nobody's own figure.

Works in the session's school; which calls are chosen, and what is said, is not known here.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import text, update
from sqlalchemy.ext.asyncio import AsyncSession

from db.models_learning import SatisfactionQuestion

AGAIN: Final = timedelta(days=30)
"""Before this long nobody who is known is asked again."""

# From the call itself: of a school that is not the session's nothing is found, and of a forgotten caller neither.
# A question that was answered in this call is enough; whoever was flagged has had something else on their mind.
_ASK: Final = text("""
    INSERT INTO satisfaction_questions (call_id, school_id, learner_id)
    SELECT calls.id, calls.school_id, calls.learner_id FROM calls WHERE calls.id = :call AND calls.kept <> 'cost'
        AND NOT EXISTS (SELECT FROM confidence_answers felt WHERE felt.call_id = calls.id)
        AND NOT EXISTS (SELECT FROM safety_flags flag WHERE flag.call_id = calls.id)
        AND NOT EXISTS (SELECT FROM guardians WHERE guardians.learner_id = calls.learner_id)
        AND NOT EXISTS (
            SELECT FROM satisfaction_questions earlier WHERE earlier.learner_id = calls.learner_id
                AND earlier.call_id <> calls.id AND earlier.asked_at > now() - CAST(:again AS interval)
        )
    ON CONFLICT (call_id) DO NOTHING RETURNING call_id
""")
_ASKED: Final = text("SELECT TRUE FROM satisfaction_questions WHERE call_id = :call")

# A guest is somebody: who, nobody knows, so that each of their answers counts as another person's.
_TOTALS: Final = text("""
    SELECT count(*) AS asked, count(answer) AS answered, coalesce(sum(answer), 0) AS points,
        count(DISTINCT learner_id) FILTER (WHERE answer IS NOT NULL)
        + count(answer) FILTER (WHERE learner_id IS NULL) AS people
    FROM satisfaction_questions
""")


class Totals(NamedTuple):
    """The answers of a school; small numbers are not hidden here."""

    asked: int
    answered: int
    points: int
    """The sum of the answers, each 1 to 5."""
    people: int
    """How many answered: learners, and guests by their calls."""


async def ask(session: AsyncSession, call_id: UUID) -> bool:
    """Whether the caller is asked after this call, which is written down; the same however often it is asked.

    They are not when they were asked after another call within ``AGAIN``, have answered another question in this one,
    have a guardian (they are minors), were flagged in it, or were forgotten. A guest may be asked.
    """
    if await session.scalar(_ASK, {"call": call_id, "again": AGAIN}) is not None:
        return True
    return await session.scalar(_ASKED, {"call": call_id}) is not None


async def answered(session: AsyncSession, call_id: UUID, answer: int) -> bool:
    """Keeps an answer, 1 to 5 (best); False when nobody was asked, or there is one already, which stays.

    Raises ValueError for another answer.
    """
    if not 1 <= answer <= 5:
        raise ValueError(f"an answer is 1 to 5, not {answer}")
    change = update(SatisfactionQuestion).where(
        SatisfactionQuestion.call_id == call_id, SatisfactionQuestion.answer.is_(None)
    )
    kept = change.values(answer=answer).returning(SatisfactionQuestion.call_id)
    return await session.scalar(kept.execution_options(synchronize_session=False)) is not None


async def totals(session: AsyncSession) -> Totals:
    """The sums of the session's school, over all calls whose figures are still kept."""
    return Totals(*(await session.execute(_TOTALS)).one())
