"""What may be spent and talked: the limits a school has set, which of them hold for a call, and their days and months.

A limit for one line or one learner goes before the one for each. Days and months are the school's, in its time zone.
What is gone of a limit is not known here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, Literal, get_args
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import and_, delete, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from db.models import School
from db.models_money import Budget

Scope = Literal["school", "line", "learner", "call"]
Period = Literal["day", "month", "call"]
Unit = Literal["micro_usd", "s"]

LEARNER_DAY_S: Final = 30 * 60
"""How long each learner may talk in a day unless the school says otherwise (tutoring.md row 117)."""

MOST: Final[dict[Unit, int]] = {"micro_usd": 10**12, "s": 31 * 24 * 3600}
"""A million dollars, a whole month: more is a slip of the pen."""


class LimitRefused(ValueError):
    """A limit cannot be set so. One sentence for a person."""


@dataclass(frozen=True, slots=True)
class Payer:
    """On whose account something is spent or talked, as far as that is known."""

    school_id: UUID
    line_id: UUID | None = None
    learner_id: UUID | None = None
    call_id: UUID | None = None
    caller_hash: bytes | None = None
    """By which the minutes of a guest are counted."""

    def of(self, scope: Scope) -> UUID | None:
        """Whom a limit of this scope is about; None: there is nobody."""
        return {"school": self.school_id, "line": self.line_id, "learner": self.learner_id, "call": self.call_id}[scope]


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time, UTC; ``ends_at`` is the first moment after it."""

    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit that holds for somebody at some time."""

    budget_id: UUID | None
    """None: nobody has set it, it is the default."""
    scope: Scope
    period: Period
    unit: Unit
    amount: int
    """Micro-dollars, or seconds of talk."""
    window: Window | None
    """The day or month it is for; None: one call."""


def window(period: Literal["day", "month"], timezone: str, at: datetime) -> Window:
    """The day or month of ``at`` on the clocks of a time zone (an IANA name).

    It ends when the next one begins there: a day may have 23 or 25 hours. Where clocks are put forward at midnight, the
    day begins with the first moment it has.

    Raises:
        ZoneInfoNotFoundError: there is no such time zone.
        ValueError: ``at`` says no time zone of its own.
    """
    if at.tzinfo is None:
        raise ValueError("window takes an aware time")
    zone = ZoneInfo(timezone)
    first = at.astimezone(zone).date()
    if period == "month":
        first = first.replace(day=1)
        following = (first + timedelta(days=31)).replace(day=1)
    else:
        following = first + timedelta(days=1)
    return Window(_midnight(first, zone), _midnight(following, zone))


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)


async def holding_for(session: AsyncSession, payer: Payer, at: datetime) -> list[Limit]:
    """The limits that hold for somebody at ``at``: one of each scope, period and unit, the most particular one.

    How long a learner may talk in a day is always among them. Works in the session's school.
    """
    set_for = and_(
        Budget.school_id == School.id,
        or_(Budget.line_id.is_(None), Budget.line_id == payer.line_id),
        or_(Budget.learner_id.is_(None), Budget.learner_id == payer.learner_id),
    )
    rows = (await session.execute(select(School.timezone, Budget).outerjoin(Budget, set_for))).all()
    if not rows:
        return []
    timezone = rows[0][0]
    chosen: dict[tuple[str, str, str], Budget] = {}
    for budget in (row[1] for row in rows if row[1] is not None):
        place = (budget.scope, budget.period, budget.unit)
        if place not in chosen or _particular(budget) > _particular(chosen[place]):
            chosen[place] = budget
    limits = [of(budget, timezone, at) for budget in chosen.values()]
    if ("learner", "day", "s") not in chosen:
        limits.append(Limit(None, "learner", "day", "s", LEARNER_DAY_S, window("day", timezone, at)))
    return sorted(limits, key=lambda limit: (limit.scope, limit.period, limit.unit))


def _particular(budget: Budget) -> bool:
    return budget.line_id is not None or budget.learner_id is not None


def of(budget: Budget, timezone: str, at: datetime) -> Limit:
    """A limit as it holds at ``at`` where the clocks show the time of ``timezone``."""
    scope, period, unit = _scope(budget.scope), _period(budget.period), _unit(budget.unit)
    span = None if period == "call" else window(period, timezone, at)
    return Limit(budget.id, scope, period, unit, budget.amount, span)


async def put(
    session: AsyncSession,
    *,
    school_id: UUID,
    scope: str,
    period: str,
    unit: str,
    amount: int,
    line_id: UUID | None = None,
    learner_id: UUID | None = None,
) -> UUID:
    """Sets a limit, or changes it: there is one for the same scope, period, unit, line and learner. Returns its id.

    What was told of its amount stays: people change a limit by `db.limit_changes.put`.

    Args:
        scope: ``line`` and ``learner`` without an id are for each; ``call`` with a line for the calls of that one.
        amount: micro-dollars or seconds, above 0.

    Raises:
        LimitRefused: it makes no sense.
    """
    scope, period, unit = _scope(scope), _period(period), _unit(unit)
    if (scope == "call") != (period == "call"):
        raise LimitRefused("A limit for a call has the period call, and no other limit has.")
    if line_id is not None and scope not in ("line", "call"):
        raise LimitRefused(f"A limit for one line is of the scope line or call, not {scope}.")
    if learner_id is not None and scope != "learner":
        raise LimitRefused(f"A limit for one learner is of the scope learner, not {scope}.")
    if not 0 < amount <= MOST[unit]:
        most = "1,000,000 dollars" if unit == "micro_usd" else "31 days"
        raise LimitRefused(f"A limit is above 0 and at most {most}: to lift one, remove it.")
    row = insert(Budget).values(
        school_id=school_id,
        scope=scope,
        period=period,
        unit=unit,
        amount=amount,
        line_id=line_id,
        learner_id=learner_id,
    )
    places = [Budget.school_id, Budget.scope, Budget.period, Budget.unit, Budget.line_id, Budget.learner_id]
    kept = row.on_conflict_do_update(index_elements=places, set_={"amount": amount}).returning(Budget.id)
    budget_id: UUID | None = await session.scalar(kept)
    assert budget_id is not None
    return budget_id


async def remove(session: AsyncSession, budget_id: UUID) -> bool:
    """Lifts a limit of the session's school, with all that was counted for it; False when there is none of this id."""
    gone = delete(Budget).where(Budget.id == budget_id).returning(Budget.id)
    return await session.scalar(gone.execution_options(synchronize_session=False)) is not None


async def list_all(session: AsyncSession) -> Sequence[Budget]:
    """Every limit that the session's school has set, by scope and period."""
    order = (Budget.scope, Budget.period, Budget.unit, Budget.created_at, Budget.id)
    return (await session.scalars(select(Budget).order_by(*order))).all()


def _scope(name: str) -> Scope:
    for scope in get_args(Scope):
        if scope == name:
            known: Scope = scope
            return known
    raise LimitRefused(f"A limit is for {', '.join(get_args(Scope))}, not {name}.")


def _period(name: str) -> Period:
    for period in get_args(Period):
        if period == name:
            known: Period = period
            return known
    raise LimitRefused(f"A limit's period is {', '.join(get_args(Period))}, not {name}.")


def _unit(name: str) -> Unit:
    for unit in get_args(Unit):
        if unit == name:
            known: Unit = unit
            return known
    raise LimitRefused(f"A limit is in {' or '.join(get_args(Unit))}, not {name}.")
