"""Closes calls whose process died: nobody shows life for them any more, and nobody else will close them."""

from __future__ import annotations

import structlog

from db import endings
from db.calls import TERMINAL
from db.endings import Ending
from db.engine import Database
from db.models import Call
from telephony.answering import ending_from_checkpoint

log = structlog.get_logger(__name__)


async def close_stale_calls(database: Database) -> None:
    """Closes every call without a sign of life for two minutes; what its checkpoint holds stays."""
    for closed in await endings.close_stale(database, _ending):
        log.warning("call.closed_stale", call_id=str(closed.call_id))


def _ending(call: Call) -> Ending:
    if call.carrier_status in TERMINAL and call.state != "menu":
        return ending_from_checkpoint(call, "caller_hung_up")
    return ending_from_checkpoint(call, "process_lost" if call.state in ("live", "after") else "left_menu")
