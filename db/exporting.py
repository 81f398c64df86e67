"""Everything that is held about one learner, in plain names, for themselves or their parents. In the session's school.

Hashes, keys and identifiers of ours say nothing to a person and are left out. Safety flags are only in it when asked
for: what a child disclosed must not reach whom it was about.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from db import assignments
from db.keyring import Keyring
from db.models import Base, Call, CallerIdentity, CallEvent, Consent, Debrief, Learner, Message, Turn
from db.models_classwork import Assignment
from db.models_keeping import Enrolment, Recording, SchoolClass
from db.models_learning import (
    Achievement,
    ConfidenceAnswer,
    Fact,
    LearnerProfile,
    LearnerRating,
    Observation,
    ReviewCardRow,
    SatisfactionQuestion,
    Topic,
)
from db.models_money import Budget, LedgerEntry
from db.models_pages import DebriefLink, Guardian
from db.models_pins import Pin
from db.models_safety import SafetyFlag

FORMAT: Final = 1
"""Changes when something in an export means something else than before."""

_OF_A_LEARNER: Final[Mapping[str, type[Base]]] = {
    "measurements": Observation,
    "ratings": LearnerRating,
    "profiles": LearnerProfile,
    "review_cards": ReviewCardRow,
    "topics": Topic,
    "facts": Fact,
    "confidence_answers": ConfidenceAnswer,
    "satisfaction_questions": SatisfactionQuestion,
    "achievements": Achievement,
    "recordings": Recording,
    "links_to_pages": DebriefLink,
    "limits": Budget,
    "costs": LedgerEntry,
}
_OURS: Final = frozenset(
    {"school_id", "learner_id", "id", "kept", "streams", "step", "heartbeat_at", "carrier_sequence"}
)
"""What keeps our books and says nothing about the learner."""
_NOT_A_CALLS: Final = frozenset({"line_id", "menu", "resume", "account_sid", "class_prompt_version", "began_in"})
_SEPARATE: Final = frozenset({"call_id", "ordinal", "item_id"})


async def export_learner(
    session: AsyncSession, learner_id: UUID, *, keyring: Keyring | None = None, safeguarding: bool = False
) -> dict[str, Any]:
    """Returns what is held about a learner of the session's school, as JSON values.

    Args:
        keyring: reads the numbers that are kept for messages; without it their last two digits are given.
        safeguarding: with what the calls' guard found; see above.

    Raises:
        LookupError: there is no such learner.
        KeyringError: a number was encrypted with another secret.
    """
    learner = await session.get(Learner, learner_id, populate_existing=True)
    if learner is None:
        raise LookupError("There is no such learner at this school.")
    identities = await _rows(session, CallerIdentity, learner_id)
    guardians = await _rows(session, Guardian, learner_id)
    return {
        "format": FORMAT,
        "learner": _plain(learner, _OURS) | {"id": str(learner.id)},
        "telephones": [_telephone(row, keyring) for row in identities],
        "guardians": [
            _telephone(row, keyring) | {"consent": row.consent, "since": _value(row.consented_at)} for row in guardians
        ],
        "consents": await _consents(session, {row.number_hash for row in (*identities, *guardians)}),
        "classes": await _classes(session, learner_id),
        "pins": [{"role": row.role, "since": _value(row.created_at)} for row in await _rows(session, Pin, learner_id)],
        **{
            name: [_plain(row, _OURS) for row in await _rows(session, table, learner_id)]
            for name, table in _OF_A_LEARNER.items()
        },
        "calls": await _calls(session, learner_id, safeguarding=safeguarding),
    }


async def _rows(session: AsyncSession, table: type[Base], learner_id: UUID) -> list[Any]:
    columns = table.__table__.c
    keys = [column for column in columns if column.primary_key]
    return list(await session.scalars(select(table).where(columns.learner_id == learner_id).order_by(*keys)))


def _telephone(row: CallerIdentity | Guardian, keyring: Keyring | None) -> dict[str, Any]:
    kept = row.number_encrypted is not None
    shown: dict[str, Any] = {"last_two_digits": row.last_two, "kept_for_messages": kept}
    if not row.last_two:
        shown = {"name_of_a_sip_phone": "known again, not readable"}
    if keyring is not None and row.number_encrypted is not None:
        shown["number"] = keyring.decrypt(row.number_encrypted)
    return shown


async def _consents(session: AsyncSession, numbers: Collection[bytes]) -> list[dict[str, Any]]:
    found = select(Consent).where(Consent.number_hash.in_(numbers)).order_by(Consent.asked_at)
    return [_plain(row, _OURS) for row in await session.scalars(found)]


async def _classes(session: AsyncSession, learner_id: UUID) -> list[dict[str, Any]]:
    found = select(SchoolClass.id, SchoolClass.name, Enrolment.ref, Enrolment.created_at).join(
        Enrolment, Enrolment.class_id == SchoolClass.id
    )
    theirs = found.where(Enrolment.learner_id == learner_id).order_by(SchoolClass.name)
    rows = (await session.execute(theirs)).all()
    given = await assignments.of_classes(session, [row.id for row in rows])
    return [
        {
            "class": row.name,
            "student_number": row.ref,
            "since": _value(row.created_at),
            "assigned": [_assigned(one) for one in given if one.class_id == row.id],
        }
        for row in rows
    ]


def _assigned(given: Assignment) -> dict[str, Any]:
    days = {"from": given.starts_on.isoformat(), "to": given.ends_on.isoformat()}
    return {"scene": given.scenario, "language": given.target, **days}


async def _calls(session: AsyncSession, learner_id: UUID, *, safeguarding: bool) -> list[dict[str, Any]]:
    calls = (await session.scalars(select(Call).where(Call.learner_id == learner_id).order_by(Call.started_at))).all()
    ids = [call.id for call in calls]
    turns = await _by_call(session, Turn, ids)
    events = await _by_call(session, CallEvent, ids)
    debriefs = await _by_call(session, Debrief, ids)
    messages = await _by_call(session, Message, ids, Message.learner_id == learner_id)
    flags = await _by_call(session, SafetyFlag, ids) if safeguarding else {}
    return [
        _plain(call, _OURS | _NOT_A_CALLS)
        | {
            "id": str(call.id),
            "turns": turns.get(call.id, []),
            "events": events.get(call.id, []),
            "debrief": next(iter(debriefs.get(call.id, [])), None),
            "messages": messages.get(call.id, []),
        }
        | ({"safety_flags": flags.get(call.id, [])} if safeguarding else {})
        for call in calls
    ]


async def _by_call(
    session: AsyncSession, table: type[Base], ids: Collection[UUID], *also: Any
) -> dict[UUID, list[dict[str, Any]]]:
    columns = table.__table__.c
    order = [columns[name] for name in ("ordinal", "at_ms", "created_at") if name in columns]
    found: dict[UUID, list[dict[str, Any]]] = {}
    rows = await session.scalars(select(table).where(columns.call_id.in_(ids), *also).order_by(columns.call_id, *order))
    for row in rows:
        call_id: UUID = row.call_id  # type: ignore[attr-defined]  # each of these tables has one
        found.setdefault(call_id, []).append(_plain(row, _OURS | _SEPARATE))
    return found


def _plain(row: Base, without: Collection[str]) -> dict[str, Any]:
    columns = type(row).__table__.columns
    return {
        column.name: _value(getattr(row, column.name))
        for column in columns
        if column.name not in without and column.type.python_type is not bytes
    }


def _value(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value
