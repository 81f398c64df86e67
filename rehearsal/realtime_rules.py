"""What a Realtime client may send: the shapes of its eleven events, of sessions, of items, of response requests.

Ranges that the SDK's types leave open are closed here. It holds no session and sends nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rehearsal.realtime_schema import (
    Check,
    Refused,
    anything,
    array,
    boolean,
    choice,
    either,
    integer,
    invalid,
    json_object,
    mapping,
    missing,
    nullable,
    number,
    obj,
    tagged,
    text,
)

MODELS: Mapping[str, str | None] = {
    "gpt-realtime": "2027-01-20",
    "gpt-realtime-1.5": None,
    "gpt-realtime-2": None,
    "gpt-realtime-2.1": None,
    "gpt-realtime-2.1-mini": None,
    "gpt-realtime-2025-08-28": "2027-01-20",
    "gpt-realtime-mini": "2027-01-20",
    "gpt-realtime-mini-2025-10-06": None,
    "gpt-realtime-mini-2025-12-15": "2027-01-20",
    "gpt-audio-1.5": None,
    "gpt-audio-mini": "2027-01-20",
    "gpt-audio-mini-2025-10-06": None,
    "gpt-audio-mini-2025-12-15": "2027-01-20",
}
"""Realtime models that can be opened, with the announced day of their end. The 4o previews ended on 2026-05-07."""

TRANSCRIPTION_MODELS = (
    "whisper-1",
    "gpt-transcribe",
    "gpt-live-transcribe",
    "gpt-4o-mini-transcribe",
    "gpt-4o-mini-transcribe-2025-12-15",
    "gpt-4o-transcribe",
    "gpt-4o-transcribe-diarize",
    "gpt-realtime-whisper",
)
HINTED_TRANSCRIPTION = ("gpt-transcribe", "gpt-live-transcribe")  # `languages` and `keywords` instead of `language`
VOICES = ("alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar")

_LANGUAGE = text(pattern="[a-z]{2,3}")  # ISO 639-1, and 639-3 where there is no shorter one

FORMAT = tagged(
    {
        "audio/pcm": obj({"type": anything, "rate": choice(24_000)}),
        "audio/pcmu": obj({"type": anything}),
        # audio/pcma is real as well; the stand-in does not speak A-law and refuses it like any unknown format.
    }
)
TRANSCRIPTION = obj(
    {
        "model": choice(*TRANSCRIPTION_MODELS),
        "language": _LANGUAGE,
        "languages": array(_LANGUAGE),
        "prompt": text(),
        "keywords": array(text()),
        "delay": choice("minimal", "low", "medium", "high", "xhigh"),
    }
)
TURN_DETECTION = tagged(
    {
        "server_vad": obj(
            {
                "type": anything,
                "threshold": number(0.0, 1.0),
                "prefix_padding_ms": integer(0),
                "silence_duration_ms": integer(0),
                "idle_timeout_ms": nullable(integer(5_000, 30_000)),
                "create_response": boolean,
                "interrupt_response": boolean,
            }
        ),
        "semantic_vad": obj(
            {
                "type": anything,
                "eagerness": choice("low", "medium", "high", "auto"),
                "create_response": boolean,
                "interrupt_response": boolean,
            }
        ),
    }
)
NOISE_REDUCTION = obj({"type": choice("near_field", "far_field"), "strength": number(0.0)})
VOICE = either(choice(*VOICES), obj({"id": text()}, required=["id"]))
TOOLS = array(
    tagged(
        {
            # MCP tools are real as well; the stand-in has no server to list them from and refuses them.
            "function": obj(
                {
                    "type": anything,
                    "name": text(pattern="[a-zA-Z0-9_-]{1,64}"),
                    "description": text(),
                    "parameters": json_object,
                },
                required=["name"],
            )
        }
    ),
    most=128,
)
TOOL_CHOICE = either(
    choice("auto", "none", "required"),
    tagged({"function": obj({"type": anything, "name": text()}, required=["name"])}),
)
MODALITIES = array(choice("audio", "text"), least=1, most=1)  # never both
REASONING = obj({"effort": choice("minimal", "low", "medium", "high", "xhigh")})
METADATA = mapping(most=16, longest_key=64, longest_value=512)


def max_output_tokens(value: object, path: str) -> None:
    """Accepts 1 to 4096 and "inf"."""
    if isinstance(value, str):
        choice("inf")(value, path)
    else:
        integer(1, 4_096)(value, path)


def truncation(value: object, path: str) -> None:
    """Accepts auto, disabled and a retention ratio with its limits."""
    limits = obj({"post_instructions": integer(0)})
    ratio = obj(
        {"type": choice("retention_ratio"), "retention_ratio": number(0.0, 1.0), "token_limits": limits},
        required=["type", "retention_ratio"],
    )
    either(choice("auto", "disabled"), ratio)(value, path)


def prompt(value: object, path: str) -> None:
    """Accepts only null: reusable prompts ended on 2026-11-30."""
    if value is not None:
        raise invalid(path, value, "Reusable prompts are no longer available.")


SESSION = obj(
    {
        "type": choice("realtime"),
        "model": text(),
        "instructions": text(),
        "output_modalities": MODALITIES,
        "tools": TOOLS,
        "tool_choice": TOOL_CHOICE,
        "parallel_tool_calls": boolean,
        "reasoning": REASONING,
        "max_output_tokens": max_output_tokens,
        "truncation": truncation,
        "tracing": nullable(
            either(choice("auto"), obj({"workflow_name": text(), "group_id": text(), "metadata": anything}))
        ),
        "include": nullable(array(choice("item.input_audio_transcription.logprobs"))),
        "prompt": prompt,
        "audio": obj(
            {
                "input": obj(
                    {
                        "format": FORMAT,
                        "noise_reduction": nullable(NOISE_REDUCTION),
                        "transcription": nullable(TRANSCRIPTION),
                        "turn_detection": nullable(TURN_DETECTION),
                    }
                ),
                "output": obj({"format": FORMAT, "voice": VOICE, "speed": number(0.25, 1.5)}),
            }
        ),
    },
    required=["type"],
)

_STATUS = choice("completed", "incomplete", "in_progress")
# Client ids longer than 32 characters are refused by the real server too (reported by third parties).
_ITEM = {"id": text(longest=32), "object": choice("realtime.item"), "status": _STATUS, "type": anything}


def _message(parts: Mapping[str, Check]) -> Check:
    return obj({**_ITEM, "role": anything, "content": array(tagged(parts), least=1)}, required=["role", "content"])


_INPUT_TEXT = obj({"type": anything, "text": text()}, required=["text"])
MESSAGE = tagged(
    {
        "system": _message({"input_text": _INPUT_TEXT}),
        "user": _message(
            {
                "input_text": _INPUT_TEXT,
                "input_audio": obj(
                    {"type": anything, "audio": text(), "transcript": nullable(text())}, required=["audio"]
                ),
                "input_image": obj(
                    {
                        "type": anything,
                        "image_url": text(pattern="data:image/.+"),
                        "detail": choice("auto", "low", "high"),
                    },
                    required=["image_url"],
                ),
            }
        ),
        # Assistant audio cannot be populated by a client.
        "assistant": _message({"output_text": obj({"type": anything, "text": text()}, required=["text"])}),
    },
    tag="role",
)
_ITEMS: dict[str, Check] = {
    "message": MESSAGE,
    "function_call": obj(
        {**_ITEM, "name": text(), "arguments": text(), "call_id": text(longest=32)}, required=["name", "arguments"]
    ),
    "function_call_output": obj({**_ITEM, "call_id": text(), "output": text()}, required=["call_id", "output"]),
}
ITEM = tagged(_ITEMS)
INPUT_ITEM = tagged(
    {**_ITEMS, "item_reference": obj({"type": anything, "id": text()}, required=["id"])},
)

RESPONSE = obj(
    {
        "conversation": choice("auto", "none"),
        "input": array(INPUT_ITEM),
        "instructions": text(),
        "output_modalities": MODALITIES,
        "audio": obj({"output": obj({"format": FORMAT, "voice": VOICE})}),
        "tools": TOOLS,
        "tool_choice": TOOL_CHOICE,
        "parallel_tool_calls": boolean,
        "reasoning": REASONING,
        "max_output_tokens": max_output_tokens,
        "metadata": nullable(METADATA),
        "prompt": prompt,
    }
)


def _event(fields: Mapping[str, Check] | None = None, *, optional: Mapping[str, Check] | None = None) -> Check:
    needed = fields or {}
    return obj(
        {"type": anything, "event_id": text(longest=512), **needed, **(optional or {})},
        required=["type", *needed],
    )


EVENTS: Mapping[str, Check] = {
    "session.update": _event({"session": SESSION}),
    "input_audio_buffer.append": _event({"audio": text()}),
    "input_audio_buffer.commit": _event(),
    "input_audio_buffer.clear": _event(),
    "output_audio_buffer.clear": _event(),
    "conversation.item.create": _event({"item": ITEM}, optional={"previous_item_id": nullable(text())}),
    "conversation.item.retrieve": _event({"item_id": text()}),
    "conversation.item.delete": _event({"item_id": text()}),
    "conversation.item.truncate": _event(
        {"item_id": text(), "content_index": integer(0), "audio_end_ms": integer(0)},
    ),
    "response.create": _event(optional={"response": RESPONSE}),
    "response.cancel": _event(optional={"response_id": text()}),
}


def check_event(event: object) -> tuple[str, dict[str, Any]]:
    """Returns the type and the event when it is one of the eleven and has its shape; raises Refused otherwise."""
    if not isinstance(event, dict):
        raise Refused("invalid_event", "Invalid event: expected a JSON object.")
    if "type" not in event:
        raise missing("type")
    kind = event["type"]
    choice(*EVENTS)(kind, "type")
    EVENTS[kind](event, "")
    return kind, event
