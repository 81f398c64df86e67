"""How one ``DATABASE_URL`` is spelled for each of its readers.

Hosts hand out ``postgres://``; libpq wants ``postgresql://``; SQLAlchemy wants the driver in the name.
"""

from __future__ import annotations

from urllib.parse import urlsplit

_SCHEMES = ("postgresql+psycopg", "postgresql", "postgres")


class UrlError(ValueError):
    """The address is not one of a Postgres database. The text is one sentence for a person, without the password."""


def libpq(url: str) -> str:
    """The address as psycopg and Procrastinate read it: ``postgresql://…``.

    Raises UrlError when the scheme is none of postgres, postgresql and postgresql+psycopg.
    """
    return f"postgresql://{_rest(url)}"


def sqlalchemy(url: str) -> str:
    """The address as SQLAlchemy reads it: ``postgresql+psycopg://…``. Raises UrlError as ``libpq`` does."""
    return f"postgresql+psycopg://{_rest(url)}"


def display(url: str) -> str:
    """The address for people and logs: no user, no password, no options but the socket's directory."""
    parts = urlsplit(libpq(url))
    host = parts.netloc.rpartition("@")[2]
    socket = next((pair[5:] for pair in parts.query.split("&") if pair.startswith("host=")), "")
    return f"{host or socket or 'localhost'}{parts.path}"


def _rest(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in _SCHEMES:
        raise UrlError("DATABASE_URL must begin with postgresql:// (or postgres://); unset it to use the built-in one")
    return rest
