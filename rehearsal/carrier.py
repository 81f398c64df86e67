"""A stand-in for the carrier as the caller's phone sees it: places calls to a server, and answers its REST requests.

Written from the protocol's documentation and from nothing of ours: it can prove the server wrong. It reaches the
server only over sockets, with signed webhooks and a signed media stream, and plays what it is sent in real time.
"""

from __future__ import annotations

import asyncio
import ssl
import time
import xml.etree.ElementTree as ET
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rehearsal.call import MAX_CALL_S, Call, Outside, Plan
from rehearsal.g711 import encode
from rehearsal.guest import serving
from rehearsal.messages import HELP_WORDS, START_WORDS, STOP_WORDS, Accepted, Message, MessageDesk
from rehearsal.network import Network
from rehearsal.phone import CallEnded, Phone
from rehearsal.report import MALFORMED, Alert, CallResult, CarrierComplaint, Event, Exchange, Faults
from rehearsal.rest import RestApi
from rehearsal.signing import SharedKey, Signer, Signing
from rehearsal.webhooks import Correspondence, FetchFailed, Webhooks

__all__ = ["CallEnded", "Carrier", "CarrierComplaint", "Faults", "Phone", "SharedKey", "Signing", "TextResult"]

SayVoice = Callable[[str, str], bytes]
Behaviour = Callable[[Phone], Awaitable[None]]

