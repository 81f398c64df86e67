"""The keyring: hashes that recognise, encryption that can be undone only with the same secret."""

from __future__ import annotations

import pytest

from db.keyring import MIN_SECRET_LENGTH, Keyring, KeyringError


def test_same_number_same_hash(keyring: Keyring) -> None:
    """A number hashes to the same 32 bytes each time, and another number to others."""
    assert keyring.hash_number("+34600000001") == keyring.hash_number("+34600000001")
    assert keyring.hash_number("+34600000001") != keyring.hash_number("+34600000002")
    assert len(keyring.hash_number("+34600000001")) == 32


def test_hashes_depend_on_secret_and_purpose(keyring: Keyring) -> None:
    """Another secret, or the same text as a token, gives another hash."""
    other = Keyring("x" * MIN_SECRET_LENGTH)
    assert keyring.hash_number("+34600000001") != other.hash_number("+34600000001")
    assert keyring.hash_number("+34600000001") != keyring.hash_token("+34600000001")


def test_encryption_round_trip(keyring: Keyring) -> None:
    """What is encrypted reads back, never looks the same twice, and does not show the text."""
    first, second = keyring.encrypt("+34600000001"), keyring.encrypt("+34600000001")
    assert first != second
    assert b"600000001" not in first
    assert keyring.decrypt(first) == keyring.decrypt(second) == "+34600000001"


def test_other_secret_cannot_decrypt(keyring: Keyring) -> None:
    """Data of another secret is refused with a sentence that names the setting."""
    with pytest.raises(KeyringError, match="RINGUA_SECRET_KEY"):
        Keyring("x" * MIN_SECRET_LENGTH).decrypt(keyring.encrypt("secret"))


def test_short_secret_is_refused() -> None:
    """A secret that could be guessed is refused with a sentence that says how to make one."""
    with pytest.raises(KeyringError, match="openssl rand"):
        Keyring("x" * (MIN_SECRET_LENGTH - 1))
