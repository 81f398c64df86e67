"""Lets in what a known carrier account has signed, and nothing else, before any other work is done.

It knows accounts, keys and addresses, and nothing of what a request asks for. It fails closed: no key, no entry.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Final

import structlog
from sqlalchemy.exc import SQLAlchemyError
from starlette.datastructures import FormData
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.websockets import WebSocket

from db import accounts
from db.accounts import Account
from db.engine import Database
from db.keyring import Keyring, KeyringError
from telephony.twilio.signature import SigningKeys, Verifier, parse_form

MEDIA_PATH: Final = "/twilio/media"
MAX_BODY_BYTES: Final = 64 * 1024
"""The carrier's forms are some 2 kB."""
_BODY_S: Final = 3.0
_SID: Final = re.compile(r"[A-Za-z0-9_-]{2,64}", re.ASCII)
_FORWARDED: Final = ("forwarded", "x-forwarded-for", "x-real-ip")

log = structlog.get_logger(__name__)


class Refused(Exception):
    """The request is not let in. ``status`` is all that its sender learns."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


@dataclass(frozen=True, slots=True)
class Signed:
    """A webhook that was let in. The form is the carrier's word; what callers put into it stays untrusted."""

    account: Account
    form: FormData

    def text(self, name: str) -> str:
        """Returns a field, empty when it is missing."""
        value = self.form.get(name)
        return value if isinstance(value, str) else ""

    @property
    def call_sid(self) -> str:
        """The carrier's identifier of the call.

        Raises:
            ValueError: there is none, or it is none.
        """
        sid = self.text("CallSid")
        if not _SID.fullmatch(sid):
            raise ValueError("The request names no call.")
        return sid


class Gate:
    """Finds the account a request claims to come from, and checks the signature with that account's keys.

    Accounts in the database are of schools, or of the rehearsal carrier; the latter are let in only from the machine
    itself, and never through a proxy.

    Args:
        public_base_url: where the carrier reaches us, ``https://voice.example.org``.
        environment: the account of the service's own settings.
        shared_key: the environment account's shared key, when webhooks are signed with one.
        stream_base_url: this process's own address for media sockets, where it is another than the public one.
        rehearsal_base_url: where the rehearsal carrier reaches us (``http://127.0.0.1:8080``); default the public one.
        timeout_s: for asking the database for an account.

    Raises:
        ValueError: an address has no host or an unknown scheme.
    """

    def __init__(
        self,
        public_base_url: str,
        *,
        database: Database,
        keyring: Keyring,
        environment: Account | None = None,
        shared_key: str | None = None,
        stream_base_url: str | None = None,
        rehearsal_base_url: str | None = None,
        timeout_s: float = 2.0,
    ) -> None:
        self._database = database
        self._keyring = keyring
        self._environment = environment
        self._shared_key = shared_key
        self._public = Verifier(public_base_url)
        self._stream = Verifier(_without_path(stream_base_url)) if stream_base_url else self._public
        self._rehearsal = Verifier(rehearsal_base_url) if rehearsal_base_url else self._public
        self._timeout_s = timeout_s

    async def form(self, request: Request) -> Signed:
        """Reads and checks a webhook.

        Raises:
            Refused: 403 for anything unsigned, wrongly signed or too large; 503 when its account cannot be looked up.
        """
        if "x-twilio-signature" not in request.headers:
            raise Refused(403, "no signature")
        try:
            async with asyncio.timeout(_BODY_S):
                form = parse_form(await _body(request))
        except (TimeoutError, ValueError, ClientDisconnect):
            raise Refused(403, "no form") from None
        claimed = form.get("AccountSid")
        account = await self._account(claimed if isinstance(claimed, str) else "", request)
        verifier = self._rehearsal if account.kind == "rehearsal" else self._public
        if not verifier.form(request.scope, form, self._keys(account)):
            raise Refused(403, "wrong signature")
        return Signed(account, form)

    async def upgrade(self, websocket: WebSocket, account_sid: str | None) -> Account:
        """Checks a media socket before it is accepted.

        Args:
            account_sid: from the path; None for the environment's account.

        Raises:
            Refused: as ``form``.
        """
        if "x-twilio-signature" not in websocket.headers:
            raise Refused(403, "no signature")
        if account_sid is None and self._environment is not None:
            account_sid = self._environment.sid
        account = await self._account(account_sid or "", websocket)
        verifiers = (self._rehearsal,) if account.kind == "rehearsal" else (self._stream, self._public)
        if not any(verifier.upgrade(websocket.scope, self._keys(account)) for verifier in verifiers):
            raise Refused(403, "wrong signature")
        return account

    def stream_url(self, account: Account) -> str:
        """Returns the media socket's address for calls of an account.

        The path names the account, because a socket's upgrade says nothing else of it; the environment's needs none.
        """
        if account.kind == "rehearsal":
            return self._rehearsal.websocket_url(f"{MEDIA_PATH}/{account.sid}")
        return self._stream.websocket_url(MEDIA_PATH if self._is_ours(account) else f"{MEDIA_PATH}/{account.sid}")

    def _is_ours(self, account: Account) -> bool:
        return self._environment is not None and account.sid == self._environment.sid

    def _keys(self, account: Account) -> SigningKeys:
        return SigningKeys(account.tokens, self._shared_key if self._is_ours(account) else None)

    async def _account(self, sid: str, connection: HTTPConnection) -> Account:
        if not _SID.fullmatch(sid):
            raise Refused(403, "no account")
        if self._environment is not None and sid == self._environment.sid:
            return self._environment
        try:
            async with asyncio.timeout(self._timeout_s), self._database.anyone() as session:
                account = await accounts.find(session, self._keyring, sid)
        except (TimeoutError, SQLAlchemyError, OSError, KeyringError) as error:
            log.error("account_lookup_failed", problem=type(error).__name__)
            raise Refused(503, "account cannot be looked up") from None
        if account is None:
            raise Refused(403, "unknown account")
        if account.kind == "rehearsal" and not _from_this_machine(connection):
            raise Refused(403, "a rehearsal from elsewhere")
        return account


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise ValueError("The body is larger than any form of the carrier.")
    return bytes(body)


def _from_this_machine(connection: HTTPConnection) -> bool:
    """Whether the peer is this machine itself. Behind a local proxy everyone seems to be: forwarding headers tell."""
    if connection.client is None or any(name in connection.headers for name in _FORWARDED):
        return False
    try:
        address = ip_address(connection.client.host)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.is_loopback


def _without_path(stream_url: str) -> str:
    return stream_url.rstrip("/").removesuffix(MEDIA_PATH)
