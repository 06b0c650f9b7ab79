"""Walks: one page of a long list, read along an index from where another page ended.

A page costs the same however deep it lies, and what comes or goes meanwhile makes no row appear
twice. Rows without the fact that an order is by come last, either way.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Self

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Date,
    FromClause,
    Select,
    String,
    asc,
    desc,
    func,
    literal,
    literal_column,
    select,
    tuple_,
    union_all,
)

from crm_core import sql
from crm_core.schema import Instant, Rupees, opportunity

#: What a list of opportunities may be sorted by: the name of the fact. Each has an index led by the status.
SORTS = {"created": "created_at", "value": "value", "stage_since": "status_at", "next_step": "next_step_on"}
DEFAULT_SORT = "-created"
_BEGIN, _TICK = datetime(1, 1, 1, tzinfo=UTC), timedelta(microseconds=1)

Clauses = list[ColumnElement[bool]]


@dataclass(frozen=True)
class Page:
    """Which page of how many this is, of a list of so many rows; cursors of the pages beside it, "" where there is none."""

    count: int
    page: int
    pages: int
    previous: str = ""
    next: str = ""


@dataclass(frozen=True)
class Cursor:
    """Beside which row a page lies, by its key (None: it has none) and its id; `ahead`: behind it in the order."""

    ahead: bool
    key: Any
    id: int


@dataclass(frozen=True)
class Order:
    """An order of records, or of the standings of a day: by a fact, which not all may have, then by id."""

    sort: str
    key: ColumnElement[Any]
    id: ColumnElement[int]
    nullable: bool = False

    @classmethod
    def of(
        cls,
        facts: FromClause,
        sort: str,
        sorts: Mapping[str, str] = SORTS,
        default: str = DEFAULT_SORT,
        table: FromClause = opportunity,
    ) -> Self:
        """This function will read an order: one of `sorts`, with “-” for descending; anything else is `default`.

        `sorts` names the facts of a table; where a list is of other `facts`, they have the same names.
        """
        known = sort if sort.removeprefix("-") in sorts else default
        name = sorts[known.removeprefix("-")]
        return cls(known, facts.c.get(f"{name}_key", facts.c[name]), facts.c.id, bool(table.c[name].nullable))

    def all(self) -> list[ColumnElement[Any]]:
        """This function will sort all rows of a query."""
        return self._sorted(self.key, ahead=True)

    def turn(
        self,
        conn: Connection,
        parts: Sequence[Clauses],
        count: int,
        page: int,
        per_page: int,
        after: str = "",
        sparse: bool = False,
    ) -> tuple[list[int], Page]:
        """This function will read the ids of one page of a list, and which page that is.

        The list is the `count` rows of some parts, as `page` takes them. `after` is a cursor of another page
        of the same list: what it leads to is read, and `page` only tells which number that has. Without one,
        or where nothing is left there, `page` is counted; beyond the last it is the last.
        """

        def read(limit: int, offset: int = 0, ahead: bool = True, cursor: Cursor | None = None) -> Sequence[Any]:
            found = conn.execute(self.page(parts, limit, offset, ahead, cursor, sparse)).all()
            return found if ahead else found[::-1]

        pages, cursor = max(1, -(-count // per_page)), self.cursor(after)
        rows = read(per_page + 1, ahead=cursor.ahead, cursor=cursor) if cursor else []
        if cursor and rows:
            more = len(rows) > per_page
            before, behind = more or cursor.ahead, more or not cursor.ahead
            rows = rows[:per_page] if cursor.ahead else rows[-per_page:]
            page = max(2, min(page, pages - 1) if behind else pages) if before else 1
        else:
            page = max(1, min(page, pages))
            before, behind = page > 1, page < pages
            passed, left = (page - 1) * per_page, count - (page - 1) * per_page
            if passed < left:
                rows = read(per_page, passed)
            else:  # from the end it is nearer
                rows = read(min(per_page, left), max(0, left - per_page), ahead=False)
        previous = self.beside(rows[0], ahead=False) if before and rows else ""
        following = self.beside(rows[-1], ahead=True) if behind and rows else ""
        return [row.id for row in rows], Page(count, page, max(page, pages), previous, following)

    def page(
        self,
        parts: Sequence[Clauses],
        limit: int,
        offset: int = 0,
        ahead: bool = True,
        cursor: Cursor | None = None,
        sparse: bool = False,
    ) -> Select[Any]:
        """This function will select id and key of a page of the rows of some parts that share none, from the cursor on.

        Not `ahead`, it is read backwards, from the end where there is no cursor. `sparse` rows are found
        first, and sorted then.
        """
        key = sql.unindexed(self.key, type_=self.key.type) if sparse else self.key
        walked = [
            select(self.id.label("id"), key.label("key")).where(*part, *side).order_by(*self._sorted(key, ahead, False))
            for part in parts
            for side in self._sides(key, ahead, cursor)
        ]
        # PostgreSQL makes the plan of a LIMIT that is a parameter anew each time; a later page by its number is rare
        first: Any = literal_column(str(limit))
        most, beyond = (limit, limit + offset) if offset else (first, first)
        if len(walked) == 1:
            return walked[0].limit(most).offset(offset or None)
        rows = union_all(*(one.limit(beyond).subquery().select() for one in walked)).subquery("walked")
        turned = self._sorted(rows.c.key, ahead, id_=rows.c.id)
        return select(rows.c.id, rows.c.key).order_by(*turned).limit(most).offset(offset or None)

    def cursor(self, text: str) -> Cursor | None:
        """This function will read what `beside` wrote, or give None: broken, too long, or of another order."""
        match = re.fullmatch(rf"(next|previous)\.{self.sort}\.(\d{{0,18}})\.(\d{{1,18}})", text, re.ASCII)
        if match is None or (bool(match[2]) == self._lettered and not self.nullable):
            return None
        ahead, number = match[1] == "next", int(match[3])
        if self._lettered:
            other: Any = self.key.table.alias("other")
            return Cursor(ahead, select(other.c[self.key.key]).where(other.c.id == number).scalar_subquery(), number)
        try:
            return Cursor(ahead, _fact(int(match[2]), self.key.type) if match[2] else None, number)
        except (OverflowError, ValueError):
            return None

    def beside(self, row: Any, ahead: bool) -> str:
        """This function will write, for a URL, where the page behind a row of `page` begins, or the one before it ends."""
        key = "" if self._lettered or row.key is None else _number(row.key)
        return f"{'next' if ahead else 'previous'}.{self.sort}.{key}.{row.id}"

    def _sides(self, key: ColumnElement[Any], ahead: bool, cursor: Cursor | None) -> list[Clauses]:
        """The rows that have the fact, and those that have not, each as far as they lie beyond the cursor."""
        has: list[Clauses] = [[key.is_not(None)] if self.nullable else []]
        lack: list[Clauses] = [[key.is_(None)]] if self.nullable else []
        if cursor is None:
            return has + lack
        here: Any = self.id
        there: Any = literal(cursor.id, BigInteger)
        if cursor.key is not None:
            at = cursor.key if isinstance(cursor.key, ColumnElement) else literal(cursor.key, key.type)
            here, there = tuple_(key, here), tuple_(at, there)
        beyond = here < there if self._falls(ahead) else here > there
        if cursor.key is not None:
            return [[beyond], *(lack if ahead else [])]
        return [*([] if ahead else has), [key.is_(None), beyond]]

    def _sorted(
        self, key: ColumnElement[Any], ahead: bool, nulls: bool = True, id_: ColumnElement[int] | None = None
    ) -> list[ColumnElement[Any]]:
        turned = desc if self._falls(ahead) else asc
        last = turned(self.id if id_ is None else id_)
        if not nulls:
            return [turned(key), last]
        return [turned(key).nulls_last() if ahead else turned(key).nulls_first(), last]

    @property
    def _lettered(self) -> bool:
        """Whether the fact is a text, which no URL need carry: it is read from the record itself."""
        return isinstance(self.key.type, String)

    def _falls(self, ahead: bool) -> bool:
        return self.sort.startswith("-") == ahead


def sparse(conn: Connection, count: int, statuses: int, limit: int, table: FromClause = opportunity) -> bool:
    """This function will tell whether so few rows of a table, of so many statuses, are sooner sorted than walked to.

    To sort reads each of them; a walk reads, of each status, what lies between as many as a page has.
    PostgreSQL knows that by itself.
    """
    if conn.dialect.name == "postgresql":
        return False
    return count * count <= limit * statuses * (conn.scalar(_largest(table)) or 0)


@functools.cache
def _largest(table: FromClause) -> Select[Any]:
    return select(func.max(table.c.id))


def _number(fact: Any) -> int:
    if isinstance(fact, int):
        return fact
    if isinstance(fact, datetime):
        return (fact - _BEGIN) // _TICK
    return fact.toordinal() if isinstance(fact, date) else int(fact * 100)


def _fact(number: int, kind: Any) -> Any:
    if isinstance(kind, Instant):
        return _BEGIN + number * _TICK
    if isinstance(kind, Date):
        return date.fromordinal(number)
    return Decimal(number) / 100 if isinstance(kind, Rupees) else number
