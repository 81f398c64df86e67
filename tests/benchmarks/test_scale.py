"""The scale benchmark, small: the same rows from the same seed, every query of a call asked, and figures that judge."""

from __future__ import annotations

import ast
import hashlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from benchmarks.scale import cluster, report
from benchmarks.scale.call_rows import CallRows
from benchmarks.scale.cluster import CannotMeasure
from benchmarks.scale.fill import fill, tables_of
from benchmarks.scale.material import Material
from benchmarks.scale.measure import Night, Taken, night, open_pages, visits, walk
from benchmarks.scale.path import BESIDE, LEFT_OUT, QUERIES, STEPS, THROUGH
from benchmarks.scale.plans import Plan, explained
from benchmarks.scale.report import Found
from benchmarks.scale.school_rows import SchoolRows
from benchmarks.scale.world import Sizes, World
from db.engine import Database
from tutor.script import catalogue

TOP = Path(__file__).parent.parent.parent
NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
SMALL = Sizes(NOW, schools=4, learners=120, calls=2_400, with_words=600)
TINY = replace(SMALL, schools=2, learners=20, calls=300, with_words=60)
FIXED = replace(TINY, until=datetime(2026, 11, 21, 12, tzinfo=UTC))


def digests(sizes: Sizes) -> dict[str, str]:
    """What each table's rows come to."""
    found = {}
    for table in tables_of(World(sizes)):
        rows = hashlib.sha256()
        for _, lines in table.chunks():
            rows.update(lines)
        found[table.name] = rows.hexdigest()
    return found


def test_the_same_seed_gives_the_same_rows() -> None:
    """Byte for byte in every table, whenever and wherever; another seed gives other people."""
    first, second = digests(FIXED), digests(FIXED)
    assert first == second
    other = digests(replace(FIXED, seed=2))
    assert {name for name in first if first[name] == other[name]} == {"carrier_accounts"}


def test_schools_and_callers_are_of_every_size() -> None:
    """Some schools are large and most are small, some people call every day and most once a week."""
    world = World(replace(FIXED, schools=50, learners=5_000, calls=100_000))
    assert world.school_size.sum() == 5_000
    assert world.school_size[0] > 6 * sorted(world.school_size.tolist())[25] > 0
    calls = sorted(world.learner_calls.tolist())
    assert sum(calls) == 100_000
    assert calls[0] >= 1
    assert calls[-1] > 5 * calls[2_500]
    assert (world.call_at[1:] >= world.call_at[:-1] - 900).all()
    assert world.call_at.max() + 900 >= FIXED.until.timestamp() - 86_400


def schema(url: str) -> tuple[set[str], set[str]]:
    """Every index and every constraint of a database."""
    with psycopg.connect(url) as connection:
        indexes = connection.execute("SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'").fetchall()
        constraints = connection.execute(
            "SELECT conrelid::regclass::text || ' ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint "
            "WHERE connamespace = 'public'::regnamespace"
        ).fetchall()
    return {row[0] for row in indexes}, {row[0] for row in constraints}


async def test_a_small_world_is_asked_everything(database: Database, database_url: str) -> None:
    """It is filled, its indexes and references are back, each query of a call answers, and nothing of it stays."""
    world, shelf = World(SMALL), catalogue.load()
    before, tables = schema(database_url), tables_of(world)
    fill(database_url, tables)
    assert schema(database_url) == before
    rows = {table.name: sum(lines.count(b"\n") for _, lines in table.chunks()) for table in tables}
    assert counted(database_url, rows) == rows
    assert rows["calls"] == 2_400
    assert all(rows.values())

    links = CallRows(world, Material(shelf, SMALL.until), SchoolRows(world))
    calls = visits(world, links, shelf, 4)
    times = await walk(database, calls)
    assert set(times) == {query.name for query in QUERIES}
    assert {len(taken) for taken in times.values()} == {4}
    silent = {name for name, taken in times.items() if not taken[0].statements}
    assert silent == {"jobs.defer"}, "asks on the driver's own connection, past the statements that are counted"
    assert counted(database_url, rows) == rows

    plans = await explained(database, database_url, calls[0])
    body = "\n".join(plans["lines.by_number"][0].lines)
    assert "on lines l" in body, "the plan is of what stands in the function"
    assert all("Execution Time" in "\n".join(plan.lines) for one in plans.values() for plan in one)
    assert counted(database_url, rows) == rows

    assert len(await open_pages(database, calls)) == 4
    lately = lately_practised(world)
    assert (await night(database, shelf, database_url, SMALL.until)).learners == lately > 0


