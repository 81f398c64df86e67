"""Calls that went on with one that had broken off: with it they are one play of a scene, told by the last of them.

Each of them names the first (``Call.began_in``). Works in the session's school; what a play is worth is not known here.
"""

from __future__ import annotations

import zlib
from typing import Literal
from uuid import UUID

from sqlalchemy import ColumnElement, case, delete, exists, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from db.models import Call
from db.models_learning import Observation

Fate = Literal["settled", "open", "gone_on"]
"""What became of the scene of a call after it: nobody went on with it in another call, somebody still may who has begun
to, or somebody did."""


async def join(session: AsyncSession, call_id: UUID, before: Call) -> None:
    """Notes that a call goes on with the one before it."""
    joined = update(Call).where(Call.id == call_id).values(began_in=_first(before))
    await session.execute(joined.execution_options(synchronize_session=False))


async def seed(session: AsyncSession, call: Call) -> int:
    """What chooses the varying parts of a call's scene, 0 to 2**32 - 1: the same in every call of a play."""
    sid = call.carrier_sid
    if call.began_in is not None:
        sid = await session.scalar(select(Call.carrier_sid).where(Call.id == call.began_in)) or sid
    return zlib.crc32(sid.encode())


async def fate(session: AsyncSession, call: Call) -> Fate:
    """What became of the scene of a closed call in calls after it.

    What the call itself keeps to be gone on with (``Call.resume``) is not looked at.
    """
    after = select(Call.connected_at, Call.state, Call.resume.is_not(None)).where(
        Call.began_in == _first(call), Call.started_at > call.started_at
    )
    later = (await session.execute(after)).all()
    if any(connected_at is not None for connected_at, _, _ in later):
        return "gone_on"
    return "open" if any(state != "closed" or may for _, state, may in later) else "settled"


async def supersede(session: AsyncSession, call: Call) -> None:
    """Withdraws what was measured in the other calls of a play: the call that went on with them tells the whole."""
    if call.began_in is None:
        return
    others = select(Call.id).where(or_(Call.id == call.began_in, Call.began_in == call.began_in), Call.id != call.id)
    withdrawn = delete(Observation).where(Observation.call_id.in_(others))
    await session.execute(withdrawn.execution_options(synchronize_session=False))


def last_of_its_play() -> ColumnElement[bool]:
    """Whether nobody talked in a later call that went on with a call: for statements about ``Call``."""
    later = aliased(Call)
    return ~exists().where(
        # Written out: under row-level security Postgres looks nothing up in an index that stands beside a coalesce.
        later.began_in == case((Call.began_in.is_(None), Call.id), else_=Call.began_in),
        later.started_at > Call.started_at,
        later.connected_at.is_not(None),
    )


def _first(call: Call) -> UUID:
    return call.began_in or call.id
