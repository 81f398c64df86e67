"""What is remembered of a learner: kept once, by language, for the school alone, and gone with the learner."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from types import ModuleType
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from db import (
    achievements,
    calls,
    learners,
    lines,
    models,
    observations,
    profiles,
    quality,
    ratings,
    reports,
    reviews,
    satisfaction,
    topics,
)
from db.engine import Database
from db.keyring import Keyring
from db.models_learning import Observation
from db.observations import NOTED_CALLS, LearnerFound
from tests.db.conftest import OpenCall, Place, Query
from tests.db.learning_rows import NOW, observation, remember
from tutor.learning.placement import Difficulty, Rating, rated

MODULES: tuple[ModuleType, ...] = (
    observations,
    ratings,
    reviews,
    topics,
    achievements,
    profiles,
    satisfaction,
    reports,
    quality,
)
TABLES = (
    "observations",
    "ratings",
    "review_cards",
    "topics",
    "facts",
    "confidence_answers",
    "satisfaction_questions",
    "achievements",
    "profiles",
)
DAY = timedelta(days=1)
LATER = models.Call(id=UUID(int=9), began_in=None, connected_at=NOW + 99 * DAY)
"""A call after all others."""

Call = Callable[..., Awaitable[UUID]]


@pytest.fixture
async def learner_id(database: Database, keyring: Keyring, place: Place) -> UUID:
    """A learner of Spanish."""
    async with database.school(place.school_id) as session:
        learner = await learners.create_with_number(
            session,
            school_id=place.school_id,
            number_hash=keyring.hash_number("+34600000001"),
            last_two="01",
            native="en",
            target="es-MX",
            level="A1",
        )
    return learner.id


@pytest.fixture
def observed(database: Database, place: Place, open_call: OpenCall, learner_id: UUID) -> Call:
    """Keeps one more call of the learner, ``days`` after the first day; gives its id."""

    async def keep(days: float = 0, **details: Any) -> UUID:
        call_id = await open_call(learner_id=learner_id)
        async with database.school(place.school_id) as session:
            kept = observation(place.school_id, call_id, learner_id, **{"at": NOW + days * DAY, **details})
            assert await observations.put(session, kept)
        return call_id

    return keep


# --- observations


async def test_a_call_is_observed_once(database: Database, place: Place, observed: Call, learner_id: UUID) -> None:
    """What was measured first stays, whoever measures again."""
    call_id = await observed(turns=8)
    async with database.school(place.school_id) as session:
        assert not await observations.put(session, observation(place.school_id, call_id, learner_id, turns=9))
        kept = await observations.get(session, call_id)
    assert kept is not None
    assert (kept.turns, kept.notes) == (8, {})


async def test_cards_of_a_call_are_made_once(database: Database, place: Place, observed: Call) -> None:
    """Whoever notes it first makes them; of a guest's call, and one that was not observed, there are none."""
    call_id = await observed()
    async with database.school(place.school_id) as session:
        assert [await observations.cards_made(session, call_id) for _ in range(2)] == [True, False]
        assert not await observations.cards_made(session, uuid4())


async def test_calls_come_back_in_their_order(
    database: Database, place: Place, observed: Call, learner_id: UUID
) -> None:
    """The last, the first and this week's calls, each the newest last."""
    for day in (3, 0, 1, 9, 2):
        await observed(day, turns=day, latency_ms=100 * day)
    async with database.school(place.school_id) as session:

        def days(found: list[Observation]) -> list[int]:
            return [row.turns for row in found]

        assert days(await observations.recent(session, learner_id, "es", 3)) == [2, 3, 9]
        assert days(await observations.first(session, learner_id, "es")) == [0, 1, 2]
        assert days(await observations.week(session, learner_id, "es", until=NOW + 9 * DAY)) == [2, 3]
        past = await observations.before(session, LATER, learner_id, "es")
        lately = await observations.lately(session, [learner_id], 2)
        assert await observations.latest(session, learner_id, "es-PR", 2) == lately[learner_id, "es"]
    assert [(call.turns, call.at) for call in past] == [(day, NOW + day * DAY) for day in (0, 1, 2, 3, 9)]
    assert [(call.turns, call.latency_ms) for call in lately[learner_id, "es"]] == [(3, 300), (9, 900)]


