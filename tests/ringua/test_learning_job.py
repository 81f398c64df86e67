"""What a finished call leaves for the next one: once, whatever is run twice, at once, or killed between."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, event, select, text

from db import (
    achievements,
    class_prompts,
    debriefs,
    jobs,
    learners,
    lines,
    observations,
    profiles,
    ratings,
    reviews,
    topics,
)
from db.endings import NewEvent
from db.engine import Database
from db.keyring import Keyring
from db.models_learning import Observation
from ringua.jobs import all_jobs
from ringua.jobs.learning import learn_from_call, learn_or_later, make_cards
from ringua.settings import load
from ringua.storage import Storage
from tests.ringua.practice import BEGAN, DAY, GOALS, ORDERS, Practice, conversation, practising
from tutor.learning.metrics import Measures
from tutor.learning.placement import Difficulty
from tutor.learning.review import ReviewCard
from tutor.script import catalogue
from tutor.script.class_prompt import ClassPrompt

SHELF = catalogue.load()
TABLES = ("observations", "ratings", "scenario_difficulties", "review_cards", "topics", "achievements", "profiles")
TOPIC = NewEvent(20_000, "topic", {"topic": "her two dogs"})
NOTE = NewEvent(
    21_000, "error_note", {"type": "ser_estar", "severity": "blocking", "context": "", "handling": "recast"}
)
WHOLE_HINT = NewEvent(4_000, "hint", {"goal": "price", "rung": 2, "phrase": "¿Cuánto es, por favor?"})


@pytest.fixture
async def practice(database: Database) -> Practice:
    """A line with one learner."""
    return await practising(database)


async def learn(practice: Practice, call_id: UUID) -> bool:
    """Runs the job's first half."""
    return await learn_from_call(practice.database, SHELF, school_id=practice.school_id, call_id=call_id)


async def cards(practice: Practice, call_id: UUID) -> bool:
    """Runs the job's second half."""
    return await make_cards(practice.database, SHELF, school_id=practice.school_id, call_id=call_id)


async def observed(practice: Practice, call_id: UUID) -> Observation:
    """What was measured in a call."""
    async with practice.database.school(practice.school_id) as session:
        found = await observations.get(session, call_id)
    assert found is not None
    return found


async def rows(practice: Practice) -> dict[str, int]:
    """How many rows each table has."""
    async with practice.database.school(practice.school_id) as session:
        return {name: int(await session.scalar(text(f"SELECT count(*) FROM {name}")) or 0) for name in TABLES}


async def debrief(practice: Practice, call_id: UUID, keep: str = "") -> None:
    """Keeps a debrief with a phrase to keep."""
    async with practice.database.school(practice.school_id) as session:
        content = {"keep": keep}
        await debriefs.put(session, school_id=practice.school_id, call_id=call_id, content=content, source="facts")


# --- what is kept


async def test_a_call_is_measured_rated_and_remembered(practice: Practice) -> None:
    """Figures, rating, difficulty, topic, achievements and profile: all of one call, after one run of the job."""
    call_id = await practice.call(6, [TOPIC, NOTE, WHOLE_HINT])
    assert await learn(practice, call_id)
    row = await observed(practice, call_id)
    assert (row.learner_id, row.target, row.scenario, row.level) == (practice.learner_id, "es", "cafe_order", "A1")
    assert (row.at, row.turns, row.rated, row.completed, row.hints) == (BEGAN, 6, True, True, 1)
    assert row.notes == {"errors": {"ser_estar": 1}, "blocking": ["ser_estar"], "goals": list(GOALS)}
    measures = Measures.read(row.measures)
    assert (measures.learner_turns, row.clarifications) == (6, measures.clarifications)
    assert row.latency_ms == measures.median_latency_ms
    assert row.support == pytest.approx(3 / 5), "a whole phrase, for each of the scene's five goals"
    assert row.outcome == pytest.approx(1 - 0.05 * 3 / 5)
    assert (row.confidence, row.above_recommended) == (None, False)
    async with practice.database.school(practice.school_id) as session:
        rating = await ratings.get(session, practice.learner_id, "es")
        assert rating is not None
        assert (rating.calls, rating.rated_at) == (1, BEGAN)
        assert rating.theta > -2.65, "more than was expected of the middle of A1"
        assert await ratings.difficulties(session) == {"cafe_order": Difficulty(1, 0.0)}
        assert await topics.recent(session, practice.learner_id, "es") == ["her two dogs"]
        assert await achievements.of_call(session, call_id) == ["first_scene"]
        kept = await profiles.get(session, practice.learner_id, "es")
    assert kept is not None
    assert kept["calls"] == 0, "one call says nothing yet"
    assert "dogs" not in str(row.measures) + str(row.notes)


