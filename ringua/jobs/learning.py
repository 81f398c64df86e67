"""What a call taught: measured, rated and kept, once, so that the next call begins where this one ended.

Everything before the debrief is one transaction, and so are the cards that follow it: killed anywhere, a job leaves all
of it or nothing, and the next one does what is missing. Nothing here is told to anybody.

A scene that broke off and went on in another call is one play: the call that went on with it is measured, rated and
kept as a whole, and what had been measured before is withdrawn. So a call that may still be gone on with is measured at
once, and only settled, which cannot be taken back, when nobody can go on with it any more.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from db import achievements, calls, chains, debriefs, jobs, observations, profiles, ratings, reviews, topics
from db.engine import Database
from db.models_learning import Observation
from db.profiles import NewProfile
from ringua.jobs import profiling
from ringua.jobs.record import ClosedCall, closed_call
from telephony.celebrating import achieved
from telephony.coming_back import TAKEN_WITHIN_S
from tutor.learning import placement, review
from tutor.learning.achievements import succeeded
from tutor.learning.confidence import confidence
from tutor.learning.evidence import evidence
from tutor.learning.metrics import Measures
from tutor.learning.patterns import CallNotes
from tutor.learning.placement import Rating
from tutor.learning.profile import Profile
from tutor.learning.recall import recall
from tutor.learning.review import ReviewCard, new_cards
from tutor.script.catalogue import Catalogue
from tutor.script.level import LEVELS
from tutor.script.scenario import Scenario

COMPARED: Final = 10
"""First calls that are looked at: those of fewer than four turns do not count among the three that are needed."""

AGAIN_S: Final = 60.0

log = structlog.get_logger(__name__)


async def learn_or_later(database: Database, catalogue: Catalogue, *, school_id: UUID, call_id: UUID) -> None:
    """Keeps what a call taught, or sees to it that it is tried again: whoever waits for the debrief still gets it."""
    try:
        await learn_from_call(database, catalogue, school_id=school_id, call_id=call_id)
    except Exception as error:
        log.error("learning.postponed", call_id=str(call_id), problem=type(error).__name__)
        async with database.school(school_id) as session:
            name, arguments = observations.job(school_id, call_id)
            await jobs.defer(session, name, delay_s=AGAIN_S, **arguments)


async def learn_from_call(database: Database, catalogue: Catalogue, *, school_id: UUID, call_id: UUID) -> bool:
    """Keeps what a closed call taught; False when that was done, or when there is nothing to be kept.

    For a learner that is everything but new cards (``make_cards``); of a guest's call only the figures stay. A call
    that somebody went on with keeps nothing: the other one has it all.
    """
    async with database.school(school_id) as session:
        told = await closed_call(session, catalogue, call_id)
        if told is None:
            return False
        learner_id = told.call.learner_id
        if learner_id is not None and not await observations.hold(session, learner_id):
            learner_id = None  # forgotten while we looked
        if await observations.get(session, call_id) is not None:
            return False
        fate = await chains.fate(session, told.call)
        if fate == "gone_on":
            return False
        measures = told.measures
        if learner_id is None:
            return await observations.put(session, _observation(told, measures, None, None))
        learned = _Learner(session, told, learner_id, measures)
        may_go_on = told.may_go_on(fate)
        kept = await learned.observe(may_go_on=may_go_on)
        if kept:
            await learned.remember(celebrate=not may_go_on)
        return kept


async def rate_call(database: Database, catalogue: Catalogue, *, school_id: UUID, call_id: UUID) -> bool:
    """Settles a call that broke off, after which nobody can go on with it; False when somebody did, or it was done.

    While somebody may be about to go on with it, in a call that is open or has broken off before it reached the scene,
    it is tried again later.
    """
    async with database.school(school_id) as session:
        told = await closed_call(session, catalogue, call_id)
        learner_id = told.call.learner_id if told is not None else None
        if told is None or learner_id is None or not await observations.hold(session, learner_id):
            return False
        # Whoever goes on takes what is needed for it, and so does this: of the two one gets it.
        await calls.take_resume(session, call_id)
        fate = await chains.fate(session, told.call)
        if fate == "gone_on":
            return False
        if fate == "open":
            await _settle_later(session, school_id, call_id)
            return False
        if not await observations.waited(session, call_id):
            return False
        await _Learner(session, told, learner_id, told.measures).settle()
        return True


async def make_cards(database: Database, catalogue: Catalogue, *, school_id: UUID, call_id: UUID) -> bool:
    """Makes a call's review cards, once it is observed and debriefed; False when there is nothing to do."""
    async with database.school(school_id) as session:
        told = await closed_call(session, catalogue, call_id)
        kept = await debriefs.get(session, call_id)
        learner_id = told.call.learner_id if told is not None else None
        if told is None or kept is None or learner_id is None or not await observations.hold(session, learner_id):
            return False
        if not await observations.cards_made(session, call_id):
            return False
        target = told.scene.target.tag
        profile = Profile.read(await profiles.get(session, learner_id, target) or {})
        phrase = kept.content.get("keep")
        fresh = new_cards(
            told.scene,
            told.facts,
            _ended(told),
            known=await reviews.all(session, learner_id, target),
            kept=phrase if isinstance(phrase, str) else "",
            covered=told.covered,
            focus=_practised(told, profile),
        )
        for card in fresh:
            await _put(session, school_id, learner_id, target, card)
        return True


