"""What a model session owes an account of: what began, what was told, and when there is nothing more to come."""

from __future__ import annotations

import json
from typing import Any

from tutor.realtime import events
from tutor.realtime.tab import Tab, Unsettled, Used

COMPLETED = "conversation.item.input_audio_transcription.completed"


class Session:
    """A tab between a list of what was sent and a list of what was booked; `says` plays the server."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.booked: list[Used] = []
        self.settled: list[str] = []
        self.tab = Tab(lambda message: self.sent.append(json.loads(message)), self.booked.append)

    def says(self, type_: str, **fields: Any) -> bool:
        return self.tab.hear(events.parse(json.dumps({"type": type_, **fields}).encode()))

    def begins(self, name: str) -> bool:
        return self.says("response.created", response={"id": name})

    def ends(self, name: str) -> bool:
        return self.says("response.done", response={"id": name, "usage": {"total_tokens": 5}})

    def leave(self) -> None:
        self.tab.leave(lambda: self.settled.append("settled"))

    def types(self) -> list[str]:
        return [event["type"] for event in self.sent]


def test_everything_that_was_accounted_for_is_booked_once() -> None:
    """Responses with their identifier, turns with their item; a failed transcription and a response without usage owe
    nothing."""
    session = Session()
    session.says("input_audio_buffer.speech_started", item_id="u1", audio_start_ms=0)
    assert session.tab.unsettled == Unsettled(0, 1)
    session.says("input_audio_buffer.committed", item_id="u1")
    assert session.tab.unsettled == Unsettled(1, 1)
    session.begins("r1")
    assert session.tab.unsettled == Unsettled(1, 1)
    session.says(COMPLETED, item_id="u1", usage={"type": "duration", "seconds": 1.0})
    session.ends("r1")
    session.says("input_audio_buffer.committed", item_id="u2")
    session.begins("r2")
    session.says("conversation.item.input_audio_transcription.failed", item_id="u2")
    session.says("response.done", response={"id": "r2", "status": "failed"})
    assert [(used.what, used.id) for used in session.booked] == [("transcription", "u1"), ("response", "r1")]
    assert not session.tab.unsettled


def test_what_was_asked_for_counts_until_it_begins_or_is_refused() -> None:
    """An answer that was asked for is made, whether its beginning reaches us or not; one too many is not."""
    session = Session()
    session.tab.ask()
    assert session.tab.unsettled == Unsettled(1)
    session.begins("r1")
    assert session.tab.unsettled == Unsettled(1)
    session.tab.ask()
    session.says("error", error={"code": "conversation_already_has_active_response", "message": "one runs"})
    session.ends("r1")
    assert not session.tab.unsettled


def test_an_item_that_was_taken_out_is_not_waited_for() -> None:
    """Its words may never come; if they do, they are paid for."""
    session = Session()
    session.says("input_audio_buffer.committed", item_id="u1")
    session.tab.forget("u1")
    session.begins("r1")
    session.ends("r1")
    assert not session.tab.unsettled
    session.says(COMPLETED, item_id="u1", usage={"type": "duration", "seconds": 1.0})
    assert [used.id for used in session.booked] == ["r1", "u1"]


def test_a_learner_who_is_speaking_when_a_session_is_left_is_not_waited_for() -> None:
    """Had the server heard the turn's end, it would have said so before it answered the last update."""
    session = Session()
    session.says("input_audio_buffer.speech_started", item_id="u1", audio_start_ms=0)
    session.leave()
    session.says("session.updated", session={})
    assert session.settled == ["settled"]


def test_a_session_is_settled_when_its_last_update_is_answered_and_nothing_runs() -> None:
    """The server takes one after another: earlier updates, what began meanwhile, and the last one."""
    session = Session()
    session.tab.update({"audio": {"output": {"speed": 0.9}}})
    session.begins("r1")
    session.leave()
    assert session.types() == ["session.update", "session.update", "response.cancel"]
    assert session.tab.left
    session.says("session.updated", session={})
    assert not session.begins("r2"), "nothing is for the conversation any more"
    assert session.sent[-1] == {"type": "response.cancel", "response_id": "r2"}
    session.ends("r1")
    session.says("session.updated", session={})
    assert session.settled == []
    session.ends("r2")
    assert session.settled == ["settled"]
    assert [used.id for used in session.booked] == ["r1", "r2"]


def test_what_was_asked_for_and_never_began_is_not_owed_by_a_session_that_answered_everything() -> None:
    """The last update's answer comes after the beginning of whatever was asked for before it."""
    session = Session()
    session.tab.ask()
    session.leave()
    session.says("session.updated", session={})
    assert session.settled == ["settled"]


def test_a_session_that_is_gone_says_once_what_is_open() -> None:
    """What it should say afterwards is not booked: it is estimated by then."""
    session = Session()
    session.begins("r1")
    assert session.tab.close() == Unsettled(1)
    assert session.tab.close() == Unsettled()
    session.ends("r1")
    assert session.booked == []
    session.leave()
    assert session.settled == ["settled"]
    assert session.sent == []
