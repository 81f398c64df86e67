"""Whether the role keeps to its level card: each of its turns is measured, and a short note brings it back.

Models that are told a level keep to it at first and drift to their own way of talking over the turns (tutoring.md
§3.1). Pure, on transcripts of the role; knows no clock and no voice. Frequency lists: tutor/catalogue/frequency.
"""

from __future__ import annotations

import re
import unicodedata
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from tutor.script.catalogue import PACKAGED
from tutor.script.prompt import in_words, reanchor
from tutor.script.scene import Scene

UNSPACED = {"zh": 1.5, "ja": 2.0}
"""Languages written without spaces, and how many characters weigh as much as a word of the others there. Japanese
spells its endings and particles out: of the catalogue's first lines, 1.5 would call every second A1 line too long."""

CAPITALISED_NOUNS = frozenset({"de"})
"""Languages in which a capital in mid-sentence is no sign of a name."""

FORMS_PER_LEMMA = 2
"""The cards count lemmas, the lists word forms. With two forms a lemma the easy lines of a scene have hardly any rare
word and those of a B2 scene more than a quarter."""

TOLERANCE = 1.2
"""A fifth over the card is no break: one word too many in a sentence of seven."""

RARE_SHARE = 0.2
RARE_WORDS = 3
"""Rare words are a break when they are more than this share of a turn (with the tolerance), and at least so many."""

WINDOW_TURNS, BREAKS = 3, 2
"""Two of the last three turns break the card before anything is said; then nothing for three turns."""

REANCHOR_TURNS = 8
"""So often the role is reminded of its level, broken or not."""

_WORD = re.compile(r"\d+(?:[.,:]\d+)*|[^\W\d_]+(?:['’][^\W\d_]+)*")
_SENTENCE_END = re.compile(r"([。！？]+|[.!?…]+(?=[\s\"'”’»)\]]|$)|\n+)")
_JAPANESE_QUESTION = re.compile(r"(?<!そうです)(?<!そうなんです)か$")
_JOINED = re.compile("[\u30a1-\u30fa\u30fc]+|[\u3041-\u3096\u3005\u3400-\u9fff]+|[^\\W\\d_]+")
"""Stretches of a text without spaces: katakana, other kana and characters, letters of another script."""

_KATAKANA = re.compile("[\u30a1-\u30fa\u30fc]+")

_NUMERALS = frozenset("〇零一二三四五六七八九十百千万两")


@dataclass(frozen=True, slots=True)
class TurnMeasure:
    """What a turn of the role weighs for a listener."""

    words: int
    sentences: int
    """A lone word ("Claro.") that stands beside others is no sentence of its own."""
    longest_sentence_words: int
    questions: int
    """Of lone words ("Really?") that ask beside other questions, none counts."""
    rare_words: int
    rare_share: float
    """Rare words among all, 0-1; 0 for an empty turn."""


def measure(text: str, target_tag: str, *, band: int | None = None, known: frozenset[str] = frozenset()) -> TurnMeasure:
    """Measures one turn of the role in less than a millisecond (the first of a language reads its list).

    Args:
        text: the turn's transcript.
        target_tag: the language it is in, with or without a region.
        band: how many of the most frequent lemmas are common; None or beyond the list (2,500): all of the list.
        known: words that are never rare, as `vocabulary` folds them.

    A word is rare when it is neither among the common ones, nor known, nor a number, nor (by its capital) a name.
    """
    base = target_tag.partition("-")[0]
    pieces = [*_SENTENCE_END.split(text), ""]
    said = [(part, mark) for part, mark in zip(pieces[::2], pieces[1::2], strict=True) if _WORD.search(part)]
    lengths = [_length(sentence, base) for sentence, _ in said]
    asked = [_is_question(sentence, mark, base) for sentence, mark in said]
    ranks = _ranks(base)
    common = min(band * FORMS_PER_LEMMA, len(ranks)) if band is not None else len(ranks)
    heard = [word for sentence, _ in said for word in _words(sentence, base, common)]
    rare = sum(not _is_common(word, ranks, common, known) for word in heard)
    return TurnMeasure(
        words=sum(lengths),
        sentences=_counted(lengths, lengths),
        longest_sentence_words=max(lengths, default=0),
        questions=_counted(lengths, asked),
        rare_words=rare,
        rare_share=rare / len(heard) if heard else 0.0,
    )


def vocabulary(texts: Iterable[str], target_tag: str) -> frozenset[str]:
    """Every word of some texts, folded as `measure` compares them; a text without spaces also as a whole."""
    base = target_tag.partition("-")[0]
    words: set[str] = set()
    for text in texts:
        words.update(word.casefold() for word in _words(text, base, len(_ranks(base))))
        words.update(part.casefold() for word in _WORD.findall(text) for part in (word, *re.split("['’]", word)))
    return frozenset(map(_plain, words))


