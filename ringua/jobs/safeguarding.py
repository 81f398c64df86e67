"""Tells a line's safeguarding contact by text that a call needs a person's attention; nobody at a school can stop it.

One message a call, through the same way as debriefs, which sends nothing twice. It says which kind of thing it was, and
neither what was said nor by whom.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from uuid import UUID

import structlog

from db import calls, flags, lines, messages
from db.engine import Database
from db.keyring import Keyring
from telephony.segments import segments
from tutor.learning.message import MAX_SEGMENTS, plain_typography
from tutor.safety.words import ACTIONS

REASONS: Final[Mapping[str, str]] = {
    "self_harm": "self-harm",
    "abuse": "abuse",
    "danger": "danger",
    "sexual": "sexual content",
    "violence": "violence",
    "hate": "hate",
    "drugs": "drugs",
    "personal_data": "personal data",
    "injection": "misuse",
    "report": "the caller reported it",
}
"""How each category is called in the message, in English."""

log = structlog.get_logger(__name__)


async def tell_contact(database: Database, keyring: Keyring, *, school_id: UUID, call_id: UUID) -> None:
    """Writes the message about a call, once; without a contact it logs so, and the call's flags stay unheard."""
    async with database.school(school_id) as session:
        call = await calls.get(session, call_id)
        line = await lines.get(session, call.line_id) if call is not None else None
        found = [flag for flag in await flags.of_call(session, call_id) if flag.told_at is None]
        open_flags = [flag for flag in found if flag.action in flags.TOLD_OF or flag.source == "key"]
        if call is None or line is None or not open_flags:
            return
        if line.safeguarding_number is None:
            log.error(
                "safeguarding.no_contact",
                call=call.carrier_sid,
                line=str(line.id),
                do="Nobody was told of this call: set a contact with `ringua line safety`, and see `ringua flag list`.",
            )
            return
        worst = max(open_flags, key=lambda flag: (flag.source != "key", ACTIONS.index(flag.action)))
        written = await messages.add(
            session,
            school_id=school_id,
            call_id=call_id,
            learner_id=None,
            account_sid=call.account_sid,
            sender=line.number,
            kind=messages.SAFEGUARDING,
            key=f"{messages.SAFEGUARDING}:{call_id}",
            body=text_of(line.name, worst.category),
            number_hash=keyring.hash_number(keyring.decrypt(line.safeguarding_number)),
        )
    if written:
        log.info("safeguarding.written", call=call.carrier_sid)


def text_of(line_name: str, category: str) -> str:
    """The message, in at most two segments; a long name of a line is cut."""
    name = plain_typography(line_name)
    while True:
        text = plain_typography(
            f"Practice line {name}: a call today needs your attention "
            f"(reason: {REASONS.get(category, category)}). Whoever runs the line can show you when and why."
        )
        if not name or segments(text) <= MAX_SEGMENTS:
            return text
        name = name[:-1].rstrip()
