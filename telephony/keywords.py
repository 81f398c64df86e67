"""What a text message to a line asks for: that texts end, that they begin again, or what this is.

It reads words and knows neither who wrote them nor what follows. Ending is understood generously: too many ends are
undone by one word, a missed one is what people complain of. What it understands is data: ``keywords.toml`` says how.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Any, Final

import msgspec

_SEPARATORS = re.compile(r"[\W_]+")
_REPEATED = re.compile(r"([^\W\d_])\1{2,}")
"""No language here writes a letter three times in a row; people who have had enough do."""
_WITHOUT_SPACES = re.compile("[\u2e80-\u9fff\uf900-\ufaff]")
"""Chinese and Japanese are written without spaces between words."""
_GAP_WORDS: Final = 3
_GAP_CHARACTERS: Final = 4
_LONG_CHARACTERS: Final = 200
"""Nothing is taken off the ends of a longer text: it is no short wish, and could be made to take half a second."""
_NOTHING: Final = "(?!)"


class Keyword(StrEnum):
    """What a message asks for."""

    STOP = "stop"
    START = "start"
    HELP = "help"


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The carriers' words, or those of one language."""

    start: tuple[str, ...]
    help: tuple[str, ...]
    stop_bare: tuple[str, ...] = ()
    stop_alone: tuple[str, ...] = ()
    stop_anywhere: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()
    objects: tuple[str, ...] = ()
    harmless: tuple[str, ...] = ()
    around: tuple[str, ...] = ()
    sets: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Patterns:
    """Patterns of the file as two expressions: for words with spaces between them, and for writing without."""

    spaced: re.Pattern[str]
    closed: re.Pattern[str]

    def are(self, words: str) -> bool:
        """Whether one of them is the whole of a folded text."""
        return bool(self.spaced.fullmatch(f" {words}") or self.closed.fullmatch(words.replace(" ", "")))

    def within(self, words: str) -> bool:
        """Whether one of them stands in a folded text, between words."""
        return bool(self.spaced.search(f" {words} ") or self.closed.search(words.replace(" ", "")))

    def out_of(self, words: str) -> str:
        """A folded text with a stroke in place of each of them, so that nothing joins across."""
        left = self.closed.sub(" / ", self.spaced.sub(" /", f" {words} "))
        return " ".join(left.split())


@dataclass(frozen=True, slots=True)
class _Language:
    """One table, ready to be asked."""

    start: _Patterns
    help: _Patterns
    stop_bare: _Patterns
    stop_alone: _Patterns
    stop_anywhere: _Patterns
    refusals: _Patterns
    objects: _Patterns

    def refuses(self, words: str) -> bool:
        """Whether a longer message ends the texts: by one phrase, or by a refusal and what is refused, in any order."""
        return self.stop_anywhere.within(words) or (self.refusals.within(words) and self.objects.within(words))


@dataclass(frozen=True, slots=True)
class _Book:
    """All that is understood."""

    polite: tuple[str, ...]
    around: tuple[str, ...]
    """The polite phrases, and those that people put around an ending; the longest first."""
    harmless: tuple[_Patterns, ...]
    tables: Mapping[str, _Language]


def read(text: str) -> Keyword | None:
    """Returns what a message asks for, in whatever language; None when it is something else.

    Case, accents, punctuation and politeness do not matter. Ending goes before beginning, beginning before help.
    """
    book = _book()
    words = fold(text)
    bare = list(_peeled(words, book.polite))
    tables = book.tables.values()
    if any(table.stop_bare.are(left) for table in tables for left in bare):
        return Keyword.STOP
    if any(table.stop_alone.are(left) for left in _peeled(words, book.around) for table in tables):
        return Keyword.STOP
    left = words
    for harmless in book.harmless:
        left = harmless.out_of(left)
    if any(table.refuses(left) for table in tables):
        return Keyword.STOP
    if any(table.start.are(left) for table in tables for left in bare):
        return Keyword.START
    if any(table.help.are(left) for table in tables for left in bare):
        return Keyword.HELP
    return None


def answered_by_carrier(text: str) -> bool:
    """Returns whether a message is a word that carriers answer themselves, so that nobody need do it twice."""
    carrier, words = _book().tables["carrier"], fold(text)
    return any(
        patterns.are(words) for patterns in (carrier.stop_alone, carrier.stop_anywhere, carrier.start, carrier.help)
    )


