"""What teachers and families are told on the telephone: patterns, never scores; what can be done, never what was said.

Nobody is named. Built from counts alone; knows no database and no keypad.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, TypeVar

from tutor.learning.said import Said
from tutor.learning.tellings import MOST_TOPICS, topic_names
from tutor.script.language import Language

T = TypeVar("T")

MOST_TITLES: Final = 3
MOST_GOALS: Final = 4
"""More is no pattern any more, and too long to listen to."""


def class_digest(
    native: Language,
    *,
    callers: int,
    talk_s: float,
    finished: Mapping[str, int],
    goals: Mapping[tuple[str, str], int],
    topics: Mapping[str, int] = MappingProxyType({}),
) -> tuple[str, ...]:
    """The last seven days of a class, in the teacher's language; some 20 seconds.

    Args:
        callers: how many people talked.
        talk_s: how long, all together.
        finished: how often each scenario was completed.
        goals: how often each goal was reached, by scenario and goal; unknown ones are left out.
        topics: types of pattern worth working on together, by how many learners they came up with; those without a
            name in the language are left out.
    """
    say = native.say
    if not callers:
        return say("teacher.intro"), say("teacher.nobody")
    minutes = max(1, round(talk_s / 60))
    lines = [
        say("teacher.intro"),
        say("teacher.week", callers=str(callers), minutes=str(minutes), scenes=str(sum(finished.values()))),
    ]
    titles = [native.scenes[scenario].title for scenario in _most(finished) if native.tells(scenario)]
    if titles:
        lines.append(say("teacher.titles", titles=native.enumerate(titles[:MOST_TITLES])))
    if can_dos := _can_dos(native, _most(goals), MOST_GOALS):
        lines.append(say("teacher.goals", can_dos=native.enumerate(can_dos)))
    if named := topic_names(_most(topics), native)[:MOST_TOPICS]:
        lines.append(say("teacher.patterns", patterns=native.enumerate(named)))
    return tuple(lines)


def family_news(
    native: Language, target: Language, *, goals: Sequence[tuple[str, str]], keep: str | None
) -> tuple[Said, ...]:
    """What a child can do now, the latest phrase to keep, slowly, and how to help; some 20 seconds.

    Args:
        native: the family's language.
        target: the language the child learns.
        goals: what was reached, by scenario and goal, the latest first; unknown ones are left out.
        keep: the phrase, in the target; None when there is none yet.
    """
    own = [native.say("family.nothing")]
    if can_dos := _can_dos(native, goals, MOST_GOALS):
        own = [native.say("family.done", can_dos=native.enumerate(can_dos))]
    lines = [Said.of(line, native) for line in own]
    if keep:
        lines += [Said.of(native.say("family.phrase"), native), Said.of(keep, target, slow=True)]
    return (*lines, Said.of(native.say("family.help"), native))


def _most(counts: Mapping[T, int]) -> list[T]:
    """The keys, the most frequent first; equal ones in the order of their names."""
    return sorted(counts, key=lambda key: (-counts[key], str(key)))


def _can_dos(native: Language, goals: Iterable[tuple[str, str]], most: int) -> list[str]:
    known = (
        native.scenes[scenario].can_do[goal]
        for scenario, goal in goals
        if native.tells(scenario) and goal in native.scenes[scenario].can_do
    )
    return list(dict.fromkeys(known))[:most]
