"""The keypad menu, place by place and key by key."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.ivr.menu import FREE_TALK, Choice, MenuContext, MenuState, advance, enter, replay
from telephony.ivr.steps import MAX_PROMPTS, PROMPT_LIMIT_S, Ask, Begin, Choose, Goodbye, Step
from tests.telephony.plain_language import PLAIN, menu, said
from tutor.learning.briefing import LIMIT_S as BRIEFING_LIMIT_S
from tutor.learning.said import Said, estimate_s
from tutor.script.catalogue import load
from tutor.script.language import Language

KEYS = [*"0123456789*#ABCD", None]
PINS = ["unknown", "locked", "?"]
answers = st.lists(st.sampled_from(["", *"0123456789*#AD", "12", "##1", "09*"]), max_size=40)


LISTED = ["option"] * 4
OTHERS = ["option"] * 3
TAIL = ["free_talk", "more", "settings"]


def after(context: MenuContext, *keys: str) -> tuple[MenuState, Step]:
    """Where a caller is after these answers."""
    return replay(context, keys)


def begins(scenario: str, *, slower: bool = False) -> Begin:
    """The start of a scene that needs no briefing."""
    return Begin(scenario, slower, ("menu.connecting",))


def test_a_new_caller_hears_who_answers_first() -> None:
    """A first call opens with the notice that names the school, and with what key 1 does."""
    _, step = enter(menu(scenes=3, free_talk=False))
    assert said(step) == ["notice", "recommended", "option", "option", "settings"]
    assert asked(step)[:2] == ("menu.notice School", "menu.recommended preview of 1 S1")
    assert asked(step)[2:4] == ("menu.option 2 S2", "menu.option 3 S3")


def test_a_returning_caller_is_welcomed_back() -> None:
    """Whoever has called before is greeted as such, and hears the same keys."""
    _, step = enter(menu(scenes=1, free_talk=False, returning=True))
    assert said(step) == ["welcome_back", "recommended", "settings"]


def test_only_what_is_there_is_offered() -> None:
    """Free talk, more scenes and options are spoken when they exist."""
    assert said(enter(menu(scenes=9, returning=True))[1]) == ["welcome_back", "recommended", *OTHERS, *TAIL]
    assert said(enter(menu(scenes=0))[1]) == ["notice", "free_talk", "settings"]


@pytest.mark.parametrize(
    ("key", "outcome"),
    [
        ("1", begins("s1")),
        ("2", begins("s2")),
        ("3", begins("s3")),
        ("4", begins("s4")),
        ("5", ["wrong_key", *LISTED, "more"]),
        ("6", ["wrong_key", *LISTED, "more"]),
        ("7", ["wrong_key", *LISTED, "more"]),
        ("8", begins(FREE_TALK)),
        ("9", [*OTHERS, *TAIL]),
        ("0", ["settings_menu"]),
        ("*", [*LISTED, *TAIL]),
        ("#", ["notice", "recommended", *OTHERS, *TAIL]),
        ("A", ["wrong_key", *LISTED, "more"]),
        (None, ["no_input", *LISTED, "more"]),
    ],
)
def test_opening(key: str | None, outcome: Begin | list[str]) -> None:
    """Every key at the opening does what the menu says, every other one says so."""
    context = menu()
    _, step = advance(context, enter(context)[0], key)
    assert step == outcome if isinstance(outcome, Begin) else said(step) == outcome


@pytest.mark.parametrize(
    ("key", "outcome"),
    [
        ("1", begins("s1")),
        ("2", begins("s8")),
        ("3", begins("s9")),
        ("4", ["wrong_key", "option", "option"]),
        ("8", begins(FREE_TALK)),
        ("9", ["wrong_key", "option", "option"]),
        ("0", ["settings_menu"]),
        ("*", [*OTHERS, *TAIL]),
        ("#", ["option", "option", "free_talk", "settings"]),
        (None, ["no_input", "option", "option"]),
    ],
)
def test_last_page(key: str | None, outcome: Begin | list[str]) -> None:
    """Further pages number their scenes from 2 again, key 1 stays the recommended one, and star goes back."""
    context = menu()
    state, step = after(context, "9", "9")
    assert asked(step)[:2] == ("menu.option 2 S8", "menu.option 3 S9")
    _, step = advance(context, state, key)
    assert step == outcome if isinstance(outcome, Begin) else said(step) == outcome


@pytest.mark.parametrize(
    ("key", "outcome", "place", "slower"),
    [
        ("1", ["pin.ask"], "pin", False),
        ("2", ["slower_set", *LISTED, "more"], "main", True),
        ("3", ["normal_set", *LISTED, "more"], "main", False),
        ("4", ["voice.set"], "settings", False),
        ("5", ["privacy"], "settings", False),
        ("*", [*LISTED, *TAIL], "main", False),
        ("#", ["settings_menu"], "settings", False),
        ("0", ["settings_menu"], "settings", False),
        ("6", ["wrong_key", "settings_menu"], "settings", False),
        ("8", ["wrong_key", "settings_menu"], "settings", False),
        ("D", ["wrong_key", "settings_menu"], "settings", False),
        (None, ["no_input", *LISTED, "more"], "main", False),
    ],
)
def test_settings(key: str | None, outcome: list[str], place: str, slower: bool) -> None:
    """Settings take a PIN, change the voice, read the privacy statement, and lead back by star or by silence."""
    context = menu()
    state, step = advance(context, after(context, "0")[0], key)
    assert (said(step), state.place, state.slower) == (outcome, place, slower)


def test_voices_go_round() -> None:
    """Key 4 goes through the voices for a role, says which one it is, and comes back to the role's own."""
    context = replace(menu(), voice=2)
    heard = [after(context, "0", *["4"] * times) for times in (1, 2, 3, 4)]
    assert [state.voice for state, _ in heard] == [3, 0, 1, 2]
    assert [step.says for _, step in heard if isinstance(step, Ask)] == [
        (f"voice.set 4 {number}",) for number in (4, 1, 2, 3)
    ]


