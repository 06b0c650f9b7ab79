"""Reading one record: missing and not yours look the same."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Select

from crm_core import fields
from crm_core.errors import NotFound
from crm_core.schema import Record


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
