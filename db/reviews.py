"""The cards a learner comes back to, by language, in the session's school. When one is due is its scheduler's."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, cast
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from db.models_learning import ReviewCardRow
from db.observations import language_of
from tutor.learning.evidence import Kind
from tutor.learning.review import MOST_DUE, ReviewCard

MOST_PATTERNS: Final = 50
"""Cards of patterns that may wait before others: only one of them goes into a call."""


async def due(
    session: AsyncSession, learner_id: UUID, target: str, *, now: datetime, most: int = MOST_DUE
) -> list[ReviewCard]:
    """What the next call brings up, the longest waiting first, with at most one pattern among them."""
    waiting = (
        select(ReviewCardRow)
        .where(
            ReviewCardRow.learner_id == learner_id,
            ReviewCardRow.target == language_of(target),
            ReviewCardRow.due_at <= now,
        )
        .order_by(ReviewCardRow.due_at, ReviewCardRow.id)
        .limit(most + MOST_PATTERNS)
    )
    cards = [_card(row) for row in await session.scalars(waiting)]
    pattern = next((card for card in cards if card.kind == "focus"), None)
    return [card for card in cards if card.kind != "focus" or card is pattern][:most]


async def due_count(session: AsyncSession, learner_id: UUID, target: str, *, now: datetime) -> int:
    """How many cards are due."""
    waiting = (
        select(func.count())
        .select_from(ReviewCardRow)
        .where(
            ReviewCardRow.learner_id == learner_id,
            ReviewCardRow.target == language_of(target),
            ReviewCardRow.due_at <= now,
        )
    )
    return int(await session.scalar(waiting) or 0)


async def all(session: AsyncSession, learner_id: UUID, target: str) -> list[ReviewCard]:
    """Every card of the learner in a language, the oldest first."""
    found = select(ReviewCardRow).where(
        ReviewCardRow.learner_id == learner_id, ReviewCardRow.target == language_of(target)
    )
    rows = await session.scalars(found.order_by(ReviewCardRow.created_at, ReviewCardRow.id))
    return [_card(row) for row in rows]


async def put(
    session: AsyncSession,
    *,
    school_id: UUID,
    learner_id: UUID,
    target: str,
    kind: Kind,
    text: str,
    situation: str,
    state: Mapping[str, Any],
    due_at: datetime,
) -> None:
    """Writes a card: a new one, or the next state of the one for this text; ``due_at`` is its state's."""
    row = insert(ReviewCardRow).values(
        school_id=school_id,
        learner_id=learner_id,
        target=language_of(target),
        kind=kind,
        text=text,
        situation=situation,
        state=dict(state),
        due_at=due_at,
    )
    key = [ReviewCardRow.learner_id, ReviewCardRow.target, ReviewCardRow.kind, ReviewCardRow.text]
    await session.execute(
        row.on_conflict_do_update(index_elements=key, set_={"state": row.excluded.state, "due_at": row.excluded.due_at})
    )


def _card(row: ReviewCardRow) -> ReviewCard:
    return ReviewCard(cast("Kind", row.kind), row.text, row.situation, row.state)
