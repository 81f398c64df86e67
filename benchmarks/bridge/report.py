"""What a benchmark found, against what the design wants: the table, the verdicts, and the page in the documentation."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isnan
from pathlib import Path

from rich.table import Table

from benchmarks.bridge.plot import Curve, Panel, svg
from benchmarks.bridge.run import Figures, SideBySide, Spread

JUDGED_CALLS = 100
WIDTH = 136
"""Columns of a terminal that the table needs."""
QUIET = 0.1
"""Share of a core up to which other processes count as silence."""

_COLOURS = {"service": "#b3421b", "relay": "#5b6b7a"}
_HEADINGS = (
    "calls",
    "bridge",
    "CPU s per call-minute",
    "caller to model",
    "model to caller",
    "barge-in",
    "heard, off by",
    "/healthz",
    "kB per call",
    "lost, wrong",
    "own core",
    "others",
)


@dataclass(frozen=True, slots=True)
class Target:
    """A figure of the design, of the service alone."""

    name: str
    limit: float
    unit: str
    value: Callable[[Figures], float]


CPU_LIMIT = 1.5
"""Times the relay that does nothing."""

TARGETS = (
    Target("caller to model, p50", 0.5, "ms", lambda service: service.uplink.p50),
    Target("caller to model, p99", 5.0, "ms", lambda service: service.uplink.p99),
    Target("model to caller, p50", 0.5, "ms", lambda service: service.downlink.p50),
    Target("model to caller, p99", 5.0, "ms", lambda service: service.downlink.p99),
    Target("barge-in, p99", 5.0, "ms", lambda service: service.barge_in.p99),
    Target("what the model is told was heard, off by, p99", 20.0, "ms", lambda service: service.heard_error.p99),
    Target("memory per call after the first", 1_000.0, "kB", lambda service: service.memory_bytes / 1000),
    Target("audio lost or wrong", 0, "pieces", lambda service: service.frames_lost + service.pieces_wrong),
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether one target was reached."""

    met: bool
    sentence: str


def judged_calls(counts: Iterable[int]) -> int | None:
    """The count at which the targets hold: 100, or the largest below that was measured."""
    return max((calls for calls in counts if calls <= JUDGED_CALLS), default=None)


def judge(figures: Sequence[Figures], beside: SideBySide | None, *, slack: float = 1.0) -> list[Verdict]:
    """Judges the service at 100 calls, or at the largest count below; nothing when there is none.

    Args:
        figures: of both subjects, any counts.
        beside: the service beside the relay.
        slack: how many times the limits are allowed (tests on busy machines: 10).
    """
    verdicts = []
    if beside is not None:
        where = f"with {beside.calls} calls each"
        verdicts.append(_verdict("CPU beside the relay", beside.ratio, CPU_LIMIT * slack, "times", where))
    calls = judged_calls(one.calls for one in figures if one.subject == "service")
    for one in figures:
        if one.subject == "service" and one.calls == calls:
            for target in TARGETS:
                value = target.value(one)
                if not (isnan(value) and one.calls == 1):  # a single call has no second one's memory
                    where = f"at {one.calls} calls"
                    verdicts.append(_verdict(target.name, value, target.limit * slack, target.unit, where))
    return verdicts


def _verdict(name: str, value: float, limit: float, unit: str, where: str) -> Verdict:
    met = value <= limit  # not a number: nothing was measured, so nothing is met
    return Verdict(met, f"{'met' if met else 'missed'}: {name} {value:.2f} {unit}, to reach {limit:g}, {where}.")


def quiet(figures: Sequence[Figures]) -> str | None:
    """A sentence when others used the machine meanwhile."""
    most = max((one.others for one in figures), default=0.0)
    if most <= QUIET:
        return None
    return f"The machine was not quiet: other processes used up to {most:.0%} of a core, so delays are upper bounds."


def _rows(figures: Sequence[Figures]) -> list[tuple[str, ...]]:
    return [
        (
            str(one.calls),
            one.subject,
            f"{one.cpu_s:.3f}",
            _spread(one.uplink),
            _spread(one.downlink),
            _spread(one.barge_in),
            _spread(one.heard_error),
            _spread(one.lag),
            _number(one.memory_bytes / 1000, digits=0),
            f"{one.frames_lost}, {one.pieces_wrong}",
            f"{one.own_core:.0%}",
            f"{one.others:.0%}",
        )
        for one in figures
    ]


