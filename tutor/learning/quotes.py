"""Whether somebody said something: a phrase found in a text, word by word, and given back in the text's own spelling.

Knows no call and no language.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

_MARKS = (
    re.compile('["“”„‟«»「『]([^"“”„‟«»「」『』]+)["“”«»」』]'),
    re.compile("‘([^‘’]+)’"),
    re.compile(r"(?<!\w)'([^']+)'(?!\w)"),  # not the apostrophes of "l'eau d'abord"
)
_OPENING = "¿¡"
_CLOSING = "?!.。？！؟"


def find(phrase: str, texts: Iterable[str], *, accents: bool = False) -> str | None:
    """The phrase as the first text that has it spells it; None when none has it.

    All its words must follow one another there; case and punctuation may differ, and accents unless they count. The
    marks of a question or an exclamation that enclose the words come along: what is found can stand by itself.
    """
    wanted = words(phrase, accents=accents)
    for text in texts:
        tokens = list(_tokens(text, accents))
        first = position(wanted, [word for word, _, _ in tokens])
        if first is not None:
            return _with_marks(text, tokens[first][1], tokens[first + len(wanted) - 1][2])
    return None


def has(text: str, words: str, *, accents: bool = False) -> bool:
    """Whether ``words`` stand in the text, one after the other; with ``accents``, with the same accents."""
    return find(words, (text,), accents=accents) is not None


def words(text: str, *, accents: bool = False) -> list[str]:
    """The words of a text as they are compared: without case, and without accents unless they count."""
    return [word for word, _, _ in _tokens(text, accents)]


def position(wanted: Sequence[str], among: Sequence[str]) -> int | None:
    """Where ``wanted`` stands among words, one after the other; None when it does not, or is empty."""
    if not wanted:
        return None
    places = range(len(among) - len(wanted) + 1)
    return next((at for at in places if among[at] == wanted[0] and among[at : at + len(wanted)] == wanted), None)


def marked(text: str) -> list[str]:
    """What a text puts between quotation marks."""
    return [quoted for marks in _MARKS for quoted in marks.findall(text)]


def _tokens(text: str, accents: bool) -> Iterator[tuple[str, int, int]]:
    """Each word, folded, with where it begins and ends; in scripts without spaces, each character."""
    word, start = "", 0
    for at, char in enumerate(text):
        folded = _folded(char, accents)
        alone = _stands_alone(char)
        if word and (alone or not (folded or unicodedata.combining(char))):
            yield word, start, at
            word = ""
        if alone:
            yield folded, at, at + 1
        elif folded:
            start = start if word else at
            word += folded
    if word:
        yield word, start, len(text)


@lru_cache(maxsize=4096)
def _folded(char: str, accents: bool) -> str:
    """A letter or digit without case, and without accents unless they count; nothing for everything else."""
    plain = char.casefold() if accents else unicodedata.normalize("NFKD", char.casefold())
    return "".join(part for part in plain if part.isalnum())


def _stands_alone(char: str) -> bool:
    """Han and kana, which are written without spaces."""
    return "\u3040" <= char <= "\u30ff" or "\u3400" <= char <= "\u9fff"


def _with_marks(text: str, start: int, end: int) -> str:
    """The stretch with its ¿…? and ¡…!, and the full stop of a whole sentence."""
    while start > 0 and text[start - 1] in _OPENING:
        start -= 1
    opened = text[start] in _OPENING
    whole = not text[:start].strip() or text[:start].rstrip()[-1] in _CLOSING
    while (opened or whole) and end < len(text) and text[end] in _CLOSING:
        end += 1
    found = text[start:end]
    # Half a pair is none: "¿Me pone un café" without its end is no question any more.
    return found if not opened or found[-1] in _CLOSING else found.lstrip(_OPENING)
