"""What is kept how long: words, figures, sound, learners who no longer call, and what nobody can use any more."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from db import calls, consents, pages, policies, retention, stripping, tokens
from db.engine import Database
from db.keyring import Keyring
from db.policies import Policy, PolicyRefused
from tests.db.conftest import OpenCall, Place, Query
from tests.db.planted import NUMBER, SENTENCE, Planted, age, call_of, events, found, plant
from tutor.learning.debrief import Debrief

Batch = Callable[[AsyncSession, Policy], Any]


async def once(database: Database, place: Place, batch: Batch) -> int:
    """Runs one batch by the school's policy, in a transaction of its own."""
    async with database.school(place.school_id) as session:
        count: int = await batch(session, await policies.of_school(session))
    return count


async def change(database: Database, place: Place, **changes: Any) -> Policy:
    """Changes the school's policy."""
    async with database.school(place.school_id) as session:
        return await policies.change(session, place.school_id, **changes)


@pytest.fixture
async def planted(database: Database, keyring: Keyring, place: Place) -> Planted:
    """A learner of whom everything is known."""
    return await plant(database, keyring, place)


# --- the policy


async def test_a_school_without_a_policy_has_the_defaults(database: Database, place: Place) -> None:
    """90 days of transcripts, 400 of figures, two years of a learner who does not call, no sound."""
    async with database.school(place.school_id) as session:
        assert await policies.of_school(session) == Policy(90, 400, 730, 0, True)


async def test_a_policy_is_changed_in_parts(database: Database, place: Place, elsewhere: Place) -> None:
    """What is not given stays; another school's policy is its own."""
    await change(database, place, transcript_days=30)
    assert await change(database, place, show_transcript=False) == Policy(transcript_days=30, show_transcript=False)
    async with database.school(elsewhere.school_id) as session:
        assert await policies.of_school(session) == Policy()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"transcript_days": 366}, "must be 0 to 365"),
        ({"transcript_days": -1}, "must be 0 to 365"),
        ({"metrics_days": 29}, "must be 30 to 800"),
        ({"learner_days": 10_000}, "must be 30 to 3650"),
        ({"audio_hours": 25}, "must be 0 to 24"),
        ({"metrics_days": 30}, "kept for 90 days and figures for 30"),
    ],
)
async def test_a_policy_that_cannot_be_is_refused(
    database: Database, place: Place, changes: dict[str, int], why: str
) -> None:
    """Out of its range, or words longer than figures: one sentence, and nothing changes."""
    with pytest.raises(PolicyRefused, match=why):
        await change(database, place, **changes)
    async with database.school(place.school_id) as session:
        assert await policies.of_school(session) == Policy()


# --- words


async def test_words_go_after_their_days_and_figures_stay(
    database: Database, keyring: Keyring, place: Place, planted: Planted, superuser: Query
) -> None:
    """Texts, quotes, what was written of them and the class's coverage are emptied; times, counts and goals stay."""
    shape = "SELECT ordinal, speaker, start_ms, end_ms, cut FROM turns WHERE call_id = %s ORDER BY ordinal"
    before = await superuser(shape, [planted.call_id])
    await age(superuser, 89.9)
    assert await once(database, place, retention.empty_words) == 0
    assert "turns.text" in await found(superuser, keyring, SENTENCE)
    await age(superuser, 0.2)
    assert await once(database, place, retention.empty_words) == 4
    left = await found(superuser, keyring, SENTENCE)
    # What the learner comes back to, and what a school wrote about them, is theirs and not a call's.
    assert left == ["learners.settings", "review_cards.situation", "review_cards.text"]
    assert await superuser(shape, [planted.call_id]) == before
    data = await superuser("SELECT kind, data FROM call_events WHERE call_id = %s ORDER BY ordinal", [planted.call_id])
    assert data == [
        ("learner_said", {"item": "item_2"}),
        ("goal", {"goal": "order_drink", "evidence": "quote"}),
        ("error_note", {"type": "gender", "severity": "minor", "handling": "recast"}),
        ("goals_asked", {"done": ["order_drink"]}),
        ("key", {"digit": "1", "spoken": True}),
        ("pace", {"step": -1, "speed": 0.9}),
        ("topic", {}),
        ("fact", {}),
        ("forget", {"what": "this_call"}),
        ("ended", {"reason": "caller_hung_up"}),
    ]
    ((content, source),) = await superuser("SELECT content, source FROM debriefs")
    assert (content["can_dos"], content["next_scenario"], source) == (["order_drink"], "cafe_order", "model")
    assert content["teacher"] == {"summary": "", "turns": 8}
    assert "coverage" not in content
    assert Debrief.read(content).keep == ""
    kept = await superuser("SELECT kept, menu, resume, learner_id IS NULL FROM calls WHERE id = %s", [planted.call_id])
    assert kept == [("figures", {"native": "en", "target": "es", "role": "learner"}, None, False)]
    assert await superuser("SELECT body, state FROM messages") == [("", "new")]
    assert await once(database, place, retention.empty_words) == 0


