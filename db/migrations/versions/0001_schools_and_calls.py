"""The application role, the first tables, their row-level security, and the look-ups before a school is known.

Three rules hold for every table here:
- row-level security is forced, so that even the owner is bound by policies;
- the role ``ringua_app`` sees the rows of the school in ``app.school``, and none when that is unset;
- the owner has a policy of its own, because the SECURITY DEFINER functions below run as the owner, who need not be a
  superuser.
"""

from __future__ import annotations

from alembic import op

from db.roles import ensure_app_role

revision = "0001"
down_revision = None

TABLES = """
CREATE TABLE schools (
    id          uuid PRIMARY KEY,
    name        text NOT NULL UNIQUE,
    timezone    text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE lines (
    id            uuid PRIMARY KEY,
    school_id     uuid NOT NULL REFERENCES schools (id) ON DELETE CASCADE,
    number        text NOT NULL UNIQUE,
    name          text NOT NULL,
    native        text,
    target        text,
    level         text,
    class_prompt  text,
    scenarios     text[] NOT NULL DEFAULT '{}',
    open          boolean NOT NULL DEFAULT false,
    model         text,
    created_at    timestamptz NOT NULL DEFAULT now(),
    UNIQUE (school_id, id)
);

CREATE TABLE carrier_accounts (
    sid         text PRIMARY KEY,
    school_id   uuid REFERENCES schools (id) ON DELETE CASCADE,
    kind        text NOT NULL CONSTRAINT carrier_accounts_kind CHECK (kind IN ('twilio', 'rehearsal')),
    tokens      bytea[] NOT NULL,
    rest_base   text NOT NULL,
    expires_at  timestamptz
);

CREATE TABLE learners (
    id          uuid PRIMARY KEY,
    school_id   uuid NOT NULL REFERENCES schools (id) ON DELETE CASCADE,
    native      text NOT NULL,
    target      text NOT NULL,
    level       text NOT NULL,
    first_name  text,
    settings    jsonb NOT NULL DEFAULT '{}',
    created_at  timestamptz NOT NULL DEFAULT now(),
    UNIQUE (school_id, id)
);

CREATE TABLE caller_identities (
    id                uuid PRIMARY KEY,
    school_id         uuid NOT NULL REFERENCES schools (id) ON DELETE CASCADE,
    learner_id        uuid NOT NULL,
    number_hash       bytea NOT NULL,
    last_two          text NOT NULL,
    number_encrypted  bytea,
    FOREIGN KEY (school_id, learner_id) REFERENCES learners (school_id, id) ON DELETE CASCADE,
    UNIQUE (school_id, number_hash, learner_id)
);
CREATE INDEX caller_identities_learner ON caller_identities (learner_id);

CREATE TABLE calls (
    id                uuid PRIMARY KEY,
    school_id         uuid NOT NULL REFERENCES schools (id) ON DELETE CASCADE,
    line_id           uuid NOT NULL,
    learner_id        uuid,
    carrier_sid       text NOT NULL UNIQUE,
    account_sid       text NOT NULL,
    caller_hash       bytea,
    state             text NOT NULL DEFAULT 'menu'
                      CONSTRAINT calls_state CHECK (state IN ('menu', 'connecting', 'live', 'after', 'closed')),
    menu              jsonb NOT NULL DEFAULT '{}',
    step              integer NOT NULL DEFAULT 0,
    scenario          text,
    level             text,
    streams           integer NOT NULL DEFAULT 0,
    started_at        timestamptz NOT NULL DEFAULT now(),
    connected_at      timestamptz,
    heartbeat_at      timestamptz NOT NULL DEFAULT now(),
    ended_at          timestamptz,
    end_reason        text,
    completed         boolean NOT NULL DEFAULT false,
    carrier_status    text,
    carrier_sequence  integer NOT NULL DEFAULT -1,
    cost_micro_usd    bigint,
    cost_complete     boolean NOT NULL DEFAULT false,
    usage             jsonb NOT NULL DEFAULT '{}',
    resume            jsonb,
    FOREIGN KEY (school_id, line_id) REFERENCES lines (school_id, id),
    FOREIGN KEY (school_id, learner_id) REFERENCES learners (school_id, id) ON DELETE SET NULL (learner_id),
    UNIQUE (school_id, id)
);
CREATE INDEX calls_open_heartbeat ON calls (heartbeat_at) WHERE state <> 'closed';
CREATE INDEX calls_started ON calls (school_id, started_at);
CREATE INDEX calls_line_started ON calls (line_id, started_at);
CREATE INDEX calls_learner_started ON calls (learner_id, started_at);
CREATE INDEX calls_caller_started ON calls (caller_hash, started_at) WHERE caller_hash IS NOT NULL;

CREATE TABLE turns (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    school_id  uuid NOT NULL REFERENCES schools (id) ON DELETE CASCADE,
    call_id    uuid NOT NULL,
    ordinal    integer NOT NULL,
    speaker    text NOT NULL CONSTRAINT turns_speaker CHECK (speaker IN ('role', 'learner', 'helper')),
    item_id    text,
    text       text,
    start_ms   integer NOT NULL,
    end_ms     integer NOT NULL,
    cut        boolean NOT NULL DEFAULT false,
    FOREIGN KEY (school_id, call_id) REFERENCES calls (school_id, id) ON DELETE CASCADE,
    UNIQUE (call_id, ordinal)
);

CREATE TABLE call_events (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    school_id  uuid NOT NULL REFERENCES schools (id) ON DELETE CASCADE,
    call_id    uuid NOT NULL,
    ordinal    integer NOT NULL,
    at_ms      integer NOT NULL,
    kind       text NOT NULL,
    data       jsonb NOT NULL DEFAULT '{}',
    FOREIGN KEY (school_id, call_id) REFERENCES calls (school_id, id) ON DELETE CASCADE,
    UNIQUE (call_id, ordinal)
);

CREATE TABLE tokens (
    hash         bytea PRIMARY KEY,
    school_id    uuid NOT NULL REFERENCES schools (id) ON DELETE CASCADE,
    carrier_sid  text NOT NULL,
    payload      jsonb NOT NULL,
    expires_at   timestamptz NOT NULL
);
CREATE INDEX tokens_expiry ON tokens (school_id, expires_at);

CREATE TABLE clips (
    key         bytea PRIMARY KEY,
    school_id   uuid REFERENCES schools (id) ON DELETE CASCADE,
    text        text NOT NULL,
    language    text NOT NULL,
    voice       text NOT NULL,
    speed       double precision NOT NULL,
    ulaw        bytea NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now()
);
"""

