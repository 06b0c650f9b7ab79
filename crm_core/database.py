"""The database: opened and migrated once, then one connection in one transaction at a time."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, RootTransaction, create_engine, event, exc, inspect, make_url, text
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from crm_core import answers, clock, courses, denials, logs, preferences, rules, soundness, standings, tallies, walls
from crm_core.access import Actor
from crm_core.errors import Conflict, NotAllowed, NotFound, Refusal, Unavailable
from crm_core.replica import MISPLACED, Replica

EMBEDDED = f"sqlite:///{Path(__file__).resolve().parent.parent / 'data' / 'crm.sqlite3'}"
#: The revision of this release's schema: that of its last migration.
NEWEST = max(file.name.partition("_")[0] for file in (Path(__file__).parent / "migrations" / "versions").glob("*_*.py"))
OLDEST_SQLITE = (3, 39, 0)
WAIT = 5  # seconds for a lock or a free connection; on SQLite ?timeout= in the address says otherwise
_TRIES = 4
PREPARED = 250  # statements a connection to PostgreSQL keeps, at 0.12 MB; a manager's pages alone ask a hundred
# Compiling a plan takes longer than any of ours runs.
_PG_OPTIONS = f"-c jit=off -c statement_timeout=15s -c lock_timeout={WAIT}s -c idle_in_transaction_session_timeout=60s"


class Database:
    """An open database. `read()` and `write()` give one connection in one transaction each."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.replica: Replica | None = None
        self.check: soundness.Check | None = None
        self.answers = answers.Answers(engine)
        self._saving = threading.Lock()

    @contextmanager
    def read(self, now: bool = False) -> Iterator[Connection]:
        """This function will open a transaction that sees one moment of the database, no earlier than the last write here.

        Where there is a replica, it answers as soon as it has that. What is read `now` sees whatever anybody
        saved, and so does all that is read here afterwards.
        """
        with self._begin(write=False, now=now) as conn:
            yield conn

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """This function will open a transaction that commits when its block ends without an error.

        Raises Unavailable when the database is locked, full, read-only or away.
        """
        with self._begin(write=True) as conn:
            yield conn

    def ask(self, verb: Callable[..., Any], actor: Actor, *args: Any, **named: Any) -> Any:
        """This function will run one reading verb in a transaction of its own, or give what it gave this actor before.

        What was answered before is given while nobody saved anything since, and within a minute; beside a replica
        everything is read. Whoever gets an answer leaves it as it is.
        """

        def read() -> Any:
            with self.read() as conn:
                return verb(conn, actor, *args, **named)

        if self.check:
            self.check.refuse()
        if self.replica:
            return read()
        return self.answers.to((verb, actor.user_id, answers.fixed(args), answers.fixed(named)), read)

    def submit(self, verb: Callable[..., Any], *args: Any, **named: Any) -> Any:
        """This function will run one command in a write transaction of its own, again where that is safe.

        A deadlock, or a connection lost with a `token` given, is tried up to three times more;
        the token makes a repeated commit find its first result. A refusal is kept (`denied`).
        """
        attempt = 1
        while True:
            try:
                with self.write() as conn:
                    return verb(conn, *args, **named)
            except (NotAllowed, NotFound) as why:
                self.denied(args[0] if args else None, verb, why)
                raise
            except Unavailable as why:
                again = _code(why.__cause__) == _DEADLOCK or (named.get("token") and _lost(why.__cause__))
                if not again or attempt == _TRIES:
                    raise
            time.sleep(0.05 * 2**attempt)
            attempt += 1

    def denied(self, actor: Any, what: Callable[..., Any] | str, why: Refusal) -> None:
        """This function will keep who was refused what, in a transaction of its own; it never raises."""
        if not isinstance(actor, Actor):
            return
        action = what if isinstance(what, str) else f"{what.__module__.rpartition('.')[2]}.{what.__name__}"
        try:
            with self.write() as conn:
                denials.record(conn, actor, action, str(why))
        except Exception:  # whatever it is, the refusal itself must reach the person
            logs.named("crm").exception("a refused attempt could not be kept: %s", action)

    def dispose(self) -> None:
        """This function will close every connection."""
        if self.check:
            self.check.stop()
        self.answers.dispose()
        self.engine.dispose()
        if self.replica:
            self.replica.dispose()

    @contextmanager
    def _turn(self, write: bool) -> Iterator[None]:
        """This function will let this process's saves to a SQLite file queue here.

        SQLite itself has them poll for its lock, where some starve, each with a connection taken.
        """
        if not write or self.engine.dialect.name != "sqlite":
            yield
            return
        if not self._saving.acquire(timeout=_wait(self.engine.url)):
            raise Unavailable(_BUSY)
        try:
            yield
        finally:
            self._saving.release()

    @contextmanager
    def _begin(self, write: bool, now: bool = False) -> Iterator[Connection]:
        if self.check:
            self.check.refuse()
        try:
            with self._turn(write):
                transaction = self._transaction(write, write or now)
                with transaction.connection as conn, transaction:
                    clock.start(conn)
                    if self.replica and not write and conn.engine is self.engine:
                        self.replica.note(conn, now)
                    yield conn
        except exc.IntegrityError as why:
            raise _refusal(why) from why
        except exc.TimeoutError as why:
            raise Unavailable(_BUSY) from why
        except exc.DBAPIError as why:
            said = _unavailable(why, self.engine.url.database)
            if said is None:
                raise
            raise said from why
        finally:
            if write and self.replica:
                self.replica.wrote()

    def _transaction(self, write: bool, primary: bool, again: bool = True) -> RootTransaction:
        """This function will begin a transaction on a connection; one lost since its last use is noticed so, and replaced."""
        there = None if primary or self.replica is None else self.replica.connect()
        conn = (there or self.engine.connect()).execution_options(crm_write=write)
        try:
            return conn.begin()
        except BaseException as why:
            conn.close()
            if again and getattr(why, "connection_invalidated", False):
                return self._transaction(write, primary, again=False)
            raise


