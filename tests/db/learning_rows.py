"""Rows of what is remembered of a learner, for tests: one call's observation, and one of everything."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from db import achievements, learners, observations, profiles, ratings, reviews, topics
from db.models_learning import Observation, SatisfactionQuestion

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)


def observation(school_id: UUID, call_id: UUID, learner_id: UUID | None, **details: Any) -> Observation:
    """What was measured in a call of eight turns, unless ``details`` say otherwise."""
    values: dict[str, Any] = {
        "target": "es",
        "scenario": "cafe_order",
        "level": "A1",
        "at": NOW,
        "turns": 8,
        "rated": True,
        "completed": True,
        "hints": 0,
        "difficulty": -2.65,
        "measures": {},
        "clarifications": 2,
        "outcome": 0.8,
        **details,
    }
    return Observation(school_id=school_id, call_id=call_id, learner_id=learner_id, **values)


async def remember(session: AsyncSession, school_id: UUID, learner_id: UUID, call_id: UUID) -> None:
    """Leaves one row of the learner in every table of this kind."""
    ids: dict[str, Any] = {"school_id": school_id, "learner_id": learner_id}
    await learners.save_settings(session, learner_id, {"remember": True})
    await observations.put(session, observation(school_id, call_id, learner_id))
    await observations.confidence_answered(session, **ids, call_id=call_id, answer=3, asked_because="first")
    session.add(SatisfactionQuestion(**ids, call_id=call_id, answer=4))
    rating = await ratings.taken(session, learner_id, "es", level="A1")
    assert rating is not None
    await ratings.put(session, **ids, target="es", rating=rating)
    difficulty = await ratings.taken_difficulty(session, school_id, "cafe_order")
    await ratings.put_difficulty(session, "cafe_order", difficulty)
    card: dict[str, Any] = {"kind": "phrase", "text": "la cuenta", "situation": "", "state": {}, "due_at": NOW}
    await reviews.put(session, **ids, target="es", **card)
    await topics.put(session, **ids, target="es", topics=["coffee at home"], call_id=call_id, at=NOW)
    assert await topics.keep_fact(session, learner_id=learner_id, fact="has a dog", call_id=call_id, at=NOW)
    await achievements.put(session, **ids, call_id=call_id, achievements=["coffee_expert"], at=NOW)
    await profiles.put(session, school_id, [profiles.NewProfile(learner_id, "es", {})], analysed_at=NOW)
