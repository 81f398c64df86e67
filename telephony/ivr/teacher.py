"""What a teacher hears after a PIN: the class's last seven days, and a way to say what this week is about.

Pure, like the learners' menu; from here no key leads to a scene.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from telephony.ivr.steps import MAX_PROMPTS, SPOKEN, Ask, Goodbye, Step
from tutor.learning.said import Line
from tutor.script.class_prompt import MAX_TEXT_CHARS
from tutor.script.language import Language

_SILENCES: Final = 2
"""Prompts in a row without an answer before the call ends."""


@dataclass(frozen=True, slots=True)
class TeacherContext:
    """What does not change during the call."""

    native: Language
    digest: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class TeacherState:
    """Where a teacher is."""

    place: Literal["digest", "speak", "confirm"] = "digest"
    silences: int = 0
    prompts: int = 1
    heard: str = ""
    """What was understood of the week's material, before it is confirmed."""
    kept: str | None = None
    """What was confirmed last."""


def enter(context: TeacherContext) -> tuple[TeacherState, Step]:
    """Returns the digest, and what can be done."""
    return TeacherState(), _digest(context)


def advance(context: TeacherContext, state: TeacherState, answer: str | None) -> tuple[TeacherState, Step]:
    """Returns what follows an answer: a key, speech (with ``SPOKEN`` before it), or None for nothing in time."""
    if answer is None:
        state = replace(state, silences=state.silences + 1)
        state, step = _silence(context, state)
    else:
        state, step = _PLACES[state.place](context, replace(state, silences=0), answer)
    if isinstance(step, Ask) and state.prompts >= MAX_PROMPTS:
        return state, Goodbye((context.native.say("menu.goodbye"),))
    return replace(state, prompts=state.prompts + 1), step


def replay(context: TeacherContext, answers: Sequence[str]) -> tuple[TeacherState, Step]:
    """Returns where a teacher is after ``answers``, one per prompt, each empty for none in time."""
    state, step = enter(context)
    for answer in answers:
        if not isinstance(step, Ask):
            break
        state, step = advance(context, state, (answer if answer.startswith(SPOKEN) else answer[:1]) or None)
    return state, step


def fitting(text: str) -> str:
    """What a class prompt has room for, cut between words, without the mark at its end."""
    text = " ".join(text.split())
    if len(text) > MAX_TEXT_CHARS:
        text = text[: MAX_TEXT_CHARS + 1].rpartition(" ")[0] or text[:MAX_TEXT_CHARS]
    return text.rstrip(".。!?！？؟ ")


def _silence(context: TeacherContext, state: TeacherState) -> tuple[TeacherState, Step]:
    if state.silences >= _SILENCES:
        return state, Goodbye((context.native.say("menu.goodbye"),))
    if state.place == "speak":
        return state, _speak(context, "teacher.unheard")
    if state.place == "confirm":
        return state, _confirm(context, state)
    return state, _keys(context, "menu.no_input")


def _at_digest(context: TeacherContext, state: TeacherState, answer: str) -> tuple[TeacherState, Step]:
    if answer == "1":
        return replace(state, place="speak"), _speak(context)
    if answer in ("2", "#"):
        return state, _digest(context)
    return state, _keys(context, "menu.wrong_key")


def _at_speak(context: TeacherContext, state: TeacherState, answer: str) -> tuple[TeacherState, Step]:
    if not answer.startswith(SPOKEN):
        # Any key leads back: nothing was said.
        return replace(state, place="digest"), _keys(context)
    heard = fitting(answer.removeprefix(SPOKEN))
    if not heard:
        return state, _speak(context, "teacher.unheard")
    state = replace(state, place="confirm", heard=heard)
    return state, _confirm(context, state)


def _at_confirm(context: TeacherContext, state: TeacherState, answer: str) -> tuple[TeacherState, Step]:
    if answer == "1":
        return replace(state, place="digest", kept=state.heard), _keys(context, "teacher.kept")
    if answer == "2":
        return replace(state, place="speak"), _speak(context)
    if answer == "*":
        return replace(state, place="digest"), _keys(context)
    return state, _confirm(context, state)


_PLACES = {"digest": _at_digest, "speak": _at_speak, "confirm": _at_confirm}


def _digest(context: TeacherContext) -> Ask:
    return Ask((*context.digest, context.native.say("teacher.keys")))


def _keys(context: TeacherContext, *opening: str) -> Ask:
    return Ask(tuple(context.native.say(key) for key in (*opening, "teacher.keys")))


def _speak(context: TeacherContext, *opening: str) -> Ask:
    return Ask(tuple(context.native.say(key) for key in (*opening, "teacher.speak")), takes="speech")


def _confirm(context: TeacherContext, state: TeacherState) -> Ask:
    return Ask((context.native.say("teacher.heard", text=state.heard), context.native.say("teacher.confirm")))
