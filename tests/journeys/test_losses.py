"""Calls in which something breaks: the model, once and often; the stream. Over real sockets, and all at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import select

from db.models_money import LedgerEntry
from rehearsal.carrier import CallEnded, Phone
from rehearsal.realtime import RealtimeServer
from rehearsal.realtime_script import Fault, Turn
from rehearsal.report import CallResult
from ringua.scripts import script_for
from ringua.settings import load
from ringua.storage import Storage
from tests.journeys.line import PATIENCE_S, QUIET_MS, Kept, PracticeLine, practising, speech
from tests.long.bill import Account
from tests.tutor.scenes import cafe

pytestmark = pytest.mark.asyncio(loop_scope="module")

SHORT = speech("es-woman-2")
SCENE = cafe()
SCRIPT = script_for(SCENE)
TURN_ENDS = "input_audio_buffer.speech_stopped"


@dataclass(frozen=True)
class Told:
    """A call that ended, and what it left behind."""

    line: PracticeLine
    result: CallResult
    kept: Kept

    def kinds(self) -> list[str]:
        """The timeline's entries, by kind."""
        return [entry.kind for entry in self.line.told[self.result.sid]]

    def at(self, kind: str) -> list[int]:
        """When entries of a kind happened, in ms of the call."""
        return [entry.at_ms for entry in self.line.of(self.result, kind)]

    def said(self) -> list[str]:
        """The fixed texts that were spoken."""
        return [entry.data["text"] for entry in self.line.of(self.result, "said")]


async def talk(phone: Phone) -> None:
    """Reaches the role and speaks, waiting for each answer, until the role says goodbye."""
    await phone.wait_for("gather", PATIENCE_S)
    await phone.press("1")
    await phone.wait_for("stream", PATIENCE_S)
    await phone.hear_silence(QUIET_MS, PATIENCE_S)
    try:
        for _ in range(9):
            await phone.say(SHORT, "ulaw")
            await phone.hear_silence(QUIET_MS * 2, PATIENCE_S)
    except CallEnded:
        return


async def drops_the_stream(phone: Phone) -> None:
    """The media socket breaks in mid-call; the caller is still there and goes on."""
    await phone.wait_for("gather", PATIENCE_S)
    await phone.press("1")
    await phone.wait_for("stream", PATIENCE_S)
    await phone.hear_silence(QUIET_MS, PATIENCE_S)
    await phone.say(SHORT, "ulaw")
    await phone.hear_silence(QUIET_MS, PATIENCE_S)
    await phone.drop_stream()
    await phone.wait_for("stream", PATIENCE_S)
    await phone.hear_silence(QUIET_MS * 2, PATIENCE_S)
    for _ in range(2):
        await phone.say(SHORT, "ulaw")
        await phone.hear_silence(QUIET_MS, PATIENCE_S)
    await phone.say(SHORT, "ulaw")
    await phone.wait_for("ended", PATIENCE_S)


async def hangs_up(phone: Phone) -> None:
    """The caller is gone in the middle of an answer."""
    await phone.wait_for("gather", PATIENCE_S)
    await phone.press("1")
    await phone.wait_for("stream", PATIENCE_S)
    await phone.hear_silence(QUIET_MS, PATIENCE_S)
    await phone.say(SHORT, "ulaw")
    await phone.hear_speech(PATIENCE_S)


async def waits(phone: Phone) -> None:
    """Chooses and waits for what comes."""
    await phone.wait_for("gather", PATIENCE_S)
    await phone.press("1")
    await phone.wait_for("ended", PATIENCE_S)


def drop(turn: int, times: int = 1) -> Fault:
    """The connection breaks when the learner's turn of that number is answered."""
    return Fault("drop", at=TURN_ENDS, nth=turn, times=times)


def second_turn(**changes: Any) -> tuple[Turn, ...]:
    """The script's turns with the second one changed."""
    first, second, *rest = SCRIPT.turns
    return (first, replace(second, **changes), *rest)


