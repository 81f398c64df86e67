"""The house itself: who may import whom, and what the repository may hold."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).parent.parent
ROOMS = {"ringua", "console", "telephony", "db", "tutor", "rehearsal"}
MAY_IMPORT = {
    "tutor": {"tutor"},
    "db": {"db", "tutor"},
    "telephony": {"telephony", "db", "tutor"},
    "console": {"console", "db", "tutor"},
    "rehearsal": {"rehearsal"},
    "ringua": ROOMS,
}


def imports(path: Path) -> set[str]:
    """The top-level packages a module imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


@pytest.mark.parametrize("room", sorted(MAY_IMPORT))
def test_a_room_imports_only_the_rooms_below_it(room: str) -> None:
    """Nothing imports upward, and nothing goes round a room."""
    for path in (TOP / room).rglob("*.py"):
        assert imports(path) & ROOMS <= MAY_IMPORT[room], path


def test_no_module_has_grown_into_two() -> None:
    """A file beyond 500 lines is asking to be two rooms."""
    long = [path for room in ROOMS for path in (TOP / room).rglob("*.py") if path.read_text("utf-8").count("\n") > 500]
    assert long == []


def test_no_registry_address_is_written_into_the_project() -> None:
    """Locks hold names, versions and hashes; where packages come from is the installer's business."""
    for name in ("pyproject.toml", "requirements.lock", "requirements-dev.lock", "run"):
        assert not re.search(r"https?://|file://|--index-url|--find-links", (TOP / name).read_text("utf-8")), name


def test_the_locks_pin_every_package_with_hashes() -> None:
    """What was tested is what is installed."""
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (TOP / name).read_text("utf-8")
        packages = re.findall(r"^[a-z0-9][\w.-]*(?:\[[^\]]*\])?==", text, re.MULTILINE)
        assert len(packages) > 50
        assert len(packages) == len(re.findall(r"^[a-z0-9].*\\\n    --hash=sha256:", text, re.MULTILINE))


def test_the_command_lists_its_uses_without_arguments() -> None:
    """A newcomer who runs `./run` is told what there is."""
    shown = subprocess.run([TOP / "run"], capture_output=True, text=True, check=True).stdout
    assert "./run demo" in shown
    assert "./run test" in shown
