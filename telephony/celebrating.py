"""What a learner achieved with a call: from the calls that were kept before it and from its own record. Writes nothing.

Asked while the caller is still there, before anything was learnt from the call, and by the jobs after it: all of them
find the same, in whichever order they run. How it is told is not known here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from db import achievements, observations
from db.models import Call, CallEvent
from tutor.learning.achievements import Played, earned, rules, succeeded
from tutor.learning.facts import Facts
from tutor.learning.patterns import CallNotes
from tutor.script.catalogue import Catalogue
from tutor.script.scene import Scene
from tutor.talk.snapshot import ENDING


def troubled(facts: Facts, events: Iterable[CallEvent]) -> bool:
    """Whether something was not right for the caller: nothing of such a call is celebrated or remembered."""
    return facts.safe_exit or any(event.kind == "safety" and event.data.get("action") in ENDING for event in events)


async def achieved(
    session: AsyncSession, catalogue: Catalogue, call: Call, scene: Scene, facts: Facts, events: Sequence[CallEvent]
) -> tuple[str, ...]:
    """The ids of what a closed call achieved, the most telling first; the same before and after it was kept.

    Nothing for a guest, after a call in which something was not right, and of a scene that may still be gone on with.

    Args:
        session: of the call's school.
        catalogue: with the school's own scenes.
        facts: of the scene as a whole, what went before included.
        events: of the call.

    Raises:
        SQLAlchemyError: the database cannot be asked.
    """
    if call.learner_id is None or call.connected_at is None or troubled(facts, events):
        return ()
    if call.resume is not None and not succeeded(scene.scenario, facts.reached):
        return ()
    already = await achievements.earned(session, call.learner_id, but_with=call.id)
    if already >= {rule.id for rule in rules()}:
        return ()
    tags = {scenario.id: scenario.tags for scenario in catalogue.scenarios}
    before = [
        Played(
            past.scenario,
            tags.get(past.scenario, ()),
            past.completed,
            past.hints,
            CallNotes.read(past.turns, past.notes),
        )
        for past in await observations.before(session, call, call.learner_id, scene.target.tag)
    ]
    latest = Played.of(scene.scenario, facts, CallNotes.of(facts.turns, events))
    return earned([*before, latest], already)
