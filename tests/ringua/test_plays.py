"""Scenes that broke off: one play, in however many calls it was played; judged when nobody can go on with it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from db import achievements, calls, chains, learners, observations, ratings, reviews
from db.endings import NewEvent
from db.engine import Database
from ringua.jobs.learning import rate_call
from ringua.jobs.record import closed_call
from tests.ringua.practice import BEGAN, DAY, GOALS, ORDERS, Practice, conversation, practising
from tests.ringua.test_learning_job import NOTE, SHELF, TOPIC, WHOLE_HINT, cards, debrief, learn, observed, rows
from tutor.learning.placement import Difficulty
from tutor.learning.review import ReviewCard

MINUTE = 1 / 24 / 60


@pytest.fixture
async def practice(database: Database) -> Practice:
    """A line with one learner."""
    return await practising(database)


async def broke_off(practice: Practice) -> UUID:
    """A call that was hung up after one goal, learned from; it lasted five minutes."""
    call_id = await practice.call(6, goals=("greet",), reason="caller_hung_up", resume={"elapsed_ms": 60_000})
    assert await learn(practice, call_id)
    return call_id


async def went_on(practice: Practice, first: UUID, turns: int, **changes: Any) -> UUID:
    """Two minutes later the learner goes on, with six turns, a goal and a hint from before, and does the rest."""
    before = [replace(turn, start_ms=turn.start_ms - 60_000, end_ms=turn.end_ms - 60_000) for turn in conversation(6)]
    carried = [NewEvent(-50_000, "goal", {"goal": "greet", "quote": "", "evidence": "quote"})]
    carried += [replace(WHOLE_HINT, at_ms=-40_000), replace(TOPIC, at_ms=-30_000), replace(NOTE, at_ms=-30_000)]
    said = [*before, *conversation(turns)]
    goals = changes.pop("goals", GOALS[1:])
    return await practice.call(said, carried, **{"goals": goals, "day": 7 * MINUTE, "after": first, **changes})


async def rate(practice: Practice, call_id: UUID) -> bool:
    """Runs the job that waits until nobody can go on."""
    return await rate_call(practice.database, SHELF, school_id=practice.school_id, call_id=call_id)


async def rated_calls(practice: Practice) -> int:
    """How many calls the learner's rating knows."""
    async with practice.database.school(practice.school_id) as session:
        rating = await ratings.get(session, practice.learner_id, "es")
    return 0 if rating is None else rating.calls


async def test_a_scene_that_broke_off_is_rated_when_nobody_goes_on(practice: Practice) -> None:
    """It is measured at once, and rated a quarter of an hour later, once; also when the sweep was there before."""
    call_id = await broke_off(practice)
    waiting = text("SELECT task_name, scheduled_at - now() FROM procrastinate_jobs")
    async with practice.database.school(practice.school_id) as session:
        ((name, wait),) = (await session.execute(waiting)).all()
        assert name == observations.RATING_JOB
        assert timedelta(minutes=14) < wait <= timedelta(minutes=15)
        await session.execute(text("UPDATE calls SET resume = NULL"))
    assert (await observed(practice, call_id)).turns == 6
    assert await rated_calls(practice) == 0
    assert [await rate(practice, call_id) for _ in range(2)] == [True, False]
    row = await observed(practice, call_id)
    assert (row.rated, row.may_go_on) == (True, False)
    assert row.outcome == pytest.approx(1 / 4)
    assert await rated_calls(practice) == 1


JOBS = ("learn first", "rate first", "learn second", "rate second")


