"""The script a rehearsal model plays: the role's lines, what the learner "said", tool calls and faults, as plain data.

It comes from Python, a JSON file or `POST /rehearsal/script`. It knows no scenario, no socket and no protocol event.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

_STRICT = ConfigDict(extra="forbid")
_Milliseconds = Annotated[int, Field(ge=0)]
_Count = Annotated[int, Field(ge=1)]


class ScriptError(ValueError):
    """A script that cannot be played; the message names the place and what is wrong there, in one sentence."""


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong, once unless `times` says otherwise (None: every time).

    Faults of the line happen when the `nth` event of type `at` was received or sent (in this session; in a turn, since
    its answer was asked for), `after_ms` later; without `at`, `after_ms` after that or after the session began:

    - `drop`: the connection breaks without a close frame (1006).   - `close`: it closes with `code` and `reason`.
    - `session_expired`: the error of the 60-minute limit, then close 1001.   - `hang`: nothing is ever sent again.
    - `error`: an `error` event with `type`, `code` and `message`; the session goes on.

    Faults of a reply happen to the `nth` response that is written to the conversation (in a turn, to the nth of that):

    - `response_failed` and `insufficient_quota`: it ends as failed, once `after_ms` of audio are generated.
    - `incomplete`: so too, as incomplete, because of `reason` (`max_output_tokens` or `content_filter`).
    - `slow`: the first word comes `after_ms` late.   - `late_deltas`: audio still comes after it was cancelled.

    `refuse_key` makes the handshake answer `invalid_api_key`.
    """

    kind: Literal[
        "drop", "close", "session_expired", "hang", "error",
        "response_failed", "insufficient_quota", "incomplete", "slow", "late_deltas",
        "refuse_key",
    ]  # fmt: skip
    at: str | None = None
    nth: _Count = 1
    after_ms: _Milliseconds = 0
    times: _Count | None = 1
    type: str = "server_error"
    code: str | int | None = None
    reason: str | None = None
    message: str = "The server had an error while processing your request. Sorry about that!"

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    @property
    def is_of_reply(self) -> bool:
        """True when it happens to a response, false when it happens to the line."""
        return self.kind in ("response_failed", "insufficient_quota", "incomplete", "slow", "late_deltas")


