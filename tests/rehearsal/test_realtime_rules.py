"""What the realtime stand-in refuses: every mistake is an error with its code and the path of the parameter."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.realtime import RealtimeSessionCreateRequest
from pydantic import TypeAdapter

from rehearsal.realtime_config import is_reasoning
from rehearsal.realtime_rules import EVENTS
from tests.rehearsal.realtime_judge import Desk, one, types

TOOL = {"type": "function", "name": "order", "parameters": {"type": "object", "properties": {}}}


def vad(**fields: Any) -> dict[str, Any]:
    """Returns a session that sets server detection."""
    return {"audio": {"input": {"turn_detection": {"type": "server_vad", **fields}}}}


def output(**fields: Any) -> dict[str, Any]:
    """Returns a session that sets the output."""
    return {"audio": {"output": fields}}


def transcription(**fields: Any) -> dict[str, Any]:
    """Returns a session that sets the transcription."""
    return {"audio": {"input": {"transcription": fields}}}


REFUSED_SESSIONS: list[tuple[dict[str, Any], str, str]] = [
    ({"modalities": ["text", "audio"]}, "unknown_parameter", "session.modalities"),
    ({"voice": "marin"}, "unknown_parameter", "session.voice"),
    ({"input_audio_format": "g711_ulaw"}, "unknown_parameter", "session.input_audio_format"),
    ({"output_audio_format": "pcm16"}, "unknown_parameter", "session.output_audio_format"),
    ({"turn_detection": None}, "unknown_parameter", "session.turn_detection"),
    ({"input_audio_transcription": None}, "unknown_parameter", "session.input_audio_transcription"),
    ({"temperature": 0.8}, "unknown_parameter", "session.temperature"),
    ({"max_response_output_tokens": 100}, "unknown_parameter", "session.max_response_output_tokens"),
    ({"speed": 1.0}, "unknown_parameter", "session.speed"),
    ({"id": "sess_1"}, "unknown_parameter", "session.id"),
    ({"type": "transcription"}, "invalid_value", "session.type"),
    ({"model": "gpt-realtime"}, "invalid_value", "session.model"),
    ({"prompt": {"id": "pmpt_1"}}, "invalid_value", "session.prompt"),
    ({"output_modalities": ["audio", "text"]}, "invalid_value", "session.output_modalities"),
    ({"output_modalities": []}, "invalid_value", "session.output_modalities"),
    ({"output_modalities": ["video"]}, "invalid_value", "session.output_modalities[0]"),
    ({"instructions": None}, "invalid_type", "session.instructions"),
    ({"max_output_tokens": 0}, "invalid_value", "session.max_output_tokens"),
    ({"max_output_tokens": 4_097}, "invalid_value", "session.max_output_tokens"),
    ({"max_output_tokens": "infinite"}, "invalid_value", "session.max_output_tokens"),
    ({"reasoning": {"effort": "none"}}, "invalid_value", "session.reasoning.effort"),
    ({"tool_choice": "maybe"}, "invalid_value", "session.tool_choice"),
    ({"tool_choice": {"type": "function", "name": "order"}}, "invalid_value", "session.tool_choice"),
    ({"tools": [{"type": "function", "function": TOOL}]}, "missing_required_parameter", "session.tools[0].name"),
    ({"tools": [{**TOOL, "function": {}}]}, "unknown_parameter", "session.tools[0].function"),
    ({"tools": [{**TOOL, "name": "an order"}]}, "invalid_value", "session.tools[0].name"),
    ({"tools": [{**TOOL, "parameters": "{}"}]}, "invalid_type", "session.tools[0].parameters"),
    ({"truncation": "always"}, "invalid_value", "session.truncation"),
    (
        {"truncation": {"type": "retention_ratio", "retention_ratio": 3.0}},
        "invalid_value",
        "session.truncation.retention_ratio",
    ),
    ({"audio": {"input": {"format": "pcm16"}}}, "invalid_type", "session.audio.input.format"),
    (
        {"audio": {"input": {"format": {"type": "audio/pcm", "rate": 16_000}}}},
        "invalid_value",
        "session.audio.input.format.rate",
    ),
    (
        {"audio": {"input": {"format": {"type": "audio/pcmu", "rate": 8_000}}}},
        "unknown_parameter",
        "session.audio.input.format.rate",
    ),
    (output(format={"type": "audio/opus"}), "invalid_value", "session.audio.output.format.type"),
    (output(voice="bogus"), "invalid_value", "session.audio.output.voice"),
    (output(speed=0.2), "invalid_value", "session.audio.output.speed"),
    (output(speed=1.6), "invalid_value", "session.audio.output.speed"),
    (output(speed="1.0"), "invalid_type", "session.audio.output.speed"),
    (vad(threshold=9), "invalid_value", "session.audio.input.turn_detection.threshold"),
    (vad(threshold="0.5"), "invalid_type", "session.audio.input.turn_detection.threshold"),
    (vad(silence_duration_ms=-1), "invalid_value", "session.audio.input.turn_detection.silence_duration_ms"),
    (vad(silence_duration_ms=500.5), "invalid_type", "session.audio.input.turn_detection.silence_duration_ms"),
    (vad(idle_timeout_ms=4_999), "invalid_value", "session.audio.input.turn_detection.idle_timeout_ms"),
    (vad(idle_timeout_ms=30_001), "invalid_value", "session.audio.input.turn_detection.idle_timeout_ms"),
    (vad(eagerness="low"), "unknown_parameter", "session.audio.input.turn_detection.eagerness"),
    (vad(create_response=1), "invalid_type", "session.audio.input.turn_detection.create_response"),
    (
        {"audio": {"input": {"turn_detection": {"type": "semantic_vad", "threshold": 0.5}}}},
        "unknown_parameter",
        "session.audio.input.turn_detection.threshold",
    ),
    (
        {"audio": {"input": {"turn_detection": {"threshold": 0.5}}}},
        "missing_required_parameter",
        "session.audio.input.turn_detection.type",
    ),
    (
        {"audio": {"input": {"noise_reduction": {"strength": 0.5}}}},
        "missing_required_parameter",
        "session.audio.input.noise_reduction.type",
    ),
    (transcription(language="es"), "missing_required_parameter", "session.audio.input.transcription.model"),
    (transcription(model="whisper-9"), "invalid_value", "session.audio.input.transcription.model"),
    (
        transcription(model="gpt-transcribe", language="es"),
        "invalid_value",
        "session.audio.input.transcription.language",
    ),
    (
        transcription(model="gpt-4o-mini-transcribe", languages=["es"]),
        "invalid_value",
        "session.audio.input.transcription.languages",
    ),
    (
        transcription(model="gpt-transcribe", languages=["Spanish"]),
        "invalid_value",
        "session.audio.input.transcription.languages[0]",
    ),
    (
        transcription(model="gpt-transcribe", delay="low"),
        "invalid_value",
        "session.audio.input.transcription.delay",
    ),
    (transcription(model="gpt-realtime-whisper"), "invalid_value", "session.audio.input.transcription.model"),
]


@pytest.mark.parametrize(("change", "code", "param"), REFUSED_SESSIONS)
def test_wrong_sessions_are_refused_and_change_nothing(change: dict[str, Any], code: str, param: str) -> None:
    """One mistake refuses the whole session.update: one error with its path, no session.updated, a violation."""
    desk = Desk()
    before = desk.session.settings
    events = desk.update(**{"instructions": "New.", **change})
    assert types(events) == ["error"]
    error = events[0]["error"]
    assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", code, param)
    assert desk.session.settings == before
    assert len(desk.session.violations) == 1
    assert code in str(desk.session.violations[0])


def test_the_type_of_a_session_is_required() -> None:
    """session.update without session.type, the commonest mistake of old samples, is refused."""
    events = Desk().send("session.update", session={"instructions": "Hi."}, event_id="e1")
    error = one(events, "error")["error"]
    assert (error["code"], error["param"], error["event_id"]) == ("missing_required_parameter", "session.type", "e1")
    assert error["message"] == "Missing required parameter: 'session.type'."


def test_unknown_parameters_are_named_in_the_message() -> None:
    """The sentence is OpenAI's, with the path in quotes."""
    error = one(Desk().update(**vad(padding=1)), "error")["error"]
    assert error["message"] == "Unknown parameter: 'session.audio.input.turn_detection.padding'."


