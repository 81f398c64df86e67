"""What is measured: the real service through its real routes, and beside it the relay that does nothing."""

from __future__ import annotations

import asyncio
import secrets
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol
from xml.etree import ElementTree as ET

import httpx

from benchmarks.bridge.caller import Opening
from benchmarks.bridge.line import CODES
from benchmarks.bridge.process import CannotMeasure, ServerProcess, free_port, started
from db import embedded, migrate, schools
from db.engine import Database
from db.keyring import Keyring
from rehearsal.signing import Signer
from ringua.rehearsal import LINE, REHEARSAL_KEY, SCHOOL, LinePlan, enrol, set_up_line
from ringua.storage import Storage
from telephony.audio.transcode import Format
from telephony.clips import ClipKey, ClipShelf
from tests.db.clusters import scratch_directory
from tutor.script import catalogue
from tutor.talk.setup import fixed_texts

CLIP_MS = 400
"""Short, so that the callers of a run are soon past the greeting."""
MAX_CALLS = 10_000
ANONYMOUS = "anonymous"
"""Callers without a number are guests: the same menu for each, and nobody's practice is remembered."""

Dial = Callable[[], Awaitable[Opening]]
"""Places the next call: what a carrier does until it opens the media stream."""


@dataclass(frozen=True, slots=True)
class Running:
    """A started server and how to call it."""

    server: ServerProcess
    dial: Dial


class Subject(Protocol):
    """Something that stands between callers and the model."""

    name: Literal["service", "relay"]

    def running(self, model_base_url: str, core: int) -> AsyncIterator[Running]:
        """Starts it."""


def _call_sid() -> str:
    return f"CA{secrets.token_hex(16)}"


@dataclass(frozen=True, slots=True)
class Relay:
    """The relay that does nothing."""

    name: Literal["service", "relay"] = "relay"

    @asynccontextmanager
    async def running(self, model_base_url: str, core: int) -> AsyncIterator[Running]:
        """Starts it as a process of its own."""
        port = free_port()
        model_url = f"ws{model_base_url.removeprefix('http')}/realtime"
        async with started(["benchmarks.bridge.relay", str(port), model_url], {}, port, core) as server:

            async def dial() -> Opening:
                return Opening(f"ws://127.0.0.1:{port}/media", {}, "AC", _call_sid(), {})

            yield Running(server, dial)


@dataclass(frozen=True, slots=True)
class Service:
    """The real service on a database that is there already."""

    storage: Storage
    secret_key: str
    account_sid: str
    signer: Signer
    audio: Format
    name: Literal["service", "relay"] = "service"

    @asynccontextmanager
    async def running(self, model_base_url: str, core: int) -> AsyncIterator[Running]:
        """Starts ``ringua serve`` as a process of its own."""
        port = free_port()
        environment = {
            "DATABASE_URL": self.storage.url,
            "RINGUA_SECRET_KEY": self.secret_key,
            "PORT": str(port),
            "OPENAI_BASE_URL": model_base_url,
            "OPENAI_API_KEY": REHEARSAL_KEY,
            "RINGUA_AUDIO": self.audio,
            "RINGUA_MAX_CALLS": str(MAX_CALLS),
            **dict.fromkeys(("PUBLIC_BASE_URL", "RINGUA_STREAM_URL", "TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN"), ""),
        }
        async with (
            started(["ringua", "serve", "--no-worker"], environment, port, core) as server,
            httpx.AsyncClient(base_url=server.base_url, timeout=10) as client,
        ):
            yield Running(server, lambda: self._dial(client))

    async def _dial(self, client: httpx.AsyncClient) -> Opening:
        """Calls the line, presses 1 for the first scene and to cut its briefing, and reads where the media goes."""
        call_sid = _call_sid()
        form = {
            "AccountSid": self.account_sid,
            "CallSid": call_sid,
            "From": ANONYMOUS,
            "To": LINE,
            "Direction": "inbound",
        }
        await self._post(client, "/twilio/voice", {**form, "CallStatus": "ringing"})
        pressed = {**form, "CallStatus": "in-progress", "Digits": "1"}
        answer, stream = "", None
        for step in (1, 2):
            answer = await self._post(client, f"/twilio/menu?step={step}", pressed)
            stream = ET.fromstring(answer).find("Connect/Stream")
            if stream is not None:
                break
        if stream is None:
            raise CannotMeasure(f"The service did not connect a call; it answered: {answer}")
        url = stream.attrib["url"]
        parameters = {one.attrib["name"]: one.attrib["value"] for one in stream.findall("Parameter")}
        return Opening(url, self.signer.headers(url, purpose="socket"), self.account_sid, call_sid, parameters)

    async def _post(self, client: httpx.AsyncClient, path: str, form: dict[str, str]) -> str:
        url = f"{client.base_url}".rstrip("/") + path
        headers = self.signer.headers(url, form.items(), purpose="voice")
        response = await client.post(path, data=form, headers=headers)
        response.raise_for_status()
        return response.text


@asynccontextmanager
async def prepared(audio: Format) -> AsyncIterator[Service]:
    """Makes a database with one open line, a carrier account and warm clips; it lives as long as the block."""
    async with AsyncExitStack() as stack:
        directory: Path = scratch_directory("ringua-bench-")
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        cluster = await asyncio.to_thread(embedded.start, directory)
        stack.callback(cluster.stop)
        await asyncio.to_thread(migrate.upgrade, cluster.url)
        database = await Database.connect(cluster.url)
        stack.push_async_callback(database.close)
        secret_key, account_sid, token = secrets.token_hex(32), f"AC{secrets.token_hex(16)}", secrets.token_hex(16)
        storage = Storage(database, Keyring(secret_key), cluster.url, ())
        plan = LinePlan()
        await set_up_line(storage, plan)
        await enrol(storage, account_sid, token, "http://127.0.0.1:9")
        await _warm_clips(database, plan)
        yield Service(storage, secret_key, account_sid, Signer(token), audio)


async def _warm_clips(database: Database, plan: LinePlan) -> None:
    async with database.anyone() as session:
        school = await schools.by_name(session, SCHOOL)
    assert school is not None
    scene = catalogue.load().scene(
        plan.scenarios[0], native=plan.native, target=plan.target, level=plan.level, class_prompt=None
    )
    shelf = ClipShelf(database)
    for text, language in fixed_texts(scene):
        key = ClipKey(text, language, scene.scenario.voice, scene.level.speed)
        shelf.keep(school.id, key, CODES[0] * (CLIP_MS * 8))
    await shelf.close()
