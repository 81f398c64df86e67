"""`ringua bench`: what a call costs on this machine, and what the database answers when there is much in it.

The benchmarks are part of a checkout, not of an installation.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


class NotACheckout(Exception):
    """The benchmarks are not here; the text says where they are."""


def run(calls: str, seconds: float, audio: str, *, write: bool, checkout: Path | None = None) -> int:
    """Runs the benchmark of the bridge and shows what it prints. Raises `NotACheckout`.

    Args:
        calls: how many calls at once, one run each: ``1,20,100,200``.
        seconds: how long each is measured.
        audio: what the service asks the model for: ``pcm`` or ``pcmu``.
        write: whether docs/benchmark.md and docs/benchmark.svg are written anew.
        checkout: where the project's sources are; default: where this file is.

    Returns 0 when every target was met, 1 when one was missed, 2 when nothing can be said.
    """
    options = ["--calls", calls, "--seconds", f"{seconds:g}", "--audio", audio, *(["--write"] if write else [])]
    return _run("bridge", options, checkout)


def scale(options: Sequence[str], *, write: bool, checkout: Path | None = None) -> int:
    """Runs the benchmark of the database and shows what it prints. Raises `NotACheckout`.

    Args:
        options: as ``python -m benchmarks.scale`` takes them: ``("--calls", "30000", "--seed", "2")``.
        write: whether docs/scale.md is written anew.
        checkout: where the project's sources are; default: where this file is.

    Returns 0 when every goal was met, 1 when one was missed, 2 when nothing can be said.
    """
    return _run("scale", [*options, *(["--write"] if write else [])], checkout)


def _run(which: str, options: Sequence[str], checkout: Path | None) -> int:
    sources = checkout or Path(__file__).parent.parent
    if not (sources / "benchmarks" / which / "__main__.py").is_file():
        raise NotACheckout(
            "The benchmark is not part of an installation: get the sources, and run `./run ringua bench` there."
        )
    command = [sys.executable, "-m", f"benchmarks.{which}", *options]
    return subprocess.run(command, cwd=sources, check=False).returncode  # noqa: S603  # our own module
