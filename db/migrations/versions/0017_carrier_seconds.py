"""A call keeps how long the carrier says it was, which may come before the call is closed."""

from __future__ import annotations

from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Makes the column; of the calls that there are, what the carrier said is in the ledger already, or lost."""
    op.execute("ALTER TABLE calls ADD COLUMN carrier_s integer")
