"""The line's sound and marks on a virtual clock."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehearsal.media import Echo, Playout, Track

LOUD = b"\x00"
QUIET = b"\xff"


def sound(ms: float) -> bytes:
    """Audible µ-law of that length."""
    return LOUD * round(ms * 8)


def test_sound_starts_when_it_arrives_on_an_idle_line() -> None:
    """Sound that arrives while nothing is queued is heard from that very moment."""
    track = Track()
    assert track.play(sound(100), 250.0) == 250.0
    assert track.ends_ms == 350.0
    assert track.read(240, 20) == QUIET * 80 + LOUD * 80


def test_sound_queues_behind_sound() -> None:
    """Sound pushed faster than real time is heard one piece after the other, without a gap."""
    track = Track()
    track.play(sound(100), 0.0)
    assert track.play(sound(50), 10.0) == 100.0
    assert track.ahead_ms(20.0) == 130.0


def test_cut_keeps_what_was_heard() -> None:
    """After a cut the past is untouched and the future silent, and the dropped time is told."""
    track = Track()
    track.play(sound(100), 0.0)
    assert track.cut(40.0) == 60.0
    assert track.read(30, 20) == LOUD * 80 + QUIET * 80
    assert track.play(sound(10), 60.0) == 60.0
    assert not track.audible(40, 20)


def test_audible_is_told_for_each_20_ms() -> None:
    """A frame counts as audible when any part of it is, and padding never is."""
    track = Track()
    track.play(QUIET * 160 + LOUD * 8 + QUIET * 152, 0.0)
    assert [track.audible(at) for at in (0, 20, 40)] == [False, True, False]


def test_last_audible_moment_follows_the_clock_not_the_queue() -> None:
    """Sound that is queued but not heard yet is not known to the ear."""
    track = Track()
    track.play(sound(100), 0.0)
    assert track.last_audible_ms(50.0) == 50.0
    assert track.last_audible_ms(500.0) == 100.0
    track.play(sound(20), 600.0)
    assert track.last_audible_ms(610.0) == 610.0


def test_mark_on_an_idle_line_comes_back_at_once() -> None:
    """With nothing buffered a mark is echoed immediately."""
    assert Playout().mark("m", 5.0) == [Echo("m", 5.0, 5.0, cleared=False)]


def test_mark_comes_back_when_the_sound_before_it_was_heard() -> None:
    """A mark waits for the sound before it and not for the sound behind it."""
    line = Playout()
    line.play(sound(100), 0.0)
    assert line.mark("a", 1.0) == []
    line.play(sound(100), 2.0)
    assert line.mark("b", 3.0) == []
    assert line.next_due_ms == 100.0
    assert line.due(99.0) == []
    assert line.due(100.0) == [Echo("a", 1.0, 100.0, cleared=False)]
    assert line.next_due_ms == 200.0
    assert [echo.name for echo in line.due(200.0)] == ["b"]
    assert line.next_due_ms is None


def test_clear_silences_and_returns_every_pending_mark_in_order() -> None:
    """Clear drops unheard sound at once and echoes all marks that are still out; played ones are not repeated."""
    line = Playout()
    for name in "abc":
        line.play(sound(100), 0.0)
        line.mark(name, 0.0)
    assert [echo.name for echo in line.due(110.0)] == ["a"]
    assert [(echo.name, echo.cleared) for echo in line.clear(150.0)] == [("b", True), ("c", True)]
    assert line.ahead_ms(150.0) == 0
    assert line.clear(160.0) == []
    assert line.play(sound(20), 170.0) == 170.0


def test_clear_tells_played_marks_from_cleared_ones() -> None:
    """A mark whose sound was heard before the clear is no cleared mark, even if nobody had asked yet."""
    line = Playout()
    line.play(sound(100), 0.0)
    line.mark("heard", 0.0)
    line.play(sound(100), 0.0)
    line.mark("unheard", 0.0)
    assert [(echo.name, echo.cleared) for echo in line.clear(100.0)] == [("heard", False), ("unheard", True)]


def test_stop_forgets_marks() -> None:
    """When the stream is gone its marks never come back and its sound is not heard."""
    line = Playout()
    line.play(sound(100), 0.0)
    line.mark("m", 0.0)
    line.stop(30.0)
    assert line.due(500.0) == []
    assert line.ends_ms == 30.0


@given(
    st.lists(
        st.tuples(st.integers(0, 400), st.sampled_from(["play", "mark", "clear", "tick"]), st.integers(0, 900)),
        max_size=60,
    )
)
def test_no_mark_is_lost_doubled_or_early(steps: list[tuple[int, str, int]]) -> None:
    """Whatever happens in whatever order: marks come back once, in order, and unless cleared not before their sound."""
    line, now_ms, asked = Playout(), 0.0, 0
    due: dict[str, float] = {}
    back: list[Echo] = []
    for wait_ms, what, size_ms in steps:
        now_ms += wait_ms / 8
        if what == "play":
            line.play(sound(size_ms), now_ms)
        elif what == "mark":
            due[str(asked)] = max(line.ends_ms, now_ms)
            back += line.mark(str(asked), now_ms)
            asked += 1
        else:
            back += line.clear(now_ms) if what == "clear" else line.due(now_ms)
    back += line.clear(now_ms)
    assert [echo.name for echo in back] == [str(number) for number in range(asked)]
    assert all(echo.cleared or echo.echoed_ms >= due[echo.name] - 0.07 for echo in back)


def test_a_long_day_of_small_pieces_does_not_drift() -> None:
    """Ten minutes in pieces of 20 ms, each handed in a little late or early, end exactly after ten minutes."""
    track = Track()
    track.play(sound(1000), 0.0)
    for piece in range(29_950):
        track.play(sound(20), piece * 20 + (piece % 7))
    assert track.ends_ms == pytest.approx(600_000)
