"""The command line's part on what is practised: scenes, class prompts, and what the model is told of them."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Column, Table
from rich.text import Text

from db import class_prompts
from db import scenarios as scenario_rows
from ringua import inspecting, storage
from ringua.inspecting import FileUnreadable
from ringua.settings import load
from ringua.terminal import Trouble, day, find_line, find_school, out, run
from tutor.script import catalogue
from tutor.script.catalogue import Catalogue, CatalogueError
from tutor.script.class_prompt import ClassPrompt, ClassPromptError
from tutor.script.own_scene import SceneRejected

scenario_app = typer.Typer(no_args_is_help=True, help="Scenes that can be practised.")
line_prompt_app = typer.Typer(no_args_is_help=True, help="What a line's class practises, from which day to which.")
prompt_app = typer.Typer(no_args_is_help=True, help="What the model is told.")

SCENE_FILE = typer.Argument(help="A TOML file; docs/scenarios.md shows one.")


# --- scenes


@scenario_app.command("list")
def scenario_list(
    native: Annotated[str, typer.Option(help="In whose language the titles are.")] = "en",
    school: Annotated[str | None, typer.Option(help="With the scenes of this school.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array instead of a table.")] = False,
) -> None:
    """Lists the scenes."""
    if school is None:
        _list_scenes(catalogue.load(), native, as_json)
        return

    async def work() -> None:
        async with storage.opened(load()) as data:
            owner = await find_school(data, school)
            async with data.database.school(owner.id) as session:
                shelf = await scenario_rows.catalogue(session, catalogue.load())
        _list_scenes(shelf, native, as_json)

    run(work())


def _list_scenes(shelf: Catalogue, native: str, as_json: bool) -> None:
    try:
        language = shelf.language(native)
    except CatalogueError as error:
        raise Trouble(str(error)) from error
    scenes: list[dict[str, Any]] = [
        {
            "id": scenario.id,
            "cefr": list(scenario.cefr),
            "minutes": scenario.minutes,
            "title": language.scenes[scenario.id].title,
            "goals": [language.scenes[scenario.id].can_do[goal.id] for goal in scenario.goals],
        }
        for scenario in shelf.scenarios
        if language.tells(scenario.id)
    ]
    if as_json:
        out.print_json(json.dumps(scenes))
        return
    table = Table("Scene", "Level", "Minutes", "Title", "What to get done")
    for scene in scenes:
        table.add_row(
            str(scene["id"]),
            "/".join(scene["cefr"]),
            str(scene["minutes"]),
            str(scene["title"]),
            language.enumerate(scene["goals"]),
        )
    out.print(table)


@scenario_app.command("check")
def scenario_check(file: Annotated[Path, SCENE_FILE]) -> None:
    """Says what is wrong with a scene's file, one sentence each; the exit code is 1 when something is."""
    try:
        problems = inspecting.problems_of(file, catalogue.load())
    except FileUnreadable as error:
        raise Trouble(str(error)) from error
    if problems:
        raise Trouble("\n".join(problems))
    typer.echo("Nothing wrong.")


@scenario_app.command("add")
def scenario_add(school: str, file: Annotated[Path, SCENE_FILE]) -> None:
    """Adds a scene to a school, or changes the one of the same id; lines offer it once they name it."""

    async def work() -> None:
        async with storage.opened(load()) as data:
            owner = await find_school(data, school)
            try:
                async with data.database.school(owner.id) as session:
                    added = await scenario_rows.put(session, owner.id, inspecting.text_of(file), catalogue.load())
            except (SceneRejected, FileUnreadable) as error:
                raise Trouble(str(error)) from error
        out.print(f"Added {added} to {school}; `ringua line set NUMBER --scenarios …` puts it on a line.")

    run(work())


@scenario_app.command("remove")
def scenario_remove(school: str, scenario: str) -> None:
    """Removes a school's own scene; lines that name it offer it no more."""

    async def work() -> None:
        async with storage.opened(load()) as data:
            owner = await find_school(data, school)
            async with data.database.school(owner.id) as session:
                if not await scenario_rows.remove(session, scenario):
                    raise Trouble(f"{school} has no scene {scenario} of its own.")
        out.print(f"Removed {scenario} from {school}.")

    run(work())


# --- class prompts


