"""Recording a call, from the consent to a file: over real sockets, held against the carrier's own recording."""

from __future__ import annotations

import io
import wave
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import numpy as np
import numpy.typing as npt
import pytest
from sqlalchemy import select

from db import consents, policies, recordings
from db.audio_files import AudioFiles
from db.engine import Database
from db.forgetting import forget_learner
from db.keyring import Keyring
from db.models_keeping import Recording
from rehearsal.carrier import Phone
from rehearsal.g711 import decode
from rehearsal.report import CallResult
from ringua.scripts import script_for
from ringua.settings import load
from ringua.storage import Storage
from tests.journeys.line import PATIENCE_S, QUIET_MS, PracticeLine, enrolled, practising, speech
from tests.tutor.scenes import cafe
from tutor.script.catalogue import load as catalogue

NUMBER = "+12025550177"
SHORT = speech("es-woman-2")
EN = catalogue().language("en")
RATE_HZ = 8_000

Samples = npt.NDArray[np.int16]
Behaviour = Callable[[Phone], Awaitable[None]]


@dataclass
class Recorded:
    """A running line whose school keeps sound for a day, and a learner of it."""

    line: PracticeLine
    files: AudioFiles
    school_id: UUID
    learner_id: UUID
    number_hash: bytes

    @property
    def database(self) -> Database:
        return self.line.storage.database

    async def agree(self) -> None:
        """The learner agrees to the sound of their calls being kept."""
        async with self.database.school(self.school_id) as session:
            await consents.give(
                session,
                school_id=self.school_id,
                number_hash=self.number_hash,
                carrier_sid="CA0",
                wording="en:1",
                kind=consents.AUDIO,
            )

    async def withdraw(self) -> None:
        """And takes it back, as the menu does."""
        async with self.database.school(self.school_id) as session:
            await consents.end(session, self.number_hash, consents.AUDIO)
            await recordings.end_now(session, [], self.learner_id)

    async def call(self, behave: Behaviour) -> CallResult:
        """A call of the learner, until all that came of it is written."""
        result = await self.line.rehearsal.call(behave, from_=NUMBER)
        await self.line.rehearsal.service.answering.idle()
        return result

    async def rows(self) -> list[Recording]:
        """The recordings that the database knows of."""
        async with self.database.school(self.school_id) as session:
            return list(await session.scalars(select(Recording).order_by(Recording.created_at)))

    def left(self) -> list[Path]:
        """Every file of the directory."""
        return sorted(self.files.directory.iterdir()) if self.files.directory.is_dir() else []


@pytest.fixture
async def recorded(database: Database, keyring: Keyring, database_url: str, tmp_path: Path) -> AsyncIterator[Recorded]:
    """A line whose learner gets texts, and has not agreed to anything else."""
    storage = Storage(database, keyring, database_url, ())
    async with practising(load(data_dir=tmp_path), storage, script=script_for(cafe())) as line:
        learner = await enrolled(storage, NUMBER)
        async with storage.database.school(learner.school_id) as session:
            await policies.change(session, learner.school_id, audio_hours=24)
            await consents.record(
                session,
                school_id=learner.school_id,
                number_hash=learner.number_hash,
                given=True,
                carrier_sid="CA0",
                wording="en:1",
            )
        yield Recorded(line, AudioFiles(tmp_path), *learner)


async def to_the_role(phone: Phone) -> None:
    """Presses 1 and hears the greeting out."""
    await phone.wait_for("gather", PATIENCE_S)
    await phone.press("1")
    await phone.wait_for("stream", PATIENCE_S)
    await phone.hear_silence(QUIET_MS, PATIENCE_S)


async def speaks_over_the_role(phone: Phone) -> None:
    """Says something, and speaks over the answer."""
    await to_the_role(phone)
    await phone.say(SHORT, "ulaw")
    await phone.hear_speech(PATIENCE_S)
    await phone.pause(0.6)
    await phone.say(SHORT[:16_000], "ulaw")
    await phone.hear_speech(PATIENCE_S)
    await phone.pause(1.5)


async def says_a_word(phone: Phone) -> None:
    """Says something and hangs up."""
    await to_the_role(phone)
    await phone.say(SHORT[:8_000], "ulaw")


def sides(sound: bytes) -> tuple[Samples, Samples]:
    """The left and the right side of a WAV file, as the standard library reads it."""
    with wave.open(io.BytesIO(sound)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, RATE_HZ)
        both = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
        assert len(both) == file.getnframes()
    return both[:, 0], both[:, 1]


