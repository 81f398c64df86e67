"""The Realtime protocol's events: what we send, built as bytes, and what comes back, typed.

Only the GA shapes. Every event built here passes the ``openai`` package's own types strictly (a test
holds that). Unknown events and unknown fields from the server are ignored: it adds them without notice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import msgspec
import pybase64

_encode = msgspec.json.Encoder().encode

# --- what we send


def append_audio(audio: bytes) -> bytes:
    """Caller audio in the session's input format. The hot path: 50 times a second a call."""
    return b'{"type":"input_audio_buffer.append","audio":"%b"}' % pybase64.b64encode(audio)


def update_session(session: Mapping[str, Any]) -> bytes:
    """A partial update; ``type`` is required by the protocol and added here."""
    return _encode({"type": "session.update", "session": {"type": "realtime", **session}})


def system_note(text: str) -> bytes:
    """A system item at the end of the conversation: how we steer without breaking the prompt cache."""
    return _item("system", "input_text", text)


def learner_text(text: str) -> bytes:
    """What the learner said before, as text: for a session that takes up an earlier conversation."""
    return _item("user", "input_text", text)


def role_text(text: str) -> bytes:
    """What the caller heard the role say, as text: a greeting played from a clip, or earlier turns."""
    return _item("assistant", "output_text", text)


def _item(role: str, content: str, text: str) -> bytes:
    item = {"type": "message", "role": role, "content": [{"type": content, "text": text}]}
    return _encode({"type": "conversation.item.create", "item": item})


def tool_output(call_id: str, output: Mapping[str, Any]) -> bytes:
    """The result of a tool; the protocol wants it as a string."""
    item = {"type": "function_call_output", "call_id": call_id, "output": _encode(output).decode()}
    return _encode({"type": "conversation.item.create", "item": item})


def respond() -> bytes:
    """Asks for the role's next turn in the conversation."""
    return b'{"type":"response.create"}'


def aside(purpose: str, ref: str, instructions: str, texts: Sequence[str], *, max_output_tokens: int) -> bytes:
    """Asks for a spoken answer outside the conversation: the role-play never learns of it.

    ``texts`` replace the context; ``purpose`` and ``ref`` come back in the response's metadata.
    """
    items = [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]} for text in texts]
    return _encode(
        {
            "type": "response.create",
            "response": {
                "conversation": "none",
                "metadata": {"purpose": purpose, "ref": ref},
                "output_modalities": ["audio"],
                "instructions": instructions,
                "input": items,
                "tools": [],
                "max_output_tokens": max_output_tokens,
            },
        }
    )


def cancel(response_id: str) -> bytes:
    """Stops a response that is still being generated."""
    return _encode({"type": "response.cancel", "response_id": response_id})


def truncate(item_id: str, audio_end_ms: int) -> bytes:
    """Cuts a role's item to what was heard; ``audio_end_ms`` is above 0 and within the item's audio."""
    return _encode(
        {"type": "conversation.item.truncate", "item_id": item_id, "content_index": 0, "audio_end_ms": audio_end_ms}
    )


def delete(item_id: str) -> bytes:
    """Removes an item of which nothing was heard: a truncation to 0 is refused by the server."""
    return _encode({"type": "conversation.item.delete", "item_id": item_id})


# --- what comes back


class ServerEvent(msgspec.Struct, tag_field="type", frozen=True):
    """Anything the server sends that we read."""


class ErrorBody(msgspec.Struct, frozen=True):
    """Why something was refused; most errors leave the session alive."""

    message: str = ""
    type: str | None = None
    code: str | None = None
    param: str | None = None
    event_id: str | None = None


class AudioFormat(msgspec.Struct, frozen=True):
    """``audio/pcm`` (with its rate) or ``audio/pcmu`` (without)."""

    type: str | None = None
    rate: int | None = None


class AudioSide(msgspec.Struct, frozen=True):
    """One direction of a session's audio."""

    format: AudioFormat = AudioFormat()


class SessionAudio(msgspec.Struct, frozen=True):
    """Both directions of a session's audio."""

    input: AudioSide = AudioSide()
    output: AudioSide = AudioSide()


