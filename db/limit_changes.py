"""How a limit is set or changed: with its amount, what was told of it changes in the same transaction.

What a limit is, and which hold, is known in ``db.limits``; who is told, and how, is not known here.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from db import budgets, limits, talk_time
from db.limits import Payer, Window
from db.models import School
from db.models_money import Budget, BudgetPeriod


async def put(session: AsyncSession, *, school_id: UUID, at: datetime | None = None, **limit: Any) -> UUID:
    """Sets a limit, or changes it, as `limits.put`; what is not reached any more is told anew when it is. Returns its
    id.

    Alerts of 70, 90 or 100 per cent that the new amount puts out of reach are taken back in the days and months that
    are going on. Those that a lower amount brings within reach are told when something is spent the next time.

    Args:
        at: which days and months are going on; None: now.
        limit: what `limits.put` takes.

    Raises:
        LimitRefused: it makes no sense.
    """
    at = at or datetime.now(UTC)
    # Whoever spends at this moment has written its alerts, or will see the new amount.
    await budgets.close_books(session, school_id)
    budget_id = await limits.put(session, school_id=school_id, **limit)
    going_on = (
        select(BudgetPeriod, Budget, School.timezone)
        .join(Budget, Budget.id == BudgetPeriod.budget_id)
        .join(School, School.id == Budget.school_id)
        .where(Budget.id == budget_id, Budget.scope.in_(("school", "line")))
        .where(BudgetPeriod.starts_at <= at, BudgetPeriod.ends_at > at)
        .execution_options(populate_existing=True)
    )
    for period, budget, timezone in (await session.execute(going_on)).all():
        used = await _used(session, period, budget, timezone, at)
        await budgets.take_back(session, period.id, used=used, amount=budget.amount)
    return budget_id


async def _used(session: AsyncSession, period: BudgetPeriod, budget: Budget, timezone: str, at: datetime) -> int:
    """Micro-dollars, or whole seconds of talk."""
    if budget.unit == "micro_usd":
        return period.spent
    payer = Payer(period.school_id, period.subject if budget.scope == "line" else None)
    limit = limits.of(budget, timezone, at)
    return int(await talk_time.used_s(session, payer, limit, Window(period.starts_at, period.ends_at), at))
