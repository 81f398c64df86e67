"""Mail to people at schools, over SMTP, when the operator has set one up. It knows no school and keeps nothing."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Final, Self
from urllib.parse import parse_qs, unquote, urlsplit

TIMEOUT_S: Final = 20.0
"""For each step of the conversation with the server."""

_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


class MailFailed(Exception):
    """A mail could not be given to the server. One sentence for the operator, without an address."""


@dataclass(frozen=True, slots=True)
class Mail:
    """A server that takes mail, from ``SMTP_URL``."""

    host: str
    port: int
    encrypted: bool
    """From the first byte (smtps); else the connection is encrypted before anything is said, but on this machine."""
    user: str
    password: str = field(repr=False)
    sender: str = ""

    @classmethod
    def parse(cls, url: str) -> Self:
        """Reads ``smtp://USER:PASSWORD@HOST:587?from=ADDRESS``; ``smtps`` for port 465. User and password are optional.

        Raises:
            ValueError: it is no such address; one sentence.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
            raise ValueError(
                "it must be an address such as smtp://user:password@mail.example.org:587?from=line@example.org"
            )
        user = unquote(parts.username or "")
        sender = parse_qs(parts.query).get("from", [user])[0]
        if "@" not in sender:
            raise ValueError("it does not say who sends: add ?from=line@example.org")
        port = parts.port or (465 if parts.scheme == "smtps" else 587)
        return cls(parts.hostname, port, parts.scheme == "smtps", user, unquote(parts.password or ""), sender)

    async def send(self, to: Sequence[str], subject: str, text: str) -> None:
        """Gives one mail to the server, for all recipients, who do not see each other.

        Raises:
            MailFailed: the server cannot be reached or refuses.
        """
        message = EmailMessage()
        message["From"], message["Subject"] = self.sender, subject
        message["Date"], message["Message-ID"] = formatdate(), make_msgid(domain=self.sender.partition("@")[2])
        message.set_content(text)
        try:
            await asyncio.to_thread(self._send, list(to), message)
        except (OSError, smtplib.SMTPException) as error:
            # Not the error's text: servers repeat addresses.
            raise MailFailed(
                f"The mail server {self.host} did not take a mail ({type(error).__name__}): check SMTP_URL."
            ) from error

    def _send(self, to: list[str], message: EmailMessage) -> None:
        with self._connected() as server:
            if self.user:
                server.login(self.user, self.password)
            server.send_message(message, self.sender, to)

    def _connected(self) -> smtplib.SMTP:
        context = ssl.create_default_context()
        if self.encrypted:
            return smtplib.SMTP_SSL(self.host, self.port, timeout=TIMEOUT_S, context=context)
        server = smtplib.SMTP(self.host, self.port, timeout=TIMEOUT_S)
        if self.host not in _LOOPBACK:
            try:
                server.starttls(context=context)
            except BaseException:
                server.close()
                raise
        return server
