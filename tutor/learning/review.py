"""What a learner meets again, and when: phrases, class items and patterns, spaced by FSRS (tutoring.md §3.8).

A due card is an opportunity that the role makes, never a quiz; its rating comes from what was said. Pure: knows no
database and no running call.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

from fsrs import Card, Rating, Scheduler

from tutor.learning.coverage import UNSPACED, Coverage
from tutor.learning.evidence import WHOLE, Evidence, Kind
from tutor.learning.facts import Facts
from tutor.script.class_prompt import ClassPrompt
from tutor.script.due import MAX_DUE, due_items
from tutor.script.language import Language
from tutor.script.scene import Scene
from tutor.talk.goals import words

MOST_DUE: Final = 5
"""Cards that one call may bring up."""

MOST_NEW: Final = 3
"""Cards that one call may leave."""

MOST_WORDS: Final = 6
"""A phrase is a chunk of at most so many words; two characters count as one where nothing is written between words."""

AVOIDED: Final = 2
"""An item that was let pass so often is to be learned again."""

RETENTION: Final = 0.85
MOST_DAYS: Final = 120

_ENDS = re.compile(r"[.,;:!?¡¿…。，、；：！？]+")


@dataclass(frozen=True, slots=True)
class ReviewCard:
    """One thing that a learner meets again, in one language."""

    kind: Kind
    text: str
    """In the language being learned; of a ``focus``, the type of the pattern."""
    situation: str
    """What it gets done, in English, for the role (``order a drink``); may be empty."""
    state: Mapping[str, Any]
    """JSON values: ``card`` as FSRS keeps it, ``passed`` opportunities since the last review, and ``seen``: the last
    call that was looked at, in ISO 8601."""

    @classmethod
    def new(cls, kind: Kind, text: str, situation: str, now: datetime) -> ReviewCard:
        """A card that is due from ``now`` on (an aware time); that call itself tells nothing about it any more."""
        at = _utc(now)
        # FSRS would take the clock for a number of its own, which nothing here needs.
        return cls(kind, text, situation, _state(Card(card_id=0, due=at), 0, at))

    @property
    def due_at(self) -> datetime:
        """From when on the next call should bring it up, in UTC."""
        return datetime.fromisoformat(self.state["card"]["due"])

    @property
    def key(self) -> tuple[Kind, str]:
        """What makes two cards one: the kind, and the words without case, accents and marks."""
        return self.kind, " ".join(words(self.text)) or self.text.casefold()


@cache
def scheduler(fuzzing: bool) -> Scheduler:
    """FSRS for telephone calls: no steps of minutes, 85 % retention, at most 120 days, spread by chance or not."""
    return Scheduler(
        desired_retention=RETENTION,
        learning_steps=(),
        relearning_steps=(),
        maximum_interval=MOST_DAYS,
        enable_fuzzing=fuzzing,
    )


def rating(evidence: Evidence, passed: int = 0) -> Rating | None:
    """What FSRS is told; None without an opportunity, and for the first one that was let pass.

    Used by oneself is Good, and Easy when it came fast; after a part of it Hard; after all of it Again, and so is
    what was let pass twice, ``passed`` times of them before this call.
    """
    if evidence.rung == WHOLE:
        return Rating.Again
    if evidence.used:
        if evidence.rung is not None:
            return Rating.Hard
        return Rating.Easy if evidence.fast else Rating.Good
    return Rating.Again if evidence.passed and passed + evidence.passed >= AVOIDED else None


def reviewed(card: ReviewCard, evidence: Evidence, now: datetime, *, fuzzing: bool = True) -> ReviewCard:
    """The card after a call; itself when the call tells nothing, or was looked at before.

    Args:
        now: when the call began or ended, an aware time, always the same for one call: so a second look at it, or at
            an earlier one, changes nothing.
        fuzzing: whether the next date is spread by chance, so that what was learned together does not stay together.
    """
    at, passed = _utc(now), int(card.state["passed"])
    if at <= datetime.fromisoformat(card.state["seen"]):
        return card
    given = rating(evidence, passed)
    if given is None:
        if not evidence.passed:
            return card
        return replace(card, state={**card.state, "passed": passed + evidence.passed, "seen": at.isoformat()})
    scheduled, _ = scheduler(fuzzing).review_card(Card.from_dict(card.state["card"]), given, at)
    return replace(card, state=_state(scheduled, 0, at))


def due(cards: Iterable[ReviewCard], now: datetime, most: int = MOST_DUE) -> tuple[ReviewCard, ...]:
    """What the next call brings up: the longest due first, at most ``most``, and one pattern at most among them.

    Raises:
        ValueError: ``most`` is negative.
    """
    if most < 0:
        raise ValueError(f"due takes no negative number, not {most}")
    at = _utc(now)
    waiting = sorted((card for card in cards if card.due_at <= at), key=lambda card: (card.due_at, card.key))
    pattern = next((card for card in waiting if card.kind == "focus"), None)
    return tuple(card for card in waiting if card.kind != "focus" or card is pattern)[:most]


def opportunities(
    cards: Iterable[ReviewCard], material: ClassPrompt | None, seed: int, limit: int = MAX_DUE
) -> tuple[str, ...]:
    """The items that one call makes needed (``Scene.due``): what the class must use, these due cards, then its words.

    Patterns are no items; they are the call's focus. What the class keeps out is never due, and nothing is due twice.
    Calls with consecutive seeds still go through the whole vocabulary: it rotates in the room that the cards leave.

    Args:
        cards: as ``due`` chose them.
        material: the class's of today, or none.
        seed: of the call; as ``due_items`` takes it.
        limit: of all of them together.

    Raises:
        ValueError: ``limit`` or ``seed`` is negative.
    """
    texts = [card.text for card in cards if card.kind != "focus"]
    if material is None:
        return tuple(texts[:limit])
    kept_out, must = _folded(material.avoid), _folded(material.must_use)
    texts = [text for text in texts if text.casefold() not in kept_out | must]
    own = _folded(texts)
    others = due_items(material, seed, max(limit - len(texts), min(limit, len(must))))
    items = [item for item in others if item.casefold() not in own]
    first = [item for item in items if item.casefold() in must]
    return (*first, *texts, *items[len(first) :])[:limit]


def new_cards(
    scene: Scene,
    facts: Facts,
    now: datetime,
    *,
    known: Iterable[ReviewCard] = (),
    kept: str = "",
    covered: Coverage | None = None,
    focus: str = "",
) -> tuple[ReviewCard, ...]:
    """At most three new cards of a call, due from ``now`` on: what the learner needed most.

    First the pattern, then phrases for which help was asked (all of it before a part), the phrase to keep, and class
    items that came up, those that only the role used before the others. After a safe exit nothing is kept.

    Args:
        known: the learner's cards in this language.
        kept: the phrase that the debrief gave to keep, or empty.
        covered: which class items came up (``tutor.learning.coverage``).
        focus: the type of the learner's pattern (``tutor.learning.focus.Focus.type``), or empty.
    """
    if facts.safe_exit:
        return ()
    had = {card.key for card in known}
    fresh: list[ReviewCard] = []
    for kind, text, situation in _candidates(scene, facts, kept, covered or Coverage(), focus):
        card = ReviewCard.new(kind, text, situation, now)
        if text and card.key not in had:
            had.add(card.key)
            fresh.append(card)
    return tuple(fresh[:MOST_NEW])


def _candidates(
    scene: Scene, facts: Facts, kept: str, covered: Coverage, focus: str
) -> Iterator[tuple[Kind, str, str]]:
    if focus:
        yield "focus", focus, ""
    able = {goal.id: goal.can_do for goal in scene.scenario.goals}
    for hint in sorted(facts.hints, key=lambda hint: -hint.rung):
        if hint.goal in able:
            phrase = chunk(scene.hint(hint.goal, WHOLE), scene.target, around=scene.hint(hint.goal, 0))
            yield "phrase", phrase, able[hint.goal]
    if kept:
        of = next((goal for goal in able if words(scene.hint(goal, WHOLE)) == words(kept)), None)
        around = scene.hint(of, 0) if of is not None else ""
        yield "phrase", chunk(kept, scene.target, around=around), able[of] if of is not None else ""
    material = scene.class_prompt
    if material is not None:
        items = {*material.vocabulary, *material.must_use} - {*material.avoid}
        only_role = [item for item in covered.used_by_role if item not in covered.used_by_learner]
        for item in (*only_role, *covered.used_by_learner):
            if item in items:
                yield "class", item, ""


def chunk(phrase: str, language: Language, *, around: str = "") -> str:
    """A phrase in at most six words: itself, else the longest of its parts, one with ``around`` first, else its start.

    A part is what stands between two marks of punctuation.
    """
    if _length(phrase, language) <= MOST_WORDS:
        return phrase.strip()
    parts = [part.strip() for part in _ENDS.split(phrase) if part.strip()]
    core = " ".join(words(around))
    able = [part for part in parts if _length(part, language) <= MOST_WORDS]
    best = max(able or parts, key=lambda part: (bool(core) and core in " ".join(words(part)), _length(part, language)))
    if able:
        return best
    return best[: 2 * MOST_WORDS] if language.base in UNSPACED else " ".join(best.split()[:MOST_WORDS])


def _length(text: str, language: Language) -> int:
    """How many words a text has."""
    if language.base in UNSPACED:
        return -(-sum(char.isalnum() for char in text) // 2)
    return len(text.split())


def _folded(items: Iterable[str]) -> set[str]:
    return {item.casefold() for item in items}


def _state(card: Card, passed: int, seen: datetime) -> dict[str, Any]:
    return {"card": dict(card.to_dict()), "passed": passed, "seen": seen.isoformat()}


def _utc(at: datetime) -> datetime:
    """In UTC as FSRS wants it: other names of it would be refused."""
    if at.tzinfo is None:
        raise ValueError("a review needs a time with its zone; this one has none")
    return at.astimezone(UTC)
