"""One row of a school in each table of the school's side and of keeping."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from db import audit, carrier_copies, classes, policies, recordings, staff


async def keep(session: AsyncSession, school_id: UUID, learner_id: UUID, call_id: UUID) -> None:
    """Leaves a teacher with a class of one, a policy, a line in the audit, a recording and a copy at the carrier."""
    teacher = await staff.add(session, school_id, name="Ana", email="ana@example.org", role="teacher")
    made = await classes.add(session, school_id, "4B")
    await classes.assign(session, school_id, made.id, teacher.id)
    await classes.enrol(session, school_id, made.id, learner_id, ref="17")
    await policies.change(session, school_id, transcript_days=30)
    await audit.record(session, school_id, actor=audit.SYSTEM, action="change", subject="policy")
    await recordings.add(session, call_id, timedelta(hours=1))
    await carrier_copies.add(session, school_id, [carrier_copies.Copy("AC1", "call", f"CA{school_id.hex}")])
