"""The text message: at most two segments in every language, in plain typography, with every accent."""

from __future__ import annotations

import unicodedata
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehearsal.messages import is_gsm7, segments
from tests.tutor.scenes import cafe
from tutor.learning import achievements
from tutor.learning.debrief import LONGEST_PHRASE, LONGEST_SENTENCE, Debrief, plain
from tutor.learning.facts import Facts, Reached
from tutor.learning.insights import Insight, Kind, Period, success
from tutor.learning.message import MAX_SEGMENTS, compose, confirmation, help_reply, plain_typography
from tutor.script.catalogue import load
from tutor.script.language import NATIVE_STRINGS, Language

CATALOGUE = load()
each_native = pytest.mark.parametrize("native", CATALOGUE.natives, ids=lambda language: language.tag)

LINK = "https://practice.colegio-sanjuan.example/d/Abcdefghijklmnopqrstuv"
HALF_SPACE = {"ar", "zh"}
"""Languages whose every letter is outside GSM-7."""


def facts(scenario: str = "cafe_order", *goals: str, turns: int = 9, native: str = "en") -> Facts:
    """A call with these goals."""
    return Facts(scenario, "A1", native, "es", turns=turns, goals=tuple(Reached(goal, "", True) for goal in goals))


def debrief(*goals: str, **changes: Any) -> Debrief:
    """A debrief with a short phrase."""
    given: dict[str, Any] = {
        "praise": "You kept going.",
        "keep": "Un café, por favor.",
        "next_step": "Try the market.",
        "next_scenario": "hotel_checkin",
    }
    return Debrief(**{**given, **changes}, can_dos=goals)


def sent(known: Facts, told: Debrief, native: str = "en", **options: Any) -> str:
    """The message, as the carrier would count it."""
    return compose(told, known, CATALOGUE.language(native), count=segments, **options)


def test_a_message_tells_turns_praise_can_dos_the_phrase_what_is_next_and_where() -> None:
    """In this order, when there is room for all of it."""
    text = sent(
        facts("cafe_order", "greet", "price"), debrief("greet", "price", keep_meaning="A coffee, please."), key="2"
    )
    assert text == (
        "You spoke 9 times! You kept going. You can greet the barista and ask the price or say how you pay. "
        'Keep this one: "Un café, por favor." (A coffee, please.) Next time: At the hotel (key 2).'
    )
    text = sent(facts("cafe_order", "greet"), debrief("greet"), link=LINK, first=True)
    assert text.endswith(f"Next time: At the hotel. {LINK} STOP to end.")


def test_turns_are_told_from_eight_on_and_goals_only_if_there_are_any() -> None:
    """A short call is not counted out to the learner."""
    assert sent(facts(turns=8), debrief()).startswith("You spoke 8 times! You kept going. Keep this one:")
    assert sent(facts(turns=7), debrief()).startswith("You kept going. Keep this one:")


def test_what_does_not_fit_is_left_out_in_the_fixed_order() -> None:
    """The next scene first, then the meaning, the praise, the turns, can-dos, the phrase; the link stays longest."""
    goals = ("greet", "order_drink", "detail", "price")
    known, told = facts("cafe_order", *goals), debrief(*goals, keep_meaning="A coffee, please.")
    marks = {
        "Next time": "next",
        "(A coffee": "meaning",
        "You kept": "praise",
        "9 times": "turns",
        "greet": "can-do",
        "ask the price": "can-do",
        "the size": "can-do",
        "order a drink": "last can-do",
        "Un café": "phrase",
        "l.example": "link",
    }
    gone: list[str] = []
    for most in range(400, 0, -1):

        def count(text: str, most: int = most) -> int:
            return 2 if len(text) <= most else 3

        text = compose(told, known, CATALOGUE.language("en"), link="l.example/x", first=True, count=count)
        assert "STOP to end." in text
        gone += [mark for mark in marks if mark not in text and mark not in gone]
    assert [marks[mark] for mark in gone] == [*marks.values()]


def test_what_halves_the_room_makes_way_for_what_was_left_out() -> None:
    """When a can-do outside GSM-7 is gone, the praise and the turns come back."""
    goals = ("greet", "order_drink", "detail", "price")
    native = CATALOGUE.language("es")
    assert not is_gsm7(native.scenes["cafe_order"].can_do["price"])
    known = Facts("cafe_order", "A1", "es", "en", turns=12, goals=tuple(Reached(goal, "", True) for goal in goals))
    told = Debrief(native.say("debrief.praise_some"), goals, "A coffee, please.", "x", "market_fruit")
    text = compose(told, known, native, count=segments, link=LINK, first=True)
    assert is_gsm7(text)
    assert segments(text) == 2
    assert text == (
        "¡Ha hablado 12 veces! Se ha hecho entender. Ya puede saludar, pedir una bebida y decir el tamaño, la leche "
        f'o que es para llevar. Para recordar: "A coffee, please." Para seguir: En el mercado. {LINK} STOP para '
        "darse de baja."
    )


