"""The keypad menu before a scene: where the caller is and a key pressed give the next thing to say.

Pure: no carrier, no database, no clock. What it returns is rendered by ``twiml.py``; the caller's answers can be
replayed from the first, so that any process gives the same answer to the same request.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from tutor.script.language import Language

PROMPT_LIMIT_S: Final = 20.0
"""No prompt is longer: what guidance for keypad menus allows an instruction."""
NO_INPUT_S: Final = 5
"""Silence after a prompt before the caller is asked again."""
MAX_PROMPTS: Final = 25
"""A call that still has not chosen is ended kindly: some callers are machines."""
OPTIONS_PER_PAGE: Final = 3
FREE_TALK: Final = "free_talk"
"""The scenario without a scene: talk about anything the class prompt covers. Key 8."""

_OPTION_KEYS: Final = "234"
_COVER: Final = -1
_CHARACTERS_PER_S: Final = 15.0  # the slow end of what espeak-ng needs at its normal rate (15 to 19 measured)
_WIDE_CHARACTERS_PER_S: Final = 4.5  # a syllable a character: Chinese, Japanese, Korean
_PAUSE_S: Final = 0.35


@dataclass(frozen=True, slots=True)
class Choice:
    """A scene as the menu offers it, in the caller's native language."""

    scenario: str
    title: str
    preview: str


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
    ask_consent: bool = False
    """Whether the caller is asked, once a scene is chosen, if text messages may come."""

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

    place: Literal["main", "settings", "consent"] = "main"
    page: int = _COVER
    """The list of scenes being heard, from 0; -1 while it is still the opening."""
    silences: int = 0
    """Prompts in a row that were answered by nothing."""
    prompts: int = 1
    slower: bool = False
    chosen: str | None = None
    """The scene that begins after the question about text messages."""
    wrong: int = 0
    """Wrong keys in answer to it."""
    consent: bool | None = None
    """What was answered; None: nothing."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Say this, interruptible, and wait ``timeout_s`` for one key."""

    says: tuple[str, ...]
    timeout_s: int = NO_INPUT_S


@dataclass(frozen=True, slots=True)
class Begin:
    """Say this and start the scene."""

    scenario: str
    slower: bool
    says: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Goodbye:
    """Say this and hang up."""

    says: tuple[str, ...]


Step = Ask | Begin | Goodbye


def enter(context: MenuContext) -> tuple[MenuState, Step]:
    """Returns the first prompt of a call, which always says that an AI answers."""
    return MenuState(slower=context.slower), Ask(_cover(context))


def advance(context: MenuContext, state: MenuState, key: str | None) -> tuple[MenuState, Step]:
    """Returns what follows a key (or None: nothing was pressed in time); every key has an outcome in every place.

    The number of prompts is bounded: whatever is pressed, a menu ends.
    """
    if key is None and state.place != "consent":
        state, step = _silence(context, replace(state, silences=state.silences + 1))
    else:
        state, step = _PLACES[state.place](context, replace(state, silences=0), key or "")
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
        unheard = state.place != "consent"
        for key in answer or (None,):
            if not isinstance(step, Ask):
                return state, step
            if unheard and state.place == "consent":
                break
            state, step = advance(context, state, key)
    return state, step


def estimate_s(texts: Iterable[str]) -> float:
    """Estimates how long a voice speaks ``texts``, in seconds; on the long side for slow voices."""
    joined = [text for text in texts if text]
    wide = sum(character >= "\u2e80" for text in joined for character in text)
    narrow = sum(map(len, joined)) - wide
    return narrow / _CHARACTERS_PER_S + wide / _WIDE_CHARACTERS_PER_S + _PAUSE_S * len(joined)


