"""Batches: many new opportunities with their moves, each checked as a single one is, written some thousands at a time.

Their rows are what `opportunities.create` and `move` and the database's effects would have made of them, which the
tests compare. While they are written rules and effects step aside; at the end the rules are tried over all of them
at once, and what is kept beside the records is counted for them at once. Only the owner may do so.
"""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import psycopg
from sqlalchemy import Connection, Table, exc, func, select, text
from sqlalchemy.types import TypeEngine

from crm_core import access, audit, clock, courses, lifecycle, opportunities, rules, standings, tallies, trigrams
from crm_core.access import Actor
from crm_core.errors import Conflict
from crm_core.records import Once
from crm_core.schema import FACTS, Instant, opportunity, standing, transition
from crm_core.schema import audit as log

CHUNK = 2000
#: KiB that SQLite keeps of the indexes in memory: an import writes them at random, and reads the same pages again and again.
_CACHE = 256 * 1024
#: A move to make: its name, what it asks, and when it was made (UTC).
Move = tuple[str, Mapping[str, Any], datetime]
_FACTS = [column.key for column in FACTS]
_OUTCOME = ("won_value", "reason", "note")


@contextmanager
def opened(conn: Connection, actor: Actor) -> Iterator[Batch]:
    """This function will open a batch, and when its block ends write the rest, try the rules and count what was added.

    Raises NotAllowed, and Conflict where a rule is broken; then nothing may be saved.
    """
    batch = Batch(conn, actor)
    with rules.aside(conn), _remembering(conn):
        yield batch
        batch.write()
    if batch.first:
        batch.finish()


@contextmanager
def _remembering(conn: Connection) -> Iterator[None]:
    """Not while it is counted afterwards: SQLite sorts in as much memory again."""
    if conn.dialect.name != "sqlite":
        yield
        return
    before = conn.exec_driver_sql("PRAGMA cache_size").scalar()
    conn.exec_driver_sql(f"PRAGMA cache_size = -{_CACHE}")
    try:
        yield
    finally:  # what is rolled back does not undo it
        conn.exec_driver_sql(f"PRAGMA cache_size = {before}")


class Batch:
    """New opportunities that are written together."""

    def __init__(self, conn: Connection, actor: Actor) -> None:
        self.conn, self.actor, self.first = conn, actor, 0
        access.require(conn, actor, "import")
        self.asking = access.require(conn, actor, "opportunity.create")
        self.now, self.reads = clock.now(conn), Once(conn)
        self._waiting: list[_Course] = []

    def add(self, values: Mapping[str, Any], moves: Iterable[Move], at: datetime, external_ref: str) -> None:
        """This function will take one opportunity and its moves in, or raise Invalid or NotAllowed and take in nothing."""
        self._waiting.append(self._course(values, moves, at, external_ref))
        if len(self._waiting) == CHUNK:
            self.write()

    def write(self) -> None:
        """This function will write what was taken in."""
        if not self._waiting:
            return
        rows: dict[Table, list[dict[str, Any]]] = {table: [] for table in (opportunity, transition, standing, log)}
        for made, course in zip(_ids(self.conn, len(self._waiting)), self._waiting, strict=True):
            self.first = self.first or made
            rows[opportunity].append(course.row | {"id": made})
            rows[transition] += [move | {"opportunity_id": made} for move in course.moves]
            rows[standing] += [stood | {"id": made} for stood in standings.whole(course.stood)]
            rows[log] += [told | {"entity_id": str(made)} for told in course.told]
        for table, many in rows.items():
            _write(self.conn, table, many)
        self._waiting = []

    def finish(self) -> None:
        """This function will try the rules over all that was written, and count it."""
        if self.conn.dialect.name == "postgresql":
            for table in (opportunity, transition, standing):
                self.conn.execute(text(f"ANALYZE {table.name}"))
        if said := rules.broken(self.conn, self.first):
            raise Conflict(said)
        tallies.add(self.conn, self.first)
        courses.add(self.conn, self.first)
        trigrams.add(self.conn, opportunity.name, self.first)

    def _course(self, values: Mapping[str, Any], moves: Iterable[Move], at: datetime, external_ref: str) -> _Course:
        row = opportunities.begun(self.reads, self.asking, values, self.now, at)
        course = _Course(row | dict.fromkeys((*_OUTCOME, "offer_id", "closed_at", "changed_at", "source_lead_id")))
        course.row |= {"id": 0, "version": 1, "external_ref": external_ref}
        said: tuple[str, dict[str, Any], dict[str, Any]] = ("create", {}, opportunities.first_facts(row))
        course.add(_created(row), self._told(1, *said, at))
        for name, asked, when in moves:
            wanted = opportunities.permitted(self.asking, row["owner_id"], name)
            move, before, after = opportunities.moved(
                self.reads, self.asking, course.row, wanted, asked, self.now, when
            )
            course.row |= _changed(course.row, move)
            course.add(move, self._told(move["seq"], name, before, after, when))
        return course

    def _told(
        self, version: int, action: str, before: Mapping[str, Any], after: Mapping[str, Any], at: datetime
    ) -> dict[str, Any]:
        return audit.told(self.actor, self.asking, action, "opportunity", version, before, after, self.now, at)


