"""Which items of a class's material were used in a call, by the role and by the learner: a plain look at the words.

Case and accents are folded and simple inflection is let pass, because the question is whether a word was put to use,
never whether it was used well. Pure: knows no call, no database and no model.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from tutor.script.language import Language
from tutor.talk.goals import words

LEAST_STEM = 4
"""Letters that two forms of one word must share from the start: ``quier-o``, ``quier-en``."""
MOST_ENDING = 3
"""Letters in which they may differ after that, each."""
SLACK = 3
"""Other words that may stand between those of one item: ``me pone (por favor) un café``."""

INFLECTED = frozenset({"de", "en", "es", "fr", "it", "pt"})
UNSPACED = frozenset({"ja", "zh"})

_ASIDE = re.compile(r"\([^)]*\)|（[^）]*）|/\w{1,3}\b")
"""What a teacher adds to a form: ``cuesta(n)``, ``caro/a``."""


class Spoken(Protocol):
    """A turn as it is kept."""

    @property
    def speaker(self) -> str: ...
    @property
    def text(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Coverage:
    """Items that were used, as the class wrote them and in its order."""

    used_by_role: tuple[str, ...] = ()
    used_by_learner: tuple[str, ...] = ()

    def write(self) -> dict[str, Any]:
        """JSON values for a row."""
        written: dict[str, Any] = msgspec.to_builtins(self)
        return written


def coverage(items: Iterable[str], turns: Iterable[Spoken], language: Language) -> Coverage:
    """What of ``items`` each side used in these turns; the helper's turns belong to neither.

    Args:
        items: words and phrases in the language being learned; each counts once.
        language: the language being learned.
    """
    wanted = tuple(dict.fromkeys(items))
    said: dict[str, list[str]] = {"role": [], "learner": []}
    for turn in turns:
        if turn.speaker in said and turn.text:
            said[turn.speaker].append(turn.text)
    return Coverage(*(_used(wanted, said[speaker], language) for speaker in ("role", "learner")))


def _used(items: Sequence[str], texts: Sequence[str], language: Language) -> tuple[str, ...]:
    if language.base in UNSPACED:
        heard = [_unspaced(text) for text in texts]
        return tuple(item for item in items if (whole := _unspaced(item)) and any(whole in text for text in heard))
    tolerant = language.base in INFLECTED
    lines = [words(text) for text in texts]
    return tuple(item for item in items if (core := _core(item, language)) and _said(core, lines, tolerant))


def _said(item: list[str], lines: Iterable[list[str]], tolerant: bool) -> bool:
    return any(_within(item, line[first:], tolerant) for line in lines for first in range(len(line)))


def _within(item: list[str], line: list[str], tolerant: bool) -> bool:
    """Whether the item's words come in this order, the first of them at once, with at most ``SLACK`` others between."""
    at = 0
    for place, word in enumerate(line[: len(item) + SLACK]):
        if _same(item[at], word, tolerant):
            at += 1
            if at == len(item):
                return True
        elif place == 0:
            return False
    return False


def _same(one: str, other: str, tolerant: bool) -> bool:
    """Whether two folded words are one, or forms of one: a shared stem and short endings."""
    if one == other or not tolerant:
        return one == other
    shorter = min(len(one), len(other))
    stem = next((at for at in range(shorter) if one[at] != other[at]), shorter)
    return stem >= LEAST_STEM and max(len(one), len(other)) - stem <= MOST_ENDING


def _core(item: str, language: Language) -> list[str]:
    """The words of an item that must be said: without a teacher's asides and without the articles it begins with."""
    said = words(_ASIDE.sub("", item))
    articles = {word for article in language.articles for word in words(article)}
    first = next((at for at, word in enumerate(said) if word not in articles), 0)
    return said[first:]


def _unspaced(text: str) -> str:
    """Letters and digits alone, width and case folded; marks that make another sound of a kana stay."""
    folded = unicodedata.normalize("NFKC", _ASIDE.sub("", text)).casefold()
    return "".join(char for char in folded if char.isalnum())
