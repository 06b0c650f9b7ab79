"""Where the databases to measure are: built once, kept in a folder, and measured on a copy."""

from __future__ import annotations

import itertools
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import make_url

from crm_core import courses, roles, rules, tallies, trigrams
from crm_core.database import Database, open_database, unhurry
from crm_core.schema import audit, customer, lead, opportunity
from tests.bench import data, floors
from tests.conftest import maintain, whole

APP = ("crm_bench", "let me in")
_VERSIONS = Path(rules.__file__).parent / "migrations" / "versions"


@dataclass(frozen=True)
class Place:
    """A database to measure: its kind, and its addresses for the app and for the owner."""

    kind: str
    app: str
    owner: str

    def bare(self) -> Any:
        """This function will open the driver's own connection, outside a transaction, past the program and the walls."""
        if self.kind == "postgresql":
            return psycopg.connect(self.owner, autocommit=True)
        conn = sqlite3.connect(self.file, isolation_level=None, timeout=30, check_same_thread=False)
        conn.execute("PRAGMA synchronous=FULL")
        return conn

    @property
    def file(self) -> str:
        """The file of a SQLite database."""
        return str(make_url(self.owner).database)


@contextmanager
def copied(cache: Path, kind: str, count: int, server: str) -> Iterator[Place]:
    """This function will copy the database of so many opportunities, building it if need be; gone again afterwards."""
    name = f"bench_{count}_{data.VERSION}_{floors.VERSION}_{_schema()}"
    if kind == "sqlite":
        kept = cache / f"{name}.sqlite3"
        if not kept.exists():
            made = kept.with_suffix(".part")
            made.unlink(missing_ok=True)
            _build(Place(kind, f"sqlite:///{made}", f"sqlite:///{made}"), count)
            made.rename(kept)
        work = cache / "work.sqlite3"
        _gone(work)
        shutil.copyfile(kept, work)
        try:
            yield Place(kind, *[f"sqlite:///{work}"] * 2)
        finally:
            _gone(work)
        return
    if not _there(server, name):
        maintain(server, "DROP DATABASE IF EXISTS part WITH (FORCE)")
        maintain(server, "CREATE DATABASE part")
        _build(_on(server, "part"), count)
        maintain(server, f"ALTER DATABASE part RENAME TO {name}")
    maintain(server, "DROP DATABASE IF EXISTS work WITH (FORCE)")
    maintain(server, f"CREATE DATABASE work TEMPLATE {name} STRATEGY FILE_COPY")
    try:
        yield _on(server, "work")
    finally:
        maintain(server, "DROP DATABASE work WITH (FORCE)")


def _schema() -> str:
    return f"{max(path.stem for path in _VERSIONS.glob('*.py'))[:4]}_{rules.fingerprint()}"


def _on(server: str, name: str) -> Place:
    owner = make_url(server).set(database=name)
    return Place("postgresql", whole(owner.set(username=APP[0], password=APP[1])), whole(owner))


def _there(server: str, name: str) -> bool:
    with psycopg.connect(server) as conn:
        return conn.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone() is not None


def _gone(file: Path) -> None:
    for part in ("", "-wal", "-shm"):
        Path(f"{file}{part}").unlink(missing_ok=True)


def _build(place: Place, count: int) -> None:
    database = open_database(place.owner, owner=True)
    with database.write() as conn:
        data.furnish(conn)
    if place.kind == "postgresql":
        roles.make(database, place.app)
    with database.read() as conn:
        company = data.Company(conn)
    database.dispose()
    conn = place.bare()
    write = {"sqlite": _insert, "postgresql": _copy}[place.kind]
    for statement in _LOOSE[place.kind]:
        conn.execute(statement)
    again = _without_indexes(conn, place.kind)
    write(conn, company.customers())
    for rows in itertools.chain(company.leads(count // data.EACH_LEAD), company.deals(count)):
        write(conn, rows)
    for statement in again:
        conn.execute(statement)
    if place.kind == "postgresql":
        for table in (customer, lead, opportunity, audit):
            conn.execute(f"SELECT setval(pg_get_serial_sequence('{table.name}', 'id'), max(id)) FROM {table.name}")
    floors.build(conn, place.kind)
    conn.close()
    database = open_database(place.owner, owner=True)
    _finish(database)
    database.dispose()
    if place.kind == "postgresql":
        maintain(place.owner, "VACUUM ANALYZE")


#: Triggers off, and nothing synced: a database that is not whole is never renamed to what is looked for.
_LOOSE = {
    "sqlite": ("PRAGMA journal_mode=OFF", "PRAGMA synchronous=OFF", "PRAGMA cache_size=-400000"),
    "postgresql": ("SET session_replication_role = replica", "SET synchronous_commit = off"),
}


def _without_indexes(conn: Any, kind: str) -> list[str]:
    """Drop the triggers of SQLite, and every index that no constraint needs; gives what makes the indexes again."""
    tables = ", ".join(f"'{name}'" for name in data.WRITTEN)
    if kind == "sqlite":
        for (name,) in conn.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            conn.execute(f'DROP TRIGGER "{name}"')
        found = f"SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql <> '' AND tbl_name IN ({tables})"
    else:
        found = (
            f"SELECT indexname, indexdef FROM pg_indexes WHERE tablename IN ({tables}) AND NOT EXISTS "
            "(SELECT 1 FROM pg_constraint WHERE conindid = indexname::regclass)"
        )
    indexes = conn.execute(found).fetchall()
    for name, _made in indexes:
        conn.execute(f"DROP INDEX {name}")
    return [made for _name, made in indexes]


def _insert(conn: Any, rows: data.Rows) -> None:
    conn.execute("BEGIN")
    for table, many in rows.items():
        names = data.WRITTEN[table]
        marks = ", ".join("?" * len(names))
        conn.executemany(f"INSERT INTO {table} ({', '.join(map(_quoted, names))}) VALUES ({marks})", many)
    conn.execute("COMMIT")


def _copy(conn: Any, rows: data.Rows) -> None:
    for table, many in rows.items():
        names = ", ".join(map(_quoted, data.WRITTEN[table]))
        with conn.cursor().copy(f"COPY {table} ({names}) FROM STDIN") as copy:
            for row in many:
                copy.write_row(row)


def _quoted(name: str) -> str:
    return f'"{name}"'


def _finish(database: Database) -> None:
    """Put back what keeps a database right, and what it keeps beside the records."""
    with database.write() as conn:
        unhurry(conn)
        rules.install(conn)
        tallies.rebuild(conn)
        courses.rebuild(conn)
        trigrams.rebuild(conn)
