"""The lines of the stand-in role, language by language, read from the files beside this one. Knows no script."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

import msgspec

from tutor.script.language import Language
from tutor.script.scenario import Register


class NoScript(LookupError):
    """There is no rehearsal script for a scene; the text says for which language."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How a role speaks to strangers, or to friends."""

    go_on: tuple[str, ...]
    """After a statement, in turn."""
    answer: tuple[str, ...]
    """After a question, in turn."""
    easier: Mapping[str, str] = field(default_factory=dict)
    """The first of ``go_on`` and of ``answer`` in fewer words."""
    farewell: str = ""
    """The role's last line."""
    goodbye: str = ""
    """The learner's."""


@dataclass(frozen=True, slots=True)
class Lines:
    """Everything a stand-in role says in one language."""

    formal: Manner
    informal: Manner
    scenes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Where there are any: scenario -> goal -> what the role says after it."""

    def manner(self, register: Register) -> Manner:
        """The lines of a register."""
        return self.formal if register == "formal" else self.informal


def lines_of(language: Language) -> Lines:
    """The lines of a language, whatever its region. Raises `NoScript`."""
    lines = _read(language.base)
    if lines is None:
        raise NoScript(f"There are no rehearsal lines in {language.english_name}.")
    return lines


@cache
def _read(base: str) -> Lines | None:
    try:
        text = files("ringua.scripts").joinpath(f"{base}.toml").read_text("utf-8")
    except FileNotFoundError:
        return None
    return msgspec.convert(tomllib.loads(text), Lines)