_KEYWORD_ANSWERS = (
    (STOP_WORDS, "You have successfully been unsubscribed. You will not receive any more messages from this number. "
                 "Reply START to resubscribe."),
    (START_WORDS, "You have successfully been re-subscribed to messages from this number. Reply HELP for help. "
                  "Reply STOP to unsubscribe. Msg&Data Rates May Apply."),
    (HELP_WORDS, "Reply STOP to unsubscribe. Msg&Data Rates May Apply."),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class TextResult:
    """What came of a text message to the server: its answer, and the messages the answer sent."""

    message: Message
    status: int
    replies: tuple[Message, ...]
    webhooks: tuple[Exchange, ...]


class Carrier:
    """One carrier account; use it as an async context manager.

    ``speech_scale`` is how long prompts and pauses last compared with real life, ``timeout_scale`` the same for the
    waiting of ``<Gather>``. ``say_voice`` turns text and locale into 8 kHz PCM16 (in a thread); such prompts last as
    long as they sound. ``proxy`` maps public origins to where the server really listens. ``webhook_timeout_s`` is the
    carrier's ceiling of 15 s. A ``strict`` carrier raises `CarrierComplaint` on leaving when the server broke the
    protocol (a wrong frame, bad TwiML: codes of `rehearsal.report.MALFORMED`).
    """

    def __init__(
        self,
        account_sid: str,
        auth_token: str,
        *,
        shared_key: SharedKey | None = None,
        speech_scale: float = 1.0,
        timeout_scale: float = 1.0,
        say_voice: SayVoice | None = None,
        proxy: Mapping[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
        webhook_timeout_s: float = 15.0,
        strict: bool = True,
        on_event: Callable[[Event], None] | None = None,
    ) -> None:
        self.account_sid = account_sid
        self.auth_token = auth_token
        self.calls: dict[str, Call] = {}
        self.sms = MessageDesk(account_sid)
        self.warnings: list[Alert] = []
        self._strict = strict
        self._on_event = on_event
        self._say_voice = say_voice
        self._voiced: dict[tuple[str, str], bytes] = {}
        self._signer = Signer(auth_token, shared_key)
        self._network = Network(dict(proxy or {}), tls)
        self._scales = (speech_scale, timeout_scale)
        self._webhook_timeout_s = webhook_timeout_s
        self._background: set[asyncio.Task[None]] = set()
        self._texted: asyncio.Condition
        self._webhooks: Webhooks
        self._outside: Outside
        self._rest: RestApi
        self._rest_url: str
        self._exits: AsyncExitStack

    @property
    def rest_url(self) -> str:
        """The base of the REST API (what ``https://api.twilio.com`` is to the real one)."""
        return self._rest_url

    @property
    def messages(self) -> list[Message]:
        """The outbox: every text message the server has sent, oldest first."""
        return [message for message in self.sms.messages if message.direction != "inbound"]

    async def __aenter__(self) -> Self:
        self._webhooks = Webhooks(self._signer, self._network, ceiling_s=self._webhook_timeout_s)
        self._texted = asyncio.Condition()
        speech_scale, timeout_scale = self._scales
        self._outside = Outside(
            account_sid=self.account_sid,
            signer=self._signer,
            network=self._network,
            webhooks=self._webhooks,
            alerts=self.warnings,
            voice=self._voice,
            speech_scale=speech_scale,
            timeout_scale=timeout_scale,
        )
        self._rest = RestApi(self)
        self._exits = AsyncExitStack()
        self._exits.push_async_callback(self._webhooks.close)
        self._rest_url = await self._exits.enter_async_context(serving(self._rest.app, ws="none"))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._background:
            await asyncio.gather(*self._background)
        self._rest.release()
        await self._exits.aclose()
        if self._strict and kind is None:
            self.raise_for_complaints()

    def raise_for_complaints(self) -> None:
        """Raises `CarrierComplaint` when the server broke the protocol in any call so far."""
        if complaints := [alert for alert in self.warnings if alert.code in MALFORMED]:
            raise CarrierComplaint(complaints)

    async def call(
        self,
        voice_url: str,
        *,
        to: str,
        from_: str,
        behave: Behaviour,
        status_callback: str | None = None,
        fallback_url: str | None = None,
        signing: Signing = Signing.SHA1,
        stream_signing: Signing | None = None,
        extra_params: Mapping[str, str] | None = None,
        stir: str | None = None,
        credential: str | None = None,
        faults: Faults | None = None,
        time_limit_s: float = MAX_CALL_S,
        on_event: Callable[[Event], None] | None = None,
    ) -> CallResult:
        """Places a call to a number set up with these URLs, lets ``behave`` be its caller, and tells what happened.

        When ``behave`` returns the caller hangs up; to be hung up on, it waits for ``ended``. Whatever it raises is
        raised here, after the call has ended; a `CallEnded` carries the ``result``. ``stream_signing`` is the media
        socket's own (else ``signing``). ``stir`` is the attestation of the number, ``credential`` the name
        with which a SIP phone authenticated, where ``to`` is a SIP address. ``extra_params`` are what webhooks carry
        besides (ForwardedFrom, something new).
        """
        plan = Plan(
            voice_url=voice_url,
            to=to,
            from_=from_,
            status_callback=status_callback,
            fallback_url=fallback_url,
            signing=signing,
            stream_signing=signing if stream_signing is None else stream_signing,
            extra_params=tuple((extra_params or {}).items()),
            stir=stir,
            credential=credential,
            faults=faults or Faults(),
            time_limit_s=time_limit_s,
        )
        call = Call(self._outside, plan, on_event or self._on_event)
        self.calls[call.sid] = call
        line = asyncio.create_task(call.run())
        person = asyncio.create_task(_person(behave, Phone(call)))
        try:
            await asyncio.wait({line, person}, return_when=asyncio.FIRST_COMPLETED)
            if person.done():
                call.end("caller")
            # A call that breaks (not: ends) leaves nobody to wake its caller.
            if line.done() and line.exception() is not None:
                person.cancel()
            await asyncio.wait({line, person})
        finally:
            person.cancel()
            call.end("caller")
            await asyncio.wait({line, person})
        result = line.result()
        if (error := person.exception()) is not None:
            if isinstance(error, CallEnded):
                error.result = result
            raise error
        return result

    async def text(
        self, sms_url: str, *, from_: str, to: str, body: str, signing: Signing = Signing.SHA1,
        extra_params: Mapping[str, str] | None = None,
    ) -> TextResult:  # fmt: skip
        """Writes to a number. STOP, START and HELP are answered and acted on first, then the server hears of it.

        An answer with ``<Message>`` is sent on; to somebody who just opted out it is refused (21610) instead.
        """
        message = self.sms.receive(from_=from_, to=to, body=body)
        word = body.strip().upper()
        own = [self.sms.reply(from_=to, to=from_, body=text) for words, text in _KEYWORD_ANSWERS if word in words]
        began_s = time.monotonic()
        letters = Correspondence(lambda: (time.monotonic() - began_s) * 1000, "message", signing)
        params = [
            ("AccountSid", self.account_sid),
            ("ApiVersion", "2010-04-01"),
            ("Body", body),
            ("From", from_),
            ("MessageSid", message.sid),
            ("NumMedia", "0"),
            ("NumSegments", str(message.segments)),
            ("SmsMessageSid", message.sid),
            ("SmsSid", message.sid),
            ("SmsStatus", "received"),
            ("To", to),
            *((role + part, "") for role in ("From", "To") for part in ("City", "State", "Zip")),
            ("FromCountry", "US" if from_.startswith("+1") else ""),
            ("ToCountry", "US" if to.startswith("+1") else ""),
            *(extra_params or {}).items(),
        ]
        try:
            reply = await self._webhooks.send(letters, sms_url, params)
        except FetchFailed as error:
            self.warnings.append(Alert(error.code, "error", str(error)))
            return TextResult(message, letters.exchanges[-1].status if letters.exchanges else 0, tuple(own), ())
        sent = [] if reply.status == 204 else self._answer(reply.body, reply.content_type, from_=to, to=from_)
        await self._announce()
        return TextResult(message, reply.status, (*own, *sent), tuple(letters.exchanges))

    async def wait_for_message(
        self, to: str, *, count: int = 1, timeout_s: float = 10.0, body_has: str = ""
    ) -> list[Message]:
        """Waits until that many messages (holding a text, if given) have been sent to a number; returns them."""

        def found() -> list[Message]:
            return [message for message in self.messages if message.to == to and body_has in message.body]

        async with asyncio.timeout(timeout_s), self._texted:
            await self._texted.wait_for(lambda: len(found()) >= count)
        return found()

    def deliver(self, accepted: Accepted) -> None:
        """Sends an accepted message and reports to its status callback, in the background."""
        self._keep(asyncio.create_task(self._deliver(accepted)))

    def note(self, text: str) -> None:
        """Adds a remark to the warnings; it fails nothing."""
        self.warnings.append(Alert(0, "note", text))

    async def _deliver(self, accepted: Accepted) -> None:
        self.sms.deliver(accepted)
        await self._announce()
        message = accepted.message
        if message.status_callback is None:
            return
        began_s = time.monotonic()
        letters = Correspondence(lambda: (time.monotonic() - began_s) * 1000, "message")
        for status in accepted.reports:
            try:
                await self._webhooks.send(letters, message.status_callback, message.callback_params(status))
            except FetchFailed as error:
                self.warnings.append(Alert(error.code, "error", f"callback {error}"))

    def _answer(self, body: bytes, content_type: str, *, from_: str, to: str) -> list[Message]:
        """Carries out the answer to a text message: ``<Response>`` with any number of ``<Message>``."""
        kind = content_type.partition(";")[0].strip()
        if kind not in {"text/xml", "application/xml"}:
            self.warnings.append(Alert(12300, "warning", f"Content-Type {kind!r} in answer to a text message"))
            return []
        try:
            root = ET.fromstring(body)  # noqa: S314 - the rehearsed server's own words
        except ET.ParseError as error:
            self.warnings.append(Alert(12100, "error", f"not well-formed XML: {error}"))
            return []
        sent = []
        for element in root:
            if element.tag != "Message":
                self.warnings.append(Alert(12200, "warning", f"<{element.tag}> in answer to a text message"))
            elif (from_, to) in self.sms.opted_out:
                self.warnings.append(Alert(21610, "error", "a <Message> to somebody who opted out"))
            else:
                sent.append(self.sms.reply(from_=from_, to=to, body="".join(element.itertext()).strip()))
        return sent

    async def _announce(self) -> None:
        async with self._texted:
            self._texted.notify_all()

    async def _voice(self, text: str, locale: str) -> bytes | None:
        if self._say_voice is None:
            return None
        key = (text, locale)
        if key not in self._voiced:
            self._voiced[key] = encode(await asyncio.to_thread(self._say_voice, text, locale))
        return self._voiced[key]

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._background.add(task)
        task.add_done_callback(self._background.discard)


async def _person(behave: Behaviour, phone: Phone) -> None:
    await behave(phone)
