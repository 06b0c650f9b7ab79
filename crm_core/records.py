"""Reading records: one that is missing and one that is not yours look the same; two that are named alike do not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, select

from crm_core import fields
from crm_core.errors import NotFound
from crm_core.schema import Record, app_user


def key(raw: Any, noun: str) -> int:
    """This function will read a record's id as a URL or a form gives it; one that cannot exist raises NotFound."""
    try:
        return fields.identity(raw)
    except ValueError:
        raise missing(noun) from None


def one(conn: Connection, query: Any, noun: str, **given: Any) -> Record:
    """This function will read the one row that a query finds in the asking person's scope, or raise NotFound."""
    row: Record | None = conn.execute(query, given).one_or_none()
    if row is None:
        raise missing(noun)
    return row


def missing(noun: str) -> NotFound:
    """This function will say that there is no such record."""
    return NotFound(f"There is no such {noun}.")


def told_apart(named: Mapping[int, str]) -> dict[int, str]:
    """This function will give names by id as they are, but where two read alike each with its number behind it."""
    alike = Counter(named.values())
    return {i: f"{name} (no. {i})" if alike[name] > 1 else name for i, name in named.items()}


def people(conn: Connection, *which: ColumnElement[bool]) -> dict[int, str]:
    """This function will map users to their names, in the order of these, told apart."""
    query = select(app_user.c.id, app_user.c.name).where(*which).order_by(app_user.c.name, app_user.c.id)
    return told_apart({row.id: row.name for row in conn.execute(query)})


class Once:
    """What is asked of a database again and again, read once: for one command, or for the many rows of an import."""

    def __init__(self, conn: Connection) -> None:
        self.conn = conn
        self._read: dict[Any, Any] = {}

    def row(self, query: Select[Any], values: dict[str, Any]) -> Record | None:
        """This function will read the one row of a query that is built once, or None."""
        key = (query, *values.values())
        if key not in self._read:
            self._read[key] = self.conn.execute(query, values).one_or_none()
        row: Record | None = self._read[key]
        return row
