"""Calls written by hand as the line keeps them: turns and events, for the tests of what is measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tutor.learning.timeline import Speaker

NOTICED_MS = 100
"""By so much the voice detection notices a voice after it began."""

PADDING_MS = 300
"""What it counts as speech before that."""


@dataclass
class Turn:
    """A turn as it is kept."""

    speaker: Speaker
    start_ms: int
    end_ms: int | None
    text: str | None = None
    cut: bool = False


@dataclass
class Event:
    """An event as it is kept."""

    at_ms: int
    kind: str
    data: dict[str, Any] = field(default_factory=dict)


@dataclass
class Told:
    """One call, told from its beginning. The model's count of audio begins with the call."""

    silence_ms: int
    native: str = "en"
    turns: list[Turn] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.add(0, "began", native=self.native)

    def add(self, at_ms: int, kind: str, /, **data: Any) -> Told:
        """Something happened."""
        self.events.append(Event(at_ms, kind, data))
        return self

    def key(self, at_ms: int, digit: str, *, spoken: bool = False) -> Told:
        """A key was pressed, or what it does was asked for in words."""
        return self.add(at_ms, "key", digit=digit, **({"spoken": True} if spoken else {}))

    def role(
        self, start_ms: int, end_ms: int, text: str = "", *, answered_ms: int | None = None, cut: bool = False
    ) -> Told:
        """The role was heard."""
        self.turns.append(Turn("role", start_ms, end_ms, text or None, cut))
        return self.add(start_ms, "role_began", item=f"role-{start_ms}", answered_ms=answered_ms)

    def helper(self, start_ms: int, end_ms: int, text: str = "") -> Told:
        """The helper was heard."""
        self.turns.append(Turn("helper", start_ms, end_ms, text or None))
        return self

    def learner(
        self,
        start_ms: int,
        end_ms: int,
        text: str | None,
        *,
        segments: Sequence[tuple[int, int]] = (),
        cut: bool = False,
    ) -> Told:
        """The learner's voice sounded from ``start_ms`` to ``end_ms``; with ``cut`` the line went away at its end."""
        item = f"learner-{start_ms}"
        noticed_ms = start_ms + NOTICED_MS
        stopped_ms = end_ms if cut else end_ms + self.silence_ms
        self.add(noticed_ms, "learner_started", item=item, audio_ms=start_ms - PADDING_MS)
        self.turns.append(Turn("learner", noticed_ms, stopped_ms, text, cut))
        for begins_ms, ends_ms in segments:
            self.add(ends_ms, "speech", start_ms=begins_ms, end_ms=ends_ms)
        if not cut:
            self.add(stopped_ms, "learner_stopped", item=item, audio_ms=stopped_ms)
            self.add(stopped_ms + 200, "learner_said", item=item, text=text or None)
        return self
