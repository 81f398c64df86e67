"""What keeps callers safe: a line's helpline and contact, the age of its callers, and the flags people must look at.

Flags are an audit: the application role adds them and dates ``told_at``, and can neither change nor delete anything
else. A message may now go to a line's safeguarding contact, who is no learner; a learner's opt-out does not stop it.
"""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"

TABLES = """
ALTER TABLE lines
    ADD COLUMN helpline             text,
    ADD COLUMN safeguarding_number  bytea,
    ADD COLUMN minors               text NOT NULL DEFAULT 'none'
                                    CONSTRAINT lines_minors CHECK (minors IN ('none', '13+', 'under13')),
    ADD COLUMN kids                 boolean NOT NULL DEFAULT false;

ALTER TABLE messages
    ALTER COLUMN learner_id DROP NOT NULL,
    ADD CONSTRAINT messages_recipient CHECK (learner_id IS NOT NULL OR kind = 'safeguarding');

CREATE TABLE safety_flags (
    id          uuid PRIMARY KEY,
    school_id   uuid NOT NULL REFERENCES schools (id) ON DELETE CASCADE,
    call_id     uuid NOT NULL,
    at_ms       integer NOT NULL,
    category    text NOT NULL,
    action      text NOT NULL CONSTRAINT safety_flags_action CHECK (action IN ('note', 'steer', 'stop', 'care')),
    source      text NOT NULL CONSTRAINT safety_flags_source CHECK (source IN ('words', 'moderation', 'key')),
    rule        text NOT NULL,
    told_at     timestamptz,
    created_at  timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (school_id, call_id) REFERENCES calls (school_id, id)
);
CREATE INDEX safety_flags_call ON safety_flags (call_id);
CREATE INDEX safety_flags_unheard ON safety_flags (school_id, created_at) WHERE told_at IS NULL;
"""

SCHOOL = "school_id = nullif(current_setting('app.school', true), '')::uuid"

SECURITY = f"""
ALTER TABLE safety_flags ENABLE ROW LEVEL SECURITY;
ALTER TABLE safety_flags FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON safety_flags TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY school ON safety_flags TO ringua_app USING ({SCHOOL}) WITH CHECK ({SCHOOL});
GRANT SELECT, INSERT, UPDATE (told_at) ON safety_flags TO ringua_app;
"""

LOOKUPS = {
    "line_by_number(p_number text)": """RETURNS TABLE (
        id uuid, school_id uuid, number text, name text, native text, target text, level text, class_prompt text,
        scenarios text[], open boolean, model text, texts boolean, helpline text, minors text, kids boolean,
        school_name text, school_timezone text
    ) LANGUAGE sql STABLE {safely} AS $$
        SELECT l.id, l.school_id, l.number, l.name, l.native, l.target, l.level, l.class_prompt,
               l.scenarios, l.open, l.model, l.texts, l.helpline, l.minors, l.kids, s.name, s.timezone
        FROM public.lines l JOIN public.schools s ON s.id = l.school_id
        WHERE l.number = p_number
    $$""",
    # A contact who also practises, and wants no texts as a learner, is told of a child in need all the same.
    "number_opt_out(p_hash bytea, p_source text)": """RETURNS void LANGUAGE sql {safely} AS $$
        INSERT INTO public.opt_outs (number_hash, source) VALUES (p_hash, p_source) ON CONFLICT DO NOTHING;
        UPDATE public.consents SET ended_at = now() WHERE number_hash = p_hash AND given AND ended_at IS NULL;
        UPDATE public.caller_identities SET number_encrypted = NULL
        WHERE number_hash = p_hash AND number_encrypted IS NOT NULL;
        UPDATE public.messages SET state = 'suppressed'
        WHERE number_hash = p_hash AND state = 'new' AND learner_id IS NOT NULL
    $$""",
}

SAFELY = "SECURITY DEFINER SET search_path = pg_catalog, pg_temp"


def upgrade() -> None:
    """Makes the columns and the table, and both functions anew."""
    op.execute(TABLES)
    op.execute(SECURITY)
    for signature, body in LOOKUPS.items():
        op.execute(f"DROP FUNCTION public.{_types(signature)}")
        op.execute(f"CREATE FUNCTION public.{signature} {body.format(safely=SAFELY)}")
        op.execute(f"REVOKE ALL ON FUNCTION public.{signature} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION public.{signature} TO ringua_app")


def _types(signature: str) -> str:
    """A function's name with the types of its parameters alone."""
    name, _, parameters = signature.removesuffix(")").partition("(")
    return f"{name}({', '.join(parameter.split()[1] for parameter in parameters.split(', '))})"
