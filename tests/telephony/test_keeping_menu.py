"""What may be kept of a caller, in the settings: asked for in so many words, agreed to by a key, taken back by one."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from telephony.ivr.keeping import NOTHING, Agreed
from telephony.ivr.menu import MenuContext, MenuState, replay
from telephony.ivr.steps import PROMPT_LIMIT_S, Ask, Begin, Goodbye, Step
from tests.telephony.plain_language import menu, said
from tests.telephony.test_menu import asked, full, heard
from tests.tutor.test_languages import NOTICE
from tutor.learning.said import estimate_s
from tutor.script.catalogue import load
from tutor.script.language import Language

LANGUAGES = load().natives
OFFERS = [Agreed(*answers) for answers in product((None, False, True), repeat=2)]
each_native = pytest.mark.parametrize("native", LANGUAGES, ids=lambda language: language.tag)


def after(agreed: Agreed, *keys: str) -> tuple[MenuState, Step]:
    """Where a caller is who may agree to this."""
    return replay(replace(menu(returning=True), agreed=agreed), keys)


@pytest.mark.parametrize(
    ("agreed", "keys", "outcome", "then"),
    [
        (Agreed(False, False), "9", ["sound_ask", "facts_ask", "back"], Agreed(False, False)),
        (Agreed(True, True), "9", ["sound_on", "facts_on", "back"], Agreed(True, True)),
        (Agreed(None, False), "9", ["facts_ask", "back"], Agreed(None, False)),
        (Agreed(False, None), "9", ["sound_ask", "back"], Agreed(False, None)),
        (Agreed(False, False), "97", ["sound_agreed"], Agreed(True, False)),
        (Agreed(False, False), "98", ["facts_agreed"], Agreed(False, True)),
        (Agreed(False, False), "977", ["sound_ended"], Agreed(False, False)),
        (Agreed(False, False), "978", ["facts_agreed"], Agreed(True, True)),
        (Agreed(True, True), "7", ["sound_ended"], Agreed(False, True)),
        (Agreed(True, True), "8", ["facts_ended"], Agreed(True, False)),
        (Agreed(True, True), "77", ["sound_agreed"], Agreed(True, True)),
        (Agreed(False, False), "7", ["sound_ask", "facts_ask", "back"], Agreed(False, False)),
        (Agreed(False, False), "8", ["sound_ask", "facts_ask", "back"], Agreed(False, False)),
    ],
)
def test_each_key_turns_its_answer(agreed: Agreed, keys: str, outcome: list[str], then: Agreed) -> None:
    """Taken back at once, in the settings too; agreed to only where it was heard what that means."""
    state, step = after(agreed, "0", *keys)
    assert [name.removeprefix("keeping.") for name in said(step)] == outcome
    assert (state.agreed, state.place) == (then, "keeping")


def test_keys_pressed_early_agree_to_nothing() -> None:
    """Keys that came together with the one that leads to the question were pressed before it was heard."""
    assert after(Agreed(False, False), "0", "978")[0].agreed == Agreed(False, False)
    assert after(Agreed(False, False), "0978")[0].agreed == Agreed(False, False)


@pytest.mark.parametrize("agreed", OFFERS)
def test_only_what_is_offered_has_a_key(agreed: Agreed) -> None:
    """Where nothing is offered nothing is said of it, and its keys are wrong keys; the same for one of two."""
    told = ["keeping.settings"] if agreed != NOTHING else []
    assert said(after(agreed, "0")[1]) == ["settings_menu", *told]
    for key, of in (("7", agreed.sound), ("8", agreed.facts), ("9", None if agreed == NOTHING else True)):
        assert ("wrong_key" in said(after(agreed, "0", key)[1])) == (of is None)


@pytest.mark.parametrize(
    ("key", "place", "outcome"),
    [
        ("*", "settings", ["settings_menu", "keeping.settings"]),
        ("0", "keeping", ["keeping.sound_ask", "keeping.facts_ask", "keeping.back"]),
        ("#", "keeping", ["keeping.sound_ask", "keeping.facts_ask", "keeping.back"]),
        ("5", "keeping", ["wrong_key", "keeping.sound_ask", "keeping.facts_ask", "keeping.back"]),
        ("", "main", ["no_input", "option", "option", "option", "option", "more"]),
    ],
)
def test_the_way_out(key: str, place: str, outcome: list[str]) -> None:
    """Star leads back to the settings, silence to the scenes; every other key asks again."""
    state, step = after(Agreed(False, False), "0", "9", key)
    assert (state.place, said(step)) == (place, outcome)


@pytest.mark.parametrize(
    ("agreed", "recorded", "keys", "outcome"),
    [
        (Agreed(False), False, "5", "menu.privacy"),
        (Agreed(True), True, "5", "keeping.privacy"),
        (Agreed(False), False, "97*5", "keeping.privacy"),
        (Agreed(True), True, "7*5", "keeping.privacy"),
    ],
)
def test_what_is_kept_is_told_as_it_is(agreed: Agreed, recorded: bool, keys: str, outcome: str) -> None:
    """Key 5 says that the sound is kept where it is, in this call or from the next one on."""
    context = replace(menu(returning=True), agreed=agreed, recorded=recorded)
    assert asked(replay(context, ["0", *keys])[1]) == (outcome,)


@pytest.mark.parametrize(("name", "greeting"), [(None, "keeping.welcome_back"), ("Ana", "keeping.hello")])
def test_a_call_that_is_recorded_says_so_first(name: str | None, greeting: str) -> None:
    """In place of the sentence that it is not, however the caller is greeted, and before anything else."""
    context = replace(menu(returning=True), agreed=Agreed(True), recorded=True, name=name)
    broken = replace(context, again=context.choices[1])
    for opening in (context, broken):
        first = said(replay(opening, [])[1])
        assert first[0] == greeting
        assert not {"welcome_back", "notice", "callers.hello"} & set(first)


# --- in every language


@each_native
@pytest.mark.parametrize("agreed", [Agreed(False, False), Agreed(True, True)])
def test_prompts_are_short(native: Language, agreed: Agreed) -> None:
    """With every scene recommended, or broken off, with and without a name, nothing that can be heard passes 20 s."""
    for first, name in product(range(len(full(native).choices)), (None, "Alejandra")):
        recorded = agreed.sound is True
        context = replace(full(native, first=first, returning=True), agreed=agreed, recorded=recorded, name=name)
        for again in (None, context.choices[0]):
            says = asked(replay(replace(context, again=again, languages=True), [])[1])
            assert estimate_s(says) <= PROMPT_LIMIT_S, says
    longest = replace(full(native, returning=True), agreed=agreed, recorded=True, languages=True)
    for _, step in heard(longest):
        if isinstance(step, Ask | Begin | Goodbye):
            assert estimate_s(step.says) <= PROMPT_LIMIT_S, step.says


@each_native
def test_the_first_sentence_of_a_recorded_call_says_so_and_how_to_end_it(native: Language) -> None:
    """It says that an AI answers and that the sound is kept, never that nothing is; within 15 s the scene can begin."""
    by_ai, not_recorded = NOTICE[native.base]
    for key, values in (("keeping.hello", {"name": "Alejandra"}), ("keeping.welcome_back", {"school": "García Lorca"})):
        says = native.say(key, **values)
        assert by_ai in says
        assert not_recorded not in says
        assert estimate_s([says, native.say("menu.connecting")]) <= 15


@each_native
def test_each_question_and_how_it_stands_are_spoken(native: Language) -> None:
    """Both questions, both answers, and what each key has done can be heard."""
    context: MenuContext = replace(full(native, returning=True), agreed=Agreed(False, False))
    spoken = {line for _, step in heard(context) if isinstance(step, Ask) for line in step.says}
    names = [f"{kept}_{what}" for kept in ("sound", "facts") for what in ("ask", "on", "agreed", "ended")]
    assert {native.say(f"keeping.{name}") for name in (*names, "settings", "back", "privacy")} <= spoken
