"""The keys made from ``RINGUA_SECRET_KEY``: hashes that recognise, and encryption for what must be read again.

It knows no table. Each purpose has a key of its own, so that a hash of one kind never equals one of another.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from uuid import UUID

from cryptography.fernet import Fernet, InvalidToken

MIN_SECRET_LENGTH = 32
"""Characters; ``secrets.token_urlsafe(32)`` gives 43."""


class KeyringError(Exception):
    """The secret is unusable, or something was encrypted with another one. One sentence for a person."""


class Keyring:
    """Hashes and encrypts with keys derived from one secret. Losing the secret makes every caller a stranger."""

    def __init__(self, secret: str) -> None:
        """Derives the keys. Raises KeyringError when ``secret`` is shorter than ``MIN_SECRET_LENGTH`` characters."""
        if len(secret) < MIN_SECRET_LENGTH:
            raise KeyringError(
                f"RINGUA_SECRET_KEY is too short: give it at least {MIN_SECRET_LENGTH} random characters, "
                "for example from `openssl rand -hex 32`"
            )
        self._numbers = _derive(secret, "ringua number")
        self._sip = _derive(secret, "ringua sip")
        self._tokens = _derive(secret, "ringua token")
        self._pins = _derive(secret, "ringua pin")
        self._links = _derive(secret, "ringua link")
        self._box = Fernet(base64.urlsafe_b64encode(_derive(secret, "ringua encryption")))

    def hash_number(self, e164: str) -> bytes:
        """32 bytes by which a caller's number is known again; without the secret no one can try all numbers."""
        return hmac.digest(self._numbers, e164.encode(), hashlib.sha256)

    def hash_sip(self, address: str) -> bytes:
        """32 bytes by which a SIP phone (``sip:name@domain``) is known again; never those of any number."""
        return hmac.digest(self._sip, address.encode(), hashlib.sha256)

    def hash_token(self, token: str) -> bytes:
        """32 bytes that stand for a one-use token in the database."""
        return hmac.digest(self._tokens, token.encode(), hashlib.sha256)

    def hash_pin(self, line_id: UUID, digits: str) -> bytes:
        """32 bytes that stand for a PIN of one line; the same digits on another line give others."""
        return hmac.digest(self._pins, line_id.bytes + digits.encode(), hashlib.sha256)

    def hash_link(self, token: str) -> bytes:
        """32 bytes that stand for the address of a page in the database."""
        return hmac.digest(self._links, token.encode(), hashlib.sha256)

    def encrypt(self, text: str) -> bytes:
        """Encrypts and authenticates (Fernet: AES-128-CBC with HMAC-SHA256); the same text never looks the same."""
        return self._box.encrypt(text.encode())

    def decrypt(self, data: bytes) -> str:
        """Reads what ``encrypt`` wrote. Raises KeyringError when it was changed or another secret wrote it."""
        try:
            return self._box.decrypt(data).decode()
        except InvalidToken:
            raise KeyringError(
                "Stored data was encrypted with another RINGUA_SECRET_KEY: start with the key that wrote it, "
                "or enter the data again"
            ) from None


def _derive(secret: str, purpose: str) -> bytes:
    """One key per purpose (HKDF's expand step for a single block)."""
    return hmac.digest(secret.encode(), purpose.encode() + b"\x01", hashlib.sha256)
