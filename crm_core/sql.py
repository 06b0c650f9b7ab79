"""The few expressions that SQLite and PostgreSQL write differently."""

from __future__ import annotations

import json
import re
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    ColumnElement,
    Dialect,
    FromClause,
    Integer,
    Text,
    TypeDecorator,
    and_,
    bindparam,
    cast,
    func,
    or_,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction
from sqlalchemy.types import NullType

from crm_core.schema import opportunity


class india_month(GenericFunction[str]):
    """The month in India of an instant: 2026-11."""

    type = Text()
    inherit_cache = True


@compiles(india_month, "sqlite")
def _sqlite_month(element: Any, compiler: Any, **kw: Any) -> str:
    return f"strftime('%Y-%m', {compiler.process(element.clauses, **kw)}, '+330 minutes')"


@compiles(india_month, "postgresql")
def _postgresql_month(element: Any, compiler: Any, **kw: Any) -> str:
    return f"to_char({compiler.process(element.clauses, **kw)} AT TIME ZONE 'Asia/Kolkata', 'YYYY-MM')"


class date_number(GenericFunction[int]):
    """A day, counted since 1970, as a number: 20261124."""

    type = Integer()
    inherit_cache = True


@compiles(date_number, "sqlite")
def _sqlite_date(element: Any, compiler: Any, **kw: Any) -> str:
    day = compiler.process(element.clauses, **kw)
    return f"CAST(strftime('%Y%m%d', ({day}) * 86400, 'unixepoch') AS INTEGER)"


@compiles(date_number, "postgresql")
def _postgresql_date(element: Any, compiler: Any, **kw: Any) -> str:
    day = compiler.process(element.clauses, **kw)
    return f"CAST(to_char(DATE '1970-01-01' + ({day}), 'YYYYMMDD') AS integer)"


class days_since(GenericFunction[int]):
    """Whole days in India from the day of an instant to a day."""

    type = Integer()
    inherit_cache = True


@compiles(days_since, "sqlite")
def _sqlite_days(element: Any, compiler: Any, **kw: Any) -> str:
    at, day = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"CAST(julianday({day}) - julianday({at}, '+330 minutes', 'start of day') AS INTEGER)"


@compiles(days_since, "postgresql")
def _postgresql_days(element: Any, compiler: Any, **kw: Any) -> str:
    at, day = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"(CAST({day} AS date) - CAST({at} AT TIME ZONE 'Asia/Kolkata' AS date))"


class unix_seconds(GenericFunction[int]):
    """Whole seconds from 1970 to an instant, or to the beginning of a day."""

    type = BigInteger()
    inherit_cache = True


@compiles(unix_seconds, "sqlite")
def _sqlite_seconds(element: Any, compiler: Any, **kw: Any) -> str:
    return f"CAST(strftime('%s', {compiler.process(element.clauses, **kw)}) AS INTEGER)"


@compiles(unix_seconds, "postgresql")
def _postgresql_seconds(element: Any, compiler: Any, **kw: Any) -> str:
    return f"CAST(floor(extract(epoch FROM {compiler.process(element.clauses, **kw)})) AS bigint)"


