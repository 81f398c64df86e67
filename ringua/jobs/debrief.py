"""Debriefs one call: written once, kept, and texted to a caller who has agreed to that.

Each step looks at what is there already, so that the job can be run twice, or killed anywhere, and leaves one debrief
and at most one message. It runs when a call is closed, and again when its caller agrees to texts right after it. With
the learner's debrief stands what a teacher and a family read of the call.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from db import achievements as kept_achievements
from db import chains, consents, debriefs, learners, messages, observations, pages, recipients, stripping
from db.engine import Database
from db.keyring import Keyring
from db.models import Call, School
from db.recipients import Recipient
from ringua.jobs.record import ClosedCall, closed_call
from telephony.celebrating import achieved
from telephony.languages import native_of
from telephony.menus import scenes_to_come
from telephony.segments import segments
from tutor.learning import achievements
from tutor.learning import debrief as writing
from tutor.learning.debrief import Debrief
from tutor.learning.facts import Facts, worth_a_message
from tutor.learning.insights import Seen, emerging, insights, success
from tutor.learning.message import compose, compose_family
from tutor.learning.tellings import Telling, for_family, for_teacher
from tutor.realtime.text import TextModel
from tutor.script.catalogue import Catalogue
from tutor.script.scene import Scene

KIND: Final = "debrief"
REMINDED: Final = timedelta(days=30)
"""How often a message says how to stop."""
COMPARED: Final = 50
"""A learner's last calls that are held against each other for the message; two weeks seldom have more."""
_MENU_KEYS: Final = "1234"
"""The keys of the opening's scenes, the recommended one first."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Links:
    """Where the pages behind a message's link are, and the key that makes their addresses."""

    keyring: Keyring
    base_url: str
    """The service's public address, such as ``https://practice.example.org``."""

    def to(self, token: str) -> str:
        """The address of a page."""
        return f"{self.base_url}/d/{token}"


@dataclass(frozen=True, slots=True)
class _Told:
    """A closed call with what can be told of it."""

    closed: ClosedCall
    offered: Sequence[str]
    """Scenes for the next call, in the menu's order."""
    teacher: Telling
    name: str | None
    """The learner's, where it is known: it is in nothing that is told."""

    @property
    def call(self) -> Call:
        return self.closed.call

    @property
    def scene(self) -> Scene:
        return self.closed.scene

    @property
    def facts(self) -> Facts:
        return self.closed.facts

    @property
    def keys(self) -> Mapping[str, str]:
        """The keys that start the scenes in the next call's menu."""
        return dict(zip(self.offered, _MENU_KEYS, strict=False))


async def debrief_call(
    database: Database,
    catalogue: Catalogue,
    model: TextModel | None,
    *,
    school_id: UUID,
    call_id: UUID,
    links: Links | None = None,
) -> None:
    """Writes the call's debrief unless there is one, and its message when somebody may get one and it is worth it.

    A call that is still going on, or never got beyond the menu, has none.

    Args:
        model: None: debriefs are written from the facts alone.
        links: None: messages hold no link, because nobody outside could open it.
    """
    async with database.school(school_id) as session:
        told = await _told(session, catalogue, call_id)
        kept = await debriefs.get(session, call_id)
    if told is None:
        return
    # No connection is held while the model writes.
    debrief = await _write(database, model, told) if kept is None else Debrief.read(kept.content)
    if not debrief.praise:
        # Its words were not kept, and the process that wrote them is gone.
        debrief = writing.plain(told.facts, told.scene, told.offered, name=told.name)
    async with database.school(school_id) as session:
        recipient = await _recipient(session, told)
        if recipient is not None:
            await _text(session, told, debrief, recipient, links)


async def _told(session: AsyncSession, catalogue: Catalogue, call_id: UUID) -> _Told | None:
    closed = await closed_call(session, catalogue, call_id)
    if closed is None:
        return None
    scene = closed.scene
    teacher = for_teacher(
        native_of(closed.line, closed.catalogue), closed.facts, scene, coverage=_covered(closed), notes=closed.events
    )
    call = closed.call
    learner = await learners.get(session, call.learner_id) if call.learner_id is not None else None
    name = learner.first_name if learner is not None else None
    offered = await scenes_to_come(session, closed.line, closed.catalogue, learner, target=scene.target.tag)
    return _Told(closed, offered, teacher, name)


def _covered(closed: ClosedCall) -> dict[str, Any]:
    """What of the class's material was due, and what each side used; JSON values, empty without material."""
    scene = closed.scene
    return {} if scene.class_prompt is None else {"due": list(scene.due), **closed.covered.write()}


