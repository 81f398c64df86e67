"""A whole practice line for one rehearsal: the real service, a stand-in carrier and, without a key, a stand-in model.

Everything runs in this process and talks over real sockets on this machine. The demo and the journeys use it.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from db import accounts, lines, schools
from db.accounts import Account
from rehearsal import voices
from rehearsal.carrier import Behaviour, Carrier
from rehearsal.realtime import RealtimeServer
from rehearsal.realtime_script import Script
from rehearsal.realtime_speech import tones
from rehearsal.report import CallResult, Event, Faults
from rehearsal.signing import Signing
from ringua.server import Server, config, listen
from ringua.service import Service, assembled
from ringua.settings import Settings
from ringua.storage import Storage
from telephony.answering import Watch
from telephony.link import RENEW_BEFORE_S

REHEARSAL_KEY = "sk-rehearsal"
SCHOOL = "Rehearsal"
LINE = "+15005550006"
"""A number that no telephone has: the carrier's own test number."""
CALLER = "+12025550143"
"""From the range that is reserved for fiction."""


@dataclass(frozen=True, slots=True)
class LinePlan:
    """What a rehearsal's line is set to."""

    native: str = "en"
    target: str = "es"
    level: str = "A1"
    class_prompt: str = "This week: food and drink. Words: el café, la leche, grande, pequeño, para llevar, la cuenta."
    scenarios: Sequence[str] = ("cafe_order",)
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A running line. ``model`` is None when the real one answers."""

    settings: Settings
    service: Service
    carrier: Carrier
    model: RealtimeServer | None
    line: str
    base_url: str

    async def call(
        self,
        behave: Behaviour,
        *,
        from_: str = CALLER,
        to: str | None = None,
        signing: Signing = Signing.SHA1,
        stream_signing: Signing | None = None,
        faults: Faults | None = None,
        stir: str | None = None,
        on_event: Callable[[Event], None] | None = None,
    ) -> CallResult:
        """Places one call to the line; ``behave`` is the human at the other end, ``stir`` vouches for their number."""
        return await self.carrier.call(
            f"{self.base_url}/twilio/voice",
            to=to or self.line,
            from_=from_,
            behave=behave,
            status_callback=f"{self.base_url}/twilio/status",
            signing=signing,
            stream_signing=stream_signing,
            faults=faults,
            stir=stir,
            on_event=on_event,
        )


@asynccontextmanager
async def rehearsing(
    settings: Settings,
    storage: Storage,
    *,
    plan: LinePlan | None = None,
    script: Script | None = None,
    model: RealtimeServer | None = None,
    voiced: bool = True,
    speech_scale: float = 1.0,
    strict: bool = True,
    watch: Watch | None = None,
    renew_before_s: float = RENEW_BEFORE_S,
) -> AsyncIterator[Rehearsal]:
    """Starts everything for as long as the block lasts.

    Args:
        settings: without an API key, and without ``model``, a stand-in model plays ``script``.
        storage: an open database.
        plan: how the line is set.
        script: what the stand-in model says.
        model: a stand-in that runs already.
        voiced: whether prompts and lines are spoken (espeak-ng); else tones stand for speech.
        speech_scale: how long prompts and pauses last compared with real life.
        strict: whether leaving fails when the service broke the carrier's protocol.
        watch: sees every call's timeline as it grows.
        renew_before_s: how long before its expiry a model session is replaced.
    """
    async with AsyncExitStack() as stack:
        spoken = voices.Voices() if voiced and voices.available() else None
        if model is None and not settings.openai_api_key:
            model = await stack.enter_async_context(RealtimeServer(script=script, voices=spoken))
        listener = listen(0, "127.0.0.1")
        changes: dict[str, object] = {"port": listener.getsockname()[1], "public_base_url": None, "stream_url": None}
        if model is not None:
            changes |= {"openai_base_url": model.base_url, "openai_api_key": REHEARSAL_KEY}
        settings = settings.model_copy(update=changes)
        service = await stack.enter_async_context(
            assembled(settings, storage, watch=watch, renew_before_s=renew_before_s)
        )
        await stack.enter_async_context(Server(config(service.app)).running(listener))
        sid, token = f"AC{secrets.token_hex(16)}", secrets.token_hex(16)
        carrier = await stack.enter_async_context(
            Carrier(sid, token, speech_scale=speech_scale, say_voice=prompt_voice(spoken), strict=strict)
        )
        await enrol(storage, carrier.account_sid, token, carrier.rest_url)
        await set_up_line(storage, plan or LinePlan())
        yield Rehearsal(settings, service, carrier, model, LINE, f"http://127.0.0.1:{settings.port}")


def prompt_voice(spoken: voices.Voices | None) -> Callable[[str, str], bytes] | None:
    """How a carrier speaks: (text, locale) -> 8 kHz PCM, tones where a voice cannot. None without voices."""
    if spoken is None:
        return None

    def say(text: str, locale: str) -> bytes:
        try:
            return spoken.speak(text, locale, rate_hz=8_000)
        except voices.VoicesError:
            return voices.to_pcm16(voices.resample(tones(text), 24_000, 8_000))

    return say


async def enrol(storage: Storage, sid: str, token: str, rest_url: str, *, hours: float = 2.0) -> None:
    """Makes a rehearsal carrier known to the service for a while; it is believed only from this machine."""
    account = Account(
        sid=sid,
        kind="rehearsal",
        tokens=(token,),
        rest_base=rest_url,
        expires_at=datetime.now(UTC) + timedelta(hours=hours),
    )
    async with storage.database.anyone() as session:
        await accounts.put(session, storage.keyring, account)


async def set_up_line(storage: Storage, plan: LinePlan, number: str = LINE) -> None:
    """Makes the rehearsal's school and a line of it, or sets the line anew."""
    async with storage.database.anyone() as session:
        known = await schools.by_name(session, SCHOOL)
        school_id = known.id if known is not None else await schools.create(session, SCHOOL, "UTC")
        found = await lines.by_number(session, number)
    settings: dict[str, Any] = {
        "native": plan.native,
        "target": plan.target,
        "level": plan.level,
        "class_prompt": plan.class_prompt,
        "scenarios": list(plan.scenarios),
        "open": True,
        "model": plan.model,
    }
    async with storage.database.school(school_id) as session:
        # A rehearsal is seen to its end at whatever hour.
        await schools.set_quiet_hours(session, school_id, from_h=0, kids_from_h=0, until_h=0)
        if found is None:
            await lines.add(session, school_id=school_id, number=number, name=SCHOOL, **settings)
        else:
            await lines.update(session, found.id, **settings)
