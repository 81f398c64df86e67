"""What a page says of progress: what got across, what was achieved, what is emerging, and never after trouble."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from console.debrief_view import MOST_EARNED
from db import achievements, flags, ratings
from db.endings import NewEvent
from db.engine import Database
from db.keyring import Keyring
from tests.console.practice import NOW, Practice, practising
from tutor.learning.achievements import rules, told
from tutor.learning.insights import MOST_GROWTH, success
from tutor.learning.metrics import Measures
from tutor.learning.placement import Rating
from tutor.learning.wording import problems
from tutor.script.catalogue import load
from tutor.script.language import Language

CATALOGUE = load()
EN = CATALOGUE.language("en")
READY = Rating(theta=-1.0, level="A1", calls=9, experience=9, above=2, since_step=5, settled=True)


@pytest.fixture
async def practice(database: Database, keyring: Keyring) -> AsyncIterator[Practice]:
    """An English-speaking learner of Spanish."""
    async with practising(database, keyring) as ready:
        yield ready


def measures(share: float | None = 0.85, turns: int = 12, **changes: Any) -> Measures:
    """The figures of a call."""
    return Measures(learner_turns=turns, understood_share=share, **{"support_index": 0.5, **changes})


async def rate(practice: Practice, rating: Rating = READY) -> None:
    """Keeps the learner's rating."""
    ids = {"school_id": practice.school_id, "learner_id": practice.learner_id}
    async with practice.database.school(practice.school_id) as session:
        await ratings.taken(session, practice.learner_id, practice.target, level="A1")
        await ratings.put(session, **ids, target=practice.target, rating=rating)


async def celebrated(practice: Practice, native: Language, **call: Any) -> tuple[str, list[str]]:
    """The page of a call with everything there is to celebrate, and the sentences that say so."""
    await rate(practice)
    call_id = await practice.call(measures=measures(support_index=2.0), emerging=["price"], turns=12, **call)
    every = [rule.id for rule in rules()]
    async with practice.database.school(practice.school_id) as session:
        ids = {"school_id": practice.school_id, "learner_id": practice.learner_id}
        await achievements.put(session, **ids, call_id=call_id, achievements=sorted(every), at=NOW)
    sentences = [
        success(12, 0.85, native),
        native.say("insight.ready", level="A2"),
        native.say("growth.can_do", can_do=native.scenes["cafe_order"].can_do["price"]),
        native.say("growth.alone"),
        *(told(one, native) for one in every[:MOST_EARNED]),
    ]
    return (await practice.open(await practice.link(call_id))).text.replace("&#39;", "'"), sentences


@pytest.mark.parametrize("native", ["ar", "en", "es", "fr", "pt", "zh"])
async def test_everything_there_is_to_celebrate(database: Database, keyring: Keyring, native: str) -> None:
    """In each language: the turns that got across, achievements, the higher level, and what is emerging, kindly."""
    language = CATALOGUE.language(native)
    async with practising(database, keyring, native=native, target="en" if native == "es" else "es") as practice:
        page, sentences = await celebrated(practice, language)
        family = (await practice.open(await practice.link(practice.calls[-1], "family"))).text.replace("&#39;", "'")
    assert [sentence for sentence in sentences if f"<p>{sentence}</p>" not in page] == []
    assert [sentence for sentence in sentences if sentence in family] == []
    assert page.count(language.say("badge.told", reason="", name="").split("!")[0].strip(" ：:！!")) == MOST_EARNED
    assert all(problems(sentence, language) == [] for sentence in sentences[1:4])


@pytest.mark.parametrize(
    ("turns", "share", "sentence"),
    [
        (12, 0.60, "You spoke 12 times, and 60% of it got across!"),
        (12, 0.59, "You spoke 12 times!"),
        (12, None, "You spoke 12 times!"),
        (8, 1.0, "You spoke 8 times, and 100% of it got across!"),
        (7, 1.0, ""),
    ],
)
async def test_what_got_across_is_told_from_sixty_percent_on(
    practice: Practice, turns: int, share: float | None, sentence: str
) -> None:
    """At 60 % it is, at 59 % the turns stand alone, and of a short call neither is told."""
    page = await practice.page(measures=measures(share, turns), turns=turns)
    assert f"<p>{sentence}</p>" in page or not sentence
    assert ("% of it" in page, "You spoke" in page) == ("%" in sentence, bool(sentence))


async def test_what_is_emerging_is_two_sentences_at_most(practice: Practice) -> None:
    """A goal within reach, then a way of talking; a goal that the scene has no more is left out."""
    short = measures(0.3, 5, support_index=3.0)
    page = await practice.page(measures=short, turns=5, emerging=["gone", "price", "greet"])
    assert page.count("<p>Emerging: ") == MOST_GROWTH
    assert "<p>Emerging: ask the price or say how you pay.</p>" in page
    assert EN.say("growth.longer") in page
    assert "Emerging" not in await practice.page(measures=measures(), emerging=[])
    assert "Emerging" not in await practice.page(emerging="price", measures=measures())


async def test_a_higher_level_is_told_with_the_latest_call_alone(practice: Practice) -> None:
    """Where the rating says so, not on the page of a call before it, and not of a learner whom it does not ask."""
    sentence = EN.say("insight.ready", level="A2")
    await rate(practice)
    first = await practice.link(await practice.call(measures=measures()))
    assert sentence in (await practice.open(first)).text
    assert sentence in await practice.page(measures=measures())
    assert sentence not in (await practice.open(first)).text
    await rate(practice, Rating(theta=-2.0, level="A1", calls=9, experience=9, above=1, since_step=5, settled=True))
    assert sentence not in await practice.page(measures=measures())


@pytest.mark.parametrize("source", ["key", "stop", "care", "safe_exit"])
async def test_a_call_that_was_not_right_celebrates_nothing(practice: Practice, source: str) -> None:
    """Neither what got across nor what is emerging nor a higher level; what was reached stays."""
    await rate(practice)
    events = [NewEvent(9_000, "safe_exit", {})] if source == "safe_exit" else []
    call_id = await practice.call(measures=measures(support_index=2.0), emerging=["price"], turns=12, events=events)
    if source != "safe_exit":
        serious = flags.NewFlag(5, "danger", "care" if source == "care" else "stop", "words", "es/danger.x")
        flag = flags.NewFlag.key(5) if source == "key" else serious
        async with practice.database.school(practice.school_id) as session:
            await flags.add_many(session, practice.school_id, call_id, [flag])
    page = (await practice.open(await practice.link(call_id))).text
    assert "order a drink" in page
    for none in ("You spoke", "%", "Emerging", EN.say("insight.ready", level="A2"), EN.say("page.earned")):
        assert none not in page.partition("</style>")[2], none


async def test_a_call_that_was_not_kept_says_nothing_of_it(practice: Practice, superuser: Any) -> None:
    """A page without figures opens, and tells the rest."""
    token = await practice.link(await practice.call(measures=measures(), emerging=["price"], turns=12))
    await superuser("DELETE FROM observations")
    page = (await practice.open(token)).text
    assert "order a drink" in page
    assert "You spoke" not in page
    assert "Emerging" not in page


async def test_a_page_of_long_ago_tells_its_own_call(practice: Practice) -> None:
    """However many calls came after it."""
    token = await practice.link(await practice.call(measures=measures(0.85, 12), turns=12))
    for _ in range(31):
        await practice.call(measures=measures(0.7, 9))
    assert success(12, 0.85, EN) in (await practice.open(token)).text
