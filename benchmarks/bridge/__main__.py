"""``python -m benchmarks.bridge --calls 1,20,100 --seconds 20``: what the bridge costs, beside one that does nothing.

Exit status: 0 every target is met, 1 one is missed, 2 nothing can be said.
"""

from __future__ import annotations

import argparse
import asyncio
import sys

import uvloop
from rich.console import Console

from benchmarks.bridge import report
from benchmarks.bridge.process import CHECKOUT, CannotMeasure, Cores
from benchmarks.bridge.run import Figures, SideBySide, measure, side_by_side
from benchmarks.bridge.subjects import Relay, prepared

MOST_CALLS, MOST_SECONDS = 400, 120
"""The load is bounded: it goes to this machine only, and stops by itself."""


def _counts(text: str) -> tuple[int, ...]:
    counts = tuple(sorted({int(part) for part in text.split(",")}))
    if not counts or counts[0] < 1 or counts[-1] > MOST_CALLS:
        raise argparse.ArgumentTypeError(f"calls are counted from 1 to {MOST_CALLS}")
    return counts


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 1 <= seconds <= MOST_SECONDS:
        raise argparse.ArgumentTypeError(f"a window lasts 1 to {MOST_SECONDS} seconds")
    return seconds


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bridge", description=__doc__)
    parser.add_argument("--calls", type=_counts, default=(1, 20, 100, 200), help="how many at once, e.g. 1,20,100,200")
    parser.add_argument("--seconds", type=_seconds, default=20.0, help="how long each is measured")
    parser.add_argument("--audio", choices=("pcm", "pcmu"), default="pcm", help="what the service asks the model for")
    parser.add_argument("--slack", type=float, default=1.0, help="how many times the limits are allowed; tests use 10")
    parser.add_argument("--write", action="store_true", help="also write docs/benchmark.md and docs/benchmark.svg")
    return parser.parse_args()


def _command(arguments: argparse.Namespace) -> str:
    calls = ",".join(map(str, arguments.calls))
    return f"./run ringua bench --calls {calls} --seconds {arguments.seconds:g} --audio {arguments.audio}"


async def _run(arguments: argparse.Namespace, out: Console) -> tuple[list[Figures], SideBySide | None]:
    cores = Cores.choose()
    figures: list[Figures] = []
    async with prepared(arguments.audio) as service:
        for calls in arguments.calls:
            for subject in (Relay(), service):  # the relay first: it proves the callers
                out.print(f"{subject.name}, {calls} calls, {arguments.seconds:g} s ...", style="dim")
                figures.append(await measure(subject, calls, arguments.seconds, cores, slack=arguments.slack))
        judged = report.judged_calls(arguments.calls)
        if judged is None:
            return figures, None
        each = max(judged // 2, 1)
        out.print(f"both at once, {each} calls each, {arguments.seconds:g} s ...", style="dim")
        return figures, await side_by_side(service, each, arguments.seconds, cores)


def main() -> int:
    """Runs it."""
    arguments = _arguments()
    out = Console(highlight=False)
    out.width = max(out.width, report.WIDTH)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            figures, beside = runner.run(_run(arguments, out))
    except CannotMeasure as error:
        Console(stderr=True, soft_wrap=True, highlight=False).print(str(error))
        return 2
    out.print(report.table(figures))
    verdicts = report.judge(figures, beside, slack=arguments.slack)
    for verdict in verdicts:
        out.print(verdict.sentence, style="" if verdict.met else "bold")
    note = report.quiet(figures)
    if note:
        out.print(note)
    if arguments.write:
        page, picture = report.write(CHECKOUT / "docs", figures, verdicts, _command(arguments))
        out.print(f"Wrote {page} and {picture}.")
    return 0 if all(verdict.met for verdict in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
