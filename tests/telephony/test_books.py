"""A call's account over its streams: exact while its processes live, bounded when one of them is killed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from db import calls, endings, learners, limits
from db.engine import Database
from db.keyring import Keyring
from db.models import Call, Line
from db.models_money import BudgetPeriod, LedgerEntry
from db.scenarios import Catalogues
from db.tokens import Claim
from telephony.answering import Answering, Speech, ending_from_checkpoint
from telephony.books import Books
from telephony.clips import ClipKey, ClipShelf
from telephony.figures import Figures
from telephony.ivr.record import MenuRecord
from telephony.moderating import Moderator
from telephony.prewarm import Prewarmer
from tests.db.conftest import Place, make_place
from tests.telephony.test_call import Carrier
from tutor.realtime.events import InputTokens, OutputTokens, TranscriptionUsage, Usage
from tutor.realtime.pricing import prices
from tutor.realtime.tab import Unsettled, Used
from tutor.script.catalogue import load
from tutor.talk.snapshot import Snapshot

MODEL = "gpt-realtime-2.1-mini"


@pytest.fixture
async def place(database: Database) -> Place:
    """A school with a line that takes calls."""
    made = await make_place(database, "North", "+17875550100")
    async with database.school(made.school_id) as session:
        line = await session.get(Line, made.line_id)
        assert line is not None
        line.native, line.target, line.level, line.class_prompt = "en", "es", "A1", "Vocabulary: drinks."
        line.scenarios, line.open, line.model = ["cafe_order"], True, MODEL
    return made


async def admitted(database: Database, place: Place) -> UUID:
    """A call whose caller chose the café."""
    async with database.school(place.school_id) as session:
        call = await calls.open_call(
            session,
            school_id=place.school_id,
            line_id=place.line_id,
            carrier_sid="CA1",
            account_sid="AC1",
            max_calls=9,
        )
        menu = MenuRecord(
            native="en",
            school="North",
            returning=False,
            scenarios=("cafe_order",),
            free_talk=False,
            slower=False,
            level="A1",
            target="es",
        )
        await calls.save_menu(session, call.id, 0, menu.write())
        await calls.begin(session, call.id, scenario="cafe_order", level="A1")
    return call.id


async def row_of(database: Database, place: Place, call_id: UUID) -> Call:
    """The call as it is now."""
    async with database.school(place.school_id) as session:
        call = await calls.get(session, call_id)
    assert call is not None
    return call


async def entries(database: Database, place: Place) -> list[LedgerEntry]:
    """The school's entries in the order of writing."""
    async with database.school(place.school_id) as session:
        return list(await session.scalars(select(LedgerEntry).order_by(LedgerEntry.id)))


def response(name: str, audio_in: int = 400) -> Used:
    """A response's usage."""
    return Used("response", Usage(None, InputTokens(2_000, audio_in), OutputTokens(20, 120)), name)


COST = prices().response(MODEL, Usage(None, InputTokens(2_000, 400), OutputTokens(20, 120))) or 0