def _number(value: float, digits: int = 2) -> str:
    return "-" if isnan(value) else f"{value:.{digits}f}"


def _spread(spread: Spread) -> str:
    return f"{spread.p50:.2f} / {spread.p99:.2f}" if spread.count else "-"


def table(figures: Sequence[Figures]) -> Table:
    """The figures for a terminal."""
    shown = Table(title="Milliseconds: p50 / p99", title_style="dim")
    for heading in _HEADINGS:
        shown.add_column(heading, justify="left" if heading == "bridge" else "right")
    for row in _rows(figures):
        shown.add_row(*row)
    return shown


def write(directory: Path, figures: Sequence[Figures], verdicts: Sequence[Verdict], command: str) -> tuple[Path, Path]:
    """Writes ``benchmark.md`` and ``benchmark.svg``, and returns where they are."""
    page, picture = directory / "benchmark.md", directory / "benchmark.svg"
    picture.write_text(svg(_panels(figures)), "utf-8")
    page.write_text(_page(figures, verdicts, command), "utf-8")
    return page, picture


def _panels(figures: Sequence[Figures]) -> tuple[Panel, Panel]:
    def curve(subject: str, label: str, value: Callable[[Figures], float], *, dashed: bool = False) -> Curve:
        points = [(one.calls, value(one)) for one in figures if one.subject == subject]
        return Curve(label, points, _COLOURS[subject], dashed)

    cpu = Panel(
        "CPU seconds per call-minute",
        (
            curve("service", "service", lambda one: one.cpu_s),
            curve("relay", "relay that does nothing", lambda one: one.cpu_s),
            curve("relay", f"{CPU_LIMIT:g} times the relay", lambda one: one.cpu_s * CPU_LIMIT, dashed=True),
        ),
    )
    delay = Panel(
        "added delay, median, ms",
        (
            curve("service", "service, caller to model", lambda one: one.uplink.p50),
            curve("service", "service, model to caller", lambda one: one.downlink.p50, dashed=True),
            curve("relay", "relay, caller to model", lambda one: one.uplink.p50),
            curve("relay", "relay, model to caller", lambda one: one.downlink.p50, dashed=True),
        ),
    )
    return cpu, delay


def _page(figures: Sequence[Figures], verdicts: Sequence[Verdict], command: str) -> str:
    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cells)} |"

    rows = [line(_HEADINGS), line(["---:"] * len(_HEADINGS)), *map(line, _rows(figures))]
    machine = f"{os.cpu_count()} cores ({platform.machine()}), {platform.system()}, Python {platform.python_version()}"
    note = quiet(figures)
    return _PAGE.format(
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        machine=machine,
        command=command,
        note=f"\n{note}\n" if note else "",
        rows="\n".join(rows),
        verdicts="\n".join(f"- {verdict.sentence}" for verdict in verdicts),
    )


_PAGE = """\
# What the bridge costs

Measured on {date} with `{command}` on {machine}: the server on one core, callers and model on another.
{note}
![CPU per call-minute and added delay, by number of calls](benchmark.svg)

Delays are in milliseconds, p50 / p99.

{rows}

{verdicts}

## How to read it

The **service** is `ringua serve` as it is: signed webhooks, a real database, one-use tokens, warm clips, µ-law
converted to what the model was asked to speak. The **relay** does nothing: FastAPI and websockets, the caller's base64
moved from one envelope into the other. Read the service beside the relay, not the absolute figures, which are those of
this machine on that day. The ratio of their CPU is measured with both on one core at the same time.

- *CPU* is that of the median second.
- *Callers* send 20 ms frames by absolute deadlines, play in real time, and echo marks. Each frame, and each reply of
  the model, carries a level by which it is known again on the other side: lost, doubled, late and swapped audio shows
  as lost or wrong.
- *The model* speaks half of the time: replies of three seconds, generated eight times as fast as they are spoken. Every
  second reply is spoken over.
- *Caller to model, model to caller*: from the moment one end sends to the moment the other has it; towards the caller
  for the first second of each reply, because the rest waits on purpose.
- *Barge-in*: from the model's word that the learner speaks to the carrier's order to be silent.
- *Heard, off by*: what the model was told the caller heard, beside what the caller had played.
- */healthz*: how long the smallest request takes meanwhile, which is how long the event loop keeps others waiting.
- *Own core*: the callers' and the model's share of their core. Above 80 % nothing is reported. *Others*: the share of
  the busier core that foreign processes used.
"""
