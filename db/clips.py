"""Fixed phrases as telephone audio. Who makes them, and what goes into a key, is not known here."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from db.models import Clip


async def get(session: AsyncSession, key: bytes) -> bytes | None:
    """The clip's µ-law bytes at 8 kHz, if the session's school or everyone has it."""
    return await session.scalar(select(Clip.ulaw).where(Clip.key == key))


async def get_many(session: AsyncSession, keys: Sequence[bytes]) -> dict[bytes, bytes]:
    """The clips among these that exist, by key."""
    rows = await session.execute(select(Clip.key, Clip.ulaw).where(Clip.key.in_(keys)))
    return dict(rows.all())


async def put(
    session: AsyncSession,
    key: bytes,
    *,
    text: str,
    language: str,
    voice: str,
    speed: float,
    ulaw: bytes,
    school_id: UUID | None = None,
) -> None:
    """Keeps a clip; one that is there already stays.

    ``school_id`` None shares it with all schools. A school's own clip has its school in the key, or two schools with
    the same phrase would share one row that only the first can see.
    """
    row = insert(Clip).values(
        key=key, school_id=school_id, text=text, language=language, voice=voice, speed=speed, ulaw=ulaw
    )
    await session.execute(row.on_conflict_do_nothing())
