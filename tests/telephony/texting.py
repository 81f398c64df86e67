"""A learner who agreed to texts, a carrier whose REST interface is on a socket, and messages between them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from db import calls, consents, learners, lines, messages, schools
from db.accounts import Account
from db.engine import Database
from db.keyring import Keyring
from db.models import Message
from rehearsal import messages as desk
from rehearsal.carrier import Carrier
from telephony.twilio.messages import Messenger
from telephony.twilio.rest import RestHttp

LINE = "+34911234567"
LEARNER = "+34600111222"
GUARDIAN = "+34600333444"
BODY = "¡Muy bien! Pediste un café; guarda esto: «¿Me pone un café con leche?»"
NOW = datetime(2026, 11, 9, 12, 0, tzinfo=UTC)


@dataclass
class Texting:
    """Everything a message needs, and what the carrier made of it."""

    database: Database
    keyring: Keyring
    carrier: Carrier
    account: Account
    school_id: UUID
    line_id: UUID
    learner_id: UUID
    https: list[RestHttp] = field(default_factory=list)

    def messenger(
        self,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        total_s: float = 15.0,
        account: Account | None = None,
        **options: Any,
    ) -> Messenger:
        """A messenger of a process of its own."""
        http = RestHttp(transport, total_s=total_s)
        self.https.append(http)

        async def find(session: AsyncSession, sid: str) -> Account | None:
            used = account or self.account
            return used if sid == used.sid else None

        values: dict[str, Any] = {"now": lambda: NOW, "chance": lambda: 0.0, **options}
        return Messenger(
            database=self.database,
            keyring=self.keyring,
            find_account=find,
            address=lambda account: "http://127.0.0.1:9",
            http=http,
            **values,
        )

    async def message(
        self, key: str = "debrief:1", *, body: str = BODY, sender: str = LINE, number: str = LEARNER
    ) -> UUID:
        """A message that waits to be sent."""
        async with self.database.school(self.school_id) as session:
            call = await calls.open_call(
                session,
                school_id=self.school_id,
                line_id=self.line_id,
                carrier_sid=f"CA{key}",
                account_sid=self.account.sid,
                max_calls=100,
                learner_id=self.learner_id,
            )
            await messages.add(
                session,
                school_id=self.school_id,
                call_id=call.id,
                learner_id=self.learner_id,
                account_sid=self.account.sid,
                sender=sender,
                kind="debrief",
                key=key,
                body=body,
                number_hash=self.keyring.hash_number(number),
            )
        async with self.database.school(self.school_id) as session:
            found = await session.scalar(select(Message.id).where(Message.key == key))
        assert found is not None
        return found

    async def row(self, message_id: UUID) -> Message:
        """The message as it is now."""
        async with self.database.school(self.school_id) as session:
            found = await messages.get(session, message_id)
        assert found is not None
        return found

    async def age(self, message_id: UUID, seconds: float, *, column: str = "attempted_at") -> None:
        """Makes as if an attempt, or with ``created_at`` the message, were older."""
        async with self.database.school(self.school_id) as session:
            await session.execute(
                text(f"UPDATE messages SET {column} = {column} - make_interval(secs => :s) WHERE id = :id"),
                {"s": seconds, "id": message_id},
            )

    @property
    def sent(self) -> list[desk.Message]:
        """What the carrier has taken."""
        return self.carrier.messages


class LostOnTheWay(httpx.AsyncBaseTransport):
    """The network: requests of some methods leave, and then no answer comes; whether they arrive can be chosen."""

    def __init__(self, *methods: str, arrive: bool) -> None:
        self.methods = set(methods)
        self.arrive = arrive
        self.seen: list[httpx.Request] = []
        self._network = httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Lets a request through, or loses it or its answer."""
        self.seen.append(request)
        if request.method not in self.methods:
            return await self._network.handle_async_request(request)
        if self.arrive:
            response = await self._network.handle_async_request(request)
            await response.aread()
            await response.aclose()
        raise httpx.ReadTimeout("no answer came", request=request)

    async def aclose(self) -> None:
        """Closes the network."""
        await self._network.aclose()


@asynccontextmanager
async def texting(database: Database, keyring: Keyring, **line: Any) -> AsyncIterator[Texting]:
    """A school, a line, a learner whose consent stands, and their carrier."""
    async with database.anyone() as session:
        school_id = await schools.create(session, "Colegio Lorca", "Europe/Madrid")
    number_hash = keyring.hash_number(LEARNER)
    async with database.school(school_id) as session:
        row = await lines.add(session, school_id=school_id, number=LINE, name="A1", **line)
        learner = await learners.create_with_number(
            session,
            school_id=school_id,
            number_hash=number_hash,
            last_two=LEARNER[-2:],
            native="en",
            target="es",
            level="A1",
            number_encrypted=keyring.encrypt(LEARNER),
        )
        await consents.record(
            session, school_id=school_id, number_hash=number_hash, given=True, carrier_sid="CA0", wording="en:1"
        )
    async with Carrier("AC" + "5" * 32, "a" * 32) as carrier:
        carrier.sms.reports = ()  # nobody listens
        account = Account(carrier.account_sid, "rehearsal", (carrier.auth_token,), carrier.rest_url)
        ready = Texting(database, keyring, carrier, account, school_id, row.id, learner.id)
        try:
            yield ready
        finally:
            for http in ready.https:
                await http.close()


def elsewhere(account: Account, base: str) -> Account:
    """The account with its REST interface at another address."""
    return replace(account, rest_base=base)
