"""What practice will cost before anybody has called: arithmetic from the price file, with every assumption named.

A plan is for deciding; what a call did cost is in the ledger, and only that ends calls. Knows no call and no school.
Amounts are micro-dollars.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from typing import Final

from tutor.realtime.events import CachedTokens, InputTokens, OutputTokens, TranscriptionUsage, Usage
from tutor.realtime.pricing import MICRO, Prices, prices

LEARNER_TOKENS_S: Final = 10
"""A learner's audio: one token in 100 ms (OpenAI's guide on realtime costs; openai-realtime.md §6)."""
ROLE_TOKENS_S: Final = 20
"""The model's audio: one token in 50 ms."""

CYCLE_S: Final = 15
"""One exchange: 6 s learner, 6 s role, 3 s of silence, which is not billed (tutoring.md §1C)."""
LEARNER_S: Final = 6
ROLE_S: Final = 6
ROLE_TEXT_TOKENS: Final = 20
"""The text that comes with a role's turn."""
INSTRUCTIONS_TOKENS: Final = 1_500
"""Instructions and tools."""

CACHED_LOW: Final = 0.9
"""How much of what is read again comes from the cache in a call that goes less well; in a good one, all of it."""

CALL_MINUTES: Final = 10
"""How long one of the planned calls lasts; longer ones cost more a minute, because each answer reads all before it."""

CALL_LENGTHS: Final = (5, 8, 10, 15, 30)
"""Minutes of the calls in docs/costs.md."""


