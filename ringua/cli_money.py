"""The command line's part on money and minutes: what was spent, what a plan will cost, and what may be spent."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from math import isfinite
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.table import Column, Table
from rich.text import Text
from sqlalchemy.ext.asyncio import AsyncSession

from db import budgets, learners, limit_changes, limits, talk_time
from db import lines as line_rows
from db import schools as school_rows
from db.costs import Sum
from db.limits import LEARNER_DAY_S, Limit, LimitRefused, Payer
from db.models import School
from db.models_money import Budget
from ringua import costs, storage
from ringua.costs import Spent, dollars
from ringua.settings import load
from ringua.storage import Storage
from ringua.terminal import Trouble, e164, find_line, find_school, out, run
from tutor.realtime.planning import Plan
from tutor.realtime.pricing import MICRO

budget_app = typer.Typer(no_args_is_help=True, help="What schools, lines, learners and calls may spend and talk.")

_BEGINNING = re.compile(r"\+[1-9][0-9]{0,14}")
MOST_DAYS = 366
MOST_LEARNERS = 20
"""How many the table shows; all of them are in the JSON."""


# --- what it costs


def cost(
    school: Annotated[str | None, typer.Option(help="One school, with its kinds of cost and its learners.")] = None,
    days: Annotated[int, typer.Option(min=1, max=MOST_DAYS, help="Over how many days, today included.")] = 7,
    plan: Annotated[
        str | None, typer.Option(help="What practice will cost: students x minutes a day x days a month, 272x15x20.")
    ] = None,
    number: Annotated[str, typer.Option(help="For a plan: the beginning of the line's number.")] = costs.NUMBER,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of tables.")] = False,
) -> None:
    """Shows what was spent today, on an average day and by whom; with --plan what practice will cost."""
    if plan is not None:
        _plan(plan, number, as_json)
        return

    async def work() -> None:
        async with storage.opened(load()) as data:
            found = await _spent(data, school, days)
        if as_json:
            out.print_json(json.dumps([one.write() for one in found]))
            return
        if not found:
            out.print("There is no school yet: add one with `ringua school add`.")
            return
        out.print(_overview(found))
        if school is not None:
            for table in _details(found[0]):
                out.print(table)

    run(work())


async def _spent(data: Storage, school: str | None, days: int) -> list[Spent]:
    owners = [await find_school(data, school)] if school is not None else await _schools(data)
    at = datetime.now(UTC)
    found = []
    for owner in owners:
        async with data.database.school(owner.id) as session:
            found.append(await costs.spent(session, owner, days=days, at=at))
    return found


async def _schools(data: Storage) -> list[School]:
    async with data.database.anyone() as session:
        return await school_rows.all(session)


def _overview(found: Sequence[Spent]) -> Table:
    table = Table(
        "School",
        Column("Today, USD", justify="right"),
        Column("Calls", justify="right"),
        Column("Minutes", justify="right"),
        Column("Average day, USD", justify="right"),
        Column("Calls", justify="right"),
        Column("Minutes", justify="right"),
        Column("Tokens", justify="right"),
        caption="An average day is of the last seven, without today.",
    )
    for one in found:
        table.add_row(
            one.school,
            _money(one.today),
            str(one.practised.calls),
            f"{one.practised.talk_s / 60:,.1f}",
            dollars(one.average.micro_usd),
            f"{one.average.calls:,.1f}",
            f"{one.average.talk_s / 60:,.1f}",
            f"{one.average.tokens:,.0f}",
        )
    return table


def _details(one: Spent) -> list[Table]:
    span = "Today" if one.days == 1 else f"{one.days} days"
    kinds = Table("Kind", Column("Entries", justify="right"), Column("USD", justify="right"), title=span)
    for kind in one.kinds:
        kinds.add_row(kind.kind.replace("_", " "), str(kind.entries), _money(kind.sum))
    kinds.add_section()
    kinds.add_row("all", str(sum(kind.entries for kind in one.kinds)), _money(one.total))
    people = Table(
        "Learner",
        Column("Calls", justify="right"),
        Column("Minutes", justify="right"),
        Column("USD", justify="right"),
        title=span,
    )
    for person in one.learners[:MOST_LEARNERS]:
        name = "guests, and no call" if person.learner_id is None else str(person.learner_id)
        people.add_row(name, str(person.calls), f"{person.talk_s / 60:,.1f}", _money(person.sum))
    if len(one.learners) > MOST_LEARNERS:
        people.caption = f"{len(one.learners) - MOST_LEARNERS} more: see --json."
    return [kinds, people]


def _money(one: Sum) -> str:
    unknown = f" + {one.unknown} unknown (at most {dollars(one.unknown_at_most)})" if one.unknown else ""
    return f"{dollars(one.micro_usd)}{unknown}"


def _plan(written: str, number: str, as_json: bool) -> None:
    try:
        plan = Plan.read(written)
    except ValueError as error:
        raise Trouble(str(error)) from error
    number = number.replace(" ", "")
    if not _BEGINNING.fullmatch(number):
        raise Trouble(f"{number} is no beginning of a number: write + and digits, such as +1 or +34.")
    rows = costs.plan_rows(costs.projections(plan, number=number))
    taken = costs.assumptions(plan, number)
    if as_json:
        out.print_json(
            json.dumps(
                {
                    "students": plan.students,
                    "minutes_a_day": plan.minutes_a_day,
                    "days_a_month": plan.days_a_month,
                    "models": rows,
                    "assumptions": taken,
                }
            )
        )
        return
    table = Table(
        Column("US dollars, low to high", no_wrap=True),
        *(Column(str(row["model"]), justify="right") for row in rows),
        title=f"{plan.students:,} students, {plan.minutes_a_day} minutes a day, {plan.days_a_month} days a month",
    )
    for name, key, digits in (
        ("a practice minute", "per_minute", 3),
        ("a student's month", "per_student_month", 2),
        ("all of them, a day", "per_day", 2),
        ("all of them, a month", "per_month", 0),
        ("all of them, a year", "per_year", 0),
    ):
        table.add_row(name, *(f"{row[key][0]:,.{digits}f} to {row[key][1]:,.{digits}f}" for row in rows))
    minutes = ("{:,} to {:,}".format(*row["minutes_for_100_dollars"]) for row in rows)
    table.add_row("minutes for 100 dollars", *minutes)
    out.print(table)
    for sentence in taken:
        out.print(f"- {sentence}")
    if not all(row["carrier_priced"] for row in rows):
        out.print(f"- The carrier has no price for {number} in the price file: its minutes are not in these figures.")


# --- what may be spent


@budget_app.command("set")
def budget_set(
    school: str,
    usd: Annotated[float | None, typer.Option(help="In US dollars.")] = None,
    minutes: Annotated[float | None, typer.Option(help="In minutes of talk.")] = None,
    scope: Annotated[str, typer.Option("--per", help="school, line, learner or call.")] = "school",
    period: Annotated[str | None, typer.Option(help="day or month; a call has neither.")] = None,
    line: Annotated[str | None, typer.Option(help="Only for this line, or its calls; else for each.")] = None,
    learner: Annotated[str | None, typer.Option(help="Only for this learner, by id; else for each.")] = None,
) -> None:
    """Sets what may be spent or talked; the same limit set again is changed."""
    if (usd is None) is (minutes is None):
        raise Trouble("Give --usd or --minutes, one of them.")
    exact = usd * MICRO if usd is not None else (minutes or 0) * 60
    if not isfinite(exact):
        raise Trouble(f"{usd or minutes} is no amount that can be spent: give a plain number, such as 100.")
    amount = round(exact)

    async def work() -> None:
        async with storage.opened(load()) as data:
            owner = await find_school(data, school)
            values: dict[str, Any] = {
                "scope": scope,
                "period": period or ("call" if scope == "call" else "day"),
                "unit": "micro_usd" if usd is not None else "s",
                "line_id": await _line_of(data, owner, line),
                "learner_id": _learner_id(learner),
            }
            async with data.database.school(owner.id) as session:
                if values["learner_id"] is not None and await learners.get(session, values["learner_id"]) is None:
                    raise Trouble(f"{school} has no learner {learner}: `ringua cost --school` shows their ids.")
                try:
                    await limit_changes.put(session, school_id=owner.id, amount=amount, **values)
                except LimitRefused as error:
                    raise Trouble(str(error)) from error
                await _count(session, owner, values["line_id"], values["learner_id"])
        out.print(f"Set. `ringua budget list {_quoted(school)}` shows all.")

    run(work())


@budget_app.command("list")
def budget_list(school: str) -> None:
    """Lists what a school may spend and talk, and what of it is used in the present day or month."""

    async def work() -> None:
        amounts = (Column(name, justify="right") for name in ("Limit", "Used", "Held"))
        table = Table("For", Column("Which", no_wrap=True), "Per", *amounts, Column("Id", no_wrap=True))
        at = datetime.now(UTC)
        async with storage.opened(load()) as data:
            owner = await find_school(data, school)
            async with data.database.school(owner.id) as session:
                set_ = await limits.list_all(session)
                numbers = {line.id: line.number for line in await line_rows.list_all(session)}
                for budget in set_:
                    payer = Payer(owner.id, budget.line_id, budget.learner_id)
                    limit = limits.of(budget, owner.timezone, at)
                    used, held = await _used(session, payer, limit, at)
                    which = _which(budget, numbers)
                    table.add_row(budget.scope, which, budget.period, _amount(limit), used, held, str(budget.id))
        if not any(_is_learner_day(budget) for budget in set_):
            table.add_row("learner", "each", "day", f"{LEARNER_DAY_S // 60} min", "", "", Text("the default"))
        out.print(table)

    run(work())


@budget_app.command("remove")
def budget_remove(school: str, budget_id: str) -> None:
    """Lifts a limit, by the id that `ringua budget list` shows."""
    try:
        known = UUID(budget_id)
    except ValueError as error:
        raise Trouble(f"{budget_id} is no id of a limit: see `ringua budget list {_quoted(school)}`.") from error

    async def work() -> None:
        async with storage.opened(load()) as data:
            owner = await find_school(data, school)
            async with data.database.school(owner.id) as session:
                if not await limits.remove(session, known):
                    raise Trouble(f"{school} has no limit {budget_id}: see `ringua budget list {_quoted(school)}`.")
        out.print("Removed.")

    run(work())


async def _count(session: AsyncSession, owner: School, line_id: UUID | None, learner_id: UUID | None) -> None:
    """Adds up now what of a new limit is spent already, rather than while a caller waits."""
    at = datetime.now(UTC)
    of: list[UUID | None] = [None, line_id]
    if line_id is None:
        of += [line.id for line in await line_rows.list_all(session)]
    for one in of:
        payer = Payer(owner.id, one, learner_id)
        await budgets.ready(session, payer, await limits.holding_for(session, payer, at))


async def _used(session: AsyncSession, payer: Payer, limit: Limit, at: datetime) -> tuple[str, str]:
    """What of a limit is gone, and what live calls hold; empty where it is for each of several, or for a call."""
    subject = payer.of(limit.scope)
    if limit.window is None or subject is None:
        return "", ""
    if limit.unit == "s":
        return f"{await talk_time.used_s(session, payer, limit, limit.window, at) / 60:,.1f} min", ""
    spent, held = await budgets.standing(session, payer, limit)
    return f"{dollars(spent)} USD", f"{dollars(held)} USD"


def _amount(limit: Limit) -> str:
    return f"{limit.amount / 60:,g} min" if limit.unit == "s" else f"{dollars(limit.amount)} USD"


def _which(budget: Budget, numbers: Mapping[UUID, str]) -> str:
    if budget.line_id is not None:
        return numbers.get(budget.line_id, str(budget.line_id))
    return str(budget.learner_id or ("" if budget.scope == "school" else "each"))


def _is_learner_day(budget: Budget) -> bool:
    return (budget.scope, budget.period, budget.unit, budget.learner_id) == ("learner", "day", "s", None)


async def _line_of(data: Storage, owner: School, number: str | None) -> UUID | None:
    if number is None:
        return None
    found = await find_line(data, e164(number))
    if found.school_id != owner.id:
        raise Trouble(f"{number} is no line of {owner.name}.")
    return found.id


def _learner_id(written: str | None) -> UUID | None:
    try:
        return UUID(written) if written is not None else None
    except ValueError as error:
        raise Trouble(f"{written} is no learner's id: `ringua cost --school` shows them.") from error


def _quoted(name: str) -> str:
    return f'"{name}"' if " " in name else name
