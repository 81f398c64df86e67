"""Brings text messages to the carrier, each at most once, and draws the conclusions from what becomes of them.

A row says ``sending`` before the request leaves. Where no answer came, the carrier's own list is asked before anything
else happens; only when it has had time to show the message, and does not, is the message sent again. It knows rows and
the carrier, and nothing of what a message says.
"""

from __future__ import annotations

import random
import time
import unicodedata
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from twilio.base.exceptions import TwilioException

from db import carrier_copies, consents, flags, ledger, lines, messages, recipients
from db.accounts import Account
from db.carrier_copies import Copy
from db.engine import Database
from db.keyring import Keyring
from db.models import Line, Message, School
from telephony.segments import segments
from telephony.twilio import message_codes
from telephony.twilio.message_codes import Verdict
from telephony.twilio.rest import NotSent, RestHttp, Unclear, client

STATUS_PATH: Final = "/twilio/sms-status"

SENDING_S: Final = 30.0
"""Twice what a request may take: a message that has been ``sending`` for longer was left by a process that died."""
CLAIM_HOLDS_S: Final = 10.0
"""A process that was frozen for longer between its claim and the request does not send: others may have by then."""
SETTLED_S: Final = 120.0
"""A message that the carrier's list does not show this long after the request was not taken."""
LOOK_AGAIN_S: Final = 10.0
"""The first wait between two looks at the list; then they double."""
GIVE_UP_S: Final = 6 * 3600.0
"""When the list cannot be asked for this long, the message stays unclear: once at most is the rule."""
NOT_SENT: Final = frozenset({"failed", "canceled"})
"""What the carrier says of a message that it did not send, and does not bill."""
MAX_ATTEMPTS: Final = 5
BUSY_S: Final = 4.0
"""The first wait when the carrier is busy; then 12, 36, 108 s, and up to half of it more."""
DELIVERY_ATTEMPTS: Final = 2
DELIVERY_S: Final = 15 * 60.0
"""When a handset was off."""

MOST_A_DAY: Final = 2
"""Texts to one number between two midnights of the school's clocks (tutoring.md §5.6), from all schools together: it is
one person's telephone. What is more is not sent; the next call tells it better."""

_SKEW: Final = timedelta(seconds=60)
_LISTED: Final = 20

FindAccount = Callable[[AsyncSession, str], Awaitable[Account | None]]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Order:
    """A message that was taken for sending, or whose fate is to be found out."""

    school_id: UUID
    message_id: UUID
    account: Account
    sender: str
    recipient: str = field(repr=False)
    body: str = field(repr=False)
    attempt: int
    unclear: bool
    attempted_at: datetime
    since_attempt_s: float
    claimed: float


