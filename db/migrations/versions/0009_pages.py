"""Debrief pages behind a link, guardians who get a child's texts, and the hours in which a school sends none.

An opt-out now also forgets the number where it is a guardian's. How many texts a number has had today is asked across
schools, because it is one person's telephone; the answer is yes or no, so that no school learns of another.
"""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"

TABLES = """
ALTER TABLE schools
    ADD COLUMN quiet_from_h       integer NOT NULL DEFAULT 20,
    ADD COLUMN quiet_kids_from_h  integer NOT NULL DEFAULT 18,
    ADD COLUMN quiet_until_h      integer NOT NULL DEFAULT 8,
    ADD CONSTRAINT schools_quiet CHECK (quiet_from_h BETWEEN 0 AND 23 AND quiet_kids_from_h BETWEEN 0 AND 23
                                        AND quiet_until_h BETWEEN 0 AND 23);

CREATE TABLE debrief_links (
    hash        bytea PRIMARY KEY,
    school_id   uuid NOT NULL REFERENCES schools (id) ON DELETE CASCADE,
    call_id     uuid NOT NULL,
    learner_id  uuid NOT NULL,
    audience    text NOT NULL CONSTRAINT debrief_links_audience CHECK (audience IN ('learner', 'family')),
    created_at  timestamptz NOT NULL DEFAULT now(),
    expires_at  timestamptz NOT NULL,
    FOREIGN KEY (school_id, call_id) REFERENCES calls (school_id, id) ON DELETE CASCADE,
    FOREIGN KEY (school_id, learner_id) REFERENCES learners (school_id, id) ON DELETE CASCADE
);
CREATE INDEX debrief_links_call ON debrief_links (call_id);
CREATE INDEX debrief_links_learner ON debrief_links (learner_id);
CREATE INDEX debrief_links_expiry ON debrief_links (school_id, expires_at);

CREATE TABLE guardians (
    learner_id        uuid PRIMARY KEY,
    school_id         uuid NOT NULL REFERENCES schools (id) ON DELETE CASCADE,
    number_hash       bytea NOT NULL,
    last_two          text NOT NULL,
    number_encrypted  bytea,
    consent           text NOT NULL,
    consented_at      timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (school_id, learner_id) REFERENCES learners (school_id, id) ON DELETE CASCADE
);
CREATE INDEX guardians_number ON guardians (number_hash);
"""

SCHOOL = "school_id = nullif(current_setting('app.school', true), '')::uuid"

SECURITY = """
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
ALTER TABLE {table} FORCE ROW LEVEL SECURITY;
CREATE POLICY school ON {table} TO ringua_app USING ({rows}) WITH CHECK ({rows});
CREATE POLICY owner ON {table} TO CURRENT_USER USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO ringua_app;
"""

FUNCTIONS = {
    "debrief_link_find(p_hash bytea)": """RETURNS TABLE (
        school_id uuid, call_id uuid, learner_id uuid, audience text
    ) LANGUAGE sql STABLE {safely} AS $$
        SELECT l.school_id, l.call_id, l.learner_id, l.audience FROM public.debrief_links l
        WHERE l.hash = p_hash AND l.expires_at > now()
    $$""",
    # What failed reached nobody; what is unclear may have.
    "number_texted_enough(p_hash bytea, p_since timestamptz, p_most integer)": """RETURNS boolean
    LANGUAGE sql STABLE {safely} AS $$
        SELECT count(*) >= p_most FROM public.messages m
        WHERE m.number_hash = p_hash AND m.attempted_at >= p_since AND m.learner_id IS NOT NULL
          AND m.state IN ('sending', 'unknown', 'sent', 'delivered')
    $$""",
    "number_opt_out(p_hash bytea, p_source text)": """RETURNS void LANGUAGE sql {safely} AS $$
        INSERT INTO public.opt_outs (number_hash, source) VALUES (p_hash, p_source) ON CONFLICT DO NOTHING;
        UPDATE public.consents SET ended_at = now() WHERE number_hash = p_hash AND given AND ended_at IS NULL;
        UPDATE public.caller_identities SET number_encrypted = NULL
        WHERE number_hash = p_hash AND number_encrypted IS NOT NULL;
        UPDATE public.guardians SET number_encrypted = NULL
        WHERE number_hash = p_hash AND number_encrypted IS NOT NULL;
        UPDATE public.messages SET state = 'suppressed'
        WHERE number_hash = p_hash AND state = 'new' AND learner_id IS NOT NULL
    $$""",
}

SAFELY = "SECURITY DEFINER SET search_path = pg_catalog, pg_temp"


def upgrade() -> None:
    """Makes the tables with their policies, and the functions; the one for opt-outs anew."""
    op.execute(TABLES)
    for table in ("debrief_links", "guardians"):
        op.execute(SECURITY.format(table=table, rows=SCHOOL))
    op.execute("DROP FUNCTION public.number_opt_out(bytea, text)")
    for signature, body in FUNCTIONS.items():
        op.execute(f"CREATE FUNCTION public.{signature} {body.format(safely=SAFELY)}")
        op.execute(f"REVOKE ALL ON FUNCTION public.{signature} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION public.{signature} TO ringua_app")
