"""Reads the catalogue (levels, scenarios, languages) from TOML and hands out scenes.

A wrong file stops the start with one sentence that names the file and the field. Knows no prompt text and
no call.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from string import Formatter
from typing import Any, TypeVar

import msgspec

from tutor.script.class_prompt import ClassPrompt
from tutor.script.due import due_items
from tutor.script.language import (
    ASK_KINDS,
    NATIVE_FIELDS,
    NATIVE_SCENE_FIELDS,
    NATIVE_STRINGS,
    TARGET_FIELDS,
    TARGET_PHRASES,
    TARGET_SCENE_FIELDS,
    Language,
    SceneStrings,
)
from tutor.script.level import LEVELS, PRESETS, Level
from tutor.script.own_scene import OwnScene
from tutor.script.scenario import Goal, Scenario
from tutor.script.scene import Scene

PACKAGED = Path(__file__).parents[1] / "catalogue"

OWN_PREFIX = "own_"
"""What a school puts before the id of a packaged scene to have a version of its own beside it."""

T = TypeVar("T")
Table = dict[str, Any]


class CatalogueError(ValueError):
    """A catalogue file is wrong or a name is unknown; the message is one sentence that says what exists."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All levels, scenarios and languages, checked against one another."""

    scenarios: tuple[Scenario, ...]
    """In menu order: by the easiest level, then by key."""
    languages: tuple[Language, ...]
    """Without regions, by tag."""
    regions: tuple[Language, ...]
    """Regional variants, each laid over its language, by tag."""
    levels: Mapping[str, Mapping[str, Level]]
    """Level cards by preset, then by level name."""
    preset: str = PRESETS[0]
    """The silences of every level card that is not asked for by another preset."""

    @property
    def tags(self) -> tuple[str, ...]:
        """Every tag that ``language`` answers to by itself, regions included."""
        return tuple(sorted(language.tag for language in (*self.languages, *self.regions)))

    @property
    def natives(self) -> tuple[Language, ...]:
        """The languages a learner may speak, regions included, by tag."""
        return tuple(language for language in map(self.language, self.tags) if language.is_native)

    @property
    def targets(self) -> tuple[Language, ...]:
        """The languages a learner may learn, regions included, by tag."""
        return tuple(language for language in map(self.language, self.tags) if language.is_target)

    def scenario(self, scenario_id: str) -> Scenario:
        """The scenario ``scenario_id``; raises ``CatalogueError`` when there is none."""
        return _named("scenario", scenario_id, {scenario.id: scenario for scenario in self.scenarios})

    def language(self, tag: str) -> Language:
        """The language ``tag`` (``es``, ``es-PR``, ``es_pr``); an unknown region falls back to its language.

        Raises:
            CatalogueError: the language itself is unknown.
        """
        known = {language.tag.lower(): language for language in (*self.languages, *self.regions)}
        asked = tag.replace("_", "-").lower()
        found = known.get(asked) or known.get(asked.partition("-")[0])
        return found or _named("language", tag, {name: self.language(name) for name in self.tags})

    def level(self, name: str, preset: str | None = None) -> Level:
        """The level card ``name`` with the silences of ``preset`` (None: the catalogue's own).

        Raises:
            CatalogueError: there is no level, or no preset, of this name.
        """
        return _named("level", name, _named("preset", preset or self.preset, self.levels))

    def with_preset(self, preset: str) -> Catalogue:
        """This catalogue with the silences of ``preset``; raises ``CatalogueError`` for an unknown one."""
        _named("preset", preset, self.levels)
        return replace(self, preset=preset)

    def offers(self, native: Language, target: Language) -> frozenset[str]:
        """The ids of the scenarios that have the native part in one language and the target part in the other."""
        ids = (scenario.id for scenario in self.scenarios)
        return frozenset(scenario for scenario in ids if native.tells(scenario) and target.plays(scenario))

    def with_scenarios(self, extra: Iterable[OwnScene]) -> Catalogue:
        """This catalogue and a school's own scenes, in the menu's order; it is itself not changed.

        A scene is offered in the languages it has strings for. A region without strings of its own speaks its
        language's.

        Raises:
            CatalogueError: two scenes have one id: a school's scene needs another than the packaged ones have.
        """
        scenarios = {scenario.id: scenario for scenario in self.scenarios}
        scenes: dict[str, dict[str, SceneStrings]] = {tag: {} for tag in self.tags}
        for own in extra:
            taken = own.scenario.id in scenarios
            _require(not taken, own.scenario.id, f"this id is taken; call it {OWN_PREFIX}{own.scenario.id}, say")
            scenarios[own.scenario.id] = own.scenario
            for language in (*self.languages, *self.regions):
                strings = own.strings.get(language.tag) or own.strings.get(language.base)
                if strings is not None:
                    scenes[language.tag][own.scenario.id] = strings
        return replace(
            self,
            scenarios=tuple(sorted(scenarios.values(), key=_menu_order)),
            languages=tuple(replace(one, scenes={**one.scenes, **scenes[one.tag]}) for one in self.languages),
            regions=tuple(replace(one, scenes={**one.scenes, **scenes[one.tag]}) for one in self.regions),
        )

    def pair(self, native: str, target: str) -> tuple[Language, Language]:
        """The languages of a learner who speaks ``native`` and learns ``target``.

        Raises:
            CatalogueError: a language is unknown, it lacks the part that is asked of it, or both are one language
                (regions of one language are no pair: nobody needs a hint or a translation between them).
        """
        own, learned = self.language(native), self.language(target)
        for language, part, able in ((own, "native", self.natives), (learned, "target", self.targets)):
            if language not in able:
                names = ", ".join(other.tag for other in able)
                raise CatalogueError(
                    f"{language.english_name} ({language.tag}) cannot be the {part} language; these can: {names}."
                )
        if own.base == learned.base:
            raise CatalogueError(
                f"The native language {own.tag} and the target {learned.tag} are one language; a pair needs two."
            )
        return own, learned

    def scene(
        self,
        scenario_id: str,
        *,
        native: str,
        target: str,
        level: str,
        class_prompt: ClassPrompt | None = None,
        seed: int = 0,
        learner_card: str = "",
        focus: str = "",
        kid: bool = False,
    ) -> Scene:
        """One call's script; the same arguments always give the same scene.

        Args:
            seed: chooses the twist, one after the other, and the words of the class that are due; from 0.
            learner_card: what may be remembered about the learner, in words.
            focus: what the learner's error patterns ask of the role; left out where the class has a structure of its
                own, because there is one focus a call.
            kid: whether a child calls: the role praises effort, shows how it is said and celebrates.

        Raises:
            CatalogueError: an unknown name, languages that are no ``pair``, or one that has no strings for this
                scenario.
        """
        scenario = self.scenario(scenario_id)
        own, learned = self.pair(native, target)
        for language, able in ((own, own.tells(scenario_id)), (learned, learned.plays(scenario_id))):
            _require(able, scenario_id, f"this scene has no strings for {language.english_name} ({language.tag})")
        return Scene(
            scenario=scenario,
            level=self.level(level),
            native=own,
            target=learned,
            class_prompt=class_prompt,
            due=due_items(class_prompt, seed) if class_prompt is not None else (),
            twist=scenario.twists[seed % len(scenario.twists)] if scenario.twists else "",
            learner_card=learner_card,
            focus="" if class_prompt is not None and class_prompt.grammar else focus,
            kid=kid,
        )


