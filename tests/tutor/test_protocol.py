"""The client's side of a model session: what is sent when, what is dropped, what waits."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tutor.realtime import protocol
from tutor.realtime.protocol import RealtimeProtocol

MS = 8
"""Bytes a millisecond in these sessions: µ-law."""


class Ear:
    """A listener that writes down what it is told."""

    def __init__(self) -> None:
        self.audio: list[tuple[str, int, tuple[str, str] | None]] = []
        self.ended: list[str] = []
        self.events: list[protocol.ModelEvent] = []

    def on_model_audio(self, item: str, audio: bytes, aside: tuple[str, str] | None) -> None:
        self.audio.append((item, len(audio) // MS, aside))

    def on_model_audio_end(self, item: str) -> None:
        self.ended.append(item)

    def on_model_event(self, event: protocol.ModelEvent) -> None:
        self.events.append(event)


class Session:
    """A protocol between a listener and a list of what was sent; `says` plays the server."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.ear = Ear()
        self.client = RealtimeProtocol(lambda m: self.sent.append(json.loads(m)), self.ear, bytes_per_ms=MS)

    def says(self, type_: str, **fields: Any) -> None:
        self.client.receive(json.dumps({"type": type_, **fields}).encode())

    def begins(self, response: str = "r1", purpose: str | None = None) -> None:
        metadata = {"purpose": purpose, "ref": "t-1"} if purpose else None
        self.says("response.created", response={"id": response, "status": "in_progress", "metadata": metadata})

    def speaks(self, ms: int, item: str = "i1", response: str = "r1", text: str = "") -> None:
        self.says("response.output_item.added", response_id=response, item={"id": item, "type": "message"})
        delta = base64.b64encode(b"\x7f" * ms * MS).decode()
        if text:
            self.says("response.output_audio_transcript.delta", response_id=response, item_id=item, delta=text)
        self.says("response.output_audio.delta", response_id=response, item_id=item, delta=delta)

    def calls(self, name: str, call: str = "c1", response: str = "r1", status: str = "completed") -> None:
        item = {"id": f"f-{call}", "type": "function_call", "name": name, "call_id": call, "arguments": "{}"}
        self.says("response.output_item.done", response_id=response, item={**item, "status": status})

    def done(self, response: str = "r1", status: str = "completed", **details: Any) -> None:
        self.says("response.done", response={"id": response, "status": status, "status_details": details or None})

    def types(self) -> list[str]:
        return [event["type"] for event in self.sent]


@pytest.fixture
def session() -> Session:
    """A fresh session."""
    return Session()


def test_an_interruption_truncates_the_first_item_to_what_was_heard_and_deletes_the_unheard(session: Session) -> None:
    """The role must not believe that it said what nobody heard; a truncation to 0 is refused, so 0 deletes."""
    session.begins()
    session.speaks(1000, "i1")
    session.speaks(500, "i2")
    session.client.interrupt([("i1", 420, False), ("i2", 0, False)], cancel=False)
    assert session.sent == [
        {"type": "conversation.item.truncate", "item_id": "i1", "content_index": 0, "audio_end_ms": 420},
        {"type": "conversation.item.delete", "item_id": "i2"},
    ]


def test_a_truncation_never_exceeds_the_audio_that_was_generated(session: Session) -> None:
    """The last frame is padded with silence; the server refuses an end beyond its own audio."""
    session.begins()
    session.speaks(990, "i1")
    session.client.interrupt([("i1", 1000, False)], cancel=False)
    assert session.sent[0]["audio_end_ms"] == 990


def test_a_turn_heard_whole_is_left_alone(session: Session) -> None:
    """An interruption right after the last word changes nothing of that turn."""
    session.begins()
    session.speaks(300)
    session.done()
    session.client.interrupt([("i1", 300, True)], cancel=False)
    assert session.sent == []


def test_late_audio_of_an_interrupted_response_is_dropped_even_after_it_was_done(session: Session) -> None:
    """The caller never hears the tail of a sentence they cut off."""
    session.begins()
    session.speaks(300, "i1")
    session.client.interrupt([("i1", 100, False)], cancel=False)
    session.speaks(300, "i1")
    session.done(status="cancelled", type="cancelled", reason="turn_detected")
    session.speaks(300, "i1")
    session.says("response.output_audio.done", response_id="r1", item_id="i1")
    assert session.ear.audio == [("i1", 300, None)]
    assert session.ear.ended == []


def test_three_interruptions_in_a_row_each_work(session: Session) -> None:
    """State of one interrupted turn never silences the next."""
    for turn in ("1", "2", "3"):
        session.begins(f"r{turn}")
        session.speaks(400, f"i{turn}", f"r{turn}")
        session.client.interrupt([(f"i{turn}", 200, False)], cancel=False)
        session.done(f"r{turn}", status="cancelled", type="cancelled", reason="turn_detected")
    assert [item for item, _, _ in session.ear.audio] == ["i1", "i2", "i3"]
    assert [event["item_id"] for event in session.sent] == ["i1", "i2", "i3"]


def test_we_cancel_only_what_the_server_did_not_stop_itself(session: Session) -> None:
    """The voice detector stops the role's own turn; a key, or an answer outside the conversation, needs our word."""
    session.begins("r1")
    session.begins("r2", purpose="translate")
    session.client.interrupt([], cancel=False)
    assert [event["response_id"] for event in session.sent] == ["r2"]
    session.client.interrupt([], cancel=True)
    assert [event["response_id"] for event in session.sent] == ["r2", "r1", "r2"]


