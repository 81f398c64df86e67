"""Where a learner stands in a language, and how hard scenes turned out to be. How both move, ``placement`` knows.

A rating is read, changed and written under the learner's row, so that calls and teachers never overwrite each other.
The learner's own level follows it. In the session's school.
"""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from db.models import Learner
from db.models_learning import LearnerRating, ScenarioDifficulty
from db.observations import hold, language_of
from tutor.learning import placement
from tutor.learning.placement import Difficulty, Rating


async def get(session: AsyncSession, learner_id: UUID, target: str) -> Rating | None:
    """The learner's rating in a language; None before their first call in it."""
    found = select(LearnerRating.state).where(
        LearnerRating.learner_id == learner_id, LearnerRating.target == language_of(target)
    )
    kept = await session.scalar(found)
    return Rating.read(kept) if kept is not None else None


async def taken(session: AsyncSession, learner_id: UUID, target: str, *, level: str) -> Rating | None:
    """The rating, to be changed: nobody else changes it before the transaction ends. None: the learner is gone.

    ``level`` is where a learner without one begins. Raises ValueError when there is no such level.
    """
    if not await hold(session, learner_id):
        return None
    return await get(session, learner_id, target) or Rating.start(level)


async def put(session: AsyncSession, *, school_id: UUID, learner_id: UUID, target: str, rating: Rating) -> None:
    """Writes a rating that was ``taken``. The level of a learner of this language follows."""
    tag = language_of(target)
    row = insert(LearnerRating).values(
        learner_id=learner_id, target=tag, school_id=school_id, theta=rating.theta, state=rating.write()
    )
    changed = {"theta": row.excluded.theta, "state": row.excluded.state, "updated_at": func.now()}
    key = [LearnerRating.learner_id, LearnerRating.target]
    await session.execute(row.on_conflict_do_update(index_elements=key, set_=changed))
    await session.execute(
        update(Learner)
        .where(Learner.id == learner_id, func.split_part(Learner.target, "-", 1) == tag, Learner.level != rating.level)
        .values(level=rating.level)
        .execution_options(synchronize_session=False)
    )


async def set_level(
    session: AsyncSession, learner_id: UUID, target: str, level: str, *, locked: bool = False
) -> Rating | None:
    """A teacher, or the learner, chooses the level; with ``locked`` it stays. None: there is no such learner.

    Raises ValueError when there is no such level.
    """
    return await _change(session, learner_id, target, lambda now: placement.set_level(now, level, locked=locked), level)


async def lock(session: AsyncSession, learner_id: UUID, target: str, *, locked: bool) -> Rating | None:
    """A teacher keeps the level where it is, or lets it go again. None: the learner has no rating in this language."""

    def change(now: Rating) -> Rating:
        return placement.set_level(now, now.level, locked=True) if locked else placement.unlocked(now)

    return await _change(session, learner_id, target, change)


async def answered(session: AsyncSession, learner_id: UUID, target: str, *, yes: bool) -> Rating | None:
    """The learner was asked whether they want the next level (``Rating.ready_for``); silence is no.

    A repeated answer changes nothing. None: the learner has no rating in this language.
    """
    return await _change(session, learner_id, target, lambda now: placement.answered(now, yes))


async def _change(
    session: AsyncSession, learner_id: UUID, target: str, change: Callable[[Rating], Rating], start: str | None = None
) -> Rating | None:
    held = await session.scalar(select(Learner).where(Learner.id == learner_id).with_for_update(key_share=True))
    now = await get(session, learner_id, target)
    if now is None and start is not None:
        now = Rating.start(start)
    if held is None or now is None:
        return None
    changed = change(now)
    await put(session, school_id=held.school_id, learner_id=learner_id, target=target, rating=changed)
    return changed


# --- scenes


async def taken_difficulty(session: AsyncSession, school_id: UUID, scenario: str) -> Difficulty:
    """What is known of a scene, to be changed: nobody else changes it before the transaction ends."""
    row = insert(ScenarioDifficulty).values(school_id=school_id, scenario=scenario, plays=0, shift=0.0)
    await session.execute(row.on_conflict_do_nothing())
    found = select(ScenarioDifficulty.plays, ScenarioDifficulty.shift).where(ScenarioDifficulty.scenario == scenario)
    return Difficulty(*(await session.execute(found.with_for_update())).one())


async def difficulties(session: AsyncSession) -> dict[str, Difficulty]:
    """What is known of every scene that was rated at the session's school."""
    rows = await session.scalars(select(ScenarioDifficulty))
    return {row.scenario: Difficulty(row.plays, row.shift) for row in rows}


async def put_difficulty(session: AsyncSession, scenario: str, difficulty: Difficulty) -> None:
    """Writes what is known of a scene whose difficulty was ``taken``."""
    await session.execute(
        update(ScenarioDifficulty)
        .where(ScenarioDifficulty.scenario == scenario)
        .values(plays=difficulty.plays, shift=difficulty.offset, updated_at=func.now())
        .execution_options(synchronize_session=False)
    )
