"""Deletes at the carrier what it keeps of somebody who was forgotten: records of calls and text messages.

What was deleted already is as good; what the carrier cannot delete yet, or nobody knows, is asked for again.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import structlog
from twilio.base.exceptions import TwilioException

from db.accounts import Account
from db.carrier_copies import Copy
from telephony.twilio.rest import NotSent, RestHttp, Unclear, client

NOT_FOUND: Final = 20404
NOT_COMPLETE: Final = 20009
"""A call is going on, or the carrier has not finished its books: for a minute as a rule, in rare cases for 14 days."""

log = structlog.get_logger(__name__)


class Erased(NamedTuple):
    """What became of it."""

    gone: bool
    code: int | None = None
    """The carrier's reason, where it gave one."""


async def erase(account: Account, copy: Copy, http: RestHttp) -> Erased:
    """Asks the carrier to delete one call's or message's record. Asked twice, the second time it is gone as well."""
    api = client(account, http)
    resource = api.calls(copy.sid) if copy.kind == "call" else api.messages(copy.sid)
    try:
        return Erased(bool(await resource.delete_async()))
    except (NotSent, Unclear) as error:
        log.info("copy_not_erased", sid=copy.sid, why=type(error).__name__)
        return Erased(False)
    except TwilioException as error:
        # Two kinds that share no base with these fields; their text is not for a log.
        code = int(getattr(error, "code", 0) or 0)
        if code in (NOT_FOUND, 404):
            return Erased(True)
        log.info("copy_not_erased", sid=copy.sid, code=code)
        return Erased(False, code or None)
