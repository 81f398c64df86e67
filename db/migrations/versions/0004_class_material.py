"""What a class is given: its prompts, version by version, and the scenes of a school's own.

A call keeps the version that was live when it began; none is the line's standing text.
"""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"

TABLES = """
CREATE TABLE class_prompts (
    id          uuid PRIMARY KEY,
    school_id   uuid NOT NULL REFERENCES schools (id) ON DELETE CASCADE,
    line_id     uuid NOT NULL,
    version     integer NOT NULL,
    starts_on   date NOT NULL,
    ends_on     date,
    theme       text NOT NULL DEFAULT '',
    vocabulary  text[] NOT NULL DEFAULT '{}',
    grammar     text[] NOT NULL DEFAULT '{}',
    must_use    text[] NOT NULL DEFAULT '{}',
    avoid       text[] NOT NULL DEFAULT '{}',
    free_text   text NOT NULL DEFAULT '',
    created_at  timestamptz NOT NULL DEFAULT now(),
    UNIQUE (line_id, version),
    CONSTRAINT class_prompts_days CHECK (ends_on >= starts_on),
    FOREIGN KEY (school_id, line_id) REFERENCES lines (school_id, id) ON DELETE CASCADE
);

ALTER TABLE calls ADD COLUMN class_prompt_version integer;

CREATE TABLE school_scenarios (
    school_id   uuid NOT NULL REFERENCES schools (id) ON DELETE CASCADE,
    id          text NOT NULL,
    toml        text NOT NULL,
    checked_at  timestamptz NOT NULL DEFAULT now(),
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (school_id, id)
);
"""

SCHOOL = "school_id = nullif(current_setting('app.school', true), '')::uuid"

SECURITY = """
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
ALTER TABLE {table} FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON {table} TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY school ON {table} TO ringua_app USING ({rows}) WITH CHECK ({rows});
GRANT {rights} ON {table} TO ringua_app;
"""

RIGHTS = {"class_prompts": "SELECT, INSERT", "school_scenarios": "SELECT, INSERT, UPDATE, DELETE"}
"""A version is never changed or taken back: calls were held with it."""


def upgrade() -> None:
    """Makes both tables with their policies, and the column by which a call remembers its version."""
    op.execute(TABLES)
    for table, rights in RIGHTS.items():
        op.execute(SECURITY.format(table=table, rows=SCHOOL, rights=rights))
