"""A closed call with all that was recorded of it, as the jobs after it read it. Decides nothing and writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

import msgspec
import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from db import calls, chains, class_prompts, lines, scenarios
from db.chains import Fate
from db.models import Call, CallEvent, Line, Turn
from telephony.celebrating import troubled
from telephony.ivr.record import MenuRecord
from tutor.learning.achievements import succeeded
from tutor.learning.coverage import Coverage, coverage
from tutor.learning.facts import Facts
from tutor.learning.metrics import Measures, measure
from tutor.learning.recorded import due_of
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
    def troubled(self) -> bool:
        """Whether something was not right for the caller: nothing of such a call is celebrated or remembered."""
        return troubled(self.facts, self.events)

    def may_go_on(self, fate: Fate) -> bool:
        """Whether the caller may still take the scene up again in another call: then this one was only its beginning.

        Args:
            fate: what became of the scene in calls after it (``chains.fate``).
        """
        kept = self.call.resume is not None or fate == "open"
        return kept and not succeeded(self.scene.scenario, self.facts.reached)

    @property
    def covered(self) -> Coverage:
        """What of that which was due was used in this call, and of all the week's words: they may have come up."""
        material = self.scene.class_prompt
        of_class = (*material.must_use, *material.vocabulary) if material is not None else ()
        items = (*self.scene.due, *of_class)
        return coverage(items, self.turns, self.scene.target) if items else Coverage()

    @property
    def measures(self) -> Measures:
        """The figures of the call and of all that it went on with; worked out anew each time."""
        scene = self.scene
        return measure(
            scene.target.tag,
            self.turns,
            self.events,
            silence_ms=scene.level.silence_ms,
            goals=len(scene.scenario.goals),
            band=scene.level.vocabulary_band,
            coverage=self.covered,
            targeted=scene.due,
        )


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
            seed=await chains.seed(session, call),
        )
        scene = replace(scene, due=due_of(happened) or scene.due)
    except (CatalogueError, msgspec.ValidationError) as error:
        log.error("call.no_scene", call=call.carrier_sid, problem=str(error))
        return None
    return ClosedCall(call, line, whole, scene, turns, happened, Facts.of(scene, turns, happened))
