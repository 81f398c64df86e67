"""What somebody tells the role, from the consent in the menu to the next call: over real sockets, with real jobs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from db import jobs, topics
from db.engine import Database
from db.keyring import Keyring
from rehearsal.carrier import Phone
from rehearsal.realtime_script import Script, ToolCall, Turn
from rehearsal.report import CallResult
from ringua.jobs import all_jobs
from ringua.settings import load
from ringua.storage import Storage
from tests.journeys.line import PATIENCE_S, QUIET_MS, Enrolled, PracticeLine, enrolled, practising, speech

NUMBER = "+12025550178"
TOLD = "likes painting old bicycles"
ALSO_TOLD = "lives at number 12"
"""More than is needed: refused."""
SCRIPT = Script(
    opening="¡Hola! ¿Qué tal?",
    turns=(
        Turn(
            hears="Me gusta pintar bicicletas viejas.",
            says=("¡Qué bonito!",),
            tools=(
                ToolCall("remember_fact", {"fact": TOLD}),
                ToolCall("remember_fact", {"fact": ALSO_TOLD}),
            ),
        ),
    ),
    language="es",
)
SHORT = speech("es-woman-2")


async def in_the_settings(phone: Phone, *keys: str) -> None:
    """Presses keys in the settings, each in a prompt of its own, and goes back to the scenes."""
    for key in ("0", *keys, "*", "*"):
        await phone.wait_for("gather", PATIENCE_S)
        await phone.press(key)


async def talks(phone: Phone) -> None:
    """Begins the first scene, says something and hears the answer."""
    await phone.wait_for("gather", PATIENCE_S)
    await phone.press("1")
    await phone.wait_for("stream", PATIENCE_S)
    await phone.hear_silence(QUIET_MS, PATIENCE_S)
    await phone.say(SHORT, "ulaw")
    await phone.hear_speech(PATIENCE_S)
    await phone.hear_silence(QUIET_MS, PATIENCE_S)


async def agrees_and_talks(phone: Phone) -> None:
    """Hears what is kept, agrees, and tells the role something."""
    await in_the_settings(phone, "9", "8")
    await talks(phone)


async def takes_it_back(phone: Phone) -> None:
    """Takes the consent back in the settings, and talks all the same."""
    await in_the_settings(phone, "8")
    await talks(phone)


async def call(line: PracticeLine, behave: Callable[[Phone], Awaitable[None]]) -> CallResult:
    """A call of the learner, until the jobs after it are done."""
    result = await line.rehearsal.call(behave, from_=NUMBER, stir="TN-Validation-Passed-A")
    await line.rehearsal.service.answering.idle()
    await jobs.run_worker(line.storage.url, all_jobs(line.storage, line.rehearsal.settings), wait=False, signals=False)
    return result


async def remembered(line: PracticeLine, who: Enrolled) -> list[str]:
    """What is kept of what they told."""
    async with line.storage.database.school(who.school_id) as session:
        return await topics.facts(session, who.learner_id)


def tools_of(line: PracticeLine, result: CallResult) -> set[str]:
    """The names of the functions that the role could call."""
    return {tool["name"] for tool in line.session(result).settings["tools"]}


async def test_what_was_told_comes_up_in_the_next_call(
    database: Database, keyring: Keyring, database_url: str, tmp_path: Path
) -> None:
    """Once the caller agreed, and only what is fit to be kept; nothing any more when they take it back."""
    storage = Storage(database, keyring, database_url, ())
    async with practising(load(data_dir=tmp_path), storage, script=SCRIPT) as line:
        who = await enrolled(storage, NUMBER)

        agreed = await call(line, agrees_and_talks)
        assert "remember_fact" in tools_of(line, agreed)
        assert TOLD not in line.session(agreed).settings["instructions"]
        assert await remembered(line, who) == [TOLD]

        again = await call(line, talks)
        assert TOLD in line.session(again).settings["instructions"]
        assert ALSO_TOLD not in line.session(again).settings["instructions"]

        ended = await call(line, takes_it_back)
        assert TOLD not in line.session(ended).settings["instructions"]
        assert "remember_fact" not in tools_of(line, ended)
        assert await remembered(line, who) == []
