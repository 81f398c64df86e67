"""The command line's part on classes: who is in them, and which scenes they, or a line's callers, were given."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final
from uuid import UUID

import typer
from rich.table import Column, Table
from sqlalchemy.ext.asyncio import AsyncSession

from db import assignments, classes
from db import lines as line_rows
from db import scenarios as scenario_rows
from db.assignments import AssignmentRefused
from db.class_prompts import day_in
from db.classes import ClassRefused
from db.models import Line
from db.models_keeping import SchoolClass
from ringua import storage
from ringua.cli_keeping import find_learner
from ringua.settings import load
from ringua.terminal import Trouble, day, find_line, find_school, language_tag, out, run
from telephony.ivr.menu import FREE_TALK
from telephony.languages import offered_in, targets_of
from tutor.script import catalogue
from tutor.script.catalogue import Catalogue, CatalogueError

class_app = typer.Typer(no_args_is_help=True, help="Classes: their learners, their line, the scenes they were given.")
assignment_app = typer.Typer(no_args_is_help=True, help="Scenes that classes and lines were given.")

USUAL_DAYS: Final = 7
"""How long an assignment lasts that says no last day, its first day included."""

SceneArgument = Annotated[str, typer.Argument(help="The scene; `ringua scenario list` shows all.")]
FromOption = Annotated[str | None, typer.Option("--from", help="The first day, as 2026-11-23; default today.")]
ToOption = Annotated[str | None, typer.Option("--to", help="The last day; default a week.")]
TargetOption = Annotated[str | None, typer.Option(help="Only for those who practise this language.")]


@class_app.command("add")
def class_add(
    school: str,
    name: str,
    line: Annotated[str | None, typer.Option(help="The number of the line the class practises on.")] = None,
) -> None:
    """Adds a class to a school."""

    async def work() -> None:
        async with storage.opened(load()) as data:
            owner = await find_school(data, school)
            line_id = (await find_line(data, line)).id if line is not None else None
            async with data.database.school(owner.id) as session:
                try:
                    made = await classes.add(session, owner.id, name, line_id=line_id)
                except ClassRefused as error:
                    raise Trouble(str(error)) from error
        out.print(f"Added {made.name} to {owner.name}.")

    run(work())


@class_app.command("list")
def class_list(school: str) -> None:
    """Lists the classes of a school."""

    async def work() -> None:
        table = Table("Class", Column("Line", no_wrap=True), "Learners")
        async with storage.opened(load()) as data:
            owner = await find_school(data, school)
            async with data.database.school(owner.id) as session:
                numbers = {line.id: line.number for line in await line_rows.list_all(session)}
                for one in await classes.list_all(session):
                    number = numbers.get(one.line_id, "-") if one.line_id is not None else "-"
                    table.add_row(one.name, number, str(len(await classes.roster(session, one.id))))
        out.print(table if table.row_count else "No class.")

    run(work())


@class_app.command("enrol")
def class_enrol(
    school: str,
    name: str,
    who: Annotated[str, typer.Argument(help="The learner's id, last two digits of the number, or first name.")],
    ref: Annotated[str | None, typer.Option(help="What the school itself calls the learner, such as 17.")] = None,
) -> None:
    """Puts a learner into a class."""

    async def work() -> None:
        async with storage.opened(load()) as data:
            found = await find_learner(data, who, school)
            async with data.database.school(found.school.id) as session:
                try:
                    one = await _class(session, school, name)
                    await classes.enrol(session, found.school.id, one.id, found.id, ref=ref)
                except ClassRefused as error:
                    raise Trouble(str(error)) from error
        out.print(f"{found.id} is in {one.name}.")

    run(work())


@class_app.command("leave")
def class_leave(
    school: str,
    name: str,
    who: Annotated[str, typer.Argument(help="The learner's id, last two digits of the number, or first name.")],
) -> None:
    """Takes a learner out of a class; what they did stays theirs."""

    async def work() -> None:
        async with storage.opened(load()) as data:
            found = await find_learner(data, who, school)
            async with data.database.school(found.school.id) as session:
                one = await _class(session, school, name)
                if not await classes.leave(session, one.id, found.id):
                    raise Trouble(f"{found.id} is not in {one.name}.")
        out.print(f"{found.id} is not in {one.name} any more.")

    run(work())


# --- assignments


@class_app.command("assign")
def class_assign(
    school: str,
    name: str,
    scene: SceneArgument,
    from_: FromOption = None,
    to: ToOption = None,
    target: TargetOption = None,
) -> None:
    """Gives a class a scene: it is key 1 for its learners until they have completed it."""

    async def work() -> None:
        async with storage.opened(load()) as data:
            owner = await find_school(data, school)
            async with data.database.school(owner.id) as session:
                one = await _class(session, school, name)
                line = await line_rows.get(session, one.line_id) if one.line_id is not None else None
                days = await _assign(session, owner.id, owner.timezone, scene, from_, to, target, line, one)
        out.print(f"{one.name} has {scene}, {days}.")

    run(work())


def line_assign(
    number: str, scene: SceneArgument, from_: FromOption = None, to: ToOption = None, target: TargetOption = None
) -> None:
    """Gives everyone who calls a line a scene: it is their key 1 until they have completed it."""

    async def work() -> None:
        async with storage.opened(load()) as data:
            found = await find_line(data, number)
            async with data.database.school(found.school_id) as session:
                line = await line_rows.get(session, found.id)
                timezone = found.school_timezone
                days = await _assign(session, found.school_id, timezone, scene, from_, to, target, line, None)
        out.print(f"Callers of {found.number} have {scene}, {days}.")

    run(work())


@assignment_app.command("list")
def assignment_list(
    school: str, past: Annotated[bool, typer.Option("--past", help="Also those that are over.")] = False
) -> None:
    """Lists the scenes that a school's classes and lines were given, the soonest due first."""

    async def work() -> None:
        table = Table(Column("Assignment", no_wrap=True), "For", "Scene", "Language", "From", "To")
        async with storage.opened(load()) as data:
            owner = await find_school(data, school)
            today = day_in(owner.timezone, datetime.now(UTC))
            async with data.database.school(owner.id) as session:
                names = {line.id: line.number for line in await line_rows.list_all(session)}
                names |= {one.id: one.name for one in await classes.list_all(session, active_only=False)}
                for given in await assignments.list_all(session, since=None if past else today):
                    whose = given.class_id or given.line_id
                    table.add_row(
                        str(given.id),
                        names.get(whose, "-") if whose is not None else "-",
                        given.scenario,
                        given.target or "all",
                        str(given.starts_on),
                        str(given.ends_on),
                    )
        out.print(table if table.row_count else "Nothing is assigned.")

    run(work())


