"""A call as a reader can follow it: `mm:ss.d who what`, one line for each thing that happened, in order.

What people say and do is told by the line; the rest is read from the timeline and from the conversation's commands. A
kind of entry or command that is new is shown with its fields. It knows no clock.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from tutor.learning.timeline import Entry
from tutor.script.scene import Scene
from tutor.talk.exchange import (
    AnswerTool,
    Aside,
    Chime,
    Command,
    CutRole,
    End,
    Listen,
    Replay,
    Respond,
    Say,
    Seed,
    SetSpeed,
)

WHO = 8
TOLD_ELSEWHERE = frozenset(
    {"said", "role_began", "role_said", "role_cut", "learner_started", "learner_stopped", "repeat", "translate"}
    | {"paraphrase", "speed", "began"}
)
"""Entries that say what another line of the transcript says."""


class Transcript:
    """The transcript of one call."""

    def __init__(self, scene: Scene) -> None:
        self._lines = [
            f"{scene.scenario.id}: {scene.target.english_name} at {scene.level.name} for a speaker of "
            f"{scene.native.english_name}",
            "",
        ]

    @property
    def text(self) -> str:
        """The whole transcript."""
        return "\n".join(self._lines) + "\n"

    def told(self, who: str, what: str, at_ms: int) -> None:
        """Somebody said or did something."""
        minutes, tenths = divmod(round(at_ms / 100), 600)
        self._lines.append(f"{minutes:02}:{tenths / 10:04.1f} {who:<{WHO}}{what}")

    def entry(self, entry: Entry) -> None:
        """Something the conversation recorded."""
        data = dict(entry.data)
        match entry.kind:
            case kind if kind in TOLD_ELSEWHERE:
                return
            case "learner_said":
                if not data["text"]:
                    self.told("line", "made out no words", entry.at_ms)
            case "key":
                if data.get("spoken"):
                    self.told("line", f"takes that for key {data['digit']}", entry.at_ms)
            case "goal":
                self.told("line", f"✓ {data['goal']} («{data['quote']}», by {data['evidence']})", entry.at_ms)
            case "goal_refused":
                self.told("line", f"✗ {data['goal']}: {data['reason']}", entry.at_ms)
            case "ended":
                self.told("line", f"the call ends: {data['reason']}", entry.at_ms)
            case kind:
                self.told("line", " ".join([kind, *_fields(data)]), entry.at_ms)

    def command(self, command: Command, at_ms: int) -> None:
        """Something that is done to the line or told to the model."""
        match command:
            case Say() | Replay() | Chime() | CutRole() | End():
                return  # it is heard, or seen
            case Seed("note", text):
                self.told("note", text, at_ms)
            case Seed(speaker, text):
                self.told("history", f"{speaker} «{text}»", at_ms)
            case Respond(None):
                self.told("note", "(the role is asked to speak)", at_ms)
            case Respond(note):
                self.told("note", f"{note} (Speak.)", at_ms)
            case Aside(ref, _, texts):
                self.told("line", f"asks for {ref.partition('-')[0]}: {' '.join(texts)}", at_ms)
            case AnswerTool(_, output, _):
                if not output.get("ok", True):
                    return  # the refusal is on the timeline
            case SetSpeed(speed):
                self.told("line", f"voice at speed {speed}", at_ms)
            case Listen(on, answer):
                hears = "listens" if on and answer else "listens, the role does not" if on else "listens no more"
                self.told("line", hears, at_ms)
            case _:
                self.told("line", _shown(command), at_ms)


def _shown(command: Any) -> str:
    named = {one.name: getattr(command, one.name) for one in fields(command)}
    return " ".join([type(command).__name__.lower(), *_fields({k: v for k, v in named.items() if v is not None})])


def _fields(data: dict[str, Any]) -> list[str]:
    return [f"{name}={value}" for name, value in data.items()]
