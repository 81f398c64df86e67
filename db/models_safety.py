"""The table of safety flags, as Python sees it: what in a call people must look at, and never what was said."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from db.models import Base


class SafetyFlag(Base):
    """One finding of a call's guard, or a caller's key 9. Only ``told_at`` ever changes, and no row is deleted."""

    __tablename__ = "safety_flags"
    __table_args__ = (
        # No cascade: a call with a flag cannot be deleted by itself.
        ForeignKeyConstraint(["school_id", "call_id"], ["calls.school_id", "calls.id"]),
        CheckConstraint("action IN ('note', 'steer', 'stop', 'care')", name="safety_flags_action"),
        CheckConstraint("source IN ('words', 'moderation', 'key')", name="safety_flags_source"),
        Index("safety_flags_call", "call_id"),
        Index("safety_flags_unheard", "school_id", "created_at", postgresql_where=text("told_at IS NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("schools.id", ondelete="CASCADE"))
    call_id: Mapped[UUID]
    at_ms: Mapped[int]
    """Milliseconds from the start of the call's media."""
    category: Mapped[str]
    """One of ``tutor.safety.words.CATEGORIES``."""
    action: Mapped[str]
    """What the line did about it."""
    source: Mapped[str]
    rule: Mapped[str]
    """Which list found it, such as ``es/self_harm.wish``; never the words."""
    told_at: Mapped[datetime | None]
    """When the school's contact was reached, or somebody said that they had looked at it."""
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
