"""What a stand-in model says in a rehearsal: scripts built from the files beside this one and from the catalogue."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Any

from rehearsal.realtime_script import Script, TextAnswer, ToolCall, Turn
from tutor.learning.debrief import SCHEMA_NAME
from tutor.script.scene import Scene

ANSWER_DELAY_MS = 350
"""What a real model takes from the end of a turn to its first sound, more or less."""


class NoScript(LookupError):
    """There is no rehearsal script for a scene; the text says for which."""


def script_for(scene: Scene) -> Script:
    """The script of a scene's target language. Raises `NoScript`."""
    try:
        text = files("ringua.scripts").joinpath(f"{scene.scenario.id}.toml").read_text("utf-8")
        written: dict[str, Any] = tomllib.loads(text)[scene.target.tag.partition("-")[0]]
    except (FileNotFoundError, KeyError) as error:
        raise NoScript(
            f"There is no rehearsal script of {scene.scenario.id} in {scene.target.english_name}."
        ) from error
    turns = tuple(_turn(turn) for turn in written["turns"])
    first = written["translate"].get(scene.native.tag.partition("-")[0], "…")
    return Script(
        opening=scene.greeting,
        turns=turns,
        closing=scene.target.target["goodbye"],
        again=scene.target.target["encourage"],
        asides={"translate": first, "paraphrase": turns[0].says[0]},
        language=scene.target.espeak,
        text=_debrief(written, scene),
    )


def _debrief(written: dict[str, Any], scene: Scene) -> tuple[TextAnswer, ...]:
    """What the text model writes of the call, where the script has it in the learner's own language."""
    told = written.get("debrief", {}).get(scene.native.tag.partition("-")[0])
    if told is None:
        return ()
    goals = [goal for turn in written["turns"] for goal in turn["goals"]]
    answer = {"can_dos": goals, "next_scenario": "hotel_checkin", **told}
    return (TextAnswer(match=SCHEMA_NAME, json=answer),)


def _turn(written: dict[str, Any]) -> Turn:
    tools = [ToolCall("mark_goal", {"goal": goal, "quote": quote}) for goal, quote in written["goals"].items()]
    if written.get("ends"):
        tools.append(ToolCall("end_call", {"reason": "scene_finished"}))
    return Turn(hears=written["hears"], says=tuple(written["says"]), tools=tuple(tools), delay_ms=ANSWER_DELAY_MS)
