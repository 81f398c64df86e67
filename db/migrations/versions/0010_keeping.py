"""Staff, classes and enrolments, what is kept how long, and the audit.

The audit is added to and never changed: the application role has no other right on it. A call remembers how much is
left of it, so that whoever tidies up finds what is due by an index and goes on where it stopped.
"""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"

TABLES = """
CREATE TABLE staff (
    id          uuid PRIMARY KEY,
    school_id   uuid NOT NULL REFERENCES schools (id) ON DELETE CASCADE,
    name        text NOT NULL,
    email       text NOT NULL CONSTRAINT staff_email CHECK (email = lower(email)),
    role        text NOT NULL CONSTRAINT staff_role CHECK (role IN ('owner', 'teacher', 'safeguarding', 'viewer')),
    created_at  timestamptz NOT NULL DEFAULT now(),
    UNIQUE (school_id, email),
    UNIQUE (school_id, id)
);

CREATE TABLE classes (
    id          uuid PRIMARY KEY,
    school_id   uuid NOT NULL REFERENCES schools (id) ON DELETE CASCADE,
    name        text NOT NULL,
    line_id     uuid,
    active      boolean NOT NULL DEFAULT true,
    created_at  timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (school_id, line_id) REFERENCES lines (school_id, id) ON DELETE SET NULL (line_id),
    UNIQUE (school_id, name),
    UNIQUE (school_id, id)
);
CREATE INDEX classes_line ON classes (line_id);

CREATE TABLE class_staff (
    class_id   uuid NOT NULL,
    staff_id   uuid NOT NULL,
    school_id  uuid NOT NULL REFERENCES schools (id) ON DELETE CASCADE,
    PRIMARY KEY (class_id, staff_id),
    FOREIGN KEY (school_id, class_id) REFERENCES classes (school_id, id) ON DELETE CASCADE,
    FOREIGN KEY (school_id, staff_id) REFERENCES staff (school_id, id) ON DELETE CASCADE
);
CREATE INDEX class_staff_staff ON class_staff (staff_id);

CREATE TABLE enrolments (
    class_id    uuid NOT NULL,
    learner_id  uuid NOT NULL,
    school_id   uuid NOT NULL REFERENCES schools (id) ON DELETE CASCADE,
    ref         text,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (class_id, learner_id),
    FOREIGN KEY (school_id, class_id) REFERENCES classes (school_id, id) ON DELETE CASCADE,
    FOREIGN KEY (school_id, learner_id) REFERENCES learners (school_id, id) ON DELETE CASCADE,
    UNIQUE (class_id, ref)
);
CREATE INDEX enrolments_learner ON enrolments (learner_id);

CREATE TABLE audit (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    school_id  uuid NOT NULL REFERENCES schools (id) ON DELETE CASCADE,
    at         timestamptz NOT NULL DEFAULT now(),
    actor      text NOT NULL,
    action     text NOT NULL,
    subject    text NOT NULL,
    data       jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX audit_school ON audit (school_id, at);

CREATE TABLE school_policies (
    school_id        uuid PRIMARY KEY REFERENCES schools (id) ON DELETE CASCADE,
    transcript_days  integer NOT NULL DEFAULT 90
                     CONSTRAINT school_policies_transcripts CHECK (transcript_days BETWEEN 0 AND 365),
    metrics_days     integer NOT NULL DEFAULT 400
                     CONSTRAINT school_policies_metrics CHECK (metrics_days BETWEEN 30 AND 800),
    learner_days     integer NOT NULL DEFAULT 730
                     CONSTRAINT school_policies_learners CHECK (learner_days BETWEEN 30 AND 3650),
    audio_hours      integer NOT NULL DEFAULT 0
                     CONSTRAINT school_policies_audio CHECK (audio_hours BETWEEN 0 AND 24),
    show_transcript  boolean NOT NULL DEFAULT true,
    updated_at       timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT school_policies_order CHECK (transcript_days <= metrics_days)
);

CREATE TABLE recordings (
    id          uuid PRIMARY KEY,
    school_id   uuid NOT NULL REFERENCES schools (id) ON DELETE CASCADE,
    call_id     uuid NOT NULL,
    learner_id  uuid,
    path        text NOT NULL UNIQUE,
    expires_at  timestamptz NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT recordings_a_day CHECK (expires_at <= created_at + interval '24 hours'),
    FOREIGN KEY (school_id, call_id) REFERENCES calls (school_id, id),
    FOREIGN KEY (school_id, learner_id) REFERENCES learners (school_id, id) ON DELETE SET NULL (learner_id)
);
CREATE INDEX recordings_due ON recordings (school_id, expires_at);
CREATE INDEX recordings_call ON recordings (call_id);
CREATE INDEX recordings_learner ON recordings (learner_id);

CREATE TABLE carrier_copies (
    sid          text PRIMARY KEY,
    school_id    uuid NOT NULL REFERENCES schools (id) ON DELETE CASCADE,
    account_sid  text NOT NULL,
    kind         text NOT NULL CONSTRAINT carrier_copies_kind CHECK (kind IN ('call', 'message')),
    due_at       timestamptz NOT NULL DEFAULT now(),
    attempts     integer NOT NULL DEFAULT 0,
    code         integer,
    created_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX carrier_copies_due ON carrier_copies (school_id, due_at);

ALTER TABLE calls ADD COLUMN kept text NOT NULL DEFAULT 'words'
    CONSTRAINT calls_kept CHECK (kept IN ('words', 'figures', 'cost'));
CREATE INDEX calls_with_words ON calls (school_id, ended_at) WHERE kept = 'words';
CREATE INDEX calls_without_scene ON calls (school_id, ended_at) WHERE kept = 'words' AND scenario IS NULL;
CREATE INDEX calls_with_figures ON calls (school_id, ended_at) WHERE kept <> 'cost';
CREATE INDEX calls_with_resume ON calls (school_id, ended_at) WHERE resume IS NOT NULL AND state = 'closed';

ALTER TABLE learners ADD COLUMN heard_at timestamptz;

ALTER TABLE consents DROP CONSTRAINT consents_kind,
    ADD CONSTRAINT consents_kind CHECK (kind IN ('sms', 'audio'));
"""

