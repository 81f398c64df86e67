"""What goes into a conversation (events) and what comes out of it (commands).

The model's own events (`tutor.realtime.protocol`) go in unchanged; these are the ones of the telephone and of what
the caller has heard. "Heard" always means played to the caller, never sent or generated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tutor.realtime.protocol import ModelEvent, Reply

# --- events


@dataclass(frozen=True, slots=True)
class Began:
    """The caller's media is there and the model's session is set."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key press."""

    digit: str


@dataclass(frozen=True, slots=True)
class Playing:
    """The first sound of a role's item left for the caller."""

    item: str


@dataclass(frozen=True, slots=True)
class Heard:
    """A role's item was heard whole."""

    item: str
    text: str


@dataclass(frozen=True, slots=True)
class Cut:
    """A role's item was cut off; ``text`` is the part that was heard."""

    item: str
    heard_ms: int
    text: str


@dataclass(frozen=True, slots=True)
class SayHeard:
    """A fixed text, a replay or an aside was heard whole."""

    ref: str


@dataclass(frozen=True, slots=True)
class SayCut:
    """A fixed text, a replay or an aside was cut off, or could not be spoken."""

    ref: str


@dataclass(frozen=True, slots=True)
class ModelLost:
    """The model's session is gone, or could not be opened; ``again``: another might.

    ``unfinished`` are items of the role that still sound and stop short: (item, what there is of its text).
    """

    again: bool
    unfinished: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ModelBack:
    """A new session is set; it knows nothing of the conversation yet."""


@dataclass(frozen=True, slots=True)
class HungUp:
    """The caller's media ended."""

    by: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Noisy:
    """It is loud around the caller: speech hardly stands out from the noise."""


@dataclass(frozen=True, slots=True)
class EndBy:
    """The call may not last longer than until then: a day's minutes, or a budget, run out."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class Moderated:
    """What a second listener found in a turn, some time after it: category -> whether it was found."""

    item: str
    categories: Mapping[str, bool]


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed: `Conversation.next_due_ms` has come."""


Event = (
    Began
    | Key
    | Playing
    | Heard
    | Cut
    | SayHeard
    | SayCut
    | ModelLost
    | ModelBack
    | HungUp
    | Noisy
    | EndBy
    | Moderated
    | Tick
    | ModelEvent
)

# --- commands


@dataclass(frozen=True, slots=True)
class Say:
    """Speak a fixed text: from a clip when there is one, else read aloud by the model outside the conversation.

    With ``only_clip`` nothing is read: without a clip it counts as cut at once.
    """

    ref: str
    text: str
    language: str
    only_clip: bool = False


@dataclass(frozen=True, slots=True)
class Replay:
    """Play the role's last turn again from our own buffer."""

    ref: str


@dataclass(frozen=True, slots=True)
class Aside:
    """Ask the model for a spoken answer outside the conversation."""

    ref: str
    instructions: str
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CutRole:
    """Silence the line at once, whoever speaks, and drop what was to come."""


Earcon = Literal["goal", "pause"]
"""Short sounds: a goal was reached; the call still pauses."""


@dataclass(frozen=True, slots=True)
class Chime:
    """Play a short sound."""

    ref: str
    name: Earcon


@dataclass(frozen=True, slots=True)
class Listen:
    """Turn the model's voice detection on (audio kept meanwhile goes first) or off.

    Without ``answer`` the learner's turns are heard and written down, and the role does not answer them.
    """

    on: bool
    answer: bool = True


@dataclass(frozen=True, slots=True)
class Detect:
    """Listen otherwise from now on: ``threshold`` 0-1 of the voice detection, whether the learner's voice cuts."""

    threshold: float | None = None
    interrupt: bool | None = None


@dataclass(frozen=True, slots=True)
class Forget:
    """Take an item out of the model's conversation: it was not meant for the role."""

    item: str


@dataclass(frozen=True, slots=True)
class Seed:
    """Add an earlier turn to the model's conversation as text."""

    speaker: Literal["role", "learner", "note"]
    text: str


@dataclass(frozen=True, slots=True)
class Respond:
    """Ask for the role's next turn, after a note when given."""

    note: str | None = None


@dataclass(frozen=True, slots=True)
class SetSpeed:
    """Change the voice's speed before the role's next turn."""

    speed: float


@dataclass(frozen=True, slots=True)
class AnswerTool:
    """Give the result of a tool."""

    call_id: str
    output: Mapping[str, Any]
    reply: Reply


@dataclass(frozen=True, slots=True)
class Renew:
    """Open a new session with the model; `ModelBack` or `ModelLost` follows."""


@dataclass(frozen=True, slots=True)
class End:
    """Close the caller's media; the reason is on the timeline."""

    reason: str


Command = (
    Say
    | Replay
    | Aside
    | Chime
    | CutRole
    | Listen
    | Detect
    | Forget
    | Seed
    | Respond
    | SetSpeed
    | AnswerTool
    | Renew
    | End
)
