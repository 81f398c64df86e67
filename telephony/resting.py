"""The call of somebody whose school's budget is spent: what they may listen to and repeat, and the row that keeps it.

It costs the carrier's minutes and nothing else. It knows the database and the catalogue, and no carrier.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final, Literal, Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from db import calls, class_prompts, lines, reviews
from db.limits import Payer, window
from db.models import Learner
from telephony.ivr.menu import FREE_TALK
from telephony.ivr.record import MenuRecord
from telephony.languages import LineOffer, same_language
from telephony.menus import learners_menu
from tutor.learning.listening import choose, meanings
from tutor.script.catalogue import Catalogue, CatalogueError
from tutor.script.scene import Scene

CALLS_A_DAY: Final = 3
"""How often it is offered to a caller; those who withhold their numbers count as one. Each is five minutes of the
carrier's that nobody has a budget for."""


class RestingLine(LineOffer, Protocol):
    """A line whose callers may listen."""

    @property
    def class_prompt(self) -> str | None: ...


async def listeners_menu(
    session: AsyncSession,
    line: RestingLine,
    catalogue: Catalogue,
    learner: Learner | None,
    payer: Payer,
    *,
    school: str,
    timezone: str,
    call_sid: str,
    at: datetime,
    rests: Literal["day", "month"] = "day",
) -> MenuRecord | None:
    """Returns what is practised without a model; None where the line does not offer it, or has nothing to say.

    None, too, for whoever was offered it ``CALLS_A_DAY`` times that day. Nothing that is due counts as reviewed by
    being listened to.

    Args:
        learner: None: a guest, or one of several who share a telephone.
        payer: by whom calls are counted.
        school: its name, as it is spoken.
        timezone: the school's, an IANA name.
        call_sid: the carrier's identifier of the call; the class's words go round with it.
        at: an aware time.
        rests: for how long the budget is used up.

    Raises:
        SQLAlchemyError: the database cannot be asked.
    """
    settings = await lines.get(session, line.id)
    if settings is None or not settings.offline:
        return None
    today = window("day", timezone, at).starts_at
    if await calls.listeners(session, payer, since=today) >= CALLS_A_DAY:
        return None
    menu = await learners_menu(session, line, catalogue, learner, school=school, returning=learner is not None)
    native, target = catalogue.language(menu.native), catalogue.language(menu.target)
    cards = await reviews.due(session, learner.id, menu.target, now=at) if learner is not None else []
    version = await class_prompts.live(session, line.id, class_prompts.day_in(timezone, at))
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
        rests=rests,
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
