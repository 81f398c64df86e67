"""What a learner says instead of pressing a key: "more slowly, please", "a hint", "how do I say ...?".

Only a turn that asks for it and says nothing else counts, so that the same words inside a story, or to the role, are no
key (tutoring.md §5.2). Pure, on transcripts; the words are data (``[asks]`` of the languages); knows no keypad.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal, get_args

from tutor.script import catalogue
from tutor.script.language import ASK_KINDS, Language
from tutor.talk.goals import words

SpokenKey = Literal["1", "2", "3", "4", "5", "6", "7", "8", "9", "0", "*"]

KEYS: Mapping[str, SpokenKey] = dict(zip(ASK_KINDS, get_args(SpokenKey), strict=False))
"""What is asked for, and the key that does it."""

CLARIFICATIONS = frozenset({"slower", "repeat", "translate", "meaning", "unclear"})
"""What shows that the last line was not understood."""

_BY_WEIGHT = (
    "uncomfortable", "end", "restart", "pause", "word", "translate", "slower", "repeat", "hint", "goals", "faster",
    "meaning", "unclear",
)  # fmt: skip
"""What counts when a turn asks for two things at once: "Sorry, again? More slowly, please" is the slower voice."""

MAX_WORDS = 8
MAX_WORDS_FOR_A_WORD = 12
"""Longer turns are no keys; "how do I say ...?" has the learner's own words in it."""

MAX_CHARS = 120
"""Nobody reads further: longer turns say something else as well."""

CHARACTERS_A_WORD = 3
"""The same limits for Chinese and Japanese, in characters: polite phrases are long there."""

_UNSPACED = frozenset({"Hans", "Jpan"})
_TARGET, _NATIVE, _SLOT = "\ue000", "\ue001", "\ue002"
_MARKS = {"{target}": _TARGET, "{native}": _NATIVE, "…": f" {_SLOT} "}
_BRACKETS = re.compile(r"([()\[\]|])")
_CLAUSE_END = re.compile(r"[.,;:!?¿¡…。，、；：！？؟،؛\n]+")
_ARABIC = str.maketrans({"ة": "ه", "ى": "ي", "ـ": None})
"""Letters that people, and transcribers, write for one another."""

_Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Token:
    word: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Ask:
    """What was found: its kind, the learner's own words in it, and in which language it was said."""

    kind: str
    rest: str
    tag: str


class _Polite:
    """Polite words and fillers, which stand at the ends of what is meant."""

    def __init__(self, phrases: frozenset[_Words]) -> None:
        self._phrases = phrases
        self._lengths = sorted({len(phrase) for phrase in phrases}, reverse=True)

    def bare(self, words: _Words) -> tuple[int, int]:
        """Where the words between them begin and end."""
        first, last, size = 0, len(words), -1
        while size != last - first:
            size = last - first
            for length in self._lengths:
                if length <= last - first and words[first : first + length] in self._phrases:
                    first += length
                if length <= last - first and words[last - length : last] in self._phrases:
                    last -= length
        return first, last


@dataclass(frozen=True, slots=True)
class _Book:
    """The phrases of one language, folded into words; in scripts without spaces, into characters."""

    language: Language
    phrases: Mapping[_Words, str]
    frames: Sequence[tuple[_Words, _Words, str]]
    """What stands before and behind the learner's own words, the longest first."""
    polite: _Polite

    @property
    def unspaced(self) -> bool:
        """Whether each character is a word here."""
        return self.language.script in _UNSPACED


def read(text: str, scene_target_tag: str, native_tag: str, turn_words: int | None = None) -> SpokenKey | None:
    """The key that a turn asks for, in the language being learned or in the learner's own; mostly None.

    Case, accents, punctuation and politeness do not matter.

    Args:
        text: what the learner said, as transcribed.
        scene_target_tag: the language being learned.
        native_tag: the learner's own; a question for the meaning ("what does that mean?") is key 4 in this one only,
            in the target it is for the role to answer.
        turn_words: how many words the whole turn had, as `tutor.talk.goals.words` counts them, where ``text`` is only
            a part of it: then it is no key.

    Raises:
        CatalogueError: a language is unknown.
    """
    ask = _find(text, scene_target_tag, native_tag)
    if ask is None or (turn_words is not None and turn_words > len(words(text))):
        return None
    if ask.kind == "meaning":
        return KEYS["translate"] if ask.tag == _base(native_tag) else None
    return KEYS.get(ask.kind)


