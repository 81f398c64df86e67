"""What a learner has achieved, each thing once: rules are data (``catalogue/achievements.toml``), words the languages'.

An achievement is always something that was done, never a number of errors. Pure: knows no database and no call.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from tutor.learning.facts import Facts
from tutor.learning.figures import number
from tutor.learning.patterns import CallNotes
from tutor.script.catalogue import OWN_PREFIX
from tutor.script.language import Language
from tutor.script.scenario import Scenario

_FILE = Path(__file__).parents[1] / "catalogue" / "achievements.toml"


@dataclass(frozen=True, slots=True)
class Played:
    """One call of a learner's history."""

    scenario: str
    tags: tuple[str, ...]
    """The scenario's."""
    completed: bool
    """Whether the scene was a success."""
    hints: int
    """How often a hint was given."""
    notes: CallNotes
    """The learner's turns, and what was noted in them."""

    @classmethod
    def of(cls, scenario: Scenario, facts: Facts, notes: CallNotes) -> Played:
        """A call of a scenario, from its facts and notes."""
        return cls(scenario.id, scenario.tags, succeeded(scenario, facts.reached), len(facts.hints), notes)


def succeeded(scenario: Scenario, reached: Collection[str]) -> bool:
    """Whether these goals make the scene a success."""
    return sum(goal in reached for goal in scenario.success_of) >= scenario.success_need


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """When something is achieved. The catalogue's file says what each kind looks at."""

    id: str
    kind: Literal["completed", "alone", "different", "growth", "gone"]
    scenarios: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    count: Annotated[int, msgspec.Meta(ge=1)] = 1
    calls: Annotated[int, msgspec.Meta(ge=1)] = 1
    by: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """The growth, as a share of 1."""
    sessions: Annotated[int, msgspec.Meta(ge=1)] = 1
    turns: Annotated[int, msgspec.Meta(ge=1)] = 1

    def holds(self, history: Sequence[Played]) -> bool:
        """Whether a history, oldest first, has what it takes."""
        done = [call for call in history if call.completed and self._looks_at(call)]
        match self.kind:
            case "completed":
                return len(done) >= self.count
            case "alone":
                return sum(not call.hints for call in done) >= self.count
            case "different":
                return len({_scene(call) for call in done}) >= self.count
            case "growth":
                return self._grown([call.notes.learner_turns for call in history])
            case "gone":
                return self._gone([call.notes for call in history])

    def _looks_at(self, call: Played) -> bool:
        if not self.scenarios and not self.tags:
            return True
        return _scene(call) in self.scenarios or not {*call.tags}.isdisjoint(self.tags)

    def _grown(self, turns: Sequence[int]) -> bool:
        spoken = [count for count in turns if count > 0]
        if len(spoken) < 2 * self.calls:
            return False
        first, last = sum(spoken[: self.calls]), sum(spoken[-self.calls :])
        return last >= self.turns * self.calls and last >= first * (1 + self.by)

    def _gone(self, notes: Sequence[CallNotes]) -> bool:
        spoken = [call for call in notes if call.learner_turns > 0]
        before, last = spoken[: -self.calls], spoken[-self.calls :]
        if not before or sum(call.learner_turns for call in last) < self.turns:
            return False
        still = {name for call in last for name, count in call.errors.items() if count > 0}
        known = {name for call in before for name in call.errors} - still
        return any(sum(call.errors.get(name, 0) > 0 for call in before) >= self.sessions for name in known)


@cache
def rules() -> tuple[Rule, ...]:
    """The rules of the catalogue, in the order in which they are told, read once per process."""
    raw = tomllib.loads(_FILE.read_text(encoding="utf-8"))["achievements"]
    return msgspec.convert(raw, tuple[Rule, ...])


def earned(history: Sequence[Played], already: Collection[str]) -> tuple[str, ...]:
    """The ids of what a learner has achieved by now and had not before, the most telling first.

    Args:
        history: calls in one language, oldest first, the latest included.
        already: ids of what was achieved before, in whichever language: each thing is achieved once.
    """
    return tuple(rule.id for rule in rules() if rule.id not in already and rule.holds(history))


def in_order(achievements: Collection[str]) -> tuple[str, ...]:
    """Ids of achievements, the most telling first; those that there are no more are left out."""
    return tuple(rule.id for rule in rules() if rule.id in achievements)


def name(achievement: str, native: Language) -> str:
    """What an achievement is called in the learner's own language; raises ``KeyError`` for one that is unknown."""
    return native.say(f"badge.{achievement}")


def told(achievement: str, native: Language) -> str:
    """An achievement in words, for the voice and for a text message: what was done, and what that is called.

    Raises:
        KeyError: there is no such achievement.
    """
    count = next((rule.count for rule in rules() if rule.id == achievement), 1)
    reason = native.say(f"achievement.{achievement}", count=number(count, native))
    return native.say("badge.told", reason=reason, name=name(achievement, native))


def tellings(achievement: str, native: Language) -> tuple[str, str]:
    """An achievement in words, and in as few as there are: its name.

    Raises:
        KeyError: there is no such achievement.
    """
    return told(achievement, native), in_short(achievement, native)


def in_short(achievement: str, native: Language) -> str:
    """An achievement by its name alone, where there is no room for what was done.

    Raises:
        KeyError: there is no such achievement.
    """
    return native.say("badge.told", reason="", name=name(achievement, native)).strip()


def _scene(call: Played) -> str:
    return call.scenario.removeprefix(OWN_PREFIX)