def _silence(context: MenuContext, state: MenuState) -> tuple[MenuState, Step]:
    if state.silences >= 3:
        return state, Goodbye((context.native.say("menu.goodbye"),))
    if state.silences == 2 and context.returning:
        return _begin(context, state, context.recommended)
    if state.silences == 2:
        return replace(state, place="main", page=_COVER), Ask(_cover(context))
    # Nobody is left in a submenu.
    return _list(context, replace(state, place="main"), opening="menu.no_input")


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
        return state, Ask(_cover(context))
    if key == "#":
        return _list(context, state)
    if key == "*":
        return _list(context, replace(state, page=state.page - 1))
    # The opening may have had no room for the first page's scenes: then they come next.
    following = 1 if state.page == _COVER and _says_all(context) else state.page + 1
    if key == "9" and following <= last:
        return _list(context, replace(state, page=following))
    return _list(context, state, opening="menu.wrong_key")


def _at_settings(context: MenuContext, state: MenuState, key: str) -> tuple[MenuState, Step]:
    say = context.native.say
    if key == "1":
        return state, Ask((say("menu.privacy"),))
    if key in ("2", "3"):
        state = replace(state, place="main", slower=key == "2")
        return _list(context, state, opening="menu.slower_set" if state.slower else "menu.normal_set")
    if key == "*":
        return _list(context, replace(state, place="main"))
    if key in ("0", "#"):
        return state, Ask(_settings(context))
    return state, Ask((say("menu.wrong_key"), *_settings(context)))


def _chosen(context: MenuContext, state: MenuState, scenario: str) -> tuple[MenuState, Step]:
    """Asks first about text messages where that is due: after the choice, when nobody presses keys by habit."""
    if context.ask_consent:
        return replace(state, place="consent", chosen=scenario), Ask((context.native.say("consent.ask"),))
    return _begin(context, state, scenario)


def _at_consent(context: MenuContext, state: MenuState, key: str) -> tuple[MenuState, Step]:
    scenario = state.chosen or context.recommended
    if key in ("1", "2"):
        state = replace(state, consent=key == "1")
        state, step = _begin(context, state, scenario)
        return state, replace(step, says=(context.native.say(f"consent.{'yes' if key == '1' else 'no'}"), *step.says))
    if key and not state.wrong:
        say = context.native.say
        return replace(state, wrong=1), Ask((say("menu.wrong_key"), say("consent.ask")))
    # Without an answer the scene begins all the same; the question comes again when the call is over.
    return _begin(context, state, scenario)


_PLACES = {"main": _at_main, "settings": _at_settings, "consent": _at_consent}


def _begin(context: MenuContext, state: MenuState, scenario: str) -> tuple[MenuState, Begin]:
    # Whoever is new is taught two keys of the conversation, no more.
    briefing = () if context.returning else (context.native.say("menu.help"),)
    return state, Begin(scenario, state.slower, (*briefing, context.native.say("menu.connecting")))


def _settings(context: MenuContext) -> tuple[str, ...]:
    return (context.native.say("menu.settings_menu"),)


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


def _cover(context: MenuContext) -> tuple[str, ...]:
    """The opening: who answers and the recommended scene, then all the rest if there is room, else how to hear it."""
    if _says_all(context):
        return _whole_cover(context)
    _, more, settings = _around(context, more=True)
    begun = (*_greeting(context), *_recommended(context))
    return _first_fitting((*begun, *more, *settings), (*begun, *more), begun)


def _says_all(context: MenuContext) -> bool:
    """Whether the opening has room for the first page."""
    return estimate_s(_whole_cover(context)) <= PROMPT_LIMIT_S


def _whole_cover(context: MenuContext) -> tuple[str, ...]:
    pages = _pages(context)
    free_talk, more, settings = _around(context, more=len(pages) > 1)
    options = _options(context, pages[0], with_first=False)
    return (*_greeting(context), *_recommended(context), *options, *free_talk, *more, *settings)


def _greeting(context: MenuContext) -> tuple[str, ...]:
    return (context.native.say("menu.welcome_back" if context.returning else "menu.notice", school=context.school),)


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
