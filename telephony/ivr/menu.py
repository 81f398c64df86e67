"""A learner's keypad menu before a scene: where the caller is and an answer give the next thing to say.

Pure: no carrier, no database, no clock. What it returns is rendered by ``twiml.py``; the caller's answers can be
replayed from the first, so that any process gives the same answer to the same request.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from telephony.ivr import keeping
from telephony.ivr.keeping import NOTHING, Agreed
from telephony.ivr.steps import MAX_PROMPTS, PROMPT_LIMIT_S, Ask, Begin, Choose, Goodbye, Identify, Step
from tutor.learning.said import Said, estimate_s
from tutor.script.language import Language
from tutor.script.voice_choice import CHOICES

OPTIONS_PER_PAGE: Final = 3
FREE_TALK: Final = "free_talk"
"""The scenario without a scene: talk about anything the class prompt covers. Key 8."""
PEOPLE: Final = ("first", "second", "third", "fourth", "fifth")
"""How learners of one telephone are called who gave no name; more are not offered, they have PINs."""
PIN_TRIES: Final = 3
"""Wrong PINs in a call before it goes on as a guest's."""

_OPTION_KEYS: Final = "234"
_COVER: Final = -1


def _nothing(scenario: str) -> tuple[Said, ...]:
    """No briefing."""
    return ()


@dataclass(frozen=True, slots=True)
class Choice:
    """A scene as the menu offers it, in the caller's native language."""

    scenario: str
    title: str
    preview: str


@dataclass(frozen=True, slots=True)
class Person:
    """One of several learners who share a telephone."""

    learner: str
    """The learner's id."""
    name: str | None = None
    """A first name, where one was given."""


@dataclass(frozen=True, slots=True)
class MenuContext:
    """What does not change during a menu.

    Raises:
        ValueError: there is nothing to choose from.
    """

    native: Language
    school: str
    returning: bool
    """Whether this number has called before."""
    choices: tuple[Choice, ...]
    """Scenes in the order they are offered, the recommended one first; without free talk."""
    free_talk: bool = False
    slower: bool = False
    """Whether the caller keeps the slower voice from an earlier call."""
    voice: int = 0
    """Which of the voices for a role the caller keeps from an earlier call, from 0."""
    ask_consent: bool = False
    """Whether the caller is asked, once a scene is chosen, if text messages may come."""
    people: tuple[Person, ...] = ()
    """Who shares the telephone and has to say who is calling; empty when that is known."""
    kids: bool = False
    """Whether children call here: every call begins by saying that a computer answers."""
    opening: str | None = None
    """The sentence that stands for the greeting when it was heard already; empty: none does. None: greet."""
    name: str | None = None
    """The first name by which the caller is greeted."""
    again: Choice | None = None
    """The scene in which the caller's last call broke off; offered first."""
    bigger: bool = False
    """Whether the caller is asked, once a scene is chosen, if they want the next level."""
    languages: bool = False
    """Whether the settings offer other languages."""
    agreed: Agreed = NOTHING
    """What the caller may agree to have kept, and how that stood when they called."""
    recorded: bool = False
    """Whether the sound of this call is kept, which the greeting says."""
    listed: bool = False
    """Whether the menu begins with the scenes' titles: the caller has answered questions before it."""
    brief: Callable[[str], tuple[Said, ...]] = _nothing
    """What is said before a scene that the caller has not played yet; nothing for the others."""

    def __post_init__(self) -> None:
        """Refuses an empty menu: such a line is not live, and the door says so."""
        if not self.choices and not self.free_talk:
            raise ValueError("A menu needs at least one scenario.")

    @property
    def recommended(self) -> str:
        """The scenario that key 1 starts."""
        return self.choices[0].scenario if self.choices else FREE_TALK


