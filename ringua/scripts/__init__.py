"""What a stand-in model says in a rehearsal: a script for any scene, from the files beside this one and the catalogue.

The café has scripts written by hand, which the demo plays on recorded speech. Every other scene has one made from
data: the learner says the whole phrases that the scene's hints give, and the role answers with lines that fit.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from rehearsal.realtime_script import Script, TextAnswer, ToolCall, Turn
from ringua.scripts.lines import Lines, Manner, NoScript, lines_of
from telephony.ivr.menu import FREE_TALK
from tutor.learning.debrief import LONGEST_PHRASE, SCHEMA_NAME
from tutor.script import catalogue
from tutor.script.scene import Scene

__all__ = ["NoScript", "following", "script_for", "written_by_hand"]

ANSWER_DELAY_MS = 350
"""What a real model takes from the end of a turn to its first sound, more or less."""

LONG_TURN_WORDS = 10
"""From levels on whose learners say this much in a turn (B1), two phrases are said in one."""

PARTING = frozenset({"goodbye", "close"})
"""Goals that are a farewell: no other follows them."""

SPACELESS = frozenset({"Hans", "Hant", "Jpan"})
"""Scripts that put no space between sentences."""

QUESTIONS = ("?", "？", "か。")


def script_for(scene: Scene) -> Script:
    """The script of a scene: the one written by hand where there is one, else one made from data.

    The same scene always gives the same script. Raises `NoScript` when a language of the scene has no lines.
    """
    written = _by_hand(scene)
    return _made(scene) if written is None else _read(written, scene)


def written_by_hand(scene: Scene) -> bool:
    """Whether a scene's script was written for it and for both its languages: the café in Spanish and in English."""
    return _by_hand(scene) is not None


def following(scene: Scene) -> str:
    """The scene to offer after this one: the next of the catalogue, from the last the first; never free talk."""
    scenes = [s.id for s in catalogue.load().scenarios if s.id != FREE_TALK]
    here = scenes.index(scene.scenario.id) if scene.scenario.id in scenes else -1
    return scenes[(here + 1) % len(scenes)]


# --- written by hand


@cache
def _file(scenario: str) -> Mapping[str, Any]:
    try:
        return tomllib.loads(files("ringua.scripts").joinpath(f"{scenario}.toml").read_text("utf-8"))
    except FileNotFoundError:
        return {}


def _by_hand(scene: Scene) -> Mapping[str, Any] | None:
    written: Mapping[str, Any] | None = _file(scene.scenario.id).get(scene.target.base)
    return written if written is not None and scene.native.base in written["translate"] else None


def _read(written: Mapping[str, Any], scene: Scene) -> Script:
    native = scene.native.base
    turns = tuple(_turn(turn["hears"], turn["says"], turn["goals"], ends=turn.get("ends")) for turn in written["turns"])
    goals = [goal for turn in written["turns"] for goal in turn["goals"]]
    debrief = {"can_dos": goals, **written["debrief"][native]}
    return _script(scene, turns, written["translate"][native], turns[0].says[0], debrief)


# --- made from data


@dataclass(frozen=True, slots=True)
class _Phrase:
    """One thing the learner says, and the goal it reaches, if any."""

    text: str
    goal: str | None = None

    @property
    def asks(self) -> bool:
        return self.text.rstrip("»”」 ").endswith(QUESTIONS)


@dataclass(frozen=True, slots=True)
class _Answer:
    """A line of the role, in the learner's own language, and in easier words."""

    line: str
    meaning: str
    easier: str


def _made(scene: Scene) -> Script:
    said = _said(scene)
    between = "" if scene.target.script in SPACELESS else " "
    answers = _answers(scene, [phrases[-1] for phrases in said])
    turns = tuple(
        _turn(
            between.join(phrase.text for phrase in phrases),
            [answer.line],
            {phrase.goal: phrase.text for phrase in phrases if phrase.goal is not None},
            ends=number == len(said),
        )
        for number, (phrases, answer) in enumerate(zip(said, answers, strict=True), start=1)
    )
    return _script(scene, turns, answers[0].meaning, answers[0].easier, _debrief(scene))


