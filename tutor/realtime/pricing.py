"""What a response, a transcription, a text or a minute cost, in integer micro-dollars, from a dated price file.

Tokens read from a cache or written into it are a part of the input; what has no price costs None (unknown), never 0.
Amounts are rounded up to the next micro-dollar, so a ledger never shows less than was spent. Where a budget has to
count the unknown, it counts the dearest price known.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from functools import cache
from importlib.resources import files
from math import ceil
from typing import Final

from tutor.realtime.events import InputTokens, OutputTokens, TranscriptionUsage, Usage

Rates = Mapping[str, Fraction]
"""Micro-dollars per token (a dollar per million tokens is a micro-dollar per token), by kind of token."""

MICRO: Final = 1_000_000
"""Micro-dollars in a dollar."""

LONGEST_ANSWER_TOKENS: Final = 1_200
"""The longest turn of a role: 800 tokens at C2 (levels.toml) and 400 for thinking (tutor.talk.setup)."""
INSTRUCTIONS_TOKENS: Final = 4_000
"""More than instructions, tools and class material of any scene take (docs/costs.md reckons with 1,500)."""
TURN_AUDIO_TOKENS: Final = 600
"""A minute of the learner at 10 tokens a second; nobody speaks longer without a pause that ends the turn."""


@dataclass(frozen=True, slots=True)
class Prices:
    """One price file."""

    as_of: date
    realtime: Mapping[str, Rates]
    transcription: Mapping[str, Rates]
    text: Mapping[str, Rates]
    carrier: Rates
    """Dollars a minute of an inbound call, by the beginning of the line's number."""
    stream_minute: Fraction
    """Dollars a minute of a call's media stream."""
    message: Rates
    """Dollars a segment of a text message, by the beginning of the sender's number."""

    def response(self, model: str, usage: Usage) -> int | None:
        """What a response of a Realtime model cost; None when the model has no price."""
        rates = self.realtime.get(model)
        return None if rates is None else _response(rates, usage)

    def response_at_most(self, model: str, usage: Usage) -> int:
        """The same as `response`; for a model without a price what the dearest one would have cost."""
        known = self.realtime.get(model)
        return max(_response(rates, usage) for rates in ([known] if known is not None else self.realtime.values()))

    def next_response_at_most(self, model: str | None, *, text_in: int = 0, audio_in: int = 0) -> int:
        """More than any response can cost that follows one which read ``text_in`` and ``audio_in`` tokens.

        It reads all of it uncached, the answer to it and a long turn of the learner, writes the longest answer there
        is, and its turn is transcribed. For what nobody has counted: the last response of a process that was killed.
        """
        text = max(text_in, INSTRUCTIONS_TOKENS) + LONGEST_ANSWER_TOKENS
        audio = audio_in + LONGEST_ANSWER_TOKENS + TURN_AUDIO_TOKENS
        usage = Usage(None, InputTokens(text, audio), OutputTokens(0, LONGEST_ANSWER_TOKENS))
        return self.response_at_most(model or "", usage) + self.minute_transcribed_at_most()

    def transcript(self, model: str, usage: TranscriptionUsage) -> int | None:
        """What a transcription cost, billed by duration or by tokens; None when the model has no such price."""
        rates = self.transcription.get(model)
        return None if rates is None else _transcript(rates, usage)

    def transcript_at_most(self, model: str, usage: TranscriptionUsage) -> int:
        """The same as `transcript`; where that is unknown, what the dearest model would have cost."""
        known = self.transcript(model, usage)
        if known is not None:
            return known
        return max(_transcript(rates, usage) or 0 for rates in self.transcription.values())

    def minute_transcribed_at_most(self) -> int:
        """What a minute of the learner costs in writing at the dearest model: no turn is longer."""
        return self.transcript_at_most("", TranscriptionUsage(type="duration", seconds=60.0))

    def written(
        self, model: str, *, input_tokens: int, cached_tokens: int, output_tokens: int, cache_write_tokens: int = 0
    ) -> int | None:
        """What a text model's answer cost; None when the model has no price.

        Args:
            cached_tokens: of the input, what was read from the cache.
            cache_write_tokens: of the rest, what was written into it; dearer where the model has a price for that.
        """
        rates = self.text.get(model)
        if rates is None:
            return None
        fresh = (input_tokens - cached_tokens - cache_write_tokens) * rates["text_in"]
        cache = cached_tokens * rates["text_cached"] + cache_write_tokens * _cache_write(rates)
        return ceil(fresh + cache + output_tokens * rates["text_out"])

    def written_at_most(self, *, input_tokens: int, output_tokens: int) -> int:
        """What an answer of so many tokens costs at most: at the dearest model, all it read written into the cache."""
        return ceil(
            max(input_tokens * _cache_write(rates) + output_tokens * rates["text_out"] for rates in self.text.values())
        )

    def minutes(self, number: str, minutes: int) -> int | None:
        """What so many begun minutes of a call to a line cost at the carrier, media stream included.

        Args:
            number: the line's, in E.164; None comes back when no price fits its beginning.
        """
        rate = _longest(self.carrier, number)
        return None if rate is None else ceil(minutes * (rate + self.stream_minute) * MICRO)

    def minutes_at_most(self, number: str, minutes: int) -> int:
        """The same as `minutes`; for a number without a price what the dearest one would have cost."""
        known = self.minutes(number, minutes)
        if known is not None:
            return known
        return ceil(minutes * (max(self.carrier.values()) + self.stream_minute) * MICRO)

    def segments(self, sender: str, segments: int) -> int | None:
        """What so many segments of a text message cost; None when no price fits the sender's number."""
        rate = _longest(self.message, sender)
        return None if rate is None else ceil(segments * rate * MICRO)

    def segments_at_most(self, sender: str, segments: int) -> int:
        """The same as `segments`; for a number without a price what the dearest one would have cost."""
        known = self.segments(sender, segments)
        return known if known is not None else ceil(segments * max(self.message.values()) * MICRO)