JOURNEYS: dict[str, tuple[dict[str, Any], Callable[[Phone], Awaitable[None]]]] = {
    "lost once": ({"script": replace(SCRIPT, faults=(drop(2),))}, talk),
    "lost twice": ({"script": replace(SCRIPT, faults=(drop(1), drop(1)))}, talk),
    "lost four times": ({"script": replace(SCRIPT, faults=(drop(1, times=4),))}, talk),
    "no key": ({"api_keys": frozenset({"sk-another"})}, waits),
    "no credit": (
        {"script": replace(SCRIPT, turns=second_turn(faults=(Fault("insufficient_quota"),)))},
        talk,
    ),
    "a response fails": (
        {"script": replace(SCRIPT, turns=second_turn(faults=(Fault("response_failed"),)))},
        talk,
    ),
    "hangs": (
        {"script": replace(SCRIPT, faults=(Fault("hang", at="input_audio_buffer.speech_stopped", nth=2),))},
        talk,
    ),
    "slow": ({"script": replace(SCRIPT, turns=second_turn(faults=(Fault("slow", after_ms=3_000),)))}, talk),
    "session cap": ({"session_limit_ms": 40_000.0}, talk),
    "expires": (
        {"script": replace(SCRIPT, faults=(Fault("session_expired", at=TURN_ENDS, nth=2),))},
        talk,
    ),
    "stream dropped": ({}, drops_the_stream),
    "lost in an answer": (
        {"script": replace(SCRIPT, pace=2.0, faults=(Fault("drop", at="response.output_audio.delta", nth=5),))},
        talk,
    ),
    "hung up in an answer": ({"script": replace(SCRIPT, pace=1.0)}, hangs_up),
}


@dataclass(frozen=True)
class Journeys:
    """The calls of this module, which run at the same time."""

    tasks: dict[str, asyncio.Task[Told]]

    async def ended(self, name: str) -> Told:
        """One of the calls, after it ended."""
        return await self.tasks[name]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def journeys(storage: Storage, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Journeys]:
    """Starts every call, each with a service and a model of its own on the module's database."""
    settings = load(data_dir=tmp_path_factory.mktemp("data"))
    ready, door = asyncio.Lock(), asyncio.Lock()

    async def run(number: int, options: dict[str, Any], behave: Callable[[Phone], Awaitable[None]]) -> Told:
        options = {"script": SCRIPT, **options}
        async with RealtimeServer(**options) as model:
            await ready.acquire()
            async with practising(settings, storage, model=model, renew_before_s=32.0) as line:
                ready.release()
                result = await line.call(behave, f"+1202555{number:04d}", door)
            return Told(line, result, await line.kept(result))

    tasks = {
        name: asyncio.create_task(run(number, options, behave), name=name)
        for number, (name, (options, behave)) in enumerate(JOURNEYS.items(), start=120)
    }
    yield Journeys(tasks)
    for task in tasks.values():
        task.cancel()
    await asyncio.gather(*tasks.values(), return_exceptions=True)


@pytest.mark.parametrize(("name", "losses"), [("lost once", 1), ("lost twice", 2)])
async def test_a_lost_model_is_bridged_and_every_goal_is_kept(journeys: Journeys, name: str, losses: int) -> None:
    """A holding phrase within a second, on within three, and the scene is finished as if nothing had been."""
    told = await journeys.ended(name)
    lost, back = told.at("model_lost"), told.at("model_back")
    assert len(lost) == len(back) == losses
    for gone_ms, again_ms in zip(lost, back, strict=True):
        assert again_ms - gone_ms < 3_000
    holding = SCENE.native.say("call.holding")
    assert told.said().count(holding) == losses
    first = next(e for e in told.line.of(told.result, "said") if e.data["text"] == holding)
    assert first.at_ms - lost[0] < 1_000
    assert told.kept.row.end_reason == "role"
    assert told.kept.row.completed


async def test_a_model_lost_for_the_fourth_time_ends_with_an_apology(journeys: Journeys) -> None:
    """What was earned is kept, and the caller hears why."""
    told = await journeys.ended("lost four times")
    assert len(told.at("model_lost")) == 4
    assert SCENE.native.say("call.lost") in told.said()
    assert told.kept.row.end_reason == "model_lost"
    assert SCENE.native.say("after.trouble") in [event.text for event in told.result.events("say")]


async def test_a_refused_key_is_spoken_and_never_a_silent_line(journeys: Journeys) -> None:
    """No second try, no dead air: the carrier's voice says that something is wrong."""
    told = await journeys.ended("no key")
    assert told.kept.row.end_reason == "model_lost"
    assert SCENE.native.say("after.trouble") in [event.text for event in told.result.events("say")]


async def test_an_account_without_credit_ends_with_an_apology(journeys: Journeys) -> None:
    """A new session would be refused for the same reason: it is not tried."""
    told = await journeys.ended("no credit")
    assert told.kinds().count("model_lost") == 1
    assert "model_back" not in told.kinds()
    assert told.kept.row.end_reason == "model_lost"
    assert SCENE.native.say("call.lost") in told.said()


