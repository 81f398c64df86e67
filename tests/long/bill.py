"""An independent judge of the ledger: prices what the stand-ins are owed, without any of our pricing code.

It reads the dated price file itself and counts in millionths of a micro-dollar, in whole numbers; each line is rounded
up to the next micro-dollar, as `tutor.realtime.pricing` documents.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit
from uuid import UUID

from db.models_money import LedgerEntry
from rehearsal.realtime_bill import Charge
from rehearsal.report import CallResult, StreamLog

PRICES: Mapping[str, Any] = tomllib.loads(
    (Path(__file__).parents[2] / "tutor" / "realtime" / "prices.toml").read_text("utf-8"), parse_float=Decimal
)
PART = 1_000_000
"""Parts of a micro-dollar, and micro-dollars of a dollar: a price of a million tokens in dollars is so many parts."""

UNSURE_S = 0.1
"""Clocks of the killer, the carrier and a call are read one after the other."""
CLOSING_S = 5.0
"""How long after a stream its driver may still be writing how the call ended; it takes less than a second."""
BROKEN = 1006
"""The close code of a socket that ended without a word."""


def price(*charges: Charge) -> int:
    """What lines of the model's bill cost that are paid for together, in micro-dollars: rounded up once."""
    return _up(sum(_parts_of(charge) for charge in charges), PART)


def _parts_of(charge: Charge) -> int:
    usage = charge.usage
    if charge.kind == "response":
        given, made = usage["input_token_details"], usage["output_token_details"]
        cached = given["cached_tokens_details"]
        counted = {
            "text_in": given["text_tokens"] - cached["text_tokens"],
            "audio_in": given["audio_tokens"] - cached["audio_tokens"],
            "text_cached": cached["text_tokens"],
            "audio_cached": cached["audio_tokens"],
            "text_out": made["text_tokens"],
            "audio_out": made["audio_tokens"],
        }
        return _tokens(PRICES["realtime"][charge.model], counted)
    if charge.kind == "text":
        cached = usage["input_tokens_details"]["cached_tokens"]
        into_cache = usage["input_tokens_details"]["cache_write_tokens"]
        counted = {
            "text_in": usage["input_tokens"] - cached - into_cache,
            "text_cached": cached,
            "text_cache_write": into_cache,
            "text_out": usage["output_tokens"],
        }
        return _tokens(PRICES["text"][charge.model], counted)
    rates = PRICES["transcription"][charge.model]
    if usage["type"] == "duration":
        milliseconds = _whole(Decimal(str(usage["seconds"])) * 1_000)
        return _whole(Decimal(milliseconds * _parts(rates["per_minute"]) * PART) / 60_000)
    details = usage["input_token_details"]
    counted = {
        "audio_in": details["audio_tokens"],
        "text_in": details["text_tokens"],
        "text_out": usage["output_tokens"],
    }
    return _tokens(rates, counted)


def minutes(number: str, count: int) -> int:
    """What the carrier takes for so many minutes of a call to a line, its media stream included."""
    each = _longest(PRICES["carrier"], number) + PRICES["stream"]["per_minute"]
    return _up(count * _parts(each) * PART, PART)


def segments(number: str, count: int) -> int:
    """What so many segments of a text from a line cost."""
    return _up(count * _parts(_longest(PRICES["message"], number)) * PART, PART)


def _tokens(rates: Mapping[str, Decimal], counted: Mapping[str, int]) -> int:
    return sum(count * _parts(rates[kind]) for kind, count in counted.items() if count)


def _parts(rate: Decimal) -> int:
    return _whole(rate * PART)


def _whole(amount: Decimal) -> int:
    assert amount == int(amount), f"{amount} is finer than what is counted here"
    return int(amount)


