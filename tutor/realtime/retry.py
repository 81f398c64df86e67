"""When an HTTP request to OpenAI is worth making again, and how long to wait first (openai-realtime.md §7).

The official client's policy, as pure functions: no request is made here, no time passes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

RETRIES = 2
"""How often a failed request is made again."""

LONGEST_ASKED_WAIT_S = 120.0
"""When the server asks for more patience than this, we give up."""

FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 8.0
"""Without a wish of the server: half a second, doubled each time, at most eight, less up to a quarter by chance."""

NO_CREDIT = frozenset({"insufficient_quota", "credit_balance_exhausted"})
"""A 429 with one of these is no matter of patience."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What an answer with an error status says of itself; empty where it says nothing."""

    status: int
    code: str
    param: str
    no_credit: bool
    request: str
    """The server's id of the request."""


def fault(response: httpx.Response) -> Fault:
    """Reads OpenAI's error body; a proxy on the way has pages of its own, and those say nothing."""
    try:
        error = response.json()["error"]
    except (ValueError, KeyError, TypeError):
        error = {}
    said = error if isinstance(error, dict) else {}
    code, kind = said.get("code"), said.get("type")
    return Fault(
        status=response.status_code,
        code=str(code or kind or response.status_code),
        param=str(said.get("param") or ""),
        no_credit=code in NO_CREDIT or kind in NO_CREDIT,
        request=response.headers.get("x-request-id", ""),
    )


def is_passing(response: httpx.Response) -> bool:
    """Whether the same request may succeed later: 408, 409, 429 and 5xx, unless the server says otherwise."""
    if fault(response).no_credit:
        return False
    wish = response.headers.get("x-should-retry")
    if wish in ("true", "false"):
        return bool(wish == "true")
    return response.status_code in (408, 409, 429) or response.status_code >= 500


def wait_s(tries: int, headers: httpx.Headers, now: datetime, chance: float) -> float | None:
    """Seconds to wait before another try; None when there should be none.

    Args:
        tries: how many tries were made again so far, from 0.
        headers: of the failed answer; empty when there was none.
        now: to understand a date.
        chance: from 0 to 1, so that many clients do not come back at once.
    """
    if tries >= RETRIES:
        return None
    asked_s = _asked_s(headers, now)
    if asked_s is not None:
        return asked_s if asked_s <= LONGEST_ASKED_WAIT_S else None
    return min(FIRST_WAIT_S * float(2**tries), LONGEST_WAIT_S) * (1 - 0.25 * chance)


def _asked_s(headers: httpx.Headers, now: datetime) -> float | None:
    """How long the server asks us to wait; None when it does not say, or nothing usable."""
    for header, seconds in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            asked_s = float(headers.get(header, "")) * seconds
        except ValueError:
            continue
        if asked_s > 0:
            return asked_s
    try:
        at = parsedate_to_datetime(headers.get("retry-after", ""))
    except ValueError:
        return None
    # "-0000" means universal time and is read as a time without a zone.
    asked_s = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - now.timestamp()
    return asked_s if asked_s > 0 else None
