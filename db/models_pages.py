"""The tables of debrief pages and of guardians, as Python sees them. Both go with their learner."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from db.models import Base

_NOW = text("now()")


class DebriefLink(Base):
    """The right to read the page of one call, for whoever has its address; only a hash of it is kept."""

    __tablename__ = "debrief_links"
    __table_args__ = (
        ForeignKeyConstraint(["school_id", "call_id"], ["calls.school_id", "calls.id"], ondelete="CASCADE"),
        ForeignKeyConstraint(["school_id", "learner_id"], ["learners.school_id", "learners.id"], ondelete="CASCADE"),
        CheckConstraint("audience IN ('learner', 'family')", name="debrief_links_audience"),
        Index("debrief_links_call", "call_id"),
        Index("debrief_links_learner", "learner_id"),
        Index("debrief_links_expiry", "school_id", "expires_at"),
    )

    hash: Mapped[bytes] = mapped_column(primary_key=True)
    """``Keyring.hash_link`` of the address's last part."""
    school_id: Mapped[UUID] = mapped_column(ForeignKey("schools.id", ondelete="CASCADE"))
    call_id: Mapped[UUID]
    learner_id: Mapped[UUID]
    audience: Mapped[str]
    """Who was sent the link, and so what the page tells: ``learner``, or ``family``, who see no transcript."""
    created_at: Mapped[datetime] = mapped_column(server_default=_NOW)
    expires_at: Mapped[datetime]


class Guardian(Base):
    """Whoever gets the texts about a learner instead of the learner: a parent of a minor, as a rule."""

    __tablename__ = "guardians"
    __table_args__ = (
        ForeignKeyConstraint(["school_id", "learner_id"], ["learners.school_id", "learners.id"], ondelete="CASCADE"),
        Index("guardians_number", "number_hash"),
    )

    learner_id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("schools.id", ondelete="CASCADE"))
    number_hash: Mapped[bytes]
    last_two: Mapped[str]
    number_encrypted: Mapped[bytes | None]
    """None after an opt-out, until the guardian writes START."""
    consent: Mapped[str]
    """How the school has the guardian's consent, in its own words, such as the form's version."""
    consented_at: Mapped[datetime] = mapped_column(server_default=_NOW)