@dataclass(frozen=True, slots=True)
class MenuState:
    """Where a caller is."""

    place: Literal["people", "again", "main", "settings", "keeping", "pin", "consent", "bigger", "briefing"] = "main"
    page: int = _COVER
    """The list of scenes being heard, from 0; -1 while it is still the opening."""
    silences: int = 0
    """Prompts in a row that were answered by nothing."""
    prompts: int = 1
    slower: bool = False
    voice: int = 0
    agreed: Agreed = NOTHING
    chosen: str | None = None
    """The scene that begins after the question about text messages, and after its briefing."""
    wrong: int = 0
    """Wrong keys in answer to a question between the choice and the scene."""
    wrong_pins: int = 0
    consent: bool | None = None
    """What was answered about text messages; None: nothing."""
    bigger: bool | None = None
    """Whether the caller wants the next level; None: they were not asked."""
    greeted: bool = False
    """Whether the greeting was heard before the opening."""


_UNHEARD: Final = frozenset({"keeping", "pin", "consent", "bigger", "briefing"})
"""Places whose prompt must have begun before a key counts: what was pressed before answers nothing there."""


def enter(context: MenuContext) -> tuple[MenuState, Step]:
    """Returns the first prompt of a call, which always says that an AI answers.

    What children are told first comes on top of a prompt's usual length: no other sentence may crowd it out.
    """
    state = MenuState(slower=context.slower, voice=context.voice, agreed=context.agreed)
    told = (context.native.say("safety.kid_notice"),) if context.kids and context.opening is None else ()
    if context.people:
        return replace(state, place="people"), Ask((*told, *_greeting(context, state), *_people(context)))
    if context.again is not None:
        where = context.native.say("callers.broke_off", title=context.again.title)
        greeting = (*told, *_greeting(context, state))
        says = _first_fitting((*greeting, where, *_go_on(context)), (*greeting, *_go_on(context)))
        return replace(state, place="again", greeted=True), Ask(says)
    if context.listed:
        return _list(context, replace(state, page=0))
    return state, Ask((*told, *_cover(context, state)))


def advance(context: MenuContext, state: MenuState, answer: str | None) -> tuple[MenuState, Step]:
    """Returns what follows an answer (None: none in time); every answer has an outcome in every place.

    An answer is a key, or what became of a PIN (``steps.PinAnswer``). The number of prompts is bounded: whatever is
    answered, a menu ends.
    """
    if answer is None and state.place not in ("consent", "bigger", "briefing"):
        state, step = _silence(context, replace(state, silences=state.silences + 1))
    else:
        state, step = _PLACES[state.place](context, replace(state, silences=0), answer or "")
    if isinstance(step, Ask) and state.prompts >= MAX_PROMPTS:
        return state, Goodbye((context.native.say("menu.goodbye"),))
    return replace(state, prompts=state.prompts + 1), step


def replay(context: MenuContext, answers: Sequence[str]) -> tuple[MenuState, Step]:
    """Returns where a caller is after ``answers``, one per prompt.

    Args:
        answers: the keys of each answer: empty for none in time, several when they came faster than the carrier's
            requests. Keys after the one that starts a scene or ends the call are dropped, as are those pressed
            before a question that must have been heard.
    """
    state, step = enter(context)
    for answer in answers:
        if not isinstance(step, Ask):
            break
        for part in (answer or None,) if step.takes != "key" else answer or (None,):
            place = state.place
            state, step = advance(context, state, part)
            if not isinstance(step, Ask) or (state.place != place and state.place in _UNHEARD):
                break
    return state, step


def _silence(context: MenuContext, state: MenuState) -> tuple[MenuState, Step]:
    if state.silences >= 3:
        return state, Goodbye((context.native.say("menu.goodbye"),))
    if state.place == "people":
        return _at_people(context, state, "" if state.silences == 1 else _another(context))
    if state.place == "again":
        return _at_again(context, state, "" if state.silences == 1 else "1")
    if state.silences == 2 and context.returning:
        return _brief(context, state, context.recommended)
    if state.silences == 2:
        return replace(state, place="main", page=_COVER), Ask(_cover(context, state))
    # Nobody is left in a submenu.
    return _list(context, replace(state, place="main"), opening="menu.no_input")


