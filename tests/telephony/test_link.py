"""A call's link to its model: opened, lost and opened again, renewed; on a virtual clock, with sessions that obey."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from telephony.link import ATTEMPT_TIMEOUT_S, ATTEMPTS_AFTER_S, HASTE_S, SETTLE_S, LinkNews, ModelLink
from tests import virtual_time
from tutor.realtime.protocol import ModelEvent, ModelFailed
from tutor.realtime.session import ModelUnavailable
from tutor.realtime.tab import Unsettled, Used

GONE = ModelFailed("gone", "The connection is gone.", again=True)
REFUSED = ModelUnavailable("The model's server refused the API key.", code="invalid_api_key", again=False)
UNREACHABLE = ModelUnavailable("The model cannot be reached.")
HANGS = "hangs"


@dataclass
class FakeSession:
    """A session that writes down what it was sent, and answers when it is left, unless it is ``mute``."""

    expires_at: int | None
    receive: Callable[[bytes], None]
    lost: Callable[[ModelFailed], None]
    mute: bool = False
    sent: list[bytes] = field(default_factory=list)
    leaving: list[dict[str, Any]] = field(default_factory=list)
    """What was sent from the moment at which it was left."""
    closed: bool = False

    def send(self, message: bytes) -> None:
        """Keeps the event."""
        event = json.loads(message)
        if event["type"] == "session.update" and "input" in event["session"]["audio"]:
            self.leaving.append(event)
            self._answer("session.updated", session={})
        elif self.leaving:
            self.leaving.append(event)
            self._answer("response.done", response={"id": event["response_id"], "status": "cancelled", "usage": {}})
        else:
            self.sent.append(message)

    def says(self, type_: str, **fields: Any) -> None:
        """The server says something."""
        self.receive(json.dumps({"type": type_, **fields}).encode())

    def begins(self, response: str) -> None:
        """The server begins a response."""
        self.says("response.created", response={"id": response})

    def _answer(self, type_: str, **fields: Any) -> None:
        if not self.mute:
            asyncio.get_running_loop().call_later(0.1, lambda: self.says(type_, **fields))

    async def close(self) -> None:
        """Ends at once."""
        self.closed = True


class Bench:
    """A link whose tries go as planned; it is the call's side of the model too."""

    def __init__(
        self, plan: Sequence[ModelUnavailable | str | None] = (), *, expires_after_s: int | None = None
    ) -> None:
        self.plan = list(plan)
        self.expires_after_s = expires_after_s
        self.sessions: list[FakeSession] = []
        self.tried_at: list[float] = []
        self.events: list[ModelEvent] = []
        self.told: list[str] = []
        self.unsettled: list[Unsettled] = []
        self.news: list[LinkNews] = []
        self.link = ModelLink(
            self.connect,
            self,
            bytes_per_ms=8,
            on_back=lambda: self.told.append("back"),
            on_gone=lambda: self.told.append("gone"),
            on_unsettled=self.unsettled.append,
            on_news=self.news.append,
            renew_before_s=120.0,
            wall=lambda: asyncio.get_running_loop().time(),
        )

    async def connect(self, *, receive: Callable[[bytes], None], lost: Callable[[ModelFailed], None]) -> FakeSession:
        """Opens the next session, or does what the plan says."""
        now = asyncio.get_running_loop().time()
        self.tried_at.append(now)
        step = self.plan.pop(0) if self.plan else None
        if isinstance(step, ModelUnavailable):
            raise step
        if step == HANGS:
            await asyncio.Event().wait()
        session = FakeSession(int(now) + self.expires_after_s if self.expires_after_s else None, receive, lost)
        self.sessions.append(session)
        return session

    def on_model_audio(self, item: str, audio: bytes, aside: tuple[str, str] | None) -> None:
        """No session here speaks."""

    def on_model_audio_end(self, item: str) -> None:
        """No session here speaks."""

    def on_model_event(self, event: ModelEvent) -> None:
        """Keeps what the call would hear."""
        self.events.append(event)


def play(bench: Bench, course: Callable[[Bench], Awaitable[None]]) -> Bench:
    """Opens the link, lets things happen, and closes it."""

    async def main() -> None:
        bench.link.open()
        await course(bench)
        await bench.link.close()

    virtual_time.run(main())
    return bench


async def a_second(bench: Bench) -> None:
    """Time for anything that comes at once."""
    await asyncio.sleep(1)


def test_what_is_sent_before_the_session_is_there_waits_for_it_in_order() -> None:
    """The greeting does not wait for the model, and what it tells the model is not lost."""

    async def course(bench: Bench) -> None:
        bench.link.protocol.append(b"\xff" * 160)
        bench.link.protocol.set_speed(0.9)
        assert bench.sessions == []
        await a_second(bench)

    (session,) = play(Bench(), course).sessions
    kinds = [b"append" in message for message in session.sent]
    assert kinds == [True, False]


