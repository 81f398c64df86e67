"""A learner's history and a line's week are read from indexes alone: their rows are scattered over the disk."""

from __future__ import annotations

from alembic import op

revision = "0019"
down_revision = "0018"

# Postgres reads an index alone only where it knows that all may see the rows, which a vacuum finds out: after every
# hundredth of a table, and not after every fifth. Of the calls a few change after they are closed, of the rest none.
INDEXES = """
DROP INDEX observations_learner;
CREATE INDEX observations_learner ON observations (learner_id, target, at)
    INCLUDE (school_id, call_id, scenario, completed, hints, turns);
DROP INDEX calls_line_started;
CREATE INDEX calls_line_started ON calls (line_id, school_id, started_at)
    INCLUDE (connected_at, ended_at, heartbeat_at, end_reason, id, learner_id, caller_hash, scenario, completed);
ALTER TABLE observations SET (autovacuum_vacuum_insert_scale_factor = 0.01);
ALTER TABLE calls SET (autovacuum_vacuum_insert_scale_factor = 0.01, autovacuum_vacuum_scale_factor = 0.05);
"""


def upgrade() -> None:
    """Makes the indexes anew."""
    op.execute(INDEXES)
