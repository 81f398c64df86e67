"""What happened in a call, in order, in milliseconds of the call: the one record that everything later reads.

Times of the role are times of *hearing*. Entries hold no telephone number and no audio.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Speaker = Literal["role", "learner", "helper"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened."""

    at_ms: int
    kind: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Turn:
    """One stretch of speech. ``text`` is None while unknown, or when nobody could make it out."""

    speaker: Speaker
    item: str
    start_ms: int
    end_ms: int | None = None
    text: str | None = None
    cut: bool = False


class Timeline:
    """Entries and turns of one call. ``watch`` sees each entry as it is added (the demo's screen, the log)."""

    def __init__(self, watch: Callable[[Entry], None] | None = None) -> None:
        self.entries: list[Entry] = []
        self.turns: list[Turn] = []
        self._watch = watch
        self._open: dict[str, Turn] = {}

    def add(self, at_ms: int, kind: str, /, **data: Any) -> None:
        """Records that something happened."""
        entry = Entry(at_ms, kind, data)
        self.entries.append(entry)
        if self._watch is not None:
            self._watch(entry)

    def begin(self, at_ms: int, speaker: Speaker, item: str, text: str | None = None) -> Turn:
        """Opens a turn; a turn of that item that is already open stays as it is."""
        turn = self._open.get(item)
        if turn is None:
            turn = Turn(speaker, item, at_ms, text=text)
            self._open[item] = turn
            self.turns.append(turn)
        return turn

    def end(self, at_ms: int, item: str, *, text: str | None = None, cut: bool = False) -> Turn | None:
        """Closes the turn of an item; None when it never began."""
        turn = self._open.pop(item, None)
        if turn is not None:
            turn.end_ms = at_ms
            turn.cut = cut
            turn.text = text if text is not None else turn.text
        return turn

    def know(self, item: str, text: str) -> None:
        """What was said in a turn, whether it is still open or not."""
        for turn in reversed(self.turns):
            if turn.item == item:
                turn.text = text
                return

    def close(self, at_ms: int) -> None:
        """Ends every turn that is still open: the line went away in the middle of it."""
        for item in list(self._open):
            self.end(at_ms, item, cut=True)

    def learner_turns(self) -> list[Turn]:
        """The learner's turns so far, in order."""
        return [turn for turn in self.turns if turn.speaker == "learner"]

    def of(self, kind: str) -> list[Entry]:
        """The entries of one kind, in order."""
        return [entry for entry in self.entries if entry.kind == kind]
