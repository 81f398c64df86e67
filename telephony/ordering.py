"""In which order a learner is offered scenes: what the database remembers of them, handed to ``recommend``.

It knows no key that is pressed. Whoever has not played yet gets the order that the school chose.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from db import learners, profiles, ratings, reviews, topics
from db.learners import Played
from db.models import Learner
from telephony.ivr.menu import FREE_TALK
from tutor.learning.placement import Rating
from tutor.learning.profile import Profile
from tutor.learning.recommend import Learned, Play, interests, recommend, weak_goals
from tutor.script.catalogue import Catalogue
from tutor.script.scenario import Scenario

MOST_DUE: Final = 20
"""Cards that have a say in which scene comes next."""


def order_of(offered: Sequence[str], completed: Counter[str]) -> tuple[str, ...]:
    """Returns scenes in the school's order, but first the next one not completed, else the one least completed."""
    scenes = [scenario for scenario in offered if scenario != FREE_TALK]
    if not scenes:
        return ()
    recommended = min(scenes, key=lambda scenario: completed[scenario])  # the first of equals, so zero comes first
    return (recommended, *(scenario for scenario in scenes if scenario != recommended))


async def order(
    session: AsyncSession,
    catalogue: Catalogue,
    learner: Learner | None,
    offered: Sequence[str],
    *,
    target: str,
    level: str,
    plays: Sequence[Played] | None = None,
    assigned: Sequence[str] = (),
) -> tuple[str, ...]:
    """Returns the scenes as a menu offers them to a learner, the recommended one first, harder ones last.

    Args:
        learner: None: a guest.
        offered: ids of scenes, free talk may be among them.
        target: what is practised.
        level: of the learner in it, where there is no rating yet.
        plays: the learner's, where they are at hand (``learners.plays``).
        assigned: scenes they were given and have not completed, which come first (tutoring.md §1A row 33).

    Raises:
        SQLAlchemyError: the database cannot be asked.
    """
    if learner is not None and plays is None:
        plays = await learners.plays(session, learner.id, target)
    known = {scenario.id: scenario for scenario in catalogue.scenarios if scenario.id != FREE_TALK}
    scenes = [known[scenario] for scenario in offered if scenario in known]
    if learner is None or not plays or not scenes:
        given = [scenario for scenario in assigned if scenario in offered]
        return order_of(tuple(dict.fromkeys((*given, *offered))), Counter())
    now = datetime.now(UTC)
    rating = await ratings.get(session, learner.id, target) or Rating.start(level)
    cards = await reviews.due(session, learner.id, target, now=now, most=MOST_DUE)
    learned = Learned(
        rating=rating,
        plays=[Play(play.scenario, play.at, play.completed) for play in plays],
        goals=_weak(plays, {scenario.id: scenario for scenario in scenes}),
        patterns=Profile.read(await profiles.get(session, learner.id, target) or {}).weak_patterns(),
        interests=interests(await topics.recent(session, learner.id, target)),
        difficulties=await ratings.difficulties(session),
    )
    due = {scene.id: _cards(scene, [card.situation for card in cards]) for scene in scenes}
    return recommend(scenes, learned, now=now, assigned=assigned, due=due).order


def _weak(plays: Sequence[Played], scenes: dict[str, Scenario]) -> frozenset[str]:
    known = [(scenes[play.scenario], play.goals) for play in plays if play.scenario in scenes]
    return weak_goals([(scene, goals) for scene, goals in known if goals is not None])


def _cards(scene: Scenario, situations: Sequence[str]) -> int:
    """How many of the cards get done what a goal of the scene does."""
    able = {goal.can_do for goal in scene.goals}
    return sum(situation in able for situation in situations)
