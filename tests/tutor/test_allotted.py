"""The time of a call."""

from __future__ import annotations

from tests.tutor.desk import MINUTE, Desk
from tutor.talk import notes
from tutor.talk.allotted import EXCHANGE_MS, Allotted
from tutor.talk.exchange import CutRole, EndBy, Heard, Playing, Say, Seed
from tutor.talk.snapshot import Snapshot


def steps(time: Allotted, until_ms: int) -> list[tuple[int, str]]:
    """What came due, and when, when it is always asked in time."""
    found: list[tuple[int, str]] = []
    now_ms = 0
    while now_ms <= until_ms:
        if (step := time.due(now_ms, busy=False)) is not None:
            found.append((now_ms, step))
            if step == "up":
                break
        now_ms = max(now_ms + 1, time.next_due_ms(busy=False))
    return found


def test_a_long_call_passes_its_usual_length_and_is_told_a_minute_before_its_end() -> None:
    """The usual length, the warning and the end come once each, in this order."""
    assert steps(Allotted(15 * MINUTE, 5 * MINUTE), 20 * MINUTE) == [
        (5 * MINUTE, "usual"),
        (14 * MINUTE, "warn"),
        (15 * MINUTE, "up"),
    ]


def test_near_the_end_the_usual_length_is_no_news() -> None:
    """A call whose limit is its usual length is only told that the end is near."""
    assert steps(Allotted(5 * MINUTE, 5 * MINUTE), 6 * MINUTE) == [(4 * MINUTE, "warn"), (5 * MINUTE, "up")]


def test_a_very_short_call_is_told_when_half_of_it_is_over() -> None:
    """A warning never comes at the start of a call."""
    assert steps(Allotted(MINUTE, 5 * MINUTE), 2 * MINUTE) == [(MINUTE // 2, "warn"), (MINUTE, "up")]


def test_a_limit_moves_nearer_and_never_away() -> None:
    """Minutes that run out end a call sooner; a later allowance does not lengthen it."""
    time = Allotted(15 * MINUTE, 5 * MINUTE)
    time.end_by(8 * MINUTE)
    time.end_by(12 * MINUTE)
    assert steps(time, 20 * MINUTE) == [(5 * MINUTE, "usual"), (7 * MINUTE, "warn"), (8 * MINUTE, "up")]


def test_nobody_is_told_of_a_minute_that_is_not_left() -> None:
    """An end that is past the moment it is known lets an exchange end, and says nothing before it."""
    time = Allotted(5 * MINUTE, 5 * MINUTE)
    time.end_by(2 * MINUTE)
    assert time.due(2 * MINUTE + 1, busy=True) is None
    assert time.next_due_ms(busy=True) == 2 * MINUTE + EXCHANGE_MS
    assert time.due(2 * MINUTE + 2, busy=False) == "up"


def test_an_exchange_that_is_under_way_is_finished() -> None:
    """Whoever speaks when the time is up ends their sentence; ten seconds later they are cut all the same."""
    time = Allotted(5 * MINUTE, 5 * MINUTE)
    assert time.due(4 * MINUTE, busy=True) == "warn"
    assert time.next_due_ms(busy=True) == 5 * MINUTE + EXCHANGE_MS
    assert time.due(5 * MINUTE + EXCHANGE_MS - 1, busy=True) is None
    assert time.due(5 * MINUTE, busy=False) == "up"
    assert time.due(5 * MINUTE + EXCHANGE_MS, busy=True) == "up"


def test_the_role_ends_its_sentence_when_the_time_is_up() -> None:
    """Then the goodbye follows at once; nothing is cut."""
    desk = Desk(limit_ms=3 * MINUTE).open()
    while desk.now_ms < 3 * MINUTE - 8_000:
        desk.learner()
        desk.role()
        desk.wait(0)
        for said in desk.all(Say):
            desk.hear(said)
    desk.learner()
    desk.give(Playing("r99"))
    assert desk.wait(3 * MINUTE + 4_000 - desk.now_ms) == []
    desk.give(Heard("r99", "Aquí tiene."))
    ending = desk.wait(20)
    assert [command.language for command in ending if isinstance(command, Say)] == ["es", "en"]


def test_what_was_said_before_a_line_broke_is_not_said_again() -> None:
    """A call that was taken up after its warning only ends."""
    assert steps(Allotted(15 * MINUTE, 5 * MINUTE, 14 * MINUTE + 1), 20 * MINUTE) == [(15 * MINUTE, "up")]


def test_the_caller_is_told_in_their_own_language_when_nobody_speaks() -> None:
    """A minute before the end the helper says so, not over the role, and the role hears of it too."""
    desk = Desk(limit_ms=10 * MINUTE).open()
    while desk.now_ms < 9 * MINUTE - 5_000:
        desk.learner()
        desk.role()
    text = desk.scene.native.say("call.time_warning")
    commands = desk.wait(9 * MINUTE - desk.now_ms)
    warning = next(command for command in commands if isinstance(command, Say))
    assert (warning.text, warning.language) == (text, "en")
    assert Seed("note", notes.MINUTE_LEFT) in desk.hear(warning)
    desk.wait(MINUTE // 2)
    assert sum(isinstance(command, Say) and command.text == text for command in desk.commands) == 1


def test_the_role_may_close_after_the_usual_length() -> None:
    """At the level's usual length the role is told once that it need not begin anything new."""
    desk = Desk().open()
    while desk.now_ms < 8 * MINUTE:
        desk.learner()
        desk.role()
        desk.wait(1_000)
    assert desk.commands.count(Seed("note", notes.USUAL_LENGTH)) == 1


def test_minutes_that_run_out_during_a_call_are_announced_and_kept() -> None:
    """When the allowance shrinks to half a minute, the caller is told at once and hears a goodbye at its end."""
    desk = Desk().open()
    desk.learner()
    desk.role()
    now = desk.now_ms
    told = desk.give(EndBy(now + MINUTE // 2))
    warning = next(command for command in told if isinstance(command, Say))
    assert warning.text == desk.scene.native.say("call.time_warning")
    desk.hear(warning)
    ending = desk.wait(MINUTE // 2 + EXCHANGE_MS)
    assert CutRole() in ending
    assert desk.talk.end_reason == "limit"


def test_a_call_that_goes_on_elsewhere_keeps_its_clock() -> None:
    """The snapshot of a call tells the time it has had."""
    desk = Desk().open()
    desk.wait(10_000)
    assert Snapshot.read(desk.talk.snapshot(desk.now_ms).write()).elapsed_ms == desk.now_ms
