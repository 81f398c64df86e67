"""The command line's part on who calls and what keeps them safe: PINs, a line's helpline and contact, flagged calls."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal, get_args
from uuid import UUID

import typer
from rich.table import Column, Table
from rich.text import Text
from sqlalchemy.ext.asyncio import AsyncSession

from db import audit, calls, flags, learners, pins
from db import lines as line_rows
from db.lines import LineFound
from db.pins import PinsExhausted, Role
from ringua import storage
from ringua.cli_keeping import find_learner
from ringua.settings import load
from ringua.terminal import Trouble, e164, find_line, find_school, language_tag, out, run
from telephony.ivr.questions import MOST_LANGUAGES, MOST_TARGETS
from telephony.languages import same_language
from tutor.safety.minors import Minors, minors_allowed
from tutor.script.catalogue import Catalogue

pin_app = typer.Typer(no_args_is_help=True, help="PINs by which learners, teachers and families say who they are.")
flag_app = typer.Typer(no_args_is_help=True, help="Calls that somebody at the school must look at.")

NO_CONTACT = "none"
ONE_LANGUAGE: Final = "none"
"""What is given for several languages when a line is to have only its own again."""


def line_languages(
    shelf: Catalogue,
    natives: str | None,
    targets: str | None,
    *,
    native: str | None,
    target: str | None,
    before: tuple[Sequence[str], Sequence[str]] = ((), ()),
) -> dict[str, Any]:
    """The settings of a line that offers several languages, checked against one another; what is not given stays.

    Args:
        shelf: the languages there are.
        natives: tags of what callers may speak, comma-separated, or ``none``.
        targets: the same of what can be practised.
        native: the line's own, as that of the target.
        target: None: not set yet.
        before: what the line has offered so far.

    Raises:
        Trouble: a language is unknown or of the other kind, there are too many, or one has no partner.
    """
    if natives is None and targets is None:
        return {}
    spoken, practised = (list(tags) for tags in before)
    if natives is not None:
        spoken = _languages(shelf, natives, "native", MOST_LANGUAGES, native)
    if targets is not None:
        practised = _languages(shelf, targets, "target", MOST_TARGETS, target)
    learned = practised or ([target] if target else [])
    for tag in spoken if learned else ():
        if all(same_language(tag, other) for other in learned):
            raise Trouble(f"Who speaks {tag} would have nothing to practise: --targets needs another language.")
    return {"natives": spoken, "targets": practised}


def _languages(
    shelf: Catalogue, given: str, kind: Literal["native", "target"], most: int, own: str | None
) -> list[str]:
    if given.strip() == ONE_LANGUAGE:
        return []
    tags = list(dict.fromkeys(language_tag(shelf, tag, kind) for tag in given.split(",") if tag.strip()))
    if own is not None and shelf.language(own).tag not in tags:
        tags.insert(0, shelf.language(own).tag)
    if len(tags) > most:
        raise Trouble(f"A caller can choose among {most} {kind} languages, not {len(tags)}: open another line.")
    return tags


def line_safety(
    number: str,
    helpline: Annotated[str | None, typer.Option(help="Where callers in need are sent: spoken, e.g. 988.")] = None,
    contact: Annotated[
        str | None, typer.Option(help="Who at the school is told by text, +E.164; none takes it away.")
    ] = None,
    minors: Annotated[str | None, typer.Option(help=f"The youngest callers: {', '.join(get_args(Minors))}.")] = None,
    kids: Annotated[
        bool | None, typer.Option("--kids/--adults", help="Children's mode: scenes for children, five minutes.")
    ] = None,
) -> None:
    """Sets what keeps a line's callers safe; what is not given stays."""
    changes: dict[str, Any] = {}
    if helpline is not None:
        changes["helpline"] = helpline.strip() or None
    if minors is not None:
        if minors not in get_args(Minors):
            raise Trouble(f"--minors is {', '.join(get_args(Minors))}, not {minors}.")
        changes["minors"] = minors
    if kids is not None:
        changes["kids"] = kids

    async def work() -> None:
        settings = load()
        async with storage.opened(settings) as data:
            found = await find_line(data, number)
            if contact is not None:
                to = None if contact == NO_CONTACT else data.keyring.encrypt(e164(contact))
                changes["safeguarding_number"] = to
            async with data.database.school(found.school_id) as session:
                await line_rows.update(session, found.id, **changes)
                line = await line_rows.get(session, found.id)
        assert line is not None
        out.print(f"Changed {found.number}.")
        if (line.kids or line.minors != "none") and line.safeguarding_number is None:
            out.print("Nobody is told of a call in which a child needs help: set --contact.")
        if not minors_allowed(line.minors, settings.minors):
            out.print(f"It takes no calls before RINGUA_MINORS allows callers of {line.minors}.")

    run(work())


# --- PINs


