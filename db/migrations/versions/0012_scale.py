"""Indexes for three million calls (docs/scale.md): minutes are added up, and a call's consent found, by an index alone.

Without its other columns in the index, a month of a large school reads each of its calls: 190 ms, and 10 with them.
"""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"

# ``db.talk_time`` adds up what they include; the one by line has the school too, which every statement asks for. Of a
# budget's periods only those that have not ended are spent from.
INDEXES = """
DROP INDEX calls_started;
DROP INDEX calls_line_started;
CREATE INDEX calls_started ON calls (school_id, started_at)
    INCLUDE (connected_at, ended_at, heartbeat_at, end_reason);
CREATE INDEX calls_line_started ON calls (line_id, started_at)
    INCLUDE (school_id, connected_at, ended_at, heartbeat_at, end_reason);
DROP INDEX budget_periods_subject;
CREATE INDEX budget_periods_subject ON budget_periods (subject, ends_at);
CREATE INDEX consents_carrier ON consents (carrier_sid);
"""


def upgrade() -> None:
    """Makes the indexes, two of them anew."""
    op.execute(INDEXES)