@dataclass
class Streams:
    """The streams of one call, as its drivers do them, without a conversation."""

    database: Database
    place: Place
    call_id: UUID
    number: int = 0

    async def connect(self) -> Books:
        """Another stream takes the call."""
        async with self.database.school(self.place.school_id) as session:
            stream = await calls.connected(session, self.call_id)
            call = await calls.get(session, self.call_id)
            line = await session.get(Line, self.place.line_id)
            assert stream is not None
            assert call is not None
            assert line is not None
            self.number = stream
            return await Books.begin(
                session,
                call,
                line,
                prices=prices(),
                model=MODEL,
                transcribe_model="gpt-transcribe",
                elapsed_ms=0,
                at=datetime.now(UTC),
            )

    async def settle(self, books: Books) -> None:
        """A sign of life."""
        async with self.database.school(self.place.school_id) as session:
            assert await calls.heartbeat(session, self.call_id, stream=self.number)
            settled = await books.settle(session, 1_000, datetime.now(UTC))
        books.settled(settled)

    async def checkpoint(self, books: Books, *, whole: bool = False) -> None:
        """A checkpoint, with what is pending; ``whole``: the stream's last word."""
        await self.settle(books)
        snapshot = Snapshot(1_000, 1.0, {}, [], [], books.summary(whole=whole))
        async with self.database.school(self.place.school_id) as session:
            await calls.checkpoint(session, self.call_id, snapshot.write(), stream=self.number)
            if whole:
                await calls.disconnected(session, self.call_id, stream=self.number)

    async def reconnect(self) -> None:
        """The carrier was told to open another stream."""
        async with self.database.school(self.place.school_id) as session:
            await calls.begin(session, self.call_id, scenario="cafe_order", level="A1")

    async def sweep(self) -> Call:
        """Nobody shows life any more: the call is closed from its row."""
        call = await row_of(self.database, self.place, self.call_id)
        async with self.database.school(self.place.school_id) as session:
            await endings.finish(session, self.call_id, ending_from_checkpoint(call, "process_lost"))
        return await row_of(self.database, self.place, self.call_id)

    async def close(self, books: Books) -> Call:
        """The driver closes the call."""
        ending = endings.Ending(
            "key",
            cost_micro_usd=books.ledger.micro_usd,
            cost_complete=books.complete,
            entries=books.ledger.pending,
            usage=books.ledger.summary(),
        )
        async with self.database.school(self.place.school_id) as session:
            assert await endings.finish(session, self.call_id, ending, stream=self.number)
        return await row_of(self.database, self.place, self.call_id)

    async def kinds(self) -> list[str]:
        """What was booked, in order."""
        return [entry.kind for entry in await entries(self.database, self.place)]


@pytest.fixture
async def streams(database: Database, place: Place) -> Streams:
    """A call that is about to connect."""
    return Streams(database, place, await admitted(database, place))


async def test_a_call_that_lived_is_exact(streams: Streams) -> None:
    """Booked as it went and at its end, over one stream: to the micro-dollar, and complete."""
    books = await streams.connect()
    books.ledger.book(response("a"))
    await streams.settle(books)
    await streams.settle(books)
    books.ledger.book(response("b"))
    books.ledger.book(Used("transcription", TranscriptionUsage(type="duration", seconds=6.0), "item"))
    call = await streams.close(books)
    assert (call.cost_micro_usd, call.cost_complete) == (2 * COST + 450, True)
    assert await streams.kinds() == ["response", "response", "transcription", "carrier_minutes"]
    assert (call.usage["responses"], call.usage["transcribed_s"]) == (2, 6.0)


async def test_a_call_handed_on_in_good_order_is_exact(streams: Streams) -> None:
    """Two streams in two processes: the second goes on counting, nothing is estimated."""
    first = await streams.connect()
    first.ledger.book(response("a"))
    await streams.checkpoint(first, whole=True)
    await streams.reconnect()
    second = await streams.connect()
    assert second.ledger.micro_usd == COST
    second.ledger.book(response("b"))
    call = await streams.close(second)
    assert (call.cost_micro_usd, call.cost_complete) == (2 * COST, True)
    assert "estimate" not in await streams.kinds()


async def test_a_call_handed_on_to_nobody_is_exact(streams: Streams) -> None:
    """The stream broke off, its driver wrote its last word, and the caller was gone."""
    books = await streams.connect()
    books.ledger.book(response("a"))
    await streams.checkpoint(books, whole=True)
    call = await streams.sweep()
    assert (call.cost_micro_usd, call.cost_complete) == (COST, True)
    assert "whole" not in call.usage


