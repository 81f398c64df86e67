"""How many segments a text message is sent, and charged, in: the GSM 03.38 alphabet, or UCS-2 as soon as it must.

It counts what networks count, and changes no letter.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

GSM7_SINGLE: Final = 160
GSM7_PART: Final = 153
"""Septets; a message of several parts spends 7 of each on its header."""
UCS2_SINGLE: Final = 70
UCS2_PART: Final = 67
"""16-bit units: a character beyond the basic plane, such as an emoji, is two."""

_GSM7: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ"
    " !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM7_ESCAPED: Final = frozenset("\f^{}\\[~]|€")
"""Reached by an escape: two septets, which stay together."""


def is_gsm7(text: str) -> bool:
    """Returns whether every character is in the GSM alphabet: then a segment holds more than twice as much."""
    return _GSM7.union(_GSM7_ESCAPED).issuperset(text)


def segments(text: str) -> int:
    """Returns the number of segments, 0 for an empty text."""
    if is_gsm7(text):
        return _parts((2 if character in _GSM7_ESCAPED else 1 for character in text), GSM7_SINGLE, GSM7_PART)
    return _parts((2 if character > "\uffff" else 1 for character in text), UCS2_SINGLE, UCS2_PART)


def _parts(units: Iterable[int], single: int, part: int) -> int:
    """Fills parts one after the other: what takes two units is never torn apart, so a part may keep one free."""
    whole, count, left = 0, 0, 0
    for size in units:
        whole += size
        if size > left:
            count, left = count + 1, part
        left -= size
    return min(count, 1) if whole <= single else count
