"""Asking callers whether texts may come: once, when a call is over or in the next one's menu, never by accident."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from sqlalchemy import select, text

from db import consents, endings, learners, lines
from db.endings import Ending
from db.engine import Database
from db.keyring import Keyring
from db.models import CallerIdentity, Consent, Message
from telephony.ivr.menu import MenuContext, replay
from telephony.ivr.steps import PROMPT_LIMIT_S, Ask, Begin
from telephony.segments import segments
from telephony.twilio.consent import wording
from tests.telephony.plain_language import menu
from tests.telephony.school_line import CALL, CALLER, LINE, Service, service, spoken, verbs
from tutor.learning.message import confirmation
from tutor.learning.said import estimate_s
from tutor.script.catalogue import load
from tutor.script.language import Language

EN = load().language("en")
LANGUAGES = load().natives


@pytest.fixture
async def line(database: Database, keyring: Keyring) -> AsyncIterator[Service]:
    """A service with one live line."""
    async with service(database, keyring) as ready:
        yield ready


async def talked(line: Service, ending: Ending | None = None, **options: Any) -> None:
    """A call that reached its scene and came to an end, while the caller is still there."""
    _, serving = line.stream(await line.chosen(**options), **({"callSid": options["CallSid"]} if options else {}))
    await line.is_answering()
    row = await line.row(options.get("CallSid", CALL))
    async with line.database.school(line.school_id) as session:
        await endings.finish(session, row.id, ending or Ending("role", completed=True))
    serving.cancel()


@dataclass(frozen=True)
class Left:
    """What the database holds of answers."""

    consents: list[Consent]
    number: str | None
    messages: list[Message]
    jobs: list[str]


async def left(line: Service) -> Left:
    """What the database holds of answers."""
    async with line.database.school(line.school_id) as session:
        kept = list(await session.scalars(select(Consent)))
        sealed = await session.scalar(select(CallerIdentity.number_encrypted))
        texts = list(await session.scalars(select(Message)))
        jobs = list(await session.scalars(text("SELECT task_name FROM procrastinate_jobs ORDER BY id")))
    return Left(kept, line.keyring.decrypt(sealed) if sealed else None, texts, jobs)


def asks(script: ET.Element) -> bool:
    """Whether a call script asks for consent."""
    gather = script.find("Gather")
    return gather is not None and EN.say("consent.ask") in spoken(gather)


def hangs_up(script: ET.Element) -> bool:
    """Whether a call script only speaks and then ends the call."""
    return set(verbs(script)[:-1]) == {"Say"} and verbs(script)[-1] == "Hangup"


# --- at the end of a call


async def test_asked_at_the_end(line: Service) -> None:
    """After the closing sentence, which keys do not cut short, a caller who is still there is asked."""
    await talked(line)
    script = await line.told("/twilio/after")
    assert verbs(script)[-2:] == ["Gather", "Redirect"]
    assert script[0].text == EN.say("wrapup.praise_call")
    assert EN.say("wrapup.bye") not in spoken(script), "nobody says good-bye before a question"
    assert asks(script)
    assert script[-2].attrib["action"] == script[-1].text == "/twilio/consent?step=1"


async def test_yes(line: Service) -> None:
    """A yes is kept with its time, its call and the version of the sentence; the number is kept, and told by text."""
    await talked(line)
    await line.told("/twilio/after")
    script = await line.told("/twilio/consent?step=1", Digits="1")
    assert (verbs(script), script[0].text) == (["Say", "Gather", "Redirect"], EN.say("consent.yes"))
    kept = await left(line)
    (consent,) = kept.consents
    assert (consent.given, consent.carrier_sid, consent.wording) == (True, CALL, wording(EN))
    assert datetime.now(UTC) - consent.asked_at < timedelta(minutes=1)
    assert kept.number == CALLER
    (message,) = kept.messages
    assert message.body == confirmation("Colegio <Lorca> & Söhne", EN, count=segments)
    assert "STOP" in message.body
    assert segments(message.body) <= 2
    assert (message.sender, message.kind) == (LINE, "confirmation")
    assert kept.jobs == ["messages.send", "calls.debrief"], "the call that has just ended is told of as well"


@pytest.mark.parametrize("digits", ["2", "", None])
async def test_no(line: Service, digits: str | None) -> None:
    """A no, and saying nothing, are kept as a no: no number, no message, and never asked again."""
    await talked(line)
    await line.told("/twilio/after")
    fields = {} if digits is None else {"Digits": digits}
    assert spoken(await line.told("/twilio/consent?step=1", **fields)).startswith(EN.say("consent.no"))
    kept = await left(line)
    assert [consent.given for consent in kept.consents] == [False]
    assert (kept.number, kept.messages, kept.jobs) == (None, [], [])
    await talked(line, CallSid="CAsecond")
    assert not asks(await line.told("/twilio/after", CallSid="CAsecond"))


async def test_a_wrong_key(line: Service) -> None:
    """A wrong key is asked again once; a second one is a no."""
    await talked(line)
    await line.told("/twilio/after")
    again = await line.told("/twilio/consent?step=1", Digits="7")
    assert asks(again)
    assert EN.say("menu.wrong_key") in spoken(again)
    assert again.find("Gather").attrib["action"] == "/twilio/consent?step=2"  # type: ignore[union-attr]
    assert (await left(line)).consents == []
    assert spoken(await line.told("/twilio/consent?step=2", Digits="*")).startswith(EN.say("consent.no"))


async def test_repeated_answers(line: Service) -> None:
    """Repeated requests are given the same answer and change nothing, whatever keys they bring."""
    await talked(line)
    await line.told("/twilio/after")
    first = await line.post("/twilio/consent?step=1", Digits="1")
    for digits in ("1", "2", "9", ""):
        assert (await line.post("/twilio/consent?step=1", Digits=digits)).content == first.content
    kept = await left(line)
    assert [consent.given for consent in kept.consents] == [True]
    assert len(kept.messages) == 1


async def test_simultaneous_answers(line: Service) -> None:
    """The same answer, sent several times at once, is one consent and one message."""
    await talked(line)
    await asyncio.gather(*(line.post("/twilio/consent?step=1", Digits="1") for _ in range(5)))
    kept = await left(line)
    assert (len(kept.consents), len(kept.messages)) == (1, 1)


async def test_asked_once(line: Service) -> None:
    """Whoever agreed is not asked again."""
    await talked(line)
    await line.told("/twilio/consent?step=1", Digits="1")
    assert not asks(await line.told("/twilio/after"))
    await talked(line, CallSid="CAsecond")
    assert hangs_up(await line.told("/twilio/after", CallSid="CAsecond"))


@pytest.mark.parametrize(
    "ending", [Ending("safe_exit"), Ending("model_lost"), Ending("line_lost"), Ending("process_lost")]
)
async def test_not_after_trouble(line: Service, ending: Ending) -> None:
    """Whoever left because something was wrong, and whoever was cut off, is not asked now."""
    await talked(line, ending)
    assert verbs(await line.told("/twilio/after")) == ["Say", "Hangup"]


async def test_guests_are_not_asked(line: Service) -> None:
    """Without a number there is nobody to ask, and an answer changes nothing."""
    await talked(line, CallSid="CAguest", From="anonymous")
    assert not asks(await line.told("/twilio/after", CallSid="CAguest", From="anonymous"))
    await line.told("/twilio/consent?step=1", CallSid="CAguest", From="anonymous", Digits="1")
    assert (await left(line)).consents == []


async def test_a_line_without_texts(database: Database, keyring: Keyring) -> None:
    """A line whose texts are switched off asks nobody."""
    async with service(database, keyring, texts=False) as line:
        await talked(line)
        assert not asks(await line.told("/twilio/after"))
        await line.told("/twilio/voice", CallSid="CAsecond")
        assert not (await line.row("CAsecond")).menu["ask_consent"]


@pytest.mark.parametrize("minors", [{"minors": "13+"}, {"minors": "under13"}, {"kids": True}])
async def test_a_line_for_minors_asks_nobody(database: Database, keyring: Keyring, minors: dict[str, Any]) -> None:
    """A minor of whatever age cannot agree: neither at the end of a call nor in the next one's menu."""
    async with service(database, keyring, change=lambda door: replace(door, minors="under13")) as line:
        await talked(line)
        async with line.database.school(line.school_id) as session:
            assert await lines.update(session, (await line.row()).line_id, **minors)
        assert not asks(await line.told("/twilio/after"))
        await line.told("/twilio/voice", CallSid="CAsecond")
        assert not (await line.row("CAsecond")).menu["ask_consent"]
        assert (await left(line)).consents == []