async def test_a_killed_call_keeps_what_was_booked_and_is_marked(streams: Streams) -> None:
    """The response after the last checkpoint is booked too; the one that nobody counted is estimated from above."""
    books = await streams.connect()
    books.ledger.book(response("a"))
    await streams.checkpoint(books)
    books.ledger.book(response("b"))
    await streams.settle(books)
    books.ledger.book(response("c"))  # and the process dies
    call = await streams.sweep()
    assert (call.cost_micro_usd, call.cost_complete) == (2 * COST, False)
    (estimate,) = [entry for entry in await entries(streams.database, streams.place) if entry.kind == "estimate"]
    assert estimate.charged_micro_usd > COST
    assert call.usage["responses"] == 2


async def test_a_call_that_was_killed_and_taken_up_again_stays_marked(streams: Streams) -> None:
    """One estimate for one loss, at the moment at which it is found; the second stream's end does not make it good."""
    first = await streams.connect()
    first.ledger.book(response("a"))
    await streams.checkpoint(first)
    await streams.reconnect()
    second = await streams.connect()
    assert second.ledger.micro_usd == COST
    second.ledger.book(response("b"))
    call = await streams.close(second)
    assert (call.cost_micro_usd, call.cost_complete) == (2 * COST, False)
    assert (await streams.kinds()).count("estimate") == 1


async def test_a_loss_is_found_although_the_stream_before_it_ended_well(streams: Streams) -> None:
    """A last word is of its own stream: the next one that died before its first checkpoint lacks a response."""
    first = await streams.connect()
    await streams.checkpoint(first, whole=True)
    await streams.reconnect()
    await streams.connect()  # and dies
    await streams.reconnect()
    third = await streams.connect()
    await streams.checkpoint(third, whole=True)
    call = await streams.sweep()
    assert not call.cost_complete
    assert (await streams.kinds()).count("estimate") == 1


async def test_two_losses_are_two_estimates(streams: Streams) -> None:
    """A call whose processes are killed one after the other is charged for each."""
    for _ in range(3):
        await streams.connect()
        await streams.reconnect()
    await streams.connect()
    await streams.sweep()
    assert (await streams.kinds()).count("estimate") == 4


async def test_what_a_session_never_accounted_for_is_estimated_and_stays_marked(streams: Streams) -> None:
    """A model that was lost in the middle of an answer, in a process that lives; and a stream that follows it."""
    first = await streams.connect()
    first.ledger.book(response("a"))
    first.lose(Unsettled(responses=1, transcriptions=1))
    assert not first.complete
    await streams.checkpoint(first, whole=True)
    await streams.reconnect()
    second = await streams.connect()
    second.lose(Unsettled(transcriptions=1))
    call = await streams.close(second)
    assert (call.cost_micro_usd, call.cost_complete) == (COST, False)
    answer, words = [one for one in await entries(streams.database, streams.place) if one.kind == "estimate"]
    assert answer.charged_micro_usd > COST + words.charged_micro_usd
    assert words.charged_micro_usd == prices().minute_transcribed_at_most() > 0
    assert (answer.quantity, words.quantity) == (
        {"responses_lost": 1, "transcriptions_lost": 1},
        {"responses_lost": 0, "transcriptions_lost": 1},
    )


async def test_a_transaction_that_fails_books_nothing_and_forgets_nothing(streams: Streams) -> None:
    """What could not be committed is pending until it is; kept twice, it costs once."""
    books = await streams.connect()
    books.ledger.book(response("a"))

    async def rolled_back() -> None:
        async with streams.database.school(streams.place.school_id) as session:
            await books.settle(session, 1_000, datetime.now(UTC))
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        await rolled_back()
    assert await streams.kinds() == []
    async with streams.database.school(streams.place.school_id) as session:
        await books.settle(session, 1_000, datetime.now(UTC))  # and the process did not learn that it was committed
    call = await streams.close(books)
    assert call.cost_micro_usd == COST


# --- a whole driver


