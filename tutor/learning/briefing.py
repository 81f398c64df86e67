"""What a caller hears before a scene that is new to them: who answers and where, what to get done, two useful phrases.

Planning makes people speak more fluently, and knowing the aim motivates (tutoring.md §3.4). It is spoken before the
role, and any key cuts it short. Knows no keypad and no call.
"""

from __future__ import annotations

from typing import Final

from tutor.learning.said import Said, estimate_s
from tutor.script.scenario import Goal
from tutor.script.scene import Scene

LIMIT_S: Final = 25.0
"""Whoever is new hears the first sentences of a menu (15 to 19 s), then this, and reaches the role within 45 s
(tutoring.md §5.1)."""
PHRASES: Final = 2
_WAYS: Final = ((2, 2), (1, 1))
"""How far phrases are given (a hint's rung), and for how many goals there must then be room; key 6 tells the others."""


def brief(scene: Scene, limit_s: float = LIMIT_S) -> tuple[Said, ...]:
    """The briefing, at most ``limit_s`` long: in the learner's own language, the phrases in the one being learned.

    Of the goals as many are named as there is room for, in their order; where only one would have room, the phrases
    are only begun. Where even that is too long, the goals are left out, then the phrases, then the keys; who answers is
    always said.
    """
    native, target = scene.native, scene.target
    goals = [goal for goal in sorted(scene.scenario.goals, key=lambda goal: goal.order) if not goal.optional]
    who = scene.native_strings.who or scene.native_strings.preview
    useful = _useful(scene, goals)
    for rung, least in _WAYS:
        phrases = [Said.of(scene.hint(goal.id, rung), target) for goal in useful]
        for named in range(len(goals), min(least, len(goals)) - 1, -1):
            can_dos = native.enumerate([scene.can_do(goal.id) for goal in goals[:named]])
            lines = (
                Said.of(who, native),
                Said.of(native.say("briefing.goals", can_dos=can_dos), native),
                Said.of(native.say("briefing.phrases"), native),
                *phrases,
                Said.of(native.say("briefing.keys"), native),
            )
            if estimate_s(lines) <= limit_s:
                return lines
    if limit_s >= LIMIT_S:
        return lines
    who_answers, _, *useful_phrases, keys = lines
    shorter = ((who_answers, *useful_phrases, keys), (who_answers, keys), (who_answers,))
    return next((lines for lines in shorter if estimate_s(lines) <= limit_s), shorter[-1])


def _useful(scene: Scene, goals: list[Goal]) -> list[Goal]:
    """The goals whose phrases are given, in their order: the shortest, but not the one that opens every scene."""
    later = goals[1:] if len(goals) > PHRASES else goals
    chosen = sorted(later, key=lambda goal: estimate_s([scene.hint(goal.id, 2)]))[:PHRASES]
    return [goal for goal in goals if goal in chosen]
