"""Runs every check of the project: format, lint, types, tests.

Whole calls in real time come first and have the machine for themselves: they are as late as others make them.

``--long`` adds chaos, soak and scale, and new examples for the property tests.
Other arguments go to pytest: ``./run test tests/tutor -k goals``; with ``--long`` they choose among the long tests.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

PYTHON = sys.executable
CALLS = "tests/journeys"
CALLS_AT_ONCE = 2
"""Files of calls at the same time: each keeps about a third of a core busy."""
WORKERS = min(4, os.cpu_count() or 1)


@contextmanager
def step(name: str) -> Iterator[None]:
    """Says what is being checked and how long it took."""
    print(f"--- {name}", flush=True)
    began = time.monotonic()
    yield
    print(f"    {time.monotonic() - began:.1f} s", flush=True)


def check(*command: str) -> None:
    """Runs one check and ends the run with its exit code when it fails."""
    code = subprocess.run(command, check=False).returncode
    if code:
        raise SystemExit(code)


def tests(*options: str) -> None:
    """Runs the calls, then all other tests; ends the run when one fails."""
    # A file's tests stay together: the calls of a journey's module are placed at the same time, once.
    together = (PYTHON, "-m", "pytest", "--dist", "loadfile", "-m", "not long", *options)
    check(*together, "-n", str(CALLS_AT_ONCE), CALLS)
    check(*together, "-n", str(WORKERS), f"--ignore={CALLS}", "tests")


def main(arguments: list[str]) -> None:
    """Runs the checks in the order in which they tell most for the least time."""
    long = "--long" in arguments
    chosen = [argument for argument in arguments if argument != "--long"]
    profile = ["--hypothesis-profile", "searching"] if long else []
    if not chosen:
        with step("format"):
            check(PYTHON, "-m", "ruff", "format", "--check", ".")
        with step("lint"):
            check(PYTHON, "-m", "ruff", "check", ".")
        with step("types"):
            check(PYTHON, "-m", "mypy")
        with step("tests"):
            tests(*profile)
    elif not long:
        with step("tests"):
            check(PYTHON, "-m", "pytest", "-n", str(WORKERS), "--dist", "loadfile", "-m", "not long", *chosen)
    if long:
        with step("long tests"):
            check(PYTHON, "-m", "pytest", *profile, *chosen, "-m", "long")  # one by one: they print what they measured


if __name__ == "__main__":
    main(sys.argv[1:])
