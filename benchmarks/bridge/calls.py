"""Many calls through one subject: placed one after the other, talking all at once, hung up together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from benchmarks.bridge import model as light_model
from benchmarks.bridge.caller import Caller
from benchmarks.bridge.line import Line, Samples
from benchmarks.bridge.model import LightModel, ModelSession
from benchmarks.bridge.pacer import Pacer
from benchmarks.bridge.process import CannotMeasure, ServerProcess
from benchmarks.bridge.subjects import Relay, Running, Service

DIAL_S = 15.0
FIRST_REPLY_S = 15.0
HANG_UP_S = 10.0
LAST_FRAMES_S = 1.0


class Calls:
    """The calls through one subject, from the first to the last, and what they measured."""

    def __init__(self, running: Running, model: LightModel) -> None:
        self.server: ServerProcess = running.server
        self.samples = Samples()
        self.lines: list[Line] = []
        self.pacer = Pacer()
        self._running = running
        self._model = model
        self._callers: list[Caller] = []
        self._sessions: list[ModelSession] = []

    async def dial(self) -> None:
        """Places one more call; the model's next session is its, so calls are placed one after the other."""
        line = Line(self.samples)
        try:
            async with asyncio.timeout(DIAL_S):
                opening = await self._running.dial()
                caller = await Caller.connect(line, opening)
                session = await self._model.opened.get()
        except TimeoutError as error:
            raise CannotMeasure(f"Call {len(self.lines) + 1} was not connected within {DIAL_S:g} s.") from error
        session.attach(line)
        self.pacer.add(caller.speak)
        self.lines.append(line)
        self._callers.append(caller)
        self._sessions.append(session)

    async def all_talk(self) -> None:
        """Waits until every call has heard its first reply begin."""
        ends_s = time.monotonic() + FIRST_REPLY_S
        while any(not line.replies for line in self.lines):
            if time.monotonic() > ends_s:
                silent = sum(not line.replies for line in self.lines)
                raise CannotMeasure(f"{silent} of {len(self.lines)} calls never came to their first reply.")
            await asyncio.sleep(0.1)

    async def lost_frames(self) -> int:
        """How many of the frames sent until now do not come out within a second."""
        sent = [line.frames_sent for line in self.lines]
        await asyncio.sleep(LAST_FRAMES_S)
        return sum(max(before - line.frames_arrived, 0) for before, line in zip(sent, self.lines, strict=True))

    async def hang_up(self) -> None:
        """Ends all calls and waits a little for the sessions to close."""
        self.pacer.stop()
        for caller in self._callers:
            caller.hang_up()
        ended = [asyncio.create_task(session.ended.wait()) for session in self._sessions]
        if ended:
            await asyncio.wait(ended, timeout=HANG_UP_S)
        for task in ended:
            task.cancel()


@asynccontextmanager
async def begun(subject: Service | Relay, core: int) -> AsyncIterator[Calls]:
    """Starts a subject on a core, with a model of its own, for as long as the block lasts; its first call talks."""
    async with light_model.running() as model, subject.running(model.base_url, core) as running:
        calls = Calls(running, model)
        calls.pacer.start()
        try:
            await calls.dial()
            await calls.all_talk()
            yield calls
        finally:
            await calls.hang_up()