def _said(scene: Scene) -> list[list[_Phrase]]:
    """What the learner says, turn by turn: each goal's whole phrase in the scene's order, and a goodbye."""
    goals = sorted(scene.scenario.goals, key=lambda goal: goal.order)
    phrases = [_Phrase(scene.hint(goal.id, 2), goal.id) for goal in goals]
    if goals[-1].id not in PARTING:
        phrases.append(_Phrase(lines_of(scene.target).manner(scene.scenario.register).goodbye))
    size = 1 if scene.level.learner_turn_words < LONG_TURN_WORDS else 2
    return [phrases[at : at + size] for at in range(0, len(phrases), size)]


def _answers(scene: Scene, last_phrases: Sequence[_Phrase]) -> list[_Answer]:
    """What the role says after each turn. The first line can be translated: the demo's caller asks for that."""
    target, native = lines_of(scene.target), lines_of(scene.native)
    ours, theirs = target.manner(scene.scenario.register), native.manner(scene.scenario.register)
    own, translated = _own(target, scene), _own(native, scene)
    used = {"go_on": 0, "answer": 0}
    answers = []
    for number, phrase in enumerate(last_phrases):
        goal = phrase.goal or ""
        if number == len(last_phrases) - 1:
            farewell = own.get(goal, ours.farewell)
            answers.append(_Answer(farewell, theirs.farewell, farewell))
        elif goal in own and (number or goal in translated):
            answers.append(_Answer(own[goal], translated.get(goal, ""), own[goal]))
        else:
            kind = "answer" if phrase.asks else "go_on"
            # "Anything else?" comes last: what follows is the learner's goodbye.
            last = number == len(last_phrases) - 2 and number > 0
            answers.append(_general(ours, theirs, kind, -1 if last else used[kind]))
            used[kind] += 1
    return answers


def _own(lines: Lines, scene: Scene) -> Mapping[str, str]:
    """The lines a language has for just this scene."""
    return lines.scenes.get(scene.scenario.id, {})


def _general(ours: Manner, theirs: Manner, kind: str, number: int) -> _Answer:
    """A line that fits any scene; another for each ``number`` until they begin anew."""
    said, meant = (ours.answer, theirs.answer) if kind == "answer" else (ours.go_on, theirs.go_on)
    at = number % len(said)
    return _Answer(said[at], meant[at], ours.easier[kind] if at == 0 else said[at])


def _debrief(scene: Scene) -> dict[str, Any]:
    """What the text model writes of a call in which everything went well, from the catalogue's own sentences."""
    native, after = scene.native, following(scene)
    goals = [goal.id for goal in scene.scenario.goals]
    phrases = sorted((scene.hint(goal, 2) for goal in goals), key=len, reverse=True)
    return {
        "praise": native.say("debrief.praise_all"),
        "can_dos": goals,
        "keep": next((phrase for phrase in phrases if len(phrase) <= LONGEST_PHRASE), scene.hint(goals[0], 0)),
        "keep_meaning": None,
        "next_step": native.say("debrief.next", title=native.scenes[after].title),
        "next_scenario": after,
    }


# --- both


def _script(scene: Scene, turns: tuple[Turn, ...], meaning: str, easier: str, debrief: Mapping[str, Any]) -> Script:
    return Script(
        opening=scene.greeting,
        turns=turns,
        closing=scene.target.target["goodbye"],
        again=scene.target.target["encourage"],
        asides={"translate": meaning, "paraphrase": easier},
        language=scene.target.espeak,
        text=(TextAnswer(match=SCHEMA_NAME, json=debrief),),
    )


def _turn(hears: str, says: Sequence[str], goals: Mapping[str, str], *, ends: bool | None) -> Turn:
    tools = [ToolCall("mark_goal", {"goal": goal, "quote": quote}) for goal, quote in goals.items()]
    if ends:
        tools.append(ToolCall("end_call", {"reason": "scene_finished"}))
    return Turn(hears=hears, says=tuple(says), tools=tuple(tools), delay_ms=ANSWER_DELAY_MS)
