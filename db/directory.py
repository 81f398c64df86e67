"""Who is who at a school: learners found by what a person knows of them, and what a school may change about them.

Works in the session's school. The two last digits are all of a number that is known here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Select, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from db.models import Call, CallerIdentity, Learner

COLUMNS: Final = frozenset({"native", "target", "level", "first_name"})
"""What ``change`` sets on the learner; everything else goes into their settings."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A learner as a list shows them."""

    learner: Learner
    last_two: tuple[str, ...]
    """The last two digits of their telephones."""
    calls: int
    """Of those that still say whose they were."""
    last_call: datetime | None


async def find(
    session: AsyncSession,
    *,
    learner_id: UUID | None = None,
    last_two: str | None = None,
    first_name: str | None = None,
    limit: int = 200,
) -> list[Entry]:
    """The learners of whom all that is given is true, the oldest first; without anything, all.

    Args:
        learner_id: their id.
        last_two: the last two digits of a telephone of theirs.
        first_name: however it is written.
        limit: at most so many.
    """
    found: Select[Learner] = select(Learner).order_by(Learner.created_at, Learner.id).limit(limit)
    if learner_id is not None:
        found = found.where(Learner.id == learner_id)
    if last_two is not None:
        phone = select(CallerIdentity.id).where(CallerIdentity.learner_id == Learner.id)
        found = found.where(phone.where(CallerIdentity.last_two == last_two).exists())
    if first_name is not None:
        found = found.where(func.lower(Learner.first_name) == first_name.strip().lower())
    learners = (await session.scalars(found.execution_options(populate_existing=True))).all()
    ids = [learner.id for learner in learners]
    phones: dict[UUID, list[str]] = {}
    numbers = select(CallerIdentity.learner_id, CallerIdentity.last_two).where(CallerIdentity.learner_id.in_(ids))
    for owner, digits in await session.execute(numbers.order_by(CallerIdentity.last_two)):
        phones.setdefault(owner, []).append(digits)
    called = select(Call.learner_id, func.count(), func.max(Call.started_at)).where(Call.learner_id.in_(ids))
    calls = {row[0]: (row[1], row[2]) for row in (await session.execute(called.group_by(Call.learner_id)))}
    return [
        Entry(learner, tuple(phones.get(learner.id, ())), *calls.get(learner.id, (0, learner.heard_at)))
        for learner in learners
    ]


async def change(session: AsyncSession, learner_id: UUID, changes: Mapping[str, Any]) -> bool:
    """Changes what is given of a learner; False when there is none with this id.

    Names in ``COLUMNS`` are the learner's own, others are settings, of which None takes one away. What may be set to
    what is not known here. A level that is set so is not yet their rating's: see ``ratings.set_level``.
    """
    learner = await session.scalar(
        select(Learner).where(Learner.id == learner_id).with_for_update().execution_options(populate_existing=True)
    )
    if learner is None:
        return False
    own = {name: value for name, value in changes.items() if name in COLUMNS}
    settings = dict(learner.settings) | {name: value for name, value in changes.items() if name not in COLUMNS}
    kept = {name: value for name, value in settings.items() if value is not None}
    await session.execute(
        update(Learner)
        .where(Learner.id == learner_id)
        .values(settings=kept, **own)
        .execution_options(synchronize_session=False)
    )
    await session.refresh(learner)
    return True
