"""Whatever a record holds, the figures stay within their ranges and add up."""

from __future__ import annotations

import json
import math

from hypothesis import given
from hypothesis import strategies as st

from tests.tutor.timelines import Event, Told, Turn
from tutor.learning.metrics import Measures, measure

SHARES = ("talk_share", "silent_pause_ratio", "understood_share", "coverage")
RATES = (
    "median_latency_ms",
    "first_utterance_ms",
    "turn_ms",
    "role_ms",
    "phonation_ms",
    "pauses_per_minute",
    "mean_pause_ms",
    "articulation_rate",
    "mean_run_syllables",
    "syllables_per_second",
    "words_per_minute",
    "mean_turn_words",
    "repairs_per_100_words",
    "clarification_rate",
    "breakdown_rate",
    "support_index",
    "median_answer_ms",
    "median_gap_ms",
)

TIMES = st.integers(0, 120_000)
TEXTS = st.sampled_from([None, "", "…", "Mm", "Sí", "Un café, por favor.", "Yo yo quiero-", "No entiendo.", "¿Qué? 25"])

any_turn = st.builds(
    Turn, st.sampled_from(["role", "learner", "helper"]), TIMES, TIMES | st.none(), TEXTS, st.booleans()
)
any_event = st.one_of(
    st.builds(Event, TIMES, st.just("speech"), st.fixed_dictionaries({"start_ms": TIMES, "end_ms": TIMES})),
    st.builds(Event, TIMES, st.just("key"), st.fixed_dictionaries({"digit": st.sampled_from("1234567890*#")})),
    st.builds(Event, TIMES, st.just("hint"), st.fixed_dictionaries({"rung": st.integers(-1, 4)})),
    st.builds(
        Event, TIMES, st.just("stuck"), st.fixed_dictionaries({"step": st.sampled_from(["choice", "encourage"])})
    ),
    st.builds(
        Event,
        TIMES,
        st.sampled_from(["learner_started", "learner_stopped", "role_began", "overlap", "learner_said", "noisy"]),
        st.dictionaries(st.sampled_from(["audio_ms", "answered_ms", "item"]), TIMES | st.none() | st.text(max_size=3)),
    ),
    st.builds(Event, TIMES, st.sampled_from(["word_asked", "word_given", "translate", "paraphrase", "pause_over"])),
)


@st.composite
def calls(draw: st.DrawFn) -> Told:
    """A call as it may happen: the two speak in turn, the learner with pauses, keys between them."""
    call = Told(draw(st.integers(200, 1_500)))
    now_ms = 0
    for _ in range(draw(st.integers(0, 6))):
        heard_ms = draw(st.integers(300, 5_000))
        call.role(now_ms, now_ms + heard_ms, "¿Y usted?", answered_ms=draw(st.none() | st.integers(0, 2_000)))
        now_ms += heard_ms + draw(st.integers(0, 9_000))
        if draw(st.booleans()):
            call.key(now_ms, draw(st.sampled_from("1234")))
            now_ms += 500
        start_ms = now_ms
        segments = []
        for _ in range(draw(st.integers(1, 4))):
            voice_ms = draw(st.integers(20, 3_000))
            segments.append((now_ms, now_ms + voice_ms))
            now_ms += voice_ms + draw(st.integers(0, call.silence_ms - 1))
        end_ms = segments[-1][1]
        call.learner(start_ms, end_ms, draw(TEXTS), segments=segments if draw(st.booleans()) else ())
        now_ms = end_ms + call.silence_ms + draw(st.integers(200, 2_000))
    return call


def check(found: Measures) -> None:
    """Ranges, sums, and that a row can hold it."""
    for name in SHARES:
        value = getattr(found, name)
        assert value is None or 0 <= value <= 1, name
    for name in RATES:
        value = getattr(found, name)
        assert value is None or (value >= 0 and math.isfinite(value)), name
    assert found.learner_turns == len(found.turns)
    assert found.turn_ms == sum(turn.duration_ms for turn in found.turns)
    assert 0 <= found.overlaps <= found.learner_turns
    assert found.role_clarifications == sum(not turn.understood for turn in found.turns)
    for turn in found.turns:
        assert turn.duration_ms >= 300
        assert turn.latency_ms is None or turn.latency_ms >= 0
        assert turn.gap_ms is None or turn.gap_ms >= 0
    if found.phonation_ms is not None:
        assert found.phonation_ms <= found.turn_ms
    if found.types is not None:
        assert sum(found.types.by_rank) == found.types.all >= found.types.in_band >= 0
    assert Measures.read(json.loads(json.dumps(found.write()))) == found


@given(st.lists(any_turn, max_size=12), st.lists(any_event, max_size=20), st.integers(200, 1_500), st.integers(0, 6))
def test_no_record_gives_figures_out_of_range(
    turns: list[Turn], events: list[Event], silence_ms: int, goals: int
) -> None:
    """Even a record that no call can leave behind gives shares in 0..1, no negative figure, and sums that add up."""
    check(measure("es", turns, events, silence_ms=silence_ms, goals=goals, band=700))


@given(calls())
def test_voice_and_pauses_add_up_to_the_time_of_turns(call: Told) -> None:
    """Where every turn has voice segments, voice and pauses make up its whole time; no pause is below 250 ms."""
    found = measure("es", call.turns, call.events, silence_ms=call.silence_ms, goals=3)
    check(found)
    if found.phonation_ms is None or found.silent_pause_ratio is None or found.pauses_per_minute is None:
        return
    segmented_ms = found.phonation_ms / (1 - found.silent_pause_ratio)
    assert segmented_ms <= found.turn_ms + 0.01
    assert found.mean_pause_ms is None or found.mean_pause_ms >= 250
    pauses = found.pauses_per_minute * segmented_ms / 60_000
    assert math.isclose(pauses * (found.mean_pause_ms or 0), segmented_ms - found.phonation_ms, abs_tol=0.01)


@given(calls(), st.integers(0, 600_000))
def test_when_a_call_happened_changes_nothing(call: Told, later_ms: int) -> None:
    """The same call, all of it later on the clock, has the same figures."""
    first = measure("es", call.turns, call.events, silence_ms=call.silence_ms, goals=3)
    for turn in call.turns:
        turn.start_ms += later_ms
        turn.end_ms = (turn.end_ms or 0) + later_ms
    for event in call.events:
        event.at_ms += later_ms
        event.data = {
            name: value + later_ms if name in ("start_ms", "end_ms", "audio_ms") else value
            for name, value in event.data.items()
        }
    second = measure("es", call.turns, call.events, silence_ms=call.silence_ms, goals=3)
    assert {**second.write(), "turns": []} == {**first.write(), "turns": []}
    assert [turn.latency_ms for turn in second.turns] == [turn.latency_ms for turn in first.turns]


@given(calls(), st.integers(1, 5))
def test_support_is_shared_out_among_the_goals(call: Told, goals: int) -> None:
    """The same help weighs less in a scene with more goals, and help never lowers the index."""
    one = measure("es", call.turns, call.events, silence_ms=call.silence_ms, goals=1).support_index
    assert math.isclose(
        measure("es", call.turns, call.events, silence_ms=call.silence_ms, goals=goals).support_index * goals, one
    )
    call.add(0, "hint", goal="any", rung=2, phrase="…")
    assert measure("es", call.turns, call.events, silence_ms=call.silence_ms, goals=1).support_index == one + 3
