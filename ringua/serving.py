"""The long-running commands: the service with its worker beside it, and a worker alone."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import structlog
import uvloop

from db import jobs
from ringua import storage
from ringua.jobs import all_jobs
from ringua.server import Server, config, listen
from ringua.service import Service, assembled
from ringua.settings import Settings, SettingsError

log = structlog.get_logger(__name__)

WORKER_RESTART_S = 2.0
WORKER_STOP_S = 25.0
"""Longer than a worker waits for its jobs, shorter than a host waits before it kills."""


HAND_OVER_S = 3.0
"""From a closed stream to the carrier's question at /after, and our answer to it."""


class PortTaken(Exception):
    """Something else listens on the port."""


def serve(settings: Settings, *, with_worker: bool) -> None:
    """Serves until SIGTERM or SIGINT. Raises `SettingsError`, `StorageError` and `PortTaken` before it has begun."""
    if not settings.openai_api_key:
        raise SettingsError(
            "OPENAI_API_KEY is missing: the line cannot speak without a model; set it, or try `./run demo`, which "
            "needs none."
        )
    _run(_serve(settings, with_worker))


def work(settings: Settings) -> None:
    """Runs jobs until SIGTERM or SIGINT. Raises `StorageError`."""
    _run(_work(settings))


def _run(main: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)


async def _serve(settings: Settings, with_worker: bool) -> None:
    try:
        listener = listen(settings.port)
    except OSError as error:
        raise PortTaken(
            f"Port {settings.port} cannot be used ({error.strerror}): stop what listens there, or set PORT."
        ) from error
    settings = settings.model_copy(update={"port": listener.getsockname()[1]})
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with listener:
        async with storage.opened(settings) as data, assembled(settings, data) as service:
            for note in data.notes:
                log.warning("storage.note", note=note)
            async with _worker_process(wanted=with_worker), Server(config(service.app)).running(listener):
                where = settings.public_base_url or f"http://127.0.0.1:{settings.port}"
                log.info("service.ready", port=settings.port, address=where, model=settings.realtime_model)
                await stop.wait()
                await _drain(service, settings.drain_s)


async def _drain(service: Service, drain_s: float) -> None:
    """Takes no new calls, lets the live ones end, and hands over those that have not by the deadline.

    A stream that is closed sends its carrier to /after, where any instance goes on with the conversation; this one
    keeps answering meanwhile, so that nobody is left on a silent line.
    """
    service.draining = True
    log.info("service.draining", calls=service.answering.live, deadline_s=drain_s)
    try:
        async with asyncio.timeout(drain_s):
            await service.answering.idle()
    except TimeoutError:
        log.info("service.handing_over", calls=service.answering.live)
        await service.answering.hand_over()
        await asyncio.sleep(HAND_OVER_S)
    log.info("service.stopping", calls=service.answering.live)


async def _work(settings: Settings) -> None:
    async with storage.opened(settings) as data:
        log.info("worker.ready")
        await jobs.run_worker(data.url, all_jobs(data, settings))


@asynccontextmanager
async def _worker_process(*, wanted: bool) -> AsyncIterator[None]:
    """Keeps one worker running as a child, so that nothing slow shares the loop that carries the audio."""
    if not wanted:
        yield
        return
    child: list[asyncio.subprocess.Process] = []
    keeper = asyncio.create_task(_keep_worker(child.append), name="worker-keeper")
    try:
        yield
    finally:
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)
        if child and child[-1].returncode is None:
            await _stop(child[-1])


async def _keep_worker(started: Callable[[asyncio.subprocess.Process], None]) -> None:
    while True:
        worker = await asyncio.create_subprocess_exec(sys.executable, "-m", "ringua", "worker")
        started(worker)
        code = await worker.wait()
        log.error("worker.ended", code=code, again_in_s=WORKER_RESTART_S)
        await asyncio.sleep(WORKER_RESTART_S)


async def _stop(process: asyncio.subprocess.Process) -> None:
    process.terminate()
    try:
        async with asyncio.timeout(WORKER_STOP_S):
            await process.wait()
    except TimeoutError:
        log.warning("worker.killed")
        process.kill()
        await process.wait()
