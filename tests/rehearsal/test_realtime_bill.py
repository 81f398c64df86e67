"""What the realtime stand-in says it is owed: every response and transcription, told or not."""

from __future__ import annotations

from typing import Any

from websockets.asyncio.client import connect

from rehearsal.realtime import RealtimeServer
from tests.rehearsal.realtime_judge import Desk, one, script
from tests.rehearsal.test_realtime_server import KEY, address, read_until, send, session

SLOW = script(opening="Buenos días, ¿qué le pongo?", pace=1.0, turns=[{"hears": "un café", "says": ["Muy bien."]}])


def test_a_line_of_the_bill_is_what_the_event_said() -> None:
    """A spoken turn is a response and a transcription, each with the usage that was sent, in the order of making."""
    desk = Desk(script(turns=[{"hears": "un café", "says": ["Muy bien."]}]))
    desk.update(transcription={"model": "gpt-transcribe"})
    events = desk.say()
    events += desk.wait(2_000)
    said, heard = desk.session.bill.charges
    transcribed = one(events, "conversation.item.input_audio_transcription.completed")
    done = one(events, "response.done")["response"]
    assert (heard.kind, heard.id, heard.model) == ("transcription", transcribed["item_id"], "gpt-transcribe")
    assert (said.kind, said.id, said.model) == ("response", done["id"], "gpt-realtime-2.1")
    assert (heard.usage, said.usage) == (transcribed["usage"], done["usage"])


def test_what_runs_when_the_connection_ends_is_billed_for_what_was_made() -> None:
    """A second of an answer is twenty tokens of sound, and all that was read; nobody is told."""
    desk = Desk(SLOW)
    desk.send("response.create")
    desk.wait(1_000)
    desk.session.hang_up()
    (cut,) = desk.session.bill.charges
    made = cut.usage["output_token_details"]
    assert 15 < made["audio_tokens"] < 30
    assert cut.usage["input_token_details"]["text_tokens"] > 0
    assert not cut.told
    assert desk.wait(5_000) == []


def test_an_answer_of_which_nothing_was_made_costs_nothing() -> None:
    """The connection ended before the first sound."""
    desk = Desk(script(turns=[{"says": ["Muy bien."], "delay_ms": 400}]))
    desk.user("Hola")
    desk.send("response.create")
    desk.session.hang_up()
    (cut,) = desk.session.bill.charges
    assert cut.usage["total_tokens"] == 0


def test_a_turn_that_was_being_written_down_is_billed() -> None:
    """Its words would have come a moment after the connection ended."""
    desk = Desk(script(turns=[{"hears": "un café", "says": ["Muy bien."], "transcript_delay_ms": 5_000}]))
    desk.update(transcription={"model": "gpt-transcribe"})
    desk.say(600)
    desk.session.hang_up()
    (heard,) = [charge for charge in desk.session.bill.charges if charge.kind == "transcription"]
    assert heard.usage["seconds"] > 0.5
    assert not heard.told


async def test_who_hangs_up_was_told_of_what_was_written_before() -> None:
    """The first answer's usage was sent; the second one runs when the client goes away, and is billed all the same."""
    async with RealtimeServer(script=SLOW) as server:
        async with session(server) as socket:
            await send(socket, "response.create", response={"output_modalities": ["text"]})
            await read_until(socket, "response.done")
            await send(socket, "response.create")
            await read_until(socket, "response.output_audio.delta")
        await server.until(lambda: server.sessions[0].is_closed)
        first, second = server.sessions[0].bill.charges
    assert (first.told, second.told) == (True, False)
    assert second.usage["output_token_details"]["audio_tokens"] > 0


async def test_a_session_knows_whom_its_client_named() -> None:
    """By the header that a provider asks for, so that bills of many sessions can be told apart."""
    named: dict[str, Any] = {**KEY, "OpenAI-Safety-Identifier": "somebody"}
    async with RealtimeServer() as server:
        for count, headers in enumerate((named, KEY), start=1):
            async with connect(address(server), additional_headers=headers):
                await server.until(lambda count=count: len(server.sessions) == count)  # type: ignore[misc]
        assert [one.safety_identifier for one in server.sessions] == ["somebody", None]