@pytest.mark.parametrize(
    ("event", "code", "param"),
    [
        ({"type": "session.create"}, "invalid_value", "type"),
        ({"type": 7}, "invalid_value", "type"),
        ({"session": {}}, "missing_required_parameter", "type"),
        ({"type": "session.update"}, "missing_required_parameter", "session"),
        ({"type": "input_audio_buffer.append"}, "missing_required_parameter", "audio"),
        ({"type": "input_audio_buffer.append", "audio": "", "rate": 8}, "unknown_parameter", "rate"),
        ({"type": "conversation.item.truncate", "item_id": "a"}, "missing_required_parameter", "content_index"),
        ({"type": "conversation.item.delete", "item_id": 1}, "invalid_type", "item_id"),
        ({"type": "output_audio_buffer.clear"}, "invalid_event", "type"),
        ({"type": "response.create", "response": {"modalities": ["text"]}}, "unknown_parameter", "response.modalities"),
        ({"type": "response.create", "response": {"conversation": "new"}}, "invalid_value", "response.conversation"),
        (
            {"type": "response.create", "response": {"audio": {"output": {"speed": 1.0}}}},
            "unknown_parameter",
            "response.audio.output.speed",
        ),
        (
            {"type": "response.create", "response": {"metadata": {"a": 1}}},
            "invalid_type",
            "response.metadata.a",
        ),
        (
            {"type": "response.create", "response": {"metadata": {"a": "x" * 513}}},
            "string_above_max_length",
            "response.metadata.a",
        ),
        (
            {"type": "response.create", "response": {"metadata": {str(n): "" for n in range(17)}}},
            "invalid_value",
            "response.metadata",
        ),
        ({"type": "response.create", "event_id": 5}, "invalid_type", "event_id"),
    ],
)
def test_wrong_events_are_refused(event: dict[str, Any], code: str, param: str) -> None:
    """Wrong events of every kind are errors with a code and a path; the session goes on."""
    desk = Desk()
    error = one(desk.send_text(json.dumps(event)), "error")["error"]
    assert (error["code"], error["param"]) == (code, param)
    assert one(desk.send("response.create"), "response.done")


