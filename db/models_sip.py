"""The table of SIP domains, as Python sees it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from db.models import Base


class SipDomain(Base):
    """A SIP domain at a carrier by which one line, and the others of its school by their numbers, are reached."""

    __tablename__ = "sip_domains"
    __table_args__ = (
        CheckConstraint("domain = lower(domain)", name="sip_domains_domain"),
        ForeignKeyConstraint(["school_id", "line_id"], ["lines.school_id", "lines.id"], ondelete="CASCADE"),
        Index("sip_domains_line", "line_id"),
    )

    domain: Mapped[str] = mapped_column(primary_key=True)
    """In small letters, unique among all schools."""
    school_id: Mapped[UUID] = mapped_column(ForeignKey("schools.id", ondelete="CASCADE"))
    line_id: Mapped[UUID]
    """The line that answers where no number of the school was dialled."""
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
