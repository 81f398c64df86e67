"""The rules of the playout as a table of cases: what was pushed, sent, echoed, and what was heard of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest

from telephony.playout import HeardItem, ItemHeard, Output, Playout, SendAudio, SendMark


def ms(duration: float) -> bytes:
    """So much µ-law that is not silence."""
    return b"\x55" * round(duration * 8)


@dataclass
class Line:
    """A playout under a virtual clock. Nothing is echoed unless a step says so."""

    playout: Playout = field(default_factory=Playout)
    now: float = 1_000.0
    audio: bytearray = field(default_factory=bytearray)
    marks: list[str] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)
    cleared: list[HeardItem] = field(default_factory=list)

    def take(self, outputs: Iterable[Output]) -> list[Output]:
        """Sorts outputs, as a driver does."""
        outputs = list(outputs)
        for output in outputs:
            match output:
                case SendAudio(ulaw):
                    self.audio += ulaw
                case SendMark(name):
                    self.marks.append(name)
                case ItemHeard(item):
                    self.heard.append(item)
        return outputs

    def push(self, item: str, duration_ms: float) -> list[Output]:
        """The model says something."""
        return self.take(self.playout.push(item, ms(duration_ms), self.now))

    def end(self, item: str) -> list[Output]:
        """The model has said it all."""
        return self.take(self.playout.end(item, self.now))

    def wait(self, duration_ms: float) -> None:
        """Time goes by; the driver's timer is exact."""
        until = self.now + duration_ms
        while (due := self.playout.next_due_ms) is not None and due <= until:
            self.now = max(self.now, due)
            self.take(self.playout.due(self.now))
        self.now = until

    def echo(self, index: int) -> list[Output]:
        """The carrier echoes one of the marks sent so far."""
        return self.take(self.playout.mark(self.marks[index], self.now))

    def clear(self) -> None:
        """The caller barges in."""
        self.cleared = self.playout.clear(self.now)

    def run(self, steps: str) -> None:
        """Does what a line of steps says: ``push a 300``, ``end a``, ``wait 200``, ``echo 0``, ``clear``."""
        for step in filter(None, (step.strip() for step in steps.split(";"))):
            verb, *words = step.split()
            match verb, words:
                case "push", [item, duration]:
                    self.push(item, float(duration))
                case "end", [item]:
                    self.end(item)
                case "wait", [duration]:
                    self.wait(float(duration))
                case "echo", [index]:
                    self.echo(int(index))
                case "clear", []:
                    self.clear()
                case _:
                    raise AssertionError(f"no such step: {step}")