async def test_notes_come_with_the_last_calls(
    database: Database, place: Place, observed: Call, learner_id: UUID
) -> None:
    """Of those before them everything else does."""
    for day in range(NOTED_CALLS + 2):
        await observed(day, notes={"errors": {"x": 1}})
    async with database.school(place.school_id) as session:
        past = await observations.before(session, LATER, learner_id, "es")
    assert [bool(call.notes) for call in past] == [False, False, *[True] * NOTED_CALLS]
    assert {call.scenario for call in past[:2]} == {call.scenario for call in past[2:]}


async def test_two_languages_of_one_learner_never_mix(
    database: Database, place: Place, observed: Call, learner_id: UUID
) -> None:
    """Each language has its own calls, rating, cards, topics and profile; ways of speaking one are one language."""
    spanish, french = await observed(0, target="es-MX", turns=5), await observed(1, target="fr", turns=7)
    ids: dict[str, Any] = {"school_id": place.school_id, "learner_id": learner_id}
    async with database.school(place.school_id) as session:
        for target, level, call_id in (("es-MX", "B1", spanish), ("fr", "A2", french)):
            await ratings.set_level(session, learner_id, target, level)
            await reviews.put(
                session, **ids, target=target, kind="phrase", text=target, situation="", state={}, due_at=NOW
            )
            await topics.put(session, **ids, target=target, topics=[f"about {target}"], call_id=call_id, at=NOW)
            new = profiles.NewProfile(learner_id, target, {"of": target})
            await profiles.put(session, place.school_id, [new], analysed_at=NOW)
        for asked, target, level, turns in (
            ("es", "es-MX", "B1", 5),
            ("es-PR", "es-MX", "B1", 5),
            ("fr", "fr", "A2", 7),
        ):
            for query in (observations.recent, observations.first):
                assert [row.turns for row in await query(session, learner_id, asked)] == [turns]
            week = await observations.week(session, learner_id, asked, until=NOW + 2 * DAY)
            assert [row.turns for row in week] == [turns]
            assert [call.turns for call in await observations.before(session, LATER, learner_id, asked)] == [turns]
            assert [call.turns for call in await observations.latest(session, learner_id, asked, 9)] == [turns]
            rating = await ratings.get(session, learner_id, asked)
            assert rating is not None
            assert rating.level == level
            for cards in (
                await reviews.due(session, learner_id, asked, now=NOW),
                await reviews.all(session, learner_id, asked),
            ):
                assert [card.text for card in cards] == [target]
            assert await reviews.due_count(session, learner_id, asked, now=NOW) == 1
            assert await topics.recent(session, learner_id, asked) == [f"about {target}"]
            assert await profiles.get(session, learner_id, asked) == {"of": target}
        latest = await observations.lately(session, [learner_id])
        assert {key: [row.turns for row in rows] for key, rows in latest.items()} == {
            (learner_id, "es"): [5],
            (learner_id, "fr"): [7],
        }
        learner = await learners.get(session, learner_id)
        assert learner is not None
        await session.refresh(learner)
        assert learner.level == "B1", "the level of the language they learn, not of the other one"


# --- ratings


async def test_ratings_are_taken_one_after_the_other(database: Database, place: Place, learner_id: UUID) -> None:
    """Calls that end at the same moment each count, although each one changes what the other left."""

    async def play() -> None:
        async with database.school(place.school_id) as session:
            rating = await ratings.taken(session, learner_id, "es", level="A1")
            assert rating is not None
            after = rated(rating, 1.0, -2.0, NOW)
            await ratings.put(session, school_id=place.school_id, learner_id=learner_id, target="es", rating=after)
            scene = await ratings.taken_difficulty(session, place.school_id, "cafe_order")
            await ratings.put_difficulty(session, "cafe_order", replace(scene, plays=scene.plays + 1, offset=0.25))

    await asyncio.gather(*(play() for _ in range(6)))
    async with database.school(place.school_id) as session:
        rating = await ratings.get(session, learner_id, "es")
        assert rating is not None
        assert rating.calls == 6
        assert await ratings.difficulties(session) == {"cafe_order": Difficulty(6, 0.25)}