def is_clarification(text: str, scene_target_tag: str, native_tag: str) -> bool:
    """Whether a turn only asks to hear it again, more slowly, in other words, or says that it was not understood.

    Raises:
        CatalogueError: a language is unknown.
    """
    ask = _find(text, scene_target_tag, native_tag)
    return ask is not None and ask.kind in CLARIFICATIONS


def rest(text: str, scene_target_tag: str, native_tag: str) -> str | None:
    """The words for which a "how do I say ...?" wants others, as the learner said them; None when it names none.

    Raises:
        CatalogueError: a language is unknown.
    """
    ask = _find(text, scene_target_tag, native_tag)
    return ask.rest or None if ask is not None and ask.kind == "word" else None


def expansions(pattern: str, language: Language) -> list[tuple[str, ...]]:
    """Every phrase a pattern of the data stands for, in folded words: ``(a|b)`` is one of both, ``[a]`` may be missing.

    Raises:
        CatalogueError: a bracket is never closed, or closed without being opened.
    """
    for text, mark in _MARKS.items():
        pattern = pattern.replace(text, mark)
    pieces = [piece for piece in _BRACKETS.split(pattern) if piece]
    found, end = _alternatives(pieces, 0, language.script in _UNSPACED)
    if end != len(pieces):
        raise catalogue.CatalogueError(f"languages/{language.tag} asks: the brackets of {pattern!r} do not pair.")
    return found


def _alternatives(pieces: Sequence[str], at: int, unspaced: bool) -> tuple[list[_Words], int]:
    """What stands from here to the bracket that ends it, and where that is."""
    options: list[_Words] = []
    sequence: list[_Words] = [()]
    while at < len(pieces) and pieces[at] not in ")]":
        piece = pieces[at]
        if piece in "([":
            inner, at = _alternatives(pieces, at + 1, unspaced)
            inner = [*inner, ()] if piece == "[" else inner
            if at == len(pieces) or pieces[at] != {"(": ")", "[": "]"}[piece]:
                return [], len(pieces) + 1
        elif piece == "|":
            options += sequence
            inner, sequence = [()], [()]
        else:
            inner = [tuple(token.word for token in _tokens(piece, unspaced=unspaced))]
        sequence = [before + words for before in sequence for words in inner]
        at += 1
    return options + sequence, at


def _find(text: str, target_tag: str, native_tag: str) -> _Ask | None:
    """What the whole turn asks for, or all of its clauses, politeness aside."""
    if len(text) > MAX_CHARS:
        return None
    books = [_book(base) for base in dict.fromkeys((_base(native_tag), _base(target_tag)))]
    whole = _one(text, books, target_tag, native_tag)
    if whole is not None:
        return whole if whole.kind != "polite" else None
    clauses = [clause for clause in _CLAUSE_END.split(text) if clause.strip()]
    asks = [_one(clause, books, target_tag, native_tag) for clause in clauses]
    found = [ask for ask in asks if ask is not None]
    if len(found) < len(asks):
        return None
    wanted = [ask for ask in found if ask.kind != "polite"]
    return min(wanted, key=lambda ask: _BY_WEIGHT.index(ask.kind), default=None)


def _one(text: str, books: Sequence[_Book], target_tag: str, native_tag: str) -> _Ask | None:
    """What a text asks for in the first language that knows it."""
    for book in books:
        base = book.language.base
        names = {_TARGET: _names(base, target_tag), _NATIVE: _names(base, native_tag)}
        tokens = _named(_tokens(text, unspaced=book.unspaced), names, 1 if book.language.script == "Arab" else 0)
        ask = _in_book(text, tokens, book)
        if ask is not None and len(tokens) <= _limit(ask, book):
            return ask
    return None


