"""Whose menu a caller is given: what a line offers, in which order, language and level, and what is remembered of them.

It knows the database and the catalogue, no carrier and no key that is pressed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from db import assignments, digests, learners, ratings
from db.models import Learner, LineSettings
from telephony import coming_back
from telephony.ivr.menu import FREE_TALK
from telephony.ivr.questions import Offer
from telephony.ivr.record import MenuRecord, Questions, Told
from telephony.ivr.steps import Chosen
from telephony.languages import (
    LineOffer,
    native_of,
    natives_of,
    offered_in,
    offered_on,
    offers_of,
    playable,
    same_language,
    target_for,
)
from telephony.ordering import order
from tutor.learning.digest import class_digest, family_news
from tutor.learning.placement import Rating
from tutor.script.catalogue import Catalogue, CatalogueError
from tutor.script.grade import UnknownGrade, grade
from tutor.script.language import Language

SCHOOL_NAME_CHARACTERS: Final = 60
"""Longer names of schools are cut when spoken: they would fill the prompt."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a caller practises: in which languages, at which level, which scenes."""

    native: str
    target: str
    level: str
    offered: list[str]
    graded: bool = False
    """Whether a school grade gave the level."""


async def learners_menu(
    session: AsyncSession,
    line: LineOffer,
    catalogue: Catalogue,
    learner: Learner | None,
    *,
    school: str,
    returning: bool,
    ask_consent: bool = False,
    opening: str | None = None,
    chosen: Chosen | None = None,
    newcomer: bool = False,
    by_name: bool = False,
    caller_hash: bytes | None = None,
) -> MenuRecord:
    """Returns the menu of a learner, or of a guest: their own language and level, and the next scene first.

    A child whose ``settings`` hold a ``grade`` gets that grade's level and scenes, on a line for children.

    Args:
        returning: whether the caller is no stranger.
        opening: see ``MenuContext``.
        chosen: what a caller whom nobody knows has answered; None: the line's own.
        newcomer: see ``MenuRecord``.
        by_name: whether the learner may be greeted by name: only one has the number that calls.
        caller_hash: the number that calls, by which a call that broke off is found; None: none is looked for.

    Raises:
        SQLAlchemyError: the database cannot be asked.
    """
    offers = offers_of(line, catalogue)
    plays: list[learners.Played] = []
    rating: Rating | None = None
    slower, voice = False, 0
    if learner is None:
        place = _of_a_guest(line, catalogue, chosen)
    else:
        target = target_for(line, learner.target)
        rating = await ratings.get(session, learner.id, target)
        place = _of_a_learner(line, catalogue, learner, target, rating)
        plays = await learners.plays(session, learner.id, place.target)
        slower, voice = learner.settings.get("slower") is True, _whole(learner.settings.get("voice"))
    again = None
    if learner is not None and caller_hash is not None:
        again = await coming_back.offer(
            session,
            catalogue,
            line_id=line.id,
            caller_hash=caller_hash,
            learner_id=learner.id,
            target=place.target,
            offered=place.offered,
        )
    assigned = await _given(session, line, learner, place)
    asks_for_more = rating is not None and returning and not place.graded and place.level == rating.level
    return MenuRecord(
        native=place.native,
        school=school,
        returning=returning,
        scenarios=await order(
            session,
            catalogue,
            learner,
            place.offered,
            target=place.target,
            level=place.level,
            plays=plays,
            assigned=assigned,
        ),
        free_talk=FREE_TALK in place.offered,
        slower=slower,
        level=place.level,
        ask_consent=ask_consent,
        target=place.target,
        played=tuple(sorted({play.scenario for play in plays})),
        voice=voice,
        kids=line.kids,
        opening=opening,
        newcomer=newcomer,
        languages=_several(offers),
        name=learner.first_name if learner is not None and by_name else None,
        again=again,
        bigger=rating.ready_for if rating is not None and asks_for_more else None,
        assigned=tuple(assigned),
    )


async def strangers_menu(
    session: AsyncSession, line: LineOffer, catalogue: Catalogue, *, school: str, newcomer: bool
) -> MenuRecord:
    """Returns what a caller hears whom nobody knows: the questions about languages, where the line has several.

    Args:
        newcomer: whether whoever begins a scene becomes the learner of the number that calls.

    Raises:
        SQLAlchemyError: the database cannot be asked.
    """
    asked = questions_of(line, catalogue)
    if asked is None:
        return await learners_menu(session, line, catalogue, None, school=school, returning=False, newcomer=newcomer)
    return questions_menu(line, catalogue, asked, school=school, newcomer=newcomer)


def questions_of(
    line: LineOffer, catalogue: Catalogue, *, levels: dict[str, str] | None = None, greet: bool = True
) -> Questions | None:
    """Returns what a line must ask a caller; None where it has one language of each kind and so knows it all.

    How far a child is its school grade says, so children are not asked.

    Args:
        levels: how far the caller is, by the target's tag, where that is known.
        greet: whether it must still be said who answers.
    """
    offers = offers_of(line, catalogue)
    return Questions(offers, levels or {}, not line.kids, greet) if _several(offers) else None


def questions_menu(
    line: LineOffer, catalogue: Catalogue, asked: Questions, *, school: str, newcomer: bool = False
) -> MenuRecord:
    """Returns the record of the questions; what is not answered stays as the line has it."""
    return MenuRecord(
        native=native_of(line, catalogue).tag,
        school=school,
        returning=False,
        # Not offered yet; but whoever reads the record must know the school's own scenes.
        scenarios=tuple(scenario for scenario in offered_on(line, catalogue) if scenario != FREE_TALK),
        free_talk=False,
        slower=False,
        level=line.level or "",
        target=line.target or "",
        kids=line.kids,
        newcomer=newcomer,
        questions=asked,
    )


