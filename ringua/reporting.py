"""Whether the line does what it is for: the measures of success by the month in which learners began.

Puts the schools' sums together and hides what a few people alone stand for. Names nobody; prints nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from db import reports, satisfaction, schools
from db.engine import Database
from db.models import School
from db.reports import Tallies, Tally
from db.satisfaction import Totals
from tutor.learning.placement import BOUNDARIES
from tutor.script.level import LEVELS

LEAST_GROUP: Final = 5
"""A figure of fewer learners is not shown: a school would know who they are."""

BANDS: Final = LEVELS
"""The difficulty of scenes, by the level whose ratings they belong to."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One measure of one group; ``value`` is None where the group is too small or there was nothing to measure."""

    learners: int | None
    """None: one to four, which is not told."""
    value: float | None

    @classmethod
    def of(cls, tally: Tally) -> Figure:
        """What may be shown of a sum."""
        if 0 < tally.learners < LEAST_GROUP:
            return cls(None, None)
        return cls(tally.learners, tally.part / tally.whole if tally.learners and tally.whole else None)


@dataclass(frozen=True, slots=True)
class Cohort:
    """Everybody who began in one month, or everybody."""

    name: str
    """``2026-09``, or ``all``."""
    turns: Figure
    """The learner's turns per call; 8 is the aim (tutoring.md §1A row 106)."""
    long_calls: Figure
    """The share of calls with at least eight turns of the learner."""
    confidence: Figure
    """The share whose second answer, after two weeks, was higher than the first; 80 % is the aim (row 112)."""
    clarifications: Figure
    """The change of requests per turn from calls 1-3 to calls 8-10, as a share: -0.5 is the aim (row 113)."""
    above: Figure
    """The share of calls in which a learner chose a scene above their level (row 114)."""
    completed: Mapping[str, Figure] = field(default_factory=dict)
    """The share of completed calls by difficulty of the scene, the easiest first (row 109)."""

    @property
    def learners(self) -> int | None:
        """How many they are; None: one to four, which is not told."""
        return self.turns.learners

    @classmethod
    def of(cls, name: str, tallies: Mapping[str, Tally]) -> Cohort:
        """A group's figures from its sums."""

        def figure(called: str) -> Figure:
            return Figure.of(tallies.get(called, Tally()))

        change = figure("clarifications")
        if change.value is not None:
            change = Figure(change.learners, change.value - 1)
        return cls(
            name=name,
            turns=figure("turns"),
            long_calls=figure("long_calls"),
            confidence=figure("confidence"),
            clarifications=change,
            above=figure("above"),
            completed={band: figure(f"completed.{band}") for band in BANDS if f"completed.{band}" in tallies},
        )


@dataclass(frozen=True, slots=True)
class Satisfaction:
    """How the callers of one school found their practice: a word about the line, of whom nobody is told (row 115)."""

    school: str
    asked: int
    answered: int
    mean: float
    """1 to 5, 5 is best."""

    @classmethod
    def of(cls, school: str, totals: Totals) -> Satisfaction | None:
        """What may be shown of a school's answers: nothing, where fewer than five people gave them."""
        if totals.people < LEAST_GROUP:
            return None
        return cls(school, totals.asked, totals.answered, totals.points / totals.answered)

    def write(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "school": self.school,
            "asked": self.asked,
            "answered": self.answered,
            "mean": round(self.mean, 4),
        }


@dataclass(frozen=True, slots=True)
class Report:
    """The cohorts, the oldest first, and everybody together."""

    cohorts: tuple[Cohort, ...]
    everybody: Cohort
    not_shown: int
    """Months in which too few began to be shown."""
    satisfaction: tuple[Satisfaction, ...] = ()
    """Of each school by itself, where enough people answered."""

    @classmethod
    def of(cls, schools_tallies: Iterable[Tallies], opinions: Iterable[Satisfaction] = ()) -> Report:
        """The report of all these schools together."""
        months: dict[str, dict[str, Tally]] = {}
        for tallies in schools_tallies:
            for month, figures in tallies.items():
                of_month = months.setdefault(month, {})
                for name, tally in figures.items():
                    of_month[name] = of_month.get(name, Tally()) + tally
        cohorts = [Cohort.of(month, months[month]) for month in sorted(months)]
        shown = tuple(cohort for cohort in cohorts if cohort.learners is not None)
        return cls(shown, Cohort.of("all", _everybody(months)), len(cohorts) - len(shown), tuple(opinions))

    def write(self) -> dict[str, Any]:
        """JSON values: what is shown, with how many learners each figure stands for."""
        return {
            "least_group": LEAST_GROUP,
            "cohorts": [_written(cohort) for cohort in self.cohorts],
            "all": _written(self.everybody),
            "not_shown": self.not_shown,
            "satisfaction": [opinion.write() for opinion in self.satisfaction],
        }


async def report(database: Database, school: School | None = None) -> Report:
    """The measures of one school, or of all."""
    if school is not None:
        chosen = [school]
    else:
        async with database.anyone() as session:
            chosen = await schools.all(session)
    found, opinions = [], []
    for each in chosen:
        async with database.school(each.id) as session:
            found.append(await reports.tallies(session, timezone=each.timezone, boundaries=BOUNDARIES, bands=BANDS))
            opinions.append(Satisfaction.of(each.name, await satisfaction.totals(session)))
    return Report.of(found, [opinion for opinion in opinions if opinion is not None])


def _everybody(months: Mapping[str, Mapping[str, Tally]]) -> dict[str, Tally]:
    """The sums over all months.

    Small groups are left out of a sum unless they are five learners together: otherwise the difference between the
    whole and the months that are shown would tell what they hide.
    """
    total: dict[str, Tally] = {}
    for name in {name for figures in months.values() for name in figures}:
        shown, hidden = Tally(), Tally()
        for figures in months.values():
            tally = figures.get(name, Tally())
            if tally.learners < LEAST_GROUP:
                hidden += tally
            else:
                shown += tally
        total[name] = shown + hidden if hidden.learners >= LEAST_GROUP or not shown.learners else shown
    return total


def _written(cohort: Cohort) -> dict[str, Any]:
    def figure(found: Figure) -> dict[str, Any]:
        value = None if found.value is None else round(found.value, 4)
        return {"learners": found.learners, "value": value}

    return {
        "began": cohort.name,
        "learners": cohort.learners,
        "turns_per_call": figure(cohort.turns),
        "calls_of_8_turns": figure(cohort.long_calls),
        "more_confident_after_2_weeks": figure(cohort.confidence),
        "clarifications_change": figure(cohort.clarifications),
        "picks_above_recommended": figure(cohort.above),
        "completed": {band: figure(found) for band, found in cohort.completed.items()},
    }
