"""How a session is set for a scene: the one full ``session.update``, and the texts worth having as clips."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tutor.realtime.session import FORMATS, AudioMode
from tutor.script.prompt import instructions
from tutor.script.scene import Scene
from tutor.talk import tools

VOICES = ("alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar")
"""The realtime voices. ``nova``, often named, is a text-to-speech voice and is refused by the server."""

DEFAULT_VOICE = "marin"

VAD_THRESHOLD = 0.5
PREFIX_PADDING_MS = 300

REASONING_TOKENS = 400
"""Room for thinking on reasoning models, on top of the level's cap on speech."""

POST_INSTRUCTIONS_TOKENS = 12_000
"""How much history is kept: some ten minutes of talk, so that an uncached re-read stays cheap (§8.8)."""


_FIXED = ("end_confirm", "hint_none", "safe_exit", "still_there", "silence_goodbye", "time_up", "holding", "lost")
"""The native sentences of a call that take no parameters."""


def reasons(model: str) -> bool:
    """Whether a model thinks before it speaks (gpt-realtime-2 and later)."""
    return model.startswith("gpt-realtime-2") and not model.startswith("gpt-realtime-2025")


def turn_detection(scene: Scene) -> dict[str, Any]:
    """Server voice detection at the level's patience. The server answers by itself and stops when interrupted."""
    return {
        "type": "server_vad",
        "threshold": VAD_THRESHOLD,
        "prefix_padding_ms": PREFIX_PADDING_MS,
        "silence_duration_ms": scene.level.silence_ms,
        "create_response": True,
        "interrupt_response": True,
    }


def transcription(scene: Scene, model: str) -> dict[str, Any]:
    """Transcription with the languages the learner may use; the newer family takes a list of hints."""
    target, native = scene.target.transcription, scene.native.transcription
    if model.startswith("gpt-transcribe"):
        keywords = list(scene.target_strings.keywords)
        hints: dict[str, Any] = {"model": model, "languages": list(dict.fromkeys((target, native)))}
        return {**hints, "keywords": keywords} if keywords else hints
    return {"model": model, "language": target}


def session_config(
    scene: Scene, *, mode: AudioMode, voice: str, model: str, transcribe_model: str, speed: float | None = None
) -> dict[str, Any]:
    """The whole session for a scene. Voice detection starts off: the greeting comes first."""
    config: dict[str, Any] = {
        "instructions": instructions(scene),
        "output_modalities": ["audio"],
        "audio": {
            "input": {
                "format": FORMATS[mode],
                "noise_reduction": {"type": "near_field"},
                "transcription": transcription(scene, transcribe_model),
                "turn_detection": None,
            },
            "output": {"format": FORMATS[mode], "voice": voice, "speed": speed or scene.level.speed},
        },
        "tools": tools.schemas(scene),
        "tool_choice": "auto",
        "max_output_tokens": scene.level.max_output_tokens,
        "truncation": {
            "type": "retention_ratio",
            "retention_ratio": 0.8,
            "token_limits": {"post_instructions": POST_INSTRUCTIONS_TOKENS},
        },
    }
    if reasons(model):
        config["reasoning"] = {"effort": "minimal"}
        config["max_output_tokens"] = scene.level.max_output_tokens + REASONING_TOKENS
    return config


def essential_texts(scene: Scene) -> list[tuple[str, str]]:
    """(text, language) of what must be at hand when the model is not, or not in time."""
    native, target = scene.native, scene.target
    said = [(native.say(f"call.{key}"), native.tag) for key in ("holding", "lost")]
    return [*said, (target.target["one_moment"], target.tag)]


def fixed_texts(scene: Scene) -> Iterator[tuple[str, str]]:
    """(text, language) of everything in a call whose wording is known before it begins."""
    target, native = scene.target, scene.native
    yield scene.greeting, target.tag
    for phrase in target.target.values():
        yield phrase, target.tag
    for key in (
        "end_confirm",
        "hint_none",
        "safe_exit",
        "still_there",
        "silence_goodbye",
        "time_up",
        "holding",
        "lost",
    ):
        yield native.say(f"call.{key}"), native.tag
    for goal in scene.scenario.goals:
        for rung, key in enumerate(("hint_keyword", "hint_start", "hint_whole")):
            yield native.say(f"call.{key}", phrase=scene.hint(goal.id, rung)), native.tag