async def test_whoever_opted_out_is_not_asked(line: Service) -> None:
    """After a STOP nobody asks, and a late answer is not kept."""
    await talked(line)
    async with line.database.anyone() as session:
        await consents.opt_out(session, line.keyring.hash_number(CALLER), "SM1")
    assert not asks(await line.told("/twilio/after"))
    assert spoken(await line.told("/twilio/consent?step=1", Digits="1")) == EN.say("after.goodbye")
    assert (await left(line)).consents == []


@pytest.mark.parametrize("path", ["/twilio/consent", "/twilio/consent?step=x"])
async def test_addresses_that_are_none_of_ours(line: Service, path: str) -> None:
    """An address we did not make ends in a spoken sentence and changes nothing."""
    await talked(line)
    assert spoken(await line.told(path, Digits="1"))
    assert (await left(line)).consents == []


async def test_in_the_callers_language(line: Service) -> None:
    """The question is asked in the learner's own language, and its version names it."""
    french = load().language("fr")
    async with line.database.school(line.school_id) as session:
        await learners.create_with_number(
            session,
            school_id=line.school_id,
            number_hash=line.keyring.hash_number(CALLER),
            last_two="22",
            native="fr",
            target="es",
            level="A1",
        )
    await line.told("/twilio/voice")
    await line.told("/twilio/menu?step=1", Digits="1")
    script = await line.told("/twilio/menu?step=2", Digits="1")
    assert spoken(script).startswith(french.say("consent.yes"))
    assert [consent.wording for consent in (await left(line)).consents] == [wording(french)]
    assert wording(french) != wording(EN)