async def scenes_to_come(
    session: AsyncSession, line: LineOffer, catalogue: Catalogue, learner: Learner | None, *, target: str
) -> tuple[str, ...]:
    """Returns the scenes of the next call, as its menu will offer them, without free talk.

    Args:
        learner: None: a guest, of whom the next call will know nothing.
        target: what a learner practises then; a guest is offered the line's own language first.

    Raises:
        SQLAlchemyError: the database cannot be asked.
    """
    if learner is None:
        place = _of_a_guest(line, catalogue, None)
    else:
        place = _of_a_learner(line, catalogue, learner, target, await ratings.get(session, learner.id, target))
    return await order(
        session,
        catalogue,
        learner,
        place.offered,
        target=place.target,
        level=place.level,
        assigned=await _given(session, line, learner, place),
    )


async def levels_of(session: AsyncSession, line: LineOffer, catalogue: Catalogue, learner: Learner) -> dict[str, str]:
    """Returns how far a learner is in each language of a line, by its tag, where that is known.

    Raises:
        SQLAlchemyError: the database cannot be asked.
    """
    known = {}
    for target in dict.fromkeys(tag for offer in offers_of(line, catalogue) for tag in offer.targets):
        rating = await ratings.get(session, learner.id, target)
        if rating is not None:
            known[target] = str(rating.level)
        elif same_language(target, learner.target):
            known[target] = learner.level
    return known


async def teachers_menu(
    session: AsyncSession, line: LineSettings, line_id: UUID, catalogue: Catalogue, *, school: str
) -> MenuRecord:
    """Returns the menu of a teacher, with the class's last seven days as they stand now.

    Raises:
        SQLAlchemyError: the database cannot be asked.
    """
    native = native_of(line, catalogue)
    week = await digests.week(session, line_id)
    lines = class_digest(
        native,
        callers=week.callers,
        talk_s=week.talk_s,
        finished=week.finished,
        goals=week.goals,
        topics=week.topics,
    )
    return _telling(native, line, school, "teacher", tuple(Told(text, native.tag) for text in lines))


async def familys_menu(
    session: AsyncSession, line: LineOffer, catalogue: Catalogue, child: Learner, *, school: str
) -> MenuRecord:
    """Returns the menu of a learner's family, in the learner's own language, with what the child can do now.

    Raises:
        SQLAlchemyError: the database cannot be asked.
    """
    try:
        native, target = catalogue.pair(child.native, target_for(line, child.target))
    except CatalogueError:
        native, target = native_of(line, catalogue), catalogue.language(line.target or "")
    reached = await digests.child(session, child.id)
    news = family_news(native, target, goals=reached.goals, keep=reached.keep)
    told = tuple(Told(said.text, said.language, said.slow) for said in news)
    return _telling(native, line, school, "family", told)


def _telling(
    native: Language, line: LineSettings, school: str, role: Literal["teacher", "family"], told: tuple[Told, ...]
) -> MenuRecord:
    return MenuRecord(
        native=native.tag,
        school=school,
        returning=True,
        scenarios=(),
        free_talk=False,
        slower=False,
        level=line.level or "",
        role=role,
        told=told,
    )


async def _given(session: AsyncSession, line: LineOffer, learner: Learner | None, place: _Place) -> list[str]:
    """The scenes that somebody was given and has not completed, of those that they are offered."""
    assigned = await assignments.open_to(
        session,
        line_id=line.id,
        learner_id=learner.id if learner is not None else None,
        target=place.target,
        at=datetime.now(UTC),
    )
    return [scenario for scenario in assigned if scenario in place.offered]


def _of_a_guest(line: LineOffer, catalogue: Catalogue, chosen: Chosen | None) -> _Place:
    if chosen is not None:
        offered = offered_in(line, catalogue, native=chosen.native, target=chosen.target)
        if offered:
            return _Place(chosen.native, chosen.target, chosen.level, offered)
    return _Place(line.native or "", line.target or "", line.level or "", offered_on(line, catalogue))


def _of_a_learner(
    line: LineOffer, catalogue: Catalogue, learner: Learner, target: str, rating: Rating | None
) -> _Place:
    """Their own language and level, unless the line does not have that language or the catalogue has changed."""
    if rating is not None:
        level = str(rating.level)
    else:
        level = learner.level if same_language(learner.target, target) else line.level or ""
    # On a line of one language its scenes count more than the caller's language, on others the language they chose.
    own = learner.native in natives_of(line)
    every = offered_in(line, catalogue, native=learner.native if own else line.native or "", target=target)
    every = every or offered_on(line, catalogue)
    offered, graded = every, False
    if line.kids:
        level, offered, graded = _for_the_grade(learner, level, every, catalogue)
    if offered and playable(offered, learner.native, target, level, catalogue) == offered:
        return _Place(learner.native, target, level, offered, graded)
    return _Place(line.native or "", line.target or "", line.level or "", offered_on(line, catalogue))


def _several(offers: Sequence[Offer]) -> bool:
    """Whether there is something to choose between."""
    return len(offers) > 1 or any(len(offer.targets) > 1 for offer in offers)


def _for_the_grade(
    learner: Learner, level: str, offered: list[str], catalogue: Catalogue
) -> tuple[str, list[str], bool]:
    """A child's level and scenes, and whether its grade gave them; all of the line's when it is not set, unknown, or
    would leave none."""
    if "grade" not in learner.settings:
        return level, offered, False
    try:
        own = grade(str(learner.settings["grade"]))
    except UnknownGrade as problem:
        log.warning("grade_unknown", problem=str(problem))
        return level, offered, False
    allowed = [scenario.id for scenario in own.choose(catalogue.scenario(scenario) for scenario in offered)]
    return own.level, allowed or offered, True


def _whole(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0