# A setting made for one transaction reads as '' in the next one on that connection, not as NULL.
SCHOOL = "nullif(current_setting('app.school', true), '')::uuid"

# Which rows of a table belong to the school of the transaction.
ROWS = {
    "schools": f"id = {SCHOOL}",
    "lines": f"school_id = {SCHOOL}",
    "carrier_accounts": f"school_id = {SCHOOL}",
    "learners": f"school_id = {SCHOOL}",
    "caller_identities": f"school_id = {SCHOOL}",
    "calls": f"school_id = {SCHOOL}",
    "turns": f"school_id = {SCHOOL}",
    "call_events": f"school_id = {SCHOOL}",
    "tokens": f"school_id = {SCHOOL}",
    # A clip without a school is a phrase that all schools say; still nobody without a school sees it.
    "clips": f"{SCHOOL} IS NOT NULL AND coalesce(school_id, {SCHOOL}) = {SCHOOL}",
}

SECURITY = """
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
ALTER TABLE {table} FORCE ROW LEVEL SECURITY;
CREATE POLICY school ON {table} TO ringua_app USING ({rows}) WITH CHECK ({rows});
CREATE POLICY owner ON {table} TO CURRENT_USER USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO ringua_app;
"""

# name(parameters) -> its result and body. They are all that works before a school is known.
LOOKUPS = {
    "school_create(p_id uuid, p_name text, p_timezone text)": """RETURNS void LANGUAGE sql {safely} AS $$
        INSERT INTO public.schools (id, name, timezone) VALUES (p_id, p_name, p_timezone)
    $$""",
    "school_list()": """RETURNS SETOF public.schools LANGUAGE sql STABLE {safely} AS $$
        SELECT * FROM public.schools ORDER BY name
    $$""",
    "line_by_number(p_number text)": """RETURNS TABLE (
        id uuid, school_id uuid, number text, name text, native text, target text, level text, class_prompt text,
        scenarios text[], open boolean, model text, school_name text, school_timezone text
    ) LANGUAGE sql STABLE {safely} AS $$
        SELECT l.id, l.school_id, l.number, l.name, l.native, l.target, l.level, l.class_prompt,
               l.scenarios, l.open, l.model, s.name, s.timezone
        FROM public.lines l JOIN public.schools s ON s.id = l.school_id
        WHERE l.number = p_number
    $$""",
    "call_by_carrier_sid(p_carrier_sid text)": """RETURNS TABLE (school_id uuid, call_id uuid)
    LANGUAGE sql STABLE {safely} AS $$
        SELECT c.school_id, c.id FROM public.calls c WHERE c.carrier_sid = p_carrier_sid
    $$""",
    "call_count_live(p_fresh interval)": """RETURNS bigint LANGUAGE sql STABLE {safely} AS $$
        SELECT count(*) FROM public.calls c
        WHERE c.state IN ('menu', 'connecting', 'live') AND c.heartbeat_at > now() - p_fresh
    $$""",
    "call_list_stale(p_silent interval, p_limit integer)": """RETURNS TABLE (school_id uuid, call_id uuid)
    LANGUAGE sql STABLE {safely} AS $$
        SELECT c.school_id, c.id FROM public.calls c
        WHERE c.state <> 'closed' AND c.heartbeat_at < now() - p_silent
        ORDER BY c.heartbeat_at LIMIT p_limit
    $$""",
    "token_consume(p_hash bytea, p_carrier_sid text)": """RETURNS TABLE (school_id uuid, payload jsonb)
    LANGUAGE sql {safely} AS $$
        DELETE FROM public.tokens t
        WHERE t.hash = p_hash AND t.carrier_sid = p_carrier_sid AND t.expires_at > now()
        RETURNING t.school_id, t.payload
    $$""",
    "carrier_account_by_sid(p_sid text)": """RETURNS SETOF public.carrier_accounts LANGUAGE sql STABLE {safely} AS $$
        SELECT * FROM public.carrier_accounts a
        WHERE a.sid = p_sid AND (a.expires_at IS NULL OR a.expires_at > now())
    $$""",
    # An account never moves to another school: then nothing is written and the answer is empty.
    "carrier_account_put(p_sid text, p_school uuid, p_kind text, p_tokens bytea[], p_base text, p_end timestamptz)": """
    RETURNS SETOF text LANGUAGE sql {safely} AS $$
        INSERT INTO public.carrier_accounts AS a (sid, school_id, kind, tokens, rest_base, expires_at)
        VALUES (p_sid, p_school, p_kind, p_tokens, p_base, p_end)
        ON CONFLICT (sid) DO UPDATE SET kind = p_kind, tokens = p_tokens, rest_base = p_base, expires_at = p_end
        WHERE a.school_id IS NOT DISTINCT FROM p_school
        RETURNING a.sid
    $$""",
    "carrier_account_forget(p_sid text)": """RETURNS void LANGUAGE sql {safely} AS $$
        DELETE FROM public.carrier_accounts a WHERE a.sid = p_sid
    $$""",
}

SAFELY = "SECURITY DEFINER SET search_path = pg_catalog, pg_temp"


def upgrade() -> None:
    """Makes the role, the tables with their policies, and the look-up functions."""
    ensure_app_role(op.get_bind())
    op.execute("GRANT USAGE ON SCHEMA public TO ringua_app")
    op.execute(TABLES)
    for table, rows in ROWS.items():
        op.execute(SECURITY.format(table=table, rows=rows))
    for signature, body in LOOKUPS.items():
        op.execute(f"CREATE FUNCTION public.{signature} {body.format(safely=SAFELY)}")
        op.execute(f"REVOKE ALL ON FUNCTION public.{signature} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION public.{signature} TO ringua_app")