async def test_each_school_has_its_own_days(
    database: Database, place: Place, elsewhere: Place, superuser: Query
) -> None:
    """One school keeps ten days, the other the default: a month later only the first has nothing left."""
    for somewhere, sid in ((place, "CA1"), (elsewhere, "CA2")):
        await call_of(database, somewhere, sid, learner_id=None, caller_hash=None)
    await change(database, place, transcript_days=10)
    await age(superuser, 30)
    assert await once(database, place, retention.empty_words) == 1
    assert await once(database, elsewhere, retention.empty_words) == 0
    assert await superuser("SELECT school_id FROM turns WHERE text IS NOT NULL GROUP BY 1") == [(elsewhere.school_id,)]


async def test_batches_are_bounded_and_go_on(database: Database, place: Place, superuser: Query) -> None:
    """A full batch says that there is more; the oldest go first, and stopping in between loses nothing."""
    for number in range(5):
        await call_of(database, place, f"CA{number}", learner_id=None, caller_hash=None)
    await age(superuser, 91)
    took = [
        await once(database, place, lambda session, policy: retention.empty_words(session, policy, limit=2))
        for _ in range(4)
    ]
    assert took == [2, 2, 1, 0]
    assert await superuser("SELECT count(*) FROM turns WHERE text IS NOT NULL") == [(0,)]


async def test_a_call_that_goes_on_is_left_alone(database: Database, place: Place, superuser: Query) -> None:
    """Even one that began before the limit: it is not over."""
    await call_of(database, place, "CA1", learner_id=None, caller_hash=None, close=False)
    await age(superuser, 500)
    for batch in (retention.empty_words, retention.leave_cost, _menus, _snapshots):
        assert await once(database, place, batch) == 0


async def test_no_days_means_that_words_are_never_stored(
    database: Database, place: Place, superuser: Query, open_call: OpenCall
) -> None:
    """Whoever writes a call asks first; what a process wrote all the same goes when the call's work is done."""
    call_id = await open_call()
    async with database.school(place.school_id) as session:
        assert await stripping.may_keep_words(session, call_id)
        await policies.change(session, place.school_id, transcript_days=0)
        assert not await stripping.may_keep_words(session, call_id)
    await call_of(database, place, "CA1", learner_id=None, caller_hash=None)
    assert await once(database, place, retention.empty_words) == 0  # its debrief may be on its way
    await age(superuser, 0.1)
    assert await once(database, place, retention.empty_words) == 1


def test_what_is_written_without_words_is_what_would_be_left_of_it() -> None:
    """The rule for the moment of writing keeps numbers, names of goals and keys, and nothing that was said."""
    assert [stripping.without_words(event.data) for event in events()] == [
        {"item": "item_2"},
        {"goal": "order_drink", "evidence": "quote"},
        {"type": "gender", "severity": "minor", "handling": "recast"},
        {"done": ["order_drink"]},
        {"digit": "1", "spoken": True},
        {"step": -1, "speed": 0.9},
        {},
        {},
        {"what": "this_call"},
        {"reason": "caller_hung_up"},
    ]


words = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20)
values = st.one_of(words, st.booleans(), st.integers(-(2**40), 2**40), st.lists(words, max_size=3))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.dictionaries(st.sampled_from(["text", "goal", "done", "step", "detail"]), values, max_size=4))
async def test_both_rules_are_one(database: Database, data: dict[str, Any]) -> None:
    """The database empties an event exactly as the function does that is asked before one is written."""
    statement = str(stripping._EMPTY_EVENTS)
    rule = statement[statement.index("SELECT coalesce") : statement.rindex(") WHERE call_id")]
    asked = rule.replace("jsonb_each(data)", "jsonb_each(CAST(:data AS jsonb))")
    async with database.anyone() as session:
        emptied = await session.scalar(text(asked), {**stripping._PATTERNS, "data": json.dumps(data)})
    assert emptied == stripping.without_words(data)


# --- menus, snapshots, figures


async def _menus(session: AsyncSession, policy: Policy) -> int:
    return await retention.empty_menus(session)


async def _snapshots(session: AsyncSession, policy: Policy) -> int:
    return await retention.drop_snapshots(session)


async def test_what_a_family_was_told_goes_within_the_hour(
    database: Database, place: Place, planted: Planted, superuser: Query
) -> None:
    """A call that was a menu only keeps none of it; calls with a scene keep theirs for as long as words are kept."""
    assert await once(database, place, _menus) == 0
    await age(superuser, 1.1 / 24)
    assert await once(database, place, _menus) == 1
    kept = await superuser("SELECT menu FROM calls WHERE id = %s", [planted.family_id])
    assert kept == [({"native": "en", "target": "es", "role": "family"},)]
    assert await superuser("SELECT count(*) FROM calls WHERE kept = 'words'") == [(3,)]


async def test_a_snapshot_goes_when_nobody_can_come_back(database: Database, place: Place, superuser: Query) -> None:
    """Ten minutes allow the caller to go on; a quarter of an hour later what was said is gone from the snapshot."""
    call_id = await call_of(database, place, "CA1", learner_id=None, caller_hash=b"c")
    await age(superuser, 14 / 1440)
    assert await once(database, place, _snapshots) == 0
    async with database.school(place.school_id) as session:
        assert (await calls.take_resume(session, call_id)) == {"turns": [SENTENCE]}
        await session.rollback()
    await age(superuser, 2 / 1440)
    assert await once(database, place, _snapshots) == 1
    assert await superuser("SELECT resume FROM calls") == [(None,)]


async def test_figures_go_and_nobodys_cost_stays(
    database: Database, keyring: Keyring, place: Place, planted: Planted, superuser: Query
) -> None:
    """After 400 days a call says when, how long and how much; the learner is still there, and when they called last."""
    began = await superuser(
        "SELECT max(started_at) - interval '401 days' FROM calls WHERE learner_id = %s", [planted.learner_id]
    )
    await age(superuser, 401)
    assert await once(database, place, retention.leave_cost) == 4
    rows = await superuser("SELECT kept, learner_id, caller_hash, menu, cost_micro_usd FROM calls ORDER BY carrier_sid")
    assert [row[:4] for row in rows] == [("cost", None, None, {})] * 4
    assert rows[0][4] == 12_345
    for table in ("turns", "call_events", "debriefs", "observations", "topics", "facts", "messages", "debrief_links"):
        assert await superuser(f"SELECT count(*) FROM {table}") == [(0,)], table
    assert await superuser("SELECT count(learner_id) FROM ledger_entries") == [(0,)]
    assert await superuser("SELECT call_id FROM achievements") == [(None,)]
    assert await superuser("SELECT heard_at FROM learners WHERE id = %s", [planted.learner_id]) == began
    assert await once(database, place, retention.leave_cost) == 0
    # The number is still known: they will be greeted as who they are.
    assert "caller_identities.number_hash" in await found(superuser, keyring, keyring.hash_number(NUMBER))


async def test_learners_who_no_longer_call_are_found(
    database: Database, place: Place, planted: Planted, superuser: Query
) -> None:
    """Two years count from the last call, also when that call no longer says whose it was."""

    async def silent(session: AsyncSession, policy: Policy) -> int:
        return len(await retention.silent_learners(session, policy))

    await age(superuser, 500)
    await once(database, place, retention.leave_cost)
    # They were made 1,000 days ago and called 500 days ago.
    await superuser("UPDATE learners SET created_at = created_at - interval '500 days'")
    assert await once(database, place, silent) == 0
    await superuser("UPDATE learners SET heard_at = heard_at - interval '231 days'")
    assert await once(database, place, silent) == 2
    await call_of(database, place, "CA9", learner_id=planted.sister_id, caller_hash=None)
    assert await once(database, place, silent) == 1


