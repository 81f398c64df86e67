"""A school's own scene: one TOML file with the scenario and its strings in some languages, read and checked by itself.

Everything that is wrong is told at once, with its line. Whether it fits into a catalogue is asked elsewhere
(``scene_check``). Knows no file on disk and no other scene.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, get_type_hints

import msgspec

from tutor.script.language import NATIVE_SCENE_FIELDS, TARGET_SCENE_FIELDS, SceneStrings
from tutor.script.scenario import Goal, Scenario

LONGEST: Mapping[str, int] = {
    "id": 40, "tags": 30, "role": 80, "personality": 160, "setting": 160, "learner_role": 100, "twists": 80,
    "can_do": 60, "evidence": 100, "hint_concepts": 50, "title": 40, "preview": 140, "who": 120, "greeting": 160,
    "hints": 100, "keywords": 40,
}  # fmt: skip
"""Characters of one text of a field; a third more than the packaged scenes need."""

MOST: Mapping[str, int] = {"goals": 8, "twists": 6, "keywords": 12, "tags": 6}
"""Entries of a list."""

RANGES: Mapping[str, tuple[int, int]] = {"minutes": (1, 15), "key": (1, 99), "order": (1, 99)}

_ID = re.compile(r"[a-z][a-z0-9_]*")
_TAG = re.compile(r"[a-z]{2,3}(-[A-Z]{2})?")
_HEADER = re.compile(r"^\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"^\s*([\w\"'.-]+)\s*=")
_FORBIDDEN = '<>#`"'
"""What could end a quotation or look like a section or a tag in the model's instructions."""

_TYPES = {"str": "text", "int": "a whole number", "float": "a number", "bool": "true or false", "array": "a list"}

Path = tuple[str | int, ...]
Table = dict[str, Any]


class SceneRejected(ValueError):
    """A scene cannot be used; ``problems`` has one sentence for each thing that is wrong."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


@dataclass(frozen=True, slots=True)
class OwnScene:
    """A scenario together with its strings, which need not be there for every language."""

    scenario: Scenario
    strings: Mapping[str, SceneStrings]
    """By tag; each with a native part, a target part, or both."""


def read(text: str) -> OwnScene:
    """The scene that a file's text describes: the fields of a packaged scenario, and ``[languages.<tag>]`` tables.

    Raises:
        SceneRejected: something is missing, unknown, mistyped, too long or contradicts something else.
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SceneRejected([f"The file does not read as TOML: {str(error).rstrip('.')}."]) from error
    notes = Notes(text)
    languages, goals = raw.pop("languages", {}), raw.pop("goals", [])
    made = [_goal(notes, at, goal) for at, goal in enumerate(_list(notes, ("goals",), goals))]
    values = _values(notes, (), raw, Scenario, without=("goals",))
    if len(made) > MOST["goals"]:
        notes.add(("goals",), f"there are {len(made)}; at most {MOST['goals']} fit into one call")
    strings = _languages(notes, languages, [str(goal.get("id")) for goal in goals if isinstance(goal, dict)])
    whole = [goal for goal in made if goal is not None]
    if values is not None and len(whole) == len(made):
        scenario = Scenario(**values, goals=tuple(whole))
        for name, problem in scenario.contradictions():
            notes.add((name,), problem)
        if not notes.problems:
            return OwnScene(scenario, strings)
    raise SceneRejected(notes.problems)


class Notes:
    """What is wrong with a file, each with the line of the field it is about."""

    def __init__(self, text: str) -> None:
        self.problems: list[str] = []
        self._lines = dict(_positions(text))

    def add(self, path: Path, problem: str) -> None:
        """Notes one problem of the field at ``path``; a field that is not there has the line of its table."""
        known = next((path[:size] for size in range(len(path), 0, -1) if path[:size] in self._lines), None)
        line = f"line {self._lines[known]}, " if known is not None else ""
        where = ".".join(str(part + 1 if isinstance(part, int) else part) for part in path)
        self.problems.append(f"{line}{where}: {problem}.")


def _positions(text: str) -> Iterator[tuple[Path, int]]:
    """Each table's and field's line, from 1. A field inside a text of several lines may be taken for one: no harm."""
    table: Path = ()
    counts: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            table = _path(header[2])
            if header[1] == "[[":
                counts[header[2]] = counts.get(header[2], -1) + 1
                yield table, number
                table = (*table, counts[header[2]])
            yield table, number
        elif key := _KEY.match(line):
            yield (*table, *_path(key[1])), number


def _path(dotted: str) -> Path:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))