async def test_a_teacher_sets_and_keeps_a_level(database: Database, place: Place, learner_id: UUID) -> None:
    """A level that a teacher chose begins there, stays while it is locked, and is the learner's own."""
    async with database.school(place.school_id) as session:
        assert await ratings.lock(session, learner_id, "es", locked=True) is None
        chosen = await ratings.set_level(session, learner_id, "es", "B2", locked=True)
        assert chosen is not None
        assert (chosen.level, chosen.locked) == ("B2", True)
        free = await ratings.lock(session, learner_id, "es", locked=False)
        assert free is not None
        assert (free.level, free.locked) == ("B2", False)
        kept = await ratings.lock(session, learner_id, "es", locked=True)
        assert kept == await ratings.get(session, learner_id, "es")
        assert kept is not None
        assert kept.locked
        learner = await learners.get(session, learner_id)
        assert learner is not None
        await session.refresh(learner)
        assert learner.level == "B2"
    with pytest.raises(ValueError, match="no level Z9"):
        async with database.school(place.school_id) as session:
            await ratings.set_level(session, learner_id, "es", "Z9")


async def test_the_answer_to_a_bigger_challenge_counts_once(database: Database, place: Place, learner_id: UUID) -> None:
    """Yes is one step up however often the carrier repeats it; without a rating nothing was asked."""
    ready = Rating(theta=-1.0, level="A1", calls=9, experience=9, above=2, since_step=5)
    assert ready.ready_for == "A2"
    async with database.school(place.school_id) as session:
        assert await ratings.answered(session, learner_id, "es", yes=True) is None
        await ratings.put(session, school_id=place.school_id, learner_id=learner_id, target="es", rating=ready)
        for _ in range(2):
            after = await ratings.answered(session, learner_id, "es", yes=True)
            assert after is not None
            assert after.level == "A2"


# --- cards, topics, facts, achievements, profiles


async def test_cards_are_due_from_their_time_on(database: Database, place: Place, learner_id: UUID) -> None:
    """The longest waiting first and five at most; a card that was reviewed waits for its next time."""
    ids: dict[str, Any] = {"school_id": place.school_id, "learner_id": learner_id, "target": "es", "kind": "phrase"}
    async with database.school(place.school_id) as session:
        for day in range(7):
            await reviews.put(
                session, **ids, text=f"phrase {day}", situation="pay", state={"n": 1}, due_at=NOW + day * DAY
            )
        due = await reviews.due(session, learner_id, "es", now=NOW + 5 * DAY)
        assert [card.text for card in due] == [f"phrase {day}" for day in range(5)]
        assert await reviews.due_count(session, learner_id, "es", now=NOW + 5 * DAY) == 6
        for name in ("ser_estar", "articles"):
            focus: dict[str, Any] = {**ids, "kind": "focus", "text": name, "situation": "", "state": {}}
            await reviews.put(session, **focus, due_at=NOW - DAY)
        due = await reviews.due(session, learner_id, "es", now=NOW + 5 * DAY, most=3)
        assert [card.kind for card in due] == ["focus", "phrase", "phrase"], "one pattern at most"
        await reviews.put(session, **ids, text="phrase 0", situation="", state={"n": 2}, due_at=NOW + 30 * DAY)
    async with database.school(place.school_id) as session:
        due = await reviews.due(session, learner_id, "es", now=NOW + 5 * DAY, most=3)
        assert [card.text for card in due][1:] == ["phrase 1", "phrase 2"]
        known = {card.text: card for card in await reviews.all(session, learner_id, "es")}
        assert len(known) == 9
        assert (known["phrase 0"].situation, known["phrase 0"].state) == ("pay", {"n": 2})


