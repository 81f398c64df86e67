"""Looks at one turn: what in it needs an answer, and how strong a one. Pure; the words themselves go nowhere.

What is found and what is done about it are data (``tutor/catalogue/safety``). Knows no call and remembers nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from tutor.safety import personal, words
from tutor.safety.phrases import MASKED
from tutor.safety.tokens import tokens
from tutor.safety.words import ACTIONS, CATEGORIES, Action, Category, Speaker


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found in a turn. It says which list found it, and holds nothing that was said."""

    category: Category
    action: Action
    rule: str
    """``es/self_harm.wish``, ``personal_data.number``, ``moderation/violence``."""

    @property
    def weight(self) -> tuple[int, int]:
        """Orders findings: the action counts first, then the category; more is more serious."""
        return ACTIONS.index(self.action), -CATEGORIES.index(self.category)


def screen(text: str, languages: Iterable[str], speaker: Speaker, *, kid: bool = False) -> Finding | None:
    """The most serious finding in a turn; None when there is nothing to do about it. Below 0.2 ms for a turn.

    Args:
        languages: tags of those that may be spoken, as a rule the learner's own and the one being learned.
        kid: children's mode, which is stricter.
    """
    said = tokens(text)
    findings: list[Finding] = []
    for base in dict.fromkeys(tag.partition("-")[0].lower() for tag in languages):
        lists = words.of(base)
        if lists is None:
            continue
        counted = said
        for idiom in lists.harmless.find(said):
            if counted is said:
                counted = list(said)
            counted[idiom.start : idiom.end] = [MASKED] * (min(idiom.end, len(said)) - idiom.start)
        findings += [
            finding
            for found in lists.phrases.find(counted)
            if (finding := _finding(found.label, speaker, kid)) is not None
        ]
    if speaker == "learner" and (given := personal.given(text, said)) is not None:
        finding = _finding(f"personal_data.{given}", speaker, kid)
        findings += [finding] if finding is not None else []
    return max(findings, key=lambda finding: finding.weight, default=None)


def _finding(label: str, speaker: Speaker, kid: bool) -> Finding | None:
    name, _, rule = label.partition("/")[2].partition(".") if "/" in label else label.partition(".")
    category = cast("Category", name)  # the loader checked the names
    action = words.action(category, rule, speaker, kid)
    return None if action is None else Finding(category, action, label)
