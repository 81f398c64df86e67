"""A sentence with the voice it is spoken in, and how long a voice needs for sentences. Knows no carrier and no call."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from tutor.script.language import Language

SLOW: Final = 0.8
"""How fast a sentence to keep is spoken, compared with a voice's own speed."""

_CHARACTERS_PER_S: Final = 15.0  # the slow end of what espeak-ng needs at its normal rate (15 to 19 measured)
_WIDE_CHARACTERS_PER_S: Final = 4.5  # a syllable a character: Chinese, Japanese, Korean
_PAUSE_S: Final = 0.35


@dataclass(frozen=True, slots=True)
class Said:
    """A text in one language's voice. Plain values only, so that it can be stored and compared."""

    text: str
    language: str
    """The language's tag."""
    voice: str
    """The carrier's voice, and the locale that must go with it."""
    locale: str
    slow: bool = False
    """Spoken at ``SLOW``, for a sentence that is to be remembered."""

    @classmethod
    def of(cls, text: str, language: Language, *, slow: bool = False) -> Said:
        """A text in a language's own voice."""
        return cls(text, language.tag, language.say_voice, language.say_locale, slow)


Line = str | Said
"""A sentence of a prompt; a plain text is in the caller's own language."""


def estimate_s(lines: Iterable[Line]) -> float:
    """Estimates how long voices speak ``lines``, in seconds; on the long side for slow voices."""
    return sum(map(_estimate_s, lines))


def _estimate_s(line: Line) -> float:
    if isinstance(line, str):
        return _speech_s(line) + _PAUSE_S if line else 0.0
    return _speech_s(line.text) / (SLOW if line.slow else 1) + _PAUSE_S if line.text else 0.0


@lru_cache(maxsize=4096)
def _speech_s(text: str) -> float:
    """Remembered, because a menu weighs the same sentences at every key."""
    wide = sum(character >= "\u2e80" for character in text)
    return (len(text) - wide) / _CHARACTERS_PER_S + wide / _WIDE_CHARACTERS_PER_S
