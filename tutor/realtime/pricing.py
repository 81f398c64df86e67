"""What a response, a transcription or a text cost, in integer micro-dollars, from a dated price file.

Cached tokens are a subset of the input; a model without a price costs None (unknown), never 0. Amounts are rounded
up to the next micro-dollar, so a ledger never shows less than was spent.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from functools import cache
from importlib.resources import files
from math import ceil

from tutor.realtime.events import InputTokens, OutputTokens, TranscriptionUsage, Usage

Rates = Mapping[str, Fraction]
"""Micro-dollars per token (a dollar per million tokens is a micro-dollar per token), by kind of token."""


@dataclass(frozen=True, slots=True)
class Prices:
    """One price file."""

    as_of: date
    realtime: Mapping[str, Rates]
    transcription: Mapping[str, Rates]
    text: Mapping[str, Rates]

    def response(self, model: str, usage: Usage) -> int | None:
        """What a response of a Realtime model cost; None when the model has no price."""
        rates = self.realtime.get(model)
        if rates is None:
            return None
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

    def transcript(self, model: str, usage: TranscriptionUsage) -> int | None:
        """What a transcription cost, billed by duration or by tokens; None when the model has no such price."""
        rates = self.transcription.get(model)
        if rates is None:
            return None
        if usage.type == "duration":
            # Dollars a minute; the file's figure is a million times micro-dollars.
            per_second = rates.get("per_minute", Fraction(0)) * 1_000_000 / 60
            return ceil(Fraction(usage.seconds or 0) * per_second) if per_second else None
        if "audio_in" not in rates:
            return None
        details = usage.input_token_details
        audio = (details.audio_tokens or 0) if details else (usage.input_tokens or 0)
        text = (details.text_tokens or 0) if details else 0
        total = audio * rates["audio_in"] + text * rates["text_in"] + (usage.output_tokens or 0) * rates["text_out"]
        return ceil(total)

    def written(self, model: str, *, input_tokens: int, cached_tokens: int, output_tokens: int) -> int | None:
        """What a text model's answer cost; None when the model has no price."""
        rates = self.text.get(model)
        if rates is None:
            return None
        fresh = (input_tokens - cached_tokens) * rates["text_in"]
        return ceil(fresh + cached_tokens * rates["text_cached"] + output_tokens * rates["text_out"])


@cache
def prices() -> Prices:
    """The price file that ships with Ringua."""
    data = tomllib.loads(files("tutor.realtime").joinpath("prices.toml").read_text("utf-8"))

    def table(name: str) -> dict[str, Rates]:
        return {
            model: {kind: Fraction(str(dollars)) for kind, dollars in rates.items()}
            for model, rates in data[name].items()
        }

    return Prices(data["as_of"], table("realtime"), table("transcription"), table("text"))
