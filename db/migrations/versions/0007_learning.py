"""What is remembered of a learner from call to call.

Observations, ratings and the difficulty of scenes, review cards, topics and facts, what they said of their confidence,
achievements, profiles. All of it goes with the learner.
"""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"

# Indexes of the call path (each a range of one learner's rows, < 10 ms p99 at 3 million calls):
# observations_learner for the last calls of a learner in a language, review_cards_due for the cards of the next call;
# ratings, profiles, topics, facts and achievements are found by their primary keys.
# observations_school is for reports and for deleting by date; those on call_id keep the deletion of calls cheap.
TABLES = """
CREATE TABLE observations (
    call_id            uuid PRIMARY KEY,
    school_id          uuid NOT NULL REFERENCES schools (id) ON DELETE CASCADE,
    learner_id         uuid,
    target             text NOT NULL,
    scenario           text NOT NULL,
    level              text NOT NULL,
    at                 timestamptz NOT NULL,
    turns              integer NOT NULL,
    latency_ms         integer,
    noisy              boolean NOT NULL DEFAULT false,
    rated              boolean NOT NULL,
    completed          boolean NOT NULL,
    hints              integer NOT NULL,
    difficulty         double precision NOT NULL,
    measures           jsonb NOT NULL,
    notes              jsonb NOT NULL DEFAULT '{}',
    clarifications     integer,
    outcome            double precision,
    confidence         double precision,
    support            double precision,
    above_recommended  boolean NOT NULL DEFAULT false,
    may_go_on          boolean NOT NULL DEFAULT false,
    cards_made         boolean NOT NULL DEFAULT false,
    FOREIGN KEY (school_id, call_id) REFERENCES calls (school_id, id) ON DELETE CASCADE,
    FOREIGN KEY (school_id, learner_id) REFERENCES learners (school_id, id) ON DELETE CASCADE
);
CREATE INDEX observations_learner ON observations (learner_id, target, at);
CREATE INDEX observations_school ON observations (school_id, at);

CREATE TABLE ratings (
    learner_id  uuid NOT NULL,
    target      text NOT NULL,
    school_id   uuid NOT NULL REFERENCES schools (id) ON DELETE CASCADE,
    theta       double precision NOT NULL,
    state       jsonb NOT NULL,
    updated_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (learner_id, target),
    FOREIGN KEY (school_id, learner_id) REFERENCES learners (school_id, id) ON DELETE CASCADE
);

CREATE TABLE scenario_difficulties (
    school_id   uuid NOT NULL REFERENCES schools (id) ON DELETE CASCADE,
    scenario    text NOT NULL,
    plays       integer NOT NULL,
    shift       double precision NOT NULL,
    updated_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (school_id, scenario)
);

CREATE TABLE review_cards (
    id          uuid PRIMARY KEY,
    school_id   uuid NOT NULL REFERENCES schools (id) ON DELETE CASCADE,
    learner_id  uuid NOT NULL,
    target      text NOT NULL,
    kind        text NOT NULL CONSTRAINT review_cards_kind CHECK (kind IN ('phrase', 'class', 'focus')),
    text        text NOT NULL,
    situation   text NOT NULL,
    state       jsonb NOT NULL,
    due_at      timestamptz NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (school_id, learner_id) REFERENCES learners (school_id, id) ON DELETE CASCADE,
    UNIQUE (learner_id, target, kind, text)
);
CREATE INDEX review_cards_due ON review_cards (learner_id, target, due_at);

CREATE TABLE topics (
    learner_id  uuid NOT NULL,
    target      text NOT NULL,
    topic       text NOT NULL,
    school_id   uuid NOT NULL REFERENCES schools (id) ON DELETE CASCADE,
    call_id     uuid,
    at          timestamptz NOT NULL,
    PRIMARY KEY (learner_id, target, topic),
    FOREIGN KEY (school_id, learner_id) REFERENCES learners (school_id, id) ON DELETE CASCADE,
    FOREIGN KEY (school_id, call_id) REFERENCES calls (school_id, id) ON DELETE SET NULL (call_id)
);
CREATE INDEX topics_call ON topics (call_id);

CREATE TABLE facts (
    learner_id  uuid NOT NULL,
    fact        text NOT NULL,
    school_id   uuid NOT NULL REFERENCES schools (id) ON DELETE CASCADE,
    call_id     uuid,
    at          timestamptz NOT NULL,
    PRIMARY KEY (learner_id, fact),
    FOREIGN KEY (school_id, learner_id) REFERENCES learners (school_id, id) ON DELETE CASCADE,
    FOREIGN KEY (school_id, call_id) REFERENCES calls (school_id, id) ON DELETE SET NULL (call_id)
);
CREATE INDEX facts_call ON facts (call_id);

CREATE TABLE confidence_answers (
    call_id        uuid PRIMARY KEY,
    school_id      uuid NOT NULL REFERENCES schools (id) ON DELETE CASCADE,
    learner_id     uuid NOT NULL,
    answer         integer NOT NULL CONSTRAINT confidence_answers_answer CHECK (answer BETWEEN 1 AND 5),
    asked_because  text NOT NULL CONSTRAINT confidence_answers_asked CHECK (asked_because IN ('first', 'later')),
    at             timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (school_id, call_id) REFERENCES calls (school_id, id) ON DELETE CASCADE,
    FOREIGN KEY (school_id, learner_id) REFERENCES learners (school_id, id) ON DELETE CASCADE,
    UNIQUE (learner_id, asked_because)
);

CREATE TABLE achievements (
    learner_id   uuid NOT NULL,
    achievement  text NOT NULL,
    school_id    uuid NOT NULL REFERENCES schools (id) ON DELETE CASCADE,
    call_id      uuid,
    at           timestamptz NOT NULL,
    PRIMARY KEY (learner_id, achievement),
    FOREIGN KEY (school_id, learner_id) REFERENCES learners (school_id, id) ON DELETE CASCADE,
    FOREIGN KEY (school_id, call_id) REFERENCES calls (school_id, id) ON DELETE SET NULL (call_id)
);
CREATE INDEX achievements_call ON achievements (call_id);

CREATE TABLE profiles (
    learner_id   uuid NOT NULL,
    target       text NOT NULL,
    school_id    uuid NOT NULL REFERENCES schools (id) ON DELETE CASCADE,
    parameters   jsonb NOT NULL,
    analysed_at  timestamptz NOT NULL,
    PRIMARY KEY (learner_id, target),
    FOREIGN KEY (school_id, learner_id) REFERENCES learners (school_id, id) ON DELETE CASCADE
);
"""

