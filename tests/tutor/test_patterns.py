"""Kinds of error over several calls: rates, recurrence and trends, from the role's silent notes."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tutor.desk import Desk
from tutor.learning.patterns import (
    LEAST_CHANGE,
    MOST_TYPE_CHARS,
    MOST_TYPE_WORDS,
    CallNotes,
    Pattern,
    error_type,
    notes_of,
    patterns,
)
from tutor.learning.timeline import Entry


def note(error: str, severity: str = "recurrent") -> Entry:
    """A note as the toolbox leaves it."""
    data = {"type": error, "severity": severity, "context": "la problema", "handling": "recast"}
    return Entry(1_000, "error_note", data)


def calls(*notes: int, turns: int = 10, error: str = "articles", blocking: int = -1) -> list[CallNotes]:
    """Calls with so many notes of one type each, oldest first; one of them may be blocking."""
    return [
        CallNotes(turns, Counter({error: count}), frozenset({error} if at == blocking else ()))
        for at, count in enumerate(notes)
    ]


def the(history: list[CallNotes]) -> Pattern:
    """The only pattern of a history."""
    (pattern,) = patterns(history)
    return pattern


# --- notes


def test_every_note_of_a_type_counts() -> None:
    """Three notes in one call are three; other entries are none."""
    entries = [
        note("articles"),
        note("articles"),
        note("plural"),
        note("articles"),
        Entry(0, "goal", {"type": "plural"}),
    ]
    assert notes_of(entries) == Counter({"articles": 3, "plural": 1})


def test_notes_are_read_as_a_conversation_leaves_them() -> None:
    """What the model notes in a call arrives here by type, and what hid the meaning is known."""
    desk = Desk().open()
    for at, severity in enumerate(("slip", "blocking")):
        desk.tool(
            "note_error",
            f'{{"type":"Noun gender","severity":"{severity}","context":"la problema","handling":"recast"}}',
            f"c{at}",
        )
    desk.tool("note_error", '{"type":"plural","severity":"slip","context":"dos café","handling":"ignored"}', "c9")
    kept = CallNotes.of(4, desk.timeline.entries)
    assert kept == CallNotes(4, Counter({"gender_agreement": 2, "plural": 1}), frozenset({"gender_agreement"}))


def test_broken_arguments_leave_no_pattern() -> None:
    """A note whose type nobody can read is not counted under an empty name."""
    desk = Desk().open()
    desk.tool("note_error", "{")
    assert desk.timeline.of("error_note")
    assert notes_of([*desk.timeline.entries, Entry(0, "error_note"), note("性別"), note("42!")]) == Counter()


@pytest.mark.parametrize(
    ("named", "type_"),
    [
        ("gender_agreement", "gender_agreement"),
        ("Gender agreement", "gender_agreement"),
        ("GENDER-AGREEMENT.", "gender_agreement"),
        ("noun gender", "gender_agreement"),
        ("ser vs. estar", "ser_estar"),
        ("verb conjugation", "verb_endings"),
        ("preterite/imperfect", "past_tense"),
        ("ser_estár", "ser_estar"),
        ("wa/ga", "particles"),
        ("tag questions", "tag_questions"),
        ("3 ", ""),
    ],
)
def test_one_kind_has_one_name(named: str, type_: str) -> None:
    """However the model spells it, and by whichever usual name."""
    assert error_type(named) == type_


@given(st.text(max_size=200))
def test_a_type_is_a_short_name_and_nothing_else(named: str) -> None:
    """No sentence, mark or digit can travel in it, and naming it again changes nothing."""
    found = error_type(named)
    assert len(found) <= MOST_TYPE_CHARS
    assert found == "" or len(found.split("_")) <= MOST_TYPE_WORDS
    assert found.replace("_", "").isalpha() or found == ""
    assert found.isascii()
    assert error_type(found) == found


# --- rates


def test_the_rate_is_the_mean_of_a_beta_distribution_over_the_last_five_calls() -> None:
    """(1 + notes) / (2 + turns): one exact value, whatever came before."""
    assert the(calls(9, 9, 9, 9, 9, 2, 0, 1, 0, 0)).rate == pytest.approx(4 / 52)
    assert the(calls(2, turns=4)).rate == pytest.approx(3 / 6)


def test_several_notes_in_one_turn_are_no_more_than_a_turn() -> None:
    """A rate stays below one."""
    assert the(calls(50, turns=4)).rate == pytest.approx(5 / 6)


def test_nothing_is_known_without_calls_or_turns() -> None:
    """No call, a call without notes, and a call in which the learner never spoke."""
    assert patterns([]) == ()
    assert patterns([CallNotes(10)]) == ()
    assert patterns(calls(3, turns=0)) == ()
    assert patterns(calls(0)) == ()


def test_calls_in_which_the_learner_never_spoke_move_no_window() -> None:
    """Five hang-ups in a row do not make a pattern old."""
    history = calls(1, 1, 1, 2, 2)
    assert patterns([*history, *calls(0, 0, 0, 0, 0, turns=0)]) == patterns(history)


def test_only_the_last_ten_calls_count() -> None:
    """What was noted eleven calls ago is over."""
    assert patterns(calls(5, *[0] * 10)) == ()
    assert the(calls(5, 1, *[0] * 9)).sessions == 1


def test_a_session_counts_once_however_many_notes_it_has() -> None:
    """Recurrence is about calls."""
    assert the(calls(3, 0, 1, 0, 7)).sessions == 3


def test_what_hid_the_meaning_is_blocking_for_five_calls() -> None:
    """Then it is a pattern like any other."""
    assert the(calls(0, 1, 1, 1, 1, 1, blocking=1)).blocking
    assert not the(calls(1, 1, 1, 1, 1, 1, blocking=0)).blocking


def test_patterns_come_by_type() -> None:
    """The order of notes does not matter."""
    history = [CallNotes(10, Counter(["plural", "articles"])), CallNotes(10, Counter(["aspect"]))]
    assert [pattern.type for pattern in patterns(history)] == ["articles", "aspect", "plural"]


# --- trends


@pytest.mark.parametrize(
    ("before", "recent", "trend"),
    [
        (5, 0, "improving"),
        (0, 5, "needs_work"),
        (3, 3, "steady"),
        (3, 2, "steady"),
        (2, 3, "steady"),
    ],
)
def test_the_last_five_calls_are_held_against_the_five_before(before: int, recent: int, trend: str) -> None:
    """Ten turns a call: a change from 26 to 2 in 52 is one, from 16 to 11 is within chance."""
    assert the(calls(*[before] * 5, *[recent] * 5)).trend == trend


@given(st.integers(0, 33))
def test_a_change_of_exactly_a_tenth_is_steady(notes: int) -> None:
    """38 turns and the prior's two: four notes more or fewer are a tenth, five are a change."""

    def half(noted: int) -> list[CallNotes]:
        return [CallNotes(34, {"articles": noted}), *calls(0, 0, 0, 0, turns=1)]

    few, tenth, more = half(notes), half(notes + 4), half(notes + 5)
    assert the([*few, *tenth]).trend == the([*tenth, *few]).trend == "steady"
    assert the([*few, *more]).trend == "needs_work"
    assert the([*more, *few]).trend == "improving"