def _in_book(text: str, tokens: Sequence[_Token], book: _Book) -> _Ask | None:
    tag, said = book.language.base, tuple(token.word for token in tokens)
    first, last = book.polite.bare(said)
    bare = said[first:last]
    kind = book.phrases.get(said) or book.phrases.get(bare)
    if kind is not None:
        return _Ask(kind, "", tag)
    if not bare:
        return _Ask("polite", "", tag) if said else None
    for before, behind, kind in book.frames:
        start, end = first + len(before), last - len(behind)
        if start < end and said[first:start] == before and said[end:last] == behind:
            return _Ask(kind, text[tokens[start].start : tokens[end - 1].end], tag)
    return None


def _limit(ask: _Ask, book: _Book) -> int:
    words = MAX_WORDS_FOR_A_WORD if ask.rest else MAX_WORDS
    return words * CHARACTERS_A_WORD if book.unspaced else words


def _tokens(text: str, *, unspaced: bool) -> list[_Token]:
    """Each word, folded, with where it stands; ``unspaced``: each character."""
    tokens: list[_Token] = []
    word, start = "", 0
    for at, char in enumerate(f"{text} "):
        folded = char if char in (_TARGET, _NATIVE, _SLOT) else _folded(char)
        if folded and not word:
            start = at
        word += folded
        if word and (unspaced or not (folded or unicodedata.combining(char) or char == "ـ")):
            tokens.append(_Token(word, start, at + 1 if unspaced else at))
            word = ""
    return tokens


def _folded(char: str) -> str:
    """A letter or digit without case and accents; nothing for everything else."""
    plain = unicodedata.normalize("NFKD", char.casefold()).translate(_ARABIC)
    return "".join(part for part in plain if part.isalnum())


def _named(tokens: Sequence[_Token], names: Mapping[str, Sequence[_Words]], prefix: int) -> list[_Token]:
    """The names of the call's two languages as marks; up to ``prefix`` letters may be written on to them."""
    marked, at = [], 0
    while at < len(tokens):
        here = ((mark, name) for mark, known in names.items() for name in known)
        found = next((pair for pair in here if _stands(pair[1], tokens, at, prefix)), None)
        if found is None:
            marked.append(tokens[at])
            at += 1
            continue
        mark, name = found
        last = tokens[at + len(name) - 1]
        marked.append(_Token(tokens[at].word.removesuffix(name[0]) + mark, tokens[at].start, last.end))
        at += len(name)
    return marked


def _stands(name: _Words, tokens: Sequence[_Token], at: int, prefix: int) -> bool:
    first = tokens[at].word
    tail = tuple(token.word for token in tokens[at + 1 : at + len(name)])
    return first.endswith(name[0]) and len(first) - len(name[0]) <= prefix and tail == name[1:]


@cache
def _names(spoken: str, tag: str) -> tuple[_Words, ...]:
    """What the language ``spoken`` calls the language ``tag``, with and without its region; itself by its own name."""
    book, base = _book(spoken), _base(tag)
    known = book.language.language_names
    names = [book.language.name] if base == spoken else [known[name] for name in (tag, base) if name in known]
    return tuple(tuple(token.word for token in _tokens(name, unspaced=book.unspaced)) for name in names)


@cache
def _book(base: str) -> _Book:
    language = catalogue.load().language(base)
    found = {
        kind: [one for pattern in patterns for one in expansions(pattern, language)]
        for kind, patterns in language.asks.items()
    }
    polite = _Polite(frozenset(found.pop("polite", ())))
    phrases: dict[_Words, str] = {}
    frames: dict[tuple[_Words, _Words], str] = {}
    for kind, said in found.items():
        for phrase in said:
            first, last = polite.bare(phrase)
            bare = phrase[first:last]
            if _SLOT in bare:
                slot = bare.index(_SLOT)
                frames[bare[:slot], bare[slot + 1 :]] = kind
            else:
                phrases[phrase] = kind
                phrases.setdefault(bare, kind)
    phrases.pop((), None)
    longest = sorted(((*frame, kind) for frame, kind in frames.items()), key=lambda one: -len(one[0]) - len(one[1]))
    return _Book(language, phrases, longest, polite)


def _base(tag: str) -> str:
    return tag.replace("_", "-").lower().partition("-")[0]