def test_a_model_that_cannot_be_reached_is_tried_three_times() -> None:
    """The pauses are 0, 0.5 and 1 s; then the call is told that nobody will come."""

    async def course(bench: Bench) -> None:
        await asyncio.sleep(5)

    bench = play(Bench([UNREACHABLE] * 3), course)
    assert bench.tried_at == [0.0, 0.5, 1.5]
    assert len(ATTEMPTS_AFTER_S) == 3
    assert bench.told == ["gone"]


def test_a_server_without_a_word_counts_as_unreachable() -> None:
    """A try that hangs is given up, and the next one may succeed."""

    async def course(bench: Bench) -> None:
        await asyncio.sleep(10)

    bench = play(Bench([HANGS]), course)
    assert bench.tried_at == [0.0, ATTEMPT_TIMEOUT_S + ATTEMPTS_AFTER_S[1]]
    assert len(bench.sessions) == 1


def test_a_refused_key_is_not_tried_again() -> None:
    """What cannot succeed is not repeated while a caller waits."""

    async def course(bench: Bench) -> None:
        await asyncio.sleep(5)

    bench = play(Bench([REFUSED]), course)
    assert (bench.tried_at, bench.told) == ([0.0], ["gone"])


def test_a_lost_session_is_a_loss_once_and_another_takes_its_place() -> None:
    """The call hears of the loss, asks for another session, and is told when it is there; the old one is closed."""

    async def course(bench: Bench) -> None:
        await a_second(bench)
        bench.sessions[0].lost(GONE)
        bench.link.renew()
        await a_second(bench)
        bench.link.protocol.set_speed(0.9)
        bench.sessions[0].lost(GONE)

    bench = play(Bench(), course)
    assert bench.events == [GONE]
    assert bench.told == ["back"]
    first, second = bench.sessions
    assert (first.closed, len(first.sent), len(second.sent)) == (True, 0, 1)


def test_what_is_said_to_a_lost_session_is_not_told_to_the_next() -> None:
    """A new session is told the conversation as a whole, so nothing of before reaches it twice."""

    async def course(bench: Bench) -> None:
        await a_second(bench)
        bench.link.renew()
        bench.link.protocol.set_speed(0.9)
        await a_second(bench)

    assert play(Bench(), course).sessions[1].sent == []


def test_another_session_is_ready_before_the_old_one_expires() -> None:
    """Two minutes before the end it stands by; the swap is the call's to choose, and the old session is closed."""

    async def course(bench: Bench) -> None:
        for at_s in (3_479, 3_481):
            await asyncio.sleep(at_s - asyncio.get_running_loop().time())
            assert bench.link.fresh == (at_s > 3_480)
        assert not bench.sessions[0].closed
        bench.link.swap()
        bench.link.protocol.set_speed(0.9)
        await a_second(bench)

    bench = play(Bench(expires_after_s=3_600), course)
    first, second = bench.sessions
    assert bench.tried_at == [0.0, 3_480.0]
    assert (first.closed, len(first.sent), len(second.sent)) == (True, 0, 1)
    assert bench.events == []


def test_a_loss_while_another_session_stands_by_is_bridged_by_it() -> None:
    """Nothing needs to be opened then: the next session is there at once."""

    async def course(bench: Bench) -> None:
        await asyncio.sleep(3_500)
        bench.link.renew()
        await a_second(bench)

    bench = play(Bench(expires_after_s=3_600), course)
    assert bench.told == ["back"]
    assert len(bench.sessions) == 2


def test_a_renewal_that_fails_leaves_the_old_session_in_service() -> None:
    """Who cannot be replaced goes on to the end; only the end is a loss."""

    async def course(bench: Bench) -> None:
        await asyncio.sleep(3_500)
        assert not bench.link.fresh
        bench.link.protocol.set_speed(0.9)

    bench = play(Bench([None, UNREACHABLE], expires_after_s=3_600), course)
    assert len(bench.sessions[0].sent) == 1
    assert (bench.events, bench.told) == ([], [])


def test_closing_ends_every_session_and_every_try() -> None:
    """A call that ends leaves no session open, be it in use, standing by, or on its way."""

    async def course(bench: Bench) -> None:
        await asyncio.sleep(3_500)

    ready = play(Bench(expires_after_s=3_600), course)
    assert [session.closed for session in ready.sessions] == [True, True]
    underway = play(Bench([HANGS]), a_second)
    assert (underway.sessions, underway.told) == ([], [])


# --- what is counted of a connection


@pytest.mark.parametrize(
    ("plan", "news"),
    [
        ([], ["opened", "lost", "back"]),
        ([None, HANGS], ["opened", "lost", "failed", "back"]),
        ([None, REFUSED], ["opened", "lost", "failed", "gone"]),
        ([UNREACHABLE, None], ["failed", "opened", "lost", "back"]),
    ],
)
def test_what_happens_to_a_connection_is_told_for_counting(
    plan: list[ModelUnavailable | str | None], news: list[str]
) -> None:
    """Each try that failed, the loss, and what came of it; a session that is lost when it was left is no loss."""

    async def course(bench: Bench) -> None:
        await a_second(bench)
        bench.sessions[0].lost(GONE)
        bench.link.renew()
        await asyncio.sleep(10)
        bench.sessions[0].lost(GONE)

    assert play(Bench(plan), course).news == news