class Shelf(ClipShelf):
    """Every text at hand, as 20 ms of sound."""

    def get(self, key: ClipKey) -> bytes | None:
        return b"\x33" * 160


@dataclass
class Model:
    """A model's session that uses what it is told to."""

    responses: list[str] = field(default_factory=list)
    expires_at: int | None = None
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    _receive: Callable[[bytes], None] | None = None

    async def start(self, config: Any, audio: Any, *, receive: Callable[[bytes], None], lost: Any) -> None:
        self._receive = receive
        self.ready.set()

    def send(self, message: bytes) -> None:
        """Nothing is answered until it is left: then what runs is stopped, and paid for."""
        event = json.loads(message)
        if event["type"] == "response.cancel":
            asyncio.get_running_loop().call_soon(self.ends, event["response_id"], 50)
        elif event["type"] == "session.update" and event["session"]["audio"] == {"input": {"turn_detection": None}}:
            asyncio.get_running_loop().call_soon(self.says, {"type": "session.updated", "session": {}})

    async def close(self) -> None:
        """Nothing is open."""

    def uses(self, name: str, audio_out: int) -> None:
        """A response without sound that is billed."""
        self.begins(name)
        self.ends(name, audio_out)

    def begins(self, name: str) -> None:
        """A response that is being made."""
        self.says({"type": "response.created", "response": {"id": name}})

    def ends(self, name: str, audio_out: int) -> None:
        """It is over, and billed."""
        usage = {
            "total_tokens": 0,
            "input_token_details": {"text_tokens": 2_000, "audio_tokens": 400},
            "output_token_details": {"text_tokens": 20, "audio_tokens": audio_out},
        }
        self.says({"type": "response.done", "response": {"id": name, "status": "completed", "usage": usage}})

    def says(self, event: dict[str, Any]) -> None:
        """The server says something."""
        assert self._receive is not None
        self._receive(json.dumps(event).encode())


class Warm(Prewarmer):
    """Hands out one session."""

    def __init__(self, model: Model) -> None:
        super().__init__(self._never)
        self._model = model

    async def _never(self, model: str, identifier: str) -> Any:
        raise AssertionError("nothing is opened")

    async def take(self, call_id: str, model: str, safety_identifier: str = "") -> Any:
        return self._model


@asynccontextmanager
async def driver(database: Database, model: Model, figures: Figures | None = None) -> AsyncIterator[Answering]:
    """A driver of calls on a real database, with a model that says nothing."""
    moderator = Moderator(None)
    yield Answering(
        database=database,
        catalogues=Catalogues(load()),
        clips=Shelf(database),
        prewarmer=Warm(model),
        prices=prices(),
        speech=Speech("gpt-realtime-2.1", "gpt-transcribe", "pcmu", 15),
        safety_identifier=lambda caller: "",
        moderator=moderator,
        figures=figures,
        clock=asyncio.get_running_loop().time,
    )
    await moderator.close()


class Watched(Database):
    """Says when a transaction of a school was committed."""

    committed: asyncio.Event

    @asynccontextmanager
    async def school(self, school_id: UUID) -> AsyncIterator[AsyncSession]:
        async with super().school(school_id) as session:
            yield session
        self.committed.set()


async def test_a_response_is_booked_when_it_is_over(database: Database, database_url: str, place: Place) -> None:
    """Not with the next turn and not with the next minute: a process that is killed then has lost one at most."""
    call_id = await admitted(database, place)
    watched = await Watched.connect(database_url)
    watched.committed = asyncio.Event()
    model, carrier = Model(), Carrier()
    async with driver(watched, model) as answering, asyncio.timeout(30):
        payload = {"call_id": str(call_id), "account": "AC1", "slower": False, "voice": 0}
        serving = asyncio.create_task(answering.answer(cast(Any, carrier), Claim(place.school_id, payload)))
        await model.ready.wait()
        for number in (1, 2):
            model.uses(f"resp_{number}", 100)
            watched.committed.clear()
            while len(await entries(database, place)) < number:
                await watched.committed.wait()
                watched.committed.clear()
        assert (await row_of(database, place, call_id)).state == "live"
        carrier.end("caller")
        await serving
    await watched.close()
    assert [entry.kind for entry in await entries(database, place)] == ["response", "response", "carrier_minutes"]


