"""The assembled service: everything a process needs to take calls, put together once.

Nothing is decided here; the parts are handed to each other.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

import httpx
import structlog
from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from console import debrief_page
from db import audit, jobs
from db.audio_files import AudioFiles
from db.forgetting import forget_learner
from db.models import Call
from db.scenarios import Catalogues
from ringua.carriers import environment_account
from ringua.settings import Settings
from ringua.storage import Storage
from telephony.admission import Admitted
from telephony.answering import Answering, Speech, Watch, ending_from_checkpoint
from telephony.clips import ClipShelf
from telephony.figures import Figures
from telephony.greetings import greetings
from telephony.link import RENEW_BEFORE_S
from telephony.moderating import Moderator
from telephony.prewarm import Prewarmer
from telephony.twilio import webhooks
from telephony.twilio.door import Door
from telephony.twilio.gate import Gate
from tutor.realtime.pricing import prices
from tutor.realtime.session import Endpoint, RealtimeSession
from tutor.realtime.text import TextModel
from tutor.safety.words import load_all
from tutor.script import catalogue
from tutor.script.catalogue import Catalogue
from tutor.talk import asks

log = structlog.get_logger(__name__)

READY_TIMEOUT_S = 2.0
TIDY_EVERY_S = 3600.0


STREAMS_OF_A_CALL = 6
"""How often a call may be taken up again; a line that breaks more often than that is no line."""


@dataclass(slots=True)
class Service:
    """The parts of a running service. ``draining`` is set once it may take no new calls."""

    app: FastAPI
    answering: Answering
    draining: bool = False


@asynccontextmanager
async def assembled(
    settings: Settings, storage: Storage, *, watch: Watch | None = None, renew_before_s: float = RENEW_BEFORE_S
) -> AsyncIterator[Service]:
    """Puts the service together for as long as the block lasts.

    ``watch`` sees every call's timeline as it grows; ``renew_before_s`` is how long before its expiry a model session
    is replaced.
    """

    async def open_session(model: str, safety_identifier: str) -> RealtimeSession:
        endpoint = Endpoint(settings.openai_base_url, settings.openai_api_key or "", model)
        return await RealtimeSession.open(endpoint, safety_identifier=safety_identifier)

    def safety_identifier(caller_hash: bytes) -> str:
        """What the model's provider may know of a caller: that it is the same one."""
        return storage.keyring.hash_token(f"safety:{caller_hash.hex()}").hex()[:32]

    catalogues = Catalogues(catalogue.load().with_preset(settings.level_preset))
    _warm(catalogues.packaged)
    http = httpx.AsyncClient()
    key = settings.openai_api_key
    text_model = TextModel(http, settings.openai_base_url, key, settings.text_model) if key else None
    moderator = Moderator(text_model.moderate if text_model is not None else None)
    clips = ClipShelf(storage.database)
    files = AudioFiles(settings.data_dir)
    prewarmer = Prewarmer(open_session)
    registry = _registry()
    figures = Figures(registry)
    answering = Answering(
        database=storage.database,
        catalogues=catalogues,
        clips=clips,
        prewarmer=prewarmer,
        prices=prices(),
        speech=Speech(
            model=settings.realtime_model,
            transcribe_model=settings.transcribe_model,
            audio=settings.audio,
            max_call_minutes=settings.max_call_minutes,
            renew_before_s=renew_before_s,
        ),
        safety_identifier=safety_identifier,
        moderator=moderator,
        files=files,
        figures=figures,
        watch=watch,
        clock=asyncio.get_running_loop().time,
    )

    figures.live_is(lambda: answering.live)

    def prewarm(call_sid: str, admitted: Admitted) -> None:
        caller = admitted.caller_hash
        identifier = safety_identifier(caller) if caller is not None else ""
        clips.fetch_soon(admitted.school_id, greetings(admitted.catalogue, admitted.menu))
        prewarmer.warm(call_sid, admitted.line.model or settings.realtime_model, identifier)

    async def resume(call: Call) -> bool:
        """Whether a scene whose stream broke off goes on: always, unless the line breaks again and again."""
        return call.scenario is not None and call.streams < STREAMS_OF_A_CALL

    door = Door(
        gate=_gate(settings, storage),
        database=storage.database,
        keyring=storage.keyring,
        catalogues=catalogues,
        answer=answering.answer,
        max_calls=settings.max_calls,
        model=settings.realtime_model,
        transcribe_model=settings.transcribe_model,
        minors=settings.minors,
        prewarm=prewarm,
        release=prewarmer.release,
        resume=resume,
        ending=ending_from_checkpoint,
        draining=lambda: service.draining,
        figures=figures,
    )
    tidying = asyncio.create_task(tidy(files), name="tidying")
    service = Service(_app(door, storage, files, registry, lambda: service), answering)
    try:
        yield service
    finally:
        tidying.cancel()
        await asyncio.gather(tidying, return_exceptions=True)
        await prewarmer.close()
        await clips.close()
        await moderator.close()
        await http.aclose()


