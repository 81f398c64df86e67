"""The command line's part on who is at a school: learners and the telephones that give them away, and who works there.

What is kept of learners afterwards, and how it is changed, is in `cli_keeping`. It knows no call.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Final, cast

import typer
from rich.table import Column, Table
from rich.text import Text
from sqlalchemy.ext.asyncio import AsyncSession

from db import audit, directory, learners, staff
from db import lines as line_rows
from db.models import Learner, School
from db.models_keeping import Staff
from db.staff import ROLES, Role, StaffRefused
from ringua import storage
from ringua.cli_keeping import SchoolOption, WhoArgument, find_learner, learner_app, require_pair
from ringua.jobs.budget import TOLD_ROLES
from ringua.settings import load
from ringua.terminal import Trouble, e164, find_school, language_tag, level_name, out, run
from telephony.ivr.menu import PEOPLE
from telephony.languages import natives_of, targets_of
from telephony.numbers import last_two
from tutor.script import catalogue

staff_app = typer.Typer(no_args_is_help=True, help="Who works at a school, and who of them is told of budgets.")

ISSUE: Final = "`ringua pin issue LINE --role learner --learner {}`"
"""How somebody whom no telephone gives away gets to say who they are."""

EmailArgument = Annotated[str, typer.Argument(help="The address, such as ana@example.org.")]
RoleOption = Annotated[str, typer.Option(help=f"What they do there: {', '.join(ROLES)}.")]


# --- learners


@learner_app.command("add")
def learner_add(
    school: str,
    name: Annotated[str | None, typer.Option(help="First name, by which a shared telephone asks for them.")] = None,
    number: Annotated[str | None, typer.Option(help="The telephone they call from; several may share one.")] = None,
    native: Annotated[str | None, typer.Option(help="Their own language; default what the school's lines say.")] = None,
    target: Annotated[str | None, typer.Option(help="What they learn; default what the school's lines say.")] = None,
    level: Annotated[str | None, typer.Option(help="CEFR level, A1 to C2; default what the lines say.")] = None,
) -> None:
    """Adds a learner before they call: one more at a shared telephone, or one with no telephone, for a PIN."""
    shelf = catalogue.load()
    phone = e164(number) if number is not None else None
    spoken = language_tag(shelf, native, "native") if native is not None else None
    learned = language_tag(shelf, target, "target") if target is not None else None
    known_level = level_name(shelf, level) if level is not None else None

    async def work() -> None:
        async with storage.opened(load()) as data:
            owner = await find_school(data, school)
            async with data.database.school(owner.id) as session:
                lines = await line_rows.list_all(session)
                speaks = spoken or _agreed(owner, "native", [tag for line in lines for tag in natives_of(line)])
                learns = learned or _agreed(owner, "target", [tag for line in lines for tag in targets_of(line)])
                stands = known_level or _agreed(owner, "level", [line.level for line in lines])
                require_pair(speaks, learns)
                first_name = (name or "").strip() or None
                sharing: Sequence[Learner] = ()
                if phone is None:
                    made = await learners.create(
                        session, school_id=owner.id, native=speaks, target=learns, level=stands, first_name=first_name
                    )
                else:
                    number_hash = data.keyring.hash_number(phone)
                    made = await learners.create_with_number(
                        session,
                        school_id=owner.id,
                        number_hash=number_hash,
                        last_two=last_two(phone),
                        native=speaks,
                        target=learns,
                        level=stands,
                        first_name=first_name,
                        another=True,
                    )
                    sharing = await learners.by_number_hash(session, number_hash)
                await _note(session, owner, "add", made, telephone=phone is not None)
        out.print(f"Added {made.id}: speaks {speaks}, learns {learns}, level {stands}.")
        if phone is None:
            out.print(f"No telephone gives them away: {ISSUE.format(made.id)} makes a PIN.")
        _tell_sharing(sharing)

    run(work())


@learner_app.command("number")
def learner_number(
    who: WhoArgument,
    number: Annotated[str, typer.Argument(help="The telephone, with its country: +17875550143.")],
    school: SchoolOption = None,
    remove: Annotated[bool, typer.Option("--remove", help="The learner is not known by this number any more.")] = False,
) -> None:
    """Lets a learner be known by one more telephone, or by one no more; of it a keyed hash and two digits are kept."""
    phone = e164(number)
    shown = f"…{last_two(phone)}"

    async def work() -> None:
        async with storage.opened(load()) as data:
            found = await find_learner(data, who, school)
            number_hash = data.keyring.hash_number(phone)
            async with data.database.school(found.school.id) as session:
                if remove:
                    if not await learners.drop_identity(session, found.id, number_hash):
                        raise Trouble(
                            f"{found.id} is not known by {shown}: `ringua learner show {found.id}` shows all."
                        )
                    done = f"{found.id} is not known by {shown} any more."
                elif await learners.add_identity(session, found.entry.learner, number_hash, last_two(phone)):
                    done = f"{found.id} is known by {shown}."
                else:
                    out.print(f"{found.id} is known by {shown} already.")
                    return
                sharing = await learners.by_number_hash(session, number_hash)
                (entry,) = await directory.find(session, learner_id=found.id)
                await _note(session, found.school, "change", found.entry.learner, telephone=not remove)
        out.print(done)
        if remove and not sharing:
            out.print(
                f"Whoever calls from {shown} is new to the line now, and what that number agreed to is forgotten."
            )
        if remove and not entry.last_two:
            out.print(f"No telephone gives them away any more: {ISSUE.format(found.id)} makes a PIN.")
        _tell_sharing(sharing)

    run(work())


def _agreed(owner: School, what: str, said: Iterable[str | None]) -> str:
    """What all lines of a school say; raises ``Trouble`` where they do not, because a guess would teach the wrong."""
    known = sorted({one for one in said if one})
    if len(known) == 1:
        return known[0]
    lines = f"the lines of {owner.name} say {', '.join(known)}" if known else f"no line of {owner.name} says which"
    raise Trouble(f"Say --{what}: {lines}.")


def _tell_sharing(sharing: Sequence[Learner]) -> None:
    """What becomes of a telephone that several learners share."""
    if len(sharing) < 2:
        return
    out.print(f"{len(sharing)} learners share this telephone: it asks who is calling.")
    if len(sharing) > len(PEOPLE):
        out.print(f"It offers the first {len(PEOPLE)} of them; the others need a PIN.")
    nameless = [one.id for one in sharing[: len(PEOPLE)] if not one.first_name]
    if nameless:
        out.print(
            f"Who has no name is asked for as the first, the second …: `ringua learner set {nameless[0]} --name`."
        )


async def _note(session: AsyncSession, owner: School, action: str, learner: Learner, *, telephone: bool) -> None:
    await audit.record(
        session,
        owner.id,
        actor=audit.COMMAND_LINE,
        action=action,
        subject="learner",
        data={"learner": str(learner.id), "telephone": telephone},
    )


# --- staff


@staff_app.command("add")
def staff_add(
    school: str,
    email: EmailArgument,
    role: RoleOption,
    name: Annotated[str | None, typer.Option(help="Default: the address before its @.")] = None,
) -> None:
    """Adds somebody who works at a school; owners and teachers are told by mail when a budget fills up."""

    async def work() -> None:
        settings = load()
        async with storage.opened(settings) as data:
            owner = await find_school(data, school)
            try:
                async with data.database.school(owner.id) as session:
                    called = name if name is not None else email.strip().partition("@")[0] or email
                    # db.staff refuses what is no role, with a sentence.
                    added = await staff.add(session, owner.id, name=called, email=email, role=cast(Role, role))
                    await _note_staff(session, owner, "add", added, role)
            except StaffRefused as error:
                raise Trouble(str(error)) from error
        out.print(f"Added {added.email} to {owner.name} as {role}.")
        if role in TOLD_ROLES and settings.smtp_url is None:
            out.print("No mail is sent yet: set SMTP_URL; until then budgets that fill up are in the log alone.")

    run(work())


@staff_app.command("list")
def staff_list(school: str) -> None:
    """Lists who works at a school."""

    async def work() -> None:
        table = Table("Name", Column("Address", no_wrap=True), "Role", "Told of budgets")
        async with storage.opened(load()) as data:
            owner = await find_school(data, school)
            async with data.database.school(owner.id) as session:
                people = await staff.list_all(session)
        for one in people:
            table.add_row(Text(one.name), Text(one.email), one.role, "yes" if one.role in TOLD_ROLES else "no")
        if people:
            out.print(table)
        if not any(one.role in TOLD_ROLES for one in people):
            out.print("Nobody is told when a budget fills up: `ringua staff add` adds an owner or a teacher.")

    run(work())


@staff_app.command("set")
def staff_set(school: str, email: EmailArgument, role: RoleOption) -> None:
    """Gives somebody who works at a school another role."""

    async def work() -> None:
        async with storage.opened(load()) as data:
            owner = await find_school(data, school)
            try:
                async with data.database.school(owner.id) as session:
                    found = await _employed(session, owner, email)
                    await staff.set_role(session, found.id, cast(Role, role))
                    await _note_staff(session, owner, "change", found, role)
            except StaffRefused as error:
                raise Trouble(str(error)) from error
        out.print(f"{found.email} is {role} at {owner.name}.")

    run(work())


@staff_app.command("remove")
def staff_remove(school: str, email: EmailArgument) -> None:
    """Takes somebody out of a school and its classes; they are told of nothing any more."""

    async def work() -> None:
        async with storage.opened(load()) as data:
            owner = await find_school(data, school)
            try:
                async with data.database.school(owner.id) as session:
                    found = await _employed(session, owner, email)
                    await staff.remove(session, found.id)
                    await _note_staff(session, owner, "remove", found, found.role)
            except StaffRefused as error:
                raise Trouble(str(error)) from error
        out.print(f"Removed {found.email} from {owner.name}.")

    run(work())


async def _employed(session: AsyncSession, owner: School, email: str) -> Staff:
    found = await staff.by_email(session, email)
    if found is None:
        raise Trouble(f"Nobody at {owner.name} has the address {email}: `ringua staff list` shows all.")
    return found


async def _note_staff(session: AsyncSession, owner: School, action: str, who: Staff, role: str) -> None:
    await audit.record(
        session,
        owner.id,
        actor=audit.COMMAND_LINE,
        action=action,
        subject="staff",
        data={"staff": str(who.id), "role": role},
    )
