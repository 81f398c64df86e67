"""What a caller is asked whose line serves several languages: their own, the one to practise, how well they speak it.

Pure, like the learners' menu that follows. What a line knows is never asked; where nothing is answered the line's own
languages and level stand, so that nobody is kept from practising.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from telephony.ivr.steps import MAX_PROMPTS, Ask, Chosen, Step
from tutor.learning.said import Line, Said
from tutor.script.language import Language

MOST_LANGUAGES: Final = 6
"""That a line may offer in one question, of either kind: what can be read out in half a prompt's time."""
MOST_TARGETS: Final = 4
"""That a line may offer to be practised (tutoring.md §5.1: four or five options at most)."""

BANDS: Final = (("A1", "A2"), ("B1",), ("B2", "C1", "C2"))
"""The levels behind the three answers to "how well do you speak it?": just starting, getting by, talking freely."""

_SILENCES: Final = 2
"""Silences in a row after which the line's own settings stand for whatever was not answered."""

Place = Literal["native", "target", "level"]


@dataclass(frozen=True, slots=True)
class Offer:
    """What can be practised by those who speak one language."""

    native: str
    """A tag, as those of the targets."""
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class QuestionsContext:
    """What does not change during the questions.

    Raises:
        ValueError: nothing is offered.
    """

    natives: tuple[Language, ...]
    """The languages of the callers, in the order in which they are offered; one is not asked about."""
    targets: Mapping[str, tuple[str, ...]]
    """What can be practised, by the tag of the native language; one is not asked about."""
    native: str
    """Tags of what stands where nothing is answered."""
    target: str
    level: str
    """The line's own."""
    school: str
    levels: Mapping[str, str] = field(default_factory=dict)
    """How far the caller is, by the target's tag, where that is known; it is not asked."""
    ask_level: bool = True
    """Whether it is asked at all."""
    greet: bool = True
    """Whether it must still be said who answers."""
    kids: bool = False
    """Whether children call here: then a computer says so."""

    def __post_init__(self) -> None:
        """Refuses questions without an answer."""
        if not self.natives or not all(self.targets.get(native.tag) for native in self.natives):
            raise ValueError("Every language of the callers needs something to practise.")


@dataclass(frozen=True, slots=True)
class QuestionsState:
    """Where a caller is, and what was answered; empty: not yet."""

    place: Place = "native"
    native: str = ""
    target: str = ""
    silences: int = 0
    prompts: int = 1
    greeted: bool = False


def enter(context: QuestionsContext) -> tuple[QuestionsState, Step]:
    """Returns the first question; nothing but the outcome where everything is known."""
    return _on(context, QuestionsState(greeted=not context.greet))


def advance(context: QuestionsContext, state: QuestionsState, key: str | None) -> tuple[QuestionsState, Step]:
    """Returns what follows a key, or None for none in time; the number of prompts is bounded.

    Key 0 leaves the questions for the menu, where the settings are.
    """
    state = replace(state, silences=state.silences + 1 if key is None else 0, prompts=state.prompts + 1)
    if key == "0" or state.silences >= _SILENCES or state.prompts > MAX_PROMPTS:
        return state, _rest(context, state)
    options = _options(context, state)
    if key is None or key not in options:
        return state, Ask(_question(context, state, again=True))
    answer = options[key]
    if state.place == "native":
        return _on(context, replace(state, native=answer))
    if state.place == "target":
        return _on(context, replace(state, target=answer))
    return state, Chosen(_native(context, state).tag, _target(context, state), answer)


def replay(context: QuestionsContext, answers: Sequence[str]) -> tuple[QuestionsState, Step]:
    """Returns where a caller is after ``answers``, one per prompt, each empty for none in time."""
    state, step = enter(context)
    for answer in answers:
        if not isinstance(step, Ask):
            break
        # One key a question: those that came with it were pressed before the next one was heard.
        state, step = advance(context, state, answer[:1] or None)
    return state, step


def native_of(context: QuestionsContext, state: QuestionsState) -> Language:
    """The language in which the caller is spoken to by now."""
    return _native(context, state)


def rough_level(band: int, line: str) -> str:
    """The level behind an answer, from 0 to 2: the line's own where it lies in that band, else the easiest of the band.

    The first calls are a trial anyway, and move the level at once (tutoring.md §3.7).
    """
    return line if line in BANDS[band] else BANDS[band][0]


def _on(context: QuestionsContext, state: QuestionsState) -> tuple[QuestionsState, Step]:
    """The next question that is not answered by what is known."""
    for place in ("native", "target", "level"):
        if _open(context, state, place):
            asked = replace(state, place=place, greeted=state.greeted or place != "native")
            return asked, Ask(_question(context, replace(asked, greeted=state.greeted)))
    return state, _rest(context, state)


def _open(context: QuestionsContext, state: QuestionsState, place: str) -> bool:
    if place == "native":
        return not state.native and len(context.natives) > 1
    if place == "target":
        return not state.target and len(_targets(context, state)) > 1
    return context.ask_level and _target(context, state) not in context.levels


def _rest(context: QuestionsContext, state: QuestionsState) -> Chosen:
    target = _target(context, state)
    return Chosen(_native(context, state).tag, target, context.levels.get(target, context.level))


def _options(context: QuestionsContext, state: QuestionsState) -> dict[str, str]:
    """What the keys of a question stand for: tags, or a level."""
    if state.place == "native":
        answers: Sequence[str] = [native.tag for native in context.natives]
    elif state.place == "target":
        answers = _targets(context, state)
    else:
        answers = [rough_level(band, context.level) for band in range(len(BANDS))]
    return {str(key): answer for key, answer in enumerate(answers, 1)}


def _question(context: QuestionsContext, state: QuestionsState, *, again: bool = False) -> tuple[Line, ...]:
    if state.place == "native":
        # Each in its own voice: whoever calls knows no other language of the line.
        return tuple(
            Said.of(native.say("callers.language", key=str(key)), native)
            for key, native in enumerate(context.natives, 1)
        )
    native = _native(context, state)
    told: tuple[str, ...] = ()
    if not state.greeted and not again:
        told = (
            *((native.say("safety.kid_notice"),) if context.kids else ()),
            native.say("menu.notice", school=context.school),
        )
    if state.place == "level":
        return *told, native.say("callers.level", target=native.name_of(_target(context, state)))
    named = [
        native.say("callers.target", language=native.name_of(tag), key=str(key))
        for key, tag in enumerate(_targets(context, state), 1)
    ]
    return *told, native.say("callers.target_ask"), *named


def _native(context: QuestionsContext, state: QuestionsState) -> Language:
    known = {native.tag: native for native in context.natives}
    return known.get(state.native) or known.get(context.native) or context.natives[0]


def _targets(context: QuestionsContext, state: QuestionsState) -> tuple[str, ...]:
    return context.targets[_native(context, state).tag]


def _target(context: QuestionsContext, state: QuestionsState) -> str:
    offered = _targets(context, state)
    if state.target:
        return state.target
    return context.target if context.target in offered else offered[0]