async def test_the_next_call_is_told_what_the_last_ones_showed(practice: Practice) -> None:
    """After two calls there is a profile: how long they take to answer, and what hides the meaning."""
    for day in range(2):
        await learn(practice, await practice.call(conversation(6, latency_ms=2_600), [NOTE], day=day))
    async with practice.database.school(practice.school_id) as session:
        kept = await profiles.get(session, practice.learner_id, "es")
    assert kept is not None
    assert (kept["calls"], kept["focus"]["type"]) == (2, "ser_estar")
    assert kept["typical_latency_ms"] == (await _latencies(practice))[0]


async def _latencies(practice: Practice) -> list[int | None]:
    async with practice.database.school(practice.school_id) as session:
        return list(await session.scalars(select(Observation.latency_ms)))


async def test_the_level_follows_the_rating(practice: Practice) -> None:
    """A learner who does everything in hard scenes is soon not a beginner any more, and their row says so."""
    for day in range(3):
        call_id = await practice.call(8, scenario="flat_viewing", level="B1", day=day, goals=_goals("flat_viewing"))
        await learn(practice, call_id)
    async with practice.database.school(practice.school_id) as session:
        rating = await ratings.get(session, practice.learner_id, "es")
        learner = await learners.get(session, practice.learner_id)
        assert rating is not None
        assert learner is not None
        assert learner.level == rating.level != "A1"


def _goals(scenario: str) -> list[str]:
    return [goal.id for goal in SHELF.scenario(scenario).goals]


async def test_confidence_is_against_the_first_three_calls(practice: Practice) -> None:
    """It is known from the fourth call on, and higher for one who answers sooner."""
    known = []
    for day, latency_ms in enumerate((3_000, 2_900, 3_100, 3_000, 900)):
        call_id = await practice.call(conversation(6, latency_ms=latency_ms), day=day)
        await learn(practice, call_id)
        known.append((await observed(practice, call_id)).confidence)
    assert known[:3] == [None] * 3
    assert known[3] is not None
    assert known[4] is not None
    assert known[4] > known[3]


@pytest.mark.parametrize(
    ("turns", "events", "reason"),
    [
        (3, [], "role"),
        (6, [NewEvent(5_000, "noisy", {})], "role"),
        (6, [], "process_lost"),
        (6, [], "safe_exit"),
    ],
)
async def test_what_says_too_little_is_not_rated(
    practice: Practice, turns: int, events: list[NewEvent], reason: str
) -> None:
    """Short, noisy and broken calls are measured, and change neither the rating nor the scene's difficulty."""
    call_id = await practice.call(turns, events, reason=reason)
    assert await learn(practice, call_id)
    row = await observed(practice, call_id)
    assert (row.rated, row.outcome, row.turns) == (False, None, turns)
    counted = await rows(practice)
    assert (counted["ratings"], counted["scenario_difficulties"], counted["observations"]) == (0, 0, 1)


async def test_a_guest_leaves_figures_alone(practice: Practice) -> None:
    """Nothing else is kept of somebody whom nobody knows."""
    call_id = await practice.call(6, [TOPIC, WHOLE_HINT], guest=True)
    assert await learn(practice, call_id)
    await debrief(practice, call_id, ORDERS)
    assert not await cards(practice, call_id)
    assert (await observed(practice, call_id)).learner_id is None
    assert await rows(practice) == dict.fromkeys(TABLES, 0) | {"observations": 1}