async def test_a_failed_answer_is_asked_for_again(journeys: Journeys) -> None:
    """The learner need not repeat what they said."""
    told = await journeys.ended("a response fails")
    assert "role_failed" in told.kinds()
    assert "model_lost" not in told.kinds()
    assert told.kept.row.end_reason == "role"


async def test_a_model_that_hangs_without_a_word_is_replaced(journeys: Journeys) -> None:
    """Asked once more, then given up; the scene goes on with another session."""
    told = await journeys.ended("hangs")
    assert told.kinds().count("role_overdue") == 2
    assert "model_back" in told.kinds()
    assert told.kept.row.end_reason == "role"


async def test_a_slow_first_word_is_bridged_by_the_role(journeys: Journeys) -> None:
    """Three seconds of thinking are not three seconds of silence."""
    told = await journeys.ended("slow")
    assert SCENE.target.target["one_moment"] in told.said()
    assert told.kept.row.end_reason == "role"


async def test_a_session_is_renewed_at_a_quiet_moment_before_it_expires(journeys: Journeys) -> None:
    """The sixty minutes are never noticed: no holding phrase, no repeated question."""
    told = await journeys.ended("session cap")
    assert "model_lost" not in told.kinds()
    assert SCENE.native.say("call.holding") not in told.said()
    assert told.kept.row.end_reason == "role"
    assert len([s for s in told.line.model.sessions if s.received]) >= 2


async def test_a_session_that_expires_all_the_same_is_a_loss_like_any_other(journeys: Journeys) -> None:
    """The error of the sixty minutes in mid-turn: bridged, and on."""
    told = await journeys.ended("expires")
    assert "model_back" in told.kinds()
    assert told.kept.row.end_reason == "role"


async def test_a_stream_that_broke_is_taken_up_where_it_was(journeys: Journeys) -> None:
    """The same conversation in another stream: goals kept, nothing greeted twice, one row, all turns."""
    told = await journeys.ended("stream dropped")
    assert len(told.result.streams) == 2
    assert told.kinds().count("resumed") == 1
    assert told.said().count(SCENE.greeting) == 1
    assert (told.kept.row.end_reason, told.kept.row.streams) == ("role", 2)
    assert {event.data["goal"] for event in told.kept.events if event.kind == "goal"} >= {
        "greet",
        "order_drink",
        "price",
    }
    assert next(turn.text for turn in told.kept.turns if turn.speaker == "learner") == SCRIPT.turns[0].hears
    times = [turn.start_ms for turn in told.kept.turns]
    assert times == sorted(times)


async def test_nothing_sent_to_any_model_was_refused(journeys: Journeys) -> None:
    """Re-seeding a session obeys the protocol as strictly as the first one."""
    for name in JOURNEYS:
        told = await journeys.ended(name)
        assert [str(violation) for violation in told.line.model.violations] == [], name


# --- what was used


async def account_of(told: Told) -> Account:
    """The bills of all sessions that a call had with its model, beside what the ledger has of it."""
    account = Account([session.bill.charges for session in told.line.model.sessions])
    async with told.line.storage.database.school(told.kept.row.school_id) as session:
        booked = select(LedgerEntry).where(LedgerEntry.call_id == told.kept.row.id)
        account.take(told.kept.row.id, (await session.scalars(booked)).all())
    return account


@pytest.mark.parametrize("name", JOURNEYS)
async def test_the_ledger_has_what_the_model_is_owed_or_says_that_it_lacks_something(
    journeys: Journeys, name: str
) -> None:
    """To the micro-dollar; where a session was lost in an answer, with an estimate above what it never told."""
    told = await journeys.ended(name)
    account = await account_of(told)
    assert account.problems(complete=told.kept.row.cost_complete) == []
    assert told.kept.row.cost_micro_usd == sum(account.booked.values())


@pytest.mark.parametrize("name", ["stream dropped", "slow", "a response fails", "session cap", "hung up in an answer"])
async def test_a_call_whose_answers_were_all_accounted_for_is_exact(journeys: Journeys, name: str) -> None:
    """Also when its stream broke, when its session was replaced, and when its caller hung up in an answer."""
    told = await journeys.ended(name)
    account = await account_of(told)
    assert told.kept.row.cost_complete
    assert account.exact
    assert account.booked


async def test_an_answer_that_was_never_accounted_for_is_estimated(journeys: Journeys) -> None:
    """The connection broke in the middle of it: it is paid for, and nobody will ever say how much it was."""
    told = await journeys.ended("lost in an answer")
    account = await account_of(told)
    assert not told.kept.row.cost_complete
    assert 0 < sum(account.missing.values()) < sum(account.estimates)