def shortened(known: Facts, told: Debrief, marks: dict[str, str], **options: Any) -> list[str]:
    """What leaves the message, in its order, while there is ever less room."""
    gone: list[str] = []
    for most in range(600, 0, -1):

        def count(text: str, most: int = most) -> int:
            return 2 if len(text) <= most else 3

        text = compose(told, known, CATALOGUE.language("en"), first=True, count=count, **options)
        assert "STOP to end." in text
        gone += [mark for mark in marks if mark not in text and mark not in gone]
    return [marks[mark] for mark in gone]


def test_an_achievement_goes_before_an_insight_and_what_got_across_goes_first() -> None:
    """Short of room the share is left out and the turns stay; then the insight; what was achieved stays longest.

    Only where the share is gone do the turns stand alone, and neither is told of a short call.
    """
    native = CATALOGUE.language("en")
    parts: dict[str, Any] = {
        "success": success(12, 0.6, native),
        "earned": achievements.tellings("first_scene", native),
        "insight": Insight("faster", "week", 0.4).sentence(native),
    }
    told = debrief("greet", keep_meaning="A coffee, please.")
    marks = {
        "60%": "share",
        "You answer": "insight",
        "Next time": "next",
        "(A coffee": "meaning",
        "You kept": "praise",
        "first whole scene": "what was done",
        "12 times": "turns",
        "greet": "can-do",
        "Un café": "phrase",
        "First Scene": "achievement",
    }
    known = facts("cafe_order", "greet", turns=12)
    assert shortened(known, told, marks, **parts) == [*marks.values()]
    text = compose(told, known, native, count=lambda _: 1, **parts)
    whole = parts["earned"][0]
    assert text.startswith(f"{parts['success']} {whole} {parts['insight']} You kept going.")
    assert text.count("12 times") == 1
    bare = compose(told, known, native, count=lambda _: 1, **{**parts, "success": success(12, 0.599, native)})
    assert bare.startswith(f"You spoke 12 times! {whole}")
    short = compose(told, facts("cafe_order", "greet", turns=7), native, count=lambda _: 1, **parts)
    assert "60%" not in short
    assert short.startswith(whole)


@each_native
def test_every_achievement_has_room_in_the_plain_message(native: Language) -> None:
    """Of every scene, with a long address and how to stop: by its name at least it stands in the two segments."""
    target = "en" if native.base == "es" else "es"
    for scenario in CATALOGUE.scenarios:
        scene = CATALOGUE.scene(scenario.id, native=native.tag, target=target, level=scenario.cefr[0])
        known = facts(scenario.id, *[goal.id for goal in scenario.goals], native=native.tag, turns=12)
        told = plain(known, scene, (scenario.id,))
        for rule in achievements.rules():
            earned = achievements.tellings(rule.id, native)
            options: dict[str, Any] = {"success": success(12, 0.85, native), "earned": earned, "key": "1"}
            for link, first in ((None, False), (LINK, True)):
                text = compose(told, known, native, count=segments, link=link, first=first, **options)
                assert segments(text) <= MAX_SEGMENTS
                assert (link or "") in text
                assert plain_typography(earned[-1]) in text, (scenario.id, rule.id)


@each_native
def test_an_insight_takes_nothing_else_s_room(native: Language) -> None:
    """It stands behind the turns where it fits, and where it does not the message is as it would be without it."""
    insight = Insight("faster", "week", 0.4).sentence(native)
    told_in = []
    for goals in (("greet",), ("greet", "order_drink", "detail", "price")):
        known = facts("cafe_order", *goals, native=native.tag, turns=12)
        scene = cafe(native=native.tag, target="en" if native.base == "es" else "es")
        told = plain(known, scene, ("cafe_order",))
        for link, first in ((None, False), (LINK, True)):
            bare = compose(told, known, native, count=segments, link=link, first=first, key="1")
            text = compose(told, known, native, count=segments, link=link, first=first, key="1", insight=insight)
            assert segments(text) <= MAX_SEGMENTS
            said = plain_typography(insight)
            assert text == bare or text.replace(f"{said} ", "", 1).replace(said, "", 1) == bare
            told_in.append(said in text)
    assert any(told_in) or native.base in HALF_SPACE
    too_long = compose(told, known, native, count=segments, link=LINK, first=True, insight="x" * 400)
    assert too_long == compose(told, known, native, count=segments, link=LINK, first=True)


def test_accents_stay_and_typography_goes() -> None:
    """Letters are never replaced; curly quotes, dashes, ellipses and hard spaces are, and words are composed."""
    told = debrief(praise="You said “Sí” – and\u00a0went on… l’eau", keep="¿Co\u0301mo esta\u0301 «usted»?")
    text = sent(facts(turns=1), told)
    assert 'You said "Sí" - and went on... l\'eau' in text
    assert '¿Cómo está "usted"?' in text
    assert text == unicodedata.normalize("NFC", text)


def test_chinese_sentences_stand_without_spaces_and_links_with_them() -> None:
    """As Chinese is written, and as telephones find addresses."""
    scene = cafe(native="zh", target="es")
    known = facts("cafe_order", "greet", native="zh", turns=1)
    text = compose(plain(known, scene, ()), known, scene.native, count=segments, link="https://l.example/x")
    assert "。记住" in text
    assert " https://l.example/x" in text


