"""Money budgets while they are used: what is spent of a day or month, and what live calls hold of it.

A call takes money out of its budgets before it spends it, and spends what it holds first. Together, all calls never
hold more than there is, so that what is spent beyond a budget is at most what each live call spends beyond its own
hold: the one response that it learns the price of when it is over. Every change is one statement that locks its rows
in the order of their ids; any number of processes do so at once. Within a transaction the order is `ready`, then
`db.ledger.book`, then `hold_in` or `release`: who holds rows may not wait for the books.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Select, delete, func, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from db import jobs
from db.limits import Limit, Payer, Period, Scope, holding_for
from db.models_money import Budget, BudgetAlert, BudgetPeriod, LedgerEntry

JOB: Final = "messages.budget"
"""The job that tells a school how much of a budget is gone."""

PERCENTAGES: Final = (70, 90, 100)

_BOOKS_LOCK: Final = 7_101_004
"""With a school: whoever books shares it, whoever begins a new period has it alone, so that no entry is missed."""

_SHARE = text("SELECT pg_advisory_xact_lock_shared(:lock, hashtext(:school))")
_ALONE = text("SELECT pg_advisory_xact_lock(:lock, hashtext(:school))")

_PAY = text(
    """
    WITH paid AS MATERIALIZED (
        SELECT p.id, coalesce(h.micro_usd, 0) AS held, b.amount, b.scope
        FROM budget_periods p JOIN budgets b ON b.id = p.budget_id AND b.unit = 'micro_usd'
        LEFT JOIN budget_holds h ON h.period_id = p.id AND h.call_id = CAST(:call AS uuid)
        WHERE p.subject = ANY(CAST(:subjects AS uuid[])) AND p.starts_at <= :at AND p.ends_at > :at
        ORDER BY p.id FOR UPDATE OF p
    ), taken AS (
        UPDATE budget_holds h SET micro_usd = h.micro_usd - least(h.micro_usd, greatest(0, :cost))
        FROM paid WHERE h.period_id = paid.id AND h.call_id = CAST(:call AS uuid)
    )
    UPDATE budget_periods p SET spent = p.spent + :cost, held = p.held - least(paid.held, greatest(0, :cost))
    FROM paid WHERE p.id = paid.id
    RETURNING p.id, p.spent, paid.amount, paid.scope
    """
)

_HOLD = text(
    """
    WITH purse AS MATERIALIZED (
        SELECT p.id, coalesce(h.micro_usd, 0) AS held,
               b.amount - p.spent - p.held + coalesce(h.micro_usd, 0) AS room
        FROM budget_periods p JOIN budgets b ON b.id = p.budget_id
        LEFT JOIN budget_holds h ON h.period_id = p.id AND h.call_id = CAST(:call AS uuid)
        WHERE p.id = ANY(CAST(:periods AS bigint[]))
        ORDER BY p.id FOR UPDATE OF p
    ), given AS (
        SELECT greatest(0, least(:want, min(room))) AS micro_usd FROM purse
    ), kept AS (
        INSERT INTO budget_holds (period_id, call_id, school_id, micro_usd)
        SELECT purse.id, CAST(:call AS uuid), CAST(:school AS uuid), given.micro_usd FROM purse, given
        ON CONFLICT (period_id, call_id) DO UPDATE SET micro_usd = excluded.micro_usd
    )
    UPDATE budget_periods p SET held = p.held - purse.held + given.micro_usd
    FROM purse, given WHERE p.id = purse.id
    RETURNING given.micro_usd
    """
)

_RELEASE = text(
    """
    WITH mine AS MATERIALIZED (
        SELECT p.id, h.micro_usd FROM budget_periods p JOIN budget_holds h ON h.period_id = p.id
        WHERE h.call_id = :call AND p.id <> ALL(CAST(:besides AS bigint[]))
        ORDER BY p.id FOR UPDATE OF p
    ), gone AS (
        DELETE FROM budget_holds h USING mine WHERE h.period_id = mine.id AND h.call_id = :call
    )
    UPDATE budget_periods p SET held = p.held - mine.micro_usd FROM mine WHERE p.id = mine.id
    """
)


@dataclass(frozen=True, slots=True)
class Held:
    """What a call may spend from now on."""

    micro_usd: int
    full: bool
    """Whether that is all it asked for."""


async def ready(session: AsyncSession, payer: Payer, limits: Sequence[Limit]) -> list[int]:
    """The ids of the days and months of the money budgets among ``limits``; begins those that have not.

    One that begins has spent already what the ledger holds of it. To be asked before anything is booked in the same
    transaction, because beginning one waits until all others have booked.
    """
    wanted = [(limit, subject) for limit in limits if (subject := _counted(limit, payer)) is not None]
    if not wanted:
        return []
    known = await _periods(session, wanted)
    # Only these: adding up what a month has spent takes as long as the month is full.
    missing = [(limit, subject) for limit, subject in wanted if _key(limit, subject) not in known]
    if missing:
        await close_books(session, payer.school_id)
        for limit, subject in missing:
            await _begin(session, payer, limit, subject)
        known = await _periods(session, wanted)
    return sorted(known.values())


async def hold(session: AsyncSession, payer: Payer, want_micro_usd: int, at: datetime) -> Held | None:
    """Sets aside, in every budget of a live call, what it may spend from now on: so much, or what is left.

    What it held before is counted in: it asks for the whole, not for more. None: no budget holds for it.
    """
    periods = await ready(session, payer, await holding_for(session, payer, at))
    return await hold_in(session, payer, periods, want_micro_usd)


async def hold_in(session: AsyncSession, payer: Payer, periods: Sequence[int], want_micro_usd: int) -> Held | None:
    """The same as `hold`, in the periods that `ready` gave; those of yesterday are let go."""
    await session.execute(_RELEASE, {"call": payer.call_id, "besides": list(periods)})
    if not periods:
        return None
    values = {
        "call": payer.call_id,
        "school": payer.school_id,
        "periods": list(periods),
        "want": want_micro_usd,
    }
    given = (await session.scalars(_HOLD, values)).first()
    if given is None:
        return None
    return Held(int(given), int(given) >= want_micro_usd)


async def release(session: AsyncSession, call_id: UUID) -> None:
    """Gives back what a call still holds: it is over."""
    await session.execute(_RELEASE, {"call": call_id, "besides": []})


async def share_books(session: AsyncSession, school_id: UUID) -> None:
    """To be called before an entry is written and `spend` counts it, in their transaction."""
    await session.execute(_SHARE, _lock(school_id))


async def close_books(session: AsyncSession, school_id: UUID) -> None:
    """To be called first in a transaction that nobody may book beside; it waits until all others have booked."""
    await session.execute(_ALONE, _lock(school_id))


async def spend(session: AsyncSession, payer: Payer, micro_usd: int, at: datetime) -> None:
    """Counts what was spent, in every budget it belongs to; what the call holds goes first.

    It is spent already, so it is never refused; crossing 70, 90 and 100 per cent of a budget of the school or a line
    is written down and told, once a day or month and amount (``db.limit_changes``).
    """
    subjects = [subject for subject in (payer.school_id, payer.line_id, payer.learner_id) if subject is not None]
    values = {"call": payer.call_id, "subjects": subjects, "at": at, "cost": micro_usd}
    for row in (await session.execute(_PAY, values)).all():
        if row.scope in ("school", "line"):
            await _alert(session, payer.school_id, row.id, spent=row.spent, amount=row.amount)


async def room(
    session: AsyncSession, periods: Sequence[int], *, scope: Scope | None = None, period: Period | None = None
) -> int | None:
    """How much no call holds in the fullest of these periods, in micro-dollars; None without any. Locks nothing.

    With ``scope`` and ``period`` only budgets of those count.
    """
    free = Budget.amount - BudgetPeriod.spent - BudgetPeriod.held
    found = select(func.min(free)).join(Budget, Budget.id == BudgetPeriod.budget_id)
    if scope is not None:
        found = found.where(Budget.scope == scope)
    if period is not None:
        found = found.where(Budget.period == period)
    least = await session.scalar(found.where(BudgetPeriod.id.in_(periods)))
    return None if least is None else int(least)


async def reached(session: AsyncSession, payer: Payer, limit: Limit, used: int) -> None:
    """So much of a limit in minutes is used, in seconds: alerts of the school and of lines are as those for money."""
    subject = payer.of(limit.scope)
    if limit.scope not in ("school", "line") or limit.budget_id is None or limit.window is None or subject is None:
        return
    if used * 100 < limit.amount * PERCENTAGES[0]:
        return
    known = await _periods(session, [(limit, subject)])
    if not known:
        await _begin(session, payer, limit, subject)
        known = await _periods(session, [(limit, subject)])
    await _alert(session, payer.school_id, known[_key(limit, subject)], spent=used, amount=limit.amount)


async def refused(session: AsyncSession, school_id: UUID, periods: Sequence[int], least_micro_usd: int) -> None:
    """A call was turned away because less than that was left: the budget counts as gone, which is told once."""
    free = Budget.amount - BudgetPeriod.spent - BudgetPeriod.held
    full = (
        select(BudgetPeriod.id, Budget.amount)
        .join(Budget, Budget.id == BudgetPeriod.budget_id)
        .where(BudgetPeriod.id.in_(periods), Budget.scope.in_(("school", "line")), free < least_micro_usd)
    )
    for row in (await session.execute(full)).all():
        await _alert(session, school_id, row.id, spent=row.amount, amount=row.amount)


async def take_back(session: AsyncSession, period_id: int, *, used: int, amount: int) -> None:
    """Forgets the alerts of a period that are not reached with so much used of this amount: they may come again."""
    unreached = delete(BudgetAlert).where(BudgetAlert.period_id == period_id, BudgetAlert.percent * amount > used * 100)
    await session.execute(unreached.execution_options(synchronize_session=False))


async def standing(session: AsyncSession, payer: Payer, limit: Limit) -> tuple[int, int]:
    """What is spent and what is held of a money budget in its present day or month, for whomever it is about."""
    subject = _counted(limit, payer)
    if subject is None or limit.window is None:
        return 0, 0
    found = select(BudgetPeriod.spent, BudgetPeriod.held).where(
        BudgetPeriod.budget_id == limit.budget_id,
        BudgetPeriod.subject == subject,
        BudgetPeriod.starts_at == limit.window.starts_at,
    )
    row = (await session.execute(found)).one_or_none()
    if row is not None:
        return int(row.spent), int(row.held)
    return int(await session.scalar(_booked(limit, subject)) or 0), 0


async def told(session: AsyncSession, period_id: int, percent: int) -> bool:
    """Dates an alert of the session's school: somebody was told. False when that was done before."""
    dated = (
        update(BudgetAlert)
        .where(BudgetAlert.period_id == period_id, BudgetAlert.percent == percent, BudgetAlert.told_at.is_(None))
        .values(told_at=func.now())
        .returning(BudgetAlert.period_id)
        .execution_options(synchronize_session=False)
    )
    return await session.scalar(dated) is not None