NAMES = (
    "observations",
    "ratings",
    "scenario_difficulties",
    "review_cards",
    "topics",
    "facts",
    "confidence_answers",
    "achievements",
    "profiles",
)

# A setting made for one transaction reads as '' in the next one on that connection, not as NULL.
SCHOOL = "school_id = nullif(current_setting('app.school', true), '')::uuid"

SECURITY = """
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
ALTER TABLE {table} FORCE ROW LEVEL SECURITY;
CREATE POLICY school ON {table} TO ringua_app USING ({rows}) WITH CHECK ({rows});
CREATE POLICY owner ON {table} TO CURRENT_USER USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO ringua_app;
"""

# Who practised since `p_since` and has a profile older than `p_before`, or none, school by school, after a place.
ACTIVE = (
    "learners_to_analyse(p_since timestamptz, p_before timestamptz, p_school uuid, p_learner uuid, p_limit integer)"
)
LIST_ACTIVE = """RETURNS TABLE (school_id uuid, learner_id uuid) LANGUAGE sql STABLE
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT l.school_id, l.id FROM public.learners l
        WHERE (l.school_id, l.id) > (p_school, p_learner)
          AND EXISTS (
              SELECT FROM public.observations o
              LEFT JOIN public.profiles p ON p.learner_id = o.learner_id AND p.target = o.target
              WHERE o.learner_id = l.id AND o.at >= p_since AND (p.analysed_at IS NULL OR p.analysed_at < p_before)
          )
        ORDER BY l.school_id, l.id LIMIT p_limit
    $$"""


def upgrade() -> None:
    """Makes the tables with their policies, and the list for the nightly analysis."""
    op.execute(TABLES)
    for table in NAMES:
        op.execute(SECURITY.format(table=table, rows=SCHOOL))
    op.execute(f"CREATE FUNCTION public.{ACTIVE} {LIST_ACTIVE}")
    op.execute(f"REVOKE ALL ON FUNCTION public.{ACTIVE} FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION public.{ACTIVE} TO ringua_app")
