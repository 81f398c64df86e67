"""What the carrier's error codes for messages mean to us: whose fault it is, and what an operator can do about it.

From the carrier's error dictionary. A code that is not listed concerns its one message.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Verdict(StrEnum):
    """What follows from a refusal."""

    AGAIN = "again"
    """It may be tried again, a few times."""
    MESSAGE = "message"
    """This message does not go; others may."""
    RECIPIENT = "recipient"
    """Nothing goes to this number any more."""
    SENDER = "sender"
    """Nothing goes from this number until the operator has put it in order."""
    ACCOUNT = "account"
    """Nothing goes from this account until the operator has put it in order."""


_RECIPIENT: Final = frozenset(
    {
        21211,  # no valid number
        21214,  # cannot be reached
        21217,  # no valid number
        21610,  # has opted out
        21614,  # no mobile telephone
        30004,  # blocks messages
        30005,  # unknown
        30006,  # a landline
        30450,  # consent
    }
)
_SENDER: Final[Mapping[int, str]] = {
    21212: "The carrier does not know this sender: check the line's number in its console.",
    21606: "This number cannot send texts: choose one that can, or switch the line's texts off.",
    21659: "This number is not of the line's account: check the account, or switch the line's texts off.",
    30032: "This toll-free number is not verified: have it verified in the carrier's console.",
    30034: "This number is not registered (A2P 10DLC): register it in the carrier's console, which takes days.",
}
_ACCOUNT: Final[Mapping[int, str]] = {
    20003: "The carrier refuses the account's token: check TWILIO_AUTH_TOKEN.",
    20005: "The carrier has deactivated this account: ask its support.",
    20404: "The carrier does not know this account: check TWILIO_ACCOUNT_SID and TWILIO_API_BASE_URL.",
    21608: "This is a trial account, which texts verified numbers only: upgrade it.",
    21703: "The messaging service has no sender: add the line's number to it.",
    21704: "The messaging service has no sender: add the line's number to it.",
    30002: "The carrier has suspended this account: ask its support.",
}
_BUSY: Final = frozenset({429, 14107, 20429, 21611, 63017})
"""Too many requests, or too many messages waiting."""
_ARRIVES_LATER: Final = frozenset({30001, 30003, 30008, 30017, 30022})
"""The queue overflowed, the handset was off, nobody knows why, the network was full, too much in a second. They are
tried once more (``messages.DELIVERY_ATTEMPTS``); after 30008 one may arrive twice, which beats not at all."""


def of_refusal(code: int, http_status: int) -> Verdict:
    """Returns what follows when a message was not taken. ``code`` is the carrier's; without one, the HTTP status."""
    if code in _BUSY or http_status == 429:
        return Verdict.AGAIN
    if code in _ACCOUNT or code in (401, 403, 404):
        return Verdict.ACCOUNT
    return _of(code)


def of_delivery(code: int | None) -> Verdict:
    """Returns what follows when a message was taken and did not arrive."""
    if code in _ARRIVES_LATER:
        return Verdict.AGAIN
    if code in _ACCOUNT:
        return Verdict.ACCOUNT
    return _of(code)


def advice(code: int) -> str:
    """Returns one sentence for the operator on a code that stops a sender or an account."""
    return (
        _SENDER.get(code) or _ACCOUNT.get(code) or "The carrier refuses this account: look the code up in its console."
    )


def _of(code: int | None) -> Verdict:
    if code in _RECIPIENT:
        return Verdict.RECIPIENT
    return Verdict.SENDER if code in _SENDER else Verdict.MESSAGE
