"""The tables of what a class is given, as Python sees them: dated prompts and a school's own scenes."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID, uuid4

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from db.models import Base

_NOW = text("now()")
_EMPTY = text("''")
_NONE = text("'{}'")


class ClassPromptVersion(Base):
    """One version of a line's class material and the days it is for. Never changed: calls were held with it."""

    __tablename__ = "class_prompts"
    __table_args__ = (
        UniqueConstraint("line_id", "version"),
        CheckConstraint("ends_on >= starts_on", name="class_prompts_days"),
        ForeignKeyConstraint(["school_id", "line_id"], ["lines.school_id", "lines.id"], ondelete="CASCADE"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("schools.id", ondelete="CASCADE"))
    line_id: Mapped[UUID]
    version: Mapped[int]
    """Counts from 1 in each line."""
    starts_on: Mapped[date]
    """The first day, in the school's time zone."""
    ends_on: Mapped[date | None]
    """The last day; None: until something newer without an end begins."""
    theme: Mapped[str] = mapped_column(server_default=_EMPTY, default="")
    vocabulary: Mapped[list[str]] = mapped_column(server_default=_NONE, default=list)
    grammar: Mapped[list[str]] = mapped_column(server_default=_NONE, default=list)
    must_use: Mapped[list[str]] = mapped_column(server_default=_NONE, default=list)
    avoid: Mapped[list[str]] = mapped_column(server_default=_NONE, default=list)
    free_text: Mapped[str] = mapped_column(server_default=_EMPTY, default="")
    created_at: Mapped[datetime] = mapped_column(server_default=_NOW)


class SchoolScenario(Base):
    """A scene that a school wrote itself: its file's text, checked when it was kept."""

    __tablename__ = "school_scenarios"

    school_id: Mapped[UUID] = mapped_column(ForeignKey("schools.id", ondelete="CASCADE"), primary_key=True)
    id: Mapped[str] = mapped_column(primary_key=True)
    toml: Mapped[str]
    checked_at: Mapped[datetime] = mapped_column(server_default=_NOW)
    created_at: Mapped[datetime] = mapped_column(server_default=_NOW)
