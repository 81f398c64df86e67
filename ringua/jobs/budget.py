"""Tells a school that 70, 90 or 100 per cent of a budget are gone: by mail where that is set up, else in the log.

Once a day or month of the budget and percentage; the row stays for the console either way.
"""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from db import budgets, lines, staff
from db.engine import Database
from db.models import School
from db.models_money import Budget, BudgetAlert, BudgetPeriod
from ringua.costs import dollars
from ringua.mail import Mail

TOLD_ROLES = frozenset({"owner", "teacher"})
"""Who at a school hears of it."""

log = structlog.get_logger(__name__)


async def tell_budget(database: Database, mail: Mail | None, *, school_id: UUID, period_id: int, percent: int) -> None:
    """Tells of one alert, unless that was done; run again, it tells nobody twice.

    Raises:
        MailFailed: the server took nothing; the job is tried again.
    """
    async with database.school(school_id) as session:
        row = (
            await session.execute(
                select(BudgetAlert, BudgetPeriod, Budget, School)
                .join(BudgetPeriod, BudgetPeriod.id == BudgetAlert.period_id)
                .join(Budget, Budget.id == BudgetPeriod.budget_id)
                .join(School, School.id == BudgetAlert.school_id)
                .where(BudgetAlert.period_id == period_id, BudgetAlert.percent == percent)
            )
        ).one_or_none()
        if row is None or row[0].told_at is not None:
            return
        subject, text = await _written(session, row[1], row[2], row[3], percent)
        to = [person.email for person in await staff.list_all(session) if person.role in TOLD_ROLES]
    if mail is None or not to:
        missing = "SMTP_URL is not set" if mail is None else "no owner or teacher of the school is known"
        log.warning("budget.reached", school=str(school_id), budget=str(row[2].id), percent=percent, not_mailed=missing)
        return
    await mail.send(to, subject, text)
    async with database.school(school_id) as session:
        for lower in budgets.PERCENTAGES:
            if lower <= percent:
                await budgets.told(session, period_id, lower)
    log.info("budget.told", school=str(school_id), budget=str(row[2].id), percent=percent)


async def _written(
    session: AsyncSession, period: BudgetPeriod, budget: Budget, school: School, percent: int
) -> tuple[str, str]:
    """Subject and text, in English."""
    line = await lines.get(session, period.subject) if budget.scope == "line" else None
    whose = f"{school.name}, line {line.number}" if line is not None else school.name
    here = period.starts_at.astimezone(ZoneInfo(school.timezone))
    when = f"{here:%Y-%m-%d}" if budget.period == "day" else f"{here:%Y-%m}"
    if budget.unit == "s":
        limit = f"{budget.amount / 60:,g} minutes"
    else:
        limit = f"{dollars(budget.amount)} US dollars, {dollars(period.spent)} spent"
    again = "tomorrow" if budget.period == "day" else "next month"
    concerned = [line] if line is not None else await lines.list_all(session)
    hear = f"callers are asked to ring again {again}"
    if any(one.offline for one in concerned):
        hear = (
            f"callers can listen to phrases and repeat them, without the model, or ring again {again}. What the "
            "carrier takes for that is still spent; `ringua line set NUMBER --no-offline` ends it"
        )
    if percent == budgets.PERCENTAGES[-1]:
        follows = f"{hear[0].upper()}{hear[1:]}. Calls that are going on are ended kindly."
    else:
        follows = f"When all of it is used, {hear}."
    subject = f"{whose}: {percent} % of the budget for {when} is used"
    text = (
        f"{whose} has used {percent} % of its budget for {when} ({limit}; {datetime.now(UTC):%H:%M} UTC).\n"
        f"{follows}\n\nWhoever runs the line sees and changes it with `ringua budget list` and `ringua budget set`.\n"
    )
    return subject, text