def load(path: Path | None = None) -> Catalogue:
    """The catalogue in the folder ``path``; without one, the packaged catalogue, read once per process.

    Raises:
        CatalogueError: a file is missing, unreadable or contradicts another; one sentence says which and how.
    """
    return _packaged() if path is None else _read(path)


@cache
def _packaged() -> Catalogue:
    return _read(PACKAGED)


def _read(path: Path) -> Catalogue:
    scenarios = [_scenario(file) for file in sorted((path / "scenarios").glob("*.toml"))]
    scenarios.sort(key=_menu_order)
    by_id = {scenario.id: scenario for scenario in scenarios}
    files = sorted((path / "languages").glob("*.toml"))
    bases = {file.stem: _language_table(file) for file in files if "-" not in file.stem}
    languages = [_language(tag, raw, by_id) for tag, raw in bases.items()]
    regions = []
    for file in files:
        base, _, region = file.stem.partition("-")
        if region:
            over = _laid_over(_named("language", base, bases), _language_table(file), file.stem, replace=True)
            regions.append(_language(file.stem, over, by_id))
    return Catalogue(tuple(scenarios), tuple(languages), tuple(regions), _levels(path / "levels.toml"))


def _levels(file: Path) -> dict[str, dict[str, Level]]:
    raw = _toml(file)
    _same_names(file.name, raw, LEVELS)
    found: dict[str, dict[str, Level]] = {preset: {} for preset in PRESETS}
    for name, table in raw.items():
        where = f"{file.name} [{name}]"
        silences = table.pop("silence_ms", {})
        _same_names(f"{where} silence_ms", silences, PRESETS)
        for preset, silence_ms in silences.items():
            level = _build(Level, table | {"name": name, "silence_ms": silence_ms}, where)
            _require(2 <= len(level.stuck_s) <= 4, where, "stuck_s needs 2 to 4 rungs")
            found[preset][name] = level
    return found


