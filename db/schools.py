"""Schools. Making and listing them needs no school, so these work in ``Database.anyone``."""

from __future__ import annotations

from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from sqlalchemy import select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from db.models import School

_CREATE = text("SELECT school_create(:id, :name, :timezone)")
_ALL = select(School).from_statement(text("SELECT * FROM school_list()"))
_BY_NAME = select(School).from_statement(text("SELECT * FROM school_list() WHERE name = :name"))


class SchoolExists(Exception):
    """A school of this name is there already. One sentence for a person."""


async def create(session: AsyncSession, name: str, timezone: str) -> UUID:
    """Makes a school and returns its id.

    ``timezone`` is an IANA name; an unknown one raises ZoneInfoNotFoundError. Raises SchoolExists, which ends the
    transaction.
    """
    school_id = uuid4()
    ZoneInfo(timezone)
    try:
        await session.execute(_CREATE, {"id": school_id, "name": name, "timezone": timezone})
    except IntegrityError as error:
        raise SchoolExists(f"There is already a school called {name!r}; choose another name") from error
    return school_id


async def set_quiet_hours(
    session: AsyncSession, school_id: UUID, *, from_h: int, kids_from_h: int, until_h: int
) -> None:
    """When the session's school sends no texts: from ``from_h`` by its own clocks, on lines for children from
    ``kids_from_h``, until ``until_h``.

    Whole hours, 0-23; equal ones are no quiet time at all, which is for rehearsals. Raises ValueError outside of that.
    """
    hours = {"quiet_from_h": from_h, "quiet_kids_from_h": kids_from_h, "quiet_until_h": until_h}
    if wrong := [hour for hour in hours.values() if not 0 <= hour <= 23]:
        raise ValueError(f"An hour of the day is 0 to 23, not {wrong[0]}")
    changed = update(School).where(School.id == school_id).values(hours)
    await session.execute(changed.execution_options(synchronize_session=False))


async def by_name(session: AsyncSession, name: str) -> School | None:
    """The school with exactly this name."""
    found: School | None = await session.scalar(_BY_NAME, {"name": name})
    return found


async def all(session: AsyncSession) -> list[School]:
    """Every school, by name: for the command line and for work that goes through them one by one."""
    return list(await session.scalars(_ALL))