@pytest.mark.parametrize(
    ("frame", "code"),
    [("{", "invalid_json"), ("[]", "invalid_event"), (b"\0\1", "invalid_event"), ("7", "invalid_event")],
)
def test_frames_that_are_no_events_are_not_fatal(frame: str | bytes, code: str) -> None:
    """Broken JSON, JSON that is no object and binary frames are errors after which the socket stays usable."""
    desk = Desk()
    assert one(desk.send_text(frame), "error")["error"]["code"] == code
    assert desk.closed is None
    assert one(desk.update(), "session.updated")


def test_an_unknown_type_lists_what_is_supported() -> None:
    """The message of an unknown type names all eleven client events."""
    message = one(Desk().send("response.make"), "error")["error"]["message"]
    assert len(EVENTS) == 11
    assert all(repr(name) in message for name in EVENTS)


def test_a_full_session_is_accepted_and_shown_whole() -> None:
    """Every field of a correct session is taken over and echoed; the SDK agrees that it is correct."""
    session = {
        "type": "realtime",
        "model": "gpt-realtime-2.1",
        "instructions": "You are a waiter.",
        "output_modalities": ["audio"],
        "max_output_tokens": 400,
        "reasoning": {"effort": "low"},
        "parallel_tool_calls": False,
        "tools": [TOOL],
        "tool_choice": {"type": "function", "name": "order"},
        "truncation": {
            "type": "retention_ratio",
            "retention_ratio": 0.8,
            "token_limits": {"post_instructions": 8_000},
        },
        "tracing": None,
        "include": ["item.input_audio_transcription.logprobs"],
        "audio": {
            "input": {
                "format": {"type": "audio/pcmu"},
                "noise_reduction": {"type": "near_field"},
                "transcription": {"model": "gpt-transcribe", "languages": ["es", "en"], "keywords": ["café"]},
                "turn_detection": {
                    "type": "server_vad",
                    "threshold": 0.6,
                    "prefix_padding_ms": 300,
                    "silence_duration_ms": 700,
                    "idle_timeout_ms": 8_000,
                    "create_response": True,
                    "interrupt_response": False,
                },
            },
            "output": {"format": {"type": "audio/pcm", "rate": 24_000}, "voice": "marin", "speed": 0.9},
        },
    }
    TypeAdapter(RealtimeSessionCreateRequest).validate_python(session, strict=True, extra="forbid")
    desk = Desk()
    shown = one(desk.send("session.update", session=session), "session.updated")["session"]
    audio = session["audio"]
    assert isinstance(audio, dict)
    audio["input"]["noise_reduction"]["strength"] = 1.0  # the default when it is first switched on
    assert {name: shown[name] for name in session} == session
    assert desk.session.violations == []