def _warm(shelf: Catalogue) -> None:
    """Reads now what the first call would otherwise wait for: words of every language, some 10 ms each."""
    load_all()
    for language in shelf.languages:
        asks.read("", language.tag, language.tag)


async def tidy(files: AudioFiles, every_s: float = TIDY_EVERY_S) -> None:
    """Takes away, by the hour, recordings that are too old and what processes that died left of theirs.

    The hourly sweep does the same, on one machine: files are where their calls were.
    """
    while True:
        try:
            removed = await asyncio.to_thread(files.remove_old)
        except OSError as error:
            log.error("recordings.not_removed", problem=type(error).__name__)
        else:
            if removed:
                log.info("recordings.removed", count=removed)
        await asyncio.sleep(every_s)


def _gate(settings: Settings, storage: Storage) -> Gate:
    here = f"http://127.0.0.1:{settings.port}"
    return Gate(
        settings.public_base_url or here,
        database=storage.database,
        keyring=storage.keyring,
        environment=environment_account(settings),
        stream_base_url=settings.stream_url,
        rehearsal_base_url=here,
    )


def _registry() -> CollectorRegistry:
    """The figures of one service; those of its process are in it, ours join them."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


def _app(
    door: Door, storage: Storage, files: AudioFiles, registry: CollectorRegistry, service: Callable[[], Service]
) -> FastAPI:
    app = FastAPI(title="Ringua", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    app.include_router(webhooks.router(door))
    forget = partial(forget_learner, actor=audit.LEARNER)
    app.include_router(debrief_page.router(storage.database, storage.keyring, door.catalogues, forget, files))

    @app.get("/healthz")
    async def healthz() -> PlainTextResponse:
        """Whether the process answers."""
        return PlainTextResponse("ok\n")

    @app.get("/readyz")
    async def readyz() -> JSONResponse:
        """Whether calls can be taken: the process is not about to end, and the database answers."""
        if service().draining:
            return JSONResponse({"ready": False, "problem": "draining", "calls": service().answering.live}, 503)
        try:
            async with asyncio.timeout(READY_TIMEOUT_S), storage.database.anyone() as session:
                await session.execute(text("SELECT 1"))
        except (TimeoutError, SQLAlchemyError, OSError) as error:
            return JSONResponse({"ready": False, "problem": f"database: {type(error).__name__}"}, status_code=503)
        return JSONResponse({"ready": True})

    @app.get("/metrics")
    async def metrics() -> Response:
        """Counters for Prometheus: of the process, of its calls, and of the jobs that all processes share."""
        try:
            async with asyncio.timeout(READY_TIMEOUT_S), storage.database.anyone() as session:
                door.figures.jobs(await jobs.counts(session))
        except (TimeoutError, SQLAlchemyError, OSError) as error:
            door.figures.jobs(None)
            log.warning("metrics.without_jobs", problem=type(error).__name__)
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return app
