"""What one call shows of how the learner spoke: figures from its record, for the learner's next calls and for teachers.

Pure: turns and events in, `Measures` out; the same record always gives the same figures. They compare a learner with
themselves; none of them counts errors, and none is a level (tutoring.md §3.6). Knows no database and no model.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final, Literal

import msgspec

from tutor.learning.coverage import Coverage
from tutor.learning.facts import LEAST_TURNS
from tutor.learning.metrics_turns import CLARIFYING_KEYS, Record, TurnMeasure, first_utterance_ms, measured
from tutor.learning.metrics_words import Types, count, repairs, types
from tutor.learning.recorded import EventRecord, TurnRecord
from tutor.learning.speech import Piece, restarts, spans
from tutor.learning.syllables import syllables
from tutor.talk.goals import words

HINTS: Final = (1.0, 2.0, 3.0)
"""What a keyword, the start of a sentence and a whole phrase weigh in the support index (tutoring.md §3.6)."""

TRANSLATION: Final = 2.0
EASIER_WORDS: Final = 1.0
SLOWER: Final = 0.5
"""What the other help weighs there; the line in easier words stays in the target, and is half a translation (ours)."""

BROKEN_DOWN: Final = frozenset({"more_time", "choice", "model_phrase"})
"""The second to the fourth rung of the stuck ladder."""

ENOUGH_WORDS: Final = 30
ENOUGH_TRANSCRIBED: Final = 0.6
"""What figures from transcripts need to be told; ours. Children, accents and noise are transcribed less well."""

_MINUTE_MS: Final = 60_000
_SECOND_MS: Final = 1_000

Missing = Literal["pauses", "words", "answers"]


@dataclass(frozen=True, slots=True)
class Reliability:
    """How far the figures of a call can be relied on."""

    words: int = 0
    """The learner's words that were transcribed."""
    transcribed: float | None = None
    """The share of the learner's turns that have a transcript, 0-1; None without turns."""
    noisy: bool = False
    """The line was so loud that it was told."""
    missing: tuple[Missing, ...] = ()
    """What the record cannot tell: pauses without voice segments, words without transcripts, answers without times."""

    @property
    def text(self) -> bool:
        """Whether what is read off transcripts may be told: words, rates, frequency, repairs."""
        enough = self.transcribed is not None and self.transcribed >= ENOUGH_TRANSCRIBED
        return enough and self.words >= ENOUGH_WORDS and not self.noisy


