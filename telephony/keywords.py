"""What a text message to a line asks for: that texts end, that they begin again, or what this is.

It reads words and knows neither who wrote them nor what follows. Ending is understood generously: too many ends are
undone by one word, a missed one is what people complain of.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterable
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Any

import msgspec

_SEPARATORS = re.compile(r"[\W_]+")
_WITHOUT_SPACES = re.compile("[\u2e80-\u9fff\uf900-\ufaff]")
"""Chinese and Japanese are written without spaces between words."""


class Keyword(StrEnum):
    """What a message asks for."""

    STOP = "stop"
    START = "start"
    HELP = "help"


class _Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One table of ``keywords.toml``."""

    stop_alone: frozenset[str]
    stop_anywhere: frozenset[str]
    start: frozenset[str]
    help: frozenset[str]
    refusals: frozenset[str] = frozenset()
    objects: frozenset[str] = frozenset()


class _Book(msgspec.Struct, frozen=True):
    """All of ``keywords.toml``, folded."""

    polite: tuple[str, ...]
    harmless: tuple[str, ...]
    tables: dict[str, _Words]


def read(text: str) -> Keyword | None:
    """Returns what a message asks for, in whatever language; None when it is something else.

    Case, accents, punctuation and politeness do not matter. Ending goes before beginning, beginning before help.
    """
    book = _book()
    words = fold(text)
    bare = _without_politeness(words, book.polite)
    tables = book.tables.values()
    if any(bare in table.stop_alone or bare in table.stop_anywhere for table in tables):
        return Keyword.STOP
    if any(_refuses(table, _without(words, book.harmless)) for table in tables):
        return Keyword.STOP
    if any(bare in table.start for table in tables):
        return Keyword.START
    if any(bare in table.help for table in tables):
        return Keyword.HELP
    return None


def answered_by_carrier(text: str) -> bool:
    """Returns whether a message is a word that carriers answer themselves, so that nobody need do it twice."""
    carrier = _book().tables["carrier"]
    return fold(text) in carrier.stop_alone | carrier.stop_anywhere | carrier.start | carrier.help


def languages() -> frozenset[str]:
    """Returns the tags of the languages whose words are known."""
    return frozenset(_book().tables) - {"carrier"}


def fold(text: str) -> str:
    """Returns a text without case, accents and punctuation, its words parted by single spaces."""
    caseless = text
    for _ in range(2):  # Unicode 3.13, D146: a letter may have a case only once taken apart
        caseless = unicodedata.normalize("NFKD", caseless.casefold())
    plain = "".join(character for character in caseless if not unicodedata.combining(character))
    return " ".join(_SEPARATORS.sub(" ", plain).split())


def _refuses(table: _Words, words: str) -> bool:
    """Whether a longer message ends the texts: by one phrase, or by a refusal and what is refused, in any order."""
    if any(_is_in(phrase, words) for phrase in table.stop_anywhere):
        return True
    refuses = any(_is_in(phrase, words) for phrase in table.refusals)
    return refuses and any(_is_in(phrase, words) for phrase in table.objects)


def _without(words: str, phrases: Iterable[str]) -> str:
    """Takes phrases out of a message wherever they stand."""
    left = f" {words} "
    for phrase in phrases:
        left = left.replace(f" {phrase} ", "  ")
    return left


def _is_in(phrase: str, words: str) -> bool:
    if _WITHOUT_SPACES.search(phrase):
        return phrase in words.replace(" ", "")
    return f" {phrase} " in f" {words} "


def _without_politeness(words: str, polite: Iterable[str]) -> str:
    """Takes polite words off both ends, unless nothing else is there."""
    while True:
        before = words
        for phrase in polite:
            words = words.removeprefix(f"{phrase} ").removesuffix(f" {phrase}")
        if words == before:
            return words


@cache
def _book() -> _Book:
    text = resources.files("telephony").joinpath("keywords.toml").read_text("utf-8")
    content: dict[str, Any] = tomllib.loads(text)
    polite, harmless = (
        tuple(sorted({fold(phrase) for phrase in content.pop(name)}, key=len, reverse=True))
        for name in ("polite", "harmless")
    )
    folded = {
        tag: {key: {fold(phrase) for phrase in phrases} for key, phrases in table.items()}
        for tag, table in content.items()
    }
    return _Book(polite, harmless, {tag: msgspec.convert(table, _Words) for tag, table in folded.items()})
