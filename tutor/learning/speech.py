"""When the learner spoke and where they paused: pieces of voice, turns and pauses, reckoned from a call's record.

A recorded turn of the learner is what the model's voice detection made of it: it was noticed some time after the voice
began, and it ends with the silence that ended it. Here both are taken off again (tutoring.md §3.6). Times are
milliseconds of the call; the role's are times of hearing. Knows no words' meaning.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from tutor.learning.recorded import LEAST_TURN_MS, EventRecord, TurnRecord
from tutor.talk.setup import PREFIX_PADDING_MS

PAUSE_MS: Final = 250
"""Shorter silences belong to speaking: stops are that long (de Jong & Bosker 2013)."""

RESTART_MS: Final = 1_000
"""Who goes on sooner than this after they had stopped, and nobody else spoke, starts anew (tutoring.md §1A row 107)."""

LATE_MS: Final = 500
"""By so much the record may place a voice later than it sounded: the way to the model's server and back."""


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A stretch of time; the end is not before the start."""

    start_ms: int
    end_ms: int

    @property
    def length_ms(self) -> int:
        """How long it is, 0 or more."""
        return self.end_ms - self.start_ms


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of the learner's voice between two silences that end a turn."""

    span: Span
    """The voice itself, without what the detection put before and behind it."""
    noticed_ms: int
    """When the detection noticed it."""
    stopped_ms: int
    """When the detection found that it had ended."""
    text: str
    """What was said; empty when it is not known."""
    item: str | None = None
    """The model's name for it, where the record has it."""
    over_role: bool = False
    """Whether it began while the role was heard."""
    cut: bool = False
    """Whether the line went away in it."""
    runs: tuple[Span, ...] = ()
    """Between pauses; empty when pauses were not measured."""

    @property
    def pauses_ms(self) -> tuple[int, ...]:
        """The silences of at least 250 ms inside it."""
        return tuple(after.start_ms - before.end_ms for before, after in pairwise(self.runs))

    @property
    def phonation_ms(self) -> int | None:
        """How long there was voice; with the pauses it adds up to the length of the span. None: not measured."""
        return sum(run.length_ms for run in self.runs) if self.runs else None


def spans(turns: Iterable[TurnRecord], speaker: str) -> list[Span]:
    """Where somebody was heard, in order; what never ended is left out."""
    ended = ((turn.start_ms, turn.end_ms) for turn in turns if turn.speaker == speaker and turn.end_ms is not None)
    return sorted(Span(start_ms, max(start_ms, end_ms)) for start_ms, end_ms in ended)


def role_spans(turns: Iterable[TurnRecord]) -> list[Span]:
    """Where the role was heard, in order; what stopped before anybody could have understood it is left out."""
    return [span for span in spans(turns, "role") if span.length_ms >= LEAST_TURN_MS]


def voiced(events: Iterable[EventRecord]) -> list[Span]:
    """Where the caller's voice sounded, by the events ``speech``; silences below 250 ms are none.

    An event ``speech`` has ``start_ms`` and ``end_ms`` of one stretch of voice, in milliseconds of the call; others
    are ignored, and so is one that ends before it starts.
    """
    merged: list[Span] = []
    for span in sorted(_speech(event.data) for event in events if event.kind == "speech"):
        if span.length_ms <= 0:
            continue
        if merged and span.start_ms - merged[-1].end_ms < PAUSE_MS:
            merged[-1] = Span(merged[-1].start_ms, max(merged[-1].end_ms, span.end_ms))
        else:
            merged.append(span)
    return merged


