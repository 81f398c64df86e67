"""How long a school keeps what, and whom it tells: its own answer, or the defaults of a school that gave none."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from db.models_keeping import SchoolPolicy

RANGES: Final = {
    "transcript_days": (0, 365),
    "metrics_days": (30, 800),
    "learner_days": (30, 3650),
    "audio_hours": (0, 24),
}
"""The least and the most of each (tutoring.md §6.3)."""


class PolicyRefused(ValueError):
    """A policy that cannot be. One sentence for a person."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What a school keeps."""

    transcript_days: int = 90
    """What was said, and quotes of it; 0: none of it is ever stored."""
    metrics_days: int = 400
    """Everything of a call beside its time and cost."""
    learner_days: int = 730
    """A learner of whom nothing was heard for so long is forgotten: nothing about children is kept without end."""
    audio_hours: int = 0
    """The sound of calls, of adults who agreed to it; 0: none."""
    show_transcript: bool = True
    """Whether the page after a call shows what was said."""
    trust_numbers: bool = False
    """Whether the role is told of earlier calls when only the number that calls says who it is; see ``MenuRecord``."""

    @property
    def words_last(self) -> timedelta:
        """How long after a call its words go."""
        return timedelta(days=self.transcript_days)

    @property
    def figures_last(self) -> timedelta:
        """How long after a call its figures go, and with them whose call it was."""
        return timedelta(days=self.metrics_days)

    @property
    def learners_last(self) -> timedelta:
        """How long a learner is remembered who does not call."""
        return timedelta(days=self.learner_days)


async def of_school(session: AsyncSession) -> Policy:
    """The policy of the session's school."""
    row = await session.scalar(select(SchoolPolicy).execution_options(populate_existing=True))
    if row is None:
        return Policy()
    return Policy(**{name: getattr(row, name) for name in asdict(Policy())})


async def change(session: AsyncSession, school_id: UUID, **changes: Any) -> Policy:
    """Changes what is given of the school's policy, the session's; returns it as it is now.

    What is kept too long by the new policy goes with the next sweep; what is gone does not come back.

    Raises:
        PolicyRefused: something is out of its range, or words would be kept longer than figures.
    """
    for name, value in changes.items():
        least, most = RANGES.get(name, (0, 1))
        if not least <= int(value) <= most:
            raise PolicyRefused(f"{name} is {value}: it must be {least} to {most}.")
    policy = replace(await of_school(session), **changes)
    if policy.transcript_days > policy.metrics_days:
        raise PolicyRefused(
            f"Transcripts would be kept for {policy.transcript_days} days and figures for {policy.metrics_days}: "
            "keep figures at least as long, because words go first."
        )
    values = asdict(policy)
    row = insert(SchoolPolicy).values(school_id=school_id, **values)
    await session.execute(
        row.on_conflict_do_update(index_elements=[SchoolPolicy.school_id], set_={**values, "updated_at": func.now()})
    )
    return policy
