"""The application role: that it exists, and that the migrating user may act as it. Nothing else of the schema."""

from __future__ import annotations

from sqlalchemy import Connection, text
from sqlalchemy.exc import ProgrammingError


class RoleRefused(Exception):
    """The role could not be made or taken. One sentence that says what an administrator runs."""


def ensure_app_role(connection: Connection) -> None:
    """Makes ``ringua_app`` (no login, no superuser, bound by row-level security) and lets the current user take it.

    Roles belong to the whole cluster, so another database may have made it already. Raises RoleRefused when this user
    may not do that.
    """
    try:
        if not connection.scalar(text("SELECT true FROM pg_roles WHERE rolname = 'ringua_app'")):
            with connection.begin_nested():
                connection.execute(text("CREATE ROLE ringua_app NOLOGIN NOSUPERUSER NOBYPASSRLS"))
        if not _may_take_role(connection):
            with connection.begin_nested():
                connection.execute(text("GRANT ringua_app TO CURRENT_USER"))
    except ProgrammingError as error:
        user = connection.scalar(text("SELECT quote_ident(current_user)"))
        raise RoleRefused(
            "The database user may not make the role ringua_app that keeps schools apart; run once as an "
            "administrator of the database, then start again: CREATE ROLE ringua_app NOLOGIN (unless it exists); "
            f"GRANT ringua_app TO {user};"
        ) from error


def _may_take_role(connection: Connection) -> bool:
    """Tries it: membership is spelled differently from one Postgres version to the next."""
    try:
        with connection.begin_nested():
            connection.execute(text("SET LOCAL ROLE ringua_app"))
            connection.execute(text("RESET ROLE"))
    except ProgrammingError:
        return False
    return True
