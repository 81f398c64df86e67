"""Schema changes, forward only. Alembic runs them through ``db.migrate``."""