# steps, then what clear reports: item:heard/pushed, with a full stop when the item had ended
CLEARED = {
    "nothing to clear": ("clear", ""),
    "the clock tells what was heard": ("push a 500; wait 200; clear", "a:200/500"),
    "just sent, nothing heard": ("push a 500; clear", "a:0/500"),
    "never more than was sent": ("push a 500; wait 900; clear", "a:500/500"),
    "never more than was sent, though more was pushed": ("push a 5000; clear", "a:0/5000"),
    "a mark ahead of the clock is proof": ("push a 400; push a 400; wait 100; echo 0; clear", "a:400/800"),
    "the clock ahead of the last mark": ("push a 400; push a 400; wait 400; echo 0; wait 250; clear", "a:650/800"),
    "one heard in part, one queued": ("push a 400; end a; push b 400; wait 150; clear", "a:150/400. b:0/400"),
    "the second is being heard": ("push a 400; end a; push b 400; wait 550; clear", "a:400/400. b:150/400"),
    "an item not sent at all": (
        "push a 5000; end a; push b 700; end b; wait 300; clear",
        "a:300/5000. b:0/700.",
    ),
    "generated before the barge-in, still playing": ("push a 3000; end a; wait 1200; clear", "a:1200/3000."),
    "heard whole, but no echo yet": ("push a 400; end a; wait 500; clear", "a:400/400."),
    "heard whole and echoed: nothing left to cut": ("push a 400; end a; wait 400; echo 0; clear", ""),
    "a goes on after b": ("push a 200; push b 200; push a 200; wait 450; clear", "a:250/400 b:200/200"),
    "a goes on after b, b is being heard": (
        "push a 200; push b 200; push a 200; wait 300; clear",
        "a:200/400 b:100/200",
    ),
    "odd sizes: a remainder is not heard": ("push a 33; push a 0.125; wait 900; clear", "a:20/33"),
    "odd sizes: the padding is not counted": ("push a 33; end a; wait 900; clear", "a:33/33."),
    "an item of length zero behind another": ("push a 400; end a; end z; wait 100; clear", "a:100/400. z:0/0."),
    "an item that was announced but has no audio yet": ("push a 0; clear", "a:0/0"),
    "the line ran dry: the clock starts again": ("push a 200; wait 5000; push a 300; wait 100; clear", "a:300/500"),
    "dry for a while between two items": (
        "push a 200; end a; wait 200; echo 0; wait 5000; push b 300; wait 100; clear",
        "b:100/300",
    ),
    "the second barge-in counts from its own audio": (
        "push a 900; wait 300; clear; push b 900; wait 200; clear",
        "b:200/900",
    ),
    "three in a row": (
        "push a 900; wait 100; clear; push b 900; wait 200; clear; push c 900; wait 300; clear",
        "c:300/900",
    ),
    "twice at once": ("push a 900; wait 100; clear; clear", ""),
    "late echoes of a cleared item": (
        "push a 800; wait 300; clear; push b 800; wait 10; echo 0; echo 1; clear",
        "b:10/800",
    ),
    "late audio of a cleared item is a new one": (
        "push a 800; wait 300; clear; push b 100; push a 100; wait 150; clear",
        "b:100/100 a:50/100",
    ),
    "an echo that comes twice": (
        "push a 400; end a; wait 400; echo 0; push b 400; wait 100; echo 0; clear",
        "b:100/400",
    ),
    "a carrier that plays faster than we reckon": (
        "push a 400; end a; wait 100; echo 0; push b 400; wait 100; clear",
        "b:100/400",
    ),
    "such a carrier starts the next run like any other": (
        "push a 400; end a; wait 100; echo 0; wait 5000; push b 400; wait 100; clear",
        "b:100/400",
    ),
    "a mark sent to a silent line is late from its sending on": (
        "push a 100; wait 500; end a; wait 50; echo 0; push b 900; wait 150; clear",
        "b:100/900",
    ),
    "calibrated, cut off, and on": (
        "push a 900; wait 600; echo 0; wait 100; clear; push b 900; wait 250; clear",
        "b:50/900",
    ),
}


def told(heard: list[HeardItem]) -> str:
    """A list of heard items in the table's notation."""
    return " ".join(f"{h.item}:{h.heard_ms}/{h.pushed_ms}{'.' if h.ended else ''}" for h in heard)


@pytest.mark.parametrize(("steps", "expected"), CLEARED.values(), ids=CLEARED)
def test_clear_reports_what_was_heard(steps: str, expected: str) -> None:
    """Every item not yet heard whole is reported in order, cut where the caller stopped hearing it."""
    line = Line()
    line.run(steps)
    assert told(line.cleared) == expected
    assert line.playout.heard(line.now) == []
    assert line.playout.idle(line.now)
    assert line.playout.next_due_ms is None


