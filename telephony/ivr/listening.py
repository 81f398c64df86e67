"""Listen and repeat: phrases one after the other, each heard twice, for callers whose school's budget is used up.

Pure, like the learners' menu. Nobody listens, nothing is judged, and from here no key leads to a scene.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Final, Literal

from telephony.ivr.steps import Ask, Goodbye, Step
from tutor.learning.listening import Phrase
from tutor.learning.said import Line, Said, estimate_s
from tutor.script.language import Language

LIMIT_S: Final = 300.0
"""No call is longer: the carrier's minutes are paid although the budget is gone."""
LONGEST_S: Final = 60.0
"""One phrase at its slowest, with all that may stand around it, and the good-bye after it."""
MOST_PROMPTS: Final = 80
"""Twenty play ten phrases; the rest is for hearing them again."""
PAUSE_S: Final = (3, 10)
"""The least and the most for repeating."""
AGAIN_S: Final = 3
"""Silence after the second time, for those who join in late."""

BEGIN: Final = "1"
END: Final = "*"
_OFFERS: Final = 2
"""How often listening is offered to somebody who does not answer."""


@dataclass(frozen=True, slots=True)
class ListeningContext:
    """What does not change during the call."""

    native: Language
    target: Language
    phrases: tuple[Phrase, ...]
    slower: bool = False
    """Whether the caller keeps the slower voice from an earlier call."""
    rests: Literal["day", "month"] = "day"
    """For how long the budget is used up: callers are asked to call again when the next one begins."""


@dataclass(frozen=True, slots=True)
class ListeningState:
    """Where a caller is."""

    place: Literal["offer", "first", "second"] = "offer"
    """The second is the same phrase again, after the pause."""
    at: int = 0
    """Which phrase, from 0."""
    slower: bool = False
    prompts: int = 1


def enter(context: ListeningContext) -> tuple[ListeningState, Step]:
    """Returns the offer: listen and repeat, or call tomorrow, or next month."""
    return ListeningState(slower=context.slower), Ask((_offer(context),))


def advance(context: ListeningContext, state: ListeningState, key: str | None) -> tuple[ListeningState, Step]:
    """Returns what follows a key, or None for none in time: then it goes on by itself. The number of prompts is
    bounded."""
    state = replace(state, prompts=state.prompts + 1)
    if state.place == "offer":
        return _at_offer(context, state, key)
    if key == END or state.prompts > MOST_PROMPTS:
        return _end(context, state)
    if key is None and state.place == "first":
        state = replace(state, place="second")
        return state, Ask((_spoken(context, state),), timeout_s=AGAIN_S)
    if key in (None, "1"):
        return _phrase(context, replace(state, at=state.at + 1))
    if key == "#":
        return _phrase(context, state)
    if key == "2":
        return _phrase(context, replace(state, slower=True))
    return _phrase(context, state, context.native.say("menu.wrong_key"), context.native.say("listen.keys"))


def replay(context: ListeningContext, answers: Sequence[str]) -> tuple[ListeningState, Step]:
    """Returns where a caller is after ``answers``, one per prompt, each empty for none in time."""
    state, step = enter(context)
    for answer in answers:
        if not isinstance(step, Ask):
            break
        state, step = advance(context, state, answer[:1] or None)
    return state, step


def in_time(answer: str, age_s: float) -> str:
    """The answer to a prompt of a call that is so many seconds old; the end, where one more phrase would be too long.

    It is kept in the answer's place, so that a replay comes to the same end.
    """
    return END if age_s > LIMIT_S - LONGEST_S else answer


def listened(answers: Sequence[str]) -> bool:
    """Whether a caller with these answers took the offer."""
    return BEGIN in (answer[:1] for answer in answers[:_OFFERS])


def _at_offer(context: ListeningContext, state: ListeningState, key: str | None) -> tuple[ListeningState, Step]:
    say = context.native.say
    if key == BEGIN:
        return _phrase(context, state, say("listen.intro"), say("listen.keys"))
    if key == END or state.prompts > _OFFERS:
        return state, Goodbye((_later(context),))
    return state, Ask((*((say("menu.wrong_key"),) if key is not None else ()), _offer(context)))


def _offer(context: ListeningContext) -> str:
    return context.native.say("listen.offer" if context.rests == "day" else "listen.offer_month")


def _later(context: ListeningContext) -> str:
    return context.native.say("listen.later" if context.rests == "day" else "listen.later_month")


def _phrase(context: ListeningContext, state: ListeningState, *opening: Line) -> tuple[ListeningState, Step]:
    """A phrase for the first time, what it is for, and a pause; the end where there is none left."""
    if state.at >= len(context.phrases):
        return _end(context, state)
    state = replace(state, place="first")
    phrase, said = context.phrases[state.at], _spoken(context, state)
    meaning = (context.native.say("listen.meaning", can_do=phrase.can_do),) if phrase.can_do else ()
    return state, Ask((*opening, said, *meaning), timeout_s=_pause_s(said))


def _spoken(context: ListeningContext, state: ListeningState) -> Said:
    return Said.of(context.phrases[state.at].text, context.target, slow=state.slower)


def _pause_s(said: Said) -> int:
    """As long as the phrase, and a moment for beginning."""
    least, most = PAUSE_S
    return min(most, max(least, ceil(estimate_s([said])) + 1))


def _end(context: ListeningContext, state: ListeningState) -> tuple[ListeningState, Step]:
    return state, Goodbye((context.native.say("listen.done"), _later(context)))
