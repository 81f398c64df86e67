"""Token counts as the price list counts them: audio by its length, text by an estimate, cached by the common beginning.

User audio is one token for 100 ms, the model's one for 50 ms (a third party measured 58 for 5.85 s, 146 for 7.30 s).
Text is estimated at four characters a token. It knows items, not events.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any

from rehearsal.realtime_items import Item

USER_MS_PER_TOKEN = 100
MODEL_MS_PER_TOKEN = 50
CONTEXT_TOKENS = {True: 96_000, False: 28_224}
"""Usable input by whether the model is a reasoning one: 128k less 32k of output, 32k less 4k less what it keeps."""


@dataclass(frozen=True)
class Entry:
    """Something the model reads: equal keys are the same tokens, so that they may come from the cache."""

    key: Hashable
    text: int
    audio: int


def text_tokens(text: str) -> int:
    """Estimates the tokens of a text; none for an empty one."""
    return -(-len(text) // 4)


def entry(item: Item) -> Entry:
    """Returns what the model reads of an item. Truncated audio is another key: the cache ends there."""
    audio = 0
    words = text_tokens(item.name or "") + text_tokens(item.arguments) + text_tokens(item.output)
    for part in item.content:
        if part.type in ("input_audio", "output_audio"):
            audio += part.audio_ms // (USER_MS_PER_TOKEN if part.type == "input_audio" else MODEL_MS_PER_TOKEN)
        else:
            words += text_tokens(part.text or "")
    return Entry((item.id, words, audio), words, audio)


class Ledger:
    """Counts what each response of a session reads, what of it was read before, and what the context limit drops."""

    def __init__(self, *, reasoning: bool) -> None:
        self._limit = CONTEXT_TOKENS[reasoning]
        self._seen: tuple[Hashable, ...] = ()
        self._dropped: set[str] = set()

    def read(
        self, preamble: str, items: Iterable[Item], *, truncation: object = "auto", in_band: bool = True
    ) -> tuple[Entry, ...]:
        """Returns what a response reads: the instructions and tools, then the items that the truncation leaves."""
        kept = [item for item in items if item.id not in self._dropped]
        if in_band and truncation != "disabled":
            kept = self._truncated(kept, truncation)
        return (Entry(preamble, text_tokens(preamble), 0), *(entry(item) for item in kept))

    def _truncated(self, items: list[Item], truncation: object) -> list[Item]:
        limit, ratio = self._limit, 1.0
        if isinstance(truncation, dict):
            limit = truncation.get("token_limits", {}).get("post_instructions", limit)
            ratio = truncation["retention_ratio"]
        sizes = [one.text + one.audio for one in map(entry, items)]
        total, first = sum(sizes), 0
        if total <= limit:
            return items
        while first < len(items) and total > limit * ratio:
            total -= sizes[first]
            first += 1
        self._dropped.update(item.id for item in items[:first])
        return items[first:]

    def usage(self, read: tuple[Entry, ...], *, text_out: int, audio_out: int) -> dict[str, Any]:
        """Returns the `usage` of a response; cached tokens are a part of the input tokens."""
        cached = []
        for one, known in zip(read, self._seen, strict=False):
            if one.key != known:
                break
            cached.append(one)
        text_in, audio_in = sum(one.text for one in read), sum(one.audio for one in read)
        cached_text, cached_audio = sum(one.text for one in cached), sum(one.audio for one in cached)
        return {
            "total_tokens": text_in + audio_in + text_out + audio_out,
            "input_tokens": text_in + audio_in,
            "output_tokens": text_out + audio_out,
            "input_token_details": {
                "text_tokens": text_in,
                "audio_tokens": audio_in,
                "image_tokens": 0,
                "cached_tokens": cached_text + cached_audio,
                "cached_tokens_details": {
                    "text_tokens": cached_text,
                    "audio_tokens": cached_audio,
                    "image_tokens": 0,
                },
            },
            "output_token_details": {"text_tokens": text_out, "audio_tokens": audio_out},
        }

    def remember(self, read: tuple[Entry, ...], written: Iterable[Item]) -> None:
        """Keeps what the conversation's last response read and wrote, for the cache of the next."""
        self._seen = (*(one.key for one in read), *(entry(item).key for item in written))


def transcription_usage(model: str, audio_ms: int, transcript: str, variant: str) -> dict[str, Any]:
    """Returns the `usage` of a transcription: by tokens for the 4o models or `variant` "tokens", else by the second."""
    if variant == "tokens" or (variant == "auto" and model.startswith("gpt-4o")):
        heard, written = audio_ms // USER_MS_PER_TOKEN, text_tokens(transcript)
        return {
            "type": "tokens",
            "total_tokens": heard + written,
            "input_tokens": heard,
            "output_tokens": written,
            "input_token_details": {"text_tokens": 0, "audio_tokens": heard},
        }
    return {"type": "duration", "seconds": audio_ms / 1000}
