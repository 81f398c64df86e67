"""Telephone numbers as carriers write them: who is calling, and which line was dialled.

It may not know who owns a number or what is stored under it. A whole number never goes to a log: use ``last_two``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat, ValidationResult

WITHHELD_KEYPAD_SPELLINGS = frozenset(
    {
        "266696687",  # ANONYMOUS
        "7378742833",  # RESTRICTED
        "2562533",  # BLOCKED
        "8656696",  # UNKNOWN
        "86282452253",  # UNAVAILABLE
    }
)
"""Words for "withheld" spelled on a keypad, as carriers send them after a ``+``. Some are possible numbers of real
countries, so they are listed rather than recognised."""

FAILED_VALIDATION = "tn-validation-failed"
"""How a verdict of STIR/SHAKEN begins that is no good; a level of attestation and how the call came may follow."""

FULL_ATTESTATION = "tn-validation-passed-a"
"""The caller's own carrier knows them and their right to the number; B and C say less."""

_PLAIN_NUMBER = re.compile(r"\+?[0-9 ().\-/]{2,32}", re.ASCII)


@dataclass(frozen=True, slots=True)
class KnownCaller:
    """A caller whose number the carrier gave. Caller ID can be forged: it identifies, it does not authenticate."""

    e164: str

    def __repr__(self) -> str:
        """Shows the last two digits only, so that no log or traceback holds a whole number."""
        return f"KnownCaller(…{last_two(self.e164)})"


@dataclass(frozen=True, slots=True)
class Guest:
    """A caller identified by no number: withheld, unreadable, or calling from an app or a SIP phone (``sip``)."""


Caller = KnownCaller | Guest


def normalise(raw: str, *, region: str | None = None) -> str | None:
    """Returns ``raw`` in E.164 (``+`` and 2-15 digits), or None when it is no telephone number.

    Numbers need only have a possible length: numbering plans change faster than metadata is installed.

    Args:
        raw: what a carrier or a person wrote; spaces, dots, hyphens, slashes and brackets are allowed.
        region: two-letter region that a number without ``+`` belongs to (``ES``); None refuses such numbers.
    """
    text = raw.strip()
    if not _PLAIN_NUMBER.fullmatch(text):
        return None  # letters too: the library would read "FLOWERS" as digits
    try:
        number = phonenumbers.parse(text, region)
    except NumberParseException:
        return None
    if phonenumbers.is_possible_number_with_reason(number) != ValidationResult.IS_POSSIBLE:
        return None
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


def identify(raw: str, *, region: str | None = None, verstat: str = "") -> Caller:
    """Says who is calling, from the carrier's ``From``.

    Every form of a withheld number, ``client:`` and ``sip:`` addresses, and whatever cannot be read are a ``Guest``; so
    is a number whose signature the carrier found to be wrong: it may be somebody else's. Most calls bear no signature.

    Args:
        raw: ``From`` as it came, empty included.
        region: region of the dialled line, for carriers that hand on a national caller ID.
        verstat: ``StirVerstat`` as it came, such as ``TN-Validation-Passed-A``; empty where there is none.
    """
    if verstat.casefold().startswith(FAILED_VALIDATION):
        return Guest()
    if "".join(character for character in raw if character in "0123456789") in WITHHELD_KEYPAD_SPELLINGS:
        return Guest()
    e164 = normalise(raw, region=region)
    if e164 is None or e164[1:] in WITHHELD_KEYPAD_SPELLINGS:
        return Guest()
    return KnownCaller(e164)


def attested(verstat: str) -> bool:
    """Whether the caller's own carrier vouches that the number is theirs.

    The only decent evidence that a number is not forged, and no proof; outside North America there is none.

    Args:
        verstat: as in `identify`.
    """
    return verstat.casefold() == FULL_ATTESTATION


def region_of(e164: str) -> str | None:
    """Returns the two-letter region of a number in E.164, None when it has none (satellite, freephone +800)."""
    try:
        number = phonenumbers.parse(e164, None)
    except NumberParseException:
        return None
    region = phonenumbers.region_code_for_number(number) or phonenumbers.region_code_for_country_code(
        number.country_code or 0
    )
    return region if region.isalpha() and region != "ZZ" else None


def last_two(e164: str) -> str:
    """Returns the last two digits: enough for a person to recognise a number, too little to call it."""
    return e164[-2:]