def _up(amount: int, unit: int) -> int:
    return -(-amount // unit)


def _longest(rates: Mapping[str, Decimal], number: str) -> Decimal:
    return rates[max((beginning for beginning in rates if number.startswith(beginning)), key=len)]


# --- one call's bill beside its ledger


@dataclass
class Account:
    """What one call owes the model by the stand-in's bill, and what the ledger has of it."""

    sessions: list[list[Charge]] = field(default_factory=list)
    """A bill for each session of the model, in the order of its lines."""
    booked: dict[str, int] = field(default_factory=dict)
    """``response:<id>`` or ``transcription:<id>``, without the call's own: micro-dollars."""
    estimates: list[int] = field(default_factory=list)

    def take(self, call_id: UUID, entries: Iterable[LedgerEntry]) -> None:
        """Takes what the ledger has of the call."""
        for entry in entries:
            if entry.kind in ("response", "transcription"):
                kind, call, name = entry.key.split(":")
                assert (call, entry.call_id) == (str(call_id), call_id)
                assert entry.micro_usd == entry.charged_micro_usd
                self.booked[f"{kind}:{name}"] = entry.charged_micro_usd
            elif entry.kind == "estimate":
                self.estimates.append(entry.charged_micro_usd)

    def problems(self, *, complete: bool) -> list[str]:
        """What is wrong with a call's account that says whether it is complete; nothing when it keeps its word."""
        found = [f"booked and not owed: {self.invented}"] if self.invented else []
        if complete != (not self.estimates):
            found.append(f"complete: {complete}, estimates: {self.estimates}")
        if complete and self.missing:
            found.append(f"complete, and it lacks {self.missing}")
        if sum(self.missing.values()) > sum(self.estimates):
            found.append(f"it lacks {self.missing}, estimated at {self.estimates}")
        return found

    @property
    def owed(self) -> dict[str, int]:
        """Every line of the bill that costs something."""
        lines = [charge for charges in self.sessions for charge in charges]
        priced = {f"{charge.kind}:{charge.id}": price(charge) for charge in lines}
        assert len(priced) == len(lines), "two lines of a bill have one name"
        return {name: cost for name, cost in priced.items() if cost}

    @property
    def missing(self) -> dict[str, int]:
        """What is on the bill and not in the ledger."""
        return {name: cost for name, cost in self.owed.items() if name not in self.booked}

    @property
    def invented(self) -> dict[str, int]:
        """What the ledger has and the bill has not, or has at another price."""
        owed = self.owed
        return {name: cost for name, cost in self.booked.items() if cost != owed.get(name, 0)}

    @property
    def exact(self) -> bool:
        """Whether the ledger and the bill agree line by line, to the micro-dollar."""
        return not self.missing and not self.invented

    def lost_responses(self) -> list[int]:
        """For each session of which something is missing: how many responses, all of them its last ones.

        Raises:
            AssertionError: a response is missing that was not among the last.
        """
        lost = []
        for charges in self.sessions:
            names = [f"{one.kind}:{one.id}" for one in charges if one.kind == "response" and price(one)]
            gone = [name for name in names if name not in self.booked]
            assert gone == names[len(names) - len(gone) :], f"booked after one that is missing: {gone} of {names}"
            if gone:
                lost.append(len(gone))
        return lost


# --- who was killed, as the carrier and the killer saw it


@dataclass(frozen=True)
class Kill:
    """An instance was killed."""

    port: int
    at_s: float


Fate = Literal["lived", "killed", "unsure"]


def fate(result: CallResult, dialled_s: float, kills: Sequence[Kill]) -> Fate:
    """Whether a process of a call was killed while it served one of its streams, without asking the service.

    ``unsure``: it was killed at a moment at which the driver had perhaps not begun, or perhaps had finished.
    """
    fates = {_fate(stream, dialled_s, kills) for stream in result.streams}
    return "killed" if "killed" in fates else "unsure" if "unsure" in fates else "lived"


def killed_streams(result: CallResult, dialled_s: float, kills: Sequence[Kill]) -> int:
    """How many streams of a call may have lost their process."""
    return sum(_fate(stream, dialled_s, kills) != "lived" for stream in result.streams)


def _fate(stream: StreamLog, dialled_s: float, kills: Iterable[Kill]) -> Fate:
    began_s = dialled_s + stream.asked_ms / 1_000
    ended_s = dialled_s + (stream.closed_ms if stream.closed_ms is not None else stream.asked_ms) / 1_000
    port = urlsplit(stream.url).port
    for kill in kills:
        if kill.port != port or not began_s - UNSURE_S < kill.at_s < ended_s + CLOSING_S:
            continue
        # Sound had come, so that its driver had begun; and it did not end the stream, nor did the caller.
        broken = stream.ended_by == "server" and stream.close_code == BROKEN
        return "killed" if stream.arrivals and broken else "unsure"
    return "lived"