async def test_the_last_ten_topics_stay(database: Database, place: Place, observed: Call, learner_id: UUID) -> None:
    """An old topic that comes up again is new again, and stories are no topics."""
    ids: dict[str, Any] = {"school_id": place.school_id, "learner_id": learner_id, "target": "es"}
    call_id = await observed()
    async with database.school(place.school_id) as session:
        for day in range(12):
            await topics.put(
                session, **ids, topics=[f"topic {day}", "x" * 121, " "], call_id=call_id, at=NOW + day * DAY
            )
        await topics.put(session, **ids, topics=["topic  2"], call_id=call_id, at=NOW + 20 * DAY)
        kept = await topics.recent(session, learner_id, "es")
    assert kept == ["topic 2", *(f"topic {day}" for day in range(11, 2, -1))]


async def test_facts_need_an_agreement(database: Database, place: Place, observed: Call, learner_id: UUID) -> None:
    """Nothing is remembered of who did not agree, and what was is not told any more once they take it back."""
    call_id = await observed()
    given: dict[str, Any] = {"learner_id": learner_id, "call_id": call_id}
    async with database.school(place.school_id) as session:
        assert not await topics.keep_fact(session, **given, fact="has a dog", at=NOW)
        await learners.save_settings(session, learner_id, {"remember": True})
        for day in range(14):
            assert await topics.keep_fact(session, **given, fact=f"fact {day}", at=NOW + day * DAY)
        assert not await topics.keep_fact(session, **given, fact="x" * 121, at=NOW)
        assert await topics.facts(session, learner_id) == [f"fact {day}" for day in range(13, 1, -1)]
        await learners.save_settings(session, learner_id, {"remember": "yes"})
        assert not await topics.keep_fact(session, **given, fact="has a cat", at=NOW)
        assert await topics.facts(session, learner_id) == []
        assert await topics.forget_facts(session, learner_id) == 12
        await learners.save_settings(session, learner_id, {"remember": True})
        assert await topics.facts(session, learner_id) == []


@pytest.mark.parametrize("children", [{"kids": True}, {"minors": "under13"}])
async def test_of_children_no_fact_is_kept(
    database: Database, place: Place, observed: Call, learner_id: UUID, children: dict[str, Any]
) -> None:
    """On a line for children nothing of the kind is remembered, whatever a setting says."""
    call_id = await observed()
    async with database.school(place.school_id) as session:
        await learners.save_settings(session, learner_id, {"remember": True})
        await lines.update(session, place.line_id, **children)
        kept = await topics.keep_fact(session, learner_id=learner_id, call_id=call_id, fact="has a dog", at=NOW)
        assert not kept
        assert await topics.facts(session, learner_id) == []


async def test_an_achievement_is_new_once(database: Database, place: Place, observed: Call, learner_id: UUID) -> None:
    """What was achieved before is not achieved again, and belongs to the call that brought it."""
    ids: dict[str, Any] = {"school_id": place.school_id, "learner_id": learner_id, "at": NOW}
    one, other = await observed(0), await observed(1)
    async with database.school(place.school_id) as session:
        assert await achievements.put(session, **ids, call_id=one, achievements=["b", "a"]) == ["b", "a"]
        assert await achievements.put(session, **ids, call_id=other, achievements=["a", "c"]) == ["c"]
        assert await achievements.earned(session, learner_id) == {"a", "b", "c"}
        assert await achievements.earned(session, learner_id, but_with=other) == {"a", "b"}
        assert await achievements.of_call(session, one) == ["a", "b"]
        assert await achievements.of_call(session, other) == ["c"]


async def test_a_profile_is_never_overwritten_by_an_older_one(
    database: Database, place: Place, learner_id: UUID
) -> None:
    """Two analyses that overtake each other leave the later one."""
    async with database.school(place.school_id) as session:
        for day in (1, 0):
            new = profiles.NewProfile(learner_id, "es", {"day": day})
            await profiles.put(session, place.school_id, [new], analysed_at=NOW + day * DAY)
        await profiles.put(session, place.school_id, [], analysed_at=NOW)
        assert await profiles.get(session, learner_id, "es") == {"day": 1}


