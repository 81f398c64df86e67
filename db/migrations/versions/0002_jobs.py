"""Procrastinate's tables, as its version 3.10 defines them, for the application role to use.

The file is a copy, because a released change must not vary with the installed version; when Procrastinate adds
migrations of its own, a change of ours runs them. Its tables hold jobs of all schools and have no policies.
"""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"

SCHEMA = Path(__file__).parent.parent / "procrastinate_3_10.sql"

GRANTS = """
GRANT SELECT, INSERT, UPDATE, DELETE
    ON procrastinate_workers, procrastinate_jobs, procrastinate_periodic_defers, procrastinate_events TO ringua_app;
GRANT USAGE
    ON SEQUENCE procrastinate_jobs_id_seq, procrastinate_periodic_defers_id_seq, procrastinate_events_id_seq
    TO ringua_app;
"""


def upgrade() -> None:
    """Makes the job tables and lets the application role use them."""
    # Straight to the driver: SQLAlchemy would read the colons and percent signs of the file as parameters.
    op.get_bind().exec_driver_sql(SCHEMA.read_text(encoding="utf-8").replace("%", "%%"))
    op.execute(GRANTS)
