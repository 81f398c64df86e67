"""What a call cost, across its streams."""

from __future__ import annotations

from db.ledger import Used as UsedBefore
from telephony.ledger import Ledger
from tutor.realtime.events import InputTokens, OutputTokens, TranscriptionUsage, Usage
from tutor.realtime.pricing import prices
from tutor.realtime.tab import Used

RESPONSE = Used("response", Usage(100, InputTokens(40, 60), OutputTokens(5, 80)), "resp_1")
TRANSCRIPT = Used("transcription", TranscriptionUsage(type="duration", seconds=6.0), "item_1")


def ledger(model: str = "gpt-realtime-2.1", before: UsedBefore | None = None) -> Ledger:
    """A ledger for a model."""
    return Ledger(prices(), call_id="c", model=model, transcribe_model="gpt-transcribe", before=before)


def so_far(first: Ledger) -> UsedBefore:
    """What a database would say of a call whose entries are all kept."""
    return UsedBefore(first.micro_usd, first.charged_micro_usd, {"audio_out": first.summary()["audio_out"]})


def test_responses_and_transcriptions_add_up_to_the_micro_dollar() -> None:
    """40 text and 60 audio in, 5 text and 80 audio out, and six seconds of transcription."""
    booked = ledger()
    booked.book(RESPONSE)
    booked.book(TRANSCRIPT)
    assert booked.micro_usd == booked.charged_micro_usd == 40 * 4 + 60 * 32 + 5 * 24 + 80 * 64 + 450
    summary = booked.summary()
    assert (summary["responses"], summary["transcriptions"], summary["transcribed_s"]) == (1, 1, 6.0)


def test_entries_and_summary_agree() -> None:
    """What is kept entry by entry adds up to what the call's row says, by every name."""
    booked = ledger()
    booked.book(RESPONSE)
    booked.book(TRANSCRIPT)
    summary = booked.summary()
    for name in ("responses", "text_in", "audio_in", "text_out", "audio_out", "transcriptions", "transcribed_s"):
        assert sum(entry.quantity.get(name, 0) for entry in booked.pending) == summary[name], name
    assert [entry.key for entry in booked.pending] == ["response:c:resp_1", "transcription:c:item_1"]
    assert sum(entry.micro_usd or 0 for entry in booked.pending) == booked.micro_usd


def test_what_is_kept_is_no_longer_pending() -> None:
    """What came in while a batch was written waits for the next one."""
    booked = ledger()
    booked.book(RESPONSE)
    batch = booked.pending
    booked.book(TRANSCRIPT)
    booked.booked(batch)
    assert [entry.kind for entry in booked.pending] == ["transcription"]


def test_a_call_that_resumes_goes_on_counting() -> None:
    """What the first stream used is part of the call's cost, in whatever process the second one runs."""
    first = ledger()
    first.book(RESPONSE)
    second = ledger(before=so_far(first))
    second.book(RESPONSE)
    assert second.micro_usd == 2 * (first.micro_usd or 0)
    assert second.summary()["audio_out"] == 160


def test_an_unknown_part_makes_the_whole_unknown_for_good() -> None:
    """Unknown is never 0, also not after a resumption with a model that has a price; budgets count the dearest."""
    first = ledger("gpt-realtime-9")
    first.book(RESPONSE)
    assert first.micro_usd is None
    assert first.charged_micro_usd == 40 * 4 + 60 * 32 + 5 * 24 + 80 * 64
    second = ledger(before=so_far(first))
    second.book(RESPONSE)
    assert second.micro_usd is None
    assert second.charged_micro_usd == 2 * first.charged_micro_usd
