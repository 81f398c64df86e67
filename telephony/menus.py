"""Whose menu a caller is given: what a line offers, in which order, language and level, and what is remembered of them.

It knows the database and the catalogue, no carrier and no key that is pressed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, Literal, Protocol
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from db import digests, learners
from db.models import Learner, LineSettings
from telephony.ivr.menu import FREE_TALK
from telephony.ivr.record import MenuRecord, Told
from tutor.learning.digest import class_digest, family_news
from tutor.script.catalogue import Catalogue, CatalogueError
from tutor.script.grade import UnknownGrade, grade
from tutor.script.language import Language

FALLBACK_LANGUAGES: Final = ("en", "es")
"""Spoken where the caller's language is not known, one after the other."""
SCHOOL_NAME_CHARACTERS: Final = 60
"""Longer names of schools are cut when spoken: they would fill the prompt."""

log = structlog.get_logger(__name__)


class LineOffer(LineSettings, Protocol):
    """What a line offers, and whether to children."""

    @property
    def kids(self) -> bool: ...


def native_of(line: LineSettings, catalogue: Catalogue) -> Language:
    """Returns the language of a line's callers; the first fallback, and a warning, where that cannot be spoken."""
    try:
        native = catalogue.language(line.native or "")
    except CatalogueError:
        native = None
    if native is not None and native.is_native:
        return native
    if line.native:
        log.warning("language_unsupported", language=line.native, spoken=FALLBACK_LANGUAGES[0])
    return catalogue.language(FALLBACK_LANGUAGES[0])


def offered_on(line: LineOffer, catalogue: Catalogue) -> list[str]:
    """Returns the scenarios of a line, in its order, that can be played on it; for children only those fit for them."""
    playable = _playable(line.scenarios, line.native, line.target, line.level, catalogue)
    if not line.kids:
        return playable
    return [scenario for scenario in playable if catalogue.scenario(scenario).kid_ok]


def order_of(offered: Sequence[str], completed: Counter[str]) -> tuple[str, ...]:
    """Returns the scenes as a menu offers them: first the next one not completed, else the one least played.

    The others keep the line's order; free talk is not among them, it has a key of its own.
    """
    scenes = [scenario for scenario in offered if scenario != FREE_TALK]
    if not scenes:
        return ()
    recommended = min(scenes, key=lambda scenario: completed[scenario])  # the first of equals, so zero comes first
    return (recommended, *(scenario for scenario in scenes if scenario != recommended))


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
) -> MenuRecord:
    """Returns the menu of a learner, or of a guest: their own language and level, and the next scene first.

    A child whose ``settings`` hold a ``grade`` gets that grade's level and scenes, on a line for children.

    Args:
        returning: whether the caller is no stranger.
        opening: see ``MenuContext``.

    Raises:
        SQLAlchemyError: the database cannot be asked.
    """
    native, level, offered = line.native or "", line.level or "", offered_on(line, catalogue)
    completed: Counter[str] = Counter()
    played: frozenset[str] = frozenset()
    slower, voice = False, 0
    if learner is not None:
        completed = await learners.completed_scenarios(session, learner.id)
        played = await learners.played_scenarios(session, learner.id)
        slower, voice = learner.settings.get("slower") is True, _whole(learner.settings.get("voice"))
        own_level = learner.level if learner.target == line.target else level
        if line.kids:
            own_level, offered = _for_the_grade(learner, own_level, offered, catalogue)
        # Their own language and level, unless the catalogue has changed and no longer has them.
        if _playable(offered, learner.native, line.target, own_level, catalogue) == offered:
            native, level = learner.native, own_level
    return MenuRecord(
        native=native,
        school=school,
        returning=returning,
        scenarios=order_of(offered, completed),
        free_talk=FREE_TALK in offered,
        slower=slower,
        level=level,
        ask_consent=ask_consent,
        target=line.target or "",
        played=tuple(sorted(played)),
        voice=voice,
        kids=line.kids,
        opening=opening,
    )


async def teachers_menu(
    session: AsyncSession, line: LineSettings, line_id: UUID, catalogue: Catalogue, *, school: str
) -> MenuRecord:
    """Returns the menu of a teacher, with the class's last seven days as they stand now.

    Raises:
        SQLAlchemyError: the database cannot be asked.
    """
    native = native_of(line, catalogue)
    week = await digests.week(session, line_id)
    lines = class_digest(native, callers=week.callers, talk_s=week.talk_s, finished=week.finished, goals=week.goals)
    return _telling(native, line, school, "teacher", tuple(Told(text, native.tag) for text in lines))


async def familys_menu(
    session: AsyncSession, line: LineSettings, catalogue: Catalogue, child: Learner, *, school: str
) -> MenuRecord:
    """Returns the menu of a learner's family, in the learner's own language, with what the child can do now.

    Raises:
        SQLAlchemyError: the database cannot be asked.
    """
    try:
        native, target = catalogue.pair(child.native, line.target or child.target)
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


def _playable(
    scenarios: Iterable[str], native: str | None, target: str | None, level: str | None, catalogue: Catalogue
) -> list[str]:
    """Returns those scenarios, in their order, that the catalogue has for this pair of languages and level."""
    try:
        pair = catalogue.pair(native or "", target or "")
        catalogue.level(level or "")
    except CatalogueError:
        return []
    known = catalogue.offers(*pair)
    return [scenario for scenario in dict.fromkeys(scenarios) if scenario in known]


def _for_the_grade(learner: Learner, level: str, offered: list[str], catalogue: Catalogue) -> tuple[str, list[str]]:
    """A child's level and scenes; all of the line's when the grade is not set, unknown, or would leave none."""
    if "grade" not in learner.settings:
        return level, offered
    try:
        own = grade(str(learner.settings["grade"]))
    except UnknownGrade as problem:
        log.warning("grade_unknown", problem=str(problem))
        return level, offered
    allowed = [scenario.id for scenario in own.choose(catalogue.scenario(scenario) for scenario in offered)]
    return own.level, allowed or offered


def _whole(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0
