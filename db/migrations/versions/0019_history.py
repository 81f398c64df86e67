"""A learner's history is read from an index alone: its rows are scattered over the disk, one for each call."""

from __future__ import annotations

from alembic import op

revision = "0019"
down_revision = "0018"

# Postgres reads an index alone only where it knows that all may see the rows, which a vacuum finds out: after every
# hundredth of the table, and not after every fifth. Nothing is ever changed there, so that it costs little.
INDEX = """
DROP INDEX observations_learner;
CREATE INDEX observations_learner ON observations (learner_id, school_id, target, at)
    INCLUDE (call_id, scenario, completed, hints, turns);
ALTER TABLE observations SET (autovacuum_vacuum_insert_scale_factor = 0.01);
"""


def upgrade() -> None:
    """Makes the index anew."""
    op.execute(INDEX)
