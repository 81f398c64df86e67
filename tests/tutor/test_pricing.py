"""What things cost, to the micro-dollar."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from tutor.realtime.events import CachedTokens, InputTokens, OutputTokens, TranscriptionUsage, Usage
from tutor.realtime.pricing import INSTRUCTIONS_TOKENS, prices
from tutor.script.catalogue import load
from tutor.script.level import LEVELS
from tutor.script.prompt import instructions
from tutor.talk import tools


def usage(text: int, audio: int, cached_text: int, cached_audio: int, out_text: int, out_audio: int) -> Usage:
    """A response's usage."""
    cached = CachedTokens(cached_text, cached_audio)
    given_ = InputTokens(text, audio, cached_text + cached_audio, cached)
    return Usage(text + audio + out_text + out_audio, given_, OutputTokens(out_text, out_audio))


def test_a_response_costs_each_kind_of_token_once() -> None:
    """Cached tokens are a subset of the input: 1,000 text of which 600 cached, 360 audio of which 300 cached."""
    cost = prices().response("gpt-realtime-2.1", usage(1000, 360, 600, 300, 20, 480))
    # 400·4 + 600·0.40 + 60·32 + 300·0.40 + 20·24 + 480·64 micro-dollars
    assert cost == 1600 + 240 + 1920 + 120 + 480 + 30720


def test_an_unknown_model_costs_an_unknown_amount() -> None:
    """Unknown is not free."""
    assert prices().response("gpt-realtime-9", usage(1, 1, 0, 0, 1, 1)) is None
    assert prices().transcript("whisper-9", TranscriptionUsage(type="duration", seconds=60)) is None
    assert prices().written("gpt-9", input_tokens=1, cached_tokens=0, output_tokens=1) is None


def test_what_is_written_into_the_cache_costs_a_quarter_more() -> None:
    """10,000 tokens read, 6,000 of them from the cache and 3,000 written into it, and 100 written, to the last one."""
    counts = {"input_tokens": 10_000, "cached_tokens": 6_000, "output_tokens": 100}
    assert prices().written("gpt-6-luna", cache_write_tokens=3_000, **counts) == 100 + 60 + 375 + 50
    assert prices().written("gpt-6-sol", cache_write_tokens=3_000, **counts) == 2_000 + 1_200 + 7_500 + 1_000
    for model, rates in prices().text.items():
        assert rates["text_cache_write"] == rates["text_in"] * 5 / 4, model


def test_no_answer_costs_more_than_the_upper_estimate() -> None:
    """Whatever model wrote it, and whatever of its input went into the cache."""
    most = prices().written_at_most(input_tokens=8_000, output_tokens=4_000)
    costs = [
        prices().written(model, input_tokens=8_000, cached_tokens=0, output_tokens=4_000, cache_write_tokens=into_cache)
        for model in prices().text
        for into_cache in (0, 8_000)
    ]
    assert most == max(cost for cost in costs if cost is not None)


def test_a_response_that_generated_nothing_costs_nothing() -> None:
    """A cancelled response reports no details, or nulls."""
    assert prices().response("gpt-realtime-2.1", Usage()) == 0
    assert (
        prices().response("gpt-realtime-2.1", Usage(None, InputTokens(None, None, None), OutputTokens(None, None))) == 0
    )


def test_a_transcription_is_billed_by_duration_or_by_tokens() -> None:
    """One minute of gpt-transcribe is 4,500 micro-dollars; the older family counts tokens."""
    assert prices().transcript("gpt-transcribe", TranscriptionUsage(type="duration", seconds=60)) == 4500
    by_tokens = TranscriptionUsage(
        type="tokens", input_tokens=110, output_tokens=20, input_token_details=InputTokens(10, 100)
    )
    assert prices().transcript("gpt-4o-mini-transcribe", by_tokens) == 100 * 3 + 10 * 3 + 20 * 5


def test_seconds_are_priced_as_they_were_written() -> None:
    """0.04 s are exactly 3 micro-dollars, and 5.16 s 387: what a float adds to them is not rounded up."""
    for milliseconds in range(0, 20_000, 40):
        usage = TranscriptionUsage(type="duration", seconds=milliseconds / 1000)
        assert prices().transcript("gpt-transcribe", usage) == milliseconds // 40 * 3


