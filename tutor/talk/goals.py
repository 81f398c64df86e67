"""Which goals of the scene are earned, and on what evidence. Pure: claims and transcripts in, verdicts out.

The model claims a goal and must quote the learner. The quote is held against the learner's last three turns:
60 % of its words, accents and case folded, have to be there. A transcript that is still on its way is waited for up
to two seconds; where there is none to be had (it failed, or it is off) the model's word is taken and marked so,
because the transcriber is another, weaker listener than the model.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tutor.learning.timeline import Turn
from tutor.script.scenario import Goal

QUOTE_SHARE = 0.6
QUOTED_TURNS = 3
TRANSCRIPT_WAIT_MS = 2_000

Evidence = Literal["quote", "model"]


def words(text: str) -> list[str]:
    """The words of a text, case, accents and punctuation folded; in scripts without spaces, its characters."""
    folded = unicodedata.normalize("NFKD", text.casefold())
    out: list[str] = []
    word = ""
    for char in folded:
        if unicodedata.combining(char):
            continue
        if _stands_alone(char):
            if word:
                out.append(word)
                word = ""
            out.append(char)
        elif char.isalnum():
            word += char
        elif word:
            out.append(word)
            word = ""
    return [*out, word] if word else out


def _stands_alone(char: str) -> bool:
    """Han and kana, which are written without spaces."""
    return "\u3040" <= char <= "\u30ff" or "\u3400" <= char <= "\u9fff"


def quoted(quote: str, said: Sequence[str]) -> bool:
    """Whether enough of the quote's words are among what was said."""
    wanted = words(quote)
    spoken = {word for text in said for word in words(text)}
    return bool(wanted) and sum(word in spoken for word in wanted) >= QUOTE_SHARE * len(wanted)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a claim. ``reason`` is for the model, in English, when the goal was not accepted."""

    call_id: str
    goal: str
    quote: str
    evidence: Evidence | None
    reason: str = ""

    @property
    def accepted(self) -> bool:
        """Whether the goal is earned."""
        return self.evidence is not None


@dataclass(frozen=True, slots=True)
class _Claim:
    call_id: str
    goal: str
    quote: str
    until_ms: int


class Goals:
    """The goals of one call. ``earned`` maps goal to its evidence, in the order of earning."""

    def __init__(self, goals: Sequence[Goal]) -> None:
        self.goals = {goal.id: goal for goal in goals}
        self.earned: dict[str, Evidence] = {}
        self._skipped: list[str] = []
        self._claims: list[_Claim] = []

    @property
    def left(self) -> list[Goal]:
        """The goals not yet earned, in the scene's order, optional ones later and skipped ones last."""
        open_goals = [goal for goal in self.goals.values() if goal.id not in self.earned]
        skipped = self._skipped
        return sorted(
            open_goals,
            key=lambda goal: (skipped.index(goal.id) + 1 if goal.id in skipped else 0, goal.optional, goal.order),
        )

    @property
    def next(self) -> Goal | None:
        """The goal a hint is about."""
        left = self.left
        return left[0] if left else None

    def skip(self) -> tuple[Goal, Goal] | None:
        """Puts the next goal last: (that goal, the next one now); None when there is no other."""
        left = self.left
        if len(left) < 2:
            return None
        if left[0].id in self._skipped:
            self._skipped.remove(left[0].id)
        self._skipped.append(left[0].id)
        return left[0], self.left[0]

    @property
    def next_due_ms(self) -> int | None:
        """When the first waiting claim must be decided without its transcript."""
        return min((claim.until_ms for claim in self._claims), default=None)

    def claim(self, call_id: str, goal: str, quote: str, turns: Sequence[Turn], now_ms: int) -> list[Verdict]:
        """A claim of the model; decided now, or later by `decide`."""
        if goal not in self.goals:
            known = ", ".join(self.goals)
            return [Verdict(call_id, goal, quote, None, f"there is no goal {goal!r}; the goals are {known}")]
        if goal in self.earned:
            return [Verdict(call_id, goal, quote, None, "this goal was already marked")]
        if not words(quote):
            return [Verdict(call_id, goal, quote, None, "quote the learner's own words")]
        self._claims.append(_Claim(call_id, goal, quote, now_ms + TRANSCRIPT_WAIT_MS))
        return self.decide(turns, now_ms)

    def decide(self, turns: Sequence[Turn], now_ms: int) -> list[Verdict]:
        """Decides what can be decided.

        Args:
            turns: the learner's turns so far; a ``text`` of None has not come yet, an empty one never will.
            now_ms: the call's clock.
        """
        recent = turns[-QUOTED_TURNS:]
        texts = [turn.text for turn in recent if turn.text]
        pending = any(turn.text is None for turn in recent)
        unreliable = not recent or any(not turn.text for turn in recent)
        verdicts: list[Verdict] = []
        waiting: list[_Claim] = []
        for claim in self._claims:
            if claim.goal in self.earned:
                verdicts.append(Verdict(claim.call_id, claim.goal, claim.quote, None, "this goal was already marked"))
            elif quoted(claim.quote, texts):
                verdicts.append(self._accept(claim, "quote"))
            elif pending and now_ms < claim.until_ms:
                waiting.append(claim)
            elif unreliable and recent:
                verdicts.append(self._accept(claim, "model"))
            else:
                reason = "the learner did not say this; wait until they do, and quote their words"
                verdicts.append(Verdict(claim.call_id, claim.goal, claim.quote, None, reason))
        self._claims = waiting
        return verdicts

    def _accept(self, claim: _Claim, evidence: Evidence) -> Verdict:
        self.earned[claim.goal] = evidence
        return Verdict(claim.call_id, claim.goal, claim.quote, evidence)
