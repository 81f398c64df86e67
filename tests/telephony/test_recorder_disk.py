"""What a recorder does with the disk: a file that any player reads, and a call that goes on whatever the disk does."""

from __future__ import annotations

import asyncio
import io
import threading
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from db.audio_files import AudioFiles, Spool
from rehearsal.g711 import decode
from telephony.leg import EndedBy, LegInfo, LegListener
from telephony.recorder import Recorder, stereo, wav_head
from telephony.tape import Stretch
from tests.telephony.carrier_socket import Listener


class Leg:
    """A leg that does what the test says, and notes what it was told."""

    def __init__(self) -> None:
        self.info = LegInfo("CA1", "AC1", "twilio")
        self.told: list[object] = []
        self.listener: LegListener | None = None
        self.ready = asyncio.Event()
        self._ended: asyncio.Future[tuple[EndedBy, str]] = asyncio.get_running_loop().create_future()

    def send_audio(self, ulaw: bytes) -> None:
        self.told.append(ulaw)

    def send_mark(self, name: str) -> None:
        self.told.append(name)

    def clear(self) -> None:
        self.told.append("clear")

    async def run(self, listener: LegListener) -> None:
        self.listener = listener
        self.ready.set()
        listener.on_leg_end(*await self._ended)

    async def close(self) -> None:
        if not self._ended.done():
            self._ended.set_result(("app", "closed"))


class Says:
    """Somebody who was asked, and what they were asked for."""

    def __init__(self, name: str | None) -> None:
        self._name = name
        self.asked: list[str] = []

    async def name(self) -> str | None:
        self.asked.append("name")
        return self._name

    async def drop(self) -> None:
        self.asked.append("drop")


NAME = f"{7:032x}.wav"
LASTED_S = 1.5


@asynccontextmanager
async def running(
    files: AudioFiles, listener: Listener, says: Says | None = None
) -> AsyncIterator[tuple[Leg, Recorder]]:
    """A recorder whose leg has begun, and which lasts ``LASTED_S`` by its own clock."""
    leg, moments = Leg(), [10.0]
    recorder = Recorder(leg, files=files, permission=says or Says(None), clock=lambda: moments[-1])
    task = asyncio.create_task(recorder.run(listener))
    await leg.ready.wait()
    yield leg, recorder
    moments.append(10.0 + LASTED_S)
    await recorder.close()
    await task


def test_any_player_reads_the_file() -> None:
    """The head says what follows: stereo, 16 bits, 8 kHz; left the caller, right the line, sample by sample."""
    stretch = Stretch(bytes(range(256)), bytes(reversed(range(256))))
    sound = stereo(stretch)
    with wave.open(io.BytesIO(wav_head(len(sound)) + sound)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, 8_000)
        assert file.getnframes() == 256
        read = file.readframes(256)
    left = b"".join(read[at : at + 2] for at in range(0, len(read), 4))
    right = b"".join(read[at + 2 : at + 4] for at in range(0, len(read), 4))
    assert (left, right) == (decode(stretch.caller), decode(stretch.line))
    assert len(wav_head(0)) == 44


async def test_the_first_words_are_on_it(tmp_path: Path) -> None:
    """A call sends its cached greeting before it listens to the leg: that is where the recording begins."""
    leg, moments, says, files = Leg(), [5.0], Says(NAME), AudioFiles(tmp_path)
    recorder = Recorder(leg, files=files, permission=says, clock=lambda: moments[-1])
    recorder.send_audio(b"\x11" * 1_600)
    moments.append(5.1)
    running = asyncio.create_task(recorder.run(Listener()))
    await leg.ready.wait()
    moments.append(5.4)
    await recorder.close()
    await running
    await recorder.settle(stopped=False)
    path = files.find(NAME)
    assert path is not None
    with wave.open(str(path)) as file:
        read = file.readframes(file.getnframes())
    line = b"".join(read[at + 2 : at + 4] for at in range(0, len(read), 4))
    assert line == decode(b"\x11" * 1_600 + b"\xff" * 1_600)


