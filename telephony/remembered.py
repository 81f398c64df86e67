"""What of a learner's earlier calls is brought to the next one: needs, what is due, a focus, a card for the role.

It reads what was worked out after those calls; nothing is worked out here. Knows no carrier and no key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from db import observations, policies, profiles, reviews, topics
from db.models import Learner
from db.observations import Lately
from tutor.learning.profile import Profile, learner_card
from tutor.learning.review import ReviewCard, opportunities
from tutor.script.catalogue import Catalogue
from tutor.script.scene import Scene
from tutor.talk.needs import Needs

CARD_CALLS = 3
"""What was managed in so many calls is told to the role."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """What is known of one caller in one language. That of a guest is empty."""

    profile: Profile = field(default_factory=Profile)
    needs: Needs = field(default_factory=Needs)
    cards: tuple[ReviewCard, ...] = ()
    """What is due again."""
    topics: tuple[str, ...] = ()
    """The newest first."""
    facts: tuple[str, ...] = ()
    """What they told about themselves and agreed to be remembered, the newest first."""
    can_dos: tuple[str, ...] = ()
    """What was reached lately, in English, the newest first."""
    known: bool = False
    """Whether there is anybody to remember."""
    agreed: bool = False
    """Whether they agreed that facts are kept, and may be asked to: no child is."""

    def brought_to(self, scene: Scene, seed: int) -> Scene:
        """The scene as this caller is to play it: what is due, the focus, the card."""
        focus = self.profile.focus
        classes_first = scene.class_prompt is not None and bool(scene.class_prompt.grammar)
        practised = None if classes_first else focus
        card = learner_card(
            level=scene.level.name,
            can_dos=self.can_dos,
            topics=self.topics,
            facts=self.facts,
            remember=bool(self.facts),
            focus=practised,
        )
        return replace(
            scene,
            due=opportunities(self.cards, scene.class_prompt, seed),
            focus=practised.instruction if practised is not None else "",
            learner_card=card if self.known else "",
            remembers=self.agreed,
        )


async def remembered(
    session: AsyncSession,
    catalogue: Catalogue,
    learner: Learner | None,
    *,
    target: str,
    kids: bool,
    proven: bool,
    now: datetime,
) -> Remembered:
    """Looks up what is remembered of a learner in a language, in the session's school.

    Args:
        learner: None: a guest.
        kids: whether children call here: then no fact about them is told.
        proven: whether more than a number says who calls; without that, or a school that trusts numbers, nothing is
            told of what they said and did in earlier calls. What they need is there for everybody.

    Raises:
        SQLAlchemyError: the database cannot be asked.
    """
    if learner is None:
        return Remembered()
    profile = Profile.read(await profiles.get(session, learner.id, target) or {})
    # What somebody chose for them goes before what was measured.
    needs = Needs.read({**profile.needs(), **learner.settings})
    cards = tuple(await reviews.due(session, learner.id, target, now=now))
    agreed = not kids and learner.settings.get(topics.REMEMBER) is True
    if not proven and not (await policies.of_school(session)).trust_numbers:
        return Remembered(profile, needs, cards, known=True, agreed=agreed)
    calls = await observations.latest(session, learner.id, target, CARD_CALLS)
    return Remembered(
        profile=profile,
        needs=needs,
        cards=cards,
        topics=tuple(await topics.recent(session, learner.id, target)),
        facts=() if kids else tuple(await topics.facts(session, learner.id)),
        can_dos=_reached(calls, catalogue),
        known=True,
        agreed=agreed,
    )


def _reached(calls: Sequence[Lately], catalogue: Catalogue) -> tuple[str, ...]:
    able = {(scene.id, goal.id): goal.can_do for scene in catalogue.scenarios for goal in scene.goals}
    newest_first = [(call.scenario, goal) for call in reversed(calls) for goal in call.notes.get("goals", ())]
    return tuple(dict.fromkeys(able[reached] for reached in newest_first if reached in able))
