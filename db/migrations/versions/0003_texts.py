"""What follows a call by text: debriefs, messages, consent to them, and opt-outs, which count for every school.

The tables of no school (``opt_outs`` and what the carrier's messages leave behind) are closed to the application role:
they are reached through functions only, one number or identifier at a time.
"""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"

TABLES = """
ALTER TABLE lines ADD COLUMN texts boolean NOT NULL DEFAULT true;

CREATE INDEX caller_identities_messaged ON caller_identities (number_hash) WHERE number_encrypted IS NOT NULL;

CREATE TABLE debriefs (
    call_id         uuid PRIMARY KEY,
    school_id       uuid NOT NULL REFERENCES schools (id) ON DELETE CASCADE,
    content         jsonb NOT NULL,
    source          text NOT NULL,
    model           text,
    cost_micro_usd  bigint,
    created_at      timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (school_id, call_id) REFERENCES calls (school_id, id) ON DELETE CASCADE
);

CREATE TABLE messages (
    id            uuid PRIMARY KEY,
    school_id     uuid NOT NULL REFERENCES schools (id) ON DELETE CASCADE,
    call_id       uuid NOT NULL,
    learner_id    uuid NOT NULL,
    account_sid   text NOT NULL,
    sender        text NOT NULL,
    kind          text NOT NULL,
    key           text NOT NULL UNIQUE,
    body          text NOT NULL,
    number_hash   bytea NOT NULL,
    state         text NOT NULL DEFAULT 'new' CONSTRAINT messages_state CHECK
                  (state IN ('new', 'sending', 'unknown', 'sent', 'delivered', 'failed', 'suppressed')),
    carrier_sid   text UNIQUE,
    status_rank   integer NOT NULL DEFAULT 0,
    error_code    integer,
    attempts      integer NOT NULL DEFAULT 0,
    created_at    timestamptz NOT NULL DEFAULT now(),
    attempted_at  timestamptz,
    sent_at       timestamptz,
    FOREIGN KEY (school_id, call_id) REFERENCES calls (school_id, id) ON DELETE CASCADE,
    FOREIGN KEY (school_id, learner_id) REFERENCES learners (school_id, id) ON DELETE CASCADE
);
CREATE INDEX messages_call ON messages (call_id);
CREATE INDEX messages_learner ON messages (learner_id);
CREATE INDEX messages_number ON messages (number_hash, created_at);

CREATE TABLE consents (
    id           uuid PRIMARY KEY,
    school_id    uuid NOT NULL REFERENCES schools (id) ON DELETE CASCADE,
    number_hash  bytea NOT NULL,
    kind         text NOT NULL CONSTRAINT consents_kind CHECK (kind IN ('sms')),
    given        boolean NOT NULL,
    asked_at     timestamptz NOT NULL DEFAULT now(),
    carrier_sid  text NOT NULL,
    wording      text NOT NULL,
    ended_at     timestamptz
);
CREATE UNIQUE INDEX consents_current ON consents (school_id, number_hash, kind) WHERE ended_at IS NULL;
CREATE INDEX consents_number ON consents (number_hash);

CREATE TABLE opt_outs (
    number_hash  bytea PRIMARY KEY,
    at           timestamptz NOT NULL DEFAULT now(),
    source       text NOT NULL
);

CREATE TABLE texts_received (
    carrier_sid  text PRIMARY KEY,
    at           timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX texts_received_at ON texts_received (at);

CREATE TABLE sender_blocks (
    account_sid  text NOT NULL,
    sender       text NOT NULL,
    code         integer NOT NULL,
    at           timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account_sid, sender)
);
"""

SCHOOL = "school_id = nullif(current_setting('app.school', true), '')::uuid"

OF_A_SCHOOL = ("debriefs", "messages", "consents")
OF_NO_SCHOOL = ("opt_outs", "texts_received", "sender_blocks")

SECURITY = """
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
ALTER TABLE {table} FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON {table} TO CURRENT_USER USING (true) WITH CHECK (true);
"""

OPEN_TO_A_SCHOOL = """
CREATE POLICY school ON {table} TO ringua_app USING ({rows}) WITH CHECK ({rows});
GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO ringua_app;
"""

