"""What the stand-in's provider would invoice: each response and transcription, also those that nobody was told of.

A response that runs when its connection ends stops there, and what it has made until then is billed. It holds tokens
and seconds as they were sent, no prices; whose call a session was, it knows as little as a real invoice does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

TRANSCRIBED = "conversation.item.input_audio_transcription.completed"

Kind = Literal["response", "transcription", "text"]


@dataclass
class Charge:
    """One line of the invoice. `metadata` is what the client sent along, where it may."""

    kind: Kind
    id: str
    """Of the response, or of the item that was transcribed."""
    model: str
    usage: Mapping[str, Any]
    """As the event that told it had it."""
    metadata: Mapping[str, str] | None = None
    told: bool = False
    """Whether it was written while the connection was open. A client that was killed may not have read it."""


class Bill:
    """The lines of one session, in the order in which they were made."""

    def __init__(self) -> None:
        self.charges: list[Charge] = []

    def add(self, charge: Charge) -> None:
        """Takes a line."""
        self.charges.append(charge)

    def written(self, event: Mapping[str, Any]) -> None:
        """An event was written to an open connection: if it tells a line of the bill, the client was told."""
        if event.get("type") == "response.done":
            told = ("response", event["response"]["id"])
        elif event.get("type") == TRANSCRIBED:
            told = ("transcription", event["item_id"])
        else:
            return
        for charge in self.charges:
            if (charge.kind, charge.id) == told:
                charge.told = True
