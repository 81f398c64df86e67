"""The tables of what is remembered of a learner, as Python sees them. Every row goes when the learner does."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from db.models import Base

_NOW = text("now()")
_EMPTY = text("'{}'")
_FALSE = text("false")


def _of_learner() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["school_id", "learner_id"], ["learners.school_id", "learners.id"], ondelete="CASCADE")


def _from_call() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["school_id", "call_id"], ["calls.school_id", "calls.id"], ondelete="SET NULL (call_id)"
    )


def _of_call() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["school_id", "call_id"], ["calls.school_id", "calls.id"], ondelete="CASCADE")


class Observation(Base):
    """What was measured in one call; one a call, written once. Figures alone: no word of anybody.

    Of calls that went on with each other the last one has it, of all of them.
    """

    __tablename__ = "observations"
    __table_args__ = (
        _of_call(),
        _of_learner(),
        Index(
            "observations_learner",
            "learner_id",
            "target",
            "at",
            postgresql_include=["school_id", "call_id", "scenario", "completed", "hints", "turns"],
        ),
        Index("observations_school", "school_id", "at"),
    )

    call_id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("schools.id", ondelete="CASCADE"))
    learner_id: Mapped[UUID | None]
    """None: a guest."""
    target: Mapped[str]
    """The language that was practised: nothing of one language is ever compared with another."""
    scenario: Mapped[str]
    level: Mapped[str]
    """The level at which it was played."""
    at: Mapped[datetime]
    """When the conversation began."""
    turns: Mapped[int]
    """The learner's turns."""
    latency_ms: Mapped[int | None]
    """How long they took to answer, the median; None: not known."""
    noisy: Mapped[bool] = mapped_column(server_default=_FALSE, default=False)
    """Whether the line was."""
    rated: Mapped[bool]
    """Whether it changed the rating."""
    completed: Mapped[bool]
    hints: Mapped[int]
    """How often a hint was given."""
    difficulty: Mapped[float]
    """The scene's, in logits, as it stood then."""
    measures: Mapped[dict[str, Any]]
    """``tutor.learning.metrics.Measures``."""
    notes: Mapped[dict[str, Any]] = mapped_column(server_default=_EMPTY, default=dict)
    """What is read again later: ``{"errors": {type: times}, "blocking": [types], "goals": [ids of those reached]}``."""
    clarifications: Mapped[int | None]
    """How often the learner asked to hear or understand something again; None: not known."""
    outcome: Mapped[float | None]
    """0-1 of the rating; None where it was not rated."""
    confidence: Mapped[float | None]
    """0-1 against the learner's own first calls; None while that is not known."""
    support: Mapped[float | None]
    """The support index per goal."""
    above_recommended: Mapped[bool] = mapped_column(server_default=_FALSE, default=False)
    """Whether the learner chose a scene above their level by themselves."""
    may_go_on: Mapped[bool] = mapped_column(server_default=_FALSE, default=False)
    """Whether the scene broke off and it waits to be settled until nobody can go on with it in another call."""
    cards_made: Mapped[bool] = mapped_column(server_default=_FALSE, default=False)
    """Whether the call has left its review cards."""


class LearnerRating(Base):
    """Where a learner stands in one language."""

    __tablename__ = "ratings"
    __table_args__ = (_of_learner(),)

    learner_id: Mapped[UUID] = mapped_column(primary_key=True)
    target: Mapped[str] = mapped_column(primary_key=True)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("schools.id", ondelete="CASCADE"))
    theta: Mapped[float]
    """In logits."""
    state: Mapped[dict[str, Any]]
    """``tutor.learning.placement.Rating``."""
    updated_at: Mapped[datetime] = mapped_column(server_default=_NOW)


class ScenarioDifficulty(Base):
    """How a scene turned out to be at a school, against what its description says."""

    __tablename__ = "scenario_difficulties"

    school_id: Mapped[UUID] = mapped_column(ForeignKey("schools.id", ondelete="CASCADE"), primary_key=True)
    scenario: Mapped[str] = mapped_column(primary_key=True)
    plays: Mapped[int]
    """Rated plays."""
    shift: Mapped[float]
    """In logits, harder above 0."""
    updated_at: Mapped[datetime] = mapped_column(server_default=_NOW)


