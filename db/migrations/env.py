"""Alembic's entry: runs the changes on the connection that ``db.migrate`` opened and locked."""

from __future__ import annotations

from alembic import context

from db.models import Base

connection = context.config.attributes.get("connection")
if connection is None:
    raise SystemExit("Migrations are run by `ringua db upgrade` (or db.migrate.upgrade), not by the alembic command.")

# One transaction for all changes: an upgrade that fails leaves the database as it was.
context.configure(connection=connection, target_metadata=Base.metadata, transaction_per_migration=False)
with context.begin_transaction():
    context.run_migrations()
