"""The tools the model has during a call: their schemas, and reading their arguments."""

from __future__ import annotations

import json
from typing import Any

from tutor.script.scene import Scene


def schemas(scene: Scene) -> list[dict[str, Any]]:
    """The function tools of a session, flat as the GA protocol wants them."""
    goals = [goal.id for goal in scene.scenario.goals]
    return [
        _tool(
            "mark_goal",
            "Call this silently as soon as the learner has reached a goal of the scene, in the same turn as your "
            "answer. Never mention it.",
            {
                "goal": {"type": "string", "enum": goals, "description": "The goal that was reached."},
                "quote": {
                    "type": "string",
                    "description": "The learner's own words that show it, exactly as they said them.",
                },
            },
        ),
        _tool(
            "wait_for_learner",
            "Call this instead of speaking when you heard only noise, a cough, side talk or silence: it ends your "
            "turn without a word.",
            {},
        ),
        _tool(
            "end_call",
            "Call this only after you and the learner have both said goodbye, or when the learner clearly asks to "
            "stop. Say your own goodbye first, in the same turn.",
            {"reason": {"type": "string", "enum": ["scene_finished", "learner_asked"]}},
        ),
    ]


def _tool(name: str, description: str, properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "function",
        "name": name,
        "description": description,
        "parameters": {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        },
    }


def arguments(text: str) -> dict[str, str]:
    """The string arguments of a call; anything else, broken JSON included, is left out."""
    try:
        read = json.loads(text)
    except ValueError:
        return {}
    if not isinstance(read, dict):
        return {}
    return {key: value for key, value in read.items() if isinstance(value, str)}
