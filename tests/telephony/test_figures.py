"""What a driver counts: calls that are live, how they ended and how long they were, how soon learners were answered."""

from __future__ import annotations

import asyncio
import json
from typing import Any, cast

from prometheus_client import CollectorRegistry

from db.engine import Database
from db.tokens import Claim
from telephony.figures import Figures
from tests.db.conftest import Place
from tests.telephony.test_books import Model, admitted, driver, place
from tests.telephony.test_call import Carrier
from tutor.learning.metrics_turns import Delay

__all__ = ["place"]


async def test_a_call_is_live_and_then_it_ended(database: Database, place: Place) -> None:
    """While the caller talks it is one of those that are served; then how it ended and that it was short."""
    call_id = await admitted(database, place)
    registry = CollectorRegistry()
    figures, model, carrier = Figures(registry), Model(), Carrier()
    value = registry.get_sample_value
    async with driver(database, model, figures) as answering, asyncio.timeout(30):
        figures.live_is(lambda: answering.live)
        payload = {"call_id": str(call_id), "account": "AC1", "slower": False, "voice": 0}
        serving = asyncio.create_task(answering.answer(cast(Any, carrier), Claim(place.school_id, payload)))
        await model.ready.wait()
        assert value("ringua_calls_live") == 1
        assert value("ringua_calls_ended_total", {"reason": "caller_hung_up"}) is None
        carrier.end("caller")
        await serving
    assert value("ringua_calls_live") == 0
    assert value("ringua_calls_ended_total", {"reason": "caller_hung_up"}) == 1
    assert value("ringua_call_duration_seconds_bucket", {"le": "60.0"}) == 1
    assert value("ringua_model_connections_total", {"event": "opened"}) == 1
    assert value("ringua_answer_seconds_count") == 0


async def test_a_stream_that_is_lost_ends_no_call(database: Database, place: Place) -> None:
    """The conversation may go on in another stream: whoever closes the call counts its end."""
    call_id = await admitted(database, place)
    registry = CollectorRegistry()
    model, carrier = Model(), Carrier()
    async with driver(database, model, Figures(registry)) as answering, asyncio.timeout(30):
        payload = {"call_id": str(call_id), "account": "AC1", "slower": False, "voice": 0}
        serving = asyncio.create_task(answering.answer(cast(Any, carrier), Claim(place.school_id, payload)))
        await model.ready.wait()
        carrier.end("error")
        await serving
    assert registry.get_sample_value("ringua_calls_ended_total", {"reason": "line_lost"}) is None
    assert registry.get_sample_value("ringua_call_duration_seconds_count") == 0


def test_answers_count_once_each_with_their_stream() -> None:
    """What was said before a stream began was counted with the stream in which it was said; goals are edges."""
    registry = CollectorRegistry()
    figures = Figures(registry)
    delays = [Delay(-900, 100, 900), Delay(4_000, 500, 1_250), Delay(9_000, 501, 1_300), Delay(15_000, 800, 1_500)]
    figures.answered(delays[:2], since_ms=0)
    figures.answered(delays, since_ms=5_000)
    value = registry.get_sample_value
    assert value("ringua_answer_seconds_count") == 3
    assert value("ringua_answer_seconds_bucket", {"le": "0.5"}) == 1
    assert value("ringua_answer_seconds_bucket", {"le": "0.8"}) == 3
    assert value("ringua_felt_gap_seconds_bucket", {"le": "1.25"}) == 1
    assert value("ringua_felt_gap_seconds_sum") == 1.25 + 1.3 + 1.5


def test_an_end_that_nobody_thought_of_is_another() -> None:
    """A reason of another version makes no label of its own; nor does a status of a text."""
    registry = CollectorRegistry()
    figures = Figures(registry)
    figures.ended("abducted", 3.0)
    figures.ended("role", None)
    figures.text_reported("reinvented")
    assert registry.get_sample_value("ringua_calls_ended_total", {"reason": "other"}) == 1
    assert registry.get_sample_value("ringua_calls_ended_total", {"reason": "role"}) == 1
    assert registry.get_sample_value("ringua_text_reports_total", {"status": "other"}) == 1
    assert registry.get_sample_value("ringua_call_duration_seconds_count") == 1


class Listener(Model):
    """A model's session that says when it has been told to listen: the greeting was heard."""

    def __init__(self) -> None:
        super().__init__()
        self.listens = asyncio.Event()

    def send(self, message: bytes) -> None:
        """Notes that the caller's voice is to be detected."""
        event = json.loads(message)
        if event["type"] == "session.update" and event["session"]["audio"]["input"].get("turn_detection"):
            self.listens.set()
        super().send(message)


async def test_how_soon_a_caller_was_answered(database: Database, place: Place) -> None:
    """Read off what the call left behind, once its stream has ended: a turn, and the role's answer to it."""
    call_id = await admitted(database, place)
    registry = CollectorRegistry()
    model, carrier = Listener(), Carrier()
    async with driver(database, model, Figures(registry)) as answering, asyncio.timeout(30):
        payload = {"call_id": str(call_id), "account": "AC1", "slower": False, "voice": 0}
        serving = asyncio.create_task(answering.answer(cast(Any, carrier), Claim(place.school_id, payload)))
        await model.listens.wait()
        model.says({"type": "input_audio_buffer.speech_started", "item_id": "u1", "audio_start_ms": 0})
        model.says({"type": "input_audio_buffer.speech_stopped", "item_id": "u1", "audio_end_ms": 2_500})
        model.says({"type": "input_audio_buffer.committed", "item_id": "u1"})
        model.begins("r1")
        sound = {"response_id": "r1", "item_id": "i1", "output_index": 0, "content_index": 0, "delta": "/////w=="}
        model.says({"type": "response.output_audio.delta", **sound})
        assert registry.get_sample_value("ringua_answer_seconds_count") == 0
        carrier.end("caller")
        await serving
    assert registry.get_sample_value("ringua_answer_seconds_count") == 1
    assert registry.get_sample_value("ringua_answer_seconds_bucket", {"le": "0.5"}) == 1
    assert registry.get_sample_value("ringua_felt_gap_seconds_count") == 1
