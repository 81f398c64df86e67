"""First calls on lines of one language and of several: what is asked, what is kept, and how soon the role is there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import product
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from db import calls, endings, ratings
from db.endings import Ending
from db.engine import Database
from db.keyring import Keyring
from db.models import Learner
from rehearsal import twiml as strict
from telephony.ivr import questions
from telephony.ivr.questions import (
    MOST_TARGETS,
    Offer,
    QuestionsContext,
    QuestionsState,
    advance,
    enter,
    replay,
    rough_level,
)
from telephony.ivr.record import ROLE_WITHIN_S, MenuRecord, Questions
from telephony.ivr.steps import MAX_PROMPTS, PROMPT_LIMIT_S, Ask, Chosen, Step
from tests.telephony.plain_language import PLAIN
from tests.telephony.school_line import CALL, SCENES, Service, service, spoken, verbs
from tutor.learning.placement import Rating
from tutor.learning.said import Said, estimate_s
from tutor.script.catalogue import load
from tutor.script.level import LEVELS

CATALOGUE = load()
EN, ES, FR, ZH = (CATALOGUE.language(tag) for tag in ("en", "es", "fr", "zh"))
BASES = tuple(language for language in CATALOGUE.natives if language.tag == language.base)
SCHOOL = "Colegio <Lorca> & Söhne"
SEVERAL: dict[str, Any] = {"natives": ["en", "es", "fr"], "targets": ["es", "en"]}


def context(natives: str = "en es fr", targets: str = "es en", **changes: Any) -> QuestionsContext:
    """The questions of a line; each native language gets the targets that are another language."""
    spoken_here = tuple(CATALOGUE.language(tag) for tag in natives.split())
    values: dict[str, Any] = {
        "natives": spoken_here,
        "targets": {
            native.tag: tuple(target for target in targets.split() if target.partition("-")[0] != native.base)
            for native in spoken_here
        },
        "native": spoken_here[0].tag,
        "target": targets.split()[0],
        "level": "A1",
        "school": "School",
    }
    return QuestionsContext(**(values | changes))


def says(step: Step) -> list[str]:
    """What a question says."""
    assert isinstance(step, Ask)
    return [line if isinstance(line, str) else line.text for line in step.says]


# --- the questions, without a telephone


def test_each_language_is_offered_in_itself() -> None:
    """The first question names every language in its own words and voice, and nothing else."""
    _, step = enter(context())
    assert isinstance(step, Ask)
    assert step.says == tuple(
        Said.of(native.say("callers.language", key=str(key)), native) for key, native in enumerate((EN, ES, FR), 1)
    )


def test_who_answers_is_said_in_the_chosen_language() -> None:
    """With the language known, the notice comes first, then the next question."""
    state, step = replay(context(), ["3"])
    assert says(step) == [
        FR.say("menu.notice", school="School"),
        FR.say("callers.target_ask"),
        FR.say("callers.target", language="espagnol", key="1"),
        FR.say("callers.target", language="anglais", key="2"),
    ]
    assert questions.native_of(context(), state) == FR
    _, step = replay(context(), ["3", "2"])
    assert says(step) == [FR.say("callers.level", target="anglais")]


@pytest.mark.parametrize(
    ("asked", "answers", "outcome"),
    [
        (context(), ["1", "2"], Chosen("en", "es", "B1")),  # one target is left, so it is not asked for
        (context(), ["2", "1"], Chosen("es", "en", "A1")),
        (context(), ["3", "2", "3"], Chosen("fr", "en", "B2")),
        (context("en"), ["3"], Chosen("en", "es", "B2")),
        (context("en", "es fr"), ["2", "2"], Chosen("en", "fr", "B1")),
        (context("en fr", "es"), ["2", "1"], Chosen("fr", "es", "A1")),
        (context(ask_level=False), ["3", "1"], Chosen("fr", "es", "A1")),
        (context(levels={"es": "B2"}), ["1"], Chosen("en", "es", "B2")),
        (context(levels={"es": "B2"}), ["3", "2", "2"], Chosen("fr", "en", "B1")),
        (context(), ["0"], Chosen("en", "es", "A1")),
        (context(), ["2", "0"], Chosen("es", "en", "A1")),
        (context(), ["", ""], Chosen("en", "es", "A1")),
        (context(), ["3", "", ""], Chosen("fr", "es", "A1")),
        (context(level="A2"), ["1", "1"], Chosen("en", "es", "A2")),
        (context(level="B1"), ["1", "1"], Chosen("en", "es", "A1")),
        (context(level="C1"), ["1", "3"], Chosen("en", "es", "C1")),
    ],
)
def test_answers(asked: QuestionsContext, answers: list[str], outcome: Chosen) -> None:
    """What is known is not asked; what is not answered is as the line has it."""
    assert replay(asked, answers)[1] == outcome


@pytest.mark.parametrize("key", ["7", "*", "#", "D", ""])
def test_a_wrong_key_and_a_silence_ask_again(key: str) -> None:
    """The question comes once more, without the notice; an answer then counts."""
    _, again = replay(context(), ["3", key])
    assert says(again)[0] == FR.say("callers.target_ask")
    assert replay(context(), ["3", key, "1", "1"])[1] == Chosen("fr", "es", "A1")


def test_keys_pressed_by_habit_answer_one_question() -> None:
    """Keys that came together answer the question that was heard, not those after it."""
    assert says(replay(context(), ["333"])[1])[0] == FR.say("menu.notice", school="School")


def test_children_are_told_first() -> None:
    """On a line for children a computer says so as soon as the language is known; how far they are is not asked."""
    _, step = replay(context(kids=True, ask_level=False), ["2"])
    assert step == Chosen("es", "en", "A1")
    _, step = replay(context(kids=True, ask_level=False), ["3"])
    assert says(step)[0] == FR.say("safety.kid_notice")


def test_a_line_that_knows_everything_asks_nothing() -> None:
    """Where there is one language of each kind and the level is known, the outcome is there at once."""
    assert enter(context("en", "es", levels={"es": "A2"}))[1] == Chosen("en", "es", "A2")


def test_questions_without_an_answer_are_refused() -> None:
    """A native language for which nothing can be practised is no offer."""
    with pytest.raises(ValueError, match="something to practise"):
        context("en es", "es")


@pytest.mark.parametrize(("band", "line"), list(product(range(3), LEVELS)))
def test_a_rough_level_is_the_lines_own_where_it_fits(band: int, line: str) -> None:
    """Each answer is a band: the line's own level where it lies in it, else the band's easiest."""
    level = rough_level(band, line)
    bands = (("A1", "A2"), ("B1",), ("B2", "C1", "C2"))
    assert level == line if line in bands[band] else level == bands[band][0]


@given(st.lists(st.sampled_from(["", *"0123456789*#D", "12"]), max_size=60))
def test_any_answers_come_to_an_end(answers: list[str]) -> None:
    """Whatever is pressed, a question follows or an outcome that the line offers; the number of prompts is bounded."""
    asked = context()
    state, step = replay(asked, answers)
    for _ in range(MAX_PROMPTS + 1):
        if isinstance(step, Chosen):
            break
        assert isinstance(step, Ask)
        assert step.says
        state, step = advance(asked, state, "#")
    assert isinstance(step, Chosen)
    assert step.target in asked.targets[step.native]
    assert step.level in LEVELS


def test_a_language_that_knows_no_wording() -> None:
    """The questions know no language by heart: any that the catalogue has will do."""
    asked = replace(context("en", "es fr"), natives=(PLAIN,), targets={"xx": ("es", "fr")}, native="xx")
    assert says(enter(asked)[1]) == [
        "menu.notice School",
        "callers.target_ask",
        "callers.target 1 es",
        "callers.target 2 fr",
    ]


# --- how long they are


def all_heard(asked: QuestionsContext) -> list[list[Ask]]:
    """Every way through the questions, each answered at its end."""
    ways: list[list[Ask]] = []

    def follow(state: QuestionsState, step: Step, heard: list[Ask]) -> None:
        if not isinstance(step, Ask):
            ways.append(heard)
            return
        for key in "123456":
            after = advance(asked, state, key)
            if after[1] != step and says_other(after[1], step):
                follow(*after, [*heard, step])

    follow(*enter(asked), [])
    return ways


def says_other(step: Step, before: Ask) -> bool:
    """Whether a key was an answer: the question does not come again."""
    return not isinstance(step, Ask) or set(step.says).isdisjoint(before.says)


def test_every_question_is_short() -> None:
    """With every language that a line may offer, no question is longer than a prompt may be."""
    asked = context(" ".join(native.tag for native in BASES), "es en fr de", school="Colegio Público García Lorca")
    for way in all_heard(asked):
        assert all(estimate_s(step.says) <= PROMPT_LIMIT_S for step in way)


@pytest.mark.parametrize("targets", ["es en fr de", "it ja zh pt", "es en"])
def test_the_role_is_reached_within_45_seconds(targets: str) -> None:
    """However many languages are offered, whoever answers each question at its end and hears the briefing out talks
    within 45 s; with two of each kind the briefing still has the useful phrases."""
    assert len(targets.split()) <= MOST_TARGETS
    natives = BASES if targets != "es en" else (EN, ES)
    offers = tuple(Offer(native.tag, tuple(tag for tag in targets.split() if tag != native.base)) for native in natives)
    record = MenuRecord(
        native="en",
        school="Colegio García Lorca",
        returning=False,
        scenarios=("cafe_order", "market_fruit", "flat_viewing", "debate_radio"),
        free_talk=True,
        slower=False,
        level="A1",
        target=targets.split()[0],
        questions=Questions(offers),
    )
    longest = 0.0
    for native, target, level in product("123456"[: len(offers)], "1234", "123"):
        asked = record
        for answer in (native, target, level):
            if isinstance(asked.at(CATALOGUE).step, Ask):
                asked = asked.answered(answer)
        outcome = asked.at(CATALOGUE).step
        if not isinstance(outcome, Chosen):
            continue  # a key for which there was nothing
        menu = MenuRecord(
            native=outcome.native,
            school=record.school,
            returning=False,
            scenarios=record.scenarios,
            free_talk=True,
            slower=False,
            level=outcome.level,
            target=outcome.target,
            opening="",
            asked_s=asked.heard_s(CATALOGUE),
        )
        opening = menu.at(CATALOGUE).step
        assert isinstance(opening, Ask)
        assert estimate_s(opening.says) <= PROMPT_LIMIT_S
        for key in "1234":
            briefing = menu.answered(key).at(CATALOGUE).step
            assert isinstance(briefing, Ask)
            first = estimate_s(opening.says[:1])
            longest = max(longest, menu.asked_s + first + estimate_s(briefing.says) + briefing.timeout_s)
            if len(natives) == 2:
                assert {line.language for line in briefing.says if isinstance(line, Said)} == {
                    outcome.native,
                    outcome.target,
                }
    assert 30 < longest <= ROLE_WITHIN_S


# --- with a telephone and a database


@pytest.fixture
async def line(database: Database, keyring: Keyring) -> AsyncIterator[Service]:
    """A service whose line speaks three languages and practises two."""
    async with service(database, keyring, texts=False, **SEVERAL) as ready:
        yield ready


async def learners_of(line: Service) -> list[Learner]:
    """The learners of the school."""
    async with line.database.school(line.school_id) as session:
        return list(await session.scalars(select(Learner).order_by(Learner.created_at)))


async def pressed(line: Service, *keys: str, **options: str) -> ET.Element:
    """Calls, answers prompt after prompt, and returns the last call script; each is read as strictly as a carrier."""
    script = await line.told("/twilio/voice", **options)
    for step, digits in enumerate(keys, 1):
        script = await line.told(f"/twilio/menu?step={step}", Digits=digits, **options)
        assert [found for found in strict.parse(ET.tostring(script), "text/xml").findings if found.code] == []
    return script


async def test_a_first_call_on_a_line_of_several_languages(line: Service) -> None:
    """Language, target and rough level are asked, then the scenes are listed; the learner keeps all three."""
    script = await line.told("/twilio/voice")
    assert {say.attrib["language"] for say in script.iter("Say")} == {EN.say_locale, ES.say_locale, FR.say_locale}
    script = await pressed(line, "3", "2")
    assert spoken(script) == FR.say("callers.level", target="anglais")
    assert {say.attrib["language"] for say in script.iter("Say")} == {FR.say_locale}
    script = await pressed(line, "3", "2", "2")
    assert spoken(script).startswith(FR.say("menu.option", key="1", title=FR.scenes["cafe_order"].title))
    assert FR.say("menu.notice", school=SCHOOL) not in spoken(script), "it was heard before"
    assert await learners_of(line) == []
    script = await pressed(line, "3", "2", "2", "1")
    assert FR.scenes["cafe_order"].who in spoken(script)
    script = await pressed(line, "3", "2", "2", "1", "1")
    assert verbs(script)[-2:] == ["Connect", "Redirect"]
    (learner,) = await learners_of(line)
    assert (learner.native, learner.target, learner.level) == ("fr", "en", "B1")
    row = await line.row()
    assert (row.learner_id, row.level, row.menu["target"]) == (learner.id, "B1", "en")
    parameter = script.find("Connect/Stream/Parameter")
    assert parameter is not None
    _, serving = line.stream(parameter.attrib["value"])
    await line.is_answering()
    assert (line.answered[0].payload["native"], line.answered[0].payload["level"]) == ("fr", "B1")
    serving.cancel()


async def test_the_second_call_asks_nothing(line: Service) -> None:
    """Whoever has played on the line is spoken to in their language, and offered what they practise."""
    await pressed(line, "3", "2", "2", "1", "1")
    script = await line.told("/twilio/voice", CallSid="CAsecond")
    assert spoken(script).startswith(FR.say("menu.welcome_back", school=SCHOOL))
    row = await line.row("CAsecond")
    assert (row.level, row.menu["target"]) == ("B1", "en")


async def test_a_line_of_one_language_asks_nothing(database: Database, keyring: Keyring) -> None:
    """The caller is never asked for what the line knows."""
    async with service(database, keyring) as line:
        script = await line.told("/twilio/voice")
        assert spoken(script).startswith(EN.say("menu.notice", school=SCHOOL))
        assert (await line.row()).menu["questions"] is None


async def test_a_line_without_scenes_in_a_language_does_not_offer_it(database: Database, keyring: Keyring) -> None:
    """A language whose speakers would have nothing to practise is not among those offered."""
    async with service(database, keyring, natives=["en", "es"]) as line:
        script = await line.told("/twilio/voice")
        assert spoken(script).startswith(EN.say("menu.notice", school=SCHOOL)), "Spanish is what is learned here"


async def test_guests_choose_their_language_too(line: Service) -> None:
    """A caller without a number is asked all the same, and nothing is kept."""
    script = await pressed(line, "2", "1", "1", "1", From="anonymous")
    assert verbs(script)[-2:] == ["Connect", "Redirect"]
    assert (await line.row()).menu["native"] == "es"
    assert await learners_of(line) == []


async def test_repeated_requests_are_answered_as_before(line: Service) -> None:
    """Every step gives the document it gave, whatever keys a repeated request brings."""
    given = [(await line.post("/twilio/voice")).content]
    for step, digits in enumerate(["3", "2", "2", "1", "1"], 1):
        given.append((await line.post(f"/twilio/menu?step={step}", Digits=digits)).content)
    assert (await line.post("/twilio/voice")).content == given[0]
    for step in range(1, 6):
        assert (await line.post(f"/twilio/menu?step={step}", Digits="9")).content == given[step]
    assert len(await learners_of(line)) == 1


async def test_silence_leads_to_the_menu(line: Service) -> None:
    """Whoever answers nothing hears the menu in the line's own language, and who answers it."""
    script = await pressed(line, "", "")
    assert spoken(script).startswith(EN.say("menu.notice", school=SCHOOL))


