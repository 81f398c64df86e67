"""The tools the model has during a call: their schemas, and reading their arguments."""

from __future__ import annotations

import json
from typing import Any

from tutor.script.scene import Scene


def schemas(scene: Scene) -> list[dict[str, Any]]:
    """The function tools of a session, flat as the GA protocol wants them."""
    goals = [goal.id for goal in scene.scenario.goals]
    fixed = [
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
        _tool(
            "note_topic",
            "Call this silently, at most three times a call, when the learner tells something they like or did that "
            "would be good to come back to. Never for names, addresses, health or family trouble.",
            {"topic": {"type": "string", "description": "Two to five words in English."}},
        ),
        _tool(
            "note_error",
            "Call this silently when the same kind of language error comes up again. It is never told to the learner.",
            {
                "type": {"type": "string", "description": "The kind, e.g. gender_agreement, past_tense, word_order."},
                "severity": {"type": "string", "enum": ["slip", "recurrent", "blocking"]},
                "context": {"type": "string", "description": "The learner's own words."},
                "handling": {"type": "string", "enum": ["ignored", "recast", "clarified", "prompted"]},
            },
        ),
        _tool(
            "note_breakdown",
            "Call this silently when the two of you did not understand each other.",
            {"kind": {"type": "string", "enum": ["learner_not_understood", "role_not_understood", "line"]}},
        ),
        _tool("get_progress", "What this learner has reached so far, and what is left of the scene.", {}),
        _tool("get_assignment", "What the learner's class works on this week, and which scenes it was given.", {}),
    ]
    return [*fixed, *_memory()] if scene.remembers else fixed


def _memory() -> list[dict[str, Any]]:
    """The tools for learners who agreed that a few things they tell are remembered."""
    return [
        _tool(
            "remember_fact",
            "Call this silently, at most three times a call, when the learner tells something lasting about "
            "themselves that the next call could pick up: a hobby, a pet, work, a plan. Never for names, numbers, "
            "addresses, health, beliefs, money or family trouble. When it answers that it was not kept, go on.",
            {
                "fact": {
                    "type": "string",
                    "description": "Two to fourteen words in English, beginning with a verb: likes hiking with her "
                    "dog; plays in a band; wants to work in France.",
                }
            },
        ),
        _tool(
            "forget_told",
            "Call this when the learner wants something forgotten that they told, and say in one short sentence that "
            "it is forgotten.",
            {
                "what": {
                    "type": "string",
                    "enum": list(FORGETTING),
                    "description": "this_call: what they told in this call; everything: of earlier calls too.",
                }
            },
        ),
    ]


FORGETTING = ("this_call", "everything")
"""How much a learner may want forgotten in a call."""

FIELDS = {
    "note_topic": ("topic",),
    "note_error": ("type", "severity", "context", "handling"),
    "note_breakdown": ("kind",),
}
"""The arguments of the tools that leave a note."""


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
