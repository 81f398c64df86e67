"""The conversation of one realtime session: items in order, their content, their audio.

It sends nothing and knows no script.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import Any

from rehearsal.realtime_schema import Refused

BYTES_PER_MS = {"audio/pcm": 48, "audio/pcmu": 8}
"""16-bit samples at 24 kHz; one-byte samples at 8 kHz."""

FLOOR_OF_TRUNCATION = "Only model output audio messages can be truncated"


@dataclass
class Part:
    """One piece of a message's content. `audio` is in the wire format `audio_format`; once truncated it stays so."""

    type: str
    text: str | None = None
    transcript: str | None = None
    audio: bytearray = field(default_factory=bytearray)
    audio_format: str = "audio/pcm"
    is_truncated: bool = False

    @property
    def audio_ms(self) -> int:
        """Whole milliseconds of audio it holds."""
        return len(self.audio) // BYTES_PER_MS[self.audio_format]

    def wire(self, *, with_audio: bool = False) -> dict[str, Any]:
        """Returns the part as events show it: without the audio, unless it was asked for by `retrieve`."""
        if self.type in ("input_audio", "output_audio"):
            shown: dict[str, Any] = {"type": self.type, "transcript": self.transcript}
            if with_audio:
                shown["audio"] = base64.b64encode(self.audio).decode()
            return shown
        if self.type == "input_image":
            return {"type": self.type}
        return {"type": self.type, "text": self.text or ""}


@dataclass
class Item:
    """A message, a function call or a function's output.

    made_by_model: generated here, not created by the client.   is_silence: committed by the idle timeout only.
    phase: `commentary` or `final_answer`, on reasoning models.
    """

    id: str
    type: str
    role: str | None = None
    status: str = "completed"
    content: list[Part] = field(default_factory=list)
    name: str | None = None
    call_id: str | None = None
    arguments: str = ""
    output: str = ""
    phase: str | None = None
    made_by_model: bool = False
    is_silence: bool = False

    @property
    def text(self) -> str:
        """What it says in words, as far as anybody knows."""
        return " ".join(part.text or part.transcript or "" for part in self.content).strip()

    def wire(self, *, with_audio: bool = False) -> dict[str, Any]:
        """Returns the item as events show it."""
        shown: dict[str, Any] = {"id": self.id, "object": "realtime.item", "type": self.type, "status": self.status}
        if self.type == "message":
            shown["role"] = self.role
            shown["content"] = [part.wire(with_audio=with_audio) for part in self.content]
        elif self.type == "function_call":
            shown |= {"name": self.name, "call_id": self.call_id, "arguments": self.arguments}
        else:
            shown |= {"call_id": self.call_id, "output": self.output}
        if self.phase is not None:
            shown["phase"] = self.phase
        return shown


class Conversation:
    """The items of a session, in the order in which the model reads them."""

    def __init__(self) -> None:
        self.items: list[Item] = []

    def find(self, item_id: str) -> Item | None:
        """Returns the item with this id, or None."""
        return next((item for item in self.items if item.id == item_id), None)

    def append(self, item: Item) -> str | None:
        """Adds an item at the end and returns the id before it."""
        previous = self.items[-1].id if self.items else None
        self.items.append(item)
        return previous

    def insert(self, item: Item, previous_item_id: str | None) -> str | None:
        """Adds a client's item after another, first with `root`, last with None; returns the id before it."""
        if self.find(item.id) is not None:
            raise Refused(
                "item_create_duplicate_item_id", f"Error adding item: an item with id '{item.id}' exists.", "item.id"
            )
        if item.type == "function_call_output" and not any(
            known.type == "function_call" and known.call_id == item.call_id for known in self.items
        ):
            raise Refused(
                "invalid_tool_call_id", f"Tool call ID '{item.call_id}' not found in conversation.", "item.call_id"
            )
        if previous_item_id is None:
            return self.append(item)
        if previous_item_id == "root":
            self.items.insert(0, item)
            return None
        previous = self.find(previous_item_id)
        if previous is None:
            raise Refused(
                "item_not_found",
                f"Error adding item: the previous item with id '{previous_item_id}' does not exist.",
                "previous_item_id",
            )
        self.items.insert(self.items.index(previous) + 1, item)
        return previous_item_id

    def get(self, item_id: str) -> Item:
        """Returns the item with this id; raises Refused when there is none."""
        item = self.find(item_id)
        if item is None:
            raise Refused("item_not_found", f"Item with item_id '{item_id}' not found.", "item_id")
        return item

    def delete(self, item_id: str) -> None:
        """Removes an item; raises Refused when there is none."""
        self.items.remove(self.get(item_id))

    def truncate(self, item_id: str, content_index: int, audio_end_ms: int) -> None:
        """Cuts the model's audio to what was heard and forgets the item's whole transcript, as the server does."""
        item = self.find(item_id)
        if item is None:
            raise Refused(
                "item_truncate_invalid_item_id",
                f"Error truncating item: item with id '{item_id}' does not exist.",
                "item_id",
            )
        if item.role != "assistant" or not any(part.audio for part in item.content) or audio_end_ms == 0:
            raise Refused(None, FLOOR_OF_TRUNCATION)
        if content_index >= len(item.content):
            raise Refused(
                "invalid_value", f"Item '{item_id}' has no content at index {content_index}.", "content_index"
            )
        part = item.content[content_index]
        if audio_end_ms > part.audio_ms:
            raise Refused(
                "invalid_value",
                f"Audio content of {part.audio_ms}ms is already shorter than {audio_end_ms}ms",
                "audio_end_ms",
            )
        del part.audio[audio_end_ms * BYTES_PER_MS[part.audio_format] :]
        part.transcript = None
        part.is_truncated = True

    @property
    def user_turns(self) -> int:
        """User messages, however they came, without those that are only the idle timeout's silence."""
        return sum(item.role == "user" and not item.is_silence for item in self.items)

    @property
    def seeded_answer(self) -> str | None:
        """The text of an assistant message that the client put after the last user message, if any."""
        for item in reversed(self.items):
            if item.role == "user":
                return None
            if item.role == "assistant" and not item.made_by_model:
                return item.text
        return None


def from_client(described: dict[str, Any], item_id: str, call_id: str, audio_format: str) -> Item:
    """Returns the item that a checked `item` describes; audio that is no base64 raises Refused."""
    item = Item(
        id=described.get("id") or item_id,
        type=described["type"],
        role=described.get("role"),
        name=described.get("name"),
        arguments=described.get("arguments", ""),
        output=described.get("output", ""),
        call_id=described.get("call_id") or (call_id if described["type"] == "function_call" else None),
    )
    for index, given in enumerate(described.get("content", ())):
        part = Part(given["type"], text=given.get("text"), transcript=given.get("transcript"))
        part.audio_format = audio_format
        if "audio" in given:
            part.audio += decode_audio(given["audio"], f"item.content[{index}].audio")
        item.content.append(part)
    return item


def decode_audio(encoded: str, path: str) -> bytes:
    """Returns the bytes of a base64 string; raises Refused when it is none."""
    try:
        return binascii.a2b_base64(encoded, strict_mode=True)
    except (binascii.Error, ValueError) as error:
        raise Refused(
            "invalid_value", f"Invalid '{path}'. Expected base64-encoded audio bytes, but got something else.", path
        ) from error
