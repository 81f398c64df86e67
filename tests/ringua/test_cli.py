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
from tests.tutor.test_own_scene import EXAMPLE
from tutor.script import catalogue
from tutor.script.prompt import instructions

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
    assert re.search(r"spent budget\W+listen and repeat", shown)
    assert ringua("line", "set", "+17875550100", "--no-offline").exit_code == 0
    assert re.search(r"spent budget\W+call again later", ringua("line", "show", "+17875550100").output)
    assert "+17875550100" in ringua("line", "list").output
    assert "Colegio Sol" in ringua("school", "list").output


def test_a_line_with_something_missing_says_what_and_takes_no_calls() -> None:
    """No optional fields: native, target, level, class prompt and scenes."""
    ringua("school", "add", "North")
    added = ringua("line", "add", "+34910000001", "--school", "North", "--native", "en")
    assert "takes no calls yet: target, level, class_prompt, scenarios not set" in added.output


def test_a_line_of_several_languages() -> None:
    """A line may speak several languages with its callers and practise several; its own are among them."""
    ringua("school", "add", "North")
    own = ("--native", "en", "--target", "es")
    ringua("line", "add", "+34910000001", "--school", "North", *own, "--natives", "es,fr", "--targets", "es, en")
    shown = ringua("line", "show", "+34910000001").output
    assert re.search(r"callers may speak\W+en, es, fr", shown)
    assert re.search(r"can be practised\W+es, en", shown)
    assert ringua("line", "set", "+34910000001", "--natives", "none").exit_code == 0
    shown = ringua("line", "show", "+34910000001").output
    assert re.search(r"callers may speak\W+-", shown)
    assert re.search(r"can be practised\W+es, en", shown)
    sentence = trouble("line", "set", "+34910000001", "--targets", "none", "--natives", "es")
    assert sentence == "Who speaks es would have nothing to practise: --targets needs another language."
    assert "There is no language tlh" in trouble("line", "set", "+34910000001", "--natives", "en,tlh")
    assert "de is no native language" in trouble("line", "set", "+34910000001", "--natives", "de")
    assert "ar is no target language" in trouble("line", "set", "+34910000001", "--targets", "ar")
    assert "among 4 target languages, not 5" in trouble("line", "set", "+34910000001", "--targets", "es,fr,de,it,pt")


def test_what_cannot_be_is_refused_with_one_sentence(prompt: str, tmp_path: Path) -> None:
    """Unknown schools, languages, levels, scenes, numbers, files: what it is and what to do."""
    ringua("school", "add", "North")
    long = tmp_path / "long.txt"
    long.write_text("word " * 2_000, "utf-8")
    assert "no school named South" in trouble("line", "add", "+34910000001", "--school", "South")
    assert "There is no language tlh" in trouble("line", "add", "+34910000001", "--school", "North", "--target", "tlh")
    assert "There is no level Z9" in trouble("line", "add", "+34910000001", "--school", "North", "--level", "Z9")
    assert "ja is no native language" in trouble("line", "add", "+34910000001", "--school", "North", "--native", "ja")
    assert "ar is no target language" in trouble("line", "add", "+34910000001", "--school", "North", "--target", "ar")
    assert "There is no scenario" in trouble("line", "add", "+34910000001", "--school", "North", "--scenarios", "moon")
    assert "not a telephone number" in trouble("line", "add", "12", "--school", "North")
    assert "characters" in trouble("line", "add", "+34910000001", "--school", "North", "--prompt", str(long))
    assert "cannot be read" in trouble("line", "add", "+34910000001", "--school", "North", "--prompt", "/nowhere")
    assert "There is no line" in trouble("line", "show", "+34910000001")
    assert "There is no time zone" in trouble("school", "add", "East", "--timezone", "Mars/Olympus")
    assert "already" in trouble("school", "add", "North")
    assert "already" in trouble("school", "add", " North ")
    for nothing in ("", "  "):
        assert "A school needs a name" in trouble("school", "add", nothing)
    ringua("line", "add", "+34910000001", "--school", "North")
    assert "ja is no native language" in trouble("line", "set", "+34910000001", "--native", "ja")
    assert "already has a line" in trouble("line", "add", "+34910000001", "--school", "North")