async def test_a_pick_above_the_level_is_counted(practice: Practice) -> None:
    """A beginner in a scene for others chose that by themselves; one for every level is not above any."""
    above = []
    for scenario in ("flat_viewing", "free_talk"):
        call_id = await practice.call(6, scenario=scenario, goals=())
        await learn(practice, call_id)
        above.append((await observed(practice, call_id)).above_recommended)
    assert above == [True, False]


async def test_two_languages_of_one_learner_never_mix(practice: Practice) -> None:
    """What a call in French taught is not known in Spanish, and the learner's level stays that of Spanish."""
    spanish = await practice.call(6, [TOPIC], goals=GOALS)
    french = await practice.call(
        conversation(6, says="Un café, s'il vous plaît."), target="fr", level="B1", day=1, goals=()
    )
    for call_id in (spanish, french):
        assert await learn(practice, call_id)
        await debrief(practice, call_id, ORDERS if call_id == spanish else "Un café, s'il vous plaît.")
        assert await cards(practice, call_id)
    async with practice.database.school(practice.school_id) as session:
        for target, theta_above, phrase, topic in (
            ("es", -2.65, "un café", ["her two dogs"]),
            ("fr", -9.9, "Un café", []),
        ):
            rating = await ratings.get(session, practice.learner_id, target)
            assert rating is not None
            assert rating.calls == 1
            assert rating.theta > theta_above
            (card,) = await reviews.all(session, practice.learner_id, target)
            assert phrase in card.text
            assert await topics.recent(session, practice.learner_id, target) == topic
            assert len(await observations.recent(session, practice.learner_id, target)) == 1
        learner = await learners.get(session, practice.learner_id)
        assert learner is not None
        spanish_rating = await ratings.get(session, practice.learner_id, "es")
        assert spanish_rating is not None
        assert learner.level == spanish_rating.level


# --- topics and achievements


@pytest.mark.parametrize("children", [{"kids": True}, {"minors": "under13"}])
async def test_topics_of_children_are_not_remembered(practice: Practice, children: dict[str, Any]) -> None:
    """On a line for children no talk is remembered, while what they can do is celebrated."""
    async with practice.database.school(practice.school_id) as session:
        await lines.update(session, practice.line_id, **children)
    assert await learn(practice, await practice.call(6, [TOPIC]))
    counted = await rows(practice)
    assert (counted["topics"], counted["achievements"]) == (0, 2)


@pytest.mark.parametrize(
    "trouble",
    [
        NewEvent(25_000, "safe_exit", {}),
        NewEvent(25_000, "safety", {"action": "care", "category": "self_harm", "source": "words", "rule": "x"}),
        NewEvent(25_000, "safety", {"action": "stop", "category": "abuse", "source": "words", "rule": "x"}),
    ],
)
async def test_after_a_call_that_was_not_right_nothing_is_celebrated(practice: Practice, trouble: NewEvent) -> None:
    """What somebody spoke of in distress is no topic, and their first scene no badge."""
    assert await learn(practice, await practice.call(6, [TOPIC, trouble]))
    counted = await rows(practice)
    assert (counted["topics"], counted["achievements"], counted["observations"]) == (0, 0, 1)


async def test_an_achievement_comes_once(practice: Practice) -> None:
    """The tenth coffee is told with the tenth call and never again; nine are not ten."""
    told = []
    for day in range(11):
        call_id = await practice.call(6, [WHOLE_HINT], day=day)
        await learn(practice, call_id)
        async with practice.database.school(practice.school_id) as session:
            told.append(await achievements.of_call(session, call_id))
    assert told == [["first_scene"], *[[]] * 8, ["coffee_expert"], []]


# --- cards


