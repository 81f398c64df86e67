"""What a call may still use: minutes of the day, money of its budgets. Asked at the door, and once a minute after it.

`Allowance` is pure: it is told what there is and says when the call must end, on the call's own clock. The functions
around it ask the database. The end of money is told some two minutes before, when it is certain, because an end that
was told once can only come nearer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal

from sqlalchemy.ext.asyncio import AsyncSession

from db import budgets, ledger, limits, talk_time
from db.budgets import Held
from db.ledger import NewEntry
from db.limits import Limit, Payer

MINUTE_MS: Final = 60_000
ASK_EVERY_MS: Final = 55_000
"""The next sign of life after it, every 30 s, asks anew: once a minute."""
ASK_AGAIN_MS: Final = 10_000
"""The soonest that a call which spends fast asks."""
AHEAD_MINUTES: Final = 2.5
"""What a live call sets aside: it is asked for once a minute, and a caller is told of the end a minute before."""
LOW_MINUTES: Final = 1.5
"""With less of it left a call asks at once."""
TOLD_MS: Final = 2 * MINUTE_MS
"""How long before the money is gone the conversation is told when it must end."""
OWN_PACE_MS: Final = 2 * MINUTE_MS
"""From then on a call's own pace says what its minutes cost, when that is more than usual."""

LEAST_TALK_S: Final = 60.0
"""With less of the day left nobody begins a scene."""
LEAST_MINUTES: Final = 2.0
"""Nor with money for less than this."""

Sentence = Literal["door.minutes_used", "door.budget_spent", "door.minutes_used_month", "door.budget_spent_month"]


class NothingLeft(Exception):
    """A call cannot begin: the minutes or a budget of a day or month are used up. `turned_away` writes down what
    follows."""

    def __init__(self, sentence: Sentence, payer: Payer, least_micro_usd: int = 0, *, own: bool = False) -> None:
        """``least_micro_usd``: with less than that in one of its budgets the call was not taken; ``own``: whether the
        limit is the learner's own, and not the school's or the line's."""
        super().__init__(sentence)
        self.sentence: Sentence = sentence
        self.payer = payer
        self.least_micro_usd = least_micro_usd
        self.own = own

    @property
    def period(self) -> Literal["day", "month"]:
        """What must be over before there is something again; a month where a day's limit is reached as well."""
        return "month" if self.sentence.endswith("_month") else "day"


@dataclass(frozen=True, slots=True)
class Left:
    """What the database says of a call."""

    talk_s: float | None = None
    """From now on; None: no limit comes before its day or month is over."""
    held: Held | None = None
    """Money set aside for the call from now on; None: no budget holds."""
    call_s: int | None = None
    """How long the whole call may take, from its first stream; None: as long as the service lets any."""
    call_micro_usd: int | None = None
    """What the whole call may cost; None: no limit."""