# --- the question about confidence


async def test_who_is_asked_how_sure_they_feel(
    database: Database, place: Place, open_call: OpenCall, learner_id: UUID, superuser: Query
) -> None:
    """After the first conversation and after the first one from day 14 on; a call without one does not count."""

    async def talked(days: float) -> str | None:
        call_id = await open_call(learner_id=learner_id)
        await open_call(learner_id=learner_id)  # hung up in the menu
        async with database.school(place.school_id) as session:
            await calls.connected(session, call_id)
        await superuser("UPDATE calls SET started_at = %s WHERE id = %s", [NOW + days * DAY, call_id])
        async with database.school(place.school_id) as session:
            return await observations.confidence_due(session, learner_id)

    assert [await talked(days) for days in (0, 1, 13.9, 14, 15)] == ["first", None, None, "later", None]


async def test_an_answer_is_kept_once(database: Database, place: Place, observed: Call, learner_id: UUID) -> None:
    """A repeated webhook changes nothing, and who has answered is not asked again; other numbers are refused."""
    call_id = await observed()
    ids: dict[str, Any] = {"school_id": place.school_id, "learner_id": learner_id, "call_id": call_id}
    async with database.school(place.school_id) as session:
        await calls.connected(session, call_id)
        assert await observations.confidence_due(session, learner_id) == "first"
        assert await observations.confidence_answered(session, **ids, answer=2, asked_because="first")
        assert not await observations.confidence_answered(session, **ids, answer=5, asked_because="first")
        assert await observations.confidence_due(session, learner_id) is None
        with pytest.raises(ValueError, match="1 to 5"):
            await observations.confidence_answered(session, **ids, answer=6, asked_because="later")


# --- the nightly list


async def test_who_is_to_be_analysed(
    database: Database, place: Place, elsewhere: Place, open_call: OpenCall, observed: Call, learner_id: UUID
) -> None:
    """Learners of every school with a call since then and no profile since; page by page, each once."""
    await observed(-8)
    since: dict[str, Any] = {"since": NOW - 7 * DAY, "before": NOW}
    async with database.anyone() as session:
        assert await observations.to_analyse(session, **since) == []
    await observed(-1)
    await observed(-2, target="fr")
    others = []
    for _ in range(3):
        async with database.school(elsewhere.school_id) as session:
            other = await learners.create_with_number(
                session,
                school_id=elsewhere.school_id,
                number_hash=b"hash",
                last_two="02",
                native="en",
                target="es",
                level="A1",
                another=True,
            )
        call_id = await open_call(**_at(elsewhere), learner_id=other.id)
        async with database.school(elsewhere.school_id) as session:
            await observations.put(session, observation(elsewhere.school_id, call_id, other.id, at=NOW))
        others.append(LearnerFound(elsewhere.school_id, other.id))
    everybody = sorted([LearnerFound(place.school_id, learner_id), *others])
    async with database.anyone() as session:
        found: list[LearnerFound] = []
        while page := await observations.to_analyse(
            session, **since, limit=3, after=found[-1] if found else observations.START
        ):
            found += page
    assert found == everybody
    async with database.school(place.school_id) as session:
        both = [profiles.NewProfile(learner_id, target, {}) for target in ("es", "fr")]
        await profiles.put(session, place.school_id, both[:1], analysed_at=NOW)
        async with database.anyone() as anyone:
            assert await observations.to_analyse(anyone, **since) == everybody
        await profiles.put(session, place.school_id, both, analysed_at=NOW)
    async with database.anyone() as session:
        assert await observations.to_analyse(session, **since) == sorted(others)


def _at(place: Place) -> dict[str, UUID]:
    return {"school_id": place.school_id, "line_id": place.line_id}


# --- schools are kept apart


