"""One model session's client side, without I/O: which responses run, what is dropped, what must wait.

Bytes of the server go in through `receive`; bytes for the server leave through the injected ``send``; what the
call must know goes to the listener. It knows nothing of sockets, telephones or lessons.

The rules it keeps (openai-realtime.md §3.3 and §3.5):

* ``speed`` and a wish for a response wait until no response of the conversation runs; a wish is dropped when the
  learner begins to speak, because the server then answers the learner by itself.
* After an interruption the late audio of that response is dropped, also after its ``response.done``; items are
  truncated to what was heard, or deleted when nothing was.
* A tool is reported once, from ``output_item.done``; when every output of a response is in and the response spoke
  nothing (or the tool asks for it), exactly one ``response.create`` follows, after ``response.done``.
* Answers outside the conversation ("asides") are cancelled, never truncated.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from tutor.realtime import events
from tutor.realtime.tab import Tab, Used

REMEMBERED_ITEMS = 64
"""Items whose text and length are kept: more than a caller can have unheard at once."""

Reply = Literal["always", "if_silent", "never"]


@dataclass(frozen=True, slots=True)
class LearnerStarted:
    """The voice detector heard the caller begin; offset in audio appended so far."""

    item: str
    audio_ms: int


@dataclass(frozen=True, slots=True)
class LearnerStopped:
    """The voice detector waited out the silence; offset in audio appended so far."""

    item: str
    audio_ms: int


@dataclass(frozen=True, slots=True)
class LearnerCommitted:
    """The caller's turn is part of the conversation; an answer follows."""

    item: str


@dataclass(frozen=True, slots=True)
class LearnerSaid:
    """A guess of the caller's words; ``text`` is None when the transcription failed."""

    item: str
    text: str | None


@dataclass(frozen=True, slots=True)
class RoleSaid:
    """The whole text of an item of the role; it may not be heard yet."""

    item: str
    text: str


@dataclass(frozen=True, slots=True)
class AsideSaid:
    """The whole text of an answer outside the conversation."""

    purpose: str
    ref: str
    item: str
    text: str


@dataclass(frozen=True, slots=True)
class ToolCalled:
    """The model calls a tool; answer it with `RealtimeProtocol.answer_tool`."""

    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Responded:
    """A response ended. ``spoke`` says whether it brought audio; ``purpose`` is None inside the conversation."""

    status: str
    reason: str | None
    purpose: str | None
    ref: str
    spoke: bool
    cut: bool


@dataclass(frozen=True, slots=True)
class ModelFailed:
    """The session cannot go on. ``again`` says whether a new session could."""

    code: str
    sentence: str
    again: bool


@dataclass(frozen=True, slots=True)
class RequestRefused:
    """A request of ours was wrong; the session lives. For the log."""

    code: str
    sentence: str


ModelEvent = (
    LearnerStarted
    | LearnerStopped
    | LearnerCommitted
    | LearnerSaid
    | RoleSaid
    | AsideSaid
    | ToolCalled
    | Responded
    | Used
    | ModelFailed
    | RequestRefused
)


class ModelListener(Protocol):
    """The call's side of a model session. Every method returns at once."""

    def on_model_audio(self, item: str, audio: bytes, aside: tuple[str, str] | None) -> None:
        """Audio of an item in the session's output format; ``aside`` is (purpose, ref) outside the conversation."""

    def on_model_audio_end(self, item: str) -> None:
        """The item has no more audio."""

    def on_model_event(self, event: ModelEvent) -> None:
        """Everything that is not audio."""


@dataclass(slots=True)
class _Response:
    id: str
    aside: tuple[str, str] | None
    dropped: bool = False
    done: bool = False
    spoke: bool = False
    reply_wanted: bool = False
    had_tools: bool = False
    open_calls: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Item:
    response: _Response
    audio_bytes: int = 0
    ended: bool = False
    text: str = ""


