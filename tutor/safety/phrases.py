"""Phrases found in tokens: patterns of a small language, compiled into one tree, so that many cost as little as few.

    kill time            these words, one after the other (folded: case and accents do not count)
    (my|our) (old |)dog  one of these; an empty one makes it optional
    suicid*              any word that begins so
    i ... die            up to three words between, within one sentence
    want to live .       the end of a sentence
    my <family>          one of a list of words given beside the patterns

Knows nothing of what a phrase means.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

from tutor.safety.tokens import END, tokens

GAP: Final = 3
"""How many tokens ``...`` may stand for."""
MASKED: Final = ""
"""In the place of a token that counts no more: nothing matches it, and no gap goes over it."""
_ANY: Final = "..."
_MOST_VARIANTS: Final = 4_000
"""A pattern that makes more than this is a slip."""

Step = str | frozenset[str]
"""A token, ``prefix*`` or ``...``; or one of several tokens."""


class PatternError(ValueError):
    """A pattern cannot be read; one sentence says which and why."""


@dataclass(frozen=True, slots=True)
class Found:
    """A phrase in a text."""

    label: str
    start: int
    end: int
    """Tokens; the end is behind the last one."""


@dataclass(slots=True)
class _Node:
    """A place in the tree: what may come next, and what has been found here. There are many: empty fields are None."""

    words: dict[str, tuple[_Node, ...]] | None = None
    prefixes: dict[str, _Node] | None = None
    choices: dict[frozenset[str], _Node] | None = None
    """Where one of several words leads, so that patterns that begin alike share their beginning."""
    gap: _Node | None = None
    labels: tuple[str, ...] = ()


class Phrasebook:
    """Finds labelled patterns. ``lists`` are the words behind ``<name>``.

    ``joined``: what the language writes together with the word that follows, such as the Arabic "and"; it may stand
    before the first word of any pattern.

    Raises PatternError.
    """

    def __init__(
        self,
        patterns: Iterable[tuple[str, str]],
        lists: Mapping[str, Sequence[str]] | None = None,
        joined: Sequence[str] = (),
    ) -> None:
        self._root = _Node()
        self._lists = lists or {}
        for label, pattern in patterns:
            for steps in self._variants(pattern):
                self._add(label, steps)
                for before in joined:
                    self._add(label, [_behind(before, steps[0]), *steps[1:]])

    def find(self, words: Sequence[str]) -> Iterator[Found]:
        """Every phrase in the tokens of a text, overlapping ones included."""
        root = self._root
        known, prefixes = root.words or {}, root.prefixes or {}
        for start, first in enumerate(words):
            if first not in known and not any(map(first.startswith, prefixes)):
                continue
            stack = [(root, start)]
            while stack:
                node, at = stack.pop()
                for label in node.labels:
                    yield Found(label, start, at)
                if node.gap is not None:
                    stack.append((node.gap, at))
                    for skipped in range(at, min(at + GAP, len(words))):
                        if words[skipped] in (END, MASKED):
                            break
                        stack.append((node.gap, skipped + 1))
                # The end of the text is the end of a sentence, whether it is marked or not.
                word = words[at] if at < len(words) else END
                if node.words is not None:
                    stack += [(child, at + 1) for child in node.words.get(word, ())]
                if node.prefixes is not None:
                    stack += [(child, at + 1) for start_of, child in node.prefixes.items() if word.startswith(start_of)]

    def _add(self, label: str, steps: Sequence[Step]) -> None:
        node = self._root
        for step in steps:
            node = _child(node, step)
        if label not in node.labels:
            node.labels = (*node.labels, sys.intern(label))

    def _variants(self, pattern: str) -> Iterator[list[Step]]:
        """Each way to read a pattern, as steps."""
        pieces, rest = self._sequence(pattern, pattern)
        if rest:
            raise PatternError(f"The pattern {pattern!r} closes a bracket that it has not opened.")
        if len(pieces) > _MOST_VARIANTS:
            raise PatternError(f"The pattern {pattern!r} has {len(pieces)} variants; write it as several.")
        for piece in pieces:
            steps = [step for part in piece for step in (_steps(part) if isinstance(part, str) else [part])]
            if not steps or _ANY in (steps[0], steps[-1]):
                raise PatternError(f"The pattern {pattern!r} can be empty, or begins or ends with '...'.")
            yield steps

    def _sequence(self, text: str, pattern: str) -> tuple[list[tuple[Step, ...]], str]:
        """The variants of what stands before the next ``|`` or ``)`` of this level, and the rest of the text."""
        variants: list[tuple[Step, ...]] = [()]
        while text and text[0] not in "|)":
            options: list[tuple[Step, ...]]
            if text[0] == "(":
                options, text = self._group(text[1:], pattern)
            elif text[0] == "<":
                name, closed, text = text[1:].partition(">")
                if not closed or name not in self._lists:
                    raise PatternError(f"The pattern {pattern!r} names a list that is not there: <{name}>.")
                options = _choice([(word,) for word in self._lists[name]])
            else:
                length = next((at for at, char in enumerate(text) if char in "(|)<"), len(text))
                options, text = [(text[:length],)], text[length:]
            variants = [(*before, *after) for before, after in product(variants, options)]
        return variants, text

    def _group(self, text: str, pattern: str) -> tuple[list[tuple[Step, ...]], str]:
        options: list[tuple[Step, ...]] = []
        while True:
            variants, text = self._sequence(text, pattern)
            options += variants
            if not text:
                raise PatternError(f"The pattern {pattern!r} opens a bracket that it does not close.")
            closed, text = text[0] == ")", text[1:]
            if closed:
                return _choice(options), text


def _choice(options: list[tuple[Step, ...]]) -> list[tuple[Step, ...]]:
    """Options of one plain word each become a single step; the others stay as they are."""
    plain: set[str] = set()
    others: list[tuple[Step, ...]] = []
    for option in options:
        only = option[0] if len(option) == 1 else None
        steps = _steps(only) if isinstance(only, str) else []
        if len(steps) == 1 and isinstance(steps[0], str) and steps[0] != _ANY and not steps[0].endswith("*"):
            plain.add(steps[0])
        else:
            others.append(option)
    return [(frozenset(plain),), *others] if plain else others


def _steps(text: str) -> list[Step]:
    """The steps of a text without brackets."""
    steps: list[Step] = []
    for part in text.split():
        if part == _ANY:
            steps.append(_ANY)
        elif part == END:
            steps.append(END)
        elif part.endswith("*"):
            *whole, last = tokens(part[:-1])
            steps += [*whole, f"{last}*"]
        else:
            steps += tokens(part)
    return steps


def _behind(before: str, step: Step) -> Step:
    """A step with letters written before it."""
    return before + step if isinstance(step, str) else frozenset(before + word for word in step)


def _child(node: _Node, step: Step) -> _Node:
    """The place a step leads to, made when there is none yet."""
    if step == _ANY:
        node.gap = node.gap or _Node()
        return node.gap
    if isinstance(step, frozenset):
        node.choices = node.choices or {}
        if (known := node.choices.get(step)) is None:
            known = node.choices[step] = _Node()
            for word in step:
                _lead(node, word, known)
        return known
    if step.endswith("*"):
        node.prefixes = node.prefixes or {}
        return node.prefixes.setdefault(step[:-1], _Node())
    chosen = (node.choices or {}).values()
    for child in (node.words or {}).get(step, ()):
        if not any(child is other for other in chosen):
            return child
    child = _Node()
    _lead(node, step, child)
    return child


def _lead(node: _Node, word: str, child: _Node) -> None:
    node.words = node.words or {}
    node.words[sys.intern(word)] = (*node.words.get(word, ()), child)
