"""What tests of money share: entries of a known cost, and what the tables say of a budget."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from db import budgets, ledger, limits
from db.engine import Database
from db.ledger import Kind, NewEntry
from db.limits import Payer
from db.models_money import BudgetHold, BudgetPeriod, LedgerEntry
from tests.db.conftest import Place


def entry(key: str, micro_usd: int | None = 1_000, *, kind: Kind = "response", at_most: int = 9_000) -> NewEntry:
    """Something that cost so much."""
    return NewEntry(kind, key, micro_usd, at_most, {"responses": 1, "text_in": 10, "audio_in": 20, "model": "m"})


@dataclass(frozen=True)
class Standing:
    """One period of a budget, and the truth beside it."""

    spent: int
    held: int
    holds: int
    """The sum of what its calls hold."""
    booked: int
    """The sum of what the ledger charges within it."""


async def standings(session: AsyncSession, *, line: bool = False) -> list[Standing]:
    """Every period of the session's school, the earliest first; with ``line`` the ledger of its subject alone."""
    found = []
    for period in (await session.scalars(select(BudgetPeriod).order_by(BudgetPeriod.starts_at, BudgetPeriod.id))).all():
        holds = select(func.coalesce(func.sum(BudgetHold.micro_usd), 0)).where(BudgetHold.period_id == period.id)
        booked = select(func.coalesce(func.sum(LedgerEntry.charged_micro_usd), 0)).where(
            LedgerEntry.at >= period.starts_at, LedgerEntry.at < period.ends_at
        )
        if line:
            booked = booked.where(LedgerEntry.line_id == period.subject)
        await session.refresh(period)
        found.append(
            Standing(
                period.spent, period.held, int(await session.scalar(holds) or 0), int(await session.scalar(booked) or 0)
            )
        )
    return found


async def budget(database: Database, place: Place, amount: int, **values: Any) -> UUID:
    """Sets a limit; a day's of the school in money unless ``values`` say otherwise."""
    given_: dict[str, Any] = {"scope": "school", "period": "day", "unit": "micro_usd", **values}
    async with database.school(place.school_id) as session:
        return await limits.put(session, school_id=place.school_id, amount=amount, **given_)


async def pay(session: AsyncSession, school_id: UUID, line_id: UUID, call_id: UUID) -> None:
    """A row of the school in each table of money: a budget, nearly spent, that a live call holds the rest of."""
    payer, at = Payer(school_id, line_id, call_id=call_id), datetime.now(UTC)
    await limits.put(session, school_id=school_id, scope="school", period="day", unit="micro_usd", amount=1_000)
    periods = await budgets.ready(session, payer, await limits.holding_for(session, payer, at))
    await ledger.book(session, payer, [entry("a", 900)], at=at)
    await budgets.hold_in(session, payer, periods, 100)


def utc(text: str) -> datetime:
    """``2026-11-21 09:00`` as an aware time."""
    return datetime.fromisoformat(f"{text}+00:00")


NOON = utc("2026-11-21 12:00")
DOLLAR = 1_000_000
