"""The ledger of a site held against the bills of its stand-ins, call by call."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from db.models import Call, Debrief
from db.models_money import BudgetPeriod, LedgerEntry
from rehearsal.realtime_bill import Charge
from rehearsal.report import CallResult
from ringua.storage import Storage
from tests.journeys.site import Site
from tests.long import bill
from tests.long.bill import Account, Fate, Kill


@dataclass(frozen=True)
class Placed:
    """A call as its caller saw it."""

    number: str
    dialled_s: float
    """On the loop's clock."""
    result: CallResult


@dataclass
class Audited:
    """A call with its bill, its entries, and what became of its processes."""

    placed: Placed
    row: Call
    account: Account
    fate: Fate
    streams_hit: int

    def problems(self) -> list[str]:
        """What is wrong with its account; nothing, when the ledger keeps its word."""
        account, complete = self.account, self.row.cost_complete
        found = account.problems(complete=complete)
        if self.fate == "lived" and not complete:
            found.append("marked as incomplete, although no process of it was killed")
        if self.fate == "killed" and complete:
            found.append("marked as complete, although a process of it was killed")
        if (self.row.cost_micro_usd or 0) != sum(account.booked.values()):
            found.append(f"its row says {self.row.cost_micro_usd}, its entries {sum(account.booked.values())}")
        try:
            lost = account.lost_responses()
        except AssertionError as error:
            found.append(str(error))
        else:
            if len(lost) > self.streams_hit or max(lost, default=0) > 1:
                found.append(f"{lost} responses lost in {self.streams_hit} streams")
        return [f"{self.placed.result.sid} ({self.fate}, {self.row.end_reason}): {problem}" for problem in found]


@dataclass
class Report:
    """All calls of a site, audited."""

    calls: list[Audited]
    other: list[str] = field(default_factory=list)
    """What is wrong besides: with minutes, texts, debriefs, budgets."""
    figures: Counter[str] = field(default_factory=Counter)

    @property
    def problems(self) -> list[str]:
        """Everything that is wrong, a sentence each."""
        return [problem for call in self.calls for problem in call.problems()] + self.other

    def told(self) -> str:
        """The figures, for a reader."""
        fates, exact = Counter(call.fate for call in self.calls), Counter(c.fate for c in self.calls if c.account.exact)
        owed = sum(sum(call.account.owed.values()) for call in self.calls)
        missing = [sum(call.account.missing.values()) for call in self.calls]
        estimates = [amount for call in self.calls for amount in call.account.estimates]
        cut = sum(not line.told for call in self.calls for charges in call.account.sessions for line in charges)
        return (
            f"ledger: of {fates['lived']} calls whose processes lived {exact['lived']} are exact, of {fates['killed']} "
            f"killed {exact['killed']}, of {fates['unsure']} in between {exact['unsure']}; billed {owed} micro-dollars "
            f"in {sum(len(call.account.owed) for call in self.calls)} lines, {cut} of which nobody was told; "
            f"missing {sum(missing)} in {sum(1 for amount in missing if amount)} calls (at most {max(missing)}), "
            f"estimated {sum(estimates)} for {len(estimates)} losses; {dict(self.figures)}"
        )


async def audit(
    storage: Storage, session: AsyncSession, place: Site, placed: Sequence[Placed], kills: Sequence[Kill], line: str
) -> Report:
    """Holds every call of the session's school against the bills, and the budgets against the ledger."""
    rows = {row.carrier_sid: row for row in await session.scalars(select(Call))}
    entries = (await session.scalars(select(LedgerEntry))).all()
    by_call: dict[UUID | None, list[LedgerEntry]] = defaultdict(list)
    for entry in entries:
        by_call[entry.call_id].append(entry)
    callers = {_identifier(storage, one.number): one.number for one in placed}
    accounts: dict[str, Account] = defaultdict(Account)
    for opened in place.model.sessions:
        assert opened.safety_identifier in callers, "a session of nobody"
        accounts[callers[opened.safety_identifier]].sessions.append(opened.bill.charges)
    calls = [
        _audited(one, rows[one.result.sid], accounts[one.number], by_call, kills)
        for one in placed
        if one.result.sid in rows
    ]
    report = Report(calls)
    for one in calls:
        _carried(report, one, by_call[one.row.id], line)
    _texts(report, place, entries, line)
    await _debriefs(report, session, place, entries)
    await _budgets(report, session, entries)
    return report


