"""Lines: the numbers of a school and what is practised on them. ``by_number`` works before a school is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy import update as sql_update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from db.models import Line, missing_settings

SETTINGS = frozenset(
    {"name", "native", "target", "level", "class_prompt", "scenarios", "open", "model", "texts", "offline"}
    | {"helpline", "safeguarding_number", "minors", "kids", "natives", "targets"}
)
"""What ``update`` may change; a number stays with its line."""

_BY_NUMBER = text("SELECT * FROM line_by_number(:number)")


class NumberTaken(Exception):
    """The number belongs to a line already, perhaps of another school. One sentence for a person."""


@dataclass(frozen=True, slots=True)
class LineFound:
    """A line as the door needs it, together with its school."""

    id: UUID
    school_id: UUID
    number: str
    name: str
    native: str | None
    target: str | None
    level: str | None
    class_prompt: str | None
    scenarios: list[str]
    open: bool
    model: str | None
    texts: bool
    school_name: str
    school_timezone: str
    helpline: str | None = None
    minors: str = "none"
    """The youngest callers: ``none``, ``13+`` or ``under13``; see ``tutor.safety.minors``."""
    kids: bool = False
    natives: list[str] = field(default_factory=list)
    """Languages that callers may be spoken to in; empty: only ``native``."""
    targets: list[str] = field(default_factory=list)
    """Languages that can be practised; empty: only ``target``."""

    @property
    def for_children(self) -> bool:
        """Whether its callers are children; see ``Line.for_children``."""
        return self.kids or self.minors == "under13"

    @property
    def for_minors(self) -> bool:
        """Whether its callers may be under age; see ``Line.for_minors``."""
        return self.kids or self.minors != "none"

    def missing(self) -> list[str]:
        """The names of what is not set: native, target, level, class_prompt, scenarios."""
        return missing_settings(self)

    @property
    def live(self) -> bool:
        """Whether calls are taken: open, and nothing missing."""
        return self.open and not self.missing()


async def by_number(session: AsyncSession, number: str) -> LineFound | None:
    """The line with this E.164 number, of whatever school; works in ``Database.anyone``."""
    row = (await session.execute(_BY_NUMBER, {"number": number})).mappings().one_or_none()
    return LineFound(**row) if row else None


async def add(
    session: AsyncSession,
    *,
    school_id: UUID,
    number: str,
    name: str,
    native: str | None = None,
    target: str | None = None,
    level: str | None = None,
    class_prompt: str | None = None,
    scenarios: Sequence[str] = (),
    open: bool = False,
    model: str | None = None,
    texts: bool = True,
    offline: bool = True,
    natives: Sequence[str] = (),
    targets: Sequence[str] = (),
) -> Line:
    """Adds a line to the school of the session. ``number`` is E.164.

    Raises NumberTaken when any school has the number, which ends the transaction.
    """
    line = Line(
        school_id=school_id,
        number=number,
        name=name,
        native=native,
        target=target,
        level=level,
        class_prompt=class_prompt,
        scenarios=list(scenarios),
        open=open,
        model=model,
        texts=texts,
        offline=offline,
        natives=list(natives),
        targets=list(targets),
    )
    session.add(line)
    try:
        await session.flush()
    except IntegrityError as error:
        raise NumberTaken(f"The number {number} already has a line; change that line with `ringua line set`") from error
    return line


async def get(session: AsyncSession, line_id: UUID) -> Line | None:
    """The line, if it is of the session's school."""
    return await session.get(Line, line_id)


async def may_text(session: AsyncSession, number: str) -> bool:
    """Whether the line with this number, of the session's school, sends text messages."""
    return bool(await session.scalar(select(Line.texts).where(Line.number == number)))


async def safeguarding_number(session: AsyncSession, number: str) -> bytes | None:
    """The safeguarding contact of the line with this number, of the session's school: encrypted (``Keyring``)."""
    return await session.scalar(select(Line.safeguarding_number).where(Line.number == number))


async def list_all(session: AsyncSession) -> list[Line]:
    """The lines of the session's school, by number."""
    return list(await session.scalars(select(Line).order_by(Line.number)))


async def update(session: AsyncSession, line_id: UUID, **changes: Any) -> bool:
    """Changes settings of a line of the session's school; False when there is no such line.

    Raises ValueError for a name that is not in ``SETTINGS``.
    """
    if unknown := sorted(changes.keys() - SETTINGS):
        raise ValueError(f"A line has no setting {', '.join(unknown)}; there are {', '.join(sorted(SETTINGS))}")
    if not changes:
        return await get(session, line_id) is not None
    changed = sql_update(Line).where(Line.id == line_id).values(**changes).returning(Line.id)
    return await session.scalar(changed) is not None