def languages() -> frozenset[str]:
    """Returns the tags of the languages whose words are known."""
    return frozenset(_book().tables) - {"carrier"}


def fold(text: str) -> str:
    """Returns a text without case, accents and punctuation, its words parted by single spaces.

    Letters that are written one way or the other are written one way, and those that are drawn out are cut short.
    """
    caseless = text
    for _ in range(2):  # Unicode 3.13, D146: a letter may have a case only once taken apart
        caseless = unicodedata.normalize("NFKD", caseless.casefold())
    plain = "".join(character for character in caseless if not unicodedata.combining(character))
    return _REPEATED.sub(r"\1", " ".join(_SEPARATORS.sub(" ", plain.translate(_alike())).split()))


def _peeled(words: str, phrases: Iterable[str]) -> Iterator[str]:
    """A text, and what is left of it each time one of the phrases is taken off an end, as long as anything is."""
    yield words
    before = ""
    while words != before and len(words) <= _LONG_CHARACTERS:
        before = words
        for phrase in phrases:
            gap = "" if _WITHOUT_SPACES.search(phrase) else " "
            for left in (words.removeprefix(phrase + gap), words.removesuffix(gap + phrase)):
                if left.strip() and left != words:
                    words = left.strip()
                    yield words


def _patterns(patterns: Iterable[str], sets: Mapping[str, tuple[str, ...]]) -> _Patterns:
    spaced, closed = [], []
    for pattern in patterns:
        written = "".join(phrase for name in re.findall("<(.+?)>", pattern) for phrase in sets[name])
        if _WITHOUT_SPACES.search(pattern + written):
            closed.append("".join(_part(word, sets, closed=True) for word in pattern.split()))
        else:
            spaced.append("".join(_part(word, sets, closed=False) for word in pattern.split()))
    return _Patterns(
        re.compile(f"(?:{'|'.join(spaced) or _NOTHING})(?![^ ])"), re.compile("|".join(closed) or _NOTHING)
    )


def _part(word: str, sets: Mapping[str, tuple[str, ...]], *, closed: bool) -> str:
    """A word of a pattern as an expression, with the space before it."""
    if word == "…":
        return f".{{0,{_GAP_CHARACTERS}}}" if closed else f"(?: [^ ]+){{0,{_GAP_WORDS}}}?"
    name, optional = word.removesuffix("?"), "?" if word.endswith("?") else ""
    phrases: list[str] = []
    for choice in name.split("|"):
        phrases += sets[choice[1:-1]] if choice.startswith("<") else [choice]
    space = "" if closed else " "
    return f"(?:{space}(?:{'|'.join(_phrase(phrase, space) for phrase in phrases)})){optional}"


def _phrase(phrase: str, space: str) -> str:
    """A word or several as an expression; a star stands for any letters."""
    return space.join(
        "[^ ]*".join(re.escape(fold(piece)).replace(r"\ ", " ") for piece in word.split("*")) for word in phrase.split()
    )


def _longest_first(phrases: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({fold(phrase) for phrase in phrases}, key=lambda phrase: (-len(phrase), phrase)))


@cache
def _content() -> dict[str, Any]:
    return tomllib.loads(resources.files("telephony").joinpath("keywords.toml").read_text("utf-8"))


@cache
def _alike() -> dict[int, str]:
    return {ord(pair[0]): pair[1] for pair in _content()["alike"].split()}


@cache
def _book() -> _Book:
    polite: list[str] = _content()["polite"]
    tables = {"carrier": msgspec.convert(_content()["carrier"], _Table)}
    for file in sorted(resources.files("telephony").joinpath("wordings").iterdir(), key=lambda file: file.name):
        tables[file.name.removesuffix(".toml")] = msgspec.convert(tomllib.loads(file.read_text("utf-8")), _Table)
    kinds = _Language.__slots__
    return _Book(
        polite=_longest_first(polite),
        around=_longest_first([*polite, *(phrase for table in tables.values() for phrase in table.around)]),
        harmless=tuple(_patterns(table.harmless, table.sets) for table in tables.values() if table.harmless),
        tables={
            tag: _Language(**{kind: _patterns(getattr(table, kind), table.sets) for kind in kinds})
            for tag, table in tables.items()
        },
    )
