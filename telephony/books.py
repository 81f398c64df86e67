"""One live call's account: what it used, what of it is kept, what it may still use, and what a dead process left out.

The keeper of a call settles it with every sign of life; the conversation only ever hears when it must end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncSession

from db import ledger as entries
from db.ledger import NewEntry
from db.limits import Payer
from db.models import Call, Line
from telephony.allowance import Allowance, Left, settle
from telephony.ledger import Ledger
from tutor.realtime.planning import usual_minute
from tutor.realtime.pricing import Prices
from tutor.realtime.tab import Unsettled

_MARKS: Final = frozenset({"stream", "whole", "lost"})
"""What a checkpoint's account says beside the usage: whose it is, and whether anything is missing."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What one transaction kept and learned: it holds once that has been committed."""

    kept: tuple[NewEntry, ...]
    left: Left | None
    at_ms: float
    spent: int


class Books:
    """The account of a call for one of its streams. `begin` it in the transaction that takes the stream."""

    def __init__(self, payer: Payer, ledger: Ledger, allowance: Allowance, *, stream: int, lost: bool) -> None:
        """``lost``: whether a process died over the call, so that a response was never counted."""
        self.payer = payer
        self.ledger = ledger
        self._allowance = allowance
        self._stream = stream
        self._lost = lost
        self._estimates = 0

    @classmethod
    async def begin(
        cls,
        session: AsyncSession,
        call: Call,
        line: Line,
        *,
        prices: Prices,
        model: str,
        transcribe_model: str,
        elapsed_ms: int,
        at: datetime,
    ) -> Books:
        """Takes up the account of a call whose stream was just connected; the first `settle` asks what it may use.

        Where the stream before it ended without a last word, an upper estimate of its last response is booked.

        Args:
            model: the speech model of the call.
            elapsed_ms: where the call's clock stands.
            at: now.
        """
        payer = Payer(call.school_id, call.line_id, call.learner_id, call.id, call.caller_hash)
        account = _account(call)
        lost = call.streams > 1 and not _whole(account, call.streams - 1)
        before = await entries.used(session, call.id) if call.streams > 1 else None
        if lost:
            await entries.lost_response(session, payer, model=model, key=str(call.streams), at=at)
        allowance = Allowance(
            minute_micro_usd=usual_minute(model, transcribe_model, line.number),
            carrier_micro_usd=prices.minutes_at_most(line.number, 1),
            menu_ms=max(0, round((at - call.started_at).total_seconds() * 1000) - elapsed_ms),
        )
        ledger = Ledger(prices, call_id=str(call.id), model=model, transcribe_model=transcribe_model, before=before)
        return cls(payer, ledger, allowance, stream=call.streams, lost=lost or account.get("lost") is True)

    @property
    def complete(self) -> bool:
        """Whether all that the call used is counted, at a known price."""
        return self.ledger.micro_usd is not None and not self._lost

    def lose(self, unsettled: Unsettled) -> None:
        """A session used what it never accounted for: an upper estimate is booked, and the account stays incomplete."""
        self._lost = True
        self._estimates += 1
        self.ledger.estimate(unsettled, f"{self._stream}:{self._estimates}")

    def summary(self, *, whole: bool = False) -> dict[str, Any]:
        """The account as a checkpoint keeps it.

        Args:
            whole: whether this is the last word of a stream that ended in good order.
        """
        return {**self.ledger.summary(), "stream": self._stream, "whole": whole, "lost": self._lost}

    def end_ms(self, now_ms: float) -> int | None:
        """When the call must end as it stands, in its own milliseconds; None: nothing says so yet."""
        return self._allowance.end_ms(now_ms, self.ledger.charged_micro_usd)

    async def settle(self, session: AsyncSession, now_ms: float, at: datetime) -> Settled:
        """Keeps what is not kept yet and, once a minute, asks what is left; give `settled` what comes back.

        In the transaction that has found that the call is still this stream's.
        """
        kept, spent = self.ledger.pending, self.ledger.charged_micro_usd
        want = self._allowance.want(now_ms, spent) if self._allowance.due(now_ms, spent) else None
        return Settled(kept, await settle(session, self.payer, kept, want, at), now_ms, spent)

    def settled(self, settled: Settled) -> None:
        """The transaction was committed."""
        self.ledger.booked(settled.kept)
        if settled.left is not None:
            self._allowance.answered(settled.left, settled.at_ms, settled.spent)


@dataclass(frozen=True, slots=True)
class LeftBehind:
    """The account of a call that no driver closes, from its row."""

    usage: Mapping[str, Any]
    complete: bool
    lost_response: bool
    """Whether a process died over its last stream."""

    @classmethod
    def by(cls, call: Call) -> LeftBehind:
        """Reads it from the row as it was before it is closed."""
        account = _account(call)
        whole = call.connected_at is None or (call.state != "live" and _whole(account, call.streams))
        usage = {name: value for name, value in account.items() if name not in _MARKS}
        return cls(usage, whole and account.get("lost") is not True, not whole)


def _account(call: Call) -> Mapping[str, Any]:
    account: Mapping[str, Any] = (call.resume or {}).get("spent", {})
    return account


def _whole(account: Mapping[str, Any], stream: int) -> bool:
    """Whether an account is the last word of a stream: a checkpoint in between, or of another stream, is not."""
    return account.get("whole") is True and account.get("stream") == stream