class SessionBody(msgspec.Struct, frozen=True):
    """The part of a session's echo that we check."""

    id: str | None = None
    model: str | None = None
    expires_at: int | None = None
    audio: SessionAudio = SessionAudio()


class Item(msgspec.Struct, frozen=True):
    """A conversation item; the fields of function calls are empty on messages."""

    id: str
    type: str = "message"
    role: str | None = None
    status: str | None = None
    name: str | None = None
    call_id: str | None = None
    arguments: str | None = None


class CachedTokens(msgspec.Struct, frozen=True):
    """Tokens served from the prompt cache, by modality; a subset of the input."""

    text_tokens: int | None = 0
    audio_tokens: int | None = 0


class InputTokens(msgspec.Struct, frozen=True):
    """Input tokens by modality. ``image_tokens`` never occurs on a call."""

    text_tokens: int | None = 0
    audio_tokens: int | None = 0
    cached_tokens: int | None = 0
    cached_tokens_details: CachedTokens | None = None


class OutputTokens(msgspec.Struct, frozen=True):
    """Output tokens by modality."""

    text_tokens: int | None = 0
    audio_tokens: int | None = 0


class Usage(msgspec.Struct, frozen=True):
    """What one response used."""

    total_tokens: int | None = 0
    input_token_details: InputTokens | None = None
    output_token_details: OutputTokens | None = None


class TranscriptionUsage(msgspec.Struct, frozen=True):
    """What one transcription used: either by tokens or by duration."""

    type: Literal["tokens", "duration"] = "tokens"
    input_tokens: int | None = 0
    output_tokens: int | None = 0
    seconds: float | None = 0.0
    input_token_details: InputTokens | None = None


class StatusDetails(msgspec.Struct, frozen=True):
    """Why a response did not complete."""

    type: str | None = None
    reason: str | None = None
    error: ErrorBody | None = None


class Response(msgspec.Struct, frozen=True):
    """A response's envelope."""

    id: str
    status: str = "in_progress"
    status_details: StatusDetails | None = None
    metadata: dict[str, str] | None = None
    usage: Usage | None = None
    conversation_id: str | None = None


class SessionCreated(ServerEvent, tag="session.created", frozen=True):
    """The first frame of a session that may be used."""

    session: SessionBody


class SessionUpdated(ServerEvent, tag="session.updated", frozen=True):
    """The whole session as the server understood it."""

    session: SessionBody


class Refused(ServerEvent, tag="error", frozen=True):
    """An error; ``error.code`` says whether it ends the session."""

    error: ErrorBody


class SpeechStarted(ServerEvent, tag="input_audio_buffer.speech_started", frozen=True):
    """The caller began; the offset already includes the prefix padding."""

    item_id: str
    audio_start_ms: int


class SpeechStopped(ServerEvent, tag="input_audio_buffer.speech_stopped", frozen=True):
    """The caller ended; the offset includes the silence that was waited for."""

    item_id: str
    audio_end_ms: int


class Committed(ServerEvent, tag="input_audio_buffer.committed", frozen=True):
    """The caller's turn became an item."""

    item_id: str


class Transcribed(ServerEvent, tag="conversation.item.input_audio_transcription.completed", frozen=True):
    """A guess of what the caller said, by another model; may come long after the answer."""

    item_id: str
    transcript: str = ""
    usage: TranscriptionUsage | None = None


class TranscriptionFailed(ServerEvent, tag="conversation.item.input_audio_transcription.failed", frozen=True):
    """No guess; the speech model heard the audio all the same."""

    item_id: str
    error: ErrorBody = ErrorBody()


class ResponseCreated(ServerEvent, tag="response.created", frozen=True):
    """A response began."""

    response: Response


class OutputItemAdded(ServerEvent, tag="response.output_item.added", frozen=True):
    """A response opened an item."""

    response_id: str
    item: Item


class OutputItemDone(ServerEvent, tag="response.output_item.done", frozen=True):
    """An item is whole; a function call is final only now."""

    response_id: str
    item: Item


