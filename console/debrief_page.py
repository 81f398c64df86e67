"""The page behind the link of a text message, ``/d/{token}``: what a call brought, without a sign-in, for seven days.

Whoever has the address may read it, so it names nobody. It can tell the school of a call and delete the learner's data;
both are posts, so that nothing happens by opening a link. An address that is unknown, expired or no address at all is
answered with one and the same page.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

import structlog
from fastapi import APIRouter, Response
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from console import pages
from console.debrief_view import FALLBACK, reader_of, view
from console.pages import Pages, direction
from db import pages as records
from db.audio_files import AudioFiles
from db.engine import Database
from db.keyring import Keyring
from db.models_keeping import Recording
from db.pages import PageFound, PageRecord
from db.scenarios import Catalogues
from tutor.script.catalogue import Catalogue
from tutor.script.language import Language

Forget = Callable[[AsyncSession, UUID], Awaitable[object]]
"""Deletes everything of a learner, in the transaction of the session, which is of the learner's school."""

TITLE: Final = "Ringua"
"""Of pages whose reader's language is not known."""

_TROUBLE: Final = (SQLAlchemyError, TimeoutError, OSError)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Read:
    """A page that may be read."""

    found: PageFound
    record: PageRecord
    catalogue: Catalogue

    @property
    def native(self) -> Language:
        return reader_of(self.record, self.catalogue)


def router(
    database: Database, keyring: Keyring, catalogues: Catalogues, forget: Forget, files: AudioFiles | None = None
) -> APIRouter:
    """The routes of the page.

    Args:
        catalogues: of the schools, with scenes of their own.
        forget: what "delete all data" does.
        files: the recordings of this machine; those that another one has cannot be heard here. None: it has none.
    """
    routes = APIRouter(prefix="/d")
    shelf = Pages()
    natives = [one for one in catalogues.packaged.natives if one.tag == one.base]
    fallback = catalogues.packaged.language(FALLBACK)

    def sentences(key: str, status: int) -> Response:
        """One sentence in every language: nobody knows who reads it."""
        told = [{"lang": one.tag, "dir": direction(one), "text": one.say(key)} for one in natives]
        return pages.answer(shelf.html("sentences", fallback, TITLE, sentences=told), status)

    async def find(kept: Recording) -> Path | None:
        return await asyncio.to_thread(files.find, kept.path) if files is not None else None

    async def read(session: AsyncSession, found: PageFound) -> _Read | None:
        record = await records.record(session, found)
        if record is None:
            return None
        following = record.debrief.content.get("next_scenario")
        needs = [one for one in (record.call.scenario, following) if isinstance(one, str) and one]
        return _Read(found, record, await catalogues.of(session, found.school_id, needs))

    async def opened(token: str, act: Callable[[AsyncSession, _Read], Awaitable[Response]]) -> Response:
        """Does something with the page of a token, in one transaction of its school."""
        try:
            async with database.anyone() as session:
                found = await records.find(session, keyring, token)
            if found is not None:
                async with database.school(found.school_id) as session:
                    page = await read(session, found)
                    if page is not None:
                        return await act(session, page)
        except _TROUBLE as error:
            log.error("page.without_database", problem=type(error).__name__)
            return sentences("page.later", 503)
        return sentences("page.gone", 404)

    @routes.api_route("/{token}", methods=["GET", "HEAD"])
    async def debrief(token: str) -> Response:
        async def show(_session: AsyncSession, page: _Read) -> Response:
            here = {kept.path for kept in page.record.sounds if await find(kept) is not None}
            shown = view(page.record, page.catalogue, page.found.audience, here=here)
            return pages.answer(shelf.html("debrief", shown.native, shown.title, page=shown, token=token))

        return await opened(token, show)

    @routes.api_route("/{token}/sound/{number}", methods=["GET", "HEAD"])
    async def sound(token: str, number: str) -> Response:
        async def play(_session: AsyncSession, page: _Read) -> Response:
            kept = {str(n): one for n, one in enumerate(page.record.sounds, 1)}.get(number)
            path = await find(kept) if kept is not None else None
            return pages.sound(path) if path is not None else sentences("page.gone", 404)

        return await opened(token, play)

    @routes.post("/{token}/report")
    async def report(token: str) -> Response:
        async def tell(session: AsyncSession, page: _Read) -> Response:
            if await records.report(session, page.found.call_id):
                log.warning("page.reported", call=page.record.call.carrier_sid)
            return pages.elsewhere(f"../{token}")

        return await opened(token, tell)

    @routes.api_route("/{token}/delete", methods=["GET", "HEAD"])
    async def ask(token: str) -> Response:
        async def confirm(_session: AsyncSession, page: _Read) -> Response:
            return pages.answer(shelf.html("delete", page.native, page.native.say("page.delete_ask"), token=token))

        return await opened(token, confirm)

    @routes.post("/{token}/delete")
    async def delete(token: str) -> Response:
        async def gone(session: AsyncSession, page: _Read) -> Response:
            native = page.native
            await forget(session, page.found.learner_id)
            log.info("page.learner_forgotten", school=str(page.found.school_id))
            return pages.answer(shelf.html("deleted", native, native.say("page.delete")))

        return await opened(token, gone)

    return routes