@dataclass(frozen=True, slots=True)
class Measures:
    """The figures of one call. Times are milliseconds; None is not known, which is never the same as 0."""

    turns: tuple[TurnMeasure, ...] = ()
    learner_turns: int = 0
    median_latency_ms: int | None = None
    """From the end of the role's turn, as heard, to the learner's voice; without turns that broke in."""
    first_utterance_ms: int | None = None
    """From the end of the heard greeting to the learner's first turn."""
    turn_ms: int = 0
    """The time of the learner's turns, pauses inside them included: the sum of their durations."""
    role_ms: int = 0
    """How long the role was heard."""
    talk_share: float | None = None
    """The learner's voice in all that the two said, 0-1. Without voice segments pauses inside turns count as voice."""

    phonation_ms: int | None = None
    """How long there was voice, pauses of 250 ms and more taken off."""
    silent_pause_ratio: float | None = None
    """Pauses inside turns in the time of turns, 0-1."""
    pauses_per_minute: float | None = None
    """Of the time of turns."""
    mean_pause_ms: float | None = None
    """None also when there was no pause."""
    articulation_rate: float | None = None
    """Syllables a second of voice."""
    mean_run_syllables: float | None = None
    """Syllables between two pauses."""
    syllables_per_second: float | None = None
    """Of the time of turns: the speech rate."""
    words_per_minute: float | None = None
    """Of the time of turns."""

    mean_turn_words: float | None = None
    types: Types | None = None
    """The different words."""
    repairs_per_100_words: float | None = None
    """Starts anew, in words and in time. For a trend alone: it does not tell levels apart."""
    overlaps: int = 0
    """Turns that began over the role's voice with two words or more."""

    clarifications: int = 0
    """How often the learner asked to hear or understand something again, in words or by keys 2, 3 and 4."""
    clarification_rate: float | None = None
    """The same for each turn; above 1 when keys are pressed more often than anything is said."""
    role_clarifications: int = 0
    """Turns after which the role asked back, or noted that it had not understood."""
    breakdown_rate: float | None = None
    """These, and rungs of the stuck ladder from the second on, for each turn of the learner."""
    understood_share: float | None = None
    """Turns after which the role did not ask back, of all, 0-1."""
    support_index: float = 0.0
    """Help asked for by key or in words, weighed, for each goal of the scene; 0 or more."""
    coverage: float | None = None
    """Items of the class that the learner used, of those that were to come up, 0-1; None without any."""

    median_answer_ms: int | None = None
    """From the detected end of a turn to our first frame."""
    median_gap_ms: int | None = None
    """From the end of the learner's voice to our first frame."""
    reliability: Reliability = field(default_factory=Reliability)

    @property
    def comparable(self) -> bool:
        """Whether the call was long and quiet enough to be held against others: four turns, no noisy line."""
        return self.learner_turns >= LEAST_TURNS and not self.reliability.noisy

    def write(self) -> dict[str, Any]:
        """JSON values for a row; no word of anybody is in them."""
        written: dict[str, Any] = msgspec.to_builtins(self)
        return written

    @classmethod
    def read(cls, value: Mapping[str, Any]) -> Measures:
        """Reads what `write` gave. Raises msgspec.ValidationError when it is something else."""
        return msgspec.convert(value, cls)


def measure(
    scene_target: str,
    turns: Sequence[TurnRecord],
    events: Sequence[EventRecord],
    *,
    silence_ms: int,
    goals: int,
    band: int | None = None,
    coverage: Coverage | None = None,
    targeted: Sequence[str] = (),
) -> Measures:
    """Measures one call, with all that it went on with.

    What its record says by itself is preferred to the arguments (`Record.read`).

    Args:
        scene_target: the language being learned, with or without a region.
        turns: of the call, of all speakers.
        events: of the call.
        silence_ms: the silence that ended the learner's turns: `Needs.silence_ms` of the level.
        goals: how many goals the scene has; taken for 1 when there is none.
        band: the level card's ``vocabulary_band``.
        coverage: what of the class's material was used.
        targeted: the items of it that were to come up in this call; without them coverage is None.
    """
    record = Record.read(scene_target, turns, events, silence_ms=silence_ms)
    found = measured(record)
    spoken = [piece for group in record.speaking for piece in group]
    texts = [piece.text for piece in spoken if count(piece.text, scene_target)]
    turn_ms = sum(turn.duration_ms for turn in found)
    voice_ms = sum(piece.span.length_ms if piece.phonation_ms is None else piece.phonation_ms for piece in spoken)
    role_ms = sum(span.length_ms for span in spans(record.turns, "role"))
    said_words = sum(count(text, scene_target) for text in texts)
    clarifications = sum(turn.clarification for turn in found)
    clarifications += sum(digit in CLARIFYING_KEYS for _, digit in record.pressed)
    asked_back = sum(not turn.understood for turn in found)
    stuck = sum(event.data.get("step") in BROKEN_DOWN for event in record.of("stuck"))
    repaired = sum(map(restarts, record.speaking)) + sum(repairs(text, scene_target) for text in texts)
    return Measures(
        turns=found,
        learner_turns=len(found),
        median_latency_ms=_median(turn.latency_ms for turn in found),
        first_utterance_ms=first_utterance_ms(record),
        turn_ms=turn_ms,
        role_ms=role_ms,
        talk_share=_of(voice_ms, voice_ms + role_ms),
        **_fluency(spoken, scene_target),
        mean_turn_words=_of(said_words, sum(turn.words is not None for turn in found)),
        types=types(texts, scene_target, band=band) if texts else None,
        repairs_per_100_words=_of(100 * repaired, said_words),
        overlaps=sum(turn.overlap for turn in found),
        clarifications=clarifications,
        clarification_rate=_of(clarifications, len(found)),
        role_clarifications=asked_back,
        breakdown_rate=_of(asked_back + stuck, len(found)),
        understood_share=_of(len(found) - asked_back, len(found)),
        support_index=_support(record) / max(1, goals),
        coverage=_covered(coverage, targeted),
        median_answer_ms=_median(turn.answer_ms for turn in found),
        median_gap_ms=_median(turn.gap_ms for turn in found),
        reliability=_reliability(record, found, said_words),
    )


