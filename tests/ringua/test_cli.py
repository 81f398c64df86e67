"""The command line as an operator uses it, on a real database."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner, Result

from ringua.cli import Trouble, app
from ringua.settings import SettingsError

SECRET = "only-for-tests-only-for-tests-only-for-tests"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, database_url: str) -> Iterator[None]:
    """The test's own database; wide output. Logs go where they went before: a command's output is closed behind it."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("RINGUA_SECRET_KEY", SECRET)
    monkeypatch.setenv("RINGUA_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    for name in ("OPENAI_API_KEY", "TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "PUBLIC_BASE_URL", "PORT"):
        monkeypatch.delenv(name, raising=False)
    yield
    structlog.reset_defaults()


def ringua(*arguments: str) -> Result:
    """Runs a command."""
    return CliRunner().invoke(app, list(arguments))


def trouble(*arguments: str) -> str:
    """Runs a command that cannot succeed; returns the sentence it is refused with."""
    result = ringua(*arguments)
    assert isinstance(result.exception, Trouble | SettingsError), result.output
    sentence = str(result.exception)
    assert sentence.endswith(".")
    return sentence


@pytest.fixture
def prompt(tmp_path: Path) -> str:
    """A file with this week's words."""
    path = tmp_path / "week.txt"
    path.write_text("theme: el café\nvocabulary: un café, con leche, para llevar\n", "utf-8")
    return str(path)


def test_a_line_is_added_shown_changed_and_listed(prompt: str) -> None:
    """The way of an operator from nothing to a line that takes calls."""
    assert ringua("school", "add", "Colegio Sol", "--timezone", "America/Puerto_Rico").exit_code == 0
    added = ringua(
        *("line", "add", "+1 787 555 0100", "--school", "Colegio Sol", "--native", "en", "--target", "es"),
        *("--level", "a1", "--prompt", prompt, "--scenarios", "cafe_order, hotel_checkin"),
    )
    assert added.output == "Added +17875550100; it takes calls.\n"
    assert ringua("line", "set", "+17875550100", "--level", "B1", "--closed").exit_code == 0
    shown = ringua("line", "show", "+17875550100").output
    for text in ("Colegio Sol", "B1", "cafe_order, hotel_checkin", "closed", "con leche"):
        assert text in shown
    assert re.search(r"texts\W+offered", shown)
    assert ringua("line", "set", "+17875550100", "--no-texts").exit_code == 0
    assert re.search(r"texts\W+off\b", ringua("line", "show", "+17875550100").output)
    assert "+17875550100" in ringua("line", "list").output
    assert "Colegio Sol" in ringua("school", "list").output


def test_a_line_with_something_missing_says_what_and_takes_no_calls() -> None:
    """No optional fields: native, target, level, class prompt and scenes."""
    ringua("school", "add", "North")
    added = ringua("line", "add", "+34910000001", "--school", "North", "--native", "en")
    assert "takes no calls yet: target, level, class_prompt, scenarios not set" in added.output


def test_what_cannot_be_is_refused_with_one_sentence(prompt: str, tmp_path: Path) -> None:
    """Unknown schools, languages, levels, scenes, numbers, files: what it is and what to do."""
    ringua("school", "add", "North")
    long = tmp_path / "long.txt"
    long.write_text("word " * 2_000, "utf-8")
    assert "no school named South" in trouble("line", "add", "+34910000001", "--school", "South")
    assert "There is no language tlh" in trouble("line", "add", "+34910000001", "--school", "North", "--target", "tlh")
    assert "There is no level Z9" in trouble("line", "add", "+34910000001", "--school", "North", "--level", "Z9")
    assert "There is no scenario" in trouble("line", "add", "+34910000001", "--school", "North", "--scenarios", "moon")
    assert "not a telephone number" in trouble("line", "add", "12", "--school", "North")
    assert "characters" in trouble("line", "add", "+34910000001", "--school", "North", "--prompt", str(long))
    assert "cannot be read" in trouble("line", "add", "+34910000001", "--school", "North", "--prompt", "/nowhere")
    assert "There is no line" in trouble("line", "show", "+34910000001")
    assert "There is no time zone" in trouble("school", "add", "East", "--timezone", "Mars/Olympus")
    assert "already" in trouble("school", "add", "North")
    ringua("line", "add", "+34910000001", "--school", "North")
    assert "already has a line" in trouble("line", "add", "+34910000001", "--school", "North")


def test_scenes_are_listed_for_people_and_for_programs() -> None:
    """A table, or JSON."""
    assert "cafe_order" in ringua("scenario", "list").output
    scenes = json.loads(ringua("scenario", "list", "--native", "es", "--json").output)
    assert next(scene for scene in scenes if scene["id"] == "cafe_order")["title"] == "En la cafetería"


def test_serving_without_a_model_says_what_to_set() -> None:
    """A line that cannot speak does not start."""
    assert "OPENAI_API_KEY is missing" in trouble("serve")


def test_the_database_is_upgraded_by_a_command() -> None:
    """Once a release; a second time changes nothing."""
    assert ringua("db", "upgrade").output.startswith("The database is at revision")
    assert ringua("db", "upgrade").exit_code == 0
