"""Both sides of a call on one clock, as they were heard: alignment, length, holes, what is cut, how little is held."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from telephony.tape import Stretch, Tape

FRAME = 160
SILENCE = b"\xff"


def frame(number: int) -> bytes:
    """A frame that tells which one it is, and is not silence."""
    return bytes([number % 200 + 1]) * FRAME


def joined(stretches: list[Stretch]) -> Stretch:
    """All stretches in a row."""
    return Stretch(b"".join(one.caller for one in stretches), b"".join(one.line for one in stretches))


def speaks(tape: Tape, begin: int, end: int) -> None:
    """The caller's frames of a time, in frames of 20 ms from the stream's begin."""
    for number in range(begin, end):
        tape.hear(frame(number))


def test_both_sides_are_where_they_were_heard() -> None:
    """A caller who speaks all the time, a role that begins at 0.5 s: each frame lies at its time on its own side."""
    tape = Tape()
    taken = []
    for at_ms in range(0, 3_000, 20):
        if at_ms == 500:
            tape.play(b"\x11" * 8_000, at_ms)
        speaks(tape, at_ms // 20, at_ms // 20 + 1)
        if at_ms % 1_000 == 980:
            taken.append(tape.take(at_ms + 20))
    whole = joined([*taken, tape.finish(3_000)])
    assert whole.caller == b"".join(frame(number) for number in range(150))
    assert whole.line == SILENCE * 4_000 + b"\x11" * 8_000 + SILENCE * 12_000


def test_what_is_sent_ahead_is_heard_one_after_the_other() -> None:
    """Sound comes faster than real time: what is sent while other sound plays begins when that ends."""
    tape = Tape()
    tape.play(b"\x11" * 1_600, 0)
    tape.play(b"\x22" * 1_600, 20)
    tape.play(b"\x33" * 1_600, 1_000)
    assert tape.finish(1_200).line == b"\x11" * 1_600 + b"\x22" * 1_600 + SILENCE * 4_800 + b"\x33" * 1_600


def test_what_was_cleared_was_not_heard() -> None:
    """A clear leaves what was played by then; what is sent after it follows at its own time."""
    tape = Tape()
    tape.play(b"\x11" * 8_000, 0)
    tape.cut(300)
    tape.play(b"\x22" * 800, 400)
    assert tape.finish(600).line == b"\x11" * 2_400 + SILENCE * 800 + b"\x22" * 800 + SILENCE * 800


def test_a_carrier_that_plays_late_has_played_less() -> None:
    """Echoes show that all is heard 150 ms later: a clear drops as much more, by the quickest of the last four."""
    tape = Tape()
    for number, late_ms in enumerate((900, 160, 150, 170, 400), 1):
        tape.play(b"\x11" * 800, 100 * (number - 1))
        tape.mark(str(number))
        tape.echo(str(number), 100 * number + late_ms)
    tape.play(b"\x22" * 8_000, 500)
    tape.cut(1_000)
    assert tape.finish(1_000).line == b"\x11" * 4_000 + b"\x22" * 8 * 350 + SILENCE * 8 * 150


def test_echoes_of_what_was_cleared_say_nothing() -> None:
    """A carrier echoes every mark on a clear: that is not playing. Neither are marks that nobody sent, or twice."""
    tape = Tape()
    tape.play(b"\x11" * 8_000, 0)
    tape.mark("a")
    tape.cut(200)
    tape.echo("a", 3_000)
    tape.echo("b", 3_000)
    tape.play(b"\x22" * 800, 3_000)
    tape.cut(3_100)
    assert tape.finish(3_100).line.endswith(b"\x22" * 800)


def test_the_end_cuts_what_the_caller_did_not_hear() -> None:
    """Whoever hangs up in the middle of a sentence has heard it up to there; the recording is as long as the stream."""
    tape = Tape()
    speaks(tape, 0, 60)
    tape.play(b"\x11" * 16_000, 1_000)
    whole = tape.finish(1_200)
    assert whole.line == SILENCE * 8_000 + b"\x11" * 1_600
    assert len(whole.caller) == len(whole.line) == 9_600


def test_the_callers_first_sound_lies_where_it_came() -> None:
    """A carrier that begins to send 400 ms into the stream: the silence before that is on the tape."""
    tape = Tape()
    speaks(tape, 20, 50)
    assert tape.take(1_000) == Stretch(b"", b"")
    speaks(tape, 50, 100)
    whole = tape.finish(2_000)
    assert whole.caller == SILENCE * 20 * FRAME + b"".join(frame(number) for number in range(20, 100))


def test_what_was_said_before_the_stream_is_not_on_the_tape() -> None:
    """A carrier that sent for 300 ms while the stream was made ready: those frames come at once, and lie before it."""
    tape = Tape()
    speaks(tape, 0, 15)
    tape.play(b"\x11" * 800, 0)
    speaks(tape, 15, 115)
    taken = [tape.take(2_000)]
    speaks(tape, 115, 165)
    whole = joined([*taken, tape.finish(3_000)])
    assert whole.caller == b"".join(frame(number) for number in range(15, 165))
    assert whole.line == b"\x11" * 800 + SILENCE * 23_200


def test_frames_that_come_late_in_a_lump_are_no_hole() -> None:
    """The network holds two seconds back and then brings them all: nothing is put between them, nothing is lost."""
    tape = Tape()
    taken = []
    speaks(tape, 0, 100)
    taken.append(tape.take(2_000))
    speaks(tape, 100, 110)
    taken.append(tape.take(4_000))
    speaks(tape, 110, 300)
    taken.append(tape.take(6_000))
    whole = joined([*taken, tape.finish(6_000)])
    assert whole.caller == b"".join(frame(number) for number in range(300))


def test_a_hole_is_filled_where_it_began() -> None:
    """A carrier that sends nothing for three seconds: what comes after it is where it was said."""
    tape = Tape()
    taken = []
    for second in range(10):
        if not 4 <= second < 7:
            speaks(tape, second * 50, second * 50 + 50)
        taken.append(tape.take((second + 1) * 1_000))
    whole = joined([*taken, tape.finish(10_000)])
    spoken = {
        second: b"".join(frame(number) for number in range(second * 50, second * 50 + 50)) for second in range(10)
    }
    assert whole.caller == b"".join(SILENCE * 8_000 if 4 <= second < 7 else spoken[second] for second in range(10))


def test_a_line_without_the_callers_sound_goes_on() -> None:
    """A leg that brings nothing at all: the role is on the tape in time, and memory does not grow with the call."""
    tape = Tape()
    taken = []
    for second in range(60):
        tape.play(b"\x11" * 8_000, second * 1_000)
        taken.append(tape.take((second + 1) * 1_000))
        assert sum(len(one.line) for one in taken) >= 8_000 * (second + 1 - 6)
    whole = joined([*taken, tape.finish(60_000)])
    assert whole == Stretch(SILENCE * 480_000, b"\x11" * 480_000)


def test_more_sound_than_time_is_not_kept() -> None:
    """A peer that sends faster than anybody speaks fills no memory: a second ahead of the clock is the most."""
    tape = Tape()
    speaks(tape, 0, 10_000)
    assert len(tape.take(2_000).caller) == 8_000
    assert len(tape.finish(2_000).caller) == 8_000


PLAYS = st.lists(
    st.tuples(st.integers(0, 25), st.sampled_from(["play", "play", "cut"]), st.integers(1, 40)), max_size=30
)


@given(PLAYS, st.lists(st.integers(1, 80), max_size=12), st.integers(0, 50))
def test_any_call_is_on_the_tape_as_a_telephone_plays_it(
    acts: list[tuple[int, str, int]], takes: list[int], more: int
) -> None:
    """Whatever is sent and cleared when, and however often it is taken: exactly what a telephone plays frame by frame.

    The telephone here keeps a queue and plays one frame every 20 ms; it knows nothing of positions.
    """
    schedule: dict[int, list[tuple[str, int]]] = {}
    at = 0
    for wait, act, size in acts:
        at += wait
        schedule.setdefault(at, []).append((act, size))
    frames = at + more
    due = {0}
    for wait in takes:
        due.add(max(due) + wait)
    tape, taken = Tape(), []
    queue: list[bytes] = []
    said, played = [], []
    count = 0
    for now in range(frames):
        for act, size in schedule.get(now, []):
            if act == "cut":
                tape.cut(now * 20)
                queue.clear()
                continue
            sound = b"".join(frame(count + number) for number in range(size))
            count += size
            tape.play(sound, now * 20)
            queue += [sound[begin:end] for begin, end in pairwise(range(0, len(sound) + FRAME, FRAME))]
        played.append(queue.pop(0) if queue else SILENCE * FRAME)
        said.append(frame(now))
        tape.hear(said[-1])
        if now in due:
            taken.append(tape.take(now * 20 + 20))
    whole = joined([*taken, tape.finish(frames * 20)])
    assert len(whole.caller) == len(whole.line) == frames * FRAME
    assert whole.caller == b"".join(said)
    assert whole.line == b"".join(played)
