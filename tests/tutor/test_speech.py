"""When the learner spoke and where they paused: padding and silence taken off, pieces put together."""

from __future__ import annotations

import pytest

from tests.tutor.timelines import Event, Told, Turn
from tutor.learning.speech import Piece, Span, grouped, pieces, restarts, role_spans, voiced


def segment(start_ms: object, end_ms: object) -> Event:
    """A stretch of voice as it is kept."""
    return Event(9_999, "speech", {"start_ms": start_ms, "end_ms": end_ms})


def piece(noticed_ms: int, stopped_ms: int) -> Piece:
    """A piece of which only these two times matter."""
    return Piece(Span(noticed_ms, stopped_ms), noticed_ms, stopped_ms, "")


@pytest.mark.parametrize(("gap_ms", "runs"), [(0, 1), (249, 1), (250, 2), (1_000, 2)])
def test_a_pause_is_at_least_250_ms_long(gap_ms: int, runs: int) -> None:
    """Shorter silences belong to speaking."""
    assert len(voiced([segment(0, 500), segment(500 + gap_ms, 2_000)])) == runs


def test_segments_may_come_in_any_order_and_overlap() -> None:
    """What is no stretch of time is left out, and what overlaps is one."""
    events = [
        segment(5_000, 6_000),
        segment(0, 3_000),
        segment(1_000, 2_000),
        segment(8_000, 7_000),
        segment("a", 1),
        segment(None, 9_000),
        segment(True, 9_000),
        segment(-5, 9_000),
        Event(0, "key", {"start_ms": 0, "end_ms": 90_000}),
    ]
    assert voiced(events) == [Span(0, 3_000), Span(5_000, 6_000)]


def test_the_length_is_what_the_detection_counted_in_audio() -> None:
    """The events may reach us late; audio in the model's count is as long as it was, 300 ms padding and silence off."""
    call = Told(800).learner(10_000, 12_000, "Hola")
    call.turns[0].start_ms += 90  # noticed, and told to us, 90 ms later
    call.turns[0].end_ms = 12_800 + 120
    for event in call.events:
        event.at_ms += {"learner_started": 90, "learner_stopped": 120}.get(event.kind, 0)
    (found,) = pieces(call.turns, call.events, 800)
    assert found.span == Span(10_120, 12_120)
    assert (found.noticed_ms, found.stopped_ms) == (10_190, 12_920)


def test_a_voice_begins_no_later_than_it_was_noticed() -> None:
    """100 ms after the turn before there are but 100 ms of padding: taking 300 off would begin too late."""
    call = Told(500).learner(1_000, 2_000, "Uno")
    call.add(2_700, "learner_started", item="next", audio_ms=2_500)
    call.turns.append(Turn("learner", 2_700, 4_100, "dos"))
    call.add(4_100, "learner_stopped", item="next", audio_ms=4_100)
    assert [one.span for one in pieces(call.turns, call.events, 500)] == [Span(1_000, 2_000), Span(2_700, 3_600)]


def test_a_new_session_counts_its_audio_anew() -> None:
    """After the model was lost its positions begin at 0 again; lengths stay right."""
    call = Told(500).learner(60_000, 61_000, "Uno")
    call.add(90_100, "learner_started", item="new", audio_ms=1_700)
    call.turns.append(Turn("learner", 90_100, 92_500, "dos"))
    call.add(92_500, "learner_stopped", item="new", audio_ms=4_500)
    assert pieces(call.turns, call.events, 500)[1].span == Span(90_000, 92_000)


def test_voice_segments_say_more_than_the_detection() -> None:
    """They are cut to the turn they belong to, may begin half a second before, and never belong to two turns."""
    call = Told(500).learner(1_000, 2_000, "Uno").learner(3_000, 4_000, "dos")
    call.events += [segment(200, 300), segment(700, 1_400), segment(1_700, 1_900), segment(2_400, 3_800)]
    first, second = pieces(call.turns, call.events, 500)
    assert first.runs == (Span(700, 1_400), Span(1_700, 1_900), Span(2_400, 2_500))
    assert first.pauses_ms == (300, 500)
    assert first.phonation_ms == 700 + 200 + 100
    assert second.span == Span(2_500, 3_800)


def test_a_turn_that_is_all_silence_has_no_length() -> None:
    """A turn shorter than the silence that should have ended it is empty, never negative."""
    (found,) = pieces([Turn("learner", 1_000, 1_400, None)], [], 1_100)
    assert found.span.length_ms == 0
    (found,) = pieces([Turn("learner", 1_000, None, None)], [], 1_100)
    assert found.span.length_ms == 0


@pytest.mark.parametrize(
    ("role", "noticed_ms", "over"),
    [
        (Turn("role", 0, 2_000), 1_999, True),
        (Turn("role", 0, 2_000), 2_000, False),
        (Turn("role", 0, 2_000, cut=True), 2_000, True),
        (Turn("role", 0, 2_000, cut=True), 2_001, False),
        (Turn("role", 1_000, 2_000), 1_000, False),
        (Turn("role", 1_800, 2_000, cut=True), 2_000, False),
        (Turn("role", 0, None), 1_000, False),
        (Turn("helper", 0, 2_000), 1_000, False),
    ],
)
def test_a_voice_is_over_the_role_while_that_is_heard(role: Turn, noticed_ms: int, over: bool) -> None:
    """Also at the very moment at which it cuts it; not over the helper, nor over what nobody could have heard."""
    (found,) = pieces([role, Turn("learner", noticed_ms, noticed_ms + 2_000, "Hola")], [], 500)
    assert found.over_role is over


def test_what_the_role_began_to_say_and_nobody_heard_is_no_prompt() -> None:
    """Less than 300 ms of the role are left out."""
    assert role_spans([Turn("role", 0, 299), Turn("role", 400, 700), Turn("learner", 0, 9_000)]) == [Span(400, 700)]


def test_a_turn_goes_on_until_the_line_says_something() -> None:
    """Pieces are one turn where nothing of the line began between them, and two where something did."""
    one, two, three = piece(100, 900), piece(1_500, 2_500), piece(4_000, 5_000)
    assert grouped([one, two, three], [50, 3_000]) == [(one, two), (three,)]
    assert grouped([one, two, three], []) == [(one, two, three)]
    assert grouped([one, two], [1_500]) == [(one,), (two,)]
    assert grouped([], [1_000]) == []


def test_going_on_within_a_second_is_a_new_start() -> None:
    """Later it is a second thought."""
    assert restarts([piece(0, 1_000), piece(1_999, 3_000), piece(4_000, 5_000)]) == 1
    assert restarts([piece(0, 1_000)]) == 0
