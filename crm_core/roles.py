"""PostgreSQL's two roles: the owner, who migrates and backs up, and the app's login, which `init` makes."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import URL, Connection, exc, make_url

from crm_core import walls
from crm_core.database import Database
from crm_core.errors import Invalid, NotAllowed

_ADDRESS = (
    "CRM_DATABASE_URL must be the app's address: postgresql://role:password@host/database."  # pragma: allowlist secret
)
_HARMLESS = "LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION"
_KNOWN = (
    "SELECT rolsuper OR rolbypassrls OR rolcreaterole OR pg_has_role(oid, (SELECT relowner FROM pg_class "
    "WHERE oid = 'opportunity'::regclass), 'MEMBER') AS mighty, pg_has_role(oid, '{group}', 'MEMBER') AS member "
    "FROM pg_roles WHERE rolname = %s"
)


def make(database: Database, app_url: str) -> list[str]:
    """This function will make the app's login as `app_url` names it, and give the statements of its rights.

    `database` is opened by the owner. The login may do nothing but what `walls` grants. Raises
    Invalid for an address that cannot be the app's; NotAllowed, with the SQL that somebody who
    may create roles has to run, where the owner may not.
    """
    app = _address(database, app_url)
    with database.write() as conn:
        conn.exec_driver_sql(f"SELECT pg_advisory_xact_lock({walls.LOCK})")
        conn.exec_driver_sql(walls.MAKE_GROUP)
        there = walls.grant(conn)
        known = there and _known(conn, str(app.username))
        if conn.exec_driver_sql("SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user").scalar():
            _create(conn, app)
        elif not known:
            raise NotAllowed(
                "This owner may not create roles; let somebody who may run this, then run this command again:",
                *(f"{line};" for line in _statements(conn, app, sql.Literal("…"))),
            )
        return [f"{line};" for line in (*walls.rights(walls.schema_of(conn)), *_statements(conn, app, None)[-1:])]


def _address(database: Database, app_url: str) -> URL:
    if database.engine.dialect.name != "postgresql":
        raise Invalid("CRM_OWNER_URL must name a PostgreSQL database.")
    try:
        app = make_url(app_url)
    except exc.ArgumentError:
        raise Invalid(_ADDRESS) from None
    if app.get_backend_name() != "postgresql" or not app.username or not app.password:
        raise Invalid(_ADDRESS)
    if app.username in (database.engine.url.username, walls.GROUP):
        raise Invalid("CRM_DATABASE_URL must name a role of the app's own, neither the owner nor crm_app.")
    return app


def _create(conn: Connection, app: URL) -> None:
    """Another process may be at it too: what is there by now is altered instead."""
    driver = _driver(conn)
    verifier = driver.pgconn.encrypt_password(str(app.password).encode(), str(app.username).encode(), b"scram-sha-256")
    _group, login, member = _statements(conn, app, sql.Literal(verifier.decode()))
    try:
        with conn.begin_nested():
            driver.execute(login)
    except (psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
        driver.execute(login.replace("CREATE", "ALTER", 1).replace(_HARMLESS, "LOGIN"))
    driver.execute(member)


def _known(conn: Connection, name: str) -> bool:
    """Whether the login is there and a member; a role that could pass the walls is refused, and stays as it is."""
    row = conn.exec_driver_sql(_KNOWN.format(group=walls.GROUP), (name,)).one_or_none()
    if row is not None and row.mighty:
        raise Invalid(f"The role {name} of CRM_DATABASE_URL could pass row security; name a role of the app's own.")
    return row is not None and bool(row.member)


def _statements(conn: Connection, app: URL, password: sql.Literal | None) -> list[str]:
    name, group = sql.Identifier(str(app.username)), sql.Identifier(walls.GROUP)
    made = (
        sql.SQL("CREATE ROLE {} NOLOGIN").format(group),
        sql.SQL("CREATE ROLE {} " + _HARMLESS + " PASSWORD {}").format(name, password or sql.Literal("…")),
        sql.SQL("GRANT {} TO {}").format(group, name),
    )
    return [statement.as_string(_driver(conn)) for statement in made]


def _driver(conn: Connection) -> Any:
    return conn.connection.driver_connection