def _at_people(context: MenuContext, state: MenuState, key: str) -> tuple[MenuState, Step]:
    keyed = {str(number): person for number, person in enumerate(_offered_people(context), 1)}
    if key in keyed:
        return state, Identify(keyed[key].learner)
    if key == _another(context):
        state = replace(state, place="main", greeted=True)
        # The greeting was in the line's own language, and theirs may be another.
        return state, Choose(greet=True) if context.languages else Ask(_cover(context, state))
    opening = (context.native.say("menu.wrong_key"),) if key not in ("", "#") else ()
    return state, Ask((*opening, *_people(context)))


def _at_again(context: MenuContext, state: MenuState, key: str) -> tuple[MenuState, Step]:
    """A call that broke off: on with it, or on to the other scenes."""
    if key == "1" and context.again is not None:
        says = (context.native.say("menu.connecting"),)
        return state, Begin(context.again.scenario, state.slower, says, again=True)
    if key in ("2", "*"):
        return replace(state, place="main"), Ask(_cover(context, state))
    if key == "0":
        return replace(state, place="settings"), Ask(_settings(context))
    opening = (context.native.say("menu.wrong_key"),) if key not in ("", "#") else ()
    return state, Ask((*opening, *_go_on(context)))


def _at_main(context: MenuContext, state: MenuState, key: str) -> tuple[MenuState, Step]:
    last = len(_pages(context)) - 1
    options = dict(zip(_OPTION_KEYS, _pages(context)[max(state.page, 0)], strict=False))
    if key == "1":
        return _chosen(context, state, context.recommended)
    if key in options:
        return _chosen(context, state, options[key].scenario)
    if key == "8" and context.free_talk:
        return _chosen(context, state, FREE_TALK)
    if key == "0":
        return replace(state, place="settings"), Ask(_settings(context))
    if key == "#" and state.page == _COVER:
        return state, Ask(_cover(context, state))
    if key == "#":
        return _list(context, state)
    if key == "*":
        return _list(context, replace(state, page=state.page - 1))
    # The opening may have had no room for the first page's scenes: then they come next.
    following = 1 if state.page == _COVER and _says_all(context, state) else state.page + 1
    if key == "9" and following <= last:
        return _list(context, replace(state, page=following))
    return _list(context, state, opening="menu.wrong_key")


def _at_settings(context: MenuContext, state: MenuState, key: str) -> tuple[MenuState, Step]:
    say = context.native.say
    if key == "1":
        return replace(state, place="pin"), Ask((say("pin.ask"),), takes="pin")
    if key in ("2", "3"):
        state = replace(state, place="main", slower=key == "2")
        return _list(context, state, opening="menu.slower_set" if state.slower else "menu.normal_set")
    if key == "4":
        state = replace(state, voice=(state.voice + 1) % CHOICES)
        return state, Ask((say("voice.set", number=str(state.voice + 1), count=str(CHOICES)),))
    if key == "5":
        return state, Ask((say("keeping.privacy" if state.agreed.sound or context.recorded else "menu.privacy"),))
    if key == "6" and context.languages:
        return state, Choose()
    if key in state.agreed.keys:
        return _at_keeping(context, state, key)
    if key == "*":
        return _list(context, replace(state, place="main"))
    if key in ("0", "#"):
        return state, Ask(_settings(context))
    return state, Ask(_first_fitting((say("menu.wrong_key"), *_settings(context)), _settings(context)))


def _at_keeping(context: MenuContext, state: MenuState, key: str) -> tuple[MenuState, Step]:
    """What may be kept: agreed to only here, where it was heard what that means, and taken back in the settings too."""
    agreed = state.agreed.of(key)
    if agreed or (agreed is not None and state.place == "keeping"):
        state = replace(state, place="keeping", agreed=state.agreed.turned(key))
        return state, Ask((keeping.turned(context.native, state.agreed, key),))
    if key == "*":
        return replace(state, place="settings"), Ask(_settings(context))
    wrong = (context.native.say("menu.wrong_key"),) if key not in ("", "0", "#", *state.agreed.keys) else ()
    says = keeping.told(context.native, state.agreed)
    return replace(state, place="keeping"), Ask(_first_fitting((*wrong, *says), says))


