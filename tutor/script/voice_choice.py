"""Which realtime voice speaks a role: its own, or another of the same kind that the learner likes better.

The groups are data (``catalogue/voices.toml``). Knows no learner and no call.
"""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Final

CHOICES: Final = 4
"""How many voices a learner can choose from: the role's own and three more (tutoring.md §1A row 151)."""

_FILE = Path(__file__).parents[1] / "catalogue" / "voices.toml"


def voices_of(own: str) -> tuple[str, ...]:
    """The voices that may speak a role, its ``own`` first; only that one when no group has it."""
    group = next((group for group in _groups() if own in group), (own,))
    at = group.index(own)
    return (group[at:] + group[:at])[:CHOICES]


def voice_for(own: str, choice: int) -> str:
    """The voice of a role whose own voice is ``own``, for a learner's ``choice`` from 0 (the role's own)."""
    voices = voices_of(own)
    return voices[choice % len(voices)]


@cache
def _groups() -> tuple[tuple[str, ...], ...]:
    groups = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    return tuple(tuple(group["voices"]) for group in groups.values())
