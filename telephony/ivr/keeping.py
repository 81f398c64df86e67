"""What a caller may agree to have kept, and how that is said: the sound of their calls for a day, what they tell.

Pure values, like the menu that asks; it knows neither whether something is offered nor what becomes of an answer.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from tutor.script.language import Language

SOUND, FACTS, TELL = "7", "8", "9"
"""The keys in the settings: each of the two takes back what was agreed to; it is agreed to only where 9 told of it."""


class Agreed(NamedTuple):
    """What a caller agreed to; None: it is not offered to them."""

    sound: bool | None = None
    facts: bool | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that mean something."""
        offered = (*((SOUND,) if self.sound is not None else ()), *((FACTS,) if self.facts is not None else ()))
        return (*offered, TELL) if offered else ()

    def of(self, key: str) -> bool | None:
        """Whether what is behind a key was agreed to; None: there is nothing behind it."""
        return {SOUND: self.sound, FACTS: self.facts}.get(key)

    def turned(self, key: str) -> Agreed:
        """The same with the other answer behind a key."""
        return self._replace(sound=not self.sound) if key == SOUND else self._replace(facts=not self.facts)


NOTHING: Final = Agreed()


def told(native: Language, agreed: Agreed) -> tuple[str, ...]:
    """What is offered, and how it stands, each with its key; then the way back."""
    kept = (("sound", agreed.sound), ("facts", agreed.facts))
    offers = [native.say(f"keeping.{name}_{'on' if on else 'ask'}") for name, on in kept if on is not None]
    return *offers, native.say("keeping.back")


def turned(native: Language, agreed: Agreed, key: str) -> str:
    """What is said to the key that has just turned an answer into ``agreed``."""
    name = "sound" if key == SOUND else "facts"
    return native.say(f"keeping.{name}_{'agreed' if agreed.of(key) else 'ended'}")