@assignment_app.command("remove")
def assignment_remove(school: str, assignment: str) -> None:
    """Takes an assignment back; calls that are going on keep it."""

    async def work() -> None:
        async with storage.opened(load()) as data:
            owner = await find_school(data, school)
            async with data.database.school(owner.id) as session:
                if not await assignments.remove(session, _id(assignment)):
                    raise Trouble(f"{school} has no assignment {assignment}: `ringua assignment list` shows all.")
        out.print("Taken back.")

    run(work())


async def _assign(
    session: AsyncSession,
    school_id: UUID,
    timezone: str,
    scene: str,
    from_: str | None,
    to: str | None,
    target: str | None,
    line: Line | None,
    to_class: SchoolClass | None,
) -> str:
    """Checks and keeps an assignment; returns its days in words. Without a class it is for the line's callers."""
    shelf = await scenario_rows.catalogue(session, catalogue.load())
    practised = language_tag(shelf, target, "target") if target is not None else None
    if scene == FREE_TALK:
        raise Trouble("Free talk has a key of its own, 8, and cannot be assigned.")
    try:
        shelf.scenario(scene)
    except CatalogueError as error:
        raise Trouble(str(error)) from error
    if line is not None:
        _require_offered(shelf, line, scene, practised)
    starts_on = day(from_) or day_in(timezone, datetime.now(UTC))
    ends_on = day(to) or starts_on + timedelta(days=USUAL_DAYS - 1)
    try:
        await assignments.add(
            session,
            school_id,
            scenario=scene,
            line_id=line.id if line is not None and to_class is None else None,
            class_id=to_class.id if to_class is not None else None,
            target=practised,
            starts_on=starts_on,
            ends_on=ends_on,
        )
    except AssignmentRefused as error:
        raise Trouble(str(error)) from error
    return f"from {starts_on} to {ends_on}"


def _require_offered(shelf: Catalogue, line: Line, scene: str, target: str | None) -> None:
    """Refuses a scene that no caller of the line could begin."""
    practised = [target] if target is not None else targets_of(line)
    if not any(scene in offered_in(line, shelf, native=line.native or "", target=tag) for tag in practised):
        raise Trouble(f"{line.number} does not offer {scene}: `ringua line set {line.number} --scenarios …` adds it.")


async def _class(session: AsyncSession, school: str, name: str) -> SchoolClass:
    found = await classes.by_name(session, name)
    if found is None:
        raise Trouble(f"{school} has no class {name}: `ringua class list` shows all.")
    return found


def _id(written: str) -> UUID:
    try:
        return UUID(written)
    except ValueError as error:
        raise Trouble(f"{written} is no assignment's id: `ringua assignment list` shows them.") from error
