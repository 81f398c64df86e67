"""What a text celebrates: what the call achieved and how much got across, whichever of its jobs came first."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from db import achievements
from db.endings import NewEvent
from db.engine import Database
from db.keyring import Keyring
from rehearsal.realtime_script import TextAnswer
from ringua.jobs.debrief import debrief_call
from ringua.jobs.learning import learn_from_call
from tests.ringua.test_debrief_job import HANG_UP, WRITTEN, Place, practising
from tutor.script import catalogue

SHELF = catalogue.load()
EN = SHELF.language("en")
GOALS = [
    NewEvent(9_000, "goal", {"goal": goal, "quote": "un café con leche", "evidence": "quote"})
    for goal in ("greet", "order_drink", "detail", "price")
]
HINT = NewEvent(8_000, "hint", {"goal": "price", "rung": 0})
FIRST, SOLO = EN.say("badge.first_scene"), EN.say("badge.solo_flight")


@pytest.fixture
async def place(database: Database, keyring: Keyring, database_url: str, tmp_path: Path) -> AsyncIterator[Place]:
    """A line whose learner has agreed to texts."""
    async with practising(database, keyring, database_url, tmp_path, TextAnswer("debrief", WRITTEN)) as ready:
        await ready.agree()
        yield ready


async def texted(
    place: Place, *jobs: str, goals: int = len(GOALS), events: Sequence[NewEvent] = (), learner_turns: int = 5
) -> str:
    """The text about one more call, whose jobs run in this order."""
    _, before = await place.kept()
    call_id = await place.call(learner_turns=learner_turns, events=[*GOALS[:goals], *events, HANG_UP])
    database = place.storage.database
    ids: dict[str, Any] = {"school_id": place.school_id, "call_id": call_id}
    for job in jobs:
        if job == "learn":
            await learn_from_call(database, SHELF, **ids)
        else:
            await debrief_call(database, SHELF, None, **ids)
    _, after = await place.kept()
    (message,) = [one for one in after if one.id not in {known.id for known in before}]
    return message.body


@pytest.mark.parametrize("jobs", [("learn", "debrief"), ("debrief", "learn")], ids=" ".join)
async def test_an_achievement_is_texted_with_its_call_and_never_again(place: Place, jobs: tuple[str, ...]) -> None:
    """Whichever job runs first, the text of the first scene tells it, and the text of the second does not."""
    assert FIRST in await texted(place, *jobs, events=[HINT])
    async with place.storage.database.school(place.school_id) as session:
        assert await achievements.earned(session, place.learner_id) == {"first_scene"}
    assert FIRST not in await texted(place, *jobs, events=[HINT])


async def test_the_most_telling_of_several_is_texted(place: Place) -> None:
    """A first scene without a hint is two achievements; the text has room for one, the page has both."""
    text = await texted(place, "learn", "debrief")
    assert SOLO in text
    assert FIRST not in text


@pytest.mark.parametrize("jobs", [("learn", "debrief"), ("debrief", "learn")], ids=" ".join)
@pytest.mark.parametrize(
    "trouble",
    [
        NewEvent(25_000, "safe_exit", {}),
        NewEvent(25_000, "safety", {"action": "stop", "category": "abuse", "source": "words", "rule": "x"}),
    ],
    ids=["key 9", "safety"],
)
async def test_the_text_of_a_troubled_call_celebrates_nothing(
    place: Place, jobs: tuple[str, ...], trouble: NewEvent
) -> None:
    """Neither what was achieved nor how much got across; turns are told as ever."""
    text = await texted(place, *jobs, events=[HINT, trouble], learner_turns=9)
    assert FIRST not in text
    assert "%" not in text


@pytest.mark.parametrize(
    ("learner_turns", "asked_back", "share"),
    [(10, 4, "60%"), (10, 5, ""), (17, 7, ""), (8, 0, "100%"), (7, 0, "")],
)
async def test_how_much_got_across_is_texted_from_sixty_percent_on(
    place: Place, learner_turns: int, asked_back: int, share: str
) -> None:
    """Six turns of ten are told, five of ten and ten of seventeen (59 %) are not, and seven turns are a short call."""
    lost = [NewEvent(4_300 + 4_000 * n, "breakdown", {"kind": "learner_not_understood"}) for n in range(asked_back)]
    text = await texted(place, "learn", "debrief", goals=1, events=lost, learner_turns=learner_turns)
    assert ("%" in text, f"and {share} of it got across" in text) == (bool(share), bool(share))
    assert (f"You spoke {learner_turns} times" in text) is (learner_turns >= 8)


async def test_what_is_emerging_is_kept_with_the_debrief(place: Place) -> None:
    """The goals that needed help, for the page; none of a call that was not right."""
    await texted(place, "learn", "debrief", events=[HINT])
    await texted(place, "learn", "debrief", events=[HINT, NewEvent(25_000, "safe_exit", {})])
    written, _ = await place.kept()
    assert sorted(debrief.content["emerging"] for debrief in written) == [[], ["price"]]