def _scenario(file: Path) -> Scenario:
    raw, where = _toml(file), f"scenarios/{file.name}"
    goals = [_build(Goal, goal, f"{where} goals") for goal in raw.pop("goals", ())]
    scenario = _build(Scenario, raw | {"goals": goals}, where)
    _require(scenario.id == file.stem, where, f"its id is {scenario.id}; id and file name must agree")
    for name, problem in scenario.contradictions():
        raise CatalogueError(f"{where}, {name}: {problem}.")
    return scenario


def _menu_order(scenario: Scenario) -> tuple[int, int, str]:
    """By the easiest level, then by key."""
    return LEVELS.index(scenario.cefr[0]), scenario.key, scenario.id


def _language_table(file: Path) -> Table:
    """``es.toml`` and, when there is a folder ``es/``, every file in it, merged; no value may be given twice."""
    table = _toml(file)
    for topic in sorted(file.with_suffix("").glob("*.toml")):
        table = _laid_over(table, _toml(topic), f"{file.stem}/{topic.name}", replace=False)
    return table


def _language(tag: str, table: Table, scenarios: Mapping[str, Scenario]) -> Language:
    where = f"languages/{tag}.toml"
    native, target = "says" in table, "target" in table
    _require(native or target, where, "it needs [says] to be a native language, [target] to be a target, or both")
    _part(f"{where}, native part", table, NATIVE_FIELDS, native)
    _part(f"{where}, target part", table, TARGET_FIELDS, target)
    _same_names(f"{where} asks", table.get("asks", ASK_KINDS), ASK_KINDS)
    says = _dotted(table.get("says", {}))
    if native:
        _same_names(f"{where} says", says, NATIVE_STRINGS)
        for key, sentence in says.items():
            _same_names(f"{where} says.{key}, parameters", _parameters(sentence), NATIVE_STRINGS[key])
    if target:
        _same_names(f"{where} target", table["target"], TARGET_PHRASES)
    scenes = {}
    for scenario_id, raw in table.get("scenes", {}).items():
        here = f"{where} scenes.{scenario_id}"
        goals = [goal.id for goal in _named("scenario", scenario_id, scenarios).goals]
        scenes[scenario_id] = strings = _build(SceneStrings, raw, here)
        _part(f"{here}, native part", raw, NATIVE_SCENE_FIELDS, native)
        _part(f"{here}, target part", raw, TARGET_SCENE_FIELDS, target)
        if native:
            _same_names(f"{here}.can_do", strings.can_do, goals)
        if target:
            _same_names(f"{here}.hints", strings.hints, goals)
    language = _build(Language, table | {"says": says, "scenes": scenes}, where)
    _require(language.tag == tag, where, f"its tag is {language.tag}; tag and file name must agree")
    return language


def _part(where: str, table: Table, names: Iterable[str], wanted: bool) -> None:
    """A part is there as a whole or not at all."""
    _same_names(where, [name for name in names if name in table], names if wanted else ())


def _toml(file: Path) -> Table:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CatalogueError(f"The catalogue file {file} cannot be read: {error}.") from error


def _build(kind: type[T], values: Table, where: str) -> T:
    """``values`` as a frozen dataclass: missing, unknown and mistyped fields are errors."""
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]  # every kind here is a dataclass
    unknown = sorted(set(values) - known)
    _require(not unknown, where, f"unknown field {', '.join(unknown)}; known are {', '.join(sorted(known))}")
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise CatalogueError(f"{where}: {error}.") from error


def _laid_over(below: Table, above: Table, where: str, *, replace: bool) -> Table:
    """Both tables merged at every depth; ``replace`` says whether a value of the upper one may win."""
    merged = dict(below)
    for key, value in above.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = _laid_over(merged[key], value, where, replace=replace)
        else:
            _require(replace or key not in merged, f"languages/{where}", f"{key} is already given in another file")
            merged[key] = value
    return merged


def _dotted(table: Table) -> dict[str, str]:
    """``{"menu": {"more": …}}`` as ``{"menu.more": …}``."""
    return {f"{group}.{key}": text for group, texts in table.items() for key, text in texts.items()}


def _parameters(sentence: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(sentence) if name is not None}


def _named(kind: str, name: str, known: Mapping[str, T]) -> T:
    if name not in known:
        raise CatalogueError(f"There is no {kind} {name}; there are {', '.join(known) or 'none'}.")
    return known[name]


def _same_names(where: str, given: Iterable[str], wanted: Iterable[str]) -> None:
    missing, unknown = sorted(set(wanted) - set(given)), sorted(set(given) - set(wanted))
    _require(not missing, where, f"missing {', '.join(missing)}")
    _require(not unknown, where, f"unknown {', '.join(unknown)}")


def _require(holds: bool, where: str, sentence: str) -> None:
    if not holds:
        raise CatalogueError(f"{where}: {sentence}.")
