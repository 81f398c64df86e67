"""The command line's part on text messages: guardians who get them instead of children, and the hours without any."""

from __future__ import annotations

from typing import Annotated

import typer

from db import guardians, schools
from db.guardians import GuardianRefused
from ringua import storage
from ringua.cli_keeping import SchoolOption, WhoArgument, find_learner, learner_app
from ringua.settings import load
from ringua.terminal import Trouble, e164, find_school, out, run

Hour = Annotated[int, typer.Option(min=0, max=23, help="A whole hour by the school's clocks.")]


@learner_app.command("guardian")
def learner_guardian(
    who: WhoArgument,
    number: Annotated[
        str | None, typer.Argument(help="Where the texts go; without one, who it is now is shown.")
    ] = None,
    school: SchoolOption = None,
    consent: Annotated[str, typer.Option(help="How the school has the guardian's consent: 'form of 2026-09-01'.")] = "",
    remove: Annotated[bool, typer.Option("--remove", help="Forgets the guardian: no more texts.")] = False,
) -> None:
    """Shows, sets or removes who gets the texts about a learner: a parent, instead of a child."""
    if remove and number is not None:
        raise Trouble("A guardian is set or removed: give a number or --remove.")

    async def work() -> None:
        async with storage.opened(load()) as data:
            found = await find_learner(data, who, school)
            async with data.database.school(found.school.id) as session:
                if remove:
                    gone = await guardians.remove(session, found.id)
                    out.print("Removed the guardian." if gone else "There was no guardian.")
                elif number is not None:
                    try:
                        await guardians.put(
                            session,
                            data.keyring,
                            school_id=found.school.id,
                            learner_id=found.id,
                            number=e164(number),
                            consent=consent,
                        )
                    except GuardianRefused as refused:
                        raise Trouble(str(refused)) from refused
                    out.print("Texts about this learner go to their guardian from now on, and to nobody else.")
                else:
                    known = await guardians.get(session, found.id)
                    if known is None:
                        out.print("No guardian.")
                    else:
                        out.print(f"…{known.last_two}, consent: {known.consent} ({known.consented_at:%Y-%m-%d})")

    run(work())


def school_quiet(school: str, start: Hour = 20, kids_start: Hour = 18, until: Hour = 8) -> None:
    """Sets the hours in which a school sends no texts; what is due then waits for the morning."""

    async def work() -> None:
        async with storage.opened(load()) as data:
            owner = await find_school(data, school)
            async with data.database.school(owner.id) as session:
                await schools.set_quiet_hours(session, owner.id, from_h=start, kids_from_h=kids_start, until_h=until)
        out.print(
            f"{owner.name} sends no texts from {start}:00 to {until}:00, to children's homes from {kids_start}:00."
        )

    run(work())