async def test_a_call_goes_through_a_recorder_unchanged(tmp_path: Path) -> None:
    """What is sent reaches the leg, and what the leg reports reaches the call, in order."""
    listener = Listener()
    async with running(AudioFiles(tmp_path), listener) as (leg, recorder):
        assert recorder.info is leg.info
        recorder.send_audio(b"\x11" * 160)
        recorder.send_mark("a")
        recorder.clear()
        assert leg.listener is not None
        leg.listener.on_caller_audio(b"\x22" * 160)
        leg.listener.on_key("5")
        leg.listener.on_mark("a")
    assert leg.told == [b"\x11" * 160, "a", "clear"]
    assert (listener.audio, listener.keys, listener.marks) == (b"\x22" * 160, ["5"], ["a"])
    assert listener.ends == [("app", "closed")]
    await recorder.settle(stopped=False)


@pytest.mark.parametrize(
    ("stopped", "name", "asked", "left"),
    [(False, NAME, ["name"], [NAME]), (False, None, ["name"], []), (True, NAME, ["drop"], [])],
)
async def test_what_becomes_of_a_recording(
    stopped: bool, name: str | None, asked: list[str], left: list[str], tmp_path: Path
) -> None:
    """Kept under its name where it may be; without permission, or when the call was stopped, nothing is left."""
    says, files = Says(name), AudioFiles(tmp_path)
    async with running(files, Listener(), says) as (leg, recorder):
        assert leg.listener is not None
        leg.listener.on_caller_audio(b"\x22" * 160)
        recorder.send_audio(b"\x11" * 160)
    await recorder.settle(stopped=stopped)
    assert says.asked == asked
    assert [path.name for path in files.directory.iterdir()] == left
    for path in files.directory.iterdir():
        with wave.open(str(path)) as file:
            assert file.getnframes() == LASTED_S * 8_000 == (path.stat().st_size - 44) / 4


class FullSpool(Spool):
    """Has no room."""

    def write(self, sound: bytes) -> None:
        raise OSError(28, "No space left on device")


class Full(AudioFiles):
    """A disk with room for nothing but a name."""

    def spool(self) -> Spool:
        return FullSpool(self.directory)


class Missing(AudioFiles):
    """A disk that is not there."""

    def spool(self) -> Spool:
        raise PermissionError(13, "Permission denied")


@pytest.mark.parametrize("kind", [Full, Missing])
async def test_a_disk_that_takes_nothing_costs_the_recording_and_not_the_call(
    kind: type[AudioFiles], tmp_path: Path
) -> None:
    """It is said once in the log, the caller is heard as before, nobody is asked, and nothing is left behind."""
    listener, files, says = Listener(), kind(tmp_path), Says(NAME)
    with capture_logs() as said:
        async with running(files, listener, says) as (leg, recorder):
            assert leg.listener is not None
            leg.listener.on_caller_audio(b"\x22" * 160)
            recorder.send_audio(b"\x11" * 160)
        await recorder.settle(stopped=False)
    assert (listener.audio, leg.told) == (b"\x22" * 160, [b"\x11" * 160])
    assert [line["event"] for line in said] == ["recorder.gave_up"]
    assert says.asked == []
    assert not files.directory.exists() or list(files.directory.iterdir()) == []


async def test_nobody_waits_for_the_disk(tmp_path: Path) -> None:
    """While the disk is at work, or hangs, the call goes on: the loop is never held."""
    disk = threading.Event()

    class Slow(AudioFiles):
        def spool(self) -> Spool:
            assert disk.wait(10)
            return super().spool()

    listener = Listener()
    async with running(Slow(tmp_path), listener) as (leg, recorder):
        assert leg.listener is not None
        for _ in range(50):
            leg.listener.on_caller_audio(b"\x22" * 160)
            await asyncio.sleep(0)
        assert len(listener.audio) == 8_000
        disk.set()
    await recorder.settle(stopped=False)
