"""Whether something that a learner told may be remembered: short, plain, and nothing that could be used against them.

What is asked is whether a phrase is fit to be kept; whether the learner agreed at all, others ask. The word lists are
data (``tutor/catalogue/safety/facts.toml``). Pure: knows no call and no row.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from functools import cache
from typing import Final

import msgspec

from tutor.safety.personal import redact
from tutor.safety.screen import screen
from tutor.safety.tokens import tokens
from tutor.safety.words import FOLDER, SafetyDataError

MOST_CHARS: Final = 100
MOST_WORDS: Final = 14
LEAST_WORDS: Final = 2

_PLAIN: Final = re.compile(r"[^\W\d_]+(?:[ ,'’-]+[^\W\d_]+)*")
_WORD: Final = re.compile(r"[^\W\d_]+")


class _Rules(msgspec.Struct, forbid_unknown_fields=True):
    """``facts.toml``."""

    begins: frozenset[str]
    capitals: frozenset[str]
    private: dict[str, frozenset[str]]


def plain(fact: str) -> str:
    """A phrase on one line, without what stands around it."""
    return " ".join(fact.split()).strip(" .;")


def refusal(fact: str, languages: Iterable[str]) -> str | None:
    """Why a phrase is not fit to be kept, in one sentence for the model; None when it is.

    Refused is more than would have to be: nothing is lost when a fact is not remembered.

    Args:
        fact: as ``plain`` gives it.
        languages: tags of those that are spoken in the call; English is looked for in any case.
    """
    rules = _rules()
    spoken = _WORD.findall(fact)
    if len(fact) > MOST_CHARS or not LEAST_WORDS <= len(spoken) <= MOST_WORDS:
        return f"not kept: {LEAST_WORDS} to {MOST_WORDS} words"
    if not _PLAIN.fullmatch(fact):
        return "not kept: words only, no numbers and no signs"
    if spoken[0].casefold() not in rules.begins:
        return "not kept: begin with what the learner does, such as likes, plays, has, wants"
    if any(word[0].isupper() and word not in rules.capitals for word in spoken[1:]):
        return "not kept: no names of people or places"
    said = set(tokens(fact))
    private = any(not said.isdisjoint(listed) for listed in rules.private.values())
    if private or redact(fact) != fact or screen(fact, ("en", *languages), "learner", kid=True) is not None:
        return "not kept: too private"
    return None


@cache
def _rules() -> _Rules:
    """Read once a process; raises SafetyDataError."""
    try:
        return msgspec.convert(tomllib.loads((FOLDER / "facts.toml").read_text("utf-8")), _Rules)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise SafetyDataError(f"The safety data facts.toml cannot be used: {error}.") from error
