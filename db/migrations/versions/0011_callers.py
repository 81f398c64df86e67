"""Lines that serve callers of several native languages, or several languages to practise; the door sees both."""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"

# Empty: only the line's own ``native``, or ``target``.
COLUMNS = """
ALTER TABLE lines
    ADD COLUMN natives  text[] NOT NULL DEFAULT '{}',
    ADD COLUMN targets  text[] NOT NULL DEFAULT '{}';
"""

LOOKUP = """
CREATE FUNCTION public.line_by_number(p_number text) RETURNS TABLE (
    id uuid, school_id uuid, number text, name text, native text, target text, level text, class_prompt text,
    scenarios text[], open boolean, model text, texts boolean, helpline text, minors text, kids boolean,
    natives text[], targets text[], school_name text, school_timezone text
) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT l.id, l.school_id, l.number, l.name, l.native, l.target, l.level, l.class_prompt,
           l.scenarios, l.open, l.model, l.texts, l.helpline, l.minors, l.kids, l.natives, l.targets,
           s.name, s.timezone
    FROM public.lines l JOIN public.schools s ON s.id = l.school_id
    WHERE l.number = p_number
$$
"""


def upgrade() -> None:
    """Makes the columns, and the look-up by number anew."""
    op.execute(COLUMNS)
    op.execute("DROP FUNCTION public.line_by_number(text)")
    op.execute(LOOKUP)
    op.execute("REVOKE ALL ON FUNCTION public.line_by_number(text) FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION public.line_by_number(text) TO ringua_app")
