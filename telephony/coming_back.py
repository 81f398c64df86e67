"""A caller who comes back within ten minutes of a call that broke off: what can be gone on with, and how it is taken.

The conversation's checkpoint moves from the old call to the new one, once. It knows no carrier and no key.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final
from uuid import UUID

import msgspec
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from db import calls, chains, endings
from db.endings import Ending
from db.models import Call
from telephony.ivr.record import Again, MenuRecord
from telephony.languages import same_language
from tutor.learning.recorded import moved
from tutor.script.catalogue import Catalogue, CatalogueError
from tutor.script.scenario import Scenario
from tutor.talk.snapshot import Snapshot

BROKE_OFF: Final = frozenset({"caller_hung_up", "line_lost", "model_lost", "process_lost"})
"""Ends of a call after which the scene may go on in another one: nobody had finished it, and nothing had to stop it."""

TAKEN_WITHIN_S: Final = 900.0
"""The ten minutes in which it is offered, and the time for choosing it."""

_OF_ITS_CALL: Final = frozenset({"safety", "safe_exit", "ended"})
"""Entries that belong to the call in which they happened: people were told of them there, or it is about its end."""

log = structlog.get_logger(__name__)


def worth_going_on(scenario: Scenario, snapshot: Snapshot) -> bool:
    """Whether a conversation can and should go on: its scene is not done, and nothing in it had to end it."""
    done = sum(goal in snapshot.goals for goal in scenario.success_of) >= scenario.success_need
    return not done and not snapshot.stopped


def continued(snapshot: Snapshot) -> Snapshot:
    """The conversation as it enters another call: its own clock begins at 0, so that what went before is below 0.

    What it has cost was booked on the call before.
    """
    ago = snapshot.elapsed_ms
    return msgspec.structs.replace(
        snapshot,
        elapsed_ms=0,
        spent={},
        turns=[
            msgspec.structs.replace(turn, start_ms=turn.start_ms - ago, end_ms=turn.end_ms - ago)
            for turn in snapshot.turns
        ],
        events=[
            (at_ms - ago, kind, moved(kind, data, -ago))
            for at_ms, kind, data in snapshot.events
            if kind not in _OF_ITS_CALL
        ],
    )


async def offer(
    session: AsyncSession,
    catalogue: Catalogue,
    *,
    line_id: UUID,
    caller_hash: bytes,
    learner_id: UUID,
    target: str,
    offered: Sequence[str],
) -> Again | None:
    """The learner's last call from this number on this line, if it broke off within ten minutes and may go on.

    Args:
        target: what is practised now; a scene in another language is not gone on with.
        offered: ids of the scenes of the menu.

    Raises:
        SQLAlchemyError: the database cannot be asked.
    """
    call = await calls.dropped(session, line_id=line_id, caller_hash=caller_hash, learner_id=learner_id)
    if call is None or call.resume is None or call.scenario is None or call.scenario not in offered:
        return None
    try:
        before = MenuRecord.read(call.menu)
        snapshot = Snapshot.read(call.resume)
        scenario = catalogue.scenario(call.scenario)
        level = catalogue.level(call.level or before.level).name
    except (msgspec.ValidationError, CatalogueError) as problem:
        # Written by another version, or of a scene that is gone: there is no way back into it.
        log.warning("coming_back.unreadable", call=call.carrier_sid, problem=type(problem).__name__)
        return None
    if before.target and not same_language(before.target, target):
        return None
    return Again(str(call.id), scenario.id, level) if worth_going_on(scenario, snapshot) else None


async def take(
    session: AsyncSession, call: Call, again: Again, ending: Callable[[Call, str], Ending], *, reason: str
) -> bool:
    """Moves a conversation into ``call``, in the transaction of ``session``. False: it is gone, or goes on elsewhere.

    Args:
        call: the new one, whose scene is about to begin.
        again: what was offered.
        ending: what a call leaves behind whose process died, from its row and a reason.
        reason: for that.

    Raises:
        SQLAlchemyError: the database cannot be asked.
    """
    old = await calls.get(session, UUID(again.call))
    if old is None or call.caller_hash is None:
        return False
    if old.state != "closed":
        # Its process is gone: only then is it still what would be offered.
        silent = await calls.dropped(
            session,
            line_id=call.line_id,
            caller_hash=call.caller_hash,
            learner_id=call.learner_id,
            besides=call.id,
            within_s=TAKEN_WITHIN_S,
        )
        if silent is None or silent.id != old.id:
            return False
        await endings.finish(session, old.id, ending(old, reason))
    kept = await calls.take_resume(session, old.id)
    if kept is None:
        return False
    snapshot = continued(Snapshot.read(kept))
    taken = await calls.checkpoint(session, call.id, snapshot.write(), stream=call.streams)
    if taken:
        await chains.join(session, call.id, old)
    log.info("coming_back.taken", call=call.carrier_sid, before=old.carrier_sid, goals=len(snapshot.goals))
    return taken
