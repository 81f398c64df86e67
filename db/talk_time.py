"""How long somebody has talked, counted from the calls themselves: nothing is kept twice, and nothing can drift.

A call's time runs from its first stream to its end, and while it goes on to its last sign of life. Limits on it come
from outside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from db import budgets
from db.calls import LONGEST_CALL
from db.limits import Limit, Payer, Window
from db.models import Call

SIGN_OF_LIFE_S: Final = 60.0
"""For so long after its last sign of life a call that is not closed may still be going on; one is due every 30 s."""

NOT_COUNTED: Final = frozenset({"model_lost"})
"""Ends that were our fault: the learner keeps those minutes (tutoring.md row 54)."""


@dataclass(frozen=True, slots=True)
class TalkLeft:
    """How long somebody may still talk."""

    s: float
    """From now on; 0 when nothing is left."""
    limit: Limit
    """The limit that is reached first."""


async def used_s(session: AsyncSession, payer: Payer, limit: Limit, span: Window, at: datetime) -> float:
    """Seconds talked within ``span``, until ``at``, by whomever the limit is about; calls of the session's school."""
    alive = func.least(Call.heartbeat_at + timedelta(seconds=SIGN_OF_LIFE_S), at)
    ended = func.least(func.coalesce(Call.ended_at, alive), at)
    began = func.greatest(Call.connected_at, span.starts_at)
    talked = func.sum(func.greatest(ended - began, timedelta()))
    found = select(func.coalesce(func.extract("epoch", talked), 0)).where(
        _whose(payer, limit),
        Call.started_at > span.starts_at - LONGEST_CALL,
        Call.started_at < span.ends_at,
        Call.connected_at.is_not(None),
        func.coalesce(Call.end_reason, "").not_in(NOT_COUNTED),
    )
    return float(await session.scalar(found) or 0)


async def left(session: AsyncSession, payer: Payer, limits: Sequence[Limit], at: datetime) -> TalkLeft | None:
    """How long somebody may still talk from ``at`` on; None when no limit ends that before its day or month is over.

    The call of ``payer`` itself counts as far as it has gone. A limit of the school or of a line that fills up is
    told of, as one in money is.
    """
    least: TalkLeft | None = None
    for limit in limits:
        if limit.unit != "s" or limit.window is None or not _known(payer, limit):
            continue
        used = await used_s(session, payer, limit, limit.window, at)
        await budgets.reached(session, payer, limit, int(used))
        remaining = max(0.0, limit.amount - used)
        if at + timedelta(seconds=remaining) >= limit.window.ends_at:
            continue  # by then another day has begun
        if least is None or remaining < least.s:
            least = TalkLeft(remaining, limit)
    return least


def _known(payer: Payer, limit: Limit) -> bool:
    return payer.of(limit.scope) is not None or (limit.scope == "learner" and payer.caller_hash is not None)


def _whose(payer: Payer, limit: Limit) -> ColumnElement[bool]:
    if limit.scope == "school":
        return Call.school_id == payer.school_id
    if limit.scope == "line":
        return Call.line_id == payer.line_id
    if payer.learner_id is not None:
        return Call.learner_id == payer.learner_id
    # A guest is known by the number alone; learners who share it have minutes of their own.
    return (Call.caller_hash == payer.caller_hash) & Call.learner_id.is_(None)