class Messenger:
    """Sends messages; any number of processes may, each message goes through one of them at a time.

    Args:
        find_account: the account with a SID, of the settings or of the database.
        address: where an account's carrier reaches us (``https://voice.example.org``).
        http: stays its owner's to close.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        *,
        database: Database,
        keyring: Keyring,
        find_account: FindAccount,
        address: Callable[[Account], str],
        http: RestHttp,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._database = database
        self._keyring = keyring
        self._find_account = find_account
        self._address = address
        self._http = http
        self._now = now
        self._clock = clock
        self._chance = chance

    async def send(self, school_id: UUID, message_id: UUID) -> float | None:
        """Moves a message on, from wherever it stands.

        Returns the seconds after which to ask again; None when nothing is left to do.
        """
        async with self._database.school(school_id) as session:
            order = await self._next(session, school_id, message_id)
        if not isinstance(order, _Order):
            return order
        return await (self._look_up(order) if order.unclear else self._post(order))

    async def _next(self, session: AsyncSession, school_id: UUID, message_id: UUID) -> _Order | float | None:
        claimed = self._clock()
        waiting = await messages.lock(session, message_id)
        if waiting is None or waiting.message.state not in ("new", "sending", "unknown"):
            return None
        message = waiting.message
        if message.state == "sending":
            if waiting.since_attempt_s < SENDING_S:
                return SENDING_S - waiting.since_attempt_s
            await messages.unsure(session, message_id)
        attempt, unclear = message.attempts, message.state != "new"
        account = await self._find_account(session, message.account_sid)
        if message.learner_id is None:
            number = await lines.safeguarding_number(session, message.sender)
        else:
            number = await recipients.number(session, message.sender, message.learner_id, message.number_hash)
        if unclear:
            if account is None or number is None or waiting.since_attempt_s > GIVE_UP_S:
                log.error("text_stays_unclear", message=str(message_id))
                return None
        else:
            wait = await self._hindrance(session, message, account, number)
            if wait is not None or account is None or number is None:
                return wait or None
            taken = await messages.attempt(session, message_id)
            if taken is None:
                return None
            attempt = taken
        since_s = waiting.since_attempt_s if unclear else 0.0
        return _Order(
            school_id=school_id,
            message_id=message_id,
            account=account,
            sender=message.sender,
            recipient=self._keyring.decrypt(number),
            body=message.body,
            attempt=attempt,
            unclear=unclear,
            attempted_at=self._now() - timedelta(seconds=since_s),
            since_attempt_s=since_s,
            claimed=claimed,
        )

    async def _hindrance(
        self, session: AsyncSession, message: Message, account: Account | None, number: bytes | None
    ) -> float | None:
        """Why a new message is not sent now: 0 for good, else the seconds to wait. None: it may go.

        Asked in the moment before the request, because a STOP may have come since the message was written. What goes to
        a safeguarding contact waits for nothing: no learner's STOP, no switch and no night holds it back.
        """
        if message.learner_id is None:
            if account is not None and number is not None:
                return None
            await messages.suppress(session, message.id)
            log.error("safeguarding_not_told", message=str(message.id), do="set the line's safeguarding contact")
            return 0.0
        allowed = (
            account is not None
            and number is not None
            and await consents.standing(session, message.number_hash)
            and await lines.may_text(session, message.sender)
        )
        code = await messages.blocked(session, account_sid=message.account_sid, sender=message.sender)
        if not allowed or code is not None:
            await messages.suppress(session, message.id, code)
            log.info("text_suppressed", message=str(message.id), code=code)
            return 0.0
        school = await session.get(School, message.school_id)
        line = await session.scalar(select(Line).where(Line.number == message.sender))
        if school is None or line is None:
            return None
        from_h = school.quiet_kids_from_h if line.for_children else school.quiet_from_h
        if wait_s := quiet_s(self._now(), school.timezone, from_h=from_h, until_h=school.quiet_until_h):
            log.info("text_waits", message=str(message.id), wait_s=round(wait_s))
            return wait_s
        today = midnight(self._now(), school.timezone)
        if await messages.enough(session, message.number_hash, since=today, most=MOST_A_DAY):
            await messages.suppress(session, message.id)
            log.info("text_suppressed", message=str(message.id), why="enough for today")
            return 0.0
        return None

    async def _post(self, order: _Order) -> float | None:
        if self._clock() - order.claimed > CLAIM_HOLDS_S:
            return SENDING_S
        callback = f"{self._address(order.account)}{STATUS_PATH}?message={order.message_id}&attempt={order.attempt}"
        try:
            taken = await self._rest(order).messages.create_async(
                to=order.recipient, from_=order.sender, body=order.body, status_callback=callback
            )
            sid = str(taken.sid or "")
        except NotSent as error:
            return await self._refused(order, Verdict.AGAIN, None, str(error))
        except (Unclear, ValueError, AttributeError) as error:
            # Also an answer that is none, such as a proxy's page.
            return await self._unclear(order, str(error) if isinstance(error, Unclear) else "unreadable")
        except TwilioException as error:
            # Two kinds that share no base with these fields; their text is not for a log.
            status, code = int(getattr(error, "status", 0)), int(getattr(error, "code", 0) or 0)
            if not 400 <= status < 500:
                return await self._unclear(order, f"HTTP {status}")
            return await self._refused(order, message_codes.of_refusal(code, status), code, f"HTTP {status}")
        if not sid:
            return await self._unclear(order, "no identifier")
        await self._found(order, taken)
        return None

    async def _found(self, order: _Order, entry: Any) -> None:
        """The carrier has the message: writes what it says of it."""
        async with self._database.school(order.school_id) as session:
            await reported(
                session,
                order.message_id,
                carrier_sid=entry.sid,
                status=str(entry.status),
                error_code=entry.error_code,
                attempt=order.attempt,
            )
            if await messages.get(session, order.message_id) is None:
                # Its learner was forgotten while it was on its way: the carrier's copy goes too.
                copy = Copy(order.account.sid, "message", entry.sid)
                await carrier_copies.add(session, order.school_id, [copy])
        log.info("text_taken", message=str(order.message_id), sid=entry.sid)

    async def _refused(self, order: _Order, verdict: Verdict, code: int | None, why: str) -> float | None:
        log.warning("text_refused", message=str(order.message_id), code=code, why=why, verdict=verdict)
        async with self._database.school(order.school_id) as session:
            if verdict is Verdict.AGAIN and order.attempt < MAX_ATTEMPTS:
                await messages.release(session, order.message_id)
                return BUSY_S * float(3 ** (order.attempt - 1)) * (1 + self._chance() / 2)
            await messages.fail(session, order.message_id, code)
            message = await messages.get(session, order.message_id)
            if message is not None:
                await _conclude(session, message, verdict, code)
        return None

    async def _unclear(self, order: _Order, why: str) -> float | None:
        log.warning("text_unclear", message=str(order.message_id), why=why)
        async with self._database.school(order.school_id) as session:
            await messages.unsure(session, order.message_id)
        return await self._look_up(order)

    async def _look_up(self, order: _Order) -> float | None:
        """Asks the carrier's list what became of an attempt."""
        later_s = max(LOOK_AGAIN_S, order.since_attempt_s)
        try:
            # Not by the day of sending: what still waits at the carrier has none.
            listed = await self._rest(order).messages.list_async(
                to=order.recipient, from_=order.sender, limit=_LISTED, page_size=_LISTED
            )
        except (NotSent, Unclear, TwilioException, ValueError, AttributeError) as error:
            log.warning("text_not_looked_up", message=str(order.message_id), problem=type(error).__name__)
            return later_s
        ours = [entry for entry in reversed(listed) if _may_be(entry, order)]
        async with self._database.school(order.school_id) as session:
            others = await messages.known(session, [entry.sid for entry in ours])
        for entry in ours:
            if entry.sid not in others:
                await self._found(order, entry)
                return None
        if order.since_attempt_s < SETTLED_S:
            return later_s
        async with self._database.school(order.school_id) as session:
            if order.attempt >= MAX_ATTEMPTS:
                await messages.fail(session, order.message_id, None)
                return None
            await messages.release(session, order.message_id)
        return 0.0

    def _rest(self, order: _Order) -> Any:
        return client(order.account, self._http)