def shift_ms(ours: Samples, theirs: Samples) -> float:
    """By how much ``ours`` must be moved to lie best on ``theirs``, by the loudness of each 5 ms."""
    loud = [np.abs(side[: len(side) // 40 * 40].astype(float)).reshape(-1, 40).mean(axis=1) for side in (theirs, ours)]
    return float(np.argmax(np.correlate(loud[0], loud[1], "valid"))) * 5


def likeness(ours: Samples, theirs: Samples, shift: float) -> float:
    """How alike the loudness of both is then, by the tenth of a second, up to 1."""
    begin = int(shift * RATE_HZ / 1000)
    moved = theirs[begin : begin + len(ours)]
    size = len(moved) // 800 * 800
    loud = [np.abs(side[:size].astype(float)).reshape(-1, 800).mean(axis=1) for side in (moved, ours)]
    return float(np.corrcoef(loud[0], loud[1])[0, 1])


def audible_ms(side: Samples) -> float:
    """How long something could be heard on a side, by the 20 ms."""
    peaks = np.abs(side[: len(side) // 160 * 160].astype(int)).reshape(-1, 160).max(axis=1)
    return float((peaks > 260).sum()) * 20


async def test_a_call_is_recorded_as_it_was_heard(recorded: Recorded) -> None:
    """Left what the caller said, right what they heard, at the same moments as on the carrier's recording of the call.

    What the role had said ahead when the caller broke in is on neither; the row, its end and the page know the file.
    """
    await recorded.agree()
    result = await recorded.call(speaks_over_the_role)
    (row,) = await recorded.rows()
    (path,) = recorded.left()
    assert path.name == row.path
    caller, line = sides(path.read_bytes())
    (stream,) = result.streams
    assert stream.opened_ms is not None
    assert stream.closed_ms is not None
    assert any(clear.dropped_ms > 0 for clear in stream.clears)
    assert abs(len(caller) / 8 - (stream.closed_ms - stream.opened_ms)) < 2_000
    theirs = [np.frombuffer(decode(side), "<i2") for side in (result.recording.caller, result.recording.line)]
    shifts = [shift_ms(ours, side) for ours, side in zip((caller, line), theirs, strict=True)]
    assert 0 <= shifts[0] - stream.opened_ms < 2_000, "it begins when the stream is answered"
    assert abs(shifts[1] - shifts[0]) < 250, "both sides are on one clock"
    for ours, side, shift in zip((caller, line), theirs, shifts, strict=True):
        assert likeness(ours, side, shift) > 0.85
    heard = [audible_ms(line), audible_ms(theirs[1][int(shifts[1] * 8) :])]
    assert abs(heard[0] - heard[1]) < 400, "what was cleared is not on it"
    assert row.learner_id == recorded.learner_id
    assert (row.expires_at - row.created_at).total_seconds() == 24 * 3600


async def test_only_who_agreed_and_was_told_is_recorded(recorded: Recorded) -> None:
    """Without consent nothing is kept and the call says so; with it, the greeting says that the sound is kept."""
    plain = await recorded.call(says_a_word)
    assert "not recorded" in said(plain)
    assert recorded.left() == []
    await recorded.agree()
    kept = await recorded.call(says_a_word)
    assert EN.say("keeping.welcome_back", school="Rehearsal") in said(kept)
    assert "not recorded" not in said(kept)
    assert len(recorded.left()) == len(await recorded.rows()) == 1


def said(result: CallResult) -> str:
    """All that the carrier's own voice said in a call."""
    return " ".join(event.text for event in result.transcript if event.kind == "say")


async def test_consent_that_is_withdrawn_in_the_call_leaves_nothing(recorded: Recorded) -> None:
    """It is asked for again at the end: then there is neither a row nor a file."""
    await recorded.agree()

    async def withdraws(phone: Phone) -> None:
        await says_a_word(phone)
        assert [path.suffix for path in recorded.left()] == [".part"]
        await recorded.withdraw()

    await recorded.call(withdraws)
    assert recorded.left() == []
    assert await recorded.rows() == []


async def test_a_learner_who_is_forgotten_in_the_call_leaves_nothing(recorded: Recorded) -> None:
    """Whoever deletes their data while they speak: what was being recorded goes with the rest."""
    await recorded.agree()

    async def forgotten(phone: Phone) -> None:
        await says_a_word(phone)
        async with recorded.database.school(recorded.school_id) as session:
            await forget_learner(session, recorded.learner_id)

    await recorded.call(forgotten)
    assert recorded.left() == []
    assert await recorded.rows() == []


async def test_each_stream_of_a_call_has_a_recording(recorded: Recorded) -> None:
    """A stream that breaks leaves a recording, and one that goes on makes another; left by key 9, both go."""
    await recorded.agree()
    before: list[Recording] = []

    async def goes_on(phone: Phone) -> None:
        await to_the_role(phone)
        await phone.drop_stream()
        await phone.wait_for("stream", PATIENCE_S)
        await phone.hear_silence(QUIET_MS, PATIENCE_S)
        before.extend(await recorded.rows())
        assert sorted(path.suffix for path in recorded.left()) == [".part", ".wav"]
        await phone.press("9")
        await phone.wait_for("ended", PATIENCE_S)

    result = await recorded.call(goes_on)
    assert len(result.streams) == 2
    assert [row.call_id for row in before] == [(await recorded.line.kept(result)).row.id]
    assert [path.name for path in recorded.left()] == [before[0].path], "its job deletes it now"
    async with recorded.database.school(recorded.school_id) as session:
        assert await recordings.of_call(session, before[0].call_id) == []
        assert [row.id for row in await recordings.due(session, limit=5)] == [before[0].id]