def _identifier(storage: Storage, number: str) -> str:
    """By which the model's provider knows a caller."""
    hashed = storage.keyring.hash_number(number)
    return storage.keyring.hash_token(f"safety:{hashed.hex()}").hex()[:32]


def _audited(
    placed: Placed,
    row: Call,
    account: Account,
    by_call: Mapping[UUID | None, Sequence[LedgerEntry]],
    kills: Sequence[Kill],
) -> Audited:
    account.take(row.id, by_call[row.id])
    return Audited(
        placed,
        row,
        account,
        bill.fate(placed.result, placed.dialled_s, kills),
        bill.killed_streams(placed.result, placed.dialled_s, kills),
    )


def _carried(report: Report, one: Audited, entries: Sequence[LedgerEntry], line: str) -> None:
    """One entry for the carrier's minutes, at its price."""
    booked = [entry.micro_usd for entry in entries if entry.kind == "carrier_minutes"]
    owed = [bill.minutes(line, max(1, ceil(one.placed.result.duration_s / 60)))]
    report.figures["carrier_minutes"] += len(booked)
    if booked != owed:
        seconds = one.placed.result.duration_s
        report.other.append(f"{one.placed.result.sid}: {seconds:.1f} s at the carrier are {owed}, booked {booked}")


def _texts(report: Report, place: Site, entries: Sequence[LedgerEntry], line: str) -> None:
    """One entry for every text the carrier took, at its segments' price."""
    booked = sorted(entry.micro_usd or 0 for entry in entries if entry.kind == "message")
    owed = sorted(bill.segments(line, message.segments) for message in place.carrier.messages)
    report.figures["texts"] = len(booked)
    if booked != owed:
        report.other.append(f"{len(owed)} texts cost {sum(owed)}, booked are {len(booked)} for {sum(booked)}")


async def _debriefs(report: Report, session: AsyncSession, place: Site, entries: Sequence[LedgerEntry]) -> None:
    """One entry for every debrief that was asked for, at the price of its answers; a killed worker's are lost."""
    owed: dict[str, list[Charge]] = defaultdict(list)
    for charge in place.model.text.charges:
        owed[(charge.metadata or {})["call"]].append(charge)
    booked = {entry.key.removeprefix("debrief:"): entry.micro_usd for entry in entries if entry.kind == "debrief"}
    kept = {str(call) for call in await session.scalars(select(Debrief.call_id))}
    report.figures["debriefs"] = len(booked)
    report.figures["answers"] = sum(len(charges) for charges in owed.values())
    if set(booked) != set(owed) or not set(booked) <= kept:
        report.other.append(f"debriefs of {len(owed)} calls were answered, {len(booked)} are booked")
    for call, cost in booked.items():
        # Whoever takes up the job of a killed worker asks anew, and books what it asked for itself.
        charges = owed[call]
        if cost not in [bill.price(*charges[first:]) for first in range(len(charges))]:
            report.other.append(f"{len(charges)} answers for {call} cost {bill.price(*charges)}, booked is {cost}")
        report.figures["lost_with_workers"] += bill.price(*charges) - (cost or 0)


async def _budgets(report: Report, session: AsyncSession, entries: Sequence[LedgerEntry]) -> None:
    """What a budget says is spent is what the ledger charges; nothing is held for a call that is over."""
    periods = (await session.scalars(select(BudgetPeriod))).all()
    for period in periods:
        charged = sum(
            entry.charged_micro_usd
            for entry in entries
            if period.starts_at <= entry.at < period.ends_at
            and period.subject in (entry.school_id, entry.line_id, entry.learner_id)
        )
        if (period.spent, period.held) != (charged, 0):
            report.other.append(f"a budget says {period.spent} and holds {period.held}, the ledger charges {charged}")
    report.figures["budget_periods"] = len(periods)
    report.figures["charged"] = int(
        await session.scalar(select(func.coalesce(func.sum(LedgerEntry.charged_micro_usd), 0))) or 0
    )
