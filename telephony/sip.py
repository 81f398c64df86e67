"""SIP addresses as carriers write them: who was authenticated, and which line was asked for.

A SIP phone writes what it likes into its own address; only the name with which it authenticated says who it is. Knows
no table and no carrier; a whole address never goes to a log.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from telephony import numbers

_ADDRESS: Final = re.compile(
    r'(?:"[^"]*"\s*|[^<"]*)?<?\s*sips?:(?:(?P<name>[^@;:?<>\s]{1,192})(?:[;:][^@<>\s]*)?@)?'
    r"(?P<domain>[A-Za-z0-9.-]{1,253})(?::[0-9]{1,5})?(?:[;?][^<>\s]*)?\s*>?",
    re.IGNORECASE | re.ASCII,
)
_NAME: Final = re.compile(r"[A-Za-z0-9._~+!*'-]{1,64}", re.ASCII)
"""What a name of credentials is made of."""
_DOMAIN: Final = re.compile(
    r"(?=.{4,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]", re.ASCII
)


@dataclass(frozen=True, slots=True)
class SipCaller:
    """A phone that authenticated with a name at a domain, in small letters: it is known again by both."""

    name: str
    domain: str

    @property
    def address(self) -> str:
        """``sip:name@domain``, of which a keyed hash is kept."""
        return f"sip:{self.name}@{self.domain}"

    def __repr__(self) -> str:
        """Shows the domain alone, so that no log or traceback holds a name."""
        return f"SipCaller(…@{self.domain})"


def is_address(raw: str) -> bool:
    """Whether a caller is given as a SIP address, whoever that is."""
    return _ADDRESS.fullmatch(raw.strip()) is not None


def authenticated(raw: str, *, domain: str, name: str) -> SipCaller | None:
    """The phone that calls, if the carrier has authenticated it; None: somebody who must be taken for a guest.

    Args:
        raw: the caller's own address, as it came. Its name must be the authenticated one: a phone that shows another
            may pretend to be somebody else.
        domain: the SIP domain at which it authenticated, one that is known here.
        name: with which name; empty where the carrier let it in by its network address, which says nothing of people.
    """
    found = _ADDRESS.fullmatch(raw.strip())
    shown = unquote(found["name"] or "") if found is not None else ""
    if not _NAME.fullmatch(name) or shown != name or domain_of(domain) is None:
        return None
    return SipCaller(name, domain.strip().lower())


def parse_name(written: str) -> SipCaller | None:
    """Reads what a person writes: ``ana@school.sip.twilio.com``, with or without ``sip:``; None for anything else."""
    name, at, domain = written.strip().removeprefix("sip:").rpartition("@")
    known = domain_of(domain)
    return SipCaller(name, known) if at and known is not None and _NAME.fullmatch(name) else None


def domain_of(written: str) -> str | None:
    """A SIP domain as it is kept, in small letters; None when it is none."""
    domain = written.strip().lower()
    return domain if _DOMAIN.fullmatch(domain) else None


def dialled_number(raw: str) -> str | None:
    """The telephone number (E.164) that a SIP address asks for; None where it asks for something else."""
    found = _ADDRESS.fullmatch(raw.strip())
    return numbers.normalise(unquote(found["name"] or "")) if found is not None else None
