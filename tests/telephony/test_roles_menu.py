"""Who is calling, and what teachers and families hear: place by place, key by key, without a telephone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.ivr import family, menu, teacher, twiml
from telephony.ivr.family import FamilyContext
from telephony.ivr.menu import PEOPLE, MenuContext, Person
from telephony.ivr.record import MenuRecord, Told
from telephony.ivr.steps import MAX_PROMPTS, PROMPT_LIMIT_S, SPOKEN, Ask, Begin, Goodbye, Identify, Step
from telephony.ivr.teacher import TeacherContext, TeacherState
from tests.telephony.plain_language import PLAIN, said
from tests.telephony.plain_language import menu as plain_menu
from tutor.learning.said import Said, estimate_s
from tutor.script.catalogue import load
from tutor.script.class_prompt import MAX_TEXT_CHARS, ClassPrompt

CATALOGUE = load()
ANA, LUIS, THIRD = Person("id-ana", "Ana"), Person("id-luis", "Luis"), Person("id-third")
SHARED = replace(plain_menu(scenes=2, free_talk=False), people=(ANA, LUIS, THIRD))
CLASS = TeacherContext(PLAIN, ("digest one", "digest two"))
HOME = FamilyContext(PLAIN, (Said("news", "xx", "Polly.Plain", "xx-XX"),))
answers = st.lists(
    st.sampled_from(["", *"0123456789*#", f"{SPOKEN}food", SPOKEN, "unknown", "locked", "12"]), max_size=40
)


def at(context: MenuContext, *keys: str) -> tuple[menu.MenuState, Step]:
    """Where a learner is after these answers."""
    return menu.replay(context, keys)


def speaks(text: str) -> str:
    """A spoken answer, as it is kept."""
    return f"{SPOKEN}{text}"


# --- a shared telephone


def test_a_shared_telephone_asks_who_calls() -> None:
    """After the notice, everyone with a name is named, the others counted, and the last key is for somebody else."""
    _, step = menu.enter(SHARED)
    assert isinstance(step, Ask)
    assert step.says[1:] == (
        "people.ask",
        "people.person 1 Ana",
        "people.person 2 Luis",
        "people.third 3",
        "people.another 4",
    )
    assert said(step)[0] == "notice"


@pytest.mark.parametrize(
    ("keys", "outcome"),
    [
        (["1"], Identify("id-ana")),
        (["3"], Identify("id-third")),
        (["", "2"], Identify("id-luis")),
        (["4"], ["recommended", "option", "settings"]),
        (["", ""], ["recommended", "option", "settings"]),
        (["9"], ["wrong_key", "people.ask", "people.person", "people.person", "people.third", "people.another"]),
        (["#"], ["people.ask", "people.person", "people.person", "people.third", "people.another"]),
        ([""], ["people.ask", "people.person", "people.person", "people.third", "people.another"]),
    ],
)
def test_who_calls(keys: list[str], outcome: Identify | list[str]) -> None:
    """A person's key says who it is; somebody else, and silence, go on as a guest without a second greeting."""
    _, step = at(SHARED, *keys)
    assert step == outcome if isinstance(outcome, Identify) else said(step) == outcome


def test_at_most_five_people_are_named() -> None:
    """A telephone of a whole school names five people, and the rest have PINs."""
    crowd = replace(SHARED, people=tuple(Person(f"id-{n}") for n in range(9)))
    assert at(crowd, "5")[1] == Identify("id-4")
    assert said(at(crowd, "6")[1])[0] == "recommended"
    assert len(PEOPLE) == 5


@pytest.mark.parametrize("native", CATALOGUE.natives, ids=lambda language: language.tag)
def test_the_question_who_calls_is_short(native: Any) -> None:
    """With the notice and four names it is no longer than a prompt may be, in every language."""
    people = tuple(Person(name, name) for name in ("Ana", "Luis", "Carmen", "Alejandra"))
    choices = plain_menu(1).choices
    _, step = menu.enter(MenuContext(native, "Colegio Público García Lorca", True, choices, people=people))
    assert isinstance(step, Ask)
    assert estimate_s(step.says) <= PROMPT_LIMIT_S


# --- a PIN


def test_a_pin_is_asked_for_in_the_settings() -> None:
    """Settings, key 1: four digits are taken at once, and keys pressed before are none of them."""
    state, step = at(plain_menu(), "0", "1")
    assert (said(step), state.place) == (["pin.ask"], "pin")
    assert isinstance(step, Ask)
    assert step.takes == "pin"
    assert at(plain_menu(), "0", "11111")[1] == step


