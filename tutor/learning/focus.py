"""The one feature of the language that a call practises without saying so, chosen from what comes back.

What the role is told is data (``catalogue/focus.toml``). How it reacts to a slip is the level card's business, and how
far the learner gets is the goals'. Knows no call and no database.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated

import msgspec

from tutor.learning.patterns import Pattern

RECURRENT_SESSIONS = 3
"""A pattern that hides no meaning has to come back in so many calls (tutoring.md §1A row 76)."""

MOST_WORDS = 30
"""An instruction is short: it is sent again with every answer."""

_FILE = Path(__file__).parents[1] / "catalogue" / "focus.toml"


@dataclass(frozen=True, slots=True)
class Focus:
    """What one call practises."""

    type: str
    instruction: str
    """For the role, in English, at most 30 words; never for the learner."""
    challenge: bool
    """Whether the pattern is on the way out and the role asks for more of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What to do about a type of error in some languages."""

    type: str
    languages: tuple[str, ...] = ()
    """Tags and families; none is every language."""
    name: str
    """What the role knows it by."""
    above: Annotated[float, msgspec.Meta(ge=0, lt=1)]
    """A recurrent pattern becomes the focus above this rate, in notes per learner turn."""
    instruction: str
    challenge: str
    """The same once it is improving."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The whole table."""

    frame: str
    """How an instruction is put: ``{name}`` and ``{instruction}``."""
    families: dict[str, tuple[str, ...]]
    generic: Rule
    """For types that the table does not have; its ``name`` takes the ``{type}``."""
    rules: tuple[Rule, ...]
    also: dict[str, tuple[str, ...]]
    """Other names of a type, as models give them."""

    def rule(self, error_type: str, language_tag: str) -> Rule:
        """The rule for a type in a language: its own before its family's before every language's, else the generic."""
        tag = language_tag.replace("_", "-").partition("-")[0].lower()
        family = next((name for name, tags in self.families.items() if tag in tags), tag)
        of_type = [rule for rule in self.rules if rule.type == error_type]
        for name in (tag, family):
            for rule in of_type:
                if name in rule.languages:
                    return rule
        return next((rule for rule in of_type if not rule.languages), self.generic)


@cache
def rules() -> Rules:
    """The rules of the catalogue, read once per process."""
    return msgspec.convert(tomllib.loads(_FILE.read_text(encoding="utf-8")), Rules)


def focus(patterns: Iterable[Pattern], language_tag: str) -> Focus | None:
    """The one pattern a call practises, or none.

    A pattern that hides the meaning comes first, whatever its rate. One that came back in three calls follows when its
    rate is above its rule's, or when it is improving: then the role asks for more. Among equals the higher rate goes
    first, then the type by its letters.

    Args:
        patterns: of one learner in one language.
        language_tag: the language being learned (``es``, ``es-PR``).
    """
    table = rules()
    able = [pattern for pattern in patterns if _qualifies(pattern, table.rule(pattern.type, language_tag))]
    if not able:
        return None
    chosen = min(able, key=lambda pattern: (not pattern.blocking, -pattern.rate, pattern.type))
    rule = table.rule(chosen.type, language_tag)
    # What still hides the meaning is no challenge yet, however much rarer it has become.
    challenge = chosen.trend == "improving" and not chosen.blocking
    name = rule.name.format(type=chosen.type.replace("_", " "))
    instruction = table.frame.format(name=name, instruction=rule.challenge if challenge else rule.instruction)
    return Focus(chosen.type, instruction, challenge)


def _qualifies(pattern: Pattern, rule: Rule) -> bool:
    if pattern.blocking:
        return True
    return pattern.sessions >= RECURRENT_SESSIONS and (pattern.rate > rule.above or pattern.trend == "improving")
