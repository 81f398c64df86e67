"""What one call used at the models and what that cost, in integer micro-dollars."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from tutor.realtime.events import InputTokens, OutputTokens, TranscriptionUsage, Usage
from tutor.realtime.pricing import Prices
from tutor.realtime.protocol import Used

_COUNTED = (
    "responses",
    "text_in",
    "audio_in",
    "text_cached",
    "audio_cached",
    "text_out",
    "audio_out",
    "transcriptions",
    "transcription_in",
    "transcription_out",
)


class Ledger:
    """Adds up responses and transcriptions. A model without a price makes the whole cost unknown (None)."""

    def __init__(
        self, prices: Prices, *, model: str, transcribe_model: str, before: Mapping[str, Any] | None = None
    ) -> None:
        """``before``: the `summary` of the call's earlier stream, to go on from."""
        earlier = dict(before or {})
        self._prices = prices
        self._model = model
        self._transcribe_model = transcribe_model
        self._tokens: Counter[str] = Counter({kind: int(earlier.get(kind, 0)) for kind in _COUNTED})
        self._transcribed_s = float(earlier.get("transcribed_s", 0.0))
        self._micro_usd = int(earlier.get("micro_usd") or 0)
        self._unknown = bool(earlier) and earlier.get("micro_usd") is None

    @property
    def micro_usd(self) -> int | None:
        """The cost so far; None when a part of it is unknown."""
        return None if self._unknown else self._micro_usd

    def book(self, used: Used) -> None:
        """Books one response or transcription."""
        usage = used.usage
        if isinstance(usage, Usage):
            cost = self._prices.response(self._model, usage)
            self._count(usage)
        else:
            cost = self._prices.transcript(self._transcribe_model, usage)
            self._count_transcription(usage)
        if cost is None:
            self._unknown = True
        else:
            self._micro_usd += cost

    def _count(self, usage: Usage) -> None:
        given = usage.input_token_details or InputTokens()
        made = usage.output_token_details or OutputTokens()
        cached = given.cached_tokens_details
        self._tokens["responses"] += 1
        self._tokens["text_in"] += given.text_tokens or 0
        self._tokens["audio_in"] += given.audio_tokens or 0
        self._tokens["text_cached"] += (cached.text_tokens or 0) if cached else 0
        self._tokens["audio_cached"] += (cached.audio_tokens or 0) if cached else 0
        self._tokens["text_out"] += made.text_tokens or 0
        self._tokens["audio_out"] += made.audio_tokens or 0

    def _count_transcription(self, usage: TranscriptionUsage) -> None:
        self._tokens["transcriptions"] += 1
        self._tokens["transcription_in"] += usage.input_tokens or 0
        self._tokens["transcription_out"] += usage.output_tokens or 0
        self._transcribed_s += usage.seconds or 0.0

    def summary(self) -> dict[str, Any]:
        """Tokens by modality, models and the price file's date: the call row's ``usage``."""
        return {
            **{kind: self._tokens[kind] for kind in _COUNTED},
            "micro_usd": self.micro_usd,
            "transcribed_s": round(self._transcribed_s, 3),
            "model": self._model,
            "transcribe_model": self._transcribe_model,
            "prices_as_of": self._prices.as_of.isoformat(),
        }