def test_scenes_are_listed_for_people_and_for_programs() -> None:
    """A table, or JSON."""
    assert "cafe_order" in ringua("scenario", "list").output
    scenes = json.loads(ringua("scenario", "list", "--native", "es", "--json").output)
    assert next(scene for scene in scenes if scene["id"] == "cafe_order")["title"] == "En la cafetería"


@pytest.fixture
def sol(prompt: str) -> str:
    """A line of a school in Puerto Rico that takes calls; its number."""
    ringua("school", "add", "Colegio Sol", "--timezone", "America/Puerto_Rico")
    ringua(
        *("line", "add", "+17875550100", "--school", "Colegio Sol", "--native", "en", "--target", "es"),
        *("--level", "A2", "--prompt", prompt, "--scenarios", "cafe_order"),
    )
    return "+17875550100"


@pytest.fixture
def pharmacy(tmp_path: Path) -> str:
    """A file with the scene of the documentation."""
    path = tmp_path / "pharmacy.toml"
    path.write_text(EXAMPLE, "utf-8")
    return str(path)


def test_class_prompts_are_added_with_their_days_and_listed(sol: str, tmp_path: Path) -> None:
    """A dated version goes before the standing one in its days; the list says which is live today."""
    week = tmp_path / "week.toml"
    week.write_text('theme = "El mercado"\nvocabulary = ["la [gran] manzana"]\n', "utf-8")
    added = ringua("line", "prompt", "add", sol, str(week), "--from", "2020-01-06", "--to", "2020-01-12")
    assert added.output == "Added version 2 to +17875550100, from 2020-01-06 to 2020-01-12.\n"
    assert re.search(r"1 .*today.*theme: el café", ringua("line", "prompt", "list", sol).output)
    assert ringua("line", "prompt", "add", sol, str(week), "--from", "2020-01-06", "--to", "2999-01-01").exit_code == 0
    listed = ringua("line", "prompt", "list", sol).output
    assert re.search(r"3 .*today.*theme: El mercado", listed)
    assert "[gran]" in listed
    assert not re.search(r"(?m)^\W+[12] .*today", listed)
    assert "El mercado" in ringua("line", "show", sol).output


def test_a_class_prompt_that_cannot_be_is_refused(sol: str, prompt: str, tmp_path: Path) -> None:
    """Days that are none, an end before the beginning, too many words, no file: one sentence each."""
    many = tmp_path / "many.txt"
    many.write_text("vocabulary: " + ", ".join(f"w{n}" for n in range(61)), "utf-8")
    assert "monday is no day" in trouble("line", "prompt", "add", sol, prompt, "--from", "monday")
    ends_early = ("--from", "2026-11-29", "--to", "2026-11-23")
    assert "before it begins" in trouble("line", "prompt", "add", sol, prompt, *ends_early)
    assert "61 words" in trouble("line", "prompt", "add", sol, str(many))
    assert "cannot be read" in trouble("line", "prompt", "add", sol, "/nowhere")
    assert "There is no line" in trouble("line", "prompt", "list", "+34910009999")


def test_a_scene_of_the_school_s_own_goes_on_a_line(sol: str, pharmacy: str) -> None:
    """Checked, added, listed with the school's scenes, put on a line, shown, removed again."""
    assert ringua("scenario", "check", pharmacy).output == "Nothing wrong.\n"
    assert "There is no scenario own_pharmacy" in trouble("line", "set", sol, "--scenarios", "own_pharmacy")
    assert ringua("scenario", "add", "Colegio Sol", pharmacy).output.startswith("Added own_pharmacy to Colegio Sol;")
    assert "own_pharmacy" in ringua("scenario", "list", "--school", "Colegio Sol").output
    assert "own_pharmacy" not in ringua("scenario", "list").output
    assert ringua("line", "set", sol, "--scenarios", "own_pharmacy,cafe_order").exit_code == 0
    assert "a pharmacist" in ringua("prompt", "show", "--scenario", "own_pharmacy", "--line", sol).output
    assert ringua("scenario", "remove", "Colegio Sol", "own_pharmacy").exit_code == 0
    assert "has no scene own_pharmacy" in trouble("scenario", "remove", "Colegio Sol", "own_pharmacy")