async def test_a_refused_pin_leaves_the_language(line: Service) -> None:
    """A caller who chose a language and then has no right PIN goes on as a guest in that language."""
    script = await pressed(line, "3", "2", "1", "0", "1", "0000", "0001", "0002")
    assert spoken(script).startswith(FR.say("pin.closed"))
    assert (await line.row()).menu["target"] == "en"


async def test_languages_are_chosen_again_in_the_settings(line: Service) -> None:
    """Settings, key 6: a learner who changes keeps the new language; how far they are there is asked if unknown."""
    await line.enrolled(native="fr", target="es", level="B1")
    script = await pressed(line, "0")
    assert FR.say("callers.settings") in spoken(script)
    script = await pressed(line, "0", "6")
    assert EN.say("callers.language", key="1") in spoken(script)
    script = await pressed(line, "0", "6", "3", "2")
    assert spoken(script) == FR.say("callers.level", target="anglais")
    script = await pressed(line, "0", "6", "3", "2", "3")
    assert FR.scenes["cafe_order"].title in spoken(script)
    (learner,) = await learners_of(line)
    assert (learner.native, learner.target, learner.level) == ("fr", "en", "B2")
    row = await line.row()
    assert (row.learner_id, row.menu["level"], row.menu["target"]) == (learner.id, "B2", "en")