@pin_app.command("issue")
def pin_issue(
    number: str,
    role: Annotated[str, typer.Option(help=f"Whose: {', '.join(get_args(Role))}.")],
    caller: Annotated[
        str | None, typer.Option(help="The number from which the learner calls; also a family's child.")
    ] = None,
    who: Annotated[int, typer.Option(help="Which of the learners who share that number, from 1.")] = 1,
    learner: Annotated[
        str | None, typer.Option(help="Instead: the learner's id, last two digits of the number, or first name.")
    ] = None,
) -> None:
    """Makes a PIN for a line and shows it once."""
    if role not in get_args(Role):
        raise Trouble(f"--role is {', '.join(get_args(Role))}, not {role}.")
    named = [option for option in (caller, learner) if option is not None]
    if len(named) != (0 if role == "teacher" else 1):
        raise Trouble(
            "A learner's and a family's PIN need --caller or --learner, one of them; a teacher's has neither."
        )

    async def work() -> None:
        async with storage.opened(load()) as data:
            found = await find_line(data, number)
            learner_id = None
            if learner is not None:
                learner_id = (await find_learner(data, learner, found.school_name)).id
            async with data.database.school(found.school_id) as session:
                if caller is not None:
                    known = await learners.by_number_hash(session, data.keyring.hash_number(e164(caller)))
                    if not 1 <= who <= len(known):
                        raise Trouble(f"{len(known)} learners of {found.school_name} call from {caller}: see --who.")
                    learner_id = known[who - 1].id
                try:
                    digits = await pins.issue(
                        session,
                        data.keyring,
                        school_id=found.school_id,
                        line_id=found.id,
                        role=_role(role),
                        learner_id=learner_id,
                    )
                    await _audited(session, found, "issue", learner_id, role)
                except PinsExhausted as error:
                    raise Trouble(
                        f"{found.number} has as many PINs as it may: take back some that nobody uses, which "
                        f"`ringua pin list {found.number}` shows."
                    ) from error
        out.print(f"{digits}: the PIN of a {role} on {found.number}. It cannot be shown again.")

    run(work())


@pin_app.command("list")
def pin_list(number: str) -> None:
    """Lists the PINs of a line and whose they are; their digits are known to nobody."""

    async def work() -> None:
        table = Table(Column("PIN", no_wrap=True), "Whose", Column("Learner", no_wrap=True), "Name", "Issued", "Locked")
        async with storage.opened(load()) as data:
            found = await find_line(data, number)
            now = datetime.now(UTC)
            async with data.database.school(found.school_id) as session:
                for pin in await pins.list_all(session, found.id):
                    holder = await learners.get(session, pin.learner_id) if pin.learner_id is not None else None
                    locked = pin.locked_until is not None and pin.locked_until > now
                    table.add_row(
                        str(pin.id),
                        pin.role,
                        "-" if holder is None else str(holder.id),
                        Text((holder.first_name if holder is not None else None) or "-"),
                        f"{pin.created_at:%Y-%m-%d}",
                        f"until {pin.locked_until:%H:%M} UTC" if locked else "-",
                    )
        out.print(table if table.row_count else f"{found.number} has no PIN.")

    run(work())


@pin_app.command("take-back")
def pin_take_back(
    number: str, pin: Annotated[str, typer.Argument(help="Its id; `ringua pin list LINE` shows them.")]
) -> None:
    """Makes a PIN worthless, at once."""
    try:
        known = UUID(pin)
    except ValueError:
        # Not repeated: it may be the digits themselves.
        raise Trouble(
            "That is no PIN's id: `ringua pin list LINE` shows the ids; digits are known to nobody."
        ) from None

    async def work() -> None:
        async with storage.opened(load()) as data:
            found = await find_line(data, number)
            async with data.database.school(found.school_id) as session:
                held = {one.id: one for one in await pins.list_all(session, found.id)}
                if known not in held or not await pins.take_back(session, known):
                    raise Trouble(f"{found.number} has no PIN {pin}: `ringua pin list {found.number}` shows all.")
                await _audited(session, found, "take_back", held[known].learner_id, held[known].role)
        out.print("Taken back: these digits open nothing any more.")

    run(work())


async def _audited(session: AsyncSession, line: LineFound, action: str, learner_id: UUID | None, role: str) -> None:
    """Notes that somebody got a PIN, or lost it."""
    data = {"line": str(line.id), "role": role, "learner": str(learner_id) if learner_id is not None else None}
    await audit.record(session, line.school_id, actor=audit.COMMAND_LINE, action=action, subject="pin", data=data)


def _role(name: str) -> Role:
    role: Literal["learner", "teacher", "family"]
    for role in get_args(Role):
        if role == name:
            return role
    raise Trouble(f"There is no role {name}.")


# --- flags


@flag_app.command("list")
def flag_list(school: str) -> None:
    """Lists the calls of a school that nobody has looked at yet."""

    async def work() -> None:
        table = Table(Column("Call", no_wrap=True), "When", "Why", "Found by", "What the line did")
        async with storage.opened(load()) as data:
            owner = await find_school(data, school)
            async with data.database.school(owner.id) as session:
                for flag in await flags.unheard(session, timedelta(0)):
                    call = await calls.get(session, flag.call_id)
                    table.add_row(
                        call.carrier_sid if call is not None else str(flag.call_id),
                        f"{flag.created_at:%Y-%m-%d %H:%M} UTC",
                        flag.category,
                        flag.source,
                        flag.action,
                    )
        out.print(table if table.row_count else "No call waits to be looked at.")

    run(work())


@flag_app.command("seen")
def flag_seen(school: str, call_sid: str) -> None:
    """Says that somebody has looked at a call."""

    async def work() -> None:
        async with storage.opened(load()) as data:
            owner = await find_school(data, school)
            async with data.database.anyone() as session:
                known = await calls.find(session, call_sid)
            if known is None or known.school_id != owner.id:
                raise Trouble(f"{school} has no call {call_sid}.")
            async with data.database.school(owner.id) as session:
                dated = await flags.told(session, known.call_id)
        out.print("Noted." if dated else "That was noted before.")

    run(work())
