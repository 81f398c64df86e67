"""A whole site: instances on one database, a balancer before them, and stand-ins around them."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rehearsal.carrier import Carrier, Phone
from rehearsal.realtime import RealtimeServer
from rehearsal.realtime_script import Script
from rehearsal.report import CallResult
from ringua.rehearsal import LINE, REHEARSAL_KEY
from ringua.scripts import script_for
from ringua.storage import Storage
from tests.journeys.processes import Balancer, Instance, balancing, instance
from tests.tutor.scenes import cafe

SECRET = "only-for-tests-only-for-tests-only-for-tests"


@dataclass
class Site:
    """The running site."""

    storage: Storage
    balancer: Balancer
    carrier: Carrier
    model: RealtimeServer
    environment: dict[str, str]
    stack: AsyncExitStack = field(repr=False)

    @property
    def first(self) -> Instance:
        """The instance that gets the calls while it is ready."""
        return self.balancer.instances[0]

    async def add_instance(self) -> Instance:
        """Starts one more."""
        started = await self.stack.enter_async_context(instance(self.environment))
        self.balancer.instances.append(started)
        return started

    async def call(self, behave: Callable[[Phone], Awaitable[None]], number: str) -> CallResult:
        """Places a call through the balancer."""
        base = f"http://127.0.0.1:{self.balancer.port}"
        return await self.carrier.call(
            f"{base}/twilio/voice",
            to=LINE,
            from_=number,
            behave=behave,
            status_callback=f"{base}/twilio/status",
        )


@asynccontextmanager
async def site(
    storage: Storage,
    data_dir: Path,
    *,
    instances: int = 2,
    drain_s: float = 30,
    speech_scale: float = 0.1,
    strict: bool = True,
    script: Script | None = None,
) -> AsyncIterator[Site]:
    """Starts everything; the line is to be set up before.

    Args:
        script: what the model plays; None: the café.
    """
    sid, token = f"AC{secrets.token_hex(16)}", secrets.token_hex(16)
    async with AsyncExitStack() as stack:
        model = await stack.enter_async_context(RealtimeServer(script=script or script_for(cafe())))
        balancer = await stack.enter_async_context(balancing())
        carrier = await stack.enter_async_context(Carrier(sid, token, speech_scale=speech_scale, strict=strict))
        environment = {
            "DATABASE_URL": storage.url,
            "RINGUA_SECRET_KEY": SECRET,
            "RINGUA_DATA_DIR": str(data_dir),
            "PUBLIC_BASE_URL": f"http://127.0.0.1:{balancer.port}",
            "TWILIO_ACCOUNT_SID": sid,
            "TWILIO_AUTH_TOKEN": token,
            "TWILIO_API_BASE_URL": carrier.rest_url,
            "OPENAI_API_KEY": REHEARSAL_KEY,
            "OPENAI_BASE_URL": model.base_url,
            "RINGUA_DRAIN_SECONDS": str(drain_s),
            "RINGUA_MAX_CALLS": "100",
        }
        place = Site(storage, balancer, carrier, model, environment, stack)
        for _ in range(instances):
            await place.add_instance()
        yield place
