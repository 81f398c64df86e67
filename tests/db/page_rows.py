"""Rows of debrief pages and guardians, for tests: one link and one guardian of a learner."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from db import guardians, pages
from db.keyring import Keyring

GUARDIAN = "+34600000077"


async def tell(session: AsyncSession, keyring: Keyring, school_id: UUID, learner_id: UUID, call_id: UUID) -> str:
    """Leaves one row of the learner in every table of this kind; returns the token of the call's page."""
    ids = {"school_id": school_id, "learner_id": learner_id}
    token = pages.new_token()
    await pages.issue(session, keyring, token, **ids, call_id=call_id, audience="learner")
    await guardians.put(session, keyring, **ids, number=GUARDIAN, consent="form 2026-09")
    return token