async def _write(database: Database, model: TextModel | None, told: _Told) -> Debrief:
    """Writes the call's debrief and keeps it, unless somebody else did meanwhile; returns the one that is kept.

    Where words may not be kept, what is kept has none; the message still tells them.
    """
    call, covered = told.call, _covered(told.closed)
    # Calls too short to tell of cost nothing.
    asked = model if worth_a_message(told.facts) else None
    outcome = await writing.write(
        asked,
        told.facts,
        told.scene,
        told.offered,
        name=told.name,
        metadata={"kind": KIND, "call": str(call.id)},
    )
    debrief = outcome.debrief
    content = debrief.write() | {
        "native": told.facts.native,
        "target": told.facts.target,
        "next_key": told.keys.get(debrief.next_scenario),
        "emerging": [] if told.closed.troubled else list(emerging(told.facts, told.scene)),
        "teacher": told.teacher.write(),
        "family": for_family(told.scene.native, told.facts, debrief).write(),
    }
    async with database.school(call.school_id) as session:
        words = await stripping.may_keep_words(session, call.id)
        written = await debriefs.put(
            session,
            school_id=call.school_id,
            call_id=call.id,
            content=content | ({"coverage": covered} if covered else {}) if words else stripping.emptied(content),
            source=outcome.source,
            model=asked.model if asked is not None and outcome.source == "model" else None,
            cost_micro_usd=outcome.cost_micro_usd,
        )
        kept = None if written else await debriefs.get(session, call.id)
    log.info("debrief.written", call=call.carrier_sid, source=outcome.source, problems=outcome.problems)
    return debrief if kept is None else Debrief.read(kept.content)


async def _recipient(session: AsyncSession, told: _Told) -> Recipient | None:
    """Who gets the text about the call: the learner or a guardian, who agreed to texts; None when nobody does."""
    call = told.call
    if call.learner_id is None or not told.closed.line.texts or not worth_a_message(told.facts):
        return None
    found = await recipients.of_call(
        session, told.closed.line, learner_id=call.learner_id, caller_hash=call.caller_hash
    )
    return found if found is not None and await consents.standing(session, found.number_hash) else None


async def _text(
    session: AsyncSession, told: _Told, debrief: Debrief, recipient: Recipient, links: Links | None
) -> None:
    call = told.call
    assert call.learner_id is not None
    token = pages.new_token()
    body = await _body(session, told, debrief, recipient, links.to(token) if links is not None else None)
    written = await messages.add(
        session,
        school_id=call.school_id,
        call_id=call.id,
        learner_id=call.learner_id,
        account_sid=call.account_sid,
        sender=told.closed.line.number,
        kind=KIND,
        key=f"{KIND}:{call.id}",
        body=body,
        number_hash=recipient.number_hash,
    )
    if not written:
        return
    if links is not None:
        await pages.issue(
            session,
            links.keyring,
            token,
            school_id=call.school_id,
            call_id=call.id,
            learner_id=call.learner_id,
            audience=recipient.audience,
        )
    log.info("debrief.texted", call=call.carrier_sid, segments=segments(body), to=recipient.audience)


async def _body(session: AsyncSession, told: _Told, debrief: Debrief, recipient: Recipient, link: str | None) -> str:
    first = not await messages.texted(session, recipient.number_hash, within=REMINDED)
    native = told.scene.native
    if recipient.audience == "family":
        school = await session.get(School, told.call.school_id)
        name = school.name if school is not None else ""
        return compose_family(debrief, told.facts, native, school=name, count=segments, link=link, first=first)
    key = told.keys.get(debrief.next_scenario)
    if told.closed.troubled:
        return compose(debrief, told.facts, native, count=segments, link=link, first=first, key=key)
    measures = told.closed.measures
    noisy = measures.reliability.noisy
    return compose(
        debrief,
        told.facts,
        native,
        count=segments,
        link=link,
        first=first,
        key=key,
        success=success(measures.learner_turns, None if noisy else measures.understood_share, native),
        earned=await _earned(session, told),
        insight=await _insight(session, told),
    )


async def _earned(session: AsyncSession, told: _Told) -> tuple[str, ...]:
    """The most telling thing that was achieved with this call, in ever fewer words; empty where there was none.

    Once the call is kept, what was kept with it counts; until then it is found from what will be.
    """
    closed, call = told.closed, told.call
    if await observations.get(session, call.id) is not None:
        fresh = achievements.in_order(await kept_achievements.of_call(session, call.id))
    else:
        fate = await chains.fate(session, call)
        if fate == "gone_on" or closed.may_go_on(fate):
            return ()
        fresh = await achieved(session, closed.catalogue, call, closed.scene, closed.facts, closed.events)
    return achievements.tellings(fresh[0], closed.scene.native) if fresh else ()


async def _insight(session: AsyncSession, told: _Told) -> str:
    """What has become better most by this call; empty where nothing has by enough."""
    call, scene = told.call, told.scene
    if call.learner_id is None:
        return ""
    calls = await observations.recent(session, call.learner_id, scene.target.tag, COMPARED)
    history = [seen for one in calls if (seen := Seen.read(one.at, one.measures)) is not None]
    found = insights(history, call.ended_at or call.heartbeat_at)
    return found[0].sentence(scene.native) if found else ""
