"""The command that starts the benchmarks."""

from __future__ import annotations

from pathlib import Path

import pytest

from ringua import bench, cli


def test_an_installation_without_sources_says_where_the_benchmark_is(tmp_path: Path) -> None:
    """The benchmark is not installed; a traceback would not say so."""
    with pytest.raises(bench.NotACheckout, match="get the sources"):
        bench.run("1", 1, "pcm", write=False, checkout=tmp_path)
    with pytest.raises(bench.NotACheckout, match="get the sources"):
        bench.scale([], write=False, checkout=tmp_path)


def test_the_benchmarks_exit_code_is_the_commands(tmp_path: Path) -> None:
    """0 met, 1 missed, 2 nothing can be said; options are handed on."""
    expects(tmp_path, "bridge", "--calls 1,20 --seconds 2.5 --audio pcmu --write")
    assert bench.run("1,20", 2.5, "pcmu", write=True, checkout=tmp_path) == 2
    expects(tmp_path, "scale", "--learners 500 --write")
    assert bench.scale(["--learners", "500"], write=True, checkout=tmp_path) == 2


def test_an_option_of_the_database_alone_says_what_is_missing() -> None:
    """Whoever asks the bridge for learners is told which benchmark has them."""
    with pytest.raises(cli.Trouble, match=r"--learners is for the database: add --scale\."):
        cli.app(["bench", "--learners", "500"], standalone_mode=False)


def expects(checkout: Path, which: str, options: str) -> None:
    """A benchmark that ends with 2 when it is given these options, and with 9 otherwise."""
    module = checkout / "benchmarks" / which
    module.mkdir(parents=True)
    for package in (module, module.parent):
        package.joinpath("__init__.py").touch()  # without these the real one would be found
    module.joinpath("__main__.py").write_text(
        f"import sys\nsys.exit(2 if sys.argv[1:] == {options.split()!r} else 9)\n"
    )
