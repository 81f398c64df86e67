"""Whether a line's callers may listen and repeat when a budget is spent, which costs the carrier's minutes."""

from __future__ import annotations

from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Makes the column; every line offers it until somebody says otherwise."""
    op.execute("ALTER TABLE lines ADD COLUMN offline boolean NOT NULL DEFAULT true")
