"""What is said in a language, phrase by phrase, with where it stands in its files. Knows no test."""

from __future__ import annotations

from collections.abc import Iterator

from tutor.script.language import Language


def native_phrases(language: Language) -> Iterator[tuple[str, str]]:
    """What the line says to speakers of the language, with where it stands."""
    for key, text in language.says.items():
        yield f"says.{key}", text
    for scene_id, strings in language.scenes.items() if language.is_native else ():
        yield f"{scene_id}.title", strings.title
        yield f"{scene_id}.preview", strings.preview
        yield f"{scene_id}.who", strings.who
        for goal, text in strings.can_do.items():
            yield f"{scene_id}.can_do.{goal}", text


def target_phrases(language: Language) -> Iterator[tuple[str, str]]:
    """What a role and a learner of the language say, with where it stands."""
    for key, text in language.target.items():
        yield f"target.{key}", text
    for scene_id, strings in language.scenes.items() if language.is_target else ():
        yield f"{scene_id}.greeting", strings.greeting
        for goal, rungs in strings.hints.items():
            for rung, text in enumerate(rungs):
                yield f"{scene_id}.hints.{goal}.{rung}", text


def phrases(language: Language) -> Iterator[tuple[str, str]]:
    """Everything that is spoken."""
    yield from native_phrases(language)
    yield from target_phrases(language)