async def test_everything_goes_with_the_learner(
    database: Database, place: Place, open_call: OpenCall, learner_id: UUID, superuser: Query
) -> None:
    """When a learner is deleted, nothing of all this is left but what is known of scenes."""
    call_id = await open_call(learner_id=learner_id)
    async with database.school(place.school_id) as session:
        await remember(session, place.school_id, learner_id, call_id)
    counted = " UNION ALL ".join(f"SELECT '{name}', count(*) FROM {name}" for name in TABLES)
    assert {rows for _, rows in await superuser(counted)} == {1}
    await superuser("DELETE FROM learners")
    assert {rows for _, rows in await superuser(counted)} == {0}
    assert await superuser("SELECT count(*) FROM scenario_difficulties") == [(1,)]


async def test_a_deleted_call_takes_its_figures_and_leaves_what_was_learned(
    database: Database, place: Place, open_call: OpenCall, learner_id: UUID, superuser: Query
) -> None:
    """Topics, facts and achievements outlive their call; its observation and its answers do not."""
    call_id = await open_call(learner_id=learner_id)
    async with database.school(place.school_id) as session:
        await remember(session, place.school_id, learner_id, call_id)
    await superuser("DELETE FROM calls")
    for name, left in (
        ("topics", 1),
        ("facts", 1),
        ("achievements", 1),
        ("observations", 0),
        ("confidence_answers", 0),
        ("satisfaction_questions", 0),
    ):
        assert await superuser(f"SELECT count(*) FROM {name}") == [(left,)], name