async def _settle_later(session: AsyncSession, school_id: UUID, call_id: UUID) -> None:
    """Has a call settled once its time to be gone on with is over."""
    _, arguments = observations.job(school_id, call_id)
    await jobs.defer(session, observations.RATING_JOB, delay_s=TAKEN_WITHIN_S, **arguments)


def _observation(told: ClosedCall, measures: Measures, learner_id: UUID | None, rating: Rating | None) -> Observation:
    """The figures of a call, before it was rated."""
    call, scene = told.call, told.scene
    assert call.connected_at is not None
    notes = CallNotes.of(measures.learner_turns, told.events)
    level = rating.level if rating is not None else scene.level.name
    return Observation(
        call_id=call.id,
        school_id=call.school_id,
        learner_id=learner_id,
        target=scene.target.tag,
        scenario=scene.scenario.id,
        level=scene.level.name,
        at=call.connected_at,
        turns=measures.learner_turns,
        latency_ms=measures.median_latency_ms,
        noisy=measures.reliability.noisy,
        rated=False,
        completed=succeeded(scene.scenario, told.facts.reached),
        hints=len(told.facts.hints),
        difficulty=scene.scenario.difficulty,
        measures=measures.write(),
        notes=profiling.written(notes, told.facts.reached),
        clarifications=measures.clarifications,
        outcome=None,
        confidence=None,
        support=measures.support_index,
        above_recommended=_above(scene.scenario, level),
        cards_made=False,
    )


