"""Long tests have a database of their own, like the journeys."""

from __future__ import annotations

from tests.journeys.conftest import module_database_url, storage

__all__ = ["module_database_url", "storage"]
