"""docs/pedagogy.md keeps its promises: every row of the requirements stands there, and what it points at exists."""

from __future__ import annotations

import ast
import importlib
import re
from functools import cache
from pathlib import Path

import pytest

TOP = Path(__file__).parent.parent
PAGE = (TOP / "docs" / "pedagogy.md").read_text("utf-8")

SCOPE = [*range(1, 155)]
"""Every row: setup, scenarios, session, scaffolding, what is remembered, measures, money and security, roles.
Those that are not built, or are no behaviour, say so."""

ROWS = [(int(number), asks, shown) for number, asks, shown in re.findall(r"(?m)^\| (\d+) \| (.+?) \| (.+) \|$", PAGE)]
NUMBERS = re.findall(r"(?m)^\| `([\w.]+)\.([A-Z_]+)` \| ([\d.]+) \| (.+) \|$", PAGE)

NAMED = re.compile(r"`(tests/[^`]+?\.py)::(test_\w+)`")
REASON_WORDS = 5
"""A reason is a sentence."""


@cache
def named_in(file: str) -> frozenset[str]:
    """The names of the tests in a file, those in classes included; none where there is no such file."""
    path = TOP / file
    tree = ast.parse(path.read_text("utf-8") if path.is_file() else "")
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(function.name for function in functions if function.name.startswith("test_"))


def reason(shown: str) -> str:
    """What a row says besides the tests it names."""
    return NAMED.sub("", shown).lstrip(" ,.").strip()


def test_every_row_stands_in_the_table_once() -> None:
    """None is left out, none told twice, and the table is in their order."""
    assert [number for number, _, _ in ROWS] == SCOPE


@pytest.mark.parametrize(("number", "shown"), [(number, shown) for number, _, shown in ROWS])
def test_every_named_test_exists(number: int, shown: str) -> None:
    """Whoever renames a test mends the page; no name in backquotes is anything but a test."""
    named = NAMED.findall(shown)
    assert [name for file, name in named if name not in named_in(file)] == [], number
    assert len(named) == shown.count("`") / 2, number


@pytest.mark.parametrize(("number", "shown"), [(number, shown) for number, _, shown in ROWS])
def test_every_row_has_a_test_or_a_reason(number: int, shown: str) -> None:
    """One or two tests; a row without any says why in a whole sentence, and so does what is added behind one."""
    named, said = NAMED.findall(shown), reason(shown)
    assert len(set(named)) == len(named) <= 2, number
    assert named or said, number
    assert not said or (said.endswith(".") and len(said.split()) >= REASON_WORDS), number


@pytest.mark.parametrize(("module", "name", "value"), [(module, name, value) for module, name, value, _ in NUMBERS])
def test_the_numbers_are_those_of_the_code(module: str, name: str, value: str) -> None:
    """A constant that is changed is changed on the page, too."""
    assert float(value) == getattr(importlib.import_module(module), name)


def test_the_table_of_numbers_is_read() -> None:
    """Every line of it is a number with its source; a slip of the pen would leave it unproven."""
    table = PAGE.partition("## The numbers")[2].partition("\n## ")[0]
    assert len(NUMBERS) == sum(line.startswith("| `") for line in table.splitlines()) > 10
