"""The benchmark's own bookkeeping: what it calls a delay, what it calls heard, and what it notices."""

from __future__ import annotations

import pytest

from benchmarks.bridge.line import CODES, LEVEL_OF_CODE, LEVELS, Line, Samples, level_of_sample
from telephony.audio import g711
from telephony.audio.transcode import transcoder

FRAME = 160


def measuring() -> tuple[Line, Samples]:
    """A line whose measuring has begun at time 0."""
    samples = Samples(since_s=0.0)
    return Line(samples), samples


def test_every_level_survives_the_telephone_and_the_transcoder() -> None:
    """A frame is known again on the model's side by the level in its middle, and a reply on the caller's."""
    for mode in ("pcm", "pcmu"):
        line = transcoder("pcm" if mode == "pcm" else "pcmu")
        for number in range(2 * LEVELS):
            audio = line.to_model(CODES[number % LEVELS] * FRAME)
            middle = audio[480:482] if mode == "pcm" else g711.decode(audio[80:81])
            assert level_of_sample(int.from_bytes(middle, "little", signed=True)) == number % LEVELS
            back = line.to_caller(audio)
            assert LEVEL_OF_CODE[back[len(back) // 2 + 30]] == number % LEVELS


def test_a_frames_delay_is_from_leaving_to_arriving() -> None:
    """Milliseconds between the two ends, frame by frame."""
    line, samples = measuring()
    for at_s in (1.00, 1.02):
        line.caller_speaks(at_s)
    line.model_hears(FRAME, 0, 1.001)
    line.model_hears(FRAME, 1, 1.024)
    assert samples.uplink_ms.tolist() == pytest.approx([1, 4])
    assert (line.frames_sent, line.frames_arrived, samples.wrong) == (2, 2, 0)


def test_a_frame_out_of_its_place_is_wrong() -> None:
    """What was lost or doubled on the way shows at the next frame that comes."""
    line, samples = measuring()
    for at_s in (1.00, 1.02):
        line.caller_speaks(at_s)
    line.model_hears(FRAME, 1, 1.03)
    line.model_hears(FRAME, 1, 1.03)
    line.model_hears(FRAME, 2, 1.04)
    assert samples.wrong == 2
    assert len(samples.uplink_ms) == 1


def test_what_was_kept_during_the_greeting_counts_but_is_not_late() -> None:
    """It comes in one piece when the greeting is over; the frames after it keep their numbers."""
    line, samples = measuring()
    for number in range(4):
        line.caller_speaks(1 + number / 50)
    line.model_hears(3 * FRAME, 1, 1.05)
    line.model_hears(FRAME, 3, 1.062)
    assert samples.uplink_ms.tolist() == pytest.approx([2])
    assert samples.wrong == 0


def test_a_deltas_delay_ends_with_its_first_byte_at_the_caller() -> None:
    """A bridge may cut deltas as it likes; the first second of a reply is measured, the rest waits on purpose."""
    line, samples = measuring()
    level = line.reply_begins()
    for number in range(6):
        line.model_speaks(1600, 2 + number / 40)
    line.caller_gets(CODES[level] * 800, 2.001)
    line.caller_gets(CODES[level] * 8800, 2.2)
    assert samples.downlink_ms.tolist() == pytest.approx([1, 175, 150, 125, 100])


def test_audio_of_an_earlier_reply_is_wrong() -> None:
    """The caller must not hear what was cleared."""
    line, samples = measuring()
    stale = line.reply_begins()
    line.reply_begins()
    line.caller_gets(CODES[stale] * FRAME, 3.0)
    assert samples.wrong == 1


@pytest.mark.parametrize("told_first", [True, False])
def test_what_the_model_is_told_is_compared_with_what_was_played(told_first: bool) -> None:
    """The clear and the truncation travel on two sockets; either may come first."""
    line, samples = measuring()
    level = line.reply_begins()
    line.caller_gets(CODES[level] * 8000, 5.0)
    line.learner_begins(5.400)
    if told_first:
        line.model_is_told(395)
    line.caller_clears(5.402)
    if not told_first:
        line.model_is_told(395)
    assert samples.heard_error_ms.tolist() == pytest.approx([395 - 402])
    assert samples.barge_in_ms.tolist() == pytest.approx([2])


def test_a_reply_that_was_played_whole_is_heard_whole() -> None:
    """Silence after the end is not heard audio."""
    line, samples = measuring()
    level = line.reply_begins()
    line.caller_gets(CODES[level] * 800, 5.0)
    line.learner_begins(6.0)
    line.caller_clears(6.001)
    line.model_is_told(100)
    assert samples.heard_error_ms.tolist() == pytest.approx([0])


def test_nothing_is_measured_before_the_window() -> None:
    """The calls of a run begin long before they are measured."""
    samples = Samples()
    line = Line(samples)
    line.caller_speaks(1.0)
    line.caller_speaks(1.1)
    samples.since_s = 1.05
    line.model_hears(FRAME, 0, 1.06)
    line.model_hears(FRAME, 1, 1.11)
    assert samples.uplink_ms.tolist() == pytest.approx([10])
