"""Sends one text message, or goes on with one whose fate is open; defers itself for as long as there is more to do."""

from __future__ import annotations

from uuid import UUID

from db import messages
from db.engine import Database
from telephony.twilio.messages import Messenger


async def send_message(messenger: Messenger, database: Database, *, school_id: UUID, message_id: UUID) -> None:
    """Moves a message on by one step. Run twice, or killed anywhere, it is sent once at most."""
    again_s = await messenger.send(school_id, message_id)
    if again_s is not None:
        async with database.school(school_id) as session:
            await messages.defer(session, school_id, message_id, delay_s=again_s)
