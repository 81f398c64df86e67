"""What practice costs, laid out for people and for programs: the tables of docs/costs.md, a plan, and what was spent.

It adds nothing to the arithmetic of `tutor.realtime.planning` and `db.costs`, and knows no terminal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncSession

from db import costs
from db.costs import Average, KindSum, LearnerSum, Practice, Sum
from db.models import School
from tutor.realtime import planning
from tutor.realtime.planning import CALL_LENGTHS, FirstEstimate, Plan, Projection
from tutor.realtime.pricing import MICRO, prices

MODELS: Final = ("gpt-realtime-2.1", "gpt-realtime-2.1-mini")
"""What a line can be set to; the first is the service's own."""
TRANSCRIBE_MODEL: Final = "gpt-transcribe"
NUMBER: Final = "+1"
"""Whose carrier prices a plan takes: a local number in the US."""
PLAN: Final = Plan(272, 15, 20)
"""The plan of docs/costs.md: a school of 272, fifteen minutes a day, twenty school days a month."""
MONTHS: Final = 12


def dollars(micro_usd: float, digits: int = 2) -> str:
    """An amount as people write it: 1,234.50."""
    return f"{micro_usd / MICRO:,.{digits}f}"


def assumptions(plan: Plan, number: str = NUMBER) -> list[str]:
    """What a plan takes for granted, one sentence each; ``number`` is the beginning of the line's."""
    learner, role, minutes = planning.LEARNER_S, planning.ROLE_S, plan.call_minutes
    length = "a minute" if minutes == 1 else f"{minutes} minutes"
    return [
        f"Prices as of {prices().as_of}; a line whose number begins with {number}; {TRANSCRIBE_MODEL} writes down what "
        "learners say.",
        f"One exchange takes {planning.CYCLE_S} s: {learner} s learner, {role} s role, and silence, which is free.",
        f"A second of a learner is {planning.LEARNER_TOKENS_S} audio tokens, one of a role {planning.ROLE_TOKENS_S}; a "
        f"role's turn has {planning.ROLE_TEXT_TOKENS} text tokens besides, the instructions have "
        f"{planning.INSTRUCTIONS_TOKENS:,}.",
        "Each answer reads the whole call again. Low: all of that comes from the cache; high: "
        f"{planning.CACHED_LOW:.0%} of it does.",
        f"Calls take {length}; the carrier's are in it, text messages and debriefs are not.",
    ]


def projections(plan: Plan, *, number: str = NUMBER, models: Sequence[str] = MODELS) -> list[Projection]:
    """A plan with each model."""
    return [
        planning.project(prices(), plan, model, transcribe_model=TRANSCRIBE_MODEL, number=number) for model in models
    ]


def plan_rows(found: Sequence[Projection]) -> list[dict[str, Any]]:
    """Projections as JSON values, in dollars; each amount from low to high."""

    def both(pair: tuple[int, int], digits: int = 2) -> list[float]:
        return [round(amount / MICRO, digits) for amount in pair]

    return [
        {
            "model": one.model,
            "per_minute": both(one.minute, 4),
            "per_student_month": both(one.student),
            "per_day": both(one.day),
            "per_month": both(one.month),
            "per_year": both((one.month[0] * MONTHS, one.month[1] * MONTHS)),
            "carrier_priced": one.extras is not None,
            "minutes_for_100_dollars": list(one.minutes_for(100 * MICRO)),
        }
        for one in found
    ]


# --- the tables of docs/costs.md


def call_table() -> str:
    """What calls of several lengths cost at the speech model, as Markdown."""
    big, mini = MODELS
    lines = [
        f"| call | answers | all history cached | {planning.CACHED_LOW:.0%} cached | nothing cached | mini, cached |",
        "|---|---|---|---|---|---|",
    ]
    for minutes in CALL_LENGTHS:
        cells = [
            planning.practice_call(prices(), big, minutes, cached=cached) for cached in (1.0, planning.CACHED_LOW, 0.0)
        ]
        cells.append(planning.practice_call(prices(), mini, minutes))
        shown = " | ".join(dollars(cell) for cell in cells)
        lines.append(f"| {minutes} min | {minutes * 60 // planning.CYCLE_S} | {shown} |")
    return "\n".join(lines)


def plan_table() -> str:
    """What the plan of docs/costs.md costs, as Markdown."""
    lines = [
        "| | a practice minute | a student's month | the school's day | the school's month |",
        "|---|---|---|---|---|",
    ]
    for one in projections(PLAN):
        pairs = [
            f"{dollars(one.minute[0], 3)} to {dollars(one.minute[1], 3)}",
            *(f"{dollars(low)} to {dollars(high)}" for low, high in (one.student, one.day, one.month)),
        ]
        lines.append(f"| {one.model} | {' | '.join(pairs)} |")
    return "\n".join(lines)


