"""What earlier calls say about the next one: how long to wait, how much to help, what to practise, what to remember.

Built from measures and notes alone, so that doing it twice gives the same. Pure: knows no database and no clock;
nothing of it is told to a learner.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Annotated, Any, Protocol

import msgspec
from msgspec import Meta

from tutor.learning.focus import RECURRENT_SESSIONS, Focus, focus
from tutor.learning.patterns import RECENT_CALLS, CallNotes, Pattern, patterns
from tutor.safety.personal import redact
from tutor.script.prompt import MAX_CARD_CHARS, MAX_CARD_WORDS, harmless

LEAST_CALLS = 2
"""One call says nothing: nobody is treated differently because of a bad day."""

LONGEST_LATENCY_MS = 600_000

CARD_CAN_DOS = 5
CARD_TOPICS = 10
"""What a learner said they like or did, in the last calls (tutoring.md §1A rows 149 and 150)."""
CARD_FACTS = 5


class Measured(Protocol):
    """What is needed of a call's measures (``metrics.Measures``)."""

    @property
    def learner_turns(self) -> int: ...
    @property
    def median_latency_ms(self) -> float | None: ...


@dataclass(frozen=True, slots=True)
class Observed:
    """One call, as far as it says something about the next."""

    measures: Measured
    notes: CallNotes
    confidence: float | None = None
    """0 to 1 against the learner's own first calls; None: not known."""
    noisy: bool = False
    """Whether the line was noisy: then answers did not take as long as was measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A learner's personal parameters in one language; an empty one is everybody's."""

    calls: Annotated[int, Meta(ge=0)] = 0
    """How many calls it is drawn from, at most ten; 0 while there are fewer than two."""
    typical_latency_ms: Annotated[int, Meta(ge=0, le=LONGEST_LATENCY_MS)] | None = None
    """The median over the last five calls of the median time to answer."""
    confidence: Annotated[float, Meta(ge=0, le=1)] | None = None
    """The median over the last five calls."""
    focus: Focus | None = None
    """What the next call practises without saying so."""
    patterns: tuple[Pattern, ...] = ()
    """Kinds of error over the last ten calls, by type."""
    goals: tuple[str, ...] = ()
    """Ids of weak goals, by their letters (``recommend.weak_goals``)."""

    @classmethod
    def read(cls, kept: Mapping[str, Any]) -> Profile:
        """From what ``write`` gave.

        Raises:
            ValueError: a field is out of its range; the message names it.
        """
        return msgspec.convert(kept, cls)

    def write(self) -> dict[str, Any]:
        """As JSON values."""
        return dict(msgspec.to_builtins(self))

    def needs(self) -> dict[str, Any]:
        """What ``Needs.read`` takes besides a learner's own settings; what is not known is left out."""
        known = {"typical_latency_ms": self.typical_latency_ms, "confidence": self.confidence}
        return {name: value for name, value in known.items() if value is not None}

    def weak_patterns(self) -> tuple[str, ...]:
        """Kinds of error that want practice: they hide the meaning, or come back and are not on their way out."""
        return tuple(
            pattern.type
            for pattern in self.patterns
            if pattern.blocking or (pattern.sessions >= RECURRENT_SESSIONS and pattern.trend != "improving")
        )


def profile(observed: Sequence[Observed], language_tag: str, *, goals: Collection[str] = ()) -> Profile:
    """The parameters for the next call.

    Args:
        observed: calls of one learner in one language, newest last. Those without a learner turn are skipped.
        language_tag: the language being learned (``es``, ``es-PR``).
        goals: ids of weak goals.
    """
    spoken = [call for call in observed if call.measures.learner_turns > 0][-2 * RECENT_CALLS :]
    if len(spoken) < LEAST_CALLS:
        return Profile()
    recent = spoken[-RECENT_CALLS:]
    latency_ms = _typical(call.measures.median_latency_ms for call in recent if not call.noisy)
    found = patterns([call.notes for call in spoken])
    return Profile(
        calls=len(spoken),
        typical_latency_ms=None if latency_ms is None else min(LONGEST_LATENCY_MS, max(0, round(latency_ms))),
        confidence=_typical(call.confidence for call in recent),
        focus=focus(found, language_tag),
        patterns=found,
        goals=tuple(sorted(set(goals))),
    )


def _typical(values: Iterable[float | None]) -> float | None:
    """The median of what is known, from two values on."""
    known = [value for value in values if value is not None]
    return float(median(known)) if len(known) >= LEAST_CALLS else None


def learner_card(
    *,
    level: str,
    can_dos: Sequence[str] = (),
    topics: Sequence[str] = (),
    facts: Sequence[str] = (),
    remember: bool = False,
    focus: Focus | None = None,
) -> str:
    """What the role may remember of a caller, in English: at most 120 words and 600 characters, cut between items.

    Long numbers and addresses are masked, and nothing in it can end a quotation.

    Args:
        level: the caller's.
        can_dos: what was reached lately ("order a drink"), newest first.
        topics: what they talked about, newest first.
        facts: what they told about themselves, newest first.
        remember: whether they agreed that facts are kept; without it none appears.
        focus: what the call practises.
    """
    card = _Card()
    card.add("Practises at", (level,), 1)
    if focus is not None:
        card.add("Practised quietly, never to be mentioned:", (focus.type.replace("_", " "),), 1)
    card.add("Has lately managed to:", can_dos, CARD_CAN_DOS)
    card.add("Has talked about:", topics, CARD_TOPICS)
    card.add("Has told:", facts if remember else (), CARD_FACTS)
    return card.text


@dataclass(slots=True)
class _Card:
    """A text that grows by whole items as long as there is room."""

    text: str = ""
    said: set[str] = field(default_factory=set)

    def add(self, title: str, items: Iterable[str], most: int) -> None:
        """Adds a sentence with the first items that are new and fit; nothing when none does."""
        kept: list[str] = []
        for item in items:
            words = harmless(redact(item)).strip(" .;")
            if not words or words.casefold() in self.said or len(kept) == most:
                continue
            if self._fits(self._with(title, [*kept, words])):
                kept.append(words)
                self.said.add(words.casefold())
        if kept:
            self.text = self._with(title, kept)

    def _with(self, title: str, items: Sequence[str]) -> str:
        return f"{self.text} {title} {'; '.join(items)}.".lstrip()

    def _fits(self, text: str) -> bool:
        return len(text) <= MAX_CARD_CHARS and len(text.split()) <= MAX_CARD_WORDS