async def test_a_call_leaves_at_most_three_cards_once(practice: Practice) -> None:
    """What was needed, the phrase to keep and the class's words become cards when the debrief is there, once."""
    week = ClassPrompt(vocabulary=("el café", "la leche", "la cuenta"))
    async with practice.database.school(practice.school_id) as session:
        version = await class_prompts.add(session, practice.line_id, week, starts_on=date(2026, 11, 2))
    call_id = await practice.call(6, [WHOLE_HINT], class_prompt_version=version)
    assert not await cards(practice, call_id), "it is not observed yet"
    assert await learn(practice, call_id)
    assert not await cards(practice, call_id), "it is not debriefed yet"
    await debrief(practice, call_id, ORDERS)
    assert [await cards(practice, call_id) for _ in range(2)] == [True, False]
    async with practice.database.school(practice.school_id) as session:
        made = await reviews.all(session, practice.learner_id, "es")
        due = await reviews.due(session, practice.learner_id, "es", now=BEGAN + DAY)
    assert len(made) == 3
    assert {"¿Cuánto es, por favor?", "el café"} < {card.text for card in made}
    assert {card.due_at for card in made} == {BEGAN + timedelta(minutes=5)}
    assert len(due) == 3


async def test_a_card_learns_from_the_next_call(practice: Practice) -> None:
    """A phrase that was used by oneself comes back days later; one that had no opportunity stays due."""
    used = ReviewCard.new("phrase", "un café con leche", "order a drink", BEGAN)
    other = ReviewCard.new("class", "la cuenta", "", BEGAN)
    async with practice.database.school(practice.school_id) as session:
        for card in (used, other):
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
    call_id = await practice.call(6, day=1)
    assert await learn(practice, call_id)
    assert not await learn(practice, call_id)
    async with practice.database.school(practice.school_id) as session:
        (due,) = await reviews.due(session, practice.learner_id, "es", now=BEGAN + DAY)
        after = {card.text: card for card in await reviews.all(session, practice.learner_id, "es")}
    assert due == other
    assert after[used.text].due_at > BEGAN + 2 * DAY


# --- once


async def test_run_again_and_at_once(practice: Practice) -> None:
    """Five workers with the same call, and one later, leave the rows of one run."""
    call_id = await practice.call(6, [TOPIC])
    await debrief(practice, call_id, ORDERS)
    done = await asyncio.gather(*(learn(practice, call_id) for _ in range(5)))
    assert sorted(done) == [False] * 4 + [True]
    assert sorted(await asyncio.gather(*(cards(practice, call_id) for _ in range(5)))) == [False] * 4 + [True]
    before = await rows(practice)
    assert not await learn(practice, call_id)
    assert await rows(practice) == before == dict.fromkeys(TABLES, 1) | {"achievements": 2}
    async with practice.database.school(practice.school_id) as session:
        rating = await ratings.get(session, practice.learner_id, "es")
        assert rating is not None
        assert rating.calls == 1
        assert await ratings.difficulties(session) == {"cafe_order": Difficulty(1, 0.0)}


async def test_two_calls_of_one_learner_at_once(practice: Practice) -> None:
    """Each of them counts, whichever job comes first."""
    made = [await practice.call(6, day=day) for day in range(4)]
    assert await asyncio.gather(*(learn(practice, call_id) for call_id in made)) == [True] * 4
    async with practice.database.school(practice.school_id) as session:
        rating = await ratings.get(session, practice.learner_id, "es")
    assert rating is not None
    assert rating.calls == 4


class Killed(Exception):
    """The worker died here."""


@contextmanager
def killed_at(statement: int) -> Iterator[list[int]]:
    """The connection breaks at this statement, from 1; gives the count of those that were run."""
    count = [0]

    def step(*_: Any) -> None:
        count[0] += 1
        if count[0] == statement:
            raise Killed

    event.listen(Engine, "before_cursor_execute", step)
    try:
        yield count
    finally:
        event.remove(Engine, "before_cursor_execute", step)


