"""A school may let a telephone number alone stand for its owner, where no carrier vouches for numbers."""

from __future__ import annotations

from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Makes the column; no school does so by itself."""
    op.execute("ALTER TABLE school_policies ADD COLUMN trust_numbers boolean NOT NULL DEFAULT false")