def practice_call(table: Prices, model: str, minutes: int, *, cached: float = 1.0) -> int:
    """What a call costs at the speech model alone.

    Args:
        minutes: how long they talk.
        cached: 0-1, how much of what is read again comes from the cache.

    Raises:
        KeyError: the model has no price.
    """
    if model not in table.realtime:
        raise KeyError(model)
    learner, role = LEARNER_S * LEARNER_TOKENS_S, ROLE_S * ROLE_TOKENS_S
    total = 0
    read_text, read_audio = 0, 0
    text, audio = INSTRUCTIONS_TOKENS, learner
    for _ in range(minutes * 60 // CYCLE_S):
        # New since the last answer: that answer itself, and what the learner said to it.
        hits = CachedTokens(round(read_text * cached), round(read_audio * cached))
        given = InputTokens(read_text + text, read_audio + audio, None, hits)
        total += table.response(model, Usage(None, given, OutputTokens(ROLE_TEXT_TOKENS, role))) or 0
        read_text, read_audio = read_text + text, read_audio + audio
        text, audio = ROLE_TEXT_TOKENS, role + learner
    return total


@dataclass(frozen=True, slots=True)
class Audio:
    """What the audio of a call costs, by what it is."""

    answers: int
    written: int
    """Answers."""
    new: int
    """Read for the first time: the answer before, and what the learner said to it."""
    again_cached: int
    """Read again, from the cache."""
    again_fresh: int
    """The same without the cache."""


def audio_of(table: Prices, model: str, minutes: int) -> Audio:
    """The audio part of `practice_call`, taken apart.

    Raises:
        KeyError: the model has no price.
    """
    rates = table.realtime[model]
    learner, role, answers = LEARNER_S * LEARNER_TOKENS_S, ROLE_S * ROLE_TOKENS_S, minutes * 60 // CYCLE_S
    again = sum(learner + (learner + role) * before for before in range(answers - 1))
    return Audio(
        answers,
        ceil(answers * role * rates["audio_out"]),
        ceil((learner * answers + role * (answers - 1)) * rates["audio_in"]),
        ceil(again * rates["audio_cached"]),
        ceil(again * rates["audio_in"]),
    )


def call_extras(table: Prices, transcribe_model: str, number: str, minutes: int) -> int | None:
    """What the rest of a call costs: the learner's words in writing, and the carrier. None where a price is unknown.

    Args:
        number: the line's, in E.164.
        minutes: how long the call is; the learner speaks for the share of an exchange that is theirs.
    """
    spoken = TranscriptionUsage(type="duration", seconds=minutes * 60 * LEARNER_S / CYCLE_S)
    words, carried = table.transcript(transcribe_model, spoken), table.minutes(number, minutes)
    return None if words is None or carried is None else words + carried


@lru_cache(maxsize=1_024)
def usual_minute(model: str, transcribe_model: str, number: str) -> int:
    """What a minute costs in all, in a call of ten minutes that goes less well; the dearest model's without a price.

    It is what a call sets aside before its own pace is known. From the price file that ships with Ringua.
    """
    table = prices()
    models = [model] if model in table.realtime else list(table.realtime)
    speech = max(practice_call(table, one, CALL_MINUTES, cached=CACHED_LOW) for one in models)
    spoken = TranscriptionUsage(type="duration", seconds=60 * LEARNER_S / CYCLE_S)
    words = table.transcript_at_most(transcribe_model, spoken)
    return ceil(speech / CALL_MINUTES) + words + table.minutes_at_most(number, 1)


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is to be practised: everybody, every school day."""

    students: int
    minutes_a_day: int
    days_a_month: int

    @classmethod
    def read(cls, written: str) -> Plan:
        """Reads ``272x15x20``: students, minutes a day, days a month.

        Raises:
            ValueError: it is something else; one sentence.
        """
        parts = written.lower().replace("×", "x").split("x")
        if len(parts) != 3 or not all(part.strip().isascii() and part.strip().isdecimal() for part in parts):
            raise ValueError(f"{written} is no plan: write students x minutes a day x days a month, such as 272x15x20.")
        students, minutes, days = map(int, parts)
        if not (1 <= students <= 10_000_000 and 1 <= minutes <= 1_440 and 1 <= days <= 31):
            raise ValueError(
                f"{written} is no plan: it takes 1 to 10,000,000 students, 1 to 1,440 minutes a day and 1 to 31 days."
            )
        return cls(students, minutes, days)

    @property
    def minutes_a_month(self) -> int:
        """Of one student."""
        return self.minutes_a_day * self.days_a_month

    @property
    def call_minutes(self) -> int:
        """How long a call is taken to be: ``CALL_MINUTES`` or, where a day has fewer minutes, those."""
        return min(CALL_MINUTES, self.minutes_a_day)


@dataclass(frozen=True, slots=True)
class Projection:
    """What a plan costs with one model. Low: all that is read again is cached; high: nine tenths of it."""

    model: str
    plan: Plan
    low: int
    """A student's month at the speech model."""
    high: int
    extras: int | None
    """A student's month of carrier minutes and transcription; None where a price is unknown."""

    @property
    def minute(self) -> tuple[int, int]:
        """A practice minute, extras included, low and high."""
        months = self.plan.minutes_a_month
        return ceil(self.student[0] / months), ceil(self.student[1] / months)

    @property
    def student(self) -> tuple[int, int]:
        """A student's month, extras included as far as they are known."""
        return self.low + (self.extras or 0), self.high + (self.extras or 0)

    @property
    def day(self) -> tuple[int, int]:
        """All students together, one day."""
        days = self.plan.days_a_month
        return ceil(self.month[0] / days), ceil(self.month[1] / days)

    @property
    def month(self) -> tuple[int, int]:
        """All students together, one month."""
        return self.plan.students * self.student[0], self.plan.students * self.student[1]

    def minutes_for(self, micro_usd: int) -> tuple[int, int]:
        """How many minutes an amount pays for: at the high price, and at the low one."""
        return micro_usd // self.minute[1], micro_usd // self.minute[0]


def project(table: Prices, plan: Plan, model: str, *, transcribe_model: str, number: str) -> Projection:
    """What a plan costs with a model, in calls of ``plan.call_minutes``.

    Raises:
        KeyError: the model has no price.
    """
    minutes = plan.call_minutes
    months = plan.minutes_a_month

    def a_month(cost: int) -> int:
        return ceil(cost * months / minutes)

    extras = call_extras(table, transcribe_model, number, minutes)
    return Projection(
        model,
        plan,
        low=a_month(practice_call(table, model, minutes)),
        high=a_month(practice_call(table, model, minutes, cached=CACHED_LOW)),
        extras=None if extras is None else a_month(extras),
    )


@dataclass(frozen=True, slots=True)
class FirstEstimate:
    """The arithmetic of the line's first plan (tutoring.md §1C), in dollars, as it was and as it is."""

    minutes: int = 300
    tokens_s: int = 100
    audio_in: int = 32
    """Dollars a million tokens."""
    audio_out: int = 64

    @property
    def million_tokens(self) -> float:
        """Of one student's month, taken as both sides speaking all the time."""
        return self.minutes * 60 * self.tokens_s / MICRO

    @property
    def stated(self) -> float:
        """As it was written: millions of tokens times dollars a million, and divided by a thousand once more."""
        return self.corrected / 1_000

    @property
    def corrected(self) -> float:
        """With the same numbers and without the division that nothing calls for."""
        return self.million_tokens * (self.audio_in + self.audio_out)

    @property
    def real_rates(self) -> float:
        """With the token rates that are billed, 10 and 20 a second; still with both sides speaking all the time."""
        seconds = self.minutes * 60
        billed = seconds * (LEARNER_TOKENS_S * self.audio_in + ROLE_TOKENS_S * self.audio_out)
        return billed / MICRO
