"""The audit: who did what at a school, and when. Lines are added and never changed, and they name nobody.

Works in the session's school. What is worth a line is not known here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from db.models_keeping import AuditEntry

SYSTEM: Final = "system"
"""The actor of what is done by the clock."""
COMMAND_LINE: Final = "command line"
LEARNER: Final = "learner"
"""Somebody who did it themselves, on the page behind their link."""

_PLAIN = re.compile(r"[a-z][a-z_ ]{0,39}|[0-9a-f]{8}-[0-9a-f-]{27}|(staff):[0-9a-f]{8}-[0-9a-f-]{27}")

Plain = str | int | bool | None


async def record(
    session: AsyncSession,
    school_id: UUID,
    *,
    actor: str,
    action: str,
    subject: str,
    data: Mapping[str, Plain] | None = None,
) -> None:
    """Adds one line.

    Args:
        actor: one of the names above, or ``staff:`` and an id.
        action: what was done, as a verb: ``forget``.
        subject: to what kind of thing: ``learner``.
        data: counts, settings and ids; no word of anybody's.

    Raises:
        ValueError: a text is none of these: it could be somebody's name, number or words.
    """
    given = dict(data or {})
    for text in (actor, action, subject, *given.keys(), *(value for value in given.values() if isinstance(value, str))):
        if not _PLAIN.fullmatch(text):
            raise ValueError("The audit holds small plain words, ids and numbers, and nothing that names anybody.")
    await session.execute(
        insert(AuditEntry).values(school_id=school_id, actor=actor, action=action, subject=subject, data=given)
    )


async def latest(session: AsyncSession, limit: int = 100) -> list[AuditEntry]:
    """The newest lines of the session's school, the newest first."""
    lines = select(AuditEntry).order_by(AuditEntry.at.desc(), AuditEntry.id.desc()).limit(limit)
    return list(await session.scalars(lines))