# --- in the next call's menu


@asynccontextmanager
async def second_call(line: Service) -> AsyncIterator[None]:
    """The number's first call was hung up in its scene; it calls again and chooses another."""
    await line.chosen()
    await line.post("/twilio/status", CallStatus="completed", SequenceNumber="1")
    await line.told("/twilio/voice", CallSid="CAsecond")
    script = await line.told("/twilio/menu?step=1", CallSid="CAsecond", Digits="2")
    assert asks(script)
    yield


async def test_asked_in_the_menu(line: Service) -> None:
    """Once the scene is chosen, a yes is kept, and the scene that was chosen begins."""
    async with second_call(line):
        script = await line.told("/twilio/menu?step=2", CallSid="CAsecond", Digits="1")
        assert spoken(script).startswith(f"{EN.say('consent.yes')} | {EN.scenes['market_fruit'].who}")
        begun = await line.told("/twilio/menu?step=3", CallSid="CAsecond")
        assert verbs(begun) == ["Connect", "Redirect"]
        assert (await line.row("CAsecond")).scenario == "market_fruit"
        kept = await left(line)
        assert [(consent.given, consent.carrier_sid) for consent in kept.consents] == [(True, "CAsecond")]
        assert kept.number == CALLER
        assert kept.jobs == ["messages.send"], "the call goes on; its debrief comes when it is closed"
        again = await line.told("/twilio/menu?step=2", CallSid="CAsecond", Digits="2")
        assert ET.tostring(again) == ET.tostring(script)
        assert len((await left(line)).consents) == 1