# steps, then the items reported as heard, in order
HEARD = {
    "on the echo of its end": ("push a 300; end a; wait 300; echo 0", "a"),
    "not before the echo": ("push a 300; end a; wait 2000", ""),
    "two seconds late when the mark is lost": ("push a 300; end a; wait 2300", "a"),
    "a lost mark is made good by the next": ("push a 300; end a; push b 300; end b; wait 600; echo 1", "a b"),
    "exactly once, echo after the two seconds": ("push a 300; end a; wait 2400; echo 0", "a"),
    "exactly once, two seconds after the echo": ("push a 300; end a; wait 300; echo 0; wait 5000", "a"),
    "exactly once, ended twice": ("push a 300; end a; end a; wait 300; echo 0; end a; wait 5000", "a"),
    "not before its end": ("push a 400; wait 400; echo 0; wait 5000", ""),
    "at once when the end comes after the echo": ("push a 400; wait 400; echo 0; wait 50; end a", "a"),
    "its end marked when the last mark was before it": ("push a 400; push a 100; wait 600; echo 0; end a; echo 1", "a"),
    "no second mark when the last is at its end": ("push a 400; end a; wait 400; echo 0; wait 5000", "a"),
    "nothing to hear on an idle line": ("end z", "z"),
    "nothing to hear behind another": ("push a 300; end a; end z; wait 300; echo 0", "a z"),
    "never after a clear": ("push a 300; end a; wait 100; clear; echo 0; wait 5000", ""),
    "never after a clear, ended late": ("push a 300; wait 100; clear; end a; wait 5000", ""),
    "a name used again is an item again": (
        "push a 300; end a; wait 300; echo 0; push a 300; end a; wait 300; echo 1",
        "a a",
    ),
    "in order of their ends": ("push a 200; push b 200; end b; push a 200; end a; wait 3000", "b a"),
    "in order of their ends, both at once": (
        "push a 200; push b 200; end b; push a 200; end a; wait 600; echo 1",
        "b a",
    ),
    "ended while another plays behind it": ("push a 300; push b 3000; end a; wait 700; echo 0", "a"),
    "ended after its last echo while another plays": ("push a 400; wait 400; echo 0; push b 3000; end a", "a"),
    "two seconds more than the carrier is late anyway": (
        "push a 400; end a; wait 1900; echo 0; push b 400; end b; wait 3400",
        "a",
    ),
    "a remainder that plays after another item": ("push a 30; push b 20; end b; end a; wait 3000", "b a"),
    "ends when another is already waiting": ("push a 900; push b 900; end a; wait 900; echo 1; wait 1", ""),
}


@pytest.mark.parametrize(("steps", "expected"), HEARD.values(), ids=HEARD)
def test_items_heard_whole_are_reported(steps: str, expected: str) -> None:
    """Once each, after their end, when the carrier said so or should have."""
    line = Line()
    line.run(steps)
    assert " ".join(line.heard) == expected


class TestFraming:
    """What may leave."""

    @pytest.mark.parametrize("size", [1, 7, 159, 160, 161, 1_000, 4_321])
    def test_only_whole_frames_leave_and_nothing_is_lost(self, size: int) -> None:
        """Deltas of any size leave as multiples of 160 bytes; padding appears only behind the last byte."""
        line, sent = Line(), b""
        for i in range(9):
            delta = bytes([i + 1]) * size
            sent += delta
            for output in line.take(line.playout.push("a", delta, line.now)):
                assert not isinstance(output, SendAudio) or len(output.ulaw) % 160 == 0
            line.wait(size / 8)
        line.end("a")
        line.wait(9_000)
        assert len(line.audio) % 160 == 0
        assert bytes(line.audio) == sent + b"\xff" * (-len(sent) % 160)

    def test_each_item_keeps_its_own_remainder(self) -> None:
        """A's odd bytes wait for A's next ones, though B plays in between."""
        line, playout = Line(), Playout()
        line.playout = playout
        for item, delta in (("a", b"a" * 100), ("b", b"b" * 200), ("a", b"A" * 100)):
            line.take(playout.push(item, delta, line.now))
        for item in ("a", "b"):
            line.end(item)
        assert (
            bytes(line.audio)
            == b"b" * 160 + b"a" * 100 + b"A" * 60 + b"A" * 40 + b"\xff" * 120 + b"b" * 40 + b"\xff" * 120
        )


