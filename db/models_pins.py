"""The tables of PINs, as Python sees them: who may say who they are, and who has tried to. A PIN itself is nowhere."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from db.models import Base


class Pin(Base):
    """Four digits that a school gave to a learner, a teacher or a family, for one line."""

    __tablename__ = "pins"
    __table_args__ = (
        ForeignKeyConstraint(["school_id", "line_id"], ["lines.school_id", "lines.id"], ondelete="CASCADE"),
        ForeignKeyConstraint(["school_id", "learner_id"], ["learners.school_id", "learners.id"], ondelete="CASCADE"),
        UniqueConstraint("line_id", "pin_hash"),
        CheckConstraint("role IN ('learner', 'teacher', 'family')", name="pins_role"),
        CheckConstraint("(role = 'teacher') = (learner_id IS NULL)", name="pins_learner"),
        Index("pins_learner_id", "learner_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("schools.id", ondelete="CASCADE"))
    line_id: Mapped[UUID]
    role: Mapped[str]
    learner_id: Mapped[UUID | None]
    """The learner, or the child of the family; None for a teacher."""
    pin_hash: Mapped[bytes]
    """``Keyring.hash_pin`` of the digits, for this line."""
    tries: Mapped[int] = mapped_column(server_default=text("0"), default=0)
    """How often it was entered, since it was last accepted, by a caller who was locked out."""
    locked_until: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class PinTry(Base):
    """Wrong PINs on a line: of one caller, of all who withhold their number, or of everybody together."""

    __tablename__ = "pin_tries"
    __table_args__ = (
        ForeignKeyConstraint(["school_id", "line_id"], ["lines.school_id", "lines.id"], ondelete="CASCADE"),
    )

    line_id: Mapped[UUID] = mapped_column(primary_key=True)
    caller: Mapped[bytes] = mapped_column(primary_key=True)
    """The caller's keyed hash, or one of the two names in ``db.pins`` that stand for many."""
    school_id: Mapped[UUID] = mapped_column(ForeignKey("schools.id", ondelete="CASCADE"))
    tries: Mapped[int] = mapped_column(server_default=text("0"), default=0)
    tried_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    """The last wrong try; after the lock's time the count begins anew."""
    locked_until: Mapped[datetime | None]
