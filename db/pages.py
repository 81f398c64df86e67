"""The page of a call behind a link: who may read it for how long, and what there is to read.

Of the address only a keyed hash is kept. ``find`` works before a school is known; everything else in the session's
school. What the page looks like is not known here.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal, cast
from uuid import UUID

from sqlalchemy import delete, func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from db import achievements, calls, debriefs, flags, learners, lines, observations, policies, ratings, recordings
from db.flags import NewFlag
from db.keyring import Keyring
from db.models import Call, CallEvent, Debrief, Learner, Line, School, Turn
from db.models_keeping import Recording
from db.models_learning import Observation
from db.models_pages import DebriefLink

LASTS: Final = timedelta(days=7)
"""How long a page can be read (tutoring.md §5.7)."""

REPORTED: Final = "page/report"
"""The rule of a flag that was raised on a page."""

Audience = Literal["learner", "family"]

_TOKEN_BYTES: Final = 16
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{22}")
_FIND = text("SELECT * FROM debrief_link_find(:hash)")
_TIDIED: Final = 20
_OBSERVED: Final = 30


@dataclass(frozen=True, slots=True)
class PageFound:
    """Whose page an address is: enough to open the school."""

    school_id: UUID
    call_id: UUID
    learner_id: UUID
    audience: Audience


@dataclass(frozen=True, slots=True)
class PageRecord:
    """Everything a page may tell of a call."""

    call: Call
    line: Line
    learner: Learner
    debrief: Debrief
    timezone: str
    """The school's: the name of its IANA zone."""
    transcript: Sequence[Turn]
    """Turns with words, in order; none where the school, the audience or what happened does not allow it."""
    sounds: Sequence[Recording]
    """What can still be heard of it, in order, each stream by itself; none for anybody but the learner."""
    observed: Sequence[Observation]
    """The learner's last calls in this language, enough for two weeks of daily practice, the newest last."""
    measured: Observation | None
    """What was measured in the call itself; None also where something was not right for the caller: of such a call
    nothing is celebrated."""
    ready_for: str | None
    """The level that the learner is ready to try after the call, if it is their latest in this language."""
    earned: Sequence[str]
    """Ids of what was achieved with the call."""
    reported: bool
    """Whether somebody who read the page asked the school to look at the call."""


def new_token() -> str:
    """The last part of a page's address: 128 random bits in 22 characters fit for a URL."""
    return secrets.token_urlsafe(_TOKEN_BYTES)


async def issue(
    session: AsyncSession,
    keyring: Keyring,
    token: str,
    *,
    school_id: UUID,
    call_id: UUID,
    learner_id: UUID,
    audience: Audience,
) -> None:
    """Makes a page readable under a new token for ``LASTS``. Expired links of the school go at this occasion.

    In the transaction that writes the message with the address: no link outlives a message that was not written.
    """
    old = select(DebriefLink.hash).where(DebriefLink.expires_at <= func.now()).order_by(DebriefLink.expires_at)
    # Skipping locked rows: two that tidy up at once do not wait for each other.
    tidied = old.limit(_TIDIED).with_for_update(skip_locked=True)
    await session.execute(
        delete(DebriefLink).where(DebriefLink.hash.in_(tidied)).execution_options(synchronize_session=False)
    )
    await session.execute(
        insert(DebriefLink).values(
            hash=keyring.hash_link(token),
            school_id=school_id,
            call_id=call_id,
            learner_id=learner_id,
            audience=audience,
            expires_at=func.now() + LASTS,
        )
    )


async def find(session: AsyncSession, keyring: Keyring, token: str) -> PageFound | None:
    """Whose page the token opens; None when it is unknown, expired or none at all. Works in ``Database.anyone``."""
    if _TOKEN.fullmatch(token) is None:
        return None
    row = (await session.execute(_FIND, {"hash": keyring.hash_link(token)})).one_or_none()
    if row is None:
        return None
    return PageFound(row.school_id, row.call_id, row.learner_id, cast("Audience", row.audience))


async def record(session: AsyncSession, found: PageFound) -> PageRecord | None:
    """What the page of a link tells; None when its call has no debrief any more."""
    call = await calls.get(session, found.call_id)
    learner = await learners.get(session, found.learner_id)
    debrief = await debriefs.get(session, found.call_id)
    line = await lines.get(session, call.line_id) if call is not None else None
    school = await session.get(School, found.school_id)
    if call is None or line is None or learner is None or debrief is None or school is None:
        return None
    turns = await transcript(session, call, line) if found.audience == "learner" else []
    target = debrief.content.get("target") or line.target or learner.target
    right = await _withheld(session, call.id) is not None
    observed = await observations.recent(session, learner.id, target, limit=_OBSERVED)
    latest = bool(observed) and observed[-1].call_id == call.id
    rating = await ratings.get(session, learner.id, target) if right and latest else None
    return PageRecord(
        call=call,
        line=line,
        learner=learner,
        debrief=debrief,
        timezone=school.timezone,
        transcript=turns,
        sounds=await sounds(session, found),
        observed=observed,
        measured=await observations.get(session, call.id) if right else None,
        ready_for=rating.ready_for if rating is not None else None,
        earned=await achievements.of_call(session, call.id),
        reported=await reported(session, call.id),
    )


async def transcript(session: AsyncSession, call: Call, line: Line) -> list[Turn]:
    """The turns of a call that its learner may read, those with words, in order.

    None of them on a line for children, where the school shows none, and in a call that somebody must look at; and
    never one in which the call's guard found something.
    """
    if line.for_children or not (await policies.of_school(session)).show_transcript:
        return []
    withheld = await _withheld(session, call.id)
    if withheld is None:
        return []
    turns = select(Turn).where(Turn.call_id == call.id, func.btrim(Turn.text) != "").order_by(Turn.ordinal)
    return [turn for turn in await session.scalars(turns) if turn.item_id is None or turn.item_id not in withheld]


async def sounds(session: AsyncSession, found: PageFound) -> list[Recording]:
    """The recordings of a call that the page of a link may play: its learner's own, and none where nothing is told."""
    if found.audience != "learner" or await _withheld(session, found.call_id) is None:
        return []
    kept = await recordings.of_call(session, found.call_id)
    return [recording for recording in kept if recording.learner_id == found.learner_id]


async def _withheld(session: AsyncSession, call_id: UUID) -> set[str | None] | None:
    """The items in which the call's guard found something; None: somebody must look at the call, nothing is told."""
    if any(flag.action in flags.TOLD_OF or flag.source == "key" for flag in await flags.of_call(session, call_id)):
        return None
    events = select(CallEvent).where(CallEvent.call_id == call_id, CallEvent.kind.in_(("safety", "safe_exit")))
    happened = (await session.scalars(events)).all()
    if any(event.kind == "safe_exit" for event in happened):
        return None
    return {event.data.get("item") for event in happened}


async def reported(session: AsyncSession, call_id: UUID) -> bool:
    """Whether a call was reported on its page."""
    return any(flag.rule == REPORTED for flag in await flags.of_call(session, call_id))


async def report(session: AsyncSession, call_id: UUID) -> bool:
    """Whoever reads the page wants somebody at the school to look at the call; False when they said so before."""
    if await reported(session, call_id):
        return False
    await flags.record(session, call_id, [NewFlag(0, "report", "stop", "key", REPORTED)])
    return True
