"""What was measured in calls, and what learners said of their confidence: written once a call, read by language.

A learner's languages are kept apart by their base (``es-MX`` is ``es``). Works in the session's school unless said
otherwise; what the figures mean is not known here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID

from sqlalchemy import Select, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from db.models import Call, Learner
from db.models_learning import ConfidenceAnswer, Observation

JOB: Final = "calls.learn"
"""The job that keeps what a call taught; it runs before the call's debrief, and again if it failed there."""
RATING_JOB: Final = "calls.rate"
"""The job that settles a call that broke off, once nobody can go on with it: rates it and makes its cards."""

RECENT: Final = 10
"""Five calls, and the five before them (tutoring.md §1A row 96)."""
FIRST: Final = 3
"""A learner is compared with their own first calls (tutoring.md §3.6)."""
WEEK: Final = timedelta(days=7)
LATER: Final = timedelta(days=14)
"""From when on the question about confidence is put again (tutoring.md §1A row 112)."""

AskedBecause = Literal["first", "later"]

_ZERO_ID = UUID(int=0)
_TO_ANALYSE = text("SELECT * FROM learners_to_analyse(:since, :before, :school, :learner, :limit)")


def language_of(target: str) -> str:
    """The language by which a learner's records are kept: ``es`` for ``es-MX``."""
    return target.replace("_", "-").partition("-")[0].lower()


def job(school_id: UUID, call_id: UUID) -> tuple[str, Mapping[str, Any]]:
    """The name and arguments of the job for a call, as ``jobs.defer`` takes them."""
    return JOB, {"school_id": str(school_id), "call_id": str(call_id)}


# --- observations


async def put(session: AsyncSession, observation: Observation) -> bool:
    """Keeps what was measured in a call; False when the call has its observation already, which stays.

    Of two who write at the same time the second waits for the first and then gets False.
    """
    columns = {column.key for column in Observation.__table__.columns}
    given = {name: value for name, value in vars(observation).items() if name in columns}
    given["target"] = language_of(observation.target)
    row = insert(Observation).values(given).on_conflict_do_nothing(index_elements=[Observation.call_id])
    return await session.scalar(row.returning(Observation.call_id)) is not None


async def get(session: AsyncSession, call_id: UUID) -> Observation | None:
    """What was measured in a call."""
    return await session.scalar(select(Observation).where(Observation.call_id == call_id))


async def hold(session: AsyncSession, learner_id: UUID) -> bool:
    """Nobody else changes what is remembered of the learner before the transaction ends. False: they are gone."""
    held = select(Learner.id).where(Learner.id == learner_id).with_for_update(key_share=True)
    return await session.scalar(held) is not None


async def cards_made(session: AsyncSession, call_id: UUID) -> bool:
    """Notes that a learner's call leaves its review cards.

    False when it has, is nobody's, was not observed, or is still waited for to be gone on with.
    """
    noted = (
        update(Observation)
        .where(
            Observation.call_id == call_id,
            Observation.learner_id.is_not(None),
            ~Observation.cards_made,
            ~Observation.may_go_on,
        )
        .values(cards_made=True)
        .returning(Observation.call_id)
    )
    return await session.scalar(noted.execution_options(synchronize_session=False)) is not None


async def rated(session: AsyncSession, call_id: UUID, *, outcome: float, difficulty: float) -> None:
    """Notes that a call was rated: what it came to, 0-1, and how hard the scene was then, in logits."""
    values: dict[str, Any] = {"rated": True, "may_go_on": False, "outcome": outcome, "difficulty": difficulty}
    noted = update(Observation).where(Observation.call_id == call_id).values(values)
    await session.execute(noted.execution_options(synchronize_session=False))


async def waited(session: AsyncSession, call_id: UUID) -> bool:
    """Notes that nobody can go on with a call any more; False when it did not wait for that."""
    noted = (
        update(Observation)
        .where(Observation.call_id == call_id, Observation.may_go_on)
        .values(may_go_on=False)
        .returning(Observation.call_id)
    )
    return await session.scalar(noted.execution_options(synchronize_session=False)) is not None


