"""Personal data in what is said: telephone numbers, digit by digit too, and e-mail addresses; found, and masked.

Addresses, names of schools and what a role must not ask for stand in the word lists. Knows no call.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import msgspec

from tutor.safety.tokens import WORD, fold
from tutor.safety.words import FOLDER, SafetyDataError

MASK: Final = "***"
"""In the GSM alphabet, so that a text message does not double its price over it."""
HIDDEN_DIGITS: Final = 6
"""Numbers from this length on are masked: telephones, cards, dates of birth."""
TOLD_DIGITS: Final = 7
"""From this length on a number said is a finding: prices and years are shorter."""
SPOKEN_WORDS: Final = 4
"""A number in words has at least so many; "twenty, thirty, forty" are prices."""

_WORD: Final = re.compile(WORD)
_JOINS_DIGITS: Final = re.compile(r"[\s\-–—()/+]{0,3}|\.")
_JOINS_WORDS: Final = re.compile(r"[\s,、，،.\-–—()/+]{0,3}")
_TLD: Final = "com|net|org|edu|info|es|fr|de|it|pt|br|mx|us|uk|co|io|eu|cn|jp|ar|cl|pe|ch|at|ca"
_DOT: Final = r"(?:\s(?:dot|punto|point|ponto|punkt)\s|\s?\.\s?|\s?点\s?|\s?ドット\s?|\sنقطة\s)"
_EMAIL: Final = re.compile(
    r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
    rf"|[\w+-]+(?:{_DOT}[\w+-]+)*?\s?(?:\bat\b|\barroba\b|\barobase\b|\bchiocciola\b|@|アットマーク|艾特|\bآت\b)"
    rf"\s?[\w-]+(?:{_DOT}[\w-]+)*?{_DOT}(?:{_TLD})\b",
    re.IGNORECASE,
)

_AT: Final = re.compile(r"@|\bat\b|arroba|arobase|chiocciola|アット|艾特|آت", re.IGNORECASE)
"""Whether there can be an address at all: looking for one takes long."""


class _Language(msgspec.Struct, forbid_unknown_fields=True):
    """One language's number words."""

    ones: list[list[str]]
    """For 0 to 9."""
    tens: list[str]
    """Two digits each."""
    between: list[str] = []
    """Words inside a number that are no digits: "and", "double"."""


@dataclass(frozen=True, slots=True)
class _Numbers:
    ones: dict[str, int]
    tens: frozenset[str]
    between: frozenset[str]


@dataclass(slots=True)
class _Run:
    """A number as far as it has been read."""

    start: int
    end: int
    digits: int = 0
    words: int = 0
    figures: int = 0
    counting: bool = True
    """Whether each number is one more than the one before it: somebody counts."""
    last: int | None = None
    after_ten: bool = False


def redact(text: str) -> str:
    """A text with numbers of six digits and more, in figures or in words, and e-mail addresses masked.

    For whatever is stored or sent. The result is composed (NFC).
    """
    text = _EMAIL.sub(MASK, unicodedata.normalize("NFC", text))
    for run in reversed(list(_long(text, HIDDEN_DIGITS))):
        text = text[: run.start] + MASK + text[run.end :]
    return text


def given(text: str, said: Sequence[str]) -> str | None:
    """What personal data a learner gives away: ``email``, ``number``, or None.

    ``said`` are the text's tokens, by which most turns are passed over quickly.
    """
    if _AT.search(text) and _EMAIL.search(text):
        return "email"
    numbers = _numbers()
    known = sum(word in numbers.ones or word in numbers.tens for word in said)
    figures = sum(len(word) for word in said if word.isdecimal())
    if known < SPOKEN_WORDS and figures + known < TOLD_DIGITS:
        return None
    return "number" if next(_long(unicodedata.normalize("NFC", text), TOLD_DIGITS), None) else None


def _long(text: str, digits: int) -> Iterator[_Run]:
    """The numbers of a text with at least so many digits."""
    for run in _runs(text):
        spoken = run.words > 0 and run.figures == 0
        if run.digits >= digits and not run.counting and (not spoken or run.words >= SPOKEN_WORDS):
            yield run


def _runs(text: str) -> Iterator[_Run]:
    numbers = _numbers()
    run: _Run | None = None
    reached = 0
    """Where the last word of the run ends, the words between its digits included."""
    for match in _WORD.finditer(text):
        word = fold(match[0])
        figure = word.isdecimal()
        joins = _JOINS_DIGITS if figure and len(word) > 1 else _JOINS_WORDS
        if run is not None and not joins.fullmatch(text[reached : match.start()]):
            yield run
            run = None
        if run is not None and word in numbers.between:
            reached = match.end()
            continue
        if not figure and word not in numbers.ones and word not in numbers.tens:
            if run is not None:
                yield run
            run = None
            continue
        if run is not None and figure and reached != run.end:
            # "12 and 15" are two numbers; "sixty and one" is one.
            yield run
            run = None
        run = run or _Run(match.start(), match.end())
        _read(run, word, numbers)
        run.end = reached = match.end()
    if run is not None:
        yield run


def _read(run: _Run, word: str, numbers: _Numbers) -> None:
    """Takes one more word or figure into a number."""
    value = int(word) if word.isdecimal() and len(word) <= 2 else numbers.ones.get(word)
    if word in numbers.tens and run.last is not None and run.last >= 9:
        value = run.last + 1  # "eight, nine, ten, eleven"
    if word.isdecimal():
        run.figures += 1
        run.digits += len(word)
    elif word in numbers.tens:
        run.words += 1
        run.digits += 2
    else:
        run.words += 1
        run.digits += 0 if run.after_ten else 1  # "sixty one" has two digits
    run.counting = run.counting and value is not None and run.last in (None, value - 1)
    run.last = value
    run.after_ten = word in numbers.tens


@cache
def _numbers() -> _Numbers:
    try:
        read = msgspec.convert(tomllib.loads((FOLDER / "numbers.toml").read_text("utf-8")), dict[str, _Language])
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise SafetyDataError(f"The safety data numbers.toml cannot be used: {error}.") from error
    languages = read.values()
    ones = {fold(word): n for language in languages for n, names in enumerate(language.ones) for word in names}
    tens = frozenset(fold(word) for language in languages for word in language.tens)
    between = frozenset(fold(word) for language in languages for word in language.between)
    return _Numbers(ones, tens, between - ones.keys() - tens)