async def alerts(session: AsyncSession, *, since: datetime) -> list[tuple[BudgetAlert, BudgetPeriod, Budget]]:
    """The alerts of the session's school, the newest first: for the console."""
    found = (
        select(BudgetAlert, BudgetPeriod, Budget)
        .join(BudgetPeriod, BudgetPeriod.id == BudgetAlert.period_id)
        .join(Budget, Budget.id == BudgetPeriod.budget_id)
        .where(BudgetAlert.at >= since)
        .order_by(BudgetAlert.at.desc(), BudgetAlert.percent.desc())
    )
    return [(row[0], row[1], row[2]) for row in (await session.execute(found)).all()]


async def _alert(session: AsyncSession, school_id: UUID, period_id: int, *, spent: int, amount: int) -> None:
    """Writes the alerts that are due and new; one message tells of the highest."""
    due = [percent for percent in PERCENTAGES if spent * 100 >= amount * percent]
    if not due:
        return
    rows = [{"period_id": period_id, "percent": percent, "school_id": school_id} for percent in due]
    fresh = insert(BudgetAlert).values(rows).on_conflict_do_nothing().returning(BudgetAlert.percent)
    reached = max((await session.scalars(fresh)).all(), default=None)
    if reached is not None:
        await jobs.defer(session, JOB, school_id=str(school_id), period_id=period_id, percent=reached)