def test_slower_voice_comes_with_the_scene() -> None:
    """A slower voice that was chosen now, or in an earlier call, goes with the scene until it is changed."""
    assert after(menu(), "0", "2", "1")[1] == begins("s1", slower=True)
    assert after(menu(slower=True), "3")[1] == begins("s3", slower=True)
    assert after(menu(slower=True), "0", "3", "1")[1] == begins("s1")


def told(scenario: str) -> tuple[Said, ...]:
    """A briefing for every scene but the second."""
    return () if scenario == "s2" else (Said(f"about {scenario}", "xx", "Polly.Plain", "xx-XX"),)


@pytest.mark.parametrize("key", ["1", "2", "0", "#", "*", ""])
def test_a_new_scene_is_told_of_first(key: str) -> None:
    """Before a scene that is new to the caller its briefing is heard; any key, and its end, begin the scene at once."""
    context = replace(menu(slower=True), brief=told)
    state, step = after(context, "3")
    assert step == Ask(told("s3"), timeout_s=1)
    assert advance(context, state, key or None)[1] == Begin("s3", True, ())


def test_a_known_scene_is_not_told_of() -> None:
    """A scene that was played before begins without a briefing."""
    assert after(replace(menu(), brief=told), "2")[1] == begins("s2")


def test_keys_pressed_by_habit_do_not_cut_a_briefing() -> None:
    """Keys that came together with the choice were pressed before the briefing began: it is heard all the same."""
    assert isinstance(after(replace(menu(), brief=told), "333")[1], Ask)


def test_free_talk_is_told_of() -> None:
    """Free talk has a briefing like any scene."""
    assert after(replace(menu(), brief=told), "8", "1")[1] == Begin(FREE_TALK, False, ())


# --- who comes back

BROKEN = Choice("s4", "S4", "preview of 4")
AGAIN = ["welcome_back", "callers.broke_off", "callers.go_on"]


@pytest.mark.parametrize(
    ("keys", "outcome"),
    [
        ([], AGAIN),
        (["1"], Begin("s4", False, ("menu.connecting",), again=True)),
        (["2"], ["recommended", *OTHERS, *TAIL]),
        (["*"], ["recommended", *OTHERS, *TAIL]),
        (["0"], ["settings_menu"]),
        (["0", "*"], [*LISTED, *TAIL]),
        (["2", "1"], begins("s1")),
        (["7"], ["wrong_key", "callers.go_on"]),
        (["3"], ["wrong_key", "callers.go_on"]),
        (["#"], ["callers.go_on"]),
        ([""], ["callers.go_on"]),
        (["", ""], Begin("s4", False, ("menu.connecting",), again=True)),
        (["", "2"], ["recommended", *OTHERS, *TAIL]),
    ],
)
def test_a_call_that_broke_off_is_offered_first(keys: list[str], outcome: Begin | list[str]) -> None:
    """Where the last call broke off is said before anything else; key 1 goes on, key 2 leads to the other scenes."""
    _, step = after(replace(menu(returning=True), again=BROKEN), *keys)
    assert step == outcome if isinstance(outcome, Begin) else said(step) == outcome