def test_updates_are_merged() -> None:
    """Only what is present changes, also inside detection and transcription; null switches off, "" clears."""
    desk = Desk()
    desk.update(**vad(silence_duration_ms=700), instructions="Hi.")
    desk.update(**vad(threshold=0.7))
    desk.update(**transcription(model="gpt-transcribe", languages=["es"]))
    desk.update(**transcription(keywords=["café"]))
    shown = one(desk.update(instructions=""), "session.updated")["session"]
    assert shown["instructions"] == ""
    detection = shown["audio"]["input"]["turn_detection"]
    assert (detection["threshold"], detection["silence_duration_ms"]) == (0.7, 700)
    assert shown["audio"]["input"]["transcription"] == {
        "model": "gpt-transcribe",
        "languages": ["es"],
        "keywords": ["café"],
    }
    off = {"audio": {"input": {"turn_detection": None, "transcription": None}}}
    shown = one(desk.update(**off), "session.updated")["session"]
    assert shown["audio"]["input"]["turn_detection"] is shown["audio"]["input"]["transcription"] is None
    shown = one(desk.update(**vad()), "session.updated")["session"]
    assert shown["audio"]["input"]["turn_detection"]["silence_duration_ms"] == 200


def test_tracing_is_immutable_once_on() -> None:
    """Tracing may be switched on once and not be changed after that."""
    desk = Desk()
    assert one(desk.update(tracing="auto"), "session.updated")
    assert one(desk.update(tracing=None), "error")["error"]["param"] == "session.tracing"


def test_reasoning_is_for_reasoning_models() -> None:
    """Only gpt-realtime-2 and its successors take reasoning and parallel tool calls."""
    desk = Desk(model="gpt-realtime-1.5")
    assert one(desk.update(reasoning={"effort": "low"}), "error")["error"]["param"] == "session.reasoning"
    asked = {"parallel_tool_calls": True}
    error = one(desk.send("response.create", response=asked), "error")["error"]
    assert error["param"] == "response.parallel_tool_calls"
    models = ["gpt-realtime-2", "gpt-realtime-2.1-mini", "gpt-realtime-2025-08-28", "gpt-realtime-mini"]
    assert [is_reasoning(model) for model in models] == [True, True, False, False]
