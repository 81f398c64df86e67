"""The page about privacy says what is true: every table is in it, and its days and commands are the program's."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.main import get_command

from db import carrier_copies, pages, policies, retention
from db.audio_files import DIRECTORY, LONGEST_S
from db.policies import Policy
from ringua.cli import app
from tests.db.clusters import address_of
from tutor.safety.minors import MINORS

PAGE = (Path(__file__).parent.parent / "docs" / "privacy.md").read_text("utf-8")
INVENTORY = PAGE[PAGE.index("## What is where") : PAGE.index("## What leaves the house")]
ROW = re.compile(r"^\| `(\w+)` \|(.*)\|$", re.MULTILINE)


def test_every_table_is_in_the_inventory(cluster: str, template: str) -> None:
    """Each table of the database, the job queue's too, has a row; no row is of a table that does not exist."""
    with psycopg.connect(address_of(cluster, template)) as connection:
        found = connection.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        ).fetchall()
    tables = {name for (name,) in found} - {"alembic_version"}
    named = [name for name, _ in ROW.findall(INVENTORY)]
    assert set(named) == tables
    assert len(named) == len(set(named))


def test_each_row_says_what_why_how_long_and_who() -> None:
    """No cell of the inventory is empty."""
    for name, cells in ROW.findall(INVENTORY):
        assert [bool(cell.strip()) for cell in cells.split("|")] == [True] * 4, name


def test_the_days_are_the_program_s() -> None:
    """Defaults and ranges on the page are those of the code."""
    shown = PAGE[PAGE.index("## How long") : PAGE.index("## What is where")]
    default = Policy()
    for option, value, unit in (
        ("transcript_days", default.transcript_days, "days"),
        ("metrics_days", default.metrics_days, "days"),
        ("learner_days", default.learner_days, "days"),
        ("audio_hours", "none" if default.audio_hours == 0 else default.audio_hours, ""),
    ):
        least, most = policies.RANGES[option]
        row = next(line for line in shown.splitlines() if f"`--{option.replace('_', '-')}`" in line)
        assert f"| {f'{value} {unit}'.strip()} |" in row
        assert f"{least} to {most}" in row
    assert f"{retention.RETURNS.seconds // 60} minutes" in shown
    assert f"{pages.LASTS.days} days" in INVENTORY
    assert f"{retention.TEXTS_RECEIVED_LAST.days} days" in INVENTORY
    assert LONGEST_S == 24 * 3600
    assert f"up to {carrier_copies.TRIED_FOR.days} days" in PAGE
    assert f"`{DIRECTORY}/`" in PAGE


@pytest.mark.parametrize("line", [line for line in PAGE.splitlines() if line.startswith("ringua ")])
def test_the_commands_exist(line: str) -> None:
    """Each command on the page is one, with the options that are written there."""
    words = line.partition("#")[0].replace('"Colegio Sol"', "SCHOOL").split()[1:]
    command: Any = get_command(app)
    for word in words[:2]:
        command = command.commands[word]
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    assert {word for word in words if word.startswith("--")} <= known


def test_the_settings_for_minors_exist() -> None:
    """What the page says of RINGUA_MINORS is what the program takes."""
    assert {"none", "under13"} <= set(MINORS)
    assert "`RINGUA_MINORS` is `none` unless set" in PAGE
