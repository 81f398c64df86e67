"""What is settled about a call before it begins. Data only."""

from __future__ import annotations

from dataclasses import dataclass, field

from tutor.talk.needs import Needs


@dataclass(frozen=True, slots=True)
class Rules:
    """What the operator and the school set for one call, and what this learner needs."""

    limit_ms: int
    """When the call ends by itself."""
    speed: float | None = None
    """The voice's speed at the start; None: the level's."""
    needs: Needs = field(default_factory=Needs)
    """What this learner needs otherwise than the level says."""
    helpline: str | None = None
    """Where callers in need are sent."""
    contact: bool = False
    """Whether somebody at the school is told of a call that needs it."""
    kid: bool = False
    """Whether children's rules hold."""
