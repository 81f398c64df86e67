"""Runs every check of the project: format, lint, types, tests.

``--long`` adds chaos, soak and scale, and new examples for the property tests.
Other arguments go to pytest: ``./run test tests/tutor -k goals``; with ``--long`` they choose among the long tests.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

PYTHON = sys.executable


def step(name: str, *command: str) -> None:
    """Runs one check and ends the run with its exit code when it fails."""
    print(f"--- {name}", flush=True)
    began = time.monotonic()
    code = subprocess.run(command, check=False).returncode
    print(f"    {time.monotonic() - began:.1f} s", flush=True)
    if code:
        raise SystemExit(code)


def main(arguments: list[str]) -> None:
    """Runs the checks in the order in which they tell most for the least time."""
    long = "--long" in arguments
    chosen = [argument for argument in arguments if argument != "--long"]
    if not chosen:
        step("format", PYTHON, "-m", "ruff", "format", "--check", ".")
        step("lint", PYTHON, "-m", "ruff", "check", ".")
        step("types", PYTHON, "-m", "mypy")
    workers = min(4, os.cpu_count() or 1)
    profile = ["--hypothesis-profile", "searching"] if long else []
    pytest = (PYTHON, "-m", "pytest", *profile, *chosen)
    # A file's tests stay together: the calls of a journey's module are placed at the same time, once.
    if not (long and chosen):
        step("tests", *pytest, "-m", "not long", "-n", str(workers), "--dist", "loadfile")
    if long:
        step("long tests", *pytest, "-m", "long")  # one after the other: they print what they measured


if __name__ == "__main__":
    main(sys.argv[1:])
