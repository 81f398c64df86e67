"""What one model session has used and what it still owes an account of, without I/O. It knows no conversation.

Everything that has begun is paid for, and only ``response.done`` or a completed transcription says how much it was. So
a session is not just dropped: it is asked to begin nothing more, what runs is cancelled, and its last account is waited
for. Where none comes, the tab says how much was left open, for an estimate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tutor.realtime import events


@dataclass(frozen=True, slots=True)
class Used:
    """What a response or a transcription used, to be booked."""

    what: Literal["response", "transcription"]
    usage: events.Usage | events.TranscriptionUsage
    id: str
    """The server's identifier of the response, or of the item that was transcribed: it is paid for once."""


@dataclass(frozen=True, slots=True)
class Unsettled:
    """What a session never accounted for."""

    responses: int = 0
    transcriptions: int = 0

    def __bool__(self) -> bool:
        """Whether there is anything."""
        return bool(self.responses or self.transcriptions)


class Tab:
    """The tab of one session. It hears every event of the server first, and is told what we ask for."""

    def __init__(self, send: Callable[[bytes], None], book: Callable[[Used], None]) -> None:
        """``book`` is told of every response and transcription that was accounted for."""
        self._send = send
        self._book = book
        self._asked = 0
        self._answer_due = False
        """A turn of the learner has ended, and the answer to it, which the server gives by itself, has not begun."""
        self._speaking: str | None = None
        """The turn of the learner that goes on: its end, and what follows, may be on its way to us."""
        self._running: set[str] = set()
        self._transcribing: set[str] = set()
        self._unconfirmed = 0
        """Updates of the session that the server has not answered."""
        self._settled: Callable[[], None] | None = None
        self._closed = False

    @property
    def left(self) -> bool:
        """Whether the session is being left, or is gone: nothing more is asked of it."""
        return self._closed or self._settled is not None

    @property
    def unsettled(self) -> Unsettled:
        """What began, or was asked for, and has not been accounted for; of a turn that goes on, the words."""
        responses = self._asked + self._answer_due + len(self._running)
        return Unsettled(responses, len(self._transcribing) + (self._speaking is not None))

    def ask(self) -> None:
        """A response was asked for."""
        self._asked += 1

    def update(self, session: Mapping[str, Any]) -> None:
        """Sends an update of the session; the server answers each."""
        self._unconfirmed += 1
        self._send(events.update_session(session))

    def forget(self, item: str) -> None:
        """An item was taken out of the conversation: its words may never come."""
        self._transcribing.discard(item)

    def hear(self, event: events.Known | None) -> bool:
        """Takes note of an event; whether it is for the conversation as well, which it is not in a session left."""
        if isinstance(event, events.AudioDelta):
            return not self.left
        if self._closed:
            return False  # what was open is estimated by now, and not to be paid twice
        match event:
            case events.SpeechStarted(item_id=item):
                self._speaking = item
            case events.Committed(item_id=item):
                self._speaking = None
                self._answer_due = True
                self._transcribing.add(item)
            case events.Transcribed(item_id=item, usage=usage):
                self._transcribing.discard(item)
                if usage is not None:
                    self._book(Used("transcription", usage, item))
            case events.TranscriptionFailed(item_id=item):
                self._transcribing.discard(item)
            case events.ResponseCreated(response=response):
                self._asked = max(0, self._asked - 1)
                self._answer_due = False
                self._running.add(response.id)
                if self.left:
                    self._send(events.cancel(response.id))
            case events.ResponseDone(response=response):
                self._running.discard(response.id)
                if response.usage is not None:
                    self._book(Used("response", response.usage, response.id))
            case events.SessionUpdated():
                self._unconfirmed -= 1
            case events.Refused(error=error) if events.severity(error) == "busy":
                self._asked = max(0, self._asked - 1)
            case _:
                pass
        if self._settled is None:
            return True
        self._check()
        return False

    def leave(self, settled: Callable[[], None]) -> None:
        """Takes leave of the session: no turn of the learner is answered any more, and what runs is stopped.

        Args:
            settled: called once, when there is nothing more to come; at once for a session that is gone.
        """
        if self._closed:
            settled()
            return
        # The server takes one after another: when it answers this, it has begun all that it will ever begin.
        self.update({"audio": {"input": {"turn_detection": None}}})
        for response in self._running:
            self._send(events.cancel(response))
        self._settled = settled

    def close(self) -> Unsettled:
        """Nothing more will be heard; returns what was never accounted for, once."""
        open_now = Unsettled() if self._closed else self.unsettled
        self._closed = True
        return open_now

    def _check(self) -> None:
        if self._unconfirmed > 0:
            return
        self._asked, self._answer_due, self._speaking = 0, False, None
        if self._settled is not None and not self.unsettled:
            settled, self._settled, self._closed = self._settled, None, True
            settled()
