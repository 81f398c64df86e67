"""How a role is with certain callers: rules that are added to any scene's instructions (``catalogue/personas.toml``).

Knows no learner, no scene and no call.
"""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

import msgspec

_FILE = Path(__file__).parents[1] / "catalogue" / "personas.toml"


class Persona(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One way of being with a caller."""

    rules: tuple[str, ...]
    """Sentences for the model, one rule an entry."""


def child() -> Persona:
    """How every role is with a child."""
    return _personas()["child"]


@cache
def _personas() -> dict[str, Persona]:
    return msgspec.convert(tomllib.loads(_FILE.read_text(encoding="utf-8")), dict[str, Persona])
