"""Numbers and times as people of a language write them, in plain text: a text message stays one. Knows no sentence."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from babel import Locale
from babel.core import UnknownLocaleError
from babel.dates import format_datetime
from babel.numbers import format_decimal, format_percent

from tutor.script.language import Language

_SPACES: Final = str.maketrans(dict.fromkeys("\u00a0\u202f\u2009", " ") | dict.fromkeys("\u200e\u200f\u061c"))
"""Hard and narrow spaces would halve the room of a text message; marks of direction would be read as letters."""


def number(value: int, language: Language) -> str:
    """A whole number: ``1,234``, ``1.234`` or ``1 234``."""
    return format_decimal(value, locale=_locale(language)).translate(_SPACES)


def percent(share: float, language: Language) -> str:
    """A share of 1 in whole percents, rounded: ``40%`` or ``40 %``."""
    return format_percent(round(share, 2), format=None, locale=_locale(language)).translate(_SPACES)


def weekday_and_time(at: datetime, language: Language) -> str:
    """A moment of this week, as clocks show it where ``at`` is: ``Sunday 17:14``."""
    return format_datetime(at, "EEEE HH:mm", locale=_locale(language)).translate(_SPACES)


def _locale(language: Language) -> Locale:
    try:
        return Locale.parse(language.tag, sep="-")
    except UnknownLocaleError:
        return Locale.parse(language.base)
