"""The command line's part on what came of it: the measures of success, and the nightly analysis by hand."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Column, Table

from ringua import logs, reporting, storage
from ringua.jobs import nightly
from ringua.reporting import BANDS, LEAST_GROUP, Cohort, Figure, Report
from ringua.settings import load
from ringua.terminal import find_school, out, run
from tutor.script import catalogue

_AIMS = ("aim", "", "8", "", "80%", "-50%", "", "")


def report(
    school: Annotated[str | None, typer.Option(help="One school; without it all together.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")] = False,
) -> None:
    """Shows whether learners talk more, need less and dare more, by the month in which they began."""

    async def work() -> None:
        async with storage.opened(load()) as data:
            chosen = await find_school(data, school) if school is not None else None
            found = await reporting.report(data.database, chosen)
        if as_json:
            out.print_json(json.dumps(found.write()))
        else:
            _show(found)

    run(work())


def analyse() -> None:
    """Works out now what the nightly analysis does at 03:00 UTC: the profile of everybody who practised lately."""
    logs.configure(level="WARNING")

    async def work() -> None:
        settings = load()
        shelf = catalogue.load().with_preset(settings.level_preset)
        async with storage.opened(settings) as data:
            done = await nightly.analyse(data.database, shelf, at=datetime.now(UTC))
        out.print(f"Worked out the profiles of {done} learner{'' if done == 1 else 's'}.")

    run(work())


def _show(found: Report) -> None:
    table = Table(
        Column("Began", no_wrap=True),
        *(
            Column(name, justify="right")
            for name in (
                "Learners",
                "Turns a call",
                "Calls of 8+ turns",
                "More confident after 2 weeks",
                "Asking again, calls 8-10 against 1-3",
                "Picks above their level",
            )
        ),
        "Scenes completed by difficulty",
    )
    for cohort in found.cohorts:
        table.add_row(*_row(cohort))
    table.add_section()
    table.add_row(*_row(found.everybody))
    table.add_row(*_AIMS, style="dim")
    out.print(table)
    out.print(f"Figures of fewer than {LEAST_GROUP} learners are not shown.")


def _row(cohort: Cohort) -> tuple[str, ...]:
    completed = [f"{band} {_share(cohort.completed[band])}" for band in BANDS if band in cohort.completed]
    turns = cohort.turns.value
    return (
        cohort.name,
        f"under {LEAST_GROUP}" if cohort.learners is None else str(cohort.learners),
        "-" if turns is None else f"{turns:.1f}",
        _share(cohort.long_calls),
        _share(cohort.confidence),
        _share(cohort.clarifications, signed=True),
        _share(cohort.above),
        ", ".join(completed) or "-",
    )


def _share(figure: Figure, *, signed: bool = False) -> str:
    if figure.value is None:
        return "-"
    return f"{figure.value:+.0%}" if signed else f"{figure.value:.0%}"