@pytest.mark.parametrize(
    ("pins", "outcome"),
    [
        (["unknown"], ["pin.unknown", "pin.ask"]),
        (["unknown", "unknown"], ["pin.unknown", "pin.ask"]),
        (["unknown", "unknown", "unknown"], Identify(None)),
        (["locked"], Identify(None)),
        (["unknown", "locked"], Identify(None)),
        (["?"], ["pin.ask"]),
        (["?", "?", "?", "unknown"], ["pin.unknown", "pin.ask"]),
        (["*"], ["option", "option", "option", "option", "free_talk", "more", "settings"]),
        ([""], ["no_input", "option", "option", "option", "option", "more"]),
    ],
)
def test_pins_that_are_not_known(pins: list[str], outcome: Identify | list[str]) -> None:
    """Three wrong PINs, or a locked one, make a guest; too few digits cost nothing; star and silence lead back."""
    _, step = at(plain_menu(), "0", "1", *pins)
    assert step == outcome if isinstance(outcome, Identify) else said(step) == outcome


def test_a_menu_that_follows_does_not_greet_again() -> None:
    """Whoever is known by now hears the sentence for that instead of the notice, or none."""
    for opening, first in (("pin.welcome", "pin.welcome"), ("", "recommended")):
        assert said(menu.enter(replace(plain_menu(), opening=opening))[1])[0] == first


# --- children


def test_children_hear_who_speaks_first() -> None:
    """On a line for children every call begins by saying that a computer speaks, whoever calls."""
    for context in (plain_menu(), plain_menu(returning=True), SHARED):
        assert said(menu.enter(replace(context, kids=True))[1])[0] == "safety.kid_notice"


# --- a teacher


@pytest.mark.parametrize(
    ("given_answers", "outcome"),
    [
        ([], ["digest", "digest", "teacher.keys"]),
        (["2"], ["digest", "digest", "teacher.keys"]),
        (["#"], ["digest", "digest", "teacher.keys"]),
        (["7"], ["wrong_key", "teacher.keys"]),
        ([""], ["no_input", "teacher.keys"]),
        (["1"], ["teacher.speak"]),
        (["1", ""], ["teacher.unheard", "teacher.speak"]),
        (["1", SPOKEN], ["teacher.unheard", "teacher.speak"]),
        (["1", "5"], ["teacher.keys"]),
        (["1", speaks("food")], ["teacher.heard", "teacher.confirm"]),
        (["1", speaks("food"), "2"], ["teacher.speak"]),
        (["1", speaks("food"), "*"], ["teacher.keys"]),
        (["1", speaks("food"), "8"], ["teacher.heard", "teacher.confirm"]),
        (["1", speaks("food"), ""], ["teacher.heard", "teacher.confirm"]),
        (["1", speaks("food"), "1"], ["teacher.kept", "teacher.keys"]),
        (["1", speaks("food"), "1", "2"], ["digest", "digest", "teacher.keys"]),
    ],
)
def test_teacher(given_answers: list[str], outcome: list[str]) -> None:
    """The digest can be heard again, and the week's material said, heard back, kept, said again or left."""
    assert said(teacher.replay(CLASS, given_answers)[1]) == outcome


def test_material_is_kept_when_it_was_confirmed() -> None:
    """What was said is read back, and kept only by key 1; what was said again replaces it."""
    spoken = ["1", speaks("  the market and\n prices. "), "2", speaks("Das Hotel!"), "1"]
    state, _ = teacher.replay(CLASS, spoken[:4])
    assert (state.heard, state.kept) == ("Das Hotel", None)
    assert teacher.replay(CLASS, spoken[:2])[1].says[0] == "teacher.heard the market and prices"  # type: ignore[union-attr]
    assert teacher.replay(CLASS, spoken)[0].kept == "Das Hotel"


def test_long_material_is_cut_between_words() -> None:
    """What is read back is what is kept: as much as a class prompt has room for."""
    text = teacher.fitting("mesa " * 300)
    assert MAX_TEXT_CHARS - 5 <= len(text) <= MAX_TEXT_CHARS
    assert set(text.split()) == {"mesa"}
    assert ClassPrompt(text=text).text == text
    assert len(teacher.fitting("話" * 900)) == MAX_TEXT_CHARS


def test_a_silent_teacher_is_let_go() -> None:
    """Two prompts in a row without an answer end the call kindly, wherever they were."""
    for start in ([], ["1"], ["1", speaks("food")]):
        assert teacher.replay(CLASS, [*start, "", ""])[1] == Goodbye(("menu.goodbye",))


def test_speech_is_taken_where_it_is_asked_for() -> None:
    """Only the question for the week's material listens; everything else takes keys."""
    assert teacher.replay(CLASS, ["1"])[1].takes == "speech"  # type: ignore[union-attr]
    assert teacher.replay(CLASS, [])[1].takes == "key"  # type: ignore[union-attr]


# --- a family


