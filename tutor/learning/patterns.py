"""Which kinds of error come back from call to call, and whether they are on the way out: patterns, never instances.

Built from the role's silent notes. Nothing of it is told to a learner. Pure: knows no call, no database and no rule
about what to do.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any, Literal, Protocol

import msgspec

RECENT_CALLS = 5
"""The last five calls are compared with the five before them (tutoring.md §1A rows 96 and 98)."""

LEAST_CHANGE = Fraction(1, 10)
LEAST_TURNS = 20
"""A trend needs a larger difference of rates than this, exactly, and so many learner turns on either side (§1B-12)."""

MOST_TYPE_WORDS = 4
MOST_TYPE_CHARS = 40
"""A type is a name the model makes up: what is longer is a sentence, perhaps the learner's own."""

Trend = Literal["improving", "steady", "needs_work"]

_FILE = Path(__file__).parents[1] / "catalogue" / "focus.toml"


class NoteRecord(Protocol):
    """An entry of a call as it is kept."""

    @property
    def kind(self) -> str: ...
    @property
    def data(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class CallNotes:
    """What was noted in one call."""

    learner_turns: int
    errors: Mapping[str, int] = field(default_factory=dict)
    """Notes by type."""
    blocking: frozenset[str] = frozenset()
    """Types that hid the meaning at least once."""

    @classmethod
    def of(cls, learner_turns: int, entries: Iterable[NoteRecord]) -> CallNotes:
        """The notes of a call with so many learner turns, from its entries."""
        kept = tuple(entries)
        blocking = (entry for entry in kept if entry.data.get("severity") == "blocking")
        return cls(learner_turns, notes_of(kept), frozenset(notes_of(blocking)))

    @classmethod
    def read(cls, learner_turns: int, kept: Mapping[str, Any]) -> CallNotes:
        """The notes of a call with so many learner turns, from how they are kept: ``errors`` and ``blocking``."""
        return cls(learner_turns, kept.get("errors", {}), frozenset(kept.get("blocking", ())))


@dataclass(frozen=True, slots=True)
class Pattern:
    """One kind of error over the last ten calls."""

    type: str
    """As ``error_type`` writes it."""
    rate: float
    """Notes per learner turn in the last five calls, the mean of Beta(1 + notes, 1 + turns - notes): above 0, below
    1, and near a half as long as little is known."""
    blocking: bool
    """Whether it hid the meaning in one of the last five calls."""
    sessions: int
    """In how many of the last ten calls it was noted."""
    trend: Trend
    """The last five calls against the five before."""


def notes_of(entries: Iterable[NoteRecord]) -> Counter[str]:
    """How often each type was noted in one call; each note counts, those without a readable type do not."""
    types = (error_type(str(entry.data.get("type", ""))) for entry in entries if entry.kind == "error_note")
    return Counter(name for name in types if name)


def error_type(named: str) -> str:
    """A type as the model named it, in one spelling: ``Noun gender`` is ``gender_agreement``, as the catalogue has it.

    Lower-case ASCII words joined by underscores, four words and 40 characters at most; empty when there is none.
    """
    plain = unicodedata.normalize("NFKD", named.casefold()).encode("ascii", "ignore").decode()
    name = "_".join(re.findall(r"[a-z]+", plain)[:MOST_TYPE_WORDS])[:MOST_TYPE_CHARS].rstrip("_")
    return _names().get(name, name)


def patterns(calls: Sequence[CallNotes]) -> tuple[Pattern, ...]:
    """The patterns in the last ten calls in which the learner spoke, by type.

    Args:
        calls: of one learner in one language, newest last. Calls without a learner turn say nothing and are skipped.
    """
    spoken = [call for call in calls if call.learner_turns > 0][-2 * RECENT_CALLS :]
    recent, before = spoken[-RECENT_CALLS:], spoken[:-RECENT_CALLS]
    types = sorted({name for call in spoken for name, count in call.errors.items() if count > 0})
    return tuple(_pattern(name, recent, before) for name in types)


def _pattern(name: str, recent: Sequence[CallNotes], before: Sequence[CallNotes]) -> Pattern:
    return Pattern(
        type=name,
        rate=float(_rate(name, recent)),
        blocking=any(name in call.blocking and call.errors.get(name, 0) > 0 for call in recent),
        sessions=sum(call.errors.get(name, 0) > 0 for call in (*before, *recent)),
        trend=_trend(name, recent, before),
    )


def _trend(name: str, recent: Sequence[CallNotes], before: Sequence[CallNotes]) -> Trend:
    if min(_turns(recent), _turns(before)) < LEAST_TURNS:
        return "steady"
    change = _rate(name, recent) - _rate(name, before)
    if abs(change) <= LEAST_CHANGE:
        return "steady"
    return "improving" if change < 0 else "needs_work"


def _rate(name: str, calls: Sequence[CallNotes]) -> Fraction:
    """The mean of Beta(1 + e, 1 + n - e). Several notes in one turn are no more than a turn."""
    turns = _turns(calls)
    noted = min(turns, sum(max(0, call.errors.get(name, 0)) for call in calls))
    return Fraction(1 + noted, 2 + turns)


def _turns(calls: Iterable[CallNotes]) -> int:
    return sum(call.learner_turns for call in calls)


@cache
def _names() -> dict[str, str]:
    """Other names of the types in the catalogue."""
    also = msgspec.convert(tomllib.loads(_FILE.read_text(encoding="utf-8"))["also"], dict[str, list[str]])
    return {name: known for known, names in also.items() for name in names}
