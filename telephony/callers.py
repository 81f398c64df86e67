"""An answer in a menu that says who calls: a PIN, one of several who share a telephone, languages, or a first scene.

It looks up what a pure menu cannot know, and begins the menu that belongs to whoever it turned out to be. The digits of
a PIN are kept nowhere. It knows no carrier.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from db import budgets, calls, class_prompts, learners, lines, pins
from db.keyring import Keyring
from db.limits import Payer
from db.models import Call, Line, School
from db.pins import DIGITS, Known
from telephony import agreements, allowance, menus, resting
from telephony.allowance import NothingLeft
from telephony.ivr.menu import MenuState
from telephony.ivr.questions import QuestionsState
from telephony.ivr.record import At, MenuRecord
from telephony.ivr.steps import SPOKEN, Ask, Choose, Chosen, Identify
from telephony.ivr.teacher import TeacherState
from tutor.realtime.planning import usual_minute
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


@dataclass(frozen=True, slots=True)
class Models:
    """The service's models, by which a minute is priced; empty, or without a price: as the dearest."""

    speech: str = ""
    """Unless the line chooses another."""
    transcribe: str = ""


async def answered(
    session: AsyncSession,
    keyring: Keyring,
    catalogue: Catalogue,
    call: Call,
    record: MenuRecord,
    answer: str,
    *,
    models: Models,
) -> Answered:
    """Gives an answer to the menu of a call, in the transaction of ``session``, which must be rolled back with it.

    Args:
        record: the menu before the answer.
        answer: keys, the digits of a PIN, or speech with ``steps.SPOKEN`` before it; empty for none in time.
        models: what whoever turns out to call would spend from their minutes and budgets on.

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
            return await _as(session, catalogue, call, record, outcome, models, proven=True)
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
        return await _as(session, catalogue, call, record, who, models, proven=record.proven)
    if isinstance(now.step, Choose):
        return await _questions(session, catalogue, call, record, now, greet=now.step.greet)
    if isinstance(now.step, Chosen):
        return await _chosen(session, catalogue, call, following, now, now.step)
    if isinstance(now.state, TeacherState) and isinstance(before.state, TeacherState):
        await _keep_material(session, call, before.state, now.state)
    return Answered(following, now)


async def enrol(session: AsyncSession, call: Call, record: MenuRecord, at: At, last_two: str) -> UUID | None:
    """Makes a learner of a newcomer whose first scene begins, in the transaction of ``session``; returns the call's.

    Who only listens, or turns out to be a teacher or a family, leaves nothing behind.

    Args:
        call: the caller's.
        record: their menu.
        at: where they are in it.
        last_two: the last digits of the number that calls; empty for a SIP phone.

    Raises:
        SQLAlchemyError: the database cannot be asked.
    """
    if not record.newcomer or call.learner_id is not None or call.caller_hash is None:
        return call.learner_id
    made = await learners.create_with_number(
        session,
        school_id=call.school_id,
        number_hash=call.caller_hash,
        last_two=last_two,
        native=record.native,
        target=record.target,
        level=record.level,
    )
    await calls.identify(session, call.id, made.id)
    if isinstance(at.state, MenuState) and (at.state.slower or at.state.voice):
        await learners.save_settings(session, made.id, {"slower": at.state.slower, "voice": at.state.voice})
    return made.id


async def _as(
    session: AsyncSession,
    catalogue: Catalogue,
    call: Call,
    record: MenuRecord,
    who: Known | None,
    models: Models,
    *,
    proven: bool,
) -> Answered:
    """Begins the menu of whoever calls; None is a guest, whose PIN was not known. ``proven``: see ``MenuRecord``.

    Their minutes and budgets are asked for now: at the door it was not known whose they are.
    """
    line = await _line(session, call)
    found = await _menu_of(session, catalogue, line, call, record, who)
    is_learner = who is not None and who.role == "learner"
    learner_id = who.learner_id if who is not None and is_learner else None
    await calls.identify(session, call.id, learner_id)
    if found.role == "learner":
        payer = Payer(call.school_id, call.line_id, learner_id, call.id, call.caller_hash)
        minute = usual_minute(line.model or models.speech, models.transcribe, line.number)
        try:
            await allowance.require_of_caller(session, payer, minute_micro_usd=minute, at=datetime.now(UTC))
        except NothingLeft as nothing:
            found = await _without_money(session, catalogue, line, call, found, nothing)
    found = msgspec.structs.replace(found, proven=proven and learner_id is not None).after(record)
    return Answered(found, found.at(catalogue))


async def _without_money(
    session: AsyncSession, catalogue: Catalogue, line: Line, call: Call, found: MenuRecord, nothing: NothingLeft
) -> MenuRecord:
    """What follows for a learner who may not practise now: listening, where only the school's money is spent."""
    log.info("caller_turned_away", call=call.carrier_sid, sentence=nothing.sentence)
    payer = nothing.payer
    learner = await learners.get(session, payer.learner_id) if payer.learner_id is not None else None
    stays = None
    if not nothing.own:
        stays = await resting.listeners_menu(
            session,
            line,
            catalogue,
            learner,
            payer,
            school=found.school,
            timezone=await _timezone(session, call),
            call_sid=call.carrier_sid,
            at=datetime.now(UTC),
            rests=nothing.period,
        )
    if stays is None:
        return msgspec.structs.replace(found, turned_away=nothing.sentence)
    # What was set aside at the door; of a call that ends it is given back as it is closed.
    await budgets.release(session, call.id)
    return stays