LOOKUPS = {
    "line_by_number(p_number text)": """RETURNS TABLE (
        id uuid, school_id uuid, number text, name text, native text, target text, level text, class_prompt text,
        scenarios text[], open boolean, model text, texts boolean, school_name text, school_timezone text
    ) LANGUAGE sql STABLE {safely} AS $$
        SELECT l.id, l.school_id, l.number, l.name, l.native, l.target, l.level, l.class_prompt,
               l.scenarios, l.open, l.model, l.texts, s.name, s.timezone
        FROM public.lines l JOIN public.schools s ON s.id = l.school_id
        WHERE l.number = p_number
    $$""",
    "message_find(p_id uuid, p_carrier_sid text)": """RETURNS TABLE (school_id uuid, message_id uuid)
    LANGUAGE sql STABLE {safely} AS $$
        SELECT m.school_id, m.id FROM public.messages m WHERE m.id = p_id OR m.carrier_sid = p_carrier_sid LIMIT 1
    $$""",
    "number_opted_out(p_hash bytea)": """RETURNS boolean LANGUAGE sql STABLE {safely} AS $$
        SELECT EXISTS (SELECT FROM public.opt_outs o WHERE o.number_hash = p_hash)
    $$""",
    # In every school: no consent stands any more, the number itself is forgotten, and what waits is not sent.
    "number_opt_out(p_hash bytea, p_source text)": """RETURNS void LANGUAGE sql {safely} AS $$
        INSERT INTO public.opt_outs (number_hash, source) VALUES (p_hash, p_source) ON CONFLICT DO NOTHING;
        UPDATE public.consents SET ended_at = now() WHERE number_hash = p_hash AND given AND ended_at IS NULL;
        UPDATE public.caller_identities SET number_encrypted = NULL
        WHERE number_hash = p_hash AND number_encrypted IS NOT NULL;
        UPDATE public.messages SET state = 'suppressed' WHERE number_hash = p_hash AND state = 'new'
    $$""",
    "number_opt_in(p_hash bytea)": """RETURNS void LANGUAGE sql {safely} AS $$
        DELETE FROM public.opt_outs o WHERE o.number_hash = p_hash
    $$""",
    "text_received(p_sid text)": """RETURNS SETOF text LANGUAGE sql {safely} AS $$
        DELETE FROM public.texts_received t WHERE t.at < now() - interval '30 days';
        INSERT INTO public.texts_received (carrier_sid) VALUES (p_sid) ON CONFLICT DO NOTHING RETURNING carrier_sid
    $$""",
    # An empty answer: it is blocked already.
    "sender_block(p_account text, p_sender text, p_code integer, p_lasts interval)": """
    RETURNS SETOF integer LANGUAGE sql {safely} AS $$
        INSERT INTO public.sender_blocks AS b (account_sid, sender, code) VALUES (p_account, p_sender, p_code)
        ON CONFLICT (account_sid, sender) DO UPDATE SET code = p_code, at = now() WHERE b.at <= now() - p_lasts
        RETURNING b.code
    $$""",
    "sender_blocked(p_account text, p_sender text, p_lasts interval)": """
    RETURNS SETOF integer LANGUAGE sql STABLE {safely} AS $$
        SELECT b.code FROM public.sender_blocks b
        WHERE b.account_sid = p_account AND b.sender IN ('', p_sender) AND b.at > now() - p_lasts LIMIT 1
    $$""",
}

SAFELY = "SECURITY DEFINER SET search_path = pg_catalog, pg_temp"


def upgrade() -> None:
    """Makes the tables with their policies and the functions; the look-up of a line learns of ``texts``."""
    op.execute(TABLES)
    for table in (*OF_A_SCHOOL, *OF_NO_SCHOOL):
        op.execute(SECURITY.format(table=table))
    for table in OF_A_SCHOOL:
        op.execute(OPEN_TO_A_SCHOOL.format(table=table, rows=SCHOOL))
    op.execute("DROP FUNCTION public.line_by_number(text)")
    for signature, body in LOOKUPS.items():
        op.execute(f"CREATE FUNCTION public.{signature} {body.format(safely=SAFELY)}")
        op.execute(f"REVOKE ALL ON FUNCTION public.{signature} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION public.{signature} TO ringua_app")
