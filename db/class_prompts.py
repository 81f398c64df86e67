"""Class prompts by version and date: what a class practises, from which day to which.

The days are the school's, in its time zone. A call keeps the version that was live when it began. Knows no prompt text.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from db.models import Line
from db.models_classwork import ClassPromptVersion
from tutor.script.class_prompt import ClassPrompt, ClassPromptError

log = structlog.get_logger(__name__)


class Held(Protocol):
    """A call, as far as its material goes."""

    @property
    def line_id(self) -> UUID: ...
    @property
    def class_prompt_version(self) -> int | None: ...


class LineUnknown(LookupError):
    """The session's school has no such line."""


def day_in(timezone: str, at: datetime) -> date:
    """Which day it is at the aware time ``at`` for a school in the time zone ``timezone`` (an IANA name).

    Raises:
        ZoneInfoNotFoundError: there is no such time zone.
        ValueError: ``at`` says no time zone of its own.
    """
    if at.tzinfo is None:
        raise ValueError("day_in takes an aware time")
    return at.astimezone(ZoneInfo(timezone)).date()


async def add(
    session: AsyncSession, line_id: UUID, material: ClassPrompt, *, starts_on: date, ends_on: date | None = None
) -> int:
    """Keeps a new version of a line's material and returns its number, from 1.

    ``ends_on`` is the last day it is for; None: until something newer without an end begins. That the material keeps
    within the limits is seen to by ``ClassPrompt`` itself.

    Raises:
        ClassPromptError: it would end before it begins.
        LineUnknown: the line is not of the session's school.
    """
    if ends_on is not None and ends_on < starts_on:
        raise ClassPromptError(
            f"This class prompt cannot be used: it would end on {ends_on}, before it begins on {starts_on}; "
            "choose a later last day."
        )
    # The line's row is locked, so that two who add at once get two numbers.
    line = await session.scalar(select(Line).where(Line.id == line_id).with_for_update(key_share=True))
    if line is None:
        raise LineUnknown(f"There is no line {line_id}")
    newest = select(func.coalesce(func.max(ClassPromptVersion.version), 0)).where(ClassPromptVersion.line_id == line_id)
    version = int(await session.scalar(newest) or 0) + 1
    session.add(
        ClassPromptVersion(
            school_id=line.school_id,
            line_id=line_id,
            version=version,
            starts_on=starts_on,
            ends_on=ends_on,
            theme=material.theme,
            vocabulary=list(material.vocabulary),
            grammar=list(material.grammar),
            must_use=list(material.must_use),
            avoid=list(material.avoid),
            free_text=material.text,
        )
    )
    await session.flush()
    return version


async def live(session: AsyncSession, line_id: UUID, on: date) -> ClassPromptVersion | None:
    """The version for the day ``on`` in the school's time zone; None: the line's standing text holds.

    One with a last day goes before one without, because it was meant for that time; among equals the newest.
    """
    of_the_day = select(ClassPromptVersion).where(
        ClassPromptVersion.line_id == line_id,
        ClassPromptVersion.starts_on <= on,
        or_(ClassPromptVersion.ends_on.is_(None), ClassPromptVersion.ends_on >= on),
    )
    chosen = of_the_day.order_by(ClassPromptVersion.ends_on.is_(None), ClassPromptVersion.version.desc())
    return await session.scalar(chosen.limit(1))


async def history(session: AsyncSession, line_id: UUID) -> Sequence[ClassPromptVersion]:
    """Every version of a line of the session's school, the newest first."""
    versions = select(ClassPromptVersion).where(ClassPromptVersion.line_id == line_id)
    return (await session.scalars(versions.order_by(ClassPromptVersion.version.desc()))).all()


async def of_call(session: AsyncSession, call: Held, standing: str | None) -> ClassPrompt | None:
    """The material a call was begun with; ``standing`` is the line's own text, for a call without a version."""
    if call.class_prompt_version is None:
        return standing_material(standing)
    version = await session.scalar(
        select(ClassPromptVersion).where(
            ClassPromptVersion.line_id == call.line_id, ClassPromptVersion.version == call.class_prompt_version
        )
    )
    return material_of(version) if version is not None else standing_material(standing)


def material_of(version: ClassPromptVersion) -> ClassPrompt:
    """A version as the tutor reads it."""
    return ClassPrompt(
        theme=version.theme,
        vocabulary=tuple(version.vocabulary),
        grammar=tuple(version.grammar),
        text=version.free_text,
        must_use=tuple(version.must_use),
        avoid=tuple(version.avoid),
    )


def standing_material(text: str | None) -> ClassPrompt | None:
    """A line's standing text. It was checked when it was set, so what cannot be read any more is left out."""
    if not text:
        return None
    try:
        return ClassPrompt.parse(text)
    except ClassPromptError as error:
        log.error("class_prompt.unreadable", problem=str(error))
        return None
