"""What a carrier's webhooks say of a call that came by a SIP domain: the domain, and who authenticated there.

Only with a SIP address in ``To``. Header fields of the caller's own (``SipHeader_X-…``) are a call's extra parameters.
"""

from __future__ import annotations

import secrets
from urllib.parse import urlsplit

SOURCE_IP = "192.0.2.44"
"""Where rehearsed SIP phones are: an address that is nobody's (RFC 5737)."""


def domain_of(address: str) -> str | None:
    """The domain of ``sip:name@domain``; None for anything else."""
    scheme, _, rest = address.partition(":")
    if scheme.lower() not in {"sip", "sips"}:
        return None
    return urlsplit(f"//{rest.partition(';')[0].partition('?')[0]}").hostname


def identity(address: str) -> list[tuple[str, str]]:
    """What stays the same in all requests of a call to a SIP address, besides who authenticated; nothing for others."""
    domain = domain_of(address)
    if domain is None:
        return []
    return [
        ("SipDomain", domain),
        ("SipDomainSid", "SD" + secrets.token_hex(16)),
        ("SipCallId", f"{secrets.token_hex(8)}@{SOURCE_IP}"),
        ("SipSourceIp", SOURCE_IP),
    ]
