"""The learner's turns of one call and what each shows: how soon, how long, in how many words, understood or not.

Pure, on a call's record. Nothing here counts errors; types of errors are only passed on as the role noted them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple

from tutor.learning.clarification import asks_again, asks_back, only_sounds
from tutor.learning.metrics_words import count
from tutor.learning.recorded import LEAST_TURN_MS, UNTRANSCRIBED_MS, EventRecord, TurnRecord, from_zero
from tutor.learning.speech import Piece, Span, grouped, pieces, role_spans, spans
from tutor.learning.syllables import syllables
from tutor.talk.overlap import WORDS as OVERLAP_WORDS

CLARIFYING_KEYS: Final = frozenset("234")
"""Slower, again, translate: the keys that ask for what was not understood (tutoring.md §1A row 108)."""

_SAID_BY_LINE: Final = frozenset({"translate", "paraphrase", "repeat", "word_given"})
"""Events after which the line speaks without a turn of its own on the record."""


@dataclass(frozen=True, slots=True)
class TurnMeasure:
    """One turn of the learner (tutoring.md §1A rows 81, 82, 84)."""

    number: int
    """From 1."""
    start_ms: int
    """When the voice began, in milliseconds of the call."""
    latency_ms: int | None
    """From the end of the role's turn, as it was heard, to the voice; 0 when the voice came first by a moment. None
    when the turn answers nothing: it broke in, followed a key, or another turn, without a turn of the role between."""
    duration_ms: int
    """The time of its voice, pauses inside it included."""
    words: int | None
    """None: no transcript."""
    syllables: int | None
    overlap: bool
    """It began over the role's voice, with at least two words."""
    clarification: bool
    """It asked to hear or understand something again."""
    understood: bool
    """The role did not ask back after it."""
    answer_ms: int | None
    """From the detected end of the turn to our first frame; None when nothing answered or something came between."""
    gap_ms: int | None
    """The same from the end of the voice: what was felt, but for the carrier's way."""
    goals: tuple[str, ...] = ()
    """Goals that were reached with it."""
    errors: tuple[str, ...] = ()
    """Types of what the role noted about it."""


@dataclass(frozen=True)
class Record:
    """One call as it was kept, with what is read off it more than once."""

    target: str
    native: str | None
    turns: Sequence[TurnRecord]
    events: Sequence[EventRecord]
    silence_ms: int

    @classmethod
    def read(
        cls, target: str, turns: Sequence[TurnRecord], events: Sequence[EventRecord], *, silence_ms: int
    ) -> Record:
        """The record of a call, whole where it went on with another: its own word goes before the arguments.

        The record says by itself which languages were spoken and, where ``began`` has ``silence_ms``, which silence
        ended turns.

        Args:
            target: the language being learned, with or without a region.
            turns: of the call, of all speakers.
            events: of the call.
            silence_ms: the silence that ended the learner's turns.
        """
        began: Mapping[str, Any] = next((event.data for event in events if event.kind == "began"), {})
        native, silence = began.get("native"), began.get("silence_ms")
        whole, happened = from_zero(turns, events)
        return cls(
            target=target,
            native=native if isinstance(native, str) and native else None,
            turns=whole,
            events=happened,
            silence_ms=silence if isinstance(silence, int) else silence_ms,
        )

    @property
    def learner_turns(self) -> int:
        """How many turns the learner took: the one count, of whoever rates a call and of whoever tells of it."""
        return len(self.speaking)

    @cached_property
    def pieces(self) -> list[Piece]:
        """All of the learner's voice, noises included."""
        return pieces(self.turns, self.events, self.silence_ms)

    @cached_property
    def role(self) -> list[Span]:
        """Where the role was heard."""
        return role_spans(self.turns)

    @cached_property
    def pressed(self) -> list[tuple[int, str]]:
        """(when, key) of the keys that were pressed, not said, and that did not only end a pause."""
        resumed = {event.at_ms for event in self.of("pause_over")}
        return [
            (event.at_ms, str(event.data.get("digit")))
            for event in self.of("key")
            if not event.data.get("spoken") and event.at_ms not in resumed
        ]

    @cached_property
    def speaking(self) -> list[tuple[Piece, ...]]:
        """The learner's turns in pieces: what they said to the role until the line spoke (tutoring.md §3.6).

        Each piece is at least 300 ms long and no mere sound.
        """
        counted = [piece for piece in self._to_the_role() if self._is_speech(piece)]
        line = (span.start_ms for span in (*self.role, *spans(self.turns, "helper")))
        asked = (event.at_ms for event in self.events if event.kind in _SAID_BY_LINE)
        return grouped(counted, (*line, *asked, *(at_ms for at_ms, _ in self.pressed)))

    def of(self, *kinds: str) -> list[EventRecord]:
        """The events of some kinds, in order."""
        return [event for event in self.events if event.kind in kinds]

    def _is_speech(self, piece: Piece) -> bool:
        """Whether a piece is speech; over the role's voice it needs two words, else it was a noise or a "yes"."""
        if piece.span.length_ms < LEAST_TURN_MS:
            return False
        words = count(piece.text, self.target)
        if words:
            return not only_sounds(piece.text, self.target) and (not piece.over_role or words >= OVERLAP_WORDS)
        noises = {event.data.get("item") for event in self.of("overlap")} if piece.item is not None else set()
        return piece.span.length_ms >= UNTRANSCRIBED_MS and piece.item not in noises

    def _to_the_role(self) -> Iterable[Piece]:
        """Without what was said to the helper, who asked for it (key 5)."""
        to_helper = set()
        for asked in self.of("word_asked"):
            ends = [at_ms for at_ms, _ in self.pressed if at_ms > asked.at_ms]
            ends += [event.at_ms for event in self.of("word_given") if event.at_ms > asked.at_ms]
            said = next((piece.noticed_ms for piece in self.pieces if piece.noticed_ms >= asked.at_ms), None)
            if said is not None and said <= min(ends, default=said):
                to_helper.add(said)
        return (piece for piece in self.pieces if piece.noticed_ms not in to_helper)


