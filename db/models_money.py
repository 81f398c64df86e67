"""The tables of money and minutes, as Python sees them: what was booked, what may be spent, what live calls hold.

Amounts are integer micro-dollars or, for minutes, seconds.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from db.models import Base

_NOW = text("now()")
_ZERO = text("0")
_EMPTY = text("'{}'")


class LedgerEntry(Base):
    """Something that was paid for. Never changed: a learner who is forgotten is taken out by the foreign key."""

    __tablename__ = "ledger_entries"
    __table_args__ = (
        ForeignKeyConstraint(["school_id", "line_id"], ["lines.school_id", "lines.id"], ondelete="SET NULL (line_id)"),
        ForeignKeyConstraint(["school_id", "call_id"], ["calls.school_id", "calls.id"], ondelete="SET NULL (call_id)"),
        ForeignKeyConstraint(
            ["school_id", "learner_id"], ["learners.school_id", "learners.id"], ondelete="SET NULL (learner_id)"
        ),
        UniqueConstraint("school_id", "key"),
        CheckConstraint(
            "kind IN ('response', 'transcription', 'debrief', 'moderation', 'carrier_minutes', 'message', 'estimate')",
            name="ledger_entries_kind",
        ),
        CheckConstraint("coalesce(micro_usd, charged_micro_usd) = charged_micro_usd", name="ledger_entries_charged"),
        Index("ledger_entries_at", "school_id", "at", postgresql_include=["charged_micro_usd"]),
        Index("ledger_entries_call", "call_id"),
        Index("ledger_entries_line_at", "line_id", "at"),
        Index("ledger_entries_learner_at", "learner_id", "at"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("schools.id", ondelete="CASCADE"))
    line_id: Mapped[UUID | None]
    call_id: Mapped[UUID | None]
    learner_id: Mapped[UUID | None]
    at: Mapped[datetime]
    kind: Mapped[str]
    quantity: Mapped[dict[str, Any]] = mapped_column(server_default=_EMPTY, default=dict)
    """How much of what: tokens by modality, minutes, segments, and the model; never a word or a number of anybody."""
    micro_usd: Mapped[int | None] = mapped_column(BigInteger)
    """None: unknown, which is never 0."""
    charged_micro_usd: Mapped[int] = mapped_column(BigInteger)
    """What it counts for against budgets: the cost, or an upper estimate where that is unknown."""
    key: Mapped[str]
    """What was paid for, such as ``response:<its id>``: a school never pays for it twice."""


class Budget(Base):
    """A limit that somebody has set: for the school, for one line or each, for one learner or each, for each call."""

    __tablename__ = "budgets"
    __table_args__ = (
        ForeignKeyConstraint(["school_id", "line_id"], ["lines.school_id", "lines.id"], ondelete="CASCADE"),
        ForeignKeyConstraint(["school_id", "learner_id"], ["learners.school_id", "learners.id"], ondelete="CASCADE"),
        UniqueConstraint("school_id", "id"),
        CheckConstraint("scope IN ('school', 'line', 'learner', 'call')", name="budgets_scope"),
        CheckConstraint("period IN ('day', 'month', 'call')", name="budgets_period"),
        CheckConstraint("unit IN ('micro_usd', 's')", name="budgets_unit"),
        CheckConstraint("amount > 0", name="budgets_amount"),
        CheckConstraint("(scope = 'call') = (period = 'call')", name="budgets_of_a_call"),
        CheckConstraint("line_id IS NULL OR scope IN ('line', 'call')", name="budgets_line"),
        CheckConstraint("learner_id IS NULL OR scope = 'learner'", name="budgets_learner"),
        Index(
            "budgets_one_each",
            "school_id",
            "scope",
            "period",
            "unit",
            "line_id",
            "learner_id",
            unique=True,
            postgresql_nulls_not_distinct=True,
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("schools.id", ondelete="CASCADE"))
    scope: Mapped[str]
    line_id: Mapped[UUID | None]
    """Only for this line, or for calls on it; None: for each."""
    learner_id: Mapped[UUID | None]
    """Only for this learner; None: for each."""
    period: Mapped[str]
    """A day or a month in the school's time zone, or one call."""
    unit: Mapped[str]
    """``micro_usd``, or ``s`` of talk."""
    amount: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(server_default=_NOW)


class BudgetPeriod(Base):
    """One day or month of one budget, for one school, line or learner: what is gone of it and what is held."""

    __tablename__ = "budget_periods"
    __table_args__ = (
        ForeignKeyConstraint(["school_id", "budget_id"], ["budgets.school_id", "budgets.id"], ondelete="CASCADE"),
        ForeignKeyConstraint(["school_id", "learner_id"], ["learners.school_id", "learners.id"], ondelete="CASCADE"),
        UniqueConstraint("school_id", "id"),
        UniqueConstraint("budget_id", "subject", "starts_at"),
        CheckConstraint("held >= 0", name="budget_periods_held"),
        Index("budget_periods_subject", "subject", "ends_at"),
        Index("budget_periods_learner", "learner_id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("schools.id", ondelete="CASCADE"))
    budget_id: Mapped[UUID]
    subject: Mapped[UUID]
    """The school, the line or the learner it is about."""
    learner_id: Mapped[UUID | None]
    """The subject, where that is a learner: it goes with them."""
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    """The first moment after it."""
    spent: Mapped[int] = mapped_column(BigInteger, server_default=_ZERO, default=0)
    """What the ledger's entries of the period charge; 0 for minutes, which are counted from the calls."""
    held: Mapped[int] = mapped_column(BigInteger, server_default=_ZERO, default=0)
    """What live calls may still spend."""


class BudgetHold(Base):
    """What one live call may still spend of one budget's period."""

    __tablename__ = "budget_holds"
    __table_args__ = (
        ForeignKeyConstraint(
            ["school_id", "period_id"], ["budget_periods.school_id", "budget_periods.id"], ondelete="CASCADE"
        ),
        ForeignKeyConstraint(["school_id", "call_id"], ["calls.school_id", "calls.id"], ondelete="CASCADE"),
        CheckConstraint("micro_usd >= 0", name="budget_holds_micro_usd"),
        Index("budget_holds_call", "call_id"),
    )

    period_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    call_id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("schools.id", ondelete="CASCADE"))
    micro_usd: Mapped[int] = mapped_column(BigInteger)


class BudgetAlert(Base):
    """So much of a period's budget is gone: once a period and percentage, for the console and for a message."""

    __tablename__ = "budget_alerts"
    __table_args__ = (
        ForeignKeyConstraint(
            ["school_id", "period_id"], ["budget_periods.school_id", "budget_periods.id"], ondelete="CASCADE"
        ),
        CheckConstraint("percent IN (70, 90, 100)", name="budget_alerts_percent"),
    )

    period_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    percent: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("schools.id", ondelete="CASCADE"))
    at: Mapped[datetime] = mapped_column(server_default=_NOW)
    told_at: Mapped[datetime | None]
    """When somebody was told of it by mail."""
