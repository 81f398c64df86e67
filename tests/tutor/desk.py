"""A conversation and its clock, for tests: events go in by what people do, commands are kept in order."""

from __future__ import annotations

from typing import TypeVar

from tests.tutor.scenes import cafe
from tutor.learning.timeline import Timeline
from tutor.realtime import protocol
from tutor.script.scene import Scene
from tutor.talk.conversation import Conversation
from tutor.talk.exchange import (
    Aside,
    Began,
    Chime,
    Command,
    CutRole,
    Event,
    Heard,
    Playing,
    Replay,
    Say,
    SayCut,
    SayHeard,
    Tick,
)
from tutor.talk.rules import Rules

C = TypeVar("C", bound=Command)

MINUTE = 60_000


class Desk:
    """A conversation and its clock. `commands` holds everything it said, in order."""

    def __init__(self, scene: Scene | None = None, *, limit_ms: int = 15 * MINUTE, rules: Rules | None = None) -> None:
        self.scene = scene or cafe()
        self.timeline = Timeline()
        self.talk = Conversation(self.scene, rules or Rules(limit_ms), self.timeline)
        self.now_ms = 0
        self.commands: list[Command] = []
        self.items = 0
        self.unheard: set[str] = set()

    def give(self, event: Event) -> list[Command]:
        """Gives an event; when the line is to be silenced, what was still to be heard comes back as cut."""
        commands = self.talk.handle(event, self.now_ms)
        if isinstance(event, SayHeard | SayCut):
            self.unheard.discard(event.ref)
        cut = sorted(self.unheard) if CutRole() in commands else []
        self.unheard |= {command.ref for command in commands if isinstance(command, Say | Replay | Aside | Chime)}
        self.commands += commands
        for ref in cut:
            commands = commands + self.give(SayCut(ref))
        return commands

    def wait(self, ms: int) -> list[Command]:
        """Lets time pass, ticking whenever the conversation asks for it."""
        end = self.now_ms + ms
        said: list[Command] = []
        while (due := self.talk.next_due_ms) is not None and due <= end:
            self.now_ms = max(self.now_ms, due)
            said += self.give(Tick())
        self.now_ms = end
        return said

    def open(self) -> Desk:
        """Plays the greeting to its end."""
        self.give(Began())
        self.hear(self.last(Say))
        return self

    def hear(self, command: Say | Replay | Aside | Chime) -> list[Command]:
        return self.give(SayHeard(command.ref))

    def last(self, kind: type[C]) -> C:
        """The latest command of a kind."""
        return next(command for command in reversed(self.commands) if isinstance(command, kind))

    def all(self, kind: type[C]) -> list[C]:
        """Every command of a kind so far."""
        return [command for command in self.commands if isinstance(command, kind)]

    def learner(self, text: str | None = "hola", *, for_ms: int = 1000) -> str:
        """One turn of the learner, transcribed at once; ``None``: the transcript stays out."""
        self.items += 1
        item = f"u{self.items}"
        self.give(protocol.LearnerStarted(item, self.now_ms))
        self.now_ms += for_ms
        self.give(protocol.LearnerStopped(item, self.now_ms))
        self.give(protocol.LearnerCommitted(item))
        if text is not None:
            self.give(protocol.LearnerSaid(item, text))
        return item

    def role(self, text: str = "¿Con leche?", *, for_ms: int = 1500) -> list[Command]:
        """One turn of the role, heard whole."""
        self.items += 1
        item = f"r{self.items}"
        self.give(Playing(item))
        self.give(protocol.RoleSaid(item, text))
        self.give(protocol.Responded("completed", None, None, "", spoke=True, cut=False))
        self.now_ms += for_ms
        return self.give(Heard(item, text))

    def tool(self, name: str, arguments: str = "{}", call: str = "c1") -> list[Command]:
        """The model calls a tool."""
        return self.give(protocol.ToolCalled(call, name, arguments))
