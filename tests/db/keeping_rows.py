"""One row of a school in each table of the school's side and of keeping."""

from __future__ import annotations

from datetime import date, timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from db import assignments, audit, carrier_copies, classes, policies, recordings, sip_domains, staff
from db.audio_files import AudioFiles
from db.models import Line


async def keep(session: AsyncSession, school_id: UUID, learner_id: UUID, call_id: UUID) -> None:
    """Leaves a teacher, a class of one and its scene, a SIP domain, a policy, an audit entry, a sound and copies."""
    teacher = await staff.add(session, school_id, name="Ana", email="ana@example.org", role="teacher")
    made = await classes.add(session, school_id, "4B")
    await classes.assign(session, school_id, made.id, teacher.id)
    await classes.enrol(session, school_id, made.id, learner_id, ref="17")
    monday = date(2026, 11, 23)
    await assignments.add(
        session,
        school_id,
        class_id=made.id,
        scenario="cafe_order",
        starts_on=monday,
        ends_on=monday + timedelta(days=6),
    )
    line_id = (await session.scalars(select(Line.id).limit(1))).one()
    await sip_domains.put(session, school_id, f"{school_id.hex}.sip.example.org", line_id)
    await policies.change(session, school_id, transcript_days=30)
    await audit.record(session, school_id, actor=audit.SYSTEM, action="change", subject="policy")
    await recordings.add(session, call_id, timedelta(hours=1))
    await carrier_copies.add(session, school_id, [carrier_copies.Copy("AC1", "call", f"CA{school_id.hex}")])


def put_sound(files: AudioFiles, name: str, sound: bytes = b"sound") -> None:
    """Leaves a recording, as a call does that has ended."""
    spool = files.spool()
    spool.write(sound)
    spool.keep(name, b"")
