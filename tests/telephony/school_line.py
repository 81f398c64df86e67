"""A school with one line, the carrier that calls it, and the service's door: what tests of the routes start from.

The carrier signs with its library's own signer, which makes it an outside judge of our verification.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID
from xml.etree import ElementTree as ET

import httpx
from fastapi import FastAPI
from twilio.request_validator import RequestValidator

from db import calls, learners, lines, schools
from db.accounts import Account
from db.engine import Database
from db.keyring import Keyring
from db.models import Call
from db.scenarios import Catalogues
from db.tokens import Claim
from telephony.admission import Admitted
from telephony.leg import PhoneLeg
from telephony.twilio.door import Door
from telephony.twilio.gate import Gate
from telephony.twilio.webhooks import router
from tests.telephony.carrier_socket import CONNECTED, CarrierSocket, Listener, start
from tutor.script.catalogue import load

BASE = "https://voice.example.org"
TOKEN = "auth-token-of-the-environment"
ACCOUNT = Account("AC" + "2" * 32, "twilio", (TOKEN,), "https://api.example.org")
CALL = "CA" + "1" * 32
LINE = "+34911234567"
CALLER = "+34600111222"
SCENES = ["cafe_order", "market_fruit", "bus_ticket", "free_talk"]


@dataclass
class Service:
    """The routes on a database, and what they handed to the rest of the service."""

    database: Database
    keyring: Keyring
    school_id: UUID
    door: Door
    app: FastAPI
    answered: list[Claim] = field(default_factory=list)
    prewarmed: list[tuple[str, Admitted]] = field(default_factory=list)
    released: list[str] = field(default_factory=list)
    listener: Listener = field(default_factory=Listener)
    _answering: asyncio.Event = field(default_factory=asyncio.Event)

    async def is_answering(self) -> None:
        """Waits until the next stream has been answered and its call is live."""
        async with asyncio.timeout(30):
            await self._answering.wait()
        self._answering.clear()

    async def answer(self, leg: PhoneLeg, claim: Claim) -> None:
        """Stands in for the driver: takes the call, and serves the leg until it ends."""
        self.answered.append(claim)
        async with self.database.school(claim.school_id) as session:
            await calls.connected(session, UUID(claim.payload["call_id"]))
        self._answering.set()
        await leg.run(self.listener)

    async def post(
        self,
        path: str,
        *,
        token: str | None = TOKEN,
        account: str = ACCOUNT.sid,
        base: str = BASE,
        client: str = "192.0.2.1",
        headers: dict[str, str] | None = None,
        **fields: str,
    ) -> httpx.Response:
        """Posts a form as the carrier does, signed with ``token`` (None: not signed) for ``base``."""
        form = {"AccountSid": account, "CallSid": CALL, "From": CALLER, "To": LINE, "FromCity": "", **fields}
        sent = {"User-Agent": "TwilioProxy/1.1", **(headers or {})}
        if token is not None:
            sent["X-Twilio-Signature"] = RequestValidator(token).compute_signature(base + path, form)
        transport = httpx.ASGITransport(self.app, client=(client, 5))
        async with httpx.AsyncClient(transport=transport, base_url="http://10.0.0.7:8080") as carrier:
            return await carrier.post(path, data=form, headers=sent)

    async def told(self, path: str, **options: Any) -> ET.Element:
        """Posts, and returns the call script that came back."""
        response = await self.post(path, **options)
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/xml")
        return ET.fromstring(response.content)

    async def row(self, call_sid: str = CALL) -> Call:
        """The call's row as it is now."""
        async with self.database.anyone() as session:
            found = await calls.find(session, call_sid)
        assert found is not None
        async with self.database.school(found.school_id) as session:
            call = await calls.get(session, found.call_id)
        assert call is not None
        return call

    async def enrolled(self, number: str = CALLER, **changes: Any) -> UUID:
        """Makes a learner whom this number gives away, as an earlier call would have; ``changes`` to what they are."""
        values: dict[str, Any] = {"native": "en", "target": "es", "level": "A1", **changes}
        settings = values.pop("settings", {})
        async with self.database.school(self.school_id) as session:
            made = await learners.create_with_number(
                session,
                school_id=self.school_id,
                number_hash=self.keyring.hash_number(number),
                last_two=number[-2:],
                another=True,
                **values,
            )
            await learners.save_settings(session, made.id, settings)
        return made.id

    async def chosen(self, **options: Any) -> str:
        """Calls, presses 1, cuts the briefing where there is one, and returns the stream's token."""
        await self.told("/twilio/voice", **options)
        script = await self.told("/twilio/menu?step=1", Digits="1", **options)
        if script.find("Connect") is None:
            script = await self.told("/twilio/menu?step=2", Digits="1", **options)
        parameter = script.find("Connect/Stream/Parameter")
        assert parameter is not None
        return parameter.attrib["value"]

    def stream(
        self,
        token: str,
        *,
        path: str = "/twilio/media",
        signed_with: str | None = TOKEN,
        client: str = "192.0.2.1",
        speaks: bool = True,
        **changes: Any,
    ) -> tuple[CarrierSocket, asyncio.Task[None]]:
        """Opens the media socket as the carrier does; if it ``speaks``, its first messages are on their way."""
        headers = {"Host": "10.0.0.7:8080"}
        if signed_with is not None:
            url = BASE.replace("https", "wss") + path
            headers["x-twilio-signature"] = RequestValidator(signed_with).compute_signature(url, {})
        socket = CarrierSocket()
        if speaks:
            socket.say(CONNECTED, start(**{"customParameters": {"token": token}, **changes}))
        return socket, socket.dial(self.app, path, headers, client)


@asynccontextmanager
async def service(
    database: Database, keyring: Keyring, *, change: Callable[[Door], Door] = lambda door: door, **line: Any
) -> AsyncIterator[Service]:
    """A service whose school has one live line; ``line`` changes its settings."""
    async with database.anyone() as session:
        school_id = await schools.create(session, "Colegio <Lorca> & Söhne", "Europe/Madrid")
    settings: dict[str, Any] = {
        "number": LINE,
        "name": "A1",
        "native": "en",
        "target": "es",
        "level": "A1",
        "class_prompt": "Vocabulary: drinks.",
        "scenarios": SCENES,
        "open": True,
    }
    async with database.school(school_id) as session:
        await lines.add(session, school_id=school_id, **(settings | line))
    built: list[Service] = []
    gate = Gate(
        BASE,
        database=database,
        keyring=keyring,
        environment=ACCOUNT,
        rehearsal_base_url="http://127.0.0.1:8080",
        timeout_s=10,
    )
    door = Door(
        gate=gate,
        database=database,
        keyring=keyring,
        catalogues=Catalogues(load()),
        answer=lambda leg, claim: built[0].answer(leg, claim),
        prewarm=lambda call_sid, admitted: built[0].prewarmed.append((call_sid, admitted)),
        release=lambda call_sid: built[0].released.append(call_sid),
        # Generous: what is tested is behaviour, on machines that may be busy.
        answer_timeout_s=10,
        settle_s=0,
    )
    door = change(replace(door))
    app = FastAPI()
    app.include_router(router(door))
    built.append(Service(database, keyring, school_id, door, app))
    yield built[0]


def spoken(script: ET.Element) -> str:
    """Everything a call script says."""
    return " | ".join("".join(say.itertext()) for say in script.iter("Say"))


def verbs(script: ET.Element) -> list[str]:
    """The verbs of a call script, in order."""
    return [verb.tag for verb in script]
