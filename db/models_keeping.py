"""The tables of the school's side and of keeping: staff, classes, the audit, policies, and what waits to be deleted."""

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
_TRUE = text("true")
_EMPTY = text("'{}'")


class Staff(Base):
    """Somebody who works at a school. How they sign in is not known here."""

    __tablename__ = "staff"
    __table_args__ = (
        UniqueConstraint("school_id", "email"),
        UniqueConstraint("school_id", "id"),
        CheckConstraint("email = lower(email)", name="staff_email"),
        CheckConstraint("role IN ('owner', 'teacher', 'safeguarding', 'viewer')", name="staff_role"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("schools.id", ondelete="CASCADE"))
    name: Mapped[str]
    email: Mapped[str]
    """In small letters."""
    role: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=_NOW)


class SchoolClass(Base):
    """A class: learners and teachers around a line."""

    __tablename__ = "classes"
    __table_args__ = (
        ForeignKeyConstraint(["school_id", "line_id"], ["lines.school_id", "lines.id"], ondelete="SET NULL (line_id)"),
        UniqueConstraint("school_id", "name"),
        UniqueConstraint("school_id", "id"),
        Index("classes_line", "line_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("schools.id", ondelete="CASCADE"))
    name: Mapped[str]
    line_id: Mapped[UUID | None]
    """The line the class practises on, once it has one."""
    active: Mapped[bool] = mapped_column(server_default=_TRUE, default=True)
    created_at: Mapped[datetime] = mapped_column(server_default=_NOW)


class ClassStaff(Base):
    """Who teaches a class."""

    __tablename__ = "class_staff"
    __table_args__ = (
        ForeignKeyConstraint(["school_id", "class_id"], ["classes.school_id", "classes.id"], ondelete="CASCADE"),
        ForeignKeyConstraint(["school_id", "staff_id"], ["staff.school_id", "staff.id"], ondelete="CASCADE"),
        Index("class_staff_staff", "staff_id"),
    )

    class_id: Mapped[UUID] = mapped_column(primary_key=True)
    staff_id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("schools.id", ondelete="CASCADE"))


class Enrolment(Base):
    """A learner in a class."""

    __tablename__ = "enrolments"
    __table_args__ = (
        ForeignKeyConstraint(["school_id", "class_id"], ["classes.school_id", "classes.id"], ondelete="CASCADE"),
        ForeignKeyConstraint(["school_id", "learner_id"], ["learners.school_id", "learners.id"], ondelete="CASCADE"),
        UniqueConstraint("class_id", "ref"),
        Index("enrolments_learner", "learner_id"),
    )

    class_id: Mapped[UUID] = mapped_column(primary_key=True)
    learner_id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("schools.id", ondelete="CASCADE"))
    ref: Mapped[str | None]
    """What the school itself calls the learner: a student number or code, unique in the class."""
    created_at: Mapped[datetime] = mapped_column(server_default=_NOW)


class AuditEntry(Base):
    """Who did what at a school that somebody may ask about later. Rows are added, never changed; they name nobody."""

    __tablename__ = "audit"
    __table_args__ = (Index("audit_school", "school_id", "at"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("schools.id", ondelete="CASCADE"))
    at: Mapped[datetime] = mapped_column(server_default=_NOW)
    actor: Mapped[str]
    action: Mapped[str]
    subject: Mapped[str]
    """What kind of thing it was done to."""
    data: Mapped[dict[str, Any]] = mapped_column(server_default=_EMPTY, default=dict)


class SchoolPolicy(Base):
    """How long a school keeps what; a school without a row keeps it as long as the defaults say."""

    __tablename__ = "school_policies"
    __table_args__ = (
        CheckConstraint("transcript_days BETWEEN 0 AND 365", name="school_policies_transcripts"),
        CheckConstraint("metrics_days BETWEEN 30 AND 800", name="school_policies_metrics"),
        CheckConstraint("learner_days BETWEEN 30 AND 3650", name="school_policies_learners"),
        CheckConstraint("audio_hours BETWEEN 0 AND 24", name="school_policies_audio"),
        CheckConstraint("transcript_days <= metrics_days", name="school_policies_order"),
    )

    school_id: Mapped[UUID] = mapped_column(ForeignKey("schools.id", ondelete="CASCADE"), primary_key=True)
    transcript_days: Mapped[int] = mapped_column(server_default=text("90"))
    metrics_days: Mapped[int] = mapped_column(server_default=text("400"))
    learner_days: Mapped[int] = mapped_column(server_default=text("730"))
    audio_hours: Mapped[int] = mapped_column(server_default=text("0"))
    show_transcript: Mapped[bool] = mapped_column(server_default=_TRUE)
    trust_numbers: Mapped[bool] = mapped_column(server_default=text("false"))
    updated_at: Mapped[datetime] = mapped_column(server_default=_NOW)


class Recording(Base):
    """The sound of one call, in a file, for a day at most. The row outlives the file, never the other way round."""

    __tablename__ = "recordings"
    __table_args__ = (
        ForeignKeyConstraint(["school_id", "call_id"], ["calls.school_id", "calls.id"]),
        ForeignKeyConstraint(
            ["school_id", "learner_id"], ["learners.school_id", "learners.id"], ondelete="SET NULL (learner_id)"
        ),
        CheckConstraint("expires_at <= created_at + interval '24 hours'", name="recordings_a_day"),
        Index("recordings_due", "school_id", "expires_at"),
        Index("recordings_call", "call_id"),
        Index("recordings_learner", "learner_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("schools.id", ondelete="CASCADE"))
    call_id: Mapped[UUID]
    learner_id: Mapped[UUID | None]
    """None once the learner is forgotten."""
    path: Mapped[str] = mapped_column(unique=True)
    """The file's name in the directory of recordings: random."""
    expires_at: Mapped[datetime]
    created_at: Mapped[datetime] = mapped_column(server_default=_NOW)


class CarrierCopy(Base):
    """What the carrier keeps of somebody who was forgotten here, and must delete too; gone once it has."""

    __tablename__ = "carrier_copies"
    __table_args__ = (
        CheckConstraint("kind IN ('call', 'message')", name="carrier_copies_kind"),
        Index("carrier_copies_due", "school_id", "due_at"),
    )

    sid: Mapped[str] = mapped_column(primary_key=True)
    """The carrier's identifier of the call or message."""
    school_id: Mapped[UUID] = mapped_column(ForeignKey("schools.id", ondelete="CASCADE"))
    account_sid: Mapped[str]
    kind: Mapped[str]
    due_at: Mapped[datetime] = mapped_column(server_default=_NOW)
    """When to try next."""
    attempts: Mapped[int] = mapped_column(server_default=text("0"), default=0)
    code: Mapped[int | None]
    """Why the carrier has not done it yet, as it said last."""
    created_at: Mapped[datetime] = mapped_column(server_default=_NOW)
