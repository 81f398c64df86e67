"""Whether a school's scene fits into a catalogue: its id, its languages, its words, and the room for instructions.

Every problem is one sentence. Knows no database and no file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

from tutor.learning import wording
from tutor.script.catalogue import OWN_PREFIX, Catalogue, CatalogueError
from tutor.script.class_prompt import MAX_STRUCTURES, MAX_TEXT_CHARS, MAX_TOTAL_CHARS, MAX_WORDS, ClassPrompt
from tutor.script.language import NATIVE_SCENE_FIELDS, TARGET_SCENE_FIELDS, Language, SceneStrings
from tutor.script.level import LEVELS
from tutor.script.own_scene import Notes, OwnScene, SceneRejected, read
from tutor.script.prompt import MAX_CARD_CHARS, MAX_CHARS, instructions

_WORDS = tuple(f"word {at:03d}" for at in range(MAX_WORDS))
_STRUCTURES = ("s" * 8,) * MAX_STRUCTURES
_REST = MAX_TOTAL_CHARS - 10 * (MAX_WORDS + MAX_STRUCTURES) - (MAX_TEXT_CHARS + 2) - 2
_LARGEST = ClassPrompt(theme="t" * _REST, vocabulary=_WORDS, grammar=_STRUCTURES, text="x" * MAX_TEXT_CHARS)
"""As much class material as is accepted."""


def checked(text: str, catalogue: Catalogue) -> OwnScene:
    """The scene that a file's text describes, fit for this catalogue.

    Raises:
        SceneRejected: with one sentence for each thing that is wrong.
    """
    own = read(text)
    notes = Notes(text)
    _check(notes, own, catalogue)
    if notes.problems:
        raise SceneRejected(notes.problems)
    return own


def _check(notes: Notes, own: OwnScene, catalogue: Catalogue) -> None:
    scene_id = own.scenario.id
    if scene_id in {scenario.id for scenario in catalogue.scenarios}:
        notes.add(("id",), f"{scene_id} is a packaged scene; call yours {OWN_PREFIX}{scene_id}, say")
        return
    for tag, strings in own.strings.items():
        try:
            language = catalogue.language(tag)
        except CatalogueError as error:
            notes.add(("languages", tag), str(error).rstrip("."))
            continue
        if language.tag != tag:
            known = ", ".join(other for other in catalogue.tags if other.startswith(language.base))
            notes.add(("languages", tag), f"there is no region {tag}; there are {known}")
            continue
        _check_language(notes, language, strings)
    if notes.problems:
        return
    fitted = catalogue.with_scenarios([own])
    pairs = [
        (native, target)
        for native, target in product(fitted.natives, fitted.targets)
        if native.base != target.base and scene_id in fitted.offers(native, target)
    ]
    if not pairs:
        notes.add(
            ("languages",), "no line can offer it: it needs a native part in one language and a target part in another"
        )
        return
    longest = max(_lengths(fitted, own, pairs))
    if longest >= MAX_CHARS:
        notes.add(
            ("goals",),
            f"with all that a class may add, the model would be told {longest} characters; shorten the texts by "
            f"{longest - MAX_CHARS + 1}",
        )


def _check_language(notes: Notes, language: Language, strings: SceneStrings) -> None:
    judged = {"native": language, "target": replace(language, but_words=())}  # roles may say "but"
    for part, able, texts, names in (
        (
            "native",
            language.is_native,
            (strings.title, strings.preview, strings.who, *strings.can_do.values()),
            NATIVE_SCENE_FIELDS,
        ),
        ("target", language.is_target, (strings.greeting, *_hints(strings), *strings.keywords), TARGET_SCENE_FIELDS),
    ):
        texts = tuple(filter(None, texts))
        path = ("languages", language.tag)
        if texts and not able:
            notes.add(path, f"{language.english_name} cannot be a {part} language; leave out {', '.join(names)}")
            continue
        for text in texts:
            if not wording.in_script(text, language.script):
                notes.add(path, f"“{text}” is not written in the script of {language.english_name}")
            for problem in wording.problems(text, judged[part]):
                notes.add(path, f"“{text}”: {problem}")


def _hints(strings: SceneStrings) -> Iterator[str]:
    for rungs in strings.hints.values():
        yield from rungs


def _lengths(catalogue: Catalogue, own: OwnScene, pairs: list[tuple[Language, Language]]) -> Iterator[int]:
    twist = max(own.scenario.twists, key=len, default="")
    for (native, target), level in product(pairs, LEVELS):
        scene = catalogue.scene(
            own.scenario.id, native=native.tag, target=target.tag, level=level, class_prompt=_LARGEST
        )
        yield len(instructions(replace(scene, twist=twist, learner_card="c" * MAX_CARD_CHARS)))