def lately_practised(world: World) -> int:
    """Learners who talked in the seven days before the world stands still."""
    since_s = (world.sizes.until - timedelta(days=7)).timestamp()
    recent = world.call_talked & ~world.call_guest & (world.call_at + 25 >= since_s)
    return len(set(world.call_learner[recent].tolist()))


def counted(url: str, tables: dict[str, int]) -> dict[str, int]:
    """How many rows each table has."""
    with psycopg.connect(url) as connection:
        found = {}
        for table in tables:
            row = connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
            assert row is not None
            found[table] = int(row[0])
    return found


def asked_by_telephony() -> set[str]:
    """Every function of ``db`` that a module of telephony on a call's way gives a session to."""
    found: set[str] = set()
    for path in (TOP / "telephony").rglob("*.py"):
        if path.name not in BESIDE:
            found |= set(asked_in(ast.parse(path.read_text("utf-8"))))
    return found


def asked_in(tree: ast.Module) -> Iterator[str]:
    """The functions of ``db`` that a module calls with a session first."""
    modules: dict[str, str] = {}
    functions: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "db":
            modules |= {alias.asname or alias.name: alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("db."):
            module = str(node.module).removeprefix("db.")
            functions |= {alias.asname or alias.name: f"{module}.{alias.name}" for alias in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and any(
            isinstance(one, ast.Name) and one.id == "session" for one in node.args[:1]
        ):
            match node.func:
                case ast.Attribute(value=ast.Name(id=name), attr=function) if name in modules:
                    yield f"{modules[name]}.{function}"
                case ast.Name(id=name) if name in functions:
                    yield functions[name]


def test_every_query_of_a_call_is_measured() -> None:
    """What telephony asks and what is measured are the same; whatever is left out is named, with a reason."""
    measured = {query.name for query in QUERIES}
    asked = asked_by_telephony()
    assert len(measured) == len(QUERIES), "a name comes twice"
    assert asked - measured - set(LEFT_OUT) == set(), "add these to benchmarks/scale/path.py"
    assert set(LEFT_OUT) - asked == set(), "nobody asks for these any more"
    assert measured - asked == STEPS | THROUGH
    assert all(len(reason) > 10 for reason in LEFT_OUT.values())
    assert {path.name for path in (TOP / "telephony").rglob("*.py")} >= set(BESIDE)


def test_a_directory_with_another_world_is_left_alone(tmp_path: Path) -> None:
    """What somebody filled is neither measured as something else nor filled over."""
    mark = '{"sizes": {"learners": 7}, "seconds": 1.0}'
    (tmp_path / "ringua-scale.json").write_text(mark)

    def never(url: str) -> None:
        raise AssertionError("it was filled over")

    refused = pytest.raises(CannotMeasure, match=r"name another directory, or remove this one\.$")
    with refused, cluster.filled(tmp_path, TINY, never, keep=True):
        pass
    assert (tmp_path / "ringua-scale.json").read_text() == mark


def test_a_world_that_does_not_fit_on_the_disk_is_refused(tmp_path: Path) -> None:
    """Before anything is written: a full disk hurts whoever else uses it."""
    endless = replace(TINY, calls=10**13)
    with pytest.raises(CannotMeasure, match="must be free"), cluster.filled(tmp_path, endless, print, keep=True):
        pass
    assert list(tmp_path.iterdir()) == []


FAST = [Taken(1.5, 0.0, 1, 1.0) for _ in range(100)]
TIMES = {query.name: FAST for query in QUERIES}
FOUND = Found(SMALL, "18.4", 10**9, 60.0, True, 100, TIMES, TIMES, FAST, FAST, Night(80, 2.0))


def missed(found: Found, slack: float = 1.0) -> list[str]:
    """The sentences of what was missed."""
    return [verdict.sentence for verdict in report.judge(found, slack=slack) if not verdict.met]


def test_each_goal_is_judged_by_the_designs_figures() -> None:
    """Below 10 ms at p99 for every query, cold and warm; below 200 ms for a page; below ten minutes for a night."""
    assert missed(FOUND) == []
    assert len(report.judge(FOUND)) == 2 * len(report.ON_THE_WAY) + 3
    slow = [*FAST[:97], *(Taken(12.0, 0.0, 1, 11.0) for _ in range(3))]
    cold = replace(FOUND, cold={**TIMES, "learners.plays": slow})
    assert missed(cold) == ["missed: learners.plays, cold, p99 11.0 ms, to stay below 10."]
    assert missed(cold, slack=2) == []
    assert missed(replace(FOUND, pages_warm=[Taken(250.0, 0.0)], night=Night(80, 700.0))) == [
        "missed: the debrief page, warm, p99 250.0 ms, to stay below 200.",
        "missed: the nightly analysis of 80 learners 700.0 s, to stay below 600.",
    ]
    assert len(missed(replace(FOUND, cold={**TIMES, "learners.plays": []}))) == 1, "nothing measured is nothing met"


def test_the_page_has_the_table_the_plans_and_the_command(tmp_path: Path) -> None:
    """Whoever reads it can run it again, and see how each query was answered."""
    plans = {"lines.get": [Plan("SELECT 1", ("Index Scan using lines_pkey on lines",))], "calls.get": []}
    command = "./run ringua bench --scale --learners 120"
    text = report.write(tmp_path, FOUND, report.judge(FOUND), plans, command).read_text("utf-8")
    assert command in text
    assert "| at the end | observations.confidence_due | 1 | 1.5 / 1.5 | 1.0 / 1.0 | 1.0 / 1.0 |" in text
    assert f"{2 * len(report.ON_THE_WAY)} of {2 * len(report.ON_THE_WAY)} p99" in text
    assert "Index Scan using lines_pkey" in text
    assert text.count("<details>") == 1, "what was shown before is not shown again"
    assert "nan" not in text
    busy = {**TIMES, "calls.get": [Taken(1.0, 99.0, 1, 1.0)] * 100}
    assert "not quiet" not in text
    assert "not quiet" in "\n".join(report.summary(replace(FOUND, warm=busy), report.judge(FOUND)))


def test_sizes_that_make_no_world_are_refused() -> None:
    """One sentence, and nothing is started."""
    for options, said in (
        (["--learners", "500", "--calls", "100"], "a learner a school and a call a learner"),
        (["--calls", "100000000"], "from 1 to 10,000,000"),
    ):
        command = [sys.executable, "-m", "benchmarks.scale", *options]
        ended = subprocess.run(command, cwd=TOP, capture_output=True, text=True, timeout=60, check=False)
        assert ended.returncode == 2
        assert said in ended.stderr


@pytest.mark.long
def test_a_middle_size_stays_within_ten_times_the_limits(capsys: pytest.CaptureFixture[str]) -> None:
    """5,000 learners and 100,000 calls, made, asked and analysed in some minutes; the figures are printed."""
    options = ["--learners", "5000", "--calls", "100000", "--words", "20000", "--callers", "60", "--slack", "10"]
    command = [sys.executable, "-m", "benchmarks.scale", *options]
    ended = subprocess.run(command, cwd=TOP, capture_output=True, text=True, timeout=900, check=False)
    with capsys.disabled():
        print(ended.stdout)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert f"{2 * len(report.ON_THE_WAY)} of {2 * len(report.ON_THE_WAY)} p99" in ended.stdout
