"""Whole calls over real sockets, at real speed and all at once, with recorded human speech."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from itertools import pairwise

import pytest
import pytest_asyncio
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from db import calls
from rehearsal.carrier import Phone, Signing
from rehearsal.report import CallResult, StreamLog
from rehearsal.signing import signature
from tests.journeys.line import PATIENCE_S, QUIET_MS, PracticeLine, speech
from tests.tutor.scenes import cafe
from tests.tutor.test_events import judge

pytestmark = pytest.mark.asyncio(loop_scope="module")

LONG, SHORT = speech("es-woman-1"), speech("es-woman-2")
SCENE = cafe()


async def reach_the_role(phone: Phone) -> None:
    """Presses 1 in the menu and hears the greeting out."""
    await phone.wait_for("gather", PATIENCE_S)
    await phone.press("1")
    await phone.wait_for("stream", PATIENCE_S)
    await phone.hear_silence(QUIET_MS, PATIENCE_S)


async def whole_call(phone: Phone) -> None:
    """Orders, asks for a hint and a translation, answers to the end; the role says goodbye."""
    await reach_the_role(phone)
    await phone.say(LONG, "ulaw")
    await phone.hear_silence(QUIET_MS, PATIENCE_S)
    for key in "14632":
        await phone.press(key)
        await phone.hear_silence(QUIET_MS, PATIENCE_S)
    for _ in range(2):
        await phone.say(SHORT, "ulaw")
        await phone.hear_silence(QUIET_MS, PATIENCE_S)
    await phone.say(SHORT, "ulaw")
    await phone.wait_for("ended", PATIENCE_S)


async def three_barge_ins(phone: Phone) -> None:
    """Speaks over the role three times in one call."""
    await reach_the_role(phone)
    await phone.say(SHORT, "ulaw")
    for _ in range(3):
        await phone.hear_speech(PATIENCE_S)
        await phone.pause(0.6)
        await phone.say(SHORT[:16_000], "ulaw")
    await phone.wait_for("ended", PATIENCE_S)


async def hangs_up_in_the_menu(phone: Phone) -> None:
    """Listens to the menu for a moment and hangs up."""
    await phone.wait_for("gather", PATIENCE_S)


async def hangs_up_in_the_greeting(phone: Phone) -> None:
    """Hangs up while the role says its first words."""
    await phone.wait_for("gather", PATIENCE_S)
    await phone.press("1")
    await phone.wait_for("stream", PATIENCE_S)
    await phone.hear_speech(PATIENCE_S)


async def hangs_up_in_a_turn(phone: Phone) -> None:
    """Hangs up in the middle of the role's answer."""
    await reach_the_role(phone)
    await phone.say(SHORT, "ulaw")
    await phone.hear_speech(PATIENCE_S)
    await phone.pause(0.5)


async def never_speaks(phone: Phone) -> None:
    """Chooses a scene and says nothing at all."""
    await reach_the_role(phone)
    await phone.wait_for("ended", 90)


async def presses_at_once(phone: Phone) -> None:
    """Presses keys before and while anything is said, in the menu and in the greeting."""
    await phone.wait_for("gather", PATIENCE_S)
    await phone.press("1")
    await phone.press("1")
    await phone.wait_for("stream", PATIENCE_S)
    await phone.press("13")
    await phone.hear_silence(QUIET_MS, PATIENCE_S)
    await phone.press("0")
    await phone.hear_silence(300, PATIENCE_S)
    await phone.press("0")
    await phone.wait_for("ended", PATIENCE_S)


async def sends_garbage(phone: Phone) -> None:
    """The carrier's socket brings nonsense; the call goes on."""
    await reach_the_role(phone)
    garbage: tuple[str | bytes, ...] = (
        "",
        "nonsense",
        "[]",
        '{"event":"media"}',
        '{"event":"new"}',
        '{"event":"dtmf"}',
    )
    for message in (*garbage, b"\x00"):
        await phone.send_raw(message)
    await phone.say(SHORT, "ulaw")
    await phone.hear_silence(QUIET_MS, PATIENCE_S)


async def leaves_by_nine(phone: Phone) -> None:
    """Does not feel comfortable and leaves."""
    await reach_the_role(phone)
    await phone.press("9")
    await phone.wait_for("ended", PATIENCE_S)


async def withheld(phone: Phone) -> None:
    """Practises without a number."""
    await reach_the_role(phone)
    await phone.say(SHORT, "ulaw")
    await phone.hear_silence(QUIET_MS, PATIENCE_S)


