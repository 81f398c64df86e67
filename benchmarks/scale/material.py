"""What calls leave behind, as the product itself writes it: measures, menus, debriefs, cards, profiles, all as JSON.

A few dozen of each, made by the product's own functions from made-up conversations; rows share them. No database.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from benchmarks.scale.world import LEVELS, PAIRS, SCENES, TURNS
from telephony.ivr.record import MenuRecord
from tutor.learning import placement
from tutor.learning.debrief import plain
from tutor.learning.evidence import Evidence
from tutor.learning.facts import Facts, Reached
from tutor.learning.metrics import measure
from tutor.learning.patterns import CallNotes
from tutor.learning.profile import Observed, profile
from tutor.learning.review import ReviewCard, reviewed
from tutor.learning.tellings import for_family
from tutor.script.catalogue import Catalogue

SAID: Final = {
    "es": ("¡Hola! ¿Qué le pongo?", "Hola, quisiera un café con leche, por favor."),
    "en": ("Good morning! What can I get you?", "Hello, I would like a small coffee, please."),
    "fr": ("Bonjour ! Que désirez-vous ?", "Bonjour, je voudrais un café, s'il vous plaît."),
    "de": ("Guten Morgen! Was darf es sein?", "Guten Tag, ich hätte gern einen Kaffee, bitte."),
    "it": ("Buongiorno! Che cosa prende?", "Buongiorno, vorrei un caffè, per favore."),
}
"""What role and learner say, by the language they practise."""

VARIANTS: Final = 4
"""Of a conversation in one language: how fast the learner answers."""
_TARGETS: Final = {target: place for place, target in enumerate(SAID)}
NOTES: Final = ("ser_estar", "gender_agreement", "articles")


@dataclass(frozen=True, slots=True)
class _Turn:
    speaker: str
    text: str | None
    start_ms: int
    end_ms: int
    cut: bool = False
    item_id: str | None = None
    ordinal: int = 0


@dataclass(frozen=True, slots=True)
class _Event:
    kind: str
    at_ms: int
    data: dict[str, Any] = field(default_factory=dict)


def conversation(turns: int, target: str, latency_ms: int = 900) -> list[_Turn]:
    """Role and learner in turn, the learner ``turns`` times, and the role's last word."""
    role, learner = SAID[target]
    said, at_ms = [], 0
    for number in range(turns):
        said.append(_Turn("role", role, at_ms, at_ms + 3_200, item_id=f"item_r{number}"))
        began = at_ms + 3_200 + latency_ms
        said.append(_Turn("learner", learner, began, began + 2_600, item_id=f"item_l{number}"))
        at_ms = began + 3_600
    return [*said, _Turn("role", role, at_ms, at_ms + 1_500, item_id="item_end")]


def events(turns: int, goals: tuple[str, ...], variant: int) -> list[_Event]:
    """Goals on the way, a hint, a slower voice, notes of the role and a topic."""
    happened = [
        _Event("goal", 20_000 * (number + 1), {"goal": goal, "quote": "…", "evidence": "quote"})
        for number, goal in enumerate(goals)
    ]
    if variant % 3 == 0:
        happened.append(_Event("key", 15_000, {"key": "2"}))
    note = {"type": NOTES[variant % len(NOTES)], "severity": "minor", "handling": "recast"}
    happened += [_Event("error_note", 9_000 * (number + 1), dict(note)) for number in range(min(turns, variant % 4))]
    happened.append(_Event("topic", 30_000, {"topic": "weekend plans"}))
    return happened


def dumped(value: Any) -> str:
    """JSON as short as it gets."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class Material:
    """Everything that rows share. By target language unless said otherwise."""

    def __init__(self, catalogue: Catalogue, until: datetime) -> None:
        self._catalogue = catalogue
        self._until = until
        self.goals = {scene: tuple(goal.id for goal in catalogue.scenario(scene).goals)[:3] for scene in SCENES}
        self.measures = [
            self._measures(target, turns, 500 + 130 * variant)
            for target in SAID
            for turns in TURNS
            for variant in range(VARIANTS)
        ]
        self.notes = [
            [
                dumped({"errors": {NOTES[variant % 3]: variant % 4}, "blocking": [], "goals": list(self.goals[scene])})
                for variant in range(12)
            ]
            for scene in SCENES
        ]
        self.debriefs = {
            (pair, scene): self._debrief(*pair, SCENES[scene]) for pair in PAIRS for scene in range(len(SCENES) - 1)
        }
        self.cards = self._cards()
        self.profiles = {target: [self._profile(target, variant) for variant in range(6)] for target in SAID}
        self.ratings = [self._rating(level, calls) for level in LEVELS for calls in range(12)]

    @staticmethod
    def measures_of(target: str, turns: int, variant: int) -> int:
        """Which of the measures are those of such a call."""
        return (_TARGETS[target] * len(TURNS) + TURNS.index(turns)) * VARIANTS + variant

    def menu(self, native: str, target: str, level: str, *, kids: bool) -> str:
        """A menu as it is kept until the words of its call go."""
        record = MenuRecord(
            native=native,
            school="School",
            returning=True,
            scenarios=SCENES[:-1],
            free_talk=True,
            slower=False,
            level=level,
            answers=("1", "1"),
            target=target,
            played=SCENES[:2],
            kids=kids,
            token="g" * 140,
        )
        return dumped(record.write())

    def _measures(self, target: str, turns: int, latency_ms: int) -> str:
        figures = measure(
            target,
            conversation(turns, target, latency_ms),
            events(turns, self.goals["cafe_order"], latency_ms),
            silence_ms=900,
            goals=4,
            band=1_000,
        )
        return dumped(figures.write())

    def _debrief(self, native: str, target: str, scenario: str) -> str:
        scene = self._catalogue.scene(scenario, native=native, target=target, level="A2")
        goals = tuple(Reached(goal, "", True) for goal in self.goals[scenario])
        facts = Facts(scenario, "A2", native, target, turns=9, goals=goals)
        debrief = plain(facts, scene, ("market_fruit", "cafe_order"))
        family = for_family(scene.native, facts, debrief).write()
        told = {
            "native": native,
            "target": target,
            "next_key": "1",
            "family": family,
            "teacher": {"topics": ["gender"]},
        }
        return dumped(debrief.write() | told)

    def _cards(self) -> list[tuple[str, str, str]]:
        """(kind, state, due, as text) of cards that are due, and of others that are not yet."""
        found = []
        for age in range(40):
            kind = ("phrase", "phrase", "class", "focus")[age % 4]
            began = self._until - timedelta(days=2 + age)
            card = ReviewCard.new(kind, "x", "", began)  # type: ignore[arg-type]
            if age % 3:
                card = reviewed(card, Evidence(used=True), began + timedelta(hours=20), fuzzing=False)
            found.append((kind, dumped(dict(card.state)), card.due_at.isoformat()))
        return found

    def _profile(self, target: str, variant: int) -> str:
        class Figures:
            learner_turns = 9
            median_latency_ms = 900.0 + 200 * variant

        notes = CallNotes(9, {NOTES[variant % 3]: 2}, frozenset({NOTES[0]}))
        return dumped(profile([Observed(Figures(), notes, 0.5) for _ in range(6)], target).write())

    def _rating(self, level: str, calls: int) -> tuple[float, str]:
        rating, at = placement.Rating.start(level), self._until - timedelta(days=20)
        for number in range(calls):
            rating = placement.rated(rating, 0.5 + 0.03 * number, rating.theta, at + timedelta(days=number))
        return rating.theta, dumped(rating.write())
