"""A call's link to its model, on a virtual clock: tries, losses, renewal."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from telephony.link import ModelLink
from tests import virtual_time
from tutor.realtime.protocol import ModelEvent, ModelFailed
from tutor.realtime.session import ModelUnavailable


class Sessions:
    """Opens sessions in half a second, or fails as it is told; a listener and a diary at the same time."""

    def __init__(self, *, failures: int = 0, again: bool = True, expires_in_s: int | None = None) -> None:
        self.loop = asyncio.get_running_loop()
        self.failures, self.again, self.expires_in_s = failures, again, expires_in_s
        self.opened: list[OneSession] = []
        self.diary: list[tuple[float, str]] = []

    def note(self, what: str) -> None:
        self.diary.append((round(self.loop.time(), 2), what))

    async def connect(self, *, receive: Callable[[bytes], None], lost: Callable[[ModelFailed], None]) -> OneSession:
        await asyncio.sleep(0.5)
        if self.failures:
            self.failures -= 1
            raise ModelUnavailable("It cannot be reached.", again=self.again)
        expires_at = None if self.expires_in_s is None else int(self.loop.time()) + self.expires_in_s
        self.opened.append(OneSession(lost, expires_at))
        return self.opened[-1]

    def link(self) -> ModelLink:
        return ModelLink(
            self.connect,
            self,
            bytes_per_ms=8,
            on_back=lambda: self.note("back"),
            on_gone=lambda: self.note("gone"),
            renew_before_s=60,
            wall=self.loop.time,
        )

    def on_model_audio(self, item: str, audio: bytes, aside: tuple[str, str] | None) -> None:
        raise AssertionError("nobody speaks here")

    def on_model_audio_end(self, item: str) -> None:
        raise AssertionError("nobody speaks here")

    def on_model_event(self, event: ModelEvent) -> None:
        self.note(type(event).__name__)


class OneSession:
    """A session that keeps what it was sent."""

    def __init__(self, lost: Callable[[ModelFailed], None], expires_at: int | None) -> None:
        self.lost, self.expires_at = lost, expires_at
        self.sent: list[bytes] = []
        self.closed = False

    def send(self, message: bytes) -> None:
        self.sent.append(message)

    async def close(self) -> None:
        self.closed = True


def play(scene: Callable[[], Awaitable[None]]) -> None:
    """Runs a scene on a virtual clock."""

    async def main() -> None:
        await scene()

    virtual_time.run(main())


def test_what_is_said_before_the_session_is_there_waits_for_it() -> None:
    """The greeting does not wait for the model, and the model misses nothing."""

    async def scene() -> None:
        sessions = Sessions()
        link = sessions.link()
        link.open()
        link.protocol.note("Hola")
        await asyncio.sleep(1)
        assert len(sessions.opened[0].sent) == 1
        await link.close()
        assert sessions.opened[0].closed

    play(scene)


def test_three_failures_are_the_end_and_a_refusal_is_one_at_once() -> None:
    """0, 0.5 and 1 s of pause; a refused key is not tried again."""

    async def scene() -> None:
        sessions = Sessions(failures=3)
        link = sessions.link()
        link.open()
        await asyncio.sleep(10)
        assert sessions.diary == [(3.0, "gone")]
        refused = Sessions(failures=1, again=False)
        other = refused.link()
        other.open()
        await asyncio.sleep(10)
        assert refused.diary == [(13.5 - 3.0 + 0.0, "gone")]
        await link.close()
        await other.close()

    play(scene)


def test_a_lost_session_is_reported_once_and_another_one_starts_empty() -> None:
    """Late words of the old session reach nobody, and nothing that was meant for it reaches the new one."""

    async def scene() -> None:
        sessions = Sessions()
        link = sessions.link()
        link.open()
        await asyncio.sleep(1)
        old = sessions.opened[0]
        old.lost(ModelFailed("closed_1006", "gone", again=True))
        link.renew()
        link.protocol.note("into the void")
        await asyncio.sleep(1)
        assert sessions.diary == [(1.0, "ModelFailed"), (1.5, "back")]
        old.lost(ModelFailed("closed_1006", "again", again=True))
        assert len(sessions.diary) == 2
        assert sessions.opened[1].sent == []
        link.protocol.note("Hola")
        assert len(sessions.opened[1].sent) == 1
        await link.close()
        assert all(session.closed for session in sessions.opened)

    play(scene)


def test_another_session_is_ready_before_the_hour_is_over() -> None:
    """It is opened a minute before the end and takes over when its user says so; the old one is let go."""

    async def scene() -> None:
        sessions = Sessions(expires_in_s=3_600)
        link = sessions.link()
        link.open()
        await asyncio.sleep(3_500)
        assert len(sessions.opened) == 1
        await asyncio.sleep(60)
        assert link.fresh
        link.swap()
        link.protocol.note("Hola")
        await asyncio.sleep(1)
        assert sessions.opened[0].closed
        assert len(sessions.opened[1].sent) == 1
        await link.close()

    play(scene)


def test_a_session_that_is_ready_serves_at_once_when_the_old_one_is_lost() -> None:
    """No second of waiting where another session stands by."""

    async def scene() -> None:
        sessions = Sessions(expires_in_s=100)
        link = sessions.link()
        link.open()
        await asyncio.sleep(45)
        assert link.fresh
        link.renew()
        await asyncio.sleep(0)
        assert sessions.diary == [(45.0, "back")]
        await link.close()
        assert all(session.closed for session in sessions.opened)

    play(scene)
