"""What we send and read, held against the `openai` package's own types as an outside judge."""

from __future__ import annotations

import base64
import json
import typing

import pytest
from openai.types.realtime import RealtimeClientEvent
from pydantic import TypeAdapter

from tests.tutor.scenes import cafe
from tutor.realtime import events
from tutor.talk.setup import session_config, turn_detection

CLIENT_TYPES = {
    typing.get_args(model.model_fields["type"].annotation)[0]: model
    for model in typing.get_args(typing.get_args(RealtimeClientEvent)[0])
}


def judge(message: bytes) -> dict[str, typing.Any]:
    """Fails unless the event is exactly what the package declares for its type; returns it decoded."""
    event: dict[str, typing.Any] = json.loads(message)
    TypeAdapter(CLIENT_TYPES[event["type"]]).validate_json(message, strict=True, extra="forbid")
    return event


@pytest.mark.parametrize(
    "message",
    [
        events.append_audio(b"\x01\x02" * 480),
        events.update_session({"audio": {"output": {"speed": 0.85}}}),
        events.update_session({"audio": {"input": {"turn_detection": None}}}),
        events.update_session({"audio": {"input": {"turn_detection": turn_detection(cafe())}}}),
        events.system_note("Shorter."),
        events.learner_text("un café"),
        events.role_text("Hola, ¿qué le pongo?"),
        events.tool_output("call_1", {"ok": True}),
        events.respond(),
        events.aside("translate", "t-1", "Translate.", ["Hola"], max_output_tokens=400),
        events.cancel("resp_1"),
        events.truncate("item_1", 420),
        events.delete("item_1"),
    ],
    ids=lambda message: json.loads(message)["type"],
)
def test_every_event_we_build_is_valid_in_the_strictest_reading(message: bytes) -> None:
    """No event carries a field the protocol does not have, misses one, or spells one loosely."""
    judge(message)


@pytest.mark.parametrize("model", ["gpt-realtime-2.1", "gpt-realtime-2.1-mini", "gpt-realtime-1.5", "gpt-realtime"])
@pytest.mark.parametrize("transcriber", ["gpt-transcribe", "gpt-4o-mini-transcribe"])
@pytest.mark.parametrize("mode", ["pcm", "pcmu"])
def test_the_whole_session_is_valid_for_every_model_and_format(
    model: str, transcriber: str, mode: typing.Literal["pcm", "pcmu"]
) -> None:
    """The one full session.update passes for each model; only reasoning models are given an effort."""
    config = session_config(cafe(), mode=mode, voice="marin", model=model, transcribe_model=transcriber)
    session = judge(events.update_session(config))["session"]
    assert ("reasoning" in session) == model.startswith("gpt-realtime-2.")
    assert session["audio"]["input"]["turn_detection"] is None
    hints = session["audio"]["input"]["transcription"]
    assert ("languages" in hints) == (transcriber == "gpt-transcribe")
    assert ("language" in hints) != ("languages" in hints)
    assert 1 <= session["max_output_tokens"] <= 4096


def test_audio_reaches_the_wire_byte_for_byte() -> None:
    """The template around the caller's audio changes nothing of it."""
    audio = bytes(range(256)) * 4
    assert base64.b64decode(judge(events.append_audio(audio))["audio"]) == audio


def test_an_audio_delta_is_read_with_fields_we_do_not_know() -> None:
    """Padding and new fields of the server do not disturb the reading."""
    message = {
        "type": "response.output_audio.delta",
        "event_id": "event_1",
        "response_id": "resp_1",
        "item_id": "item_1",
        "output_index": 0,
        "content_index": 0,
        "delta": base64.b64encode(b"abcd").decode(),
        "obfuscation": "xyz",
    }
    event = events.parse(json.dumps(message).encode())
    assert isinstance(event, events.AudioDelta)
    assert event.audio() == b"abcd"


def test_types_we_do_not_use_are_ignored() -> None:
    """A new event of the server is no reason to end a call."""
    assert events.parse(b'{"type":"rate_limits.updated","rate_limits":[]}') is None
    assert events.parse(b'{"type":"something.new"}') is None


@pytest.mark.parametrize("message", [b"", b"[]", b"nonsense", b'{"type":5}', b'{"type":"response.done"}'])
def test_what_cannot_be_read_is_named(message: bytes) -> None:
    """Garbage, and an event we rely on without its fields, give an error that says so."""
    with pytest.raises(events.MalformedEvent, match="The model sent"):
        events.parse(message)


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (events.ErrorBody(code="response_cancel_not_active"), "benign"),
        (events.ErrorBody(code="invalid_value", message="Audio content of 9ms is already shorter than 57ms"), "benign"),
        (events.ErrorBody(message="Only model output audio messages can be truncated"), "benign"),
        (events.ErrorBody(code="conversation_already_has_active_response"), "busy"),
        (events.ErrorBody(code="session_expired"), "fatal"),
        (events.ErrorBody(type="insufficient_quota"), "fatal"),
        (events.ErrorBody(code="unknown_parameter", message="Unknown parameter: 'session.x'."), "fault"),
    ],
)
def test_errors_are_told_apart(error: events.ErrorBody, meaning: str) -> None:
    """Races of barge-in are no faults, and a lost session is no race."""
    assert events.severity(error) == meaning
