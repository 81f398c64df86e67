"""What a teacher and a family are told of one call, in their languages: from the same facts as the learner's debrief.

Both are put together from recorded facts and the catalogue's sentences, without a model, so that nobody is told of a
child what did not happen; nothing that was said is quoted but the debrief's one phrase. A teacher reads topics to work
on, never errors; a family what the child can do. Knows no call and no database.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec

from tutor.learning.debrief import Debrief
from tutor.learning.facts import Facts
from tutor.learning.patterns import NoteRecord, notes_of
from tutor.script.language import Language
from tutor.script.scene import Scene

RECURRENT: Final = 2
"""A topic is told to a teacher from so many notes in one call on, or when it hid the meaning once."""
MOST_TOPICS: Final = 3
MOST_WORDS: Final = 6
"""More is no summary any more."""

_FILE = Path(__file__).parents[1] / "catalogue" / "patterns.toml"


@dataclass(frozen=True, slots=True)
class Telling:
    """What somebody other than the learner is told of a call."""

    language: str
    """The tag of the language it is told in."""
    lines: tuple[str, ...]
    """Whole sentences, in order."""
    topics: tuple[str, ...] = ()
    """For teachers: the types of pattern behind the last line, so that a class's calls can be taken together."""

    def write(self) -> dict[str, Any]:
        """JSON values for a row."""
        written: dict[str, Any] = msgspec.to_builtins(self)
        return written

    @classmethod
    def read(cls, value: Mapping[str, Any]) -> Telling:
        """Reads what ``write`` gave. Raises msgspec.ValidationError when it is something else."""
        return msgspec.convert(value, cls)


def for_teacher(
    native: Language, facts: Facts, scene: Scene, *, coverage: Mapping[str, Any], notes: Iterable[NoteRecord]
) -> Telling:
    """What a teacher reads of a call: what was reached and how, the week's words, and topics for the class.

    After a safe exit, only that the call ended early: what troubled somebody is another person's to hear.

    Args:
        native: the teacher's language, the line's own.
        coverage: what of the class's material was due and used (``Coverage.write`` with ``due``); empty without any.
        notes: the call's entries.
    """
    strings = native.scenes.get(scene.scenario.id)
    title = strings.title if strings is not None and native.tells(scene.scenario.id) else scene.title
    lines = [native.say("teacher.scene", title=title, minutes=str(facts.minutes))]
    if facts.safe_exit:
        return Telling(native.tag, (*lines, native.say("teacher.early")))
    helped = {hint.goal for hint in facts.hints}
    reached = set(facts.reached)
    alone = [goal.goal for goal in facts.goals if goal.goal not in helped]
    with_hint = [goal.goal for goal in facts.goals if goal.goal in helped]
    left = [goal.id for goal in scene.scenario.goals if goal.id not in reached and not goal.optional]
    for key, goals in (("reached", alone), ("helped", with_hint), ("open", left)):
        if can_dos := _can_dos(native, scene.scenario.id, goals):
            lines.append(native.say(f"teacher.{key}", can_dos=native.enumerate(can_dos)))
    used = _words(coverage.get("used_by_learner"))
    waiting = [word for word in _words(coverage.get("due")) if word not in used]
    for key, words in (("words", used), ("words_open", waiting)):
        if words:
            lines.append(native.say(f"teacher.{key}", words=native.list_between.join(words[:MOST_WORDS])))
    topics = topics_of(notes)
    if named := topic_names(topics, native):
        lines.append(native.say("teacher.patterns", patterns=native.enumerate(named)))
    return Telling(native.tag, tuple(lines), topics)


def for_family(native: Language, facts: Facts, debrief: Debrief) -> Telling:
    """What a learner's family reads of a call: what was reached, and how to help. The phrase is the debrief's.

    ``native`` is the family's language, the learner's own.
    """
    can_dos = _can_dos(native, facts.scenario, debrief.can_dos)
    did = (
        native.say("told.family_did", can_dos=native.enumerate(can_dos))
        if can_dos and not facts.safe_exit
        else native.say("told.family_called")
    )
    return Telling(native.tag, (did, native.say("family.help")))


def topics_of(notes: Iterable[NoteRecord]) -> tuple[str, ...]:
    """The types of pattern of one call that are worth telling a teacher, the most frequent first.

    Only those that the catalogue has a name for: what the model makes up might be anything.
    """
    kept = [note for note in notes if note.kind == "error_note"]
    counted = notes_of(kept)
    blocking = notes_of(note for note in kept if note.data.get("severity") == "blocking")
    told = [name for name, times in counted.items() if name in _names() and (times >= RECURRENT or name in blocking)]
    return tuple(sorted(told, key=lambda name: (name not in blocking, -counted[name], name))[:MOST_TOPICS])


def topic_names(topics: Iterable[str], native: Language) -> list[str]:
    """Types of pattern as a teacher calls them, in the teacher's language; those without a name are left out."""
    tables = (_names().get(topic, {}) for topic in topics)
    named = (table.get(native.tag) or table.get(native.base) for table in tables)
    return [name for name in named if name]


def _can_dos(native: Language, scenario: str, goals: Sequence[str]) -> list[str]:
    """Goals in words; those the language does not know, as in a scene that was changed since, are left out."""
    strings = native.scenes.get(scenario)
    if strings is None or not native.tells(scenario):
        return []
    return [strings.can_do[goal] for goal in goals if goal in strings.can_do]


def _words(given: object) -> list[str]:
    return [word for word in given if isinstance(word, str)] if isinstance(given, list | tuple) else []


@cache
def _names() -> dict[str, dict[str, str]]:
    """Names by type and language, read once per process."""
    return msgspec.convert(tomllib.loads(_FILE.read_text(encoding="utf-8")), dict[str, dict[str, str]])
