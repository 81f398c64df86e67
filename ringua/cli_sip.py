"""The command line's part on SIP: domains by which lines are reached, and phones by which learners are known."""

from __future__ import annotations

from typing import Annotated

import typer

from db import audit, learners, sip_domains
from db.sip_domains import DomainTaken
from ringua import storage
from ringua.cli_keeping import find_learner
from ringua.settings import load
from ringua.terminal import Trouble, find_line, out, run
from telephony import sip


def line_sip(
    number: str,
    domain: Annotated[str | None, typer.Argument(help="Such as school.sip.twilio.com; without it, shows all.")] = None,
    remove: Annotated[bool, typer.Option("--remove", help="The domain reaches no line any more.")] = False,
) -> None:
    """Lets SIP phones reach a line by a SIP domain of the carrier account; its other lines by their numbers.

    The domain must ask for credentials: whoever is let in by a network address alone is a guest.
    """
    name = sip.domain_of(domain) if domain is not None else None
    if domain is not None and name is None:
        raise Trouble(f"{domain} is no SIP domain: write it as school.sip.twilio.com.")

    async def work() -> None:
        async with storage.opened(load()) as data:
            line = await find_line(data, number)
            async with data.database.school(line.school_id) as session:
                if name is None:
                    known = [row.domain for row in await sip_domains.list_all(session) if row.line_id == line.id]
                    out.print(", ".join(known) or f"{line.number} is reached by no SIP domain.")
                    return
                if remove:
                    if not await sip_domains.remove(session, name):
                        raise Trouble(f"{line.school_name} has no SIP domain {name}.")
                    out.print(f"{name} reaches no line any more.")
                    return
                try:
                    await sip_domains.put(session, line.school_id, name, line.id)
                except DomainTaken as error:
                    raise Trouble(str(error)) from error
        out.print(f"{name} reaches {line.number}. Its voice URL at the carrier is the number's: …/twilio/voice.")

    run(work())


def learner_sip(
    who: Annotated[str, typer.Argument(help="The id, the last two digits of the number, or the first name.")],
    phone: Annotated[str, typer.Argument(help="The name and domain of the phone's credentials: ana@DOMAIN.")],
    school: Annotated[str | None, typer.Option(help="The learner's school; needed unless the id is given.")] = None,
    remove: Annotated[bool, typer.Option("--remove", help="The learner is not known by this phone any more.")] = False,
) -> None:
    """Lets a learner be known by their SIP phone; of its name only a keyed hash is kept."""
    known = sip.parse_name(phone)
    if known is None:
        raise Trouble(f"{phone} is no SIP phone: write the name and domain of its credentials, as ana@DOMAIN.")

    async def work() -> None:
        async with storage.opened(load()) as data:
            found = await find_learner(data, who, school)
            phone_hash = data.keyring.hash_sip(known.address)
            async with data.database.school(found.school.id) as session:
                if remove:
                    if not await learners.drop_identity(session, found.id, phone_hash):
                        raise Trouble(f"{found.id} is not known by this phone.")
                else:
                    domains = {row.domain for row in await sip_domains.list_all(session)}
                    if known.domain not in domains:
                        raise Trouble(
                            f"No line of {found.school.name} is reached by {known.domain}: `ringua line sip` sets it."
                        )
                    await learners.add_identity(session, found.entry.learner, phone_hash)
                sharing = len(await learners.by_number_hash(session, phone_hash))
                await audit.record(
                    session,
                    found.school.id,
                    actor=audit.COMMAND_LINE,
                    action="change",
                    subject="learner",
                    data={"learner": str(found.id), "sip_phone": not remove},
                )
        if remove:
            out.print(f"{found.id} is not known by this phone any more.")
            return
        out.print(f"{found.id} is known by this phone.")
        if sharing > 1:
            out.print(f"{sharing} learners share it: they are asked who is calling.")

    run(work())