async def _timezone(session: AsyncSession, call: Call) -> str:
    school = await session.get(School, call.school_id)
    return school.timezone if school is not None else "UTC"


async def _line(session: AsyncSession, call: Call) -> Line:
    line = await lines.get(session, call.line_id)
    if line is None:
        raise LookupError("The line of this call is gone.")
    return line


async def _questions(
    session: AsyncSession, catalogue: Catalogue, call: Call, record: MenuRecord, at: At, *, greet: bool
) -> Answered:
    """Begins the questions about languages for whoever wants others, or is nobody known by this telephone.

    Who is known is not asked how far they are.
    """
    line = await _line(session, call)
    learner = await learners.get(session, call.learner_id) if call.learner_id is not None else None
    levels = await menus.levels_of(session, line, catalogue, learner) if learner is not None else {}
    asked = menus.questions_of(line, catalogue, levels=levels, greet=greet)
    if asked is None:
        # The line was changed during the call: there is nothing to choose any more.
        return Answered(record.answered("*"), record.answered("*").at(catalogue))
    found = menus.questions_menu(line, catalogue, asked, school=record.school, newcomer=record.newcomer)
    found = msgspec.structs.replace(
        found,
        native=record.native,
        target=record.target,
        level=record.level,
        recorded=record.recorded,
        proven=record.proven,
        **_settings(at),
    ).after(record)
    return Answered(found, found.at(catalogue))


async def _chosen(
    session: AsyncSession, catalogue: Catalogue, call: Call, record: MenuRecord, at: At, chosen: Chosen
) -> Answered:
    """Begins the menu in the languages that were chosen; a learner keeps them.

    Args:
        record: the questions, with their last answer.
        at: where that led.
        chosen: what it came to.
    """
    line = await _line(session, call)
    learner = await learners.get(session, call.learner_id) if call.learner_id is not None else None
    if learner is not None:
        await learners.choose_languages(
            session, learner.id, native=chosen.native, target=chosen.target, level=chosen.level
        )
        await session.refresh(learner)
    greeted = isinstance(at.state, QuestionsState) and at.state.greeted
    found = await menus.learners_menu(
        session,
        line,
        catalogue,
        learner,
        school=record.school,
        returning=learner is not None,
        opening="" if greeted else None,
        chosen=chosen,
        newcomer=record.newcomer,
    )
    first = record.since == 0
    before = msgspec.structs.replace(record, answers=record.answers[:-1])
    found = msgspec.structs.replace(
        found,
        slower=record.slower or found.slower,
        voice=record.voice or found.voice,
        asked_s=record.heard_s(catalogue) if first else 0.0,
        agreed=await agreements.of(session, line, learner, call.caller_hash),
        recorded=record.recorded,
        proven=record.proven,
    ).after(before)
    return Answered(found, found.at(catalogue))


def _settings(at: At) -> dict[str, Any]:
    """What was set before there was a learner to keep it."""
    return {"slower": at.state.slower, "voice": at.state.voice} if isinstance(at.state, MenuState) else {}


async def _menu_of(
    session: AsyncSession, catalogue: Catalogue, line: Line, call: Call, record: MenuRecord, who: Known | None
) -> MenuRecord:
    school = record.school
    if who is not None and who.role == "teacher":
        return await menus.teachers_menu(session, line, line.id, catalogue, school=school)
    person = await learners.get(session, who.learner_id) if who is not None and who.learner_id is not None else None
    if who is None or person is None:
        # Who had no learner's menu goes on in the languages they were spoken to.
        kept = Chosen(record.native, record.target, record.level) if call.learner_id is None and record.target else None
        return await menus.learners_menu(
            session, line, catalogue, None, school=school, returning=False, opening="pin.closed", chosen=kept
        )
    if who.role == "family":
        return await menus.familys_menu(session, line, catalogue, person, school=school)
    # The greeting was heard; whoever chose their name on a shared telephone needs no second one.
    opening = "" if record.people else "pin.welcome"
    menu = await menus.learners_menu(
        session,
        line,
        catalogue,
        person,
        school=school,
        returning=True,
        opening=opening,
        caller_hash=call.caller_hash,
    )
    return msgspec.structs.replace(menu, agreed=await agreements.of(session, line, person, call.caller_hash))


async def _keep_material(session: AsyncSession, call: Call, before: TeacherState, now: TeacherState) -> None:
    """Keeps what a teacher said and confirmed as the line's material, from today in the school's time zone."""
    if now.kept is None or now.kept == before.kept:
        return
    today = class_prompts.day_in(await _timezone(session, call), datetime.now(UTC))
    last = today + timedelta(days=PROMPT_DAYS - 1)
    await class_prompts.add(session, call.line_id, ClassPrompt(text=now.kept), starts_on=today, ends_on=last)
    log.info("class_prompt_spoken", call=call.carrier_sid, starts_on=str(today), ends_on=str(last))
