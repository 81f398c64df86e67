"""``python -m benchmarks.scale``: makes a world, asks what calls ask, opens pages, runs a night; prints and judges.

Exit status: 0 every goal is met, 1 one is missed, 2 nothing can be said.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from benchmarks.scale import report
from benchmarks.scale.call_rows import CallRows
from benchmarks.scale.cluster import CannotMeasure, Cluster, filled
from benchmarks.scale.fill import Told, fill, tables_of
from benchmarks.scale.material import Material
from benchmarks.scale.measure import Night, Taken, Times, night, open_pages, visits, walk
from benchmarks.scale.plans import Plan, explained
from benchmarks.scale.report import Found
from benchmarks.scale.school_rows import SchoolRows
from benchmarks.scale.world import Sizes, World
from db.embedded import EmbeddedError
from db.engine import Database
from ringua import logs
from tutor.script import catalogue

CHECKOUT: Final = Path(__file__).parent.parent.parent
MOST_CALLS, MOST_CALLERS = 10_000_000, 1_000
"""Everything is bounded; ten million calls take 35 GB."""
WARMING_UP, PAGES = 30, 100


def _count(most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        count = int(text.replace("_", "").replace(",", ""))
        if not 1 <= count <= most:
            raise argparse.ArgumentTypeError(f"it goes from 1 to {most:,}")
        return count

    return read


def _arguments() -> argparse.Namespace:
    this_hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--learners", type=_count(1_000_000), default=150_000, help="how many there are")
    parser.add_argument("--calls", type=_count(MOST_CALLS), default=3_000_000, help="how many there were")
    parser.add_argument("--schools", type=_count(10_000), help="how many there are; default: one for 272 learners")
    parser.add_argument("--words", type=_count(MOST_CALLS), default=50_000, help="the last calls, of which all is kept")
    parser.add_argument("--seed", type=int, default=1, help="another one gives other people")
    parser.add_argument("--until", type=datetime.fromisoformat, default=this_hour, help="the moment, in ISO 8601")
    parser.add_argument("--callers", type=_count(MOST_CALLERS), default=200, help="how many are measured")
    parser.add_argument("--data", type=Path, help="where the database is kept, to be used again; default: nowhere")
    parser.add_argument("--slack", type=float, default=1.0, help="how many times the limits are allowed; tests use 10")
    parser.add_argument("--write", action="store_true", help="also write docs/scale.md")
    return parser.parse_args()


def _sizes(arguments: argparse.Namespace) -> Sizes:
    try:
        return Sizes(
            until=arguments.until,
            schools=arguments.schools or max(1, round(arguments.learners * 551 / 150_000)),
            learners=arguments.learners,
            calls=arguments.calls,
            with_words=min(arguments.words, arguments.calls),
            seed=arguments.seed,
        )
    except ValueError as error:
        raise CannotMeasure(f"{error}.") from error


def _command(sizes: Sizes) -> str:
    until = sizes.until.isoformat(timespec="minutes")
    return (
        f"./run ringua bench --scale --learners {sizes.learners} --calls {sizes.calls} --seed {sizes.seed} "
        f"--until {until}"
    )


def _measured(cluster: Cluster, world: World, callers: int, out: Console) -> tuple[Found, dict[str, list[Plan]]]:
    shelf = catalogue.load()
    links = CallRows(world, Material(shelf, world.sizes.until), SchoolRows(world))
    every = visits(world, links, shelf, callers + WARMING_UP + PAGES)
    measured, others, readers = every[:callers], every[callers : callers + WARMING_UP], every[callers + WARMING_UP :]
    busiest = max(measured, key=lambda visit: visit.calls_before)
    out.print("stopping the database and starting it with nothing in memory ...", style="dim")
    truly_cold = cluster.begin_cold()

    async def work() -> tuple[Times, Times, list[Taken], list[Taken], dict[str, list[Plan]], Night]:
        # One connection: then it is known which process of the database waits for a core.
        database = await Database.connect(cluster.url, pool_size=1, max_overflow=0)
        try:
            await walk(database, others)
            out.print(f"{callers} calls, cold ...", style="dim")
            cold = await walk(database, measured)
            out.print("the same calls, warm ...", style="dim")
            warm = await walk(database, measured)
            out.print(f"{PAGES} pages, cold and warm ...", style="dim")
            await open_pages(database, others)
            pages = [await open_pages(database, readers) for _ in range(2)]
            plans = await explained(database, cluster.url, busiest)
        finally:
            await database.close()
        out.print("one night ...", style="dim")
        database = await Database.connect(cluster.url)
        try:
            return cold, warm, pages[0], pages[1], plans, await night(database, shelf, cluster.url, world.sizes.until)
        finally:
            await database.close()

    cold, warm, pages_cold, pages_warm, plans, one_night = asyncio.run(work())
    found = Found(
        sizes=world.sizes,
        server=cluster.version(),
        disk_bytes=cluster.size_bytes(),
        made_s=cluster.made_s,
        truly_cold=truly_cold,
        callers=callers,
        cold=cold,
        warm=warm,
        pages_cold=pages_cold,
        pages_warm=pages_warm,
        night=one_night,
    )
    return found, plans


def _run(arguments: argparse.Namespace, out: Console) -> int:
    sizes = _sizes(arguments)
    out.print(f"drawing {sizes.learners:,} learners and {sizes.calls:,} calls ...", style="dim")
    world = World(sizes)
    home = arguments.data or Path(tempfile.mkdtemp(prefix="ringua-scale-"))

    def make(url: str) -> None:
        with _progress(out) as told:
            fill(url, tables_of(world), told)

    with filled(home.expanduser().resolve(), sizes, make, keep=arguments.data is not None) as cluster:
        found, plans = _measured(cluster, world, arguments.callers, out)
    out.print(report.table(found))
    verdicts = report.judge(found, slack=arguments.slack)
    for sentence in report.summary(found, verdicts):
        out.print(sentence)
    if arguments.write:
        out.print(f"Wrote {report.write(CHECKOUT / 'docs', found, verdicts, plans, _command(sizes))}.")
    return 0 if all(verdict.met for verdict in verdicts) else 1


@contextmanager
def _progress(out: Console) -> Iterator[Told]:
    """A bar for each table."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=out) as progress:
        bars: dict[str, TaskID] = {}

        def told(what: str, done: int, of: int) -> None:
            if what not in bars:
                bars[what] = progress.add_task(what, total=of)
            progress.advance(bars[what], done)

        yield told


def main() -> int:
    """Runs it."""
    arguments = _arguments()
    logs.configure(level="WARNING")
    out = Console(highlight=False)
    out.width = max(out.width, report.WIDTH)
    try:
        return _run(arguments, out)
    except (CannotMeasure, EmbeddedError) as error:
        Console(stderr=True, soft_wrap=True, highlight=False).print(str(error))
        return 2


if __name__ == "__main__":
    sys.exit(main())