def _at_pin(context: MenuContext, state: MenuState, answer: str) -> tuple[MenuState, Step]:
    say = context.native.say
    if answer == "locked":
        return state, Identify(None)
    if answer == "unknown":
        state = replace(state, wrong_pins=state.wrong_pins + 1)
        if state.wrong_pins >= PIN_TRIES:
            return state, Identify(None)
        return state, Ask((say("pin.unknown"), say("pin.ask")), takes="pin")
    if "*" in answer:
        return _list(context, replace(state, place="main"))
    # Too few digits, or a key that is none: nothing was tried.
    return state, Ask((say("pin.ask"),), takes="pin")


def _chosen(context: MenuContext, state: MenuState, scenario: str) -> tuple[MenuState, Step]:
    """Asks first what is due, one question a call: after the choice, when nobody presses keys by habit."""
    if context.ask_consent:
        return replace(state, place="consent", chosen=scenario), Ask((context.native.say("consent.ask"),))
    if context.bigger:
        return replace(state, place="bigger", chosen=scenario), Ask((context.native.say("callers.bigger"),))
    return _brief(context, state, scenario)


def _at_consent(context: MenuContext, state: MenuState, key: str) -> tuple[MenuState, Step]:
    scenario = state.chosen or context.recommended
    if key in ("1", "2"):
        state = replace(state, consent=key == "1")
        state, step = _brief(context, state, scenario)
        return state, replace(step, says=(context.native.say(f"consent.{'yes' if key == '1' else 'no'}"), *step.says))
    if key and not state.wrong:
        say = context.native.say
        return replace(state, wrong=1), Ask((say("menu.wrong_key"), say("consent.ask")))
    # Without an answer the scene begins all the same; the question comes again when the call is over.
    return _brief(context, state, scenario)


def _at_bigger(context: MenuContext, state: MenuState, key: str) -> tuple[MenuState, Step]:
    scenario, say = state.chosen or context.recommended, context.native.say
    if key not in ("", "1", "2") and not state.wrong:
        return replace(state, wrong=1), Ask((say("menu.wrong_key"), say("callers.bigger")))
    # Whoever says nothing stays.
    state = replace(state, bigger=key == "1")
    state, step = _brief(context, state, scenario)
    if key not in ("1", "2"):
        return state, step
    return state, replace(step, says=(say(f"callers.bigger_{'yes' if key == '1' else 'no'}"), *step.says))


def _brief(context: MenuContext, state: MenuState, scenario: str) -> tuple[MenuState, Ask | Begin]:
    """Tells what is to come where that is new to the caller; any key, and its end, begin the scene."""
    briefing = context.brief(scenario)
    if briefing:
        return replace(state, place="briefing", chosen=scenario), Ask(briefing, timeout_s=1)
    return state, Begin(scenario, state.slower, (context.native.say("menu.connecting"),))


def _at_briefing(context: MenuContext, state: MenuState, key: str) -> tuple[MenuState, Step]:
    return state, Begin(state.chosen or context.recommended, state.slower, ())


_PLACES = {
    "people": _at_people,
    "again": _at_again,
    "main": _at_main,
    "settings": _at_settings,
    "keeping": _at_keeping,
    "pin": _at_pin,
    "consent": _at_consent,
    "bigger": _at_bigger,
    "briefing": _at_briefing,
}


def _offered_people(context: MenuContext) -> tuple[Person, ...]:
    return context.people[: len(PEOPLE)]


def _another(context: MenuContext) -> str:
    """The key of whoever is none of those who share the telephone."""
    return str(len(_offered_people(context)) + 1)


def _people(context: MenuContext) -> tuple[str, ...]:
    """The question who is calling: by names where they were given, else by the order in which they first called."""
    say = context.native.say
    named = [
        say("people.person", name=person.name, key=str(number))
        if person.name
        else say(f"people.{PEOPLE[number - 1]}", key=str(number))
        for number, person in enumerate(_offered_people(context), 1)
    ]
    return say("people.ask"), *named, say("people.another", key=_another(context))


