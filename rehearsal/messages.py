"""The carrier's message desk: what it accepts, refuses, counts and reports. No HTTP and no time of its own.

Segments are counted as networks do: 160 (153) GSM-7 or 70 (67) UCS-2 units. Opt-outs are kept per pair of numbers.
"""

from __future__ import annotations

import re
import secrets
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Literal

_GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_EXTENDED = frozenset("^{}\\[~]|€\f")

STOP_WORDS = frozenset({"STOP", "UNSUBSCRIBE", "END", "QUIT", "STOPALL", "REVOKE", "OPTOUT", "CANCEL"})
START_WORDS = frozenset({"START", "YES", "UNSTOP"})
HELP_WORDS = frozenset({"HELP", "INFO"})

_LONGEST_BODY = 1600
_DELIVERY_ERRORS = {
    30003: "Unreachable destination handset",
    30005: "Unknown destination handset",
    30006: "Landline or unreachable carrier",
    30007: "Carrier violation",
    30008: "Unknown error",
    30034: "Message from an Unregistered Number",
}


def is_gsm7(text: str) -> bool:
    """Whether every character is in the GSM 03.38 alphabet or its extension."""
    return set(text) <= _GSM | _GSM_EXTENDED


def segments(text: str) -> int:
    """How many parts the text is sent and charged in; at least one."""
    if is_gsm7(text):
        sizes, single, part = [2 if character in _GSM_EXTENDED else 1 for character in text], 160, 153
    else:
        sizes, single, part = [2 if ord(character) > 0xFFFF else 1 for character in text], 70, 67
    if sum(sizes) <= single:
        return 1
    # A character of two units is never torn apart, so parts are filled one after the other.
    count, room = 1, part
    for size in sizes:
        if size > room:
            count, room = count + 1, part
        room -= size
    return count


class Refused(Exception):
    """The API answers with an error: HTTP ``status`` and the carrier's ``code``."""

    def __init__(self, status: int, code: int, text: str) -> None:
        super().__init__(text)
        self.status, self.code, self.text = status, code, text


@dataclass(slots=True)
class Message:
    """One text message, either way. ``body`` becomes empty when it is redacted."""

    sid: str
    account_sid: str
    from_: str | None
    to: str
    body: str
    direction: Literal["outbound-api", "outbound-reply", "inbound"]
    status: str
    created_at: datetime
    sent_at: datetime | None = None
    error_code: int | None = None
    messaging_service_sid: str | None = None
    status_callback: str | None = None
    segments: int = 1

    def json(self) -> dict[str, object]:
        """The resource as the API shows it."""
        uri = f"/2010-04-01/Accounts/{self.account_sid}/Messages/{self.sid}"
        return {
            "account_sid": self.account_sid,
            "api_version": "2010-04-01",
            "body": self.body,
            "date_created": format_datetime(self.created_at),
            "date_sent": None if self.sent_at is None else format_datetime(self.sent_at),
            "date_updated": format_datetime(self.sent_at or self.created_at),
            "direction": self.direction,
            "error_code": self.error_code,
            "error_message": None if self.error_code is None else _DELIVERY_ERRORS.get(self.error_code, "Error"),
            "from": self.from_,
            "messaging_service_sid": self.messaging_service_sid,
            "num_media": "0",
            "num_segments": "0" if self.status == "accepted" else str(self.segments),
            "price": None,
            "price_unit": "USD",
            "sid": self.sid,
            "status": self.status,
            "subresource_uris": {"media": f"{uri}/Media.json"},
            "to": self.to,
            "uri": f"{uri}.json",
        }

    def callback_params(self, status: str) -> list[tuple[str, str]]:
        """The form of a status callback."""
        params = [
            ("AccountSid", self.account_sid),
            ("ApiVersion", "2010-04-01"),
            ("From", self.from_ or ""),
            ("MessageSid", self.sid),
            ("MessageStatus", status),
            ("SmsSid", self.sid),
            ("SmsStatus", status),
            ("To", self.to),
        ]
        if self.messaging_service_sid is not None:
            params.append(("MessagingServiceSid", self.messaging_service_sid))
        if self.error_code is not None and status in {"failed", "undelivered"}:
            params.append(("ErrorCode", str(self.error_code)))
        return params


@dataclass(frozen=True, slots=True)
class Accepted:
    """A message the desk took: what to report to its status callback, in this order, and whether to answer at all."""

    message: Message
    reports: tuple[str, ...]
    silent: bool = False