def _list(notes: Notes, path: Path, value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    notes.add(path, "it must be a list, one [[goals]] table for each")
    return []


def _goal(notes: Notes, at: int, raw: Any) -> Goal | None:
    values = _values(notes, ("goals", at), raw, Goal)
    return Goal(**values) if values is not None else None


def _values(notes: Notes, path: Path, raw: Any, kind: type, *, without: tuple[str, ...] = ()) -> Table | None:
    """The fields of a dataclass, each converted by itself; None when something is wrong with one of them."""
    if not isinstance(raw, dict):
        notes.add(path, "it must be a table")
        return None
    before = len(notes.problems)
    hints = get_type_hints(kind, include_extras=True)
    known = {field.name: field for field in fields(kind) if field.name not in without}
    values: Table = {}
    for name in raw.keys() - known.keys():
        notes.add((*path, name), f"there is no such field; known are {', '.join(sorted(known))}")
    for name, field in known.items():
        if name in raw:
            try:
                values[name] = msgspec.convert(raw[name], hints[name])
            except msgspec.ValidationError as error:
                notes.add((*path, name), _plainly(str(error)))
            else:
                _limits(notes, (*path, name), name, values[name])
        elif field.default is MISSING and field.default_factory is MISSING:
            notes.add((*path, name), "this field is missing")
    return values if len(notes.problems) == before else None


def _limits(notes: Notes, path: Path, name: str, value: Any) -> None:
    """Texts are one short line each; lists and numbers stay within bounds; names are plain."""
    texts = list(_texts(value))
    longest = LONGEST.get(name)
    for text in texts:
        if longest is not None and len(text) > longest:
            notes.add(path, f"a text has {len(text)} characters; at most {longest} are allowed")
        if not text.strip():
            notes.add(path, "a text is empty")
        if any(unicodedata.category(c) in ("Cc", "Zl", "Zp") or c in _FORBIDDEN for c in text):
            notes.add(path, f"a text must be one line without {' '.join(_FORBIDDEN)}")
    if isinstance(value, tuple | list) and len(value) > MOST.get(name, len(value)):
        notes.add(path, f"there are {len(value)}; at most {MOST[name]} are allowed")
    if name == "id" and not _ID.fullmatch(value):
        notes.add(path, f"it is {value}; use small letters a to z, digits and _, beginning with a letter")
    if name in RANGES and not RANGES[name][0] <= value <= RANGES[name][1]:
        notes.add(path, f"it is {value}; {RANGES[name][0]} to {RANGES[name][1]} are allowed")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for entry in value.values():
            yield from _texts(entry)
    elif isinstance(value, tuple | list):
        for entry in value:
            yield from _texts(entry)


def _languages(notes: Notes, raw: Any, goals: list[str]) -> dict[str, SceneStrings]:
    found = {}
    if not isinstance(raw, dict) or not raw:
        notes.add(("languages",), "there is none; add a table such as [languages.es]")
        return {}
    for tag, table in raw.items():
        path = ("languages", tag)
        if not _TAG.fullmatch(tag):
            notes.add(path, "this is no language tag; write es, or es-PR for a region")
        for name in ("can_do", "hints"):
            if isinstance(table, dict) and isinstance(table.get(name), dict):
                _same_goals(notes, (*path, name), table[name], goals)
        values = _values(notes, path, table, SceneStrings)
        if values is None:
            continue
        native, target = (
            [name for name in part if values.get(name)] for part in (NATIVE_SCENE_FIELDS, TARGET_SCENE_FIELDS)
        )
        _whole_part(notes, path, "native", native, NATIVE_SCENE_FIELDS)
        _whole_part(notes, path, "target", target, TARGET_SCENE_FIELDS)
        if not native and not target:
            notes.add(path, "it is empty; it needs a native part, a target part, or both")
        found[tag] = SceneStrings(**values)
    return found


def _whole_part(notes: Notes, path: Path, part: str, given: list[str], wanted: tuple[str, ...]) -> None:
    missing = [name for name in wanted if name not in given]
    if given and missing:
        notes.add(path, f"its {part} part lacks {', '.join(missing)}; a part is {', '.join(wanted)}, all or none")


def _same_goals(notes: Notes, path: Path, given: Mapping[str, Any], goals: list[str]) -> None:
    for goal in goals:
        if goal not in given:
            notes.add(path, f"the goal {goal} is missing")
    for goal in given:
        if goal not in goals:
            notes.add((*path, goal), f"the scene has no goal {goal}; it has {', '.join(goals)}")


def _plainly(message: str) -> str:
    """What the converter says, in words of people who write scenes."""
    message = re.sub(r" - at `\$(.*)`$", lambda at: f" ({at[1].strip('.')})", message)
    message = re.sub(r"\[(\d+)\]", lambda at: f"entry {int(at[1]) + 1}", message)
    message = re.sub(r"`(\w+)`", lambda name: _TYPES.get(name[1], name[1]), message)
    return message[:1].lower() + message[1:]
