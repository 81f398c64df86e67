"""The playout against a carrier that plays in real time behind a network: whatever happens, invariants hold.

The carrier is written from its public description, and knows nothing of items: bytes and marks in arrival order,
played at 8 bytes a millisecond, marks echoed when reached, all pending ones echoed on clear.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from dataclasses import dataclass, field

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from telephony.playout import ItemHeard, Output, Playout, SendAudio, SendMark

LEAD_MS, CHUNK_MS = 1_000, 400


@dataclass
class Carrier:
    """A phone network: what is sent arrives ``up_ms`` later, echoes take ``down_ms`` and up to ``jitter_ms`` more."""

    up_ms: int = 0
    down_ms: int = 0
    jitter_ms: int = 0
    keeps_marks: bool = True
    chance: random.Random = field(default_factory=lambda: random.Random(0))
    wire: deque[tuple[float, range | str | None]] = field(default_factory=deque)
    buffer: deque[int | str] = field(default_factory=deque)
    echoes: deque[tuple[float, str]] = field(default_factory=deque)
    played: list[int] = field(default_factory=list)
    """Which frames the caller has begun to hear, counted in the order of sending."""
    frames_sent: int = 0
    clock: float = 0.0
    frame_ends: float = 0.0
    """When the frame being played ends; in the past when the line is silent."""
    fullest_ms: float = 0.0

    def send(self, what: bytes | str | None, now: float) -> None:
        """Puts audio, a mark's name, or a clear (``None``) on the wire."""
        if isinstance(what, bytes):
            frames = range(self.frames_sent, self.frames_sent + len(what) // 160)
            self.frames_sent = frames.stop
            self.wire.append((now + self.up_ms, frames))
        else:
            self.wire.append((now + self.up_ms, what))

    def next_event(self) -> float:
        """When something will happen that the far end can notice."""
        return min(
            self.wire[0][0] if self.wire else float("inf"),
            self.frame_ends if self.buffer else float("inf"),
            self.echoes[0][0] if self.echoes else float("inf"),
        )

    def advance(self, now: float) -> list[str]:
        """Plays until now; returns the echoes that have come back."""
        while True:
            arrival = self.wire[0][0] if self.wire else float("inf")
            frame = max(self.frame_ends, self.clock) if self.buffer else float("inf")
            at = min(arrival, frame)
            if at > now:
                break
            self.clock = max(self.clock, at)
            if arrival <= frame:
                self._arrived(self.wire.popleft()[1])
            self._play()
        self.clock = max(self.clock, now)
        back = []
        while self.echoes and self.echoes[0][0] <= now:
            back.append(self.echoes.popleft()[1])
        return back

    def _arrived(self, what: range | str | None) -> None:
        if isinstance(what, range):
            self.buffer += what
            waiting = 20 * sum(isinstance(entry, int) for entry in self.buffer)
            self.fullest_ms = max(self.fullest_ms, waiting + max(self.frame_ends - self.clock, 0))
        elif what is not None:
            self.buffer.append(what)
        else:
            for entry in self.buffer:
                if isinstance(entry, str):
                    self._echo(entry)
            self.buffer.clear()
            self.frame_ends = min(self.frame_ends, self.clock)

    def _play(self) -> None:
        while self.buffer and self.frame_ends <= self.clock:
            entry = self.buffer.popleft()
            if isinstance(entry, str):
                self._echo(entry)
            else:
                self.played.append(entry)
                self.frame_ends = self.clock + 20

    def _echo(self, name: str) -> None:
        if self.keeps_marks:
            at = self.clock + self.down_ms + self.chance.uniform(0, self.jitter_ms)
            self.echoes.append((max(at, self.echoes[-1][0] if self.echoes else 0), name))

    def unheard_of_last_frame(self) -> float:
        """Milliseconds of the last played frame that are still to come."""
        return max(self.frame_ends - self.clock, 0)


@dataclass
class Said:
    """What the model said under one name."""

    name: str
    audio: bytearray = field(default_factory=bytearray)
    framed: int = 0
    ended: bool = False


class Call(RuleBasedStateMachine):
    """Pushes, ends, waits and barges in at random, and checks after every step."""

    def __init__(self) -> None:
        super().__init__()
        self.playout = Playout(LEAD_MS, CHUNK_MS)
        self.carrier = Carrier()
        self.now = 0.0
        self.late_timer_ms = 0.0
        self.alive: dict[str, Said] = {}
        self.cleared: set[str] = set()
        self.reported: list[str] = []
        self.must_leave: deque[tuple[str, bytes]] = deque()
        self.owners: list[str] = []
        self.frames_played: Counter[str] = Counter()
        self.counted = 0
        self.voice = random.Random(0)
        self.marks: set[str] = set()
        self.calibrated = False
        self.names = 0

    @initialize(
        up_ms=st.sampled_from([0, 3, 40, 120]),
        down_ms=st.sampled_from([0, 2, 50]),
        jitter_ms=st.sampled_from([0, 30, 200]),
        keeps_marks=st.sampled_from([True, True, True, False]),
        late_timer_ms=st.sampled_from([0, 0.3, 20, 150]),
        seed=st.integers(0, 999),
    )
    def dial(
        self, up_ms: int, down_ms: int, jitter_ms: int, keeps_marks: bool, late_timer_ms: float, seed: int
    ) -> None:
        """Each call has its own network, and its own lateness of timers."""
        self.carrier = Carrier(up_ms, down_ms, jitter_ms, keeps_marks, random.Random(seed))
        self.late_timer_ms = late_timer_ms

    @rule(size=st.one_of(st.integers(0, 400), st.integers(400, 24_000)))
    def new_item(self, size: int) -> None:
        """The model begins an item."""
        self.names += 1
        name = f"item{self.names}"
        self.alive[name] = Said(name)
        self._speak(self.alive[name], size)

    @precondition(lambda self: any(not said.ended for said in self.alive.values()))
    @rule(data=st.data(), size=st.one_of(st.integers(0, 400), st.integers(400, 12_000)))
    def more(self, data: st.DataObject, size: int) -> None:
        """The model goes on with any item that it has not ended."""
        said = data.draw(st.sampled_from([said for said in self.alive.values() if not said.ended]))
        self._speak(said, size)

    @precondition(lambda self: any(not said.ended for said in self.alive.values()))
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        """An item is complete."""
        self._end(data.draw(st.sampled_from([said for said in self.alive.values() if not said.ended])))

    @rule(duration_ms=st.one_of(st.integers(1, 100), st.integers(100, 2_500)))
    def wait(self, duration_ms: int) -> None:
        """Time passes."""
        self._advance(self.now + duration_ms)

    @rule()
    def barge_in(self) -> None:
        """The caller speaks: everything unheard is dropped, and what was heard is told."""
        told = self.playout.clear(self.now)
        assert [heard.item for heard in told] == list(self.alive), "every item not heard whole, in order, once"
        for heard in told:
            said = self.alive[heard.item]
            assert heard.pushed_ms == len(said.audio) // 8
            assert heard.ended == said.ended
            self._check(heard.item, heard.heard_ms)
        whole = [heard.heard_ms == heard.pushed_ms for heard in told]
        assert self._interleaved() or whole == sorted(whole, reverse=True), "nothing was heard after what was not"
        self.carrier.send(None, self.now)
        for heard in told:
            if not heard.ended:  # the model's item ends all the same, and is not reported
                assert self.playout.end(heard.item, self.now) == []
        self.cleared |= self.alive.keys()
        self.alive.clear()
        self.must_leave.clear()
        self.marks.clear()  # echoes of these teach nothing any more

    @invariant()
    def nothing_is_claimed_that_was_not_heard(self) -> None:
        """Heard positions stay within what the network's latencies explain."""
        for heard in self.playout.heard(self.now):
            self._check(heard.item, heard.heard_ms)

    @invariant()
    def the_lead_is_kept(self) -> None:
        """Neither we nor the carrier ever hold more than the lead."""
        assert self.playout.buffered_ms(self.now) <= LEAD_MS
        assert self.carrier.fullest_ms <= LEAD_MS

    @invariant()
    def nothing_waits_that_could_go(self) -> None:
        """What is kept here is kept for the lead alone: at once or at the next due time it goes on."""
        if self.playout.waiting_ms:
            due = self.playout.next_due_ms
            assert due is not None
            assert due > self.now - self.late_timer_ms - 1
            assert (
                self.playout.buffered_ms(self.now) + min(CHUNK_MS, self.playout.waiting_ms) > LEAD_MS or due <= self.now
            )

    def teardown(self) -> None:
        """In the end everything is played and reported, and the line is silent."""
        for said in list(self.alive.values()):
            if not said.ended:
                self._end(said)
        self._advance(self.now + 1_000 * 60 * 10)
        assert self.alive == {}
        assert not self.must_leave
        assert self.playout.idle(self.now)
        assert self.playout.next_due_ms is None
        assert self.playout.heard(self.now) == []
        assert not self.carrier.buffer

    def _do(self, outputs: list[Output]) -> None:
        for output in outputs:
            match output:
                case SendAudio(ulaw):
                    assert 0 < len(ulaw) <= CHUNK_MS * 8
                    assert len(ulaw) % 160 == 0
                    for start in range(0, len(ulaw), 160):
                        self._left(ulaw[start : start + 160])
                    self.carrier.send(ulaw, self.now)
                case SendMark(name):
                    self.marks.add(name)
                    self.carrier.send(name, self.now)
                case ItemHeard(name):
                    assert name not in self.cleared
                    assert name not in self.reported
                    said = self.alive.pop(name)
                    assert said.ended
                    assert self._played_ms(said) >= len(said.audio) // 8, "reported as heard, and was"
                    self.reported.append(name)

    def _speak(self, said: Said, size: int) -> None:
        """Pushes random audio; each frame that it completes must leave in its turn."""
        delta = self.voice.randbytes(size)
        said.audio += delta
        while len(said.audio) - said.framed >= 160:
            self.must_leave.append((said.name, bytes(said.audio[said.framed : said.framed + 160])))
            said.framed += 160
        self._do(self.playout.push(said.name, delta, self.now))

    def _end(self, said: Said) -> None:
        """Ends an item; what is left of it must leave with silence behind it."""
        said.ended = True
        if rest := bytes(said.audio[said.framed :]):
            self.must_leave.append((said.name, rest + b"\xff" * (160 - len(rest))))
            said.framed += 160
        self._do(self.playout.end(said.name, self.now))

    def _left(self, frame: bytes) -> None:
        """Frames leave in the order in which they were complete, each once."""
        owner, expected = self.must_leave.popleft()
        assert frame == expected
        self.owners.append(owner)

    def _advance(self, until: float) -> None:
        while True:
            due = self.playout.next_due_ms
            timer = float("inf") if due is None else max(due + self.late_timer_ms, self.now)
            at = min(timer, max(self.carrier.next_event(), self.now))
            if at > until:
                break
            self.now = at
            for name in self.carrier.advance(self.now):
                self.calibrated |= name in self.marks
                self._do(self.playout.mark(name, self.now))
            if timer <= self.now:
                self._do(self.playout.due(self.now))
        self.now = until
        self.carrier.advance(self.now)

    def _played_ms(self, said: Said) -> float:
        """What the caller has really heard of an item."""
        played = self.carrier.played
        self.frames_played.update(self.owners[frame] for frame in played[self.counted :])
        self.counted = len(played)
        duration = 20.0 * self.frames_played[said.name]
        if played and self.owners[played[-1]] == said.name:
            duration -= self.carrier.unheard_of_last_frame()
        return min(duration, len(said.audio) / 8)

    def _check(self, name: str, heard_ms: float) -> None:
        said = self.alive[name]
        actual = self._played_ms(said)
        carrier = self.carrier
        # Until the first echo nobody can know how far away the carrier is. From then on nothing is claimed too early.
        ahead = 0 if self.calibrated else carrier.up_ms
        behind = carrier.up_ms + carrier.down_ms + carrier.jitter_ms
        assert heard_ms <= actual + ahead + 1
        assert heard_ms >= actual - behind - 1

    def _interleaved(self) -> bool:
        return len(self.alive) > 1


Call.TestCase.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)


class TestAnyCall(Call.TestCase):  # type: ignore[misc,valid-type]
    """Order is kept, the lead is kept, positions are true, and every item is reported once or cleared."""


@pytest.mark.parametrize("up_ms", [0, 60, 150])
@pytest.mark.parametrize("down_ms", [0, 40])
def test_a_barge_in_is_placed_within_20_ms(up_ms: int, down_ms: int) -> None:
    """Once a mark has come back, the reported position lags by the echo's way home and nothing else."""
    call = Call()
    call.carrier = Carrier(up_ms, down_ms)
    call.new_item(40_000)
    for _ in range(40):
        call.wait(77)
        if call.now > 700:
            (heard,) = call.playout.heard(call.now)
            assert heard.heard_ms == pytest.approx(call._played_ms(call.alive["item1"]) - down_ms, abs=1.5)
