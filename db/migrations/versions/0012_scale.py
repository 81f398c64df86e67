"""Indexes for three million calls (docs/scale.md): minutes are added up, and a call's consent found, by an index alone.

Without its other columns in the index, a month of a large school reads each of its calls: 190 ms; with them, some 10.
"""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"

# Every statement asks for its school's rows. Where that is not in the index by learner or by line, Postgres takes the
# two for independent, hopes for fewer rows, and reads an index of the whole school beside it. Knowing that a line is of
# one school, it expects the calls that a line really has, and asks the disk for all of them at once.
# ``db.talk_time`` adds up what they include. Of a budget's periods only those that have not ended are spent from.
INDEXES = """
DROP INDEX calls_started;
DROP INDEX calls_line_started;
DROP INDEX calls_learner_started;
CREATE INDEX calls_started ON calls (school_id, started_at)
    INCLUDE (connected_at, ended_at, heartbeat_at, end_reason);
CREATE INDEX calls_line_started ON calls (line_id, school_id, started_at)
    INCLUDE (connected_at, ended_at, heartbeat_at, end_reason);
CREATE INDEX calls_learner_started ON calls (learner_id, school_id, started_at);
DROP INDEX budget_periods_subject;
CREATE INDEX budget_periods_subject ON budget_periods (subject, ends_at);
CREATE INDEX consents_carrier ON consents (carrier_sid);
CREATE STATISTICS calls_of_lines (dependencies) ON school_id, line_id FROM calls;
"""


def upgrade() -> None:
    """Makes the indexes, most of them anew, and what Postgres is to know of lines."""
    op.execute(INDEXES)