def test_what_is_wrong_with_a_scene_is_said_line_by_line(sol: str, tmp_path: Path) -> None:
    """Each problem is a sentence with its line; nothing is added; a file that is not there is one, too."""
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(EXAMPLE.replace("minutes = 6", "minutes = 60").replace("key = 5", "key = 0"), "utf-8")
    for command in (("scenario", "check"), ("scenario", "add", "Colegio Sol")):
        first, second = trouble(*command, str(wrong)).splitlines()
        assert (first.partition(",")[0], second.partition(",")[0]) == ("line 3", "line 5")
    assert "cannot be read" in trouble("scenario", "check", "/nowhere.toml")
    assert "no school named South" in trouble("scenario", "add", "South", str(wrong))


def test_what_the_model_is_told_is_shown_exactly(sol: str) -> None:
    """The instructions as the model gets them, with a line its class's words; tools and settings follow as JSON."""
    choice = ("--native", "en", "--target", "es", "--level", "a1")
    scene = catalogue.load().scene("cafe_order", native="en", target="es", level="A1")
    assert ringua("prompt", "show", "--scenario", "cafe_order", *choice).output == instructions(scene) + "\n"
    whole = ringua("prompt", "show", "--scenario", "cafe_order", "--line", sol, "--tools", "--session").output
    assert "# Level A2\n" in whole
    assert 'due: "un café; con leche; para llevar"' in whole
    decoder, rest = json.JSONDecoder(), whole[whole.index("\n\n[") + 2 :]
    tools, end = decoder.raw_decode(rest)
    assert {"mark_goal", "end_call"} <= {tool["name"] for tool in tools}
    settings = json.loads(rest[end:])
    assert "con leche" in settings["audio"]["input"]["transcription"]["keywords"]
    assert "instructions" not in settings


def test_what_cannot_be_shown_is_refused() -> None:
    """Missing choices without a line, and names that do not exist."""
    assert "--target and --level is missing" in trouble("prompt", "show", "--scenario", "cafe_order", "--native", "en")
    choice = ("--native", "en", "--target", "es", "--level", "A1")
    assert "There is no scenario moon" in trouble("prompt", "show", "--scenario", "moon", *choice)


def test_serving_without_a_model_says_what_to_set() -> None:
    """A line that cannot speak does not start."""
    assert "OPENAI_API_KEY is missing" in trouble("serve")


def test_the_database_is_upgraded_by_a_command() -> None:
    """Once a release; a second time changes nothing."""
    assert ringua("db", "upgrade").output.startswith("The database is at revision")
    assert ringua("db", "upgrade").exit_code == 0


# --- callers and their safety


@pytest.fixture
def line(prompt: str) -> str:
    """A line that takes calls."""
    ringua("school", "add", "Colegio Sol")
    ringua(
        *("line", "add", "+17875550100", "--school", "Colegio Sol", "--native", "en", "--target", "es"),
        *("--level", "A1", "--prompt", prompt, "--scenarios", "cafe_order"),
    )
    return "+17875550100"


def test_a_lines_safety_is_set_and_says_what_is_still_missing(line: str) -> None:
    """A line for children without anybody who is told, and younger callers than the operator allows, are mentioned."""
    changed = ringua("line", "safety", line, "--helpline", "988", "--minors", "13+", "--kids")
    assert "Nobody is told of a call in which a child needs help" in changed.output
    assert "RINGUA_MINORS" in changed.output
    told = ringua("line", "safety", line, "--contact", "+1 787 555 0199")
    assert "Nobody is told" not in told.output
    assert "0199" not in told.output
    assert "--minors" in trouble("line", "safety", line, "--minors", "all")
    assert "telephone number" in trouble("line", "safety", line, "--contact", "the head teacher")


def test_a_pin_is_shown_once(line: str) -> None:
    """Four digits for a teacher; a family's PIN needs the child, by number or otherwise."""
    issued = ringua("pin", "issue", line, "--role", "teacher").output
    assert re.match(r"\d{4}: the PIN of a teacher on \+17875550100\.", issued)
    assert "--caller" in trouble("pin", "issue", line, "--role", "family")
    assert "0 learners" in trouble("pin", "issue", line, "--role", "family", "--caller", "+17875550123")
    assert "--role" in trouble("pin", "issue", line, "--role", "headmaster")


def test_flagged_calls_are_listed_until_somebody_has_looked(line: str) -> None:
    """Nothing to look at is said so; a call that is none of the school's is refused."""
    assert ringua("flag", "list", "Colegio Sol").output == "No call waits to be looked at.\n"
    assert "has no call" in trouble("flag", "seen", "Colegio Sol", "CA" + "0" * 32)
