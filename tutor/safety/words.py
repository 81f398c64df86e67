"""The word lists of each language and what is done about each category: data in ``tutor/catalogue/safety``.

Read once a process; a wrong file is one sentence that names it. Knows no call.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, get_args

import msgspec

from tutor.safety.phrases import PatternError, Phrasebook

FOLDER: Final = Path(__file__).parents[1] / "catalogue" / "safety"
LANGUAGES: Final = ("ar", "de", "en", "es", "fr", "it", "ja", "pt", "zh")

Category = Literal[
    "self_harm", "abuse", "danger", "sexual", "violence", "hate", "drugs", "personal_data", "injection", "report"
]
"""What may be found; ``report`` is a caller's key 9, which no list finds."""
Action = Literal["note", "steer", "stop", "care"]
"""note: only remembered. steer: the role changes the subject. stop: the helper ends the scene. care: the helper leaves
the role and reads the calm script."""
Speaker = Literal["learner", "role"]

CATEGORIES: Final[tuple[Category, ...]] = get_args(Category)
ACTIONS: Final[tuple[Action, ...]] = get_args(Action)
"""From the mildest to the most serious."""


class SafetyDataError(ValueError):
    """A file of the safety data is wrong; one sentence says which and how."""


@dataclass(frozen=True, slots=True)
class Words:
    """One language's lists. Labels are ``es/self_harm.wish``: they name a list, never what was said."""

    harmless: Phrasebook
    """Idioms that are taken out before anything is looked for."""
    phrases: Phrasebook


class _File(msgspec.Struct, forbid_unknown_fields=True):
    """``<tag>.toml``."""

    harmless: list[str]
    rules: dict[Category, dict[str, list[str]]]
    lists: dict[str, list[str]] = {}
    joined: list[str] = []


class _Table(msgspec.Struct, forbid_unknown_fields=True):
    """Actions by ``category`` or, stronger, by ``category.rule``; without one nothing is done."""

    adult: dict[str, Literal["none", "note", "steer", "stop", "care"]]
    kid: dict[str, Literal["none", "note", "steer", "stop", "care"]]


class _Actions(msgspec.Struct, forbid_unknown_fields=True):
    learner: _Table
    role: _Table


@cache
def of(language: str) -> Words | None:
    """The lists of a language, by its tag (``es-PR`` has those of ``es``); None when there are none.

    Raises SafetyDataError.
    """
    base = language.partition("-")[0].lower()
    return _read(base) if base in LANGUAGES else None


@cache
def actions(speaker: Speaker, kid: bool) -> Mapping[str, str]:
    """What is done about each category and rule. A child's table lies over that of adults.

    Raises SafetyDataError.
    """
    tables: _Actions = _load(FOLDER / "actions.toml", _Actions)
    table = tables.learner if speaker == "learner" else tables.role
    merged: dict[str, str] = {**table.adult, **(table.kid if kid else {})}
    for key in merged:
        if key.partition(".")[0] not in CATEGORIES:
            raise SafetyDataError(f"actions.toml: {key} is no category; there are {', '.join(CATEGORIES)}.")
    return merged


def action(
    category: Category, rule: str, speaker: Speaker, kid: bool, table: Mapping[str, str] | None = None
) -> Action | None:
    """What is done about a finding; None when nothing is. ``rule`` is the list's name, such as ``wish``.

    A learner's disclosure of self-harm or abuse is always met with care, whatever the file, or another ``table``, says.
    """
    if speaker == "learner" and category in ("self_harm", "abuse"):
        return "care"
    table = actions(speaker, kid) if table is None else table
    found = table.get(f"{category}.{rule}") or table.get(category)
    return next((known for known in ACTIONS if known == found), None)


def load_all() -> None:
    """Reads every list, so that no call has to wait for it: about half a second, and 18 MB. Raises SafetyDataError."""
    for language in LANGUAGES:
        of(language)
    for speaker in get_args(Speaker):
        actions(speaker, kid=False)


def _read(base: str) -> Words:
    file: _File = _load(FOLDER / f"{base}.toml", _File)
    labelled = [
        (f"{base}/{category}.{name}", pattern)
        for category, rules in file.rules.items()
        for name, patterns in rules.items()
        for pattern in patterns
    ]
    try:
        return Words(
            Phrasebook([("", pattern) for pattern in file.harmless], file.lists, file.joined),
            Phrasebook(labelled, file.lists, file.joined),
        )
    except PatternError as error:
        raise SafetyDataError(f"{base}.toml: {error}") from error


def _load(path: Path, kind: Any) -> Any:
    try:
        return msgspec.convert(tomllib.loads(path.read_text("utf-8")), kind)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise SafetyDataError(f"The safety data {path.name} cannot be used: {error}.") from error