def test_going_on_needs_no_question_and_no_briefing() -> None:
    """Whoever goes on is put through at once, whatever else would have been asked or told; at their own speed."""
    context = replace(menu(returning=True, slower=True), again=BROKEN, ask_consent=True, bigger=True, brief=told)
    assert after(context, "1")[1] == Begin("s4", True, ("menu.connecting",), again=True)


def test_a_first_name_is_said_with_the_welcome() -> None:
    """A learner who is known by name is greeted by it, and hears who answers."""
    context = replace(menu(scenes=1, free_talk=False, returning=True), name="Ana")
    assert said(enter(context)[1]) == ["callers.hello", "recommended", "settings"]
    assert said(enter(replace(context, opening="pin.welcome"))[1])[0] == "pin.welcome"
    assert said(enter(replace(context, again=BROKEN))[1]) == ["callers.hello", *AGAIN[1:]]


@pytest.mark.parametrize(
    ("answers", "bigger", "heard"),
    [
        (["1"], True, ["callers.bigger_yes", "connecting"]),
        (["2"], False, ["callers.bigger_no", "connecting"]),
        ([""], False, ["connecting"]),
        (["9", "1"], True, ["callers.bigger_yes", "connecting"]),
        (["9", "9"], False, ["connecting"]),
        (["#", ""], False, ["connecting"]),
    ],
)
def test_a_bigger_challenge_is_asked_for(answers: list[str], bigger: bool, heard: list[str]) -> None:
    """Once a scene is chosen it is asked, once; whatever is answered, the scene begins, and silence is a no."""
    context = replace(menu(returning=True, slower=True), bigger=True)
    assert said(after(context, "3")[1]) == ["callers.bigger"]
    state, step = after(context, "3", *answers)
    assert state.bigger is bigger
    assert isinstance(step, Begin)
    assert (step.scenario, step.slower, said(step)) == ("s3", True, heard)


def test_one_question_a_call() -> None:
    """Whoever is asked about text messages is asked about the next level another time."""
    context = replace(menu(returning=True), ask_consent=True, bigger=True)
    state, step = after(context, "3", "1")
    assert isinstance(step, Begin)
    assert (state.consent, state.bigger) == (True, None)


def test_keys_pressed_by_habit_do_not_answer_for_a_bigger_challenge() -> None:
    """Keys that came together with the choice were pressed before the question was heard."""
    assert said(after(replace(menu(returning=True), bigger=True), "1111")[1]) == ["callers.bigger"]


def test_other_languages_are_a_setting_where_there_are_any() -> None:
    """Key 6 of the settings chooses languages again on a line of several, and is a wrong key on others."""
    context = replace(menu(), languages=True)
    assert said(after(context, "0")[1]) == ["settings_menu", "callers.settings"]
    assert after(context, "0", "6")[1] == Choose()
    assert said(after(menu(), "0", "6")[1]) == ["wrong_key", "settings_menu"]


def test_after_questions_the_scenes_are_listed() -> None:
    """Whoever has answered questions hears the titles with their keys at once, and can press any of them."""
    context = replace(menu(), opening="", listed=True)
    assert said(enter(context)[1]) == [*LISTED, *TAIL]
    assert after(context, "1")[1] == begins("s1")
    assert after(context, "9", "2")[1] == begins("s5")


def test_silence_of_a_new_caller() -> None:
    """Silence asks again shortly, then tells everything again, then says goodbye."""
    context = menu(scenes=1, free_talk=False)
    outcomes = [said(after(context, *[""] * times)[1]) for times in (1, 2, 3)]
    assert outcomes == [["no_input", "option"], ["notice", "recommended", "settings"], ["goodbye"]]
    assert isinstance(after(context, "", "", "")[1], Goodbye)


def test_silence_of_a_returning_caller() -> None:
    """Someone who knows the line and presses nothing is put through at the second silence."""
    assert said(after(menu(returning=True), "")[1]) == ["no_input", *LISTED, "more"]
    assert after(menu(returning=True), "", "")[1] == begins("s1")
    assert after(menu(scenes=0, returning=True), "", "")[1] == begins(FREE_TALK)


def test_a_key_shows_that_someone_is_there() -> None:
    """Silences count in a row: any key, even a wrong one, starts the count again."""
    assert isinstance(after(menu(), "", "", "7", "", "")[1], Ask)


def test_keys_pressed_early() -> None:
    """Several keys in one answer count one after the other; those after the choice are dropped."""
    assert after(menu(), "02")[0].slower
    assert after(menu(), "9923333")[1] == begins("s8")
    assert after(menu(), "1", "2", "0")[1] == begins("s1")


