"""The ledger: an entry for everything that is paid for, written once by its key, and what closing a call adds to it.

An entry that is there already is not written again and counts nowhere again, so that a call that resumes, a job that
is run twice and a webhook that is repeated cost what they cost. Prices come with the entry, from whoever books.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import ceil
from typing import Any, Final, Literal
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from db import budgets
from db.limits import Payer
from db.models import Call, Line, Message
from db.models_money import LedgerEntry
from tutor.realtime.pricing import Prices, prices

Kind = Literal["response", "transcription", "debrief", "moderation", "carrier_minutes", "message", "estimate"]

OF_THE_MODEL: Final[frozenset[Kind]] = frozenset({"response", "transcription"})
"""What a call's row sums up as its cost; the rest is the school's, not the conversation's."""

_BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class NewEntry:
    """Something that was paid for."""

    kind: Kind
    key: str
    """What it was, once and for all: ``response:<its id>``."""
    micro_usd: int | None
    """None: unknown, never 0."""
    at_most_micro_usd: int
    """An upper estimate, which counts against budgets where the cost is unknown."""
    quantity: Mapping[str, Any] = field(default_factory=dict)
    """How much of what; sums of equal names of one call make its usage. No word and no number of anybody."""

    @property
    def charged_micro_usd(self) -> int:
        """What it counts for against budgets."""
        return self.at_most_micro_usd if self.micro_usd is None else self.micro_usd


@dataclass(frozen=True, slots=True)
class Used:
    """What a call's conversation used, from its entries."""

    micro_usd: int | None
    """None: a part of it is unknown."""
    charged_micro_usd: int
    quantity: Mapping[str, float]
    """Tokens and seconds by name."""
    most_text_in: int = 0
    """The most text tokens that one response read."""
    most_audio_in: int = 0
    model: str | None = None


async def book(session: AsyncSession, payer: Payer, entries: Sequence[NewEntry], *, at: datetime | None = None) -> int:
    """Writes entries and counts them in every budget; returns how many of them were new.

    Args:
        at: when it was spent, which says to which day it belongs; None: now.
    """
    if not entries:
        return 0
    at = at or datetime.now(UTC)
    await budgets.share_books(session, payer.school_id)
    rows = [
        {
            "school_id": payer.school_id,
            "line_id": payer.line_id,
            "call_id": payer.call_id,
            "learner_id": payer.learner_id,
            "at": at,
            "kind": entry.kind,
            "quantity": dict(entry.quantity),
            "micro_usd": entry.micro_usd,
            "charged_micro_usd": entry.charged_micro_usd,
            "key": entry.key,
        }
        for entry in entries
    ]
    charged: list[int] = []
    for start in range(0, len(rows), _BATCH):
        fresh = insert(LedgerEntry).values(rows[start : start + _BATCH])
        once = fresh.on_conflict_do_nothing(index_elements=[LedgerEntry.school_id, LedgerEntry.key])
        charged += await session.scalars(once.returning(LedgerEntry.charged_micro_usd))
    if charged:
        await budgets.spend(session, payer, sum(charged), at)
    return len(charged)


async def used(session: AsyncSession, call_id: UUID) -> Used | None:
    """What the conversation of a call used so far; None when nothing of it was booked."""
    entries = await session.scalars(
        select(LedgerEntry).where(LedgerEntry.call_id == call_id, LedgerEntry.kind.in_(OF_THE_MODEL))
    )
    total: Counter[str] = Counter()
    known, charged, unknown = 0, 0, False
    most_text, most_audio, model = 0, 0, None
    rows = entries.all()
    for entry in rows:
        unknown |= entry.micro_usd is None
        known += entry.micro_usd or 0
        charged += entry.charged_micro_usd
        for name, amount in entry.quantity.items():
            if isinstance(amount, int | float):
                total[name] += amount  # type: ignore[assignment]  # seconds are floats
        if entry.kind == "response":
            most_text = max(most_text, entry.quantity.get("text_in", 0))
            most_audio = max(most_audio, entry.quantity.get("audio_in", 0))
            model = entry.quantity.get("model", model)
    if not rows:
        return None
    return Used(None if unknown else known, charged, dict(total), most_text, most_audio, model)


async def lost_response(
    session: AsyncSession, payer: Payer, *, model: str | None, key: str, at: datetime | None = None
) -> None:
    """Books an upper estimate of the one response that nobody counted, because its process was killed.

    Args:
        model: the call's, where no response of it was booked; None: the dearest one there is.
        key: which loss it is; a call may have several.
    """
    assert payer.call_id is not None
    known = await used(session, payer.call_id)
    text, audio = (known.most_text_in, known.most_audio_in) if known is not None else (0, 0)
    model = (known.model if known is not None else None) or model
    most = prices().next_response_at_most(model, text_in=text, audio_in=audio)
    entry = NewEntry("estimate", f"estimate:{payer.call_id}:{key}", None, most, {"responses_lost": 1})
    await book(session, payer, [entry], at=at)