async def test_another_school_reads_and_changes_nothing(
    database: Database, place: Place, elsewhere: Place, open_call: OpenCall, learner_id: UUID, superuser: Query
) -> None:
    """Each function, asked in another school's name for this school's learner, finds nothing or is refused."""
    call_id = await open_call(learner_id=learner_id)
    async with database.school(place.school_id) as session:
        await remember(session, place.school_id, learner_id, call_id)
        await calls.connected(session, call_id)
    ours = (learner_id, "es")
    theirs: dict[str, Any] = {"school_id": elsewhere.school_id, "learner_id": learner_id}
    stolen: dict[str, Any] = {"school_id": place.school_id, "learner_id": learner_id}
    rating = Rating.start("C2")
    card: dict[str, Any] = {"kind": "phrase", "text": "la cuenta", "situation": "", "state": {"x": 1}, "due_at": NOW}
    topic: dict[str, Any] = {"target": "es", "topics": ["stolen"], "call_id": call_id, "at": NOW}
    achieved: dict[str, Any] = {"call_id": call_id, "achievements": ["stolen"], "at": NOW}
    profile = [profiles.NewProfile(learner_id, "es", {"x": 1})]
    async with database.school(place.school_id) as session:
        assert len(await observations.before(session, LATER, *ours)) == 1, "where it is theirs, it is found"
    other_call = await open_call(**_at(elsewhere))
    answer: dict[str, Any] = {"call_id": other_call, "answer": 1, "asked_because": "later"}

    def found(session: AsyncSession) -> dict[Any, tuple[Awaitable[Any], Any]]:
        """What is asked, and the answer of somebody who sees nothing."""
        return {
            observations.get: (observations.get(session, call_id), None),
            observations.recent: (observations.recent(session, *ours), []),
            observations.first: (observations.first(session, *ours), []),
            observations.week: (observations.week(session, *ours, until=NOW + DAY), []),
            observations.before: (observations.before(session, LATER, *ours), []),
            observations.lately: (observations.lately(session, [learner_id]), {}),
            observations.latest: (observations.latest(session, *ours, 3), []),
            observations.confidence_due: (observations.confidence_due(session, learner_id), None),
            observations.hold: (observations.hold(session, learner_id), False),
            observations.cards_made: (observations.cards_made(session, call_id), False),
            observations.waited: (observations.waited(session, call_id), False),
            observations.rated: (observations.rated(session, call_id, outcome=0.1, difficulty=9.0), None),
            observations.still_there: (observations.still_there(session, [learner_id]), []),
            ratings.get: (ratings.get(session, *ours), None),
            ratings.taken: (ratings.taken(session, *ours, level="A1"), None),
            ratings.set_level: (ratings.set_level(session, *ours, "C2"), None),
            ratings.lock: (ratings.lock(session, *ours, locked=True), None),
            ratings.answered: (ratings.answered(session, *ours, yes=True), None),
            ratings.difficulties: (ratings.difficulties(session), {}),
            ratings.put_difficulty: (ratings.put_difficulty(session, "cafe_order", Difficulty(99, 1.0)), None),
            reviews.due: (reviews.due(session, *ours, now=NOW), []),
            reviews.due_count: (reviews.due_count(session, *ours, now=NOW), 0),
            reviews.all: (reviews.all(session, *ours), []),
            topics.recent: (topics.recent(session, *ours), []),
            topics.facts: (topics.facts(session, learner_id), []),
            topics.keep_fact: (
                topics.keep_fact(session, learner_id=learner_id, fact="stolen", call_id=call_id, at=NOW),
                False,
            ),
            topics.forget_facts: (topics.forget_facts(session, learner_id), 0),
            topics.forget_all: (topics.forget_all(session, learner_id), 0),
            topics.drop: (topics.drop(session, learner_id, topics=["coffee at home"], facts=["has a dog"]), 0),
            achievements.earned: (achievements.earned(session, learner_id), frozenset()),
            achievements.of_call: (achievements.of_call(session, call_id), []),
            profiles.get: (profiles.get(session, *ours), None),
            satisfaction.ask: (satisfaction.ask(session, call_id), False),
            satisfaction.answered: (satisfaction.answered(session, call_id, 1), False),
            satisfaction.totals: (satisfaction.totals(session), (0, 0, 0, 0)),
            reports.tallies: (reports.tallies(session, timezone="UTC", boundaries=[0.0], bands=["A1", "B1"]), {}),
            quality.weeks: (quality.weeks(session, timezone="UTC", since=NOW - DAY, until=NOW + DAY), {}),
        }

    def refused(session: AsyncSession, ids: dict[str, Any]) -> dict[Any, Callable[[], Awaitable[Any]]]:
        """What may not be written: under this school's id, or under another's with this school's learner."""
        school_id = ids["school_id"]
        row = observation(school_id, uuid4(), learner_id)
        return {
            observations.put: lambda: observations.put(session, row),
            observations.confidence_answered: lambda: observations.confidence_answered(session, **ids, **answer),
            ratings.put: lambda: ratings.put(session, **ids, target="de", rating=rating),
            ratings.taken_difficulty: lambda: ratings.taken_difficulty(session, place.school_id, "hotel_checkin"),
            reviews.put: lambda: reviews.put(session, **ids, target="de", **card),
            topics.put: lambda: topics.put(session, **ids, **{**topic, "target": "de", "call_id": other_call}),
            achievements.put: lambda: achievements.put(session, **ids, **{**achieved, "call_id": other_call}),
            profiles.put: lambda: profiles.put(session, school_id, [replace(profile[0], target="de")], analysed_at=NOW),
        }

    async def try_it(function: Any, ids: dict[str, Any]) -> None:
        async with database.school(elsewhere.school_id) as session:
            await refused(session, ids)[function]()

    async with database.school(elsewhere.school_id) as session:
        asked = found(session)
        for function, (answered, nothing) in asked.items():
            assert await answered == nothing, function
    tried = set(asked)
    for ids in (theirs, stolen):
        async with database.school(elsewhere.school_id) as session:
            names = list(refused(session, ids))
        for function in names:
            with pytest.raises(DBAPIError, match=r"row-level security|foreign key"):
                await try_it(function, ids)
        tried |= set(names)
    looked_up_by_anyone = {observations.to_analyse}
    assert tried | looked_up_by_anyone == {
        function
        for module in MODULES
        for _, function in inspect.getmembers(module, inspect.iscoroutinefunction)
        if function.__module__ == module.__name__ and not function.__name__.startswith("_")
    }
    assert await superuser("SELECT level FROM learners") == [("A1",)]
    assert await superuser("SELECT plays FROM scenario_difficulties") == [(0,)]
    assert await superuser("SELECT outcome, cards_made FROM observations") == [(0.8, False)]
    for name in TABLES:
        assert await superuser(f"SELECT count(*) FROM {name}") == [(1,)], name