class TestPacing:
    """When it leaves."""

    def test_the_first_audio_of_an_idle_line_goes_out_at_once(self) -> None:
        """One frame on a silent line is sent as it comes, with no timer to wait for."""
        line = Line()
        assert line.push("a", 20) == [SendAudio(ms(20))]
        assert line.playout.next_due_ms is None

    def test_whole_deltas_go_out_while_the_lead_allows(self) -> None:
        """Up to a second ahead nothing is cut or held back."""
        line = Line()
        for _ in range(3):
            assert [len(o.ulaw) for o in line.push("a", 300) if isinstance(o, SendAudio)] == [2_400]
        assert line.playout.buffered_ms(line.now) == 900

    def test_a_long_answer_leaves_in_chunks_a_second_ahead(self) -> None:
        """Ten seconds at once: two chunks go out, then one whenever it fits into the lead, at last the rest."""
        line, sent = Line(), []
        line.push("a", 10_000)
        assert (line.playout.sent_ms, line.playout.waiting_ms) == (800, 9_200)
        start = line.now
        while line.playout.waiting_ms:
            due = line.playout.next_due_ms
            assert due is not None
            assert due > line.now
            line.now = due
            before = line.playout.sent_ms
            line.take(line.playout.due(line.now))
            if line.playout.sent_ms > before:  # otherwise it looked after a mark that never came back
                assert line.playout.buffered_ms(line.now) == 1_000
                sent.append((line.now - start, line.playout.sent_ms - before))
        assert sent == [(200.0 + 400 * i, 400) for i in range(23)]

    def test_the_last_piece_leaves_as_soon_as_it_fits(self) -> None:
        """A rest shorter than a chunk does not wait for a whole chunk's room."""
        line = Line()
        line.push("a", 900)
        line.push("a", 120)
        assert line.playout.waiting_ms == 120
        line.wait(20)
        assert line.playout.waiting_ms == 0

    def test_a_late_timer_catches_up(self) -> None:
        """Half a second late, everything the lead allows goes out at once."""
        line = Line()
        line.push("a", 10_000)
        line.now += 750
        line.take(line.playout.due(line.now))
        assert line.playout.sent_ms == 1_600
        assert line.playout.buffered_ms(line.now) == 850

    def test_due_too_early_does_nothing(self) -> None:
        """A timer that fires a little early is asked to come again."""
        line = Line()
        line.push("a", 2_000)
        due = line.playout.next_due_ms
        assert due == line.now + 200
        assert line.playout.due(due - 0.2) == []
        assert line.playout.next_due_ms == due

    def test_idle_means_the_caller_hears_nothing_more(self) -> None:
        """The line is idle before the first audio and after the last was played, not when it was sent."""
        line = Line()
        assert line.playout.idle(line.now)
        line.push("a", 2_000)
        line.wait(1_999)
        assert not line.playout.idle(line.now)
        line.wait(1)
        assert line.playout.idle(line.now)

    def test_figures_for_the_meters(self) -> None:
        """Sent counts the whole call; buffered falls as it plays and is gone at a clear."""
        line = Line()
        line.push("a", 700)
        line.wait(300)
        assert (line.playout.sent_ms, line.playout.buffered_ms(line.now)) == (700, 400)
        line.clear()
        assert (line.playout.sent_ms, line.playout.buffered_ms(line.now)) == (700, 0)

    @pytest.mark.parametrize(("lead", "chunk"), [(300, 400), (1_000, 0), (1_000, 30), (1_010, 400), (-20, -40)])
    def test_impossible_pacing_is_refused(self, lead: int, chunk: int) -> None:
        """Lead and chunk are multiples of a frame, and a chunk fits in the lead."""
        with pytest.raises(ValueError, match="positive multiples of 20 ms"):
            Playout(lead, chunk)

    def test_audio_after_the_end_is_refused(self) -> None:
        """An item that has ended and is still playing cannot go on; its positions stay right."""
        line = Line()
        line.run("push a 300; end a")
        with pytest.raises(ValueError, match="'a' has ended"):
            line.push("a", 20)
        assert told(line.playout.heard(line.now + 100)) == "a:100/300."


