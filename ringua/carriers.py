"""Which carrier account a call or a message belongs to, and where that account's carrier reaches this service."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from db import accounts
from db.accounts import Account
from db.keyring import Keyring
from ringua.settings import Settings


def environment_account(settings: Settings) -> Account | None:
    """The account of the service's own settings; None when there is none."""
    if not settings.twilio_account_sid or not settings.twilio_auth_token:
        return None
    tokens = [settings.twilio_auth_token, settings.twilio_auth_token_2]
    return Account(
        sid=settings.twilio_account_sid,
        kind="twilio",
        tokens=tuple(token for token in tokens if token),
        rest_base=settings.twilio_api_base_url,
    )


class Carriers:
    """The accounts of the settings and of the database."""

    def __init__(self, settings: Settings, keyring: Keyring) -> None:
        self.environment = environment_account(settings)
        self._keyring = keyring
        self._here = f"http://127.0.0.1:{settings.port}"
        self._public = settings.public_base_url or self._here

    async def find(self, session: AsyncSession, sid: str) -> Account | None:
        """The account with this SID. Raises KeyringError when another secret wrote its tokens."""
        if self.environment is not None and sid == self.environment.sid:
            return self.environment
        return await accounts.find(session, self._keyring, sid)

    def address(self, account: Account) -> str:
        """The base of the webhooks an account's carrier calls; a rehearsal's is believed only from this machine."""
        return self._here if account.kind == "rehearsal" else self._public
