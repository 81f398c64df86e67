"""What a call cost, across its streams."""

from __future__ import annotations

from telephony.ledger import Ledger
from tutor.realtime.events import InputTokens, OutputTokens, TranscriptionUsage, Usage
from tutor.realtime.pricing import prices
from tutor.realtime.protocol import Used

RESPONSE = Used("response", Usage(100, InputTokens(40, 60), OutputTokens(5, 80)))
TRANSCRIPT = Used("transcription", TranscriptionUsage(type="duration", seconds=6.0))


def ledger(model: str = "gpt-realtime-2.1", before: dict[str, object] | None = None) -> Ledger:
    """A ledger for a model."""
    return Ledger(prices(), model=model, transcribe_model="gpt-transcribe", before=before)


def test_responses_and_transcriptions_add_up_to_the_micro_dollar() -> None:
    """40 text and 60 audio in, 5 text and 80 audio out, and six seconds of transcription."""
    booked = ledger()
    booked.book(RESPONSE)
    booked.book(TRANSCRIPT)
    assert booked.micro_usd == 40 * 4 + 60 * 32 + 5 * 24 + 80 * 64 + 450
    summary = booked.summary()
    assert (summary["responses"], summary["transcriptions"], summary["transcribed_s"]) == (1, 1, 6.0)


def test_a_call_that_resumes_goes_on_counting() -> None:
    """What the first stream used is part of the call's cost, in whatever process the second one runs."""
    first = ledger()
    first.book(RESPONSE)
    second = ledger(before=first.summary())
    second.book(RESPONSE)
    assert second.micro_usd == 2 * (first.micro_usd or 0)
    assert second.summary()["audio_out"] == 160


def test_an_unknown_part_makes_the_whole_unknown_for_good() -> None:
    """Unknown is never 0, also not after a resumption with a model that has a price."""
    first = ledger("gpt-realtime-9")
    first.book(RESPONSE)
    assert first.micro_usd is None
    second = ledger(before=first.summary())
    second.book(RESPONSE)
    assert second.micro_usd is None
