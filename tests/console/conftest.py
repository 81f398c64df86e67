"""What tests of the console share: a superuser's view of the database."""

from __future__ import annotations

from tests.db.conftest import superuser

__all__ = ["superuser"]
