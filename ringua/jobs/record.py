"""A closed call with all that was recorded of it, as the jobs after it read it. Decides nothing and writes nothing."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

import msgspec
import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from db import calls, class_prompts, lines, scenarios
from db.models import Call, CallEvent, Line, Turn
from telephony.ivr.record import MenuRecord
from tutor.learning.coverage import Coverage, coverage
from tutor.learning.facts import Facts
from tutor.script.catalogue import Catalogue, CatalogueError
from tutor.script.scene import Scene

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ClosedCall:
    """A call in which somebody could talk, once it is over."""

    call: Call
    line: Line
    catalogue: Catalogue
    """With the school's own scenes."""
    scene: Scene
    turns: Sequence[Turn]
    events: Sequence[CallEvent]
    """In their order. A call that went on with one before has that one's turns and events too, at negative times."""
    facts: Facts
    """Of the scene as a whole, what went before included."""

    @property
    def went_on(self) -> bool:
        """Whether it went on with a call that had broken off."""
        return len(self.own_turns) < len(self.turns) or len(self.own_events) < len(self.events)

    @property
    def own_turns(self) -> Sequence[Turn]:
        """The turns of this call alone."""
        return [turn for turn in self.turns if turn.start_ms >= 0]

    @property
    def own_events(self) -> Sequence[CallEvent]:
        """The events of this call alone."""
        return [event for event in self.events if event.at_ms >= 0]

    @property
    def covered(self) -> Coverage:
        """What of that which was due was used in this call, and of all the week's words: they may have come up."""
        material = self.scene.class_prompt
        of_class = (*material.must_use, *material.vocabulary) if material is not None else ()
        items = (*self.scene.due, *of_class)
        return coverage(items, self.own_turns, self.scene.target) if items else Coverage()


async def closed_call(session: AsyncSession, catalogue: Catalogue, call_id: UUID) -> ClosedCall | None:
    """The call of the session's school.

    None while it goes on, when it never got beyond the menu, when its words have been deleted, or when its line or
    scene was changed since, so that nothing true can be said of it any more.
    """
    call = await calls.get(session, call_id)
    line = await lines.get(session, call.line_id) if call is not None else None
    if call is None or line is None or call.state != "closed" or call.kept != "words":
        return None
    if call.scenario is None or call.connected_at is None:
        return None
    turns = (await session.scalars(select(Turn).where(Turn.call_id == call_id).order_by(Turn.ordinal))).all()
    events = await session.scalars(select(CallEvent).where(CallEvent.call_id == call_id).order_by(CallEvent.ordinal))
    happened = events.all()
    try:
        menu = MenuRecord.read(call.menu)
        material = await class_prompts.of_call(session, call, line.class_prompt)
        whole = await scenarios.catalogue(session, catalogue)
        scene = whole.scene(
            call.scenario,
            native=menu.native,
            target=menu.target or line.target or "",
            level=call.level or line.level or "",
            class_prompt=material,
            seed=zlib.crc32(call.carrier_sid.encode()),
        )
        scene = replace(scene, due=_due(happened) or scene.due)
    except (CatalogueError, msgspec.ValidationError) as error:
        log.error("call.no_scene", call=call.carrier_sid, problem=str(error))
        return None
    return ClosedCall(call, line, whole, scene, turns, happened, Facts.of(scene, turns, happened))


def _due(events: Sequence[CallEvent]) -> tuple[str, ...]:
    """What the call was to bring up, as it was told at its beginning: by now other things are due."""
    began = next((event for event in events if event.kind == "began"), None)
    return tuple(str(item) for item in began.data.get("due", ())) if began is not None else ()
