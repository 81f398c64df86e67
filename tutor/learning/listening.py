"""Which phrases are listened to and repeated when no model speaks: what is due, the class's words, then a scene's.

Pure: the same cards, material and scenes give the same phrases. Knows no keypad, no database and no call.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tutor.learning.review import ReviewCard
from tutor.learning.said import Said, estimate_s
from tutor.script.catalogue import Catalogue
from tutor.script.class_prompt import ClassPrompt
from tutor.script.due import due_items
from tutor.script.language import Language
from tutor.script.scene import Scene
from tutor.talk.goals import words

FEWEST: Final = 6
"""Further scenes are gone through until there are so many."""
MOST: Final = 10
"""Said twice, with a pause for repeating, that takes some three minutes."""
MOST_CARDS: Final = 4
MOST_WORDS: Final = 3
"""Of the class's; so that a scene's whole phrases always have a part."""
PHRASE_S: Final = 12.0
"""The longest phrase, said slowly: nobody repeats a longer one from memory."""
_WHOLE: Final = 2
"""The hint's rung that is the whole phrase."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """Something to repeat, in the language being learned."""

    text: str
    can_do: str = ""
    """What it gets done, as a verb phrase in the learner's own language; empty where that is not known."""


def meanings(catalogue: Catalogue, native: Language) -> dict[str, str]:
    """What cards' situations, which are in English, are in a native language: the can-dos of the catalogue's goals."""
    return {
        goal.can_do: native.scenes[scenario.id].can_do[goal.id]
        for scenario in catalogue.scenarios
        if native.tells(scenario.id)
        for goal in scenario.goals
    }


def choose(
    cards: Iterable[ReviewCard],
    material: ClassPrompt | None,
    scenes: Iterable[Scene],
    target: Language,
    *,
    meaning: Mapping[str, str],
    seed: int,
) -> tuple[Phrase, ...]:
    """At most ``MOST`` phrases, none twice and none that the class keeps out.

    Args:
        cards: what is due, the most urgent first; patterns are no phrases.
        material: the class's of today, or none.
        scenes: the recommended one first; only as many are looked at as are needed.
        target: the language of all of it.
        meaning: what cards' situations are in the learner's own language (``meanings``).
        seed: of the call, from 0; the class's words go round with it.

    Raises:
        ValueError: ``seed`` is negative.
    """
    kept_out = [words(item) for item in material.avoid] if material is not None else []
    found: dict[tuple[str, ...], Phrase] = {}

    def add(phrases: Sequence[Phrase], most: int = MOST) -> None:
        before = len(found)
        for phrase in phrases:
            key = tuple(words(phrase.text))
            full = len(found) - before >= most or len(found) >= MOST
            if key and not full and _short(phrase.text, target) and not any(_holds(key, out) for out in kept_out):
                found.setdefault(key, phrase)

    add([Phrase(card.text, meaning.get(card.situation, "")) for card in cards if card.kind != "focus"], MOST_CARDS)
    if material is not None:
        add([Phrase(item) for item in due_items(material, seed)], MOST_WORDS)
    for scene in scenes:
        goals = sorted(scene.scenario.goals, key=lambda goal: goal.order)
        add([Phrase(scene.hint(goal.id, _WHOLE), scene.can_do(goal.id)) for goal in goals])
        if len(found) >= FEWEST:
            break
    return tuple(found.values())


def _short(text: str, target: Language) -> bool:
    return estimate_s([Said.of(text, target, slow=True)]) <= PHRASE_S


def _holds(key: tuple[str, ...], item: list[str]) -> bool:
    """Whether the words of an item stand together in a phrase."""
    return bool(item) and any(list(key[at : at + len(item)]) == item for at in range(len(key)))