def measured(record: Record) -> tuple[TurnMeasure, ...]:
    """Each turn of the learner, in order."""
    groups = record.speaking
    answered = [piece.noticed_ms for group in groups for piece in group]
    said_at = {event.at_ms: event.data.get("item") for event in record.of("learner_said")}
    asked = {
        said_at.get(event.at_ms)
        for event in record.of("key")
        if event.data.get("spoken") and event.data.get("digit") in CLARIFYING_KEYS
    } - {None}
    asking_back = [
        *(
            turn.start_ms
            for turn in record.turns
            if turn.speaker == "role" and asks_back(turn.text or "", record.target)
        ),
        *(event.at_ms for event in record.of("breakdown") if event.data.get("kind") == "learner_not_understood"),
    ]
    found = []
    for place, group in enumerate(groups):
        first, last = group[0], group[-1]
        until_ms = groups[place + 1][0].noticed_ms if place + 1 < len(groups) else None
        texts = [piece.text for piece in group if count(piece.text, record.target)]
        answer_ms, gap_ms = _answer(record, last, until_ms)
        found.append(
            TurnMeasure(
                number=place + 1,
                start_ms=first.span.start_ms,
                latency_ms=_latency_ms(record, first, answered),
                duration_ms=sum(piece.span.length_ms for piece in group),
                words=sum(count(text, record.target) for text in texts) if texts else None,
                syllables=sum(syllables(text, record.target) for text in texts) if texts else None,
                overlap=any(piece.over_role and count(piece.text, record.target) >= OVERLAP_WORDS for piece in group),
                clarification=any(
                    (piece.item is not None and piece.item in asked)
                    or asks_again(piece.text, record.target, record.native)
                    for piece in group
                ),
                understood=not any(_between(last.noticed_ms, at_ms, until_ms) for at_ms in asking_back),
                answer_ms=answer_ms,
                gap_ms=gap_ms,
                goals=_named(record.of("goal"), "goal", first.noticed_ms, until_ms),
                errors=_named(record.of("error_note"), "type", first.noticed_ms, until_ms),
            )
        )
    return tuple(found)


class Delay(NamedTuple):
    """How long one answer of the role took."""

    at_ms: int
    """When it began to be heard, in milliseconds of the call."""
    answer_ms: int
    """See ``TurnMeasure.answer_ms``."""
    gap_ms: int
    """See ``TurnMeasure.gap_ms``."""


def delays(record: Record) -> list[Delay]:
    """Every answer to the learner's voice, a noise included: by times alone, for whoever has no time for words.

    Of sixty turns it takes a millisecond, where `measured` takes a hundred and more.
    """
    found = []
    for event in record.of("role_began"):
        answered_ms = event.data.get("answered_ms")
        voice = next((piece for piece in reversed(record.pieces) if piece.noticed_ms <= event.at_ms), None)
        if voice is not None and isinstance(answered_ms, int) and answered_ms >= 0:
            found.append(Delay(event.at_ms, answered_ms, max(0, event.at_ms - voice.span.end_ms)))
    return found


def first_utterance_ms(record: Record) -> int | None:
    """From the end of the heard greeting to the learner's first turn; None when there was none of either."""
    greeted = spans(record.turns, "role")
    if not greeted or not record.speaking:
        return None
    return max(0, record.speaking[0][0].span.start_ms - greeted[0].end_ms)


def _latency_ms(record: Record, piece: Piece, answered: Iterable[int]) -> int | None:
    prompt = next((span for span in reversed(record.role) if span.start_ms < piece.noticed_ms), None)
    if prompt is None or piece.over_role:
        return None
    between = (*answered, *(at_ms for at_ms, _ in record.pressed))
    if any(prompt.start_ms < at_ms < piece.noticed_ms for at_ms in between):
        return None
    return max(0, piece.span.start_ms - prompt.end_ms)


def _answer(record: Record, last: Piece, until_ms: int | None) -> tuple[int | None, int | None]:
    """How long the role's answer took: from the detected end of the turn, and from the end of the voice."""
    began = next((event for event in record.of("role_began") if _between(last.noticed_ms, event.at_ms, until_ms)), None)
    if began is None or any(last.noticed_ms < piece.noticed_ms <= began.at_ms for piece in record.pieces):
        return None, None
    answered_ms = began.data.get("answered_ms")
    if not isinstance(answered_ms, int) or answered_ms < 0:
        return None, None
    return answered_ms, max(0, began.at_ms - last.span.end_ms)


def _between(after_ms: int, at_ms: int, until_ms: int | None) -> bool:
    return at_ms > after_ms and (until_ms is None or at_ms < until_ms)


def _named(events: Iterable[EventRecord], key: str, after_ms: int, until_ms: int | None) -> tuple[str, ...]:
    """What some events between two turns name."""
    data: Iterable[Mapping[str, Any]] = (event.data for event in events if _between(after_ms, event.at_ms, until_ms))
    return tuple(str(one[key]) for one in data if one.get(key))
