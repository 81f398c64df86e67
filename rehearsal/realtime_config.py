"""The effective session: its defaults, and how `session.update` and `response.create` change it. It sends nothing."""

from __future__ import annotations

import copy
from typing import Any

from rehearsal.realtime_rules import HINTED_TRANSCRIPTION
from rehearsal.realtime_schema import Refused, invalid, missing

INSTRUCTIONS = (
    "You are a helpful and friendly assistant. Answer briefly, in the language you are spoken to, and talk quickly."
)
"""Stands for the server's own default text; the real one is longer and also asks the model to talk quickly."""

# The documented default of silence_duration_ms is 500; the spec's sample and a live capture of 2026-09-18 show 200.
SERVER_VAD = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 200,
    "idle_timeout_ms": None,
    "create_response": True,
    "interrupt_response": True,
}
SEMANTIC_VAD = {"type": "semantic_vad", "eagerness": "auto", "create_response": True, "interrupt_response": True}
PCM = {"type": "audio/pcm", "rate": 24_000}


def is_reasoning(model: str) -> bool:
    """True for gpt-realtime-2 and its successors; gpt-realtime-2025-08-28 is none of them."""
    return model == "gpt-realtime-2" or model.startswith(("gpt-realtime-2.", "gpt-realtime-2-"))


def default_session(session_id: str, model: str, expires_at: int) -> dict[str, Any]:
    """Returns the session as `session.created` shows it."""
    session: dict[str, Any] = {
        "type": "realtime",
        "object": "realtime.session",
        "id": session_id,
        "model": model,
        "output_modalities": ["audio"],
        "instructions": INSTRUCTIONS,
        "tools": [],
        "tool_choice": "auto",
        "max_output_tokens": "inf",
        "tracing": None,
        "truncation": "auto",
        "prompt": None,
        "include": None,
        "expires_at": expires_at,
        "audio": {
            "input": {
                "format": dict(PCM),
                "transcription": None,
                "noise_reduction": None,
                "turn_detection": dict(SERVER_VAD),
            },
            "output": {"format": dict(PCM), "voice": "alloy", "speed": 1.0},
        },
    }
    if is_reasoning(model):
        session |= {"reasoning": {"effort": "low"}, "parallel_tool_calls": True}
    return session


def updated(
    session: dict[str, Any], change: dict[str, Any], *, has_spoken: bool, is_responding: bool
) -> dict[str, Any]:
    """Returns the session after a checked `session.update`, or raises Refused and changes nothing.

    has_spoken: the session holds model audio, so its voice is fixed.
    is_responding: a response of the conversation is in progress; the speed changes only between turns.
    """
    new = copy.deepcopy(session)
    model = session["model"]
    if change.get("model", model) != model:
        raise invalid("session.model", change["model"], "The model of a session cannot be changed.")
    _only_for_reasoning(model, change, "session")
    if session["tracing"] is not None and "tracing" in change and change["tracing"] != session["tracing"]:
        raise invalid("session.tracing", change["tracing"], "Tracing cannot be changed once it is on.")
    audio = change.get("audio", {})
    for name, value in change.items():
        if name != "audio":
            new[name] = copy.deepcopy(value)
    for name, value in audio.get("input", {}).items():
        new["audio"]["input"][name] = _input_setting(name, session["audio"]["input"][name], value)
    output = audio.get("output", {})
    voice, speed = session["audio"]["output"]["voice"], session["audio"]["output"]["speed"]
    check_voice(output.get("voice", voice), voice, has_spoken=has_spoken)
    if is_responding and output.get("speed", speed) != speed:
        raise invalid(
            "session.audio.output.speed",
            output["speed"],
            "The speed cannot be changed while a response is in progress.",
        )
    for name, value in output.items():
        new["audio"]["output"][name] = with_rate(value) if name == "format" else copy.deepcopy(value)
    _check_whole(new)
    return new


def check_voice(voice: object, current: object, *, has_spoken: bool) -> None:
    """Raises Refused for another voice once the session has model audio; the whole request fails."""
    if has_spoken and voice != current:
        raise Refused(
            "cannot_update_voice", "Cannot update a conversation's voice if assistant audio is present.", None
        )


def with_rate(audio_format: dict[str, Any]) -> dict[str, Any]:
    """Returns a format as the server shows it: PCM with its only rate, µ-law without one."""
    return dict(PCM) if audio_format["type"] == "audio/pcm" else {"type": audio_format["type"]}


def response_settings(session: dict[str, Any], asked: dict[str, Any], *, has_spoken: bool) -> dict[str, Any]:
    """Returns what holds for one response: the session's settings under those of a checked `response.create`."""
    _only_for_reasoning(session["model"], asked, "response")
    output = {**session["audio"]["output"], **asked.get("audio", {}).get("output", {})}
    if "audio" in asked:
        check_voice(output["voice"], session["audio"]["output"]["voice"], has_spoken=has_spoken)
    names = ("instructions", "output_modalities", "tools", "tool_choice", "max_output_tokens")
    settings = {name: asked.get(name, session[name]) for name in names}
    _check_tool_choice(settings, "response")
    return {**settings, "format": with_rate(output["format"]), "voice": output["voice"], "speed": output["speed"]}


def _input_setting(name: str, current: Any, value: Any) -> Any:
    """Merges one setting of the input: what is given replaces, the rest stays, another type starts afresh."""
    path = f"session.audio.input.{name}"
    if value is None:
        return None
    if name == "format":
        return with_rate(value)
    if name == "turn_detection":
        defaults = SERVER_VAD if value["type"] == "server_vad" else SEMANTIC_VAD
        return {**(current if current and current["type"] == value["type"] else defaults), **value}
    if name == "noise_reduction":
        merged = {**(current or {"strength": 1.0}), **value}
        if "type" not in merged:
            raise missing(f"{path}.type")
        return merged
    merged = {**(current or {}), **copy.deepcopy(value)}
    if "model" not in merged:
        raise missing(f"{path}.model")
    return merged


def _check_whole(session: dict[str, Any]) -> None:
    path = "session.audio.input.transcription"
    transcription = session["audio"]["input"]["transcription"]
    if transcription is not None:
        model = transcription["model"]
        unwanted = ("language",) if model in HINTED_TRANSCRIPTION else ("languages", "keywords")
        for name in unwanted:
            if name in transcription:
                raise invalid(f"{path}.{name}", transcription[name], f"'{name}' is not supported with '{model}'.")
        if "delay" in transcription and model != "gpt-realtime-whisper":
            raise invalid(f"{path}.delay", transcription["delay"], f"'delay' is not supported with '{model}'.")
        if model == "gpt-realtime-whisper" and session["audio"]["input"]["turn_detection"] is not None:
            raise invalid(f"{path}.model", model, "It needs 'turn_detection' to be null.")
    _check_tool_choice(session, "session")


def _check_tool_choice(settings: dict[str, Any], path: str) -> None:
    choice = settings["tool_choice"]
    if isinstance(choice, dict) and choice["name"] not in [tool["name"] for tool in settings["tools"]]:
        raise invalid(f"{path}.tool_choice", choice["name"], "The function is not among the tools.")


def _only_for_reasoning(model: str, asked: dict[str, Any], path: str) -> None:
    for name in ("reasoning", "parallel_tool_calls"):
        if name in asked and not is_reasoning(model):
            raise invalid(f"{path}.{name}", asked[name], f"'{name}' is not supported with the model '{model}'.")