async def test_killed_anywhere(practice: Practice) -> None:
    """A worker that dies at any statement leaves nothing half done, and the next one does all of it."""
    call_id = await practice.call(6, [TOPIC, WHOLE_HINT])
    await debrief(practice, call_id, ORDERS)
    nothing = await rows(practice)
    for half, left in ((learn, dict.fromkeys(TABLES, 1) | {"review_cards": 0}), (cards, {"review_cards": 2})):
        statement = 1
        while True:
            with killed_at(statement) as count:
                try:
                    assert await half(practice, call_id)
                except Killed:
                    pass
                else:
                    break
            assert count[0] == statement
            assert await rows(practice) == nothing, f"{half.__name__} was killed at statement {statement}"
            statement += 1
        assert statement > 8, "there was something to be killed in"
        nothing = await rows(practice)
        assert nothing.items() >= left.items()
    async with practice.database.school(practice.school_id) as session:
        rating = await ratings.get(session, practice.learner_id, "es")
    assert rating is not None
    assert rating.calls == 1


async def test_a_learner_who_is_forgotten_meanwhile(practice: Practice) -> None:
    """A job that comes too late keeps the figures of a guest, and nothing that says whose they were."""
    call_id = await practice.call(6, [TOPIC])
    async with practice.database.school(practice.school_id) as session:
        await session.execute(text("DELETE FROM learners"))
    assert await learn(practice, call_id)
    assert await rows(practice) == dict.fromkeys(TABLES, 0) | {"observations": 1}


async def test_calls_of_which_nothing_can_be_said(practice: Practice) -> None:
    """A call that is gone, goes on, has lost its words, or whose line was changed since, ends the job quietly."""
    assert not await learn(practice, uuid4())
    call_id = await practice.call(6)
    for spoil, mend in (
        ("UPDATE calls SET state = 'live'", "UPDATE calls SET state = 'closed'"),
        ("UPDATE calls SET kept = 'figures'", "UPDATE calls SET kept = 'words'"),
        ("UPDATE calls SET connected_at = NULL", "UPDATE calls SET connected_at = ended_at"),
        ("UPDATE calls SET scenario = 'gone'", "UPDATE calls SET scenario = 'cafe_order'"),
    ):
        async with practice.database.school(practice.school_id) as session:
            await session.execute(text(spoil))
        assert not await learn(practice, call_id), spoil
        async with practice.database.school(practice.school_id) as session:
            await session.execute(text(mend))
    assert await rows(practice) == dict.fromkeys(TABLES, 0)
    assert await learn(practice, call_id)


# --- with the debrief


async def test_the_job_of_a_closed_call_does_all_of_it(
    practice: Practice, keyring: Keyring, database_url: str, tmp_path: Path
) -> None:
    """The one job that closing a call defers leaves observation, debrief and cards."""
    call_id = await practice.call(6, [WHOLE_HINT], debriefed=True)
    known = all_jobs(Storage(practice.database, keyring, database_url, ()), load(data_dir=tmp_path))
    await jobs.run_worker(database_url, known, queues=["calls"], wait=False, signals=False)
    counted = await rows(practice)
    assert (counted["observations"], counted["ratings"], counted["profiles"]) == (1, 1, 1)
    assert counted["review_cards"] > 0
    async with practice.database.school(practice.school_id) as session:
        assert await debriefs.get(session, call_id) is not None


async def test_what_cannot_be_learned_now_does_not_keep_the_debrief(practice: Practice) -> None:
    """A rating that cannot be read postpones the learning to a job of its own; mended, that job does it."""
    first, second = await practice.call(6), await practice.call(6, day=1)
    assert await learn(practice, first)
    await _set_theta(practice, 99)
    ids = {"school_id": practice.school_id, "call_id": second}
    await learn_or_later(practice.database, SHELF, **ids)
    waiting = text("SELECT task_name, args FROM procrastinate_jobs WHERE status = 'todo'")
    async with practice.database.school(practice.school_id) as session:
        ((name, arguments),) = (await session.execute(waiting)).all()
    assert (name, arguments) == (observations.JOB, {key: str(value) for key, value in ids.items()})
    assert (await rows(practice))["observations"] == 1
    await _set_theta(practice, 0)
    assert await learn(practice, second)


async def _set_theta(practice: Practice, theta: int) -> None:
    changed = text("UPDATE ratings SET state = jsonb_set(state, '{theta}', to_jsonb(CAST(:theta AS integer)))")
    async with practice.database.school(practice.school_id) as session:
        await session.execute(changed, {"theta": theta})
