"""What a learner agreed to have kept beyond a call: looked up for their menu, and changed by its keys.

It knows rows, no carrier. Who hears what of it is not known here.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Final, Protocol

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from db import consents, learners, policies, recordings, topics
from db.models import Call, Learner
from telephony.ivr.keeping import NOTHING, Agreed
from tutor.script.language import Language

AGREEMENT: Final = "remember_consent"
"""The learner's setting beside ``topics.REMEMBER`` that shows it: the answer, when, in which call, which wording."""

log = structlog.get_logger(__name__)


class CallersOf(Protocol):
    """Who may call a line."""

    @property
    def minors(self) -> str: ...
    @property
    def kids(self) -> bool: ...
    @property
    def for_children(self) -> bool: ...


def wording(native: Language, key: str) -> str:
    """Returns the version of a sentence that asks: it changes with every change of the sentence."""
    return f"{native.tag}:{hashlib.sha256(native.say(key).encode()).hexdigest()[:12]}"


async def of(session: AsyncSession, line: CallersOf, learner: Learner | None, caller_hash: bytes | None) -> Agreed:
    """Returns what a caller may agree to on this line, and how that stands.

    Sound: where the school keeps some, of adults, of whom the number that calls is theirs alone and gets their texts;
    without them there is no page on which to hear it. What is told: of every learner, except on a line for children.

    Args:
        learner: None: nobody is known.
        caller_hash: the number that calls; None: withheld.

    Raises:
        SQLAlchemyError: the database cannot be asked.
    """
    if learner is None:
        return NOTHING
    facts = None if line.for_children else learner.settings.get(topics.REMEMBER) is True
    if caller_hash is None or not await _may_agree_to_sound(session, line, learner, caller_hash):
        return Agreed(None, facts)
    return Agreed(await consents.agreed(session, caller_hash, consents.AUDIO), facts)


async def _may_agree_to_sound(session: AsyncSession, line: CallersOf, learner: Learner, caller_hash: bytes) -> bool:
    if line.kids or line.minors != "none" or (await policies.of_school(session)).audio_hours == 0:
        return False
    known = await learners.by_number_hash(session, caller_hash)
    return [one.id for one in known] == [learner.id] and await consents.standing(session, caller_hash)


async def change(session: AsyncSession, call: Call, native: Language, was: Agreed, now: Agreed) -> None:
    """Keeps what the caller of ``call`` agreed to, or took back: then what was kept goes at once.

    In the transaction of ``session``. Of a caller who is forgotten by now, nothing.

    Args:
        native: the language in which they were asked.
        was: what stood before.
        now: what stands.

    Raises:
        SQLAlchemyError: the database cannot be asked.
    """
    if call.learner_id is None:
        return
    if now.sound is not None and now.sound != was.sound and call.caller_hash is not None:
        await _change_sound(session, call, native, call.caller_hash, agreed=now.sound)
    if now.facts is not None and now.facts != was.facts:
        shown = {
            "given": now.facts,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "call": call.carrier_sid,
            "wording": wording(native, "keeping.facts_ask"),
        }
        await learners.save_settings(session, call.learner_id, {topics.REMEMBER: now.facts, AGREEMENT: shown})
        if not now.facts:
            await topics.forget_facts(session, call.learner_id)
        log.info("facts_agreed", call=call.carrier_sid, given=now.facts)


async def _change_sound(
    session: AsyncSession, call: Call, native: Language, caller_hash: bytes, *, agreed: bool
) -> None:
    if agreed:
        await consents.give(
            session,
            school_id=call.school_id,
            number_hash=caller_hash,
            carrier_sid=call.carrier_sid,
            wording=wording(native, "keeping.sound_ask"),
            kind=consents.AUDIO,
        )
    else:
        await consents.end(session, caller_hash, consents.AUDIO)
        await recordings.end_now(session, [], call.learner_id)
    log.info("sound_agreed", call=call.carrier_sid, given=agreed)
