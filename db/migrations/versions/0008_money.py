"""What calls cost, entry by entry, and what schools, lines and learners may spend.

An entry is written once, by its key, and never changed; who has been forgotten is taken out of it by the foreign key. A
budget's rule stands in ``budgets``; what was spent and is held of it, in one of its days or months, in
``budget_periods``; the part that one live call holds, in ``budget_holds``.
"""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"

TABLES = """
CREATE TABLE ledger_entries (
    id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    school_id          uuid NOT NULL REFERENCES schools (id) ON DELETE CASCADE,
    line_id            uuid,
    call_id            uuid,
    learner_id         uuid,
    at                 timestamptz NOT NULL,
    kind               text NOT NULL CONSTRAINT ledger_entries_kind CHECK (kind IN (
                           'response', 'transcription', 'debrief', 'moderation', 'carrier_minutes', 'message',
                           'estimate')),
    quantity           jsonb NOT NULL DEFAULT '{}',
    micro_usd          bigint,
    charged_micro_usd  bigint NOT NULL,
    key                text NOT NULL,
    CONSTRAINT ledger_entries_charged CHECK (coalesce(micro_usd, charged_micro_usd) = charged_micro_usd),
    FOREIGN KEY (school_id, line_id) REFERENCES lines (school_id, id) ON DELETE SET NULL (line_id),
    FOREIGN KEY (school_id, call_id) REFERENCES calls (school_id, id) ON DELETE SET NULL (call_id),
    FOREIGN KEY (school_id, learner_id) REFERENCES learners (school_id, id) ON DELETE SET NULL (learner_id),
    UNIQUE (school_id, key)
);
-- With the amount: a month of a school is added up when somebody sets a budget in the middle of it.
CREATE INDEX ledger_entries_at ON ledger_entries (school_id, at) INCLUDE (charged_micro_usd);
CREATE INDEX ledger_entries_call ON ledger_entries (call_id);
CREATE INDEX ledger_entries_line_at ON ledger_entries (line_id, at);
CREATE INDEX ledger_entries_learner_at ON ledger_entries (learner_id, at);

CREATE TABLE budgets (
    id          uuid PRIMARY KEY,
    school_id   uuid NOT NULL REFERENCES schools (id) ON DELETE CASCADE,
    scope       text NOT NULL CONSTRAINT budgets_scope CHECK (scope IN ('school', 'line', 'learner', 'call')),
    line_id     uuid,
    learner_id  uuid,
    period      text NOT NULL CONSTRAINT budgets_period CHECK (period IN ('day', 'month', 'call')),
    unit        text NOT NULL CONSTRAINT budgets_unit CHECK (unit IN ('micro_usd', 's')),
    amount      bigint NOT NULL CONSTRAINT budgets_amount CHECK (amount > 0),
    created_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT budgets_of_a_call CHECK ((scope = 'call') = (period = 'call')),
    CONSTRAINT budgets_line CHECK (line_id IS NULL OR scope IN ('line', 'call')),
    CONSTRAINT budgets_learner CHECK (learner_id IS NULL OR scope = 'learner'),
    FOREIGN KEY (school_id, line_id) REFERENCES lines (school_id, id) ON DELETE CASCADE,
    FOREIGN KEY (school_id, learner_id) REFERENCES learners (school_id, id) ON DELETE CASCADE,
    UNIQUE (school_id, id)
);
CREATE UNIQUE INDEX budgets_one_each
    ON budgets (school_id, scope, period, unit, line_id, learner_id) NULLS NOT DISTINCT;

CREATE TABLE budget_periods (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    school_id   uuid NOT NULL REFERENCES schools (id) ON DELETE CASCADE,
    budget_id   uuid NOT NULL,
    subject     uuid NOT NULL,
    learner_id  uuid,
    starts_at   timestamptz NOT NULL,
    ends_at     timestamptz NOT NULL,
    spent       bigint NOT NULL DEFAULT 0,
    held        bigint NOT NULL DEFAULT 0,
    CONSTRAINT budget_periods_held CHECK (held >= 0),
    FOREIGN KEY (school_id, budget_id) REFERENCES budgets (school_id, id) ON DELETE CASCADE,
    FOREIGN KEY (school_id, learner_id) REFERENCES learners (school_id, id) ON DELETE CASCADE,
    UNIQUE (school_id, id),
    UNIQUE (budget_id, subject, starts_at)
);
CREATE INDEX budget_periods_subject ON budget_periods (subject, starts_at);
CREATE INDEX budget_periods_learner ON budget_periods (learner_id);

CREATE TABLE budget_holds (
    period_id  bigint NOT NULL,
    call_id    uuid NOT NULL,
    school_id  uuid NOT NULL REFERENCES schools (id) ON DELETE CASCADE,
    micro_usd  bigint NOT NULL CONSTRAINT budget_holds_micro_usd CHECK (micro_usd >= 0),
    PRIMARY KEY (period_id, call_id),
    FOREIGN KEY (school_id, period_id) REFERENCES budget_periods (school_id, id) ON DELETE CASCADE,
    FOREIGN KEY (school_id, call_id) REFERENCES calls (school_id, id) ON DELETE CASCADE
);
CREATE INDEX budget_holds_call ON budget_holds (call_id);

CREATE TABLE budget_alerts (
    period_id  bigint NOT NULL,
    percent    integer NOT NULL CONSTRAINT budget_alerts_percent CHECK (percent IN (70, 90, 100)),
    school_id  uuid NOT NULL REFERENCES schools (id) ON DELETE CASCADE,
    at         timestamptz NOT NULL DEFAULT now(),
    told_at    timestamptz,
    PRIMARY KEY (period_id, percent),
    FOREIGN KEY (school_id, period_id) REFERENCES budget_periods (school_id, id) ON DELETE CASCADE
);
"""

# A setting made for one transaction reads as '' in the next one on that connection, not as NULL.
SCHOOL = "school_id = nullif(current_setting('app.school', true), '')::uuid"

SECURITY = """
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
ALTER TABLE {table} FORCE ROW LEVEL SECURITY;
CREATE POLICY school ON {table} TO ringua_app USING ({rows}) WITH CHECK ({rows});
CREATE POLICY owner ON {table} TO CURRENT_USER USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO ringua_app;
"""


def upgrade() -> None:
    """Makes the tables with their policies."""
    op.execute(TABLES)
    for table in ("ledger_entries", "budgets", "budget_periods", "budget_holds", "budget_alerts"):
        op.execute(SECURITY.format(table=table, rows=SCHOOL))
    # What was booked stays booked.
    op.execute("REVOKE UPDATE, DELETE ON ledger_entries FROM ringua_app")