def _counted(limit: Limit, payer: Payer) -> UUID | None:
    """Whom a money budget counts for here; None: it is of minutes, of one call, or of nobody who is known."""
    if limit.unit != "micro_usd" or limit.window is None or limit.budget_id is None:
        return None
    return payer.of(limit.scope)


_Key = tuple[UUID | None, UUID, datetime | None]
"""What there is one period of: the budget, whom it is about, when it begins."""


def _key(limit: Limit, subject: UUID) -> _Key:
    return limit.budget_id, subject, limit.window.starts_at if limit.window is not None else None


async def _periods(session: AsyncSession, wanted: Sequence[tuple[Limit, UUID]]) -> dict[_Key, int]:
    """The ids of those that have begun."""
    columns = (BudgetPeriod.budget_id, BudgetPeriod.subject, BudgetPeriod.starts_at)
    keys = [_key(limit, subject) for limit, subject in wanted]
    rows = await session.execute(select(BudgetPeriod.id, *columns).where(tuple_(*columns).in_(keys)))
    return {(row.budget_id, row.subject, row.starts_at): row.id for row in rows}


async def _begin(session: AsyncSession, payer: Payer, limit: Limit, subject: UUID) -> None:
    """Begins a period unless somebody has; the ledger says what of it is gone already."""
    assert limit.window is not None
    money = limit.unit == "micro_usd"
    row = (
        insert(BudgetPeriod)
        .values(
            school_id=payer.school_id,
            budget_id=limit.budget_id,
            subject=subject,
            learner_id=subject if limit.scope == "learner" else None,
            starts_at=limit.window.starts_at,
            ends_at=limit.window.ends_at,
            spent=_booked(limit, subject).scalar_subquery() if money else 0,
        )
        .on_conflict_do_nothing(index_elements=[BudgetPeriod.budget_id, BudgetPeriod.subject, BudgetPeriod.starts_at])
        .returning(BudgetPeriod.id, BudgetPeriod.spent)
    )
    begun = (await session.execute(row)).one_or_none()
    if begun is not None and money and limit.scope in ("school", "line"):
        await _alert(session, payer.school_id, begun.id, spent=int(begun.spent), amount=limit.amount)


def _booked(limit: Limit, subject: UUID) -> Select[int]:
    """What the ledger charges within a limit's day or month."""
    assert limit.window is not None
    columns = {"school": LedgerEntry.school_id, "line": LedgerEntry.line_id, "learner": LedgerEntry.learner_id}
    return select(func.coalesce(func.sum(LedgerEntry.charged_micro_usd), 0)).where(
        columns[limit.scope] == subject,
        LedgerEntry.at >= limit.window.starts_at,
        LedgerEntry.at < limit.window.ends_at,
    )


def _lock(school_id: UUID) -> dict[str, Any]:
    return {"lock": _BOOKS_LOCK, "school": str(school_id)}