@pytest.mark.parametrize(
    "order",
    [
        ["learn first", "go on", "learn second"],
        ["go on", "learn first", "learn second"],
        ["go on", "learn second", "learn first"],
        ["learn first", "go on", "rate first", "learn second"],
        ["learn first", "go on", "learn second", "rate first", "learn first"],
    ],
    ids=" ".join,
)
async def test_a_scene_that_went_on_is_one_play(practice: Practice, order: list[str]) -> None:
    """One observation of all that was said, one rating and one play, in whatever order jobs run and however often."""
    card = ReviewCard.new("phrase", "un café con leche", "order a drink", BEGAN - DAY)
    async with practice.database.school(practice.school_id) as session:
        await reviews.put(
            session,
            school_id=practice.school_id,
            learner_id=practice.learner_id,
            target="es",
            kind=card.kind,
            text=card.text,
            situation=card.situation,
            state=card.state,
            due_at=card.due_at,
        )
    first = await practice.call(6, goals=("greet",), reason="caller_hung_up", resume={"elapsed_ms": 60_000})
    second = UUID(int=0)
    for step in [*order, *JOBS, *JOBS]:
        if step == "go on":
            second = await went_on(practice, first, turns=2)
        elif step.startswith("learn"):
            await learn(practice, first if step.endswith("first") else second)
        else:
            await rate(practice, first if step.endswith("first") else second)
    row = await observed(practice, second)
    assert (row.turns, row.completed, row.rated, row.hints) == (8, True, True, 1)
    assert row.notes["errors"] == {"ser_estar": 1}
    assert row.support == pytest.approx(3 / 5)
    assert row.outcome == pytest.approx(1 - 0.05 * 3 / 5), "the hint of the first call helped to reach a goal"
    assert await rated_calls(practice) == 1
    counted = await rows(practice)
    assert (counted["observations"], counted["topics"]) == (1, 1)
    async with practice.database.school(practice.school_id) as session:
        assert await ratings.difficulties(session) == {"cafe_order": Difficulty(1, 0.0)}
        assert [play.goals for play in await learners.plays(session, practice.learner_id, "es")] == [frozenset(GOALS)]
        (kept,) = await reviews.all(session, practice.learner_id, "es")
        ended = await session.scalar(text("SELECT ended_at FROM calls WHERE id = :id"), {"id": second})
    assert kept.state["seen"] == ended.isoformat(), "one review, by the play's end"


async def test_a_play_of_three_calls_is_one(practice: Practice) -> None:
    """A scene that broke off twice is told by the call that finished it; the twist is that of the first call."""
    first = await broke_off(practice)
    second = await went_on(practice, first, 2, goals=("detail",), reason="line_lost", resume={"elapsed_ms": 1})
    assert await learn(practice, second)
    third = await went_on(practice, second, 1, day=12 * MINUTE)
    for call_id in (third, second, first):
        await learn(practice, call_id)
        await rate(practice, call_id)
    assert (await rows(practice))["observations"] == 1
    assert (await observed(practice, third)).turns == 7
    assert await rated_calls(practice) == 1
    scenes = []
    for call_id in (first, second, third):
        async with practice.database.school(practice.school_id) as session:
            told = await closed_call(session, SHELF, call_id)
            assert told is not None
            scenes.append((told.scene.twist, await chains.seed(session, told.call)))
    assert len(set(scenes)) == 1


async def test_who_was_judged_begins_anew(practice: Practice) -> None:
    """Once a call was rated nothing is left to go on with: it cannot count a second time."""
    first = await broke_off(practice)
    assert await rate(practice, first)
    async with practice.database.school(practice.school_id) as session:
        assert await calls.take_resume(session, first) is None


async def test_somebody_about_to_go_on_is_waited_for(practice: Practice) -> None:
    """A call that took the scene up and has not reached it yet puts judgement off; when it never does, that follows."""
    first = await broke_off(practice)
    second = await went_on(practice, first, 2)
    reset = "UPDATE calls SET state = :state, connected_at = NULL, resume = :resume WHERE id = :id"
    waiting = text("SELECT count(*) FROM procrastinate_jobs WHERE task_name = :name")
    for times, (state, resume) in enumerate((("connecting", None), ("closed", "{}")), 2):
        async with practice.database.school(practice.school_id) as session:
            await session.execute(text(reset), {"state": state, "resume": resume, "id": second})
        assert not await rate(practice, first)
        async with practice.database.school(practice.school_id) as session:
            assert await session.scalar(waiting, {"name": observations.RATING_JOB}) == times
    async with practice.database.school(practice.school_id) as session:
        await session.execute(text(reset), {"state": "closed", "resume": None, "id": second})
    assert await rate(practice, first)
    assert await rated_calls(practice) == 1
    assert (await observed(practice, first)).rated


async def test_cards_are_made_once_nobody_can_go_on(practice: Practice) -> None:
    """A phrase that was hard before the line broke is one new card, whether the scene went on or not."""
    first = await broke_off(practice)
    await debrief(practice, first, ORDERS)
    assert not await cards(practice, first)
    assert await rate(practice, first)
    assert [await cards(practice, first) for _ in range(2)] == [True, False]


async def test_what_may_be_gone_on_with_is_not_celebrated_yet(practice: Practice) -> None:
    """Conversations that have grown are told with the first that is over, not with one that broke off."""
    told = []
    for day, (turns, resume) in enumerate([(5, None)] * 3 + [(12, None)] * 2 + [(12, {"elapsed_ms": 1}), (12, None)]):
        call_id = await practice.call(turns, goals=(), day=day, reason="caller_hung_up", resume=resume)
        assert await learn(practice, call_id)
        async with practice.database.school(practice.school_id) as session:
            told.append(await achievements.of_call(session, call_id))
    assert told == [[]] * 6 + [["in_full_flow"]]