def india_day(at: ColumnElement[Any]) -> ColumnElement[int]:
    """This function will give the day in India of an instant, as the number of days since 1970."""
    return cast((unix_seconds(at) + 19_800) // 86_400, Integer)


def unix_day(day: ColumnElement[Any]) -> ColumnElement[int]:
    """This function will give a day as the number of days since 1970."""
    return cast(unix_seconds(day) // 86_400, Integer)


class padded(GenericFunction[str]):
    """A whole number as text of at least five digits."""

    type = Text()
    inherit_cache = True


@compiles(padded, "sqlite")
def _sqlite_padded(element: Any, compiler: Any, **kw: Any) -> str:
    return f"printf('%05d', {compiler.process(element.clauses, **kw)})"


@compiles(padded, "postgresql")
def _postgresql_padded(element: Any, compiler: Any, **kw: Any) -> str:
    number = compiler.process(element.clauses, **kw)
    return f"lpad(CAST({number} AS text), greatest(5, length(CAST({number} AS text))), '0')"


class unindexed(GenericFunction[Any]):
    """A column by which SQLite is to sort what it has found, not to go along an index; PostgreSQL chooses well itself."""

    inherit_cache = True


@compiles(unindexed, "sqlite")
def _sqlite_unindexed(element: Any, compiler: Any, **kw: Any) -> str:
    return f"+{compiler.process(element.clauses, **kw)}"


@compiles(unindexed, "postgresql")
def _postgresql_unindexed(element: Any, compiler: Any, **kw: Any) -> str:
    return str(compiler.process(element.clauses, **kw))


class linked(GenericFunction[bool]):
    """Whether an offer is linked to any opportunity, one that the asking person may not see included."""

    type = Boolean()
    inherit_cache = True


class numbered(GenericFunction[bool]):
    """Whether any offer has a number, one that the asking person may not see included."""

    type = Boolean()
    inherit_cache = True


#: What these ask of the database, of `$1`. On PostgreSQL they are functions that row security does not bind.
PAST_SCOPE = {
    "linked": ("bigint", "EXISTS (SELECT 1 FROM opportunity o WHERE o.offer_id = $1)"),
    "numbered": ("text", "EXISTS (SELECT 1 FROM offer o WHERE o.number = $1)"),
}


@compiles(linked, "sqlite")
@compiles(numbered, "sqlite")
def _sqlite_past_scope(element: Any, compiler: Any, **kw: Any) -> str:
    return PAST_SCOPE[element.name][1].replace("$1", compiler.process(element.clauses, **kw))


@compiles(linked, "postgresql")
@compiles(numbered, "postgresql")
def _postgresql_past_scope(element: Any, compiler: Any, **kw: Any) -> str:
    kind = PAST_SCOPE[element.name][0]
    return f"crm_{element.name}(CAST({compiler.process(element.clauses, **kw)} AS {kind}))"


def opportunity_number(facts: FromClause = opportunity) -> ColumnElement[str]:
    """This function will give an opportunity's human number, OPP-2026-00042.

    It is derived, never stored: the year of its creation in India and its id, so it is unique.
    """
    year = func.substr(india_month(facts.c.created_at), 1, 4, type_=Text())
    return ("OPP-" + year + "-" + padded(facts.c.id)).label("number")


def holds(column: ColumnElement[str], folded: str) -> ColumnElement[bool]:
    """This function will tell whether a folded text column contains a folded text, taken literally."""
    return column.like(pattern(folded), escape="/")


def pattern(folded: str) -> str:
    """This function will give the pattern of LIKE that takes a text literally; “/” escapes in it."""
    return "%{}%".format(re.sub("[/%_]", r"/\g<0>", folded))


def any_of(column: ColumnElement[Any], values: list[Any]) -> ColumnElement[bool]:
    """This function will tell whether a column is one of any number of ids or codes."""
    if len(values) == 1:  # no list to write out at each call
        alone: ColumnElement[bool] = column == values[0]
        return alone
    chunks = [values[i : i + 500] for i in range(0, len(values), 500)]
    if len(chunks) <= 1:
        return column.in_(values)
    return or_(*(column.in_(bindparam(None, chunk, expanding=True, literal_execute=True)) for chunk in chunks))


class _Ids(TypeDecorator[Any]):
    """Any number of ids as one value."""

    impl = Text().with_variant(ARRAY(BigInteger), "postgresql")
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        return value if dialect.name == "postgresql" else json.dumps(value)


class _Codes(_Ids):
    """Any number of codes as one value."""

    impl = Text().with_variant(ARRAY(Text), "postgresql")
    cache_ok = True


class given(GenericFunction[Any]):
    """Whether a column is one of many values in one parameter: the query is the same, and prepared, however many."""

    type = NullType()  # of what is boolean SQLite is asked whether it equals 1, for which it has no index
    inherit_cache = True


@compiles(given, "sqlite")
def _sqlite_given(element: Any, compiler: Any, **kw: Any) -> str:
    column, many = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({many}))"


@compiles(given, "postgresql")
def _postgresql_given(element: Any, compiler: Any, **kw: Any) -> str:
    column, many = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"{column} = ANY ({many})"


def among(column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """This function will tell whether an id or a code is one of the list that a query is given as `name`."""
    return given(column, bindparam(name, type_=_Ids() if isinstance(column.type, Integer) else _Codes()))


def between(column: ColumnElement[Any], start: Any, end: Any) -> ColumnElement[bool]:
    """This function will tell whether an instant lies in [start, end); None is open-ended."""
    known = [column.is_not(None)]
    if start is not None:
        known.append(column >= start)
    if end is not None:
        known.append(column < end)
    return and_(*known)
