"""What any process needs to go on with a conversation: written after each learner turn, read when a stream returns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from tutor.learning.recorded import due_of
from tutor.learning.timeline import Entry, Speaker, Timeline, Turn
from tutor.safety.personal import redact
from tutor.talk.goals import Evidence

SEEDED_TURNS = 16
"""Turns told to a new session: enough to know what is going on, little enough to be read again at each answer."""


SAID = frozenset({"text", "quote", "context", "asked", "given", "topic", "fact"})
"""Fields of entries that hold somebody's words."""

ENDING = frozenset({"stop", "care"})
"""What safety does that ends a scene (tutor.safety)."""


class KeptTurn(msgspec.Struct, frozen=True, array_like=True):
    """A turn, as it is stored."""

    speaker: Speaker
    item: str
    start_ms: int
    end_ms: int
    text: str | None
    cut: bool


class Snapshot(msgspec.Struct, frozen=True):
    """One conversation at one moment. JSON, without audio and without a telephone number."""

    elapsed_ms: int
    speed: float
    goals: dict[str, Evidence]
    turns: list[KeptTurn]
    events: list[tuple[int, str, dict[str, Any]]]
    spent: dict[str, Any] = {}
    """What the call used so far, as whoever books it wrote it down."""

    @property
    def due(self) -> tuple[str, ...] | None:
        """What the role was to bring up from the beginning, which it goes on with; None: that is not known."""
        return due_of([Entry(at_ms, kind, data) for at_ms, kind, data in self.events])

    @classmethod
    def read(cls, value: Mapping[str, Any]) -> Snapshot:
        """Reads what `write` gave. Raises msgspec.ValidationError when it is something else."""
        return msgspec.convert(value, cls)

    @property
    def stopped(self) -> bool:
        """Whether somebody had to end it: the caller by key 9, or the guard because somebody may not be well."""
        return any(
            kind == "safe_exit" or (kind == "safety" and data.get("action") in ENDING) for _, kind, data in self.events
        )

    def write(self) -> dict[str, Any]:
        """JSON values for a row."""
        written: dict[str, Any] = msgspec.to_builtins(self)
        return written

    @classmethod
    def of(cls, timeline: Timeline, *, elapsed_ms: int, speed: float, goals: Mapping[str, Evidence]) -> Snapshot:
        """The conversation as it stands; turns that are still open end here.

        It may be stored: telephone numbers and addresses are masked, and what somebody said in distress is left out.
        """
        withheld = {entry.data.get("item") for entry in timeline.of("safety") if entry.data["action"] in ENDING}

        def kept(item: str, text: str | None) -> str | None:
            return None if item in withheld or text is None else redact(text)

        return cls(
            elapsed_ms=elapsed_ms,
            speed=speed,
            goals=dict(goals),
            turns=[
                KeptTurn(
                    turn.speaker,
                    turn.item,
                    turn.start_ms,
                    elapsed_ms if turn.end_ms is None else turn.end_ms,
                    kept(turn.item, turn.text),
                    turn.cut or turn.end_ms is None,
                )
                for turn in timeline.turns
            ],
            events=[
                (
                    entry.at_ms,
                    entry.kind,
                    {
                        key: kept(entry.data.get("item", ""), value)
                        if key in SAID and isinstance(value, str)
                        else value
                        for key, value in entry.data.items()
                    },
                )
                for entry in timeline.entries
            ],
        )

    def restore(self, timeline: Timeline) -> None:
        """Puts what happened before at the beginning of a timeline; whoever watches it has seen that already."""
        timeline.turns[:0] = [
            Turn(turn.speaker, turn.item, turn.start_ms, turn.end_ms, turn.text, turn.cut) for turn in self.turns
        ]
        timeline.entries[:0] = [Entry(at_ms, kind, data) for at_ms, kind, data in self.events]
