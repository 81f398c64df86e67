"""Help that comes by itself, on the call's clock."""

from __future__ import annotations

from tutor.talk.scaffold import StuckLadder

A1 = (5.0, 8.0, 12.0, 17.0)


def climb(ladder: StuckLadder, since_ms: int) -> list[tuple[int, str]]:
    """Every step of an unbroken silence, with its time."""
    steps: list[tuple[int, str]] = []
    ladder.quiet(since_ms)
    while (due := ladder.next_due_ms) is not None:
        step = ladder.due(due)
        assert step is not None
        steps.append((due, step))
    return steps


def test_the_rungs_come_at_the_levels_times_and_end_in_a_kind_goodbye() -> None:
    """Counted from the end of heard audio: encouragement, more time, a choice, a phrase, a question, goodbye."""
    assert climb(StuckLadder(A1), 1_000) == [
        (6_000, "encourage"),
        (9_000, "more_time"),
        (13_000, "choice"),
        (18_000, "model_phrase"),
        (30_000, "still_there"),
        (40_000, "goodbye"),
    ]


def test_a_level_may_offer_fewer_rungs() -> None:
    """Advanced learners are left alone longer; nobody is left on a silent line."""
    assert [step for _, step in climb(StuckLadder((3.0, 7.0)), 0)] == [
        "encourage",
        "more_time",
        "still_there",
        "goodbye",
    ]


def test_our_own_help_holds_the_ladder_and_does_not_start_it_anew() -> None:
    """While we speak nothing is counted; afterwards the silence goes on from its rung."""
    ladder = StuckLadder(A1)
    ladder.quiet(0)
    assert ladder.due(5_000) == "encourage"
    ladder.hold()
    assert ladder.due(8_000) is None
    ladder.quiet(7_000)
    assert ladder.due(9_999) is None
    assert ladder.due(10_000) == "more_time"


def test_the_learners_voice_starts_the_next_silence_at_the_first_rung() -> None:
    """Who has spoken is not stuck."""
    ladder = StuckLadder(A1)
    ladder.quiet(0)
    ladder.due(5_000)
    ladder.reset()
    ladder.quiet(20_000)
    assert ladder.next_due_ms == 25_000


def test_nothing_is_due_before_its_time_or_twice() -> None:
    """Ticks at any time are harmless."""
    ladder = StuckLadder(A1)
    assert ladder.due(99_000) is None
    ladder.quiet(0)
    assert ladder.due(4_999) is None
    assert ladder.due(5_000) == "encourage"
    assert ladder.due(5_000) is None
