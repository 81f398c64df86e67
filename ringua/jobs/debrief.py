"""Debriefs one call: written once, kept, and texted to a caller who has agreed to that.

Each step looks at what is there already, so that the job can be run twice, or killed anywhere, and leaves one debrief
and at most one message. It runs when a call is closed, and again when its caller agrees to texts right after it.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from db import calls, class_prompts, consents, debriefs, learners, lines, messages, scenarios
from db.engine import Database
from db.models import Call, CallEvent, Line, Turn
from telephony.ivr.record import MenuRecord
from telephony.menus import order_of
from telephony.segments import segments
from tutor.learning import debrief as writing
from tutor.learning.coverage import coverage
from tutor.learning.debrief import Debrief
from tutor.learning.facts import Facts, worth_a_message
from tutor.learning.message import compose
from tutor.realtime.text import TextModel
from tutor.script.catalogue import Catalogue, CatalogueError
from tutor.script.scene import Scene

KIND: Final = "debrief"
REMINDED: Final = timedelta(days=30)
"""How often a message says how to stop."""
_MENU_KEYS: Final = "1234"
"""The keys of the opening's scenes, the recommended one first."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Told:
    """A closed call with what was recorded of it."""

    call: Call
    line: Line
    scene: Scene
    facts: Facts
    offered: Sequence[str]
    """Scenes for the next call, in the menu's order."""
    coverage: Mapping[str, Any]
    """What of the class's material was due, and what each side used; JSON values, empty without material."""


async def debrief_call(
    database: Database, catalogue: Catalogue, model: TextModel | None, *, school_id: UUID, call_id: UUID
) -> None:
    """Writes the call's debrief unless there is one, and its message when the caller may get one and it is worth it.

    ``model`` None: debriefs are written from the facts alone. A call that is still going on, or never got beyond the
    menu, has none.
    """
    async with database.school(school_id) as session:
        told = await _told(session, catalogue, call_id)
        kept = await debriefs.get(session, call_id)
    if told is None:
        return
    if kept is None:
        # No connection is held while the model writes.
        await _write(database, model, told)
    async with database.school(school_id) as session:
        kept = await debriefs.get(session, call_id)
        if kept is not None and await _may_be_texted(session, told):
            await _text(session, told, Debrief.read(kept.content))


async def _told(session: AsyncSession, catalogue: Catalogue, call_id: UUID) -> _Told | None:
    call = await calls.get(session, call_id)
    line = await lines.get(session, call.line_id) if call is not None else None
    if call is None or line is None or call.state != "closed" or call.scenario is None or call.connected_at is None:
        return None
    turns = (await session.scalars(select(Turn).where(Turn.call_id == call_id).order_by(Turn.ordinal))).all()
    events = (
        await session.scalars(select(CallEvent).where(CallEvent.call_id == call_id).order_by(CallEvent.ordinal))
    ).all()
    try:
        material = await class_prompts.of_call(session, call, line.class_prompt)
        whole = await scenarios.catalogue(session, catalogue)
        scene = whole.scene(
            call.scenario,
            native=MenuRecord.read(call.menu).native,
            target=line.target or "",
            level=call.level or line.level or "",
            class_prompt=material,
            seed=zlib.crc32(call.carrier_sid.encode()),
        )
    except (CatalogueError, msgspec.ValidationError) as error:
        # The line or the catalogue was changed since: there is nothing true to say about such a call any more.
        log.error("debrief.no_scene", call=call.carrier_sid, problem=str(error))
        return None
    completed: Counter[str] = Counter()
    if call.learner_id is not None:
        completed = await learners.completed_scenarios(session, call.learner_id)
    known = whole.offers(scene.native, scene.target)
    offered = order_of([scenario for scenario in line.scenarios if scenario in known], completed)
    return _Told(call, line, scene, Facts.of(scene, turns, events), offered, _covered(scene, turns))


def _covered(scene: Scene, turns: Sequence[Turn]) -> dict[str, Any]:
    """All the week's words are looked for, not only those that were due: the others may have come up."""
    material = scene.class_prompt
    if material is None:
        return {}
    items = (*scene.due, *material.must_use, *material.vocabulary)
    return {"due": list(scene.due), **coverage(items, turns, scene.target).write()}


async def _write(database: Database, model: TextModel | None, told: _Told) -> None:
    # Calls too short to tell of cost nothing.
    asked = model if worth_a_message(told.facts) else None
    outcome = await writing.write(
        asked, told.facts, told.scene, told.offered, metadata={"kind": KIND, "call": str(told.call.id)}
    )
    async with database.school(told.call.school_id) as session:
        await debriefs.put(
            session,
            school_id=told.call.school_id,
            call_id=told.call.id,
            content=outcome.debrief.write() | ({"coverage": told.coverage} if told.coverage else {}),
            source=outcome.source,
            model=asked.model if asked is not None and outcome.source == "model" else None,
            cost_micro_usd=outcome.cost_micro_usd,
        )
    log.info("debrief.written", call=told.call.carrier_sid, source=outcome.source, problems=outcome.problems)


async def _may_be_texted(session: AsyncSession, told: _Told) -> bool:
    call = told.call
    return (
        call.learner_id is not None
        and call.caller_hash is not None
        and told.line.texts
        and worth_a_message(told.facts)
        and await consents.standing(session, call.caller_hash)
        and await learners.message_number(session, call.learner_id, call.caller_hash) is not None
    )


async def _text(session: AsyncSession, told: _Told, debrief: Debrief) -> None:
    call = told.call
    assert call.learner_id is not None
    assert call.caller_hash is not None
    keys = dict(zip(told.offered, _MENU_KEYS, strict=False))
    body = compose(
        debrief,
        told.facts,
        told.scene.native,
        count=segments,
        first=not await messages.texted(session, call.caller_hash, within=REMINDED),
        key=keys.get(debrief.next_scenario),
    )
    written = await messages.add(
        session,
        school_id=call.school_id,
        call_id=call.id,
        learner_id=call.learner_id,
        account_sid=call.account_sid,
        sender=told.line.number,
        kind=KIND,
        key=f"{KIND}:{call.id}",
        body=body,
        number_hash=call.caller_hash,
    )
    if written:
        log.info("debrief.texted", call=call.carrier_sid, segments=segments(body))
