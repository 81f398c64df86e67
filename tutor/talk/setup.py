"""How a session is set for a scene: the one full ``session.update``, and the texts worth having as clips."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tutor.realtime.session import FORMATS, AudioMode
from tutor.script.language import CALL_PHRASES
from tutor.script.level import Level
from tutor.script.prompt import harmless, instructions
from tutor.script.scenario import known_voice
from tutor.script.scene import Scene
from tutor.talk import tools
from tutor.talk.keypad import SPEED_MIN, SPEED_STEP
from tutor.talk.needs import Needs

VAD_THRESHOLD = 0.5
PREFIX_PADDING_MS = 300

REASONING_TOKENS = 400
"""Room for thinking on reasoning models, on top of the level's cap on speech."""

POST_INSTRUCTIONS_TOKENS = 12_000
"""How much history is kept: some ten minutes of talk, so that an uncached re-read stays cheap (§8.8)."""

MAX_KEYWORDS = 70
"""Keyword hints for the transcriber: a scene's own and a class's sixty. The provider publishes no limit."""
MAX_KEYWORD_CHARS = 60
"""A longer entry is a sentence, no keyword."""


_FIXED = (
    "end_confirm",
    "hint_none",
    "safe_exit",
    "still_there",
    "silence_goodbye",
    "time_warning",
    "time_up",
    "holding",
    "lost",
)
"""The native sentences of a call that take no parameters."""


def reasons(model: str) -> bool:
    """Whether a model thinks before it speaks (gpt-realtime-2 and later)."""
    return model.startswith("gpt-realtime-2") and not model.startswith("gpt-realtime-2025")


def starting_speed(level: Level, *, slower: bool) -> float:
    """The voice's speed at the start of a call: the level's, or one press of key 2 below it for who asked for that."""
    return round(max(SPEED_MIN, level.speed - SPEED_STEP), 2) if slower else level.speed


def turn_detection(scene: Scene, needs: Needs | None = None) -> dict[str, Any]:
    """Server voice detection at the learner's patience. The server answers by itself and stops when interrupted."""
    return {
        "type": "server_vad",
        "threshold": VAD_THRESHOLD,
        "prefix_padding_ms": PREFIX_PADDING_MS,
        "silence_duration_ms": (needs or Needs()).silence_ms(scene.level),
        "create_response": True,
        "interrupt_response": True,
    }


def transcription(scene: Scene, model: str) -> dict[str, Any]:
    """Transcription with the languages the learner may use; the newer family takes a list of hints and keywords."""
    target, native = scene.target.transcription, scene.native.transcription
    if model.startswith("gpt-transcribe"):
        keywords = expected_words(scene)
        hints: dict[str, Any] = {"model": model, "languages": list(dict.fromkeys((target, native)))}
        return {**hints, "keywords": keywords} if keywords else hints
    return {"model": model, "language": target}


def expected_words(scene: Scene) -> list[str]:
    """What the transcriber is told to listen for: what is due, the scene's keywords, the class's words; each once."""
    material = scene.class_prompt
    of_class = (*material.must_use, *material.vocabulary) if material is not None else ()
    listed = map(harmless, (*scene.due, *scene.target_strings.keywords, *of_class))
    keywords = {word.casefold(): word for word in listed if 0 < len(word) <= MAX_KEYWORD_CHARS}
    return list(keywords.values())[:MAX_KEYWORDS]


def session_config(
    scene: Scene, *, mode: AudioMode, voice: str, model: str, transcribe_model: str, speed: float | None = None
) -> dict[str, Any]:
    """The whole session for a scene. Voice detection starts off: the greeting comes first.

    Raises:
        UnknownVoice: the realtime API has no such voice.
    """
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
            "output": {"format": FORMATS[mode], "voice": known_voice(voice), "speed": speed or scene.level.speed},
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
    for key in CALL_PHRASES:
        yield target.target[key], target.tag
    for key in _FIXED:
        yield native.say(f"call.{key}"), native.tag
    for goal in scene.scenario.goals:
        for rung, key in enumerate(("hint_keyword", "hint_start", "hint_whole")):
            yield native.say(f"call.{key}", phrase=scene.hint(goal.id, rung)), native.tag
