"""One clock per transaction: everything written together carries the same instant, in UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import Connection, Table

from crm_core import periods


def start(conn: Connection, at: datetime | None = None) -> None:
    """This function will set the transaction's clock: to the present, or to `at` (the demo's past)."""
    conn.info["crm_now"] = at or datetime.now(UTC)


def now(conn: Connection) -> datetime:
    """This function will give the transaction's one reading, in UTC."""
    at: datetime = conn.info["crm_now"]
    return at


def today(conn: Connection) -> date:
    """This function will give the transaction's day in India."""
    return periods.in_india(now(conn)).date()


def stamp(conn: Connection, table: Table) -> dict[str, Any]:
    """This function will give what a change writes beside its values, in tables that keep when they changed."""
    return {"changed_at": now(conn)} if "changed_at" in table.c else {}