class ReviewCardRow(Base):
    """Something that a learner comes back to."""

    __tablename__ = "review_cards"
    __table_args__ = (
        _of_learner(),
        UniqueConstraint("learner_id", "target", "kind", "text"),
        CheckConstraint("kind IN ('phrase', 'class', 'focus')", name="review_cards_kind"),
        Index("review_cards_due", "learner_id", "target", "due_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("schools.id", ondelete="CASCADE"))
    learner_id: Mapped[UUID]
    target: Mapped[str]
    kind: Mapped[str]
    text: Mapped[str]
    situation: Mapped[str]
    state: Mapped[dict[str, Any]]
    """The scheduler's own."""
    due_at: Mapped[datetime]
    created_at: Mapped[datetime] = mapped_column(server_default=_NOW)


class Topic(Base):
    """What a learner talked about, in a few English words; the last ten in each language."""

    __tablename__ = "topics"
    __table_args__ = (_of_learner(), _from_call(), Index("topics_call", "call_id"))

    learner_id: Mapped[UUID] = mapped_column(primary_key=True)
    target: Mapped[str] = mapped_column(primary_key=True)
    topic: Mapped[str] = mapped_column(primary_key=True)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("schools.id", ondelete="CASCADE"))
    call_id: Mapped[UUID | None]
    at: Mapped[datetime]


class Fact(Base):
    """Something a learner agreed to have remembered; twelve at most, none on a line for children."""

    __tablename__ = "facts"
    __table_args__ = (_of_learner(), _from_call(), Index("facts_call", "call_id"))

    learner_id: Mapped[UUID] = mapped_column(primary_key=True)
    fact: Mapped[str] = mapped_column(primary_key=True)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("schools.id", ondelete="CASCADE"))
    call_id: Mapped[UUID | None]
    at: Mapped[datetime]


class ConfidenceAnswer(Base):
    """How sure a learner said they feel, 1 to 5: after the first call, and after the first one from day 14 on."""

    __tablename__ = "confidence_answers"
    __table_args__ = (
        _of_call(),
        _of_learner(),
        UniqueConstraint("learner_id", "asked_because"),
        CheckConstraint("answer BETWEEN 1 AND 5", name="confidence_answers_answer"),
        CheckConstraint("asked_because IN ('first', 'later')", name="confidence_answers_asked"),
    )

    call_id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("schools.id", ondelete="CASCADE"))
    learner_id: Mapped[UUID]
    answer: Mapped[int]
    asked_because: Mapped[str]
    at: Mapped[datetime] = mapped_column(server_default=_NOW)


class SatisfactionQuestion(Base):
    """That somebody was asked, after a call, how it was, and what they answered: about the line, not the learner."""

    __tablename__ = "satisfaction_questions"
    __table_args__ = (
        _of_call(),
        _of_learner(),
        CheckConstraint("answer BETWEEN 1 AND 5", name="satisfaction_questions_answer"),
        Index("satisfaction_questions_learner", "learner_id", "asked_at"),
        Index("satisfaction_questions_school", "school_id"),
    )

    call_id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("schools.id", ondelete="CASCADE"))
    learner_id: Mapped[UUID | None]
    """None: a guest."""
    answer: Mapped[int | None]
    """1 to 5, 5 is best; None: they hung up, or pressed nothing."""
    asked_at: Mapped[datetime] = mapped_column(server_default=_NOW)


class Achievement(Base):
    """Something to celebrate, once."""

    __tablename__ = "achievements"
    __table_args__ = (_of_learner(), _from_call(), Index("achievements_call", "call_id"))

    learner_id: Mapped[UUID] = mapped_column(primary_key=True)
    achievement: Mapped[str] = mapped_column(primary_key=True)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("schools.id", ondelete="CASCADE"))
    call_id: Mapped[UUID | None]
    at: Mapped[datetime]


class LearnerProfile(Base):
    """What the next call of a learner in one language should be like."""

    __tablename__ = "profiles"
    __table_args__ = (_of_learner(),)

    learner_id: Mapped[UUID] = mapped_column(primary_key=True)
    target: Mapped[str] = mapped_column(primary_key=True)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("schools.id", ondelete="CASCADE"))
    parameters: Mapped[dict[str, Any]]
    analysed_at: Mapped[datetime]
