"""One practice scene, free of any language: who answers, where, what to get done, how hard it is.

It is written in English for the model. What a caller hears lives in the language files. Knows no file,
no language and no level card.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta

from tutor.script.level import LEVELS

VOICES = ("alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar")
"""Every voice the realtime API offers. ``nova`` belongs to another product and is refused."""


class UnknownVoice(ValueError):
    """No realtime voice has this name; the message is one sentence that lists those there are."""


def known_voice(name: str) -> str:
    """``name``, when the realtime API has a voice of this name; raises ``UnknownVoice`` otherwise."""
    if name not in VOICES:
        raise UnknownVoice(f"The realtime API has no voice {name}; it has {', '.join(VOICES)}.")
    return name


VEC_DIMENSIONS = ("lexis", "grammar", "discourse", "unpredictability", "social", "phone")
"""What the six numbers of ``Scenario.vec`` measure, in order."""

Rating = Annotated[int, Meta(ge=0, le=4)]
Vec = tuple[Rating, Rating, Rating, Rating, Rating, Rating]
Register = Literal["formal", "informal"]


@dataclass(frozen=True, slots=True)
class Goal:
    """One thing to get done in a scene, observable in what the learner says."""

    id: str
    can_do: str
    """What the learner can do afterwards, as a verb phrase in English ("order a drink")."""
    evidence: str
    """What the model must have heard before it marks the goal."""
    order: int
    """Where the goal usually comes up, from 1."""
    hint_concepts: tuple[str, str, str]
    """What each hint rung gives: keyword, sentence start, whole phrase. Languages spell them out."""
    weight: float = 1.0
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Scenario:
    """A role-play: a role with a voice, a place, a learner's part and goals."""

    id: str
    cefr: tuple[str, ...]
    """Levels the scene was written for, easiest first. "A1+" in a table is A1 and A2 here."""
    vec: Vec
    """Difficulty, 0-4 each: see ``VEC_DIMENSIONS``."""
    key: int
    """Where the scene stands in its level's menu, from 1; free talk is 8 in every menu."""
    minutes: int
    """How long the scene usually takes, 1-15 min."""
    tags: tuple[str, ...]
    kid_ok: bool
    role: str
    personality: str
    setting: str
    learner_role: str
    voice: str
    """The realtime voice of the role; its greeting is spoken with the same one."""
    goals: tuple[Goal, ...]
    success_need: int
    """How many goals of ``success_of`` make the scene a success."""
    success_of: tuple[str, ...]
    register: Register = "formal"
    twists: tuple[str, ...] = ()
    """Small changes, one of them per call, so that a repeated scene stays fresh."""

    @property
    def difficulty(self) -> float:
        """The difficulty *b* on the logit scale of the learner rating, -2.9 to +3.1.

        Starts at ``-2.9 + 0.25 * sum(vec)``: the line through the eighteen scenes that puts each of them
        into the band of its level (boundaries -2.0, -0.7, 0.7, 2.0).
        """
        return -2.9 + 0.25 * sum(self.vec)

    def goal(self, goal_id: str) -> Goal:
        """The goal called ``goal_id``.

        Raises:
            KeyError: the scene has no such goal; the message lists those it has.
        """
        for goal in self.goals:
            if goal.id == goal_id:
                return goal
        raise KeyError(f"scenario {self.id} has no goal {goal_id}; it has {', '.join(g.id for g in self.goals)}")

    def contradictions(self) -> list[tuple[str, str]]:
        """What does not fit together, as (field, what is wrong and what is possible); empty when all is well."""
        ids = [goal.id for goal in self.goals]
        found = []
        if not ids:
            found.append(("goals", "there is none; a scene needs at least one thing to get done"))
        if len(set(ids)) != len(ids):
            found.append(("goals", "two goals have the same id"))
        if not set(self.success_of) <= set(ids):
            found.append(("success_of", f"it may only name {', '.join(ids)}"))
        if not 1 <= self.success_need <= len(self.success_of):
            found.append(("success_need", f"it is {self.success_need}; success_of allows 1 to {len(self.success_of)}"))
        if not self.cefr or not set(self.cefr) <= set(LEVELS):
            found.append(("cefr", f"it takes {', '.join(LEVELS)}"))
        try:
            known_voice(self.voice)
        except UnknownVoice as error:
            found.append(("voice", str(error).rstrip(".")))
        return found