async def test_an_answer_that_the_end_of_a_call_cuts_off_is_paid_for(database: Database, place: Place) -> None:
    """The caller hangs up while the role speaks: what was made of the answer is in the closed call's ledger."""
    call_id = await admitted(database, place)
    model, carrier = Model(), Carrier()
    async with driver(database, model) as answering, asyncio.timeout(30):
        payload = {"call_id": str(call_id), "account": "AC1", "slower": False, "voice": 0}
        serving = asyncio.create_task(answering.answer(cast(Any, carrier), Claim(place.school_id, payload)))
        await model.ready.wait()
        model.uses("resp_1", 100)
        model.begins("resp_2")
        carrier.end("caller")
        await serving
    call = await row_of(database, place, call_id)
    booked = [entry for entry in await entries(database, place) if entry.kind == "response"]
    assert [entry.quantity["audio_out"] for entry in booked] == [100, 50]
    assert (call.cost_complete, call.cost_micro_usd) == (True, sum(entry.micro_usd or 0 for entry in booked))


async def test_a_call_whose_own_limit_is_spent_ends_kindly_and_is_booked(database: Database, place: Place) -> None:
    """The response that goes beyond it is the last one, the caller hears that the time is over, nothing stays held."""
    call_id = await admitted(database, place)
    async with database.school(place.school_id) as session:
        await limits.put(
            session, school_id=place.school_id, scope="call", period="call", unit="micro_usd", amount=100_000
        )
        await limits.put(
            session, school_id=place.school_id, scope="school", period="day", unit="micro_usd", amount=10_000_000
        )
    model, carrier = Model(), Carrier()
    async with driver(database, model) as answering, asyncio.timeout(30):
        payload = {"call_id": str(call_id), "account": "AC1", "slower": False, "voice": 0}
        serving = asyncio.create_task(answering.answer(cast(Any, carrier), Claim(place.school_id, payload)))
        await model.ready.wait()
        model.uses("resp_1", 10_000)
        await serving
    call = await row_of(database, place, call_id)
    cost = prices().response(MODEL, Usage(None, InputTokens(2_000, 400), OutputTokens(20, 10_000)))
    assert (call.end_reason, call.cost_micro_usd, call.cost_complete) == ("limit", cost, True)
    async with database.school(place.school_id) as session:
        (day,) = (await session.scalars(select(BudgetPeriod))).all()
        assert (day.spent, day.held) == ((cost or 0) + 12_500, 0)


async def test_a_learner_without_minutes_is_told_so_although_nobody_asked_at_the_door(
    database: Database, place: Place, keyring: Keyring
) -> None:
    """Who shares a telephone is known only after the menu: the scene ends by itself, at once."""
    call_id = await admitted(database, place)
    async with database.school(place.school_id) as session:
        learner = await learners.create_with_number(
            session,
            school_id=place.school_id,
            number_hash=keyring.hash_number("+17875550101"),
            last_two="01",
            native="en",
            target="es",
            level="A1",
        )
        await calls.identify(session, call_id, learner.id)
        await limits.put(session, school_id=place.school_id, scope="learner", period="day", unit="s", amount=1)
    carrier = Carrier()
    async with driver(database, Model()) as answering, asyncio.timeout(30):
        payload = {"call_id": str(call_id), "account": "AC1", "slower": False, "voice": 0}
        await answering.answer(cast(Any, carrier), Claim(place.school_id, payload))
    call = await row_of(database, place, call_id)
    assert (call.end_reason, call.cost_micro_usd) == ("limit", 0)