class AudioDelta(ServerEvent, tag="response.output_audio.delta", frozen=True):
    """Base64 audio of the role, much faster than real time."""

    response_id: str
    item_id: str
    delta: str

    def audio(self) -> bytes:
        """The samples in the session's output format."""
        return pybase64.b64decode(self.delta)


class AudioDone(ServerEvent, tag="response.output_audio.done", frozen=True):
    """The item has no more audio."""

    response_id: str
    item_id: str


class TranscriptDelta(ServerEvent, tag="response.output_audio_transcript.delta", frozen=True):
    """What the role is saying."""

    response_id: str
    item_id: str
    delta: str


class TranscriptDone(ServerEvent, tag="response.output_audio_transcript.done", frozen=True):
    """What the role said."""

    response_id: str
    item_id: str
    transcript: str = ""


class ResponseDone(ServerEvent, tag="response.done", frozen=True):
    """A response ended, whatever its status; always comes."""

    response: Response


Known = (
    SessionCreated
    | SessionUpdated
    | Refused
    | SpeechStarted
    | SpeechStopped
    | Committed
    | Transcribed
    | TranscriptionFailed
    | ResponseCreated
    | OutputItemAdded
    | OutputItemDone
    | AudioDelta
    | AudioDone
    | TranscriptDelta
    | TranscriptDone
    | ResponseDone
)

_decode: Callable[[bytes], Known] = msgspec.json.Decoder(Known).decode


class _Type(msgspec.Struct, frozen=True):
    type: str


_decode_type = msgspec.json.Decoder(_Type).decode
_KNOWN_TYPES = frozenset(
    {
        "session.created",
        "session.updated",
        "error",
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "response.created",
        "response.output_item.added",
        "response.output_item.done",
        "response.output_audio.delta",
        "response.output_audio.done",
        "response.done",
    }
)


class MalformedEvent(ValueError):
    """An event of a type we rely on does not have the fields the protocol gives it."""


def parse(message: bytes) -> Known | None:
    """Reads one server event; None for types we do not use. Raises `MalformedEvent` when it cannot be read."""
    try:
        return _decode(message)
    except msgspec.DecodeError as error:
        try:
            kind = _decode_type(message).type
        except msgspec.DecodeError:
            raise MalformedEvent(f"The model sent something that is not an event: {message[:80]!r}.") from error
        if kind in _KNOWN_TYPES:
            raise MalformedEvent(f"The model sent a {kind} that cannot be read: {error}.") from error
        return None


# --- errors (openai-realtime.md §3.5)

BENIGN_CODES = frozenset(
    {
        "response_cancel_not_active",
        "item_truncate_invalid_item_id",
        "input_audio_buffer_commit_empty",
        "item_not_found",
    }
)
"""Races of barge-in and manual commits: nothing is wrong, nothing is done."""

FATAL_CODES = frozenset(
    {
        "session_expired",
        "beta_api_shape_disabled",
        "missing_model",
        "invalid_model",
        "model_not_found",
        "invalid_api_key",
        "account_deactivated",
        "insufficient_quota",
        "credit_balance_exhausted",
        "billing_hard_limit_reached",
    }
)
"""The session, or the account, cannot go on."""

NEVER_RETRY_CODES = FATAL_CODES - {"session_expired"}
"""A new session would be refused for the same reason."""

_BENIGN_PHRASES = ("is already shorter than", "Only model output audio")


def severity(error: ErrorBody) -> Literal["benign", "busy", "fatal", "fault"]:
    """What an error means for the call.

    ``benign``: a race, ignore. ``busy``: ask again after the running response. ``fatal``: the session is over.
    ``fault``: our request was wrong; log it, the session lives.
    """
    code = error.code or ""
    if code == "conversation_already_has_active_response":
        return "busy"
    if code in FATAL_CODES or error.type in FATAL_CODES:
        return "fatal"
    if code in BENIGN_CODES or any(phrase in error.message for phrase in _BENIGN_PHRASES):
        return "benign"
    return "fault"
