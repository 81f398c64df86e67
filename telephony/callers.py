"""An answer in a menu that says who calls: a PIN, or one of several who share a telephone.

It looks up what a pure menu cannot know, and begins the menu that belongs to whoever it turned out to be. The digits of
a PIN are kept nowhere. It knows no carrier.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from db import calls, class_prompts, learners, lines, pins
from db.keyring import Keyring
from db.models import Call, Line, School
from db.pins import DIGITS, Known
from telephony import menus
from telephony.ivr.record import At, MenuRecord
from telephony.ivr.steps import SPOKEN, Ask, Identify
from telephony.ivr.teacher import TeacherState
from tutor.script.catalogue import Catalogue
from tutor.script.class_prompt import ClassPrompt

PROMPT_DAYS: Final = 7
"""How long a week's material holds that was said on the telephone, its first day included."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Answered:
    """A menu after one more answer."""

    record: MenuRecord
    at: At


async def answered(
    session: AsyncSession, keyring: Keyring, catalogue: Catalogue, call: Call, record: MenuRecord, answer: str
) -> Answered:
    """Gives an answer to the menu of a call, in the transaction of ``session``, which must be rolled back with it.

    Args:
        record: the menu before the answer.
        answer: keys, the digits of a PIN, or speech with ``steps.SPOKEN`` before it; empty for none in time.

    Raises:
        SQLAlchemyError: the database cannot be asked.
    """
    before = record.at(catalogue)
    takes = before.step.takes if isinstance(before.step, Ask) else "key"
    asked_for_pin = takes == "pin"
    if answer.startswith(SPOKEN) and takes != "speech":
        answer = ""
    if asked_for_pin and len(answer) == DIGITS and answer.isascii() and answer.isdecimal():
        outcome = await pins.check(
            session,
            keyring,
            school_id=call.school_id,
            line_id=call.line_id,
            caller_hash=call.caller_hash,
            digits=answer,
        )
        if isinstance(outcome, Known):
            log.info("pin_accepted", call=call.carrier_sid, role=outcome.role)
            return await _as(session, catalogue, call, record, outcome)
        log.info("pin_refused", call=call.carrier_sid, why=outcome)
        answer = outcome
    elif asked_for_pin:
        # Too few digits, or a star to go back: not even these are kept.
        answer = "*" if "*" in answer else "?" if answer else ""
    following = record.answered(answer)
    now = following.at(catalogue)
    if isinstance(now.step, Identify):
        learner = now.step.learner
        who = Known("learner", UUID(learner)) if learner is not None else None
        return await _as(session, catalogue, call, record, who)
    if isinstance(now.state, TeacherState) and isinstance(before.state, TeacherState):
        await _keep_material(session, call, before.state, now.state)
    return Answered(following, now)


async def _as(
    session: AsyncSession, catalogue: Catalogue, call: Call, record: MenuRecord, who: Known | None
) -> Answered:
    """Begins the menu of whoever calls; None is a guest, whose PIN was not known."""
    line = await lines.get(session, call.line_id)
    if line is None:
        raise LookupError("The line of this call is gone.")
    found = await _menu_of(session, catalogue, line, record, who)
    is_learner = who is not None and who.role == "learner"
    await calls.identify(session, call.id, who.learner_id if who is not None and is_learner else None)
    found = found.after(record)
    return Answered(found, found.at(catalogue))


async def _menu_of(
    session: AsyncSession, catalogue: Catalogue, line: Line, record: MenuRecord, who: Known | None
) -> MenuRecord:
    school = record.school
    if who is not None and who.role == "teacher":
        return await menus.teachers_menu(session, line, line.id, catalogue, school=school)
    person = await learners.get(session, who.learner_id) if who is not None and who.learner_id is not None else None
    if who is None or person is None:
        return await menus.learners_menu(
            session, line, catalogue, None, school=school, returning=False, opening="pin.closed"
        )
    if who.role == "family":
        return await menus.familys_menu(session, line, catalogue, person, school=school)
    # The greeting was heard; whoever chose their name on a shared telephone needs no second one.
    opening = "" if record.people else "pin.welcome"
    return await menus.learners_menu(session, line, catalogue, person, school=school, returning=True, opening=opening)


async def _keep_material(session: AsyncSession, call: Call, before: TeacherState, now: TeacherState) -> None:
    """Keeps what a teacher said and confirmed as the line's material, from today in the school's time zone."""
    if now.kept is None or now.kept == before.kept:
        return
    school = await session.get(School, call.school_id)
    today = class_prompts.day_in(school.timezone if school is not None else "UTC", datetime.now(UTC))
    last = today + timedelta(days=PROMPT_DAYS - 1)
    await class_prompts.add(session, call.line_id, ClassPrompt(text=now.kept), starts_on=today, ends_on=last)
    log.info("class_prompt_spoken", call=call.carrier_sid, starts_on=str(today), ends_on=str(last))
