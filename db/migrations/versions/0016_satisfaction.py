"""Who was asked how a call was, and what they answered, if they did: about the line, not about the learner."""

from __future__ import annotations

from alembic import op

revision = "0016"
down_revision = "0015"

# A call is asked about once, so it is the key; by the learner it is found when somebody was asked last.
TABLE = """
CREATE TABLE satisfaction_questions (
    call_id     uuid PRIMARY KEY,
    school_id   uuid NOT NULL REFERENCES schools (id) ON DELETE CASCADE,
    learner_id  uuid,
    answer      integer CONSTRAINT satisfaction_questions_answer CHECK (answer BETWEEN 1 AND 5),
    asked_at    timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (school_id, call_id) REFERENCES calls (school_id, id) ON DELETE CASCADE,
    FOREIGN KEY (school_id, learner_id) REFERENCES learners (school_id, id) ON DELETE CASCADE
);
CREATE INDEX satisfaction_questions_learner ON satisfaction_questions (learner_id, asked_at);
CREATE INDEX satisfaction_questions_school ON satisfaction_questions (school_id);
"""

SCHOOL = "school_id = nullif(current_setting('app.school', true), '')::uuid"

SECURITY = f"""
ALTER TABLE satisfaction_questions ENABLE ROW LEVEL SECURITY;
ALTER TABLE satisfaction_questions FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON satisfaction_questions TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY school ON satisfaction_questions TO ringua_app USING ({SCHOOL}) WITH CHECK ({SCHOOL});
GRANT SELECT, INSERT, UPDATE, DELETE ON satisfaction_questions TO ringua_app;
"""


def upgrade() -> None:
    """Makes the table with its policies; nobody has been asked yet."""
    op.execute(TABLE)
    op.execute(SECURITY)