@pytest.mark.parametrize(("turns", "trend"), [(3, "steady"), (4, "improving")])
def test_a_trend_needs_twenty_turns_on_either_side(turns: int, trend: str) -> None:
    """Five calls of three turns are too few, of four are enough."""
    assert the(calls(*[2] * 5, *[0] * 5, turns=turns)).trend == trend
    longer_before = [*calls(*[5] * 5, turns=10), *calls(*[0] * 5, turns=turns)]
    assert the(longer_before).trend == trend


def test_a_first_pattern_has_no_trend() -> None:
    """Five calls or fewer have nothing to be held against."""
    assert the(calls(9, 9, 9, 9, 9)).trend == "steady"


CALLS = st.lists(
    st.builds(
        CallNotes,
        st.integers(0, 40),
        st.dictionaries(st.sampled_from(["articles", "plural", "aspect"]), st.integers(0, 60)),
        st.frozensets(st.sampled_from(["articles", "plural", "aspect"])),
    ),
    max_size=25,
)


@given(CALLS)
def test_whatever_was_noted_a_rate_is_a_share_and_a_pattern_was_seen(history: list[CallNotes]) -> None:
    """Nothing divides by zero; every pattern was noted in one to ten calls."""
    for pattern in patterns(history):
        assert 0 < pattern.rate < 1
        assert 1 <= pattern.sessions <= 10
        assert pattern == the(
            [
                CallNotes(c.learner_turns, {pattern.type: c.errors.get(pattern.type, 0)}, c.blocking & {pattern.type})
                for c in history
            ]
        )


@given(CALLS)
def test_more_notes_never_lower_a_rate(history: list[CallNotes]) -> None:
    """One more in the latest call, all else equal."""
    more = [*history[:-1], CallNotes(10, {"articles": 3})]
    most = [*history[:-1], CallNotes(10, {"articles": 4})]
    low, high = (next(p for p in patterns(one) if p.type == "articles") for one in (more, most))
    assert high.rate >= low.rate


@given(st.integers(4, 60), st.integers(4, 60), st.integers(0, 4))
def test_the_same_share_in_longer_calls_is_no_trend(before: int, recent: int, quarters: int) -> None:
    """What a few more turns do to the prior is smaller than the least change."""
    history = [CallNotes(turns * 4, {"articles": turns * quarters}) for turns in (*[before] * 5, *[recent] * 5)]
    for pattern in patterns(history):
        assert pattern.trend == "steady"


@given(CALLS)
def test_a_trend_is_a_real_change(history: list[CallNotes]) -> None:
    """With the two halves exchanged it turns round."""
    spoken = [call for call in history if call.learner_turns][-10:]
    if len(spoken) == 10:
        turned = {pattern.type: pattern for pattern in patterns([*spoken[5:], *spoken[:5]])}
        for pattern in patterns(spoken):
            other = turned[pattern.type]
            assert (pattern.trend == "improving") == (other.trend == "needs_work")
            assert (pattern.trend == "steady") == (other.trend == "steady")
            assert pattern.trend == "steady" or abs(pattern.rate - other.rate) > LEAST_CHANGE
