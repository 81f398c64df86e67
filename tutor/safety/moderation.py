"""What the moderation endpoint's categories mean to us. Its answers come late and are rough: they confirm, or add.

Knows no request; `tutor.realtime.text.TextModel.moderate` asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tutor.safety import words
from tutor.safety.screen import Finding
from tutor.safety.words import Category, Speaker

MEANINGS: Final[Mapping[str, Category]] = {
    "self-harm": "self_harm",
    "self-harm/intent": "self_harm",
    "self-harm/instructions": "self_harm",
    "sexual/minors": "abuse",  # said by a learner it may be a disclosure: care is the safe answer
    "sexual": "sexual",
    "violence": "violence",
    "violence/graphic": "violence",
    "illicit/violent": "violence",
    "harassment/threatening": "violence",
    "hate": "hate",
    "hate/threatening": "hate",
    "harassment": "hate",
    "illicit": "drugs",
}
"""The thirteen categories of ``omni-moderation-latest``; one that is new to us is passed over."""


def finding(categories: Mapping[str, bool], speaker: Speaker, *, kid: bool = False) -> Finding | None:
    """The most serious finding among the flagged categories; None when there is nothing to do."""
    found: list[Finding] = []
    for name, flagged in categories.items():
        category = MEANINGS.get(name)
        if not flagged or category is None:
            continue
        action = words.action(category, "moderation", speaker, kid)
        if action is not None:
            found.append(Finding(category, action, f"moderation/{name}"))
    return max(found, key=lambda one: one.weight, default=None)
