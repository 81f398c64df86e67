"""What an operator may look at before anybody calls: a scene's file, and exactly what the model is told.

Knows no terminal: it returns texts.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from db import class_prompts, scenarios
from db.lines import LineFound
from ringua.settings import Settings
from ringua.storage import Storage
from tutor.script.catalogue import Catalogue
from tutor.script.class_prompt import ClassPrompt
from tutor.script.own_scene import SceneRejected
from tutor.script.prompt import instructions
from tutor.script.scene import Scene
from tutor.script.scene_check import checked
from tutor.talk.setup import session_config


class FileUnreadable(Exception):
    """A file cannot be read; the text is one sentence."""


@dataclass(frozen=True, slots=True)
class Material:
    """What a line's calls are given on one day."""

    prompt: ClassPrompt | None
    version: int | None
    """None: the line's standing text."""


def text_of(file: Path) -> str:
    """A file's text; raises ``FileUnreadable``."""
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FileUnreadable(f"The file {file} cannot be read: {error}.") from error


def problems_of(file: Path, catalogue: Catalogue) -> tuple[str, ...]:
    """What is wrong with a scene's file, one sentence each; nothing when a school may add it.

    Raises:
        FileUnreadable: it is not there or no text.
    """
    try:
        checked(text_of(file), catalogue)
    except SceneRejected as rejected:
        return rejected.problems
    return ()


async def school_catalogue(data: Storage, line: LineFound, catalogue: Catalogue) -> Catalogue:
    """The catalogue with the scenes of the line's school."""
    async with data.database.school(line.school_id) as session:
        return await scenarios.catalogue(session, catalogue)


async def material_now(data: Storage, line: LineFound) -> Material:
    """What a call to the line would be given now."""
    today = class_prompts.day_in(line.school_timezone, datetime.now(UTC))
    async with data.database.school(line.school_id) as session:
        live = await class_prompts.live(session, line.id, today)
    if live is None:
        return Material(class_prompts.standing_material(line.class_prompt), None)
    return Material(class_prompts.material_of(live), live.version)


def told(scene: Scene, settings: Settings, *, model: str | None, tools: bool, session: bool) -> str:
    """Exactly what the model is told of a scene: its instructions, then if asked for its tools and its settings (JSON).

    ``model`` is the line's own choice; None: the service's.
    """
    config = session_config(
        scene,
        mode=settings.audio,
        voice=scene.scenario.voice,
        model=model or settings.realtime_model,
        transcribe_model=settings.transcribe_model,
    )
    parts = [instructions(scene)]
    if tools:
        parts.append(_json(config["tools"]))
    if session:
        parts.append(_json({name: value for name, value in config.items() if name not in ("instructions", "tools")}))
    return "\n\n".join(parts)


def written(material: ClassPrompt) -> str:
    """A class's material as a teacher would write it, one field a line."""
    fields = {
        "theme": material.theme,
        "vocabulary": ", ".join(material.vocabulary),
        "grammar": ", ".join(material.grammar),
        "must_use": ", ".join(material.must_use),
        "avoid": ", ".join(material.avoid),
        "text": material.text,
    }
    return "\n".join(f"{name}: {value}" for name, value in fields.items() if value)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)