async def test_no_in_the_menu(line: Service) -> None:
    """A no is kept, and the scene begins."""
    async with second_call(line):
        script = await line.told("/twilio/menu?step=2", CallSid="CAsecond", Digits="2")
        assert spoken(script).startswith(EN.say("consent.no"))
        kept = await left(line)
        assert ([consent.given for consent in kept.consents], kept.number) == ([False], None)


async def test_no_answer_in_the_menu(line: Service) -> None:
    """Silence begins the scene and keeps nothing; the end of the call asks."""
    async with second_call(line):
        script = await line.told("/twilio/menu?step=2", CallSid="CAsecond")
        assert spoken(script).startswith(EN.scenes["market_fruit"].who)
        script = await line.told("/twilio/menu?step=3", CallSid="CAsecond")
        assert (await left(line)).consents == []
        parameter = script.find("Connect/Stream/Parameter")
        assert parameter is not None
        _, serving = line.stream(parameter.attrib["value"], callSid="CAsecond")
        await line.is_answering()
        async with line.database.school(line.school_id) as session:
            await endings.finish(session, (await line.row("CAsecond")).id, Ending("key"))
        serving.cancel()
        assert asks(await line.told("/twilio/after", CallSid="CAsecond"))


async def test_a_first_caller_is_not_asked_in_the_menu(line: Service) -> None:
    """A first call begins with the scene; what texts are is asked when it is over."""
    await line.told("/twilio/voice")
    assert not asks(await line.told("/twilio/menu?step=1", Digits="1"))
    assert verbs(await line.told("/twilio/menu?step=2", Digits="1")) == ["Connect", "Redirect"]


def test_keys_pressed_by_habit_are_no_answer() -> None:
    """Keys that came together with the choice were pressed before the question was heard: they answer nothing."""
    context = replace(menu(returning=True), ask_consent=True)
    state, step = replay(context, ["1111"])
    assert (state.place, state.consent) == ("consent", None)
    assert isinstance(step, Ask)
    state, step = replay(context, ["1111", "1"])
    assert state.consent is True
    assert isinstance(step, Begin)


def test_silence_in_the_menu_is_not_asked() -> None:
    """Who presses nothing at all is put through as ever."""
    context = replace(menu(returning=True), ask_consent=True)
    assert replay(context, ["", ""])[1] == Begin("s1", slower=False, says=("menu.connecting",))


@pytest.mark.parametrize(
    ("answers", "consent"),
    [(["1"], True), (["2"], False), ([""], None), (["9", "1"], True), (["9", "9"], None), (["*", ""], None)],
)
def test_every_answer_begins_the_scene(answers: list[str], consent: bool | None) -> None:
    """Whatever is answered, the scene that was chosen begins, at its speed; a wrong key is asked again once."""
    context = replace(menu(returning=True, slower=True), ask_consent=True)
    state, step = replay(context, ["3", *answers])
    assert state.consent is consent
    assert isinstance(step, Begin)
    assert (step.scenario, step.slower) == ("s3", True)


@pytest.mark.parametrize("native", LANGUAGES, ids=lambda language: language.tag)
def test_the_question_is_short(native: Language) -> None:
    """In every language the question, also after a wrong key, is no longer than any prompt may be."""
    for says in (("consent.ask",), ("menu.wrong_key", "consent.ask")):
        assert estimate_s([native.say(key) for key in says]) <= PROMPT_LIMIT_S


def test_a_context_asks_only_when_told() -> None:
    """Nobody is asked by default."""
    assert not MenuContext(EN, "School", returning=True, choices=menu(1).choices).ask_consent
