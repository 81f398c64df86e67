"""The tables of what a class is given, as Python sees them: dated prompts, assigned scenes, own scenes."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID, uuid4

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint, text
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


class Assignment(Base):
    """A scene that a class, or everyone who calls a line, was given for some days."""

    __tablename__ = "assignments"
    __table_args__ = (
        CheckConstraint("num_nonnulls(line_id, class_id) = 1", name="assignments_whose"),
        CheckConstraint("ends_on >= starts_on", name="assignments_days"),
        ForeignKeyConstraint(["school_id", "line_id"], ["lines.school_id", "lines.id"], ondelete="CASCADE"),
        ForeignKeyConstraint(["school_id", "class_id"], ["classes.school_id", "classes.id"], ondelete="CASCADE"),
        Index("assignments_line", "line_id", "ends_on"),
        Index("assignments_class", "class_id", "ends_on"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("schools.id", ondelete="CASCADE"))
    line_id: Mapped[UUID | None]
    """Everyone's who calls this line; else of the class."""
    class_id: Mapped[UUID | None]
    scenario: Mapped[str]
    target: Mapped[str | None]
    """For those who practise this language; None: for all."""
    starts_on: Mapped[date]
    """The first day, in the school's time zone."""
    ends_on: Mapped[date]
    """The last day."""
    created_at: Mapped[datetime] = mapped_column(server_default=_NOW)