def test_without_the_split_of_cached_tokens_the_upper_bound_is_booked() -> None:
    """A ledger may show too much, never too little."""
    bare = Usage(10, InputTokens(10, 0, 10, None), OutputTokens(0, 0))
    assert prices().response("gpt-realtime-2.1", bare) == 40


@given(st.tuples(*[st.integers(0, 10_000)] * 4), st.floats(0, 1), st.floats(0, 1))
def test_caching_never_makes_a_response_dearer(tokens: tuple[int, int, int, int], text: float, audio: float) -> None:
    """More of the input from the cache costs the same or less, and nothing is ever negative."""
    text_in, audio_in, text_out, audio_out = tokens
    cached = usage(text_in, audio_in, int(text_in * text), int(audio_in * audio), text_out, audio_out)
    fresh = usage(text_in, audio_in, 0, 0, text_out, audio_out)
    for model in prices().realtime:
        less, more = prices().response(model, cached), prices().response(model, fresh)
        assert less is not None
        assert more is not None
        assert 0 <= less <= more


def test_every_price_is_dated_and_the_default_models_have_one() -> None:
    """Whoever reads a cost can say as of when it holds."""
    assert prices().as_of.year >= 2026
    assert "gpt-realtime-2.1" in prices().realtime
    assert "gpt-realtime-2.1-mini" in prices().realtime
    assert "gpt-transcribe" in prices().transcription
    assert "gpt-6-luna" in prices().text


def test_the_carrier_is_priced_by_the_beginning_of_the_number() -> None:
    """A toll-free number costs more than a local one; a country without a price costs an unknown amount."""
    assert prices().minutes("+17875550100", 3) == 3 * (8_500 + 4_000)
    assert prices().minutes("+18005550100", 1) == 22_000 + 4_000
    assert prices().minutes("+34910000001", 1) is None
    assert prices().segments("+17875550100", 2) == 2 * 12_300
    assert prices().segments("+34910000001", 2) is None


def test_what_is_unknown_counts_as_the_dearest_known() -> None:
    """A budget is not spent for nothing by a model, a number or a transcription that nobody has a price for."""
    spoken = usage(1000, 360, 0, 0, 20, 480)
    known = [prices().response(model, spoken) or 0 for model in prices().realtime]
    assert prices().response_at_most("gpt-realtime-9", spoken) == max(known)
    assert prices().response_at_most("gpt-realtime-2.1-mini", spoken) < max(known)
    assert prices().minutes_at_most("+34910000001", 2) == 2 * 26_000
    assert prices().segments_at_most("+34910000001", 1) == 12_300
    minute = TranscriptionUsage(type="duration", seconds=60)
    assert prices().transcript_at_most("whisper-9", minute) == 6_000


@given(st.integers(0, 12_000), st.integers(0, 12_000), st.integers(0, 1_200), st.integers(0, 600))
def test_no_response_costs_more_than_the_bound_on_the_next_one(text: int, audio: int, made: int, heard: int) -> None:
    """It reads what was read before, the answer to it and a minute of the learner; cached or not, however long."""
    for model in prices().realtime:
        bound = prices().next_response_at_most(model, text_in=text, audio_in=audio)
        following = usage(text + made, audio + made + heard, 0, 0, 20, made)
        cost = prices().response(model, following)
        assert cost is not None
        assert cost <= bound
    assert prices().next_response_at_most(None, text_in=text, audio_in=audio) >= bound


def test_instructions_fit_the_bound() -> None:
    """Instructions and tools of the longest scene have fewer tokens than a first response is bounded by."""
    shelf = load()
    longest = 0
    for scenario in shelf.scenarios:
        for level in LEVELS:
            scene = shelf.scene(scenario.id, native="ar", target="ja", level=level)
            longest = max(longest, len(instructions(scene)) + len(json.dumps(tools.schemas(scene))))
    # English has some four characters a token; the words of the target are few, and may have fewer.
    assert longest / 2.5 < INSTRUCTIONS_TOKENS
