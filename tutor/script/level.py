"""The level card: how the role speaks, waits and helps at one CEFR level.

All numbers come from ``catalogue/levels.toml``, where people tune them. Knows no scenario and no language.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta

LEVELS = ("A1", "A2", "B1", "B2", "C1", "C2")
"""The CEFR levels, easiest first."""

PRESETS = ("ringua", "seed")
"""Sets of end-of-turn silences: ours, and the shorter ones of the first plan (500 ms at A1, else 200 ms)."""

Eagerness = Literal["low", "medium", "high", "auto"]
FirstLanguageUse = Literal["helper", "translate", "paraphrase_first", "paraphrase_only", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One column of the level table."""

    name: str
    words_per_minute: tuple[int, int] | None = None
    """The pace asked of the role, from-to; ``None`` is a natural pace."""
    speed: Annotated[float, Meta(ge=0.25, le=1.5)]
    """``audio.output.speed``: a post-process of the spoken audio, changed between turns only."""
    delivery: str
    """How the voice should sound beside its pace."""
    max_sentence_words: int | None = None
    """``None`` is free."""
    max_sentences: int
    """Sentences per turn of the role."""
    question_style: str
    vocabulary_band: int | None = None
    """The role keeps to this many most frequent lemmas; ``None`` is free."""
    structures: str
    slang: str
    max_output_tokens: Annotated[int, Meta(ge=1, le=4096)]
    """A safety net against monologues: 20 audio tokens are one second."""
    silence_ms: Annotated[int, Meta(ge=200, le=5000)]
    """Silence that ends the learner's turn (server voice detection), of the chosen preset."""
    eagerness: Eagerness
    """The same for semantic voice detection: low waits up to 8 s, medium 4 s, high 2 s."""
    stuck_s: tuple[float, ...]
    """When the rungs of the stuck ladder come, in seconds after the role was heard to end; 2-4 rungs."""
    scaffolds: Annotated[int, Meta(ge=0, le=4)]
    """How many of the rungs are offered without a key press."""
    menu_reminder: bool
    """Whether the line reminds the caller of keys 1 and 2 by itself."""
    learner_turn_goal: str
    learner_turn_words: int
    """Words in a learner's turn that count as reaching the goal, for the pace dial."""
    minutes: int
    """Usual length of a call, in minutes."""
    goals_per_scenario: tuple[int, int]
    """How many goals a scene of this level asks for, from-to."""
    error_policy: tuple[str, ...]
    """What the role does about errors during the scene, one rule an entry; numbers in words."""
    l1_use: FirstLanguageUse
    """What key 4 gives: a translation, an easier wording first, only that, or nothing."""
    predictability: str
    """How far the talk may leave the script. It replaces temperature, which the session no longer has."""
