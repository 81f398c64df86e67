"""Listen and repeat, key by key and without a telephone; its sentences and its length in all languages."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehearsal.twiml import parse
from telephony.ivr import listening, twiml
from telephony.ivr.listening import (
    END,
    LIMIT_S,
    LONGEST_S,
    MOST_PROMPTS,
    PAUSE_S,
    ListeningContext,
    ListeningState,
)
from telephony.ivr.steps import PROMPT_LIMIT_S, Ask, Goodbye, Step
from tests.telephony.plain_language import PLAIN, said
from tutor.learning.listening import MOST, PHRASE_S, Phrase
from tutor.learning.said import Said, estimate_s
from tutor.learning.wording import problems
from tutor.script.catalogue import load
from tutor.script.language import Language

CATALOGUE = load()
ES = CATALOGUE.language("es")
COFFEE, PRICE = Phrase("Un café, por favor.", "order a drink"), Phrase("¿Cuánto es?")
TWO = ListeningContext(PLAIN, ES, (COFFEE, PRICE))
PRAISE: Final = ["listen.done", "listen.later"]
each_native = pytest.mark.parametrize("native", CATALOGUE.natives, ids=lambda language: language.tag)
each_target = pytest.mark.parametrize("target", CATALOGUE.targets, ids=lambda language: language.tag)


def at(*keys: str, context: ListeningContext = TWO) -> tuple[ListeningState, Step]:
    """Where a caller is after these keys; an empty one is none in time."""
    return listening.replay(context, keys)


def heard(*keys: str, context: ListeningContext = TWO) -> list[str]:
    """The sentences of the step that follows; a phrase by its own first word."""
    return said(at(*keys, context=context)[1])


def spoken(step: Step) -> list[Said]:
    """What a step says in the language being learned."""
    assert isinstance(step, Ask)
    return [line for line in step.says if isinstance(line, Said)]


def test_it_is_offered_and_taken_with_a_key() -> None:
    """Before that nothing is played; then the rules are told once, with the first phrase."""
    assert heard() == ["listen.offer"]
    assert heard("1") == ["listen.intro", "listen.keys", "Un", "listen.meaning"]


@pytest.mark.parametrize(
    ("keys", "sentence"), [([], "offer"), (["7"], "offer"), (["*"], "later"), (["1", "*"], "later")]
)
def test_where_a_month_is_used_up_nobody_is_asked_to_call_tomorrow(keys: list[str], sentence: str) -> None:
    """The offer and the good-bye name the next month."""
    rests = replace(TWO, rests="month")
    assert heard(*keys, context=rests)[-1] == f"listen.{sentence}_month"
    assert heard(*keys)[-1] == f"listen.{sentence}"


@pytest.mark.parametrize(
    ("keys", "outcome"),
    [
        ([""], ["listen.offer"]),
        (["7"], ["wrong_key", "listen.offer"]),
        (["", ""], ["listen.later"]),
        (["7", "8"], ["listen.later"]),
        (["*"], ["listen.later"]),
        (["", "1"], ["listen.intro", "listen.keys", "Un", "listen.meaning"]),
    ],
)
def test_who_does_not_want_it_is_asked_to_call_tomorrow(keys: list[str], outcome: list[str]) -> None:
    """It is offered twice; nobody is praised for what they did not do."""
    assert heard(*keys) == outcome


def test_without_a_key_it_goes_on_by_itself_to_the_end() -> None:
    """Each phrase, its meaning where there is one, a pause, the phrase again; then praise and good-bye."""
    steps = [heard("1", *[""] * silences) for silences in range(1, 5)]
    assert steps == [["Un"], ["¿Cuánto"], ["¿Cuánto"], PRAISE]
    assert isinstance(at("1", "", "", "", "")[1], Goodbye)


def test_phrases_are_spoken_by_a_voice_of_their_language_and_meanings_by_one_s_own() -> None:
    """The meaning is a plain line of the native language; the phrase says whose voice it is."""
    _, step = at("1")
    (phrase,) = spoken(step)
    assert (phrase.text, phrase.voice, phrase.locale) == (COFFEE.text, ES.say_voice, ES.say_locale)
    assert isinstance(step, Ask)
    assert step.says[-1] == "listen.meaning order a drink"


def test_the_pause_is_as_long_as_the_phrase() -> None:
    """A moment longer than saying it takes, within bounds."""
    long = ListeningContext(PLAIN, ES, (Phrase("palabra " * 12), Phrase("sí")))
    _, first = at("1", context=long)
    _, second = at("1", "1", context=long)
    assert isinstance(first, Ask)
    assert isinstance(second, Ask)
    assert estimate_s(spoken(first)) < first.timeout_s <= PAUSE_S[1]
    assert second.timeout_s == PAUSE_S[0]


@pytest.mark.parametrize("before", [["1"], ["1", ""]], ids=["in the first pause", "after the second time"])
def test_keys(before: list[str]) -> None:
    """One is the next phrase, hash again from its first time, two slower, star the end, in either place."""
    assert heard(*before, "1") == ["¿Cuánto"]
    assert heard(*before, "#") == ["Un", "listen.meaning"]
    _, slower = at(*before, "2")
    assert [(line.text, line.slow) for line in spoken(slower)] == [(COFFEE.text, True)]
    assert heard(*before, "*") == PRAISE
    assert heard(*before, "5") == ["wrong_key", "listen.keys", "Un", "listen.meaning"]
    assert heard(*before, "1", "1") == PRAISE


def test_slower_stays() -> None:
    """It holds for what follows, too; whoever keeps the slower voice from an earlier call has it at once."""
    assert [line.slow for line in spoken(at("1", "2", "1")[1])] == [True]
    assert [line.slow for line in spoken(at("1", context=replace(TWO, slower=True))[1])] == [True]


@given(st.lists(st.sampled_from(["", *"0123456789*#", "11", "say:hello"]), max_size=3 * MOST_PROMPTS))
def test_whatever_is_answered_it_ends(answers: list[str]) -> None:
    """The number of prompts is bounded, and a replay of the same answers comes to the same place."""
    state, step = listening.replay(TWO, answers)
    assert (state, step) == listening.replay(TWO, answers)
    assert isinstance(step, Ask | Goodbye)
    assert state.prompts <= MOST_PROMPTS + 1
    assert isinstance(listening.replay(TWO, [*answers, *[""] * MOST_PROMPTS])[1], Goodbye)


@pytest.mark.parametrize(
    ("answers", "took"),
    [([], False), ([""], False), (["7", "1"], True), (["1", "*"], True), (["*"], False), (["", ""], False)],
)
def test_who_listened(answers: list[str], took: bool) -> None:
    """Whoever pressed one while it was offered."""
    assert listening.listened(answers) is took


# --- never longer than five minutes


@pytest.mark.parametrize("answer", ["", "1", "#", "2", "7"])
def test_a_call_that_has_gone_on_long_enough_ends_with_the_next_answer(answer: str) -> None:
    """Whatever is pressed: what is kept is the end, so that every request comes to the same one."""
    assert listening.in_time(answer, LIMIT_S - LONGEST_S) == answer
    assert listening.in_time(answer, LIMIT_S - LONGEST_S + 0.1) == END
    assert heard("1", listening.in_time(answer, LIMIT_S)) == PRAISE


@each_native
def test_no_phrase_takes_longer_than_the_time_that_is_kept_for_it(native: Language) -> None:
    """The longest there can be, said slowly after a wrong key, with its meaning, its pause and the good-bye."""
    can_do = max((able for scene in native.scenes.values() for able in scene.can_do.values()), key=len)
    for target in CATALOGUE.targets:
        text = "字" * int(PHRASE_S * 0.8 * 4.3) if target.base in ("zh", "ja") else "a" * int(PHRASE_S * 0.8 * 14.5)
        assert PHRASE_S * 0.9 < estimate_s([Said.of(text, target, slow=True)]) <= PHRASE_S
        context = ListeningContext(native, target, (Phrase(text, can_do),), slower=True)
        for keys in (["1"], ["1", "7"], ["1", "#"]):
            _, step = at(*keys, context=context)
            _, bye = at(*keys, "*", context=context)
            assert isinstance(step, Ask)
            assert isinstance(bye, Goodbye)
            assert estimate_s(step.says) + step.timeout_s + estimate_s(bye.says) <= LONGEST_S


@each_target
def test_ten_phrases_of_the_catalogue_fit_without_haste(target: Language) -> None:
    """Whoever presses nothing hears all ten, in any language and usual voice."""
    native = CATALOGUE.language("es" if target.base == "en" else "en")
    whole = sorted({hints[2] for scene in target.scenes.values() for hints in scene.hints.values()}, key=len)
    middle = len(whole) // 2
    phrases = tuple(Phrase(text, "order a drink") for text in whole[middle - MOST // 2 : middle + MOST // 2])
    context = ListeningContext(native, target, phrases)
    passed_s, answers = 0.0, ["1"]
    while isinstance(step := at(*answers, context=context)[1], Ask):
        passed_s += estimate_s(step.says) + step.timeout_s
        answers.append("")
    assert len(answers) == 2 + 2 * MOST - 1
    assert passed_s <= LIMIT_S - LONGEST_S


# --- its sentences


@each_native
def test_every_language_can_say_it_on_a_telephone(native: Language) -> None:
    """The carrier takes each document without a complaint, the rules are one prompt long, and nothing judges."""
    target = CATALOGUE.language("fr" if native.base == "en" else "en")
    scene = CATALOGUE.scene("cafe_order", native=native.tag, target=target.tag, level="A1")
    phrases = tuple(
        Phrase(scene.hint(goal.id, 2), scene.can_do(goal.id)) for goal in CATALOGUE.scenario("cafe_order").goals
    )
    context = ListeningContext(native, target, phrases, slower=True)
    for keys in ([], ["7"], ["1"], ["1", ""], ["1", "7"], ["1", "*"], ["*"]):
        _, step = at(*keys, context=context)
        assert isinstance(step, Ask | Goodbye)
        rules = [line for line in step.says if isinstance(line, str)]
        assert estimate_s(rules) <= PROMPT_LIMIT_S
        assert [problem for line in rules for problem in problems(line, native)] == []
        document = (
            twiml.ask(step, native, "/twilio/menu?step=1")
            if isinstance(step, Ask)
            else twiml.hang_up((native, step.says))
        )
        assert parse(document.encode(), "text/xml").findings == ()
