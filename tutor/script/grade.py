"""A child's school grade as a level card and topics: how hard the talk is, and which scenes are for that age.

The grades are data (``catalogue/grades.toml``). Knows no learner and no call.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import msgspec

from tutor.script.scenario import Scenario

_FILE = Path(__file__).parents[1] / "catalogue" / "grades.toml"


class UnknownGrade(ValueError):
    """There is no such grade; the message is one sentence that lists those there are."""


@dataclass(frozen=True, slots=True)
class Grade:
    """What a grade gets."""

    level: str
    """The name of a level card."""
    topics: frozenset[str]
    """Tags of the scenarios for this age."""

    def allows(self, scenario: Scenario) -> bool:
        """Whether a scenario is for children of this grade."""
        return scenario.kid_ok and not self.topics.isdisjoint(scenario.tags)

    def choose(self, scenarios: Iterable[Scenario]) -> list[Scenario]:
        """Those scenarios, in their order, that are for children of this grade."""
        return [scenario for scenario in scenarios if self.allows(scenario)]


def grade(name: str) -> Grade:
    """The grade ``name``: ``K``, or ``1`` to ``5``.

    Raises:
        UnknownGrade: there is no such grade.
    """
    grades = _grades()
    if name not in grades:
        raise UnknownGrade(f"There is no grade {name}; there are {', '.join(grades)}.")
    return grades[name]


@cache
def _grades() -> dict[str, Grade]:
    return msgspec.convert(tomllib.loads(_FILE.read_text(encoding="utf-8")), dict[str, Grade])
