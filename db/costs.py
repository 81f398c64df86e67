"""What was spent, added up for people: by school, by kind, by learner, today and on an average day of the last week.

Reads the ledger and the calls of the session's school, and changes nothing. A day is the school's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Float, Select, cast, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from db.limits import Window, window
from db.models import Call, School
from db.models_money import LedgerEntry

WEEK_DAYS: Final = 7
"""Over how many whole days before today an average is taken (tutoring.md row 116)."""


@dataclass(frozen=True, slots=True)
class Sum:
    """Money."""

    micro_usd: int = 0
    """What is known."""
    unknown: int = 0
    """How many entries cost an unknown amount."""
    unknown_at_most: int = 0
    """An upper estimate of those."""


@dataclass(frozen=True, slots=True)
class KindSum:
    """Money for one kind of thing."""

    kind: str
    entries: int
    sum: Sum


@dataclass(frozen=True, slots=True)
class LearnerSum:
    """Money and talk of one learner; None: guests, and learners who were forgotten."""

    learner_id: UUID | None
    calls: int
    talk_s: float
    sum: Sum


@dataclass(frozen=True, slots=True)
class Practice:
    """How much was practised."""

    calls: int
    talk_s: float
    tokens: int
    """Audio and text, in and out, of the speech model."""


@dataclass(frozen=True, slots=True)
class Average:
    """An average day."""

    calls: float
    talk_s: float
    tokens: float
    micro_usd: float


async def today(session: AsyncSession, school_id: UUID, at: datetime) -> Window:
    """The school's day at ``at``.

    Raises:
        LookupError: the session is of another school.
    """
    school = await session.get(School, school_id)
    if school is None:
        raise LookupError(f"There is no school {school_id}")
    return window("day", school.timezone, at)


async def last_days(session: AsyncSession, school_id: UUID, at: datetime, days: int) -> Window:
    """Today and the days before it, so many in all; at least 1."""
    until = await today(session, school_id, at)
    school = await session.get(School, school_id)
    assert school is not None
    # From the middle of the day, so that an hour more or less does not miss the day that is meant.
    first = window("day", school.timezone, until.starts_at + timedelta(hours=12) - timedelta(days=days - 1))
    return Window(first.starts_at, until.ends_at)


async def total(session: AsyncSession, span: Window) -> Sum:
    """All that the session's school spent within ``span``."""
    return _sum((await session.execute(_within(select(*_SUMS), span))).one())


async def by_kind(session: AsyncSession, span: Window) -> list[KindSum]:
    """The same by kind, the dearest first."""
    asked = _within(select(LedgerEntry.kind, func.count().label("entries"), *_SUMS), span).group_by(LedgerEntry.kind)
    found = [KindSum(row.kind, row.entries, _sum(row)) for row in (await session.execute(asked)).all()]
    return sorted(found, key=lambda one: (-one.sum.micro_usd, one.kind))


async def by_learner(session: AsyncSession, span: Window) -> list[LearnerSum]:
    """The same by learner, with what they talked; the dearest first. Entries of no learner are one row."""
    asked = _within(select(LedgerEntry.learner_id, *_SUMS), span).group_by(LedgerEntry.learner_id)
    sums = {row.learner_id: _sum(row) for row in (await session.execute(asked)).all()}
    talked = _calls_within(select(Call.learner_id, func.count().label("calls"), _TALK.label("talk_s")), span)
    talks: dict[UUID | None, tuple[int, float]] = {
        row.learner_id: (row.calls, float(row.talk_s))
        for row in (await session.execute(talked.group_by(Call.learner_id))).all()
    }
    found = [
        LearnerSum(learner, *talks.get(learner, (0, 0.0)), sums.get(learner, Sum()))
        for learner in dict.fromkeys((*sums, *talks))
    ]
    return sorted(found, key=lambda one: (-one.sum.micro_usd, str(one.learner_id)))


async def practice(session: AsyncSession, span: Window) -> Practice:
    """How much the session's school practised within ``span``: calls that reached a scene."""
    talked = (await session.execute(_calls_within(select(func.count().label("n"), _TALK.label("s")), span))).one()
    parts = [
        cast(LedgerEntry.quantity[name].astext, Float) for name in ("text_in", "audio_in", "text_out", "audio_out")
    ]
    tokens = await session.scalar(
        _within(select(func.sum(sum((func.coalesce(part, 0) for part in parts), start=_NOTHING))), span).where(
            LedgerEntry.kind == "response"
        )
    )
    return Practice(talked.n, float(talked.s), int(tokens or 0))


async def average(session: AsyncSession, school_id: UUID, at: datetime) -> Average:
    """An average day of the last seven whole ones, today not counted; days without a call count too."""
    until = await today(session, school_id, at)
    week = await last_days(session, school_id, at, WEEK_DAYS + 1)
    span = Window(week.starts_at, until.starts_at)
    done, spent = await practice(session, span), await total(session, span)
    return Average(
        done.calls / WEEK_DAYS, done.talk_s / WEEK_DAYS, done.tokens / WEEK_DAYS, spent.micro_usd / WEEK_DAYS
    )


_TOKENS: Final = ("text_in", "audio_in", "text_out", "audio_out")
_UNKNOWN = LedgerEntry.micro_usd.is_(None)
_NOTHING: ColumnElement[Any] = cast(0, Float)
_SUMS: Sequence[ColumnElement[Any]] = (
    func.coalesce(func.sum(LedgerEntry.micro_usd), 0).label("micro_usd"),
    func.count().filter(_UNKNOWN).label("unknown"),
    func.coalesce(func.sum(LedgerEntry.charged_micro_usd).filter(_UNKNOWN), 0).label("unknown_at_most"),
)
_TALK = func.coalesce(
    func.sum(func.extract("epoch", func.coalesce(Call.ended_at, Call.heartbeat_at) - Call.connected_at)), 0
)


def _within(asked: Select[*tuple[Any, ...]], span: Window) -> Select[*tuple[Any, ...]]:
    return asked.where(LedgerEntry.at >= span.starts_at, LedgerEntry.at < span.ends_at)


def _calls_within(asked: Select[*tuple[Any, ...]], span: Window) -> Select[*tuple[Any, ...]]:
    """Calls that reached a scene, by when they began."""
    return asked.where(
        Call.started_at >= span.starts_at, Call.started_at < span.ends_at, Call.connected_at.is_not(None)
    )


def _sum(row: Any) -> Sum:
    return Sum(int(row.micro_usd), int(row.unknown), int(row.unknown_at_most))