SCHOOL = "school_id = nullif(current_setting('app.school', true), '')::uuid"

SECURITY = """
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
ALTER TABLE {table} FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON {table} TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY school ON {table} TO ringua_app USING ({rows}) WITH CHECK ({rows});
GRANT {rights} ON {table} TO ringua_app;
"""

ALL = "SELECT, INSERT, UPDATE, DELETE"
RIGHTS = {
    "staff": ALL,
    "classes": ALL,
    "class_staff": ALL,
    "enrolments": ALL,
    "audit": "SELECT, INSERT",
    "school_policies": ALL,
    "recordings": ALL,
    "carrier_copies": ALL,
}

LOOKUPS = {
    # Their table is closed; that a text came in is forgotten even where no other one follows it.
    "texts_received_forget(p_age interval)": """RETURNS bigint LANGUAGE sql {safely} AS $$
        WITH gone AS (DELETE FROM public.texts_received t WHERE t.at < now() - p_age RETURNING 1)
        SELECT count(*) FROM gone
    $$""",
    # What was booked stays booked, and nobody can have it deleted sooner.
    "ledger_entries_forget(p_limit integer)": """RETURNS bigint LANGUAGE sql {safely} AS $$
        WITH gone AS (
            DELETE FROM public.ledger_entries l WHERE l.id IN (
                SELECT o.id FROM public.ledger_entries o WHERE o.at < now() - interval '7 years' LIMIT p_limit
            ) RETURNING 1
        ) SELECT count(*) FROM gone
    $$""",
}

SAFELY = "SECURITY DEFINER SET search_path = pg_catalog, pg_temp"


def upgrade() -> None:
    """Makes the tables with their policies, the column and the function."""
    op.execute(TABLES)
    for table, rights in RIGHTS.items():
        op.execute(SECURITY.format(table=table, rows=SCHOOL, rights=rights))
    # An entry forgets whose call it was when its call does; nothing else of it changes.
    op.execute("GRANT UPDATE (learner_id) ON ledger_entries TO ringua_app")
    for signature, body in LOOKUPS.items():
        op.execute(f"CREATE FUNCTION public.{signature} {body.format(safely=SAFELY)}")
        op.execute(f"REVOKE ALL ON FUNCTION public.{signature} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION public.{signature} TO ringua_app")
