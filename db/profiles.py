"""What the next call of a learner in a language should be like: one row each, rewritten whenever it is worked out anew.

What the parameters mean is not known here. In the session's school.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from db.models_learning import LearnerProfile
from db.observations import language_of


@dataclass(frozen=True, slots=True)
class NewProfile:
    """A profile as it is to be kept."""

    learner_id: UUID
    target: str
    parameters: Mapping[str, Any]
    """JSON values."""


async def get(session: AsyncSession, learner_id: UUID, target: str) -> dict[str, Any] | None:
    """The learner's parameters in a language; None before they were worked out."""
    found = select(LearnerProfile.parameters).where(
        LearnerProfile.learner_id == learner_id, LearnerProfile.target == language_of(target)
    )
    return await session.scalar(found)


async def put(session: AsyncSession, school_id: UUID, profiles: list[NewProfile], *, analysed_at: datetime) -> None:
    """Writes profiles over what was kept before, in one statement; a later analysis is never overwritten.

    Two who write the same profiles wait for each other instead of failing, because rows are taken in their order.
    """
    if not profiles:
        return
    rows = [
        {
            "learner_id": profile.learner_id,
            "target": language_of(profile.target),
            "school_id": school_id,
            "parameters": dict(profile.parameters),
            "analysed_at": analysed_at,
        }
        for profile in sorted(profiles, key=lambda profile: (profile.learner_id, language_of(profile.target)))
    ]
    row = insert(LearnerProfile).values(rows)
    newer = row.on_conflict_do_update(
        index_elements=[LearnerProfile.learner_id, LearnerProfile.target],
        set_={"parameters": row.excluded.parameters, "analysed_at": row.excluded.analysed_at},
        where=LearnerProfile.analysed_at <= row.excluded.analysed_at,
    )
    await session.execute(newer)