class _Course:
    """One opportunity as it is after its moves so far, these moves, how it stood after each, and what is told of them."""

    def __init__(self, row: dict[str, Any]) -> None:
        self.row = row
        self.moves: list[dict[str, Any]] = []
        self.told: list[dict[str, Any]] = []
        self.stood: list[dict[str, Any]] = []

    def add(self, move: dict[str, Any], told: dict[str, Any]) -> None:
        facts = {name: self.row[name] for name in _FACTS}
        self.stood.append(facts | {"version": move["seq"], "from_at": move["at"]})
        self.moves.append(move)
        self.told.append(told)


def _created(row: Mapping[str, Any]) -> dict[str, Any]:
    began = {"seq": 1, "move": "create", "from_status": None, "to_status": row["status"], "at": row["created_at"]}
    began |= {"recorded_at": row["recorded_at"], "by_id": row["created_by_id"]}
    return began | dict.fromkeys((*_OUTCOME, "offer_id"))


def _changed(row: Mapping[str, Any], move: Mapping[str, Any]) -> dict[str, Any]:
    at = move["at"]
    return {
        **{name: move[name] for name in _OUTCOME},
        "status": move["to_status"],
        "version": move["seq"],
        "offer_id": move["offer_id"] or row["offer_id"],
        "status_at": at,
        "changed_at": at,
        "closed_at": at if lifecycle.STAGE[move["to_status"]].closed else None,
    }


def _ids(conn: Connection, count: int) -> Iterable[int]:
    if conn.dialect.name == "postgresql":
        taken = "SELECT nextval(pg_get_serial_sequence('opportunity', 'id')) FROM generate_series(1, :count)"
        return conn.scalars(text(taken), {"count": count}).all()
    last = conn.scalar(select(func.max(opportunity.c.id))) or 0
    return itertools.islice(itertools.count(last + 1), count)


def _write(conn: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    columns = [column for column in table.columns if column.key in rows[0]]
    names = ", ".join(f'"{column.name}"' for column in columns)
    read = operator.itemgetter(*(column.key for column in columns))
    kinds = [(at, kind) for at, column in enumerate(columns) if (kind := _stored(conn, column.type))]
    stored = []
    for values in map(list, map(read, rows)):
        for at, kind in kinds:
            values[at] = kind(values[at])
        stored.append(tuple(values))
    if conn.dialect.name == "postgresql":
        _copy(conn, f"COPY {table.name} ({names}) FROM STDIN", stored)
    else:
        marks = ", ".join("?" * len(columns))
        conn.exec_driver_sql(f"INSERT INTO {table.name} ({names}) VALUES ({marks})", stored)


def _copy(conn: Connection, statement: str, rows: list[tuple[Any, ...]]) -> None:
    driver: Any = conn.connection.driver_connection
    try:
        with driver.cursor().copy(statement) as copy:
            for row in rows:
                copy.write_row(row)
    except psycopg.Error as why:
        raise exc.DBAPIError.instance(statement, None, why, psycopg.Error, hide_parameters=True) from why


def _stored(conn: Connection, kind: TypeEngine[Any]) -> Callable[[Any], Any] | None:
    if isinstance(kind, Instant):
        return _instant
    return kind.dialect_impl(conn.dialect).bind_processor(conn.dialect)


@functools.lru_cache(maxsize=10_000)  # the same few days again and again
def _instant(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat(timespec="microseconds")
