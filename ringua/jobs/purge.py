"""Takes away what may be kept no longer: by the hour for all schools, and at once for what somebody wants forgotten.

Work is done in small transactions that each leave things right; whatever is stopped, killed or run twice goes on at the
next hour. Logs hold counts.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, Protocol
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from db import calls, carrier_copies, forgetting, policies, recordings, retention, schools
from db.accounts import Account
from db.audio_files import AudioFiles
from db.carrier_copies import Due
from db.engine import Database
from db.jobs import Job
from db.policies import Policy
from telephony.twilio.erasing import Erased, erase
from telephony.twilio.rest import TOTAL_S, RestHttp

SWEEP: Final = "purge.sweep"
HOURLY: Final = "7 * * * *"

LIMIT_S: Final = 1_800.0
"""One sweep at most; the next one goes on with the rest. Some 350 calls a second were emptied (40 turns and 100 events
each, one core, a database that does not wait for its disk), so that a million due at once take two sweeps."""

_FILES_AT_A_TIME: Final = 50
_COPIES_AT_A_TIME: Final = 20
_AN_HOUR_S: Final = 3_600.0

Step = Callable[[AsyncSession, Policy], Awaitable[int]]

log = structlog.get_logger(__name__)


class FindAccount(Protocol):
    """Finds a carrier account by its identifier."""

    async def __call__(self, session: AsyncSession, sid: str, /) -> Account | None: ...


def jobs_of(
    database: Database, files: AudioFiles, find_account: FindAccount, *, rest_limit_s: float = TOTAL_S
) -> list[Job]:
    """What a worker does about keeping and forgetting."""

    async def hourly() -> None:
        async with _carrier(rest_limit_s) as http:
            await sweep(database, files, find_account=find_account, http=http)

    async def recording(school_id: str, recording_id: str) -> None:
        removed = await remove_recordings(database, UUID(school_id), files, recording_id=UUID(recording_id))
        log.info("recordings.removed", count=removed)

    async def copies(school_id: str) -> None:
        async with _carrier(rest_limit_s) as http:
            await erase_soon(database, UUID(school_id), find_account=find_account, http=http)

    async def forgotten(school_id: str, call_id: str) -> None:
        await look_again(database, school_id=UUID(school_id), call_id=UUID(call_id))

    return [
        Job(SWEEP, hourly, cron=HOURLY),
        Job(recordings.JOB, recording),
        Job(carrier_copies.JOB, copies),
        Job(forgetting.JOB, forgotten),
    ]


@asynccontextmanager
async def _carrier(limit_s: float) -> AsyncIterator[RestHttp]:
    http = RestHttp(total_s=limit_s)
    try:
        yield http
    finally:
        await http.close()


async def sweep(
    database: Database,
    files: AudioFiles,
    *,
    find_account: FindAccount,
    http: RestHttp,
    clock: Callable[[], float] | None = None,
    limit_s: float = LIMIT_S,
) -> Counter[str]:
    """Goes through all schools once and returns what went, in counts by kind.

    A school whose turn fails does not keep the others from theirs; then an ExceptionGroup follows.

    Args:
        clock: seconds; None: the loop's.
        limit_s: after which no further batch is begun.
    """
    now = clock or asyncio.get_running_loop().time
    until = now() + limit_s
    gone: Counter[str] = Counter()
    errors: list[Exception] = []
    async with database.anyone() as session:
        gone["texts_received"] = await retention.drop_texts_received(session)
        ids = [school.id for school in await schools.all(session)]
    full = True
    while full:
        async with database.anyone() as session:
            count = await retention.drop_ledger(session)
        gone["ledger"] += count
        full = count >= retention.LEDGER_BATCH and now() < until
    # What no row knows of goes as well: a file whose writer died before or after it.
    gone["stray_files"] = await asyncio.to_thread(files.remove_old)
    for school_id in ids:
        try:
            gone += await _school(database, school_id, files, lambda: now() < until)
            gone["carrier_copies"] += await erase_copies(database, school_id, find_account=find_account, http=http)
        except Exception as error:
            # Its text may quote a row: the kind of error is all that a log may hold.
            log.error("sweep.failed", school=str(school_id), problem=type(error).__name__)
            errors.append(error)
    if gone.total():
        log.info("sweep.done", **{kind: count for kind, count in gone.items() if count})
    if errors:
        raise ExceptionGroup(f"The sweep failed for {len(errors)} of {len(ids)} schools", errors)
    return gone


async def _school(
    database: Database, school_id: UUID, files: AudioFiles, may_go_on: Callable[[], bool]
) -> Counter[str]:
    async with database.school(school_id) as session:
        policy = await policies.of_school(session)
    gone: Counter[str] = Counter()
    steps: dict[str, tuple[Step, int]] = {
        "expired": (retention.drop_expired, 1_000),
        "snapshots": (lambda session, _: retention.drop_snapshots(session), retention.BATCH),
        "menus": (lambda session, _: retention.empty_menus(session), retention.BATCH),
        "words": (retention.empty_words, retention.BATCH),
        "figures": (retention.leave_cost, retention.BATCH),
        "forgotten_again": (lambda session, _: retention.leave_cost_again(session), retention.BATCH),
        "learners": (_forget_silent, 1),
    }
    for kind, (step, batch) in steps.items():
        full = True
        while full and may_go_on():
            async with database.school(school_id) as session:
                count = await step(session, policy)
            gone[kind] += count
            full = count >= batch
    gone["recordings"] = await remove_recordings(database, school_id, files)
    return gone


async def _forget_silent(session: AsyncSession, policy: Policy) -> int:
    """One at a time: each is a transaction of some size."""
    silent = await retention.silent_learners(session, policy, limit=1)
    for learner_id in silent:
        await forgetting.forget_learner(session, learner_id)
    return len(silent)


async def remove_recordings(
    database: Database, school_id: UUID, files: AudioFiles, *, recording_id: UUID | None = None
) -> int:
    """Deletes the recordings of a school whose time is over, each file before its row; returns how many.

    Of one, if it is its. A file that cannot be deleted keeps its row, and the job fails and is tried again.
    """
    removed = 0
    while True:
        async with database.school(school_id) as session:
            due = await recordings.due(session, limit=_FILES_AT_A_TIME, recording_id=recording_id)
        for recording in due:
            await asyncio.to_thread(files.remove, recording.path)
            async with database.school(school_id) as session:
                await recordings.gone(session, recording.id)
        removed += len(due)
        if len(due) < _FILES_AT_A_TIME:
            break
    return removed


async def erase_copies(database: Database, school_id: UUID, *, find_account: FindAccount, http: RestHttp) -> int:
    """Asks the carriers to delete what is due of a school's list; returns how many are gone.

    One for which no carrier could be asked, or none obeyed, for a month is given up, with an error for the operator.
    """
    gone = 0
    while True:
        async with database.school(school_id) as session:
            due = await carrier_copies.due(session, _COPIES_AT_A_TIME)
        for one in due:
            gone += await _erase(database, school_id, one, find_account, http)
        if len(due) < _COPIES_AT_A_TIME:
            break
    if gone:
        log.info("copies.erased", count=gone)
    return gone


async def erase_soon(database: Database, school_id: UUID, *, find_account: FindAccount, http: RestHttp) -> None:
    """The job that follows a forgetting: asks now, and within the hour again for what is not gone yet."""
    await erase_copies(database, school_id, find_account=find_account, http=http)
    async with database.school(school_id) as session:
        wait_s = await carrier_copies.next_due_s(session)
        if wait_s is not None and wait_s < _AN_HOUR_S:
            await carrier_copies.defer(session, school_id, delay_s=wait_s)


async def _erase(database: Database, school_id: UUID, one: Due, find_account: FindAccount, http: RestHttp) -> bool:
    copy = one.copy
    async with database.school(school_id) as session:
        account = await find_account(session, copy.account_sid)
    # No connection is held while the carrier answers.
    erased = await erase(account, copy, http) if account is not None else Erased(gone=False)
    async with database.school(school_id) as session:
        if erased.gone:
            await carrier_copies.gone(session, copy.sid)
        elif not one.overdue:
            await carrier_copies.later(session, copy.sid, erased.code)
        else:
            await carrier_copies.gone(session, copy.sid)
            log.error(
                "copy_given_up",
                sid=copy.sid,
                account=copy.account_sid,
                code=erased.code,
                do="Somebody was forgotten and the carrier still has this: delete it in the carrier's console.",
            )
    return erased.gone


async def look_again(database: Database, *, school_id: UUID, call_id: UUID) -> None:
    """Takes away what a call wrote after its learner was forgotten; one that still goes on is looked at again."""
    async with database.school(school_id) as session:
        call = await calls.get(session, call_id)
        if call is None:
            return
        if call.state != "closed":
            await forgetting.defer_again(session, school_id, call_id)
            return
        await retention.leave_cost_again(session, call_id)
