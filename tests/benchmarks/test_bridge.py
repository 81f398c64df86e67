"""The whole benchmark, small: it starts, measures, judges and stops by itself."""

from __future__ import annotations

import subprocess
import sys

import pytest

from benchmarks.bridge.process import CHECKOUT


@pytest.mark.long
def test_the_bridge_stays_within_ten_times_its_limits() -> None:
    """On a machine that runs other tests too, delays may be ten times the design's, and no audio may be lost."""
    options = ["--calls", "10", "--seconds", "5", "--slack", "10"]
    command = [sys.executable, "-m", "benchmarks.bridge", *options]
    ended = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=180, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.count("met: ") == 9


def test_a_load_that_is_too_great_is_refused_before_anything_starts() -> None:
    """The benchmark is no weapon: counts and seconds are bounded."""
    for options in (["--calls", "100000"], ["--seconds", "86400"]):
        command = [sys.executable, "-m", "benchmarks.bridge", *options]
        ended = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=60, check=False)
        assert ended.returncode == 2
        assert "1 to" in ended.stderr or "from 1" in ended.stderr
