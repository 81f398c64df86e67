"""What of a call is to be remembered, and what forgotten: topics and facts that were noted, in their order.

Whoever says "forget that" is obeyed for all they told before, also in the call that this one goes on with. Pure: knows
no database, and not whether anybody agreed to anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tutor.learning.recorded import EventRecord

_NOTED = {"topic": "topic", "fact": "fact"}
"""Kinds of entries with something to remember, and the field that holds it."""


@dataclass(frozen=True, slots=True)
class Recall:
    """What a call leaves behind of what was told in it."""

    topics: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    dropped_topics: tuple[str, ...] = ()
    dropped_facts: tuple[str, ...] = ()
    """What was told, and then was to be forgotten: it may have been kept by the call that this one goes on with."""
    everything: bool = False
    """Whether all of earlier calls is to be forgotten too."""


def recall(events: Iterable[EventRecord]) -> Recall:
    """Reads the events of a call, and before them, at negative times, those of the call it goes on with.

    Both are one play, of which this call keeps all: that one may have kept nothing yet.
    """
    kept: dict[str, list[str]] = {"topic": [], "fact": []}
    dropped: dict[str, list[str]] = {"topic": [], "fact": []}
    everything = False
    for event in events:
        field = _NOTED.get(event.kind)
        if field is not None and (words := str(event.data.get(field) or "")):
            kept[event.kind].append(words)
        elif event.kind == "forget":
            everything = everything or event.data.get("what") == "everything"
            for kind, noted in kept.items():
                dropped[kind] += noted
                noted.clear()
    topics, facts = (tuple(dict.fromkeys(kept[kind])) for kind in ("topic", "fact"))
    return Recall(topics, facts, tuple(dropped["topic"]), tuple(dropped["fact"]), everything)
