"""What practice will cost: the arithmetic, against figures that were worked out by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tutor.realtime.planning import (
    CALL_LENGTHS,
    FirstEstimate,
    Plan,
    audio_of,
    call_extras,
    practice_call,
    project,
    usual_minute,
)
from tutor.realtime.pricing import prices

# tutoring.md §1C, gpt-realtime: minutes -> dollars with all, nine tenths and nothing of the history cached; mini.
WORKED_OUT = {
    5: (0.30, 0.42, 1.43, 0.10),
    8: (0.50, 0.79, 3.41, 0.17),
    10: (0.64, 1.09, 5.19, 0.22),
    15: (1.00, 2.03, 11.29, 0.36),
    30: (2.29, 6.42, 43.61, 0.91),
}


@pytest.mark.parametrize("minutes", CALL_LENGTHS)
def test_the_table_that_was_worked_out_by_hand_comes_out(minutes: int) -> None:
    """Each cell of the reference's table, to the cent."""
    figures = [practice_call(prices(), "gpt-realtime", minutes, cached=cached) for cached in (1.0, 0.9, 0.0)]
    figures.append(practice_call(prices(), "gpt-realtime-mini", minutes))
    for micro_usd, dollars in zip(figures, WORKED_OUT[minutes], strict=True):
        assert micro_usd / 1_000_000 == pytest.approx(dollars, abs=0.011)


def test_one_exchange_by_hand() -> None:
    """The first answer: 1,500 text and 60 audio tokens in, 20 text and 120 audio tokens out, nothing cached."""
    first = 1_500 * 4 + 60 * 32 + 20 * 24 + 120 * 64
    again = 1_500 * 4 + 20 * 4 + (60 + 120 + 60) * 32 + 20 * 24 + 120 * 64
    third = 1_500 * 4 + 40 * 4 + (60 + 180 + 180) * 32 + 20 * 24 + 120 * 64
    fourth = 1_500 * 4 + 60 * 4 + (60 + 180 * 3) * 32 + 20 * 24 + 120 * 64
    assert practice_call(prices(), "gpt-realtime-2.1", 1, cached=0.0) == first + again + third + fourth


@given(st.integers(1, 40), st.floats(0, 1), st.floats(0, 1))
def test_more_from_the_cache_is_never_dearer(minutes: int, one: float, other: float) -> None:
    """A larger cached share, and a shorter call, cost the same or less."""
    less, more = sorted((one, other))
    with_more = practice_call(prices(), "gpt-realtime-2.1", minutes, cached=more)
    assert with_more <= practice_call(prices(), "gpt-realtime-2.1", minutes, cached=less)
    assert with_more < practice_call(prices(), "gpt-realtime-2.1", minutes + 1, cached=more)


def test_the_first_estimate_was_a_thousand_times_off() -> None:
    """1.8 million tokens at 32 and 64 dollars a million are 172.80 dollars, not 0.1728 (tutoring.md §1C)."""
    estimate = FirstEstimate()
    assert estimate.million_tokens == 1.8
    assert estimate.stated == pytest.approx(0.1728)
    assert estimate.corrected == pytest.approx(172.80)
    assert estimate.real_rates == pytest.approx(28.80)


def test_a_plan_is_students_by_minutes_by_days() -> None:
    """272 students, 15 minutes a day, 20 days: 4,080 minutes a day for the school, 300 a month for each."""
    plan = Plan.read("272x15x20")
    assert (plan.students, plan.minutes_a_day, plan.days_a_month, plan.minutes_a_month) == (272, 15, 20, 300)
    assert Plan.read(" 272 × 15 X 20 ") == plan


@pytest.mark.parametrize("written", ["", "272", "272x15", "ax15x20", "0x15x20", "272x0x20", "272x15x32", "1x2x3x4"])
def test_what_is_no_plan_is_refused_with_a_sentence(written: str) -> None:
    """The sentence shows how to write one."""
    with pytest.raises(ValueError, match="is no plan"):
        Plan.read(written)


def test_a_projection_adds_up() -> None:
    """Minute, student, day and month of one plan are the same money; the dearer end is never below the cheaper one."""
    for model in ("gpt-realtime-2.1", "gpt-realtime-2.1-mini"):
        found = project(
            prices(), Plan.read("272x15x20"), model, transcribe_model="gpt-transcribe", number="+17875550100"
        )
        for end in (0, 1):
            assert found.month[end] == 272 * found.student[end]
            assert found.day[end] == pytest.approx(found.month[end] / 20, abs=1)
            assert found.minute[end] == pytest.approx(found.student[end] / 300, abs=1)
        assert found.low < found.high
        # 300 minutes in calls of ten: thirty of them.
        assert found.low == 30 * practice_call(prices(), model, 10)
        fewest, most = found.minutes_for(100_000_000)
        assert fewest * found.minute[1] <= 100_000_000 < (fewest + 1) * found.minute[1]
        assert fewest < most


def test_the_rest_of_a_call_is_known_only_where_every_price_is() -> None:
    """Ten minutes to a US number: ten at the carrier, four of the learner in writing; elsewhere unknown."""
    assert call_extras(prices(), "gpt-transcribe", "+17875550100", 10) == 10 * 12_500 + 4 * 4_500
    assert call_extras(prices(), "gpt-transcribe", "+34910000001", 10) is None
    assert call_extras(prices(), "whisper-9", "+17875550100", 10) is None


def test_what_a_minute_usually_costs_is_bounded_by_the_dearest_model() -> None:
    """A line whose model nobody has a price for sets aside what the dearest one takes."""
    known = usual_minute("gpt-realtime-2.1", "gpt-transcribe", "+17875550100")
    assert usual_minute("gpt-realtime-2.1-mini", "gpt-transcribe", "+17875550100") < known
    assert usual_minute("gpt-realtime-9", "whisper-9", "+34910000001") >= known


def test_a_call_s_audio_and_text_are_its_cost() -> None:
    """Taken apart by what it is, ten minutes add up to what they cost; each answer rounds up once."""
    audio = audio_of(prices(), "gpt-realtime-2.1", 10)
    answers = audio.answers
    again = sum(1_500 + 20 * before for before in range(answers - 1))
    text = 1_500 * 4 + (answers - 1) * 20 * 4 + again * 0.40 + answers * 20 * 24
    parts = audio.written + audio.new + audio.again_cached + text
    assert practice_call(prices(), "gpt-realtime-2.1", 10) == pytest.approx(parts, abs=answers + 3)
    assert audio.again_fresh == 80 * audio.again_cached