def _fluency(spoken: Sequence[Piece], target: str) -> dict[str, Any]:
    """What pauses and rates show. Rates are of pieces with a transcript, pauses of pieces with voice segments."""
    told = [piece for piece in spoken if count(piece.text, target)]
    told_ms = sum(piece.span.length_ms for piece in told)
    rates = {
        "syllables_per_second": _of(_SECOND_MS * sum(syllables(piece.text, target) for piece in told), told_ms),
        "words_per_minute": _of(_MINUTE_MS * sum(count(piece.text, target) for piece in told), told_ms),
    }
    segmented = [(piece, piece.phonation_ms) for piece in spoken if piece.phonation_ms is not None]
    if not segmented:
        return rates
    pauses = [pause for piece, _ in segmented for pause in piece.pauses_ms]
    phonation_ms = sum(voice_ms for _, voice_ms in segmented)
    both = [(piece, voice_ms) for piece, voice_ms in segmented if count(piece.text, target)]
    said = sum(syllables(piece.text, target) for piece, _ in both)
    return rates | {
        "phonation_ms": phonation_ms,
        "silent_pause_ratio": _of(sum(pauses), phonation_ms + sum(pauses)),
        "pauses_per_minute": _of(_MINUTE_MS * len(pauses), phonation_ms + sum(pauses)),
        "mean_pause_ms": _of(sum(pauses), len(pauses)),
        "articulation_rate": _of(_SECOND_MS * said, sum(voice_ms for _, voice_ms in both)),
        "mean_run_syllables": _of(said, sum(len(piece.runs) for piece, _ in both)),
    }


def _support(record: Record) -> float:
    """All help that was asked for, weighed."""
    rungs: list[object] = [event.data.get("rung") for event in record.of("hint")]
    said = [str(event.data.get("digit")) for event in record.of("key") if event.data.get("spoken")]
    slower = [*said, *(digit for _, digit in record.pressed)].count("2")
    return (
        sum(weight * rungs.count(rung) for rung, weight in enumerate(HINTS))
        + TRANSLATION * len(record.of("translate"))
        + EASIER_WORDS * len(record.of("paraphrase"))
        + SLOWER * slower
    )


def _covered(coverage: Coverage | None, targeted: Sequence[str]) -> float | None:
    """Items count once, however a teacher wrote them in lower or upper case."""
    if coverage is None:
        return None
    wanted = {" ".join(words(item)) for item in targeted}
    used = {" ".join(words(item)) for item in coverage.used_by_learner}
    return _of(len(wanted & used), len(wanted))


def _reliability(record: Record, found: Sequence[TurnMeasure], said_words: int) -> Reliability:
    told = sum(turn.words is not None for turn in found)
    pauses = any(piece.runs for group in record.speaking for piece in group)
    missing: dict[Missing, bool] = {
        "pauses": not pauses,
        "words": not told,
        "answers": all(turn.answer_ms is None for turn in found),
    }
    return Reliability(
        words=said_words,
        transcribed=_of(told, len(found)),
        noisy=bool(record.of("noisy")),
        missing=tuple(name for name, is_missing in missing.items() if is_missing),
    )


def _of(part: float, whole: float) -> float | None:
    """A part of a whole, or for each of it; None when there is no whole."""
    return part / whole if whole else None


def _median(values: Iterable[int | None]) -> int | None:
    """The middle one of what is known, to the millisecond."""
    known = [value for value in values if value is not None]
    return math.floor(median(known) + 0.5) if known else None
