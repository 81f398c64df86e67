"""Rows of what is remembered of learners: where they stand, what is due, what they talked about and achieved."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from benchmarks.scale.material import Material
from benchmarks.scale.rows import Table, copied, line, times
from benchmarks.scale.school_rows import FACTS
from benchmarks.scale.world import PAIRS, SCENES, Ids, World

MOST_CARDS: Final = 60
CALLS_PER_CARD: Final = 3
MOST_TOPICS: Final = 10
ACHIEVEMENTS: Final = ("first_scene", "coffee_expert", "a_hurdle", "in_full_flow", "solo_flight")
SUBJECTS: Final = ("weekend plans", "football", "her dog", "the sea", "a new job", "school", "cooking", "trains")


class LearnerRows:
    """Of one world."""

    def __init__(self, world: World, material: Material) -> None:
        self._world = world
        self._material = material

    def tables(self) -> list[Table]:
        """Each points to learners, schools and calls only."""
        sizes = self._world.sizes
        return [
            Table("ratings", ("learner_id", "target", "school_id", "theta", "state"), sizes.learners, self._ratings),
            Table("profiles", _PROFILE, sizes.learners, self._profiles),
            Table("review_cards", _CARD, sizes.learners, self._cards),
            Table("topics", _TOPIC, sizes.learners, self._topics),
            Table("facts", ("learner_id", "fact", "school_id", "call_id", "at"), sizes.learners, self._facts),
            Table("achievements", _ACHIEVEMENT, sizes.learners, self._achievements),
            Table("confidence_answers", _CONFIDENCE, sizes.learners, self._confidence),
            Table("satisfaction_questions", _SATISFACTION, sizes.learners, self._satisfaction),
            Table("scenario_difficulties", _DIFFICULTY, sizes.schools, self._difficulties),
        ]

    def _those(self, begin: int, end: int) -> Iterator[tuple[int, str, str, str, int, str]]:
        """Learners who have talked: (learner, id, school id, target, last call, when)."""
        world = self._world
        lasts = world.last_calls[begin:end]
        whens = times(world.call_at[lasts])
        for learner, last, at in zip(range(begin, end), lasts.tolist(), whens, strict=True):
            if last >= 0:
                target = PAIRS[int(world.line_pair[world.learner_line[learner]])][1]
                school = world.school_ids[int(world.learner_school[learner])]
                yield learner, world.learner_ids[learner], school, target, last, at

    def _calls_of(self, learner: int) -> int:
        return int(self._world.learner_calls[learner])

    def _ratings(self, begin: int, end: int) -> Iterator[str]:
        for learner, who, school, target, _, _ in self._those(begin, end):
            level = int(self._world.line_level[self._world.learner_line[learner]])
            theta, state = self._material.ratings[12 * level + min(11, self._calls_of(learner))]
            yield line(who, target, school, theta, state)

    def _profiles(self, begin: int, end: int) -> Iterator[str]:
        for learner, who, school, target, _, at in self._those(begin, end):
            found = self._material.profiles[target][learner % 6] if self._calls_of(learner) > 1 else "{}"
            yield line(who, target, school, found, at)

    def _cards(self, begin: int, end: int) -> Iterator[str]:
        ids = self._world.draw(f"cards {begin}")
        kinds = [(kind, copied(state), due) for kind, state, due in self._material.cards]
        for learner, who, school, target, _, at in self._those(begin, end):
            count = min(MOST_CARDS, 2 + self._calls_of(learner) // CALLS_PER_CARD)
            own = Ids(ids, count)
            for number in range(count):
                kind, state, due = kinds[(learner + number) % len(kinds)]
                text = f"{kind}\tphrase {number}\torder a drink"
                yield f"{own[number]}\t{school}\t{who}\t{target}\t{text}\t{state}\t{due}\t{at}\n"

    def _topics(self, begin: int, end: int) -> Iterator[str]:
        for learner, who, school, target, last, at in self._those(begin, end):
            rest = f"{school}\t{self._world.call_ids[last]}\t{at}"
            for number in range(min(MOST_TOPICS, self._calls_of(learner) // 2)):
                yield f"{who}\t{target}\t{SUBJECTS[(learner + number) % len(SUBJECTS)]} {number}\t{rest}\n"

    def _facts(self, begin: int, end: int) -> Iterator[str]:
        for learner, who, school, _, last, at in self._those(begin, end):
            if learner % FACTS == 0:
                for fact in ("has two sisters", "works in a bakery", "likes the sea"):
                    yield line(who, fact, school, self._world.call_ids[last], at)

    def _achievements(self, begin: int, end: int) -> Iterator[str]:
        for learner, who, school, _, last, at in self._those(begin, end):
            for achievement in ACHIEVEMENTS[: self._calls_of(learner) // 5]:
                yield line(who, achievement, school, self._world.call_ids[last], at)

    def _confidence(self, begin: int, end: int) -> Iterator[str]:
        """Half have said how sure they felt after their first call."""
        world = self._world
        for learner, who, school, _, _, at in self._those(begin, end):
            if learner % 2 == 0:
                yield line(world.call_ids[int(world.first_calls[learner])], school, who, 1 + learner % 5, "first", at)

    def _satisfaction(self, begin: int, end: int) -> Iterator[str]:
        """A third were asked how their last call was."""
        for learner, who, school, _, last, at in self._those(begin, end):
            if learner % 3 == 0:
                yield line(self._world.call_ids[last], school, who, 1 + learner % 5, at)

    def _difficulties(self, begin: int, end: int) -> Iterator[str]:
        for school in range(begin, end):
            for scene in SCENES[:-1]:
                yield line(self._world.school_ids[school], scene, 200, 0.1)


_PROFILE: Final = ("learner_id", "target", "school_id", "parameters", "analysed_at")
_CARD: Final = (
    "id",
    "school_id",
    "learner_id",
    "target",
    "kind",
    "text",
    "situation",
    "state",
    "due_at",
    "created_at",
)
_TOPIC: Final = ("learner_id", "target", "topic", "school_id", "call_id", "at")
_ACHIEVEMENT: Final = ("learner_id", "achievement", "school_id", "call_id", "at")
_CONFIDENCE: Final = ("call_id", "school_id", "learner_id", "answer", "asked_because", "at")
_SATISFACTION: Final = ("call_id", "school_id", "learner_id", "answer", "asked_at")
_DIFFICULTY: Final = ("school_id", "scenario", "plays", "shift")
