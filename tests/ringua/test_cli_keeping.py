"""The commands about learners and policies, as an operator uses them, on a real database."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import structlog
from typer.testing import CliRunner, Result

from db import audit, learners, policies, ratings
from db.audio_files import AudioFiles
from db.engine import Database
from db.keyring import Keyring
from db.policies import Policy
from ringua.cli import app
from ringua.terminal import Trouble
from tests.db.conftest import make_place
from tests.db.keeping_rows import put_sound
from tests.db.planted import NAME, NUMBER, PARENT, SENTENCE, SISTER, Planted, plant

SECRET = "only-for-tests-only-for-tests-only-for-tests"

Work = Callable[[Database], Coroutine[Any, Any, Any]]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, database_url: str) -> Iterator[None]:
    """The test's own database; wide output."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("RINGUA_SECRET_KEY", SECRET)
    monkeypatch.setenv("RINGUA_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "250")
    for name in ("OPENAI_API_KEY", "TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "PUBLIC_BASE_URL", "PORT"):
        monkeypatch.delenv(name, raising=False)
    yield
    structlog.reset_defaults()


def ringua(*arguments: str, answer: str | None = None) -> Result:
    """Runs a command; ``answer`` is typed when it asks."""
    return CliRunner().invoke(app, list(arguments), input=answer)


def trouble(*arguments: str, answer: str | None = None) -> str:
    """Runs a command that cannot succeed; returns the sentence it is refused with."""
    result = ringua(*arguments, answer=answer)
    assert isinstance(result.exception, Trouble), result.output
    sentence = str(result.exception)
    assert sentence.endswith(".")
    return sentence


@pytest.fixture
def on(database_url: str) -> Callable[[Work], Any]:
    """Does something on the database between commands."""

    def run(work: Work) -> Any:
        async def connected() -> Any:
            database = await Database.connect(database_url)
            try:
                return await work(database)
            finally:
                await database.close()

        return asyncio.run(connected())

    return run


@pytest.fixture
def planted(on: Callable[[Work], Any], keyring: Keyring) -> Planted:
    """A learner of whom everything is known, at a school named North; another school is South."""

    async def work(database: Database) -> Planted:
        place = await make_place(database, "North", "+34910000001")
        await make_place(database, "South", "+34910000002")
        return await plant(database, keyring, place)

    made: Planted = on(work)
    return made


# --- finding and showing


def test_learners_are_listed_and_found(planted: Planted) -> None:
    """All of a school, or those with two digits or a first name, however it is written; never a whole number."""
    listed = ringua("learner", "list", "North").output
    assert NAME in listed
    assert SISTER in listed
    assert "…87" in listed
    assert str(planted.learner_id) in listed
    assert NUMBER not in listed
    one = ringua("learner", "list", "North", "--digits", "87").output
    assert NAME in one
    assert SISTER not in one
    assert SISTER in ringua("learner", "list", "North", "--name", SISTER.upper()).output
    assert ringua("learner", "list", "South").output == "No such learner.\n"


@pytest.mark.parametrize("who", [("87", "--school", "North"), (NAME.lower(), "--school", "North")])
def test_a_learner_is_shown(planted: Planted, who: tuple[str, ...]) -> None:
    """By digits or name at a school, with settings; the same as by id, which needs no school."""
    shown = ringua("learner", "show", *who).output
    assert shown == ringua("learner", "show", str(planted.learner_id)).output
    for text in (NAME, "North", "…87, …88", "A1", "grade", "remember", "yes"):
        assert text in shown
    assert NUMBER not in shown


def test_who_is_meant_must_be_clear(planted: Planted) -> None:
    """Nobody, several, no school, another school: one sentence each, with what to do."""
    assert "There is no such learner" in trouble("learner", "show", "Nadie", "--school", "North")
    assert "There is no such learner" in trouble("learner", "show", str(uuid4()))
    assert "There is no such learner" in trouble("learner", "show", str(planted.learner_id), "--school", "South")
    assert "Say --school" in trouble("learner", "show", "87")
    assert "There is no school named West" in trouble("learner", "list", "West")
    several = trouble("learner", "forget", "88", "--school", "North", "--yes")
    assert several.startswith("2 learners are meant by that")
    assert str(planted.learner_id) in several


# --- changing


def test_a_learner_is_changed(planted: Planted, on: Callable[[Work], Any]) -> None:
    """What is given changes, the rest stays; the level is the rating's too, and the audit names nobody."""
    given = ("--native", "fr", "--level", "b1", "--name", "Eva", "--grade", "none", "--preset", "patient", "--slower")
    assert ringua("learner", "set", str(planted.learner_id), *given, "--no-remember").exit_code == 0

    async def look(database: Database) -> None:
        async with database.school(planted.place.school_id) as session:
            learner = await learners.get(session, planted.learner_id)
            assert learner is not None
            assert (learner.native, learner.target, learner.level, learner.first_name) == ("fr", "es", "B1", "Eva")
            assert learner.settings == {"likes": SENTENCE, "preset": "patient", "slower": True, "remember": False}
            rating = await ratings.get(session, planted.learner_id, "es")
            assert rating is not None
            assert rating.level == "B1"
            line = (await audit.latest(session))[0]
            assert (line.actor, line.action, line.subject) == ("command line", "change", "learner")
            assert "Eva" not in json.dumps(line.data)

    on(look)
    assert ringua("learner", "set", "87", "--school", "North", "--name", "none").exit_code == 0
    assert "Eva" not in ringua("learner", "list", "North").output


def test_what_a_learner_cannot_be_is_refused(planted: Planted) -> None:
    """A language, level, grade or preset that does not exist, or nothing at all."""
    who = str(planted.learner_id)
    assert "There is no language tlh" in trouble("learner", "set", who, "--native", "tlh")
    assert "There is no level Z9" in trouble("learner", "set", who, "--level", "z9")
    assert "There is no grade 9" in trouble("learner", "set", who, "--grade", "9")
    assert "--preset is usual, patient, not quick" in trouble("learner", "set", who, "--preset", "quick")
    assert "Nothing to change" in trouble("learner", "set", who)


# --- out and away


def test_an_export_is_json_that_only_its_owner_can_read(planted: Planted, tmp_path: Path) -> None:
    """On the screen or in a file of mode 0600, with numbers in clear; never over a file that is there."""
    held = json.loads(ringua("learner", "export", str(planted.learner_id)).output)
    assert held["learner"]["first_name"] == NAME
    assert held["guardians"][0]["number"] == PARENT
    assert "safety_flags" not in held["calls"][0]
    path = tmp_path / "export.json"
    told = ringua("learner", "export", "87", "--school", "North", "--file", str(path), "--safeguarding").output
    assert told == f"Wrote {path}: 1 call.\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert json.loads(path.read_text("utf-8"))["calls"][0]["safety_flags"]
    assert "is there already" in trouble("learner", "export", str(planted.learner_id), "--file", str(path))
    assert "cannot be written" in trouble("learner", "export", str(planted.learner_id), "--file", "/nowhere/x.json")


def test_forgetting_asks_and_tells_what_went(planted: Planted, tmp_path: Path) -> None:
    """No is no; yes forgets, with counts and without the name; files are gone when the command is done."""
    files = AudioFiles(tmp_path)
    put_sound(files, planted.recordings[0])
    assert trouble("learner", "forget", str(planted.learner_id), answer="n\n") == "Nobody was forgotten."
    assert NAME in ringua("learner", "list", "North").output
    gone = ringua("learner", "forget", str(planted.learner_id), answer="y\n").output
    assert f"Forget {NAME} (…87, …88, North, 1 call) for good?" in gone
    counted = gone.partition("Forgotten.")[2]
    assert "3 calls left behind: nobody's, with time and cost." in counted
    for text in ("turns: 4", "caller identities: 2", "review cards: 2", "recordings: 1"):
        assert text in counted
    assert "delete what it keeps: 3 calls and messages" in counted
    assert NAME not in counted
    assert list(files.directory.iterdir()) == []
    assert NAME not in ringua("learner", "list", "North").output
    assert "There is no such learner" in trouble("learner", "forget", str(planted.learner_id), "--yes")


def test_forgetting_without_asking(planted: Planted) -> None:
    """--yes is for whoever has asked already."""
    gone = ringua("learner", "forget", NAME, "--school", "North", "--yes").output
    assert gone.startswith("Forgotten.")


# --- policies


def test_a_policy_is_shown_and_changed(planted: Planted, on: Callable[[Work], Any]) -> None:
    """The defaults where nothing is set; afterwards what was given, in words."""
    shown = ringua("policy", "show", "South").output
    for text in ("90 days", "400 days", "730 days", "none", "shown"):
        assert text in shown
    assert "with a PIN or an attested number" in shown
    changes = ("--transcript-days", "0", "--hide-transcript", "--trust-numbers")
    assert ringua("policy", "set", "South", *changes).exit_code == 0
    shown = ringua("policy", "show", "South").output
    assert "never stored" in shown
    assert "not shown" in shown
    assert "of whoever calls from the number" in shown

    async def look(database: Database) -> None:
        async with database.school(planted.place.school_id) as session:
            assert await policies.of_school(session) == Policy(audio_hours=24)

    on(look)


def test_a_policy_that_cannot_be_is_refused(planted: Planted) -> None:
    """Out of its range, words longer than figures, nothing at all, no such school."""
    assert "must be 0 to 365" in trouble("policy", "set", "North", "--transcript-days", "400")
    assert "words go first" in trouble("policy", "set", "North", "--metrics-days", "60")
    assert "must be 0 to 24" in trouble("policy", "set", "North", "--audio-hours", "48")
    assert "Nothing to change" in trouble("policy", "set", "North")
    assert "no school named West" in trouble("policy", "show", "West")
