"""What the parts of a conversation share: the scene, what is sounding, what is to be said next. No decisions."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from tutor.learning.timeline import Speaker, Timeline
from tutor.script.scene import Scene
from tutor.talk.exchange import Command, Say
from tutor.talk.goals import Goals
from tutor.talk.scaffold import StuckLadder

ROLE_TEXTS = frozenset({"greeting", "goodbye", "one_moment"})
"""Fixed texts that the role says; all others are the helper's."""


@dataclass(slots=True)
class TalkState:
    """The state of one call's conversation that more than one part reads or changes."""

    scene: Scene
    timeline: Timeline
    goals: Goals
    stuck: StuckLadder
    speed: float
    """The voice's speed."""
    last_line: str
    """What the role said last, as far as it is known."""
    sounding: set[str] = field(default_factory=set)
    """Items of the role, and fixed texts, that were begun and are not yet heard or cut."""
    steering: deque[str] = field(default_factory=deque)
    """Notes for the role, waiting for the moment in which they may go in."""
    _refs: int = 0

    def ref(self, name: str) -> str:
        """A name for something that will sound, new in this call; it counts as sounding from now on."""
        self._refs += 1
        ref = f"{name}-{self._refs}"
        self.sounding.add(ref)
        self.stuck.hold()
        return ref

    def say(self, name: str, text: str, language: str, now_ms: int, *, only_clip: bool = False) -> list[Command]:
        """Speaks a fixed text; with ``only_clip`` it is skipped where no clip of it exists."""
        ref = self.ref(name)
        speaker: Speaker = "role" if name in ROLE_TEXTS else "helper"
        self.timeline.begin(now_ms, speaker, ref, text)
        self.timeline.add(now_ms, "said", ref=ref, text=text, language=language, speaker=speaker)
        return [Say(ref, text, language, only_clip)]

    def help(self, name: str, text: str, now_ms: int) -> list[Command]:
        """Speaks a sentence of the helper, in the learner's own language."""
        return self.say(name, text, self.scene.native.tag, now_ms)