def _cache_write(rates: Rates) -> Fraction:
    return rates.get("text_cache_write", rates["text_in"])


def _response(rates: Rates, usage: Usage) -> int:
    given = usage.input_token_details or InputTokens()
    made = usage.output_token_details or OutputTokens()
    cached = given.cached_tokens_details
    # Without the split by modality everything counts as uncached: an upper bound.
    text_cached = (cached.text_tokens or 0) if cached else 0
    audio_cached = (cached.audio_tokens or 0) if cached else 0
    total = (
        ((given.text_tokens or 0) - text_cached) * rates["text_in"]
        + text_cached * rates["text_cached"]
        + ((given.audio_tokens or 0) - audio_cached) * rates["audio_in"]
        + audio_cached * rates["audio_cached"]
        + (made.text_tokens or 0) * rates["text_out"]
        + (made.audio_tokens or 0) * rates["audio_out"]
    )
    return ceil(total)


def _transcript(rates: Rates, usage: TranscriptionUsage) -> int | None:
    if usage.type == "duration":
        per_second = rates.get("per_minute", Fraction(0)) * MICRO / 60
        # As it was written: 0.04 as a float is a little more, and would be rounded up to one too many.
        return ceil(Fraction(str(usage.seconds or 0)) * per_second) if per_second else None
    if "audio_in" not in rates:
        return None
    details = usage.input_token_details
    audio = (details.audio_tokens or 0) if details else (usage.input_tokens or 0)
    text = (details.text_tokens or 0) if details else 0
    total = audio * rates["audio_in"] + text * rates["text_in"] + (usage.output_tokens or 0) * rates["text_out"]
    return ceil(total)


def _longest(rates: Rates, number: str) -> Fraction | None:
    """The rate of the longest beginning that fits."""
    fitting: Iterable[str] = (beginning for beginning in rates if number.startswith(beginning))
    best = max(fitting, key=len, default=None)
    return None if best is None else rates[best]


@cache
def prices() -> Prices:
    """The price file that ships with Ringua."""
    data = tomllib.loads(files("tutor.realtime").joinpath("prices.toml").read_text("utf-8"))

    def rates(dollars: Mapping[str, float]) -> Rates:
        return {kind: Fraction(str(amount)) for kind, amount in dollars.items()}

    def by_model(name: str) -> dict[str, Rates]:
        return {model: rates(table) for model, table in data[name].items()}

    return Prices(
        data["as_of"],
        by_model("realtime"),
        by_model("transcription"),
        by_model("text"),
        rates(data["carrier"]),
        rates(data["stream"])["per_minute"],
        rates(data["message"]),
    )
