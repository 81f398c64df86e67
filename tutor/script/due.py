"""Which items of a class's material one call should make needed: a handful, never all of them.

Pure: the same material and seed give the same items. Knows no learner and no call.
"""

from __future__ import annotations

from tutor.script.class_prompt import ClassPrompt

MAX_DUE = 8
"""Five to eight items fit into a call of five to ten minutes (tutoring.md §1A row 5)."""


def due_items(material: ClassPrompt, seed: int, limit: int = MAX_DUE) -> tuple[str, ...]:
    """At most ``limit`` items: those of ``must_use`` first, then words of the vocabulary by rotation.

    Consecutive seeds go through the whole vocabulary, so that every word comes up within as many calls as it takes.
    What the class keeps out is never due, and nothing is due twice. Structures are not items: they are practised all
    the time.

    Raises:
        ValueError: ``limit`` or ``seed`` is negative.
    """
    if limit < 0 or seed < 0:
        raise ValueError(f"due_items takes no negative numbers, not limit {limit} and seed {seed}")
    kept_out = {item.casefold() for item in material.avoid}
    needed = _once(material.must_use, kept_out)[:limit]
    others = _once(material.vocabulary, kept_out | {item.casefold() for item in needed})
    room = limit - len(needed)
    if len(others) <= room:
        return (*needed, *others)
    first = seed * room % len(others)
    return (*needed, *(others[(first + at) % len(others)] for at in range(room)))


def _once(items: tuple[str, ...], without: set[str]) -> list[str]:
    """The items in their order, without repetitions and without those of ``without`` (casefolded)."""
    kept: dict[str, str] = {}
    for item in items:
        if item and item.casefold() not in without:
            kept.setdefault(item.casefold(), item)
    return list(kept.values())