class TestMarks:
    """What the carrier is asked to echo, and what its answers teach."""

    def test_marks_are_a_chunk_apart_and_at_ends(self) -> None:
        """Small deltas share a mark; an item's end always has one."""
        line, order = Line(), []
        for _ in range(30):
            order += line.push("a", 20)
        order += line.end("a")
        assert [i for i, output in enumerate(order) if isinstance(output, SendMark)] == [20, 31]

    def test_names_tell_generation_item_and_offset_and_never_repeat(self) -> None:
        """A log of marks can be read, and no echo can be taken for another."""
        line = Line()
        line.run("push a 400; push a 100; end a; clear; push a 400; end a; wait 9000; push a 400")
        assert [name.split(":")[1:] for name in line.marks] == [["a", "400"], ["a", "500"], ["a", "400"], ["a", "400"]]
        assert [name.split(".")[0] for name in line.marks] == ["0", "0", "1", "1"]
        assert len(set(line.marks)) == 4

    def test_a_constant_latency_shifts_the_clock(self) -> None:
        """Every echo 150 ms late: so is what the caller hears, between marks too, and again in the next run."""
        line = Line()
        line.push("a", 3_000)
        line.wait(550)
        line.echo(0)
        line.wait(100)
        assert line.playout.heard_ms("a", line.now) == 500
        line.wait(5_000)
        line.echo(-1)
        line.push("b", 900)
        line.wait(150)
        assert line.playout.heard_ms("b", line.now) == 0
        line.wait(100)
        assert line.playout.heard_ms("b", line.now) == 100

    def test_jitter_does_not_shift_it(self) -> None:
        """One echo in time among late ones is enough."""
        line = Line()
        line.push("a", 3_000)
        for index, late in enumerate([20, 300, 250, 310]):
            line.wait(1_000 + 400 * (index + 1) + late - line.now)
            line.echo(index)
        assert line.playout.heard_ms("a", line.now) == 1_600 + 310 - 20

    def test_a_carrier_that_ran_dry_is_noticed(self) -> None:
        """Four echoes in a row half a second late: that much was lost on the way, for this run only."""
        line = Line()
        line.push("a", 8_000)
        line.wait(400)
        line.echo(0)
        for index in range(1, 5):
            line.wait(1_000 + 400 * (index + 1) + 500 - line.now)
            line.echo(index)
        assert line.playout.heard_ms("a", line.now) == 2_000
        line.wait(9_000)
        line.run("push b 800; wait 100")
        assert line.playout.heard_ms("b", line.now) == 100

    def test_a_run_may_begin_while_a_late_carrier_still_plays_the_last(self) -> None:
        """What a late carrier has still to play of one run is not lost when the next begins, nor counted twice."""
        line = Line()
        line.run("push a 400; wait 600; echo 0")  # 200 ms late
        line.run("wait 9000; push b 100; wait 150; push b 100")  # dry for us after 100; the caller hears it at 200
        assert line.playout.heard_ms("b", line.now) == 0
        line.wait(100)
        assert line.playout.heard_ms("b", line.now) == 50
        line.wait(50)
        assert line.playout.heard_ms("b", line.now) == 100
        line.wait(50)
        assert line.playout.heard_ms("b", line.now) == 100
        line.wait(50)
        assert line.playout.heard_ms("b", line.now) == 150

    def test_an_echo_settles_all_marks_before_it(self) -> None:
        """Carriers play in order: once a later mark is back, nothing waits for an earlier one."""
        line = Line()
        line.run("push a 300; end a; push b 300; end b; wait 600; echo 1")
        assert line.playout.next_due_ms is None
        assert line.echo(0) == []

    def test_a_cleared_line_is_idle_however_late_the_carrier(self) -> None:
        """What was cleared is not being played any more; nobody waits for the carrier's latency."""
        line = Line()
        line.run("push a 900; wait 700; echo 0; clear")
        assert line.playout.idle(line.now)

    def test_an_unknown_item_was_not_heard(self) -> None:
        """Never pushed, cleared or long gone: 0."""
        assert Playout().heard_ms("nobody", 0) == 0


def test_a_long_call_leaves_nothing_behind() -> None:
    """A thousand items, many of them cut off, some without an echo: the ledgers stay small."""
    line = Line()
    playout = line.playout
    for i in range(1_000):
        line.run(f"push item{i} 700; push other{i} 300; push item{i} 500; end item{i}; end other{i}; wait 400")
        if i % 3 == 0 and i < 900:
            line.clear()
        elif i % 5:
            line.run("wait 1300; echo -1")
        else:
            line.wait(5_000)
        line.audio.clear()
    assert playout.heard(line.now) == []
    assert playout.next_due_ms is None
    ledgers = [
        value for part in (playout, playout._clock) for value in vars(part).values() if hasattr(value, "__len__")
    ]
    assert sum(len(ledger) for ledger in ledgers) <= 32 + 4 + 2  # names, latenesses, runs