# --- what nobody can use any more


async def test_what_has_expired_goes(
    database: Database, keyring: Keyring, place: Place, planted: Planted, superuser: Query
) -> None:
    """Tokens, links and tries of PINs whose time is over are deleted; those that still count stay."""
    async with database.school(place.school_id) as session:
        for ttl_s in (-1.0, 60.0):
            await tokens.issue(session, keyring, school_id=place.school_id, carrier_sid="CA1", payload={}, ttl_s=ttl_s)
        ids = {"school_id": place.school_id, "call_id": planted.call_id, "learner_id": planted.learner_id}
        await pages.issue(session, keyring, pages.new_token(), **ids, audience="family")
    await superuser("UPDATE debrief_links SET expires_at = now() WHERE audience = 'learner'")
    await superuser("UPDATE pin_tries SET tried_at = now() - interval '25 hours' WHERE length(caller) = 32")
    assert await once(database, place, retention.drop_expired) == 1
    assert await superuser("SELECT count(*) FROM tokens") == [(1,)]
    assert await superuser("SELECT audience FROM debrief_links") == [("family",)]
    assert await superuser("SELECT caller FROM pin_tries") == [(b"everybody",)]


async def test_texts_that_came_in_are_forgotten(database: Database, superuser: Query) -> None:
    """Their identifiers stop a repeated webhook for 30 days; then they go, whether another text comes or not."""
    async with database.anyone() as session:
        for sid in ("SM1", "SM2"):
            await consents.received(session, sid)
    await superuser("UPDATE texts_received SET at = now() - interval '31 days' WHERE carrier_sid = 'SM1'")
    async with database.anyone() as session:
        assert await retention.drop_texts_received(session) == 1
    assert await superuser("SELECT carrier_sid FROM texts_received") == [("SM2",)]


async def test_what_was_booked_stays_seven_years(
    database: Database, place: Place, planted: Planted, superuser: Query
) -> None:
    """Nobody can have an entry deleted sooner, nor change what it says."""
    (total,) = (await superuser("SELECT count(*) FROM ledger_entries"))[0]
    assert total
    async with database.anyone() as session:
        assert await retention.drop_ledger(session) == 0
    await superuser("UPDATE ledger_entries SET at = now() - interval '7 years 1 day' WHERE kind = 'response'")
    async with database.anyone() as session:
        assert await retention.drop_ledger(session) == 1
    assert await superuser("SELECT count(*) FROM ledger_entries") == [(total - 1,)]


async def test_the_sweep_s_questions_use_their_indexes(database: Database, place: Place, superuser: Query) -> None:
    """At three million calls the sweep reads the ends of indexes: each of its questions names one."""
    questions = {
        "calls_with_words": "kept = 'words' AND state = 'closed'",
        "calls_without_scene": "kept = 'words' AND scenario IS NULL AND state = 'closed'",
        "calls_with_figures": "kept <> 'cost' AND state = 'closed'",
        "calls_with_resume": "resume IS NOT NULL AND state = 'closed'",
    }
    await superuser(
        "INSERT INTO calls (id, school_id, line_id, carrier_sid, account_sid, state, ended_at, kept, scenario, resume)"
        " SELECT gen_random_uuid(), %s, %s, 'CA' || n, 'AC1', 'closed', now() - make_interval(mins => n),"
        " CASE WHEN n < 200 THEN 'words' WHEN n < 900 THEN 'figures' ELSE 'cost' END,"
        " CASE WHEN n %% 20 > 0 THEN 'cafe_order' END, CASE WHEN n < 5 THEN '{}'::jsonb END"
        " FROM generate_series(1, 5000) AS n",
        [place.school_id, place.line_id],
    )
    await superuser("ANALYZE calls")
    async with database.school(place.school_id) as session:
        for index, question in questions.items():
            plan = await session.scalars(
                text(
                    f"EXPLAIN SELECT id FROM calls WHERE {question} AND ended_at < now() - interval '1 day'"
                    " ORDER BY ended_at LIMIT 100 FOR UPDATE SKIP LOCKED"
                )
            )
            assert index in (shown := "\n".join(plan)), shown
