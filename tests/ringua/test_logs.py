"""What may never stand in a log."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from ringua import logs
from ringua.logs import redact

NUMBER, KEY = "+12025550143", "sk-abcdef123456"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("call from +12025550143 to +34910000001", "call from +…43 to +…01"),
        ("POST /Messages?To=%2B12025550143&From=%2b34910000001", "POST /Messages?To=+…43&From=+…01"),
        ("key sk-abcdef123456 refused", "key sk-… refused"),
        ("at +5 dB, 3+4, a+1234567", "at +5 dB, 3+4, a+1234567"),
        ("CA0123456789abcdef", "CA0123456789abcdef"),
    ],
)
def test_numbers_and_keys_are_cut_and_nothing_else(text: str, shown: str) -> None:
    """The last two digits stay, so that an operator can tell two callers apart."""
    assert redact(text) == shown


@pytest.fixture
def configured() -> Iterator[None]:
    """Logging as it was before, once the test is over."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


class Wrapped:
    """Something that shows a number and a key when it is printed."""

    def __str__(self) -> str:
        return f"{NUMBER} {KEY}"


def logged() -> None:
    """Everything in which a number and a key could come along."""
    log = structlog.get_logger("test")
    log.error(f"to {NUMBER}", problems=[f"{KEY} was refused", {"from": NUMBER, NUMBER: 1}], who=Wrapped())
    package = logging.getLogger("a.package")
    package.warning("refused %s for %s", KEY, NUMBER)
    try:
        raise ValueError(f"{KEY} of {NUMBER}")
    except ValueError as error:
        log.exception("went_wrong", error=error, path=Path(f"/x/{NUMBER}"))
        package.exception("broke")


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize("as_json", [True, False])
def test_nothing_slips_through(as_json: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither in a list, a mapping, an object or an error, nor in what a library logs, on a terminal and elsewhere."""
    logs.configure(json=as_json)
    logged()
    written = capsys.readouterr().err
    assert "2025550143" not in written
    assert "abcdef123456" not in written
    assert written.count("+…43") >= 8
    if as_json:
        lines = [json.loads(line) for line in written.splitlines()]
        assert [line["level"] for line in lines] == ["error", "warning", "error", "error"]
        assert lines[1]["logger"] == "a.package"
        assert lines[1]["event"] == "refused sk-… for +…43"


@pytest.mark.usefixtures("configured")
def test_set_up_twice_it_says_everything_once(capsys: pytest.CaptureFixture[str]) -> None:
    """A command that starts another part of itself does not log each line of a library twice."""
    logs.configure(json=True)
    logs.configure(json=True)
    logging.getLogger("a.package").warning("once")
    logging.getLogger("a.package").info("not at all")
    assert capsys.readouterr().err.count('"event"') == 1