@line_prompt_app.command("add")
def line_prompt_add(
    number: str,
    file: Annotated[Path, typer.Argument(help="Words, structures, a theme: TOML, field: value lines, or plain text.")],
    from_: Annotated[str | None, typer.Option("--from", help="The first day, as 2026-11-23; default today.")] = None,
    to: Annotated[str | None, typer.Option("--to", help="The last day; without it, until something newer.")] = None,
) -> None:
    """Adds a version of a line's class prompt. Calls that are going on keep theirs."""

    async def work() -> None:
        async with storage.opened(load()) as data:
            line = await find_line(data, number)
            starts_on = day(from_) or class_prompts.day_in(line.school_timezone, datetime.now(UTC))
            ends_on = day(to)
            try:
                material = ClassPrompt.parse(inspecting.text_of(file))
                async with data.database.school(line.school_id) as session:
                    version = await class_prompts.add(session, line.id, material, starts_on=starts_on, ends_on=ends_on)
            except (ClassPromptError, FileUnreadable) as error:
                raise Trouble(str(error)) from error
        out.print(f"Added version {version} to {line.number}, {_days(starts_on, ends_on)}.")

    run(work())


@line_prompt_app.command("list")
def line_prompt_list(number: str) -> None:
    """Lists the versions of a line's class prompt, the newest first, and says which is live today."""

    async def work() -> None:
        async with storage.opened(load()) as data:
            line = await find_line(data, number)
            now = await inspecting.material_now(data, line)
            async with data.database.school(line.school_id) as session:
                versions = await class_prompts.history(session, line.id)
        table = Table(Column("Version", no_wrap=True), "Days", "Live", "Material")
        for row in versions:
            live = "today" if row.version == now.version else ""
            material = inspecting.written(class_prompts.material_of(row))
            table.add_row(str(row.version), _days(row.starts_on, row.ends_on), live, Text(material))
        standing = "today" if now.version is None and now.prompt is not None else ""
        table.add_row("-", "when no other is live", standing, Text(line.class_prompt or "-"))
        out.print(table)

    run(work())


def _days(starts_on: date, ends_on: date | None) -> str:
    return f"from {starts_on}" + (f" to {ends_on}" if ends_on is not None else "")


# --- what the model is told


@prompt_app.command("show")
def prompt_show(
    scenario: Annotated[str, typer.Option(help="The scene; `ringua scenario list` shows all.")],
    target: Annotated[str | None, typer.Option(help="The language being learned; default the line's.")] = None,
    native: Annotated[str | None, typer.Option(help="The learner's own language; default the line's.")] = None,
    level: Annotated[str | None, typer.Option(help="CEFR level, A1 to C2; default the line's.")] = None,
    line: Annotated[str | None, typer.Option(help="A line's number: with its class prompt and its scenes.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Another twist, and other words that are due.")] = 0,
    child: Annotated[bool, typer.Option("--child", help="As on a line for children.")] = False,
    tools: Annotated[bool, typer.Option("--tools", help="Also the tools, as JSON.")] = False,
    session: Annotated[bool, typer.Option("--session", help="Also the session's settings, as JSON.")] = False,
) -> None:
    """Prints exactly what the model is told at the beginning of a call."""
    settings = load()
    shelf = catalogue.load().with_preset(settings.level_preset)

    async def work() -> None:
        chosen, model, material, whole, kid = (native, target, level), None, None, shelf, child
        if line is not None:
            async with storage.opened(settings) as data:
                found = await find_line(data, line)
                whole = await inspecting.school_catalogue(data, found, shelf)
                material = (await inspecting.material_now(data, found)).prompt
            chosen, model = (native or found.native, target or found.target, level or found.level), found.model
            kid = child or found.kids
        given = dict(zip(("native", "target", "level"), chosen, strict=True))
        if missing := [f"--{name}" for name, value in given.items() if not value]:
            raise Trouble(f"{' and '.join(missing)} is missing: give it, or a --line that has it set.")
        try:
            scene = whole.scene(
                scenario,
                native=given["native"] or "",
                target=given["target"] or "",
                level=(given["level"] or "").upper(),
                class_prompt=material,
                seed=seed,
                kid=kid,
            )
        except CatalogueError as error:
            raise Trouble(str(error)) from error
        typer.echo(inspecting.told(scene, settings, model=model, tools=tools, session=session))

    run(work())
