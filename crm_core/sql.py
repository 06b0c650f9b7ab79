"""The few expressions that SQLite and PostgreSQL write differently."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Boolean, ColumnElement, Text, and_, bindparam, func, or_
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction

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


class linked(GenericFunction[bool]):
    """Whether an offer is linked to any opportunity, one that the asking person may not see included."""

    type = Boolean()
    inherit_cache = True


@compiles(linked, "sqlite")
def _sqlite_linked(element: Any, compiler: Any, **kw: Any) -> str:
    return f"EXISTS (SELECT 1 FROM opportunity o WHERE o.offer_id = {compiler.process(element.clauses, **kw)})"


@compiles(linked, "postgresql")
def _postgresql_linked(element: Any, compiler: Any, **kw: Any) -> str:
    return f"crm_linked({compiler.process(element.clauses, **kw)})"  # a function of `walls`, past row security


def opportunity_number() -> ColumnElement[str]:
    """This function will give an opportunity's human number, OPP-2026-00042.

    It is derived, never stored: the year of its creation in India and its id, so it is unique.
    """
    year = func.substr(india_month(opportunity.c.created_at), 1, 4, type_=Text())
    return ("OPP-" + year + "-" + padded(opportunity.c.id)).label("number")


def holds(column: ColumnElement[str], folded: str) -> ColumnElement[bool]:
    """This function will tell whether a folded text column contains a folded text, taken literally."""
    return column.contains(folded, autoescape=True)


def any_of(column: ColumnElement[Any], values: list[Any]) -> ColumnElement[bool]:
    """This function will tell whether a column is one of any number of ids or codes."""
    chunks = [values[i : i + 500] for i in range(0, len(values), 500)]
    if len(chunks) <= 1:
        return column.in_(values)
    return or_(*(column.in_(bindparam(None, chunk, expanding=True, literal_execute=True)) for chunk in chunks))


def between(column: ColumnElement[Any], start: Any, end: Any) -> ColumnElement[bool]:
    """This function will tell whether an instant lies in [start, end); None is open-ended."""
    known = [column.is_not(None)]
    if start is not None:
        known.append(column >= start)
    if end is not None:
        known.append(column < end)
    return and_(*known)