class RealtimeProtocol:
    """The client's side of one session. ``bytes_per_ms``: 48 for PCM16 at 24 kHz, 8 for µ-law."""

    def __init__(self, send: Callable[[bytes], None], listener: ModelListener, *, bytes_per_ms: int) -> None:
        self.tab = Tab(send, listener.on_model_event)
        """What was used, and what is still to be accounted for; a session is left through it."""
        self._out = send
        self._listener = listener
        self._bytes_per_ms = bytes_per_ms
        self._responses: dict[str, _Response] = {}
        self._items: OrderedDict[str, _Item] = OrderedDict()
        self._calls: dict[str, _Response] = {}
        self._waiting: deque[Callable[[], None]] = deque()
        self._wish: Callable[[], None] | None = None
        self._asked = False
        """A response of the conversation was asked for (by us or by a committed turn) and has not begun."""

    # --- what the call wants

    @property
    def busy(self) -> bool:
        """Whether a response of the conversation runs or is about to."""
        return self._asked or any(not r.done and r.aside is None for r in self._responses.values())

    def append(self, audio: bytes) -> None:
        """Caller audio in the session's input format."""
        self._send(events.append_audio(audio))

    def update(self, session: Mapping[str, Any]) -> None:
        """Changes the session at once (turn detection; never instructions: that breaks the prompt cache)."""
        if not self.tab.left:
            self.tab.update(session)

    def set_speed(self, speed: float) -> None:
        """Changes the voice's speed (0.25-1.5) between turns: at once when idle, else after the response."""
        self._when_idle(lambda: self.update({"audio": {"output": {"speed": speed}}}))

    def note(self, text: str) -> None:
        """Appends a system item; it steers the role's next turn."""
        self._send(events.system_note(text))

    def seed(self, speaker: Literal["role", "learner", "note"], text: str) -> None:
        """Appends an earlier turn as text: a greeting played from a clip, or a conversation taken up again."""
        build = {"role": events.role_text, "learner": events.learner_text, "note": events.system_note}[speaker]
        self._send(build(text))

    def forget(self, item: str) -> None:
        """Takes an item out of the conversation: it was not meant for the role."""
        self.tab.forget(item)
        self._send(events.delete(item))

    def respond(self, note: str | None = None) -> None:
        """Asks for the role's next turn, after a system item when given; waits until no response runs."""
        self._wish = lambda: self._ask(note)
        self._flush()

    def aside(
        self, purpose: str, ref: str, instructions: str, texts: Sequence[str], *, max_output_tokens: int = 800
    ) -> None:
        """Asks for a spoken answer outside the conversation; may run beside the role's turn."""
        self.tab.ask()
        self._send(events.aside(purpose, ref, instructions, texts, max_output_tokens=max_output_tokens))

    def answer_tool(self, call_id: str, output: Mapping[str, Any], reply: Reply = "if_silent") -> None:
        """Gives a tool's result; ``reply`` says whether the role speaks again after it."""
        response = self._calls.pop(call_id, None)
        self._send(events.tool_output(call_id, output))
        if response is None:
            return
        response.open_calls.discard(call_id)
        response.reply_wanted |= reply == "always" or (reply == "if_silent" and not response.spoke)
        self._reply_after_tools(response)

    def interrupt(self, heard: Iterable[tuple[str, int, bool]], *, cancel: bool) -> None:
        """Tells the model what was heard, and drops the rest.

        Args:
            heard: (item, milliseconds heard, whether all of it was heard) in the order of playing.
            cancel: whether we stop the responses ourselves; the server already did when its voice detector
                reported the learner's speech.
        """
        for name, heard_ms, whole in heard:
            item = self._items.get(name)
            if item is None or item.response.aside is not None or whole:
                continue
            item.response.dropped = True
            heard_ms = min(heard_ms, item.audio_bytes // self._bytes_per_ms)
            self._send(events.truncate(name, heard_ms) if heard_ms > 0 else events.delete(name))
        for response in self._responses.values():
            if response.done:
                continue
            response.dropped = True
            if cancel or response.aside is not None:
                self._send(events.cancel(response.id))
        self._wish = None

    def text(self, item: str) -> str:
        """All that is known of an item's text; "" when unknown."""
        known = self._items.get(item)
        return known.text if known is not None else ""

    def unfinished(self, item: str) -> bool:
        """Whether more of an item of this session was to come."""
        known = self._items.get(item)
        return known is not None and not known.ended

    def heard_text(self, item: str, heard_ms: int) -> str:
        """What of an item's text was heard, by its share of the audio, cut at a word; "" when unknown."""
        known = self._items.get(item)
        if known is None or not known.audio_bytes:
            return ""
        share = heard_ms * self._bytes_per_ms / known.audio_bytes
        if share >= 1:
            return known.text
        end = int(len(known.text) * share)
        cut = known.text[:end]
        if end < len(known.text) and not known.text[end].isspace():
            cut = cut[: cut.rfind(" ") + 1]
        return cut.rstrip()

    # --- what the server says

    def receive(self, message: bytes) -> None:
        """Reads one event of the server. Raises `events.MalformedEvent`."""
        event = events.parse(message)
        if not self.tab.hear(event):
            return
        match event:
            case events.AudioDelta() as delta:
                self._on_audio(delta)
            case events.AudioDone(response_id=response_id, item_id=name):
                item = self._item(name, response_id)
                if item is not None and not item.response.dropped:
                    item.ended = True
                    self._listener.on_model_audio_end(name)
            case events.TranscriptDelta(response_id=response_id, item_id=name, delta=text):
                item = self._item(name, response_id)
                if item is not None:
                    item.text += text
            case events.TranscriptDone() as done:
                self._on_transcript(done)
            case events.SpeechStarted(item_id=name, audio_start_ms=ms):
                self._listener.on_model_event(LearnerStarted(name, ms))
            case events.SpeechStopped(item_id=name, audio_end_ms=ms):
                self._listener.on_model_event(LearnerStopped(name, ms))
            case events.Committed(item_id=name):
                self._asked = True
                self._wish = None
                self._listener.on_model_event(LearnerCommitted(name))
            case events.Transcribed(item_id=name, transcript=text):
                self._listener.on_model_event(LearnerSaid(name, text))
            case events.TranscriptionFailed(item_id=name):
                self._listener.on_model_event(LearnerSaid(name, None))
            case events.ResponseCreated(response=created):
                self._on_created(created)
            case events.OutputItemAdded(response_id=response_id, item=added):
                self._item(added.id, response_id)
            case events.OutputItemDone(response_id=response_id, item=whole):
                self._on_item_done(response_id, whole)
            case events.ResponseDone(response=response):
                self._on_done(response)
            case events.Refused(error=error):
                self._on_error(error)
            case _:
                return

    def _on_audio(self, delta: events.AudioDelta) -> None:
        item = self._item(delta.item_id, delta.response_id)
        if item is None or item.response.dropped:
            return  # late audio of an interrupted response: the caller must not hear it
        audio = delta.audio()
        item.audio_bytes += len(audio)
        item.response.spoke = True
        self._listener.on_model_audio(delta.item_id, audio, item.response.aside)

    def _on_transcript(self, done: events.TranscriptDone) -> None:
        item = self._item(done.item_id, done.response_id)
        if item is None:
            return
        item.text = done.transcript
        if item.response.dropped:
            return
        aside = item.response.aside
        self._listener.on_model_event(
            RoleSaid(done.item_id, done.transcript)
            if aside is None
            else AsideSaid(aside[0], aside[1], done.item_id, done.transcript)
        )

    def _on_created(self, created: events.Response) -> None:
        metadata = created.metadata or {}
        aside = None
        if "purpose" in metadata:
            aside = (metadata["purpose"], metadata.get("ref", ""))
        else:
            self._asked = False
        self._responses[created.id] = _Response(created.id, aside)

    def _on_item_done(self, response_id: str, item: events.Item) -> None:
        response = self._responses.get(response_id)
        if item.type != "function_call" or response is None or item.call_id is None or item.call_id in self._calls:
            return
        if item.status == "incomplete":
            return  # cancelled in the middle of its arguments: there is no call to answer
        if response.dropped:
            # The learner spoke over the turn that called the tool: it does not count, but the call needs its answer.
            self._send(events.tool_output(item.call_id, {"ok": False, "reason": "the learner interrupted"}))
            return
        response.had_tools = True
        response.open_calls.add(item.call_id)
        self._calls[item.call_id] = response
        self._listener.on_model_event(ToolCalled(item.call_id, item.name or "", item.arguments or "{}"))

    def _on_done(self, ended: events.Response) -> None:
        response = self._responses.get(ended.id)
        if response is None:
            return
        response.done = True
        if not response.open_calls:
            del self._responses[ended.id]
        details = ended.status_details
        error = details.error if details else None
        if ended.status == "failed" and error is not None and events.severity(error) == "fatal":
            self._fail(error)
            return
        reason = (error.code if error else None) or (details.reason if details else None)
        purpose, ref = response.aside or (None, "")
        self._listener.on_model_event(
            Responded(ended.status, reason, purpose, ref, response.spoke, cut=response.dropped)
        )
        self._reply_after_tools(response)
        self._flush()

    def _on_error(self, error: events.ErrorBody) -> None:
        match events.severity(error):
            case "fatal":
                self._fail(error)
            case "busy":
                # Our wish met a response the voice detector had just started: that one answers the learner.
                self._asked = False
            case "fault":
                self._listener.on_model_event(RequestRefused(error.code or error.type or "unknown", error.message))
            case "benign":
                pass

    def _fail(self, error: events.ErrorBody) -> None:
        code = error.code or error.type or "unknown"
        self._listener.on_model_event(
            ModelFailed(code, error.message, again=not {code, error.type} & events.NEVER_RETRY_CODES)
        )

    # --- helpers

    def _send(self, message: bytes) -> None:
        if not self.tab.left:
            self._out(message)

    def _item(self, name: str, response_id: str) -> _Item | None:
        item = self._items.get(name)
        if item is None:
            response = self._responses.get(response_id)
            if response is None:
                return None
            item = self._items[name] = _Item(response)
            if len(self._items) > REMEMBERED_ITEMS:
                self._items.popitem(last=False)
        return item

    def _reply_after_tools(self, response: _Response) -> None:
        if not (response.had_tools and response.done) or response.open_calls:
            return
        self._responses.pop(response.id, None)
        response.had_tools = False
        if response.reply_wanted and not response.dropped:
            self.respond()

    def _ask(self, note: str | None) -> None:
        if note is not None:
            self.note(note)
        self._asked = True
        self.tab.ask()
        self._send(events.respond())

    def _when_idle(self, action: Callable[[], None]) -> None:
        self._waiting.append(action)
        self._flush()

    def _flush(self) -> None:
        if self.busy:
            return
        while self._waiting:
            self._waiting.popleft()()
        if self._wish is not None:
            wish, self._wish = self._wish, None
            wish()