def test_a_renewal_is_counted_as_no_loss() -> None:
    """A session that is replaced in time was never lost; a try for the next one that failed is a try that failed."""

    async def course(bench: Bench) -> None:
        await asyncio.sleep(3_500)
        if bench.link.fresh:
            bench.link.swap()

    assert play(Bench(expires_after_s=3_600), course).news == ["opened", "renewed"]
    assert play(Bench([None, UNREACHABLE], expires_after_s=3_600), course).news == ["opened", "failed"]


# --- what a session that is left has used


def test_what_runs_is_stopped_and_paid_for_before_a_session_is_closed() -> None:
    """Also what begins while it is left: the server may have heard a turn's end before it heard of the leaving."""

    async def course(bench: Bench) -> None:
        await a_second(bench)
        (session,) = bench.sessions
        session.begins("r1")
        settling = asyncio.create_task(bench.link.settle())
        await asyncio.sleep(0.05)
        session.begins("r2")
        await settling
        used.extend(event.id for event in bench.events if isinstance(event, Used))

    used: list[str] = []
    bench = play(Bench(), course)
    (session,) = bench.sessions
    assert [event.get("response_id") for event in session.leaving] == [None, "r1", "r2"]
    assert session.leaving[0]["session"]["audio"]["input"] == {"turn_detection": None}
    assert used == ["r1", "r2"]
    assert session.closed
    assert bench.unsettled == []


def test_nothing_but_usage_is_heard_of_a_session_that_was_left() -> None:
    """Its late sound and its late words are nobody's, and nothing is asked of it any more."""

    async def course(bench: Bench) -> None:
        await a_second(bench)
        old = bench.link.protocol
        bench.sessions[0].begins("r1")
        bench.link.renew()
        await asyncio.sleep(0.05)
        old.respond()
        bench.sessions[0].says("input_audio_buffer.speech_started", item_id="u1", audio_start_ms=0)
        bench.sessions[0].says("response.output_audio.delta", response_id="r1", item_id="i1", delta="/////w==")
        await a_second(bench)

    bench = play(Bench(), course)
    assert [type(event) for event in bench.events] == [Used]
    assert bench.sessions[0].sent == []


def test_a_session_that_says_nothing_more_leaves_an_open_account() -> None:
    """It has its time, less of it while the caller waits, and is given up: what it says later is not paid twice."""
    for haste, limit_s in ((False, SETTLE_S), (True, HASTE_S)):

        async def course(bench: Bench, haste: bool = haste, limit_s: float = limit_s) -> None:
            await a_second(bench)
            (session,) = bench.sessions
            session.mute = True
            session.says("input_audio_buffer.committed", item_id="u1")
            session.begins("r1")
            began = asyncio.get_running_loop().time()
            await bench.link.settle(haste=haste)
            assert asyncio.get_running_loop().time() - began == limit_s
            session.says("response.done", response={"id": "r1", "usage": {}})

        bench = play(Bench(), course)
        assert bench.unsettled == [Unsettled(1, 1)]
        assert not any(isinstance(event, Used) for event in bench.events)
        assert bench.sessions[0].closed


def test_a_lost_session_cannot_account_for_what_ran() -> None:
    """What it was asked for and had begun is open, told once; what was accounted for is not."""

    async def course(bench: Bench) -> None:
        await a_second(bench)
        (session,) = bench.sessions
        session.begins("r1")
        session.says("response.done", response={"id": "r1", "usage": {}})
        session.begins("r2")
        bench.link.protocol.aside("greet", "g", "Read.", ["Hola"])
        session.lost(GONE)
        bench.link.renew()
        await a_second(bench)

    bench = play(Bench(), course)
    assert bench.unsettled == [Unsettled(2, 0)]
    assert bench.sessions[0].leaving == []


def test_a_session_lost_in_silence_has_accounted_for_everything() -> None:
    """Nothing ran and nothing was asked for: the call's cost is as exact as before."""

    async def course(bench: Bench) -> None:
        await a_second(bench)
        bench.sessions[0].lost(GONE)
        bench.link.renew()
        await a_second(bench)

    assert play(Bench(), course).unsettled == []


def test_the_words_of_a_turn_are_waited_for() -> None:
    """A caller who hangs up on their last word: its transcription is paid for, and not waited for any longer."""

    async def course(bench: Bench) -> None:
        await a_second(bench)
        (session,) = bench.sessions
        session.says("input_audio_buffer.committed", item_id="u1")
        usage = {"type": "duration", "seconds": 1.2}
        completed = "conversation.item.input_audio_transcription.completed"
        asyncio.get_running_loop().call_later(0.4, lambda: session.says(completed, item_id="u1", usage=usage))
        began = asyncio.get_running_loop().time()
        await bench.link.settle()
        assert round(asyncio.get_running_loop().time() - began, 3) == 0.4

    bench = play(Bench(), course)
    assert [event.id for event in bench.events if isinstance(event, Used)] == ["u1"]
    assert bench.unsettled == []
