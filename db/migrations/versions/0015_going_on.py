"""Calls that went on with one that had broken off say with which: together they are one play of a scene."""

from __future__ import annotations

from alembic import op

revision = "0015"
down_revision = "0014"

COLUMN = """
ALTER TABLE calls
    ADD COLUMN began_in uuid,
    ADD FOREIGN KEY (school_id, began_in) REFERENCES calls (school_id, id) ON DELETE SET NULL (began_in);
CREATE INDEX calls_began_in ON calls (began_in, started_at) WHERE began_in IS NOT NULL;
"""


def upgrade() -> None:
    """Makes the column; of the calls that there are, none says that it went on with another."""
    op.execute(COLUMN)