@pytest.mark.parametrize(
    ("keys", "outcome"),
    [
        ([], ["news", "family.keys"]),
        (["1"], ["news", "family.keys"]),
        (["#"], ["news", "family.keys"]),
        (["5"], ["wrong_key", "family.keys"]),
        ([""], ["no_input", "family.keys"]),
        (["", ""], ["goodbye"]),
    ],
)
def test_family(keys: list[str], outcome: list[str]) -> None:
    """The news can be heard again; two silences end the call."""
    assert said(family.replay(HOME, keys)[1]) == outcome


@given(answers)
def test_no_role_reaches_another(given_answers: list[str]) -> None:
    """Whatever a teacher or a family answers, no scene begins, nobody is looked up, and the call ends in the end."""
    for module, context in ((teacher, CLASS), (family, HOME)):
        state, step = module.replay(context, given_answers)
        assert isinstance(step, Ask | Goodbye)
        for _ in range(MAX_PROMPTS):
            if isinstance(step, Ask):
                state, step = module.advance(context, state, "#")
        assert isinstance(step, Goodbye)


@pytest.mark.parametrize("native", CATALOGUE.natives, ids=lambda language: language.tag)
def test_roles_are_told_shortly(native: Any) -> None:
    """In every language each instruction to teachers and families is no longer than a prompt may be."""
    for key in ("keys", "speak", "confirm", "kept", "unheard"):
        assert estimate_s([native.say(f"teacher.{key}"), native.say("menu.wrong_key")]) <= PROMPT_LIMIT_S
    for key in ("keys", "help", "nothing"):
        assert estimate_s([native.say(f"family.{key}")]) <= PROMPT_LIMIT_S


# --- what a call's row keeps


def learners_record(**changes: Any) -> MenuRecord:
    """A learner's menu of two scenes."""
    values: dict[str, Any] = {
        "native": "en",
        "school": "School",
        "returning": False,
        "scenarios": ("cafe_order", "market_fruit"),
        "free_talk": True,
        "slower": False,
        "level": "A1",
        "target": "es",
    }
    return MenuRecord(**(values | changes))


def test_a_menu_that_takes_over_keeps_the_one_before() -> None:
    """A repeated request from before a PIN is answered from the menu of then, a later one from the menu of now."""
    before = learners_record().answered("0").answered("1")
    told = (Told("Hello", "en"), Told("¿Cuánto es?", "es", slow=True))
    after = learners_record(role="family", told=told, scenarios=(), free_talk=False).after(before).answered("1")
    assert (after.since, after.steps) == (3, 4)
    assert MenuRecord.read(after.write()) == after
    steps = [after.at(CATALOGUE, prompts).step for prompts in range(5)]
    assert [step.says for step in steps[:3]] == [before.at(CATALOGUE, prompts).step.says for prompts in range(3)]  # type: ignore[union-attr]
    assert steps[3] == steps[4] == after.at(CATALOGUE).step
    assert isinstance(steps[3], Ask)
    phrase = steps[3].says[1]
    assert isinstance(phrase, Said)
    assert (phrase.text, phrase.language, phrase.slow) == ("¿Cuánto es?", "es", True)


def test_records_of_earlier_versions_are_read() -> None:
    """A call that began before an upgrade goes on: what its row does not hold has its usual value."""
    old = {
        "native": "en",
        "school": "School",
        "returning": True,
        "scenarios": ["cafe_order"],
        "free_talk": False,
        "slower": False,
        "level": "A1",
        "answers": ["1"],
    }
    _, state, step = MenuRecord.read(old).at(CATALOGUE)
    assert isinstance(state, menu.MenuState)
    assert isinstance(step, Begin)


@pytest.mark.parametrize("tag", ["en", "es", "fr", "pt", "zh", "ar", "pt-PT", "es-MX"])
def test_a_spoken_answer_is_gathered(tag: str) -> None:
    """Speech and one key are gathered in the caller's language, as the carrier names it; a PIN is four keys."""
    native = CATALOGUE.language(tag)
    spoken = twiml.ask(Ask(("x",), takes="speech"), native, "/twilio/menu?step=2")
    names = {"cmn-CN": "cmn-Hans-CN", "arb": "ar-AE"}
    assert 'input="dtmf speech"' in spoken
    assert f'language="{names.get(native.say_locale, native.say_locale)}"' in spoken
    assert 'speechTimeout="auto"' in spoken
    pin = twiml.ask(Ask(("x",), takes="pin"), native, "/twilio/menu?step=2")
    assert 'numDigits="4"' in pin
    assert 'input="dtmf"' in pin


def test_teacher_state_is_where_the_digest_is() -> None:
    """A teacher's call begins with the digest."""
    assert teacher.enter(CLASS)[0] == TeacherState("digest")
