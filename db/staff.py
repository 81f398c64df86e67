"""Who works at a school, and in which role. How they sign in is not known here. Works in the session's school."""

from __future__ import annotations

import re
from typing import Final, Literal, get_args
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from db.models_keeping import Staff

Role = Literal["owner", "teacher", "safeguarding", "viewer"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)

_EMAIL = re.compile(r"[^\s@<>,;]+@[^\s@<>,;]+\.[^\s@<>,;.]+")


class StaffRefused(ValueError):
    """Somebody cannot be added or changed so. One sentence for a person."""


async def add(session: AsyncSession, school_id: UUID, *, name: str, email: str, role: Role) -> Staff:
    """Adds somebody to the school.

    Raises:
        StaffRefused: no name, no address, no such role, or the address is somebody else's at this school.
    """
    name, address = name.strip(), email.strip().lower()
    if not name:
        raise StaffRefused("A member of staff needs a name.")
    if not _EMAIL.fullmatch(address):
        raise StaffRefused(f"{email} is no e-mail address: write it such as ana@example.org.")
    _require_role(role)
    row = insert(Staff).values(school_id=school_id, name=name, email=address, role=role)
    added: Staff | None = await session.scalar(
        row.on_conflict_do_nothing(index_elements=[Staff.school_id, Staff.email]).returning(Staff)
    )
    if added is None:
        raise StaffRefused(f"Somebody with the address {address} is at this school already: change their role instead.")
    return added


async def get(session: AsyncSession, staff_id: UUID) -> Staff | None:
    """The member of staff, if of the session's school."""
    return await session.get(Staff, staff_id, populate_existing=True)


async def by_email(session: AsyncSession, email: str) -> Staff | None:
    """The member of staff with this address, however it is written."""
    return await session.scalar(select(Staff).where(Staff.email == email.strip().lower()))


async def list_all(session: AsyncSession) -> list[Staff]:
    """Everybody at the school, by name."""
    found = select(Staff).order_by(Staff.name, Staff.email)
    return list(await session.scalars(found.execution_options(populate_existing=True)))


async def set_role(session: AsyncSession, staff_id: UUID, role: Role) -> bool:
    """Gives somebody another role; False when there is nobody with this id.

    Raises:
        StaffRefused: no such role, or the school would have no owner any more.
    """
    _require_role(role)
    if role != "owner":
        await _refuse_last_owner(session, staff_id)
    changed = update(Staff).where(Staff.id == staff_id).values(role=role).returning(Staff.id)
    return await session.scalar(changed.execution_options(synchronize_session=False)) is not None


async def remove(session: AsyncSession, staff_id: UUID) -> bool:
    """Takes somebody out of the school, and out of its classes; False when there is nobody with this id.

    Raises:
        StaffRefused: the school would have no owner any more.
    """
    await _refuse_last_owner(session, staff_id)
    gone = delete(Staff).where(Staff.id == staff_id).returning(Staff.id)
    return await session.scalar(gone.execution_options(synchronize_session=False)) is not None


def _require_role(role: str) -> None:
    if role not in ROLES:
        raise StaffRefused(f"There is no role {role}: there are {', '.join(ROLES)}.")


async def _refuse_last_owner(session: AsyncSession, staff_id: UUID) -> None:
    # Locked, so that two owners cannot each leave at the same time because of the other.
    owners = set(await session.scalars(select(Staff.id).where(Staff.role == "owner").with_for_update()))
    if owners == {staff_id}:
        raise StaffRefused("This is the school's last owner: make somebody else an owner first.")
