"""Debriefs: what a learner takes away from a call, kept once. Who writes them is not known here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from db import ledger
from db.limits import Payer
from db.models import Call, Debrief

JOB: Final = "calls.debrief"
"""The job that debriefs a call: deferred when the call is closed, and again when its caller agrees to texts."""


def job(school_id: UUID, call_id: UUID) -> tuple[str, Mapping[str, Any]]:
    """The name and arguments of the job for a call, as ``Ending.job`` takes them."""
    return JOB, {"school_id": str(school_id), "call_id": str(call_id)}


async def get(session: AsyncSession, call_id: UUID) -> Debrief | None:
    """The call's debrief, if of the session's school."""
    return await session.scalar(select(Debrief).where(Debrief.call_id == call_id))


async def put(
    session: AsyncSession,
    *,
    school_id: UUID,
    call_id: UUID,
    content: Mapping[str, Any],
    source: str,
    model: str | None = None,
    cost_micro_usd: int | None = None,
) -> bool:
    """Keeps a debrief; False when the call has one already, which stays.

    ``content`` is JSON, ``source`` says who wrote it, ``cost_micro_usd`` is None where it is not known. What it cost is
    booked with it, and booked as well where it is not kept: the model was paid for each.
    """
    row = insert(Debrief).values(
        call_id=call_id,
        school_id=school_id,
        content=dict(content),
        source=source,
        model=model,
        cost_micro_usd=cost_micro_usd,
    )
    kept = row.on_conflict_do_nothing(index_elements=[Debrief.call_id]).returning(Debrief.call_id)
    written = await session.scalar(kept) is not None
    call = await session.get(Call, call_id)
    if call is not None and cost_micro_usd != 0:
        payer = Payer(call.school_id, call.line_id, call.learner_id, call.id)
        again = None if written else uuid4()
        await ledger.book(session, payer, [ledger.debrief(call_id, micro_usd=cost_micro_usd, model=model, again=again)])
    return written