def test_one_key_reaches_the_scene_from_anywhere_on_the_menu() -> None:
    """On any page, after any reprompt, key 1 starts the recommended scene."""
    for path in ([], ["9"], ["9", "9"], [""], ["7"], ["#"], ["0", "*"], ["0", "2"], ["0", ""]):
        assert after(menu(returning=True), *path, "1")[1] == begins("s1", slower="2" in path)


def test_every_place_and_key() -> None:
    """Every key has an outcome in every state that can be reached, and none raises or leaves the menu silent."""
    broken = replace(menu(3, returning=True), again=BROKEN, bigger=True, languages=True)
    for context in (menu(0), menu(1), menu(5), menu(17, returning=True), menu(3, free_talk=False), broken):
        seen, new = set(), {enter(context)[0]}
        while new:
            seen |= new
            reached = {advance(context, state, key) for state, key in product(new, [*KEYS, *PINS])}
            assert all(not isinstance(step, Ask | Begin | Goodbye) or all(step.says) for _, step in reached)
            new = {replace(state, prompts=1) for state, step in reached if isinstance(step, Ask)} - seen
        more = {"again", "bigger"} if context is broken else set()
        assert {state.place for state in seen} == {"main", "settings", "pin", *more}


@given(answers, st.integers(0, 17), st.booleans(), st.booleans(), st.booleans())
def test_any_answers_end(keys: list[str], scenes: int, returning: bool, free_talk: bool, asks: bool) -> None:
    """Whatever is pressed, the menu asks, begins or says goodbye, and within a bounded number of prompts it ends."""
    context = replace(menu(scenes, returning=returning, free_talk=free_talk or not scenes), ask_consent=asks)
    state, step = replay(context, keys)
    assert isinstance(step, Ask | Begin | Goodbye)
    assert step.says
    assert state.prompts <= MAX_PROMPTS
    for _ in range(MAX_PROMPTS):
        if not isinstance(step, Ask):
            break
        state, step = advance(context, state, "#")
    assert isinstance(step, Begin | Goodbye)
    if isinstance(step, Begin):
        assert step.scenario in {FREE_TALK, *(choice.scenario for choice in context.choices)}


@given(answers, st.integers(0, 40))
def test_replay_is_one_step_after_another(keys: list[str], cut: int) -> None:
    """Replaying a part of the answers and going on from there comes to the same place as replaying all."""
    context = menu()
    first, second = keys[:cut], keys[cut:]
    assert replay(context, keys) == after_more(context, replay(context, first), second)


def after_more(context: MenuContext, at: tuple[MenuState, Step], answers: list[str]) -> tuple[MenuState, Step]:
    """Where a caller is after some more answers; keys pressed before a PIN was asked for are dropped."""
    state, step = at
    for answer in answers:
        if isinstance(step, Ask) and step.takes == "pin":
            state, step = advance(context, state, answer or None)
            continue
        for key in answer or (None,):
            if isinstance(step, Ask) and (step.takes == "key"):
                state, step = advance(context, state, key)
    return state, step


LANGUAGES = load().natives


def asked(step: Step) -> tuple[str | Said, ...]:
    """What a prompt says."""
    assert isinstance(step, Ask)
    return step.says


def heard(context: MenuContext) -> set[tuple[MenuState, Step]]:
    """Everything that can be heard in a menu, by whatever way; voices and wrong PINs come back to where they were.

    A slower voice says the same, so that it is not walked a second time.
    """
    seen: set[tuple[MenuState, Step]] = set()
    new = {enter(context)}
    while new:
        seen |= new
        reached = {advance(context, state, key) for (state, step), key in product(new, KEYS) if isinstance(step, Ask)}
        new = {(replace(state, prompts=1, slower=False), step) for state, step in reached} - seen
    return seen


def full(native: Language, *, first: int = 0, returning: bool = False) -> MenuContext:
    """A menu of every scene of a language, free talk included, recommending the one at ``first``."""
    choices = [Choice(name, texts.title, texts.preview) for name, texts in native.scenes.items() if name != FREE_TALK]
    turned = tuple(choices[first:] + choices[:first])
    return MenuContext(native, "Colegio Público García Lorca", returning, turned, free_talk=True)


@pytest.mark.parametrize("native", LANGUAGES, ids=lambda language: language.tag)
@pytest.mark.parametrize("returning", [False, True])
def test_prompts_are_short_in_every_language(native: Language, returning: bool) -> None:
    """In every language and with every scene recommended, no prompt that can be heard is longer than 20 seconds."""
    for first in range(len(full(native).choices)):
        steps = (step for _, step in heard(full(native, first=first, returning=returning)))
        longest = max((step.says for step in steps if isinstance(step, Ask | Begin | Goodbye)), key=estimate_s)
        assert estimate_s(longest) <= PROMPT_LIMIT_S, longest


