"""The words that measures look for in what was said, one file a language: ``tutor/catalogue/speech``.

Read once a process; a wrong file is one sentence that names it. Knows no call.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, Literal

import msgspec

from tutor.safety.phrases import MASKED, PatternError, Phrasebook
from tutor.safety.tokens import tokens

FOLDER: Final = Path(__file__).parents[1] / "catalogue" / "speech"

_ASKED: Final = "ʔ"
"""Stands for a question mark, in patterns and in texts: a letter, so that it is a token of its own."""

_QUESTION_MARK: Final = re.compile("[?？]+")

Wanted = Literal["learner", "role", "edits"]
"""The learner asks again; the role asks back; somebody starts a sentence anew."""


class SpeechDataError(ValueError):
    """A file of ``tutor/catalogue/speech`` is wrong; one sentence says which and how."""


class _File(msgspec.Struct, forbid_unknown_fields=True):
    """``<tag>.toml``; what its lists are is told in ``en.toml``."""

    learner: list[str]
    role: list[str]
    harmless: list[str]
    sounds: list[str]
    doubled: list[str]
    edits: list[str]


@dataclass(frozen=True, slots=True)
class SpeechWords:
    """One language's lists, ready to be looked for."""

    sounds: tuple[tuple[str, ...], ...]
    """What is no word, in tokens, the longest first."""
    doubled: frozenset[str]
    """Words that are said twice on purpose; where words are not spaced, phrases. Folded."""
    _phrases: Phrasebook
    _harmless: Phrasebook

    def find(self, text: str, wanted: Wanted) -> int:
        """How many places of a text have a phrase that is wanted; places that overlap are one."""
        # An end of a sentence stands before the first one too, so that a pattern can ask for a beginning.
        said = tokens("。" + _QUESTION_MARK.sub(f" {_ASKED}。 ", text))
        for idiom in [*self._harmless.find(said)]:
            said[idiom.start : idiom.end] = [MASKED] * len(said[idiom.start : idiom.end])
        places = sorted({(found.start, found.end) for found in self._phrases.find(said) if found.label == wanted})
        count, reached = 0, -1
        for start, end in places:
            count += start >= reached
            reached = max(reached, end)
        return count


def of(target_tag: str) -> SpeechWords | None:
    """The lists of a language, by its tag (``es-PR`` has those of ``es``); None when there are none.

    Raises:
        SpeechDataError: its file is wrong.
    """
    base = target_tag.partition("-")[0].lower()
    return _read(base) if base in languages() else None


@cache
def languages() -> tuple[str, ...]:
    """The languages that have lists, by tag."""
    return tuple(sorted(file.stem for file in FOLDER.glob("*.toml")))


@cache
def _read(base: str) -> SpeechWords:
    return load(FOLDER / f"{base}.toml")


def load(path: Path) -> SpeechWords:
    """The lists of one file.

    Raises:
        SpeechDataError: it cannot be read, has other fields than it should, or a pattern that cannot be read.
    """
    try:
        file = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), _File)
        patterns: Mapping[Wanted, list[str]] = {"learner": file.learner, "role": file.role, "edits": file.edits}
        return SpeechWords(
            sounds=tuple(sorted({tuple(tokens(sound)) for sound in file.sounds}, key=len, reverse=True)),
            doubled=frozenset("".join(tokens(word)) for word in file.doubled),
            _phrases=Phrasebook([(kind, one) for kind, given in patterns.items() for one in _readable(given)]),
            _harmless=Phrasebook([("harmless", one) for one in _readable(file.harmless)]),
        )
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError, PatternError) as error:
        problem = str(error).rstrip(".")
        raise SpeechDataError(
            f"The file {path.name} of the catalogue's speech lists cannot be used: {problem}."
        ) from error


def _readable(patterns: Iterable[str]) -> Iterator[str]:
    for pattern in patterns:
        yield _QUESTION_MARK.sub(f" {_ASKED} ", pattern)
