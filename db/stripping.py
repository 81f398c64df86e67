"""What goes of a call when its time is over: first its words, then everything but its time and cost.

Which calls those are is not known here. Works in the session's school, on some hundred calls at a time; done twice it
changes nothing more.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import delete, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from db.models import Base, Call, CallEvent, Debrief, Message, Turn
from db.models_learning import Achievement, ConfidenceAnswer, Fact, Observation, SatisfactionQuestion, Topic
from db.models_money import LedgerEntry
from db.models_pages import DebriefLink
from db.policies import of_school
from tutor.talk.snapshot import SAID

OF_A_CALL: Final[tuple[type[Base], ...]] = (
    Turn,
    CallEvent,
    Debrief,
    DebriefLink,
    Observation,
    ConfidenceAnswer,
    SatisfactionQuestion,
    Topic,
    Fact,
)
"""Tables whose rows are of one call, and go with its figures; so do text messages to learners."""

_UNTIED: Final[tuple[tuple[type[Base], str], ...]] = ((Achievement, "call_id"), (LedgerEntry, "learner_id"))
"""What stays, but no longer says that this call was this learner's: something to celebrate, and what was paid."""

_NAMES: Final = frozenset(
    {"can_dos", "emerging", "next_scenario", "next_key", "native", "target", "language", "topics"}
)
"""Of a debrief: what names goals, scenes, languages and types of pattern."""

_IDENTIFIER: Final = "[A-Za-z0-9_./:-]{0,64}"
_WORDLESS: Final = re.compile(_IDENTIFIER)

# In the database, because a hundred calls have ten thousand events. What is no number, no identifier and no list of
# identifiers goes; so does every field that is known to hold somebody's words, even where it is a single one.
_EMPTY_EVENTS = text("""
    UPDATE call_events SET data = (
        SELECT coalesce(jsonb_object_agg(field.key, field.value), '{}') FROM jsonb_each(data) AS field
        WHERE field.key <> ALL (:said) AND (
            jsonb_typeof(field.value) IN ('number', 'boolean')
            OR field.value::text ~ :identifier OR field.value::text ~ :identifiers
        )
    ) WHERE call_id = ANY (:calls) AND data <> '{}'
""")
_LANGUAGES: Final = frozenset({"native", "target", "role"})
"""Of a menu: in which language a call was. The rest names those who share the telephone, and what they were told."""
_EMPTY_MENUS = text("""
    UPDATE calls SET kept = 'figures', resume = NULL, menu = (
        SELECT coalesce(jsonb_object_agg(field.key, field.value), '{}') FROM jsonb_each(menu) AS field
        WHERE field.key = ANY (:kept)
    ) WHERE id = ANY (:calls) AND kept = 'words'
""")
_PATTERNS: Final = {
    "said": sorted(SAID),
    "identifier": f'^"{_IDENTIFIER}"$',
    "identifiers": rf'^\[("{_IDENTIFIER}"(, )?)*\]$',
}


def without_words(data: Mapping[str, Any]) -> dict[str, Any]:
    """An event's data without anything that somebody said; numbers and names of goals stay.

    For whoever writes the events of a call whose words may not be kept: it leaves what ``empty_words`` would.
    """
    return {key: value for key, value in data.items() if key not in SAID and _is_wordless(value)}


async def may_keep_words(session: AsyncSession, call_id: UUID) -> bool:
    """Whether what was said in a call may be stored: not where the school keeps none, nor of somebody forgotten."""
    kept = await session.scalar(select(Call.kept).where(Call.id == call_id))
    return kept == "words" and (await of_school(session)).transcript_days > 0


def emptied(content: Any, name: str = "") -> Any:
    """A debrief's content in its own shape, so that it can still be read, with nothing in it to read.

    Also for whoever writes the debrief of a call whose words may not be kept (``may_keep_words``).
    """
    if isinstance(content, dict):
        return {key: emptied(value, key) for key, value in content.items() if key != "coverage"}
    if name in _NAMES:
        return content
    if isinstance(content, list | tuple):
        return []
    return "" if isinstance(content, str) else content


async def empty_words(session: AsyncSession, call_ids: Sequence[UUID]) -> None:
    """Empties what was said in these calls, or written about it; times, counts and goals stay."""
    await session.execute(
        update(Turn)
        .where(Turn.call_id.in_(call_ids), Turn.text.is_not(None))
        .values(text=None)
        .execution_options(synchronize_session=False)
    )
    await session.execute(_EMPTY_EVENTS, {**_PATTERNS, "calls": list(call_ids)})
    debriefs = await session.execute(select(Debrief.call_id, Debrief.content).where(Debrief.call_id.in_(call_ids)))
    for call_id, content in debriefs.all():
        change = update(Debrief).where(Debrief.call_id == call_id).values(content=emptied(content))
        await session.execute(change.execution_options(synchronize_session=False))
    await session.execute(
        update(Message)
        .where(Message.call_id.in_(call_ids))
        .values(body="")
        .execution_options(synchronize_session=False)
    )
    await session.execute(_EMPTY_MENUS, {"kept": sorted(_LANGUAGES), "calls": list(call_ids)})


async def leave_cost(session: AsyncSession, call_ids: Sequence[UUID]) -> dict[str, int]:
    """Leaves of these calls, which must be closed, their time and cost and nobody's identity.

    Safety flags stay, which hold no words, and so does the message about one to the school's contact. Returns how many
    rows of each table went.
    """
    gone = {}
    for table in OF_A_CALL:
        gone[table.__tablename__] = await _deleted(session, table, call_ids)
    messages = delete(Message).where(Message.call_id.in_(call_ids), Message.learner_id.is_not(None))
    for table, column in _UNTIED:
        tied = table.__table__.c
        untied = update(table).where(tied.call_id.in_(call_ids), tied[column].is_not(None)).values({column: None})
        await session.execute(untied.execution_options(synchronize_session=False))
    gone["messages"] = len((await session.scalars(messages.returning(Message.id))).all())
    await session.execute(
        update(Call)
        .where(Call.id.in_(call_ids))
        .values(kept="cost", learner_id=None, caller_hash=None, began_in=None, menu={}, resume=None)
        .execution_options(synchronize_session=False)
    )
    return gone


async def _deleted(session: AsyncSession, table: type[Base], call_ids: Sequence[UUID]) -> int:
    columns = table.__table__.c
    rows = delete(table).where(columns.call_id.in_(call_ids)).returning(columns.call_id)
    return len((await session.execute(rows.execution_options(synchronize_session=False))).all())


def _is_wordless(value: Any) -> bool:
    if isinstance(value, str):
        return _WORDLESS.fullmatch(value) is not None
    if isinstance(value, list):
        return all(isinstance(part, str) and _WORDLESS.fullmatch(part) for part in value)
    return isinstance(value, bool | int | float)