def open_database(url: str | None = None, owner: bool = False, replica: str | None = None) -> Database:
    """This function will open a database, migrate it where this role may, and check that it is whole.

    `owner` opens a SQLite file without the app's authorizer; on PostgreSQL the role in `url` decides.
    `url` defaults to CRM_DATABASE_URL, then to the embedded SQLite file; `replica` is where reads may be
    answered as well. Raises Unavailable with a sentence when the database cannot be reached, is damaged,
    newer than this program, or needs its owner; a replica that cannot be reached is passed over.
    """
    where = url or os.environ.get("CRM_DATABASE_URL") or EMBEDDED
    try:
        address = make_url(where)
        engine = _ENGINES[address.get_backend_name()](address)
    except (exc.ArgumentError, KeyError):
        raise Unavailable("CRM_DATABASE_URL must begin with sqlite:/// or postgresql://.") from None
    database = Database(engine)
    try:
        _prepare(database)
        if engine.dialect.name == "sqlite" and not owner:
            walls.guard(engine)
        if replica:
            database.replica = _replica(database, replica)
    except Exception:
        database.dispose()
        raise
    return database


def _prepare(database: Database) -> None:
    postgresql, place = database.engine.dialect.name == "postgresql", str(database.engine.url.database)
    if not postgresql:
        with database.read():  # only once the file is in the mode in which readers hold nobody up
            database.check = soundness.Check(place)
        database.check.wait(soundness.AT_ONCE)
        if not os.access(place, os.W_OK):
            raise Unavailable(_READ_ONLY.format(place=place))
    with database.write() as conn:
        unhurry(conn)  # a migration, or the wait for another process's
        if postgresql:
            conn.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": walls.LOCK})
        present = _present(conn)
        if present != NEWEST:
            from crm_core import upgrades  # it takes memory that a start without an upgrade has no need of

            _settle(database)
            upgrades.upgrade(conn, present)
        if preferences.stored(conn, "rules") != rules.fingerprint():
            _settle(database)
            walls.require_owner(conn)
            rules.install(conn)
            preferences.store(conn, "rules", rules.fingerprint())
        if preferences.stored(conn, "counted") != rules.counted():
            standings.rebuild(conn)
            tallies.rebuild(conn)
            courses.rebuild(conn)
            preferences.store(conn, "counted", rules.counted())


def _settle(database: Database) -> None:
    """This function will wait until a file is known to be whole, before its schema is changed."""
    if database.check:
        database.check.wait()


def _replica(database: Database, url: str) -> Replica:
    try:
        address, primary = make_url(url), database.engine.url
    except exc.ArgumentError:
        raise Unavailable(MISPLACED) from None
    same = (address.username, address.database) == (primary.username, primary.database)
    if not same or {address.get_backend_name(), primary.get_backend_name()} != {"postgresql"}:
        raise Unavailable(MISPLACED)
    # nobody waits for it
    engine = _postgresql_engine(address, {"tcp_user_timeout": 5000}, pool_timeout=0)
    with database.read() as conn:
        return Replica(engine, conn)


def unhurry(conn: Connection) -> None:
    """This function will let the statements of a transaction take the time that they take."""
    if conn.dialect.name == "postgresql":
        conn.execute(text("SET LOCAL statement_timeout = 0"))
        conn.execute(text("SET LOCAL lock_timeout = 0"))


def _present(conn: Connection) -> str | None:
    """The revision of a database's schema; None where it has none."""
    there = inspect(conn).has_table("alembic_version")
    return conn.scalar(text("SELECT version_num FROM alembic_version")) if there else None


def require_sqlite(version: tuple[int, ...]) -> None:
    """This function will raise Unavailable for a SQLite too old for the rules and RETURNING."""
    if version < OLDEST_SQLITE:
        found, needed = (".".join(map(str, v)) for v in (version, OLDEST_SQLITE))
        raise Unavailable(f"SQLite {found} is too old; {needed} or newer is needed.")


