"""The command that starts the benchmark."""

from __future__ import annotations

from pathlib import Path

import pytest

from ringua import bench


def test_an_installation_without_sources_says_where_the_benchmark_is(tmp_path: Path) -> None:
    """The benchmark is not installed; a traceback would not say so."""
    with pytest.raises(bench.NotACheckout, match="get the sources"):
        bench.run("1", 1, "pcm", write=False, checkout=tmp_path)


def test_the_benchmarks_exit_code_is_the_commands(tmp_path: Path) -> None:
    """0 met, 1 missed, 2 nothing can be said; options are handed on."""
    module = tmp_path / "benchmarks" / "bridge"
    module.mkdir(parents=True)
    for package in (module, module.parent):
        package.joinpath("__init__.py").touch()  # without these the real one would be found
    module.joinpath("__main__.py").write_text(
        "import sys\nwanted = '--calls 1,20 --seconds 2.5 --audio pcmu --write'\n"
        "sys.exit(2 if sys.argv[1:] == wanted.split() else 9)\n"
    )
    assert bench.run("1,20", 2.5, "pcmu", write=True, checkout=tmp_path) == 2