@dataclass(slots=True)
class _Mishap:
    kind: Literal["refuse", "undelivered", "silent"]
    status: int = 0
    code: int = 0
    text: str = ""


@dataclass(slots=True)
class MessageDesk:
    """All messages of one account. ``reports`` is the order of status callbacks: repeat or shuffle it at will."""

    account_sid: str
    messages: list[Message] = field(default_factory=list)
    opted_out: set[tuple[str, str]] = field(default_factory=set)
    """(our number, theirs)."""
    reports: tuple[str, ...] = ("sent", "delivered")
    _mishaps: deque[_Mishap] = field(default_factory=deque)

    def refuse_next(self, status: int = 429, code: int = 20429, text: str = "Too Many Requests") -> None:
        """The next sending is answered with this HTTP status and code, and not taken."""
        self._mishaps.append(_Mishap("refuse", status, code, text))

    def fail_next(self, code: int = 30034) -> None:
        """The next message is taken, but never delivered, for this reason."""
        self._mishaps.append(_Mishap("undelivered", code=code))

    def swallow_next(self) -> None:
        """The next message is taken (and delivered), but the API never answers: the sender cannot know."""
        self._mishaps.append(_Mishap("silent"))

    def create(self, form: Mapping[str, str]) -> Accepted:
        """Takes a message, or raises `Refused` as the API would."""
        mishap = self._mishaps.popleft() if self._mishaps else None
        if mishap is not None and mishap.kind == "refuse":
            raise Refused(mishap.status, mishap.code, mishap.text)
        to, from_, service = form.get("To", ""), form.get("From"), form.get("MessagingServiceSid")
        body = form.get("Body", "")
        if not to:
            raise Refused(400, 21604, "A 'To' phone number is required.")
        if not re.fullmatch(r"\+[1-9][0-9]{6,14}", to):
            raise Refused(400, 21211, f"Invalid 'To' Phone Number: {to}")
        if not from_ and not service:
            raise Refused(400, 21603, "A 'From' phone number is required.")
        if not body:
            raise Refused(400, 21602, "Message body is required.")
        if len(body) > _LONGEST_BODY:
            raise Refused(400, 21617, "The concatenated message body exceeds the 1600 character limit.")
        if (from_ or service or "", to) in self.opted_out:
            raise Refused(400, 21610, "Attempt to send to unsubscribed recipient")
        message = Message(
            sid="SM" + secrets.token_hex(16),
            account_sid=self.account_sid,
            from_=None if service else from_,
            to=to,
            body=body,
            direction="outbound-api",
            status="accepted" if service else "queued",
            created_at=datetime.now(UTC),
            messaging_service_sid=service,
            status_callback=form.get("StatusCallback"),
            segments=segments(body),
        )
        self.messages.append(message)
        if mishap is not None and mishap.kind == "undelivered":
            message.error_code = mishap.code
            return Accepted(message, ("sent", "undelivered"))
        return Accepted(message, self.reports, silent=mishap is not None)

    def deliver(self, accepted: Accepted) -> None:
        """The message goes out: from now on the API shows its final state."""
        message = accepted.message
        message.status = "delivered" if message.error_code is None else "undelivered"
        message.sent_at = datetime.now(UTC)

    def receive(self, *, from_: str, to: str, body: str) -> Message:
        """Somebody writes to us; keywords to stop or start take effect before anybody else hears of it."""
        word = body.strip().upper()
        if word in STOP_WORDS:
            self.opted_out.add((to, from_))
        elif word in START_WORDS:
            self.opted_out.discard((to, from_))
        return self._add(from_=from_, to=to, body=body, direction="inbound", status="received")

    def reply(self, *, from_: str, to: str, body: str) -> Message:
        """A ``<Message>`` in the answer to a text, or the carrier's own answer to a keyword."""
        return self._add(from_=from_, to=to, body=body, direction="outbound-reply", status="delivered")

    def find(self, sid: str) -> Message:
        """One message; `Refused` 20404 when there is none."""
        for message in self.messages:
            if message.sid == sid:
                return message
        raise Refused(404, 20404, f"The requested resource /Messages/{sid}.json was not found")

    def _add(
        self, *, from_: str, to: str, body: str, direction: Literal["inbound", "outbound-reply"], status: str
    ) -> Message:
        message = Message(
            "SM" + secrets.token_hex(16),
            self.account_sid,
            from_,
            to,
            body,
            direction,
            status,
            datetime.now(UTC),
            sent_at=datetime.now(UTC),
            segments=segments(body),
        )
        self.messages.append(message)
        return message