@pytest.mark.parametrize("native", LANGUAGES, ids=lambda language: language.tag)
def test_prompts_for_whoever_comes_back_are_short(native: Language) -> None:
    """With every scene that broke off, with and without a name, and with the setting for languages: 20 seconds."""
    for broken, name in product(full(native).choices, (None, "Alejandra")):
        context = replace(full(native, returning=True), again=broken, name=name, languages=True)
        for keys in ([], ["7"], ["2"], ["0"], ["0", "7"]):
            says = asked(after(context, *keys)[1])
            assert estimate_s(says) <= PROMPT_LIMIT_S, says


@pytest.mark.parametrize("native", LANGUAGES, ids=lambda language: language.tag)
def test_the_role_is_reached_in_time(native: Language) -> None:
    """In every language a new caller who hears what key 1 does, and the briefing, talks within 45 s; one who knows the
    key, after the greeting, within 12 s."""
    say, others = native.say, [scene for scene in native.scenes.values() if scene.title]
    school = "Colegio García Lorca"
    longest = max((say("menu.recommended", title=one.title, preview=one.preview) for one in others), key=len)
    assert estimate_s([say("menu.notice", school=school), longest]) + BRIEFING_LIMIT_S + 1 <= 45
    for greeting in (say("menu.welcome_back", school=school), say("callers.hello", name="Alejandra")):
        assert estimate_s([greeting, say("menu.connecting")]) <= 12


@pytest.mark.parametrize("native", LANGUAGES, ids=lambda language: language.tag)
def test_everything_is_spoken_somewhere(native: Language) -> None:
    """In every language free talk, further scenes, settings and privacy are spoken, not only possible."""
    spoken = {text for _, step in heard(full(native)) if isinstance(step, Ask | Begin | Goodbye) for text in step.says}
    assert {native.say(f"menu.{key}") for key in ("free_talk", "more", "settings", "privacy")} <= spoken


@pytest.mark.parametrize("native", LANGUAGES, ids=lambda language: language.tag)
def test_reprompts_are_shorter_than_the_opening(native: Language) -> None:
    """After silence or a wrong key less is said than at first."""
    opening, silent, wrong = (asked(after(full(native), *keys)[1]) for keys in ((), ("",), ("7",)))
    assert estimate_s(silent) < estimate_s(opening)
    assert estimate_s(wrong) < estimate_s(opening)


@pytest.mark.parametrize("native", LANGUAGES, ids=lambda language: language.tag)
def test_every_scene_can_be_heard_and_begun(native: Language) -> None:
    """Going through the list with key 9 names every scene of the line once, with the key that starts it."""
    context = full(native)
    titles = {choice.scenario: choice.title for choice in context.choices}
    state, step = after(context, "*")
    begun = []
    for _ in range(len(titles)):
        for key in "1234" if state.page == 0 else "234":
            _, chosen = advance(context, state, key)
            if isinstance(chosen, Begin):
                assert native.say("menu.option", key=key, title=titles[chosen.scenario]) in asked(step)
                begun.append(chosen.scenario)
        page = state.page
        state, step = advance(context, state, "9")
        if state.page == page:
            break
    assert begun == list(titles)


def test_an_opening_without_room_leads_to_the_list() -> None:
    """Where the greeting leaves no room for the scenes, key 9 reads them; their keys work at once all the same."""
    choices = tuple(Choice(f"s{n}", f"S{n}", "a preview " * 17) for n in range(1, 9))
    context = MenuContext(PLAIN, "A school", returning=False, choices=choices)
    _, step = enter(context)
    assert said(step) == ["notice", "recommended", "more", "settings"]
    assert estimate_s(asked(step)) <= PROMPT_LIMIT_S
    assert after(context, "3")[1] == begins("s3")
    assert asked(after(context, "9")[1])[:4] == tuple(f"menu.option {n} S{n}" for n in range(1, 5))
    assert asked(after(context, "9", "9")[1])[:3] == tuple(f"menu.option {n - 3} S{n}" for n in range(5, 8))


def test_an_empty_menu_is_no_menu() -> None:
    """A line without scenes never gets to a menu."""
    with pytest.raises(ValueError, match="at least one"):
        menu(0, free_talk=False)


def test_estimates() -> None:
    """A sentence is estimated by its letters, and Chinese by its syllables."""
    assert estimate_s(["a" * 150]) == pytest.approx(10.35)
    assert estimate_s(["你" * 45]) == pytest.approx(10.35)
    assert estimate_s(["", "a" * 15, "a" * 15]) == pytest.approx(2.7)
