"""What a family hears after its PIN: what the child can do now, the latest phrase, and how to help.

Pure, like the learners' menu; from here no key leads to a scene, a transcript or another child.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from telephony.ivr.steps import MAX_PROMPTS, Ask, Goodbye, Step
from tutor.learning.said import Line
from tutor.script.language import Language

_SILENCES: Final = 2
"""Prompts in a row without an answer before the call ends."""


@dataclass(frozen=True, slots=True)
class FamilyContext:
    """What does not change during the call."""

    native: Language
    news: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class FamilyState:
    """Where a family is."""

    silences: int = 0
    prompts: int = 1


def enter(context: FamilyContext) -> tuple[FamilyState, Step]:
    """Returns the news, and what can be done."""
    return FamilyState(), _news(context)


def advance(context: FamilyContext, state: FamilyState, key: str | None) -> tuple[FamilyState, Step]:
    """Returns what follows a key, or None for none in time; the number of prompts is bounded."""
    say = context.native.say
    state = replace(state, silences=state.silences + 1 if key is None else 0, prompts=state.prompts + 1)
    if state.silences >= _SILENCES or state.prompts > MAX_PROMPTS:
        return state, Goodbye((say("menu.goodbye"),))
    if key in ("1", "#"):
        return state, _news(context)
    return state, Ask((say("menu.no_input" if key is None else "menu.wrong_key"), say("family.keys")))


def replay(context: FamilyContext, answers: Sequence[str]) -> tuple[FamilyState, Step]:
    """Returns where a family is after ``answers``, one per prompt, each empty for none in time."""
    state, step = enter(context)
    for answer in answers:
        if not isinstance(step, Ask):
            break
        state, step = advance(context, state, answer[:1] or None)
    return state, step


def _news(context: FamilyContext) -> Ask:
    return Ask((*context.news, context.native.say("family.keys")))