def test_an_aside_is_never_truncated(session: Session) -> None:
    """It is no part of the conversation: there is nothing to truncate."""
    session.begins("r1", purpose="translate")
    session.speaks(500, "i1")
    session.client.interrupt([("i1", 200, False)], cancel=False)
    assert "conversation.item.truncate" not in session.types()
    assert session.ear.audio == [("i1", 500, ("translate", "t-1"))]


def test_a_wish_for_a_turn_waits_for_the_running_response(session: Session) -> None:
    """The server takes one response of the conversation at a time."""
    session.begins("r1")
    session.client.respond("Shorter.")
    assert session.sent == []
    session.done("r1")
    assert session.types() == ["conversation.item.create", "response.create"]


def test_a_wish_is_dropped_when_the_learner_has_spoken(session: Session) -> None:
    """The server answers the learner by itself; a second answer would talk over it."""
    session.begins("r1")
    session.client.respond()
    session.says("input_audio_buffer.committed", item_id="u1")
    session.done("r1", status="cancelled")
    assert session.sent == []
    session.begins("r2")
    session.done("r2")
    assert session.sent == []


def test_the_speed_changes_between_turns_only(session: Session) -> None:
    """A change in the middle of a turn is refused by the server."""
    session.begins("r1")
    session.client.set_speed(0.8)
    assert session.sent == []
    session.done("r1")
    assert session.sent[0]["session"] == {"type": "realtime", "audio": {"output": {"speed": 0.8}}}


def test_a_tool_is_reported_once_and_a_spoken_turn_needs_no_second_one(session: Session) -> None:
    """The role answered and marked a goal in one turn: giving the result must not make it speak again."""
    session.begins()
    session.speaks(300)
    session.calls("mark_goal")
    session.calls("mark_goal")
    session.client.answer_tool("c1", {"ok": True}, "if_silent")
    session.done()
    tools = [event for event in session.ear.events if isinstance(event, protocol.ToolCalled)]
    assert len(tools) == 1
    assert session.types() == ["conversation.item.create"]


def test_two_tools_of_a_silent_turn_lead_to_exactly_one_answer(session: Session) -> None:
    """All outputs first, then one request for a turn, and not before the response is done."""
    session.begins()
    session.calls("mark_goal", "c1")
    session.calls("mark_goal", "c2")
    session.client.answer_tool("c1", {"ok": True}, "if_silent")
    session.done()
    assert session.types() == ["conversation.item.create"]
    session.client.answer_tool("c2", {"ok": True}, "if_silent")
    assert session.types() == ["conversation.item.create", "conversation.item.create", "response.create"]


def test_a_silent_tool_stays_silent(session: Session) -> None:
    """Waiting for the learner is an answer without words."""
    session.begins()
    session.calls("wait_for_learner")
    session.client.answer_tool("c1", {"ok": True}, "never")
    session.done()
    assert "response.create" not in session.types()


def test_a_tool_of_an_interrupted_turn_does_not_count(session: Session) -> None:
    """The learner spoke over the goodbye: the call must not end."""
    session.begins()
    session.speaks(300)
    session.client.interrupt([("i1", 100, False)], cancel=False)
    session.calls("end_call", "c1")
    session.calls("end_call", "c2", status="incomplete")
    assert not [event for event in session.ear.events if isinstance(event, protocol.ToolCalled)]
    answered = [event["item"]["call_id"] for event in session.sent if event["type"] == "conversation.item.create"]
    assert answered == ["c1"]


def test_the_heard_text_is_cut_at_a_word_by_its_share_of_the_audio(session: Session) -> None:
    """The transcript of a cut turn holds what was heard, not what was planned."""
    session.begins()
    session.speaks(1000, text="Claro, ¿con leche o solo?")
    assert session.client.heard_text("i1", 500) == "Claro, ¿con"
    assert session.client.heard_text("i1", 1000) == "Claro, ¿con leche o solo?"
    assert session.client.heard_text("i1", 0) == ""
    assert session.client.heard_text("unknown", 100) == ""


def test_a_session_that_cannot_go_on_says_whether_another_could(session: Session) -> None:
    """An expired session is renewed; an account without credit is not asked again."""
    session.says("error", error={"type": "invalid_request_error", "code": "session_expired", "message": "60 minutes."})
    session.begins()
    session.done(status="failed", type="failed", error={"type": "insufficient_quota", "message": "No credit."})
    failures = [event for event in session.ear.events if isinstance(event, protocol.ModelFailed)]
    assert [(event.code, event.again) for event in failures] == [
        ("session_expired", True),
        ("insufficient_quota", False),
    ]


def test_races_are_no_failures(session: Session) -> None:
    """Errors that barge-in cannot avoid are not reported; a wrong request is, for the log."""
    session.says("error", error={"code": "response_cancel_not_active", "message": "no active response found"})
    session.says("error", error={"code": "unknown_parameter", "message": "Unknown parameter: 'session.x'."})
    assert session.ear.events == [protocol.RequestRefused("unknown_parameter", "Unknown parameter: 'session.x'.")]