@dataclass(frozen=True)
class Journeys:
    """The calls of this module, which run at the same time; `ended` waits for one of them."""

    line: PracticeLine
    tasks: dict[str, asyncio.Task[CallResult]]

    async def ended(self, behave: Callable[[Phone], Awaitable[None]]) -> CallResult:
        """The call of one caller, after it ended."""
        return await self.tasks[behave.__name__]


CALLERS: dict[Callable[[Phone], Awaitable[None]], str] = {
    whole_call: "+12025550101",
    three_barge_ins: "+12025550102",
    hangs_up_in_the_menu: "+12025550103",
    hangs_up_in_the_greeting: "+12025550104",
    hangs_up_in_a_turn: "+12025550105",
    never_speaks: "+12025550106",
    presses_at_once: "+12025550107",
    sends_garbage: "+12025550108",
    leaves_by_nine: "+12025550109",
    withheld: "+266696687",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def journeys(line: PracticeLine) -> AsyncIterator[Journeys]:
    """Starts every call of the module."""
    door = asyncio.Lock()
    tasks = {
        behave.__name__: asyncio.create_task(line.call(behave, number, door)) for behave, number in CALLERS.items()
    }
    yield Journeys(line, tasks)
    for task in tasks.values():
        task.cancel()
    await asyncio.gather(*tasks.values(), return_exceptions=True)


async def test_a_whole_call_earns_its_goals_and_ends_with_a_goodbye_heard_whole(journeys: Journeys) -> None:
    """The main road: menu, greeting, four turns, help by keys, goodbye; everything is kept once."""
    line, result = journeys.line, await journeys.ended(whole_call)
    assert result.ended_by == "script"
    assert [entry.data["reason"] for entry in line.of(result, "ended")] == ["role"]
    goals = {entry.data["goal"]: entry.data["evidence"] for entry in line.of(result, "goal")}
    assert goals == dict.fromkeys(("greet", "order_drink", "detail", "price", "goodbye"), "quote")
    assert [entry.data["rung"] for entry in line.of(result, "hint")] == [0]
    assert line.of(result, "translate")
    assert line.of(result, "goals_asked")
    assert line.of(result, "speed")
    kept = await line.kept(result)
    assert (kept.row.state, kept.row.end_reason, kept.row.completed) == ("closed", "role", True)
    assert len(kept.events) == len(line.told[result.sid])
    spoken = [(turn.speaker, turn.text) for turn in kept.turns if turn.speaker != "helper"]
    assert spoken[0] == ("role", SCENE.greeting)
    assert ("learner", "Grande y para llevar, por favor.") in spoken
    assert spoken[-1][0] == "role"
    assert all(0 <= turn.start_ms <= turn.end_ms for turn in kept.turns)
    assert kept.row.cost_micro_usd is not None
    assert kept.row.cost_micro_usd > 0


async def test_the_goodbye_was_not_clipped(journeys: Journeys) -> None:
    """What the role said last was heard to its last frame before the socket closed."""
    line, result = journeys.line, await journeys.ended(whole_call)
    (stream,) = result.streams
    assert stream.ended_by == "server"
    last = [mark for mark in stream.marks if not mark.cleared][-1]
    said = line.of(result, "role_said")[-1]
    assert said.data["text"] == "Muchas gracias a usted. ¡Que tenga un buen día, hasta luego!"
    assert stream.opened_ms is not None
    assert stream.closed_ms is not None
    assert stream.closed_ms - (last.echoed_ms or 0) >= 250


async def test_the_callers_voice_and_ours_alternate_in_the_recording(journeys: Journeys) -> None:
    """Two sides, one clock: the role answers within two seconds of each of the caller's turns."""
    result = await journeys.ended(whole_call)
    assert sum(result.recording.audible("caller")) * 20 > 15_000
    assert sum(result.recording.audible("line")) * 20 > 10_000


async def test_three_interruptions_of_one_call_each_clear_and_truncate(journeys: Journeys) -> None:
    """Every time: silent at once, cut to what was heard, and the next answer is heard again."""
    line, result = journeys.line, await journeys.ended(three_barge_ins)
    cuts = line.of(result, "role_cut")
    assert len(cuts) == 3
    truncated = [r.event for r in line.session(result).received if r.type == "conversation.item.truncate"]
    assert [event["item_id"] for event in truncated] == [cut.data["item"] for cut in cuts]
    (stream,) = result.streams
    dropping = [clear for clear in stream.clears if clear.dropped_ms > 0]
    assert len(dropping) == 3


async def test_what_the_model_believes_it_said_is_what_the_caller_heard(journeys: Journeys) -> None:
    """audio_end_ms is within 200 ms (ten times the limit) of what the carrier had played when the clear arrived."""
    line, result = journeys.line, await journeys.ended(three_barge_ins)
    (stream,) = result.streams
    dropping = [clear for clear in stream.clears if clear.dropped_ms > 0]
    for cut, clear in zip(line.of(result, "role_cut"), dropping, strict=True):
        assert abs(played_ms(stream, clear.at_ms) - cut.data["heard_ms"]) <= 200


def played_ms(stream: StreamLog, until_ms: float) -> float:
    """How much the phone had played of the sound it was in at a moment. Half a second of silence parts two sounds."""
    played = 0.0
    following_ms = until_ms
    for arrival in reversed([arrival for arrival in stream.arrivals if arrival.heard_from_ms < until_ms]):
        ended_ms = arrival.heard_from_ms + arrival.size_bytes / 8  # G.711: 8 bytes a millisecond
        if following_ms - ended_ms > 500:
            break
        played += min(ended_ms, until_ms) - arrival.heard_from_ms
        following_ms = arrival.heard_from_ms
    return played


async def test_hanging_up_in_the_menu_leaves_nothing_open(journeys: Journeys) -> None:
    """The row is closed, no stream was ever opened, and the warmed session is let go."""
    line, result = journeys.line, await journeys.ended(hangs_up_in_the_menu)
    kept = await line.kept(result)
    assert (kept.row.state, kept.row.end_reason) == ("closed", "left_menu")
    assert result.streams == ()


@pytest.mark.parametrize("behave", [hangs_up_in_the_greeting, hangs_up_in_a_turn])
async def test_hanging_up_closes_the_call_once(journeys: Journeys, behave: Callable[[Phone], Awaitable[None]]) -> None:
    """In the greeting or in a turn: the reason is the caller, and what was said so far is kept."""
    line, result = journeys.line, await journeys.ended(behave)
    kept = await line.kept(result)
    assert (kept.row.state, kept.row.end_reason) == ("closed", "caller_hung_up")
    assert [entry.data["reason"] for entry in line.of(result, "ended")] == ["caller_hung_up"]


async def test_a_caller_who_never_speaks_is_helped_and_let_go_kindly(journeys: Journeys) -> None:
    """Six steps, then a goodbye; the model is not asked to judge silence."""
    line, result = journeys.line, await journeys.ended(never_speaks)
    steps = [entry.data["step"] for entry in line.of(result, "stuck")]
    assert steps == ["encourage", "more_time", "choice", "model_phrase", "still_there", "goodbye"]
    assert (await line.kept(result)).row.end_reason == "silence"
    assert result.ended_by == "script"


async def test_keys_pressed_at_once_are_served_and_zero_twice_ends(journeys: Journeys) -> None:
    """A second 1 in the menu changes nothing, a key cuts the greeting, 0 and 0 end with a goodbye."""
    line, result = journeys.line, await journeys.ended(presses_at_once)
    assert [entry.data["digit"] for entry in line.of(result, "key")][:2] == ["1", "3"]
    assert (await line.kept(result)).row.end_reason == "key"
    assert len(result.streams) == 1


async def test_garbage_on_the_socket_does_not_end_a_call(journeys: Journeys) -> None:
    """The caller is heard after it as before."""
    line, result = journeys.line, await journeys.ended(sends_garbage)
    assert line.of(result, "learner_said")
    assert (await line.kept(result)).row.end_reason == "caller_hung_up"


async def test_the_safe_exit_is_on_the_record(journeys: Journeys) -> None:
    """Key 9 ends at once, with calm words, and is kept."""
    line, result = journeys.line, await journeys.ended(leaves_by_nine)
    kept = await line.kept(result)
    assert kept.row.end_reason == "safe_exit"
    assert [event.kind for event in kept.events].count("safe_exit") == 1


async def test_a_withheld_number_practises_as_a_guest(journeys: Journeys) -> None:
    """Nobody is remembered: no learner, no hash."""
    line, result = journeys.line, await journeys.ended(withheld)
    row = (await line.kept(result)).row
    assert row.learner_id is None
    assert row.caller_hash is None
    assert line.of(result, "learner_said")


async def test_no_wrong_frame_and_no_bad_document_in_any_call(journeys: Journeys) -> None:
    """The carrier complains of nothing: no warning 31951, no ragged audio, no TwiML it does not know."""
    for behave in CALLERS:
        result = await journeys.ended(behave)
        result.raise_for_complaints()
        assert [note for stream in result.streams for note in stream.quality_notes] == []


async def test_every_event_to_the_model_is_valid_and_none_was_refused(journeys: Journeys) -> None:
    """The stand-in refused nothing but races, and the openai package's types accept every event strictly."""
    for behave in CALLERS:
        await journeys.ended(behave)
    races = {"response_cancel_not_active"}
    assert [str(violation) for violation in journeys.line.model.violations if violation.code not in races] == []
    for session in journeys.line.model.sessions:
        for record in session.received:
            event = {**record.event, "audio": ""} if record.type == "input_audio_buffer.append" else record.event
            judge(json.dumps(event).encode())


async def test_every_model_session_is_closed_when_its_call_is_over(journeys: Journeys) -> None:
    """A hang-up never leaves a socket at the model's: that would be billed until the hour is over."""
    for behave in CALLERS:
        await journeys.ended(behave)
    await journeys.line.model.until(lambda: all(session.is_closed for session in journeys.line.model.sessions))


async def test_webhooks_are_answered_within_a_second(journeys: Journeys) -> None:
    """Ten callers at once: the slowest answer is far from the carrier's limit of 15 s."""
    for behave in CALLERS:
        result = await journeys.ended(behave)
        for exchange in result.webhooks:
            assert exchange.status == 200
            after = "/after" in exchange.url
            assert exchange.took_ms < (2_000 if after else 1_000), exchange.url


async def test_the_slots_of_ended_calls_are_free_again(journeys: Journeys) -> None:
    """Nothing counts against the limit once everybody has hung up."""
    for behave in CALLERS:
        await journeys.ended(behave)
    async with journeys.line.storage.database.anyone() as session:
        assert await calls.live_count(session) == 0


@pytest.mark.parametrize("signing", [Signing.WRONG, Signing.MISSING])
async def test_unsigned_and_wrongly_signed_calls_get_nothing(line: PracticeLine, signing: Signing) -> None:
    """403 before any work: no call, no row, no slot."""

    async def behave(phone: Phone) -> None:
        await phone.wait_for("ended", PATIENCE_S)

    result = await line.rehearsal.call(behave, from_="+12025550110", signing=signing)
    assert {exchange.status for exchange in result.webhooks if "/voice" in exchange.url} == {403}
    async with line.storage.database.anyone() as session:
        assert await calls.find(session, result.sid) is None


@pytest.mark.parametrize("signing", [Signing.WRONG, Signing.MISSING])
async def test_an_unsigned_media_socket_is_refused_and_the_caller_is_told(line: PracticeLine, signing: Signing) -> None:
    """The handshake fails; the carrier goes on at /after, where the caller hears an apology."""

    async def behave(phone: Phone) -> None:
        await phone.wait_for("gather", PATIENCE_S)
        await phone.press("1")
        await phone.wait_for("ended", PATIENCE_S)

    result = await line.rehearsal.call(behave, from_="+12025550111", stream_signing=signing)
    assert all(stream.opened_ms is None for stream in result.streams)
    assert SCENE.native.say("after.trouble") in [event.text for event in result.events("say")]
    assert (await line.kept(result)).row.end_reason == "no_stream"


async def test_a_replayed_token_opens_nothing(journeys: Journeys) -> None:
    """A second socket with a token that was used, signed as it should be, is closed before it hears a thing."""
    line, result = journeys.line, await journeys.ended(hangs_up_in_a_turn)
    carrier = line.rehearsal.carrier
    (stream,) = result.streams
    headers = {"X-Twilio-Signature": signature(carrier.auth_token, stream.url)}
    start = {
        "accountSid": carrier.account_sid,
        "streamSid": "MZ" + "0" * 32,
        "callSid": result.sid,
        "tracks": ["inbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        "customParameters": dict(stream.parameters),
    }
    async with connect(stream.url, additional_headers=headers) as socket:
        await socket.send(json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"}))
        await socket.send(json.dumps({"event": "start", "sequenceNumber": "1", "streamSid": "MZ", "start": start}))
        async with asyncio.timeout(5):
            with pytest.raises(ConnectionClosed):
                await socket.recv()


async def test_events_of_a_timeline_are_in_order(line: PracticeLine) -> None:
    """Within each call, time only goes forward."""
    for entries in line.told.values():
        times = [entry.at_ms for entry in entries if entry.kind != "listening"]
        assert all(before <= after for before, after in pairwise(times))
