"""What a learner's last calls say about the next one, from their observations: the same after a call and at night."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from db.observations import Lately
from tutor.learning.patterns import CallNotes
from tutor.learning.profile import Observed, Profile, profile
from tutor.learning.recommend import weak_goals
from tutor.script.catalogue import Catalogue


@dataclass(frozen=True, slots=True)
class _Figures:
    learner_turns: int
    median_latency_ms: int | None


def profile_of(calls: Sequence[Lately], language: str, catalogue: Catalogue) -> Profile:
    """The profile that these calls give.

    Args:
        calls: the last ones of one learner in one language, newest last.
        language: the language's tag.
        catalogue: with the school's own scenes; goals of scenes that it no longer has are not looked for.
    """
    scenes = {scenario.id: scenario for scenario in catalogue.scenarios}
    reached = [(scenes[call.scenario], call.notes.get("goals", ())) for call in calls if call.scenario in scenes]
    return profile([_observed(call) for call in calls], language, goals=weak_goals(reached))


def written(notes: CallNotes, goals: Iterable[str]) -> dict[str, Any]:
    """What the role noted in a call and which goals were reached, as ``Observation.notes`` keeps it.

    ``CallNotes.read`` reads the notes again.
    """
    return {"errors": dict(notes.errors), "blocking": sorted(notes.blocking), "goals": list(goals)}


def _observed(call: Lately) -> Observed:
    figures = _Figures(call.turns, call.latency_ms)
    return Observed(figures, CallNotes.read(call.turns, call.notes), call.confidence, call.noisy)