def estimate_table() -> str:
    """The first plan's arithmetic, as it was and as it is, as Markdown."""
    estimate = FirstEstimate()
    million, given, made = f"{estimate.million_tokens:g}", estimate.audio_in, estimate.audio_out
    rows = [
        ("as it was written", f"({million} × {given} + {million} × {made}) / 1,000", estimate.stated),
        ("without the division", f"{million} × {given} + {million} × {made}", estimate.corrected),
        ("with the tokens that are billed", f"0.18 × {given} + 0.36 × {made}", estimate.real_rates),
    ]
    lines = ["| a student's month | million tokens × dollars | dollars |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {name} | {sums} | {amount:,.4f} |" for name, sums, amount in rows)])


def sentences() -> list[str]:
    """The sentences of docs/costs.md that state figures."""
    big, mini = projections(PLAN)
    cents = [f"{one.minute[0] / 10_000:.0f} to {one.minute[1] / 10_000:.0f}" for one in (big, mini)]
    minutes = ["{:,} to {:,}".format(*one.minutes_for(100 * MICRO)) for one in (big, mini)]
    audio = planning.audio_of(prices(), big.model, planning.CALL_MINUTES)
    turn = (planning.LEARNER_S * planning.LEARNER_TOKENS_S, planning.ROLE_S * planning.ROLE_TOKENS_S)
    return [
        f"A minute of practice with `{big.model}` costs {cents[0]} US cents in all, with `{mini.model}` {cents[1]}.",
        f"In one call of ten minutes {audio.answers} answers write {turn[1]} audio tokens each "
        f"({dollars(audio.written)} dollars), read the {sum(turn)} that are new to them ({dollars(audio.new)}), and "
        f"read all that came before from the cache ({dollars(audio.again_cached)}); the rest is text. Without the "
        f"cache the last part alone would cost {dollars(audio.again_fresh)}.",
        f"A budget of 100 dollars a day pays for {minutes[0]} minutes with the first and {minutes[1]} with the second; "
        f"such a school practises {PLAN.students * PLAN.minutes_a_day:,}.",
        f"| the carrier: a minute begun, media stream included | {dollars(prices().minutes(NUMBER, 1) or 0, 4)} |",
        f"| a text message, a segment | about {dollars(prices().segments(NUMBER, 1) or 0, 4)} |",
    ]


# --- what was spent


@dataclass(frozen=True, slots=True)
class Spent:
    """What one school spent."""

    school: str
    today: Sum
    practised: Practice
    """Today."""
    average: Average
    days: int
    total: Sum
    """Of so many days, today included."""
    kinds: Sequence[KindSum]
    learners: Sequence[LearnerSum]

    def write(self) -> dict[str, Any]:
        """JSON values; money in dollars."""

        def money(one: Sum) -> dict[str, Any]:
            known = {"usd": one.micro_usd / MICRO, "unknown_entries": one.unknown}
            return {**known, "unknown_at_most_usd": one.unknown_at_most / MICRO}

        return {
            "school": self.school,
            "today": {**money(self.today), **asdict(self.practised)},
            "average_day": {
                "usd": round(self.average.micro_usd / MICRO, 6),
                "calls": round(self.average.calls, 3),
                "talk_s": round(self.average.talk_s, 3),
                "tokens": round(self.average.tokens, 1),
            },
            "days": self.days,
            "total": money(self.total),
            "by_kind": [{"kind": one.kind, "entries": one.entries, **money(one.sum)} for one in self.kinds],
            "by_learner": [
                {
                    "learner": None if one.learner_id is None else str(one.learner_id),
                    "calls": one.calls,
                    "talk_s": round(one.talk_s, 3),
                    **money(one.sum),
                }
                for one in self.learners
            ],
        }


async def spent(session: AsyncSession, school: School, *, days: int, at: datetime) -> Spent:
    """What a school, which must be the session's, spent today and in so many days.

    Raises:
        LookupError: the session is of another school.
    """
    today = await costs.today(session, school.id, at)
    span = await costs.last_days(session, school.id, at, days)
    return Spent(
        school.name,
        await costs.total(session, today),
        await costs.practice(session, today),
        await costs.average(session, school.id, at),
        days,
        await costs.total(session, span),
        await costs.by_kind(session, span),
        await costs.by_learner(session, span),
    )