async def test_a_known_level_is_not_asked_again(line: Service) -> None:
    """Back in a language that was rated before, the rating says how far the learner is."""
    whose = await line.enrolled(native="fr", target="en", level="A1")
    async with line.database.school(line.school_id) as session:
        await ratings.put(session, school_id=line.school_id, learner_id=whose, target="es", rating=Rating.start("B2"))
    script = await pressed(line, "0", "6", "3", "1")
    assert FR.scenes["cafe_order"].title in spoken(script)
    (learner,) = await learners_of(line)
    assert (learner.target, learner.level) == ("es", "B2")
    assert (await line.row()).menu["level"] == "B2"


async def test_a_line_of_one_language_has_no_such_setting(database: Database, keyring: Keyring) -> None:
    """Where there is nothing to choose, key 6 of the settings is a wrong key."""
    async with service(database, keyring) as line:
        script = await pressed(line, "0")
        assert EN.say("callers.settings") not in spoken(script)
        assert spoken(await pressed(line, "0", "6")).startswith(EN.say("menu.wrong_key"))


async def test_two_languages_are_two_stories(line: Service) -> None:
    """What was played in one language is new in the other, and a level of one is none of the other's."""
    whose = await line.enrolled(native="fr", target="en", level="B1")
    await pressed(line, "1", "1", CallSid="CAenglish")
    row = await line.row("CAenglish")
    async with line.database.school(line.school_id) as session:
        await calls.connected(session, row.id)
        await endings.finish(session, row.id, Ending("role"))
    await line.told("/twilio/voice", CallSid="CAagain")
    assert (await line.row("CAagain")).menu["played"] == ["cafe_order"]
    await pressed(line, "0", "6", "3", "1", "1")
    record = MenuRecord.read((await line.row()).menu)
    assert (record.target, record.played, record.level) == ("es", (), "A1")
    assert (await line.row(CALL)).learner_id == whose
    assert SCENES[0] in record.scenarios
