"""What one call shows about something a learner is to meet again: used, with which help, or let pass.

Read from the call's record alone; where the record cannot tell, there was no opportunity. Knows no schedule.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from tutor.learning.coverage import coverage
from tutor.learning.facts import Facts
from tutor.learning.patterns import notes_of
from tutor.learning.recorded import EventRecord, TurnRecord
from tutor.script.language import Language
from tutor.script.scene import Scene

Kind = Literal["phrase", "class", "focus"]

WHOLE: Final = 2
"""The rung on which the whole phrase is given (``tutor.learning.facts.Hint``; tutoring.md calls it the third)."""

PRACTISED_TURNS: Final = 8
"""Without a note, a pattern was used well only in a conversation: from as many learner turns on (row 106)."""


class Item(Protocol):
    """What is looked for in a call."""

    @property
    def kind(self) -> Kind: ...
    @property
    def text(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one call shows about one card."""

    used: bool = False
    """Whether the learner used it."""
    fast: bool = False
    """Whether they began that turn sooner than they usually do, and not with what the role had just said."""
    rung: int | None = None
    """The furthest help with it, before it was used: 0 a keyword, 1 the start of a sentence, 2 all of it."""
    passed: int = 0
    """How many opportunities went by without it, when it was not used."""


NONE: Final = Evidence()
"""Nothing can be said: there was no opportunity."""


def evidence(
    card: Item,
    scene: Scene,
    turns: Sequence[TurnRecord],
    events: Sequence[EventRecord],
    *,
    median_latency_ms: float | None = None,
    focus: str = "",
) -> Evidence:
    """What a call of this scene shows about a card; nothing when the caller left because something was not right.

    A phrase has an opportunity when its goal was reached in other words, or a hint for it was asked for and not
    followed; a class item when the role used it. A call counts once: its record does not tell two occasions apart. A
    pattern has one in each note of it; a call that practised it and has no note used it.

    Args:
        turns: of the call, in order.
        events: of the call, in order.
        median_latency_ms: how long this learner usually takes to begin; None while it is not known: nothing is fast.
        focus: the type of the pattern that this call practised (``tutor.learning.focus.Focus.type``), or empty.
    """
    if any(event.kind == "safe_exit" for event in events):
        return NONE
    if card.kind == "focus":
        return _of_pattern(card.text, scene, turns, events, focus)
    return _of_words(card, scene, turns, events, median_latency_ms)


def _of_pattern(
    error_type: str, scene: Scene, turns: Sequence[TurnRecord], events: Sequence[EventRecord], focus: str
) -> Evidence:
    noted = notes_of(events)[error_type]
    if noted:
        return Evidence(passed=noted)
    return Evidence(used=error_type == focus and Facts.of(scene, turns, events).turns >= PRACTISED_TURNS)


def _of_words(
    card: Item,
    scene: Scene,
    turns: Sequence[TurnRecord],
    events: Sequence[EventRecord],
    median_latency_ms: float | None,
) -> Evidence:
    target = scene.target
    goals = {goal for goal, rungs in scene.target_strings.hints.items() if _has(card.text, rungs[WHOLE], target)}
    use = next((turn for turn in turns if turn.speaker == "learner" and _has(card.text, turn.text, target)), None)
    helped = [
        rung
        for at_ms, rung in _help(card.text, goals, target, turns, events)
        if use is None or at_ms <= use.start_ms  # help that came after it was said was help with something else
    ]
    rung = max(helped, default=None)
    if use is not None:
        return Evidence(used=True, fast=_fast(card.text, use, turns, target, median_latency_ms), rung=rung)
    reached = any(event.kind == "goal" and event.data.get("goal") in goals for event in events)
    modelled = card.kind == "class" and _answered(card.text, turns, target)
    return Evidence(rung=rung, passed=int(bool(helped) or reached or modelled))


def _help(
    text: str, goals: set[str], target: Language, turns: Sequence[TurnRecord], events: Sequence[EventRecord]
) -> Iterator[tuple[int, int]]:
    """When help with a phrase was given, and how much of it."""
    for event in events:
        if event.kind == "hint":
            if _has(text, str(event.data.get("phrase", "")), target):
                yield event.at_ms, WHOLE
            elif event.data.get("goal") in goals and event.data.get("rung") in (0, 1, WHOLE):
                yield event.at_ms, event.data["rung"]
        elif event.kind == "word_given" and _has(text, str(event.data.get("given", "")), target):
            yield event.at_ms, WHOLE
        elif event.kind == "stuck" and event.data.get("step") == "model_phrase":
            after = (turn for turn in turns if turn.speaker == "role" and turn.start_ms >= event.at_ms)
            model = next(after, None)
            if model is not None and _has(text, model.text, target):
                yield model.start_ms, WHOLE


def _fast(
    text: str, use: TurnRecord, turns: Sequence[TurnRecord], target: Language, median_latency_ms: float | None
) -> bool:
    """Whether a turn began sooner after what was heard than usual; one that began over it tells nothing."""
    heard = [turn for turn in turns if turn.speaker != "learner" and turn.start_ms <= use.start_ms]
    if median_latency_ms is None or not heard or _has(text, heard[-1].text, target):
        return False
    last_ms = heard[-1].end_ms
    return last_ms is not None and 0 <= use.start_ms - last_ms < median_latency_ms


def _answered(text: str, turns: Sequence[TurnRecord], target: Language) -> bool:
    """Whether the role used an item and the learner spoke after that."""
    role = next((turn for turn in turns if turn.speaker == "role" and _has(text, turn.text, target)), None)
    return role is not None and any(turn.speaker == "learner" and turn.start_ms >= role.start_ms for turn in turns)


@dataclass(frozen=True, slots=True)
class _Line:
    """One text, as ``coverage`` takes it."""

    text: str
    speaker: str = "learner"


def _has(item: str, text: str | None, target: Language) -> bool:
    """Whether an item is in a text, as far as a class's material would count as used."""
    return bool(text) and bool(coverage((item,), (_Line(text or ""),), target).used_by_learner)
