"""Classes: who teaches them, who is in them, and on which line they practise. Works in the session's school."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from db.models import Learner
from db.models_keeping import ClassStaff, Enrolment, SchoolClass, Staff


class ClassRefused(ValueError):
    """A class cannot be made or filled so. One sentence for a person."""


class _Unchanged:
    """Nothing was said about it."""


UNCHANGED: Final = _Unchanged()


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A learner of a class."""

    learner: Learner
    ref: str | None
    """What the school itself calls them."""


async def add(session: AsyncSession, school_id: UUID, name: str, *, line_id: UUID | None = None) -> SchoolClass:
    """Makes a class.

    Raises:
        ClassRefused: no name, one that a class of this school has, or a line that is not the school's.
    """
    if not name.strip():
        raise ClassRefused("A class needs a name.")
    row = insert(SchoolClass).values(school_id=school_id, name=name.strip(), line_id=line_id)
    fresh = row.on_conflict_do_nothing(index_elements=[SchoolClass.school_id, SchoolClass.name]).returning(SchoolClass)
    try:
        async with session.begin_nested():
            made = await session.scalar(fresh)
    except IntegrityError as error:
        raise ClassRefused("There is no such line at this school.") from error
    if made is None:
        raise ClassRefused(f"There is a class named {name.strip()} already: choose another name.")
    return made


async def get(session: AsyncSession, class_id: UUID) -> SchoolClass | None:
    """The class, if of the session's school."""
    return await session.get(SchoolClass, class_id, populate_existing=True)


async def by_name(session: AsyncSession, name: str) -> SchoolClass | None:
    """The school's class of this name."""
    found = select(SchoolClass).where(SchoolClass.name == name.strip())
    return await session.scalar(found.execution_options(populate_existing=True))


async def list_all(session: AsyncSession, *, active_only: bool = True) -> list[SchoolClass]:
    """The classes of the school, by name."""
    found = select(SchoolClass).order_by(SchoolClass.name).execution_options(populate_existing=True)
    return list(await session.scalars(found.where(SchoolClass.active) if active_only else found))


async def change(
    session: AsyncSession,
    class_id: UUID,
    *,
    line_id: UUID | _Unchanged | None = UNCHANGED,
    active: bool | None = None,
) -> bool:
    """Gives a class another line (None: none), or closes it for the past; False when there is no such class.

    Raises:
        ClassRefused: the line is not the school's.
    """
    changes: dict[str, object] = {}
    if not isinstance(line_id, _Unchanged):
        changes["line_id"] = line_id
    if active is not None:
        changes["active"] = active
    if not changes:
        return await get(session, class_id) is not None
    changed = update(SchoolClass).where(SchoolClass.id == class_id).values(**changes).returning(SchoolClass.id)
    try:
        async with session.begin_nested():
            return await session.scalar(changed.execution_options(synchronize_session=False)) is not None
    except IntegrityError as error:
        raise ClassRefused("There is no such line at this school.") from error


async def assign(session: AsyncSession, school_id: UUID, class_id: UUID, staff_id: UUID) -> bool:
    """Gives a class a teacher; False when it has them already.

    Raises:
        ClassRefused: the class or the teacher is not the school's.
    """
    row = insert(ClassStaff).values(school_id=school_id, class_id=class_id, staff_id=staff_id)
    try:
        async with session.begin_nested():
            given = row.on_conflict_do_nothing().returning(ClassStaff.class_id)
            return await session.scalar(given) is not None
    except IntegrityError as error:
        raise ClassRefused("There is no such class, or nobody with this id, at this school.") from error


async def release(session: AsyncSession, class_id: UUID, staff_id: UUID) -> bool:
    """Takes a teacher off a class; False when they were not on it."""
    gone = delete(ClassStaff).where(ClassStaff.class_id == class_id, ClassStaff.staff_id == staff_id)
    return await session.scalar(gone.returning(ClassStaff.class_id)) is not None


async def teachers(session: AsyncSession, class_id: UUID) -> list[Staff]:
    """Who teaches a class, by name."""
    found = select(Staff).join(ClassStaff, ClassStaff.staff_id == Staff.id).where(ClassStaff.class_id == class_id)
    return list(await session.scalars(found.order_by(Staff.name, Staff.email)))


async def taught_by(session: AsyncSession, staff_id: UUID) -> list[SchoolClass]:
    """The classes that somebody teaches, by name; closed ones left out."""
    found = select(SchoolClass).join(ClassStaff, ClassStaff.class_id == SchoolClass.id)
    mine = found.where(ClassStaff.staff_id == staff_id, SchoolClass.active)
    return list(await session.scalars(mine.order_by(SchoolClass.name)))


async def enrol(
    session: AsyncSession, school_id: UUID, class_id: UUID, learner_id: UUID, *, ref: str | None = None
) -> None:
    """Puts a learner into a class, or gives one who is in it another ``ref`` (None: it stays).

    Raises:
        ClassRefused: the class or the learner is not the school's, or somebody else in the class has this ``ref``.
    """
    ref = (ref or "").strip() or None
    row = insert(Enrolment).values(school_id=school_id, class_id=class_id, learner_id=learner_id, ref=ref)
    kept = row.on_conflict_do_update(
        index_elements=[Enrolment.class_id, Enrolment.learner_id], set_={"ref": func.coalesce(ref, Enrolment.ref)}
    )
    try:
        async with session.begin_nested():
            await session.execute(kept)
    except IntegrityError as error:
        if ref is not None and await by_ref(session, class_id, ref) is not None:
            raise ClassRefused("Somebody else in this class has this student number: give another one.") from error
        raise ClassRefused("There is no such class, or no such learner, at this school.") from error


async def leave(session: AsyncSession, class_id: UUID, learner_id: UUID) -> bool:
    """Takes a learner out of a class; what they did stays theirs. False when they were not in it."""
    gone = delete(Enrolment).where(Enrolment.class_id == class_id, Enrolment.learner_id == learner_id)
    return await session.scalar(gone.returning(Enrolment.class_id)) is not None


async def roster(session: AsyncSession, class_id: UUID) -> list[Enrolled]:
    """Who is in a class, by first name, those without one at the end."""
    found = (
        select(Learner, Enrolment.ref)
        .join(Enrolment, Enrolment.learner_id == Learner.id)
        .where(Enrolment.class_id == class_id)
        .order_by(Learner.first_name.nulls_last(), Learner.created_at, Learner.id)
    )
    return [Enrolled(learner, ref) for learner, ref in (await session.execute(found))]


async def by_ref(session: AsyncSession, class_id: UUID, ref: str) -> Learner | None:
    """The learner whom the school calls so in this class."""
    found = select(Learner).join(Enrolment, Enrolment.learner_id == Learner.id)
    return await session.scalar(found.where(Enrolment.class_id == class_id, Enrolment.ref == ref))


async def of_learner(session: AsyncSession, learner_id: UUID) -> list[SchoolClass]:
    """The classes a learner is in, by name; closed ones left out."""
    found = select(SchoolClass).join(Enrolment, Enrolment.class_id == SchoolClass.id)
    theirs = found.where(Enrolment.learner_id == learner_id, SchoolClass.active)
    return list(await session.scalars(theirs.order_by(SchoolClass.name)))