async def reported(
    session: AsyncSession,
    message_id: UUID,
    *,
    carrier_sid: str,
    status: str,
    error_code: int | None,
    attempt: int | None = None,
) -> bool:
    """Writes what the carrier says of a message, and draws the conclusions; False when it was no news.

    In the transaction of ``session``, which is of the message's school.
    """
    news = await messages.report(
        session, message_id, carrier_sid=carrier_sid, status=status, error_code=error_code, attempt=attempt
    )
    message = await messages.get(session, message_id) if news else None
    if message is not None and status not in NOT_SENT:
        await ledger.book_message(session, message, segments=segments(message.body))
    if not news or status not in messages.DELIVERED | messages.UNDELIVERED:
        return news
    if status in messages.DELIVERED:
        if message is not None and message.learner_id is None:
            # Only now: that the carrier took it does not mean that anybody has it.
            await flags.told(session, message.call_id)
        return news
    verdict = message_codes.of_delivery(error_code)
    log.warning("text_not_delivered", message=str(message_id), code=error_code, verdict=verdict)
    if message is None:
        return news
    again = verdict is Verdict.AGAIN and message.attempts < DELIVERY_ATTEMPTS
    if again and await messages.again(session, message_id):
        await messages.defer(session, message.school_id, message_id, delay_s=DELIVERY_S)
    else:
        await _conclude(session, message, verdict, error_code)
    return news


async def _conclude(session: AsyncSession, message: Message, verdict: Verdict, code: int | None) -> None:
    """What a message's failure for good means for those after it."""
    if message.learner_id is None:
        log.error("safeguarding_not_told", message=str(message.id), code=code, do="look at the call on the console")
    if code is None:
        return
    if verdict is Verdict.RECIPIENT:
        if message.learner_id is None:
            return  # not an opt-out: the next call's message is tried again
        await consents.opt_out(session, message.number_hash, f"carrier {code}")
    elif verdict in (Verdict.SENDER, Verdict.ACCOUNT):
        sender = message.sender if verdict is Verdict.SENDER else ""
        if await messages.block(session, account_sid=message.account_sid, sender=sender, code=code):
            log.error(
                "texts_stopped", account=message.account_sid, sender=sender, code=code, do=message_codes.advice(code)
            )


def quiet_s(now: datetime, zone: str, *, from_h: int, until_h: int) -> float:
    """Returns the seconds until texts may be sent, 0 when they may now.

    None are sent from the hour ``from_h`` to the hour ``until_h`` where the clocks show ``zone``'s time; equal hours
    are no quiet time.
    """
    here = now.astimezone(ZoneInfo(zone))
    past_h = (here.hour - from_h) % 24  # since the quiet began
    if past_h >= (until_h - from_h) % 24:
        return 0.0
    ends = here.replace(hour=until_h, minute=0, second=0, microsecond=0)
    if ends <= here:
        ends += timedelta(days=1)
    # Through UTC: between two times of one zone Python does not count the hour that a clock change takes.
    return (ends.astimezone(UTC) - now.astimezone(UTC)).total_seconds()


def midnight(now: datetime, zone: str) -> datetime:
    """Returns when the day began where the clocks show ``zone``'s time."""
    return now.astimezone(ZoneInfo(zone)).replace(hour=0, minute=0, second=0, microsecond=0)


def _may_be(entry: Any, order: _Order) -> bool:
    """Whether an entry of the carrier's list can be this attempt."""
    created: datetime | None = entry.date_created
    return (
        str(entry.direction) == "outbound-api"
        and created is not None
        and created.replace(tzinfo=UTC) >= order.attempted_at - _SKEW
        and unicodedata.normalize("NFC", entry.body or "").strip() == unicodedata.normalize("NFC", order.body).strip()
    )
