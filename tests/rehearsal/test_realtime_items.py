"""Items of the conversation: creating, ordering, retrieving, deleting, and truncating what was not heard."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.rehearsal.realtime_judge import Desk, audio_of, noise, one, script, types

LONG = script(opening="Una frase bastante larga para hablar un rato.")


def message(role: str, type_: str, text: str = "hola", **fields: Any) -> dict[str, Any]:
    """Returns a message item of one text."""
    return {"type": "message", "role": role, "content": [{"type": type_, "text": text}], **fields}


def refused(events: list[dict[str, Any]]) -> tuple[str | None, str | None]:
    """Returns code and parameter of the error that is the only answer."""
    assert types(events) == ["error"]
    return events[0]["error"]["code"], events[0]["error"]["param"]


@pytest.mark.parametrize(
    "item",
    [
        message("system", "input_text"),
        message("user", "input_text", id="mine"),
        message("assistant", "output_text", status="completed"),
        {"type": "function_call", "name": "order", "arguments": "{}", "call_id": "call_1"},
    ],
)
def test_created_items_are_added_and_done(item: dict[str, Any]) -> None:
    """Each kind a client may create is answered by added and done with a full item, and by no response."""
    desk = Desk()
    events = desk.send("conversation.item.create", item=item)
    assert types(events) == ["conversation.item.added", "conversation.item.done"]
    added = events[0]["item"]
    assert added["object"] == "realtime.item"
    assert added["status"] == "completed"
    assert added["id"] == item.get("id", added["id"])
    assert events[0]["previous_item_id"] is None


@pytest.mark.parametrize(
    ("item", "code", "param"),
    [
        (message("assistant", "input_text"), "invalid_value", "item.content[0].type"),
        (message("assistant", "text"), "invalid_value", "item.content[0].type"),
        (message("assistant", "output_audio"), "invalid_value", "item.content[0].type"),
        (message("system", "output_text"), "invalid_value", "item.content[0].type"),
        (message("tool", "input_text"), "invalid_value", "item.role"),
        (message("user", "input_text", id="x" * 33), "string_above_max_length", "item.id"),
        (message("user", "input_text", colour="red"), "unknown_parameter", "item.colour"),
        ({"type": "message", "role": "user", "content": []}, "invalid_value", "item.content"),
        ({"type": "message", "role": "user"}, "missing_required_parameter", "item.content"),
        ({"role": "user"}, "missing_required_parameter", "item.type"),
        ({"type": "function_call_output", "call_id": "call_x", "output": "1"}, "invalid_tool_call_id", "item.call_id"),
        ({"type": "function_call_output", "call_id": "call_x", "output": {}}, "invalid_type", "item.output"),
    ],
)
def test_wrong_items_are_refused(item: dict[str, Any], code: str, param: str) -> None:
    """An item that the model could not read is an error with the path to the mistake, and a violation."""
    desk = Desk()
    assert refused(desk.send("conversation.item.create", item=item)) == (code, param)
    assert desk.session.conversation.items == []
    assert [violation.code for violation in desk.session.violations] == [code]


def test_items_can_be_put_anywhere() -> None:
    """previous_item_id: absent is last, root is first, an id is after it, an unknown id is an error."""
    desk = Desk()
    for item_id, previous in [("a", None), ("b", None), ("c", "root"), ("d", "a")]:
        events = desk.send(
            "conversation.item.create", item=message("user", "input_text", id=item_id), previous_item_id=previous
        )
        assert one(events, "conversation.item.added")
    assert [item.id for item in desk.session.conversation.items] == ["c", "a", "d", "b"]
    wrong = desk.send("conversation.item.create", item=message("user", "input_text"), previous_item_id="zzz")
    assert refused(wrong) == ("item_not_found", "previous_item_id")
    twice = desk.send("conversation.item.create", item=message("user", "input_text", id="a"))
    assert refused(twice) == ("item_create_duplicate_item_id", "item.id")


def test_retrieve_shows_the_audio_and_delete_removes() -> None:
    """A retrieved item has its audio; a deleted one can be neither retrieved nor deleted again."""
    desk = Desk(LONG)
    events = desk.send("response.create")
    item_id = one(events, "response.output_item.done")["item"]["id"]
    item = one(desk.send("conversation.item.retrieve", item_id=item_id), "conversation.item.retrieved")["item"]
    assert base64.b64decode(item["content"][0]["audio"]) == audio_of(events)
    assert item["content"][0]["transcript"] == LONG.opening
    assert one(desk.send("conversation.item.delete", item_id=item_id), "conversation.item.deleted")
    for type_ in ("conversation.item.retrieve", "conversation.item.delete"):
        assert refused(desk.send(type_, item_id=item_id)) == ("item_not_found", "item_id")


def test_truncate_cuts_the_audio_and_the_whole_transcript() -> None:
    """What was not heard is gone, the transcript is gone with it, and the bound moves: again only less."""
    desk = Desk(LONG)
    item_id = one(desk.send("response.create"), "response.output_item.done")["item"]["id"]
    cut = {"item_id": item_id, "content_index": 0, "audio_end_ms": 1_200}
    truncated = one(desk.send("conversation.item.truncate", **cut), "conversation.item.truncated")
    assert {name: truncated[name] for name in cut} == cut
    item = one(desk.send("conversation.item.retrieve", item_id=item_id), "conversation.item.retrieved")["item"]
    assert len(base64.b64decode(item["content"][0]["audio"])) == 1_200 * 48
    assert item["content"][0]["transcript"] is None
    error = one(desk.send("conversation.item.truncate", **{**cut, "audio_end_ms": 1_201}), "error")["error"]
    assert (error["code"], error["param"]) == ("invalid_value", "audio_end_ms")
    assert error["message"] == "Audio content of 1200ms is already shorter than 1201ms"
    usage = one(desk.send("response.create"), "response.done")["response"]["usage"]
    assert usage["input_token_details"]["audio_tokens"] == 1_200 // 50


def test_the_end_of_the_generated_audio_is_the_bound() -> None:
    """Exactly the generated milliseconds may be named, one more may not."""
    desk = Desk(LONG)
    events = desk.send("response.create")
    item_id = one(events, "response.output_item.done")["item"]["id"]
    length_ms = len(audio_of(events)) // 48
    too_long = {"item_id": item_id, "content_index": 0, "audio_end_ms": length_ms + 1}
    assert refused(desk.send("conversation.item.truncate", **too_long)) == ("invalid_value", "audio_end_ms")
    whole = {**too_long, "audio_end_ms": length_ms}
    assert one(desk.send("conversation.item.truncate", **whole), "conversation.item.truncated")


@pytest.mark.parametrize(
    ("fields", "code", "message_"),
    [
        ({"audio_end_ms": 0}, None, "Only model output audio messages can be truncated"),
        ({"item_id": "user"}, None, "Only model output audio messages can be truncated"),
        ({"item_id": "text"}, None, "Only model output audio messages can be truncated"),
        ({"item_id": "item_none"}, "item_truncate_invalid_item_id", "does not exist"),
        ({"content_index": 1}, "invalid_value", "no content at index 1"),
        ({"audio_end_ms": -5}, "invalid_value", ">= 0"),
        ({"audio_end_ms": 10.5}, "invalid_type", "expected an integer"),
    ],
)
def test_wrong_truncations_are_refused(fields: dict[str, Any], code: str | None, message_: str) -> None:
    """Nothing, a user's item, a text, an unknown item, another part, a negative or broken time: each its own error."""
    desk = Desk(LONG)
    desk.send("conversation.item.create", item=message("user", "input_text", id="user"))
    desk.send("conversation.item.create", item=message("assistant", "output_text", id="text"))
    item_id = one(desk.send("response.create"), "response.output_item.done")["item"]["id"]
    cut = {"item_id": item_id, "content_index": 0, "audio_end_ms": 100, **fields}
    error = one(desk.send("conversation.item.truncate", **cut), "error")["error"]
    assert error["code"] == code
    assert message_ in error["message"]


