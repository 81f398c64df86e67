"""Who calls beside the learner whom a number gives away: PINs of learners, teachers and families, and wrong tries."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"

TABLES = """
CREATE TABLE pins (
    id            uuid PRIMARY KEY,
    school_id     uuid NOT NULL REFERENCES schools (id) ON DELETE CASCADE,
    line_id       uuid NOT NULL,
    role          text NOT NULL CONSTRAINT pins_role CHECK (role IN ('learner', 'teacher', 'family')),
    learner_id    uuid,
    pin_hash      bytea NOT NULL,
    tries         integer NOT NULL DEFAULT 0,
    locked_until  timestamptz,
    created_at    timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pins_learner CHECK ((role = 'teacher') = (learner_id IS NULL)),
    FOREIGN KEY (school_id, line_id) REFERENCES lines (school_id, id) ON DELETE CASCADE,
    FOREIGN KEY (school_id, learner_id) REFERENCES learners (school_id, id) ON DELETE CASCADE,
    UNIQUE (line_id, pin_hash)
);
CREATE INDEX pins_learner_id ON pins (learner_id);

CREATE TABLE pin_tries (
    line_id       uuid NOT NULL,
    caller        bytea NOT NULL,
    school_id     uuid NOT NULL REFERENCES schools (id) ON DELETE CASCADE,
    tries         integer NOT NULL DEFAULT 0,
    tried_at      timestamptz NOT NULL DEFAULT now(),
    locked_until  timestamptz,
    PRIMARY KEY (line_id, caller),
    FOREIGN KEY (school_id, line_id) REFERENCES lines (school_id, id) ON DELETE CASCADE
);
"""

# A setting made for one transaction reads as '' in the next one on that connection, not as NULL.
SCHOOL = "school_id = nullif(current_setting('app.school', true), '')::uuid"

SECURITY = """
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
ALTER TABLE {table} FORCE ROW LEVEL SECURITY;
CREATE POLICY school ON {table} TO ringua_app USING ({rows}) WITH CHECK ({rows});
CREATE POLICY owner ON {table} TO CURRENT_USER USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO ringua_app;
"""


def upgrade() -> None:
    """Makes the tables with their policies."""
    op.execute(TABLES)
    for table in ("pins", "pin_tries"):
        op.execute(SECURITY.format(table=table, rows=SCHOOL))