def _sqlite_engine(address: URL) -> Engine:
    require_sqlite(sqlite3.sqlite_version_info)
    path = address.database or ""
    if path in ("", ":memory:"):
        raise Unavailable("CRM_DATABASE_URL must name a file, such as sqlite:////folder/crm.sqlite3.")
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    except OSError as why:
        raise Unavailable(f"The folder of the database {path} cannot be made: {why.strerror}.") from why
    wait = _wait(address)
    engine = create_engine(
        address.set(drivername="sqlite"),
        hide_parameters=True,
        poolclass=QueuePool,
        # many at once, so that nobody is refused, but few are kept: each holds some 2.6 MB of its own cache
        pool_size=5,
        max_overflow=35,
        pool_timeout=wait,
        connect_args={"timeout": wait, "isolation_level": None},
    )

    @event.listens_for(engine, "connect")
    def _connect(dbapi: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
        for pragma in ("foreign_keys=ON", "recursive_triggers=ON", "journal_mode=WAL", "synchronous=FULL"):
            dbapi.execute(f"PRAGMA {pragma}")

    _begin_by(engine, "BEGIN IMMEDIATE", "BEGIN")
    return engine


def _begin_by(engine: Engine, writing: str, reading: str) -> None:
    """This function will let each transaction of an engine begin with a statement of ours; the driver sends none."""

    @event.listens_for(engine, "begin")
    def _begin(conn: Connection) -> None:
        conn.exec_driver_sql(writing if conn.get_execution_options().get("crm_write", True) else reading)


def _wait(address: URL) -> float:
    return float(str(address.query.get("timeout", WAIT)))


def _postgresql_engine(address: URL, connect: Mapping[str, Any] | None = None, **pool: Any) -> Engine:
    given = {
        "connect_timeout": 5,
        "options": f"-c timezone=UTC {_PG_OPTIONS}",
        "prepare_threshold": 2,
        **(connect or {}),
    }
    # the connection used last is the one whose statements are prepared
    kept = {"pool_size": 20, "max_overflow": 10, "pool_timeout": WAIT, "pool_use_lifo": True, **pool}
    engine = create_engine(
        address.set(drivername="postgresql+psycopg"),
        hide_parameters=True,
        isolation_level="AUTOCOMMIT",
        connect_args=given,
        **kept,
    )

    @event.listens_for(engine, "connect")
    def _connect(dbapi: Any, _entry: ConnectionPoolEntry) -> None:
        dbapi.prepared_max = PREPARED

    _begin_by(
        engine,
        "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    )
    return engine


_ENGINES: dict[str, Callable[[URL], Engine]] = {"sqlite": _sqlite_engine, "postgresql": _postgresql_engine}
_UNIQUE = {
    "email_key": "This e-mail address is in use already.",
    "source_lead_id": "This lead was converted a moment ago; open it again.",
    "converted_customer_id": "This lead was converted a moment ago; open it again.",
    "offer_id": "This offer is linked to another opportunity or belongs to another customer.",
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
    broken = getattr(getattr(why.orig, "diag", None), "constraint_name", None) or said
    for name, sentence in _UNIQUE.items():
        if name in broken:
            return Conflict(sentence)
    return Conflict("The database refused this because it would break one of its rules; check what you entered.")


_BUSY = "The database is busy and this could not be saved; nothing was lost, try again in a moment."
_READ_ONLY = "The database {place} can only be read; its file or folder needs write permission."
_DEADLOCK = "40P01"
#: By the codes of SQLite and PostgreSQL, or how they begin; their messages may be in any language.
_SAID = {
    ("SQLITE_BUSY", "SQLITE_LOCKED", "55P03", _DEADLOCK, "40001"): _BUSY,
    ("SQLITE_FULL", "53100"): "This could not be saved because the disk is full; free some space and try again.",
    ("SQLITE_IOERR", "58"): "This could not be saved because the disk reported an error; is it full?",
    ("SQLITE_READONLY", "25006"): _READ_ONLY,
    ("SQLITE_CANTOPEN", "SQLITE_PERM"): "The database {place} cannot be opened; check its folder and permissions.",
    ("SQLITE_CORRUPT", "SQLITE_NOTADB", "XX001", "XX002"): soundness.DAMAGED,
    ("57014", "25P03"): "The database took too long and gave up; narrow the selection or try again.",
    ("SQLITE_AUTH", "42501"): "This database user lacks a right that the program needs; its owner must grant it.",
    ("08", "53", "57"): "The database cannot be reached just now; try again in a moment.",
}


def _unavailable(why: exc.DBAPIError, place: str | None) -> Unavailable | None:
    """This function will say a fault of the database in a sentence, or give None for a bug of ours."""
    code = _code(why) or ("08" if isinstance(why, exc.OperationalError) else "")
    for codes, sentence in _SAID.items():
        if code.startswith(codes):
            return Unavailable(sentence.format(place=place))
    return None


def _code(why: BaseException | None) -> str:
    said = getattr(why, "orig", None)
    return getattr(said, "sqlstate", None) or getattr(said, "sqlite_errorname", None) or ""


def _lost(why: BaseException | None) -> bool:
    return isinstance(why, exc.DBAPIError) and why.connection_invalidated