def pieces(turns: Sequence[TurnRecord], events: Sequence[EventRecord], silence_ms: int) -> list[Piece]:
    """The learner's voice, in order.

    Where an event ``speech`` covers a recorded turn, it says when there was voice. Else the end is where the detection
    stopped, less the silence; the length is what it counted in audio (``audio_ms`` of ``learner_started`` and
    ``learner_stopped``), less padding and silence; without that count a piece begins where it was noticed.

    Args:
        turns: of the call.
        events: of the call.
        silence_ms: the silence that ended a turn.
    """
    started = {event.at_ms: event.data for event in events if event.kind == "learner_started"}
    stopped = {event.at_ms: event.data for event in events if event.kind == "learner_stopped"}
    voice = voiced(events)
    role = [turn for turn in turns if turn.speaker == "role"]
    found: list[Piece] = []
    for turn in sorted((turn for turn in turns if turn.speaker == "learner"), key=lambda turn: turn.start_ms):
        end_ms = max(turn.start_ms, turn.end_ms or 0)
        begun = started.get(turn.start_ms, {})
        from_ms, to_ms = _whole(begun.get("audio_ms")), _whole(stopped.get(end_ms, {}).get("audio_ms"))
        span = _span(turn, end_ms, silence_ms, from_ms, to_ms)
        window = Span(max(span.start_ms - LATE_MS, found[-1].stopped_ms if found else 0), end_ms)
        runs = _within(voice, window)
        item = begun.get("item")
        found.append(
            Piece(
                span=Span(runs[0].start_ms, runs[-1].end_ms) if runs else span,
                noticed_ms=turn.start_ms,
                stopped_ms=end_ms,
                text=(turn.text or "").strip(),
                item=item if isinstance(item, str) else None,
                over_role=any(_over(one, turn.start_ms) for one in role),
                cut=turn.cut,
                runs=runs,
            )
        )
    return found


def grouped(found: Sequence[Piece], breaks: Iterable[int]) -> list[tuple[Piece, ...]]:
    """The learner's turns: pieces between which the line said nothing.

    Args:
        found: the pieces that count, in order.
        breaks: when the line began to say something, or was asked to.
    """
    between = sorted(breaks)
    groups: list[list[Piece]] = []
    for piece in found:
        before = groups[-1][-1].noticed_ms if groups else None
        if before is None or bisect_right(between, piece.noticed_ms) > bisect_right(between, before):
            groups.append([piece])
        else:
            groups[-1].append(piece)
    return [tuple(group) for group in groups]


def restarts(turn: Sequence[Piece]) -> int:
    """How often the learner went on by themselves within a second of having stopped, in one turn."""
    return sum(after.noticed_ms - before.stopped_ms < RESTART_MS for before, after in pairwise(turn))


def _span(turn: TurnRecord, end_ms: int, silence_ms: int, from_ms: int | None, to_ms: int | None) -> Span:
    """The voice of a recorded turn, as far as it can be told from when the detection noticed its start and its end."""
    # A turn in which the line went away did not end by silence: how much of it was silent is not known.
    voice_end_ms = end_ms if turn.cut else max(turn.start_ms, end_ms - silence_ms)
    if from_ms is None or to_ms is None or to_ms < from_ms:
        return Span(min(turn.start_ms, voice_end_ms), voice_end_ms)
    length_ms = max(0, to_ms - from_ms - PREFIX_PADDING_MS - silence_ms)
    # Padding does not reach back behind the turn before, so it may be less: a voice begins before it is noticed.
    start_ms = min(turn.start_ms, voice_end_ms - length_ms)
    return Span(max(0, min(start_ms, voice_end_ms)), voice_end_ms)


def _over(role: TurnRecord, noticed_ms: int) -> bool:
    """Whether a voice was noticed while this turn of the role was heard; one that it cut ends at that very moment."""
    if role.end_ms is None or role.end_ms - role.start_ms < LEAST_TURN_MS or role.start_ms >= noticed_ms:
        return False
    return noticed_ms < role.end_ms or (role.cut and noticed_ms == role.end_ms)


def _within(voice: Sequence[Span], window: Span) -> tuple[Span, ...]:
    """The parts of some spans that lie in a window."""
    clipped = ((max(span.start_ms, window.start_ms), min(span.end_ms, window.end_ms)) for span in voice)
    return tuple(Span(start_ms, end_ms) for start_ms, end_ms in clipped if start_ms < end_ms)


def _speech(data: Mapping[str, object]) -> Span:
    start_ms, end_ms = _whole(data.get("start_ms")), _whole(data.get("end_ms"))
    return Span(0, 0) if start_ms is None or end_ms is None else Span(start_ms, end_ms)


def _whole(value: object) -> int | None:
    """A number of milliseconds, if that is what it is."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