def test_truncating_while_it_is_generated() -> None:
    """An item may be cut while it grows: it keeps what was named, and its deltas go on to the end."""
    desk = Desk(LONG, pace=1.0)
    created = desk.send("response.create") + desk.wait(600)
    item_id = one(created, "response.output_item.added")["item"]["id"]
    cut = {"item_id": item_id, "content_index": 0, "audio_end_ms": 100}
    assert one(desk.send("conversation.item.truncate", **cut), "conversation.item.truncated")
    assert one(desk.wait(20_000), "response.done")["response"]["status"] == "completed"
    item = one(desk.send("conversation.item.retrieve", item_id=item_id), "conversation.item.retrieved")["item"]
    assert len(base64.b64decode(item["content"][0]["audio"])) == 100 * 48


def test_an_item_may_be_deleted_while_it_is_generated() -> None:
    """Deleting what is being said leaves the response to end as it would."""
    desk = Desk(LONG, pace=1.0)
    created = desk.send("response.create") + desk.wait(600)
    item_id = one(created, "response.output_item.added")["item"]["id"]
    assert one(desk.send("conversation.item.delete", item_id=item_id), "conversation.item.deleted")
    assert one(desk.wait(20_000), "response.done")["response"]["status"] == "completed"


def test_a_commit_during_speech_keeps_the_announced_item() -> None:
    """A client's commit in the middle of an utterance makes the item that speech_started named."""
    desk = Desk(LONG)
    started = one(desk.append(noise(300, -20.0)), "input_audio_buffer.speech_started")
    committed = one(desk.send("input_audio_buffer.commit"), "input_audio_buffer.committed")
    assert committed["item_id"] == started["item_id"]
    assert desk.append(bytes(48 * 1_000)) == []
