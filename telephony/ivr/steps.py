"""What a menu can ask of a telephone: say this and wait for an answer, begin a scene, hang up, look up who calls.

Pure values; how they are rendered, and who answers, is not known here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from tutor.learning.said import Line

PROMPT_LIMIT_S: Final = 20.0
"""No instruction is longer: what guidance for keypad menus allows one."""
NO_INPUT_S: Final = 5
"""Silence after a prompt before the caller is asked again."""
MAX_PROMPTS: Final = 25
"""A call that still has not chosen is ended kindly: some callers are machines."""

SPOKEN: Final = "say:"
"""Stands before an answer that was spoken, where answers are kept: no key begins like this."""

Takes = Literal["key", "pin", "speech"]
"""What answers a prompt: one key, the four digits of a PIN, or a few sentences (a key ends those, too)."""

PinAnswer = Literal["unknown", "locked"]
"""What is kept of a PIN that was entered, instead of its digits. A right one begins another menu."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Say this, interruptible, and wait ``timeout_s`` for an answer."""

    says: tuple[Line, ...]
    timeout_s: int = NO_INPUT_S
    takes: Takes = "key"


@dataclass(frozen=True, slots=True)
class Begin:
    """Say this and start the scene."""

    scenario: str
    slower: bool
    says: tuple[Line, ...]
    again: bool = False
    """Whether it goes on where the caller's last call broke off."""


@dataclass(frozen=True, slots=True)
class Goodbye:
    """Say this and hang up."""

    says: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Identify:
    """The caller is this learner, or (None) a guest: go on with the menu that is theirs."""

    learner: str | None


@dataclass(frozen=True, slots=True)
class Choose:
    """Go on with the questions about languages and level."""

    greet: bool = False
    """Whether it must still be said who answers, in the language that is chosen."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The caller's languages and level are these: go on with the menu that is theirs."""

    native: str
    """A tag, as that of the target."""
    target: str
    level: str


Step = Ask | Begin | Goodbye | Identify | Choose | Chosen
