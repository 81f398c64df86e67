"""What is known of a call once it is over."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.endings import NewEvent, NewTurn
from db.models import CallEvent
from db.models import Turn as TurnRow
from telephony.segments import segments
from tests.tutor.scenes import cafe
from tutor.learning import timeline
from tutor.learning.debrief import plain
from tutor.learning.facts import Facts, Hint, Reached, worth_a_message
from tutor.learning.message import compose
from tutor.learning.metrics import measure

SCENE = cafe()  # A1: 1,100 ms of silence end a turn
SILENCE_MS = SCENE.level.silence_ms


@dataclass
class Turn:
    """A turn as it is kept."""

    speaker: str
    start_ms: int
    end_ms: int | None
    text: str | None = None
    cut: bool = False


@dataclass
class Event:
    """An event as it is kept."""

    at_ms: int
    kind: str
    data: dict[str, Any] = field(default_factory=dict)


def learner(text: str | None, length_ms: int = 2_000) -> Turn:
    """A turn of the learner."""
    return Turn("learner", 10_000, 10_000 + length_ms, text)


def goal(name: str, quote: str = "un café", evidence: str = "quote") -> Event:
    """A goal that was earned."""
    return Event(12_000, "goal", {"goal": name, "quote": quote, "evidence": evidence})


def test_a_call_is_told_as_it_was_recorded() -> None:
    """Turns, goals with quotes, hints, keys, lines, length and end all come from the record."""
    facts = Facts.of(
        SCENE,
        [
            Turn("role", 0, 2_000, "¡Hola, buenos días! ¿Qué le sirvo?"),
            Turn("learner", 3_000, 5_500, " Un café, por favor. "),
            Turn("helper", 5_600, 7_000, "Here is a hint: para llevar."),
            Turn("role", 7_000, 8_000, "¿Para tomar", cut=True),
            Turn("learner", 8_000, 9_900, "Para llevar"),
            Turn("role", 10_000, 10_100, None),
        ],
        [
            Event(0, "began", {"scenario": "cafe_order"}),
            Event(5_500, "goal_refused", {"goal": "greet", "reason": "no"}),
            goal("order_drink", "Un café, por favor"),
            Event(5_600, "key", {"digit": "1"}),
            Event(5_600, "hint", {"goal": "detail", "rung": 0, "phrase": "para llevar"}),
            Event(6_600, "key", {"digit": "1"}),
            Event(6_600, "hint", {"goal": "detail", "rung": 1, "phrase": "Grande y…"}),
            Event(6_900, "key", {"digit": "2"}),
            goal("detail", "para llevar", evidence="model"),
            Event(95_000, "ended", {"reason": "caller_hung_up"}),
        ],
    )
    assert facts == Facts(
        scenario="cafe_order",
        level="A1",
        native="en",
        target="es",
        turns=2,
        goals=(Reached("order_drink", "Un café, por favor", True), Reached("detail", "para llevar", False)),
        hints=(Hint("detail", 0), Hint("detail", 1)),
        keys={"1": 2, "2": 1},
        duration_ms=95_000,
        said=("Un café, por favor.", "Para llevar"),
        heard=("¡Hola, buenos días! ¿Qué le sirvo?", "¿Para tomar"),
        end_reason="caller_hung_up",
    )
    assert facts.reached == ("order_drink", "detail")
    assert facts.hints_by_rung == (1, 1, 0)
    assert facts.minutes == 2


def test_the_rows_of_the_database_and_the_timeline_serve_alike() -> None:
    """Whatever keeps a call, the facts are the same."""
    kept = timeline.Timeline()
    kept.begin(0, "learner", "i1")
    kept.end(2_000, "i1", text="hola")
    kept.add(2_000, "goal", goal="greet", quote="hola", evidence="quote")
    kept.add(60_000, "ended", reason="key")
    new_turns = [NewTurn("learner", 0, 2_000, "hola", "i1")]
    new_events = [NewEvent(entry.at_ms, entry.kind, dict(entry.data)) for entry in kept.entries]
    rows = [TurnRow(speaker="learner", start_ms=0, end_ms=2_000, text="hola", cut=False)]
    event_rows = [CallEvent(at_ms=event.at_ms, kind=event.kind, data=dict(event.data)) for event in new_events]
    facts = Facts.of(SCENE, kept.turns, kept.entries)
    assert facts.turns == 1
    assert facts == Facts.of(SCENE, new_turns, new_events) == Facts.of(SCENE, rows, event_rows)


@pytest.mark.parametrize(
    ("text", "length_ms", "counts"),
    [
        ("Sí", SILENCE_MS + 300, True),
        ("Sí", SILENCE_MS + 299, False),
        ("Mm-hm.", 2_000, False),
        ("Hm", 2_000, False),
        ("Mm, un café.", 2_000, True),
        ("…", SILENCE_MS + 400, False),
        (None, SILENCE_MS + 999, False),
        (None, SILENCE_MS + 1_000, True),
        ("", SILENCE_MS + 3_000, True),
    ],
)
def test_a_turn_is_speech_and_not_a_cough(text: str | None, length_ms: int, counts: bool) -> None:
    """Beyond the silence that ended it: 300 ms with words, or a second of speech that nobody could transcribe."""
    assert Facts.of(SCENE, [learner(text, length_ms)], []).turns == counts


def test_turns_are_counted_as_they_are_measured() -> None:
    """Who goes on before anybody has answered takes one turn, and what nobody understood of a noise over the role none.

    Seven such turns are not told as eight, whoever counts.
    """
    turns = []
    for at_ms in range(0, 70_000, 10_000):
        turns += [
            Turn("role", at_ms, at_ms + 2_000, "¿Qué le sirvo?"),
            Turn("learner", at_ms + 1_500, at_ms + 1_900, "Sí."),
            Turn("learner", at_ms + 3_000, at_ms + 5_000, "Un café…"),
            Turn("learner", at_ms + 6_000, at_ms + 8_500, "…con leche, por favor."),
        ]
    facts = Facts.of(SCENE, turns, [])
    measures = measure("es", turns, [], silence_ms=SILENCE_MS, goals=5)
    assert facts.turns == measures.learner_turns == 7
    debrief = plain(facts, SCENE, ())
    assert "7" not in compose(debrief, facts, SCENE.native, count=segments, first=False)
    turns += [Turn("role", 80_000, 82_000, "¿Algo más?"), Turn("learner", 83_000, 85_500, "Nada más.")]
    facts = Facts.of(SCENE, turns, [])
    told = compose(debrief, facts, SCENE.native, count=segments, first=False)
    assert told.startswith(SCENE.native.say("debrief.turns", count="8"))


def test_a_goal_counts_once_and_only_if_the_scene_has_it() -> None:
    """The first quote stays; what another version of the scene had is left out."""
    facts = Facts.of(SCENE, [], [goal("price", "cuánto"), goal("price", "otra"), goal("sing"), Event(1, "goal")])
    assert facts.goals == (Reached("price", "cuánto", True),)


def test_a_safe_exit_is_known_however_the_call_ended_after_it() -> None:
    """The key is enough, and so is the reason."""
    assert Facts.of(SCENE, [], [Event(1, "safe_exit"), Event(2, "ended", {"reason": "caller_hung_up"})]).safe_exit
    assert Facts.of(SCENE, [], [Event(2, "ended", {"reason": "safe_exit"})]).safe_exit
    assert not Facts.of(SCENE, [], [Event(2, "ended", {"reason": "key"})]).safe_exit


def test_a_call_that_was_taken_up_again_ended_where_it_ended_last() -> None:
    """An earlier end, of a line that was lost, is not the call's."""
    ends = [Event(30_000, "ended", {"reason": "line_lost"}), Event(90_000, "ended", {"reason": "key"})]
    facts = Facts.of(SCENE, [], ends)
    assert (facts.end_reason, facts.duration_ms) == ("key", 90_000)