class DriftGuard:
    """Watches the role of one call."""

    def __init__(self, scene: Scene) -> None:
        """A guard for a scene: its level card, and its own words, which are never rare."""
        strings, material = scene.target_strings, scene.class_prompt
        of_class = (material.theme, *material.vocabulary, *material.must_use) if material else ()
        hints = (phrase for rungs in strings.hints.values() for phrase in rungs)
        self._known = vocabulary((strings.greeting, *strings.keywords, *hints, *of_class), scene.target.tag)
        self._tag = scene.target.tag
        self._level = scene.level
        self._reanchor = reanchor(scene)
        self._breaks: deque[frozenset[str]] = deque(maxlen=WINDOW_TURNS)
        self._turns = 0
        self._quiet_until = 0

    def said(self, text: str, extra_sentences: int = 0) -> str | None:
        """Takes one turn of the role as it was transcribed.

        Args:
            text: the turn.
            extra_sentences: what the pace dial adds to the card's sentences, -2 to +2; one is always allowed.

        Returns:
            What the role should be told before its next turn: a note of a few words when it drifts, the reminder of
            its level at every eighth turn; mostly None.
        """
        self._turns += 1
        sentences = max(1, self._level.max_sentences + extra_sentences)
        self._breaks.append(self._broken(text, sentences))
        drifted = sum(map(bool, self._breaks)) >= BREAKS and self._turns > self._quiet_until
        if not drifted and self._turns % REANCHOR_TURNS:
            return None
        self._quiet_until = self._turns + WINDOW_TURNS
        if self._turns % REANCHOR_TURNS == 0:
            return self._reanchor
        return self._note(frozenset().union(*self._breaks), sentences)

    def _broken(self, text: str, sentences: int) -> frozenset[str]:
        """Which rules of the card a turn breaks."""
        level = self._level
        turn = measure(text, self._tag, band=level.vocabulary_band, known=self._known)
        longest = level.max_sentence_words
        too_long = longest is not None and turn.longest_sentence_words > longest * TOLERANCE
        hard = turn.rare_words >= RARE_WORDS and turn.rare_share > RARE_SHARE * TOLERANCE
        broken = {
            "length": too_long or turn.sentences > sentences * TOLERANCE,
            "questions": turn.questions > 1,
            "words": hard and level.vocabulary_band is not None,
        }
        return frozenset(rule for rule, is_broken in broken.items() if is_broken)

    def _note(self, broken: frozenset[str], sentences: int) -> str:
        """The rules that were broken, as short as they can be said; numbers in words."""
        said = []
        if "length" in broken:
            cap = f"at most {in_words(sentences)} sentence{'s' if sentences > 1 else ''}"
            longest = self._level.max_sentence_words
            said.append(f"Shorter: {cap}{f' of {in_words(longest)} words' if longest is not None else ''}.")
        if "questions" in broken:
            said.append("One question.")
        if "words" in broken:
            said.append("Easy words.")
        return " ".join(said)


def _length(sentence: str, base: str) -> int:
    """A sentence in words; where words have no spaces between them, by its characters."""
    per_word = UNSPACED.get(base)
    if per_word is None:
        return len(_WORD.findall(sentence))
    return max(1, round(sum(len(part) if _is_joined(part) else per_word for part in _parts(sentence)) / per_word))


def _is_question(sentence: str, mark: str, base: str) -> bool:
    """Whether a sentence asks; Japanese questions may end like statements, with か and a full stop."""
    return "?" in mark or "？" in mark or (base == "ja" and bool(_JAPANESE_QUESTION.search(sentence)))


def _counted(lengths: Sequence[int], marked: Sequence[object]) -> int:
    """How many sentences are marked: those of more than one word, or one where all are lone words."""
    counted = [length > 1 for length, mark in zip(lengths, marked, strict=True) if mark]
    return max(sum(counted), min(len(counted), 1))


def _words(sentence: str, base: str, common: int) -> Iterator[str]:
    """The words that may be rare: no numbers, no names."""
    if base in UNSPACED:
        for part in _JOINED.findall(sentence):
            if _KATAKANA.fullmatch(part):
                yield part
            elif _is_joined(part):
                yield from _segments(part, base, common)
        return
    for place, word in enumerate(_WORD.findall(sentence)):
        is_name = place > 0 and word[0].isupper() and base not in CAPITALISED_NOUNS
        if not is_name and not word[0].isdigit():
            yield word


def _segments(text: str, base: str, common: int) -> Iterator[str]:
    """The longest words of the list, one after another; what lies between them is one word.

    A character that is no common word by itself is taken for a part of a word that the list has not. So a rare word is
    hardly ever taken for common ones, and a common word that is cut in two is still common.
    """
    ranks, longest = _ranks(base), _longest(base)
    at = unknown = 0
    while at < len(text):
        ends = range(min(at + longest, len(text)), at + 1, -1)
        end = next((end for end in ends if text[at:end] in ranks), at + 1)
        if end == at + 1 and text[at] not in _NUMERALS and ranks.get(text[at], common) >= common:
            at += 1
            continue
        if unknown < at:
            yield text[unknown:at]
        yield text[at:end]
        at = unknown = end
    if unknown < len(text):
        yield text[unknown:]


def _is_common(word: str, ranks: Mapping[str, int], common: int, known: frozenset[str]) -> bool:
    """Whether a word is known or common; with an apostrophe, what follows it or its longest part ("caller's")."""
    whole = _plain(word.casefold())
    forms = [whole]
    if "'" in whole:
        forms += [whole.partition("'")[2], max(whole.split("'"), key=len)]
    return _NUMERALS.issuperset(whole) or any(form in known or ranks.get(form, len(ranks)) < common for form in forms)


def _parts(text: str) -> list[str]:
    return re.findall(r"\d+|" + _JOINED.pattern, text)


def _is_joined(part: str) -> bool:
    return "\u3005" <= part[0] <= "\u9fff"


def _plain(word: str) -> str:
    return unicodedata.normalize("NFC", word).replace("’", "'")


@cache
def _ranks(base: str) -> Mapping[str, int]:
    """The word forms of a language and their rank, from 0."""
    lines = (PACKAGED / "frequency" / f"{base}.txt").read_text(encoding="utf-8").split()
    return {word: rank for rank, word in enumerate(lines)}


@cache
def _longest(base: str) -> int:
    return max(map(len, _ranks(base)))