class _Learner:
    """What is known of the learner of one call, being changed by it. The learner is held for the transaction."""

    def __init__(self, session: AsyncSession, told: ClosedCall, learner_id: UUID, measures: Measures) -> None:
        self._session = session
        self._told = told
        self._learner_id = learner_id
        self._measures = measures
        self._school_id = told.call.school_id
        self._target = told.scene.target.tag

    async def observe(self, *, may_go_on: bool) -> bool:
        """Writes what was measured, and settles the call or sees to it that it is settled; False when it was written.

        Args:
            may_go_on: whether somebody may still go on with it in another call.
        """
        session, told = self._session, self._told
        await chains.supersede(session, told.call)
        rating = await ratings.get(session, self._learner_id, self._target)
        observation = _observation(told, self._measures, self._learner_id, rating)
        early = await observations.first(session, self._learner_id, self._target, COMPARED)
        before = [Measures.read(call.measures) for call in early if call.at < observation.at]
        observation.confidence = confidence(self._measures, before)
        observation.may_go_on = may_go_on
        if not await observations.put(session, observation):
            return False
        if may_go_on:
            await _settle_later(session, self._school_id, told.call.id)
        else:
            await self.settle()
        return True

    async def settle(self) -> None:
        """Does what cannot be taken back: rates the call, and reviews the learner's cards by it."""
        await self._rate()
        await self._review()

    async def _rate(self) -> None:
        """Rates the call, if it says enough: the learner's rating moves, and a little also the scene's difficulty."""
        session, told, measures = self._session, self._told, self._measures
        scenario, at = told.scene.scenario, told.call.connected_at
        assert at is not None
        done, needed = placement.goal_weights(scenario, told.facts.reached)
        counts = placement.rateable(
            learner_turns=measures.learner_turns,
            end_reason=told.call.end_reason or "",
            noisy=measures.reliability.noisy,
        )
        rating = await ratings.taken(session, self._learner_id, self._target, level=told.scene.level.name)
        if rating is None or not counts or not needed:
            return
        result = placement.outcome(done, needed, measures.support_index)
        known = await ratings.taken_difficulty(session, self._school_id, scenario.id)
        b = known.of(scenario)
        await observations.rated(session, told.call.id, outcome=result, difficulty=b)
        await ratings.put_difficulty(session, scenario.id, placement.played(known, result, rating.theta, b))
        await ratings.put(
            session,
            school_id=self._school_id,
            learner_id=self._learner_id,
            target=self._target,
            rating=placement.rated(rating, result, b, at),
        )

    async def _review(self) -> None:
        """Gives each card what the call showed about it."""
        told = self._told
        profile = Profile.read(await profiles.get(self._session, self._learner_id, self._target) or {})
        for card in await reviews.all(self._session, self._learner_id, self._target):
            shown = evidence(
                card,
                told.scene,
                told.turns,
                told.events,
                median_latency_ms=profile.typical_latency_ms,
                focus=_practised(told, profile),
            )
            after = review.reviewed(card, shown, _ended(told))
            if after is not card:
                await _put(self._session, self._school_id, self._learner_id, self._target, after)

    async def remember(self, *, celebrate: bool) -> None:
        """Keeps topics, facts and achievements, and works the profile out anew.

        Args:
            celebrate: whether the scene is over. What one that may be gone on with achieved comes with a later call.
        """
        session, told = self._session, self._told
        at = told.call.connected_at
        assert at is not None
        ids = {"school_id": self._school_id, "learner_id": self._learner_id}
        await self._recall(at)
        if celebrate:
            fresh = await achieved(session, told.catalogue, told.call, told.scene, told.facts, told.events)
            await achievements.put(session, **ids, call_id=told.call.id, achievements=fresh, at=at)
        lately = await observations.lately(session, [self._learner_id])
        language = observations.language_of(self._target)
        parameters = profiling.profile_of(lately[self._learner_id, language], language, told.catalogue).write()
        new = NewProfile(self._learner_id, self._target, parameters)
        await profiles.put(session, self._school_id, [new], analysed_at=datetime.now(UTC))

    async def _recall(self, at: datetime) -> None:
        """Forgets what was to be forgotten, then keeps what was told; facts only of those who agreed (``topics``)."""
        session, told = self._session, self._told
        noted = recall(told.events)
        if noted.everything:
            await topics.forget_all(session, self._learner_id)
        await topics.drop(session, self._learner_id, topics=noted.dropped_topics, facts=noted.dropped_facts)
        if told.troubled or told.line.for_children:
            return
        learner_id, call_id = self._learner_id, told.call.id
        await topics.put(
            session,
            school_id=self._school_id,
            learner_id=learner_id,
            target=self._target,
            topics=noted.topics,
            call_id=call_id,
            at=at,
        )
        for fact in noted.facts:
            await topics.keep_fact(session, learner_id=learner_id, fact=fact, call_id=call_id, at=at)


async def _put(session: AsyncSession, school_id: UUID, learner_id: UUID, target: str, card: ReviewCard) -> None:
    await reviews.put(
        session,
        school_id=school_id,
        learner_id=learner_id,
        target=target,
        kind=card.kind,
        text=card.text,
        situation=card.situation,
        state=card.state,
        due_at=card.due_at,
    )


def _ended(told: ClosedCall) -> datetime:
    """Always the same for one call: cards remember which one they have seen."""
    ended = told.call.ended_at or told.call.connected_at
    assert ended is not None
    return ended


def _practised(told: ClosedCall, profile: Profile) -> str:
    """The type of the pattern that the call practised; the class's own structures go before it."""
    material = told.scene.class_prompt
    if profile.focus is None or (material is not None and material.grammar):
        return ""
    return profile.focus.type


def _above(scenario: Scenario, level: str) -> bool:
    """Whether a scene was written for levels above this one only."""
    return level in LEVELS and min(map(LEVELS.index, scenario.cefr)) > LEVELS.index(level)
