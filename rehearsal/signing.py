"""How the carrier signs what it sends, and the ways a signature can be wrong that a server must survive.

Written from the published algorithm: HMAC over the URL and the sorted form, base64. Knows no HTTP library.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Literal

Purpose = Literal["voice", "message", "socket"]

SIGNATURE_HEADER = "X-Twilio-Signature"
SETTINGS_HEADER = "X-Twilio-Webhooks-Signature-Settings"

_DIGESTS = {"HMAC_SHA1": hashlib.sha1, "HMAC_SHA256": hashlib.sha256}
_DEFAULT_PORTS = {"http": "80", "ws": "80", "https": "443", "wss": "443"}


class Signing(Enum):
    """Which signature a call's requests carry."""

    SHA1 = "sha1"
    """The classic one: HMAC-SHA1 with the account's token."""
    SHA256_SHARED_KEY = "sha256-shared-key"
    """The newer one: HMAC-SHA256 with a shared key, named in a settings header."""
    WRONG = "wrong"
    """Made with another token: must be refused."""
    MISSING = "missing"
    """No header at all: must be refused."""
    TRAILING_SLASH = "trailing-slash"
    """Sockets are signed with a slash added to the URL, as the documentation warns; webhooks as ever."""
    PORT_443 = "port-443"
    """The scheme's default port is written out in what is signed."""


@dataclass(frozen=True, slots=True)
class SharedKey:
    """A signing key of the newer kind: its public name and its secret."""

    id: str
    secret: str


def signature(secret: str, url: str, params: Iterable[tuple[str, str]] = (), *, algorithm: str = "HMAC_SHA1") -> str:
    """The signature of a request for ``url`` (as it will be compared: no fragment) with these form fields.

    Equal pairs count once. An algorithm other than HMAC_SHA1 or HMAC_SHA256 raises KeyError.
    """
    signed = url + "".join(name + value for name, value in sorted(set(params)))
    digest = hmac.new(secret.encode(), signed.encode(), _DIGESTS[algorithm]).digest()
    return base64.b64encode(digest).decode()


def signed_url(url: str, purpose: Purpose, how: Signing = Signing.SHA1) -> str:
    """The URL as the carrier signs it: never a fragment or user name, and for voice over https never a port.

    Everything else stays as it was requested, percent-encoding and case included.
    """
    scheme, _, rest = url.partition("#")[0].partition("://")
    ends_at = min((at for mark in "/?" if (at := rest.find(mark)) >= 0), default=len(rest))
    authority, path = rest[:ends_at].rpartition("@")[2], rest[ends_at:]
    host, colon, port = authority.rpartition(":")
    if not (colon and port.isdigit()):
        host, port = authority, ""
    if how is Signing.PORT_443:
        port = port or _DEFAULT_PORTS[scheme]
    elif scheme == "https" and purpose == "voice":
        port = ""
    if how is Signing.TRAILING_SLASH and purpose == "socket":
        path += "/"
    return f"{scheme}://{host}{':' if port else ''}{port}{path}"


@dataclass(frozen=True, slots=True)
class Signer:
    """Makes the headers that prove a request comes from the account."""

    auth_token: str
    shared_key: SharedKey | None = None

    def headers(
        self, url: str, params: Iterable[tuple[str, str]] = (), *, purpose: Purpose, how: Signing = Signing.SHA1
    ) -> dict[str, str]:
        """The signature headers of one request; empty when the signature is to be missing.

        Raises ValueError when a shared key is asked for and the account has none.
        """
        if how is Signing.MISSING:
            return {}
        url = signed_url(url, purpose, how)
        if how is Signing.SHA256_SHARED_KEY:
            if self.shared_key is None:
                raise ValueError("this account has no shared key: give the carrier one with shared_key=")
            return {
                SIGNATURE_HEADER: signature(self.shared_key.secret, url, params, algorithm="HMAC_SHA256"),
                SETTINGS_HEADER: f"key={self.shared_key.id},algorithm=HMAC_SHA256",
            }
        secret = self.auth_token + "-but-not-this-one" if how is Signing.WRONG else self.auth_token
        return {SIGNATURE_HEADER: signature(secret, url, params)}
