"""What the commands share: where they print, how they fail, how they find things and check names. Knows no command."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import date
from typing import Any, Literal

from rich.console import Console

from db import lines, schools
from db.lines import LineFound
from db.models import School
from ringua.storage import Storage
from telephony import numbers
from tutor.script.catalogue import Catalogue, CatalogueError

out = Console(soft_wrap=True, highlight=False)


class Trouble(Exception):
    """Something a person has to do; the text is one sentence, or one a line."""


def run(work: Coroutine[Any, Any, None]) -> None:
    """Runs a command's work to its end."""
    asyncio.run(work)


async def find_line(data: Storage, number: str) -> LineFound:
    """The line with this number, of whatever school; raises ``Trouble`` when there is none."""
    async with data.database.anyone() as session:
        found = await lines.by_number(session, e164(number))
    if found is None:
        raise Trouble(f"There is no line {number}: `ringua line list` shows all.")
    return found


async def find_school(data: Storage, name: str) -> School:
    """The school of this name; raises ``Trouble`` when there is none."""
    async with data.database.anyone() as session:
        found = await schools.by_name(session, name)
    if found is None:
        raise Trouble(f"There is no school named {name}: add it with `ringua school add`.")
    return found


def day(written: str | None) -> date | None:
    """A day as people write it on the command line; raises ``Trouble`` for anything else."""
    try:
        return date.fromisoformat(written) if written is not None else None
    except ValueError as error:
        raise Trouble(f"{written} is no day: write it as 2026-11-23.") from error


def language_tag(shelf: Catalogue, tag: str, kind: Literal["native", "target"]) -> str:
    """The tag of a language that learners speak, or learn, as it is stored; raises ``Trouble`` for any other."""
    able = shelf.natives if kind == "native" else shelf.targets
    try:
        found = shelf.language(tag.strip())
    except CatalogueError as error:
        raise Trouble(str(error)) from error
    if found not in able:
        raise Trouble(f"{found.tag} is no {kind} language; these are: {', '.join(one.tag for one in able)}.")
    return found.tag


def level_name(shelf: Catalogue, name: str) -> str:
    """The CEFR level of this name, however it is written; raises ``Trouble`` when there is none."""
    try:
        return shelf.level(name.strip().upper()).name
    except CatalogueError as error:
        raise Trouble(str(error)) from error


def e164(number: str) -> str:
    """A telephone number as it is stored; raises ``Trouble`` for anything else."""
    normal = numbers.normalise(number)
    if normal is None:
        raise Trouble(f"{number} is not a telephone number: write it with its country, such as +17875550100.")
    return normal
