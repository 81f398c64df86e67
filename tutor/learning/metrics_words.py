"""What the learner's words amount to: how many, how frequent they are in the language, how often a start was repaired.

Pure, on transcripts; nothing of it says whether anything was right. Knows no call and no clock.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Final

from tutor.learning import metrics_data
from tutor.safety.tokens import tokens
from tutor.script.catalogue import PACKAGED
from tutor.talk.drift import FORMS_PER_LEMMA, UNSPACED, measure

RANKS: Final = (1_000, 2_000, 5_000)
"""Where the bands of the frequency lists end, in word forms; what is not in the list is a band of its own."""

_WORD: Final = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")
_HAN: Final = re.compile("[\u3005\u3040-\u30ff\u3400-\u9fff]+")
_CLAUSE: Final = re.compile(r"[^\w\s'’-]+")
_ABANDONED: Final = re.compile(r"[^\W\d_](?:—|–|--)(?=[\s,.…]|$)")
"""A word that breaks off at a dash; a dash between two words is an ordinary one."""
_FRAGMENT: Final = re.compile(r"\b([^\W\d_]+)-[\s,.…]+(?=\1[^\W\d_])", re.IGNORECASE)
"""A word that breaks off at a hyphen and is said whole ("quie- quiero"); other hyphens belong to words."""


@dataclass(frozen=True, slots=True)
class Types:
    """The different words of some texts, by how frequent they are."""

    all: int
    in_band: int
    """Of these, the ones the level card lets a role use; 0 <= in_band <= all."""
    by_rank: tuple[int, ...]
    """Up to rank 1,000, up to 2,000, up to 5,000, beyond; adds up to all."""


def count(text: str, target_tag: str) -> int:
    """The words of a text; in Chinese and Japanese its characters weighed as words, as the level cards weigh them."""
    return measure(text, target_tag).words


def types(texts: Iterable[str], target_tag: str, *, band: int | None = None) -> Types:
    """How many different word forms were said; names and words of other languages are beyond the list.

    Args:
        texts: what was said.
        target_tag: the language being learned.
        band: the level card's most frequent lemmas; None: all of the list.
    """
    base = target_tag.partition("-")[0].lower()
    ranks = _ranks(base)
    said = [ranks.get(form, len(ranks)) for form in forms(texts, target_tag)]
    common = len(ranks) if band is None else min(len(ranks), band * FORMS_PER_LEMMA)
    edges = (0, *(min(edge, len(ranks)) for edge in RANKS))
    by_rank = [sum(low <= rank < high for rank in said) for low, high in pairwise(edges)]
    return Types(len(said), sum(rank < common for rank in said), (*by_rank, len(said) - sum(by_rank)))


def forms(texts: Iterable[str], target_tag: str) -> frozenset[str]:
    """The different word forms of some texts, case folded, numbers left out; contractions fall into their parts.

    In Chinese and Japanese the longest words of the frequency list, one after the other.
    """
    base = target_tag.partition("-")[0].lower()
    return frozenset(form for text in texts for form in _forms(unicodedata.normalize("NFC", text), base))


def rank(word: str, tag: str) -> int | None:
    """How frequent a word form is in a language, from 0; None where it is not in the list, or there is none."""
    return _ranks(tag.partition("-")[0].lower()).get(unicodedata.normalize("NFC", word).casefold())


def ranked(tag: str) -> bool:
    """Whether there is a frequency list of a language."""
    return bool(_ranks(tag.partition("-")[0].lower()))


def repairs(text: str, target_tag: str) -> int:
    """How often a turn starts anew in its words: a word or two said twice, a word that breaks off, "I mean".

    A weak measure (tutoring.md §3.6): transcribers smooth much of it away. For a trend alone.
    """
    known = metrics_data.of(target_tag)
    doubled = known.doubled if known is not None else frozenset()
    edits = known.find(text, "edits") if known is not None else 0
    broken = len(_ABANDONED.findall(text)) + len(_FRAGMENT.findall(text))
    return _repeated(text, target_tag.partition("-")[0].lower(), doubled) + broken + edits


def _repeated(text: str, base: str, doubled: frozenset[str]) -> int:
    """Stretches of one or two words that stand twice in a row; where words are not spaced, parts of a sentence."""
    if base in UNSPACED:
        parts = ["".join(tokens(part)) for part in _CLAUSE.split(text)]
        return sum(one == other and one != "" and one not in doubled for one, other in pairwise(parts))
    said = [word for word in tokens(text) if word.isalpha()]
    count, at = 0, 0
    while at < len(said):
        length = next((size for size in (2, 1) if _twice(said, at, size, doubled)), 0)
        count += length > 0
        at += max(1, length)
    return count


def _twice(said: list[str], at: int, size: int, doubled: frozenset[str]) -> bool:
    here = said[at : at + size]
    return len(here) == size and here == said[at + size : at + 2 * size] and not doubled.issuperset(here)


def _forms(text: str, base: str) -> Iterator[str]:
    folded = text.casefold().replace("’", "'")
    if base in UNSPACED:
        for part in _HAN.findall(folded):
            yield from _segments(part, base)
        return
    ranks = _ranks(base)
    for word in _WORD.findall(folded):
        yield from [word] if word in ranks else word.split("'")


def _segments(text: str, base: str) -> Iterator[str]:
    """The longest words of the list, one after the other; a character that begins none stands alone."""
    ranks, longest = _ranks(base), _longest(base)
    at = 0
    while at < len(text):
        ends = range(min(at + longest, len(text)), at, -1)
        end = next((end for end in ends if text[at:end] in ranks), at + 1)
        yield text[at:end]
        at = end


@cache
def _ranks(base: str) -> Mapping[str, int]:
    """The word forms of a language and their rank, from 0; empty where there is no list."""
    file = PACKAGED / "frequency" / f"{base}.txt"
    words = file.read_text(encoding="utf-8").split() if file.is_file() else []
    return {word: rank for rank, word in enumerate(words)}


@cache
def _longest(base: str) -> int:
    return max(map(len, _ranks(base)), default=1)
