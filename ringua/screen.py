"""A call on the terminal, as it happens, and a short account of it afterwards."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.table import Column, Table
from rich.text import Text

from rehearsal.realtime_wire import Violation
from rehearsal.report import CallResult, Event
from telephony.segments import segments
from tutor.learning.debrief import Debrief
from tutor.learning.timeline import Entry
from tutor.script.scene import Scene

STYLES = {"caller": "cyan", "menu": "magenta", "role": "green", "helper": "yellow", "line": "dim"}


class Screen:
    """Shows the carrier's events and the conversation's timeline, one line each, on the caller's clock."""

    def __init__(self, scene: Scene, out: Console) -> None:
        self._scene = scene
        self._out = out
        self._stream_ms = 0.0
        self._entries: list[Entry] = []

    def on_event(self, event: Event) -> None:
        """Something the caller's phone noticed."""
        match event.kind:
            case "dial":
                self._line(event.at_ms, "line", "ringing …")
            case "say":
                self._line(event.at_ms, "menu", event.text)
            case "key":
                self._line(event.at_ms, "caller", f"presses {event.text}")
            case "says":
                self._line(event.at_ms, "caller", f"speaks for {event.text}")
            case "stream-start":
                self._stream_ms = event.at_ms
            case "clear" if float(str(event.data["dropped_ms"])) > 0:
                self._line(event.at_ms, "line", f"silent at once, {event.data['dropped_ms']:.0f} ms dropped")
            case "warning" | "error":
                self._line(event.at_ms, "line", f"the carrier complains: {event.text}")
            case "ended":
                self._line(event.at_ms, "line", f"the call ended ({event.data['by']})")

    def on_entry(self, call: str, entry: Entry) -> None:
        """Something the conversation recorded."""
        self._entries.append(entry)
        data = entry.data
        match entry.kind:
            case "said":
                self._entry(entry, data["speaker"], data["text"])
            case "role_began":
                answered = data["answered_ms"]
                shown = f" ({answered} ms after the turn's end)" if answered is not None else ""
                self._entry(entry, "role", f"begins to speak{shown}")
            case "role_said":
                self._entry(entry, "role", f"was heard: {data['text']}")
            case "role_cut":
                self._entry(entry, "role", f"was heard for {data['heard_ms']} ms: {data['text']} …")
            case "learner_said":
                self._entry(entry, "caller", f"said: {data['text'] or '(not made out)'}")
            case "goal":
                self._entry(entry, "line", f"✓ {self._scene.can_do(data['goal'])}  “{data['quote']}”")
            case "translate":
                self._entry(entry, "helper", f"translates: {data['text']}")
            case "paraphrase":
                self._entry(entry, "helper", f"says in easier words: {data['text']}")
            case "speed":
                self._entry(entry, "line", f"voice at speed {data['speed']}")

    def account(self, result: CallResult, violations: Sequence[Violation]) -> None:
        """What came of the call."""
        scene = self._scene
        earned = [entry.data["goal"] for entry in self._of("goal")]
        answered = [e.data["answered_ms"] for e in self._of("role_began") if e.data["answered_ms"] is not None]
        reason = self._of("ended")[-1].data["reason"] if self._of("ended") else result.ended_by
        table = _table("The call in short")
        pair = f"{scene.target.english_name} for speakers of {scene.native.english_name}"
        table.add_row("scene", f"{scene.title}, {pair}, at {scene.level.name}")
        table.add_row("lasted", f"{result.duration_s:.0f} s, ended by the {reason}")
        table.add_row(
            "turns", f"{len(self._of('learner_said'))} of the caller, {len(self._of('role_began'))} of the role"
        )
        done = "\n".join(f"✓ {scene.can_do(goal)}" for goal in earned)
        left = "\n".join(f"· {scene.can_do(goal.id)}" for goal in scene.scenario.goals if goal.id not in earned)
        table.add_row("goals", "\n".join(part for part in (done, left) if part))
        translated = len(self._of("translate")) + len(self._of("paraphrase"))
        table.add_row("help", f"{len(self._of('hint'))} hint, {translated} translation or easier words")
        table.add_row("interruptions", str(len(self._of("role_cut"))))
        if answered:
            table.add_row("first sound", f"{statistics.median(answered):.0f} ms after a turn's end (median)")
        slowest = max((exchange.took_ms for exchange in result.webhooks), default=0.0)
        table.add_row("webhooks", f"{len(result.webhooks)}, the slowest answered in {slowest:.0f} ms")
        complaints = len(violations) + sum(alert.level != "note" for alert in result.warnings)
        table.add_row("protocol", "no complaint of either stand-in" if not complaints else f"{complaints} complaints")
        self._out.print()
        self._out.print(table)

    def debrief(self, debrief: Debrief | None, texts: Sequence[str]) -> None:
        """What the learner takes away, and the text as the phone shows it."""
        if debrief is not None:
            scene = self._scene
            table = _table("The debrief")
            table.add_row("what went well", debrief.praise)
            table.add_row("you can now", scene.native.enumerate([scene.can_do(goal) for goal in debrief.can_dos]))
            meaning = f" ({debrief.keep_meaning})" if debrief.keep_meaning else ""
            table.add_row("keep this", f"{debrief.keep}{meaning}")
            table.add_row("next", debrief.next_step)
            self._out.print()
            self._out.print(table)
        for body in texts:
            count = segments(body)
            parts = "1 part" if count == 1 else f"{count} parts"
            self._out.print()
            phone = Panel(body, title="text message", subtitle=parts, width=46, title_align="left")
            self._out.print(phone, soft_wrap=False)

    def _of(self, kind: str) -> list[Entry]:
        return [entry for entry in self._entries if entry.kind == kind]

    def _entry(self, entry: Entry, who: str, what: Any) -> None:
        self._line(self._stream_ms + entry.at_ms, who, str(what))

    def _line(self, at_ms: float, who: str, what: str) -> None:
        minutes, seconds = divmod(at_ms / 1000, 60)
        text = Text(f"{int(minutes)}:{seconds:04.1f}  ", style="dim")
        text.append(f"{who:<7}", style=STYLES.get(who, ""))
        text.append(what)
        self._out.print(text)


def _table(title: str) -> Table:
    """Names and values; long values of languages without spaces go on in the next line."""
    return Table(Column(), Column(overflow="fold"), show_header=False, title=title, title_justify="left")