@dataclass(frozen=True)
class ToolCall:
    """A function the model calls, with its arguments as JSON values."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT


@dataclass(frozen=True)
class Turn:
    """One user message and the answer to it.

    hears: the transcript of what the learner said; None makes the transcription fail. Nobody recognises any speech.
    says: one message item per line, all in one response.
    tools: called after the lines in the same response, or before them with `tools_first`.
    after_tools: what is said when asked to go on after the tools' outputs, one line for each time.
    again: what is said when asked again without a new user message, one line for each time, then the last of them;
        without any, the last line is said again.
    delay_ms: from `response.created` to the first output.
    transcript_delay_ms: from the commit to the transcript; 0 is before the response begins.
    """

    hears: str | None = ""
    says: tuple[str, ...] = ()
    tools: tuple[ToolCall, ...] = ()
    tools_first: bool = False
    after_tools: tuple[str, ...] = ()
    again: tuple[str, ...] = ()
    delay_ms: _Milliseconds = 0
    transcript_delay_ms: _Milliseconds = 250
    faults: tuple[Fault, ...] = ()

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT


@dataclass(frozen=True)
class TextAnswer:
    """What the text model answers to requests that match; the first entry that has `times` left does.

    match: the name of the JSON schema asked for, or a value of the request's metadata; None matches all.
    json: the instance to answer with.   text: free text to answer with.   Neither makes the smallest that is allowed.
    fault: `refusal`, `incomplete` or `failed` inside a 200; `rate_limit` (with `retry_after_ms`), `quota` and
        `server_error` as HTTP errors; `timeout` answers nothing for as long as the client waits.
    """

    match: str | None = None
    json: Mapping[str, Any] | None = None
    text: str | None = None
    fault: Literal["refusal", "incomplete", "failed", "rate_limit", "quota", "server_error", "timeout"] | None = None
    retry_after_ms: _Milliseconds = 1_000
    times: _Count | None = None

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT


DEFAULT_OPENING = "Hello. This is a rehearsal: I follow a script and do not understand what you say."


@dataclass(frozen=True)
class Script:
    """Everything a rehearsal model knows.

    Turn k answers the k-th user message of a conversation, wherever that came from: a session that was seeded with
    earlier messages goes on where the earlier one was. What only the idle timeout committed is no turn.

    opening: said when asked for a response before any user message.
    closing: said after the last turn; without it, the last line of the script is said again.
    again: the short line for when nothing else is written.
    idle: said when the idle timeout asks for a response; without it, the last line again.
    asides: lines for out-of-band responses, by `response.metadata.purpose`; "" is for those without one.
    language: of the voice.
    pace: a multiple of real time; None leaves it to the server, which bursts unless told otherwise.
    transcript_usage: how transcriptions are billed; `auto` is by the second for models priced by the minute.
    rate_limits: whether `rate_limits.updated` is sent.
    moderation: words that flag a text, by category.
    """

    opening: str = DEFAULT_OPENING
    turns: tuple[Turn, ...] = ()
    closing: str | None = None
    again: str = "Mhm."
    idle: str | None = None
    asides: Mapping[str, str] = field(default_factory=dict)
    language: str = "en"
    pace: Annotated[float, Field(gt=0)] | None = None
    transcript_usage: Literal["auto", "tokens", "duration"] = "auto"
    rate_limits: bool = True
    faults: tuple[Fault, ...] = ()
    text: tuple[TextAnswer, ...] = ()
    moderation: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT


_ADAPTER: TypeAdapter[Script] = TypeAdapter(Script)
_PLAINLY = {"unexpected_keyword_argument": "there is no such field", "tuple_type": "a list is expected here"}


def parse(source: Mapping[str, Any] | str | bytes) -> Script:
    """Returns the script that a dict or JSON describes; raises ScriptError with one sentence for the first mistake."""
    if isinstance(source, str | bytes):
        try:
            source = json.loads(source)
        except ValueError as error:
            raise ScriptError(f"The script is not JSON: {error}.") from error
    try:
        return _ADAPTER.validate_python(source)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        problem = _PLAINLY.get(first["type"], first["msg"])
        raise ScriptError(f"The script cannot be played: {_place(first['loc'])}: {problem}.") from error


def load(path: Path) -> Script:
    """Returns the script in a JSON file; raises ScriptError."""
    try:
        return parse(path.read_bytes())
    except OSError as error:
        raise ScriptError(f"The script {path} cannot be read: {error.strerror}.") from error


def dump(script: Script) -> bytes:
    """Returns the script as the JSON that `parse` reads, for `POST /rehearsal/script`."""
    return _ADAPTER.dump_json(script)


def _place(location: tuple[int | str, ...]) -> str:
    place = ""
    for step in location:
        place += f"[{step}]" if isinstance(step, int) else f".{step}" if place else step
    return place or "the whole"


class Spending:
    """How often each fault and each answer may still happen, for everything that plays the same script."""

    def __init__(self) -> None:
        self._spent: dict[int, tuple[object, int]] = {}  # with the object: its id is only unique while it lives

    def may(self, thing: Fault | TextAnswer) -> bool:
        """True when it has times left."""
        return thing.times is None or self._spent.get(id(thing), (thing, 0))[1] < thing.times

    def spend(self, thing: Fault | TextAnswer) -> bool:
        """Counts one time and returns True, or returns False when there is none left."""
        if not self.may(thing):
            return False
        self._spent[id(thing)] = (thing, self._spent.get(id(thing), (thing, 0))[1] + 1)
        return True
