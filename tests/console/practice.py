"""A school with a line, a learner and calls that were debriefed: what a page can be made of, in any language."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

import httpx
from fastapi import FastAPI

from console.debrief_page import router
from db import audit, calls, debriefs, endings, learners, lines, observations, pages, schools
from db.audio_files import AudioFiles
from db.endings import Ending, NewEvent, NewTurn
from db.engine import Database
from db.forgetting import forget_learner
from db.keyring import Keyring
from db.models_learning import Observation
from db.pages import Audience
from db.scenarios import Catalogues
from tutor.learning.debrief import plain
from tutor.learning.facts import Facts, Reached
from tutor.learning.metrics import Measures
from tutor.learning.tellings import for_family
from tutor.script.catalogue import load

NUMBER = "+34600111222"
LINE = "+34911234567"
NAME = "Marisol Quintanilla"
GOALS = ("greet", "order_drink", "price")
NOW = datetime(2026, 1, 10, 10, tzinfo=UTC)
"""When the first call began; each one after it a day later."""

SAID = {
    "es": (
        ("role", "¡Hola, buenos días! ¿Qué le pongo?"),
        ("learner", "Hola, quisiera un café con leche, por favor."),
        ("role", "¡Muy bien! ¿Grande o pequeño?"),
        ("learner", "Pequeño, y ¿cuánto es todo?"),
    ),
    "en": (
        ("role", "Good morning! What can I get you?"),
        ("learner", "Hello, a small coffee, please."),
        ("role", "Sure! Anything else?"),
        ("learner", "How much is it?"),
    ),
}

_sids = count()


@dataclass
class Practice:
    """The school, and somebody who opens pages."""

    database: Database
    keyring: Keyring
    school_id: UUID
    line_id: UUID
    learner_id: UUID
    native: str
    target: str
    app: FastAPI
    files: AudioFiles
    calls: list[UUID] = field(default_factory=list)

    async def call(
        self,
        *,
        said: Sequence[tuple[str, str]] | None = None,
        goals: Sequence[str] = GOALS,
        events: Sequence[NewEvent] = (),
        turns: int = 9,
        measures: Measures | None = None,
        **content: Any,
    ) -> UUID:
        """A debriefed call; ``content`` changes what its debrief says."""
        lines_said = SAID[self.target] if said is None else said
        heard = [
            NewTurn(speaker, 4_000 * n, 4_000 * n + 3_000, text, f"item{n}")  # type: ignore[arg-type]
            for n, (speaker, text) in enumerate(lines_said)
        ]
        scene = load().scene("cafe_order", native=self.native, target=self.target, level="A1")
        facts = Facts(
            "cafe_order",
            "A1",
            self.native,
            self.target,
            turns=turns,
            goals=tuple(Reached(goal, "", True) for goal in goals),
        )
        debrief = plain(facts, scene, ("market_fruit", "cafe_order"))
        written = debrief.write() | {
            "native": self.native,
            "target": self.target,
            "next_key": "1",
            "family": for_family(scene.native, facts, debrief).write(),
            **content,
        }
        async with self.database.school(self.school_id) as session:
            call = await calls.open_call(
                session,
                school_id=self.school_id,
                line_id=self.line_id,
                carrier_sid=f"CA{next(_sids):032d}",
                account_sid="AC1",
                max_calls=1_000,
                caller_hash=self.keyring.hash_number(NUMBER),
                learner_id=self.learner_id,
            )
            await calls.begin(session, call.id, scenario="cafe_order", level="A1")
            await calls.connected(session, call.id)
            await endings.finish(session, call.id, Ending("caller_hung_up", heard, list(events)))
            await debriefs.put(
                session, school_id=self.school_id, call_id=call.id, content=written, source="facts", cost_micro_usd=0
            )
            await observations.put(session, self._observed(call.id, turns, measures, completed=len(goals) > 2))
        self.calls.append(call.id)
        return call.id

    def _observed(self, call_id: UUID, turns: int, measures: Measures | None, *, completed: bool) -> Observation:
        return Observation(
            call_id=call_id,
            school_id=self.school_id,
            learner_id=self.learner_id,
            target=self.target,
            scenario="cafe_order",
            level="A1",
            at=NOW + timedelta(days=len(self.calls)),
            turns=turns,
            rated=True,
            completed=completed,
            hints=0,
            difficulty=-2.0,
            measures={} if measures is None else measures.write(),
        )

    async def link(self, call_id: UUID, audience: Audience = "learner") -> str:
        """The token of a call's page."""
        token = pages.new_token()
        async with self.database.school(self.school_id) as session:
            await pages.issue(
                session,
                self.keyring,
                token,
                school_id=self.school_id,
                call_id=call_id,
                learner_id=self.learner_id,
                audience=audience,
            )
        return token

    async def ask(self, method: str, path: str, **headers: str) -> httpx.Response:
        """Somebody with a browser and no cookies."""
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="https://practice.example.org") as browser:
            return await browser.request(method, path, headers=headers)

    async def open(self, token: str) -> httpx.Response:
        """Opens the page behind a token."""
        return await self.ask("GET", f"/d/{token}")

    async def page(self, audience: Audience = "learner", **call: Any) -> str:
        """The page of a new call."""
        response = await self.open(await self.link(await self.call(**call), audience))
        assert response.status_code == 200
        return response.text


@asynccontextmanager
async def practising(
    database: Database, keyring: Keyring, *, native: str = "en", target: str = "es", **line: Any
) -> AsyncIterator[Practice]:
    """A school whose learner speaks ``native`` and learns ``target``; ``line`` changes the line's settings."""
    async with database.anyone() as session:
        school_id = await schools.create(session, "Colegio Lorca", "Europe/Madrid")
    async with database.school(school_id) as session:
        settings: dict[str, Any] = {"native": native, "target": target, "level": "A1"}
        row = await lines.add(session, school_id=school_id, number=LINE, name="A1", **settings)
        if line:
            await lines.update(session, row.id, **line)
        learner = await learners.create_with_number(
            session,
            school_id=school_id,
            number_hash=keyring.hash_number(NUMBER),
            last_two=NUMBER[-2:],
            native=native,
            target=target,
            level="A1",
            first_name=NAME,
            number_encrypted=keyring.encrypt(NUMBER),
        )
    app = FastAPI()
    forget = partial(forget_learner, actor=audit.LEARNER)
    with TemporaryDirectory() as directory:
        files = AudioFiles(Path(directory))
        app.include_router(router(database, keyring, Catalogues(load()), forget, files))
        yield Practice(database, keyring, school_id, row.id, learner.id, native, target, app, files)