class Allowance:
    """What one live call may still use. Times are milliseconds of the call, amounts what budgets are charged."""

    def __init__(self, *, minute_micro_usd: int, carrier_micro_usd: int = 0, menu_ms: int = 0) -> None:
        """Begins without limits; `answered` brings them.

        Args:
            minute_micro_usd: what a minute usually costs in all, until the call's own pace is known.
            carrier_micro_usd: what of it is the carrier's, and is owed until the call is closed.
            menu_ms: how long the call had been going on when its media began.
        """
        self._minute = minute_micro_usd
        self._carrier = carrier_micro_usd
        self._menu_ms = menu_ms
        self._left = Left()
        self._asked_ms: float | None = None
        self._spent_when_asked = 0
        self._talk_end_ms: float | None = None

    def due(self, now_ms: float, spent: int) -> bool:
        """Whether to ask the database now."""
        if self._asked_ms is None:
            return True
        since_ms = now_ms - self._asked_ms
        return since_ms >= ASK_EVERY_MS or (since_ms >= ASK_AGAIN_MS and self._runs_low(now_ms, spent))

    def want(self, now_ms: float, spent: int) -> int:
        """What to set aside for the call: the next minutes, and what it owes the carrier."""
        return round(AHEAD_MINUTES * self._rate(now_ms, spent)) + self._owed(now_ms)

    def answered(self, left: Left, now_ms: float, spent: int) -> None:
        """Takes what the database said.

        Args:
            now_ms: when it was asked.
            spent: what the call had cost then, and was booked.
        """
        self._left = left
        self._asked_ms = now_ms
        self._spent_when_asked = spent
        self._talk_end_ms = None if left.talk_s is None else now_ms + left.talk_s * 1000

    def end_ms(self, now_ms: float, spent: int) -> int | None:
        """When the call must end as it stands; None: nothing says so yet. In the past: at once."""
        ends = [self._talk_end_ms, None if self._left.call_s is None else self._left.call_s * 1000.0]
        purses = []
        if self._left.call_micro_usd is not None:
            purses.append(self._left.call_micro_usd - spent - self._owed(now_ms))
        if self._left.held is not None:
            held = self._held(now_ms, spent)
            # There is more where the last answer was whole, unless nobody could be asked until it was gone.
            if not self._left.held.full or held <= 0:
                purses.append(held)
        for money in purses:
            lasts_ms = max(0, money) / self._rate(now_ms, spent) * MINUTE_MS
            ends.append(now_ms + lasts_ms if lasts_ms <= TOLD_MS else None)
        first = min((end for end in ends if end is not None), default=None)
        return None if first is None else int(first)

    def _runs_low(self, now_ms: float, spent: int) -> bool:
        held = self._left.held
        return held is not None and held.full and self._held(now_ms, spent) < LOW_MINUTES * self._rate(now_ms, spent)

    def _held(self, now_ms: float, spent: int) -> int:
        """What of the money set aside is left for talking."""
        assert self._left.held is not None
        return self._left.held.micro_usd - (spent - self._spent_when_asked) - self._owed(now_ms)

    def _owed(self, now_ms: float) -> int:
        """Minutes that the carrier has begun: booked when the call is closed."""
        return self._carrier * (int(self._menu_ms + now_ms) // MINUTE_MS + 1)

    def _rate(self, now_ms: float, spent: int) -> int:
        """Micro-dollars a minute, at least 1."""
        own = spent * MINUTE_MS / now_ms + self._carrier if now_ms >= OWN_PACE_MS else 0
        return max(1, self._minute, round(own))


async def settle(
    session: AsyncSession, payer: Payer, entries: Sequence[NewEntry], want_micro_usd: int | None, at: datetime
) -> Left | None:
    """Books a live call's entries and, with a wish for money, asks what it may still use; None without one.

    For a call that is certainly the caller's own, in the transaction that has found so.
    """
    if want_micro_usd is None:
        await ledger.book(session, payer, entries, at=at)
        return None
    holding = await limits.holding_for(session, payer, at)
    # Before anything is booked: a day that begins waits until all others have booked.
    periods = await budgets.ready(session, payer, holding)
    await ledger.book(session, payer, entries, at=at)
    held = await budgets.hold_in(session, payer, periods, want_micro_usd)
    talk = await talk_time.left(session, payer, holding, at)
    own = {limit.unit: limit.amount for limit in holding if limit.scope == "call"}
    return Left(talk.s if talk is not None else None, held, own.get("s"), own.get("micro_usd"))


async def require(session: AsyncSession, payer: Payer, *, minute_micro_usd: int, at: datetime) -> list[int]:
    """Whether somebody may begin a call; returns the days and months of budgets that it will spend from.

    Raises:
        NothingLeft: the day's minutes, or a budget, are used up.
    """
    holding = await limits.holding_for(session, payer, at)
    await _require_minutes(session, payer, holding, at)
    periods = await budgets.ready(session, payer, holding)
    least = round(LEAST_MINUTES * minute_micro_usd)
    room = await budgets.room(session, periods)
    if room is not None and room < least:
        own = await budgets.room(session, periods, scope="learner")
        month = await budgets.room(session, periods, period="month")
        raise NothingLeft(_spent(month, least), payer, least, own=own is not None and own < least)
    return periods


async def require_of_caller(session: AsyncSession, payer: Payer, *, minute_micro_usd: int, at: datetime) -> None:
    """The same of a call that was admitted before it was known whose it is; sets aside anew what it will spend first.

    The school is told when a budget is gone. What was set aside is given back when the call is closed.

    Args:
        payer: with the call, and whoever it turned out to be of.

    Raises:
        NothingLeft: as `require`; the call must end.
    """
    holding = await limits.holding_for(session, payer, at)
    await _require_minutes(session, payer, holding, at)
    periods = await budgets.ready(session, payer, holding)
    try:
        await set_aside(session, payer, periods, minute_micro_usd=minute_micro_usd)
    except NothingLeft as nothing:
        await budgets.refused(session, payer.school_id, periods, nothing.least_micro_usd)
        raise


async def set_aside(session: AsyncSession, payer: Payer, periods: Sequence[int], *, minute_micro_usd: int) -> None:
    """Sets aside what a call that was just admitted will spend first.

    Raises:
        NothingLeft: others were faster; the call must not be admitted.
    """
    if not periods:
        return
    held = await budgets.hold_in(session, payer, periods, round(AHEAD_MINUTES * minute_micro_usd))
    least = round(LEAST_MINUTES * minute_micro_usd)
    if held is not None and held.micro_usd < least:
        room = await budgets.room(session, periods, scope="learner")
        month = await budgets.room(session, periods, period="month")
        # What the call itself has been given is its own.
        sentence = _spent(month + held.micro_usd if month is not None else None, least)
        raise NothingLeft(sentence, payer, least, own=room is not None and room + held.micro_usd < least)


async def spoken_refusal(
    session: AsyncSession, payer: Payer, *, call_sid: str, number: str, at: datetime
) -> Sequence[int]:
    """Books the minute that the carrier counts for a sentence that says why not; who speaks has taken the call.

    In a transaction of its own, after the one in which the call could not begin; repeated, it changes nothing. Returns
    the days and months of the budgets that it was taken from.

    Args:
        call_sid: the carrier's identifier of the call.
        number: the line's.
    """
    payer = replace(payer, call_id=None)
    periods = await budgets.ready(session, payer, await limits.holding_for(session, payer, at))
    minute = ledger.carrier_minutes(f"turned_away:{call_sid}", number, 0)
    await ledger.book(session, payer, [minute], at=at)
    return periods


async def turned_away(session: AsyncSession, nothing: NothingLeft, *, call_sid: str, number: str, at: datetime) -> None:
    """Books the minute that it takes to say so, as `spoken_refusal`, and has the school told that a budget is gone."""
    payer = nothing.payer
    periods = await spoken_refusal(session, payer, call_sid=call_sid, number=number, at=at)
    if nothing.least_micro_usd:
        await budgets.refused(session, payer.school_id, periods, nothing.least_micro_usd)


async def stays(session: AsyncSession, nothing: NothingLeft, *, at: datetime) -> None:
    """Has the school told that a budget is gone, for a caller who stays without a model. In a transaction of its own.

    What the carrier counts of it is booked when the call is closed, as any call's.
    """
    payer = replace(nothing.payer, call_id=None)
    if nothing.least_micro_usd:
        periods = await budgets.ready(session, payer, await limits.holding_for(session, payer, at))
        await budgets.refused(session, payer.school_id, periods, nothing.least_micro_usd)


async def _require_minutes(session: AsyncSession, payer: Payer, holding: Sequence[Limit], at: datetime) -> None:
    """Raises `NothingLeft` when too little of the day or month is left to begin a scene."""
    talk = await talk_time.left(session, payer, holding, at)
    if talk is None or talk.s >= LEAST_TALK_S:
        return
    own = talk.limit.scope == "learner"
    # Tomorrow brings nothing where the month's minutes are used up too.
    months = [limit for limit in holding if limit.period == "month"]
    month = await talk_time.left(session, payer, months, at)
    if month is None or month.s >= LEAST_TALK_S:
        raise NothingLeft("door.minutes_used" if own else "door.budget_spent", payer, own=own)
    of_learner = month.limit.scope == "learner"
    raise NothingLeft("door.minutes_used_month" if of_learner else "door.budget_spent_month", payer, own=own)


def _spent(month_micro_usd: int | None, least: int) -> Sentence:
    """What is said where a budget is spent, by what is left of those of a month."""
    return "door.budget_spent_month" if month_micro_usd is not None and month_micro_usd < least else "door.budget_spent"
