"""`ringua bench`: what a call costs on this machine. The benchmark is part of a checkout, not of an installation."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


class NotACheckout(Exception):
    """The benchmark is not here; the text says where it is."""


def run(calls: str, seconds: float, audio: str, *, write: bool, checkout: Path | None = None) -> int:
    """Runs the benchmark and shows what it prints. Raises `NotACheckout`.

    Args:
        calls: how many calls at once, one run each: ``1,20,100,200``.
        seconds: how long each is measured.
        audio: what the service asks the model for: ``pcm`` or ``pcmu``.
        write: whether docs/benchmark.md and docs/benchmark.svg are written anew.
        checkout: where the project's sources are; default: where this file is.

    Returns 0 when every target was met, 1 when one was missed, 2 when nothing can be said.
    """
    sources = checkout or Path(__file__).parent.parent
    if not (sources / "benchmarks" / "bridge" / "__main__.py").is_file():
        raise NotACheckout(
            "The benchmark is not part of an installation: get the sources, and run `./run ringua bench` there."
        )
    command = [sys.executable, "-m", "benchmarks.bridge", "--calls", calls, "--seconds", f"{seconds:g}"]
    command += ["--audio", audio, *(["--write"] if write else [])]
    return subprocess.run(command, cwd=sources, check=False).returncode  # noqa: S603  # our own module