async def recent(session: AsyncSession, learner_id: UUID, target: str, limit: int = RECENT) -> list[Observation]:
    """The learner's last calls in a language, the newest last."""
    newest = _of(learner_id, target).order_by(Observation.at.desc(), Observation.call_id.desc()).limit(limit)
    return list(reversed((await session.scalars(newest)).all()))


async def first(session: AsyncSession, learner_id: UUID, target: str, limit: int = FIRST) -> list[Observation]:
    """The learner's first calls in a language, the oldest first."""
    oldest = _of(learner_id, target).order_by(Observation.at, Observation.call_id).limit(limit)
    return list(await session.scalars(oldest))


async def week(session: AsyncSession, learner_id: UUID, target: str, *, until: datetime) -> list[Observation]:
    """The learner's calls in a language in the seven days before ``until``, which is not among them; newest last."""
    within = _of(learner_id, target).where(Observation.at >= until - WEEK, Observation.at < until)
    return list(await session.scalars(within.order_by(Observation.at, Observation.call_id)))


NOTED_CALLS: Final = 15
"""What was noted longer ago says nothing any more: patterns look at ten calls, and five in which it was not noted."""


class Past(NamedTuple):
    """One earlier call, without its measures."""

    scenario: str
    at: datetime
    completed: bool
    hints: int
    turns: int
    notes: dict[str, Any]
    """See ``Observation.notes``."""


async def before(session: AsyncSession, call: Call, learner_id: UUID, target: str) -> list[Past]:
    """Every call of the learner in a language up to this one, the newest last.

    The call itself, and those of the same play of a scene (``db.chains``), are not among them, kept or not. Those
    before the last ``NOTED_CALLS`` come without their notes.
    """
    play = call.began_in or call.id
    same = select(Call.id).where(or_(Call.id == play, Call.began_in == play))
    # An index has all of it but the notes, which are scattered over the disk.
    columns = (Observation.call_id, *(getattr(Observation, name) for name in Past._fields[:-1]))
    past = select(*columns).where(
        Observation.learner_id == learner_id,
        Observation.target == language_of(target),
        Observation.at <= call.connected_at,
        Observation.call_id.not_in(same),
    )
    rows = (await session.execute(past.order_by(Observation.at, Observation.call_id))).all()
    lately = [row.call_id for row in rows[-NOTED_CALLS:]]
    noted = select(Observation.call_id, Observation.notes).where(Observation.call_id.in_(lately))
    notes = {row.call_id: row.notes for row in await session.execute(noted)}
    return [Past._make((*told, notes.get(call_id, {}))) for call_id, *told in rows]


def _of(learner_id: UUID, target: str) -> Select[Observation]:
    return select(Observation).where(Observation.learner_id == learner_id, Observation.target == language_of(target))


# --- the nightly analysis


@dataclass(frozen=True, slots=True, order=True)
class LearnerFound:
    """A learner of some school."""

    school_id: UUID
    learner_id: UUID


START: Final = LearnerFound(_ZERO_ID, _ZERO_ID)
"""Before every learner."""


async def to_analyse(
    session: AsyncSession, *, since: datetime, before: datetime, after: LearnerFound = START, limit: int = 500
) -> list[LearnerFound]:
    """Learners of any school who practised since ``since`` and whose profile is older than ``before``, in their order.

    Works in ``Database.anyone``; ``after`` is the last one of the list before.
    """
    given = {"since": since, "before": before, "school": after.school_id, "learner": after.learner_id, "limit": limit}
    return [LearnerFound(row.school_id, row.learner_id) for row in await session.execute(_TO_ANALYSE, given)]


async def still_there(session: AsyncSession, learner_ids: Sequence[UUID]) -> list[UUID]:
    """Those of the learners who are there, in their order; they stay until the transaction ends, and may call."""
    found = select(Learner.id).where(Learner.id.in_(learner_ids)).order_by(Learner.id)
    return list(await session.scalars(found.with_for_update(read=True, key_share=True)))


