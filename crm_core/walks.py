"""Walks: one page of a long list, read along an index from where another page ended.

A page costs the same however deep it lies, and what comes or goes meanwhile makes no row appear
twice. Rows without the fact that an order is by come last, either way.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
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
    asc,
    desc,
    func,
    literal,
    select,
    tuple_,
    union_all,
)

from crm_core import sql
from crm_core.schema import Instant, Rupees, opportunity

#: What a list may be sorted by: the name of the fact. Each has an index led by the status.
SORTS = {"created": "created_at", "value": "value", "stage_since": "status_at", "next_step": "next_step_on"}
DEFAULT_SORT = "-created"
_BEGIN, _TICK = datetime(1, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
_LARGEST = select(func.max(opportunity.c.id))

Clauses = list[ColumnElement[bool]]


@dataclass(frozen=True)
class Cursor:
    """Beside which row a page lies, by its key (None: it has none) and its id; `ahead`: behind it in the order."""

    ahead: bool
    key: Any
    id: int


@dataclass(frozen=True)
class Order:
    """An order of opportunities, or of their standings of a day: by a fact, then by id."""

    sort: str
    name: str
    key: ColumnElement[Any]
    id: ColumnElement[int]

    @classmethod
    def of(cls, facts: FromClause, sort: str) -> Self:
        """This function will read an order: one of SORTS, with “-” for descending; anything else is newest first."""
        known = sort if sort.removeprefix("-") in SORTS else DEFAULT_SORT
        name = SORTS[known.removeprefix("-")]
        return cls(known, name, facts.c.get(f"{name}_key", facts.c[name]), facts.c.id)

    def all(self) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
        """This function will sort all rows of a query."""
        return self._sorted(self.key, ahead=True)

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
        if len(walked) == 1:
            return walked[0].limit(limit).offset(offset)
        rows = union_all(*(one.limit(limit + offset).subquery().select() for one in walked)).subquery("walked")
        turned = self._sorted(rows.c.key, ahead, id_=rows.c.id)
        return select(rows.c.id, rows.c.key).order_by(*turned).limit(limit).offset(offset)

    def cursor(self, text: str) -> Cursor | None:
        """This function will read what `beside` wrote, or give None: broken, too long, or of another order."""
        match = re.fullmatch(rf"(next|previous)\.{self.sort}\.(\d{{0,18}})\.(\d{{1,18}})", text, re.ASCII)
        if match is None or not (match[2] or self._nullable):
            return None
        try:
            key = _fact(int(match[2]), self.key.type) if match[2] else None
        except (OverflowError, ValueError):
            return None
        return Cursor(match[1] == "next", key, int(match[3]))

    def beside(self, row: Any, ahead: bool) -> str:
        """This function will write, for a URL, where the page behind a row of `page` begins, or the one before it ends."""
        key = "" if row.key is None else _number(row.key)
        return f"{'next' if ahead else 'previous'}.{self.sort}.{key}.{row.id}"

    def _sides(self, key: ColumnElement[Any], ahead: bool, cursor: Cursor | None) -> list[Clauses]:
        """The rows that have the fact, and those that have not, each as far as they lie beyond the cursor."""
        has: list[Clauses] = [[key.is_not(None)] if self._nullable else []]
        lack: list[Clauses] = [[key.is_(None)]] if self._nullable else []
        if cursor is None:
            return has + lack
        here: Any = self.id if cursor.key is None else tuple_(key, self.id)
        there: Any = literal(cursor.id, BigInteger)
        if cursor.key is not None:
            there = tuple_(literal(cursor.key, self.key.type), there)
        beyond = here < there if self._falls(ahead) else here > there
        if cursor.key is not None:
            return [[beyond], *(lack if ahead else [])]
        return [*([] if ahead else has), [key.is_(None), beyond]]

    def _sorted(
        self, key: ColumnElement[Any], ahead: bool, nulls: bool = True, id_: ColumnElement[int] | None = None
    ) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
        turned = desc if self._falls(ahead) else asc
        last = turned(self.id if id_ is None else id_)
        if not nulls:
            return turned(key), last
        return turned(key).nulls_last() if ahead else turned(key).nulls_first(), last

    @property
    def _nullable(self) -> bool:
        return bool(opportunity.c[self.name].nullable)

    def _falls(self, ahead: bool) -> bool:
        return self.sort.startswith("-") == ahead


def sparse(conn: Connection, count: int, statuses: int, limit: int) -> bool:
    """This function will tell whether so few rows, of so many statuses, are sooner sorted than walked to.

    To sort reads each of them; a walk reads, of each status, what lies between as many as a page has.
    PostgreSQL knows that by itself.
    """
    if conn.dialect.name == "postgresql":
        return False
    return count * count <= limit * statuses * (conn.scalar(_LARGEST) or 0)


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