def test_a_call_whose_process_died_still_has_its_facts() -> None:
    """Without an end its length is that of what was kept."""
    facts = Facts.of(SCENE, [learner("hola")], [goal("greet", "hola")])
    assert (facts.end_reason, facts.duration_ms, facts.turns) == ("", 12_000, 1)
    empty = Facts.of(SCENE, [], [])
    assert (empty.turns, empty.duration_ms, empty.minutes) == (0, 0, 1)


@pytest.mark.parametrize(
    ("turns", "goals", "worth"), [(0, 0, False), (3, 0, False), (4, 0, True), (0, 1, True), (9, 3, True)]
)
def test_four_turns_or_a_goal_are_worth_a_message(turns: int, goals: int, worth: bool) -> None:
    """A hang-up gets one like any other end."""
    events = [goal(name) for name in ("greet", "order_drink", "detail")[:goals]]
    events.append(Event(99_000, "ended", {"reason": "caller_hung_up"}))
    said = [
        turn
        for at_ms in range(0, turns * 5_000, 5_000)
        for turn in (Turn("role", at_ms, at_ms + 1_000, "¿Sí?"), Turn("learner", at_ms + 2_000, at_ms + 4_500, "hola"))
    ]
    assert worth_a_message(Facts.of(SCENE, said, events)) == worth


texts = st.none() | st.text(max_size=20)
kept_turns = st.builds(
    Turn,
    st.sampled_from(["role", "learner", "helper"]),
    st.integers(0, 60_000),
    st.none() | st.integers(0, 60_000),
    texts,
    st.booleans(),
)
values = st.none() | st.integers(-3, 3) | texts
kept_events = st.builds(
    Event,
    st.integers(0, 60_000),
    st.sampled_from(["goal", "hint", "key", "ended", "safe_exit", "said", "speed"]),
    st.dictionaries(st.sampled_from(["goal", "quote", "evidence", "rung", "digit", "reason"]), values),
)


@given(st.lists(kept_turns), st.lists(kept_events))
def test_any_record_has_facts(turns: list[Turn], events: list[Event]) -> None:
    """Nothing that a version of ours may have written stops a debrief."""
    facts = Facts.of(SCENE, turns, events)
    assert facts.turns <= sum(turn.speaker == "learner" for turn in turns)
    assert len(facts.goals) <= len(SCENE.scenario.goals)
    assert sum(facts.hints_by_rung) == len(facts.hints)
    assert all(line.strip() for line in facts.said + facts.heard)
