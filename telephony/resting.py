"""The call of somebody whose school's budget is spent: what they may listen to and repeat, and the row that keeps it.

It costs the carrier's minutes and nothing else. It knows the database and the catalogue, and no carrier.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from db import class_prompts, lines, reviews
from db.lines import LineFound
from db.models import Learner
from telephony.ivr.menu import FREE_TALK
from telephony.ivr.record import MenuRecord
from telephony.languages import same_language
from telephony.menus import learners_menu
from tutor.learning.listening import choose, meanings
from tutor.script.catalogue import Catalogue, CatalogueError
from tutor.script.scene import Scene


async def listeners_menu(
    session: AsyncSession,
    line: LineFound,
    catalogue: Catalogue,
    learner: Learner | None,
    *,
    school: str,
    call_sid: str,
    at: datetime,
) -> MenuRecord | None:
    """Returns what is practised without a model; None where the line does not offer it, or has nothing to say.

    Nothing that is due counts as reviewed by being listened to.

    Args:
        learner: None: a guest, or one of several who share a telephone.
        call_sid: the carrier's identifier of the call; the class's words go round with it.
        at: an aware time.

    Raises:
        SQLAlchemyError: the database cannot be asked.
    """
    settings = await lines.get(session, line.id)
    if settings is None or not settings.offline:
        return None
    menu = await learners_menu(session, line, catalogue, learner, school=school, returning=learner is not None)
    native, target = catalogue.language(menu.native), catalogue.language(menu.target)
    cards = await reviews.due(session, learner.id, menu.target, now=at) if learner is not None else []
    version = await class_prompts.live(session, line.id, class_prompts.day_in(line.school_timezone, at))
    standing = class_prompts.standing_material(line.class_prompt)
    # The class's words are in the line's own language: whoever practises another one there hears its scenes.
    own_target = same_language(menu.target, line.target or "")
    material = class_prompts.material_of(version) if version is not None else standing
    phrases = choose(
        cards,
        material if own_target else None,
        _scenes(catalogue, menu),
        target,
        meaning=meanings(catalogue, native),
        seed=zlib.crc32(call_sid.encode()),
    )
    if not phrases:
        return None
    return MenuRecord(
        native=native.tag,
        school=school,
        returning=menu.returning,
        scenarios=(),
        free_talk=False,
        slower=menu.slower,
        level=menu.level,
        target=target.tag,
        kids=menu.kids,
        role="listener",
        phrases=phrases,
    )


def _scenes(catalogue: Catalogue, menu: MenuRecord) -> Iterator[Scene]:
    """The scenes of a menu, the recommended one first; free talk last, where it is offered."""
    offered: Sequence[str] = (*menu.scenarios, *((FREE_TALK,) if menu.free_talk else ()))
    for scenario in offered:
        try:
            yield catalogue.scene(scenario, native=menu.native, target=menu.target, level=menu.level)
        except CatalogueError:
            # A scene that is not there in this pair of languages: the next one may be.
            continue