def test_a_scene_that_is_gone_is_not_told() -> None:
    """A catalogue may change between a call and its message."""
    known = facts("no_such_scene", "greet")
    assert sent(known, debrief("greet", next_scenario="gone")) == (
        'You spoke 9 times! You kept going. Keep this one: "Un café, por favor."'
    )


@each_native
def test_every_scene_s_plain_message_fits(native: Language) -> None:
    """With and without a link, with goals and without: two segments with a phrase or a can-do, else a praise."""
    target = "en" if native.base == "es" else "es"
    for scenario in CATALOGUE.scenarios:
        scene = CATALOGUE.scene(scenario.id, native=native.tag, target=target, level=scenario.cefr[0])
        ids = [goal.id for goal in scenario.goals]
        for goals, link in ((ids, LINK), (ids, None), (ids[:1], LINK), ([], LINK)):
            known = facts(scenario.id, *goals, native=native.tag)
            told = plain(known, scene, (scenario.id,))
            text = compose(told, known, native, count=segments, link=link, first=True, key="1")
            assert segments(text) <= MAX_SEGMENTS
            assert (link or "") in text
            # Beside a long address there may be room for neither; the page has both.
            told_something = plain_typography(told.keep) in text or any(scene.can_do(goal) in text for goal in goals)
            assert told_something or (link and len(goals) < 2 and told.praise in text)


line = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=LONGEST_SENTENCE)
debriefs = st.builds(
    Debrief,
    praise=line,
    can_dos=st.lists(st.sampled_from([goal.id for goal in CATALOGUE.scenario("debate_radio").goals]), unique=True),
    keep=st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=LONGEST_PHRASE),
    next_step=line,
    next_scenario=st.sampled_from([scenario.id for scenario in CATALOGUE.scenarios]),
    keep_meaning=st.none() | st.text(max_size=LONGEST_PHRASE),
)


@each_native
@given(
    told=debriefs.map(lambda made: Debrief.read({**made.write(), "can_dos": list(made.can_dos)})),
    turns=st.integers(0, 300),
    link=st.none() | st.integers(1, 300).map(lambda size: "https://l.example/" + "x" * size),
    first=st.booleans(),
    key=st.none() | st.sampled_from("12348"),
    better=st.none()
    | st.builds(Insight, st.sampled_from(get_args(Kind)), st.sampled_from(get_args(Period)), st.floats(0.1, 9)),
    share=st.none() | st.floats(0, 1),
    earned=st.none() | st.sampled_from([rule.id for rule in achievements.rules()]),
)
def test_any_debrief_fits_two_segments(
    native: Language,
    told: Debrief,
    turns: int,
    link: str | None,
    first: bool,
    key: str | None,
    better: Insight | None,
    share: float | None,
    earned: str | None,
) -> None:
    """Whatever the model wrote within its limits, however long the address; how to stop is never left out."""
    known = facts("debate_radio", *told.can_dos, turns=turns, native=native.tag)
    parts: dict[str, Any] = {
        "success": success(turns, share, native),
        "earned": achievements.tellings(earned, native) if earned is not None else (),
        "insight": better.sentence(native) if better is not None else "",
    }
    text = compose(told, known, native, count=segments, link=link, first=first, key=key, **parts)
    assert segments(text) <= MAX_SEGMENTS
    assert not first or "STOP" in text
    assert plain_typography(text) == text


@each_native
@pytest.mark.parametrize("write", [confirmation, help_reply])
def test_what_a_school_writes_names_it_and_fits(native: Language, write: Any) -> None:
    """The confirmation and the answer to HELP say who writes and how to stop; a long name is cut at a word."""
    text = write("Colegio San Juan", native, count=segments)
    assert "Colegio San Juan" in text
    assert "STOP" in text
    assert segments(text) <= MAX_SEGMENTS
    long = write(
        "Instituto Superior de Educación y Formación Continua “San Juan” de los Lagos " * 4, native, count=segments
    )
    assert segments(long) <= MAX_SEGMENTS
    assert "STOP" in long
    assert "Instituto" in long
    assert segments(write("x" * 900, native, count=segments)) <= MAX_SEGMENTS


@each_native
def test_the_confirmation_names_the_ways_to_stop_and_to_get_help(native: Language) -> None:
    """What carriers ask of a first message."""
    assert "STOP" in native.says["sms.first"]
    assert "HELP" in native.says["sms.first"]
    assert "STOP" in native.says["consent.ask"]


@each_native
def test_fixed_sentences_do_not_halve_the_room(native: Language) -> None:
    """Where the alphabet allows it, words were chosen that GSM-7 has with their accents."""
    if native.base in HALF_SPACE:
        assert not is_gsm7(native.says["debrief.did"])
        return
    for key in NATIVE_STRINGS:
        if key.startswith(("debrief.", "sms.")) and key != "debrief.step":
            assert is_gsm7(native.says[key]), key
            assert len(native.says[key]) <= (45 if key.startswith("debrief.") else 200), key
