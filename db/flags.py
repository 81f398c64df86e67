"""Safety flags: an audit of what in calls people must look at. Rows are added and dated, never changed or deleted.

They say which rule found something and what was done, and hold nothing that was said. Who is told, and how, is not
known here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from db import jobs
from db.models import Call
from db.models_safety import SafetyFlag
from tutor.safety.screen import Finding
from tutor.safety.words import Action, Category

JOB: Final = "messages.safeguarding"
"""The job that tells a school's safeguarding contact of a call."""

TOLD_OF: Final[frozenset[Action]] = frozenset({"stop", "care"})
"""Actions the contact is told of; key 9 is told of as well."""

Source = Literal["words", "moderation", "key"]


@dataclass(frozen=True, slots=True)
class NewFlag:
    """Something to be remembered of a call."""

    at_ms: int
    """From the start of the call's media."""
    category: Category
    action: Action
    source: Source
    rule: str

    @classmethod
    def of(cls, finding: Finding, at_ms: int) -> NewFlag:
        """What the call's guard found."""
        source: Source = "moderation" if finding.rule.startswith("moderation/") else "words"
        return cls(at_ms, finding.category, finding.action, source, finding.rule)

    @classmethod
    def key(cls, at_ms: int) -> NewFlag:
        """The caller pressed 9: something made them uncomfortable."""
        return cls(at_ms, "report", "stop", "key", "key/9")

    @property
    def must_be_told(self) -> bool:
        """Whether the school's contact hears of it."""
        return self.action in TOLD_OF or self.source == "key"


async def add_many(session: AsyncSession, school_id: UUID, call_id: UUID, flags: Sequence[NewFlag]) -> None:
    """Writes the flags of a call; nobody is told by it."""
    if not flags:
        return
    rows = [
        {
            "school_id": school_id,
            "call_id": call_id,
            "at_ms": flag.at_ms,
            "category": flag.category,
            "action": flag.action,
            "source": flag.source,
            "rule": flag.rule,
        }
        for flag in flags
    ]
    await session.execute(insert(SafetyFlag), rows)


async def record(session: AsyncSession, call_id: UUID, flags: Sequence[NewFlag]) -> None:
    """Writes the flags of a call and, in the same transaction, the job that tells the contact where one must be told.

    For a call of the session's school that may still be going on; several times for one call, as flags come.

    Raises LookupError when the school has no such call.
    """
    if not flags:
        return
    school_id = await session.scalar(select(Call.school_id).where(Call.id == call_id))
    if school_id is None:
        raise LookupError(f"There is no call {call_id} in this school")
    await add_many(session, school_id, call_id, flags)
    if any(flag.must_be_told for flag in flags):
        await jobs.defer(session, JOB, school_id=str(school_id), call_id=str(call_id))


async def of_call(session: AsyncSession, call_id: UUID) -> list[SafetyFlag]:
    """The flags of a call of the session's school, in the order of the call."""
    found = select(SafetyFlag).where(SafetyFlag.call_id == call_id)
    return list(await session.scalars(found.order_by(SafetyFlag.at_ms, SafetyFlag.created_at, SafetyFlag.id)))


async def unheard(session: AsyncSession, older_than: timedelta) -> list[SafetyFlag]:
    """Flags of the session's school that must be told and were not, for at least so long; the oldest first."""
    waiting = select(SafetyFlag).where(
        SafetyFlag.told_at.is_(None), SafetyFlag.created_at <= func.now() - older_than, _to_be_told()
    )
    return list(await session.scalars(waiting.order_by(SafetyFlag.created_at, SafetyFlag.at_ms)))


async def told(session: AsyncSession, call_id: UUID) -> int:
    """Dates the flags of a call: somebody knows of them now. Returns how many that were; a date stays as it is."""
    dated = (
        update(SafetyFlag)
        .where(SafetyFlag.call_id == call_id, SafetyFlag.told_at.is_(None), _to_be_told())
        .values(told_at=func.now())
        .returning(SafetyFlag.id)
        .execution_options(synchronize_session=False)
    )
    return len((await session.scalars(dated)).all())


def _to_be_told() -> ColumnElement[bool]:
    return or_(SafetyFlag.action.in_(TOLD_OF), SafetyFlag.source == "key")
