"""Trigrams: an index of the parts of three letters of what records are found by, so that no search reads them all.

On SQLite a full-text table beside each searched one, which the database writes with each change (`KEEP`); it
proposes records, and LIKE decides. On PostgreSQL indexes of pg_trgm, where the server has it; without them a
search reads every row, and finds the same.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Boolean, ColumnElement, Connection, Select, exc, literal_column, text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction

from crm_core import sql
from crm_core.schema import customer, lead, opportunity

#: The tables whose records are found by their folded column `search`.
SEARCHED = (customer.name, lead.name, opportunity.name)
#: Those of them that have records which row security hides: on PostgreSQL a function searches them (`walls`).
HIDDEN = (lead.name, opportunity.name)
#: From how many records that hold a text on, it is quicker to read them all than to go through the index.
MANY = 50_000
#: From how many on, the first page of them is found sooner by going through all records in its order.
ORDERED = 10_000
#: SQLite's full-text tables, and the tables in which they are kept.
BESIDE = frozenset(f"{name}_search" for name in SEARCHED)
INNER = frozenset(f"{name}_search_{part}" for name in SEARCHED for part in ("data", "idx"))
_CHANGED = "WHERE NEW.search <> OLD.search"
#: What SQLite runs after an event on a searched table; PostgreSQL keeps its indexes itself.
KEEP = tuple(
    (name, event, statement)
    for name in SEARCHED
    for event, statement in (
        ("INSERT", f"INSERT INTO {name}_search (rowid, search) VALUES (NEW.id, NEW.search)"),
        (
            "UPDATE",
            f"INSERT INTO {name}_search ({name}_search, rowid, search) SELECT 'delete', OLD.id, OLD.search {_CHANGED}",
        ),
        ("UPDATE", f"INSERT INTO {name}_search (rowid, search) SELECT NEW.id, NEW.search {_CHANGED}"),
    )
)


def _many(name: str, held: str, homes: str) -> str:
    """Whether many are among what is held; opportunities are found by their customers, `homes`, as well."""
    named = f" UNION ALL SELECT o.id FROM opportunity o WHERE o.customer_id IN ({homes})"
    return f"(SELECT count(*) > {MANY} FROM ({held}{named if name == opportunity.name else ''} LIMIT {MANY + 1}) held)"


_LIKE = {name: f"SELECT id FROM {name} WHERE search LIKE $1 ESCAPE '/'" for name in SEARCHED}
#: What PostgreSQL's functions ask of a table, of `$1`, the pattern of LIKE: what holds it, whether many do.
HOLDING = {name: f"SELECT coalesce(array_agg(id), '{{}}') FROM ({_LIKE[name]} AND (%s)) held" for name in HIDDEN}
COMMON = {
    name: f"SELECT to_regclass('ix_{name}_search') IS NULL OR {_many(name, _LIKE[name], _LIKE[customer.name])}"
    for name in HIDDEN
}
_POSSIBLE = (
    "SELECT EXISTS (SELECT 1 FROM pg_extension WHERE extname = 'pg_trgm') "
    "OR (has_database_privilege(current_database(), 'CREATE') "
    "AND EXISTS (SELECT 1 FROM pg_available_extension_versions WHERE name = 'pg_trgm' AND trusted))"
)
_SCHEMA = (
    "SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace "
    "WHERE e.extname = 'pg_trgm'"
)


def holds(table: Any, folded: str, scanned: bool = False) -> ColumnElement[bool]:
    """This function will tell whether a record of a searched table holds a folded text, taken literally.

    Through the index, unless all shall be `scanned` or the text is too short for an index.
    """
    if scanned or not known(folded):
        return sql.holds(table.c.search, folded)
    return holding(*_asked(table, folded), table.c.id, table.c.search)


def held_by_many(table: Any, folded: str) -> ColumnElement[bool]:
    """This function will tell whether so many records of a table hold a text that the index would be no help."""
    return common(*_asked(table, folded))


def known(folded: str) -> bool:
    """This function will tell whether an index of parts of three letters can know a text."""
    return len(folded) > 2 and any(map(str.isalnum, folded))


def among(column: ColumnElement[Any], chosen: Select[Any], scanned: bool = False) -> ColumnElement[bool]:
    """This function will tell whether a column is one of what a select gives: found from there, or `scanned`."""
    return column.in_(chosen) if scanned else one_of(column, chosen.scalar_subquery())


def _asked(table: Any, folded: str) -> tuple[Any, ...]:
    """A text as `holding` and `common` take it: the table's name, the pattern of LIKE, the phrase of full text."""
    return (
        literal_column(getattr(table, "element", table).name),
        sql.pattern(folded),
        '"{}"'.format(folded.replace('"', '""')),
    )


class _Clause(GenericFunction[bool]):
    type = Boolean()

    def self_group(self, against: Any = None) -> Any:
        """It is a clause already; SQLite would else compare it with 1, and use no index."""
        return self


class holding(_Clause):
    """Whether a record (its id, what it is found by) holds a text, by the index."""

    inherit_cache = True


@compiles(holding, "sqlite")
def _sqlite_holding(element: Any, compiler: Any, **kw: Any) -> str:
    name, pattern, phrase, key, search = (compiler.process(clause, **kw) for clause in element.clauses)
    proposed = f"SELECT rowid FROM {name}_search WHERE {name}_search MATCH {phrase}"
    return f"({key} IN ({proposed}) AND {search} LIKE {pattern} ESCAPE '/')"