class Lately(NamedTuple):
    """One of a learner's last calls, as far as it says something about the next."""

    learner_id: UUID
    target: str
    scenario: str
    turns: int
    latency_ms: int | None
    noisy: bool
    confidence: float | None
    notes: dict[str, Any]
    """See ``Observation.notes``."""


async def lately(
    session: AsyncSession, learner_ids: Sequence[UUID], limit: int = RECENT
) -> dict[tuple[UUID, str], list[Lately]]:
    """The last calls of many learners, by learner and language, the newest last; in one query, without measures."""
    place = func.row_number().over(
        partition_by=(Observation.learner_id, Observation.target),
        order_by=(Observation.at.desc(), Observation.call_id.desc()),
    )
    ranked = (
        select(
            Observation.learner_id,
            Observation.target,
            Observation.scenario,
            Observation.turns,
            Observation.latency_ms,
            Observation.noisy,
            Observation.confidence,
            Observation.notes,
            place.label("place"),
        )
        .where(Observation.learner_id.in_(learner_ids))
        .subquery()
    )
    columns = [column for column in ranked.c if column.name != "place"]
    newest = select(*columns).where(ranked.c.place <= limit)
    found: dict[tuple[UUID, str], list[Lately]] = {}
    rows = newest.order_by(ranked.c.learner_id, ranked.c.target, ranked.c.place.desc())
    for row in await session.execute(rows):
        call = Lately(*row)
        found.setdefault((call.learner_id, call.target), []).append(call)
    return found


async def latest(session: AsyncSession, learner_id: UUID, target: str, limit: int) -> list[Lately]:
    """The last calls of one learner in one language, the newest last: what `lately` gives of them, without the rest."""
    columns = [getattr(Observation, name) for name in Lately._fields]
    newest = (
        select(*columns)
        .where(Observation.learner_id == learner_id, Observation.target == language_of(target))
        .order_by(Observation.at.desc(), Observation.call_id.desc())
        .limit(limit)
    )
    return [Lately(*row) for row in reversed((await session.execute(newest)).all())]


# --- the question about confidence


async def confidence_due(session: AsyncSession, learner_id: UUID) -> AskedBecause | None:
    """Why the learner is asked how sure they feel once their latest conversation is over; None: they are not.

    ``first`` after the first conversation, ``later`` after the first one from day 14 on; one that went on in another
    call ended there. Who does not answer then is not asked again, and neither is who has answered.
    """
    talked = (
        select(Call.started_at)
        .where(Call.learner_id == learner_id, Call.connected_at.is_not(None), Call.began_in.is_(None))
        .order_by(Call.started_at)
        .limit(2)
    )
    began = (await session.scalars(talked)).all()
    due: AskedBecause | None = None
    if len(began) == 1:
        due = "first"
    elif began and len((await session.scalars(talked.where(Call.started_at >= began[0] + LATER))).all()) == 1:
        due = "later"
    if due is None:
        return None
    answered = select(ConfidenceAnswer.call_id).where(
        ConfidenceAnswer.learner_id == learner_id, ConfidenceAnswer.asked_because == due
    )
    return None if await session.scalar(answered) is not None else due


async def confidence_answered(
    session: AsyncSession,
    *,
    school_id: UUID,
    learner_id: UUID,
    call_id: UUID,
    answer: int,
    asked_because: AskedBecause,
) -> bool:
    """Keeps an answer, 1 (not sure at all) to 5; False when there is one already, which stays.

    Raises ValueError for another answer.
    """
    if not 1 <= answer <= 5:
        raise ValueError(f"an answer is 1 to 5, not {answer}")
    row = insert(ConfidenceAnswer).values(
        school_id=school_id, learner_id=learner_id, call_id=call_id, answer=answer, asked_because=asked_because
    )
    return await session.scalar(row.on_conflict_do_nothing().returning(ConfidenceAnswer.call_id)) is not None
