"""The command line's part on what came of it: the measures of success, how well the line did, the nightly analysis."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Column, Table

from ringua import logs, quality, reporting, storage
from ringua.jobs import nightly
from ringua.quality import P50_MS, P95_MS, WEEKS, Quality, Trend
from ringua.reporting import BANDS, LEAST_GROUP, Cohort, Figure, Report
from ringua.settings import load
from ringua.terminal import find_school, out, run
from tutor.script import catalogue

_AIMS = ("aim", "", "8", "", "80%", "-50%", "", "")


def report(
    school: Annotated[str | None, typer.Option(help="One school; without it all together.")] = None,
    weeks: Annotated[
        int, typer.Option(min=1, max=57, help="How many weeks of how the line did, this one included.")
    ] = WEEKS,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")] = False,
) -> None:
    """Shows whether learners talk more, need less and dare more, and how well the line itself did, week by week.

    Learners are taken by the month in which they began. For those who teach and those who run the line: nothing of it
    is told to learners.
    """

    async def work() -> None:
        async with storage.opened(load()) as data:
            chosen = await find_school(data, school) if school is not None else None
            found = await reporting.report(data.database, chosen)
            trend = await quality.trend(data.database, chosen, weeks=weeks, now=datetime.now(UTC))
        if as_json:
            out.print_json(json.dumps({**found.write(), "line": trend.write()}))
        else:
            _show(found)
            _show_trend(trend)

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
    if found.satisfaction:
        out.print(_satisfaction(found))
    out.print(f"Figures of fewer than {LEAST_GROUP} learners are not shown.")


def _satisfaction(found: Report) -> Table:
    right = (Column(name, justify="right") for name in ("Asked how it was", "Answered", "Mean (1 to 5, 5 is best)"))
    table = Table("School", *right)
    for school in found.satisfaction:
        table.add_row(school.school, str(school.asked), str(school.answered), f"{school.mean:.1f}")
    return table


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


def _show_trend(trend: Trend) -> None:
    if not trend.weeks:
        out.print("No calls in these weeks.")
        return
    names = ("Turns", "Answer p50", "Answer p95", "Felt gap p50", "Felt gap p95", "From the cache", "Breakdowns a turn")
    table = Table(Column("Week of", no_wrap=True), *(Column(name, justify="right") for name in names))
    for week in trend.weeks:
        table.add_row(*_week(week))
    table.add_section()
    table.add_row(*_week(trend.total))
    table.add_row("aim", "", _ms(P50_MS), _ms(P95_MS), "", "", "", "", style="dim")
    out.print(table)
    reached = {True: "reached", False: "missed", None: "not known: no turn was measured"}[trend.total.in_time]
    out.print(
        f"From the end of a turn to the first sound, half within {P50_MS} ms and 95% within {P95_MS} ms: {reached}."
    )
    middle = trend.total.cached_of_a_call
    if middle is not None:
        out.print(f"Of {trend.total.calls} calls, the one in the middle had {middle:.0%} of its input from the cache.")


def _week(week: Quality) -> tuple[str, ...]:
    return (
        week.name,
        str(week.answers.turns),
        *(_ms(ms) for ms in (week.answers.p50_ms, week.answers.p95_ms, week.gaps.p50_ms, week.gaps.p95_ms)),
        "-" if week.cached is None else f"{week.cached:.0%}",
        "-" if week.breakdowns is None else f"{week.breakdowns:.2f}",
    )


def _ms(ms: int | None) -> str:
    return "-" if ms is None else f"{ms} ms"


def _share(figure: Figure, *, signed: bool = False) -> str:
    if figure.value is None:
        return "-"
    return f"{figure.value:+.0%}" if signed else f"{figure.value:.0%}"