@compiles(holding, "postgresql")
def _postgresql_holding(element: Any, compiler: Any, **kw: Any) -> str:
    name, pattern, _phrase, key, search = (compiler.process(clause, **kw) for clause in element.clauses)
    if name not in HIDDEN:
        return f"{search} LIKE {pattern} ESCAPE '/'"
    return f"{key} = ANY (CAST((SELECT crm_{name}_holding(CAST({pattern} AS text))) AS bigint[]))"


class common(_Clause):
    """Whether many records, hidden ones included, hold a text."""

    inherit_cache = True


@compiles(common, "sqlite")
def _sqlite_common(element: Any, compiler: Any, **kw: Any) -> str:
    name, _pattern, phrase = (compiler.process(clause, **kw) for clause in element.clauses)
    held, homes = (f"SELECT rowid FROM {t}_search WHERE {t}_search MATCH {phrase}" for t in (name, customer.name))
    return _many(name, held, homes)


@compiles(common, "postgresql")
def _postgresql_common(element: Any, compiler: Any, **kw: Any) -> str:
    name, pattern, _phrase = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"crm_{name}_common(CAST({pattern} AS text))"


class one_of(_Clause):
    """Whether a column is one of what a select gives, written so that an index of the column is used."""

    inherit_cache = True


@compiles(one_of, "sqlite")
def _sqlite_one_of(element: Any, compiler: Any, **kw: Any) -> str:
    return " IN ".join(compiler.process(clause, **kw) for clause in element.clauses)


@compiles(one_of, "postgresql")
def _postgresql_one_of(element: Any, compiler: Any, **kw: Any) -> str:
    return " = ANY (ARRAY".join(compiler.process(clause, **kw) for clause in element.clauses) + ")"


class aside(_Clause):
    """A condition that the database does not begin with: SQLite, which keeps no statistics, would choose any."""

    inherit_cache = True


@compiles(aside)
def _aside(element: Any, compiler: Any, **kw: Any) -> str:
    return f"({compiler.process(next(iter(element.clauses)), **kw)})"


@compiles(aside, "sqlite")
def _sqlite_aside(element: Any, compiler: Any, **kw: Any) -> str:
    return "+" + _aside(element, compiler, **kw)


def build(conn: Connection) -> int:
    """This function will make and fill the indexes that are missing and return how many there are. The owner runs it."""
    return _postgresql(conn) if conn.dialect.name == "postgresql" else _sqlite(conn)


def add(conn: Connection, name: str, first: int) -> None:
    """This function will let the records of a table from an id on be found, all of which are new. The owner runs it."""
    if conn.dialect.name == "sqlite":
        kept = f"INSERT INTO {name}_search (rowid, search) SELECT id, search FROM {name} WHERE id >= :first"
        conn.execute(text(kept), {"first": first})


def rebuild(conn: Connection) -> int:
    """This function will make all indexes anew and return how many there are. The owner runs it."""
    for name in SEARCHED:
        kept = f"INDEX IF EXISTS ix_{name}_search" if conn.dialect.name == "postgresql" else f"TABLE {name}_search"
        conn.exec_driver_sql(f"DROP {kept}")
    return build(conn)


def verify(conn: Connection) -> str:
    """This function will name the first index that is not what the records say, or give "". It takes a turn to save."""
    right = _there if conn.dialect.name == "postgresql" else _true
    wrong = [name for name in SEARCHED if not right(conn, name)]
    return f"The index that finds a {wrong[0]} by a text is not what the records say." if wrong else ""


def _sqlite(conn: Connection) -> int:
    for name in SEARCHED:
        if not conn.scalar(text("SELECT 1 FROM sqlite_master WHERE name = :name"), {"name": f"{name}_search"}):
            conn.exec_driver_sql(
                f"CREATE VIRTUAL TABLE {name}_search USING fts5 (search, content='{name}', content_rowid='id', "
                "tokenize='trigram case_sensitive 1', columnsize=0)"
            )
            conn.exec_driver_sql(f"INSERT INTO {name}_search ({name}_search) VALUES ('rebuild')")
    return len(SEARCHED)


def _postgresql(conn: Connection) -> int:
    if not conn.scalar(text(_POSSIBLE)):
        return 0
    conn.exec_driver_sql("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    schema = conn.scalar(text(_SCHEMA))
    for name in SEARCHED:
        conn.exec_driver_sql(
            f"CREATE INDEX IF NOT EXISTS ix_{name}_search ON {name} USING gin (search {schema}.gin_trgm_ops)"
        )
    return len(SEARCHED)


def _true(conn: Connection, name: str) -> bool:
    try:
        conn.exec_driver_sql(f"INSERT INTO {name}_search ({name}_search, rank) VALUES ('integrity-check', 1)")
    except exc.DatabaseError as why:
        if not getattr(why.orig, "sqlite_errorname", "").startswith("SQLITE_CORRUPT"):
            raise
        return False
    return True


def _there(conn: Connection, name: str) -> bool:
    whole = text("SELECT 1 FROM pg_index WHERE indexrelid = to_regclass(:name) AND indisvalid")
    return bool(conn.scalar(whole, {"name": f"ix_{name}_search"})) or not conn.scalar(text(_POSSIBLE))
