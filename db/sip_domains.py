"""SIP domains and the lines behind them. ``line_number`` works before a school is known, the rest in the session's."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import delete, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from db.models_sip import SipDomain

_LINE = text("SELECT sip_domain_line(:domain, :number)")


class DomainTaken(Exception):
    """The domain cannot be this line's. One sentence for a person."""


async def line_number(session: AsyncSession, domain: str, dialled: str | None) -> str | None:
    """The number (E.164) of the line that a call to a domain reaches; None: the domain is nobody's.

    Args:
        domain: in small letters.
        dialled: a number that stood before it; one of another line of the school reaches that line.
    """
    found: str | None = await session.scalar(_LINE, {"domain": domain, "number": dialled})
    return found


async def put(session: AsyncSession, school_id: UUID, domain: str, line_id: UUID) -> None:
    """Lets a domain reach a line of the school; one that reached another line of it reaches this one now.

    Raises:
        DomainTaken: another school has the domain, or the line is not the school's.
    """
    moved = update(SipDomain).where(SipDomain.domain == domain).values(line_id=line_id).returning(SipDomain.domain)
    fresh = insert(SipDomain).values(domain=domain, school_id=school_id, line_id=line_id)
    try:
        async with session.begin_nested():
            if await session.scalar(moved.execution_options(synchronize_session=False)) is None:
                await session.execute(fresh)
    except IntegrityError as error:
        raise DomainTaken(
            f"The SIP domain {domain} belongs to another school, or the line is not this school's: give another one."
        ) from error


async def remove(session: AsyncSession, domain: str) -> bool:
    """Lets a domain of the school reach nothing any more; False when it is none of its."""
    gone = delete(SipDomain).where(SipDomain.domain == domain).returning(SipDomain.domain)
    return await session.scalar(gone) is not None


async def list_all(session: AsyncSession) -> list[SipDomain]:
    """The school's domains, by name."""
    found = select(SipDomain).order_by(SipDomain.domain)
    return list(await session.scalars(found.execution_options(populate_existing=True)))
