"""Text as the word lists see it: folded words, single characters where a script has no spaces, and ends of sentences.

Knows no list and no language.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

END: Final = "."
"""Stands for the end of a sentence, and for the end of the text."""

WORD: Final = "[\u3040-\u30ff\u3400-\u9fff]|[^\\W_\u3040-\u30ff\u3400-\u9fff]+"
"""A regular expression: one Han character or kana, or a word or number of another script."""

_TOKEN: Final = re.compile(f"{WORD}|(?<!\\.)[.!?؟](?=\\s|$)|[。！？]")
# An ellipsis is a learner who thinks, not the end of a sentence.
_MARKS: Final = re.compile("[\u0300-\u036f\u0610-\u061a\u0640\u064b-\u065f\u0670\u3099\u309a]")
"""Accents, Arabic vowel signs and lengthening, the marks of kana: what transcripts put or leave out."""
_LETTERS: Final = str.maketrans({"œ": "oe", "æ": "ae", "ى": "ي", "ة": "ه", "ı": "i"})
_ENDS: Final = frozenset(".!?。！？؟")


def fold(text: str) -> str:
    """A text without case, accents and variants of letters."""
    return _MARKS.sub("", unicodedata.normalize("NFKD", text.casefold())).translate(_LETTERS)


def tokens(text: str) -> list[str]:
    """The folded words of a text with ``END`` where a sentence ends; an apostrophe or a hyphen parts two words."""
    found = _TOKEN.findall(fold(text))
    return [END if token in _ENDS else token for token in found]
