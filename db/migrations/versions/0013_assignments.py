"""Scenes that a class or the callers of a line were given for some days, and SIP domains by which lines are reached.

A domain belongs to one line among all schools. Which line that is must be known before a school is: one function says
its number, and nothing else.
"""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"

TABLES = """
CREATE TABLE assignments (
    id          uuid PRIMARY KEY,
    school_id   uuid NOT NULL REFERENCES schools (id) ON DELETE CASCADE,
    line_id     uuid,
    class_id    uuid,
    scenario    text NOT NULL,
    target      text,
    starts_on   date NOT NULL,
    ends_on     date NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT assignments_whose CHECK (num_nonnulls(line_id, class_id) = 1),
    CONSTRAINT assignments_days CHECK (ends_on >= starts_on),
    FOREIGN KEY (school_id, line_id) REFERENCES lines (school_id, id) ON DELETE CASCADE,
    FOREIGN KEY (school_id, class_id) REFERENCES classes (school_id, id) ON DELETE CASCADE
);
CREATE INDEX assignments_line ON assignments (line_id, ends_on);
CREATE INDEX assignments_class ON assignments (class_id, ends_on);

CREATE TABLE sip_domains (
    domain      text PRIMARY KEY CONSTRAINT sip_domains_domain CHECK (domain = lower(domain)),
    school_id   uuid NOT NULL REFERENCES schools (id) ON DELETE CASCADE,
    line_id     uuid NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (school_id, line_id) REFERENCES lines (school_id, id) ON DELETE CASCADE
);
CREATE INDEX sip_domains_line ON sip_domains (line_id);
"""

SCHOOL = "school_id = nullif(current_setting('app.school', true), '')::uuid"

SECURITY = """
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
ALTER TABLE {table} FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON {table} TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY school ON {table} TO ringua_app USING ({rows}) WITH CHECK ({rows});
GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO ringua_app;
"""

# A caller may have dialled another line of the school that has the domain, by its number.
LOOKUP = """
CREATE FUNCTION public.sip_domain_line(p_domain text, p_number text) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(
        (SELECT l.number FROM public.lines l WHERE l.school_id = d.school_id AND l.number = p_number),
        (SELECT l.number FROM public.lines l WHERE l.id = d.line_id)
    ) FROM public.sip_domains d WHERE d.domain = p_domain
$$
"""


def upgrade() -> None:
    """Makes the tables with their policies, and the function."""
    op.execute(TABLES)
    for table in ("assignments", "sip_domains"):
        op.execute(SECURITY.format(table=table, rows=SCHOOL))
    op.execute(LOOKUP)
    op.execute("REVOKE ALL ON FUNCTION public.sip_domain_line(text, text) FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION public.sip_domain_line(text, text) TO ringua_app")
