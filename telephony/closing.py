"""What is said to a caller whose scene has ended: from the call's record, without a model, at once.

It knows the database and the catalogue; how it is spoken, and what is asked afterwards, is not known here.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from db import chains, learners, lines
from db.models import Call, CallEvent, Turn
from telephony.celebrating import achieved
from telephony.ivr.menu import FREE_TALK
from telephony.ivr.record import MenuRecord
from telephony.menus import scenes_to_come
from telephony.ordering import order_of
from tutor.learning.facts import Facts
from tutor.learning.said import Said
from tutor.learning.wrapup import goodbye, wrap_up
from tutor.script.catalogue import Catalogue, CatalogueError

TOLD: Final = frozenset({"role", "key"})
"""Ends after which a caller hears how it went: the role's good-bye, and a caller's wish. Others are told otherwise."""
MENU_KEYS: Final = "1234"
"""The keys of the opening's scenes, the recommended one first."""
_FREE_TALK_KEY: Final = "8"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Closing:
    """What is said at the end of a call."""

    lines: tuple[Said, ...]
    goodbye: Said | None
    """The last sentence, for a call that ends with it; None where nothing is left to say."""


async def closing(session: AsyncSession, catalogue: Catalogue, call: Call, record: MenuRecord) -> Closing | None:
    """Returns the wrap-up of a closed call; None when it has none, because of how it ended or what is left of it.

    Raises:
        SQLAlchemyError: the database cannot be asked.
    """
    if call.end_reason not in TOLD or call.connected_at is None or call.scenario is None:
        return None
    line = await lines.get(session, call.line_id)
    if line is None:
        return None
    try:
        scene = catalogue.scene(
            call.scenario,
            native=record.native,
            target=record.target or line.target or "",
            level=call.level or line.level or "",
            seed=await chains.seed(session, call),
        )
    except CatalogueError as error:
        # The line was changed during the call: its caller hears the plain good-bye.
        log.error("closing.no_scene", call=call.carrier_sid, problem=str(error))
        return None
    turns = (await session.scalars(select(Turn).where(Turn.call_id == call.id).order_by(Turn.ordinal))).all()
    events = await session.scalars(select(CallEvent).where(CallEvent.call_id == call.id).order_by(CallEvent.ordinal))
    happened = events.all()
    facts = Facts.of(scene, turns, happened)
    learner = await learners.get(session, call.learner_id) if call.learner_id is not None else None
    offered = await scenes_to_come(session, line, catalogue, learner, target=scene.target.tag)
    keys = dict(zip(offered, MENU_KEYS, strict=False))
    if learner is None:
        # What a guest has done is known now, and to nobody in the next call.
        offered = order_of(offered, Counter({call.scenario: 1} if call.completed else {}))
    if record.free_talk:
        keys[FREE_TALK] = _FREE_TALK_KEY
    fresh = await achieved(session, catalogue, call, scene, facts, happened)
    return Closing(wrap_up(facts, scene, offered, keys, fresh), goodbye(scene))
