"""Scripts: read from JSON with clear errors, spent once, and obeyed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rehearsal.realtime_role import quoted
from rehearsal.realtime_script import Fault, Script, ScriptError, Spending, ToolCall, Turn, dump, load, parse

FULL: dict[str, Any] = {
    "opening": "Hola.",
    "turns": [
        {
            "hears": None,
            "says": ["Uno.", "Dos."],
            "tools": [{"name": "order", "arguments": {"what": "café"}}],
            "faults": [{"kind": "drop", "at": "response.done", "times": None}],
        }
    ],
    "asides": {"hint": "Pista."},
    "language": "es",
    "pace": 2,
    "moderation": {"violence": ["kill"]},
    "text": [{"match": "debrief", "json": {"a": 1}}],
}


def test_a_script_is_read_and_written_alike(tmp_path: Path) -> None:
    """Dict, JSON text, a file and what `dump` writes are the same script."""
    script = parse(FULL)
    assert script.turns == (
        Turn(
            hears=None,
            says=("Uno.", "Dos."),
            tools=(ToolCall("order", {"what": "café"}),),
            faults=(Fault("drop", at="response.done", times=None),),
        ),
    )
    file = tmp_path / "script.json"
    file.write_bytes(dump(script))
    assert parse(dump(script)) == load(file) == script
    assert parse({}) == Script()


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("{", "The script is not JSON: "),
        ("[]", "The script cannot be played: the whole: "),
        ({"turn": []}, "The script cannot be played: turn: there is no such field."),
        ({"turns": [{"says": "Hola"}]}, "The script cannot be played: turns[0].says: a list is expected here."),
        ({"turns": [{}, {"tools": [{}]}]}, "The script cannot be played: turns[1].tools[0].name: "),
        ({"faults": [{"kind": "fire"}]}, "The script cannot be played: faults[0].kind: Input should be 'drop', "),
        ({"faults": [{"kind": "drop", "nth": 0}]}, "The script cannot be played: faults[0].nth: "),
        ({"turns": [{"delay_ms": -1}]}, "The script cannot be played: turns[0].delay_ms: "),
        ({"pace": 0}, "The script cannot be played: pace: "),
    ],
)
def test_a_wrong_script_is_one_sentence(source: Any, sentence: str) -> None:
    """Every mistake names its place and what is wrong there."""
    with pytest.raises(ScriptError) as caught:
        parse(source)
    assert str(caught.value).startswith(sentence)
    assert str(caught.value).endswith(".")


def test_a_script_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    """A missing file is a sentence too."""
    with pytest.raises(ScriptError, match=r"cannot be read: No such file or directory\."):
        load(tmp_path / "none.json")


def test_times_are_counted_per_fault() -> None:
    """A fault happens as often as it may; two that look alike are two."""
    spending, first, second = Spending(), Fault("drop", times=2), Fault("drop", times=2)
    assert [spending.spend(first) for _ in range(3)] == [True, True, False]
    assert spending.may(second)
    assert all(spending.spend(always) for always in [Fault("hang", times=None)] * 5)


@pytest.mark.parametrize(
    ("texts", "read"),
    [
        (("Say «a» then «b».",), "a"),
        (("«a", "«b»"), "b"),
        (("«a»", "nothing"), "a"),
        (("« »",), None),
        (("say nothing",), None),
        ((None,), None),
        ((), None),
        (("«a «b» c»",), "a «b» c"),
    ],
)
def test_the_rule_of_obedience(texts: tuple[str | None, ...], read: str | None) -> None:
    """The first whole quotation of the last text that has one is read aloud, its own quotations included."""
    assert quoted(texts) == read
