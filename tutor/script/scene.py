"""One call's script: a scenario for one pair of languages at one level, with this call's twist.

Frozen: nothing in it changes while the call runs, so the model's instructions do not either. Knows no file.
"""

from __future__ import annotations

from dataclasses import dataclass

from tutor.script.class_prompt import ClassPrompt
from tutor.script.language import Language, SceneStrings
from tutor.script.level import Level
from tutor.script.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything the tutor is told and everything the line may say about one call."""

    scenario: Scenario
    level: Level
    native: Language
    target: Language
    class_prompt: ClassPrompt | None = None
    due: tuple[str, ...] = ()
    """What this call should make needed, of the class's material and of what the learner has practised before; the most
    important first, at most eight."""
    twist: str = ""
    """One of the scenario's twists, or empty."""
    focus: str = ""
    """What this learner's error patterns ask of the role in this call: one sentence; empty: nothing."""
    kid: bool = False
    """Whether a child calls."""
    learner_card: str = ""
    """What may be remembered about the learner; quoted as data and cut at 120 words."""
    remembers: bool = False
    """Whether the learner agreed that a few things they tell are remembered."""
    assigned: tuple[str, ...] = ()
    """What the learner's class was given for these days and they have not completed: titles in their own language."""

    @property
    def native_strings(self) -> SceneStrings:
        """The scene's strings in the learner's own language."""
        return self.native.scenes[self.scenario.id]

    @property
    def target_strings(self) -> SceneStrings:
        """The scene's strings in the language being learned."""
        return self.target.scenes[self.scenario.id]

    @property
    def title(self) -> str:
        """The scene's name in the learner's own language."""
        return self.native_strings.title

    @property
    def greeting(self) -> str:
        """The role's first line, in the target."""
        return self.target_strings.greeting

    def hint(self, goal_id: str, rung: int) -> str:
        """The hint for a goal, in the target: rung 0 keyword, 1 sentence start, 2 whole phrase.

        Raises:
            KeyError: the scene has no such goal.
            ValueError: ``rung`` is not 0, 1 or 2.
        """
        if rung not in (0, 1, 2):
            raise ValueError(f"a hint has the rungs 0, 1 and 2, not {rung}")
        return self.target_strings.hints[goal_id][rung]

    def can_do(self, goal_id: str) -> str:
        """What a goal is, as a verb phrase in the learner's own language.

        Raises:
            KeyError: the scene has no such goal.
        """
        return self.native_strings.can_do[goal_id]
