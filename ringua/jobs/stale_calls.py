"""Closes calls whose process died: nobody shows life for them any more, and nobody else will close them."""

from __future__ import annotations

import structlog

from db import endings
from db.endings import Ending
from db.engine import Database
from db.models import Call

log = structlog.get_logger(__name__)


async def close_stale_calls(database: Database) -> None:
    """Closes every call without a sign of life for two minutes; what its checkpoint holds stays."""
    for closed in await endings.close_stale(database, _ending):
        log.warning("call.closed_stale", call_id=str(closed.call_id))


def _ending(call: Call) -> Ending:
    reason = "process_lost" if call.state in ("live", "after") else "left_menu"
    return Ending(reason, resumable=call.resume is not None)
