"""Names of learners, found in what they said of themselves, so that none stands in what is sent: words in, words out.

How people say their names is data (``catalogue/names.toml``). More is taken for a name than is one: a phrase too few in
a text message costs nothing. Knows no call and no database.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Final

import msgspec

from tutor.learning.metrics_words import rank, ranked
from tutor.safety.tokens import WORD, fold

Name = tuple[str, ...]
"""Folded words, one after the other; in scripts without spaces, characters."""

MOST_WORDS: Final = 6
"""A name has at most so many, small ones included."""
MOST_CHARACTERS: Final = 8
"""The same in scripts without spaces: "アレクサンドラ" has seven."""
OFTEN_SURE: Final = 300
"""Up to this rank a word in small letters is no name where one is sure to follow; ours. "My name is on the list" has
none, "me llamo juan" (rank 379) has one. Where one may follow, no word of the frequency list is: "soy estudiante"."""
OFTEN_UNSPACED: Final = 2_000
"""The same where one may follow, in scripts that have no capitals to tell 田中 (2,675) from 学生 (884); ours."""

_FILE = Path(__file__).parents[1] / "catalogue" / "names.toml"
_WORD: Final = re.compile(WORD)
_UNSPACED: Final = re.compile("[\u3040-\u30ff\u3400-\u9fff]")
_KANA: Final = re.compile("[\u3040-\u30ff]+")
_ARABIC: Final = re.compile("[\u0600-\u06ff]")
_WITHIN: Final = re.compile(r"[\s'’\-]+")
"""What may stand between the words of one name."""
_BREAK: Final = re.compile("[.!?…]")
"""Between a name and what introduces it: then another sentence begins, "Soy... Quiero un café"."""
_WITHIN_UNSPACED: Final = re.compile(r"[・·=＝]?")
_PLACE: Final = "…"


class _Said(msgspec.Struct, forbid_unknown_fields=True):
    sure: list[str]
    maybe: list[str]


class _Words(msgspec.Struct, forbid_unknown_fields=True):
    particles: list[str]
    fillers: list[str]
    ends: str


class _File(msgspec.Struct, forbid_unknown_fields=True):
    """``names.toml``."""

    say: dict[str, _Said]
    words: _Words


@dataclass(frozen=True, slots=True)
class _Token:
    raw: str
    folded: str
    start: int
    end: int

    @property
    def unspaced(self) -> bool:
        return _UNSPACED.match(self.raw) is not None


@dataclass(frozen=True, slots=True)
class _Pattern:
    language: str
    sure: bool
    before: Name
    after: Name


@dataclass(frozen=True, slots=True)
class _Data:
    patterns: tuple[_Pattern, ...]
    languages: tuple[str, ...]
    """Those that have frequency lists."""
    particles: frozenset[str]
    fillers: frozenset[str]
    ends: frozenset[str]


def of_name(name: str) -> frozenset[Name]:
    """A name that is known, each of its words by itself: Quetzalina of "Quetzalina Pérez", and Pérez."""
    data = _data()
    found: set[Name] = set()
    for word in _words(name):
        if not word.unspaced and len(word.folded) > 1 and word.folded not in data.particles:
            found.add((word.folded,))
    for run in _runs(_words(name)):
        found |= _parts(run) or {(run[0].folded,)}
    return frozenset(found)


def introduced(said: Iterable[str]) -> frozenset[Name]:
    """The names by which somebody called themselves, in any of the languages: "me llamo", "my name is", "我叫"."""
    return frozenset(name for text in said for name in _introduced(unicodedata.normalize("NFC", text)))


def within(texts: Iterable[str], names: Iterable[Name]) -> frozenset[Name]:
    """Those names that stand in one of the texts."""
    spoken = [[word.folded for word in _words(text)] for text in texts]
    return frozenset(name for name in names if any(_stands(name, words) for words in spoken))


def holds(text: str, names: Iterable[Name], *, sentence_in: str | None = None) -> bool:
    """Whether one of the names stands in a text, whatever its case and accents, with an ending of possession too.

    Args:
        sentence_in: the tag of the language of a sentence in which names are written with a capital: a word of it in
            small letters is that word there, "may" and "rosa"; None: it is a name all the same.
    """
    words = _words(text)
    if sentence_in is not None:
        # A space in its place: what stood around it stands apart still.
        words = [word if not _ordinary(word, sentence_in) else _Token("", " ", word.start, word.end) for word in words]
    folded = [word.folded for word in words]
    return any(_stands(name, folded) for name in names)


def _ordinary(word: _Token, tag: str) -> bool:
    return not word.unspaced and word.raw.islower() and rank(word.raw, tag) is not None


def _stands(name: Name, words: Sequence[str]) -> bool:
    if len(name) == 1:
        return any(_is(word, name[0]) for word in words)
    return any(tuple(words[at : at + len(name)]) == name for at in range(len(words) - len(name) + 1))


def _is(word: str, name: str) -> bool:
    """Also "Quetzalinas", and what Arabic writes together with the word before it."""
    if word in (name, f"{name}s"):
        return True
    return _ARABIC.match(name) is not None and word.endswith(name) and len(word) - len(name) <= 2


def _introduced(text: str) -> Iterator[Name]:
    words = _words(text)
    folded = tuple(word.folded for word in words)
    for pattern in _data().patterns:
        known = pattern.before or pattern.after
        for at in range(len(words) - len(known) + 1):
            if folded[at : at + len(known)] != known:
                continue
            if pattern.before:
                yield from _after(text, words, at + len(known), pattern)
            else:
                yield from _before(text, words, at, pattern)


def _after(text: str, words: Sequence[_Token], at: int, pattern: _Pattern) -> Iterator[Name]:
    """The name that begins with word ``at``."""
    data = _data()
    while at < len(words) and words[at].folded in data.fillers | data.particles and not words[at].raw[0].isupper():
        at += 1
    if at == len(words):
        return
    if words[at].unspaced:
        run = _run(text, words[at:], data.ends)
        if pattern.after:
            folded = tuple(word.folded for word in words[at : at + MOST_CHARACTERS + len(pattern.after)])
            ends = (n for n in range(1, len(folded)) if folded[n : n + len(pattern.after)] == pattern.after)
            if (end := next(ends, None)) is None:
                return
            run = _run(text, words[at : at + end], frozenset())
        yield from _named(run, pattern)
        return
    if pattern.after and not _follows(words, at, pattern.after):
        return
    yield from _spaced(text, words, at, pattern)


def _follows(words: Sequence[_Token], at: int, after: Name) -> bool:
    folded = tuple(word.folded for word in words)
    return any(folded[n : n + len(after)] == after for n in range(at + 1, at + MOST_WORDS + 1))


def _before(text: str, words: Sequence[_Token], at: int, pattern: _Pattern) -> Iterator[Name]:
    """The name that ends before word ``at``; only scripts without spaces say it so."""
    first = at
    while first > 0 and at - first < MOST_CHARACTERS:
        word = words[first - 1]
        gap = text[word.end : words[first].start]
        if word.raw in _data().ends or (first < at and not _WITHIN_UNSPACED.fullmatch(gap.strip())):
            break
        first -= 1
        if not word.unspaced:
            yield from _spaced(text, words[:at], first, pattern)
            return
    yield from _named(words[first:at], pattern)


def _spaced(text: str, words: Sequence[_Token], at: int, pattern: _Pattern) -> Iterator[Name]:
    """The words of a name from ``at`` on, each by itself."""
    data, first = _data(), words[at]
    begins = at > 0 and _BREAK.search(text[words[at - 1].end : first.start]) is not None
    # What begins a sentence has a capital anyway, and so has every noun of German.
    telling = first.raw[0].isupper() and not begins and (pattern.sure or pattern.language != "de")
    if not telling and _frequent(first.raw, pattern):
        return
    for n, word in enumerate(words[at : at + MOST_WORDS], at):
        joined = n == at or _WITHIN.fullmatch(text[words[n - 1].end : word.start])
        if not joined or word.unspaced or word.folded.isdecimal():
            return
        if word.folded in data.particles:
            continue
        if n > at and not _goes_on(words[n - 1], word, pattern):
            return
        if len(word.folded) > 1:
            yield (word.folded,)


def _goes_on(before: _Token, word: _Token, pattern: _Pattern) -> bool:
    """Whether a word is one more of the name before it, and not of the sentence, in whatever language that goes on."""
    if not ranked(pattern.language):
        return before.folded in _data().particles
    return word.raw[0].isupper() or all(rank(word.raw, language) is None for language in _data().languages)


def _named(run: Sequence[_Token], pattern: _Pattern) -> Iterator[Name]:
    if not run or _frequent("".join(word.raw for word in run), pattern):
        return
    # One character alone is in too many words: it is a name as it was introduced.
    alone = (*pattern.before, run[0].folded, *pattern.after)
    yield from _parts(run) or {alone}


def _frequent(word: str, pattern: _Pattern) -> bool:
    """Whether it is no name, as far as its frequency tells."""
    place = rank(word, pattern.language)
    if place is None or pattern.sure:
        return place is not None and place < OFTEN_SURE
    return not _UNSPACED.match(word) or place < OFTEN_UNSPACED


def _run(text: str, words: Sequence[_Token], ends: frozenset[str]) -> Sequence[_Token]:
    """The characters that follow one another, up to one that ends a name."""
    for n, word in enumerate(words):
        apart = n > 0 and not _WITHIN_UNSPACED.fullmatch(text[words[n - 1].end : word.start])
        if n == MOST_CHARACTERS or apart or not word.unspaced or word.raw in ends:
            return words[:n]
    return words


def _runs(words: Sequence[_Token]) -> Iterator[Sequence[_Token]]:
    run: list[_Token] = []
    for word in words:
        if word.unspaced:
            run.append(word)
        elif run:
            yield run
            run = []
    if run:
        yield run


def _parts(run: Sequence[_Token]) -> set[Name]:
    """By what a name without spaces is called again: as a whole, two Han characters of it, its kana; from two on."""
    folded = tuple(word.folded for word in run)
    found = {folded, *((one.folded, other.folded) for one, other in pairwise(run) if _han(one) and _han(other))}
    raw = "".join(word.raw for word in run)
    found |= {folded[match.start() : match.end()] for match in _KANA.finditer(raw)}
    return {name for name in found if len(name) > 1}


def _han(word: _Token) -> bool:
    return not _KANA.match(word.raw)


def _words(text: str) -> list[_Token]:
    text = unicodedata.normalize("NFC", text)
    return [_Token(match[0], fold(match[0]), *match.span()) for match in _WORD.finditer(text)]


@cache
def _data() -> _Data:
    """Read once a process."""
    read = msgspec.convert(tomllib.loads(_FILE.read_text(encoding="utf-8")), _File)
    patterns = []
    for language, said in read.say.items():
        for sure, phrases in ((True, said.sure), (False, said.maybe)):
            for phrase in phrases:
                before, _, after = phrase.partition(_PLACE)
                sides = [tuple(word.folded for word in _words(side)) for side in (before, after)]
                patterns.append(_Pattern(language, sure, *sides))
    return _Data(
        tuple(patterns),
        tuple(language for language in read.say if ranked(language)),
        frozenset(fold(word) for word in read.words.particles),
        frozenset(fold(word) for word in read.words.fillers),
        frozenset(read.words.ends),
    )
