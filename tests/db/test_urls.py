"""The spellings of a database's address."""

from __future__ import annotations

import pytest

from db import urls


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_each_reader_gets_its_spelling(scheme: str) -> None:
    """Whatever a host calls it, libpq and SQLAlchemy each get the name they know."""
    url = f"{scheme}://user:p%40ss@example.net:5433/ringua?sslmode=require"
    assert urls.libpq(url) == "postgresql://user:p%40ss@example.net:5433/ringua?sslmode=require"
    assert urls.sqlalchemy(url) == "postgresql+psycopg://user:p%40ss@example.net:5433/ringua?sslmode=require"


def test_display_hides_the_password() -> None:
    """People and logs see where the database is, not who connects with what."""
    assert urls.display("postgres://user:secret@example.net:5433/ringua?sslmode=require") == "example.net:5433/ringua"
    assert urls.display("postgresql://postgres@/postgres?host=/var/lib/ringua/pg") == "/var/lib/ringua/pg/postgres"


@pytest.mark.parametrize("url", ["", "mysql://localhost/x", "localhost:5432", "sqlite:///x.db"])
def test_other_addresses_are_refused(url: str) -> None:
    """An address of something else is refused with a sentence that names the setting."""
    with pytest.raises(urls.UrlError, match="DATABASE_URL must begin with postgresql"):
        urls.libpq(url)