async def close_call(
    session: AsyncSession,
    call_id: UUID,
    *,
    entries: Sequence[NewEntry] = (),
    complete: bool,
    lost: bool,
    usage: Mapping[str, Any],
    table: Prices | None = None,
) -> None:
    """Settles a call that was closed in this transaction: its last entries, the carrier's minutes, its cost, its hold.

    Args:
        complete: whether everything the conversation used is booked.
        lost: whether a process died over it, so that its last response is not.
        usage: what its driver said of it; kept beside what the entries say.
    """
    row = (
        await session.execute(
            select(Call, Line.number, Line.model)
            .join(Line, Line.id == Call.line_id)
            .where(Call.id == call_id)
            .execution_options(populate_existing=True)
        )
    ).one()
    call: Call = row[0]
    at = call.ended_at or datetime.now(UTC)
    payer = Payer(call.school_id, call.line_id, call.learner_id, call.id)
    # The carrier's own figure, where its report came first: it is what will be paid.
    seconds = call.carrier_s if call.carrier_s is not None else max(0.0, (at - call.started_at).total_seconds())
    carried = carrier_minutes(f"carrier:{call.id}", row[1], seconds, table or prices())
    await book(session, payer, [*entries, carried], at=at)
    if call.connected_at is None:
        complete = True  # no model was asked for anything
    elif lost:
        await lost_response(session, payer, model=usage.get("model") or row[2], key="end", at=at)
    spent = await used(session, call.id)
    values: dict[str, Any] = {"cost_complete": complete and not lost}
    if spent is not None:
        values["cost_micro_usd"] = spent.micro_usd
        values["cost_complete"] = complete and not lost and spent.micro_usd is not None
        values["usage"] = {**usage, **spent.quantity, "micro_usd": spent.micro_usd}
    elif call.connected_at is None and call.cost_micro_usd is None:
        values["cost_micro_usd"] = 0
    await session.execute(
        update(Call).where(Call.id == call_id).values(values).execution_options(synchronize_session=False)
    )
    await budgets.release(session, call_id)


def carrier_minutes(key: str, number: str, seconds: float, table: Prices | None = None) -> NewEntry:
    """What a call of so many seconds to a line costs at the carrier, who rounds up to whole minutes."""
    table, minutes = table or prices(), max(1, ceil(seconds / 60))
    cost = table.minutes(number, minutes)
    quantity = {"minutes": minutes, "seconds": round(seconds, 3)}
    return NewEntry("carrier_minutes", key, cost, table.minutes_at_most(number, minutes), quantity)


async def carrier_billed(session: AsyncSession, call_id: UUID, seconds: int) -> bool:
    """The carrier says how long a call was: books what that is more, or less, than was booked when it was closed.

    Kept on the call's row, from which `close_call` takes it where the call is not closed yet; what was said first
    stays. Once a call; False when that was done, or the call is not closed yet, or there is nothing to correct.
    """
    # Who closes the call at this moment has its row or waits for it: one of the two sees the other's work.
    said = (
        update(Call)
        .where(Call.id == call_id)
        .values(carrier_s=func.coalesce(Call.carrier_s, seconds))
        .returning(Call.carrier_s)
        .execution_options(synchronize_session=False)
    )
    kept = await session.scalar(said)
    if kept is None:
        return False
    seconds = kept
    found = (
        await session.execute(
            select(Call, Line.number, LedgerEntry)
            .join(Line, Line.id == Call.line_id)
            .join(LedgerEntry, (LedgerEntry.call_id == Call.id) & (LedgerEntry.kind == "carrier_minutes"))
            .where(Call.id == call_id, Call.state == "closed")
            .order_by(LedgerEntry.id)
            .limit(1)
        )
    ).one_or_none()
    if found is None:
        return False
    call, number, booked = found
    billed = carrier_minutes(f"carrier:{call_id}:billed", number, seconds)
    minutes = billed.quantity["minutes"] - booked.quantity["minutes"]
    if minutes == 0:
        return False
    entry = NewEntry(
        "carrier_minutes",
        billed.key,
        None if billed.micro_usd is None or booked.micro_usd is None else billed.micro_usd - booked.micro_usd,
        billed.charged_micro_usd - booked.charged_micro_usd,
        {"minutes": minutes, "seconds": round(seconds - booked.quantity["seconds"], 3)},
    )
    payer = Payer(call.school_id, call.line_id, call.learner_id, call.id)
    return await book(session, payer, [entry]) == 1


async def book_message(session: AsyncSession, message: Message, *, segments: int) -> bool:
    """Books a text message that the carrier took; each attempt is paid for. False when that was done before.

    It is priced by the sending line's number.
    """
    line_id, learner_id = (
        await session.scalar(select(Call.line_id).where(Call.id == message.call_id)),
        message.learner_id,
    )
    entry = NewEntry(
        "message",
        f"message:{message.id}:{message.attempts}",
        prices().segments(message.sender, segments),
        prices().segments_at_most(message.sender, segments),
        {"segments": segments},
    )
    return await book(session, Payer(message.school_id, line_id, learner_id, message.call_id), [entry]) == 1


async def book_help(
    session: AsyncSession, payer: Payer, *, carrier_sid: str, sender: str, segments: int, at: datetime
) -> bool:
    """Books an answer to a text that asked for help (its MessageSid); False when that was done before.

    Args:
        sender: the line's number, by which it is priced.
    """
    table = prices()
    entry = NewEntry(
        "message",
        _help_key(carrier_sid),
        table.segments(sender, segments),
        table.segments_at_most(sender, segments),
        {"segments": segments},
    )
    return await book(session, payer, [entry], at=at) == 1


async def help_booked(session: AsyncSession, carrier_sid: str) -> bool:
    """Whether the session's school has paid for an answer to this text (its MessageSid)."""
    found = select(LedgerEntry.id).where(LedgerEntry.key == _help_key(carrier_sid))
    return await session.scalar(found) is not None


def _help_key(carrier_sid: str) -> str:
    return f"message:help:{carrier_sid}"


def debrief(call_id: UUID, *, micro_usd: int | None, model: str | None, again: UUID | None = None) -> NewEntry:
    """What the text model took for a call's debrief, its useless answers included.

    Args:
        again: which one it is of those that were written and not kept; None: the one that is.
    """
    most = prices().written_at_most(input_tokens=8_000, output_tokens=4_000)
    key = f"debrief:{call_id}" if again is None else f"debrief:{call_id}:{again}"
    return NewEntry("debrief", key, micro_usd, most, {"model": model} if model else {})
