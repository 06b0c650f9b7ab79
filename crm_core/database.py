"""The database: opened and migrated once, then one connection in one transaction at a time."""

from __future__ import annotations

import os
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, create_engine, event, exc, inspect, make_url, text
from sqlalchemy.pool import ConnectionPoolEntry

from crm_core import clock, preferences, rules
from crm_core.errors import Conflict, Unavailable

EMBEDDED = f"sqlite:///{Path(__file__).resolve().parent.parent / 'data' / 'crm.sqlite3'}"
OLDEST_SQLITE = (3, 39, 0)
BUSY_MS = 5000
_TRIES = 4
_LOCK = 7_204_061_984  # any number that nobody else locks on PostgreSQL
#: What SQLite says of a statement that is wrong: a bug, as on PostgreSQL, not a database that is away.
_WRONG = re.compile("no such (table|column|function)|has no column|syntax error")
_PG_TIMEOUTS = "-c statement_timeout=15s -c lock_timeout=5s -c idle_in_transaction_session_timeout=60s"


class Database:
    """An open database. `read()` and `write()` give one connection in one transaction each."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """This function will open a transaction that sees one moment of the database."""
        with self._begin(write=False) as conn:
            yield conn

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """This function will open a transaction that commits when its block ends without an error.

        Raises Unavailable when the database is locked, full, read-only or away.
        """
        with self._begin(write=True) as conn:
            yield conn

    def submit(self, verb: Callable[..., Any], *args: Any, **named: Any) -> Any:
        """This function will run one command in a write transaction of its own, again where that is safe.

        A deadlock, or a connection lost with a `token` given, is tried up to three times more;
        the token makes a repeated commit find its first result.
        """
        for attempt in range(_TRIES):
            try:
                with self.write() as conn:
                    return verb(conn, *args, **named)
            except Unavailable as why:
                again = _deadlocked(why.__cause__) or (named.get("token") and _lost(why.__cause__))
                if not again or attempt == _TRIES - 1:
                    raise
                time.sleep(0.05 * 2**attempt)
        raise AssertionError("unreachable")

    def dispose(self) -> None:
        """This function will close every connection."""
        self.engine.dispose()

    def _isolation(self, write: bool) -> dict[str, Any]:
        if write or self.engine.dialect.name != "postgresql":
            return {}
        return {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}

    @contextmanager
    def _begin(self, write: bool) -> Iterator[Connection]:
        try:
            with self.engine.connect() as conn:
                conn.execution_options(crm_write=write, **self._isolation(write))
                with conn.begin():
                    clock.start(conn)
                    yield conn
        except exc.IntegrityError as why:
            raise _refusal(why) from why
        except (exc.OperationalError, exc.InternalError, exc.InterfaceError) as why:
            if _WRONG.search(str(why.orig)):
                raise
            raise Unavailable(_sentence(why, self.engine.url.database)) from why


def open_database(url: str | None = None) -> Database:
    """This function will open a database, migrate it where this role may, and check that it is whole.

    `url` defaults to CRM_DATABASE_URL, then to the embedded SQLite file. Raises Unavailable with
    a sentence when it cannot be reached, is damaged, newer than this program, or needs its owner.
    """
    where = url or os.environ.get("CRM_DATABASE_URL") or EMBEDDED
    engine = _sqlite_engine(where) if where.startswith("sqlite") else _postgresql_engine(where)
    database = Database(engine)
    try:
        _prepare(database)
    except Exception:
        engine.dispose()
        raise
    return database


def _prepare(database: Database) -> None:
    with database.write() as conn:
        if conn.dialect.name == "postgresql":
            conn.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        elif (found := conn.exec_driver_sql("PRAGMA quick_check(1)").scalar()) != "ok":
            raise Unavailable(
                f"The database file {database.engine.url.database} is damaged ({found}); restore a backup."
            )
        present = MigrationContext.configure(conn).get_current_heads()
        script = ScriptDirectory.from_config(_alembic())
        if present != tuple(script.get_heads()):
            _migrate(conn, script, present)
        if preferences.stored(conn, "rules") != rules.fingerprint():
            _require_owner(conn)
            rules.install(conn)
            preferences.store(conn, "rules", rules.fingerprint())


def _migrate(conn: Connection, script: ScriptDirectory, present: tuple[str, ...]) -> None:
    for revision in present:
        try:
            script.get_revision(revision)
        except CommandError:
            raise Unavailable(
                "This database was made by a newer version of the program; update the program first."
            ) from None
    if not present and inspect(conn).get_table_names():
        raise Unavailable("This database holds other tables; name an empty one in CRM_DATABASE_URL.")
    _require_owner(conn)
    config = _alembic()
    config.attributes["connection"] = conn
    command.upgrade(config, "heads")


def _require_owner(conn: Connection) -> None:
    if conn.dialect.name != "postgresql":
        return
    if not conn.scalar(text("SELECT has_schema_privilege(current_schema(), 'CREATE')")):
        raise Unavailable(
            "The database needs an update by its owner; run “python -m crm_core init” with CRM_OWNER_URL set."
        )


def _alembic() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


def _sqlite_engine(url: str) -> Engine:
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise Unavailable(
            f"SQLite {sqlite3.sqlite_version} is too old; {'.'.join(map(str, OLDEST_SQLITE))} or newer is needed."
        )
    path = make_url(url).database
    if path and path != ":memory:":
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        except OSError as why:
            raise Unavailable(f"The folder of the database {path} cannot be made: {why.strerror}.") from why
    patience = {"timeout": BUSY_MS / 1000, "isolation_level": None}
    engine = create_engine(url, hide_parameters=True, connect_args=patience)

    @event.listens_for(engine, "connect")
    def _connect(dbapi: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
        for pragma in ("foreign_keys=ON", "recursive_triggers=ON", f"busy_timeout={BUSY_MS}"):
            dbapi.execute(f"PRAGMA {pragma}")
        dbapi.execute("PRAGMA journal_mode=WAL")
        dbapi.execute("PRAGMA synchronous=FULL")

    @event.listens_for(engine, "begin")
    def _begin(conn: Connection) -> None:
        write = conn.get_execution_options().get("crm_write")
        conn.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def _postgresql_engine(url: str) -> Engine:
    address = make_url(url)
    if address.get_backend_name() != "postgresql":
        raise Unavailable("CRM_DATABASE_URL must begin with sqlite:/// or postgresql://.")
    return create_engine(
        address.set(drivername="postgresql+psycopg"),
        hide_parameters=True,
        pool_pre_ping=True,
        pool_size=20,
        max_overflow=10,
        connect_args={"connect_timeout": 5, "options": f"-c timezone=UTC {_PG_TIMEOUTS}"},
    )


_UNIQUE = {
    "email_key": "This e-mail address is in use already.",
    "source_lead_id": "This lead was converted a moment ago; open it again.",
    "converted_customer_id": "This lead was converted a moment ago; open it again.",
    "offer_id": "This offer is linked to another opportunity or belongs to another customer.",
    "token": "This was submitted a moment ago.",
    "number": "This number is in use already.",
    "external_ref": "This row was imported already.",
    "identity": "You signed in a moment ago; open the page again.",
    "transition": rules.STALE,
}


def _refusal(why: exc.IntegrityError) -> Conflict:
    said = str(why.orig)
    for sentence in rules.SENTENCES:
        if sentence in said:
            return Conflict(sentence)
    for name, sentence in _UNIQUE.items():
        if name in said:
            return Conflict(sentence)
    return Conflict("The database refused this because it would break one of its rules; check what you entered.")


def _sentence(why: exc.DBAPIError, place: str | None) -> str:
    said = str(why.orig).lower()
    if "locked" in said or "lock timeout" in said or "deadlock" in said:
        return "The database is busy and this could not be saved; nothing was lost, try again in a moment."
    if "disk is full" in said or "no space" in said or "disk full" in said:
        return "This could not be saved because the disk is full; free some space and try again."
    if "readonly" in said or "read-only" in said:
        return f"The database {place} can only be read; its file or folder needs write permission."
    if "unable to open" in said:
        return f"The database {place} cannot be opened; check its folder and permissions."
    if "malformed" in said or "not a database" in said:
        return f"The database file {place} is damaged; restore a backup."
    if "statement timeout" in said:
        return "The database took too long to answer; narrow the selection or try again."
    return "The database cannot be reached just now; try again in a moment."


def _deadlocked(why: BaseException | None) -> bool:
    return isinstance(why, exc.DBAPIError) and "deadlock detected" in str(why.orig)


def _lost(why: BaseException | None) -> bool:
    return isinstance(why, exc.DBAPIError) and why.connection_invalidated
