"""What the parts of a conversation share: the scene, where the call is, what is sounding, what is to be said next.

No decisions about the talk; beginning the end is here because every part may have to.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import Enum, auto

from tutor.learning.timeline import Speaker, Timeline
from tutor.script.scene import Scene
from tutor.talk.exchange import Aside, Chime, Command, Earcon, End, Listen, Say
from tutor.talk.goals import Goals
from tutor.talk.pace import PaceDial
from tutor.talk.scaffold import StuckLadder

ROLE_TEXTS = frozenset({"greeting", "goodbye", "one_moment"})
"""Fixed texts that the role says; all others are the helper's."""

CLOSING_MS = 20_000
"""The longest a goodbye may take before the line is closed over it."""


class Phase(Enum):
    """Where the call is."""

    OPENING = auto()
    TALKING = auto()
    CLOSING = auto()
    ENDED = auto()


@dataclass(slots=True)
class TalkState:
    """The state of one call's conversation that more than one part reads or changes."""

    scene: Scene
    timeline: Timeline
    goals: Goals
    stuck: StuckLadder
    dial: PaceDial
    base_speed: float
    """The voice's speed before the dial: the level's, or what the learner chose."""
    last_line: str
    """What the role said last, as far as it is known."""
    phase: Phase = Phase.OPENING
    end_reason: str | None = None
    closing_until_ms: int | None = None
    lost: bool = False
    """The model's session is gone and no new one is there yet."""
    learner_speaks: bool = False
    turn_ended_ms: int | None = None
    """When the learner's last turn was found to have ended, until the role answers it."""
    sounding: set[str] = field(default_factory=set)
    """Items of the role, and fixed texts, that were begun and are not yet heard or cut."""
    role_items: set[str] = field(default_factory=set)
    """Of these, the role's own."""
    steering: deque[str] = field(default_factory=deque)
    """Notes for the role, waiting for the moment in which they may go in."""
    after: dict[str, list[Command]] = field(default_factory=dict)
    """What follows when a fixed text was heard, or cut by anything but the learner's voice: ref -> commands."""
    chimes: int = 0
    """Goals reached whose chime was not heard yet."""
    _refs: int = 0

    @property
    def speed(self) -> float:
        """The voice's speed now."""
        return self.dial.speed(self.base_speed)

    @property
    def busy(self) -> bool:
        """Whether somebody speaks, or the role's answer is on its way."""
        return bool(self.sounding) or self.learner_speaks or self.turn_ended_ms is not None

    @property
    def exchanging(self) -> bool:
        """Whether that will come to its end by itself: without a session nobody answers."""
        return self.busy and not self.lost

    # --- things to be said

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

    def then(self, said: list[Command], *commands: Command) -> list[Command]:
        """Lets commands follow what `say`, `help` or `chime` just gave, once that was heard."""
        last = said[-1]
        if isinstance(last, Say | Chime | Aside):
            self.after[last.ref] = list(commands)
        return said

    def chime(self, name: Earcon) -> list[Command]:
        """A short sound instead of words."""
        return [Chime(self.ref(name), name)]

    # --- the end

    def close(
        self, reason: str, now_ms: int, goodbye: bool = False, helper: str | None = None, *, only_clip: bool = False
    ) -> list[Command]:
        """Begins the end: what still sounds, and what is said now, is heard whole; then the line drops.

        Args:
            reason: why, as it is kept.
            now_ms: the call's clock.
            goodbye: whether the role says goodbye.
            helper: what the helper says, in the learner's own language.
            only_clip: whether the helper's sentence is left out where there is no clip of it.
        """
        self.phase = Phase.CLOSING
        self.end_reason = reason
        self.closing_until_ms = now_ms + CLOSING_MS
        commands: list[Command] = [Listen(False)]
        if goodbye:
            target = self.scene.target
            commands += self.say("goodbye", target.target["goodbye"], target.tag, now_ms)
        if helper is not None:
            commands += self.say("helper", helper, self.scene.native.tag, now_ms, only_clip=only_clip)
        return commands

    def ended(self, reason: str, now_ms: int, *, detail: str = "") -> list[Command]:
        """The end itself: once."""
        self.phase = Phase.ENDED
        self.end_reason = self.end_reason or reason
        self.timeline.close(now_ms)
        self.timeline.add(now_ms, "ended", reason=self.end_reason, **({"detail": detail} if detail else {}))
        return [End(self.end_reason)]
