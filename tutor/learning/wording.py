"""One linter for every text that leaves the house: it must not judge, count errors or take a praise back.

What is forbidden in a language stands in its catalogue file (`teacher_words`, `but_words`). Quotations are not
linted: a learner may say "but". Knows no call and no model.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from tutor.learning import quotes
from tutor.script.language import Language

SCRIPTS = {
    "Latn": ("LATIN",),
    "Cyrl": ("CYRILLIC",),
    "Grek": ("GREEK",),
    "Arab": ("ARABIC",),
    "Hans": ("CJK",),
    "Hant": ("CJK",),
    "Jpan": ("CJK", "HIRAGANA", "KATAKANA"),
    "Kore": ("HANGUL", "CJK"),
}
"""How Unicode calls the letters of a script (ISO 15924)."""

OWN_SHARE = 0.4
"""The least share of letters in the language's own script: a name or a loan word may be in another, which may need
more letters for it."""

_VERDICTS = ("correct", "incorrect")
"""Forbidden in every language: English that slipped through."""

_SCORE = re.compile(r"\d\s*[%٪％]|\d\s*/\s*\d")


def problems(text: str, language: Language) -> list[str]:
    """What is wrong with a text in the learner's own language, one sentence each; nothing when it may be sent."""
    text = unicodedata.normalize("NFC", text)
    said = quotes.words(text, accents=True)
    found = [
        f'it uses "{word}", which judges the learner\'s language'
        for word in dict.fromkeys((*language.teacher_words, *_VERDICTS))
        if _has(said, word)
    ]
    found += [f'it uses "{word}", which takes a praise back' for word in language.but_words if _has(said, word)]
    if _SCORE.search(text):
        found.append("it gives a percentage or a score")
    return found


def _has(said: list[str], word: str) -> bool:
    """Whether a word stands among others with just these accents: "maïs" is no "mais"."""
    return quotes.position(_forbidden(word), said) is not None


@lru_cache(maxsize=1024)
def _forbidden(word: str) -> list[str]:
    """The words of an entry of the catalogue, which are looked for in every text."""
    return quotes.words(word, accents=True)


def in_script(text: str, script: str) -> bool:
    """Whether a text is written in a script; one without letters is, and so is any in a script we do not know."""
    names = SCRIPTS.get(script)
    letters = [char for char in text if char.isalpha()]
    if names is None or not letters:
        return True
    return sum(unicodedata.name(char, "").startswith(names) for char in letters) >= OWN_SHARE * len(letters)
