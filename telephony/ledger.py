"""What one call used at the models and what that cost, in integer micro-dollars: summed up, and entry by entry.

It knows prices and what the model reports; where entries are kept, and what may be spent, is not known here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from db.ledger import NewEntry
from db.ledger import Used as UsedBefore
from tutor.realtime.events import InputTokens, OutputTokens, TranscriptionUsage, Usage
from tutor.realtime.pricing import Prices
from tutor.realtime.tab import Unsettled, Used

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
    """Adds up responses and transcriptions. A model without a price makes the whole cost unknown (None).

    Every one is an entry too, in ``pending`` until `booked` says that it is kept. An entry's key is the server's own
    identifier within the call, so that one that is booked twice is kept once.
    """

    def __init__(
        self,
        prices: Prices,
        *,
        call_id: str,
        model: str,
        transcribe_model: str,
        before: UsedBefore | None = None,
    ) -> None:
        """Begins with what was used before.

        Args:
            call_id: ours; part of the entries' keys.
            before: what the call's earlier streams used, from their entries.
        """
        self._prices = prices
        self._call_id = call_id
        self._model = model
        self._transcribe_model = transcribe_model
        earlier: Mapping[str, float] = before.quantity if before is not None else {}
        self._tokens: Counter[str] = Counter({kind: int(earlier.get(kind, 0)) for kind in _COUNTED})
        self._transcribed_s = float(earlier.get("transcribed_s", 0.0))
        self._micro_usd = (before.micro_usd or 0) if before is not None else 0
        self._unknown = before is not None and before.micro_usd is None
        self._most_text_in = before.most_text_in if before is not None else 0
        self._most_audio_in = before.most_audio_in if before is not None else 0
        self._pending: list[NewEntry] = []
        self.charged_micro_usd = before.charged_micro_usd if before is not None else 0
        """The cost so far as budgets see it: upper estimates where it is unknown."""

    @property
    def micro_usd(self) -> int | None:
        """The cost so far; None when a part of it is unknown."""
        return None if self._unknown else self._micro_usd

    @property
    def pending(self) -> tuple[NewEntry, ...]:
        """What is not kept yet."""
        return tuple(self._pending)

    def booked(self, entries: tuple[NewEntry, ...]) -> None:
        """The first of ``pending`` are kept now."""
        del self._pending[: len(entries)]

    def book(self, used: Used) -> None:
        """Counts one response or transcription."""
        usage = used.usage
        if isinstance(usage, Usage):
            cost = self._prices.response(self._model, usage)
            most = self._prices.response_at_most(self._model, usage)
            counted: dict[str, float] = dict(_counted(usage))
            self._most_text_in = max(self._most_text_in, int(counted["text_in"]))
            self._most_audio_in = max(self._most_audio_in, int(counted["audio_in"]))
            entry = NewEntry(
                "response", f"response:{self._call_id}:{used.id}", cost, most, {**counted, "model": self._model}
            )
        else:
            cost = self._prices.transcript(self._transcribe_model, usage)
            most = self._prices.transcript_at_most(self._transcribe_model, usage)
            counted = dict(_counted_transcription(usage))
            self._transcribed_s += usage.seconds or 0.0
            details = {**counted, "transcribed_s": usage.seconds or 0.0, "model": self._transcribe_model}
            entry = NewEntry("transcription", f"transcription:{self._call_id}:{used.id}", cost, most, details)
        self._tokens.update({name: int(amount) for name, amount in counted.items()})
        self._pending.append(entry)
        self.charged_micro_usd += entry.charged_micro_usd
        if cost is None:
            self._unknown = True
        else:
            self._micro_usd += cost

    def estimate(self, unsettled: Unsettled, key: str) -> None:
        """Charges what a session used and never accounted for, from above; the cost that is known stays as it is.

        Args:
            key: which loss it is; a call may have several.
        """
        most = unsettled.responses * self._prices.next_response_at_most(
            self._model, text_in=self._most_text_in, audio_in=self._most_audio_in
        )
        most += unsettled.transcriptions * self._prices.minute_transcribed_at_most()
        lost = {"responses_lost": unsettled.responses, "transcriptions_lost": unsettled.transcriptions}
        entry = NewEntry("estimate", f"estimate:{self._call_id}:{key}", None, most, lost)
        self._pending.append(entry)
        self.charged_micro_usd += entry.charged_micro_usd

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


def _counted(usage: Usage) -> dict[str, int]:
    given = usage.input_token_details or InputTokens()
    made = usage.output_token_details or OutputTokens()
    cached = given.cached_tokens_details
    return {
        "responses": 1,
        "text_in": given.text_tokens or 0,
        "audio_in": given.audio_tokens or 0,
        "text_cached": (cached.text_tokens or 0) if cached else 0,
        "audio_cached": (cached.audio_tokens or 0) if cached else 0,
        "text_out": made.text_tokens or 0,
        "audio_out": made.audio_tokens or 0,
    }


def _counted_transcription(usage: TranscriptionUsage) -> dict[str, int]:
    return {
        "transcriptions": 1,
        "transcription_in": usage.input_tokens or 0,
        "transcription_out": usage.output_tokens or 0,
    }