def _go_on(context: MenuContext) -> tuple[str, ...]:
    return (context.native.say("callers.go_on"),)


def _settings(context: MenuContext) -> tuple[str, ...]:
    say = context.native.say
    languages = (say("callers.settings"),) if context.languages else ()
    kept = (say("keeping.settings"),) if context.agreed.keys else ()
    return say("menu.settings_menu"), *languages, *kept


def _list(context: MenuContext, state: MenuState, *, opening: str | None = None) -> tuple[MenuState, Step]:
    """Reads a page of scenes by their titles; after an ``opening`` only them, which is shorter than what was heard."""
    page = max(state.page, 0)
    pages = _pages(context)
    opened = (context.native.say(opening),) if opening else ()
    listed = _options(context, pages[page], with_first=page == 0)
    free_talk, more, settings = _around(context, more=page + 1 < len(pages))
    says = _first_fitting(
        *([] if opening and listed else [(*opened, *listed, *free_talk, *more, *settings)]),
        (*opened, *listed, *more),
        (*opened, *listed),
    )
    return replace(state, page=page), Ask(says)


def _cover(context: MenuContext, state: MenuState) -> tuple[str, ...]:
    """The opening: who answers and the recommended scene, then all the rest if there is room, else how to hear it."""
    if _says_all(context, state):
        return _whole_cover(context, state)
    _, more, settings = _around(context, more=True)
    begun = (*_greeting(context, state), *_recommended(context))
    return _first_fitting((*begun, *more, *settings), (*begun, *more), begun)


def _says_all(context: MenuContext, state: MenuState) -> bool:
    """Whether the opening has room for the first page."""
    return estimate_s(_whole_cover(context, state)) <= PROMPT_LIMIT_S


def _whole_cover(context: MenuContext, state: MenuState) -> tuple[str, ...]:
    pages = _pages(context)
    free_talk, more, settings = _around(context, more=len(pages) > 1)
    options = _options(context, pages[0], with_first=False)
    return (*_greeting(context, state), *_recommended(context), *options, *free_talk, *more, *settings)


def _greeting(context: MenuContext, state: MenuState) -> tuple[str, ...]:
    say = context.native.say
    if context.opening is not None:
        return (say(context.opening),) if context.opening else ()
    if state.greeted:
        return ()
    if context.name:
        return (say("keeping.hello" if context.recorded else "callers.hello", name=context.name),)
    if context.recorded:
        return (say("keeping.welcome_back", school=context.school),)
    return (say("menu.welcome_back" if context.returning else "menu.notice", school=context.school),)


def _recommended(context: MenuContext) -> tuple[str, ...]:
    return tuple(
        context.native.say("menu.recommended", title=choice.title, preview=choice.preview)
        for choice in context.choices[:1]
    )


def _options(context: MenuContext, page: Sequence[Choice], *, with_first: bool) -> tuple[str, ...]:
    keyed = [*zip("1", context.choices, strict=False)] if with_first else []
    keyed += zip(_OPTION_KEYS, page, strict=False)
    return tuple(context.native.say("menu.option", key=key, title=choice.title) for key, choice in keyed)


def _around(context: MenuContext, *, more: bool) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Returns the sentences on free talk, on further scenes and on settings; empty where there is nothing to say."""
    say = context.native.say
    return (
        (say("menu.free_talk"),) if context.free_talk else (),
        (say("menu.more"),) if more else (),
        (say("menu.settings"),),
    )


def _pages(context: MenuContext) -> list[tuple[Choice, ...]]:
    """The scenes besides the recommended one, three a page; at least one page."""
    others = context.choices[1:]
    return [others[at : at + OPTIONS_PER_PAGE] for at in range(0, max(len(others), 1), OPTIONS_PER_PAGE)]


def _first_fitting(*alternatives: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the first prompt that is short enough, or the last and shortest."""
    return next((says for says in alternatives if estimate_s(says) <= PROMPT_LIMIT_S), alternatives[-1])
