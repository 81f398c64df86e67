"""Who calls, where and when, drawn from a seed: schools of every size, their lines, their learners, all their calls.

Numpy arrays and ids, no rows and no database. The same sizes and the same seed always give the same world.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Final
from uuid import UUID

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

TERM: Final = timedelta(days=140)
"""How far back calls go: twenty weeks, at the design's figures one call a week of each learner."""
LINE_LEARNERS: Final = 120
"""Learners of one line, four classes."""
SECRET: Final = "made-up people only, so that this need not be secret"
"""The keyring's, under which callers' numbers are hashed."""

PAIRS: Final = (
    ("en", "es"),
    ("es", "en"),
    ("en", "fr"),
    ("pt", "en"),
    ("zh", "en"),
    ("en", "de"),
    ("ar", "fr"),
    ("es", "it"),
)
"""Native and target languages of lines, the frequent ones first."""
ZONES: Final = ("America/Puerto_Rico", "Europe/Madrid", "America/New_York", "America/Sao_Paulo", "Asia/Shanghai")
LEVELS: Final = ("A1", "A2", "B1")
SCENES: Final = ("cafe_order", "market_fruit", "bus_ticket", "hotel_checkin", "doctor_visit", "lost_bag", "free_talk")
TURNS: Final = (4, 6, 9, 12, 15)
"""Of the learner, in a short call and in longer ones."""
REASONS: Final = ("role", "caller_hung_up", "key", "time")


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much there is."""

    until: datetime
    """The moment at which the world stands still, aware; the last call ended just before it."""
    schools: int = 551
    learners: int = 150_000
    calls: int = 3_000_000
    with_words: int = 50_000
    """The last calls, of which everything is kept; the others are as retention leaves them: figures alone."""
    seed: int = 1

    def __post_init__(self) -> None:
        """Raises ValueError when nobody could live there."""
        if not 1 <= self.schools <= self.learners <= self.calls or self.seed < 0 or self.until.tzinfo is None:
            raise ValueError("There must be at least one school, a learner a school and a call a learner; seeds from 0")


class Ids:
    """Random ids in one string; as hexadecimal digits, which is how they are written, or as UUIDs."""

    def __init__(self, draw: np.random.Generator, count: int) -> None:
        self._digits = draw.bytes(16 * count).hex()

    def __getitem__(self, index: int) -> str:
        return self._digits[32 * index : 32 * index + 32]

    def uuid(self, index: int) -> UUID:
        """The same, as the product names it."""
        return UUID(hex=self[index])


class World:
    """All of them. Arrays are by the index of what they describe; calls are in the order of their time."""

    def __init__(self, sizes: Sizes) -> None:
        """Draws everybody; some seconds for three million calls."""
        self.sizes = sizes
        self._schools()
        self._learners()
        self._calls()

    def draw(self, subject: str) -> np.random.Generator:
        """Chance for one subject, the same each time it is asked for: nothing depends on the order of the rows."""
        return np.random.default_rng([self.sizes.seed, *hashlib.sha256(subject.encode()).digest()[:8]])

    def _schools(self) -> None:
        sizes, draw = self.sizes, self.draw("schools")
        # Few are large and most are small: the largest has some thousands of learners, the median some 150.
        weights = (np.arange(sizes.schools) + 3.0) ** -0.8
        spare = sizes.learners - sizes.schools
        self.school_size: Ints = 1 + np.floor(weights / weights.sum() * spare).astype(np.int64)
        self.school_size[0] += sizes.learners - int(self.school_size.sum())
        self.school_ids = Ids(draw, sizes.schools)
        self.school_zone = draw.integers(0, len(ZONES), sizes.schools)
        self.school_lines: Ints = 1 + self.school_size // LINE_LEARNERS
        self.first_line: Ints = np.cumsum(self.school_lines) - self.school_lines
        self.lines = int(self.school_lines.sum())
        self.line_school: Ints = np.repeat(np.arange(sizes.schools), self.school_lines)
        self.line_ids = Ids(draw, self.lines)
        own = np.minimum(draw.geometric(0.35, sizes.schools) - 1, len(PAIRS) - 1)[self.line_school]
        other = draw.integers(0, len(PAIRS), self.lines)
        self.line_pair: Ints = np.where(draw.random(self.lines) < 0.85, own, other)
        self.line_level: Ints = draw.integers(0, len(LEVELS), self.lines)
        self.line_kids: Flags = draw.random(self.lines) < 0.1

    def _learners(self) -> None:
        sizes, draw = self.sizes, self.draw("learners")
        self.learner_school: Ints = np.repeat(np.arange(sizes.schools), self.school_size)
        within = np.floor(draw.random(sizes.learners) * self.school_lines[self.learner_school]).astype(np.int64)
        self.learner_line: Ints = self.first_line[self.learner_school] + within
        self.learner_ids = Ids(draw, sizes.learners)
        # Of 25 learners one shares the telephone of the one before, where that is at the same school.
        shared = draw.random(sizes.learners) < 0.04
        shared[0] = False
        shared[1:] &= self.learner_school[1:] == self.learner_school[:-1]
        self.learner_number: Ints = np.arange(sizes.learners) - shared
        # Most call once a week, some every day, a few several times a day.
        weights = draw.lognormal(0.0, 0.9, sizes.learners)
        more = draw.multinomial(sizes.calls - sizes.learners, weights / weights.sum())
        self.learner_calls: Ints = 1 + more
        term_s = TERM.total_seconds()
        begins = draw.random(sizes.learners) * 0.6
        leaves = draw.random(sizes.learners) < 0.1
        ends = np.where(leaves, begins + 0.02 + (0.98 - begins) * draw.random(sizes.learners), 1.0)
        self._begins_s, self._ends_s = begins * term_s, ends * term_s

    def _calls(self) -> None:
        sizes, draw = self.sizes, self.draw("calls")
        who: Ints = np.repeat(np.arange(sizes.learners), self.learner_calls)
        span = self._ends_s[who] - self._begins_s[who]
        at = (self._begins_s[who] + span * draw.random(sizes.calls)).astype(np.int64)
        order = np.argsort(at, kind="stable")
        self.call_learner: Ints = who[order]
        self.call_line: Ints = self.learner_line[self.call_learner]
        self.call_ids = Ids(draw, sizes.calls)
        self.call_guest: Flags = draw.random(sizes.calls) < 0.02
        """Calls from withheld numbers: whose they are, nobody knows."""
        self.call_talked: Flags = draw.random(sizes.calls) < 0.96
        """The others were hung up in the menu."""
        self.call_s: Ints = np.clip(draw.lognormal(5.8, 0.5, sizes.calls), 40, 870).astype(np.int64)
        """How long the media lasted."""
        # Seconds since 1970; the last calls are over by the moment at which the world stands still.
        self.call_at: Ints = int((sizes.until - TERM).timestamp()) + np.minimum(
            at[order], int(TERM.total_seconds()) - self.call_s - 60
        )
        self.call_scene: Ints = draw.integers(0, len(SCENES) - 1, sizes.calls)
        self.call_completed: Flags = draw.random(sizes.calls) < 0.55
        self.call_reason: Ints = draw.choice(len(REASONS), sizes.calls, p=(0.5, 0.35, 0.1, 0.05))
        self.call_turns: Ints = np.array(TURNS)[np.clip(self.call_s // 110, 0, len(TURNS) - 1)]
        """The learner's."""
        self.call_began_in: Ints = self._continued(draw.random(sizes.calls) < 0.03)
        """The call that it went on with, or -1."""

    def _continued(self, wanted: Flags) -> Ints:
        """Some calls go on with the one before, where the same learner broke that off and talked in both."""
        calls = np.argsort(self.call_learner, kind="stable")
        before, after = calls[:-1], calls[1:]
        may = (self.call_learner[before] == self.call_learner[after]) & wanted[after]
        may &= (self.call_reason[before] == REASONS.index("caller_hung_up")) & ~self.call_completed[before]
        for which in (before, after):
            may &= self.call_talked[which] & ~self.call_guest[which]
        began = np.full(self.sizes.calls, -1, dtype=np.int64)
        # Only pairs: what goes on with something is not gone on with itself.
        may[1:] &= ~may[:-1]
        began[after[may]] = before[may]
        return began

    @property
    def words_from(self) -> int:
        """The first call of which everything is kept."""
        return max(0, self.sizes.calls - self.sizes.with_words)

    @cached_property
    def observed(self) -> Ints:
        """The calls in which somebody talked."""
        return np.flatnonzero(self.call_talked)

    @cached_property
    def first_calls(self) -> Ints:
        """Of each learner, the first one in which they are known and talked, or -1."""
        first = np.full(self.sizes.learners, -1, dtype=np.int64)
        known = np.flatnonzero(self.call_talked & ~self.call_guest)[::-1]
        first[self.call_learner[known]] = known
        return first

    @cached_property
    def last_calls(self) -> Ints:
        """Of each learner, the last one in which they are known and talked, or -1."""
        last = np.full(self.sizes.learners, -1, dtype=np.int64)
        known = np.flatnonzero(self.call_talked & ~self.call_guest)
        last[self.call_learner[known]] = known
        return last


def time_of(seconds: int) -> datetime:
    """Seconds since 1970 as an aware time."""
    return datetime.fromtimestamp(seconds, UTC)


def callers_number(index: int) -> str:
    """A number with the area code 555, which nobody has."""
    return f"+1555{index:07d}"


def lines_number(index: int) -> str:
    """The same for a line."""
    return f"+1555{9_000_000 + index:07d}"


def call_sid(index: int) -> str:
    """A carrier's identifier of a call."""
    return f"CA{index:032x}"
